package runner_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"offramp/amplitude"
	"offramp/internal/runner"
)

// asking is something that wants one request.
type asking struct {
	share amplitude.Share
	since time.Time
	again time.Time
}

// TestVerificationKeepsItsShareBehindManyRemovals lets 600 removals wait while
// verifications come that need less than the share that is theirs.
func TestVerificationKeepsItsShareBehindManyRemovals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{bubble: true})
		b := runner.NewBudget(w.store, "acme", 60)
		var mu sync.Mutex
		var queue []asking
		begun := time.Now()
		for range 600 {
			queue = append(queue, asking{share: amplitude.ShareRemove, since: begun, again: begun})
		}
		end := begun.Add(10 * time.Minute)
		waited := map[amplitude.Share][]time.Duration{}
		next := func() (a asking, ok bool) {
			mu.Lock()
			defer mu.Unlock()
			at := -1
			for i, q := range queue {
				if !q.again.After(time.Now()) && (at < 0 || q.again.Before(queue[at].again)) {
					at = i
				}
			}
			if at < 0 {
				return a, false
			}
			a = queue[at]
			queue = slices.Delete(queue, at, at+1)
			return a, true
		}
		var all sync.WaitGroup
		all.Go(func() { // 6 a minute, and 3 of the others, as after so many removals
			for i := 0; time.Now().Before(end); i++ {
				share := amplitude.ShareVerify
				if i%3 == 0 {
					share = amplitude.ShareOther
				}
				mu.Lock()
				queue = append(queue, asking{share: share, since: time.Now(), again: time.Now()})
				mu.Unlock()
				time.Sleep(7 * time.Second)
			}
		})
		for range 8 {
			all.Go(func() {
				for time.Now().Before(end) {
					a, ok := next()
					if !ok {
						time.Sleep(200 * time.Millisecond)
						continue
					}
					err := b.Take(t.Context(), a.share)
					refused, later := errors.AsType[*amplitude.BudgetError](err)
					if err != nil && !later {
						t.Error(err)
						return
					}
					mu.Lock()
					if later {
						a.again = time.Now().Add(refused.Wait)
						queue = append(queue, a)
					} else {
						waited[a.share] = append(waited[a.share], time.Since(a.since))
					}
					mu.Unlock()
					time.Sleep(50 * time.Millisecond)
				}
			})
		}
		all.Wait()
		for _, share := range []amplitude.Share{amplitude.ShareVerify, amplitude.ShareOther} {
			list := waited[share]
			slices.Sort(list)
			if len(list) < 20 {
				t.Errorf("only %d of %s had their turn", len(list), share)
				continue
			}
			t.Logf("%s: %d, p50 %s, p95 %s, longest %s", share, len(list), list[len(list)/2], list[len(list)*95/100], list[len(list)-1])
			if p95 := list[len(list)*95/100]; p95 > 2*time.Minute {
				t.Errorf("%s waited %s (p95) for what is theirs", share, p95)
			}
		}
		removed := len(waited[amplitude.ShareRemove])
		t.Logf("%d removals", removed)
		if removed < 10*25 {
			t.Errorf("%d removals in 10 minutes: what others own and do not use is not theirs", removed)
		}
	})
}
