package drift_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/drift"
	"offramp/internal/offboard"
)

// told are the announcements since it was asked last.
func (w *world) told() []offboard.Message {
	w.t.Helper()
	all, err := w.store.ClaimMessages(w.t.Context(), 100, 10*365*24*time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// toSecurity lets the channel of security be told of findings.
func toSecurity(o *drift.Options) {
	o.Audience = offboard.Audience{Channels: func(a offboard.About) []string {
		if a == offboard.AboutDrift {
			return []string{"security"}
		}
		return nil
	}}
}

func TestChannelsAreToldOfACriticalFindingOnce(t *testing.T) {
	onBoth(t, setup{drift: toSecurity}, func(w *world) {
		w.seat("stranger@example.com", "Stranger") // a warning, which the console shows
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.deactivate()
		w.cancel()
		w.sweep()
		all := w.told()
		if len(all) != 1 || all[0].To != "#security" || !strings.Contains(all[0].Text, "jo@example.com") || strings.Contains(all[0].Text, "stranger") {
			w.t.Fatalf("told %+v", all)
		}
		w.sweep()
		w.restart()
		w.set("answer_404", "true")
		w.sweep()
		w.set("answer_404", "false")
		w.sweep()
		if all := w.told(); len(all) > 0 {
			w.t.Fatalf("told again: %+v", all)
		}
		f := w.of(offboard.LeaverStillThere)
		until := w.clock.now().Add(24 * time.Hour)
		if _, err := w.store.AcknowledgeFinding(w.t.Context(), f.ID, offboard.Acknowledgement{By: "kim", Because: "agreed", Until: until}); err != nil {
			w.t.Fatal(err)
		}
		w.sweep()
		if all := w.told(); len(all) > 0 {
			w.t.Fatalf("told of what somebody put aside: %+v", all)
		}
		w.clock.move(24 * time.Hour)
		w.sweep()
		if all := w.told(); len(all) != 1 {
			w.t.Fatalf("what was put aside is due again, and told: %+v", all)
		}
		// Over, and there again: that is news.
		w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "jo@example.com"})
		w.sweep()
		w.seat("jo@example.com", "jo")
		w.sweep()
		if all := w.told(); len(all) != 1 {
			w.t.Fatalf("it happened again, and told: %+v", all)
		}
	})
}

func TestManyCriticalFindingsAreOneMessage(t *testing.T) {
	t.Parallel()
	var found []offboard.Finding
	for i := range 200 {
		found = append(found, offboard.Finding{Address: fmt.Sprintf("jo%03d@example.com", i), Text: "is back"})
	}
	a := offboard.Audience{Channels: func(offboard.About) []string { return []string{"one", "two"} }}
	all := a.AboutFindings(offboard.Sweep{Organization: "acme", Number: 7}, found)
	if len(all) != 2 || all[0].Subject != "200 critical findings in acme" || !strings.Contains(all[0].Text, "and 190 more") {
		t.Errorf("messages %+v", all)
	}
}

// A finding about the last members of a list is neither missed for ever nor
// resolved because the list is cut before them.
func TestAListThatIsCutHidesNoFinding(t *testing.T) {
	for name, story := range map[string]struct {
		kind   offboard.FindingKind
		arises func(w *world)
		ends   func(w *world)
	}{
		"an invitation": {
			offboard.PendingInvitation,
			func(w *world) {
				w.hire("sam", "sam@example.com", nil)
				w.human(amplitudefake.Action{Do: "invite", By: "root@example.com", Email: "sam@example.com"})
				w.sweep() // the list tells no age: it counts from the day that it was seen first
				w.clock.move(15 * 24 * time.Hour)
			},
			func(w *world) { w.human(amplitudefake.Action{Do: "login", Email: "sam@example.com"}) },
		},
		"created inactive": {
			offboard.CreatedInactive,
			func(w *world) {
				w.seat("sam@example.com", "Sam")
				w.hire("sam", "sam@example.com", func(p *offboard.Person) { p.Active = false })
			},
			func(w *world) {
				w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "sam@example.com"})
			},
		},
		"a stranger": {
			offboard.UnknownToIdP,
			func(w *world) { w.seat("sam@example.com", "Sam") },
			func(w *world) { w.hire("sam", "sam@example.com", nil) },
		},
		"a second seat by its name": {
			offboard.SecondSeat,
			func(w *world) {
				w.person("jo", "jo@example.com", amplitudefake.RoleMember)
				if err := w.fake.AddMember(amplitudefake.Member{Email: "sam@example.com", GivenName: "jo", FamilyName: "Person"}); err != nil {
					w.t.Fatal(err)
				}
			},
			func(w *world) {
				w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "sam@example.com"})
			},
		},
		"a second seat": {
			offboard.SecondSeat,
			func(w *world) { w.seat("kim+test@example.com", "Kim") },
			func(w *world) {
				w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "kim+test@example.com"})
			},
		},
	} {
		cuts := []string{"half"}
		if story.kind == offboard.CreatedInactive {
			cuts = []string{"half", "short", "empty"}
		}
		for _, cut := range cuts {
			t.Run(name+", "+cut, func(t *testing.T) {
				onBoth(t, setup{}, func(w *world) {
					for i := range 120 {
						w.seat(fmt.Sprintf("m%03d@elsewhere.example", i), fmt.Sprintf("M%03d", i))
					}
					w.sweep()
					w.none()
					story.arises(w)
					w.set("list_cut", cut)
					w.sweep()
					w.of(offboard.ListUntrusted)
					w.set("list_cut", "off")
					w.sweep()
					if all := w.open(); len(all) != 1 || all[0].Kind != story.kind {
						w.show()
						w.t.Fatalf("open are %v, want one %s", kinds(all), story.kind)
					}
					w.set("list_cut", cut)
					w.sweep()
					w.of(story.kind)
					story.ends(w)
					w.sweep()
					w.of(story.kind) // whatever it is, such a list does not say
					w.set("list_cut", "off")
					w.sweep()
					w.none()
				})
			})
		}
	}
}

// Whoever a list still shows after they were removed by hand is not missed yet;
// whoever an empty list does not show is not missed either.
func TestWhoIsMissingIsFoundWhenTheListTellsTheTruth(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("sam", "sam@example.com", amplitudefake.RoleMember)
		w.clock.move(48 * time.Hour)
		w.sweep()
		w.none()
		w.set("list_lag", "2m")
		w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "sam@example.com"})
		w.ask()
		w.none()
		w.sweep()
		w.one(offboard.EntitledButNoMember, "sam@example.com")
		w.seat("sam@example.com", "Sam")
		w.set("list_cut", "empty")
		w.sweep()
		for _, f := range w.open() {
			if f.Kind == offboard.EntitledButNoMember && f.Address != "sam@example.com" {
				w.t.Errorf("%s is missed because of an empty list", f.Address)
			}
		}
		w.of(offboard.EntitledButNoMember)
		w.set("list_cut", "off")
		w.sweep()
		w.none()
	})
}
