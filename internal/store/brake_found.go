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
		row, _, err := s.locked(ctx, t, fence)
		switch {
		case err != nil:
			return err
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
			row.CountedAt, row.NotBefore = t.now.UnixMilli(), max(row.NotBefore, t.now.Add(settle).UnixMilli())
			if err := t.mark(ctx, row); err != nil {
				return err
			}
			if err := t.SaveCase(ctx, saved(row)); err != nil {
				return fmt.Errorf("save case: %w", err)
			}
			brake, err := t.brakeOrganization(ctx, braking{
				Opening: offboard.Opening{Brake: r}, caseID: row.ID, connection: row.Connection, addressKey: row.AddressKey, since: t.now,
			}, o)
			if err != nil {
				return err
			}
			if held = brake != nil; held {
				return t.holdAtWork(ctx, row, *brake)
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

// holdAtWork holds a case that somebody works on, and ends that.
func (t *tx) holdAtWork(ctx context.Context, row db.Case, b offboard.Brake) error {
	row.State, row.Waiting, row.Note = string(offboard.StateHeld), "", b.Held()
	row.Batch, row.Braked = b.ID, true
	row.LeaseUntil = 0
	row.Epoch++
	t.stopwatch(&row)
	if err := t.SaveCase(ctx, saved(row)); err != nil {
		return fmt.Errorf("save case: %w", err)
	}
	if err := t.mark(ctx, row); err != nil {
		return err
	}
	return t.write(ctx, row.ID, offboard.Entry{Actor: "offramp", Kind: "brake", Text: b.Held()})
}
