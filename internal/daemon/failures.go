package daemon

import (
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"offramp/internal/config"
	"offramp/internal/offboard"
)

// policyFailures counts and logs policies that could not be applied as they
// were meant to be. The log names nobody: the case's timeline says more.
func policyFailures(cfg *config.Config, reg prometheus.Registerer, log *zap.Logger) func(offboard.PolicyFailure) {
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "offramp_policy_failures_total",
		Help: "Conditions of policies that failed, by policy; none: no condition held and the built-in policy was taken.",
	}, []string{"policy"})
	failures.WithLabelValues(offboard.NoPolicy)
	for _, p := range cfg.Policies {
		failures.WithLabelValues(p.Name)
	}
	reg.MustRegister(failures)
	return func(f offboard.PolicyFailure) {
		person, about := zap.String("person", f.Person), zap.String("case", f.Case)
		switch f.Policy {
		case "":
			log.Warn("a leave date is neither a date nor a time: nothing is scheduled by it", person)
			return
		case offboard.NoPolicy:
			log.Info("no policy's condition holds: the case has the built-in policy", person, about)
		default:
			log.Warn("a policy's condition failed", zap.String("policy", f.Policy), person, about)
		}
		failures.WithLabelValues(f.Policy).Inc()
	}
}
