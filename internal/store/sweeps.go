package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// BeginSweep begins the sweep of an organization where one is due: the first
// every after the last began, or an operator asked. One that another process
// left is gone on with while that makes sense: then w.Progress is where it stood.
// mine is false where none is due, or where another process is at one and shows
// signs of life.
func (s *Store) BeginSweep(ctx context.Context, organization string, every time.Duration) (w offboard.Sweep, mine bool, err error) {
	err = s.transact(ctx, func(t *tx) error {
		row, err := t.LockSweep(ctx, organization)
		if err != nil {
			return fmt.Errorf("begin a sweep: %w", err)
		}
		w, mine = sweepOf(row), false
		if w.Running && !w.Abandoned(t.now) || !w.Running && !w.Due(every, t.now) {
			return nil
		}
		mine = true
		if !w.Resumes(t.now) {
			w.Number, w.Started, w.Progress = w.Number+1, t.now, offboard.SweepProgress{}
		}
		w.Claim, w.Running, w.Asked, w.AskedBy, w.Beat = w.Claim+1, true, time.Time{}, "", t.now
		return t.saveSweep(ctx, w)
	})
	return w, mine, err
}

// AskSweep makes the next sweep of an organization due at once.
func (s *Store) AskSweep(ctx context.Context, organization, by string) (w offboard.Sweep, err error) {
	err = s.transact(ctx, func(t *tx) error {
		row, err := t.LockSweep(ctx, organization)
		if err != nil {
			return fmt.Errorf("ask for a sweep: %w", err)
		}
		w = sweepOf(row)
		w.Asked, w.AskedBy = t.now, by
		return t.saveSweep(ctx, w)
	})
	return w, err
}

// LeaveSweep ends the work of this process at a sweep, which any other one may
// go on with at once.
func (s *Store) LeaveSweep(ctx context.Context, w offboard.Sweep) error {
	return s.sweeping(ctx, w, func(t *tx) error {
		row, err := t.LockSweep(ctx, w.Organization)
		if err != nil {
			return fmt.Errorf("leave a sweep: %w", err)
		}
		is := sweepOf(row)
		is.Running, is.Asked = false, t.now
		return t.saveSweep(ctx, is)
	})
}

// BeatSweep shows that a sweep which waits is alive. ErrFenced: another one has
// taken over.
func (s *Store) BeatSweep(ctx context.Context, w offboard.Sweep) error {
	return s.sweeping(ctx, w, func(*tx) error { return nil })
}

// sweeping lets f write for a sweep that is still at work, and records how far
// it has come in the member list.
func (s *Store) sweeping(ctx context.Context, w offboard.Sweep, f func(*tx) error) error {
	return s.transact(ctx, func(t *tx) error {
		n, err := t.BeatSweep(ctx, db.BeatSweepParams{
			BeatAt: t.now.UnixMilli(), ListNext: int64(w.Progress.Next), ListTotal: int64(w.Progress.Total), ListEver: int64(w.Progress.Ever),
			Organization: w.Organization, Number: w.Number, Claim: w.Claim,
		})
		if err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
		if n == 0 {
			return ErrFenced
		}
		return f(t)
	})
}

// TrustSweep says that the list was complete and no lie: seats that it did not
// hold are gone.
func (s *Store) TrustSweep(ctx context.Context, w offboard.Sweep) error {
	return s.sweeping(ctx, w, func(t *tx) error {
		err := t.MarkGone(ctx, db.MarkGoneParams{GoneAt: t.now.UnixMilli(), Organization: w.Organization, Sweep: w.Number})
		if err != nil {
			return fmt.Errorf("record who is gone: %w", err)
		}
		return nil
	})
}

// EndSweep records how a sweep ended. With w.Failed empty it is trusted, and
// findings of the checked kinds that it did not find again are resolved. What
// tell says about critical ones that nobody was told of is posted with it. A nil
// tell tells nobody, and leaves them to a later sweep.
func (s *Store) EndSweep(ctx context.Context, w offboard.Sweep, checked []offboard.FindingKind,
	tell func([]offboard.Finding) []offboard.Message,
) error {
	return s.sweeping(ctx, w, func(t *tx) error {
		row, err := t.LockSweep(ctx, w.Organization)
		if err != nil {
			return fmt.Errorf("end a sweep: %w", err)
		}
		is := sweepOf(row)
		is.Running, is.Finished, is.Note, is.Failed = false, t.now, w.Note, w.Failed
		is.AuditUntil, is.AdminsAt, is.Progress = w.AuditUntil, w.AdminsAt, offboard.SweepProgress{}
		if w.Failed == "" {
			is.Trusted, is.Members = t.now, w.Members
			if err := t.resolve(ctx, w, checked); err != nil {
				return err
			}
		}
		if err := t.tellFindings(ctx, w, tell); err != nil {
			return err
		}
		if err := t.ForgetSeatEvents(ctx, t.now.Add(-3*offboard.Watch).UnixMilli()); err != nil {
			return fmt.Errorf("forget audit entries: %w", err)
		}
		return t.saveSweep(ctx, is)
	})
}

// SweepOf tells how the comparison of one organization stands; its zero value,
// but for the name, where none ever began.
func (s *Store) SweepOf(ctx context.Context, organization string) (offboard.Sweep, error) {
	row, err := s.queries().SweepOf(ctx, organization)
	if errors.Is(missing(err), ErrNotFound) {
		return offboard.Sweep{Organization: organization}, nil
	}
	if err != nil {
		return offboard.Sweep{}, fmt.Errorf("read a sweep: %w", err)
	}
	return sweepOf(row), nil
}

// Sweeps lists how the comparison of every organization stands.
func (s *Store) Sweeps(ctx context.Context) ([]offboard.Sweep, error) {
	rows, err := s.queries().Sweeps(ctx)
	if err != nil {
		return nil, fmt.Errorf("list sweeps: %w", err)
	}
	out := make([]offboard.Sweep, 0, len(rows))
	for _, r := range rows {
		out = append(out, sweepOf(r))
	}
	return out, nil
}

func (t *tx) saveSweep(ctx context.Context, w offboard.Sweep) error {
	err := t.SaveSweep(ctx, db.SaveSweepParams{
		Number: w.Number, Running: w.Running, AskedAt: millis(w.Asked), AskedBy: w.AskedBy, StartedAt: millis(w.Started),
		BeatAt: millis(w.Beat), FinishedAt: millis(w.Finished), TrustedAt: millis(w.Trusted), Members: int64(w.Members), Note: w.Note,
		Failed: w.Failed, AuditUntil: millis(w.AuditUntil), AdminsAt: millis(w.AdminsAt), Claim: w.Claim, ListNext: int64(w.Progress.Next),
		ListTotal: int64(w.Progress.Total), ListEver: int64(w.Progress.Ever), Organization: w.Organization,
	})
	if err != nil {
		return fmt.Errorf("save a sweep: %w", err)
	}
	return nil
}

func sweepOf(r db.Sweep) offboard.Sweep {
	return offboard.Sweep{
		Organization: r.Organization, Number: r.Number, Running: r.Running, Asked: moment(r.AskedAt), AskedBy: r.AskedBy,
		Started: moment(r.StartedAt), Beat: moment(r.BeatAt), Finished: moment(r.FinishedAt), Trusted: moment(r.TrustedAt),
		Members: int(r.Members), Note: r.Note, Failed: r.Failed, AuditUntil: moment(r.AuditUntil), AdminsAt: moment(r.AdminsAt),
		Claim: r.Claim, Progress: offboard.SweepProgress{Next: int(r.ListNext), Total: int(r.ListTotal), Ever: int(r.ListEver)},
	}
}
