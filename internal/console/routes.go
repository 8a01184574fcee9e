package console

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"
)

// route is one operation of the operator API.
type route struct {
	method string
	path   string
	need   Role
	do     endpoint
}

const api = "/api/v1"

// routes is the one list of operations; the description is held against it.
func (c *Console) routes() []route {
	return []route{
		{http.MethodGet, "/cases", Viewer, c.listCases},
		{http.MethodPost, "/cases", Worker, c.openCase},
		{http.MethodPost, "/sunsets", Worker, c.openSunset},
		{http.MethodGet, "/cases/{id}", Viewer, c.showCase},
		{http.MethodGet, "/cases/{id}/explain", Viewer, c.explainCase},
		{http.MethodPost, "/cases/{id}/approve", Approver, c.approve},
		{http.MethodPost, "/cases/{id}/hold", Worker, c.hold},
		{http.MethodPost, "/cases/{id}/release", Worker, c.release},
		{http.MethodPost, "/cases/{id}/cancel", Worker, c.cancel},
		{http.MethodPost, "/cases/{id}/retry", Worker, c.retry},
		{http.MethodPost, "/cases/{id}/expedite", Worker, c.expedite},
		{http.MethodPost, "/cases/{id}/resolve", Worker, c.resolve},
		{http.MethodPost, "/batches/{id}/release", Worker, c.releaseBatch},
		{http.MethodPost, "/batches/{id}/cancel", Worker, c.cancelBatch},
		{http.MethodGet, "/brakes", Viewer, c.listBrakes},
		{http.MethodPost, "/brakes/{id}/release", Worker, c.releaseBrake},
		{http.MethodGet, "/tasks", Viewer, c.listTasks},
		{http.MethodPost, "/tasks/{id}/done", Worker, c.taskDone},
		{http.MethodPost, "/tasks/{id}/decline", Worker, c.taskDeclined},
		{http.MethodPost, "/tasks/{id}/link", Worker, c.taskLink},
		{http.MethodGet, "/drift", Viewer, c.listFindings},
		{http.MethodPost, "/drift/run", Worker, c.askSweep},
		{http.MethodPost, "/drift/fix", Worker, c.fixFindings},
		{http.MethodGet, "/drift/{id}", Viewer, c.showFinding},
		{http.MethodPost, "/drift/{id}/acknowledge", Worker, c.acknowledge},
		{http.MethodGet, "/rotations", Viewer, c.listRotations},
		{http.MethodPost, "/rotations/{id}/confirm", Worker, c.confirmRotation},
		{http.MethodGet, "/reviews", Viewer, c.listReviews},
		{http.MethodPost, "/reviews", Worker, c.startReview},
		{http.MethodGet, "/reviews/{id}", Viewer, c.showReview},
		{http.MethodGet, "/reviews/{id}/report", Viewer, c.reportReview},
		{http.MethodPost, "/reviews/{id}/decide", Worker, c.decideReview},
		{http.MethodPost, "/reviews/{id}/close", Worker, c.closeReview},
		{http.MethodGet, "/tokens", Viewer, c.listTokens},
		{http.MethodPost, "/tokens", Admin, c.newToken},
		{http.MethodDelete, "/tokens/{id}", Admin, c.revokeToken},
		{http.MethodGet, "/pause", Viewer, c.showPause},
		{http.MethodPut, "/pause", Admin, c.pause},
		{http.MethodDelete, "/pause", Admin, c.resume},
		{http.MethodGet, "/status", Viewer, c.status},
	}
}

func (c *Console) router(description []byte) http.Handler {
	m := mux.NewRouter()
	for _, r := range c.routes() {
		m.Handle(api+r.path, c.guarded(r.need, r.do)).Methods(r.method)
	}
	m.HandleFunc(api+"/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(description) // whoever asked has gone
	}).Methods(http.MethodGet)
	m.HandleFunc("/", c.paged(c.casesPage)).Methods(http.MethodGet)
	m.HandleFunc("/cases/{id}", c.paged(c.casePage)).Methods(http.MethodGet)
	m.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusNotFound, "there is nothing at this path; see "+api+"/openapi.json", "")
	})
	m.MethodNotAllowedHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", strings.Join(allowed(m, r), ", "))
		problem(w, http.StatusMethodNotAllowed, "this path does not know the method; see "+api+"/openapi.json", "")
	})
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusForbidden, "a page of another origin may not change anything here", "")
	}))
	return headers(guard.Handler(m))
}

// allowed lists the methods that a path knows.
func allowed(m *mux.Router, r *http.Request) []string {
	var out []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		asked := r.Clone(r.Context())
		asked.Method = method
		var match mux.RouteMatch
		if m.Match(asked, &match) && match.MatchErr == nil {
			out = append(out, method)
		}
	}
	return slices.Clip(out)
}

// headers keeps answers, which hold personal data, out of caches and frames.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
		next.ServeHTTP(w, r)
	})
}
