package scim

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	dropped  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "offramp_scim_requests_total",
			Help: "SCIM requests answered. The connection is empty where no token was accepted.",
		}, []string{"connection", "resource", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "offramp_scim_request_duration_seconds",
			Help:    "Time from a SCIM request's headers to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"resource", "method"}),
		// No alert: an attribute that is mapped but not stored is a matter of
		// setup; the log line names it.
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "offramp_scim_dropped_attributes_total",
			Help: "Attributes that a provider sent and that are not stored, by reason.",
		}, []string{"resource", "reason"}),
	}
	for _, resource := range []string{"Users", "Groups"} {
		for _, reason := range []dropReason{droppedUnknown, droppedReadOnly} {
			m.dropped.WithLabelValues(resource, string(reason))
		}
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			m.duration.WithLabelValues(resource, method)
		}
	}
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.dropped} {
		if err := reg.Register(c); err != nil {
			errs = append(errs, fmt.Errorf("register metric: %w", err))
		}
	}
	return m, errors.Join(errs...)
}

func (m *metrics) observe(ex *exchange, took time.Duration) {
	method := "other"
	switch ex.route.method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		method = ex.route.method
	}
	m.requests.WithLabelValues(ex.conn, ex.route.resource, method, strconv.Itoa(ex.status)).Inc()
	m.duration.WithLabelValues(ex.route.resource, method).Observe(took.Seconds())
	for reason, n := range ex.notes.counts {
		if n > 0 {
			m.dropped.WithLabelValues(ex.route.resource, string(reason)).Add(float64(n))
		}
	}
}
