package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/store/storetest"
)

// TestFailover runs two replicas on one PostgreSQL and kills one for good in
// the middle of an incident: the other finishes everything.
func TestFailover(t *testing.T) {
	t.Parallel()
	rounds := 2
	if os.Getenv("OFFRAMP_SOAK") != "" {
		rounds = 10
	}
	for round := range rounds {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			first := newBridge(t, storetest.Postgres(t))
			first.start()
			second := first.replica()
			second.start()
			heir := first.staff()
			var all []leaver
			for i := range 8 {
				l := leaver{address: fmt.Sprintf("leaver%02d@example.com", i), how: "quick"}
				l.id = first.hire(l.address, l.how, heir)
				all = append(all, l)
			}
			incident := leaver{address: "incident@example.com", how: "incident"}
			incident.id = first.hire(incident.address, incident.how, heir)
			for _, l := range all {
				first.leave(l)
			}
			// Whoever gets the incident hangs in its DELETE.
			hits, lift := first.fault(amplitudefake.Fault{
				Match: amplitudefake.Match{Surface: "scim", Method: "DELETE", PathPrefix: "/scim/1/Users/incident"},
				Kind:  amplitudefake.FaultHang, Delay: amplitudefake.Span(10 * time.Minute), Count: 1,
			})
			first.leave(incident)
			first.eventually(30*time.Second, "the incident's DELETE is on its way", func() bool { return hits() > 0 })
			dead, alive := first, second // either may be the one that hangs: each round kills another
			if round%2 == 1 {
				dead, alive = second, first
			}
			dead.kill()
			lift()
			killed := time.Now()
			alive.eventually(90*time.Second, "the incident resumes", func() bool { return alive.removals(incident.address) == 1 })
			t.Logf("the incident resumed %s after the kill", time.Since(killed).Round(time.Second))
			alive.eventually(3*time.Minute, "everything is finished", func() bool { alive.work(); return alive.open() == 0 })
			alive.judge(append(all, incident))
		})
	}
}

// replica is a second process of the same bridge, with a log of its own.
func (b *bridge) replica() *bridge {
	b.t.Helper()
	r := *b
	r.process = nil
	var err error
	if r.log, err = os.Create(filepath.Join(b.dir, "replica.log")); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		r.kill()
		_ = r.log.Close()
	})
	return &r
}
