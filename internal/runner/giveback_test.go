package runner_test

import (
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

// contained is a leaver whose groups are taken away, and whose case waits for an approval.
func contained(t *testing.T, s setup) *world {
	t.Helper()
	w := newWorld(t, s)
	w.policy.Approvals = 1
	w.person("leaver", leaver)
	if _, err := w.fake.AddGroup(amplitudefake.Group{Name: "Analysts", Members: []string{leaver}}); err != nil {
		t.Fatal(err)
	}
	w.deactivate()
	w.until(offboard.StateWaiting, offboard.WaitApproval)
	if w.groups() != 0 {
		t.Fatal("not contained")
	}
	return w
}

func (w *world) comesBack() {
	w.t.Helper()
	w.change("leaver", func(p offboard.Person) offboard.Person { p.Active = true; return p })
}

func TestWhatMayNotBeGivenBackIsLeftToAPerson(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := contained(t, s)
		w.restart(func(o *runner.Options) { o.Observe = true })
		w.comesBack()
		f := w.until(offboard.StateNeedsAttention, offboard.WaitNothing)
		if !strings.Contains(f.Case.Note, "not given back, because observe mode: put into group Analysts in acme.") || !w.says(f.Case.ID, "put into group Analysts") {
			w.show()
			t.Errorf("the case says %q", f.Case.Note)
		}
		w.restart(nil)
		w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Retry(f, "kim", "enforce again") })
		if f = w.closed(leaver); f.Case.State != offboard.StateCancelled || w.groups() != 1 {
			w.show()
			t.Errorf("%s, and %d groups", f.Case.State, w.groups())
		}
	})
}

func TestNothingIsGivenBackToSomebodyElseAndAPersonIsTold(t *testing.T) {
	t.Parallel()
	w := contained(t, setup{})
	w.change("leaver", func(p offboard.Person) offboard.Person {
		p.UserName, p.Address = "jo.doe@example.com", "jo.doe@example.com"
		return p
	})
	w.directoryOnly("new", leaver)
	w.comesBack()
	f := w.until(offboard.StateNeedsAttention, offboard.WaitNothing)
	if !strings.Contains(f.Case.Note, "somebody else holds this address now: put into group Analysts in acme") || w.groups() != 0 {
		w.show()
		t.Errorf("the case says %q, %d groups", f.Case.Note, w.groups())
	}
}

func TestWhoComesBackAtTheDeadlineGetsEverythingBackThoughAmplitudeIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.policy.Unlisted, w.policy.Handover, w.policy.AtHand = offboard.UnlistedTask, 24*time.Hour, offboard.DeadlineRemove
	w.person("leaver", leaver)
	w.person("heir", "kim@example.com")
	if _, err := w.fake.AddGroup(amplitudefake.Group{Name: "Analysts", Members: []string{leaver}}); err != nil {
		t.Fatal(err)
	}
	w.change("leaver", func(p offboard.Person) offboard.Person { p.Manager = "heir"; return p })
	w.deactivate()
	w.until(offboard.StateWaiting, offboard.WaitTask)
	w.clock.move(25 * time.Hour)
	w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: 503, Count: 3, Match: amplitudefake.Match{Method: "PATCH"}})
	w.comesBack()
	if f := w.closed(leaver); f.Case.State != offboard.StateCancelled || w.groups() != 1 {
		w.show()
		t.Errorf("%s, and %d groups", f.Case.State, w.groups())
	}
}
