package amplitudefake_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sim "offramp/amplitude/amplitudefake"
)

func TestFaultsStrikeBeforeOrAfterTheWrite(t *testing.T) {
	rows := []struct {
		kind   string
		status int // 0: the connection breaks
		done   bool
		body   string
	}{
		{sim.FaultStatus, 503, false, "simulated fault"},
		{sim.FaultStatusAfter, 503, true, "simulated fault"},
		{sim.FaultReset, 0, false, ""},
		{sim.FaultResetAfter, 0, true, ""},
		{sim.FaultHTML, 200, false, "<h1>"},
		{sim.FaultHTMLAfter, 200, true, "<h1>"},
		{sim.FaultEmpty, 503, false, ""},
		{sim.FaultErrorBody, 200, false, "2.0:Error"},
		{sim.FaultEchoLie, 200, false, `{"active":false}`},
		{sim.FaultTruncate, 200, true, `{"active`},
		{sim.FaultRedirect, 302, false, ""},
	}
	for _, row := range rows {
		t.Run(row.kind, func(t *testing.T) {
			w := newWorld(t, sim.Options{})
			w.people("jo@example.com")
			w.fault(sim.Fault{Kind: row.kind, Count: 1})
			got, err := w.try("PATCH", "/scim/1/Users/jo@example.com", `{"active":false}`, bearer(w.creds.SCIMKey))
			if row.status == 0 {
				if !errors.Is(err, sim.ErrConnection) {
					t.Errorf("error %v", err)
				}
			} else if err != nil || got.status != row.status || !strings.Contains(got.body, row.body) {
				t.Errorf("got %d %q, %v", got.status, got.body, err)
			}
			if row.kind == sim.FaultTruncate && json.Valid([]byte(got.body)) {
				t.Error("half an answer should not be JSON")
			}
			if done := len(w.State().Removals) == 1; done != row.done {
				t.Errorf("done is %v", done)
			}
			log := w.Requests(sim.RequestFilter{})[0]
			if log.Fault != row.kind || log.Status != row.status || (log.Effect != "") != row.done {
				t.Errorf("log %+v", log)
			}
			w.scim("GET", "/Users", nil).want(200) // the fault is used up
		})
	}
}

func TestAHangLastsUntilTheClientGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sim.Options{Now: time.Now})
		w.people("jo@example.com")
		w.fault(sim.Fault{Kind: sim.FaultHangAfter, Count: 1})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodDelete, "http://simulator.invalid/scim/1/Users/jo@example.com", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		bearer(w.creds.SCIMKey)(r)
		start := time.Now()
		res, err := w.Transport().RoundTrip(r)
		if err == nil {
			_ = res.Body.Close()
		}
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if len(w.State().Removals) != 1 {
			t.Error("the write came before the silence")
		}
		w.fault(sim.Fault{Kind: sim.FaultHang, Count: 1})
		start = time.Now()
		if _, err := w.try("GET", "/scim/1/Users", nil, bearer(w.creds.SCIMKey)); !errors.Is(err, sim.ErrConnection) || time.Since(start) != 30*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestLatencyHasJitterAndATailAndGrowsWithTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sim.Options{Now: time.Now, Latency: 50 * time.Millisecond, Seed: 7, Members: 3000})
		var total, longest time.Duration
		for range 300 {
			start := time.Now()
			w.scim("GET", "/Users?itemsPerPage=1", nil).want(200)
			d := time.Since(start)
			if d < 25*time.Millisecond {
				t.Fatalf("answered after %v", d)
			}
			total, longest = total+d, max(longest, d)
		}
		if mean := total / 300; mean > 150*time.Millisecond || longest < 150*time.Millisecond {
			t.Errorf("mean %v, longest %v", mean, longest)
		}
		start := time.Now()
		w.scim("GET", "/Groups", nil).want(200)
		if d := time.Since(start); d < 150*time.Millisecond {
			t.Errorf("a list of thousands took %v", d)
		}
	})
}

func TestFaultsAreChosenByMatchCountAndChance(t *testing.T) {
	w := newWorld(t, sim.Options{Seed: 3})
	w.fault(sim.Fault{Kind: sim.FaultStatus, Status: 500, Match: sim.Match{Method: "delete", PathPrefix: "/scim/"}})
	w.fault(sim.Fault{Kind: sim.FaultStatus, Status: 429, RetryAfter: 7, Match: sim.Match{PathRegexp: `/Groups/\d+$`}, AfterN: 1, Count: 1})
	w.fault(sim.Fault{Kind: sim.FaultStatus, Status: 502, Match: sim.Match{Surface: "experiment"}, Probability: 0.5})
	w.scim("DELETE", "/Users/jo@example.com", nil).want(500)
	w.scim("GET", "/Users", nil).want(200)
	w.scim("GET", "/Groups/1", nil).want(404)
	if got := w.scim("GET", "/Groups/1", nil).want(429).header.Get("Retry-After"); got != "7" {
		t.Errorf("retry after %q", got)
	}
	w.scim("GET", "/Groups/1", nil).want(404)
	hit := 0
	for range 100 {
		if w.managed("GET", "/flags", nil).status == 502 {
			hit++
		}
	}
	if hit < 20 || hit > 80 {
		t.Errorf("%d of 100 hit", hit)
	}
	if all := w.Faults(); len(all) != 3 || all[2].Hits != hit {
		t.Errorf("rules %+v", all)
	}
	if !w.RemoveFault(1) || w.RemoveFault(1) {
		t.Error("a rule is removed once")
	}
	w.RemoveFault(0)
	if len(w.Faults()) != 0 {
		t.Error("0 removes all")
	}
	for _, bad := range []sim.Fault{
		{Kind: "gremlins"},
		{Kind: sim.FaultStatus, Status: 42},
		{Kind: sim.FaultStatus, Probability: 2},
		{Kind: sim.FaultStatus, Match: sim.Match{PathRegexp: "("}},
		{Kind: sim.FaultStatus, Match: sim.Match{Surface: "mcp"}},
	} {
		if _, err := w.AddFault(bad); err == nil {
			t.Errorf("%+v should be refused", bad)
		}
	}
}

func TestWrongCredentialsAreRefusedBeforeAnyFault(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.fault(sim.Fault{Kind: sim.FaultStatus})
	w.send("GET", "/scim/1/Users", nil, bearer("wrong")).want(401)
}

func TestOverRealHTTPABrokenConnectionIsBroken(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.people("jo@example.com")
	server := httptest.NewServer(w.Fake)
	defer server.Close()
	call := func(method string) (int, string, error) {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/scim/1/Users/jo@example.com", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		bearer(w.creds.SCIMKey)(r)
		res, err := server.Client().Do(r)
		if err != nil {
			return 0, "", err
		}
		defer func() { _ = res.Body.Close() }()
		b, err := io.ReadAll(res.Body)
		return res.StatusCode, string(b), err
	}
	if status, body, err := call("GET"); status != 200 || err != nil || !strings.Contains(body, "jo@example.com") {
		t.Errorf("%d %s %v", status, body, err)
	}
	w.fault(sim.Fault{Kind: sim.FaultResetAfter, Count: 1})
	if _, _, err := call("PUT"); err == nil {
		t.Error("a PUT without body is answered 400 if it is answered")
	}
	w.fault(sim.Fault{Kind: sim.FaultHTML, Count: 1})
	if status, body, err := call("GET"); status != 200 || err != nil || json.Valid([]byte(body)) {
		t.Errorf("%d %s %v", status, body, err)
	}
	if status, _, err := call("DELETE"); status != 204 || err != nil {
		t.Errorf("%d %v", status, err)
	}
	if got := w.effects(); !slices.Equal(got, []string{"removed member"}) {
		t.Errorf("effects %v", got)
	}
}
