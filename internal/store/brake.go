package store

import (
	"context"
	"errors"
	"fmt"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// brake asks the brakes about a case that is about to open, or to become an
// emergency. It returns the one that holds it, nil: none does. Opening costs
// one lookup per organization and a bounded count in an index. Writers of one
// scope take turns while it is not engaged, so that the count is exact on both
// databases.
func (t *tx) brake(ctx context.Context, connection string, o offboard.Opening) (*offboard.Brake, error) {
	if o.State == offboard.StateNeedsAttention {
		return nil, nil // it stands still for another reason
	}
	if o.Plan == offboard.Emergency {
		return t.brakeEmergency(ctx, connection, o)
	}
	var holds *offboard.Brake
	for _, reach := range o.Brake.Organizations {
		b, err := t.brakeOrganization(ctx, o.Brake, reach)
		if err != nil {
			return nil, err
		}
		if holds == nil {
			holds = b
		}
	}
	return holds, nil
}

func (t *tx) brakeOrganization(ctx context.Context, r offboard.BrakeRules, reach offboard.BrakeReach) (*offboard.Brake, error) {
	if r.Count == 0 && r.Percent == 0 {
		return nil, nil
	}
	if b, err := t.engaged(ctx, offboard.BrakeOrganization, reach.Name); b != nil || err != nil {
		return b, err
	}
	since, err := t.LockBrake(ctx, db.LockBrakeParams{Scope: string(offboard.BrakeOrganization), Name: reach.Name})
	if err != nil {
		return nil, fmt.Errorf("lock the brake: %w", err)
	}
	members, err := t.members(ctx, reach.Name)
	if err != nil {
		return nil, err
	}
	if b, err := t.engaged(ctx, offboard.BrakeOrganization, reach.Name); b != nil || err != nil {
		return b, err // somebody engaged it while we waited
	}
	limit := r.Limit(members)
	if limit == 0 {
		return nil, nil
	}
	since = max(t.now.Add(-r.Window).UnixMilli(), since)
	opened := int64(1)
	for _, c := range reach.Connections {
		n, err := t.CountOrdinary(ctx, db.CountOrdinaryParams{Connection: c, Since: since, Most: int32(limit)})
		if err != nil {
			return nil, fmt.Errorf("count the cases of the window: %w", err)
		}
		opened += n
	}
	because := r.Engage(reach.Name, int(opened), members)
	if because == "" {
		return nil, nil
	}
	b, err := t.engage(ctx, offboard.BrakeOrganization, reach.Name, because)
	if err != nil {
		return nil, err
	}
	for _, c := range reach.Connections {
		if err := t.catch(ctx, b, c, since); err != nil {
			return nil, err
		}
	}
	return &b, nil
}

// members is how many the organization had at the last comparison that can be
// trusted; 0: there was none.
func (t *tx) members(ctx context.Context, organization string) (int, error) {
	row, err := t.SweepOf(ctx, organization)
	if errors.Is(missing(err), ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the last comparison: %w", err)
	}
	return int(row.Members), nil
}

// brakeEmergency lets the first few emergencies of a connection through.
func (t *tx) brakeEmergency(ctx context.Context, connection string, o offboard.Opening) (*offboard.Brake, error) {
	if !o.Brake.Emergencies || o.Confirmed {
		return nil, nil
	}
	since, err := t.LockBrake(ctx, db.LockBrakeParams{Scope: string(offboard.BrakeConnection), Name: connection})
	if err != nil {
		return nil, fmt.Errorf("lock the brake: %w", err)
	}
	since = max(t.now.Add(-o.Brake.EmergencyWindow()).UnixMilli(), since)
	before, err := t.CountUrgent(ctx, db.CountUrgentParams{Connection: connection, Since: since, Most: int32(o.Brake.EmergencyLimit())})
	if err != nil {
		return nil, fmt.Errorf("count the emergencies of the window: %w", err)
	}
	because := o.Brake.HoldEmergency(connection, int(before), o.Confirmed)
	if because == "" {
		return nil, nil
	}
	b, err := t.engaged(ctx, offboard.BrakeConnection, connection)
	if b != nil || err != nil {
		return b, err
	}
	fresh, err := t.engage(ctx, offboard.BrakeConnection, connection, because)
	return &fresh, err
}

func (t *tx) engaged(ctx context.Context, scope offboard.BrakeScope, name string) (*offboard.Brake, error) {
	row, err := t.EngagedBrake(ctx, db.EngagedBrakeParams{Scope: string(scope), Name: name})
	if errors.Is(missing(err), ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the brake: %w", err)
	}
	b := brakeOf(row)
	return &b, nil
}

func (t *tx) engage(ctx context.Context, scope offboard.BrakeScope, name, because string) (offboard.Brake, error) {
	b := offboard.Brake{ID: newID(), Scope: scope, Name: name, Because: because, Engaged: moment(millis(t.now))}
	err := t.EngageBrake(ctx, db.EngageBrakeParams{ID: b.ID, Scope: string(scope), Name: name, Because: because, EngagedAt: millis(t.now)})
	if err != nil {
		return b, fmt.Errorf("engage the brake: %w", err)
	}
	t.braked = append(t.braked, b)
	return b, nil
}

// catch holds the cases of a brake's window that can still be stopped, and
// writes into the others that they could not.
func (t *tx) catch(ctx context.Context, b offboard.Brake, connection string, since int64) error {
	ids, err := t.WindowCases(ctx, db.WindowCasesParams{Connection: connection, Since: since})
	if err != nil {
		return fmt.Errorf("list the cases of the window: %w", err)
	}
	for _, id := range ids {
		row, err := t.LockCase(ctx, id)
		if err != nil {
			return fmt.Errorf("lock case: %w", err)
		}
		if row.ClosedAt != 0 {
			continue // it ended since it was listed
		}
		began, err := t.began(ctx, id)
		if err != nil {
			return err
		}
		c, err := caseOf(row)
		if err != nil {
			return err
		}
		hold, because := offboard.Catch(c, began, b)
		if because == "" {
			continue
		}
		row.Batch, row.Braked = b.ID, true
		if hold {
			row.State, row.Waiting, row.Note = string(offboard.StateHeld), "", because
			t.stopwatch(&row)
			if err := t.SaveCase(ctx, saved(row)); err != nil {
				return fmt.Errorf("save case: %w", err)
			}
		}
		if err := t.mark(ctx, row); err != nil {
			return err
		}
		if err := t.write(ctx, id, offboard.Entry{Actor: "offramp", Kind: "brake", Text: because}); err != nil {
			return err
		}
	}
	return nil
}

// began reports whether a case's removal was at least intended.
func (t *tx) began(ctx context.Context, caseID string) (bool, error) {
	effects, err := t.EffectsOf(ctx, caseID)
	if err != nil {
		return false, fmt.Errorf("read effects: %w", err)
	}
	for _, e := range effects {
		if e.Step == string(offboard.StepRemove) {
			return true, nil
		}
	}
	return false, nil
}

// mark saves what few cases have: a brake's hold, a person's word, a new count.
func (t *tx) mark(ctx context.Context, row db.Case) error {
	err := t.MarkCase(ctx, db.MarkCaseParams{
		Batch: row.Batch, Braked: row.Braked, Cleared: row.Cleared, Override: row.Override, CountedAt: row.CountedAt, ID: row.ID,
	})
	if err != nil {
		return fmt.Errorf("mark case: %w", err)
	}
	return nil
}

// Brakes lists the engaged brakes, and the last few that a person released.
func (s *Store) Brakes(ctx context.Context, most int) ([]offboard.Brake, error) {
	rows, err := s.queries().EngagedBrakes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list brakes: %w", err)
	}
	ended, err := s.queries().EndedBrakes(ctx, int32(most))
	if err != nil {
		return nil, fmt.Errorf("list brakes: %w", err)
	}
	out := make([]offboard.Brake, 0, len(rows)+len(ended))
	for _, r := range append(rows, ended...) {
		out = append(out, brakeOf(r))
	}
	return out, nil
}

// BrakeCases lists the cases that a brake concerns, with what was done in each,
// from after an id on (empty: the first).
func (s *Store) BrakeCases(ctx context.Context, brakeID, after string, most int) ([]offboard.BrakedCase, error) {
	rows, err := s.queries().CasesOfBatch(ctx, db.CasesOfBatchParams{Batch: brakeID, After: after, Most: int32(most)})
	if err != nil {
		return nil, fmt.Errorf("list the cases of a brake: %w", err)
	}
	effects, err := s.queries().DoneInBatch(ctx, brakeID)
	if err != nil {
		return nil, fmt.Errorf("list what was done: %w", err)
	}
	done := map[string]map[offboard.StepName]int{}
	for _, e := range effects {
		if done[e.CaseID] == nil {
			done[e.CaseID] = map[offboard.StepName]int{}
		}
		done[e.CaseID][offboard.StepName(e.Step)] = int(e.Number)
	}
	out := make([]offboard.BrakedCase, 0, len(rows))
	for _, r := range rows {
		c, err := caseOf(r)
		if err != nil {
			return nil, err
		}
		out = append(out, offboard.BrakedCase{Case: c, Done: done[c.ID]})
	}
	return out, nil
}

// ReleaseBrake ends a brake: from now on it counts anew. It is called after the
// word about its cases is recorded, and may be called again. While cases still
// wait for a word it ends nothing, unless all of them were meant.
func (s *Store) ReleaseBrake(ctx context.Context, id string, all bool, by, why string) (ended bool, err error) {
	err = s.transact(ctx, func(t *tx) error {
		ended = false
		b, err := t.BrakeByID(ctx, id)
		if err != nil {
			return fmt.Errorf("read the brake: %w", missing(err))
		}
		if _, err := t.LockBrake(ctx, db.LockBrakeParams{Scope: b.Scope, Name: b.Name}); err != nil {
			return fmt.Errorf("lock the brake: %w", err)
		}
		held, err := t.HeldInBatch(ctx, id)
		if err != nil {
			return fmt.Errorf("count held cases: %w", err)
		}
		if held > 0 && !all {
			return nil
		}
		n, err := t.EndBrake(ctx, db.EndBrakeParams{ReleasedAt: t.now.UnixMilli(), ByWhom: by, Why: why, ID: id})
		if err != nil || n == 0 {
			return err
		}
		ended = true
		err = t.CountFrom(ctx, db.CountFromParams{Since: t.now.UnixMilli(), Scope: b.Scope, Name: b.Name})
		if err != nil {
			return fmt.Errorf("count anew: %w", err)
		}
		return nil
	})
	return ended, err
}

// holdLive makes the live cases one batch that waits for a person's word.
func (t *tx) holdLive(ctx context.Context, batch string) (held int, err error) {
	const because = "opened in observe mode, and the mode is enforce now: release the case, or cancel it"
	ids, err := t.LiveUnbegun(ctx)
	if err != nil {
		return 0, fmt.Errorf("list live cases: %w", err)
	}
	for _, id := range ids {
		row, err := t.LockCase(ctx, id)
		if err != nil {
			return held, fmt.Errorf("lock case: %w", err)
		}
		began, err := t.began(ctx, id)
		if err != nil {
			return held, err
		}
		if row.ClosedAt != 0 || began || !offboard.State(row.State).CanBecome(offboard.StateHeld) {
			continue
		}
		row.State, row.Waiting, row.Note = string(offboard.StateHeld), "", because
		row.Batch, row.Braked, row.Cleared = batch, false, false
		row.Epoch++ // an attempt of the process before is fenced off
		row.LeaseUntil = 0
		t.stopwatch(&row)
		if err := t.SaveCase(ctx, saved(row)); err != nil {
			return held, fmt.Errorf("save case: %w", err)
		}
		if err := t.mark(ctx, row); err != nil {
			return held, err
		}
		if err := t.write(ctx, id, offboard.Entry{Actor: "offramp", Kind: "held", Text: because}); err != nil {
			return held, err
		}
		held++
	}
	return held, nil
}

func brakeOf(r db.Brake) offboard.Brake {
	return offboard.Brake{
		ID: r.ID, Scope: offboard.BrakeScope(r.Scope), Name: r.Name, Because: r.Because, Engaged: moment(r.EngagedAt),
		Released: moment(r.ReleasedAt), By: r.ByWhom, Why: r.Why,
	}
}
