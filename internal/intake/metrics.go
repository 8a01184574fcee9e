package intake

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	// No alert: a group that holds more people than the app is usual.
	unknown *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{unknown: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "offramp_scim_unknown_members_total",
		Help: "Members that a provider put into a group and that are not users of its connection.",
	}, []string{"connection"})}
	if reg == nil {
		return m, nil
	}
	if err := reg.Register(m.unknown); err != nil {
		return nil, fmt.Errorf("register metric: %w", err)
	}
	return m, nil
}
