package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// AdminReading returns the last reading of who administers an organization's projects,
// whichever process made it. Zero: there was none.
func (s *Store) AdminReading(ctx context.Context, organization string) (offboard.AdminReading, error) {
	out := offboard.AdminReading{Organization: organization}
	row, err := s.queries().AdminReading(ctx, organization)
	if errors.Is(missing(err), ErrNotFound) {
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("read who administers %s: %w", organization, err)
	}
	if err := json.Unmarshal([]byte(row.Projects), &out.Projects); err != nil {
		return out, fmt.Errorf("read who administers %s: %w", organization, err)
	}
	out.Began = moment(row.BeganAt)
	return out, nil
}

// SaveAdminReading keeps a reading, unless a newer one is kept already.
func (s *Store) SaveAdminReading(ctx context.Context, r offboard.AdminReading) error {
	projects, err := json.Marshal(r.Projects)
	if err != nil {
		return fmt.Errorf("encode who administers %s: %w", r.Organization, err)
	}
	return s.transact(ctx, func(t *tx) error {
		err := t.SaveAdminReading(ctx, db.SaveAdminReadingParams{
			Organization: r.Organization, BeganAt: millis(r.Began), Projects: string(projects),
		})
		if err != nil {
			return fmt.Errorf("keep who administers %s: %w", r.Organization, err)
		}
		return nil
	})
}

// Losing lists those of others who lose something in the organization: by
// a live case that began to take it, or by a change that the reading of the
// admins may not show yet.
func (s *Store) Losing(ctx context.Context, others offboard.Others) ([]string, error) {
	return losing(ctx, s.queries(), others)
}

func losing(ctx context.Context, q *db.Queries, others offboard.Others) (out []string, err error) {
	prefix := others.Organization + "/"
	for _, who := range others.Addresses {
		n, err := q.LosesAccess(ctx, db.LosesAccessParams{
			AddressKey: offboard.Fold(who), Prefix: prefix, Undone: prefix + "undo/", Since: millis(others.Since),
		})
		if err != nil {
			return nil, fmt.Errorf("look who else loses access: %w", err)
		}
		if n > 0 {
			out = append(out, offboard.Fold(who))
		}
	}
	return out, nil
}

// losing is Losing for a change that is about to be recorded: whoever asks about
// the same organization waits until this transaction ends, so that of two admins
// who lose something at once the second sees the first. A change that concerns
// no admin asks for nobody and waits for nobody.
func (t *tx) losing(ctx context.Context, others offboard.Others) ([]string, error) {
	if len(others.Addresses) == 0 {
		return nil, nil
	}
	if err := t.LockAdmins(ctx, others.Organization); err != nil {
		return nil, fmt.Errorf("wait for others who change the admins: %w", err)
	}
	return losing(ctx, t.Queries, others)
}
