package drift_test

import (
	"context"
	"database/sql"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/drift"
	"offramp/internal/offboard"
	"offramp/internal/runner"
	"offramp/internal/store"
	"offramp/internal/store/storetest"
	"offramp/transfer"
)

// clock is virtual time, shared by the record, the simulator and the sweeper.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// jobs stands in for River.
type jobs struct {
	mu  sync.Mutex
	ids []string
}

func (j *jobs) Enqueue(_ context.Context, _ *sql.Tx, list []offboard.Job) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, job := range list {
		j.ids = append(j.ids, job.CaseID)
	}
	return nil
}

func (j *jobs) take() (string, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.ids) == 0 {
		return "", false
	}
	id := j.ids[0]
	j.ids = j.ids[1:]
	return id, true
}

// world is a bridge in virtual time: the real record, client, runner and
// sweeper in front of the simulator.
type world struct {
	t         *testing.T
	clock     *clock
	jobs      *jobs
	store     *store.Store
	fake      *amplitudefake.Fake
	beta      *amplitudefake.Fake // the second organization; nil: there is none
	client    *amplitude.Client
	transport http.RoundTripper // to acme, of clients made from now on; nil: the simulator's
	runner    *runner.Runner
	options   drift.Options
	approvals int // that cases need
	brake     offboard.BrakeRules
	sweeper   *drift.Sweeper
	lie       func(*http.Request) string // what Amplitude answers with 200 instead of the truth; nil or empty: the truth
}

// RoundTrip asks the simulator, or lies.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.lie != nil {
		if body := w.lie(r); body != "" {
			return &http.Response{
				StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
				Body: io.NopCloser(strings.NewReader(body)), Request: r,
			}, nil
		}
	}
	return w.fake.Transport().RoundTrip(r)
}

type setup struct {
	postgres bool
	access   bool // access groups are configured
	observe  bool
	beta     bool // there is a second organization
	budget   func(*world) amplitude.Budget
	drift    func(*drift.Options)
}

// onBoth runs a story on both databases.
func onBoth(t *testing.T, s setup, story func(*world)) {
	t.Helper()
	t.Parallel()
	for _, postgres := range []bool{false, true} {
		name := "sqlite"
		if postgres {
			name = "postgres"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s
			s.postgres = postgres
			story(newWorld(t, s))
		})
	}
}

func newWorld(t *testing.T, s setup) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{t: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}, jobs: &jobs{}}
	o := store.Options{Now: w.clock.now, AccessConfigured: s.access}
	if s.postgres {
		o.URL = storetest.Postgres(t)
	} else {
		o.Path = filepath.Join(t.TempDir(), "offramp.db")
	}
	var err error
	if w.store, err = store.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.store.Use(w.jobs)
	if err := w.store.Migrate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	w.fake = w.simulator(1)
	w.client = w.amplitude(s, "acme", w.fake)
	organizations := []drift.Organization{{Name: "acme", Client: w.client, Roles: true, Audit: true}}
	if s.beta {
		w.beta = w.simulator(2)
		organizations = append(organizations, drift.Organization{Name: "beta", Client: w.amplitude(s, "beta", w.beta), Audit: true})
	}
	w.newRunner(s, organizations)
	w.options = drift.Options{
		Store: w.store, Organizations: organizations,
		Connections: []drift.Connection{{Name: "okta", Domains: []string{"example.com"}}}, AccessConfigured: s.access, Observe: s.observe,
		Every: 6 * time.Hour, PendingAfter: 14 * 24 * time.Hour, Now: w.clock.now,
		Sleep: func(ctx context.Context, d time.Duration) error { w.clock.move(d); return ctx.Err() },
		Log:   zaptest.NewLogger(t, zaptest.Level(zapcore.ErrorLevel)),
	}
	for _, p := range w.fake.Credentials().Projects {
		w.options.Organizations[0].Projects = append(w.options.Organizations[0].Projects, p.ID)
	}
	if s.drift != nil {
		s.drift(&w.options)
	}
	if w.sweeper, err = drift.New(w.options); err != nil {
		t.Fatal(err)
	}
	w.person("root", "root@example.com", amplitudefake.RoleAdmin)
	w.person("kim", "kim@example.com", amplitudefake.RoleMember)
	return w
}

func (w *world) simulator(seed int64) *amplitudefake.Fake {
	w.t.Helper()
	fake, err := amplitudefake.New(amplitudefake.Options{Seed: seed, RatePerMinute: -1, Now: w.clock.now, Switches: map[string]string{"audit_lag": "0s"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return fake
}

func (w *world) amplitude(s setup, name string, fake *amplitudefake.Fake) *amplitude.Client {
	w.t.Helper()
	c := fake.Credentials()
	o := amplitude.Options{
		Name: name, Endpoints: amplitude.Endpoints{
			SCIM: "http://sim.example/scim/1", UserManagement: "http://sim.example/user-management/1", Audit: "http://sim.example/api/2/audit-logs",
			Analytics: "http://sim.example", Experiment: "http://sim.example/api/1", Evaluation: "http://sim.example",
			Developer: "http://sim.example", Data: "http://sim.example",
		},
		SCIMKey: amplitude.Secret(c.SCIMKey), OrgID: c.OrgID, OrgKey: amplitude.Secret(c.OrgKey), OrgSecret: amplitude.Secret(c.OrgSecret),
		Transport: fake.Transport(), Now: w.clock.now,
	}
	for _, p := range c.Projects {
		o.Projects = append(o.Projects, amplitude.Project{ID: p.ID, Name: p.Name, APIKey: amplitude.Secret(p.APIKey), SecretKey: amplitude.Secret(p.SecretKey)})
	}
	if s.budget != nil {
		o.Budget = s.budget(w)
	}
	if fake == w.fake {
		if o.Transport = w; w.transport != nil {
			o.Transport = w.transport
		}
	}
	client, err := amplitude.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return client
}

func (w *world) newRunner(s setup, all []drift.Organization) {
	w.t.Helper()
	manual, err := transfer.NewManual(transfer.ManualOptions{Now: w.clock.now})
	if err != nil {
		w.t.Fatal(err)
	}
	var organizations []runner.Organization
	for i, o := range all {
		one := runner.Organization{Name: o.Name, Client: o.Client}
		for _, p := range []*amplitudefake.Fake{w.fake, w.beta}[i].Credentials().Projects {
			one.Projects = append(one.Projects, runner.Project{ID: p.ID, Name: p.Name})
		}
		organizations = append(organizations, one)
	}
	w.runner, err = runner.New(runner.Options{
		Store: w.store, Manual: manual, Now: w.clock.now, Observe: s.observe, Access: s.access,
		Verify: []time.Duration{5 * time.Minute, 15 * time.Minute, 30 * time.Minute}, Gather: 20 * time.Second,
		Organizations: organizations, Brake: func(string) offboard.BrakeRules { return w.brake }, Settle: 2 * time.Minute,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) rules() offboard.Rules {
	policy := offboard.Fallback()
	policy.Approvals, policy.Unlisted = w.approvals, offboard.UnlistedNote
	return offboard.Rules{
		Settle: 2 * time.Minute, AccessConfigured: w.options.AccessConfigured, Policy: func(offboard.PolicyFacts) offboard.Policy { return policy },
		Brake: w.brake,
	}
}

// seat adds a member to Amplitude.
func (w *world) seat(email, name string) {
	w.t.Helper()
	err := w.fake.AddMember(amplitudefake.Member{Email: email, GivenName: name, FamilyName: "Example", Role: amplitudefake.RoleMember, LastLogin: w.clock.now()})
	if err != nil {
		w.t.Fatal(err)
	}
}

// hire adds somebody to the directory, without a seat.
func (w *world) hire(id, address string, change func(*offboard.Person)) {
	w.t.Helper()
	_, err := w.store.ChangePerson(w.t.Context(), offboard.PersonChange{
		Connection: "okta", Rules: w.rules(), Change: func(offboard.Person) (offboard.Person, error) {
			p := offboard.Person{
				ID: id, UserName: address, Address: address, Active: true, DisplayName: id + " Person", Resource: "{}",
				Emails: []offboard.Email{{Value: address, Primary: true}},
			}
			if change != nil {
				change(&p)
			}
			return p, nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// person is somebody with a seat whom the directory knows.
func (w *world) person(id, address, role string) {
	w.t.Helper()
	err := w.fake.AddMember(amplitudefake.Member{Email: address, GivenName: id, FamilyName: "Person", Role: role, LastLogin: w.clock.now()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.hire(id, address, nil)
}

// change changes what the identity provider says about jo.
func (w *world) change(change func(*offboard.Person)) {
	w.t.Helper()
	w.changeOf("jo", change)
}

// leaves lets the identity provider say that somebody leaves.
func (w *world) leaves(id string) {
	w.t.Helper()
	w.changeOf(id, func(p *offboard.Person) { p.Active = false })
}

func (w *world) changeOf(id string, change func(*offboard.Person)) {
	w.t.Helper()
	_, err := w.store.ChangePerson(w.t.Context(), offboard.PersonChange{
		Connection: "okta", ID: id, Rules: w.rules(), Change: func(p offboard.Person) (offboard.Person, error) { change(&p); return p, nil },
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// deactivate lets the identity provider say that jo leaves.
func (w *world) deactivate() {
	w.t.Helper()
	w.leaves("jo")
}

// work lets cases run until nobody has a live one.
func (w *world) work() {
	w.t.Helper()
	for end := w.clock.now().Add(4 * time.Hour); w.clock.now().Before(end); {
		if id, ok := w.jobs.take(); ok {
			if err := w.runner.Advance(w.t.Context(), id); err != nil {
				w.t.Fatal(err)
			}
			continue
		}
		list, err := w.store.Cases(w.t.Context(), offboard.CaseFilter{})
		if err != nil {
			w.t.Fatal(err)
		}
		if !slices.ContainsFunc(list, func(c offboard.Case) bool { return c.State.Live() && c.State != offboard.StateNeedsAttention }) {
			return
		}
		n, err := w.store.Due(w.t.Context(), 100, 100)
		if err != nil {
			w.t.Fatal(err)
		}
		if n == 0 {
			w.clock.move(10 * time.Second)
		}
	}
	w.t.Fatal("cases are live after four hours")
}

// leave lets jo leave, and be removed.
func (w *world) leave() {
	w.t.Helper()
	w.deactivate()
	w.work()
}

// sweep waits until a sweep is due and lets it run.
func (w *world) sweep() {
	w.t.Helper()
	w.clock.move(6 * time.Hour)
	if did, err := w.sweeper.Sweep(w.t.Context(), "acme"); err != nil || !did {
		w.t.Fatalf("swept: %v, %v", did, err)
	}
}
