package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// CreateGroup records a group with its members and returns how many of the
// ids named nobody of the connection. *TakenError: a group of this name
// exists, and external ids do not tell the two apart, or the external id is
// another group's.
func (s *Store) CreateGroup(ctx context.Context, n offboard.NewGroup) (g offboard.Group, unknown int, err error) {
	err = s.transact(ctx, func(t *tx) (err error) {
		g, unknown, err = t.createGroup(ctx, n)
		return err
	})
	return g, unknown, boundAtOnce(err)
}

func (t *tx) createGroup(ctx context.Context, n offboard.NewGroup) (offboard.Group, int, error) {
	if err := t.distinct(ctx, n); err != nil {
		return offboard.Group{}, 0, err
	}
	rows, err := t.InsertGroup(ctx, db.InsertGroupParams{
		ID: n.ID, Connection: n.Connection, DisplayName: n.DisplayName, DisplayKey: offboard.Fold(n.DisplayName),
		ExternalID: n.ExternalID, CreatedAt: millis(t.now), ModifiedAt: millis(t.now),
	})
	if err != nil {
		return offboard.Group{}, 0, fmt.Errorf("insert group: %w", err)
	}
	row, err := t.LockGroup(ctx, n.ID)
	if err != nil {
		return offboard.Group{}, 0, fmt.Errorf("lock group: %w", err)
	}
	g := groupOf(row)
	if rows == 0 {
		return g, 0, nil // a repeated attempt
	}
	if err := t.bind(ctx, &g, n.Access.Groups); err != nil {
		return g, 0, err
	}
	if g.Access != "" {
		if err := t.saveGroup(ctx, g, 0); err != nil {
			return g, 0, err
		}
	}
	added, unknown, err := t.addMembers(ctx, g, offboard.Net([]offboard.MemberChange{{Op: offboard.AddMembers, IDs: n.Members}}).Add)
	if err != nil {
		return g, 0, err
	}
	batch := ""
	if (moved{added: added}).massive(n.Access.Rules) {
		batch = newID()
	}
	return g, unknown, t.access(ctx, g, n.Access.Rules, added, nil, batch)
}

// distinct refuses a second group that a provider could not tell from the
// first: it matches by name or by external id.
func (t *tx) distinct(ctx context.Context, n offboard.NewGroup) error {
	same, err := t.GroupsNamed(ctx, db.GroupsNamedParams{Connection: n.Connection, DisplayKey: offboard.Fold(n.DisplayName)})
	if err != nil {
		return fmt.Errorf("read groups of the same name: %w", err)
	}
	for _, g := range same {
		if g.ID != n.ID && (g.ExternalID == "" || n.ExternalID == "") {
			return &TakenError{Attribute: "displayName"}
		}
	}
	if n.ExternalID == "" {
		return nil
	}
	same, err = t.GroupsByExternalID(ctx, db.GroupsByExternalIDParams{Connection: n.Connection, ExternalID: n.ExternalID})
	if err != nil {
		return fmt.Errorf("read groups of the same external id: %w", err)
	}
	if slices.ContainsFunc(same, func(g db.ScimGroup) bool { return g.ID != n.ID }) {
		return &TakenError{Attribute: "externalId"}
	}
	return nil
}

// ChangeGroup changes a group, its members included, or deletes it, and
// returns the group as recorded and how many added ids named nobody of the
// connection. Adding a member who is there and removing one who is not change
// nothing. The cost follows the members named, but for a replacement, which is
// compared with the members who are there.
//
// Who loses or regains access by it has their case opened or looked at again in
// the same transaction; where that are too many at once, the cases are held as
// one batch.
func (s *Store) ChangeGroup(ctx context.Context, c offboard.GroupChange) (g offboard.Group, unknown int, err error) {
	batch := newID()
	err = s.transact(ctx, func(t *tx) (err error) {
		g, unknown, err = t.changeGroup(ctx, c, batch)
		return err
	})
	return g, unknown, boundAtOnce(err)
}

func (t *tx) changeGroup(ctx context.Context, c offboard.GroupChange, batch string) (offboard.Group, int, error) {
	row, err := t.LockGroup(ctx, c.ID)
	if errors.Is(missing(err), ErrNotFound) {
		return offboard.Group{}, 0, ErrNotFound
	}
	if err != nil {
		return offboard.Group{}, 0, fmt.Errorf("lock group: %w", err)
	}
	if row.Connection != c.Connection || row.DeletedAt != 0 {
		return offboard.Group{}, 0, ErrNotFound
	}
	was := groupOf(row)
	if c.Check != nil {
		if err := c.Check(was); err != nil {
			return was, 0, err
		}
	}
	if c.Delete {
		return was, 0, t.deleteGroup(ctx, was, c.Access.Rules, batch)
	}
	g := was
	if c.DisplayName != nil {
		g.DisplayName = *c.DisplayName
	}
	if c.ExternalID != nil {
		g.ExternalID = *c.ExternalID
	}
	g = g.Known(was)
	if err := t.bind(ctx, &g, c.Access.Groups); err != nil {
		return was, 0, err
	}
	watched := g.Access != "" || c.Access.Rules.Triggers.WatchGroups()
	m, err := t.changeMembers(ctx, g, offboard.Net(c.Members), watched)
	if err != nil {
		return was, 0, err
	}
	if g == was && len(m.added)+len(m.removed) == 0 {
		return was, m.unknown, nil
	}
	g.Version, g.Modified = was.Version+1, moment(millis(t.now))
	if err := t.saveGroup(ctx, g, 0); err != nil {
		return was, 0, err
	}
	if !m.massive(c.Access.Rules) {
		batch = ""
	}
	return g, m.unknown, t.access(ctx, g, c.Access.Rules, m.added, m.removed, batch)
}

func (t *tx) deleteGroup(ctx context.Context, g offboard.Group, rules offboard.Rules, batch string) error {
	var members []string
	if g.Access != "" || rules.Triggers.WatchGroups() {
		var err error
		if members, err = t.MemberIDs(ctx, g.ID); err != nil {
			return fmt.Errorf("read members: %w", err)
		}
		slices.Sort(members)
	}
	if rules.ProtectedBy == nil || !rules.ProtectedBy(g) { // a group that is gone is no word about the people whom it protected
		if err := t.EndGroup(ctx, g.ID); err != nil {
			return fmt.Errorf("end memberships: %w", err)
		}
	}
	g.Version, g.Modified = g.Version+1, moment(millis(t.now))
	if err := t.saveGroup(ctx, g, millis(t.now)); err != nil {
		return err
	}
	return t.access(ctx, g, rules, nil, members, batch)
}

func (t *tx) saveGroup(ctx context.Context, g offboard.Group, deleted int64) error {
	err := t.SaveGroup(ctx, db.SaveGroupParams{
		DisplayName: g.DisplayName, DisplayKey: offboard.Fold(g.DisplayName), ExternalID: g.ExternalID,
		AccessName: g.Access, Former: g.Former, Version: g.Version, ModifiedAt: millis(g.Modified), DeletedAt: deleted, ID: g.ID,
	})
	if err != nil {
		return fmt.Errorf("save group: %w", err)
	}
	return nil
}

func groupOf(r db.ScimGroup) offboard.Group {
	return offboard.Group{
		ID: r.ID, Connection: r.Connection, DisplayName: r.DisplayName, ExternalID: r.ExternalID, Access: r.AccessName, Former: r.Former,
		Version: r.Version, Created: moment(r.CreatedAt), Modified: moment(r.ModifiedAt),
	}
}

// Group returns a group of the connection.
func (s *Store) Group(ctx context.Context, connection, id string) (offboard.Group, error) {
	row, err := s.queries().GroupByID(ctx, db.GroupByIDParams{ID: id, Connection: connection})
	if err != nil {
		return offboard.Group{}, fmt.Errorf("read group: %w", missing(err))
	}
	return groupOf(row), nil
}

// Members lists who is in a group, by id.
func (s *Store) Members(ctx context.Context, groupID string) ([]offboard.Member, error) {
	rows, err := s.queries().Members(ctx, groupID)
	if err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	out := make([]offboard.Member, 0, len(rows))
	for _, r := range rows {
		name := r.DisplayName
		if name == "" {
			name = r.UserName
		}
		out = append(out, offboard.Member{ID: r.ID, Name: name})
	}
	return out, nil
}
