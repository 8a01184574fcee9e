package runner_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"offramp/amplitude"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

func shares() []string {
	return []string{string(amplitude.ShareEmergency), string(amplitude.ShareIncident), string(amplitude.ShareRemove), string(amplitude.ShareVerify), string(amplitude.ShareOther)}
}

// TestNoMinuteHoldsMoreThanTheRate asks in every order and at every pace.
func TestNoMinuteHoldsMoreThanTheRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.IntRange(21, 90).Draw(t, "rate")
		now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
		m := offboard.Meter{Asked: map[string]time.Time{}}
		var all []offboard.Use
		for range rapid.IntRange(1, 600).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "pause")) * time.Millisecond)
			share := rapid.SampledFrom(shares()).Draw(t, "share")
			for len(m.Uses) > 0 && !m.Uses[0].At.After(now.Add(-time.Minute)) {
				m.Uses = m.Uses[1:]
			}
			ok, wait := runner.Allot(m, share, rate, now)
			if !ok {
				if wait <= 0 {
					t.Fatalf("refused without a time to come back")
				}
				m.Asked[share] = now.Add(wait + time.Minute)
				continue
			}
			use := offboard.Use{Share: share, At: now}
			m.Uses, all = append(m.Uses, use), append(all, use)
		}
		for i, first := range all {
			n, ordinary, urgent := 0, 0, 0
			for _, u := range all[i:] {
				if u.At.Sub(first.At) >= time.Minute {
					break
				}
				n++
				switch amplitude.Share(u.Share) {
				case amplitude.ShareEmergency:
					urgent++
				case amplitude.ShareIncident:
				case amplitude.ShareRemove, amplitude.ShareVerify, amplitude.ShareOther:
					ordinary++
				}
			}
			if n > rate || ordinary > rate-20 || n-urgent > rate-10 {
				t.Fatalf("%d requests (%d ordinary, %d removals of incidents) within a minute at a rate of %d", n, ordinary, urgent, rate)
			}
		}
	})
}

func TestBudgetShares(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	used := func(n int, share amplitude.Share) (out []offboard.Use) {
		for range n {
			out = append(out, offboard.Use{Share: string(share), At: now.Add(-30 * time.Second)})
		}
		return out
	}
	for name, tc := range map[string]struct {
		meter offboard.Meter
		share amplitude.Share
		want  bool
	}{
		"removals use what nobody else asks for":       {offboard.Meter{Uses: used(35, amplitude.ShareRemove)}, amplitude.ShareRemove, true},
		"removals leave what verification waits for":   {offboard.Meter{Uses: used(35, amplitude.ShareRemove), Asked: map[string]time.Time{"verify": now.Add(time.Minute)}}, amplitude.ShareRemove, false},
		"verification gets its own while removals run": {offboard.Meter{Uses: used(35, amplitude.ShareRemove)}, amplitude.ShareVerify, true},
		"nobody ordinary touches the reserve":          {offboard.Meter{Uses: used(40, amplitude.ShareRemove)}, amplitude.ShareVerify, false},
		"an incident takes the reserve":                {offboard.Meter{Uses: used(40, amplitude.ShareRemove)}, amplitude.ShareEmergency, true},
		"an incident's questions use the reserve too":  {offboard.Meter{Uses: used(40, amplitude.ShareRemove)}, amplitude.ShareIncident, true},
		"they leave the next incident its removal":     {offboard.Meter{Uses: used(50, amplitude.ShareIncident)}, amplitude.ShareIncident, false},
		"which is then sent":                           {offboard.Meter{Uses: used(50, amplitude.ShareIncident)}, amplitude.ShareEmergency, true},
		"nobody passes the rate":                       {offboard.Meter{Uses: used(60, amplitude.ShareEmergency)}, amplitude.ShareEmergency, false},
		"a 429 stops everybody":                        {offboard.Meter{Throttled: now.Add(time.Second)}, amplitude.ShareEmergency, false},
	} {
		if got, _ := runner.Allot(tc.meter, string(tc.share), 60, now); got != tc.want {
			t.Errorf("%s: allowed %v", name, got)
		}
	}
}

// full is a meter whose minute is used up, with so many cases behind it.
type full struct{ waiting int }

func (full) Spend(_ context.Context, _, _ string, decide func(offboard.Meter, time.Time) (bool, time.Duration)) (bool, time.Duration, error) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	m := offboard.Meter{}
	for range 60 {
		m.Uses = append(m.Uses, offboard.Use{Share: string(amplitude.ShareRemove), At: now.Add(-30 * time.Second)})
	}
	ok, wait := decide(m, now)
	return ok, wait, nil
}

func (full) Throttle(context.Context, string, time.Duration) error { return nil }

func (f full) Load(context.Context, string) (offboard.Load, error) {
	return offboard.Load{Used: 60, Waiting: f.waiting}, nil
}

// Ten thousand removals that asked once a minute would ask 170 times for each
// that leaves, and incidents would wait behind their questions.
func TestARemovalInALongQueueAsksSeldom(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		waiting int
		share   amplitude.Share
		want    time.Duration
	}{
		{0, amplitude.ShareRemove, 30 * time.Second},
		{30, amplitude.ShareRemove, 30 * time.Second},
		{600, amplitude.ShareRemove, 5 * time.Minute}, // of the fifteen that they take
		{10_000, amplitude.ShareRemove, 8 * time.Minute},
		{10_000, amplitude.ShareVerify, 30 * time.Second},
		{10_000, amplitude.ShareIncident, 30 * time.Second},
	} {
		err := runner.NewBudget(full{tc.waiting}, "acme", 60).Take(t.Context(), tc.share)
		refused, ok := errors.AsType[*amplitude.BudgetError](err)
		if !ok || refused.Wait != tc.want {
			t.Errorf("%s behind %d: %v, want to come back after %s", tc.share, tc.waiting, err, tc.want)
		}
	}
}
