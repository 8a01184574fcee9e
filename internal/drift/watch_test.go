package drift_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/drift"
	"offramp/internal/offboard"
)

// learned are the entries that comparisons added to a case. It fails where the
// chain is broken.
func (w *world) learned(caseID string) (out []string) {
	w.t.Helper()
	all, err := w.store.Timeline(w.t.Context(), caseID)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range all {
		if e.Kind == offboard.NoteDrift || e.Kind == offboard.NoteWatch {
			out = append(out, e.Text)
		}
	}
	return out
}

// tells checks what comparisons added to a case, by the beginnings of it.
func (w *world) tells(caseID string, want ...string) {
	w.t.Helper()
	got := w.learned(caseID)
	same := slices.EqualFunc(got, want, func(text, part string) bool { return strings.Contains(text, part) })
	if !same {
		w.t.Fatalf("the case tells %q, want %q", got, want)
	}
}

func TestWhatTheWatchSeesIsAddedToTheEvidenceOnce(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.sweep()
		w.leave()
		id := w.caseOf("jo@example.com").ID
		body, hash, err := w.store.Evidence(w.t.Context(), id)
		if err != nil {
			w.t.Fatal(err)
		}
		w.sweep()
		w.tells(id)
		w.human(amplitudefake.Action{Do: "sso_login", Email: "jo@example.com", Name: "Jo Person"})
		w.sweep()
		w.tells(id, "found in acme, leaver_back: ", "found in acme, login_after_removal: ")
		w.sweep()
		w.restart()
		w.sweep()
		w.tells(id, "leaver_back", "login_after_removal")

		fixed := w.fix(w.of(offboard.LeaverBack), offboard.Fix{By: "kim"})
		if err := w.store.LinkFinding(w.t.Context(), w.of(offboard.LeaverBack).ID, fixed); err != nil {
			w.t.Fatal(err)
		}
		w.work()
		w.sweep()
		w.tells(id, "leaver_back", "login_after_removal", "case "+fixed+" was opened about",
			"the seat was removed again by case "+fixed, "no longer found in acme, leaver_back")
		w.clock.move(offboard.Watch)
		w.sweep()
		w.sweep()
		w.tells(id, "leaver_back", "login_after_removal", "was opened about", "removed again", "leaver_back", "no longer found in acme, login_after_removal")
		w.tells(fixed, "the watch on the address ended: 30 days are over, and nothing was found: the address has no seat in acme")
		if b, h, err := w.store.Evidence(w.t.Context(), id); err != nil || b != body || h != hash {
			w.t.Errorf("the bundle changed: %v", err)
		}
	})
}

func TestTheWatchTellsWhyItEnded(t *testing.T) {
	for name, story := range map[string]struct {
		happens func(w *world)
		want    []string
	}{
		"when 30 days were quiet": {
			func(w *world) { w.clock.move(offboard.Watch) },
			[]string{"30 days are over, and nothing was found: the address has no seat in acme"},
		},
		"when the address changed hands": {
			func(w *world) {
				w.change(func(p *offboard.Person) { p.Deleted = w.clock.now() })
				w.work()
				w.hire("joan", "jo@example.com", nil)
			},
			[]string{"the address changed hands: jo@example.com of connection okta has it since 2026-03-02T"},
		},
		"when they are welcome again": {
			func(w *world) { w.change(func(p *offboard.Person) { p.Active = true }) },
			[]string{"whoever has the address is entitled again, through connection okta"},
		},
		"when they are there at its end": {
			func(w *world) {
				w.human(amplitudefake.Action{Do: "invite", By: "root@example.com", Email: "jo@example.com"})
				w.sweep()
				w.clock.move(offboard.Watch)
			},
			[]string{"found in acme, leaver_back", "30 days are over, and the address has a seat in acme", "no longer found in acme, leaver_back since"},
		},
		"when what was found is over": {
			func(w *world) {
				w.human(amplitudefake.Action{Do: "invite", By: "root@example.com", Email: "jo@example.com"})
				w.sweep()
				w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "jo@example.com"})
				w.sweep()
				w.clock.move(offboard.Watch)
			},
			[]string{"leaver_back", "no longer found in acme, leaver_back", "30 days are over; the address has no seat, and what was found in the meantime"},
		},
		"when nobody could say whether they signed in": {
			func(w *world) {
				w.options.Organizations[0].Audit = false
				w.restart()
				w.clock.move(offboard.Watch)
			},
			[]string{"whether they signed in is not known to the end, since the audit log of acme was not read"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, setup{}, func(w *world) {
				w.person("jo", "jo@example.com", amplitudefake.RoleMember)
				w.sweep()
				w.leave()
				w.sweep()
				id := w.caseOf("jo@example.com").ID
				w.tells(id)
				story.happens(w)
				w.sweep()
				w.sweep()
				w.tells(id, story.want...)
			})
		})
	}
}

// A list that is not trusted ends no watch, and neither does one organization
// of two.
func TestAWatchEndsWhenEveryOrganizationWasReadOnceMore(t *testing.T) {
	onBoth(t, setup{beta: true}, func(w *world) {
		w.member("root@example.com")
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.member("jo@example.com")
		w.both()
		w.leave()
		w.both()
		id := w.caseOf("jo@example.com").ID
		w.clock.move(offboard.Watch)
		w.sweep() // of acme alone
		w.tells(id)
		if err := w.beta.SetSwitch("list_cut", "empty"); err != nil {
			w.t.Fatal(err)
		}
		w.both()
		w.tells(id)
		if err := w.beta.SetSwitch("list_cut", "off"); err != nil {
			w.t.Fatal(err)
		}
		w.both()
		w.tells(id, "the address has no seat in acme, beta")
	})
}

func TestTwoReplicasAddToTheEvidenceOnce(t *testing.T) {
	onBoth(t, setup{beta: true}, func(w *world) {
		w.member("root@example.com")
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.both()
		w.leave()
		id := w.caseOf("jo@example.com").ID
		w.clock.move(offboard.Watch)
		w.both()
		w.clock.move(6 * time.Hour)
		other, err := drift.New(w.options)
		if err != nil {
			w.t.Fatal(err)
		}
		var all sync.WaitGroup
		var errs [4]error
		for i, organization := range []string{"acme", "beta", "acme", "beta"} {
			sweeper := w.sweeper
			if i >= 2 {
				sweeper = other
			}
			all.Go(func() { _, errs[i] = sweeper.Sweep(context.WithoutCancel(w.t.Context()), organization) })
		}
		all.Wait()
		if err := errors.Join(errs[:]...); err != nil {
			w.t.Fatal(err)
		}
		w.tells(id, "30 days are over")
	})
}

func TestEachRoundTellsOfItsOwnLogins(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.sweep()
		w.leave()
		first := w.caseOf("jo@example.com").ID
		w.human(amplitudefake.Action{Do: "sso_login", Email: "jo@example.com", Name: "Jo Person"})
		w.sweep()
		w.fix(w.of(offboard.LeaverBack), offboard.Fix{By: "kim"})
		w.work()
		second := w.caseOf("jo@example.com").ID
		w.human(amplitudefake.Action{Do: "sso_login", Email: "jo@example.com", Name: "Jo Person"})
		w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "jo@example.com"})
		for range 3 {
			w.sweep()
		}
		w.tells(first, "found in acme, leaver_back", "found in acme, login_after_removal", "removed again", "no longer found in acme, leaver_back")
		w.tells(second, "found in acme, login_after_removal")
		for _, f := range w.open() {
			if !strings.Contains(f.Text, "1 times") {
				w.t.Errorf("%s", f.Text)
			}
		}
	})
}

func TestALoginIsOverWithItsWatchThoughTheAuditLogIsReadNoLonger(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.sweep()
		w.leave()
		w.human(amplitudefake.Action{Do: "sso_login", Email: "jo@example.com", Name: "Jo Person"})
		w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "jo@example.com"})
		w.sweep()
		w.one(offboard.LoginAfterRemoval, "jo@example.com")
		w.options.Organizations[0].Audit = false
		w.restart()
		w.sweep()
		w.one(offboard.LoginAfterRemoval, "jo@example.com") // not looked at, not resolved
		w.clock.move(offboard.Watch)
		w.sweep()
		w.none()
	})
}

func TestALoginIsFoundThatTheAuditLogTellsHoursLate(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.set("audit_lag", "90m")
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.sweep()
		w.leave()
		w.clock.move(6*time.Hour - 80*time.Minute)
		w.human(amplitudefake.Action{Do: "sso_login", Email: "jo@example.com", Name: "Jo Person"})
		w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "jo@example.com"})
		w.clock.move(80 * time.Minute)
		if did, err := w.sweeper.Sweep(w.t.Context(), "acme"); err != nil || !did {
			w.t.Fatal(did, err)
		}
		w.none()
		w.sweep()
		w.one(offboard.LoginAfterRemoval, "jo@example.com")
	})
}

func TestWhatStoodInAnOrganizationThatIsConfiguredNoLongerIsOver(t *testing.T) {
	onBoth(t, setup{beta: true}, func(w *world) {
		w.member("root@example.com")
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.member("jo@example.com")
		w.deactivate()
		w.cancel()
		w.both()
		w.in("beta", offboard.LeaverStillThere)
		w.options.Organizations = w.options.Organizations[:1]
		w.restart()
		w.sweep()
		if f := w.one(offboard.LeaverStillThere, "jo@example.com"); f.Organization != "acme" {
			w.t.Errorf("finding %+v", f)
		}
		all, err := w.store.Findings(w.t.Context(), offboard.FindingFilter{Organization: "beta", All: true})
		if err != nil || len(all) != 1 || !strings.Contains(all[0].ResolvedWhy, "not configured any more") {
			w.t.Errorf("in beta: %+v, %v", all, err)
		}
		if seat, _, err := w.store.Seat(w.t.Context(), "beta", "jo@example.com"); err != nil || seat.Gone.IsZero() {
			w.t.Errorf("seat %+v, %v", seat, err)
		}
	})
}

func TestASeatThatTheConnectionDoesNotReachIsNoSeat(t *testing.T) {
	onBoth(t, setup{beta: true, drift: func(o *drift.Options) {
		o.Connections = []drift.Connection{
			{Name: "okta", Organizations: []string{"acme"}, Domains: []string{"example.com"}}, {Name: "entra", Organizations: []string{"beta"}, Domains: []string{"example.org"}},
		}
	}}, func(w *world) {
		w.member("root@example.com")
		w.hire("sam", "sam@example.com", nil)
		w.member("sam@example.com")
		w.clock.move(48 * time.Hour)
		w.both()
		w.both()
		w.of(offboard.EntitledButNoMember)
	})
}
