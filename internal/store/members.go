package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// moved is what a change of members did.
type moved struct {
	added, removed []string
	unknown        int  // ids that name nobody of the connection
	mass           bool // so many left an access group that it may be a mistake
}

// changeMembers applies a net change. The size of the group is looked at only
// where losing it means something to people (watched).
func (t *tx) changeMembers(ctx context.Context, g offboard.Group, n offboard.NetMembers, watched bool) (m moved, err error) {
	emptied := n.Replace && len(n.Add) == 0
	if n.Replace {
		current, err := t.MemberIDs(ctx, g.ID)
		if err != nil {
			return m, fmt.Errorf("read members: %w", err)
		}
		slices.Sort(current) // the database may sort by its locale
		n = difference(current, n.Add)
	}
	size := int64(0)
	if watched && len(n.Remove) > 0 {
		size, err = t.MemberSample(ctx, db.MemberSampleParams{GroupID: g.ID, Most: offboard.MassSample})
		if err != nil {
			return m, fmt.Errorf("count members: %w", err)
		}
	}
	if m.removed, err = t.removeMembers(ctx, g.ID, n.Remove); err != nil {
		return m, err
	}
	m.mass = offboard.MassChange(len(m.removed), int(size), emptied)
	m.added, m.unknown, err = t.addMembers(ctx, g, n.Add)
	return m, err
}

// difference turns "exactly these" into who comes and who goes. Both lists are
// sorted.
func difference(current, wanted []string) (n offboard.NetMembers) {
	for len(current) > 0 || len(wanted) > 0 {
		switch {
		case len(wanted) == 0 || len(current) > 0 && current[0] < wanted[0]:
			n.Remove = append(n.Remove, current[0])
			current = current[1:]
		case len(current) == 0 || wanted[0] < current[0]:
			n.Add = append(n.Add, wanted[0])
			wanted = wanted[1:]
		default:
			current, wanted = current[1:], wanted[1:]
		}
	}
	return n
}

// addMembers makes people of the connection members. It returns who was not
// one before, and how many ids name nobody.
func (t *tx) addMembers(ctx context.Context, g offboard.Group, ids []string) (added []string, unknown int, err error) {
	for _, some := range chunks(ids) {
		came, err := t.ids(ctx, `insert into membership (group_id, person_id, since)
			select cast($1 as text), p.id, cast($2 as bigint) from person p
			where p.connection = $3 and p.deleted_at = 0 and p.id in (`+placeholders(4, len(some))+`)
			on conflict (group_id, person_id) do nothing returning person_id`,
			some, g.ID, millis(t.now), g.Connection)
		if err != nil {
			return nil, 0, fmt.Errorf("add members: %w", err)
		}
		added = append(added, came...)
	}
	if len(added) == len(ids) {
		return added, 0, nil
	}
	known := 0
	for _, some := range chunks(ids) {
		found, err := t.ids(ctx, `select id from person where connection = $1 and deleted_at = 0
			and id in (`+placeholders(2, len(some))+`)`, some, g.Connection)
		if err != nil {
			return nil, 0, fmt.Errorf("look for members: %w", err)
		}
		known += len(found)
	}
	return added, len(ids) - known, nil
}

// removeMembers ends memberships and returns whose did end.
func (t *tx) removeMembers(ctx context.Context, groupID string, ids []string) (removed []string, err error) {
	for _, some := range chunks(ids) {
		went, err := t.ids(ctx, `delete from membership where group_id = $1
			and person_id in (`+placeholders(2, len(some))+`) returning person_id`, some, groupID)
		if err != nil {
			return nil, fmt.Errorf("remove members: %w", err)
		}
		removed = append(removed, went...)
	}
	slices.Sort(removed)
	return removed, nil
}

// withLiveCase returns those of the people who have a live case.
func (t *tx) withLiveCase(ctx context.Context, people []string) (live []string, err error) {
	for _, some := range chunks(people) {
		found, err := t.ids(ctx, `select person_id from cases where closed_at = 0
			and person_id in (`+placeholders(1, len(some))+`)`, some)
		if err != nil {
			return nil, fmt.Errorf("look for live cases: %w", err)
		}
		live = append(live, found...)
	}
	return live, nil
}

// ids runs a statement whose list of ids comes after its other arguments and
// returns its one column.
func (t *tx) ids(ctx context.Context, statement string, list []string, args ...any) ([]string, error) {
	return texts(ctx, t.sql, statement, append(args, anys(list)...)...)
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func texts(ctx context.Context, q querier, statement string, args ...any) (out []string, err error) {
	rows, err := q.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// chunks cuts a list into pieces of few sizes, so that there are few
// statements for the database to prepare. The last one is filled up with
// repetitions of its last element.
func chunks(ids []string) (out [][]string) {
	sizes := [...]int{1, 8, 64, 512}
	for len(ids) > 0 {
		size := sizes[len(sizes)-1]
		for _, s := range sizes {
			if len(ids) <= s {
				size = s
				break
			}
		}
		piece := slices.Clone(ids[:min(size, len(ids))])
		ids = ids[len(piece):]
		for len(piece) < size {
			piece = append(piece, piece[len(piece)-1])
		}
		out = append(out, piece)
	}
	return out
}

// placeholders is a list of n of them, from $first on.
func placeholders(first, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(first + i))
	}
	return b.String()
}
