package notify

import (
	"github.com/prometheus/client_golang/prometheus"

	"offramp/internal/offboard"
)

// metrics counts how messages ended, by way: email or channel.
type metrics struct {
	sent, failed *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "offramp_messages_sent_total", Help: "Messages that a mail server or service accepted.",
		}, []string{"way"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "offramp_messages_failed_total", Help: "Messages that were given up.",
		}, []string{"way"}),
	}
	for _, way := range []string{"email", "channel"} {
		m.sent.WithLabelValues(way)
		m.failed.WithLabelValues(way)
	}
	if reg != nil {
		reg.MustRegister(m.sent, m.failed)
	}
	return m
}

func (m *metrics) count(msg offboard.Message) {
	switch msg.State {
	case offboard.MessageSent:
		m.sent.WithLabelValues(way(msg)).Inc()
	case offboard.MessageFailed:
		m.failed.WithLabelValues(way(msg)).Inc()
	case offboard.MessagePending, offboard.MessageDropped, offboard.MessageNoted:
	}
}
