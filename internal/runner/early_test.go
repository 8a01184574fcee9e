package runner_test

import (
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
)

// leaves sets the leaver's leave date at the identity provider.
func (w *world) leaves(date string) {
	w.t.Helper()
	w.change("leaver", func(p offboard.Person) offboard.Person { p.Claims.LeaveDate = date; return p })
}

// groups are those of the leaver in Amplitude.
func (w *world) groups() int {
	w.t.Helper()
	n := 0
	for _, m := range w.fake.PersonState(leaver).Members {
		n += len(m.Groups)
	}
	return n
}

func TestNothingHappensBeforeTheLeaveDateAndALaterOneGivesBack(t *testing.T) {
	t.Parallel()
	for name, postgres := range map[string]bool{"sqlite": false, "postgres": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{postgres: postgres})
			w.policy.Approvals, w.policy.Unlisted = 1, offboard.UnlistedTask
			w.person("leaver", leaver)
			if _, err := w.fake.AddGroup(amplitudefake.Group{Name: "Analysts", Members: []string{leaver}}); err != nil {
				t.Fatal(err)
			}
			asked := len(w.fake.Requests(amplitudefake.RequestFilter{}))
			w.leaves("2026-03-02") // until midnight; it is nine o'clock
			f := w.until(offboard.StateWaiting, offboard.WaitNotBefore)
			w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
				return offboard.Approve(f, offboard.Approval{By: "sam@example.com"})
			})
			w.until(offboard.StateWaiting, offboard.WaitNotBefore) // whatever the approval made it look at
			f = w.caseOf(leaver)
			if n := len(w.fake.Requests(amplitudefake.RequestFilter{})); n != asked || len(f.Tasks) > 0 || f.Case.Waiting != offboard.WaitNotBefore {
				w.show()
				t.Fatalf("before the date: %d requests, %d tasks, waits for %q", n-asked, len(f.Tasks), f.Case.Waiting)
			}

			w.clock.move(15 * time.Hour)
			w.until(offboard.StateWaiting, offboard.WaitTask)
			if w.groups() != 0 {
				t.Fatal("not contained after the date")
			}
			w.leaves("2026-03-09")
			w.until(offboard.StateWaiting, offboard.WaitNotBefore)
			if w.groups() != 1 || !w.seated() {
				w.show()
				t.Errorf("the date was moved, and they have %d groups", w.groups())
			}

			w.leaves("")
			if f = w.closed(leaver); f.Case.Outcome != offboard.OutcomeCancelled || !w.seated() || w.removals() != 0 {
				w.show()
				t.Errorf("the date was taken back: %s, removals %d", f.Case.Outcome, w.removals())
			}
		})
	}
}

func TestALeaveDateThatIsReachedRemoves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.person("leaver", leaver)
	w.leaves("2026-03-02T18:00:00Z")
	w.until(offboard.StateWaiting, offboard.WaitNotBefore)
	w.clock.move(8 * time.Hour)
	w.run(3*time.Hour, func() bool { return !w.seated() })
	if at := w.clock.now(); at.Before(time.Date(2026, 3, 2, 18, 0, 0, 0, time.UTC)) {
		t.Errorf("removed at %s", at)
	}
	if f := w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved {
		w.show()
		t.Errorf("outcome %s", f.Case.Outcome)
	}
}
