package store_test

import (
	"slices"
	"testing"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store"
)

// spend asks for a request while a minute holds fewer than five.
func spend(t *testing.T, s *store.Store) (ok bool, at time.Time) {
	t.Helper()
	ok, _, err := s.Spend(t.Context(), "acme", "remove", func(m offboard.Meter, now time.Time) (bool, time.Duration) {
		at = now
		if now.Before(m.Throttled) {
			return false, m.Throttled.Sub(now)
		}
		return len(m.Uses) < 5, time.Second
	})
	if err != nil {
		t.Fatal(err)
	}
	return ok, at
}

// A clock that is put right after it was ahead makes nothing wait for the time
// that it showed: what was sent counts for a minute more, and a pause is over.
func TestAClockThatIsSetBackHoldsTheBudgetUpForAMinute(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, clock := d.open(t)
			for range 5 {
				if ok, _ := spend(t, s); !ok {
					t.Fatal("refused")
				}
			}
			if err := s.Throttle(t.Context(), "acme", 30*time.Second); err != nil {
				t.Fatal(err)
			}
			clock.pass(-time.Hour)
			if ok, _ := spend(t, s); ok {
				t.Error("what may just have been sent does not count")
			}
			clock.pass(61 * time.Second)
			for range 5 {
				if ok, _ := spend(t, s); !ok {
					t.Fatal("refused a minute after the clock was put right")
				}
			}
			if err := s.Throttle(t.Context(), "acme", 2*time.Minute); err != nil {
				t.Fatal(err)
			}
			if err := s.Throttle(t.Context(), "acme", time.Second); err != nil {
				t.Fatal(err)
			}
			clock.pass(61 * time.Second)
			if ok, _ := spend(t, s); ok {
				t.Error("a shorter pause ended a longer one")
			}
			clock.pass(time.Minute)
			if ok, _ := spend(t, s); !ok {
				t.Error("the pause does not end")
			}
		})
	}
}

// Replicas whose clocks differ count by the database's.
func TestReplicasCountByTheDatabasesClock(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		if d.name != "postgres" {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			o := d.options(t)
			o.DatabaseClock = true
			var replicas []*store.Store
			for _, ahead := range []time.Duration{0, 90 * time.Second, -time.Hour} {
				c := newClock()
				c.pass(ahead)
				o.Now = c.now
				replicas = append(replicas, open(t, o))
			}
			var at []time.Time
			sent := 0
			for range 4 {
				for _, s := range replicas {
					ok, now := spend(t, s)
					if at = append(at, now); ok {
						sent++
					}
				}
			}
			if !slices.IsSortedFunc(at, time.Time.Compare) || at[len(at)-1].Sub(at[0]) > time.Minute {
				t.Errorf("the times are not those of one clock: %v", at)
			}
			if sent != 5 {
				t.Errorf("%d were sent, and a minute holds five", sent)
			}
		})
	}
}
