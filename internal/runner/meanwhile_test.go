package runner_test

import (
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

// One organization whose key is wrong keeps nobody's seat in the others, whatever
// their order; the case stays open until it answers.
func TestABrokenOrganizationKeepsNoSeatInTheOthers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"aaa", "zzz"} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				other, err := amplitudefake.New(amplitudefake.Options{Seed: 2, RatePerMinute: -1})
				if err != nil {
					t.Fatal(err)
				}
				if err := other.AddMember(amplitudefake.Member{Email: "root@example.org", Role: amplitudefake.RoleAdmin}); err != nil {
					t.Fatal(err)
				}
				broken, err := other.AddFault(amplitudefake.Fault{Match: amplitudefake.Match{Surface: "scim"}, Kind: amplitudefake.FaultStatus, Status: 401})
				if err != nil {
					t.Fatal(err)
				}
				w := newWorld(t, s)
				acme := w.fake
				w.fake = other
				c := w.amplitude(nil)
				w.fake = acme
				w.restart(func(o *runner.Options) {
					o.Organizations = append(o.Organizations, runner.Organization{Name: name, Client: c})
				})
				w.person("leaver", leaver)
				w.change("leaver", func(p offboard.Person) offboard.Person {
					p.Claims.LeaveReason, p.Active = "termination", false
					return p
				})
				w.run(24*time.Hour, func() bool { return !w.seated() })
				f := w.caseOf(leaver)
				if took := w.clock.now().Sub(f.Case.Opened); took > 2*time.Hour || !f.Case.State.Live() || !f.Case.Removed.IsZero() {
					w.show()
					t.Fatalf("removed after %s, the case is %s", took, f.Case.State)
				}
				other.RemoveFault(broken)
				if f = w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved || w.removals() != 1 {
					w.show()
					t.Errorf("outcome %s, %d removals", f.Case.Outcome, w.removals())
				}
			})
		})
	}
}

// A seat that was seen to be gone, and is back, is not verified any more.
func TestWhatIsBackIsNotVerifiedAnyMore(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		w.person("leaver", leaver)
		w.deactivate()
		w.run(time.Hour, func() bool { return !w.caseOf(leaver).Case.Verified.IsZero() })
		w.human(amplitudefake.Action{Do: "invite", Email: leaver})
		f := w.until(offboard.StateNeedsAttention, offboard.WaitNothing)
		if !f.Case.Verified.IsZero() {
			t.Errorf("the seat is back, and verified %s", f.Case.Verified)
		}
		w.clock.move(48 * time.Hour)
		w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Retry(f, "kim", "no more pushes") })
		if f = w.closed(leaver); f.Case.Verified.Before(f.Case.Removed) || f.Case.Outcome != offboard.OutcomeRemoved {
			w.show()
			t.Errorf("%s: removed %s, verified %s", f.Case.Outcome, f.Case.Removed, f.Case.Verified)
		}
	})
}

// An incident waits for a task long after its last look: before it is closed as
// removed, somebody looks once more.
func TestAnIncidentThatWaitedIsLookedAtBeforeItCloses(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		w.policy.Unlisted = offboard.UnlistedTask
		w.person("leaver", leaver)
		w.directoryOnly("other", "other@example.com")
		w.change("leaver", func(p offboard.Person) offboard.Person { p.Claims.Successor = "other@example.com"; return p })
		w.incident("leaver")
		w.run(2*time.Hour, w.stepDone(offboard.StepVerify))
		f := w.caseOf(leaver)
		if !f.Case.State.Live() || len(f.Tasks) == 0 {
			t.Fatalf("the case is %s with %d tasks", f.Case.State, len(f.Tasks))
		}
		w.human(amplitudefake.Action{Do: "invite", Email: leaver})
		w.clock.move(2 * time.Hour)
		w.attest(f)
		if f = w.until(offboard.StateNeedsAttention, offboard.WaitNothing); !w.seated() {
			t.Fatal("the seat is not there")
		}
		w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
			return offboard.Retry(f, "kim", "the invitation was withdrawn")
		})
		if f = w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved || w.seated() {
			w.show()
			t.Errorf("outcome %s, seat %v", f.Case.Outcome, w.seated())
		}
	})
}

// A successor whose address is mistyped is asked for again, with the reason.
func TestAMistypedSuccessorIsToldToBeNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.person("leaver", leaver)
	w.event("Signed up", "")
	w.deactivate()
	f := w.until(offboard.StateWaiting, offboard.WaitTask)
	w.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
		return offboard.CompleteTask(f, f.Tasks[0].ID, offboard.TaskAnswer{By: "lee@example.com", Successor: "nobody@example.com", Note: "asked around"}, w.clock.now())
	})
	w.run(time.Hour, func() bool { return w.caseOf(leaver).Tasks[0].State == offboard.TaskOpen })
	if task := w.caseOf(leaver).Tasks[0]; !strings.Contains(task.Text, "told about nobody called nobody@example.com") {
		t.Errorf("the task says %q", task.Text)
	}
}
