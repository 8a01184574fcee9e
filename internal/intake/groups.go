package intake

import (
	"context"

	"go.uber.org/zap"

	"offramp/internal/offboard"
	"offramp/scim"
)

// pageMembers is how many members a page of groups holds before it ends early.
const pageMembers = 20_000

func (in *Intake) access(conn string) offboard.AccessRules {
	return offboard.AccessRules{Groups: in.opts.AccessGroups, Rules: in.opts.Rules(conn)}
}

// noteUnknown tells of members that are not in the connection. They are left
// out and not refused: providers push whole groups, and one member who is not
// assigned to the app would keep all others from arriving.
func (in *Intake) noteUnknown(conn, group string, unknown int) {
	if unknown == 0 {
		return
	}
	in.metrics.unknown.WithLabelValues(conn).Add(float64(unknown))
	in.opts.Log.Warn("members of a group are not users of this connection and were left out; assign them to the app too",
		zap.String("connection", conn), zap.String("group", group), zap.Int("members", unknown))
}

// CreateGroup records a group; one with a configured access name gives access
// from then on.
func (in *Intake) CreateGroup(ctx context.Context, conn string, g scim.Group) (scim.Group, error) {
	if offboard.Fold(g.DisplayName) == "" {
		return scim.Group{}, &scim.BadValue{Attribute: "displayName", Reason: "must not be empty"}
	}
	n := offboard.NewGroup{
		ID: in.opts.NewID(), Connection: conn, DisplayName: g.DisplayName, ExternalID: g.ExternalID, Access: in.access(conn),
	}
	for _, m := range g.Members {
		if storable(m.Value) {
			n.Members = append(n.Members, m.Value)
		}
	}
	made, unknown, err := in.opts.Store.CreateGroup(ctx, n)
	if err != nil {
		return scim.Group{}, translate("create group", err)
	}
	in.noteUnknown(conn, made.ID, unknown)
	return mapGroup(made), nil
}

// Group returns one group, with its members where they are wanted.
func (in *Intake) Group(ctx context.Context, conn, id string, withMembers bool) (scim.Group, error) {
	if !storable(id) {
		return scim.Group{}, scim.ErrNotFound
	}
	g, err := in.opts.Store.Group(ctx, conn, id)
	if err != nil {
		return scim.Group{}, translate("read group", err)
	}
	out := mapGroup(g)
	if withMembers {
		err = in.fillMembers(ctx, &out)
	}
	return out, err
}

func (in *Intake) fillMembers(ctx context.Context, g *scim.Group) error {
	members, err := in.opts.Store.Members(ctx, g.ID)
	if err != nil {
		return translate("read members", err)
	}
	g.Members = make([]scim.Member, len(members))
	for i, m := range members {
		g.Members[i] = scim.Member{Value: m.ID, Display: m.Name, Type: "User"}
	}
	return nil
}

// UpdateGroup changes a group and its members. Who leaves their last access
// group by that gets their case in the same transaction.
func (in *Intake) UpdateGroup(ctx context.Context, conn, id string, c scim.GroupChange) error {
	if !storable(id) {
		return scim.ErrNotFound
	}
	if c.DisplayName != nil && offboard.Fold(*c.DisplayName) == "" {
		return &scim.BadValue{Attribute: "displayName", Reason: "must not be empty"}
	}
	change := offboard.GroupChange{
		Connection: conn, ID: id, DisplayName: c.DisplayName, ExternalID: c.ExternalID,
		Access: in.access(conn), Check: check(c.Check),
	}
	for _, m := range c.Members {
		change.Members = append(change.Members, offboard.MemberChange{Op: offboard.MemberOp(m.Op), IDs: m.IDs})
	}
	_, unknown, err := in.opts.Store.ChangeGroup(ctx, change)
	if err != nil {
		return translate("update group", err)
	}
	in.noteUnknown(conn, id, unknown)
	return nil
}

// DeleteGroup removes a group. Where it gave access, the cases of those who
// lose it are held as one batch: a deleted group is no word about a person.
func (in *Intake) DeleteGroup(ctx context.Context, conn, id string, verify func(scim.Group) error) error {
	if !storable(id) {
		return scim.ErrNotFound
	}
	_, _, err := in.opts.Store.ChangeGroup(ctx, offboard.GroupChange{
		Connection: conn, ID: id, Delete: true, Access: in.access(conn), Check: check(verify),
	})
	if err != nil {
		return translate("delete group", err)
	}
	return nil
}

func check(f func(scim.Group) error) func(offboard.Group) error {
	if f == nil {
		return nil
	}
	return func(g offboard.Group) error { return f(mapGroup(g)) }
}

// Groups lists groups. A page of large groups ends early.
func (in *Intake) Groups(ctx context.Context, conn string, q scim.Query) (scim.Page[scim.Group], error) {
	page, err := in.groups(ctx, conn, q)
	if err != nil || !q.Members {
		return page, err
	}
	loaded := 0
	for i := range page.Items {
		if loaded >= pageMembers {
			page.Items = page.Items[:i]
			break
		}
		if err := in.fillMembers(ctx, &page.Items[i]); err != nil {
			return page, err
		}
		loaded += len(page.Items[i].Members)
	}
	return page, nil
}
