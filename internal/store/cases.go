package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// Due enqueues a job for every case whose time has come and that nobody works
// on: waits that are over, and cases whose job or worker was lost. Ordinary
// cases are fed while fewer than queue of them wait for a worker.
func (s *Store) Due(ctx context.Context, most, queue int) (enqueued int, err error) {
	err = s.transact(ctx, func(t *tx) error {
		enqueued = 0
		waiting, err := t.QueuedCases(ctx, t.now.Add(-requeue).UnixMilli())
		if err != nil {
			return fmt.Errorf("count queued cases: %w", err)
		}
		for _, urgent := range []bool{true, false} {
			again := requeue
			n := min(most, queue-int(waiting))
			if urgent {
				again, n = requeueUrgent, most
			}
			if n <= 0 {
				continue
			}
			now := t.now
			due, err := t.DueCases(ctx, db.DueCasesParams{
				Again: now.Add(again).UnixMilli(), Now: now.UnixMilli(), Urgent: urgent, Most: int32(n),
			})
			if err != nil {
				return fmt.Errorf("find due cases: %w", err)
			}
			for _, d := range due {
				t.enqueue(offboard.Job{CaseID: d.ID, Urgent: urgent, Removed: d.RemovedAt != 0})
			}
			enqueued += len(due)
		}
		return nil
	})
	return enqueued, err
}

// job asks for a case to be looked at by the workers that are for it.
func job(row db.Case) offboard.Job {
	return offboard.Job{CaseID: row.ID, Urgent: row.Plan == string(offboard.Emergency), Removed: row.RemovedAt != 0}
}

// Claim takes a case for one attempt. Until the lease ends nobody else gets
// it; checkpoints extend it. ErrLeased: somebody works on it, or it may not
// move; ErrNotFound: there is no such case.
func (s *Store) Claim(ctx context.Context, id string, lease time.Duration) (f offboard.File, fence offboard.Fence, err error) {
	err = s.transact(ctx, func(t *tx) error {
		row, err := t.ClaimCase(ctx, db.ClaimCaseParams{
			LeaseUntil: t.now.Add(lease).UnixMilli(), ID: id, Now: t.now.UnixMilli(),
		})
		if errors.Is(missing(err), ErrNotFound) {
			return ErrLeased
		}
		if err != nil {
			return fmt.Errorf("claim case: %w", err)
		}
		fence = offboard.Fence{CaseID: id, Epoch: row.Epoch, Signal: row.Signal}
		f, err = s.file(ctx, t.Queries, row)
		return err
	})
	return f, fence, err
}

// Keep extends an attempt's lease while it works on something long.
// offboard.ErrFenced: the case is not its own any more.
func (s *Store) Keep(ctx context.Context, fence offboard.Fence, lease time.Duration) error {
	return s.transact(ctx, func(t *tx) error {
		n, err := t.KeepLease(ctx, db.KeepLeaseParams{
			LeaseUntil: t.now.Add(lease).UnixMilli(), ID: fence.CaseID, Epoch: fence.Epoch,
		})
		if err != nil {
			return fmt.Errorf("keep lease: %w", err)
		}
		if n == 0 {
			return ErrFenced
		}
		return nil
	})
}

// locked reads a case for writing, and checks the attempt's right to.
func (s *Store) locked(ctx context.Context, t *tx, fence offboard.Fence) (db.Case, offboard.File, error) {
	row, err := t.LockCase(ctx, fence.CaseID)
	if err != nil {
		return row, offboard.File{}, fmt.Errorf("lock case: %w", missing(err))
	}
	if fence.Epoch != 0 && row.Epoch != fence.Epoch {
		return row, offboard.File{}, ErrFenced
	}
	f, err := s.file(ctx, t.Queries, row)
	return row, f, err
}

// Checkpoint records an attempt's progress. With keep the attempt goes on and
// its lease runs for another lease; without, the case is given back.
// decide sees the case as it is in the transaction and may run again.
func (s *Store) Checkpoint(ctx context.Context, fence offboard.Fence, keep time.Duration, decide func(offboard.File) (offboard.Update, error)) (f offboard.File, err error) {
	err = s.transact(ctx, func(t *tx) error {
		row, now, err := s.locked(ctx, t, fence)
		if err != nil {
			return err
		}
		if row.ClosedAt != 0 {
			return ErrEnded
		}
		u, err := decide(now)
		if err != nil {
			return err
		}
		if err := t.update(ctx, &row, u); err != nil {
			return err
		}
		row.LeaseUntil = 0
		switch {
		case row.ClosedAt != 0:
			row.WakeAt = 0
		case keep > 0:
			row.LeaseUntil = t.now.Add(keep).UnixMilli()
			row.WakeAt = row.LeaseUntil
		case u.Now || row.Signal != fence.Signal:
			row.WakeAt = t.now.UnixMilli() // something happened since the attempt looked
			row.WakeAt += requeueFor(row.Plan)
			row.QueuedAt = t.now.UnixMilli()
			t.enqueue(job(row))
		default:
			row.WakeAt = millis(u.WakeAt)
		}
		if err := t.SaveCase(ctx, saved(row)); err != nil {
			return fmt.Errorf("save case: %w", err)
		}
		f, err = s.saved(ctx, t, row)
		return err
	})
	return f, err
}

// saved reads a case after its update, and writes the evidence of one that ended.
func (s *Store) saved(ctx context.Context, t *tx, row db.Case) (offboard.File, error) {
	f, err := s.file(ctx, t.Queries, row)
	if err == nil && row.ClosedAt != 0 {
		err = t.evidence(ctx, f)
	}
	return f, err
}

// Act records what a person decided about a case and makes the case look at it.
func (s *Store) Act(ctx context.Context, caseID string, decide func(offboard.File) (offboard.Update, error)) (f offboard.File, err error) {
	err = s.transact(ctx, func(t *tx) error {
		f, err = s.act(ctx, t, caseID, decide)
		return err
	})
	return f, err
}

func (s *Store) act(ctx context.Context, t *tx, caseID string, decide func(offboard.File) (offboard.Update, error)) (f offboard.File, err error) {
	row, f, err := s.locked(ctx, t, offboard.Fence{CaseID: caseID})
	if err != nil {
		return f, err
	}
	if row.ClosedAt != 0 {
		return s.afterEnd(ctx, t, row, f, decide)
	}
	u, err := decide(f)
	if err != nil {
		return f, err
	}
	if err := t.update(ctx, &row, u); err != nil {
		return f, err
	}
	if row.ClosedAt != 0 {
		row.WakeAt, row.LeaseUntil = 0, 0
		row.Epoch++ // an attempt at work is fenced off
	}
	if err := t.SaveCase(ctx, saved(row)); err != nil {
		return f, fmt.Errorf("save case: %w", err)
	}
	if row.ClosedAt == 0 {
		if err := t.poke(ctx, row); err != nil {
			return f, err
		}
		row.Signal++
	}
	return s.saved(ctx, t, row)
}

// update applies u to the case's rows and to row, which the caller saves.
func (t *tx) update(ctx context.Context, row *db.Case, u offboard.Update) error {
	was := offboard.State(row.State)
	if u.State != "" {
		if !was.CanBecome(u.State) {
			return fmt.Errorf("a case that is %s cannot become %s", was, u.State)
		}
		row.State = string(u.State)
	}
	if u.Waiting != nil {
		row.Waiting = string(*u.Waiting)
	}
	t.stopwatch(row)
	if u.Note != nil {
		row.Note, row.Guard = *u.Note, string(u.Guard)
	}
	if u.Ending != offboard.EndNot {
		row.Ending = string(u.Ending)
	}
	if u.Cleared || u.Override != offboard.OverrideNone {
		row.Cleared = row.Cleared || u.Cleared
		row.Override = cmp.Or(string(u.Override), row.Override)
		if err := t.mark(ctx, *row); err != nil {
			return err
		}
	}
	if u.Plan != "" {
		row.Plan, row.Reason = string(u.Plan), string(u.Reason)
		if err := t.replaceSteps(ctx, row.ID, u.Replace); err != nil {
			return err
		}
	}
	if u.Unverified {
		row.VerifiedAt = 0
	}
	for at, to := range map[*int64]time.Time{
		&row.DueAt: u.Due, &row.NotBefore: u.NotBefore, &row.RemovedAt: u.Removed, &row.VerifiedAt: u.Verified,
	} {
		if !to.IsZero() {
			*at = millis(to)
		}
	}
	if err := t.children(ctx, row.ID, u); err != nil {
		return err
	}
	if !offboard.State(row.State).Live() {
		row.Outcome, row.ClosedAt = string(u.Outcome), t.now.UnixMilli()
		if err := t.ReleaseSeats(ctx, row.ID); err != nil {
			return fmt.Errorf("release seats: %w", err)
		}
		if err := t.DropTasks(ctx, db.DropTasksParams{Now: t.now.UnixMilli(), CaseID: row.ID}); err != nil {
			return fmt.Errorf("drop tasks: %w", err)
		}
		if err := t.EndCaseLinks(ctx, db.EndCaseLinksParams{Now: t.now.UnixMilli(), CaseID: row.ID}); err != nil {
			return fmt.Errorf("end links: %w", err)
		}
		if err := t.WakeRotationsOf(ctx, db.WakeRotationsOfParams{Now: t.now.UnixMilli(), CaseID: row.ID}); err != nil {
			return fmt.Errorf("wake rotations: %w", err)
		}
	}
	return nil
}

// stopwatch adds up the time that a case waited for people, and was held.
func (t *tx) stopwatch(row *db.Case) {
	forPeople := false
	switch offboard.Waiting(row.Waiting) {
	case offboard.WaitApproval, offboard.WaitTask, offboard.WaitHook, offboard.WaitPaused:
		forPeople = row.State == string(offboard.StateWaiting)
	case offboard.WaitNothing, offboard.WaitNotBefore, offboard.WaitSettle, offboard.WaitBudget,
		offboard.WaitRetry, offboard.WaitSeat, offboard.WaitVerify:
	}
	held := row.State == string(offboard.StateHeld)
	switch {
	case held && row.HeldSince == 0:
		row.HeldSince = t.now.UnixMilli()
	case !held && row.HeldSince != 0:
		row.HeldMs += max(t.now.UnixMilli()-row.HeldSince, 0)
		row.HeldSince = 0
	}
	switch state := offboard.State(row.State); {
	case forPeople || state == offboard.StateHeld || state == offboard.StateNeedsAttention:
		if row.WaitSince == 0 {
			row.WaitSince = t.now.UnixMilli()
		}
	case row.WaitSince != 0:
		row.WaitedMs += t.now.UnixMilli() - row.WaitSince
		row.WaitSince = 0
	}
}

// children saves everything of an update that has rows of its own.
func (t *tx) children(ctx context.Context, caseID string, u offboard.Update) error {
	for _, s := range u.Steps {
		if err := t.saveStep(ctx, caseID, s); err != nil {
			return err
		}
	}
	for _, a := range u.Assets {
		if err := t.saveAsset(ctx, caseID, a); err != nil {
			return err
		}
	}
	for _, k := range u.Tasks {
		if err := t.saveTask(ctx, caseID, k); err != nil {
			return err
		}
	}
	for _, a := range u.Approvals {
		if err := t.saveApproval(ctx, caseID, a); err != nil {
			return err
		}
	}
	for _, e := range u.Effects {
		err := t.FinishEffect(ctx, db.FinishEffectParams{Response: e.Response, DoneAt: t.now.UnixMilli(), Key: e.Key})
		if err != nil {
			return fmt.Errorf("finish effect: %w", err)
		}
	}
	for _, e := range u.Timeline {
		if err := t.write(ctx, caseID, e); err != nil {
			return err
		}
	}
	for _, m := range u.Messages {
		if err := t.post(ctx, caseID, m); err != nil {
			return err
		}
	}
	return t.endLinks(ctx, caseID, u)
}

// evidence writes the bundle of a case that has just ended, whatever the
// outcome, in the transaction that ends it.
func (t *tx) evidence(ctx context.Context, f offboard.File) error {
	rows, err := t.TimelineOf(ctx, f.Case.ID)
	if err != nil {
		return fmt.Errorf("read the timeline: %w", err)
	}
	entries, err := chain(f.Case.ID, rows)
	if err != nil {
		return err
	}
	body, err := json.Marshal(offboard.NewBundle(f, entries, t.now))
	if err != nil {
		return fmt.Errorf("encode the evidence: %w", err)
	}
	sum := sha256.Sum256(body)
	err = t.InsertEvidence(ctx, db.InsertEvidenceParams{
		CaseID: f.Case.ID, Body: string(body), Hash: hex.EncodeToString(sum[:]), At: t.now.UnixMilli(),
	})
	if err != nil {
		return fmt.Errorf("save the evidence: %w", err)
	}
	return nil
}
