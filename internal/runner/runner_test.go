package runner_test

import (
	"context"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

// onBoth runs a story on SQLite and on PostgreSQL.
func onBoth(t *testing.T, story func(t *testing.T, s setup)) {
	t.Helper()
	for name, postgres := range map[string]bool{"sqlite": false, "postgres": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, setup{postgres: postgres})
		})
	}
}

func TestLeaverIsRemovedAndProven(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		w.person("leaver", leaver)
		accepted := w.clock.now()
		w.deactivate()
		f := w.closed(leaver)
		if f.Case.Outcome != offboard.OutcomeRemoved {
			w.show()
			t.Fatalf("outcome = %s, want removed", f.Case.Outcome)
		}
		if w.seated() || w.removals() != 1 {
			t.Errorf("still there: %v, effective removals: %d", w.seated(), w.removals())
		}
		if early := f.Case.Removed.Sub(accepted); early < 2*time.Minute {
			t.Errorf("removed after %s, before the case settled", early)
		}
		if last := f.Case.Closed.Sub(f.Case.Removed); last < 30*time.Minute {
			t.Errorf("closed %s after the removal, before the last look", last)
		}
		body, hash, err := w.store.Evidence(t.Context(), f.Case.ID)
		if err != nil || len(body) == 0 || len(hash) != 64 {
			t.Errorf("evidence: %d bytes, hash %q, %v", len(body), hash, err)
		}
	})
}

func TestNothingIsTakenBeforeHandoverIsDone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.policy.Approvals, w.policy.Unlisted = 1, offboard.UnlistedTask
	w.person("leaver", leaver)
	w.person("heir", "kim@example.com")
	w.change("leaver", func(p offboard.Person) offboard.Person { p.Manager = "heir"; return p })
	project := w.fake.Credentials().Projects[0].ID
	event, err := w.fake.AddAsset(amplitudefake.Asset{Kind: amplitudefake.KindEvent, ID: "Sign Up / done", Project: project, Owners: []string{leaver}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.fake.AddAsset(amplitudefake.Asset{Kind: amplitudefake.KindDashboard, Name: "KPIs", Project: project, Owners: []string{leaver}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.fake.AddGroup(amplitudefake.Group{Name: "Analysts", Members: []string{leaver}}); err != nil {
		t.Fatal(err)
	}
	w.deactivate()

	f := w.until(offboard.StateWaiting, offboard.WaitApproval)
	if !w.seated() {
		t.Fatal("removed before the approval")
	}
	if groups := w.fake.PersonState(leaver).Members[0].Groups; len(groups) != 0 {
		t.Errorf("not contained while waiting: groups %v", groups)
	}
	w.clock.move(time.Hour)
	w.act(f.Case.ID, func(offboard.File) (offboard.Update, error) {
		return offboard.Update{Approvals: []offboard.Approval{{By: "lee@example.com", Role: "manager"}}}, nil
	})
	f = w.until(offboard.StateWaiting, offboard.WaitTask)
	if !w.seated() {
		t.Fatal("removed before the handover")
	}
	if owners := w.ownersOf(project, event.ID); len(owners) != 1 || owners[0] != "kim@example.com" {
		t.Errorf("event owners = %v, want the manager", owners)
	}
	if _, err := w.fake.Human(amplitudefake.Action{Do: "bulk_transfer", From: leaver, To: "kim@example.com"}); err != nil {
		t.Fatal(err)
	}
	w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
		task := *f.Task("handover/content")
		task.State, task.By, task.Ended = offboard.TaskDone, "kim@example.com", w.clock.now()
		return offboard.Update{Tasks: []offboard.Task{task}}, nil
	})
	f = w.closed(leaver)
	if f.Case.Outcome != offboard.OutcomeRemoved || w.seated() {
		w.show()
		t.Fatalf("outcome = %s", f.Case.Outcome)
	}
	if n := w.fake.Orphans(); n != 0 {
		t.Errorf("%d orphans", n)
	}
	if f.Case.Waited < time.Hour {
		t.Error("the time people took is not counted")
	}
}

func (w *world) ownersOf(project int, id string) []string {
	for _, a := range w.fake.State().Assets {
		if a.Project == project && a.ID == id {
			return a.Owners
		}
	}
	return nil
}

func TestIncidentRemovesFirst(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		w.person("leaver", leaver)
		w.change("leaver", func(p offboard.Person) offboard.Person {
			p.Claims.LeaveReason, p.Active = "security_incident", false
			return p
		})
		accepted := w.clock.now()
		w.run(time.Minute, func() bool { return !w.seated() })
		if took := w.clock.now().Sub(accepted); took > time.Second {
			t.Errorf("an incident waited %s of virtual time", took)
		}
		f := w.closed(leaver)
		if f.Case.Outcome != offboard.OutcomeRemoved || f.Case.Plan != offboard.Emergency {
			w.show()
			t.Errorf("outcome %s, plan %s", f.Case.Outcome, f.Case.Plan)
		}
	})
}

func TestRehiredBeforeTheRemovalIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.policy.Approvals = 1
	w.person("leaver", leaver)
	id, err := w.fake.AddGroup(amplitudefake.Group{Name: "Analysts", Members: []string{leaver}})
	if err != nil {
		t.Fatal(err)
	}
	w.deactivate()
	w.until(offboard.StateWaiting, offboard.WaitApproval)
	w.change("leaver", func(p offboard.Person) offboard.Person { p.Active = true; return p })
	f := w.closed(leaver)
	if f.Case.Outcome != offboard.OutcomeCancelled || f.Case.State != offboard.StateCancelled {
		t.Fatalf("state %s, outcome %s", f.Case.State, f.Case.Outcome)
	}
	groups := w.fake.PersonState(leaver).Members[0].Groups
	if len(groups) != 1 || groups[0] != id {
		w.show()
		t.Errorf("groups = %v, want what contain took given back", groups)
	}
	if w.removals() != 0 {
		t.Error("somebody was removed")
	}
}

func TestNewHireTakesTheAddressWhileTheCaseWaits(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		w.policy.Approvals = 1
		w.person("leaver", leaver)
		w.deactivate()
		f := w.until(offboard.StateWaiting, offboard.WaitApproval)
		w.change("leaver", func(p offboard.Person) offboard.Person { p.UserName = "jo.old@example.com"; return p })
		w.clock.move(time.Minute)
		w.directoryOnly("hire", leaver)
		w.act(f.Case.ID, func(offboard.File) (offboard.Update, error) {
			return offboard.Update{Approvals: []offboard.Approval{{By: "kim@example.com"}}}, nil
		})
		f = w.until(offboard.StateNeedsAttention, offboard.WaitNothing)
		if !w.seated() || w.removals() != 0 {
			t.Errorf("the new hire lost the seat: %s", f.Case.Note)
		}
	})
}

func TestNewHireTakesTheAddressDuringTheWatch(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		w.person("leaver", leaver)
		w.deactivate()
		w.until(offboard.StateVerifying, offboard.WaitVerify)
		w.run(time.Hour, func() bool { return !w.caseOf(leaver).Case.Verified.IsZero() })
		w.change("leaver", func(p offboard.Person) offboard.Person { p.Deleted = w.clock.now(); return p })
		w.clock.move(time.Minute)
		w.directoryOnly("hire", leaver)
		w.seat(leaver, amplitudefake.RoleMember)
		f := w.closed(leaver)
		if f.Case.Outcome != offboard.OutcomeRemoved || !w.seated() || w.removals() != 1 {
			w.show()
			t.Errorf("outcome %s, seat %v, removals %d", f.Case.Outcome, w.seated(), w.removals())
		}
	})
}

func TestLiesAndTrouble(t *testing.T) {
	t.Parallel()
	scim := amplitudefake.Match{Surface: "scim"}
	deletes := amplitudefake.Match{Surface: "scim", Method: "DELETE"}
	for name, tc := range map[string]struct {
		switches map[string]string
		fault    *amplitudefake.Fault
		state    offboard.State
		outcome  offboard.Outcome
	}{
		"a DELETE that is lost is found":                   {switches: map[string]string{"drop_write": "true"}, state: offboard.StateNeedsAttention},
		"404 to everything proves nothing":                 {switches: map[string]string{"answer_404": "true"}, state: offboard.StateWaiting},
		"a list that lags is waited for":                   {switches: map[string]string{"list_lag": "60s"}, outcome: offboard.OutcomeRemoved},
		"a list that is ahead is waited for":               {switches: map[string]string{"lag_reverse": "true", "list_lag": "60s"}, outcome: offboard.OutcomeRemoved},
		"5xx after applying is not repeated":               {fault: &amplitudefake.Fault{Match: deletes, Kind: amplitudefake.FaultStatusAfter, Status: 502, Count: 1}, outcome: offboard.OutcomeRemoved},
		"5xx before applying is repeated":                  {fault: &amplitudefake.Fault{Match: deletes, Kind: amplitudefake.FaultStatus, Status: 503, Count: 2}, outcome: offboard.OutcomeRemoved},
		"a broken connection after applying":               {fault: &amplitudefake.Fault{Match: deletes, Kind: amplitudefake.FaultResetAfter, Count: 1}, outcome: offboard.OutcomeRemoved},
		"a web page instead of an answer, then recovery":   {fault: &amplitudefake.Fault{Match: scim, Kind: amplitudefake.FaultHTML, Count: 4}, outcome: offboard.OutcomeRemoved},
		"half an answer, then recovery":                    {fault: &amplitudefake.Fault{Match: scim, Kind: amplitudefake.FaultTruncate, Count: 3}, outcome: offboard.OutcomeRemoved},
		"an echo that lies is found":                       {fault: &amplitudefake.Fault{Match: deletes, Kind: amplitudefake.FaultEchoLie, Count: 1}, state: offboard.StateNeedsAttention},
		"a redirect waits until the endpoint is put right": {fault: &amplitudefake.Fault{Match: scim, Kind: amplitudefake.FaultRedirect, Count: 3}, outcome: offboard.OutcomeRemoved},
		"a web page for ever waits":                        {fault: &amplitudefake.Fault{Match: scim, Kind: amplitudefake.FaultHTML}, state: offboard.StateWaiting},
		"the member was already gone":                      {switches: map[string]string{"redelete": "204"}, outcome: offboard.OutcomeRemoved},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{})
			for k, v := range tc.switches {
				if err := w.fake.SetSwitch(k, v); err != nil {
					t.Fatal(err)
				}
			}
			if tc.fault != nil {
				if _, err := w.fake.AddFault(*tc.fault); err != nil {
					t.Fatal(err)
				}
			}
			w.person("leaver", leaver)
			w.deactivate()
			if tc.state == offboard.StateWaiting {
				w.run(45*time.Minute, func() bool { return w.clock.now().Sub(w.caseOf(leaver).Case.Opened) > 40*time.Minute })
				if c := w.caseOf(leaver).Case; c.State != offboard.StateWaiting || c.Waiting != offboard.WaitRetry || !w.seated() {
					w.show()
					t.Fatalf("state %s %s", c.State, c.Waiting)
				}
				return
			}
			w.run(3*time.Hour, func() bool {
				c := w.caseOf(leaver).Case
				return !c.State.Live() || c.State == offboard.StateNeedsAttention
			})
			f := w.caseOf(leaver)
			if tc.outcome != "" {
				if f.Case.Outcome != tc.outcome || w.seated() || w.removals() != 1 {
					w.show()
					t.Errorf("outcome %q, seat there %v, effective removals %d", f.Case.Outcome, w.seated(), w.removals())
				}
				return
			}
			if f.Case.State != tc.state || !w.seated() {
				w.show()
				t.Errorf("state %s, seat there %v", f.Case.State, w.seated())
			}
		})
	}
}

func TestObserveChangesNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		s.opts = func(o *runner.Options) { o.Observe = true }
		w := newWorld(t, s)
		w.person("leaver", leaver)
		w.event("Checkout", "Checkout")
		if _, err := w.fake.AddGroup(amplitudefake.Group{Name: "Analysts", Members: []string{leaver}}); err != nil {
			t.Fatal(err)
		}
		w.deactivate()
		f := w.closed(leaver)
		if f.Case.Outcome != offboard.OutcomeObserved || !w.seated() || w.groups() != 1 || w.changes() != 0 {
			w.show()
			t.Errorf("outcome %s, seat there %v, %d groups, %d changes", f.Case.Outcome, w.seated(), w.groups(), w.changes())
		}
		for _, would := range []string{"take the member out of group Analysts", "hand over event Checkout", "remove the member from acme"} {
			if !w.says(f.Case.ID, would) {
				w.show()
				t.Errorf("not told: %s", would)
			}
		}
	})
}

// Who comes back while the case settles was never touched, also where another
// process has to notice.
func TestWhoComesBackWhileTheCaseSettlesIsLeftAlone(t *testing.T) {
	t.Parallel()
	for story, restarts := range map[string]bool{"": false, "while the bridge restarts": true} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				w := newWorld(t, s)
				w.person("leaver", leaver)
				if _, err := w.fake.AddGroup(amplitudefake.Group{Name: "Analysts", Members: []string{leaver}}); err != nil {
					t.Fatal(err)
				}
				w.deactivate()
				w.clock.move(90 * time.Second)
				if restarts {
					w.restart(nil)
				} else {
					end := w.clock.now().Add(10 * time.Second)
					w.run(time.Minute, func() bool { return !w.clock.now().Before(end) })
				}
				w.comesBack()
				w.clock.move(10 * time.Minute)
				if f := w.closed(leaver); f.Case.State != offboard.StateCancelled || w.changes() != 0 || w.groups() != 1 || !w.seated() {
					w.show()
					t.Errorf("%s after %d changes", f.Case.State, w.changes())
				}
			})
		})
	}
}

// endless is the store of a process that dies before it records the end of a case.
type endless struct{ runner.Store }

func (s endless) Checkpoint(ctx context.Context, f offboard.Fence, keep time.Duration, change func(offboard.File) (offboard.Update, error)) (offboard.File, error) {
	return s.Store.Checkpoint(ctx, f, keep, func(file offboard.File) (offboard.Update, error) {
		u, err := change(file)
		if u.Outcome != "" {
			err = offboard.ErrUnavailable
		}
		return u, err
	})
}

// A case that observe mode did not end, and that is enforced later, gets what
// observe mode only told: approval and hand-over stand before the removal.
func TestWhatWasOnlyObservedIsDoneOnceTheModeIsEnforce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		w.policy.Approvals = 1
		w.restart(func(o *runner.Options) { o.Observe, o.Store = true, endless{o.Store} })
		w.person("leaver", leaver)
		event := w.event("Checkout", "Checkout")
		w.deactivate()
		for died := false; !died; w.clock.move(time.Minute) {
			if id, ok := w.jobs.take(); ok {
				died = w.runner.Advance(t.Context(), id) != nil
			} else if _, err := w.store.Due(t.Context(), 10, 10); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range []offboard.StepName{offboard.StepContain, offboard.StepApprove, offboard.StepHandover, offboard.StepRotate} {
			if got := w.caseOf(leaver).Step(n); got.State != offboard.StepObserved {
				t.Errorf("%s is %s", n, got.State)
			}
		}
		w.restart(nil)
		f := w.until(offboard.StateWaiting, offboard.WaitApproval)
		if !w.seated() || w.ownersOf(event.Project, event.ID)[0] != leaver {
			t.Error("something was done before the approval")
		}
		w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
			return offboard.Approve(f, offboard.Approval{By: "kim@example.com"})
		})
		f = w.until(offboard.StateWaiting, offboard.WaitTask) // who takes over
		if f.Step(offboard.StepHandover).State != offboard.StepWaiting || !w.seated() {
			w.show()
			t.Errorf("handing over is %s, seat there %v", f.Step(offboard.StepHandover).State, w.seated())
		}
	})
}

func TestNoSeatClosesTheCase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.directoryOnly("leaver", leaver)
	w.deactivate()
	if f := w.closed(leaver); f.Case.Outcome != offboard.OutcomeNoSeat {
		t.Errorf("outcome %s", f.Case.Outcome)
	}
}
