package intake_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"offramp/internal/intake"
	"offramp/internal/offboard"
	"offramp/internal/store"
	"offramp/internal/store/storetest"
	"offramp/scim"
)

// bridge is the way in, from the wire to the record, for two providers.
type bridge struct {
	store   *store.Store
	handler http.Handler
	logs    *observer.ObservedLogs
	metrics *prometheus.Registry
}

type settings struct {
	postgres bool
	access   []string
	byEmail  bool
	wrap     func(*store.Store) intake.Store
	newID    func() string                              // nil: as in production
	rules    func(connection string, r *offboard.Rules) // nil: none is changed
	open     func(*store.Options)                       // nil: nothing is changed
}

const (
	oktaToken  = "okta-secret"
	entraToken = "entra-secret"
)

func newBridge(tb testing.TB, set settings) *bridge {
	tb.Helper()
	o := store.Options{Path: filepath.Join(tb.TempDir(), "offramp.db"), AccessConfigured: len(set.access) > 0}
	if set.postgres {
		o.Path, o.URL = "", storetest.Postgres(tb)
	}
	if set.open != nil {
		set.open(&o)
	}
	s, err := store.Open(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	if err := s.Migrate(tb.Context(), nil); err != nil {
		tb.Fatal(err)
	}
	b := &bridge{store: s, metrics: prometheus.NewRegistry()}
	var core zap.Option
	core, b.logs = observed()
	var record intake.Store = s
	if set.wrap != nil {
		record = set.wrap(s)
	}
	directory, err := intake.New(intake.Options{
		Store: record, AccessGroups: set.access, Metrics: b.metrics, Log: zap.NewNop().WithOptions(core),
		ByEmail: func(string) bool { return set.byEmail }, NewID: set.newID,
		Rules: func(connection string) offboard.Rules {
			r := offboard.Rules{
				AccessConfigured: len(set.access) > 0, Settle: time.Minute, Grace: time.Minute,
				Policy: func(offboard.PolicyFacts) offboard.Policy { return offboard.Fallback() },
			}
			if set.rules != nil {
				set.rules(connection, &r)
			}
			return r
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	auth, err := intake.NewAuthenticator(intake.AuthOptions{
		Tokens: s, Bootstrap: map[string]string{oktaToken: "okta", entraToken: "entra"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	if b.handler, err = scim.New(scim.Options{Directory: directory, Auth: auth}); err != nil {
		tb.Fatal(err)
	}
	return b
}

func observed() (zap.Option, *observer.ObservedLogs) {
	core, logs := observer.New(zap.DebugLevel)
	return zap.WrapCore(func(zapcore.Core) zapcore.Core { return core }), logs
}

// answer is what a provider got.
type answer struct {
	status int
	header http.Header
	text   string
	doc    map[string]any
}

func (a answer) id() string { id, _ := a.doc["id"].(string); return id }

func (a answer) total() int { n, _ := a.doc["totalResults"].(float64); return int(n) }

func (a answer) scimType() string { s, _ := a.doc["scimType"].(string); return s }

// userNames lists the hits of a listing.
func (a answer) userNames() string {
	var out []string
	list, _ := a.doc["Resources"].([]any)
	for _, item := range list {
		m, _ := item.(map[string]any)
		name, _ := m["userName"].(string)
		if name == "" {
			name, _ = m["displayName"].(string)
		}
		out = append(out, strings.TrimSuffix(name, "@example.com"))
	}
	return strings.Join(out, " ")
}

func (b *bridge) call(tb testing.TB, token, method, path, body string) answer {
	tb.Helper()
	return b.send(tb, token, "", method, path, body)
}

// send is call with one more header, such as "If-Match: *", if it is not empty.
func (b *bridge) send(tb testing.TB, token, header, method, path, body string) answer {
	tb.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(tb.Context(), method, "/scim/v2"+path, content)
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/scim+json")
	}
	if name, value, ok := strings.Cut(header, ": "); ok {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	a := answer{status: w.Code, header: w.Header(), text: w.Body.String()}
	if a.text != "" {
		if err := json.Unmarshal([]byte(a.text), &a.doc); err != nil {
			tb.Fatalf("%s %s: not JSON: %s", method, path, a.text)
		}
	}
	return a
}

// want calls and insists on a status.
func (b *bridge) want(tb testing.TB, status int, token, method, path, body string) answer {
	tb.Helper()
	a := b.call(tb, token, method, path, body)
	if a.status != status {
		tb.Fatalf("%s %s: %d %s, want %d", method, path, a.status, a.text, status)
	}
	return a
}

// hire creates name@example.com at Okta and returns the id.
func (b *bridge) hire(tb testing.TB, name string) string {
	tb.Helper()
	return b.want(tb, http.StatusCreated, oktaToken, http.MethodPost, "/Users", `{"schemas":["`+scim.UserURN+`"],
		"userName":"`+name+`@example.com","externalId":"00u-`+name+`","name":{"givenName":"`+name+`","familyName":"Doe"},
		"displayName":"`+name+` Doe","emails":[{"primary":true,"value":"`+name+`@example.com","type":"work"}],
		"groups":[],"password":"not kept","active":true}`).id()
}

// team creates a group at Okta and returns its id.
func (b *bridge) team(tb testing.TB, name string, members ...string) string {
	tb.Helper()
	var list []string
	for _, m := range members {
		list = append(list, `{"value":"`+m+`"}`)
	}
	return b.want(tb, http.StatusCreated, oktaToken, http.MethodPost, "/Groups", `{"schemas":["`+scim.GroupURN+`"],
		"displayName":"`+name+`","members":[`+strings.Join(list, ",")+`]}`).id()
}

func (b *bridge) cases(tb testing.TB) []offboard.Case {
	tb.Helper()
	list, err := b.store.Cases(tb.Context(), offboard.CaseFilter{})
	if err != nil {
		tb.Fatal(err)
	}
	return list
}

func filter(text string) string { return "?filter=" + url.QueryEscape(text) }

func patch(operations string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + operations + `]}`
}
