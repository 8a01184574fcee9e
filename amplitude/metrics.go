package amplitude

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts requests. Several clients, one per organization, share one
// Registerer, and so one counter.
//
// offramp_amplitude_requests_total has no alert rule of its own: what its codes
// mean for a case shows in lag, overdue cases and findings, which have rules.
type metrics struct {
	organization string
	requests     *prometheus.CounterVec
}

// Codes beside HTTP statuses.
const (
	codeLabelError  = "error"  // no answer, or a cut off one
	codeLabelBudget = "budget" // not sent, the budget said no
	codeLabelOther  = "other"  // a status not in the set
)

func newMetrics(reg prometheus.Registerer, organization string) (*metrics, error) {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "offramp_amplitude_requests_total",
		Help: "Requests to Amplitude by organization, API and HTTP status; error: no complete answer, budget: not sent.",
	}, []string{"organization", "api", "code"})
	if reg != nil {
		if err := reg.Register(vec); err != nil {
			already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err)
			if !ok {
				return nil, fmt.Errorf("register metrics: %w", err)
			}
			if vec, ok = already.ExistingCollector.(*prometheus.CounterVec); !ok {
				return nil, fmt.Errorf("register metrics: %w", err)
			}
		}
	}
	m := &metrics{organization: organization, requests: vec}
	for _, a := range allAPIs() {
		for _, code := range []string{"200", "401", "429", "500", codeLabelError} {
			m.requests.WithLabelValues(organization, a.String(), code)
		}
	}
	m.requests.WithLabelValues(organization, apiSCIM.String(), codeLabelBudget)
	return m, nil
}

func (m *metrics) count(a api, code string) {
	m.requests.WithLabelValues(m.organization, a.String(), code).Inc()
}

// statusLabel keeps the label in a closed set, whatever a server answers.
func statusLabel(status int) string {
	switch status {
	case http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent,
		http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect,
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusMethodNotAllowed, http.StatusConflict, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return strconv.Itoa(status)
	default:
		return codeLabelOther
	}
}
