package drift_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
)

func TestTheGravestFindingsAreListedFirst(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.deactivate()
		w.cancel()
		w.sweep()
		for i := range 12 {
			w.seat(fmt.Sprintf("s%02d@example.com", i), fmt.Sprintf("S%02d", i))
		}
		w.sweep()
		var all []offboard.Finding
		for f := (offboard.FindingFilter{Most: 5}); ; {
			page, err := w.store.Findings(w.t.Context(), f)
			if err != nil {
				w.t.Fatal(err)
			}
			all = append(all, page...)
			if len(page) < f.Most {
				break
			}
			f.Before = page[len(page)-1].ID
		}
		if len(all) != 13 || all[0].Kind != offboard.LeaverStillThere {
			w.t.Errorf("listed are %v", kinds(all))
		}
		some, err := w.store.Findings(w.t.Context(), offboard.FindingFilter{Severity: offboard.Critical})
		if err != nil || len(some) != 1 {
			w.t.Errorf("critical are %v, %v", kinds(some), err)
		}
	})
}

func TestWhatComesAgainWasAcknowledgedByNobody(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.seat("sam@example.com", "Sam")
		w.sweep()
		f := w.one(offboard.UnknownToIdP, "sam@example.com")
		a := offboard.Acknowledgement{By: "kim", Because: "a bot", Until: w.clock.now().Add(300 * 24 * time.Hour)}
		if _, err := w.store.AcknowledgeFinding(w.t.Context(), f.ID, a); err != nil {
			w.t.Fatal(err)
		}
		w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "sam@example.com"})
		w.sweep()
		w.seat("sam@example.com", "Eve")
		w.sweep()
		if f := w.one(offboard.UnknownToIdP, "sam@example.com"); f.AckBy != "" || f.AckWhy != "" || !f.AckUntil.IsZero() {
			w.t.Errorf("it says that %s acknowledged it until %s", f.AckBy, f.AckUntil)
		}
	})
}

// grouped lets the list of groups be one group with these members, whatever is true.
func (w *world) grouped(members ...string) {
	var list []string
	for _, m := range members {
		list = append(list, fmt.Sprintf(`{"value":%q,"display":"M"}`, m))
	}
	w.lie = func(r *http.Request) string {
		if r.Method != http.MethodGet || r.URL.Path != "/scim/1/Groups" {
			return ""
		}
		return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":1,"startIndex":1,"itemsPerPage":1,
			"Resources":[{"id":7,"displayName":"Analysts","members":[` + strings.Join(list, ",") + `]}]}`
	}
}

// leftInAGroup removes jo, whom a group still holds.
func (w *world) leftInAGroup() {
	w.t.Helper()
	w.person("jo", "jo@example.com", amplitudefake.RoleMember)
	w.sweep()
	w.leave()
	w.grouped("jo@example.com", "kim@example.com")
	w.sweep()
}

func TestAGroupStillHoldsALeaverWhoWasRemoved(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.leftInAGroup()
		f := w.one(offboard.GroupWithoutSeat, "jo@example.com")
		if f.PersonID != "jo" || !strings.Contains(f.Text, "the leaver was removed and is still in groups of acme: Analysts") {
			w.t.Errorf("finding %+v", f)
		}
		if err := offboard.Fixable(f, offboard.Fix{By: "kim", Named: true}); err == nil || !strings.Contains(err.Error(), "take the address out") {
			w.t.Errorf("a case is opened for it: %v", err)
		}
		// Groups that cannot be read say nothing.
		w.lie = nil
		broken, err := w.fake.AddFault(amplitudefake.Fault{
			Kind: amplitudefake.FaultStatus, Status: http.StatusForbidden, Match: amplitudefake.Match{PathRegexp: "^/scim/1/Groups$"},
		})
		if err != nil {
			w.t.Fatal(err)
		}
		w.sweep()
		w.one(offboard.GroupWithoutSeat, "jo@example.com")
		w.fake.RemoveFault(broken)
		w.sweep()
		w.none()
	})
}

// noGroups is an Amplitude whose list of groups is empty, though it knows one when
// asked about it; gone: it does not.
func (w *world) noGroups(gone bool) {
	const empty = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":0,"startIndex":1,"itemsPerPage":0,"Resources":[]}`
	w.lie = func(r *http.Request) string {
		switch {
		case r.Method != http.MethodGet:
		case r.URL.Path == "/scim/1/Groups":
			return empty
		case strings.HasPrefix(r.URL.Path, "/scim/1/Groups/") && !gone:
			return `{"id":"` + strings.TrimPrefix(r.URL.Path, "/scim/1/Groups/") + `","displayName":"Analysts","members":[{"value":"jo@example.com","display":"M"}]}`
		}
		return ""
	}
}

func TestAListOfGroupsThatIsEmptyResolvesNothing(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.leftInAGroup()
		w.one(offboard.GroupWithoutSeat, "jo@example.com")
		w.noGroups(false)
		w.sweep()
		w.one(offboard.GroupWithoutSeat, "jo@example.com")
		w.noGroups(true)
		w.sweep()
		w.none()
	})
}

func TestAListOfGroupsThatIsEmptyProvesNoAbsence(t *testing.T) {
	for story, gone := range map[string]bool{"a group is known when asked about": false, "there is no group any more": true} {
		t.Run(story, func(t *testing.T) {
			onBoth(t, setup{}, func(w *world) {
				w.person("jo", "jo@example.com", amplitudefake.RoleMember)
				w.grouped("kim@example.com")
				w.sweep()
				w.noGroups(gone)
				w.deactivate()
				w.step(3 * time.Hour)
				if c := w.caseOf("jo@example.com"); (c.Outcome == offboard.OutcomeRemoved) != gone || !gone && !strings.Contains(c.Note, "knows it: who is in which group cannot be told") {
					w.show()
					w.t.Errorf("%s %s: %s", c.State, c.Outcome, c.Note)
				}
			})
		})
	}
}

func TestAGroupHoldsSomebodyWithoutASeat(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.sweep()
		w.grouped("ghost@example.com")
		w.sweep()
		w.none() // they may have been invited after the list was read
		w.sweep()
		w.one(offboard.GroupWithoutSeat, "ghost@example.com")
		w.seat("ghost@example.com", "Ghost")
		w.hire("ghost", "ghost@example.com", nil)
		w.sweep()
		w.none()
	})
}

func TestALeaversPrivateSeatIsFoundOutsideEveryDomain(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		err := w.fake.AddMember(amplitudefake.Member{Email: "jo.person@mail.example", GivenName: "jo", FamilyName: "Person", LastLogin: w.clock.now()})
		if err != nil {
			w.t.Fatal(err)
		}
		w.seat("one@guests.example", "Guest")
		w.seat("two@guests.example", "Guest") // two guests of one name are nobody's matter
		w.sweep()
		f := w.one(offboard.SecondSeat, "jo.person@mail.example")
		if f.Connection != "" || f.Reason != "" || !strings.Contains(f.Text, "the same name as jo@example.com") {
			w.t.Errorf("finding %+v", f)
		}
		err = offboard.Fixable(f, offboard.Fix{By: "kim", Named: true, Alone: true, Because: "asked jo"})
		if err == nil || !strings.Contains(err.Error(), "no connection has its domain") {
			w.t.Errorf("a case is opened for it: %v", err)
		}
		w.leave()
		w.change(func(p *offboard.Person) { p.Deleted = w.clock.now() })
		w.work()
		w.sweep() // that the provider forgot them is no reason to forget the seat
		w.one(offboard.SecondSeat, "jo.person@mail.example")
		w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "jo.person@mail.example"})
		w.sweep()
		w.none()
	})
}

// What was acknowledged as a warning in observe mode is told anew where it is
// critical, in enforce mode.
func TestAnAcknowledgementEndsWhenTheFindingBecomesCritical(t *testing.T) {
	onBoth(t, setup{observe: true}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.sweep()
		w.deactivate()
		w.step(time.Hour)
		w.sweep()
		f := w.of(offboard.LeaverStillThere)
		if f.Severity == offboard.Critical {
			w.t.Fatalf("finding %+v", f)
		}
		_, err := w.store.AcknowledgeFinding(t.Context(), f.ID, offboard.Acknowledgement{By: "kim", Because: "observing", Until: w.clock.now().Add(90 * 24 * time.Hour)})
		if err != nil {
			w.t.Fatal(err)
		}
		w.sweep()
		if is, err := w.store.Finding(t.Context(), f.ID); err != nil || is.State != offboard.FindingAcknowledged {
			w.t.Errorf("%+v, %v", is, err)
		}
		w.options.Observe = false
		w.restart()
		w.sweep()
		if is, err := w.store.Finding(t.Context(), f.ID); err != nil || is.Severity != offboard.Critical || is.State != offboard.FindingOpen || is.AckBy != "" {
			w.t.Errorf("%+v, %v", is, err)
		}
	})
}
