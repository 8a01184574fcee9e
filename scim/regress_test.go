package scim_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"offramp/scim"
)

// The tests in this file hold the guards against what kills or starves the
// library behind them.

// bounded runs f and fails if it allocates more than megabytes.
func bounded(t *testing.T, megabytes uint64, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) >> 20; got > megabytes {
		t.Errorf("allocated %d MB, want at most %d", got, megabytes)
	}
}

// TestAMegabyteOfParentheses overflows the stack of a parser that recurses
// without a limit, and no recover helps then: this process must live on.
func TestAMegabyteOfParentheses(t *testing.T) {
	b := newBridge(t)
	b.jo(t)
	open := strings.Repeat("(", 1<<20)
	for _, filter := range []string{open, open + "userName pr" + strings.Repeat(")", 1<<20), strings.Repeat("not (", 200000), strings.Repeat("emails[", 200000)} {
		for path, want := range map[string]int{"/Users": 400, "/Groups": 400, "/Schemas": 403, "/ResourceTypes": 403, "/ServiceProviderConfig": 403} {
			bounded(t, 128, func() { b.must(t, want, http.MethodGet, path+"?filter="+url.QueryEscape(filter), "") })
		}
		b.must(t, 400, http.MethodPatch, "/Users/u1", patch(`{"op":"replace","path":"emails[`+filter[:1<<19]+`].value","value":"x"}`))
	}
	b.must(t, 200, http.MethodGet, "/Users/u1", "")
}

// TestAServerRefusesHugeHeaders is the same from the network.
func TestAServerRefusesHugeHeaders(t *testing.T) {
	srv := httptest.NewUnstartedServer(newBridge(t))
	scim.ConfigureServer(srv.Config)
	srv.Start()
	defer srv.Close()
	get := func(query string) int {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/scim/v2/Users?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer okta-token")
		res, err := srv.Client().Do(r)
		if err != nil {
			return 0 // the server closed the connection while we were writing
		}
		defer func() { _ = res.Body.Close() }()
		_, _ = io.Copy(io.Discard, res.Body)
		return res.StatusCode
	}
	if code := get("filter=" + strings.Repeat("(", 900000)); code != http.StatusRequestHeaderFieldsTooLarge && code != 0 {
		t.Errorf("got %d", code)
	}
	if code := get("filter=" + strings.Repeat("(", 10000)); code != http.StatusBadRequest {
		t.Errorf("got %d", code)
	}
	if code := get("count=1"); code != http.StatusOK {
		t.Errorf("afterwards: %d", code)
	}
}

func TestAFilterOnDiscoveryIsForbidden(t *testing.T) {
	b := newBridge(t)
	for _, filter := range []string{`attributes eq "x"`, `schemas eq "x"`, `id eq "x"`} {
		for _, path := range []string{"/Schemas", "/ResourceTypes", "/ServiceProviderConfig", "/Schemas/" + scim.UserURN} {
			b.must(t, 403, http.MethodGet, path+"?Filter="+url.QueryEscape(filter), "")
		}
	}
}

func TestComplexAttributesInFiltersDoNotPanic(t *testing.T) {
	b := newBridge(t)
	b.jo(t)
	b.must(t, 201, http.MethodPost, "/Groups", `{"displayName":"Eng","members":["u1"]}`)
	for path, want := range map[string]int{
		`/Users?filter=name eq "x"`: 400, `/Users?filter=emails co "x"`: 200, `/Users?filter=addresses eq "x"`: 400,
		`/Users?filter=emails.value eq "jo@example.com"`: 200, `/Users?filter=meta.resourceType eq "User"`: 200,
		`/Groups?filter=members eq "u1"`: 200, `/Groups?filter=members co "x"`: 400, `/Groups?filter=id eq "g2" and members eq "u1"`: 200,
		`/Users?filter=emails[type eq 5]`: 200, `/Users?filter=foo[bar eq "x"]`: 400,
	} {
		b.must(t, want, http.MethodGet, strings.ReplaceAll(strings.ReplaceAll(path, " ", "%20"), `"`, "%22"), "")
	}
}

// endless is a body that never ends.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += len(p)
	return len(p), nil
}

func TestABodyWithoutEndIsCutOff(t *testing.T) {
	b := newBridge(t)
	for path, limit := range map[string]int{"/Users": 1 << 20, "/Groups": 4 << 20} {
		body := &endless{}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/scim/v2"+path, body)
		r.Header.Set("Authorization", "Bearer okta-token")
		w := httptest.NewRecorder()
		bounded(t, uint64(limit>>20)*8, func() { b.ServeHTTP(w, r) })
		if w.Code != http.StatusRequestEntityTooLarge || body.read > 2*limit {
			t.Errorf("%s: %d after %d bytes", path, w.Code, body.read)
		}
	}
}

func TestLongPathsAndManyOperationsAreCheap(t *testing.T) {
	b := newBridge(t)
	b.jo(t)
	long := strings.Repeat("a", 100<<10)
	bounded(t, 16, func() {
		b.must(t, 400, http.MethodPatch, "/Users/u1", patch(`{"op":"replace","path":"`+long+`","value":"x"}`))
		b.must(t, 400, http.MethodPatch, "/Users/u1", patch(`{"op":"replace","value":{"`+long+`":"x"}}`))
	})
	bounded(t, 32, func() {
		ops := strings.TrimSuffix(strings.Repeat(`{"op":"replace","path":"`+ent+`:department","value":"x"},`, 5000), ",")
		b.must(t, 413, http.MethodPatch, "/Users/u1", patch(ops))
	})
	b.must(t, 201, http.MethodPost, "/Groups", `{"displayName":"Eng","members":["u1"]}`)
	ops := strings.TrimSuffix(strings.Repeat(`{"op":"remove","path":"members[value eq \"u1\"]"},`, 5000), ",")
	bounded(t, 64, func() { b.must(t, 204, http.MethodPatch, "/Groups/g2", patch(ops)) })
}

func TestDeepNestingIsRefused(t *testing.T) {
	b := newBridge(t)
	for _, body := range []string{strings.Repeat("[", 500000), strings.Repeat(`{"a":`, 150000), `{"userName":"a","x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`} {
		bounded(t, 64, func() { b.must(t, 400, http.MethodPost, "/Users", body) })
	}
}

// hanging is a directory that does not answer until the request is over.
type hanging struct{ *memory }

func (hanging) Users(ctx context.Context, _ string, _ scim.Query) (scim.Page[scim.User], error) {
	<-ctx.Done()
	return scim.Page[scim.User]{}, ctx.Err()
}

func TestTooManyAtATimeWaitAndAreThenToldToComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(t, func(o *scim.Options) { o.Directory, o.Limits = hanging{newMemory()}, scim.Limits{InFlight: 1} })
		start := time.Now()
		first := make(chan answer)
		go func() { first <- b.do(http.MethodGet, "/Users", "") }()
		synctest.Wait()
		time.Sleep(time.Second)
		second := make(chan answer)
		go func() { second <- b.do(http.MethodGet, "/Users", "") }()
		for _, c := range []chan answer{first, second} {
			if a := <-c; a.Code != 429 || a.Header().Get("Retry-After") != "60" {
				t.Errorf("answer %d", a.Code)
			}
		}
		if took := time.Since(start); took != 31*time.Second {
			t.Errorf("both were answered after %v, want the time limit of each", took)
		}
	})
}
