package scim_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"offramp/scim"
)

func TestNewNeedsItsParts(t *testing.T) {
	if _, err := scim.New(scim.Options{}); err == nil {
		t.Error("New without a directory succeeded")
	}
	reg := prometheus.NewRegistry()
	opt := scim.Options{Directory: newMemory(), Auth: tokens{}, Metrics: reg}
	if _, err := scim.New(opt); err != nil {
		t.Fatal(err)
	}
	if _, err := scim.New(opt); err == nil {
		t.Error("two servers share one registry")
	}
}

func TestOnlyAKnownTokenComesIn(t *testing.T) {
	refused := errors.New("198.51.100.7 is not on the list")
	var seen []string
	b := newBridge(t, func(o *scim.Options) {
		o.AllowClient = func(conn string, _ *http.Request) error {
			if conn == "entra" {
				return refused
			}
			return nil
		}
		o.Seen = func(_ context.Context, conn string) { seen = append(seen, conn) }
	})
	for _, row := range []struct {
		header string
		status int
	}{
		{"", 401},
		{"Bearer", 401},
		{"Bearer ", 401},
		{"Bearer wrong", 401},
		{"Basic b2t0YS10b2tlbg==", 401},
		{"Bearer okta-token", 200},
		{"bearer  okta-token", 200},
		{"okta-token", 200},
		{"Bearer entra-token", 403},
	} {
		for _, path := range []string{"/Users", "/Schemas"} {
			a := b.must(t, row.status, http.MethodGet, path, "", "Authorization", row.header)
			if row.status == 200 {
				continue
			}
			if _, detail := a.problem(t); detail == "" || strings.Contains(detail, "198.51") {
				t.Errorf("%q: detail %q", row.header, detail)
			}
			if got := a.Header().Get("WWW-Authenticate"); (got != "") != (row.status == 401) {
				t.Errorf("%q: WWW-Authenticate %q", row.header, got)
			}
		}
	}
	if len(seen) != 6 {
		t.Errorf("seen %v", seen)
	}
}

func TestAnAuthenticatorInTroubleIsAskedAgain(t *testing.T) {
	b := newBridge(t, func(o *scim.Options) { o.Auth = broken{} })
	a := b.must(t, 429, http.MethodGet, "/Users", "")
	if got := a.Header().Get("Retry-After"); got != "60" {
		t.Errorf("Retry-After %q", got)
	}
}

type broken struct{}

func (broken) Connection(context.Context, string) (string, error) {
	return "", errors.New("disk is away")
}

func TestOneConnectionCannotSeeAnother(t *testing.T) {
	b := newBridge(t)
	id := b.jo(t)
	b.must(t, 201, http.MethodPost, "/Groups", `{"displayName":"Eng","members":["`+id+`"]}`)
	as := []string{"Authorization", "Bearer entra-token"}
	for _, r := range []struct{ method, path, body string }{
		{"GET", "/Users/" + id, ""},
		{"PUT", "/Users/" + id, `{"userName":"x@example.com"}`},
		{"PATCH", "/Users/" + id, patch(`{"op":"replace","path":"active","value":false}`)},
		{"DELETE", "/Users/" + id, ""},
		{"GET", "/Groups/g2", ""},
		{"PATCH", "/Groups/g2", patch(`{"op":"remove","path":"members"}`)},
		{"DELETE", "/Groups/g2", ""},
	} {
		b.must(t, 404, r.method, r.path, r.body, as...)
	}
	for _, path := range []string{"/Users", "/Groups", "/Users?filter=userName+eq+%22jo@example.com%22"} {
		if doc := b.must(t, 200, http.MethodGet, path, "", as...).doc(t); doc["totalResults"] != 0.0 {
			t.Errorf("%s: %v", path, doc)
		}
	}
	b.must(t, 200, http.MethodGet, "/Users/"+id, "")
}

func TestWhatIsNotThereIsDeclined(t *testing.T) {
	b := newBridge(t)
	id := b.jo(t)
	for _, row := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 404, ""},
		{"GET", "", 404, ""},
		{"GET", "/users", 404, ""},
		{"GET", "/Users2", 404, ""},
		{"GET", "/Users/none", 404, ""},
		{"GET", "/Users/a/b", 404, ""},
		{"GET", "/Users/%00", 404, ""},
		{"GET", "/Users/..", 404, ""},
		{"GET", "/Users/" + strings.Repeat("a", 200), 404, ""},
		{"DELETE", "/Users/none", 404, ""},
		{"PATCH", "/Users", 405, "GET, HEAD, POST"},
		{"DELETE", "/Groups", 405, "GET, HEAD, POST"},
		{"POST", "/Users/" + id, 405, "GET, HEAD, PUT, PATCH, DELETE"},
		{"OPTIONS", "/Users", 405, "GET, HEAD, POST"},
		{"POST", "/Schemas", 405, "GET, HEAD"},
		{"PUT", "/ServiceProviderConfig", 405, "GET, HEAD"},
		{"POST", "/Users/.search", 501, ""},
		{"POST", "/.search", 501, ""},
		{"GET", "/Me", 501, ""},
		{"POST", "/Bulk", 501, ""},
		{"GET", "/Schemas/urn:none", 404, ""},
		{"GET", "/ResourceTypes/Thing", 404, ""},
		{"GET", "/Users/", 200, ""},
		{"GET", "/Users/" + id + "/", 200, ""},
		{"GET", "/Users?", 200, ""},
		{"GET", "/Users?count=1&", 200, ""},
		{"GET", "/Users?aadOptscim062020&unknown=1", 200, ""},
		{"HEAD", "/Users/" + id, 200, ""},
	} {
		a := b.must(t, row.status, row.method, row.path, "")
		if got := a.Header().Get("Allow"); got != row.allow {
			t.Errorf("%s %s: Allow is %q, want %q", row.method, row.path, got, row.allow)
		}
		if row.status >= 400 {
			if _, detail := a.problem(t); detail == "" {
				t.Errorf("%s %s: no detail", row.method, row.path)
			}
		}
		if got := a.Header().Get("Content-Type"); got != "application/scim+json" {
			t.Errorf("%s %s: Content-Type %q", row.method, row.path, got)
		}
	}
	// Outside the prefix, and with slashes doubled, there is no redirect.
	for _, path := range []string{"/scim/v2//Users", "/scim/v2x/Users", "/scim/v2/v2/Users"} {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("{}"))
		r.Header.Set("Authorization", "Bearer okta-token")
		if b.ServeHTTP(w, r); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestBodiesHaveATypeAndALimit(t *testing.T) {
	b := newBridge(t)
	body := `{"userName":"kim@example.com"}`
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "application/xml; charset=utf-8", ";"} {
		b.must(t, 415, http.MethodPost, "/Users", body, "Content-Type", kind)
	}
	b.must(t, 415, http.MethodPost, "/Users", body, "Content-Encoding", "gzip")
	b.must(t, 201, http.MethodPost, "/Users", body, "Content-Type", "application/json")
	big := `{"userName":"lee@example.com","title":"` + strings.Repeat("x", 1<<20) + `"}`
	b.must(t, 413, http.MethodPost, "/Users", big)
	b.must(t, 413, http.MethodPut, "/Users/u1", big)
	b.must(t, 413, http.MethodPatch, "/Users/u1", big)
	ops := strings.TrimSuffix(strings.Repeat(`{"op":"replace","path":"`+ent+`:department","value":"x"},`, 501), ",")
	b.must(t, 413, http.MethodPatch, "/Users/u1", patch(ops))
	wide := `{"op":"replace","value":{"title":"x"` + strings.Repeat(`,"a":1`, 1) + `}}`
	b.must(t, 200, http.MethodPatch, "/Users/u1", patch(wide))
	long := `{"op":"replace","path":"emails[type eq \"` + strings.Repeat("x", 600) + `\"].value","value":"x"}`
	b.must(t, 400, http.MethodPatch, "/Users/u1", patch(long))
	b.must(t, 400, http.MethodPatch, "/Users/u1", patch(`{"op":"replace","path":"emails","value":[`+strings.Repeat(`{"value":"a@example.com"},`, 501)+`{"value":"b@example.com"}]}`))
	b.must(t, 400, http.MethodPut, "/Users/u1", `{"userName":"`+strings.Repeat("x", 1025)+`"}`)
}

func TestVersions(t *testing.T) {
	b := newBridge(t)
	id := b.jo(t)
	user := "/Users/" + id
	off := patch(`{"op":"replace","path":"active","value":false}`)
	b.must(t, 304, http.MethodGet, user, "", "If-None-Match", `W/"1"`)
	b.must(t, 304, http.MethodGet, user, "", "If-None-Match", `"7", "1"`)
	b.must(t, 200, http.MethodGet, user, "", "If-None-Match", `W/"7"`)
	b.must(t, 412, http.MethodGet, user, "", "If-Match", `W/"7"`)
	for _, tag := range []string{`W/"2"`, `nonsense`, `""`} {
		b.must(t, 412, http.MethodPatch, user, off, "If-Match", tag)
		b.must(t, 412, http.MethodPut, user, `{"userName":"jo@example.com"}`, "If-Match", tag)
		b.must(t, 412, http.MethodDelete, user, "", "If-Match", tag)
	}
	b.must(t, 412, http.MethodPatch, user, off, "If-None-Match", `*`)
	a := b.must(t, 200, http.MethodPatch, user, off, "If-Match", `W/"1"`)
	if got := a.Header().Get("ETag"); got != `W/"2"` {
		t.Errorf("ETag %s", got)
	}
	if meta, _ := a.doc(t)["meta"].(map[string]any); meta["version"] != `W/"2"` {
		t.Errorf("meta %v", meta)
	}
	b.must(t, 200, http.MethodPatch, user, off, "If-Match", `*`)
	b.must(t, 201, http.MethodPost, "/Groups", `{"displayName":"Eng"}`)
	b.must(t, 412, http.MethodPatch, "/Groups/g2", patch(`{"op":"add","path":"members","value":["u1"]}`), "If-Match", `W/"9"`)
	b.must(t, 412, http.MethodDelete, "/Groups/g2", "", "If-Match", `W/"9"`)
	if got := b.membersOf(t, "g2"); len(got) != 0 {
		t.Errorf("members %v after 412", got)
	}
	b.must(t, 204, http.MethodDelete, user, "", "If-Match", `W/"2"`)
	b.must(t, 404, http.MethodDelete, user, "")
}

func TestProjections(t *testing.T) {
	b := newBridge(t)
	id := b.jo(t)
	b.must(t, 200, http.MethodPatch, "/Users/"+id, patch(`{"op":"add","value":{"department":"Sales","manager":"u9"}}`))
	const schemas = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","` + ent + `"],"id":"u1"`
	for _, row := range []struct{ query, want string }{
		{"attributes=userName", `{` + schemas + `,"userName":"jo@example.com"}`},
		{"attributes=USERNAME,name.givenName,nosuch", `{` + schemas + `,"userName":"jo@example.com","name":{"givenName":"Jo"}}`},
		{"attributes=emails.value", `{` + schemas + `,"emails":[{"value":"jo@example.com"}]}`},
		{"attributes=" + ent + ":department", `{` + schemas + `,"` + ent + `":{"department":"Sales"}}`},
		{"attributes=" + ent, `{` + schemas + `,"` + ent + `":{"department":"Sales","manager":{"value":"u9"}}}`},
		{"attributes=manager.value", `{` + schemas + `,"` + ent + `":{"manager":{"value":"u9"}}}`},
		{"attributes=nosuch", `{` + schemas + `}`},
		{"attributes=meta.version", `{` + schemas + `,"meta":{"version":"W/\"2\""}}`},
		{"attributes=urn:ietf:params:scim:schemas:core:2.0:User&excludedAttributes=emails,meta,name,active,externalId", `{` + schemas + `,"userName":"jo@example.com","displayName":"Jo Doe"}`},
		{"excludedAttributes=id,schemas,emails,meta,name.familyName,active,externalId,displayName," + ent, `{` + schemas + `,"userName":"jo@example.com","name":{"givenName":"Jo"}}`},
	} {
		got := b.must(t, 200, http.MethodGet, "/Users/"+id+"?"+row.query, "").doc(t)
		expect(t, nil, got, row.want)
	}
}

func TestListing(t *testing.T) {
	b := newBridge(t)
	for i := range 7 {
		b.must(t, 201, http.MethodPost, "/Users", fmt.Sprintf(`{"userName":"p%d@example.com"}`, 9-i))
	}
	for _, row := range []struct {
		query              string
		status             int
		start, items, each float64
		first              string
	}{
		{"", 200, 1, 7, 7, "p9@example.com"},
		{"startIndex=1&count=2", 200, 1, 2, 7, "p9@example.com"},
		{"startIndex=6&count=5", 200, 6, 2, 7, "p4@example.com"},
		{"startIndex=8&count=5", 200, 8, 0, 7, ""},
		{"startIndex=-3&count=-1", 200, 1, 0, 7, ""},
		{"count=0", 200, 1, 0, 7, ""},
		{"count=100000", 200, 1, 7, 7, "p9@example.com"},
		{"sortBy=userName", 200, 1, 7, 7, "p3@example.com"},
		{"sortBy=USERNAME&sortOrder=Descending&count=1", 200, 1, 1, 7, "p9@example.com"},
		{"filter=", 200, 1, 7, 7, "p9@example.com"},
		{"filter=userName+eq+%22P5@example.com%22&startIndex=1&count=100", 200, 1, 1, 1, "p5@example.com"},
		{"filter=userName%20eq%20%22nobody%22&", 200, 1, 0, 0, ""},
		{"count=ten", 400, 0, 0, 0, ""},
		{"startIndex=1.5", 400, 0, 0, 0, ""},
		{"sortBy=title", 400, 0, 0, 0, ""},
		{"sortOrder=up", 400, 0, 0, 0, ""},
		{"filter=title+eq+%22a%22&filter=userName+pr", 400, 0, 0, 0, ""},
		{"filter=userName+eq+%zz", 400, 0, 0, 0, ""},
		{"filter=userName eq \"a;b\"&x=;", 400, 0, 0, 0, ""},
	} {
		a := b.do(http.MethodGet, "/Users?"+strings.ReplaceAll(row.query, " ", "%20"), "")
		if a.Code != row.status {
			t.Errorf("%s: %d %s", row.query, a.Code, a.Body)
			continue
		}
		if row.status != 200 {
			continue
		}
		doc := a.doc(t)
		list, ok := doc["Resources"].([]any)
		if !ok || doc["startIndex"] != row.start || doc["itemsPerPage"] != row.items || doc["totalResults"] != row.each || float64(len(list)) != row.items {
			t.Errorf("%s: %v", row.query, doc)
			continue
		}
		if len(list) > 0 {
			if m, _ := list[0].(map[string]any); m["userName"] != row.first {
				t.Errorf("%s: first is %v", row.query, m["userName"])
			}
		}
	}
}
