package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// brake asks the brakes about a case that is about to open, or to begin anew for
// another reason, which counts from now on. It returns the one that holds it,
// nil: none does. Opening costs one lookup per organization and a bounded count
// in an index. Writers of one scope take turns, so that the count is exact on
// both databases.
func (t *tx) brake(ctx context.Context, b braking) (*offboard.Brake, error) {
	if b.State == offboard.StateNeedsAttention {
		return nil, nil // it stands still for another reason
	}
	if b.Plan == offboard.Emergency {
		return t.brakeEmergency(ctx, b)
	}
	for _, reach := range b.Brake.Organizations {
		// Who is held by one brake needs no second word about another.
		if held, err := t.brakeOrganization(ctx, b, reach); held != nil || err != nil {
			return held, err
		}
	}
	return nil, nil
}

// braking is a case about which the brakes are asked.
type braking struct {
	offboard.Opening
	caseID     string // of a case that is live already, and does not count twice; empty: it opens
	connection string
	addressKey string
	since      time.Time // since when the address is the person's
}

// window is in what time cases count: from since, exclusive, to until. A clock
// that was ahead once, when a case or a word was recorded, makes neither count.
func (t *tx) window(length time.Duration, counted int64) (since, until int64) {
	since = t.now.Add(-length).UnixMilli()
	if counted <= t.now.UnixMilli() {
		since = max(since, counted)
	}
	return since, t.now.Add(length).UnixMilli()
}

func (t *tx) brakeOrganization(ctx context.Context, b braking, reach offboard.BrakeReach) (*offboard.Brake, error) {
	r := b.Brake
	if r.Count == 0 && r.Percent == 0 {
		return nil, nil
	}
	members, read, err := t.members(ctx, reach.Name)
	if err != nil {
		return nil, err
	}
	if here, err := t.seatedIn(ctx, b, reach.Name, read); err != nil || !here {
		return nil, err
	}
	counted, err := t.LockBrake(ctx, db.LockBrakeParams{Scope: string(offboard.BrakeOrganization), Name: reach.Name})
	if err != nil {
		return nil, fmt.Errorf("lock the brake: %w", err)
	}
	// Only now: it may have been released while we waited, and then it holds nobody.
	if held, err := t.engaged(ctx, offboard.BrakeOrganization, reach.Name); held != nil || err != nil {
		return held, err
	}
	limit := r.Limit(members)
	if limit == 0 {
		return nil, nil
	}
	since, until := t.window(r.Window, counted)
	opened := int64(1)
	for _, c := range reach.Connections {
		n, err := t.CountOrdinary(ctx, db.CountOrdinaryParams{
			Connection: c, Since: since, Until: until, Besides: b.caseID, Read: read, Organization: reach.Name, Most: int32(limit),
		})
		if err != nil {
			return nil, fmt.Errorf("count the cases of the window: %w", err)
		}
		opened += n
	}
	because := r.Engage(reach.Name, int(opened), members)
	if because == "" {
		return nil, nil
	}
	brake, err := t.engage(ctx, offboard.BrakeOrganization, reach.Name, because)
	if err != nil {
		return nil, err
	}
	for _, c := range reach.Connections {
		err := t.catch(ctx, brake, db.WindowCasesParams{
			Connection: c, Since: since, Until: until, Besides: b.caseID, Read: read, Organization: reach.Name,
		})
		if err != nil {
			return nil, err
		}
	}
	return &brake, nil
}

// seatedIn reports whether the case counts for an organization: the last
// comparison saw the seat there, or could not have seen it yet.
func (t *tx) seatedIn(ctx context.Context, b braking, organization string, read int64) (bool, error) {
	if read == 0 || millis(b.since) > read {
		return true, nil
	}
	row, err := t.SeatOf(ctx, db.SeatOfParams{Organization: organization, AddressKey: b.addressKey})
	if errors.Is(missing(err), ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read a seat: %w", err)
	}
	return row.GoneAt == 0, nil
}

// members is how many the organization had at the last comparison that can be
// trusted, and when that was; 0: there was none.
func (t *tx) members(ctx context.Context, organization string) (n int, read int64, err error) {
	row, err := t.SweepOf(ctx, organization)
	if errors.Is(missing(err), ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read the last comparison: %w", err)
	}
	return int(row.Members), row.TrustedAt, nil
}

// brakeEmergency lets the first few emergencies of a connection through. What a
// person opened is neither held nor counted.
func (t *tx) brakeEmergency(ctx context.Context, b braking) (*offboard.Brake, error) {
	if !b.Brake.Emergencies || b.Confirmed {
		return nil, nil
	}
	counted, err := t.LockBrake(ctx, db.LockBrakeParams{Scope: string(offboard.BrakeConnection), Name: b.connection})
	if err != nil {
		return nil, fmt.Errorf("lock the brake: %w", err)
	}
	// Only now, as above. Until somebody confirms, whoever comes later waits as well.
	if held, err := t.engaged(ctx, offboard.BrakeConnection, b.connection); held != nil || err != nil {
		return held, err
	}
	since, until := t.window(b.Brake.EmergencyWindow(), counted)
	before, err := t.CountUrgent(ctx, db.CountUrgentParams{
		Connection: b.connection, Since: since, Until: until, Besides: b.caseID, Most: int32(b.Brake.EmergencyLimit()),
	})
	if err != nil {
		return nil, fmt.Errorf("count the emergencies of the window: %w", err)
	}
	because := b.Brake.HoldEmergency(b.connection, int(before), b.Confirmed)
	if because == "" {
		return nil, nil
	}
	fresh, err := t.engage(ctx, offboard.BrakeConnection, b.connection, because)
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
func (t *tx) catch(ctx context.Context, b offboard.Brake, window db.WindowCasesParams) error {
	ids, err := t.WindowCases(ctx, window)
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
	q := s.queries()
	rows, err := q.EngagedBrakes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list brakes: %w", err)
	}
	ended, err := q.EndedBrakes(ctx, int32(most))
	if err != nil {
		return nil, fmt.Errorf("list brakes: %w", err)
	}
	out := make([]offboard.Brake, 0, len(rows)+len(ended))
	for _, r := range append(rows, ended...) {
		b := brakeOf(r)
		cases, err := q.SizeOfBatch(ctx, b.ID)
		if err != nil {
			return nil, fmt.Errorf("count the cases of a brake: %w", err)
		}
		held, err := q.HeldInBatch(ctx, b.ID)
		if err != nil {
			return nil, fmt.Errorf("count held cases: %w", err)
		}
		b.Cases, b.Waiting = int(cases), int(held)
		out = append(out, b)
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
	if len(rows) == 0 {
		return nil, nil
	}
	last := rows[len(rows)-1].ID
	effects, err := s.queries().EffectsInBatch(ctx, db.EffectsInBatchParams{Batch: brakeID, After: after, Last: last})
	if err != nil {
		return nil, fmt.Errorf("list what was done: %w", err)
	}
	changed := map[string][]offboard.Effect{}
	for _, e := range effects {
		changed[e.CaseID] = append(changed[e.CaseID], effectOf(e))
	}
	served, err := s.queries().RotationsInBatch(ctx, db.RotationsInBatchParams{Batch: brakeID, After: after, Last: last})
	if err != nil {
		return nil, fmt.Errorf("list what was replaced: %w", err)
	}
	rotations := map[string][]offboard.Rotation{}
	for _, r := range served {
		rotation, err := rotationOf(db.Rotation{State: r.State, MintedAt: r.MintedAt, Detail: r.Detail})
		if err != nil {
			return nil, err
		}
		rotations[r.CaseID] = append(rotations[r.CaseID], rotation)
	}
	out := make([]offboard.BrakedCase, 0, len(rows))
	for _, r := range rows {
		c, err := caseOf(r)
		if err != nil {
			return nil, err
		}
		out = append(out, offboard.Braked(c, changed[c.ID], rotations[c.ID]))
	}
	return out, nil
}

// ReleaseBrake ends a brake of which no case waits for a word any more: from now
// on it counts anew. It is called after the word about its cases is recorded, and
// may be called again; left is how many still wait, and keep it engaged. ended is
// true for the call that ends it.
func (s *Store) ReleaseBrake(ctx context.Context, id, by, why string) (left int, ended bool, err error) {
	err = s.transact(ctx, func(t *tx) error {
		left, ended = 0, false
		b, err := t.BrakeByID(ctx, id)
		if err != nil {
			return fmt.Errorf("read the brake: %w", missing(err))
		}
		// What opens meanwhile waits, and is not held by a brake that ended.
		if _, err := t.LockBrake(ctx, db.LockBrakeParams{Scope: b.Scope, Name: b.Name}); err != nil {
			return fmt.Errorf("lock the brake: %w", err)
		}
		held, err := t.HeldInBatch(ctx, id)
		if err != nil {
			return fmt.Errorf("count held cases: %w", err)
		}
		if left = int(held); left > 0 {
			return nil
		}
		n, err := t.EndBrake(ctx, db.EndBrakeParams{ReleasedAt: t.now.UnixMilli(), ByWhom: by, Why: why, ID: id})
		if err != nil || n == 0 {
			return err
		}
		ended = true
		if err := t.ClearBatch(ctx, id); err != nil {
			return fmt.Errorf("clear the cases of the brake: %w", err)
		}
		err = t.CountFrom(ctx, db.CountFromParams{Since: t.now.UnixMilli(), Scope: b.Scope, Name: b.Name})
		if err != nil {
			return fmt.Errorf("count anew: %w", err)
		}
		return nil
	})
	return left, ended, err
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
