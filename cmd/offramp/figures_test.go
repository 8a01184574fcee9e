package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/store/storetest"
)

// TestFiguresIncidentBehindQueue measures how long an incident takes from its
// acceptance to the DELETE while 10,000 removals wait for Amplitude's budget.
func TestFiguresIncidentBehindQueue(t *testing.T) {
	if os.Getenv("OFFRAMP_SOAK") == "" {
		t.Skip("ten minutes for each database; make soak runs it")
	}
	for name, database := range map[string]func(t *testing.T) string{
		"sqlite":   func(*testing.T) string { return "" },
		"postgres": func(t *testing.T) string { t.Helper(); return storetest.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBridge(t, database(t))
			b.start()
			b.staff()
			incidentsBehindQueue(t, b, 10_000, 50, 12*time.Second)
		})
	}
}

func incidentsBehindQueue(t *testing.T, b *bridge, queued, incidents int, every time.Duration) {
	t.Helper()
	began := time.Now()
	leavers := b.together(queued, 16, func(i int) leaver {
		l := leaver{address: fmt.Sprintf("queued%05d@example.com", i)}
		l.id = b.hire(l.address, "quick", "")
		return l
	})
	suspects := b.together(incidents, 16, func(i int) leaver {
		l := leaver{address: fmt.Sprintf("suspect%02d@example.com", i)}
		l.id = b.hire(l.address, "quick", "")
		return l
	})
	t.Logf("%d people in %s", queued+incidents, time.Since(began).Round(time.Second))
	began = time.Now()
	b.together(queued, 16, func(i int) leaver { b.leave(leavers[i]); return leavers[i] })
	t.Logf("%d leavers accepted in %s", queued, time.Since(began).Round(time.Second))
	accepted := map[string]time.Time{}
	for _, s := range suspects {
		status, out := b.call(http.MethodPost, "http://"+b.admin+"/api/v1/cases", b.op, map[string]string{
			"person": s.address, "reason": "security_incident",
		})
		accepted[s.address] = time.Now()
		if status != http.StatusCreated {
			t.Fatalf("open: %d %s", status, out)
		}
		time.Sleep(every)
	}
	b.eventually(2*time.Minute, "every incident is removed", func() bool {
		return !slices.ContainsFunc(suspects, func(s leaver) bool { return b.removals(s.address) != 1 })
	})
	var lags []time.Duration
	var minute []time.Time
	most := 0
	for _, r := range b.fake.Requests(amplitudefake.RequestFilter{Surface: "scim"}) {
		for len(minute) > 0 && r.Time.Sub(minute[0]) >= time.Minute {
			minute = minute[1:]
		}
		minute = append(minute, r.Time)
		most = max(most, len(minute))
		if at, ok := accepted[r.Object]; ok && strings.HasPrefix(r.Effect, "removed member") {
			lags = append(lags, max(r.Time.Sub(at), 0))
		}
	}
	slices.Sort(lags)
	status, out := b.call(http.MethodGet, "http://"+b.admin+"/api/v1/status", b.op, nil)
	var load struct{ Cases []struct{ Count int } }
	if status != http.StatusOK || json.Unmarshal(out, &load) != nil {
		t.Fatalf("status: %d %s", status, out)
	}
	left := 0
	for _, c := range load.Cases {
		left += c.Count
	}
	p99 := lags[(len(lags)*99+99)/100-1]
	t.Logf("figure: %d incidents behind %d queued removals (%d cases still open at the end): accepted to DELETE p50 %s, p90 %s, p99 %s, longest %s; at most %d SCIM requests in any minute; %d CPUs",
		len(lags), queued, left, lags[len(lags)/2], lags[len(lags)*9/10], p99, lags[len(lags)-1], most, runtime.NumCPU())
	if len(lags) != incidents || left < queued/2 {
		t.Errorf("%d incidents removed behind %d open cases, want %d behind at least %d", len(lags), left, incidents, queued/2)
	}
	// The budget counts when a request is sent, the simulator when it arrives.
	if p99 > time.Second || most >= 100 {
		t.Errorf("p99 %s, want at most 1s; %d requests in a minute, and Amplitude allows 100", p99, most)
	}
}

// together does something n times, a few at a time, and returns what came of it.
func (b *bridge) together(n, workers int, do func(i int) leaver) []leaver {
	b.t.Helper()
	out := make([]leaver, n)
	next := make(chan int)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := range next {
				out[i] = do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
	return out
}
