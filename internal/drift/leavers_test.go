package drift_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/drift"
	"offramp/internal/offboard"
)

func TestEverybodyInPlaceIsNoFinding(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.sweep()
		w.none()
		if s := w.swept(); s.Failed != "" || s.Members != 2 || s.Trusted.IsZero() {
			t.Errorf("sweep %+v", s)
		}
		seats, err := w.store.Seats(w.t.Context(), offboard.SeatQuery{Organization: "acme"})
		if err != nil || len(seats) != 2 || seats[0].Address != "kim@example.com" || seats[0].Name != "kim Person" {
			w.t.Errorf("seats %+v: %v", seats, err)
		}
	})
}

func TestALeaverWithALiveCaseIsExplainedUntilItIsDue(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.deactivate()
		w.sweep()
		w.none()
		w.clock.move(24 * time.Hour)
		w.sweep()
		f := w.one(offboard.LeaverStillThere, "jo@example.com")
		if f.Severity != offboard.Critical || f.CaseID == "" || !strings.Contains(f.Text, "was due") {
			w.t.Errorf("finding %+v", f)
		}
		w.work()
		w.sweep()
		w.none()
	})
}

func TestALeaverWhoseCaseWasCancelledIsStillThere(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.deactivate()
		w.cancel()
		w.sweep()
		first := w.one(offboard.LeaverStillThere, "jo@example.com")
		w.sweep()
		again := w.one(offboard.LeaverStillThere, "jo@example.com")
		if again.ID != first.ID || !again.FirstSeen.Equal(first.FirstSeen) || !again.LastSeen.After(first.LastSeen) {
			w.t.Errorf("the second sweep made %+v of %+v", again, first)
		}
		// A list that hides them resolves nothing: they are asked for directly.
		w.set("list_cut", "short")
		w.sweep()
		w.of(offboard.LeaverStillThere)
		w.set("list_cut", "off")
		// The remedy is an ordinary case.
		w.fix(again, offboard.Fix{By: "kim"})
		w.work()
		w.sweep()
		w.none()
	})
}

func TestALeaverComesBack(t *testing.T) {
	for name, row := range map[string]struct {
		how   amplitudefake.Action
		cause string
	}{
		"by logging in":          {amplitudefake.Action{Do: "sso_login", Email: "jo@example.com", Name: "Jo Person"}, "a login at "},
		"by an invitation":       {amplitudefake.Action{Do: "invite", By: "root@example.com", Email: "jo@example.com"}, "invited by root@example.com at "},
		"by a push of the group": {amplitudefake.Action{Do: "idp_group_push", Group: "Analysts", Email: "jo@example.com"}, "invited over SCIM, as a group push"},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, setup{}, func(w *world) {
				if _, err := w.fake.AddGroup(amplitudefake.Group{Name: "Analysts"}); err != nil {
					w.t.Fatal(err)
				}
				w.person("jo", "jo@example.com", amplitudefake.RoleMember)
				w.sweep()
				w.leave()
				w.sweep()
				w.none()
				w.human(row.how)
				w.sweep()
				f := w.of(offboard.LeaverBack)
				if f.Severity != offboard.Critical || f.Rounds != 1 || !strings.Contains(f.Cause, row.cause) || f.Reason != offboard.Deactivated {
					w.t.Errorf("finding %+v", f)
				}
				w.fix(f, offboard.Fix{By: "kim"})
				w.work()
				w.sweep()
				for _, f := range w.open() {
					if f.Kind != offboard.LoginAfterRemoval {
						w.show()
						w.t.Errorf("left open: %s", f.Kind)
					}
				}
			})
		})
	}
}

func TestNoFightOverALeaver(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.sweep()
		w.leave()
		for round := 1; ; round++ {
			w.human(amplitudefake.Action{Do: "invite", By: "root@example.com", Email: "jo@example.com"})
			w.sweep()
			f := w.one(offboard.LeaverBack, "jo@example.com")
			if f.Rounds != round {
				w.t.Fatalf("round %d is counted as %d", round, f.Rounds)
			}
			if round < offboard.RoundsMost {
				w.fix(f, offboard.Fix{By: "kim"})
				w.work()
				continue
			}
			err := offboard.Fixable(f, offboard.Fix{By: "kim"})
			if err == nil || !strings.Contains(err.Error(), "invited by root@example.com") {
				w.t.Errorf("the fourth time it says %v", err)
			}
			w.fix(f, offboard.Fix{By: "kim", Again: true})
			w.work()
			break
		}
		w.sweep()
		w.none()
	})
}

// A round counts though a list that was cut short hid the leaver for a while.
func TestRoundsCountThoughAListHidTheLeaver(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.sweep()
		w.leave()
		for round := 1; round <= offboard.RoundsMost; round++ {
			w.human(amplitudefake.Action{Do: "invite", By: "root@example.com", Email: "jo@example.com"})
			w.set("list_cut", "half")
			w.sweep()
			w.set("list_cut", "off")
			w.sweep()
			f := w.of(offboard.LeaverBack)
			if f.Rounds != round {
				w.t.Fatalf("round %d is counted as %d", round, f.Rounds)
			}
			if round == offboard.RoundsMost {
				if err := offboard.Fixable(f, offboard.Fix{By: "kim"}); err == nil {
					w.t.Error("one time more is not refused")
				}
				return
			}
			w.fix(f, offboard.Fix{By: "kim"})
			w.work()
		}
	})
}

func TestTheWatchEndsWhenSomebodyElseTakesTheAddress(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.sweep()
		w.leave()
		w.change(func(p *offboard.Person) { p.Deleted = w.clock.now() })
		w.work()
		w.hire("joan", "jo@example.com", nil)
		w.human(amplitudefake.Action{Do: "sso_login", Email: "jo@example.com", Name: "Joan Person"})
		w.sweep()
		w.none()
	})
}

func TestALeaverSignsInAfterTheirRemoval(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.sweep()
		w.leave()
		w.human(amplitudefake.Action{Do: "sso_login", Email: "jo@example.com", Name: "Jo Person"})
		// The seat is gone again before anybody looks: the audit log tells all the same.
		w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "jo@example.com"})
		w.sweep()
		f := w.one(offboard.LoginAfterRemoval, "jo@example.com")
		if f.Severity != offboard.Critical || f.CaseID == "" {
			w.t.Errorf("finding %+v", f)
		}
		w.sweep()
		w.one(offboard.LoginAfterRemoval, "jo@example.com")
		w.clock.move(offboard.Watch)
		w.sweep()
		w.none()
	})
}

func TestALoginIsFoundThatTheAuditLogTellsLateOrInPieces(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.set("audit_lag", "30m")
		w.set("audit_mode", "truncate")
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.sweep()
		w.leave()
		w.clock.move(6*time.Hour - 5*time.Minute) // the log shows it only after the next sweep
		for range 150 {
			w.human(amplitudefake.Action{Do: "login", Email: "kim@example.com"})
			w.clock.move(time.Second)
		}
		w.human(amplitudefake.Action{Do: "sso_login", Email: "jo@example.com", Name: "Jo Person"})
		w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "jo@example.com"})
		if did, err := w.sweeper.Sweep(w.t.Context(), "acme"); err != nil || !did {
			w.t.Fatal(did, err)
		}
		w.none()
		w.sweep()
		w.one(offboard.LoginAfterRemoval, "jo@example.com")
	})
}

func TestSomebodyElseRemovesWhileACaseIsOpen(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.sweep()
		w.approvals = 1
		w.deactivate()
		w.step(5 * time.Minute) // identified, and waiting for an approval
		w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "jo@example.com"})
		w.sweep()
		f := w.one(offboard.RemovedByHand, "jo@example.com")
		if !strings.Contains(f.Cause, "removed by root@example.com") {
			w.t.Errorf("cause %q", f.Cause)
		}
		// The case goes on, asks for the removal, and learns that another was first.
		w.act("jo@example.com", func(f offboard.File) (offboard.Update, error) {
			return offboard.Approve(f, offboard.Approval{By: "kim@example.com"})
		})
		w.work()
		w.sweep()
		f = w.one(offboard.RemovedByAnother, "jo@example.com")
		if f.Severity != offboard.Critical || !strings.Contains(f.Cause, "removed by root@example.com") {
			w.t.Errorf("finding %+v", f)
		}
	})
}

func TestAListThatLagsIsNoFinding(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.set("list_lag", "2m")
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.sweep()
		w.deactivate()
		for !w.removed("jo@example.com") {
			w.step(10 * time.Second)
		}
		// A sweep overlaps the removal: the list still shows the seat.
		w.ask()
		w.none()
		w.work()
		w.sweep()
		w.none()
		if seat, _, err := w.store.Seat(w.t.Context(), "acme", "jo@example.com"); err != nil || seat.Gone.IsZero() {
			w.t.Errorf("seat %+v: %v", seat, err)
		}
	})
}

func TestAnAbsenceThatIsContradictedResolvesNothing(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.deactivate()
		w.cancel()
		w.sweep()
		w.one(offboard.LeaverStillThere, "jo@example.com")
		w.set("list_lag", "2m")
		w.set("lag_reverse", "on") // the list is right at once, and who is asked for directly lags
		w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "jo@example.com"})
		w.ask()
		w.one(offboard.LeaverStillThere, "jo@example.com")
		w.sweep()
		w.none()
	})
}

func TestWhoeverTookTheAddressIsNotTheLeaverWhoIsBack(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.sweep()
		w.leave()
		w.change(func(p *offboard.Person) { p.Deleted = w.clock.now() })
		w.work()
		w.hire("joan", "jo@example.com", func(p *offboard.Person) { p.Active = false })
		w.human(amplitudefake.Action{Do: "invite", By: "root@example.com", Email: "jo@example.com"})
		w.sweep()
		if f := w.one(offboard.CreatedInactive, "jo@example.com"); f.PersonID != "joan" {
			w.t.Errorf("finding %+v", f)
		}
	})
}

func TestAPageThatWasReadBeforeTheRemovalIsNoReturn(t *testing.T) {
	t.Parallel()
	meanwhile := func() {}
	w := newWorld(t, setup{drift: func(o *drift.Options) {
		really := o.Sleep
		o.Sleep = func(ctx context.Context, d time.Duration) error { meanwhile(); return really(ctx, d) }
	}})
	w.person("jo", "jo@example.com", amplitudefake.RoleMember)
	for i := range 150 {
		w.seat(fmt.Sprintf("m%03d@elsewhere.example", i), "M")
	}
	w.sweep()
	_, err := w.fake.AddFault(amplitudefake.Fault{
		Kind: amplitudefake.FaultStatus, Count: 1, AfterN: 1, Match: amplitudefake.Match{PathRegexp: "^/scim/1/Users$"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	left := false
	meanwhile = func() { // between the first page and the second
		if !left {
			left = true
			w.leave()
			if err := w.store.BeatSweep(w.t.Context(), w.swept()); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	w.sweep()
	if !left {
		w.t.Fatal("nobody left between the pages")
	}
	w.none()
}
