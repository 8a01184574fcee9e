package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// alike looks for other seats and people who may be the same human as each of
// some seats: the same address but for its plus part, or the same name.
func (t *tx) alike(ctx context.Context, seats []db.Member) (map[string][]offboard.Alike, error) {
	out := map[string][]offboard.Alike{}
	byPlain, byName := map[string][]db.Member{}, map[string][]db.Member{}
	for _, s := range seats {
		byPlain[s.PlainKey] = append(byPlain[s.PlainKey], s)
		if s.NameKey != "" {
			byName[s.NameKey] = append(byName[s.NameKey], s)
		}
	}
	for _, look := range []struct {
		of        map[string][]db.Member
		by        offboard.Likeness
		statement string
	}{
		{byPlain, offboard.AlikePlus, `select plain_key, address_key, '', '' from member
			where organization = $1 and gone_at = 0 and plain_key in (%s)`},
		{byPlain, offboard.AlikePlus, `select a.value_key, a.value_key, p.id, p.connection from person_address a
			join person p on p.id = a.person_id where $1 <> '' and a.value_key in (%s)`},
		{byName, offboard.AlikeName, `select name_key, address_key, '', '' from member
			where organization = $1 and gone_at = 0 and name_key <> '' and name_key in (%s)`},
		{byName, offboard.AlikeName, `select p.display_key, p.address_key, p.id, p.connection from person p
			where $1 <> '' and p.deleted_at = 0 and p.connection in (select distinct connection from person) and p.display_key in (%s)`},
		{byName, offboard.AlikeName, `select p.display_key, p.address_key, p.id, p.connection from person p
			where $1 <> '' and p.deleted_at > 0 and p.display_key in (%s)`},
	} {
		if err := t.alikeBy(ctx, out, seats, look.of, look.by, look.statement); err != nil {
			return nil, fmt.Errorf("look for second seats: %w", err)
		}
	}
	return out, nil
}

// alikeEmails adds the seats of people of whom a seat is another address.
func (t *tx) alikeEmails(ctx context.Context, out map[string][]offboard.Alike, seats []db.Member, holdings map[string][]offboard.Holding) error {
	for _, s := range seats {
		for _, h := range holdings[s.AddressKey] {
			key := offboard.Fold(h.Person.Address)
			if h.Seat || key == s.AddressKey {
				continue
			}
			row, err := t.SeatOf(ctx, db.SeatOfParams{Organization: s.Organization, AddressKey: key})
			if errors.Is(missing(err), ErrNotFound) || err == nil && row.GoneAt != 0 {
				continue
			}
			if err != nil {
				return fmt.Errorf("look for second seats: %w", err)
			}
			out[s.AddressKey] = append(out[s.AddressKey], offboard.Alike{
				Address: row.Address, PersonID: h.Person.ID, Connection: h.Person.Connection, By: offboard.AlikeEmail,
			})
		}
	}
	return nil
}

// groupsOfAdmins fills in the groups of those who hold the seats of admins.
func (t *tx) groupsOfAdmins(ctx context.Context, seats []db.Member, holdings map[string][]offboard.Holding) error {
	for _, s := range seats {
		if s.Role == "" {
			continue
		}
		list := holdings[s.AddressKey]
		for i := range list {
			if err := withGroups(ctx, t.Queries, &list[i].Person); err != nil {
				return err
			}
		}
	}
	return nil
}

// mostAlike bounds how many are named as like one seat: what more share, such as
// the name of a service account, tells nothing about who is who.
const mostAlike = 32

func (t *tx) alikeBy(ctx context.Context, out map[string][]offboard.Alike, seats []db.Member, of map[string][]db.Member, by offboard.Likeness, statement string) error {
	keys := make([]string, 0, len(of))
	for k := range of {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, some := range chunks(keys) {
		rows, err := t.sql.QueryContext(ctx, strings.Replace(statement, "%s", placeholders(2, len(some)), 1),
			append([]any{seats[0].Organization}, anys(some)...)...)
		if err != nil {
			return err
		}
		found, err := collectRows(rows, func(rows *sql.Rows) (a [4]string, err error) {
			err = rows.Scan(&a[0], &a[1], &a[2], &a[3])
			return a, err
		})
		if err != nil {
			return err
		}
		slices.SortFunc(found, func(a, b [4]string) int { return slices.Compare(a[:], b[:]) })
		seen := map[string]int{}
		for _, a := range found {
			if seen[a[0]]++; seen[a[0]] > mostAlike {
				continue
			}
			for _, s := range of[a[0]] {
				one := offboard.Alike{Address: a[1], PersonID: a[2], Connection: a[3], By: by}
				if s.AddressKey != a[1] && !slices.Contains(out[s.AddressKey], one) {
					out[s.AddressKey] = append(out[s.AddressKey], one)
				}
			}
		}
	}
	return nil
}

// collectRows scans every row and closes them.
func collectRows[T any](rows *sql.Rows, scan func(*sql.Rows) (T, error)) (out []T, err error) {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, rows.Err()
}

// prefixed puts p. in front of each of some columns.
func prefixed(columns string) string {
	parts := strings.Split(columns, ",")
	for i, c := range parts {
		parts[i] = "p." + strings.TrimSpace(c)
	}
	return strings.Join(parts, ", ")
}
