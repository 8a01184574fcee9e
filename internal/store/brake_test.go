package store_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
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
				if left, ended, err := s.ReleaseBrake(t.Context(), brakes[0].ID, "jo", "checked"); err != nil || left != 0 || ended != want {
					t.Errorf("ended %v, %d are left, %v", ended, left, err)
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

// two are two replicas on one database; a SQLite file has one process, which is both.
func (d database) two(t *testing.T) []*store.Store {
	t.Helper()
	c, o := newClock(), d.options(t)
	o.Now = c.now
	first := open(t, o)
	if o.URL == "" {
		return []*store.Store{first, first}
	}
	return []*store.Store{first, open(t, o)}
}

// TestReplicasCountTogether lets people leave through several processes at
// once: whoever comes in which order, none of a window that is too large goes on.
func TestReplicasCountTogether(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			replicas := d.two(t)
			ids := staff(t, replicas[0], 24)
			var all sync.WaitGroup
			for i, id := range ids {
				all.Go(func() { leave(t, replicas[i%len(replicas)], id) })
			}
			all.Wait()
			if n := held(t, replicas[0]); n != len(ids) {
				t.Errorf("%d of %d are held", n, len(ids))
			}
			brakes, err := replicas[0].Brakes(t.Context(), 5)
			if err != nil || len(brakes) != 1 {
				t.Errorf("brakes %+v, %v", brakes, err)
			}
		})
	}
}

// TestAnEmergencyBrakeHoldsUntilSomebodyConfirms lets a provider declare incidents
// again after a while, as one does that works through its people in cycles.
func TestAnEmergencyBrakeHoldsUntilSomebodyConfirms(t *testing.T) {
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, clock := d.open(t)
			ids := staff(t, s, 14)
			for i, id := range ids {
				if i == 7 {
					clock.pass(time.Hour)
				}
				change(t, s, id, braking(), func(p *offboard.Person) { p.Active, p.Claims.LeaveReason = false, "security_incident" })
			}
			if n := held(t, s); n != len(ids)-5 {
				t.Errorf("%d of %d are held", n, len(ids))
			}
		})
	}
}

// TestTwoOperatorsReleaseAtOnce lets two release the same brake through two
// processes: each case goes on once, and one of them ends the brake.
func TestTwoOperatorsReleaseAtOnce(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			replicas := d.two(t)
			ids := staff(t, replicas[0], 12)
			for _, id := range ids {
				leave(t, replicas[0], id)
			}
			brakes, err := replicas[0].Brakes(t.Context(), 0)
			if err != nil || len(brakes) != 1 || held(t, replicas[0]) != len(ids) {
				t.Fatalf("%d are held by %+v, %v", held(t, replicas[0]), brakes, err)
			}
			var released, ended atomic.Int64
			var all sync.WaitGroup
			for i, by := range []string{"kim", "lee"} {
				all.Go(func() {
					for _, k := range cases(t, replicas[i]) {
						_, err := replicas[i].Act(t.Context(), k.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Release(f, by, "meant") })
						if err == nil {
							released.Add(1)
						} else if _, ok := errors.AsType[*offboard.RefusedError](err); !ok {
							t.Error(err)
						}
					}
					switch left, is, err := replicas[i].ReleaseBrake(t.Context(), brakes[0].ID, by, "meant"); {
					case err != nil:
						t.Error(err)
					case is:
						ended.Add(1)
					case left > 0:
						t.Errorf("%d are left", left)
					}
				})
			}
			all.Wait()
			if released.Load() != int64(len(ids)) || ended.Load() != 1 || held(t, replicas[0]) != 0 {
				t.Errorf("%d were released, the brake ended %d times, %d are held", released.Load(), ended.Load(), held(t, replicas[0]))
			}
		})
	}
}

// TestTheShareIsThatOfTheLastTrustedComparison lets a list that nobody believes
// change nothing about how many leavers are too many.
func TestTheShareIsThatOfTheLastTrustedComparison(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, clock := d.open(t)
			ids := staff(t, s, 20)
			sweep := func(members int, failed string) {
				t.Helper()
				clock.pass(7 * time.Hour)
				w, mine, err := s.BeginSweep(t.Context(), "acme", 6*time.Hour)
				if err != nil || !mine {
					t.Fatal(mine, err)
				}
				see(t, s, w, ids...)
				w.Members, w.Failed = members, failed
				if err := s.EndSweep(t.Context(), w, nil, nil); err != nil {
					t.Fatal(err)
				}
			}
			r := braking()
			r.Brake.Count, r.Brake.Percent = 0, 10
			leave := func(id string) {
				t.Helper()
				change(t, s, id, r, func(p *offboard.Person) { p.Active = false })
			}
			for _, id := range ids[:9] {
				leave(id)
			}
			if n := held(t, s); n != 0 {
				t.Fatalf("%d are held, and how many there are is not known", n)
			}
			sweep(60, "")
			sweep(9000, "the list is a lie")
			for _, id := range ids[9:15] {
				leave(id)
			}
			if n := held(t, s); n != 0 {
				t.Fatalf("%d are held: six of sixty are not more than ten percent", n)
			}
			leave(ids[15])
			if n := held(t, s); n != 7 {
				t.Errorf("%d of 7 are held: seven of sixty are more than ten percent", n)
			}
		})
	}
}
