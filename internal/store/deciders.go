package store

import (
	"context"
	"errors"
	"fmt"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// deciders reads who is who among those who approve a case or take over from
// it, while approvals of it may still be given or counted.
func deciders(ctx context.Context, q *db.Queries, f *offboard.File) error {
	if !f.Deciding() {
		return nil
	}
	for _, ref := range []string{f.Person.Manager, f.Person.Claims.ManagerEmail} {
		p, err := findPerson(ctx, q, f.Case.Connection, ref)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if p.Active && p.Deleted.IsZero() && p.ID != f.Person.ID {
			f.Standing.Manager = append([]string{offboard.Fold(p.Address)}, p.Addresses()...)
			break
		}
	}
	names := f.Successors()
	for _, a := range f.Approvals {
		names = append(names, a.By)
	}
	for _, name := range names {
		one, err := aliases(ctx, q, f.Case.Connection, name)
		if err != nil {
			return err
		}
		f.Standing.Aliases = append(f.Standing.Aliases, one)
	}
	return nil
}

// aliases lists, folded, a name and the addresses of everybody whom it may mean.
func aliases(ctx context.Context, q *db.Queries, connection, name string) ([]string, error) {
	out := []string{offboard.Fold(name)}
	p, err := findPerson(ctx, q, connection, name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	if err == nil {
		out = append(out, p.Addresses()...)
	}
	rows, err := q.PeopleByAddress(ctx, offboard.Fold(name))
	if err != nil {
		return nil, fmt.Errorf("find who holds the address: %w", err)
	}
	for _, r := range rows {
		p, err := personOf(r)
		if err != nil {
			return nil, err
		}
		out = append(out, p.Addresses()...)
	}
	return out, nil
}
