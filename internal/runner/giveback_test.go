package runner_test

import (
	"context"
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

// A case that took something while the mode was enforce does not end as observed:
// what it took is still to be given back, or is part of a removal.
func TestObserveModeEndsNoCaseThatTookSomething(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := contained(t, s)
		w.restart(func(o *runner.Options) { o.Observe = true })
		w.act(w.newest(leaver).ID, func(f offboard.File) (offboard.Update, error) {
			return offboard.Approve(f, offboard.Approval{By: "kim@example.com"})
		})
		f := w.until(offboard.StateNeedsAttention, offboard.WaitNothing)
		if !strings.Contains(f.Case.Note, "this case has changed something already (access taken away in advance: 1)") || w.groups() != 0 || !w.seated() {
			w.show()
			t.Errorf("%d groups, seat there %v: %s", w.groups(), w.seated(), f.Case.Note)
		}
		w.restart(nil)
		w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Cancel(f, "kim", "they stay") })
		if f = w.closed(leaver); f.Case.State != offboard.StateCancelled || w.groups() != 1 {
			w.show()
			t.Errorf("%s, and %d groups", f.Case.State, w.groups())
		}
	})
}

// What the directory says when the removal is about to come stands, also where
// another process has to find it out: nobody is removed.
func TestWhatTheDirectorySaysLateStopsTheRemovalAfterARestart(t *testing.T) {
	t.Parallel()
	for story, c := range map[string]struct {
		late func(*world)
		says string
	}{
		"somebody else has the address": {func(w *world) {
			w.change("leaver", func(p offboard.Person) offboard.Person {
				p.UserName, p.Address = "jo.doe@example.com", "jo.doe@example.com"
				return p
			})
			w.directoryOnly("new", leaver)
			w.restart(nil)
		}, "somebody else at the identity provider holds this address now"},
		"entitled through another connection": {func(w *world) {
			_, err := w.store.ChangePerson(w.t.Context(), offboard.PersonChange{
				Connection: "entra", ID: "other", Rules: w.rules(), Change: func(p offboard.Person) (offboard.Person, error) { p.Active = true; return p, nil },
			})
			if err != nil {
				w.t.Fatal(err)
			}
			w.restart(nil)
		}, "entitled through connection entra"},
		"out of the connection's reach": {func(w *world) {
			w.restart(func(o *runner.Options) { o.Reachable = func(string, string) bool { return false } })
		}, "is outside this connection's domains"},
	} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				w := newWorld(t, s)
				_, err := w.store.ChangePerson(t.Context(), offboard.PersonChange{
					Connection: "entra", Rules: w.rules(), Change: func(p offboard.Person) (offboard.Person, error) {
						p.ID, p.UserName, p.Address, p.Active, p.Resource = "other", leaver, leaver, false, "{}"
						return p, nil
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				w.policy.Approvals = 1
				w.person("leaver", leaver)
				w.deactivate()
				id := w.until(offboard.StateWaiting, offboard.WaitApproval).Case.ID
				c.late(w)
				w.act(id, func(f offboard.File) (offboard.Update, error) {
					return offboard.Approve(f, offboard.Approval{By: "kim@example.com"})
				})
				w.after(time.Hour)
				f, err := w.store.Case(t.Context(), id)
				if err != nil || f.Case.State != offboard.StateNeedsAttention || !strings.Contains(f.Case.Note, c.says) || !w.seated() {
					w.show()
					t.Errorf("%s %q, seat there %v, %v", f.Case.State, f.Case.Note, w.seated(), err)
				}
			})
		})
	}
}

// interrupted is a store in which a person acts right before an attempt records
// that it needs one.
type interrupted struct {
	runner.Store
	act func()
}

func (s *interrupted) Checkpoint(ctx context.Context, f offboard.Fence, keep time.Duration, change func(offboard.File) (offboard.Update, error)) (offboard.File, error) {
	file, err := s.Case(ctx, f.CaseID)
	if err != nil {
		return file, err
	}
	if u, err := change(file); err == nil && u.State == offboard.StateNeedsAttention && s.act != nil {
		act := s.act
		s.act = nil
		act()
	}
	return s.Store.Checkpoint(ctx, f, keep, change)
}

// What a person decides while an attempt is at work is not written over by it.
func TestAWordThatComesWhileAnAttemptEndsIsKept(t *testing.T) {
	t.Parallel()
	for story, c := range map[string]struct {
		decide func(offboard.File) (offboard.Update, error)
		want   offboard.State
	}{
		"cancelled": {func(f offboard.File) (offboard.Update, error) { return offboard.Cancel(f, "kim", "they stay") }, offboard.StateCancelled},
		"held":      {func(f offboard.File) (offboard.Update, error) { return offboard.Hold(f, "kim", "wait") }, offboard.StateHeld},
	} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				st := &interrupted{}
				s.opts = func(o *runner.Options) {
					st.Store, o.Store = o.Store, st
					o.Protected = func(offboard.Person) string { return "protected: for this story" }
				}
				w := newWorld(t, s)
				w.person("leaver", leaver)
				st.act = func() { w.act(w.newest(leaver).ID, c.decide) }
				w.deactivate()
				w.after(time.Hour)
				if f := w.caseOf(leaver); f.Case.State != c.want || st.act != nil {
					w.show()
					t.Errorf("the case is %s: %s", f.Case.State, f.Case.Note)
				}
			})
		})
	}
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
