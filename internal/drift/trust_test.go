package drift_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/drift"
	"offramp/internal/offboard"
)

// crowd is an organization of which one member is a leaver who is still there.
func (w *world) crowd(n int) {
	w.t.Helper()
	w.person("jo", "jo@example.com", amplitudefake.RoleMember)
	for i := range n {
		w.seat(fmt.Sprintf("m%03d@elsewhere.example", i), fmt.Sprintf("M%03d", i))
	}
	w.deactivate()
	w.cancel()
	w.sweep()
	w.one(offboard.LeaverStillThere, "jo@example.com")
}

// present counts the seats that the record takes for present.
func (w *world) present() (n int) {
	w.t.Helper()
	for after := ""; ; {
		page, err := w.store.Seats(w.t.Context(), offboard.SeatQuery{Organization: "acme", After: after, Most: 100})
		if err != nil {
			w.t.Fatal(err)
		}
		if n += len(page); len(page) < 100 {
			return n
		}
		after = offboard.Fold(page[len(page)-1].Address)
	}
}

func TestAListThatLiesChangesNothing(t *testing.T) {
	for name, lie := range map[string]func(*world){
		"cut in half":       func(w *world) { w.set("list_cut", "half") },
		"shorter than said": func(w *world) { w.set("list_cut", "short") },
		"empty with 200":    func(w *world) { w.set("list_cut", "empty") },
		"404 to all":        func(w *world) { w.set("answer_404", "true") },
		"an error with 200": func(w *world) {
			if _, err := w.fake.AddFault(amplitudefake.Fault{Kind: amplitudefake.FaultErrorBody, Match: amplitudefake.Match{Surface: "scim"}}); err != nil {
				w.t.Fatal(err)
			}
		},
		"complete, and nobody answers directly": func(w *world) {
			w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "jo@example.com"})
			_, err := w.fake.AddFault(amplitudefake.Fault{
				Kind: amplitudefake.FaultStatus, Status: 404, Match: amplitudefake.Match{Surface: "scim", PathPrefix: "/scim/1/Users/"},
			})
			if err != nil {
				w.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, setup{}, func(w *world) {
				w.crowd(250)
				before, trusted := w.present(), w.swept().Trusted
				lie(w)
				w.sweep()
				s := w.swept()
				if s.Failed == "" || !s.Trusted.Equal(trusted) {
					w.show()
					w.t.Fatalf("trusted: %+v", s)
				}
				if n := w.present(); n != before {
					w.t.Errorf("%d seats are present, there were %d", n, before)
				}
				w.of(offboard.LeaverStillThere)
				w.of(offboard.ListUntrusted)
				if w.swept().Running || !w.swept().Due(6*time.Hour, w.clock.now().Add(30*time.Minute)) {
					w.t.Error("it is not read again within half an hour")
				}
				// The truth is believed again, and resolves both.
				w.set("list_cut", "off")
				w.set("answer_404", "false")
				w.fake.RemoveFault(0)
				if len(w.fake.PersonState("jo@example.com").Members) > 0 {
					w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "jo@example.com"})
				}
				w.sweep()
				w.none()
			})
		})
	}
}

func TestManyWhoReallyLeftAreBelieved(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.crowd(60)
		for i := range 30 {
			w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: fmt.Sprintf("m%03d@elsewhere.example", i)})
		}
		w.sweep()
		if s := w.swept(); s.Failed != "" || s.Members != 33 || w.present() != 33 {
			w.t.Errorf("sweep %+v, %d present", s, w.present())
		}
	})
}

// purse is a budget that runs out in the middle of everything.
type purse struct {
	mu    sync.Mutex
	left  int
	asked int
}

func (p *purse) Take(context.Context, amplitude.Share) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if p.left--; p.left < 0 {
		p.left = 2
		return &amplitude.BudgetError{Wait: 40 * time.Second}
	}
	return nil
}

func (p *purse) Throttled(context.Context, time.Duration) {}

func TestASweepGoesOnWhereTheBudgetStoppedIt(t *testing.T) {
	p := &purse{}
	w := newWorld(t, setup{budget: func(*world) amplitude.Budget { return p }})
	for i := range 550 {
		w.seat(fmt.Sprintf("m%03d@elsewhere.example", i), "M")
	}
	from := w.clock.now()
	p.left = 2
	w.sweep()
	if s := w.swept(); s.Failed != "" || s.Members != 552 {
		t.Fatalf("sweep %+v", s)
	}
	lists := 0
	for _, r := range w.fake.Requests(amplitudefake.RequestFilter{Surface: "scim"}) {
		if strings.HasPrefix(r.Path, "/scim/1/Users") {
			lists++
		}
	}
	if lists != 6 {
		t.Errorf("%d requests for the list of 552 members, want 6", lists)
	}
	if waited := w.clock.now().Sub(from) - 6*time.Hour; waited < 2*time.Minute {
		t.Errorf("waited %s in all", waited)
	}
}

func TestTwoReplicasSweepOnce(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.crowd(250)
		w.clock.move(6 * time.Hour)
		other, err := drift.New(w.options)
		if err != nil {
			w.t.Fatal(err)
		}
		var did [2]bool
		var errs [2]error
		var both sync.WaitGroup
		for i, s := range []*drift.Sweeper{w.sweeper, other} {
			both.Go(func() { did[i], errs[i] = s.Sweep(context.WithoutCancel(w.t.Context()), "acme") })
		}
		both.Wait()
		if err := errors.Join(errs[:]...); err != nil || did[0] == did[1] {
			w.t.Errorf("swept: %v, %v", did, err)
		}
		if n := w.swept().Number; n != 2 {
			w.t.Errorf("sweep number %d", n)
		}
		w.one(offboard.LeaverStillThere, "jo@example.com")
	})
}

func TestASweepWhoseProcessDiedIsTakenOver(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.sweep()
		w.clock.move(6 * time.Hour)
		dead, mine, err := w.store.BeginSweep(w.t.Context(), "acme", 6*time.Hour)
		if err != nil || !mine {
			w.t.Fatal(mine, err)
		}
		if did, err := w.sweeper.Sweep(w.t.Context(), "acme"); err != nil || did {
			w.t.Fatalf("two at once: %v, %v", did, err)
		}
		w.clock.move(16 * time.Minute)
		if did, err := w.sweeper.Sweep(w.t.Context(), "acme"); err != nil || !did {
			w.t.Fatalf("not taken over: %v, %v", did, err)
		}
		// Should the other not be dead after all, it can write no more.
		if err := w.store.SeeSeats(w.t.Context(), dead, []offboard.Seat{{Address: "x@example.com"}}); !errors.Is(err, offboard.ErrFenced) {
			w.t.Errorf("the other one wrote: %v", err)
		}
		if err := w.store.TrustSweep(w.t.Context(), dead); !errors.Is(err, offboard.ErrFenced) {
			w.t.Errorf("the other one judged: %v", err)
		}
	})
}

func TestAClockThatJumpsHoldsNoSweepUp(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.crowd(10)
		w.clock.move(365 * 24 * time.Hour)
		w.sweep()
		w.clock.move(-365 * 24 * time.Hour) // it was wrong
		w.sweep()
		if s := w.swept(); s.Number != 3 || s.Failed != "" {
			w.t.Errorf("sweep %+v", s)
		}
		w.of(offboard.LeaverStillThere)
	})
}
