package runner

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"go.uber.org/zap"

	"offramp/internal/offboard"
)

// Queues, each with workers of its own, so that an incident never waits behind a
// mass removal, nor behind what other incidents do after theirs: hooks that
// hang, and looks that wait for the budget.
const (
	queueUrgent  = "emergency"
	queueRemoved = "emergency_removed"
	queueLeaver  = "leaver"
)

// fed is how many cases may wait for a worker before the sweep stops adding.
const fed = 200

// EngineOptions say where River keeps its jobs.
type EngineOptions struct {
	DB      *sql.DB       // required; on SQLite the one writing connection
	Pool    *pgxpool.Pool // PostgreSQL: for its notifications; nil: SQLite
	Workers int           // of ordinary cases; 0: 8
	Tick    time.Duration // how often due cases are looked for; 0: 1 s
	Log     *zap.Logger   // nil: silent
}

// Engine is River with the one kind of job there is: look at a case.
type Engine struct {
	opts   EngineOptions
	client *river.Client[*sql.Tx]
	driver riverdriver.Driver[*sql.Tx]
	runner *Runner
	log    *zap.Logger
}

// caseArgs holds an id and nothing else: River's console shows arguments.
type caseArgs struct {
	CaseID string `json:"case_id"`
}

// Kind names the job.
func (caseArgs) Kind() string { return "case" }

type worker struct {
	river.WorkerDefaults[caseArgs]
	engine *Engine
}

// Work looks at a case. The case itself keeps what is to be repeated and when,
// so only trouble with the database is River's to repeat.
func (w *worker) Work(ctx context.Context, job *river.Job[caseArgs]) error {
	if w.engine.runner == nil {
		return errors.New("no runner")
	}
	return w.engine.runner.Advance(ctx, job.Args.CaseID)
}

// NewEngine builds the client; it starts nothing. Bind a runner before Run.
func NewEngine(o EngineOptions) (*Engine, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Workers == 0 {
		o.Workers = 8
	}
	if o.Tick == 0 {
		o.Tick = time.Second
	}
	e := &Engine{opts: o, log: o.Log}
	if o.Pool != nil {
		e.driver = riverdatabasesql.NewWithPgxListener(o.DB, o.Pool)
	} else {
		e.driver = riversqlite.New(o.DB)
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{engine: e})
	client, err := river.NewClient(e.driver, &river.Config{
		Queues: map[string]river.QueueConfig{
			queueUrgent:  {MaxWorkers: 8},
			queueRemoved: {MaxWorkers: 8},
			queueLeaver:  {MaxWorkers: o.Workers},
		},
		Workers: workers,
		// A call may take up to 20 s and a run makes several; a job that outlives
		// this is given up and its case is claimed again when its lease ends.
		JobTimeout:           5 * time.Minute,
		RescueStuckJobsAfter: 6 * time.Minute,
		FetchCooldown:        50 * time.Millisecond,
		FetchPollInterval:    200 * time.Millisecond,
		SoftStopTimeout:      20 * time.Second,
		// Jobs are only wake-ups; nobody looks at old ones.
		CompletedJobRetentionPeriod: 10 * time.Minute,
		CancelledJobRetentionPeriod: 10 * time.Minute,
		DiscardedJobRetentionPeriod: 24 * time.Hour,
		Logger:                      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, fmt.Errorf("build the job client: %w", err)
	}
	e.client = client
	return e, nil
}

// Bind names the runner that does the work.
func (e *Engine) Bind(r *Runner) { e.runner = r }

// Migrate brings River's tables up to date. The caller holds the lock.
func (e *Engine) Migrate(ctx context.Context) error {
	m, err := rivermigrate.New(e.driver, nil)
	if err != nil {
		return fmt.Errorf("migrate jobs: %w", err)
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate jobs: %w", err)
	}
	return nil
}

// Enqueue puts one job per case into the transaction.
func (e *Engine) Enqueue(ctx context.Context, tx *sql.Tx, jobs []offboard.Job) error {
	params := make([]river.InsertManyParams, 0, len(jobs))
	for _, j := range jobs {
		queue := queueLeaver
		switch {
		case j.Urgent && j.Removed:
			queue = queueRemoved
		case j.Urgent:
			queue = queueUrgent
		}
		params = append(params, river.InsertManyParams{
			Args: caseArgs{CaseID: j.CaseID}, InsertOpts: &river.InsertOpts{Queue: queue, MaxAttempts: 5},
		})
	}
	if _, err := e.client.InsertManyFastTx(ctx, tx, params); err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	return nil
}

// Run works until ctx ends, then lets the attempts at work finish.
func (e *Engine) Run(ctx context.Context) error {
	if e.runner == nil {
		return errors.New("the engine has no runner")
	}
	life := context.WithoutCancel(ctx)
	if !e.begin(ctx, life) {
		return nil
	}
	var loops sync.WaitGroup
	loops.Go(func() { e.rotate(ctx) })
	loops.Go(func() { e.learn(ctx, "reading the audit log", e.runner.ReadActivity) })
	loops.Go(func() { e.learn(ctx, "reading who owns what", e.runner.SweepOwnership) })
	loops.Go(func() { e.learn(ctx, "looking after successors", e.runner.Successors) })
	e.sweep(ctx)
	loops.Wait()
	stop, cancel := context.WithTimeout(life, 25*time.Second)
	defer cancel()
	if err := e.client.Stop(stop); err != nil {
		if err := e.client.StopAndCancel(life); err != nil {
			return fmt.Errorf("stop the workers: %w", err)
		}
	}
	return nil
}

// begin starts the workers under life and reports whether they work. While the
// database is away it tries again until ctx ends: writes wait for it meanwhile,
// and a process that ended would refuse them.
func (e *Engine) begin(ctx, life context.Context) bool {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := e.client.Start(life)
		if err == nil {
			return true
		}
		e.log.Warn("starting the workers, will be repeated", zap.Error(err))
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
	}
}

// sweep is the clock of all waits and the net under lost jobs: every tick it
// enqueues the cases whose time has come.
func (e *Engine) sweep(ctx context.Context) {
	tick := time.NewTicker(e.opts.Tick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := e.runner.opts.Store.Due(ctx, fed, fed); err != nil && ctx.Err() == nil {
			e.log.Warn("looking for due cases, will be repeated", zap.Error(err))
		}
	}
}

// rotate carries rotations on beside the sweep: a hook that hangs must not stop
// the clock of all waits. Every replica does; a rotation has a lease.
func (e *Engine) rotate(ctx context.Context) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := e.runner.Rotations(ctx); err != nil && ctx.Err() == nil {
			e.log.Warn("carrying rotations on, will be repeated", zap.Error(err))
		}
	}
}
