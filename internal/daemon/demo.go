package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sync/errgroup"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/console"
	"offramp/internal/offboard"
)

// DemoOptions say how the demo is played.
type DemoOptions struct {
	Out      io.Writer         // required
	Color    bool              // Out is a terminal
	Quiet    bool              // only the result
	Keep     string            // directory for the configuration, the database and the log; empty: a temporary one
	Switches map[string]string // of the simulator, set once the cast has its seats
	Scenario string            // one of Scenarios, or "all"; empty: the tour
	Database string            // URL of an empty PostgreSQL database; empty: a SQLite file
	Version  string
	Patience time.Duration // for all cases of a scenario to end; 0: 45 s
}

// What the demo shortens; introduce says what real life has.
const (
	demoSettle  = time.Second
	demoGrace   = time.Second
	demoGather  = 500 * time.Millisecond
	demoOverlap = 2 * time.Second
	demoTick    = 200 * time.Millisecond
	demoPoll    = 250 * time.Millisecond // of the people who look for work
)

// demoVerify is when a removal is looked at again.
func demoVerify() []time.Duration {
	return []time.Duration{time.Second, 2 * time.Second, 3 * time.Second}
}

// demoFailures is how many failed attempts of one step show that waiting on is
// of no use.
const demoFailures = 4

// demo is one performance.
type demo struct {
	opts    DemoOptions
	scene   scenario
	stage   *stage
	dir     string
	cast    []*actor
	fake    *amplitudefake.Fake
	keys    demoKeys
	sim     *listening
	public  *listening
	admin   *listening
	bridge  *Daemon
	log     io.Closer
	watched map[string]*watched // by folded address
}

// Demo plays the main job, or one use case of it, on embedded parts: a simulated
// Amplitude, the whole bridge on loopback with a database of its own, two
// identity providers that speak over HTTP, and the people who approve and hand
// over. It returns nil only when every case ended as it should and the
// simulator's ground truth agrees; otherwise the error says in a sentence what
// did not.
func Demo(ctx context.Context, o DemoOptions) error {
	if o.Out == nil {
		return errors.New("demo: an output is required")
	}
	if o.Patience == 0 {
		o.Patience = 45 * time.Second
	}
	if o.Scenario != "all" {
		scene, err := scenarioNamed(o.Scenario)
		if err != nil {
			return err
		}
		return perform(ctx, o, scene)
	}
	var failed []string
	for _, scene := range scenarios() {
		one := o
		if o.Keep != "" {
			one.Keep = filepath.Join(o.Keep, scene.name)
		}
		if err := perform(ctx, one, scene); err != nil {
			newStage(o).print(scene.name + ": " + err.Error() + "\n")
			failed = append(failed, scene.name)
		}
		if ctx.Err() != nil {
			return errors.New("the demo was interrupted")
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("the demo failed in: %s", strings.Join(failed, ", "))
	}
	return nil
}

// perform plays one scenario.
func perform(ctx context.Context, o DemoOptions, scene scenario) (err error) {
	d := &demo{opts: o, scene: scene, stage: newStage(o), cast: scene.cast(), watched: map[string]*watched{}}
	clean, err := d.directory()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, clean()) }()
	if err := d.setUp(ctx); err != nil {
		return err
	}
	before := d.fake.State() // the switches change nothing before the first request
	d.introduce()
	played := d.play(ctx)
	if ctx.Err() != nil {
		return errors.New("the demo was interrupted")
	}
	truth := d.compare(before, d.fake.State())
	return d.report(truth, played)
}

// directory makes the place where everything is written. clean removes it
// unless it is to be kept.
func (d *demo) directory() (clean func() error, err error) {
	if d.opts.Keep == "" {
		if d.dir, err = os.MkdirTemp("", "offramp-demo-"); err != nil {
			return nil, fmt.Errorf("make a temporary directory: %w", err)
		}
		return func() error { return os.RemoveAll(d.dir) }, nil
	}
	if d.dir, err = filepath.Abs(d.opts.Keep); err != nil {
		return nil, fmt.Errorf("directory to keep: %w", err)
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory to keep: %w", err)
	}
	there, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, fmt.Errorf("read the directory to keep: %w", err)
	}
	if len(there) > 0 {
		return nil, fmt.Errorf("the directory %s is not empty; name one that is empty or not there", d.dir)
	}
	return func() error { return nil }, nil
}

// introduce says what is about to be seen, and what is not as in real life.
func (d *demo) introduce() {
	s := d.stage
	s.heading("Offramp demo: " + d.scene.title)
	if d.scene.story != "" {
		s.textf("%s", d.scene.story)
	}
	s.textf("Amplitude is a simulator at %s with %d members and Amplitude's own limit of 100 SCIM requests a minute. "+
		"The bridge is the real one: public listener %s, operator API %s, a database of its own.",
		d.sim.url, len(d.fake.State().Members), d.public.url, d.admin.url)
	s.textf("Waiting times are shortened: a case settles for %s (real life 2m), an access group may come back within %s (5m), "+
		"a removal is looked at after %s, %s, %s and %s (20s, 5m, 15m, 30m), and an old key lives on for %s (72h).",
		demoSettle, demoGrace, demoGather, demoVerify()[0], demoVerify()[1], demoVerify()[2], demoOverlap)
	if len(d.opts.Switches) > 0 {
		var set []string
		for _, name := range slices.Sorted(maps.Keys(d.opts.Switches)) {
			set = append(set, name+"="+d.opts.Switches[name])
		}
		s.textf("The simulator misbehaves on purpose: %s.", strings.Join(set, ", "))
	}
}

// play runs everything until the cases have ended, or until it is clear that
// they will not.
func (d *demo) play(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	crew, ctx := errgroup.WithContext(ctx)
	// The bridge lets its attempts end, for which it needs the simulator: that one stops last.
	sim, stopSim := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSim()
	simulator := make(chan error, 1)
	go func() { simulator <- d.sim.serve(sim, d.fake) }()
	crew.Go(func() error {
		if err := d.bridge.runOn(ctx, d.public.listener, d.admin.listener); err != nil {
			return fmt.Errorf("the bridge stopped: %w", err)
		}
		return nil
	})
	crew.Go(func() error { return d.leadWorks(ctx) })
	crew.Go(func() error { return d.managerWorks(ctx) })
	err := d.toTheEnd(ctx)
	stop()
	if crewErr := crew.Wait(); crewErr != nil && !errors.Is(crewErr, context.Canceled) {
		err = crewErr
	}
	err = errors.Join(err, d.bridge.Close(), d.log.Close())
	stopSim()
	return errors.Join(err, <-simulator)
}

// toTheEnd is the play itself: the providers act, the cases are watched to their
// end, and the replaced key is retired.
func (d *demo) toTheEnd(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d.opts.Patience, errLate)
	defer cancel()
	watching := make(chan error, 1)
	acted := make(chan struct{})
	go func() {
		err := d.watch(ctx, acted)
		if err != nil {
			cancel()
		}
		watching <- err
	}()
	acting := d.providersAct(ctx)
	if acting != nil {
		cancel()
	} else {
		close(acted)
	}
	if err := <-watching; err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	if acting != nil {
		return acting
	}
	return d.retire(ctx)
}

// retire waits until every replaced key is ended, once both keys have lived side
// by side. The bridge looks every five seconds; the demo lets it look at once.
// Where both look at the same time one of them finds the rotation taken, so the
// demo asks until it is ended.
func (d *demo) retire(ctx context.Context) error {
	reader := d.operator(d.keys.reader)
	for {
		var list console.RotationList
		if err := reader.call(ctx, http.MethodGet, "rotations", nil, &list); err != nil {
			return err
		}
		if len(list.Rotations) == 0 {
			return nil
		}
		i := slices.IndexFunc(list.Rotations, func(r console.Rotation) bool { return r.State == offboard.RotationMinted })
		if i < 0 {
			d.stage.line(time.Now(), "offramp", "the overlap is over: the replaced deployment is archived and its key is dead")
			return nil
		}
		r := list.Rotations[i]
		if err := pause(ctx, max(time.Until(r.RetireAt), demoTick)); err != nil {
			return fmt.Errorf("%w: the old key of %s still works: %s", err, r.Credential, r.Note)
		}
		if err := d.bridge.runner.Rotations(ctx); err != nil {
			return fmt.Errorf("retire the replaced key: %w", err)
		}
	}
}

// pause waits for t, or until ctx ends.
func pause(ctx context.Context, t time.Duration) error {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// every calls do again and again until ctx ends, which is no error, or do fails.
func every(ctx context.Context, each time.Duration, do func(context.Context) error) error {
	for {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		if pause(ctx, each) != nil {
			return nil
		}
	}
}

// logger writes the bridge's log to a file of the demo's directory.
func (d *demo) logger() (*zap.Logger, error) {
	f, err := os.OpenFile(filepath.Join(d.dir, "offramp.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	d.log = f
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(f), zapcore.InfoLevel)), nil
}

// watched is a person's case as it was last read.
type watched struct {
	file console.CaseFile
	told int // timeline entries that were shown
}

// demoClient is for calls on loopback that answer at once.
func demoClient() *http.Client { return &http.Client{Timeout: 30 * time.Second} }
