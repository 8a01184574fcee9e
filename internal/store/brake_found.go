package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// Found asks the brakes of organizations about a case that found a seat there
// which nobody had seen when it opened, so that it did not count: it counts from
// now on, and settles once more, so that all who come with it are counted before
// the first of them goes. held: a brake holds the case, and its attempt is over.
// A second call for seats that were found changes nothing, and so does one for a
// case that a person let go on.
func (s *Store) Found(ctx context.Context, fence offboard.Fence, organizations []string, r offboard.BrakeRules, settle time.Duration) (held bool, err error) {
	err = s.transact(ctx, func(t *tx) error {
		held = false
		var reach []offboard.BrakeReach
		for _, o := range r.Organizations { // the brake before the case, as where one catches others
			if !slices.Contains(organizations, o.Name) {
				continue
			}
			reach = append(reach, o)
			if _, err := t.LockBrake(ctx, db.LockBrakeParams{Scope: string(offboard.BrakeOrganization), Name: o.Name}); err != nil {
				return fmt.Errorf("lock the brake: %w", err)
			}
		}
		row, err := t.LockCase(ctx, fence.CaseID)
		switch {
		case err != nil:
			return fmt.Errorf("lock case: %w", missing(err))
		case row.Epoch != fence.Epoch:
			return ErrFenced
		case row.ClosedAt != 0:
			return ErrEnded
		case row.Plan == string(offboard.Emergency), row.CountedAt == 0, row.Cleared, row.State == string(offboard.StateHeld):
			return nil
		}
		counted := row.CountedAt
		for _, o := range reach {
			first, err := t.foundLate(ctx, row, counted, o.Name)
			if err != nil {
				return err
			}
			if !first {
				continue
			}
			brake, err := t.brakeOrganization(ctx, braking{
				Opening: offboard.Opening{Brake: r}, caseID: row.ID, connection: row.Connection, addressKey: row.AddressKey, since: t.now,
			}, o)
			if err != nil {
				return err
			}
			if held, err = brake != nil, t.lateCounts(ctx, &row, brake, settle); held || err != nil {
				return err
			}
		}
		return nil
	})
	return held, err
}

// foundLate notes that a case found a seat in an organization, where that was not
// seen when the case began to count. It is false for one that was noted before.
func (t *tx) foundLate(ctx context.Context, row db.Case, counted int64, organization string) (bool, error) {
	_, read, err := t.members(ctx, organization)
	if err != nil || read == 0 {
		return false, err // where nothing was ever read everybody counts at once
	}
	seat, err := t.SeatOf(ctx, db.SeatOfParams{Organization: organization, AddressKey: row.AddressKey})
	switch {
	case err != nil && !errors.Is(missing(err), ErrNotFound):
		return false, fmt.Errorf("read a seat: %w", err)
	case err == nil && seat.GoneAt == 0 && seat.FirstSeen <= counted:
		return false, nil
	}
	n, err := t.InsertLateSeat(ctx, db.InsertLateSeatParams{CaseID: row.ID, Organization: organization})
	if err != nil {
		return false, fmt.Errorf("note a seat: %w", err)
	}
	return n > 0, nil
}

// lateCounts lets a case count and settle from now on, and ends the attempt at work
// where a brake holds it.
func (t *tx) lateCounts(ctx context.Context, row *db.Case, brake *offboard.Brake, settle time.Duration) error {
	row.NotBefore = max(row.NotBefore, t.now.Add(settle).UnixMilli())
	if brake != nil {
		row.LeaseUntil = 0
		row.Epoch++
		if err := t.write(ctx, row.ID, offboard.Entry{Actor: "offramp", Kind: "brake", Text: brake.Held()}); err != nil {
			return err
		}
	}
	if err := t.countAnew(ctx, row, true, brake); err != nil {
		return err
	}
	if err := t.SaveCase(ctx, saved(*row)); err != nil {
		return fmt.Errorf("save case: %w", err)
	}
	return nil
}
