package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// listing is a query whose conditions are chosen when it is asked. It is the
// one place where SQL is put together; values go through arguments only.
type listing struct {
	table string
	where strings.Builder
	args  []any
}

// newListing lists what is in a table of one connection and is not deleted.
func newListing(table, connection string) *listing {
	l := &listing{table: table}
	l.where.WriteString(" where deleted_at = 0")
	l.and("connection = ?", connection)
	return l
}

// and adds a condition; each ? in it takes one of the values.
func (l *listing) and(condition string, values ...any) {
	l.where.WriteString(" and ")
	for _, v := range values {
		before, after, _ := strings.Cut(condition, "?")
		l.args = append(l.args, v)
		l.where.WriteString(before + "$" + strconv.Itoa(len(l.args)))
		condition = after
	}
	l.where.WriteString(condition)
}

// text adds a comparison unless the value is empty.
func (l *listing) text(condition, value string, more ...any) {
	if value != "" {
		l.and(condition, append([]any{value}, more...)...)
	}
}

func (l *listing) count() (statement string, args []any) {
	return "select count(*) from " + l.table + l.where.String(), l.args
}

func (l *listing) page(columns string, s offboard.Slice) (statement string, args []any) {
	direction := ""
	if s.Descending {
		direction = " desc"
	}
	order := "id" + direction
	if c := column(s.Sort); c != "" {
		order = c + direction + ", " + order
	}
	n := len(l.args)
	return "select " + columns + " from " + l.table + l.where.String() + " order by " + order +
		" limit $" + strconv.Itoa(n+1) + " offset $" + strconv.Itoa(n+2), append(l.args[:n:n], s.Limit, s.Offset)
}

func column(s offboard.Sort) string {
	switch s {
	case offboard.SortID:
		return ""
	case offboard.SortUserName:
		return "user_name_key"
	case offboard.SortDisplayName:
		return "display_key"
	case offboard.SortExternalID:
		return "external_id"
	case offboard.SortCreated:
		return "created_at"
	case offboard.SortModified:
		return "modified_at"
	}
	return ""
}

// run reads a page, and the number of all hits where it is wanted and the page
// does not tell.
func run[T any](ctx context.Context, s *Store, l *listing, columns string, part offboard.Slice, scan func(*sql.Rows) (T, error)) (items []T, total int, err error) {
	if part.Limit > 0 {
		statement, args := l.page(columns, part)
		rows, err := s.read.QueryContext(s.reading(ctx), statement, args...)
		if err != nil {
			return nil, 0, err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			item, err := scan(rows)
			if err != nil {
				return nil, 0, err
			}
			items = append(items, item)
		}
		if err := rows.Err(); err != nil {
			return nil, 0, err
		}
		whole := len(items) < part.Limit && (len(items) > 0 || part.Offset == 0)
		if whole || part.Uncounted {
			return items, part.Offset + len(items), nil
		}
	}
	if part.Uncounted {
		return items, 0, nil
	}
	statement, args := l.count()
	err = s.read.QueryRowContext(ctx, statement, args...).Scan(&total)
	return items, total, err
}

// reading is the context of a short read. What can hang belongs to the request;
// a file cannot, and to watch the request costs a goroutine for each statement.
func (s *Store) reading(ctx context.Context) context.Context {
	if s.postgres {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

// People lists people of a connection without their groups, and the number of
// all hits. Every narrowing is answered by an index.
func (s *Store) People(ctx context.Context, q offboard.PeopleQuery) ([]offboard.Person, int, error) {
	people, total, err := run(ctx, s, peopleListing(q), personColumns, q.Slice, scanPerson)
	if err != nil {
		return nil, 0, fmt.Errorf("list people: %w", err)
	}
	return people, total, nil
}

func peopleListing(q offboard.PeopleQuery) *listing {
	l := newListing("person", q.Connection)
	l.text("id = ?", q.ID)
	l.text("user_name_key = ?", offboard.Fold(q.UserName))
	if prefix := offboard.Fold(q.UserNamePrefix); prefix != "" {
		// Keys are ordered byte by byte, so the largest code point ends the range.
		l.and("user_name_key >= ? and user_name_key < ?", prefix, prefix+"\U0010ffff")
	}
	l.text("external_id = ?", q.ExternalID)
	l.text("display_key = ?", offboard.Fold(q.DisplayName))
	l.text("manager_key = ?", offboard.Fold(q.Manager))
	l.text("id in (select person_id from person_address where value_key = ? and connection = ? and kind = 'email')",
		offboard.Fold(q.Email), q.Connection)
	l.text("id in (select person_id from membership where group_id = ?)", q.Group)
	if q.Active != nil {
		l.and("active = ?", *q.Active)
	}
	return l
}

const personColumns = `id, connection, external_id, user_name, display_name, given_name, family_name, address,
	address_since, emails, manager, department, title, active, claims, removal, resource, version, created_at, modified_at`

func scanPerson(rows *sql.Rows) (offboard.Person, error) { return scanPersonAnd(rows) }

// scanPersonAnd scans personColumns, and what stands behind them into more.
func scanPersonAnd(rows *sql.Rows, more ...any) (offboard.Person, error) {
	var r db.Person
	err := rows.Scan(append([]any{
		&r.ID, &r.Connection, &r.ExternalID, &r.UserName, &r.DisplayName, &r.GivenName, &r.FamilyName, &r.Address,
		&r.AddressSince, &r.Emails, &r.Manager, &r.Department, &r.Title, &r.Active, &r.Claims, &r.Removal, &r.Resource,
		&r.Version, &r.CreatedAt, &r.ModifiedAt,
	}, more...)...)
	if err != nil {
		return offboard.Person{}, err
	}
	return personOf(r)
}

// Groups lists groups of a connection, and the number of all hits.
func (s *Store) Groups(ctx context.Context, q offboard.GroupsQuery) ([]offboard.Group, int, error) {
	groups, total, err := run(ctx, s, groupsListing(q), groupColumns, q.Slice, scanGroup)
	if err != nil {
		return nil, 0, fmt.Errorf("list groups: %w", err)
	}
	return groups, total, nil
}

func groupsListing(q offboard.GroupsQuery) *listing {
	l := newListing("scim_group", q.Connection)
	l.text("id = ?", q.ID)
	l.text("display_key = ?", offboard.Fold(q.DisplayName))
	l.text("external_id = ?", q.ExternalID)
	l.text("id in (select group_id from membership where person_id = ?)", q.Member)
	return l
}

const groupColumns = `id, connection, display_name, external_id, access_name, version, created_at, modified_at`

func scanGroup(rows *sql.Rows) (offboard.Group, error) {
	var r db.ScimGroup
	err := rows.Scan(&r.ID, &r.Connection, &r.DisplayName, &r.ExternalID, &r.AccessName, &r.Version, &r.CreatedAt, &r.ModifiedAt)
	return groupOf(r), err
}

// GroupsOfPeople returns the groups that each of the people is in, by name.
// People in no group are not in the map.
func (s *Store) GroupsOfPeople(ctx context.Context, people []string) (map[string][]offboard.GroupRef, error) {
	out := map[string][]offboard.GroupRef{}
	for _, some := range chunks(people) {
		if err := s.groupsOfSome(ctx, out, some); err != nil {
			return nil, fmt.Errorf("read groups of people: %w", err)
		}
	}
	return out, nil
}

func (s *Store) groupsOfSome(ctx context.Context, out map[string][]offboard.GroupRef, people []string) error {
	rows, err := s.read.QueryContext(s.reading(ctx), `select m.person_id, g.id, g.display_name
		from membership m join scim_group g on g.id = m.group_id
		where m.person_id in (`+placeholders(1, len(people))+`) and g.deleted_at = 0
		order by m.person_id, g.display_name, g.id`, anys(people)...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var person string
		var g offboard.GroupRef
		if err := rows.Scan(&person, &g.ID, &g.Name); err != nil {
			return err
		}
		out[person] = append(out[person], g)
	}
	return rows.Err()
}
