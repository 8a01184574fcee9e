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
