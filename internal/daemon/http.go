package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// publicRoutes are what identity providers, hooks, and people with a personal
// link reach.
func (d *Daemon) publicRoutes(scim, hooks, links http.Handler) http.Handler {
	// Paths are not cleaned: a redirect would turn a POST into a GET.
	r := mux.NewRouter().SkipClean(true).UseEncodedPath()
	r.PathPrefix("/scim/v2/").Handler(scim)
	r.PathPrefix("/hooks/").Handler(hooks)
	r.PathPrefix("/t/").Handler(links)
	r.HandleFunc("/livez", live).Methods(http.MethodGet)
	return r
}

// adminRoutes are for operators and Prometheus.
func (d *Daemon) adminRoutes(console http.Handler) http.Handler {
	r := mux.NewRouter()
	r.Handle("/metrics", promhttp.HandlerFor(d.registry, promhttp.HandlerOpts{}))
	r.HandleFunc("/livez", live).Methods(http.MethodGet)
	r.HandleFunc("/readyz", d.ready).Methods(http.MethodGet)
	r.PathPrefix("/").Handler(console)
	return r
}

// live answers while the process can answer at all.
func live(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }

// ready tells, by component, whether requests should come here. Amplitude is no
// component: what it does not answer waits, and nothing is refused for it.
func (d *Daemon) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	state := map[string]string{"database": "ok"}
	status := http.StatusOK
	if err := d.store.Ping(ctx); err != nil {
		state["database"] = "does not answer"
		if errors.Is(err, context.DeadlineExceeded) {
			state["database"] = "does not answer within 2 s"
		}
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(state)
}
