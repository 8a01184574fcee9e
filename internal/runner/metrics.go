package runner

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"offramp/internal/offboard"
)

// metrics counts what the runner does. Label values are from closed sets.
type metrics struct {
	steps   *prometheus.HistogramVec
	ended   *prometheus.CounterVec
	lags    *prometheus.HistogramVec
	machine *prometheus.HistogramVec
	records prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	lag := []float64{1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600, 72 * 3600, 7 * 24 * 3600}
	m := &metrics{
		steps: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "offramp_step_duration_seconds", Help: "Time one run of a step took.",
			Buckets: []float64{.005, .05, .25, 1, 5, 20, 60},
		}, []string{"step", "outcome"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "offramp_cases_closed_total", Help: "Cases that ended, by reason and outcome.",
		}, []string{"reason", "outcome"}),
		lags: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "offramp_removal_lag_seconds", Help: "From acceptance, or not_before if later, to verified absence.", Buckets: lag,
		}, []string{"reason"}),
		machine: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "offramp_removal_machine_seconds", Help: "Like the lag, without the time spent waiting for people.", Buckets: lag,
		}, []string{"reason"}),
		records: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "offramp_evidence_failures_total", Help: "Attempts given up because the record could not be written.",
		}),
	}
	for _, r := range offboard.Reasons() {
		m.lags.WithLabelValues(string(r))
		m.machine.WithLabelValues(string(r))
		for _, o := range offboard.Outcomes() {
			m.ended.WithLabelValues(string(r), string(o))
		}
	}
	if reg != nil {
		reg.MustRegister(m.steps, m.ended, m.lags, m.machine, m.records)
	}
	return m
}

func (m *metrics) step(n offboard.StepName, out outcome, took time.Duration) {
	word := "done"
	switch {
	case out.attention != "":
		word = "needs_attention"
	case out.wait == offboard.WaitRetry:
		word = "failed"
	case out.wait != "":
		word = "waiting"
	}
	m.steps.WithLabelValues(string(n), word).Observe(took.Seconds())
}

func (m *metrics) closed(c offboard.Case) {
	m.ended.WithLabelValues(string(c.Reason), string(c.Outcome)).Inc()
}

// lag is observed once, when the absence is first verified.
func (m *metrics) lag(c offboard.Case) {
	from := c.Opened
	if c.NotBefore.After(from) {
		from = c.NotBefore
	}
	total := c.Verified.Sub(from)
	m.lags.WithLabelValues(string(c.Reason)).Observe(max(total, 0).Seconds())
	m.machine.WithLabelValues(string(c.Reason)).Observe(max(total-c.Waited, 0).Seconds())
}
