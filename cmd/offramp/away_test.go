package main_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"offramp/internal/store/storetest"
)

// metric returns the sum of a metric's samples, by the admin listener.
func (b *bridge) metric(name string) float64 {
	b.t.Helper()
	a := b.ask(http.MethodGet, "http://"+b.admin+"/metrics", "", nil)
	if a.status != http.StatusOK {
		b.t.Fatalf("metrics: %d %s", a.status, a.body)
	}
	sum := 0.0
	for line := range strings.Lines(string(a.body)) {
		rest, found := strings.CutPrefix(line, name)
		if !found || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' ')+1:]), 64)
		if err != nil {
			b.t.Fatalf("metrics: %s: %v", line, err)
		}
		sum += v
	}
	return sum
}

// deactivation is the write that must not be lost.
const deactivation = `{"op":"replace","value":{"active":false}}`

// TestTheDatabaseComesBack stops PostgreSQL while somebody is deactivated: the
// provider's request waits inside and succeeds, and opens exactly one case.
func TestTheDatabaseComesBack(t *testing.T) {
	t.Parallel()
	server := storetest.NewServer(t, storetest.Options{Sync: true})
	b := newBridge(t, server.Database(t))
	b.start()
	b.staff()
	id := b.hire("jo@example.com", "quick", "")
	server.Stop(t)
	answered := make(chan answer, 1)
	go func() { answered <- b.idp(http.MethodPatch, "/Users/"+id, patch(deactivation)) }()
	b.eventually(15*time.Second, "the write is retried", func() bool { return b.metric("offramp_accept_retries_total") > 0 })
	if a := b.ask(http.MethodGet, "http://"+b.admin+"/readyz", "", nil); a.status != http.StatusServiceUnavailable {
		t.Errorf("ready without a database: %d %s", a.status, a.body)
	}
	if a := b.ask(http.MethodGet, "http://"+b.admin+"/livez", "", nil); a.status != http.StatusOK {
		t.Errorf("not alive without a database: %d %s", a.status, a.body)
	}
	select {
	case a := <-answered:
		t.Fatalf("answered before the database was back: %d %s", a.status, a.body)
	default:
	}
	server.Start(t)
	if a := <-answered; a.status != http.StatusOK && a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.body)
	}
	b.closes("jo@example.com", time.Minute)
}

// TestTheDatabaseStaysAway is the same for longer than a write is retried: the
// provider is told to come again, and nothing is half done.
func TestTheDatabaseStaysAway(t *testing.T) {
	t.Parallel()
	server := storetest.NewServer(t, storetest.Options{Sync: true})
	b := newBridge(t, server.Database(t))
	b.start()
	b.staff()
	id := b.hire("jo@example.com", "quick", "")
	server.Stop(t)
	a := b.idp(http.MethodPatch, "/Users/"+id, patch(deactivation))
	refused(t, "deactivation without a database", a, http.StatusTooManyRequests, "")
	if a.header.Get("Retry-After") != "60" {
		t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
	}
	if b.metric("offramp_accept_retries_total") == 0 {
		t.Error("nothing was counted")
	}
	server.Start(t)
	b.eventually(30*time.Second, "the bridge is ready again", func() bool {
		return b.ask(http.MethodGet, "http://"+b.admin+"/readyz", "", nil).status == http.StatusOK
	})
	if a := b.idp(http.MethodGet, "/Users/"+id, nil); a.status != http.StatusOK || !strings.Contains(string(a.body), `"active":true`) {
		t.Errorf("half of a refused write was kept: %d %s", a.status, a.body)
	}
	if n := len(b.cases()); n != 0 {
		t.Errorf("%d cases were opened by a refused write", n)
	}
	for range 2 { // the provider comes again, and once more for good measure
		b.leave(leaver{id: id, how: "quick"})
	}
	b.closes("jo@example.com", time.Minute)
}
