package store_test

import (
	"testing"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store"
)

// observedBy closes the case of a person as a process does that only observes.
func observedBy(t *testing.T, s *store.Store, personID string) {
	t.Helper()
	for _, c := range cases(t, s) {
		if c.PersonID != personID || !c.State.Live() {
			continue
		}
		_, fence, err := s.Claim(t.Context(), c.ID, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		none := offboard.WaitNothing
		if _, err := s.Checkpoint(t.Context(), fence, 0, func(offboard.File) (offboard.Update, error) {
			return offboard.Update{State: offboard.StateClosed, Waiting: &none, Outcome: offboard.OutcomeObserved}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReplicasThatAreSwitchedOneAfterTheOtherForgetNobody is a rolling restart:
// the first one enforces already while the second still closes cases as observed.
func TestReplicasThatAreSwitchedOneAfterTheOtherForgetNobody(t *testing.T) {
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, clock := d.open(t)
			rules := func(string) offboard.Rules { return rules() }
			switched := func(observe bool, want int) {
				t.Helper()
				if n, err := s.SwitchMode(t.Context(), observe, rules); err != nil || n != want {
					t.Errorf("%d held, want %d: %v", n, want, err)
				}
			}
			looked := func(want int) {
				t.Helper()
				if n, err := s.HoldObserved(t.Context(), rules); err != nil || n != want {
					t.Errorf("%d held, want %d: %v", n, want, err)
				}
			}
			ids := staff(t, s, 5)
			switched(true, 0)
			change(t, s, ids[0], rules(""), deactivate)
			observedBy(t, s, ids[0])
			looked(0) // while everybody observes, nothing is held
			clock.pass(30 * 24 * time.Hour)

			switched(false, 1)
			change(t, s, ids[1], rules(""), deactivate)
			observedBy(t, s, ids[1]) // by the second one
			clock.pass(time.Minute)
			switched(false, 1)
			change(t, s, ids[2], rules(""), deactivate)
			observedBy(t, s, ids[2]) // by a third that is about to stop, and is never started again
			clock.pass(10 * time.Minute)
			looked(1)

			change(t, s, ids[3], rules(""), deactivate) // runs as it should
			clock.pass(10 * time.Minute)
			looked(0)
			switched(false, 0)
			if n := held(t, s); n != 3 {
				t.Errorf("%d are held", n)
			}
		})
	}
}
