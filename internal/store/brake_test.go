package store_test

import (
	"fmt"
	"testing"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store"
)

// braking are rules under which the seventh leaver within ten minutes is one too many.
func braking() offboard.Rules {
	r := withAccess().Rules
	r.AccessConfigured = false
	r.TrustIncidents = true
	r.Brake = offboard.BrakeRules{
		Count: 6, Window: 10 * time.Minute, Emergencies: true,
		Organizations: []offboard.BrakeReach{{Name: "acme", Connections: []string{okta}}},
	}
	return r
}

func leave(t *testing.T, s *store.Store, id string) {
	t.Helper()
	change(t, s, id, braking(), func(p *offboard.Person) { p.Active = false })
}

func held(t *testing.T, s *store.Store) (n int) {
	t.Helper()
	for _, k := range cases(t, s) {
		if k.State == offboard.StateHeld {
			n++
		}
	}
	return n
}

// TestTooManyLeaversEngageTheBrake lets people leave until one is too many: all
// that can be stopped are held, those who come later too, until a person decides.
// Who was released is not caught again, and the brake counts anew.
func TestTooManyLeaversEngageTheBrake(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, clock := d.open(t)
			ids := staff(t, s, 16)
			for _, id := range ids[:6] {
				leave(t, s, id)
			}
			if n := held(t, s); n != 0 {
				t.Fatalf("%d of 6 are held", n)
			}
			leave(t, s, ids[6])
			leave(t, s, ids[7])
			if n := held(t, s); n != 8 {
				t.Fatalf("%d of 8 are held", n)
			}
			brakes, err := s.Brakes(t.Context(), 5)
			if err != nil || len(brakes) != 1 || brakes[0].Name != "acme" {
				t.Fatalf("brakes %+v, %v", brakes, err)
			}
			listed, err := s.BrakeCases(t.Context(), brakes[0].ID, "", 100)
			if err != nil || len(listed) != 8 {
				t.Fatalf("%d cases of the brake, %v", len(listed), err)
			}
			for _, k := range listed {
				if _, err := s.Act(t.Context(), k.Case.ID, func(f offboard.File) (offboard.Update, error) {
					return offboard.ReleaseBatched(f, "jo", "checked")
				}); err != nil {
					t.Error(err)
				}
			}
			for _, want := range []bool{true, false} { // the second word finds nothing to end
				if ended, err := s.ReleaseBrake(t.Context(), brakes[0].ID, true, "jo", "checked"); err != nil || ended != want {
					t.Errorf("ended %v, %v", ended, err)
				}
			}
			clock.pass(time.Second)
			for _, id := range ids[8:14] {
				leave(t, s, id)
			}
			if n := held(t, s); n != 0 {
				t.Fatalf("%d are held after the release", n)
			}
			leave(t, s, ids[14])
			if n := held(t, s); n != 7 {
				t.Errorf("%d are held, want the 7 new ones and none that was released", n)
			}
		})
	}
}

// TestLeaversWhoComeOneByOneDoNotEngageTheBrake spreads the same leavers.
func TestLeaversWhoComeOneByOneDoNotEngageTheBrake(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, clock := d.open(t)
			for _, id := range staff(t, s, 20) {
				leave(t, s, id)
				clock.pass(2 * time.Minute)
			}
			if n := held(t, s); n != 0 {
				t.Errorf("%d are held", n)
			}
		})
	}
}

// TestTheSixthIncidentOfAConnectionWaitsForAWord declares incidents by an
// identity provider; what an operator opens is confirmed by nature.
func TestTheSixthIncidentOfAConnectionWaitsForAWord(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			ids := staff(t, s, 9)
			for i, id := range ids[:7] {
				change(t, s, id, braking(), func(p *offboard.Person) { p.Active, p.Claims.LeaveReason = false, "security_incident" })
				if n := held(t, s); n != max(0, i+1-5) {
					t.Fatalf("after incident %d, %d are held", i+1, n)
				}
			}
			order := offboard.Order{Reason: offboard.SecurityIncident, By: "jo"}
			if _, err := s.Reconsider(t.Context(), ids[7], func(p offboard.Person, prior offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error) {
				return offboard.OpenBy(p, prior, order, braking(), time.Now())
			}); err != nil {
				t.Fatal(err)
			}
			if n := held(t, s); n != 2 {
				t.Errorf("%d are held: the brake must not hold an operator's incident", n)
			}
		})
	}
}

func TestTheShareOfASmallOrganizationCountsFromFiveOn(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ count, percent, members, limit int }{
		{25, 10, 0, 26}, {25, 10, 20, 5}, {25, 10, 100, 11}, {25, 10, 5000, 26}, {0, 10, 0, 0}, {0, 0, 50, 0}, {0, 10, 1000, 101},
	} {
		t.Run(fmt.Sprint(tc), func(t *testing.T) {
			t.Parallel()
			if got := (offboard.BrakeRules{Count: tc.count, Percent: tc.percent}).Limit(tc.members); got != tc.limit {
				t.Errorf("engages at %d, want %d", got, tc.limit)
			}
		})
	}
}
