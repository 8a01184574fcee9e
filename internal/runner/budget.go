package runner

import (
	"context"
	"maps"
	"sync"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// reserve is how many requests of every minute only incidents may use.
const reserve = 20

// urgent reports whether a share may use the reserve.
func urgent(s string) bool {
	return amplitude.Share(s) == amplitude.ShareEmergency || amplitude.Share(s) == amplitude.ShareIncident
}

// part is what an ordinary share owns of the rate behind the reserve, in percent.
func part(s string) int {
	switch amplitude.Share(s) {
	case amplitude.ShareRemove:
		return 70
	case amplitude.ShareVerify:
		return 20
	case amplitude.ShareEmergency, amplitude.ShareIncident:
		return 0
	case amplitude.ShareOther:
	}
	return 10
}

// Ordinary is what of a rate is not kept for incidents.
func Ordinary(rate int) int { return max(rate-reserve, 1) }

// Allot decides whether one request of a share may leave now, so that no
// minute holds more than rate of them. What stands before an incident's removal
// may use everything that is left, and what an incident asks later all but a few;
// the others leave the reserve alone, and use what another share owns only while
// that share does not ask for it. wait is when to ask again.
func Allot(m offboard.Meter, share string, rate int, now time.Time) (ok bool, wait time.Duration) {
	if now.Before(m.Throttled) {
		return false, m.Throttled.Sub(now)
	}
	used := map[string]int{}
	ordinary := 0
	for _, u := range m.Uses {
		used[u.Share]++
		if !urgent(u.Share) {
			ordinary++
		}
	}
	wait = time.Second
	if len(m.Uses) > 0 {
		// The oldest request leaves the window first.
		wait = max(m.Uses[0].At.Add(time.Minute).Sub(now), time.Second)
	}
	if len(m.Uses) >= rate {
		return false, wait
	}
	if share == string(amplitude.ShareEmergency) {
		return true, 0
	}
	// Half of the reserve is for the removals of incidents alone: the next one
	// does not wait for what others look up afterwards.
	if len(m.Uses) >= rate-min(reserve, rate)/2 {
		return false, wait
	}
	if share == string(amplitude.ShareIncident) {
		return true, 0
	}
	common := Ordinary(rate)
	if ordinary >= common {
		return false, wait
	}
	kept := 0 // of what others own, wanted and not yet used
	for other, until := range maps.All(m.Asked) {
		if other != share && !urgent(other) && now.Before(until) {
			kept += max(common*part(other)/100-used[other], 0)
		}
	}
	if used[share] < max(common*part(share)/100, 1) || ordinary+kept < common {
		return true, 0
	}
	return false, wait
}

// meter is the shared meter of the organizations' requests.
type meter interface {
	Spend(ctx context.Context, organization, share string, decide func(offboard.Meter, time.Time) (bool, time.Duration)) (bool, time.Duration, error)
	Throttle(ctx context.Context, organization string, wait time.Duration) error
	Load(ctx context.Context, organization string) (offboard.Load, error)
}

// Budget hands out one organization's SCIM requests, to all replicas together.
type Budget struct {
	meter        meter
	organization string
	rate         int
	patience     time.Duration

	mu      sync.Mutex
	counted time.Time // when waiting was
	waiting int
}

// NewBudget returns the budget of an organization of rate requests a minute.
func NewBudget(m meter, organization string, rate int) *Budget {
	return &Budget{meter: m, organization: organization, rate: rate, patience: 2 * time.Second}
}

// Take waits a moment for a slot; where none is near it is a
// *amplitude.BudgetError that says when to come again: a removal behind thousands
// of others later, so that they do not spend their time on asking.
func (b *Budget) Take(ctx context.Context, s amplitude.Share) error {
	var waited time.Duration
	for {
		ok, wait, err := b.meter.Spend(ctx, b.organization, string(s), func(m offboard.Meter, now time.Time) (bool, time.Duration) {
			return Allot(m, string(s), b.rate, now)
		})
		if err != nil || ok {
			return err
		}
		if waited+wait > b.patience {
			if s == amplitude.ShareRemove {
				wait = max(wait, b.behind(ctx))
			}
			return &amplitude.BudgetError{Wait: wait}
		}
		waited += wait
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// longest bounds how long a removal waits without asking again: the queue may be
// shorter by then.
const longest = 8 * time.Minute

// behind is a third of the time that the cases take that wait for a slot now:
// three ask for each slot, and none is left unused. It is counted every few seconds.
func (b *Budget) behind(ctx context.Context) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := time.Now(); now.Sub(b.counted) > 5*time.Second {
		load, err := b.meter.Load(ctx, b.organization)
		if err != nil {
			return 0 // it asks again as soon as there may be a slot
		}
		b.counted, b.waiting = now, load.Waiting
	}
	return min(time.Duration(b.waiting)*time.Minute/time.Duration(3*Ordinary(b.rate)), longest)
}

// Throttled records that Amplitude asked for a pause.
func (b *Budget) Throttled(ctx context.Context, wait time.Duration) {
	// Losing this only means asking once too early; the answer will be 429 again.
	_ = b.meter.Throttle(ctx, b.organization, wait)
}

var _ amplitude.Budget = (*Budget)(nil)
