package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"offramp/internal/offboard"
)

func TestAnAdoptedPersonIsInvisibleToTheIdentityProvider(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			eve, err := s.AdoptPerson(t.Context(), okta, " Eve@Example.com")
			if err != nil || !eve.Adopted() || eve.Active || eve.Address != "eve@example.com" || eve.Name() != "eve@example.com" {
				t.Fatalf("adopted %+v: %v", eve, err)
			}
			again, err := s.AdoptPerson(t.Context(), okta, "eve@example.com")
			if err != nil || again.ID != eve.ID {
				t.Errorf("the second call returned %q: %v", again.ID, err)
			}
			elsewhere, err := s.AdoptPerson(t.Context(), "entra", "eve@example.com")
			if err != nil || elsewhere.ID == eve.ID {
				t.Errorf("another connection got %q: %v", elsewhere.ID, err)
			}
			for _, q := range []offboard.PeopleQuery{{}, {ID: eve.ID}, {UserName: "eve@example.com"}, {Email: "eve@example.com"}} {
				q.Connection, q.Slice = okta, offboard.Slice{Limit: 10}
				people, total, err := s.People(t.Context(), q)
				if err != nil || total != 0 || len(people) != 0 {
					t.Errorf("%+v lists %d of %d: %v", q, len(people), total, err)
				}
			}
			if _, err := s.Person(t.Context(), okta, eve.ID); !errors.Is(err, offboard.ErrNotFound) {
				t.Errorf("read by id: %v", err)
			}
			if _, err := s.FindPerson(t.Context(), okta, "eve@example.com"); !errors.Is(err, offboard.ErrNotFound) {
				t.Errorf("found: %v", err)
			}
			if _, err := s.ChangePerson(t.Context(), newcomer(okta, "id-eve", "eve@example.com")); err != nil {
				t.Errorf("a user of that name cannot be created: %v", err)
			}
		})
	}
}

func TestAnAddressThatSomebodyHoldsIsNotAdopted(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, c := d.open(t)
			jo := hire(t, s, "jo")
			if _, err := s.AdoptPerson(t.Context(), okta, "JO@example.com"); !isTaken(err) {
				t.Errorf("got %v", err)
			}
			// Whom the provider deleted is known, and taken before anybody is made up.
			c.pass(time.Hour)
			change(t, s, jo.ID, rules(), func(p *offboard.Person) { p.Deleted = c.now() })
			p, err := s.AdoptPerson(t.Context(), okta, "jo@example.com")
			if err != nil || p.ID != jo.ID || p.Adopted() {
				t.Errorf("got %+v: %v", p, err)
			}
		})
	}
}

func isTaken(err error) bool { _, ok := errors.AsType[*offboard.TakenError](err); return ok }

func TestWhoTakesTheAddressOfAnAdoptedPersonStopsTheirCase(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, c := d.open(t)
			eve, err := s.AdoptPerson(t.Context(), okta, "eve@example.com")
			if err != nil {
				t.Fatal(err)
			}
			id, err := s.Reconsider(t.Context(), eve.ID, func(p offboard.Person, prior offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error) {
				return offboard.OpenBy(p, prior, offboard.Order{Reason: offboard.SecurityIncident, By: "kim"}, rules(), c.now())
			})
			if err != nil {
				t.Fatal(err)
			}
			f, err := s.Case(t.Context(), id)
			if err != nil || f.Case.Plan != offboard.Emergency || f.Standing.Entitled || f.Standing.HeldBy != "" {
				t.Fatalf("case %+v, standing %+v: %v", f.Case, f.Standing, err)
			}
			c.pass(time.Minute)
			if _, err := s.ChangePerson(t.Context(), newcomer(okta, "id-eve", "eve@example.com")); err != nil {
				t.Fatal(err)
			}
			if f, err = s.Case(t.Context(), id); err != nil || f.Standing.HeldBy != "id-eve" {
				t.Errorf("held by %q: %v", f.Standing.HeldBy, err)
			}
		})
	}
}

func TestOfManyAdoptionsThereIsOnePerson(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			var wg sync.WaitGroup
			ids, errs := make([]string, 8), make([]error, 8)
			for i := range ids {
				wg.Go(func() {
					p, err := s.AdoptPerson(t.Context(), okta, "eve@example.com")
					ids[i], errs[i] = p.ID, err
				})
			}
			wg.Wait()
			for i := range ids {
				if errs[i] != nil || ids[i] == "" || ids[i] != ids[0] {
					t.Errorf("call %d got %q: %v", i, ids[i], errs[i])
				}
			}
		})
	}
}
