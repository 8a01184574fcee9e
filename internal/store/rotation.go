package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// Rotate returns the rotation that serves a case's credential: one that is
// open or was minted since n.Since, else a new one. The case is linked to it,
// and it is due when the first of its cases is.
func (s *Store) Rotate(ctx context.Context, fence offboard.Fence, n offboard.RotationNeed) (r offboard.Rotation, err error) {
	err = s.transact(ctx, func(t *tx) error {
		row, _, err := s.locked(ctx, t, fence)
		if err != nil {
			return err
		}
		got, err := t.OpenRotation(ctx, db.OpenRotationParams{Credential: n.Credential, Since: millis(n.Since)})
		if errors.Is(missing(err), ErrNotFound) {
			got, err = t.openRotation(ctx, n)
		}
		if err != nil {
			return fmt.Errorf("open rotation: %w", err)
		}
		if got, err = t.LockRotation(ctx, got.ID); err != nil {
			return fmt.Errorf("lock rotation: %w", err)
		}
		if r, err = rotationOf(got); err != nil {
			return err
		}
		if r.State == offboard.RotationOpen && len(r.Spec) == 0 {
			r.Spec, r.Configured = n.Spec(n.Configured), n.Configured // it opened before specs were kept
		}
		if !n.Due.IsZero() && (r.Due.IsZero() || n.Due.Before(r.Due)) {
			r.Due = n.Due
		}
		if got.WakeAt == 0 && r.Due != moment(got.DueAt) {
			got.WakeAt = t.now.UnixMilli() // its task is due sooner
		}
		if err := t.LinkRotation(ctx, db.LinkRotationParams{RotationID: r.ID, CaseID: row.ID}); err != nil {
			return fmt.Errorf("link rotation: %w", err)
		}
		if err := t.saveRotation(ctx, got, r); err != nil || !n.Incident {
			return err
		}
		return t.hasten(ctx, n.Credential, row.ID)
	})
	return r, err
}

// hasten lets an incident take part in every replacement of a credential whose
// old one still works, so that none of them outlives it.
func (t *tx) hasten(ctx context.Context, credential, caseID string) error {
	older, err := t.MintedRotations(ctx, credential)
	if err != nil {
		return fmt.Errorf("find rotations: %w", err)
	}
	for _, o := range older {
		if _, err := t.LockRotation(ctx, o.ID); err != nil {
			return fmt.Errorf("lock rotation: %w", err)
		}
		err := t.LinkRotation(ctx, db.LinkRotationParams{RotationID: o.ID, CaseID: caseID})
		if err == nil {
			err = t.WakeRotation(ctx, db.WakeRotationParams{Now: t.now.UnixMilli(), ID: o.ID})
		}
		if err != nil {
			return fmt.Errorf("link rotation: %w", err)
		}
	}
	return nil
}

func (t *tx) openRotation(ctx context.Context, n offboard.RotationNeed) (db.Rotation, error) {
	last := offboard.Rotation{}
	row, err := t.LastRotation(ctx, n.Credential)
	switch {
	case err == nil:
		if last, err = rotationOf(row); err != nil {
			return db.Rotation{}, err
		}
	case !errors.Is(missing(err), ErrNotFound):
		return db.Rotation{}, err
	}
	detail, err := json.Marshal(offboard.RotationDetail{Fingerprint: n.Fingerprint})
	if err != nil {
		return db.Rotation{}, fmt.Errorf("encode: %w", err)
	}
	now := t.now.UnixMilli()
	got := db.Rotation{
		ID: newID(), Credential: n.Credential, State: string(offboard.RotationOpen), OpenedAt: now, Configured: n.Configured,
		Result: string(n.Spec(n.CurrentID(last))), Detail: string(detail), DueAt: millis(n.Due), WakeAt: now,
	}
	return got, t.InsertRotation(ctx, db.InsertRotationParams{
		ID: got.ID, Credential: got.Credential, Result: got.Result, OpenedAt: now, Configured: n.Configured, Detail: got.Detail,
		DueAt: got.DueAt, WakeAt: now,
	})
}

// ClaimRotation takes a rotation for one turn of work. ErrLeased: somebody works
// on it, or it needs none; the epoch is the right to record.
func (s *Store) ClaimRotation(ctx context.Context, id string, lease time.Duration) (f offboard.RotationFile, epoch int64, err error) {
	err = s.transact(ctx, func(t *tx) error {
		row, err := t.ClaimRotation(ctx, db.ClaimRotationParams{LeaseUntil: t.now.Add(lease).UnixMilli(), ID: id, Now: t.now.UnixMilli()})
		if errors.Is(missing(err), ErrNotFound) {
			return ErrLeased
		}
		if err != nil {
			return fmt.Errorf("claim rotation: %w", err)
		}
		epoch = row.Epoch
		f, err = rotationFile(ctx, t.Queries, row)
		return err
	})
	return f, epoch, err
}

// KeepRotation extends the lease of a turn. offboard.ErrFenced: it is not its own any more.
func (s *Store) KeepRotation(ctx context.Context, id string, epoch int64, lease time.Duration) error {
	return s.transact(ctx, func(t *tx) error {
		n, err := t.KeepRotation(ctx, db.KeepRotationParams{LeaseUntil: t.now.Add(lease).UnixMilli(), ID: id, Epoch: epoch})
		if err != nil {
			return fmt.Errorf("keep rotation: %w", err)
		}
		if n == 0 {
			return ErrFenced
		}
		return nil
	})
}

// served locks the cases of a rotation, in order, and then the rotation.
func (t *tx) served(ctx context.Context, id string) (db.Rotation, []db.Case, error) {
	var rows []db.Case
	lock := func() error {
		ids, err := t.CasesOfRotation(ctx, id)
		if err != nil {
			return fmt.Errorf("read the cases of a rotation: %w", err)
		}
		for _, c := range ids {
			if slices.ContainsFunc(rows, func(r db.Case) bool { return r.ID == c }) {
				continue
			}
			row, err := t.LockCase(ctx, c)
			if err != nil {
				return fmt.Errorf("lock case: %w", missing(err))
			}
			rows = append(rows, row)
		}
		return nil
	}
	if err := lock(); err != nil {
		return db.Rotation{}, nil, err
	}
	row, err := t.LockRotation(ctx, id)
	if err != nil {
		return row, nil, fmt.Errorf("lock rotation: %w", missing(err))
	}
	return row, rows, lock() // a case that was linked meanwhile; nobody links another now
}

// IntendRotation asks the guards of the cases that need the rotation, in the
// transaction that records the change as intended: one that permits it is
// enough. A case whose person is gone has no say; without any other, the change
// is permitted. A pause is asked there too, and stops it whatever the cases say.
// A change that is not permitted leaves no record.
func (s *Store) IntendRotation(ctx context.Context, id string, epoch int64, in offboard.RotationIntent, guard func(offboard.File) offboard.Permission) (p offboard.Permission, err error) {
	err = s.transact(ctx, func(t *tx) error {
		row, cases, err := t.served(ctx, id)
		if err != nil {
			return err
		}
		if row.Epoch != epoch {
			return ErrFenced
		}
		r, err := rotationOf(row)
		if err != nil {
			return err
		}
		stop, err := paused(ctx, t.Queries)
		if err != nil {
			return err
		}
		if stop != nil {
			p = stop.Wait(t.now, true) // there are few, and no resume wakes them
			return nil
		}
		if p, err = s.permits(ctx, t, cases, in.Op, guard); err != nil || !p.Allowed {
			return err
		}
		if in.Receipt != "" {
			err := t.InsertReceipt(ctx, db.InsertReceiptParams{
				Hash: secretHash(in.Receipt), EffectKey: rotationReceipt + string(in.Op) + "/" + id, CreatedAt: t.now.UnixMilli(), ExpiresAt: millis(in.Until),
			})
			if err != nil {
				return fmt.Errorf("record the receipt: %w", err)
			}
		}
		if r.Op == in.Op {
			return nil // an earlier turn wrote it down
		}
		r.Op, r.Answer, r.Refused = in.Op, "", ""
		for _, c := range cases {
			if err := t.write(ctx, c.ID, offboard.Entry{Actor: "offramp", Kind: "intended", Text: in.Text}); err != nil {
				return err
			}
		}
		return t.saveRotation(ctx, row, r)
	})
	return p, err
}

// permits asks the cases one after the other; the last refusal counts.
func (s *Store) permits(ctx context.Context, t *tx, cases []db.Case, op offboard.RotationOp, guard func(offboard.File) offboard.Permission) (p offboard.Permission, err error) {
	p = offboard.Permission{Allowed: true}
	for _, c := range cases {
		if c.ClosedAt != 0 || op == offboard.OpRetire || c.RemovedAt != 0 {
			continue
		}
		f, err := s.file(ctx, t.Queries, c)
		if err != nil {
			return p, err
		}
		if p = guard(f); p.Allowed {
			return p, nil
		}
	}
	return p, nil
}

// rotationReceipt begins the key of what a hook's late answer to a rotation is for.
const rotationReceipt = "rotation/"

// CheckpointRotation records a turn's progress, in the rotation and on the
// timelines of its cases, whether or not they have ended. With keep the turn
// goes on; without, the rotation is given back. A zero epoch is a person's word.
func (s *Store) CheckpointRotation(ctx context.Context, id string, epoch int64, keep time.Duration, decide func(offboard.RotationFile) (offboard.RotationUpdate, error)) (f offboard.RotationFile, err error) {
	err = s.transact(ctx, func(t *tx) error {
		row, cases, err := t.served(ctx, id)
		if err != nil {
			return err
		}
		if epoch != 0 && row.Epoch != epoch {
			return ErrFenced
		}
		if f, err = rotationFile(ctx, t.Queries, row); err != nil {
			return err
		}
		u, err := decide(f)
		if err != nil {
			return err
		}
		if err := t.tellCases(ctx, cases, u); err != nil {
			return err
		}
		for _, k := range u.Tasks {
			if k.CaseID == "" && len(cases) > 0 {
				k.CaseID = firstLive(cases)
			}
			k.Rotation = id
			if err := t.MoveTask(ctx, db.MoveTaskParams{CaseID: k.CaseID, ID: k.ID}); err != nil {
				return fmt.Errorf("move task: %w", err)
			}
			if err := t.putTask(ctx, k); err != nil {
				return err
			}
		}
		for _, m := range u.Messages {
			if len(cases) > 0 {
				if err := t.post(ctx, firstLive(cases), m); err != nil {
					return err
				}
			}
		}
		woken := row.WakeAt != row.LeaseUntil // something happened while it was worked on
		next := row
		switch {
		case epoch == 0:
			next.WakeAt = t.now.UnixMilli()
		case keep > 0:
			next.LeaseUntil = t.now.Add(keep).UnixMilli()
			if !woken {
				next.WakeAt = next.LeaseUntil
			}
		default:
			next.LeaseUntil = 0
			if !woken {
				next.WakeAt = millis(u.Wake)
			}
		}
		if err := t.saveRotation(ctx, next, u.Rotation); err != nil {
			return err
		}
		next, err = t.LockRotation(ctx, id)
		if err != nil {
			return fmt.Errorf("read rotation: %w", err)
		}
		f, err = rotationFile(ctx, t.Queries, next)
		return err
	})
	return f, err
}

// tellCases writes the timeline of every case, and lets the live ones look again.
func (t *tx) tellCases(ctx context.Context, cases []db.Case, u offboard.RotationUpdate) error {
	for _, c := range cases {
		for _, e := range u.Timeline {
			if err := t.write(ctx, c.ID, e); err != nil {
				return err
			}
		}
		if u.Poke && c.ClosedAt == 0 {
			if err := t.poke(ctx, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// firstLive names the case that a rotation's new task belongs to.
func firstLive(cases []db.Case) string {
	for _, c := range cases {
		if c.ClosedAt == 0 && c.Ending == "" && c.State != string(offboard.StateHeld) {
			return c.ID
		}
	}
	return cases[0].ID
}

// DueRotations lists the rotations whose time has come and that nobody works on.
func (s *Store) DueRotations(ctx context.Context) ([]string, error) {
	ids, err := s.queries().DueRotations(ctx, s.now().UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("list rotations: %w", err)
	}
	return ids, nil
}

// Rotation returns one rotation with its cases and tasks.
func (s *Store) Rotation(ctx context.Context, id string) (offboard.RotationFile, error) {
	row, err := s.queries().RotationByID(ctx, id)
	if err != nil {
		return offboard.RotationFile{}, fmt.Errorf("read rotation: %w", missing(err))
	}
	return rotationFile(ctx, s.queries(), row)
}

// Rotations lists rotations, newest first.
func (s *Store) Rotations(ctx context.Context, q offboard.RotationFilter) ([]offboard.RotationFile, error) {
	rows, err := s.queries().RotationsBefore(ctx, db.RotationsBeforeParams{Before: before(q.Before), State: string(q.State), Most: most(q.Most)})
	if err != nil {
		return nil, fmt.Errorf("list rotations: %w", err)
	}
	out := make([]offboard.RotationFile, 0, len(rows))
	for _, r := range rows {
		f, err := rotationFile(ctx, s.queries(), r)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// ConfirmRotation records a person's decision about a rotation, and lets it be looked at.
func (s *Store) ConfirmRotation(ctx context.Context, id string, decide func(offboard.RotationFile) (offboard.RotationUpdate, error)) (offboard.RotationFile, error) {
	return s.CheckpointRotation(ctx, id, 0, 0, decide)
}

// RotationCounts tells how many rotations are in each state.
func (s *Store) RotationCounts(ctx context.Context) (map[offboard.RotationState]int, error) {
	rows, err := s.queries().CountRotations(ctx)
	if err != nil {
		return nil, fmt.Errorf("count rotations: %w", err)
	}
	out := map[offboard.RotationState]int{}
	for _, r := range rows {
		out[offboard.RotationState(r.State)] = int(r.Number)
	}
	return out, nil
}

// answered takes a hook's late word about a rotation, unless the change that it
// is about was settled without it.
func (t *tx) answered(ctx context.Context, key string, decide func(offboard.File, string) (offboard.Update, error)) (taken bool, err error) {
	op, id, _ := strings.Cut(strings.TrimPrefix(key, rotationReceipt), "/")
	row, cases, err := t.served(ctx, id)
	if err != nil {
		return false, err
	}
	r, err := rotationOf(row)
	if err != nil {
		return false, err
	}
	if r.Op != offboard.RotationOp(op) {
		return false, t.overdueAnswer(ctx, key, "a hook answered too late about ")
	}
	u, err := decide(offboard.File{Effects: []offboard.Effect{{Key: key, Object: r.Credential}}}, key)
	if err != nil {
		return false, err
	}
	if len(u.Effects) > 0 {
		r.Answer = u.Effects[0].Response
	}
	for _, e := range u.Timeline {
		if len(u.Effects) == 0 {
			r.Refused = e.Text
		}
	}
	if err := t.tellCases(ctx, cases, offboard.RotationUpdate{Timeline: u.Timeline}); err != nil {
		return false, err
	}
	row.WakeAt = t.now.UnixMilli()
	return true, t.saveRotation(ctx, row, r)
}

// overdueAnswer tells the cases of a rotation what a hook said too late or again.
func (t *tx) overdueAnswer(ctx context.Context, key, text string) error {
	_, id, _ := strings.Cut(strings.TrimPrefix(key, rotationReceipt), "/")
	row, cases, err := t.served(ctx, id)
	if err != nil {
		return err
	}
	return t.tellCases(ctx, cases, offboard.RotationUpdate{Timeline: []offboard.Entry{{
		Actor: "hook", Kind: "receipt", Text: text + row.Credential + "; nothing was taken from it",
	}}})
}

func rotationFile(ctx context.Context, q *db.Queries, row db.Rotation) (f offboard.RotationFile, err error) {
	if f.Rotation, err = rotationOf(row); err != nil {
		return f, err
	}
	ids, err := q.CasesOfRotation(ctx, row.ID)
	if err != nil {
		return f, fmt.Errorf("read the cases of a rotation: %w", err)
	}
	for _, id := range ids {
		c, err := q.CaseByID(ctx, id)
		if err != nil {
			return f, fmt.Errorf("read case: %w", missing(err))
		}
		k, err := caseOf(c)
		if err != nil {
			return f, err
		}
		f.Cases = append(f.Cases, k)
	}
	tasks, err := q.TasksOfRotation(ctx, row.ID)
	if err != nil {
		return f, fmt.Errorf("read the tasks of a rotation: %w", err)
	}
	for _, k := range tasks {
		f.Tasks = append(f.Tasks, taskOf(k))
	}
	return f, nil
}

// saveRotation writes r over the row; times of waking and lease are the row's.
func (t *tx) saveRotation(ctx context.Context, row db.Rotation, r offboard.Rotation) error {
	detail, err := json.Marshal(r.RotationDetail)
	if err != nil {
		return fmt.Errorf("encode rotation: %w", err)
	}
	err = t.SaveRotation(ctx, db.SaveRotationParams{
		State: string(r.State), Result: string(r.Spec), MintedAt: millis(r.Minted), RetireAt: millis(r.RetireAt), RetiredAt: millis(r.Retired),
		Configured: r.Configured, Detail: string(detail), DueAt: millis(r.Due), WakeAt: row.WakeAt, LeaseUntil: row.LeaseUntil, ID: row.ID,
	})
	if err != nil {
		return fmt.Errorf("save rotation: %w", err)
	}
	return nil
}

func rotationOf(r db.Rotation) (offboard.Rotation, error) {
	out := offboard.Rotation{
		ID: r.ID, Credential: r.Credential, Configured: r.Configured, Spec: raw(r.Result), State: offboard.RotationState(r.State),
		Opened: moment(r.OpenedAt), Due: moment(r.DueAt), Minted: moment(r.MintedAt), RetireAt: moment(r.RetireAt), Retired: moment(r.RetiredAt),
	}
	if r.Detail != "" {
		if err := json.Unmarshal([]byte(r.Detail), &out.RotationDetail); err != nil {
			return out, fmt.Errorf("read rotation %s: %w", r.ID, err)
		}
	}
	return out, nil
}
