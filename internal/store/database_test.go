package store_test

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store"
	"offramp/internal/store/storetest"
)

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// database is one of the two kinds that every test of the record runs on.
type database struct {
	name    string
	options func(t *testing.T) store.Options
}

func databases() []database {
	return []database{
		{"sqlite", func(t *testing.T) store.Options {
			t.Helper()
			return store.Options{Path: filepath.Join(t.TempDir(), "offramp.db")}
		}},
		{"postgres", func(t *testing.T) store.Options {
			t.Helper()
			return store.Options{URL: storetest.Postgres(t)}
		}},
	}
}

// open lets the test run in parallel and returns an empty database in which
// access groups are configured, with its clock.
func (d database) open(t *testing.T) (*store.Store, *clock) {
	t.Helper()
	t.Parallel()
	c, o := newClock(), d.options(t)
	o.Now, o.AccessConfigured = c.now, true
	return open(t, o), c
}

func open(t *testing.T, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Migrate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return s
}

func rules() offboard.Rules {
	return offboard.Rules{
		Settle: 2 * time.Minute, Grace: 5 * time.Minute,
		Policy: func(offboard.PolicyFacts) offboard.Policy { return offboard.Fallback() },
	}
}

// withAccess are rules under which only members of the group Amplitude have access.
func withAccess() offboard.AccessRules {
	r := rules()
	r.AccessConfigured = true
	return offboard.AccessRules{Groups: []string{"Amplitude"}, Rules: r}
}

const okta = "okta"

// hire records an active person whose user name is name@example.com.
func hire(t *testing.T, s *store.Store, name string) offboard.Person {
	t.Helper()
	p, err := s.ChangePerson(t.Context(), newcomer(okta, "id-"+name, name+"@example.com"))
	if err != nil {
		t.Fatalf("hire %s: %v", name, err)
	}
	return p
}

func newcomer(connection, id, userName string) offboard.PersonChange {
	return offboard.PersonChange{Connection: connection, Rules: rules(), Change: func(offboard.Person) (offboard.Person, error) {
		return offboard.Person{
			ID: id, ExternalID: "ext-" + id, UserName: userName, Address: userName, Active: true, Resource: "{}",
			Emails: []offboard.Email{{Value: userName, Type: "work", Primary: true}},
		}, nil
	}}
}

// change changes one person of okta.
func change(t *testing.T, s *store.Store, id string, r offboard.Rules, f func(*offboard.Person)) offboard.Person {
	t.Helper()
	p, err := s.ChangePerson(t.Context(), offboard.PersonChange{
		Connection: okta, ID: id, Rules: r, Change: func(p offboard.Person) (offboard.Person, error) {
			f(&p)
			return p, nil
		},
	})
	if err != nil {
		t.Fatalf("change %s: %v", id, err)
	}
	return p
}

func deactivate(p *offboard.Person) { p.Active = false }

func cases(t *testing.T, s *store.Store) []offboard.Case {
	t.Helper()
	list, err := s.Cases(t.Context(), offboard.CaseFilter{})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// team records a group of okta with these people.
func team(t *testing.T, s *store.Store, name string, members ...string) offboard.Group {
	t.Helper()
	g, unknown, err := s.CreateGroup(t.Context(), offboard.NewGroup{
		ID: "group-" + name, Connection: okta, DisplayName: name, Members: members, Access: withAccess(),
	})
	if err != nil || unknown != 0 {
		t.Fatalf("create group %s: %d members unknown, %v", name, unknown, err)
	}
	return g
}

// regroup changes the members of a group and returns the ids that nobody has.
func regroup(t *testing.T, s *store.Store, g offboard.Group, changes ...offboard.MemberChange) int {
	t.Helper()
	_, unknown, err := s.ChangeGroup(t.Context(), offboard.GroupChange{
		Connection: okta, ID: g.ID, Members: changes, Access: withAccess(),
	})
	if err != nil {
		t.Fatalf("change %s: %v", g.DisplayName, err)
	}
	return unknown
}

func add(ids ...string) offboard.MemberChange {
	return offboard.MemberChange{Op: offboard.AddMembers, IDs: ids}
}

func remove(ids ...string) offboard.MemberChange {
	return offboard.MemberChange{Op: offboard.RemoveMembers, IDs: ids}
}

func replace(ids ...string) offboard.MemberChange {
	return offboard.MemberChange{Op: offboard.ReplaceMembers, IDs: ids}
}

func memberIDs(t *testing.T, s *store.Store, g offboard.Group) []string {
	t.Helper()
	members, err := s.Members(t.Context(), g.ID)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, len(members))
	for i, m := range members {
		ids[i] = m.ID
	}
	return ids
}
