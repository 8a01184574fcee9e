package runner_test

import (
	"net/http"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
)

// changes counts what was sent to Amplitude to change something.
func (w *world) changes() (n int) {
	for _, r := range w.fake.Requests(amplitudefake.RequestFilter{Surface: "scim"}) {
		if r.Method != http.MethodGet {
			n++
		}
	}
	return n
}

// TestAPauseHoldsOnEveryReplicaAtOnce stops outward changes while two processes
// work, also where attempts broke off and it is not known whether they removed
// somebody: not one change leaves after the word.
func TestAPauseHoldsOnEveryReplicaAtOnce(t *testing.T) {
	t.Parallel()
	const people = 50
	for name, broken := range map[string]bool{"": false, "after attempts that broke off": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, setup{client: budgeted(60)}, func(w *world) {
				first := w.runner
				w.restart(nil)
				w.replica = first
				w.hire(people)
				if broken {
					w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultReset, Count: people, Match: amplitudefake.Match{Method: http.MethodDelete}})
				}
				w.dismiss(people)
				w.work(4, time.Hour, func() bool { return w.changes() > 0 })
				if err := w.store.Pause(w.t.Context(), "kim", "something is wrong"); err != nil {
					w.t.Fatal(err)
				}
				at, until := w.changes(), time.Now().Add(20*time.Minute)
				if at >= people && !broken {
					w.t.Fatal("nobody was left to stop")
				}
				w.work(4, time.Hour, func() bool { return time.Now().After(until) })
				if n := w.changes(); n != at {
					w.t.Errorf("%d changes were sent after the word", n-at)
				}
				for _, c := range w.all() {
					if c.Removed.IsZero() && c.Waiting != offboard.WaitPaused && c.Waiting != offboard.WaitRetry {
						w.t.Errorf("%s is %s %s: %s", c.Address, c.State, c.Waiting, c.Note)
					}
				}
				if err := w.store.Resume(w.t.Context()); err != nil {
					w.t.Fatal(err)
				}
				w.work(4, 120*time.Minute, func() bool { return w.live() == 0 })
				if n := w.removals(); n != people {
					w.t.Errorf("%d were removed", n)
				}
			})
		})
	}
}
