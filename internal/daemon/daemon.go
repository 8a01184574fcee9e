// Package daemon puts the parts together: from a checked configuration to a
// running process with its two listeners. It is the only place that knows
// everyone, and holds no rule of its own.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"offramp/internal/config"
	"offramp/internal/console"
	"offramp/internal/drift"
	"offramp/internal/intake"
	"offramp/internal/notify"
	"offramp/internal/offboard"
	"offramp/internal/review"
	"offramp/internal/runner"
	"offramp/internal/store"
	"offramp/scim"
	"offramp/transfer"
)

// Tempo is what the demo shortens. Zero fields take the values of real life.
type Tempo struct {
	Tolerance time.Duration // how long a list may lag; 0: 3 min
	Backoff   time.Duration // first pause after a failure; 0: 5 s
	Tick      time.Duration // of the sweep; 0: 1 s
	Workers   int           // of ordinary cases; 0: 8
}

// Options say what is not in the configuration file.
type Options struct {
	Log       *zap.Logger // required
	Version   string
	Tempo     Tempo
	Listening func(public, admin net.Addr) // told once both listeners are open; nil: nobody
}

// Daemon is the whole bridge.
type Daemon struct {
	cfg      *config.Config
	opts     Options
	store    *store.Store
	engine   *runner.Engine
	runner   *runner.Runner
	sender   *notify.Sender
	reviews  *review.Reviews
	registry *prometheus.Registry
	public   http.Handler
	admin    http.Handler
	seen     *prometheus.GaugeVec
	drift    *drift.Sweeper
	rules    *rules
	failed   func(offboard.PolicyFailure) // counts and logs
}

// New opens and migrates the database and builds everything; it listens to
// nothing and starts no work. Run or Close it.
func New(ctx context.Context, cfg *config.Config, o Options) (_ *Daemon, err error) {
	d := &Daemon{cfg: cfg, opts: o, registry: prometheus.NewRegistry()}
	d.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	retries := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "offramp_accept_retries_total", Help: "Writes repeated because the database was away.",
	})
	opened := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "offramp_cases_opened_total", Help: "Cases that were opened, by reason.",
	}, []string{"reason"})
	for _, r := range offboard.Reasons() {
		opened.WithLabelValues(string(r))
	}
	d.registry.MustRegister(retries, opened)
	d.failed = policyFailures(cfg, d.registry, o.Log.Named("policies"))
	d.store, err = store.Open(ctx, store.Options{
		Path: cfg.Database.Path, URL: cfg.Database.URL.Reveal(), AccessConfigured: len(cfg.Access.Groups) > 0,
		DatabaseClock: true,
		Retried:       retries.Inc, Opened: func(r offboard.Reason) { opened.WithLabelValues(string(r)).Inc() },
		Braked:       d.braked,
		PolicyFailed: d.failed,
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.store.Close())
		}
	}()
	jobs, pool := d.store.Jobs()
	d.engine, err = runner.NewEngine(runner.EngineOptions{
		DB: jobs, Pool: pool, Log: o.Log.Named("engine"), Tick: o.Tempo.Tick, Workers: o.Tempo.Workers,
	})
	if err != nil {
		return nil, err
	}
	d.store.Use(d.engine)
	if err := d.store.Migrate(ctx, d.engine.Migrate); err != nil {
		return nil, err
	}
	if d.sender, err = d.newSender(); err != nil {
		return nil, err
	}
	if d.runner, err = d.newRunner(); err != nil {
		return nil, err
	}
	d.engine.Bind(d.runner)
	if err := d.handlers(ctx); err != nil {
		return nil, err
	}
	d.registry.MustRegister(newGauges(d.store, cfg), newMessageGauge(d.store), newDriftGauges(d.store, cfg), newBrakeGauge(d.store, cfg))
	return d, nil
}

// handlers builds both sides' HTTP.
func (d *Daemon) handlers(ctx context.Context) error {
	rules, err := newRules(d.cfg)
	if err != nil {
		return err
	}
	for _, c := range d.cfg.Connections {
		lost, err := d.store.BindAccess(ctx, c.Name, offboard.AccessRules{Groups: d.cfg.Access.Groups, Rules: rules.of(c.Name)})
		if err != nil {
			return err
		}
		if lost > 0 {
			d.opts.Log.Warn("access.groups changed: people who lost access are held for an operator to release or dismiss",
				zap.String("connection", c.Name), zap.Int("people", lost))
		}
	}
	if err := d.startMode(ctx, rules); err != nil {
		return err
	}
	directory, err := intake.New(intake.Options{
		Store: d.store, Rules: rules.of, AccessGroups: d.cfg.Access.Groups, ByEmail: rules.byEmail,
		Log: d.opts.Log.Named("intake"), Metrics: d.registry,
	})
	if err != nil {
		return err
	}
	auth, err := intake.NewAuthenticator(intake.AuthOptions{Tokens: d.store, Bootstrap: bootstrap(d.cfg)})
	if err != nil {
		return err
	}
	d.seen = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "offramp_last_idp_request_timestamp_seconds", Help: "When a connection's identity provider was last heard.",
	}, []string{"connection"})
	for _, c := range d.cfg.Connections {
		d.seen.WithLabelValues(c.Name)
	}
	d.registry.MustRegister(d.seen)
	clients := newClients(d.cfg)
	scimHandler, err := scim.New(scim.Options{
		Directory: directory, Auth: auth, AllowClient: clients.allow,
		Seen:    func(_ context.Context, conn string) { d.seen.WithLabelValues(conn).SetToCurrentTime() },
		BaseURL: d.cfg.PublicURL + "/scim/v2", Log: d.opts.Log.Named("scim"), Metrics: d.registry,
	})
	if err != nil {
		return err
	}
	if d.reviews, err = d.newReviews(rules); err != nil {
		return err
	}
	con, err := console.New(console.Options{
		Store: d.store, Operators: operators(d.cfg), Approvers: approvers(d.cfg), PublicURL: d.cfg.PublicURL, Connections: connectionNames(d.cfg), Organizations: organizationNames(d.cfg), Rules: rules.of,
		Access: d.runner, Protected: protected(d.cfg), Reachable: reachable(d.cfg), Load: d.load, Callback: d.callback, Reviews: d.reviews, Mode: string(d.cfg.Mode), Version: d.opts.Version,
		Log: d.opts.Log.Named("console"),
	})
	if err != nil {
		return err
	}
	d.public = d.publicRoutes(scimHandler, con.Hooks(), con.Links())
	d.admin = d.adminRoutes(con.Admin())
	return nil
}

// Handlers are the public and the admin side, for a test that serves them itself.
func (d *Daemon) Handlers() (public, admin http.Handler) { return d.public, d.admin }

// Store is the record, for the demo and for tests.
func (d *Daemon) Store() *store.Store { return d.store }

// Work runs the workers and sends messages until ctx ends.
func (d *Daemon) Work(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return d.engine.Run(ctx) })
	all.Go(func() error { return d.sender.Run(ctx) })
	return all.Wait()
}

// Close closes the database.
func (d *Daemon) Close() error { return d.store.Close() }

// Run listens and works until ctx ends, then finishes what it began: it stops
// accepting, lets requests and attempts end, and closes the database.
func (d *Daemon) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, d.Close()) }()
	var lc net.ListenConfig
	public, err := lc.Listen(ctx, "tcp", d.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	admin, err := lc.Listen(ctx, "tcp", d.cfg.AdminListen)
	if err != nil {
		return errors.Join(fmt.Errorf("admin listen: %w", err), public.Close())
	}
	return d.runOn(ctx, public, admin)
}

// runOn is Run on listeners that are open; it does not close the database.
func (d *Daemon) runOn(ctx context.Context, public, admin net.Listener) error {
	if d.opts.Listening != nil {
		d.opts.Listening(public.Addr(), admin.Addr())
	}
	d.opts.Log.Info("serving", zap.Stringer("public", public.Addr()), zap.Stringer("admin", admin.Addr()),
		zap.String("mode", string(d.cfg.Mode)), zap.Bool("postgres", d.store.Postgres()), zap.String("version", d.opts.Version))
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return d.serve(ctx, public, d.public, d.cfg.TLS) })
	all.Go(func() error { return d.serve(ctx, admin, d.admin, config.TLS{}) })
	all.Go(func() error { return d.Work(ctx) })
	all.Go(func() error { return d.watchTokens(ctx) })
	all.Go(func() error { return d.watchMode(ctx) })
	all.Go(func() error { return d.drift.Run(ctx) })
	all.Go(func() error { return d.reviews.Run(ctx) })
	err := all.Wait()
	d.opts.Log.Info("stopped")
	return err
}

// serve answers on a listener until ctx ends and the requests at work are done.
func (d *Daemon) serve(ctx context.Context, l net.Listener, h http.Handler, tls config.TLS) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	scim.ConfigureServer(server)
	failed := make(chan error, 1)
	go func() {
		if tls.Enabled() {
			failed <- server.ServeTLS(l, tls.Cert, tls.Key)
			return
		}
		failed <- server.Serve(l)
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	// A write may be repeated for 20 s before it is answered.
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 25*time.Second)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		return fmt.Errorf("stop serving: %w", err)
	}
	return nil
}

func (d *Daemon) load(ctx context.Context) (console.Load, error) {
	st, err := d.store.Stats(ctx)
	if err != nil {
		return console.Load{}, err
	}
	var l console.Load
	for _, c := range st.Cases {
		l.Cases = append(l.Cases, console.CaseCount{Plan: c.Plan, State: c.State, Count: c.Number, Oldest: c.Oldest})
	}
	for _, n := range st.Overdue {
		l.CasesOverdue += n
	}
	for _, n := range st.TasksOverdue {
		l.TasksOverdue += n
	}
	for _, o := range d.cfg.Organizations {
		load, err := d.store.Load(ctx, o.Name)
		if err != nil {
			return l, err
		}
		l.Budgets = append(l.Budgets, console.BudgetLoad{
			Organization: o.Name, Used: load.Used, Rate: o.Rate, Queued: load.Waiting, ETASeconds: 60 * load.Waiting / runner.Ordinary(o.Rate),
		})
	}
	return l, nil
}

// callback reads what a hook says under its one-time address. A hook that is
// still at work changes nothing and may come back.
func (d *Daemon) callback(body []byte) (console.Answer, error) {
	receipt, err := transfer.ParseCallback("hook", time.Now(), body)
	if errors.Is(err, transfer.ErrHookFailed) {
		return func(f offboard.File, key string) (offboard.Update, error) {
			return runner.Failed(f, key, err.Error()), nil
		}, nil
	}
	if err != nil || receipt.State == transfer.StateAccepted {
		return nil, err
	}
	return func(f offboard.File, key string) (offboard.Update, error) { return runner.Answer(f, key, receipt), nil }, nil
}
