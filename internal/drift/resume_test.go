package drift_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/drift"
	"offramp/internal/offboard"
)

// executioner is a budget that stops a process at one of its requests.
type executioner struct {
	left int
	stop context.CancelFunc
}

func (e *executioner) Take(ctx context.Context, _ amplitude.Share) error {
	if e.left--; e.left == 0 {
		e.stop()
		return ctx.Err()
	}
	return nil
}

func (e *executioner) Throttled(context.Context, time.Duration) {}

// killed is the record of a process that dies: it leaves nothing in order.
type killed struct{ drift.Store }

func (killed) LeaveSweep(context.Context, offboard.Sweep) error { return nil }

// lists are the first positions of the pages that were read of the member list.
func (w *world) lists() (starts []string) {
	w.t.Helper()
	for _, r := range w.fake.Requests(amplitudefake.RequestFilter{Surface: "scim"}) {
		if r.Path != "/scim/1/Users" {
			continue
		}
		q, err := url.ParseQuery(r.Query)
		if err != nil {
			w.t.Fatal(err)
		}
		starts = append(starts, q.Get("startIndex"))
	}
	return starts
}

// interrupted lets the first comparison of a thousand members stop when it has
// read eight of ten pages. dead: it was killed.
func (w *world) interrupted(dead bool) {
	w.t.Helper()
	for i := range 998 {
		w.seat(fmt.Sprintf("m%03d@elsewhere.example", i), fmt.Sprintf("M%03d", i))
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	e := &executioner{left: 9, stop: cancel}
	w.options.Organizations[0].Client = w.amplitude(setup{budget: func(*world) amplitude.Budget { return e }}, "acme", w.fake)
	if dead {
		w.options.Store = killed{w.store}
	}
	w.restart()
	if _, err := w.store.AskSweep(w.t.Context(), "acme", "kim"); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.sweeper.Sweep(ctx, "acme"); !errors.Is(err, context.Canceled) {
		w.t.Fatalf("stopped with %v", err)
	}
	w.options.Store = w.store
	w.restart()
}

// goesOn sweeps, and checks that this read the two pages that are left, and the
// one before them once more.
func (w *world) goesOn() {
	w.t.Helper()
	if did, err := w.sweeper.Sweep(w.t.Context(), "acme"); err != nil || !did {
		w.t.Fatalf("swept: %v, %v", did, err)
	}
	if all := w.lists(); len(all) != 11 || strings.Join(all[8:], " ") != "701 801 901" {
		w.t.Errorf("the pages that were read begin at %v", all)
	}
	if s := w.swept(); s.Failed != "" || s.Members != 1000 || s.Number != 1 || w.present() != 1000 {
		w.t.Errorf("sweep %+v, %d present", s, w.present())
	}
	w.none()
}

func TestAComparisonThatWasStoppedGoesOnAtOnce(t *testing.T) {
	onBoth(t, setup{drift: func(o *drift.Options) { o.Every = 0 }}, func(w *world) {
		w.interrupted(false)
		if s := w.swept(); s.Running || s.Asked.IsZero() {
			w.t.Errorf("left as %+v", s)
		}
		w.goesOn()
		if did, err := w.sweeper.Sweep(w.t.Context(), "acme"); err != nil || did {
			w.t.Errorf("once more: %v, %v", did, err)
		}
	})
}

func TestAComparisonThatWasKilledGoesOnWhenItIsKnownToBeDead(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.interrupted(true)
		dead := w.swept()
		if did, err := w.sweeper.Sweep(w.t.Context(), "acme"); err != nil || did {
			w.t.Fatalf("two at once: %v, %v", did, err)
		}
		w.clock.move(16 * time.Minute)
		w.goesOn()
		// Should the other not be dead after all, it can write no more.
		for what, err := range map[string]error{
			"see": w.store.SeeSeats(w.t.Context(), dead, []offboard.Seat{{Address: "x@example.com"}}), "leave": w.store.LeaveSweep(w.t.Context(), dead),
		} {
			if !errors.Is(err, offboard.ErrFenced) {
				w.t.Errorf("%s: %v", what, err)
			}
		}
	})
}

func TestAtTheStartOfTheOnlyProcessNoComparisonIsAtWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.interrupted(true)
	if err := w.store.Migrate(t.Context(), nil); err != nil { // as every start does
		t.Fatal(err)
	}
	w.goesOn()
}

func TestAComparisonThatRestedTooLongIsBegunAnew(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.interrupted(true)
		w.clock.move(2 * time.Hour)
		if did, err := w.sweeper.Sweep(w.t.Context(), "acme"); err != nil || !did {
			w.t.Fatalf("swept: %v, %v", did, err)
		}
		if s := w.swept(); s.Failed != "" || s.Members != 1000 || s.Number != 2 || len(w.lists()) != 18 {
			w.t.Errorf("sweep %+v, pages %v", s, w.lists())
		}
	})
}
