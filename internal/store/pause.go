package store

import (
	"context"
	"fmt"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// Pause stops outward changes on every replica until Resume. While another
// pause is in force it changes nothing and is refused.
func (s *Store) Pause(ctx context.Context, by, why string) error {
	return s.transact(ctx, func(t *tx) error {
		p := offboard.Pause{By: by, Why: why, At: moment(t.now.UnixMilli())}
		r, err := t.PauseSet(ctx, db.PauseSetParams{ByWhom: by, Why: why, At: millis(p.At)})
		if err != nil {
			return fmt.Errorf("pause: %w", err)
		}
		if is := (offboard.Pause{By: r.ByWhom, Why: r.Why, At: moment(r.At)}); is != p {
			return is.Already()
		}
		return nil
	})
}

// Resume ends the pause, which is kept with who ended it and why; without one
// it does nothing. What waited for it goes on at once, incidents first.
func (s *Store) Resume(ctx context.Context, by, why string) error {
	return s.transact(ctx, func(t *tx) error {
		ended, err := t.PauseClear(ctx)
		if err != nil {
			return fmt.Errorf("resume: %w", err)
		}
		for _, r := range ended {
			err := t.InsertPastPause(ctx, db.InsertPastPauseParams{
				ID: newID(), ByWhom: r.ByWhom, Why: r.Why, At: r.At, EndedAt: t.now.UnixMilli(), EndedBy: by, EndedWhy: why,
			})
			if err != nil {
				return fmt.Errorf("keep the pause: %w", err)
			}
			if err := t.WakePaused(ctx, t.now.UnixMilli()); err != nil {
				return fmt.Errorf("resume: %w", err)
			}
		}
		return nil
	})
}

// Paused returns the pause in force, nil when there is none.
func (s *Store) Paused(ctx context.Context) (*offboard.Pause, error) { return paused(ctx, s.queries()) }

func paused(ctx context.Context, q *db.Queries) (*offboard.Pause, error) {
	rows, err := q.PauseState(ctx)
	if err != nil {
		return nil, fmt.Errorf("read pause: %w", err)
	}
	for _, r := range rows {
		return &offboard.Pause{By: r.ByWhom, Why: r.Why, At: moment(r.At)}, nil
	}
	return nil, nil
}

// PastPauses lists the pauses that are over, the last one first.
func (s *Store) PastPauses(ctx context.Context, most int) ([]offboard.Pause, error) {
	rows, err := s.queries().PastPauses(ctx, int32(most))
	if err != nil {
		return nil, fmt.Errorf("list pauses: %w", err)
	}
	out := make([]offboard.Pause, 0, len(rows))
	for _, r := range rows {
		out = append(out, offboard.Pause{
			By: r.ByWhom, Why: r.Why, At: moment(r.At), Resumed: moment(r.EndedAt), ResumedBy: r.EndedBy, ResumedWhy: r.EndedWhy,
		})
	}
	return out, nil
}
