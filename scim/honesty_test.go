package scim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"offramp/scim"
)

func TestDirectoryErrorsAreTranslated(t *testing.T) {
	secret := errors.New("pq: duplicate key (jo@example.com)")
	for _, row := range []struct {
		err      error
		status   int
		scimType string
		retry    string
	}{
		{scim.ErrNotFound, 404, "", ""},
		{fmt.Errorf("wrapped: %w", scim.ErrTaken{Attribute: "userName"}), 409, "uniqueness", ""},
		{scim.ErrVersion, 412, "", ""},
		{fmt.Errorf("commit: %w", scim.ErrUnavailable), 429, "", "60"},
		{context.DeadlineExceeded, 429, "", "60"},
		{scim.ErrTooBroad, 400, "invalidFilter", ""},
		{&scim.BadValue{Attribute: "leaveDate", Reason: "must be a date"}, 400, "invalidValue", ""},
		{secret, 500, "", ""},
		{fmt.Errorf("wrapped: %w", secret), 500, "", ""},
	} {
		b := newBridge(t)
		b.dir.refuse = row.err
		for _, r := range []struct{ method, path, body string }{
			{"GET", "/Users", ""},
			{"GET", "/Users/u1", ""},
			{"POST", "/Users", `{"userName":"a@example.com"}`},
			{"PUT", "/Users/u1", `{"userName":"a@example.com"}`},
			{"PATCH", "/Users/u1", patch(`{"op":"replace","path":"active","value":false}`)},
			{"DELETE", "/Users/u1", ""},
			{"GET", "/Groups", ""},
			{"GET", "/Groups/g1", ""},
			{"POST", "/Groups", `{"displayName":"a"}`},
			{"PUT", "/Groups/g1", `{"displayName":"a"}`},
			{"PATCH", "/Groups/g1", patch(`{"op":"remove","path":"members"}`)},
			{"DELETE", "/Groups/g1", ""},
		} {
			a := b.must(t, row.status, r.method, r.path, r.body)
			kind, detail := a.problem(t)
			if kind != row.scimType || a.Header().Get("Retry-After") != row.retry || detail == "" {
				t.Errorf("%v on %s %s: %q %q %v", row.err, r.method, r.path, kind, detail, a.Header())
			}
			if strings.Contains(a.Body.String(), "pq:") {
				t.Errorf("the error text leaked: %s", a.Body)
			}
		}
	}
}

// panicking is a directory with a bug.
type panicking struct{ *memory }

func (panicking) User(context.Context, string, string) (scim.User, error) {
	panic("value jo@example.com")
}

func TestAPanicIsAnOpaqueAnswer(t *testing.T) {
	var log bytes.Buffer
	b := newBridge(t, func(o *scim.Options) { o.Directory, o.Log = panicking{newMemory()}, logTo(&log) })
	a := b.must(t, 500, http.MethodGet, "/Users/u1", "")
	if strings.Contains(a.Body.String()+log.String(), "jo@example.com") {
		t.Errorf("the panic's value leaked: %s %s", a.Body, log.String())
	}
	if !strings.Contains(log.String(), a.Header().Get("X-Request-Id")) {
		t.Error("the log does not name the request")
	}
}

func logTo(w *bytes.Buffer) *zap.Logger {
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(w), zap.DebugLevel))
}

func TestLogsAndErrorsHoldNamesAndNoValues(t *testing.T) {
	var log bytes.Buffer
	b := newBridge(t, func(o *scim.Options) { o.Log = logTo(&log) })
	const secret = "zq7x"
	var answers strings.Builder
	for _, r := range []struct{ method, path, body string }{
		{"POST", "/Users", `{"userName":"` + secret + `","password":"` + secret + `","` + secret + ` @":1,"badge":"` + secret + `"}`},
		{"PATCH", "/Users/u1", patch(`{"op":"replace","path":"emails[value eq \"` + secret + `\"].value","value":"` + secret + `"}`)},
		{"PATCH", "/Users/u1", patch(`{"op":"replace","path":"active","value":"` + secret + `"}`)},
		{"PATCH", "/Users/u1", patch(`{"op":"` + secret + `","path":"active","value":true}`)},
		{"PUT", "/Users/u1", `{"userName":{"a":"` + secret + `"}}`},
		{"GET", "/Users?filter=" + secret + "+eq+%22a%22", ""},
		{"GET", "/Users?filter=userName+" + secret + "+%22a%22&sortBy=" + secret, ""},
		{"GET", "/Users?count=" + secret, ""},
	} {
		a := b.do(r.method, r.path, r.body)
		if a.Code != http.StatusCreated {
			answers.WriteString(a.Body.String())
		}
	}
	if strings.Contains(answers.String(), secret) {
		t.Errorf("an answer repeats a value: %s", answers.String())
	}
	if strings.Contains(log.String(), secret) {
		t.Errorf("the log repeats a value: %s", log.String())
	}
	b.must(t, 200, http.MethodPatch, "/Users/u1", patch(`{"op":"Replace","path":"active","value":"False"},{"op":"add","path":"favouriteColour","value":"x"}`))
	for _, want := range []string{`"ops":"replace active"`, `"connection":"okta"`, `"id":"u1"`, `"dropped_names":["favouriteColour"]`, `"dropped_names":["badge"]`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s: %s", want, log.String())
		}
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	now := epoch()
	b := newBridge(t, func(o *scim.Options) {
		o.Metrics = reg
		o.Now = func() time.Time { now = now.Add(time.Millisecond); return now }
	})
	b.jo(t)
	b.must(t, 404, http.MethodGet, "/Users/zz", "")
	b.must(t, 401, "TRACE", "/anything/at/all", "", "Authorization", "Bearer x")
	b.must(t, 200, http.MethodPatch, "/Users/u1", patch(`{"op":"add","path":"badge","value":"7"},{"op":"add","path":"manager.displayName","value":"B"}`))
	const want = `
# HELP offramp_scim_requests_total SCIM requests answered. The connection is empty where no token was accepted.
# TYPE offramp_scim_requests_total counter
offramp_scim_requests_total{code="401",connection="",method="other",resource="other"} 1
offramp_scim_requests_total{code="201",connection="okta",method="POST",resource="Users"} 1
offramp_scim_requests_total{code="404",connection="okta",method="GET",resource="Users"} 1
offramp_scim_requests_total{code="200",connection="okta",method="PATCH",resource="Users"} 1
# HELP offramp_scim_dropped_attributes_total Attributes that a provider sent and that are not stored, by reason.
# TYPE offramp_scim_dropped_attributes_total counter
offramp_scim_dropped_attributes_total{reason="read_only",resource="Groups"} 0
offramp_scim_dropped_attributes_total{reason="unknown",resource="Groups"} 0
offramp_scim_dropped_attributes_total{reason="read_only",resource="Users"} 1
offramp_scim_dropped_attributes_total{reason="unknown",resource="Users"} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "offramp_scim_requests_total", "offramp_scim_dropped_attributes_total"); err != nil {
		t.Error(err)
	}
}

// TestDiscoveryTellsTheTruth writes every attribute that Schemas advertises
// and reads it back.
func TestDiscoveryTellsTheTruth(t *testing.T) {
	b := newBridge(t)
	config := b.must(t, 200, http.MethodGet, "/ServiceProviderConfig", "").doc(t)
	for feature, want := range map[string]bool{"patch": true, "bulk": false, "filter": true, "changePassword": false, "sort": true, "etag": true} {
		if m, _ := config[feature].(map[string]any); m["supported"] != want {
			t.Errorf("%s: %v", feature, m)
		}
	}
	types := b.must(t, 200, http.MethodGet, "/ResourceTypes", "").doc(t)
	if types["totalResults"] != 2.0 {
		t.Errorf("%v", types)
	}
	all := b.must(t, 200, http.MethodGet, "/Schemas", "")
	if strings.Contains(all.Body.String(), "null") {
		t.Error("Schemas contain null")
	}
	b.must(t, 304, http.MethodGet, "/Schemas", "", "If-None-Match", all.Header().Get("ETag"))
	id := b.jo(t)
	b.must(t, 201, http.MethodPost, "/Groups", `{"displayName":"Eng"}`)
	schemas, _ := all.doc(t)["Resources"].([]any)
	if len(schemas) != 4 {
		t.Fatalf("%d schemas", len(schemas))
	}
	for _, item := range schemas {
		doc, _ := item.(map[string]any)
		urn, _ := doc["id"].(string)
		one := b.must(t, 200, http.MethodGet, "/Schemas/"+strings.ToLower(urn), "").doc(t)
		if !reflect.DeepEqual(one, doc) {
			t.Errorf("%s differs from its entry in the list", urn)
		}
		attrs, _ := doc["attributes"].([]any)
		for _, a := range attrs {
			attr, _ := a.(map[string]any)
			if attr["mutability"] != "readWrite" || attr["name"] == "members" {
				continue
			}
			name, _ := attr["name"].(string)
			path := "/Users/" + id
			status := 200
			if strings.HasSuffix(urn, "Group") {
				path, status = "/Groups/g2", 204
			}
			value, echo := sample(attr)
			b.must(t, status, http.MethodPatch, path, patch(fmt.Sprintf(`{"op":"replace","path":"%s:%s","value":%s}`, urn, name, value)))
			got := b.must(t, 200, http.MethodGet, path, "").doc(t)
			if strings.Contains(urn, "extension") {
				got, _ = got[urn].(map[string]any)
			}
			if !reflect.DeepEqual(got[name], echo) {
				t.Errorf("%s: stored %s, echoed %v", name, value, got[name])
			}
		}
	}
	b.must(t, 403, http.MethodGet, `/Schemas?filter=id+pr`, "")
}

// sample makes a value for an advertised attribute, and what must come back.
func sample(attr map[string]any) (text string, echo any) {
	name, _ := attr["name"].(string)
	switch attr["type"] {
	case "boolean":
		return "true", true
	case "complex":
		m, parts := map[string]any{}, []string{}
		subs, _ := attr["subAttributes"].([]any)
		for _, s := range subs {
			sub, _ := s.(map[string]any)
			if sub["mutability"] == "readOnly" {
				continue
			}
			subName, _ := sub["name"].(string)
			t, v := sample(sub)
			m[subName] = v
			parts = append(parts, `"`+subName+`":`+t)
		}
		object := "{" + strings.Join(parts, ",") + "}"
		if attr["multiValued"] == true {
			return "[" + object + "]", []any{m}
		}
		return object, m
	}
	return `"a value of ` + name + `"`, "a value of " + name
}

func TestConfigureServerFillsWhatIsEmpty(t *testing.T) {
	srv := &http.Server{ReadTimeout: time.Second}
	scim.ConfigureServer(srv)
	if srv.MaxHeaderBytes != 16<<10 || srv.ReadTimeout != time.Second || srv.ReadHeaderTimeout == 0 || srv.WriteTimeout == 0 || srv.IdleTimeout == 0 {
		t.Errorf("%+v", srv)
	}
}
