package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// bind makes g the access group of a configured name that it carries, unless
// another group is that already. It stays so whatever it is called later.
func (t *tx) bind(ctx context.Context, g *offboard.Group, names []string) error {
	if g.Access != "" {
		return nil
	}
	for _, n := range names {
		key := offboard.Fold(n)
		if key == "" || key != offboard.Fold(g.DisplayName) && key != offboard.Fold(g.ExternalID) {
			continue
		}
		bound, err := t.AccessGroupNamed(ctx, db.AccessGroupNamedParams{Connection: g.Connection, AccessName: key})
		if err != nil {
			return fmt.Errorf("read access groups: %w", err)
		}
		if len(bound) == 0 {
			g.Access = key
			return nil
		}
	}
	return nil
}

// boundAtOnce translates the race of two groups for one access name: the
// provider tries the second again and finds it taken.
func boundAtOnce(err error) error {
	if violates(err, "scim_group_access", "scim_group.connection, scim_group.access_name") {
		return &TakenError{Attribute: "displayName"}
	}
	return err
}

// BindAccess brings a connection's groups in line with the configured access
// names; it is called when the process starts. A group that came before its
// name was configured is bound, which opens no case. A group whose name is no
// longer configured is let go: the cases of people who lose their access by
// that are held as one batch. It returns how many people lost access.
func (s *Store) BindAccess(ctx context.Context, connection string, a offboard.AccessRules) (lost int, err error) {
	batch := newID()
	err = s.transact(ctx, func(t *tx) error {
		members, err := t.letGo(ctx, connection, a.Groups)
		if err != nil {
			return err
		}
		for _, name := range a.Groups {
			if err := t.bindNamed(ctx, connection, name); err != nil {
				return err
			}
		}
		lost, err = t.decideAccess(ctx, a.Rules, nil, members, batch)
		return err
	})
	return lost, boundAtOnce(err)
}

// letGo unbinds the groups whose name is no longer configured and returns who
// is in them. One that now carries another configured name is bound to that.
func (t *tx) letGo(ctx context.Context, connection string, names []string) (members []string, err error) {
	rows, err := t.AccessGroups(ctx, connection)
	if err != nil {
		return nil, fmt.Errorf("read access groups: %w", err)
	}
	for _, row := range rows {
		if slices.ContainsFunc(names, func(n string) bool { return offboard.Fold(n) == row.AccessName }) {
			continue
		}
		g := groupOf(row)
		g.Access = ""
		if err := t.bind(ctx, &g, names); err != nil {
			return nil, err
		}
		if err := t.saveGroup(ctx, g, 0); err != nil {
			return nil, err
		}
		if g.Access != "" {
			continue
		}
		ids, err := t.MemberIDs(ctx, g.ID)
		if err != nil {
			return nil, fmt.Errorf("read members: %w", err)
		}
		members = append(members, ids...)
	}
	slices.Sort(members)
	return slices.Compact(members), nil
}

func (t *tx) bindNamed(ctx context.Context, connection, name string) error {
	named, err := t.GroupsNamed(ctx, db.GroupsNamedParams{Connection: connection, DisplayKey: offboard.Fold(name)})
	if err != nil {
		return fmt.Errorf("read groups by name: %w", err)
	}
	byID, err := t.GroupsByExternalID(ctx, db.GroupsByExternalIDParams{Connection: connection, ExternalID: strings.TrimSpace(name)})
	if err != nil {
		return fmt.Errorf("read groups by external id: %w", err)
	}
	for _, row := range append(named, byID...) {
		g := groupOf(row)
		if g.Access != "" {
			continue
		}
		if err := t.bind(ctx, &g, []string{name}); err != nil || g.Access == "" {
			return err
		}
		return t.saveGroup(ctx, g, 0)
	}
	return nil
}

// access decides about the people whom a change of an access group moved, or of
// any group where a policy looks at groups; and about who left one that protects.
func (t *tx) access(ctx context.Context, g offboard.Group, rules offboard.Rules, gained, lost []string, batch string) error {
	switch protects := rules.ProtectedBy != nil && rules.ProtectedBy(g); {
	case rules.Triggers.WatchGroups() || protects && g.Access != "":
		return t.regrouped(ctx, g, rules, gained, lost, batch)
	case protects:
		return t.regrouped(ctx, g, rules, nil, lost, batch)
	}
	if g.Access == "" {
		return nil
	}
	_, err := t.decideAccess(ctx, rules, gained, lost, batch)
	return err
}

// decideAccess decides about people who joined or left an access group, after
// the fact, in the order of their ids so that two writers never wait for each
// other. It returns how many lost their access. Who gained it matters only
// where a case is live.
func (t *tx) decideAccess(ctx context.Context, rules offboard.Rules, gained, lost []string, batch string) (int, error) {
	if !rules.AccessConfigured {
		return 0, nil
	}
	gained, err := t.withLiveCase(ctx, gained)
	if err != nil {
		return 0, err
	}
	everyone := slices.Concat(gained, lost)
	slices.Sort(everyone)
	losers := 0
	for _, id := range slices.Compact(everyone) {
		is, err := t.lockPerson(ctx, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return 0, err
		}
		was := is
		if _, left := slices.BinarySearch(lost, id); left {
			was.InAccess = true
		} else if was.InAccess, err = t.accessBefore(ctx, id); err != nil {
			return 0, err
		}
		if was.InAccess == is.InAccess {
			continue
		}
		if was.InAccess {
			losers++
		}
		if err := t.decide(ctx, was, is, rules, batch); err != nil {
			return 0, err
		}
	}
	return losers, nil
}

// accessBefore reports whether somebody who just joined one access group was
// in another.
func (t *tx) accessBefore(ctx context.Context, personID string) (bool, error) {
	n, err := t.AccessMemberships(ctx, personID)
	if err != nil {
		return false, fmt.Errorf("read access groups: %w", err)
	}
	return n > 1, nil
}
