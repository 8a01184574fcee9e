package scim_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"offramp/scim"
)

// memory is a Directory in maps, for tests. Its ids and times are predictable.
type memory struct {
	mu     sync.Mutex
	conns  map[string]*tenant
	refuse error // returned by every method, if not nil
	twice  bool  // runs every change twice, as a store may
}

type tenant struct {
	seq        int
	users      map[string]scim.User
	groups     map[string]scim.Group      // without members
	members    map[string]map[string]bool // group, user
	byName     map[string]string          // folded userName
	byExternal map[string]string
}

var _ scim.Directory = (*memory)(nil)

func newMemory() *memory { return &memory{conns: map[string]*tenant{}} }

// lock returns the tenant of conn; the caller unlocks.
func (m *memory) lock(conn string) (*tenant, error) {
	m.mu.Lock()
	if m.refuse != nil {
		return nil, m.refuse
	}
	t := m.conns[conn]
	if t == nil {
		t = &tenant{
			users: map[string]scim.User{}, groups: map[string]scim.Group{}, members: map[string]map[string]bool{},
			byName: map[string]string{}, byExternal: map[string]string{},
		}
		m.conns[conn] = t
	}
	return t, nil
}

func (t *tenant) id(prefix string) string {
	t.seq++
	return fmt.Sprintf("%s%d", prefix, t.seq)
}

func epoch() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func (t *tenant) put(u scim.User) error {
	name := scim.Fold(u.UserName())
	if id, ok := t.byName[name]; ok && id != u.ID {
		return fmt.Errorf("put: %w", scim.ErrTaken{Attribute: "userName"})
	}
	if was, ok := t.users[u.ID]; ok {
		delete(t.byName, scim.Fold(was.UserName()))
		delete(t.byExternal, was.ExternalID())
	}
	u.Groups = nil
	t.users[u.ID] = u
	t.byName[name] = u.ID
	if x := u.ExternalID(); x != "" {
		t.byExternal[x] = u.ID
	}
	return nil
}

// read fills in the groups.
func (t *tenant) read(u scim.User) scim.User {
	for id, set := range t.members {
		if set[u.ID] {
			u.Groups = append(u.Groups, scim.GroupRef{Value: id, Display: t.groups[id].DisplayName})
		}
	}
	slices.SortFunc(u.Groups, func(a, b scim.GroupRef) int { return cmp.Compare(a.Value, b.Value) })
	return u
}

func (m *memory) CreateUser(_ context.Context, conn string, u scim.User) (scim.User, error) {
	t, err := m.lock(conn)
	defer m.mu.Unlock()
	if err != nil {
		return u, err
	}
	if _, taken := t.byName[scim.Fold(u.UserName())]; taken {
		return u, fmt.Errorf("create: %w", scim.ErrTaken{Attribute: "userName"})
	}
	u.ID, u.Version, u.Created, u.Modified = t.id("u"), 1, epoch(), epoch()
	return u, t.put(u)
}

func (m *memory) User(_ context.Context, conn, id string) (scim.User, error) {
	t, err := m.lock(conn)
	defer m.mu.Unlock()
	if err != nil {
		return scim.User{}, err
	}
	u, ok := t.users[id]
	if !ok {
		return u, fmt.Errorf("user %s: %w", id, scim.ErrNotFound)
	}
	return t.read(u), nil
}

func (m *memory) Users(_ context.Context, conn string, q scim.Query) (scim.Page[scim.User], error) {
	t, err := m.lock(conn)
	defer m.mu.Unlock()
	var page scim.Page[scim.User]
	if err != nil {
		return page, err
	}
	for _, term := range scim.Equality(q.Filter) {
		id, indexed := term.Value, true
		switch term.Path.String() {
		case "userName":
			id = t.byName[term.Value]
		case "externalId":
			id = t.byExternal[term.Value]
		case "id":
		default:
			indexed = false
		}
		if !indexed {
			continue
		}
		if u, ok := t.users[id]; ok && scim.MatchesUser(q.Filter, t.read(u)) {
			page.Total, page.Items = 1, []scim.User{t.read(u)}
		}
		return page, nil
	}
	if q.Filter != nil && len(t.users) > 5000 {
		return page, scim.ErrTooBroad
	}
	var hits []scim.User
	for _, u := range t.users {
		if u = t.read(u); scim.MatchesUser(q.Filter, u) {
			hits = append(hits, u)
		}
	}
	slices.SortFunc(hits, func(a, b scim.User) int {
		by := cmp.Compare(len(a.ID), len(b.ID))
		by = cmp.Or(by, cmp.Compare(a.ID, b.ID))
		if q.SortBy == scim.SortUserName {
			by = cmp.Compare(scim.Fold(a.UserName()), scim.Fold(b.UserName()))
		}
		if q.Descending {
			by = -by
		}
		return by
	})
	return pageOf(hits, q), nil
}

func pageOf[T any](hits []T, q scim.Query) scim.Page[T] {
	start := min(q.Start-1, len(hits))
	return scim.Page[T]{Total: len(hits), Items: hits[start:min(start+q.Count, len(hits))]}
}

func (m *memory) UpdateUser(_ context.Context, conn, id string, change func(scim.User) (scim.User, error)) (scim.User, error) {
	t, err := m.lock(conn)
	defer m.mu.Unlock()
	if err != nil {
		return scim.User{}, err
	}
	was, ok := t.users[id]
	if !ok {
		return was, scim.ErrNotFound
	}
	if m.twice {
		if _, err := change(t.read(was)); err != nil {
			return was, fmt.Errorf("update: %w", err)
		}
	}
	is, err := change(t.read(was))
	if err != nil {
		return was, fmt.Errorf("update: %w", err)
	}
	if is.Equal(was) {
		return t.read(was), nil
	}
	is.Version = was.Version + 1
	if err := t.put(is); err != nil {
		return was, err
	}
	return t.read(is), nil
}

func (m *memory) DeleteUser(_ context.Context, conn, id string, check func(scim.User) error) error {
	t, err := m.lock(conn)
	defer m.mu.Unlock()
	if err != nil {
		return err
	}
	u, ok := t.users[id]
	if !ok {
		return scim.ErrNotFound
	}
	if check != nil {
		if err := check(u); err != nil {
			return err
		}
	}
	delete(t.users, id)
	delete(t.byName, scim.Fold(u.UserName()))
	delete(t.byExternal, u.ExternalID())
	for g := range t.members {
		delete(t.members[g], id)
	}
	return nil
}

func (t *tenant) readGroup(g scim.Group, members bool) scim.Group {
	g.Members = nil
	if members {
		for id := range t.members[g.ID] {
			g.Members = append(g.Members, scim.Member{Value: id, Display: t.users[id].DisplayName()})
		}
		slices.SortFunc(g.Members, func(a, b scim.Member) int { return cmp.Compare(a.Value, b.Value) })
	}
	return g
}

func (m *memory) CreateGroup(_ context.Context, conn string, g scim.Group) (scim.Group, error) {
	t, err := m.lock(conn)
	defer m.mu.Unlock()
	if err != nil {
		return g, err
	}
	for _, other := range t.groups {
		if scim.Fold(other.DisplayName) == scim.Fold(g.DisplayName) {
			return g, scim.ErrTaken{Attribute: "displayName"}
		}
	}
	g.ID, g.Version, g.Created, g.Modified = t.id("g"), 1, epoch(), epoch()
	t.members[g.ID] = map[string]bool{}
	for _, member := range g.Members {
		t.members[g.ID][member.Value] = true
	}
	g.Members = nil
	t.groups[g.ID] = g
	return g, nil
}

func (m *memory) Group(_ context.Context, conn, id string, withMembers bool) (scim.Group, error) {
	t, err := m.lock(conn)
	defer m.mu.Unlock()
	if err != nil {
		return scim.Group{}, err
	}
	g, ok := t.groups[id]
	if !ok {
		return g, scim.ErrNotFound
	}
	return t.readGroup(g, withMembers), nil
}

func (m *memory) Groups(_ context.Context, conn string, q scim.Query) (scim.Page[scim.Group], error) {
	t, err := m.lock(conn)
	defer m.mu.Unlock()
	if err != nil {
		return scim.Page[scim.Group]{}, err
	}
	var hits []scim.Group
	for _, g := range t.groups {
		if scim.MatchesGroup(q.Filter, g, func(user string) bool { return t.members[g.ID][user] }) {
			hits = append(hits, t.readGroup(g, q.Members))
		}
	}
	slices.SortFunc(hits, func(a, b scim.Group) int { return cmp.Compare(a.ID, b.ID) })
	return pageOf(hits, q), nil
}

func (m *memory) UpdateGroup(_ context.Context, conn, id string, c scim.GroupChange) error {
	t, err := m.lock(conn)
	defer m.mu.Unlock()
	if err != nil {
		return err
	}
	g, ok := t.groups[id]
	if !ok {
		return scim.ErrNotFound
	}
	if c.Check != nil {
		if err := c.Check(g); err != nil {
			return err
		}
	}
	if c.DisplayName != nil {
		g.DisplayName = *c.DisplayName
	}
	if c.ExternalID != nil {
		g.ExternalID = *c.ExternalID
	}
	for _, step := range c.Members {
		if step.Op == scim.ReplaceMembers {
			clear(t.members[id])
		}
		for _, user := range step.IDs {
			if step.Op == scim.RemoveMembers {
				delete(t.members[id], user)
			} else {
				t.members[id][user] = true
			}
		}
	}
	g.Version++
	t.groups[id] = g
	return nil
}

func (m *memory) DeleteGroup(_ context.Context, conn, id string, check func(scim.Group) error) error {
	t, err := m.lock(conn)
	defer m.mu.Unlock()
	if err != nil {
		return err
	}
	g, ok := t.groups[id]
	if !ok {
		return scim.ErrNotFound
	}
	if check != nil {
		if err := check(g); err != nil {
			return err
		}
	}
	delete(t.groups, id)
	delete(t.members, id)
	return nil
}
