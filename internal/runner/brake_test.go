package runner_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
	"offramp/transfer"
)

// braked is a world in which the seventh leaver within ten minutes is one too
// many, and the sixth incident.
func braked(t *testing.T, s setup) *world {
	t.Helper()
	w := newWorld(t, s)
	w.brake = offboard.BrakeRules{
		Count: 6, Window: 10 * time.Minute, Emergencies: true,
		Organizations: []offboard.BrakeReach{{Name: "acme", Connections: []string{"okta"}}},
	}
	return w
}

// crew hires people with a seat, and returns their ids.
func (w *world) crew(n int) (ids []string) {
	w.t.Helper()
	for i := range n {
		id := fmt.Sprintf("crew%02d", i)
		w.person(id, id+"@example.com")
		ids = append(ids, id)
	}
	return ids
}

func (w *world) dismissed(ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		w.change(id, func(p offboard.Person) offboard.Person { p.Active = false; return p })
	}
}

// pass lets cases run for a while.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	end := w.clock.now().Add(d)
	w.run(d+time.Minute, func() bool { return !w.clock.now().Before(end) })
}

// release is an operator's word about every case that waits for one.
func (w *world) release() {
	w.t.Helper()
	brakes, err := w.store.Brakes(w.t.Context(), 0)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range w.all() {
		if c.Batched() {
			w.act(c.ID, func(f offboard.File) (offboard.Update, error) {
				return offboard.ReleaseBatched(f, "sam", "they did leave")
			})
		}
	}
	for _, b := range brakes {
		if left, ended, err := w.store.ReleaseBrake(w.t.Context(), b.ID, "sam", "they did leave"); err != nil || left > 0 || !ended {
			w.t.Fatalf("%d are left, ended %v: %v", left, ended, err)
		}
	}
}

// Contractors whose cases opened one by one, weeks ago, wait for the end of
// their contracts. A wrong assignment deactivates all of them at once.
func TestTheBrakeCatchesThoseWhoWaitForTheirDate(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{"": 0, "and the clock was ahead when a brake was released": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				w := braked(t, s)
				ids := w.crew(15)
				if ahead > 0 {
					w.clock.move(ahead)
					for i := range 7 {
						id := fmt.Sprintf("early%d", i)
						w.directoryOnly(id, id+"@example.com")
						w.dismissed(id)
					}
					w.release()
					w.clock.move(-ahead)
				}
				for _, id := range ids {
					w.change(id, func(p offboard.Person) offboard.Person { p.Claims.LeaveDate = "2026-06-30"; return p })
					w.clock.move(time.Hour)
				}
				w.pass(time.Minute)
				w.dismissed(ids...)
				w.pass(6 * time.Hour)
				if n := w.removals(); n != 0 {
					w.show()
					t.Fatalf("%d of %d were removed by one wrong assignment", n, len(ids))
				}
				w.release()
				w.run(6*time.Hour, func() bool { return w.removals() == len(ids) })
			})
		})
	}
}

// Whoever comes back while the brake holds their case gets back what was taken,
// without anybody's word; the others stay held.
func TestWhoComesBackIsLetGoByTheBrake(t *testing.T) {
	t.Parallel()
	for name, faulty := range map[string]bool{"": false, "though Amplitude fails at first": true} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				w := braked(t, s)
				w.policy.Approvals = 1
				w.person("leaver", leaver)
				if _, err := w.fake.AddGroup(amplitudefake.Group{Name: "Analysts", Members: []string{leaver}}); err != nil {
					t.Fatal(err)
				}
				groups := func() int { return len(w.fake.PersonState(leaver).Members[0].Groups) }
				ids := w.crew(6)
				w.deactivate()
				w.until(offboard.StateWaiting, offboard.WaitApproval)
				w.dismissed(ids...)
				if c := w.caseOf(leaver).Case; c.State != offboard.StateHeld || groups() != 0 {
					t.Fatalf("the case is %s, %d groups", c.State, groups())
				}
				back := func(active bool) {
					w.change("leaver", func(p offboard.Person) offboard.Person { p.Active = active; return p })
				}
				back(true)
				back(false) // before anybody looked: nothing is given back
				w.pass(time.Hour)
				if c := w.caseOf(leaver).Case; c.State != offboard.StateHeld || groups() != 0 {
					w.show()
					t.Fatalf("the case is %s, %d groups", c.State, groups())
				}
				if faulty {
					w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: 503, Count: 5, Match: amplitudefake.Match{Surface: "scim"}})
				}
				back(true)
				w.run(time.Hour, func() bool { return !w.caseOf(leaver).Case.State.Live() })
				if c := w.caseOf(leaver).Case; c.Outcome != offboard.OutcomeCancelled || groups() != 1 {
					w.show()
					t.Errorf("the case ended as %s, %d groups", c.Outcome, groups())
				}
				for _, id := range ids {
					if c := w.caseOf(id + "@example.com").Case; c.State != offboard.StateHeld {
						t.Errorf("%s is %s", c.Address, c.State)
					}
				}
				back(false) // a new case, and the brake is engaged
				if c := w.caseOf(leaver).Case; c.State != offboard.StateHeld || w.removals() != 0 {
					t.Errorf("the next case is %s", c.State)
				}
			})
		})
	}
}

// The time for the handover does not run while a case is held: the manager gets
// all of it.
func TestTheHandoversTimeDoesNotRunWhileACaseIsHeld(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := braked(t, s)
		w.policy.Unlisted, w.policy.Handover, w.policy.AtHand = offboard.UnlistedTask, 24*time.Hour, offboard.DeadlineRemove
		w.person("kim", "kim@example.com")
		w.person("leaver", leaver)
		w.change("leaver", func(p offboard.Person) offboard.Person { p.Manager = "kim@example.com"; return p })
		ids := w.crew(6)
		w.deactivate()
		w.dismissed(ids...)
		w.clock.move(72 * time.Hour) // over the weekend
		w.release()
		released := w.clock.now()
		w.until(offboard.StateWaiting, offboard.WaitTask)
		w.run(30*time.Hour, func() bool { w.clock.move(time.Minute); return !w.seated() })
		if took := w.clock.now().Sub(released); took < 23*time.Hour {
			w.show()
			t.Errorf("removed %s after the word", took)
		}
	})
}

// An identity provider that calls everybody an incident removes five people.
func TestTheEmergencyBrakeLetsFiveThrough(t *testing.T) {
	t.Parallel()
	for name, anew := range map[string]bool{"": false, "and the process begins anew after each": true} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				w := braked(t, s)
				ids := w.crew(9)
				w.dismissed(ids[8]) // an ordinary leaver, declared an incident at last
				for _, id := range ids {
					w.change(id, func(p offboard.Person) offboard.Person {
						p.Claims.LeaveReason, p.Active = "security_incident", false
						return p
					})
					if w.pass(10 * time.Second); anew {
						w.restart(nil)
					}
				}
				if n := w.removals(); n != 5 {
					w.show()
					t.Fatalf("%d were removed", n)
				}
				var held []offboard.Case
				for _, c := range w.all() {
					if c.State == offboard.StateHeld {
						held = append(held, c)
					}
				}
				if len(held) != 3 {
					w.show()
					t.Fatalf("%d are held", len(held))
				}
				w.pass(2 * time.Hour) // that it is an incident does not stop an ordinary removal
				if c := w.caseOf(ids[8] + "@example.com").Case; c.Outcome != offboard.OutcomeRemoved || c.Plan != offboard.Leaver || w.removals() != 6 {
					w.show()
					t.Errorf("the ordinary leaver: %s %s", c.Plan, c.Outcome)
				}
				w.act(held[0].ID, func(f offboard.File) (offboard.Update, error) { return offboard.ReleaseBatched(f, "sam", "confirmed") })
				for _, c := range held[1:] {
					w.act(c.ID, func(f offboard.File) (offboard.Update, error) { return offboard.CancelBatched(f, "sam", "a mistake") })
				}
				w.pass(2 * time.Hour)
				if n := w.removals(); n != 7 {
					t.Errorf("%d were removed after the word about one", n)
				}
			})
		})
	}
}

// Deleting the group that gives access, or no longer configuring it, removes
// nobody by itself.
func TestAGroupThatVanishesRemovesNobody(t *testing.T) {
	t.Parallel()
	for name, vanish := range map[string]func(*world) error{
		"deleted": func(w *world) error {
			_, _, err := w.store.ChangeGroup(w.t.Context(), offboard.GroupChange{Connection: "okta", ID: "group", Delete: true, Access: w.accessTo("Analytics")})
			return err
		},
		"emptied": func(w *world) error {
			_, _, err := w.store.ChangeGroup(w.t.Context(), offboard.GroupChange{
				Connection: "okta", ID: "group", Members: []offboard.MemberChange{{Op: offboard.ReplaceMembers}}, Access: w.accessTo("Analytics"),
			})
			return err
		},
		"not configured any more": func(w *world) error {
			_, err := w.store.BindAccess(w.t.Context(), "okta", w.accessTo("Others"))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				s.access = true
				w := braked(t, s)
				ids := w.crew(8)
				_, _, err := w.store.CreateGroup(t.Context(), offboard.NewGroup{
					ID: "group", Connection: "okta", DisplayName: "Analytics", Members: ids, Access: w.accessTo("Analytics"),
				})
				if err != nil {
					t.Fatal(err)
				}
				if err := vanish(w); err != nil {
					t.Fatal(err)
				}
				w.restart(nil) // whoever looks next finds the same
				w.pass(3 * time.Hour)
				if n := w.removals(); n != 0 || len(w.all()) != len(ids) || slices.ContainsFunc(w.all(), func(c offboard.Case) bool { return c.State != offboard.StateHeld }) {
					w.show()
					t.Fatalf("%d were removed", n)
				}
				// One gets access by another group meanwhile, and one is deactivated by name.
				_, _, err = w.store.CreateGroup(t.Context(), offboard.NewGroup{
					ID: "others", Connection: "okta", DisplayName: "Others", Members: ids[:1], Access: w.accessTo("Analytics", "Others"),
				})
				if err != nil {
					t.Fatal(err)
				}
				w.dismissed(ids[1])
				w.pass(2 * time.Hour)
				if c := w.caseOf(ids[0] + "@example.com").Case; c.Outcome != offboard.OutcomeCancelled {
					w.show()
					t.Errorf("who has access again: %s %s", c.State, c.Outcome)
				}
				if c := w.caseOf(ids[1] + "@example.com").Case; c.Outcome != offboard.OutcomeRemoved || w.removals() != 1 {
					w.show()
					t.Errorf("who was deactivated: %s %s", c.State, c.Outcome)
				}
				w.release()
				w.run(6*time.Hour, func() bool { return w.removals() == len(ids)-1 })
			})
		})
	}
}

func (w *world) accessTo(groups ...string) offboard.AccessRules {
	return offboard.AccessRules{Groups: groups, Rules: w.rules()}
}

// What was done already is told as it is: the key that was replaced, and no
// longer the group that was given back.
func TestTheBrakeTellsWhatWasDoneAlready(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		v := newVault(t, s)
		v.policy.Contain = offboard.ContainAlways
		v.brake = offboard.BrakeRules{
			Count: 6, Window: 10 * time.Minute, Organizations: []offboard.BrakeReach{{Name: "acme", Connections: []string{"okta"}}},
		}
		v.known = []runner.Credential{v.deployment(), v.credential("by hand", transfer.CredentialSCIMKey, "scim")}
		v.person("leaver", leaver)
		if _, err := v.fake.AddGroup(amplitudefake.Group{Name: "Analysts", Members: []string{leaver}}); err != nil {
			t.Fatal(err)
		}
		v.deactivate()
		v.until(offboard.StateWaiting, offboard.WaitTask)
		v.dismissed(v.crew(6)...)
		told := func(address string) string {
			t.Helper()
			brakes, err := v.store.Brakes(t.Context(), 1)
			if err != nil || len(brakes) != 1 {
				t.Fatalf("%d brakes, %v", len(brakes), err)
			}
			after := ""
			for { // in pages, as it is shown
				list, err := v.store.BrakeCases(t.Context(), brakes[0].ID, after, 3)
				if err != nil || len(list) == 0 {
					t.Fatalf("%s is not among the cases: %v", address, err)
				}
				for _, k := range list {
					if after = k.Case.ID; k.Case.Address == address {
						return k.Told()
					}
				}
			}
		}
		if got := told(leaver); got != "access taken away in advance (1), credentials replaced (1)" {
			v.show()
			t.Errorf("told of the leaver: %s", got)
		}
		if got := told("crew05@example.com"); got != offboard.NothingDone {
			t.Errorf("told of who did nothing yet: %s", got)
		}
		v.comesBack()
		v.run(time.Hour, func() bool { return !v.caseOf(leaver).Case.State.Live() })
		if got := told(leaver); got != "credentials replaced (1)" || v.groups() != 1 {
			v.show()
			t.Errorf("after they came back: %s, %d groups", got, v.groups())
		}
	})
}
