package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// The budget of an organization's requests, which all replicas share.

// demand is how long what a share owns is kept for it after it was told to come
// back: who waits in a long queue comes later.
const demand = time.Minute

// asker is what one row can be asked of: a database or a transaction.
type asker interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// shared is the time by which requests are counted. On PostgreSQL it is the
// database's: the clocks of replicas differ, and a minute has to be the same one
// for all. A SQLite file has one process, whose clock it is.
func (s *Store) shared(ctx context.Context, q asker) (time.Time, error) {
	if !s.postgres || !s.opts.DatabaseClock {
		return s.now(), nil
	}
	var ms int64
	err := q.QueryRowContext(ctx, "select cast(extract(epoch from clock_timestamp()) * 1000 as bigint)").Scan(&ms)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the database's clock: %w", err)
	}
	return time.UnixMilli(ms), nil
}

// Spend asks an organization's budget for one request, shared by every replica:
// decide sees the meter and says whether the request may leave now, else when
// to ask again. Until then, and for a while longer, what the share owns is kept for it.
func (s *Store) Spend(ctx context.Context, organization, share string, decide func(m offboard.Meter, now time.Time) (ok bool, wait time.Duration)) (ok bool, wait time.Duration, err error) {
	err = s.transact(ctx, func(t *tx) error {
		row, err := t.BudgetLock(ctx, organization)
		if err != nil {
			return fmt.Errorf("lock budget: %w", err)
		}
		now, err := s.shared(ctx, t.sql) // after the lock, so that it does not run backwards
		if err != nil {
			return err
		}
		m, asked, err := t.meter(ctx, organization, row, now)
		if err != nil {
			return err
		}
		if ok, wait = decide(m, now); ok {
			err := t.BudgetSpend(ctx, db.BudgetSpendParams{ID: newID(), Organization: organization, Share: share, At: now.UnixMilli()})
			if err != nil {
				return fmt.Errorf("spend budget: %w", err)
			}
			return nil
		}
		asked = maps.Clone(asked)
		if asked == nil {
			asked = map[string]int64{}
		}
		asked[share] = now.Add(wait + demand).UnixMilli()
		b, err := json.Marshal(asked)
		if err != nil {
			return fmt.Errorf("encode the budget: %w", err)
		}
		if err := t.BudgetAsked(ctx, db.BudgetAskedParams{Asked: string(b), Organization: organization}); err != nil {
			return fmt.Errorf("save budget: %w", err)
		}
		return nil
	})
	return ok, wait, err
}

func (t *tx) meter(ctx context.Context, organization string, row db.BudgetLockRow, now time.Time) (m offboard.Meter, asked map[string]int64, err error) {
	since := now.Add(-time.Minute).UnixMilli()
	if err := t.BudgetForget(ctx, db.BudgetForgetParams{Organization: organization, Until: since}); err != nil {
		return m, nil, fmt.Errorf("trim budget: %w", err)
	}
	uses, err := t.BudgetUses(ctx, db.BudgetUsesParams{Organization: organization, Since: since})
	if err != nil {
		return m, nil, fmt.Errorf("read budget: %w", err)
	}
	if n := len(uses); n > 0 && uses[n-1].At > now.UnixMilli() {
		// The clock was set back. Nobody knows how long ago they were sent: they
		// count as if that were now, and are over in a minute.
		if err := t.BudgetAhead(ctx, db.BudgetAheadParams{Organization: organization, Now: now.UnixMilli()}); err != nil {
			return m, nil, fmt.Errorf("set the budget's clock: %w", err)
		}
	}
	for _, u := range uses {
		m.Uses = append(m.Uses, offboard.Use{Share: u.Share, At: time.UnixMilli(min(u.At, now.UnixMilli()))})
	}
	if row.ThrottledAt <= now.UnixMilli() { // else it is of a time to come; Amplitude will say so again
		m.Throttled = moment(row.ThrottledUntil)
	}
	if row.Asked != "" {
		if err := json.Unmarshal([]byte(row.Asked), &asked); err != nil {
			return m, nil, fmt.Errorf("read budget: %w", err)
		}
	}
	m.Asked = make(map[string]time.Time, len(asked))
	for share, until := range asked {
		if left := time.UnixMilli(until).Sub(now); left > 0 && left <= time.Minute+demand {
			m.Asked[share] = time.UnixMilli(until)
		}
	}
	return m, asked, nil
}

// Throttle records that Amplitude asked for a pause from now on. A shorter one
// does not end a longer one.
func (s *Store) Throttle(ctx context.Context, organization string, wait time.Duration) error {
	return s.transact(ctx, func(t *tx) error {
		row, err := t.BudgetLock(ctx, organization)
		if err != nil {
			return fmt.Errorf("throttle: %w", err)
		}
		now, err := s.shared(ctx, t.sql)
		if err != nil {
			return err
		}
		until := now.Add(wait).UnixMilli()
		if row.ThrottledAt <= now.UnixMilli() {
			until = max(until, row.ThrottledUntil)
		}
		err = t.BudgetThrottle(ctx, db.BudgetThrottleParams{ThrottledAt: now.UnixMilli(), ThrottledUntil: until, Organization: organization})
		if err != nil {
			return fmt.Errorf("throttle: %w", err)
		}
		return nil
	})
}

// Load reads how busy an organization's budget is.
func (s *Store) Load(ctx context.Context, organization string) (l offboard.Load, err error) {
	now, err := s.shared(ctx, s.read)
	if err != nil {
		return l, err
	}
	used, err := s.queries().CountBudgetUses(ctx, db.CountBudgetUsesParams{Organization: organization, Since: now.Add(-time.Minute).UnixMilli()})
	if err != nil {
		return l, fmt.Errorf("read budget: %w", err)
	}
	waiting, err := s.queries().CountWaiting(ctx, string(offboard.WaitBudget))
	if err != nil {
		return l, fmt.Errorf("count waiting cases: %w", err)
	}
	return offboard.Load{Used: int(used), Waiting: int(waiting)}, nil
}
