package runner_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
)

func TestAReductionSurvivesFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]amplitudefake.Fault{
		"refused for a while":    {Kind: amplitudefake.FaultStatus, Status: 403, Count: 3},
		"broken for a while":     {Kind: amplitudefake.FaultStatus, Status: 500, Count: 3},
		"done, and said not to":  {Kind: amplitudefake.FaultStatusAfter, Status: 500, Count: 1},
		"done, and not answered": {Kind: amplitudefake.FaultResetAfter, Count: 1},
	} {
		for at, match := range map[string]amplitudefake.Match{
			"role":   {Method: http.MethodDelete, PathRegexp: "project-role-assignments"},
			"lower":  {Method: http.MethodPatch, PathRegexp: "project-role-assignments"},
			"group":  {Method: http.MethodPatch, PathRegexp: "Groups"},
			"access": {Method: http.MethodGet, PathRegexp: "/users/.*/access"},
		} {
			t.Run(name+", at the "+at, func(t *testing.T) {
				t.Parallel()
				o := newOffice(t, setup{}, offboard.Revoke{})
				r := offboard.Revoke{Projects: []int{o.web}, Leave: []string{"Web"}, Join: []string{"Readers"}}
				want := map[int]string{o.mobile: manager}
				if at == "lower" {
					r.Role, want = "Viewer", map[int]string{o.web: viewer, o.mobile: manager}
				} else {
					r.Join = nil
				}
				o.triggers = moves(t, offboard.Policy{Name: "movers", Plan: offboard.Mover, Revoke: r})
				fault := fault
				fault.Match = match
				o.fault(fault)
				o.department("Sales")
				if f := o.closed(leaver); f.Case.Outcome != offboard.OutcomeReduced {
					o.show()
					t.Errorf("outcome %s", f.Case.Outcome)
				}
				groups := []int{o.gCore}
				if at == "lower" {
					groups = append(groups, o.gCore+1)
				}
				o.want(want, groups...)
				if len(o.fake.PersonState(leaver).Outbox) > 0 {
					t.Error("somebody was invited")
				}
			})
		}
	}
}

func TestAReductionThatIsOnlySaidIsNotBelieved(t *testing.T) {
	t.Parallel()
	group := amplitudefake.Match{Method: http.MethodPatch, PathRegexp: "Groups"}
	for name, row := range map[string]struct {
		match  amplitudefake.Match
		revoke offboard.Revoke
		left   map[int]string
	}{
		"a group alone": {group, offboard.Revoke{Leave: []string{"Web", "Core"}}, nil},
		"a group":       {group, offboard.Revoke{All: true, Leave: []string{"Web", "Core"}}, map[int]string{}},
		"a role": {
			amplitudefake.Match{Method: http.MethodDelete, PathRegexp: "project-role"},
			offboard.Revoke{All: true, Leave: []string{"Web", "Core"}},
			map[int]string{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, setup{}, row.revoke)
			o.fault(amplitudefake.Fault{Kind: amplitudefake.FaultEchoLie, Count: 1, Match: row.match})
			o.department("Sales")
			f := o.until(offboard.StateNeedsAttention, offboard.WaitNothing)
			if len(f.Tasks) > 0 || !strings.Contains(f.Case.Note, "they do not show") {
				t.Errorf("%d tasks, note %q", len(f.Tasks), f.Case.Note)
			}
			o.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Retry(f, "kim", "again") })
			if f = o.closed(leaver); f.Case.Outcome != offboard.OutcomeReduced {
				o.show()
				t.Errorf("outcome %s", f.Case.Outcome)
			}
			if row.left == nil {
				row.left = map[int]string{o.web: manager, o.mobile: manager}
			}
			o.want(row.left)
		})
	}
}

func TestAccessThatComesBackDuringTheWatchIsNoticed(t *testing.T) {
	t.Parallel()
	o := newOffice(t, setup{}, offboard.Revoke{Leave: []string{"Web"}})
	o.department("Sales")
	o.run(time.Hour, func() bool { return !o.caseOf(leaver).Case.Verified.IsZero() })
	if _, err := o.fake.Human(amplitudefake.Action{Do: "idp_group_push", Email: leaver, Group: "Web"}); err != nil {
		t.Fatal(err)
	}
	f := o.until(offboard.StateNeedsAttention, offboard.WaitNothing)
	if !strings.Contains(f.Case.Note, "somebody gave it back") {
		t.Errorf("note %q", f.Case.Note)
	}
	o.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Retry(f, "kim", "no more pushes") })
	if f = o.closed(leaver); f.Case.Outcome != offboard.OutcomeReduced {
		o.show()
		t.Errorf("outcome %s", f.Case.Outcome)
	}
	o.want(map[int]string{o.web: manager, o.mobile: manager}, o.gCore)
}

func TestNobodyIsInvitedByJoiningAGroup(t *testing.T) {
	t.Parallel()
	c := &cut{}
	var o *office
	c.world = func() *world {
		if o == nil {
			return nil
		}
		return o.world
	}
	o = newOffice(t, setup{client: func(w *world, ao *amplitude.Options) { c.next = w.fake.Transport(); ao.Transport = c }},
		offboard.Revoke{Leave: []string{"Core"}, Join: []string{"Readers"}})
	o.department("Sales")
	removed := false
	o.beforeWrite = func(*http.Request) { // somebody removes the member between the plan and the change
		if !removed {
			removed = true
			if _, err := o.fake.Human(amplitudefake.Action{Do: "remove_member", Email: leaver, By: "root@example.com"}); err != nil {
				t.Error(err)
			}
		}
	}
	f := o.closed(leaver)
	if s := o.fake.PersonState(leaver); len(s.Members) > 0 || len(s.Outbox) > 0 || len(s.Resurrections) > 0 {
		o.show()
		t.Errorf("%d seats, %d invitations", len(s.Members), len(s.Outbox))
	}
	o.said(f, "somebody else removed it")
}

// cut ends an attempt at a write: before it reaches Amplitude, or before its
// answer reaches us.
type cut struct {
	next   http.RoundTripper
	world  func() *world
	at     int // which write; 0: none
	before bool
	seen   int
	kill   context.CancelFunc
}

func (c *cut) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet {
		return c.next.RoundTrip(r)
	}
	if w := c.world(); w != nil && w.beforeWrite != nil {
		w.beforeWrite(r)
	}
	c.seen++
	if c.seen != c.at {
		return c.next.RoundTrip(r)
	}
	if !c.before {
		res, err := c.next.RoundTrip(r)
		if err == nil {
			_ = res.Body.Close()
		}
	}
	c.kill()
	return nil, errors.New("killed")
}

func TestAReductionThatWasKilledIsFinished(t *testing.T) {
	t.Parallel()
	for _, before := range []bool{true, false} {
		for at := 1; at <= 3; at++ {
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				c := &cut{at: at, before: before, world: func() *world { return nil }}
				s.client = func(w *world, o *amplitude.Options) { c.next = w.fake.Transport(); o.Transport = c }
				o := newOffice(t, s, offboard.Revoke{Role: "Viewer", Leave: []string{"Web"}})
				o.department("Sales")
				ctx, kill := context.WithCancel(t.Context())
				c.kill = kill
				for ctx.Err() == nil {
					if id, ok := o.jobs.take(); ok {
						if err := o.runner.Advance(ctx, id); err != nil && ctx.Err() == nil {
							t.Fatal(err)
						}
						continue
					}
					o.clock.move(5 * time.Second)
					if _, err := o.store.Due(t.Context(), 10, 10); err != nil {
						t.Fatal(err)
					}
				}
				f := o.closed(leaver)
				o.want(map[int]string{o.web: viewer, o.mobile: viewer}, o.gCore)
				for _, e := range f.Effects {
					if e.State != offboard.EffectDone {
						t.Errorf("effect %s is %s", e.Key, e.State)
					}
				}
				if len(f.Effects) != 3 || f.Case.Outcome != offboard.OutcomeReduced {
					o.show()
					t.Errorf("%d effects, outcome %s", len(f.Effects), f.Case.Outcome)
				}
			})
		}
	}
}

func TestANameThatMeansNothingChangesNothing(t *testing.T) {
	t.Parallel()
	for text, r := range map[string]offboard.Revoke{
		"no organization has a permission group Wbe": {All: true, Leave: []string{"Wbe"}},
		"has no role Reader":                         {Role: "Reader"},
		"no organization has a permission group Nix": {All: true, Join: []string{"Nix"}},
	} {
		o := newOffice(t, setup{}, r)
		o.department("Sales")
		f := o.until(offboard.StateNeedsAttention, offboard.WaitNothing)
		if !strings.Contains(f.Case.Note, text) {
			t.Errorf("note %q", f.Case.Note)
		}
		o.want(map[int]string{o.web: manager, o.mobile: manager}, o.gWeb, o.gCore)
	}
}
