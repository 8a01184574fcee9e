package amplitude_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"offramp/amplitude"
)

const (
	scimKey       = "scim-key-4711"
	orgKey        = "org-key-4711"
	orgSecret     = "org-secret-4711"
	apiKey        = "api-key-4711"
	secretKey     = "secret-key-4711"
	managementKey = "ampex_management-4711"
	devToken      = "amp_developer-4711"
	projectID     = 187520
	orgID         = 36958
	leaver        = "jo.smith@example.com"
)

// today is the clock of all tests that need none of their own.
func today() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// inProcess is a transport that calls a handler without a network, so that it
// works inside a synctest bubble.
type inProcess struct{ http.Handler }

func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	t.ServeHTTP(rec, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return rec.Result(), nil
}

// roundTrip makes a transport of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// asked is one request as a server saw it.
type asked struct {
	Method, URI, Auth, Type, Body string
	Header                        http.Header
}

// script is a server that answers from a list, in order; the last answer
// repeats. It keeps what it was asked.
type script struct {
	mu      sync.Mutex
	answers []recorded
	asked   []asked
}

// recorded is one answer. Status 0 is 200.
type recorded struct {
	Status int
	Header map[string]string
	Body   string
}

func play(answers ...recorded) *script { return &script{answers: answers} }

// says is a script that always gives the same 200.
func says(body string) *script { return play(recorded{Body: body}) }

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	s.mu.Lock()
	s.asked = append(s.asked, asked{
		Method: r.Method, URI: r.URL.RequestURI(), Auth: r.Header.Get("Authorization"),
		Type: r.Header.Get("Content-Type"), Body: string(body), Header: r.Header.Clone(),
	})
	a := s.answers[min(len(s.asked), len(s.answers))-1]
	s.mu.Unlock()
	for name, value := range a.Header {
		w.Header().Set(name, value)
	}
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body)
}

func (s *script) requests() []asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]asked(nil), s.asked...)
}

// only returns the single request that was made.
func (s *script) only(t *testing.T) asked {
	t.Helper()
	all := s.requests()
	if len(all) != 1 {
		t.Fatalf("%d requests were made, want 1: %+v", len(all), all)
	}
	return all[0]
}

func options(transport http.RoundTripper) amplitude.Options {
	const host = "https://amplitude.invalid"
	return amplitude.Options{
		Name: "acme",
		Endpoints: amplitude.Endpoints{
			SCIM: host + "/scim/1", UserManagement: host + "/user-management/1", Audit: host + "/api/2/audit-logs",
			Analytics: host, Experiment: host + "/api/1", Evaluation: host, Developer: host, Data: host,
		},
		SCIMKey: scimKey, OrgID: orgID, OrgKey: orgKey, OrgSecret: orgSecret, DeveloperToken: devToken,
		Projects:  []amplitude.Project{{ID: projectID, Name: "Shop", APIKey: apiKey, SecretKey: secretKey, ManagementKey: managementKey}},
		Transport: transport,
		Now:       today,
	}
}

func newClient(t *testing.T, o amplitude.Options) *amplitude.Client {
	t.Helper()
	c, err := amplitude.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// against makes a client that talks to a handler.
func against(t *testing.T, h http.Handler) *amplitude.Client {
	t.Helper()
	return newClient(t, options(inProcess{h}))
}

// asError returns the *amplitude.Error in err, which must be there.
func asError(t *testing.T, err error) *amplitude.Error {
	t.Helper()
	e, ok := errors.AsType[*amplitude.Error](err)
	if !ok {
		t.Fatalf("error is %v, want an *amplitude.Error", err)
	}
	return e
}

// mustNotLeak fails if an error's text holds anything that errors must not.
func mustNotLeak(t *testing.T, err error) {
	t.Helper()
	text := strings.ToLower(err.Error())
	for _, secret := range []string{
		scimKey, orgKey, orgSecret, apiKey, secretKey, managementKey, devToken,
		"://", "amplitude.invalid", leaver, "jo.smith%40example.com", "@", "bearer", "basic ",
	} {
		if strings.Contains(text, strings.ToLower(secret)) {
			t.Errorf("the error shows %q: %v", secret, err)
		}
	}
}

// fakeBudget keeps what it was asked and answers err.
type fakeBudget struct {
	err   error
	mu    sync.Mutex
	taken []amplitude.Share
	waits []time.Duration
}

func (b *fakeBudget) Take(_ context.Context, s amplitude.Share) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken = append(b.taken, s)
	return b.err
}

func (b *fakeBudget) Throttled(_ context.Context, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waits = append(b.waits, wait)
}

// contextThatEnds is a context that is cancelled after d of bubble time.
func contextThatEnds(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	timer := time.AfterFunc(d, cancel)
	return ctx, func() { timer.Stop(); cancel() }
}

// firstError reads a sequence and returns its error.
func firstError[T any](seq iter.Seq2[T, error]) error {
	_, err := all(seq)
	return err
}

// all reads a sequence up to its error.
func all[T any](seq iter.Seq2[T, error]) ([]T, error) {
	var out []T
	for item, err := range seq {
		if err != nil {
			return out, err
		}
		out = append(out, item)
	}
	return out, nil
}

// counted reads one series of the request counter; one that is absent is zero.
func counted(t *testing.T, reg *prometheus.Registry, api, code string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "offramp_amplitude_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["organization"] == "acme" && labels["api"] == api && labels["code"] == code {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}
