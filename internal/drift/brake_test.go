package drift_test

import (
	"fmt"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
)

// The brake counts a share of the members that the last list to be trusted held:
// neither a list that lies nor an organization that shrinks under it makes more
// leavers pass.
func TestTheBrakeKnowsTheShareThoughTheListLies(t *testing.T) {
	for name, lie := range map[string]func(*world){
		"":               func(*world) {},
		"empty with 200": func(w *world) { w.set("list_cut", "empty") },
		"cut in half":    func(w *world) { w.set("list_cut", "half") },
		"404 to all":     func(w *world) { w.set("answer_404", "true") },
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, setup{}, func(w *world) {
				for i := range 20 {
					w.person(fmt.Sprintf("p%02d", i), fmt.Sprintf("p%02d@example.com", i), amplitudefake.RoleMember)
				}
				for i := range 98 {
					w.seat(fmt.Sprintf("m%03d@elsewhere.example", i), "M")
				}
				w.sweep()
				lie(w)
				w.sweep()
				rules := w.rules()
				rules.Brake = offboard.BrakeRules{
					Percent: 10, Window: 10 * time.Minute, Organizations: []offboard.BrakeReach{{Name: "acme", Connections: []string{"okta"}}},
				}
				held := func() (n int) {
					all, err := w.store.Cases(w.t.Context(), offboard.CaseFilter{State: offboard.StateHeld})
					if err != nil {
						w.t.Fatal(err)
					}
					return len(all)
				}
				for i := range 13 { // of 120
					if n := held(); n != 0 {
						w.t.Fatalf("after %d, %d are held", i, n)
					}
					_, err := w.store.ChangePerson(w.t.Context(), offboard.PersonChange{
						Connection: "okta", ID: fmt.Sprintf("p%02d", i), Rules: rules,
						Change: func(p offboard.Person) (offboard.Person, error) { p.Active = false; return p, nil },
					})
					if err != nil {
						w.t.Fatal(err)
					}
				}
				if n := held(); n != 13 {
					w.t.Errorf("%d of 13 are held", n)
				}
			})
		})
	}
}

// A seat that was made since the last comparison counts when the case finds it, even
// where another comparison comes between.
func TestTheBrakeCountsSeatsThatNobodyHadSeen(t *testing.T) {
	for name, c := range map[string]struct {
		leavers int
		between func(*world)
		held    bool
	}{
		"more than the limit":       {leavers: 8, held: true},
		"and a comparison between":  {leavers: 8, between: func(w *world) { w.clock.move(time.Second); w.ask() }, held: true},
		"as many as the limit lets": {leavers: 5},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, setup{}, func(w *world) {
				w.brake = offboard.BrakeRules{
					Count: 5, Window: 10 * time.Minute, Organizations: []offboard.BrakeReach{{Name: "acme", Connections: []string{"okta"}}},
				}
				address := func(i int) string { return fmt.Sprintf("p%02d@example.com", i) }
				for i := range 8 {
					w.hire(fmt.Sprintf("p%02d", i), address(i), nil)
				}
				w.sweep()
				w.clock.move(time.Hour)
				for i := range 8 {
					w.seat(address(i), "P")
				}
				for i := range c.leavers {
					w.leaves(fmt.Sprintf("p%02d", i))
				}
				if c.between != nil {
					c.between(w)
				}
				w.step(time.Hour)
				removed := 0
				for i := range c.leavers {
					k := w.caseOf(address(i))
					if (k.State == offboard.StateHeld) != c.held {
						w.t.Errorf("%s is %s: %s", k.Address, k.State, k.Note)
					}
					if len(w.fake.PersonState(address(i)).Members) == 0 {
						removed++
					}
				}
				if c.held && removed > 0 || !c.held && removed != c.leavers {
					w.t.Errorf("%d are removed", removed)
				}
				if !c.held {
					return
				}
				brakes, err := w.store.Brakes(t.Context(), 0)
				if err != nil || len(brakes) != 1 {
					w.t.Fatalf("brakes %+v, %v", brakes, err)
				}
				for i := range c.leavers {
					w.act(address(i), func(f offboard.File) (offboard.Update, error) { return offboard.Release(f, "kim", "meant") })
				}
				if left, ended, err := w.store.ReleaseBrake(t.Context(), brakes[0].ID, "kim", "meant"); err != nil || !ended {
					w.t.Fatalf("%d left, ended %v, %v", left, ended, err)
				}
				w.step(time.Hour)
				for i := range c.leavers {
					if len(w.fake.PersonState(address(i)).Members) != 0 {
						w.t.Errorf("%s was not removed after the release: %s", address(i), w.caseOf(address(i)).Note)
					}
				}
			})
		})
	}
}
