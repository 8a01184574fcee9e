package runner_test

import (
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

// event is an event in Amplitude that the leaver owns.
func (w *world) event(id, name string) amplitudefake.Asset {
	w.t.Helper()
	a, err := w.fake.AddAsset(amplitudefake.Asset{
		Kind: amplitudefake.KindEvent, ID: id, Name: name, Project: w.fake.Credentials().Projects[0].ID, Owners: []string{leaver},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// decide records a decision of offboard's rules.
func (w *world) decide(caseID string, decide func(offboard.File) (offboard.Update, error)) {
	w.t.Helper()
	w.act(caseID, decide)
}

func TestARemovalThatDidNotHoldIsMadeAgainOnRetry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	if err := w.fake.SetSwitch("drop_write", "true"); err != nil {
		t.Fatal(err)
	}
	w.person("leaver", leaver)
	w.deactivate()
	f := w.until(offboard.StateNeedsAttention, offboard.WaitNothing)
	if err := w.fake.SetSwitch("drop_write", "false"); err != nil {
		t.Fatal(err)
	}
	w.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Retry(f, "kim", "the cause is gone") })
	f = w.closed(leaver)
	if f.Case.Outcome != offboard.OutcomeRemoved || w.seated() || w.removals() != 1 {
		w.show()
		t.Errorf("outcome %s, seat %v, effective removals %d", f.Case.Outcome, w.seated(), w.removals())
	}
}

func TestSomebodyWhoComesBackDuringTheWatchIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.person("leaver", leaver)
	w.deactivate()
	w.run(time.Hour, func() bool { return !w.caseOf(leaver).Case.Verified.IsZero() })
	if _, err := w.fake.Human(amplitudefake.Action{Do: "invite", Email: leaver}); err != nil {
		t.Fatal(err)
	}
	f := w.until(offboard.StateNeedsAttention, offboard.WaitNothing)
	w.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Retry(f, "kim", "no more pushes") })
	if f = w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved || w.seated() {
		w.show()
		t.Errorf("outcome %s, seat %v", f.Case.Outcome, w.seated())
	}
}

func TestRehiredAfterTheRemovalEndsTheWatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.person("leaver", leaver)
	w.deactivate()
	w.run(time.Hour, func() bool { return !w.caseOf(leaver).Case.Verified.IsZero() })
	w.change("leaver", func(p offboard.Person) offboard.Person { p.Active = true; return p })
	w.seat(leaver, amplitudefake.RoleMember)
	if f := w.closed(leaver); f.Case.Outcome != offboard.OutcomeRehired || !w.seated() {
		w.show()
		t.Errorf("outcome %s, seat %v", f.Case.Outcome, w.seated())
	}
}

func TestAnIncidentOvertakesAWaitingCase(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		w.policy.Approvals = 1
		w.person("leaver", leaver)
		w.deactivate()
		w.until(offboard.StateWaiting, offboard.WaitApproval)
		asked := w.clock.now()
		w.change("leaver", func(p offboard.Person) offboard.Person { p.Claims.LeaveReason = "security_incident"; return p })
		w.run(time.Minute, func() bool { return !w.seated() })
		if took := w.clock.now().Sub(asked); took > time.Second {
			t.Errorf("took %s of virtual time", took)
		}
		if f := w.closed(leaver); f.Case.Plan != offboard.Emergency || f.Case.Outcome != offboard.OutcomeRemoved || w.removals() != 1 {
			w.show()
			t.Errorf("plan %s, outcome %s, removals %d", f.Case.Plan, f.Case.Outcome, w.removals())
		}
	})
}

func TestWithoutASuccessorAPersonIsAskedAndTheDeadlineDecides(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason   string
		orphaned bool
	}{
		"a termination goes on, what is left is recorded": {"termination", true},
		"anything else waits and is escalated":            {"deactivated", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{})
			w.policy.Handover = time.Hour
			w.person("leaver", leaver)
			w.event("Signed up", "")
			w.change("leaver", func(p offboard.Person) offboard.Person {
				p.Claims.LeaveReason, p.Active = tc.reason, false
				return p
			})
			w.until(offboard.StateWaiting, offboard.WaitTask)
			f := w.caseOf(leaver)
			if len(f.Tasks) != 1 || f.Tasks[0].Kind != offboard.TaskSuccessor {
				t.Fatalf("tasks %+v", f.Tasks)
			}
			if tc.orphaned {
				f = w.closed(leaver)
				if f.Case.Outcome != offboard.OutcomeRemoved || f.Assets[0].State != offboard.AssetOrphaned || f.Tasks[0].State != offboard.TaskDropped {
					w.show()
					t.Errorf("%s, asset %s, task %s", f.Case.Outcome, f.Assets[0].State, f.Tasks[0].State)
				}
				return
			}
			w.run(2*time.Hour, func() bool { return w.clock.now().Sub(f.Case.Opened) > 90*time.Minute })
			if c := w.caseOf(leaver).Case; c.State != offboard.StateWaiting || !w.seated() {
				t.Errorf("state %s, seat %v", c.State, w.seated())
			}
			w.person("heir", "kim@example.com")
			w.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
				return offboard.CompleteTask(f, f.Tasks[0].ID, offboard.TaskAnswer{By: "lee@example.com", Successor: "kim@example.com", Note: "asked around"}, w.clock.now())
			})
			if f = w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved || f.Assets[0].NewOwner != "kim@example.com" {
				w.show()
				t.Errorf("outcome %s, new owner %q", f.Case.Outcome, f.Assets[0].NewOwner)
			}
		})
	}
}

func TestAHeldCaseStandsStillUntilItIsReleased(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.policy.Approvals = 1
	w.person("leaver", leaver)
	w.deactivate()
	f := w.until(offboard.StateWaiting, offboard.WaitApproval)
	w.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Hold(f, "kim", "looking into it") })
	w.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
		return offboard.Approve(f, offboard.Approval{By: "lee@example.com", At: w.clock.now()})
	})
	w.run(2*time.Hour, func() bool { return w.clock.now().Sub(f.Case.Opened) > time.Hour })
	if c := w.caseOf(leaver).Case; c.State != offboard.StateHeld || !w.seated() {
		t.Fatalf("state %s, seat %v", c.State, w.seated())
	}
	w.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Release(f, "kim", "it is right") })
	if f = w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved {
		w.show()
		t.Errorf("outcome %s", f.Case.Outcome)
	}
}

func TestAPauseStopsEverythingOutward(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	if err := w.store.Pause(t.Context(), "kim", "audit"); err != nil {
		t.Fatal(err)
	}
	w.person("leaver", leaver)
	w.deactivate()
	w.run(time.Hour, func() bool { return w.clock.now().Sub(w.caseOf(leaver).Case.Opened) > 30*time.Minute })
	if c := w.caseOf(leaver).Case; c.Waiting != offboard.WaitPaused || !w.seated() {
		w.show()
		t.Fatalf("waits for %s, seat %v", c.Waiting, w.seated())
	}
	if err := w.store.Resume(t.Context(), "kim", "done"); err != nil {
		t.Fatal(err)
	}
	if f := w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved {
		t.Errorf("outcome %s", f.Case.Outcome)
	}
}

func TestAnOperatorOpensAnIncidentForSomebodyActive(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		w.person("leaver", leaver)
		_, err := w.store.Reconsider(t.Context(), "leaver", func(p offboard.Person, prior offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error) {
			return offboard.OpenBy(p, prior, offboard.Order{Reason: offboard.SecurityIncident, By: "kim"}, w.rules(), w.clock.now())
		})
		if err != nil {
			t.Fatal(err)
		}
		w.run(time.Minute, func() bool { return !w.seated() })
		if f := w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved {
			w.show()
			t.Errorf("outcome %s", f.Case.Outcome)
		}
	})
}

func TestASecondConnectionKeepsTheSeat(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.person("leaver", leaver)
	_, err := w.store.ChangePerson(t.Context(), offboard.PersonChange{
		Connection: "entra", Rules: w.rules(),
		Change: func(p offboard.Person) (offboard.Person, error) {
			p.ID, p.UserName, p.Address, p.Active, p.Resource = "same-human", leaver, leaver, true, "{}"
			return p, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.clock.move(time.Minute)
	w.deactivate()
	f := w.until(offboard.StateNeedsAttention, offboard.WaitNothing)
	if !w.seated() {
		t.Errorf("removed although entitled elsewhere: %s", f.Case.Note)
	}
}

func TestWhoComesBackAndLeavesAgainIsRemovedAgain(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		w.policy.Unlisted = offboard.UnlistedTask
		w.person("leaver", leaver)
		w.change("leaver", func(p offboard.Person) offboard.Person {
			p.Claims.LeaveReason, p.Active = "security_incident", false
			return p
		})
		w.run(time.Hour, func() bool { return !w.caseOf(leaver).Case.Verified.IsZero() })
		w.run(2*time.Hour, func() bool { return w.caseOf(leaver).Case.Waiting == offboard.WaitTask })
		w.change("leaver", func(p offboard.Person) offboard.Person { p.Active, p.Claims.LeaveReason = true, ""; return p })
		w.seat(leaver, amplitudefake.RoleMember)
		w.deactivate()
		w.run(2*time.Hour, func() bool { return !w.seated() })
		if n := w.removals(); n != 2 {
			w.show()
			t.Errorf("%d removals", n)
		}
	})
}

func TestAFlappingDeactivationIsNotLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.policy.Approvals = 1
	w.person("leaver", leaver)
	w.deactivate()
	f := w.until(offboard.StateWaiting, offboard.WaitApproval)
	w.change("leaver", func(p offboard.Person) offboard.Person { p.Active = true; return p })
	w.deactivate() // before anybody looked at the case
	w.run(time.Hour, func() bool { return w.clock.now().Sub(f.Case.Opened) > 30*time.Minute })
	if c := w.caseOf(leaver).Case; !c.State.Live() {
		w.show()
		t.Fatalf("the case ended as %s while the person is a leaver", c.Outcome)
	}
}

func TestAnIncidentStaysWithinTheConnectionsDomains(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{opts: func(o *runner.Options) {
		o.Reachable = func(_, address string) bool { return offboard.Domain(address) == "example.com" }
	}})
	w.seat("ceo@corp.test", amplitudefake.RoleAdmin)
	w.person("leaver", leaver)
	w.change("leaver", func(p offboard.Person) offboard.Person {
		p.Emails = []offboard.Email{{Value: "ceo@corp.test"}, {Value: "jo.plain"}}
		p.Claims.LeaveReason, p.Active = "security_incident", false
		return p
	})
	if f := w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved {
		w.show()
		t.Errorf("outcome %s", f.Case.Outcome)
	}
	if len(w.fake.PersonState("ceo@corp.test").Members) != 1 {
		t.Error("somebody out of reach was removed")
	}
}

func TestACaseThatStandsStillDoesNotKeepTheSeatFromAnIncident(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		w.policy.Approvals = 1
		w.person("leaver", leaver)
		if _, err := w.fake.AddGroup(amplitudefake.Group{Name: "Analysts", Members: []string{leaver}}); err != nil {
			t.Fatal(err)
		}
		both := func(active bool, reason string) {
			_, err := w.store.ChangePerson(t.Context(), offboard.PersonChange{
				Connection: "entra", ID: map[bool]string{true: "", false: "same"}[active], Rules: w.rules(),
				Change: func(p offboard.Person) (offboard.Person, error) {
					p.ID, p.UserName, p.Address, p.Active, p.Resource, p.Claims.LeaveReason = "same", leaver, leaver, active, "{}", reason
					return p, nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		both(true, "")
		w.clock.move(time.Minute)
		w.deactivate()
		w.until(offboard.StateNeedsAttention, offboard.WaitNothing) // entitled through the other connection
		both(false, "security_incident")
		w.run(time.Minute, func() bool { return !w.seated() })
	})
}

func TestADeclinedTaskCanBeAskedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.policy.Unlisted = offboard.UnlistedTask
	w.person("leaver", leaver)
	w.person("heir", "kim@example.com")
	w.change("leaver", func(p offboard.Person) offboard.Person { p.Manager = "heir"; return p })
	w.deactivate()
	f := w.until(offboard.StateWaiting, offboard.WaitTask)
	w.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
		return offboard.DeclineTask(f, f.Tasks[0].ID, "lee@example.com", "no time", w.clock.now())
	})
	f = w.until(offboard.StateNeedsAttention, offboard.WaitNothing)
	w.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Retry(f, "lee@example.com", "now") })
	f = w.until(offboard.StateWaiting, offboard.WaitTask)
	w.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
		return offboard.CompleteTask(f, f.Tasks[0].ID, offboard.TaskAnswer{By: "lee@example.com", Note: "moved"}, w.clock.now())
	})
	if f = w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved {
		w.show()
		t.Errorf("outcome %s", f.Case.Outcome)
	}
}

func TestAnAmplitudeThatCannotBeAskedDoesNotStopATerminationForEver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.policy.Handover = time.Hour
	w.person("leaver", leaver)
	if _, err := w.fake.AddFault(amplitudefake.Fault{Match: amplitudefake.Match{Surface: "user_management"}, Kind: amplitudefake.FaultStatus, Status: 503}); err != nil {
		t.Fatal(err)
	}
	w.change("leaver", func(p offboard.Person) offboard.Person {
		p.Claims.LeaveReason, p.Active = "termination", false
		return p
	})
	if f := w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved || f.Case.Removed.Sub(f.Case.Opened) < time.Hour {
		w.show()
		t.Errorf("outcome %s", f.Case.Outcome)
	}
}

// human does something in Amplitude's web pages.
func (w *world) human(a amplitudefake.Action) {
	w.t.Helper()
	if _, err := w.fake.Human(a); err != nil {
		w.t.Fatal(err)
	}
}
