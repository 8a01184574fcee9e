package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// groupSize is how many writes share one commit at most.
const groupSize = 128

// group makes one transaction out of the writes that are waiting. Each write
// stands behind its own savepoint, so that it fails alone; all of them are
// answered after the one commit that made them durable.
type group struct {
	store *Store
	queue chan *pending
	stop  chan struct{}
	done  sync.WaitGroup
}

type pending struct {
	ctx  context.Context
	f    func(*tx) error
	err  error
	done chan struct{}
}

func newGroup(s *Store) *group {
	g := &group{store: s, queue: make(chan *pending, groupSize), stop: make(chan struct{})}
	g.done.Go(g.run)
	return g
}

// do hands f over and waits until it is durable or has failed.
func (g *group) do(ctx context.Context, f func(*tx) error) error {
	p := &pending{ctx: ctx, f: f, done: make(chan struct{})}
	select {
	case g.queue <- p:
	case <-g.stop:
		return errors.New("the store is closed")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	// Once handed over it may be committed, so its outcome is waited for.
	<-p.done
	return p.err
}

func (g *group) run() {
	for {
		select {
		case p := <-g.queue:
			g.commit(g.gather(p))
		case <-g.stop:
			for {
				select {
				case p := <-g.queue:
					g.commit(g.gather(p))
				default:
					return
				}
			}
		}
	}
}

func (g *group) gather(first *pending) []*pending {
	batch := []*pending{first}
	for len(batch) < groupSize {
		select {
		case p := <-g.queue:
			batch = append(batch, p)
		default:
			return batch
		}
	}
	return batch
}

func (g *group) commit(batch []*pending) {
	err := g.transaction(batch)
	for _, p := range batch {
		if p.err == nil {
			p.err = err
		}
		close(p.done)
	}
}

func (g *group) transaction(batch []*pending) error {
	// The batch belongs to many callers: none of their contexts may end it.
	ctx := context.Background()
	sqlTx, err := g.store.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = sqlTx.Rollback() }() // after a commit it does nothing
	var jobs []offboard.Job
	var told []offboard.Reason
	var braked []offboard.Brake
	var fell []offboard.PolicyFailure
	for _, p := range batch {
		t, err := g.one(ctx, sqlTx, p, len(batch) > 1)
		if err != nil {
			return err
		}
		if t != nil {
			jobs, told, fell = append(jobs, t.jobs...), append(told, t.told...), append(fell, t.fell...)
			braked = append(braked, t.braked...)
		}
	}
	if err := g.store.flush(ctx, sqlTx, jobs); err != nil {
		return err
	}
	if err := sqlTx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	g.store.tell(told, fell, braked)
	return nil
}

// one runs a write behind a savepoint. Its own failure is kept in p; the
// returned error is one of the transaction. A write that failed returns nil.
func (g *group) one(ctx context.Context, sqlTx *sql.Tx, p *pending, shared bool) (*tx, error) {
	if p.ctx.Err() != nil {
		p.err = p.ctx.Err()
		return nil, nil
	}
	if shared {
		if _, err := sqlTx.ExecContext(ctx, "savepoint one"); err != nil {
			return nil, fmt.Errorf("savepoint: %w", err)
		}
	}
	t := &tx{Queries: db.New(sqlTx), sql: sqlTx, now: g.store.now()}
	p.err = p.f(t)
	switch {
	case !shared && p.err != nil:
		return nil, p.err // alone: the whole transaction goes
	case !shared:
		return t, nil
	case p.err != nil:
		if _, err := sqlTx.ExecContext(ctx, "rollback to one"); err != nil {
			// SQLite gave up the whole transaction: an interrupted write does that.
			// The one at fault keeps its error, the others are repeated.
			return nil, fmt.Errorf("%w: %w", errGroupGone, err)
		}
		t = nil
	}
	if _, err := sqlTx.ExecContext(ctx, "release one"); err != nil {
		return nil, fmt.Errorf("release savepoint: %w", err)
	}
	return t, nil
}

func (g *group) close() {
	close(g.stop)
	g.done.Wait()
}
