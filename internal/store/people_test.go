package store_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store"
)

func TestADeactivationAndItsCaseAreOneWrite(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, c := d.open(t)
			jo := hire(t, s, "jo")
			c.pass(time.Hour)
			is := change(t, s, jo.ID, rules(), deactivate)
			if is.Active || is.Version != 2 || !is.Modified.Equal(c.now()) {
				t.Errorf("recorded %+v", is)
			}
			list := cases(t, s)
			if len(list) != 1 || list[0].PersonID != jo.ID || list[0].Reason != offboard.Deactivated || list[0].Address != "jo@example.com" {
				t.Fatalf("cases: %+v", list)
			}
			f, err := s.Case(t.Context(), list[0].ID)
			if err != nil || len(f.Steps) == 0 {
				t.Errorf("the case has no plan: %v", err)
			}
			// The provider sends it again.
			again := change(t, s, jo.ID, rules(), deactivate)
			if again.Version != 2 || len(cases(t, s)) != 1 {
				t.Errorf("a repeated deactivation made version %d and %d cases", again.Version, len(cases(t, s)))
			}
		})
	}
}

func TestAChangeThatFailsRecordsNothing(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			jo := hire(t, s, "jo")
			stop := errors.New("another version")
			_, err := s.ChangePerson(t.Context(), offboard.PersonChange{
				Connection: okta, ID: jo.ID, Rules: rules(),
				Change: func(p offboard.Person) (offboard.Person, error) { p.Active = false; return p, stop },
			})
			if !errors.Is(err, stop) {
				t.Errorf("got %v", err)
			}
			if p, err := s.Person(t.Context(), okta, jo.ID); err != nil || !p.Active || len(cases(t, s)) != 0 {
				t.Errorf("active %v, %v, %d cases", p.Active, err, len(cases(t, s)))
			}
		})
	}
}

func TestACreateThatIsRepeatedFindsItself(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			first := hire(t, s, "jo")
			second := hire(t, s, "jo") // the same id: the attempt whose answer was lost
			if second.ID != first.ID || second.Version != 1 {
				t.Errorf("got %+v", second)
			}
			// Another request for the same name, in other letters.
			_, err := s.ChangePerson(t.Context(), newcomer(okta, "another", "JO@Example.com"))
			if taken, ok := errors.AsType[*offboard.TakenError](err); !ok || taken.Attribute != "userName" {
				t.Errorf("got %v", err)
			}
			// The same name in another connection is somebody else's.
			if _, err := s.ChangePerson(t.Context(), newcomer("entra", "entra-jo", "jo@example.com")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOfManyCreatesWithOneNameOneWins(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			var wg sync.WaitGroup
			errs := make([]error, 16)
			for i := range errs {
				wg.Go(func() {
					_, errs[i] = s.ChangePerson(t.Context(), newcomer(okta, "id-"+string(rune('a'+i)), "jo@example.com"))
				})
			}
			wg.Wait()
			won := 0
			for _, err := range errs {
				if _, taken := errors.AsType[*offboard.TakenError](err); err == nil {
					won++
				} else if !taken {
					t.Errorf("got %v", err)
				}
			}
			if won != 1 {
				t.Errorf("%d creates won", won)
			}
		})
	}
}

func TestARenameKeepsTheAddressOfTheSeat(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, c := d.open(t)
			jo, sam := hire(t, s, "jo"), hire(t, s, "sam")
			hired := c.now()
			c.pass(time.Hour)
			is := change(t, s, jo.ID, rules(), func(p *offboard.Person) {
				p.UserName, p.Emails[0].Value = "joan@example.com", "joan@example.com"
			})
			if is.Address != "jo@example.com" || is.UserName != "joan@example.com" || !is.AddressSince.Equal(hired) {
				t.Errorf("got %+v", is)
			}
			for _, address := range []string{"jo@example.com", "JOAN@example.com"} {
				who, err := s.Holders(t.Context(), address)
				if err != nil || len(who) != 1 || who[0].ID != jo.ID {
					t.Errorf("%s is held by %+v, %v", address, who, err)
				}
			}
			_, err := s.ChangePerson(t.Context(), offboard.PersonChange{
				Connection: okta, ID: sam.ID, Rules: rules(),
				Change: func(p offboard.Person) (offboard.Person, error) { p.UserName = "Joan@example.com"; return p, nil },
			})
			if _, taken := errors.AsType[*offboard.TakenError](err); !taken {
				t.Errorf("a taken name was given away: %v", err)
			}
			// The old name is free for a new hire, who then holds the address too.
			next := hire(t, s, "jo2")
			change(t, s, next.ID, rules(), func(p *offboard.Person) { p.UserName = "jo@example.com" })
			if who, err := s.Holders(t.Context(), "jo@example.com"); err != nil || len(who) != 2 {
				t.Errorf("held by %+v, %v", who, err)
			}
		})
	}
}

func TestADeletedPersonIsHiddenAndFreesTheName(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, c := d.open(t)
			jo := hire(t, s, "jo")
			team(t, s, "Marketing", jo.ID)
			is := change(t, s, jo.ID, rules(), func(p *offboard.Person) { p.Deleted = c.now() })
			if !is.Deleted.Equal(c.now()) {
				t.Errorf("got %+v", is)
			}
			if list := cases(t, s); len(list) != 1 || list[0].Reason != offboard.DeletedAtIdP {
				t.Errorf("cases: %+v", list)
			}
			_, err := s.Person(t.Context(), okta, jo.ID)
			_, again := s.ChangePerson(t.Context(), offboard.PersonChange{Connection: okta, ID: jo.ID, Rules: rules()})
			if !errors.Is(err, store.ErrNotFound) || !errors.Is(again, store.ErrNotFound) {
				t.Errorf("still there: %v, %v", err, again)
			}
			if people, total, err := s.People(t.Context(), all()); err != nil || total != 0 || len(people) != 0 {
				t.Errorf("listed: %d, %v", total, err)
			}
			g, err := s.Group(t.Context(), okta, "group-Marketing")
			if err != nil || g.Version != 2 || len(memberIDs(t, s, g)) != 0 {
				t.Errorf("the group is at version %d, %v", g.Version, err)
			}
			// A new hire gets the name.
			next, err := s.ChangePerson(t.Context(), newcomer(okta, "next", "jo@example.com"))
			if err != nil || next.ID != "next" || next.Version != 1 {
				t.Errorf("got %+v, %v", next, err)
			}
		})
	}
}

func TestConnectionsAreApart(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			jo := hire(t, s, "jo")
			g := team(t, s, "Marketing", jo.ID)
			other, err := s.ChangePerson(t.Context(), newcomer("entra", "entra-sam", "sam@example.com"))
			if err != nil {
				t.Fatal(err)
			}
			_, byID := s.Person(t.Context(), "entra", jo.ID)
			_, changed := s.ChangePerson(t.Context(), offboard.PersonChange{Connection: "entra", ID: jo.ID, Rules: rules()})
			_, group := s.Group(t.Context(), "entra", g.ID)
			_, _, regrouped := s.ChangeGroup(t.Context(), offboard.GroupChange{Connection: "entra", ID: g.ID, Delete: true})
			_, found := s.FindPerson(t.Context(), "entra", "jo@example.com")
			for what, err := range map[string]error{"read": byID, "change": changed, "group": group, "change group": regrouped, "find": found} {
				if !errors.Is(err, store.ErrNotFound) {
					t.Errorf("%s: %v", what, err)
				}
			}
			for _, q := range []offboard.PeopleQuery{
				{ID: jo.ID}, {UserName: jo.UserName}, {Email: jo.UserName}, {ExternalID: jo.ExternalID}, {Group: g.ID}, {},
			} {
				q.Connection, q.Limit = "entra", 10
				people, _, err := s.People(t.Context(), q)
				if err != nil || slices.ContainsFunc(people, func(p offboard.Person) bool { return p.Connection != "entra" }) {
					t.Errorf("%+v shows %+v, %v", q, people, err)
				}
			}
			if unknown := regroup(t, s, g, add(other.ID, "nobody")); unknown != 2 {
				t.Errorf("%d members are unknown, want 2", unknown)
			}
			if got := memberIDs(t, s, g); !slices.Equal(got, []string{jo.ID}) {
				t.Errorf("members: %v", got)
			}
		})
	}
}

func TestAPersonIsFoundByWhateverTheProviderSends(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			jo := hire(t, s, "jo")
			old := hire(t, s, "old")
			change(t, s, old.ID, rules(), func(p *offboard.Person) {
				p.Active, p.Emails = false, []offboard.Email{{Value: "shared@example.com"}}
			})
			change(t, s, jo.ID, rules(), func(p *offboard.Person) {
				p.Emails = append(slices.Clone(p.Emails), offboard.Email{Value: "Shared@example.com"})
			})
			team(t, s, "Amplitude", jo.ID)
			for _, ref := range []string{jo.ID, jo.ExternalID, "JO@example.com", " shared@EXAMPLE.com"} {
				p, err := s.FindPerson(t.Context(), okta, ref)
				if err != nil || p.ID != jo.ID || !p.InAccess {
					t.Errorf("%s is %+v, %v", ref, p.ID, err)
				}
			}
			for _, ref := range []string{"", "nobody@example.com"} {
				if _, err := s.FindPerson(t.Context(), okta, ref); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("%q: %v", ref, err)
				}
			}
		})
	}
}

func TestWhoComesBackHasTheirCaseLookedAt(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			jo := hire(t, s, "jo")
			change(t, s, jo.ID, rules(), deactivate)
			before := cases(t, s)[0]
			change(t, s, jo.ID, rules(), func(p *offboard.Person) { p.Active = true })
			after := cases(t, s)
			if len(after) != 1 || after[0].Signal <= before.Signal {
				t.Errorf("the case was not looked at: %+v", after)
			}
		})
	}
}
