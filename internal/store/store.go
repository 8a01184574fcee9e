// Package store owns the rows: people, groups, cases, steps, effects, the
// timeline and its hash chain, tokens and the budget, in one SQLite file or in
// PostgreSQL. It runs the pure rules of offboard inside the transactions that
// record their decisions. It must not know SCIM, Amplitude, or River beyond an
// Enqueuer that puts jobs into a transaction.
package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// Errors that callers tell apart.
var (
	ErrNotFound    = offboard.ErrNotFound
	ErrFenced      = offboard.ErrFenced
	ErrLeased      = offboard.ErrLeased
	ErrEnded       = offboard.ErrEnded
	ErrUnavailable = offboard.ErrUnavailable
	ErrLocked      = errors.New("another process uses this database file")
)

// TakenError says which attribute's value belongs to somebody else.
type TakenError = offboard.TakenError

// Enqueuer puts jobs into the caller's transaction.
type Enqueuer interface {
	Enqueue(ctx context.Context, tx *sql.Tx, jobs []offboard.Job) error
}

// Options say which database to use. Exactly one of Path and URL is set.
type Options struct {
	Path             string                // SQLite file
	URL              string                // PostgreSQL
	Now              func() time.Time      // nil: time.Now
	DatabaseClock    bool                  // PostgreSQL: requests are counted by the database's clock, not by Now
	AccessConfigured bool                  // whether being active alone is not enough
	Patience         time.Duration         // how long a write is retried while the database is away; 0: 20 s
	Retried          func()                // called for every retried write; nil: nobody counts
	Opened           func(offboard.Reason) // told of every case that was opened, after its commit; nil: nobody
	// PolicyFailed is told of every policy that could not be applied as it was
	// meant to be, after the commit of what was done instead; nil: nobody.
	PolicyFailed func(offboard.PolicyFailure)
	Braked       func(offboard.Brake) // told of every brake that engaged, after the commit; nil: nobody
	// Through, if not nil, stands between the store and the database's driver:
	// a test counts there what a request costs.
	Through func(driver.Connector) driver.Connector
}

// Store is safe for concurrent use.
type Store struct {
	opts     Options
	now      func() time.Time
	postgres bool
	write    *sql.DB // SQLite: one connection
	read     *sql.DB // SQLite: a pool of read-only ones; PostgreSQL: the same as write
	pool     *pgxpool.Pool
	jobsDB   *sql.DB // PostgreSQL: River's own
	jobsPool *pgxpool.Pool
	enqueuer Enqueuer
	group    *group // SQLite: collects writes; nil for PostgreSQL
	lock     *fileLock
}

// Open opens the database and takes its lock; it changes no table. Close it.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{opts: o, now: o.Now}
	if s.now == nil {
		s.now = time.Now
	}
	if s.opts.Patience == 0 {
		s.opts.Patience = 20 * time.Second
	}
	if (o.Path == "") == (o.URL == "") {
		return nil, errors.New("open store: set either a file path or a PostgreSQL URL")
	}
	if o.URL != "" {
		return s, s.openPostgres(ctx, o.URL)
	}
	return s, s.openSQLite(ctx, o.Path)
}

func (s *Store) openPostgres(ctx context.Context, url string) error {
	conf, err := pgxpool.ParseConfig(url)
	if err != nil {
		return errors.New("open store: the PostgreSQL URL is not valid") // the text of err may hold the password
	}
	s.postgres = true
	s.pool, err = pgxpool.NewWithConfig(ctx, conf)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	jobs := conf.Copy()
	jobs.MaxConns = max(conf.MaxConns, 8)
	if s.jobsPool, err = pgxpool.NewWithConfig(ctx, jobs); err != nil {
		s.pool.Close()
		return fmt.Errorf("open store: %w", err)
	}
	s.jobsDB = stdlib.OpenDBFromPool(s.jobsPool)
	s.write = s.connect(stdlib.GetPoolConnector(s.pool))
	s.write.SetMaxIdleConns(0) // the pool keeps them
	s.write.SetMaxOpenConns(int(conf.MaxConns))
	s.read = s.write
	return nil
}

// connect makes the handle for a way to the database.
func (s *Store) connect(c driver.Connector) *sql.DB {
	if s.opts.Through != nil {
		c = s.opts.Through(c)
	}
	return sql.OpenDB(c)
}

// Use names who enqueues jobs. It is called once, before the first write;
// without it a case waits for the sweep.
func (s *Store) Use(e Enqueuer) { s.enqueuer = e }

// Postgres reports which of the two databases is in use.
func (s *Store) Postgres() bool { return s.postgres }

// DB is the handle that writes.
func (s *Store) DB() *sql.DB { return s.write }

// Jobs is what River works with: on SQLite the one writing connection, on
// PostgreSQL a pool of its own, so that requests which wait for a connection
// cannot starve its elections.
func (s *Store) Jobs() (*sql.DB, *pgxpool.Pool) {
	if s.jobsPool == nil {
		return s.write, nil
	}
	return s.jobsDB, s.jobsPool
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	if err := s.read.QueryRowContext(ctx, "select 1").Scan(&one); err != nil {
		return fmt.Errorf("ping the database: %w", err)
	}
	return nil
}

// Close waits for the writes that were accepted and closes the database.
func (s *Store) Close() error {
	if s.group != nil {
		s.group.close()
	}
	err := s.write.Close()
	if s.read != s.write {
		err = errors.Join(err, s.read.Close())
	}
	if s.pool != nil {
		err = errors.Join(err, s.jobsDB.Close())
		s.jobsPool.Close()
		s.pool.Close()
	}
	s.lock.release()
	return err
}

// queries reads outside a transaction.
func (s *Store) queries() *db.Queries { return db.New(s.read) }

// tx is one write while it is being made.
type tx struct {
	*db.Queries
	sql  *sql.Tx
	now  time.Time
	jobs []offboard.Job
	told []offboard.Reason // of cases that were opened
	fell []offboard.PolicyFailure

	braked []offboard.Brake // that engaged
}

func (t *tx) enqueue(j offboard.Job) { t.jobs = append(t.jobs, j) }

// transact runs f in a transaction and returns when it is durable. f may run
// more than once and must not keep effects outside the transaction other than
// overwriting its results. While the database is away it is repeated for
// Options.Patience; then the answer is ErrUnavailable.
func (s *Store) transact(ctx context.Context, f func(*tx) error) error {
	give := time.NewTimer(s.opts.Patience)
	defer give.Stop()
	pause := 50 * time.Millisecond
	for {
		err := s.once(ctx, f)
		if err == nil || !away(err) {
			return err
		}
		if s.opts.Retried != nil {
			s.opts.Retried()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
		case <-give.C:
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		case <-time.After(pause):
		}
		pause = min(pause*2, time.Second)
	}
}

func (s *Store) once(ctx context.Context, f func(*tx) error) error {
	if s.group != nil {
		return s.group.do(ctx, f)
	}
	sqlTx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = sqlTx.Rollback() }() // after a commit it does nothing
	t := &tx{Queries: db.New(sqlTx), sql: sqlTx, now: s.now()}
	if err := f(t); err != nil {
		return err
	}
	if err := s.flush(ctx, sqlTx, t.jobs); err != nil {
		return err
	}
	if err := sqlTx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	s.tell(t.told, t.fell, t.braked)
	return nil
}

// tell counts the cases of a write that is now durable, and the policies that
// failed in it.
func (s *Store) tell(opened []offboard.Reason, failed []offboard.PolicyFailure, braked []offboard.Brake) {
	for _, b := range braked {
		if s.opts.Braked != nil {
			s.opts.Braked(b)
		}
	}
	for _, f := range failed {
		if s.opts.PolicyFailed != nil {
			s.opts.PolicyFailed(f)
		}
	}
	for _, r := range opened {
		if s.opts.Opened != nil {
			s.opts.Opened(r)
		}
	}
}

func (s *Store) flush(ctx context.Context, sqlTx *sql.Tx, jobs []offboard.Job) error {
	if s.enqueuer == nil || len(jobs) == 0 {
		return nil
	}
	return s.enqueuer.Enqueue(ctx, sqlTx, jobs)
}

// newID returns an id that sorts by the time it was made.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// NewSecret returns 256 random bits as text.
func NewSecret() string { return rand.Text() + rand.Text() }

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
