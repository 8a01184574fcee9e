package amplitudefake_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	sim "offramp/amplitude/amplitudefake"
)

// clock is a time that only the test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// world is a simulator and what a test needs to talk to it.
type world struct {
	*sim.Fake
	t     *testing.T
	creds sim.Credentials
}

// newWorld makes an organization without members, unless the options say more,
// at a fixed time and without a rate limit.
func newWorld(t *testing.T, o sim.Options) *world {
	t.Helper()
	if o.Now == nil {
		o.Now = newClock().now
	}
	if o.RatePerMinute == 0 {
		o.RatePerMinute = -1
	}
	f, err := sim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &world{f, t, f.Credentials()}
}

// people adds joined members who logged in an hour ago.
func (w *world) people(emails ...string) {
	w.t.Helper()
	for _, e := range emails {
		name, _, _ := strings.Cut(e, "@")
		w.add(sim.Member{Email: e, GivenName: name, FamilyName: "Test", LastLogin: w.Now().Add(-time.Hour)})
	}
}

func (w *world) add(m sim.Member) {
	w.t.Helper()
	if err := w.AddMember(m); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) asset(a sim.Asset) sim.Asset {
	w.t.Helper()
	if a.Project == 0 {
		a.Project = w.creds.Projects[0].ID
	}
	out, err := w.AddAsset(a)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) human(a sim.Action) sim.Outcome {
	w.t.Helper()
	out, err := w.Human(a)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) advance(d time.Duration) {
	w.t.Helper()
	if err := w.Advance(d); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) set(name, value string) {
	w.t.Helper()
	if err := w.SetSwitch(name, value); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) fault(f sim.Fault) {
	w.t.Helper()
	if _, err := w.AddFault(f); err != nil {
		w.t.Fatal(err)
	}
}

// reply is an answer as a client sees it.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

// auth signs a request.
type auth func(*http.Request)

func bearer(token string) auth {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func basic(user, pass string) auth { return func(r *http.Request) { r.SetBasicAuth(user, pass) } }

func header(name, value string) auth { return func(r *http.Request) { r.Header.Set(name, value) } }

// try sends one request; body is a string, a form, or something for JSON.
func (w *world) try(method, path string, body any, signs ...auth) (reply, error) {
	w.t.Helper()
	var text, kind string
	switch b := body.(type) {
	case nil:
	case string:
		text, kind = b, "application/json"
	case url.Values:
		text, kind = b.Encode(), "application/x-www-form-urlencoded"
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		text, kind = string(raw), "application/json"
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, "http://simulator.invalid"+path, strings.NewReader(text))
	if err != nil {
		w.t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for _, sign := range signs {
		sign(r)
	}
	res, err := w.Transport().RoundTrip(r)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{w.t, res.StatusCode, res.Header, string(b)}, nil
}

func (w *world) send(method, path string, body any, signs ...auth) reply {
	w.t.Helper()
	got, err := w.try(method, path, body, signs...)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return got
}

// scim sends a request with the SCIM key valid when the world was made.
func (w *world) scim(method, path string, body any) reply {
	w.t.Helper()
	return w.send(method, "/scim/1"+path, body, bearer(w.creds.SCIMKey))
}

func (w *world) access(method, path string, body any) reply {
	w.t.Helper()
	return w.send(method, "/user-management/1"+path, body, basic(w.creds.OrgKey, w.creds.OrgSecret))
}

// keyed sends a request with the key pair of the first project.
func (w *world) keyed(method, path string, body any) reply {
	w.t.Helper()
	return w.send(method, path, body, basic(w.creds.Projects[0].APIKey, w.creds.Projects[0].SecretKey))
}

func (w *world) managed(method, path string, body any) reply {
	w.t.Helper()
	return w.send(method, "/api/1"+path, body, bearer(w.creds.Projects[0].ManagementKey))
}

func (w *world) developer(method, path string, body any, more ...auth) reply {
	w.t.Helper()
	return w.send(method, "/v1"+path, body, append(more, bearer("PAT="+w.creds.DeveloperToken))...)
}

// effects are what the calls so far have changed.
func (w *world) effects() []string {
	out := []string{}
	for _, r := range w.Requests(sim.RequestFilter{Effect: true}) {
		out = append(out, r.Effect)
	}
	return out
}

func (r reply) want(status int) reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("answered %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

func (r reply) has(parts ...string) reply {
	r.t.Helper()
	for _, p := range parts {
		if !strings.Contains(r.body, p) {
			r.t.Errorf("answer lacks %s:\n%s", p, r.body)
		}
	}
	return r
}

func (r reply) lacks(parts ...string) reply {
	r.t.Helper()
	for _, p := range parts {
		if strings.Contains(r.body, p) {
			r.t.Errorf("answer should not have %s:\n%s", p, r.body)
		}
	}
	return r
}

// into decodes the answer.
func (r reply) into(v any) {
	r.t.Helper()
	if err := json.NewDecoder(bytes.NewReader([]byte(r.body))).Decode(v); err != nil {
		r.t.Fatalf("decode %q: %v", r.body, err)
	}
}

// ids lists the id or value of each item under a name in the answer.
func (r reply) ids(list string) []string {
	r.t.Helper()
	var all map[string]json.RawMessage
	r.into(&all)
	var items []struct {
		ID any `json:"id"`
	}
	if err := json.Unmarshal(all[list], &items); err != nil {
		r.t.Fatal(err)
	}
	out := []string{}
	for _, i := range items {
		text, _ := i.ID.(string)
		out = append(out, text)
	}
	return out
}
