package amplitudefake_test

import (
	"net/http"
	"testing"
	"time"

	sim "offramp/amplitude/amplitudefake"
)

func TestAHundredSCIMRequestsAMinuteForEveryoneTogether(t *testing.T) {
	w := newWorld(t, sim.Options{RatePerMinute: 100})
	if spent := w.ConsumeQuota(40); spent != 40 {
		t.Fatalf("spent %d", spent)
	}
	w.advance(30 * time.Second)
	for range 60 {
		w.scim("GET", "/Users", nil).want(200)
	}
	refused := w.scim("GET", "/Groups", nil).want(429).has("2.0:Error", `"status":"429"`)
	if got := refused.header.Get("Retry-After"); got != "30" {
		t.Errorf("Retry-After %q", got)
	}
	w.send("GET", "/scim/1/Users", nil, bearer("wrong")).want(401)
	w.access("GET", w.org("/roles"), nil).want(200) // another limit

	w.set("rl_header", "off")
	if got := w.scim("GET", "/Users", nil).want(429).header.Get("Retry-After"); got != "" {
		t.Errorf("Retry-After %q", got)
	}
	w.set("rl_header", "http-date")
	got, err := http.ParseTime(w.scim("GET", "/Users", nil).want(429).header.Get("Retry-After"))
	if err != nil || got.Before(w.Now().Add(30*time.Second)) {
		t.Errorf("Retry-After %v, %v", got, err)
	}
	w.advance(30 * time.Second)
	for range 40 {
		w.scim("GET", "/Users", nil).want(200) // what the other writer spent is free again
	}
	w.scim("GET", "/Users", nil).want(429) // our own sixty are not
	w.advance(30 * time.Second)
	w.scim("GET", "/Users", nil).want(200)
}

func TestUserManagementHasItsOwnHundredAMinute(t *testing.T) {
	w := newWorld(t, sim.Options{})
	for range 100 {
		w.access("GET", w.org("/roles"), nil).want(200)
	}
	got := w.access("GET", w.org("/roles"), nil).want(429).has(`"retryable":true`)
	if got.header.Get("Content-Type") != "application/problem+json" {
		t.Error("a problem is told as problem JSON")
	}
	w.advance(time.Minute)
	w.access("GET", w.org("/roles"), nil).want(200)
}

func TestTaxonomyTakesACostOfFourAtOnce(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.asset(sim.Asset{Kind: sim.KindEvent, Name: "A"})
	w.fault(sim.Fault{Kind: sim.FaultHang, Match: sim.Match{Method: "PUT"}, Delay: sim.Span(time.Hour), Count: 2})
	server, ask := liveServer(t, w)
	defer server.Close()
	stop := make([]func(), 2)
	for i := range stop {
		stop[i] = ask("PUT", "/api/2/taxonomy/event/A")
	}
	waitFor(t, func() bool { return len(w.Requests(sim.RequestFilter{Surface: "taxonomy"})) == 2 })
	w.keyed("GET", "/api/2/taxonomy/event/A", nil).want(429)
	for _, s := range stop {
		s()
	}
	waitFor(t, func() bool { return w.keyed("GET", "/api/2/taxonomy/event/A", nil).status == 200 })
}
