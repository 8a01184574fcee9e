package runner_test

import (
	"context"
	"database/sql"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
	"offramp/internal/store"
	"offramp/internal/store/storetest"
	"offramp/transfer"
)

// leaver is the address of the person who leaves.
const leaver = "jo@example.com"

// clock is virtual time, shared by the store, the runner and the simulator.
type clock struct {
	mu     sync.Mutex
	t      time.Time
	bubble bool // the time is that of the synctest bubble
}

func (c *clock) now() time.Time {
	if c.bubble {
		return time.Now()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) move(d time.Duration) {
	if c.bubble {
		time.Sleep(d)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// jobs stands in for River: it only remembers which cases to look at.
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

// world is a bridge without its listeners: the real store, the real client, the
// simulator, and time that moves when nothing is left to do.
type world struct {
	t        *testing.T
	clock    *clock
	jobs     *jobs
	looked   int // attempts at cases that run made
	store    *store.Store
	fake     *amplitudefake.Fake
	runner   *runner.Runner
	options  runner.Options
	replica  *runner.Runner // works beside it; nil: there is none
	client   *amplitude.Client
	policy   offboard.Policy
	triggers *offboard.Policies // nil: none
	brake    offboard.BrakeRules
	access   bool
	protect  offboard.Rules // of it, who is protected

	beforeWrite func(*http.Request) // where the transport is a cut; nil: nothing
}

type setup struct {
	postgres bool
	bubble   bool // time is that of the synctest bubble that the test runs in
	access   bool // access groups are configured
	replica  bool // another process works beside it, where the test calls work
	opts     func(*runner.Options)
	client   func(*world, *amplitude.Options) // the simulator is there already
}

func newWorld(t *testing.T, s setup) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{t: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}, jobs: &jobs{}, policy: offboard.Fallback()}
	w.policy.Approvals, w.policy.Unlisted = 0, offboard.UnlistedNote
	w.clock.bubble, w.access = s.bubble, s.access
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
	if w.fake, err = amplitudefake.New(amplitudefake.Options{Seed: 1, RatePerMinute: -1, Now: w.clock.now, Switches: map[string]string{"audit_lag": "0s"}}); err != nil {
		t.Fatal(err)
	}
	w.client = w.amplitude(s.client)
	content := newContent(w.client)
	owner, err := transfer.NewEventOwner(transfer.EventOwnerOptions{Events: content, Now: w.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	manual, err := transfer.NewManual(transfer.ManualOptions{Now: w.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	opts := runner.Options{
		Store: w.store, Transferrers: []transfer.Transferrer{owner}, Manual: manual, Now: w.clock.now,
		Verify: []time.Duration{5 * time.Minute, 15 * time.Minute, 30 * time.Minute}, Gather: 20 * time.Second,
		Log: zaptest.NewLogger(t, zaptest.Level(zapWarn)),
	}
	org := runner.Organization{Name: "acme", Client: w.client, Roles: true, Audit: true}
	for _, p := range w.fake.Credentials().Projects {
		org.Projects = append(org.Projects, runner.Project{ID: p.ID, Name: p.Name})
	}
	opts.Organizations = []runner.Organization{org}
	opts.Access = s.access
	if s.opts != nil {
		s.opts(&opts)
	}
	w.options = opts
	w.restart(nil)
	if s.replica {
		if w.replica, err = runner.New(opts); err != nil {
			t.Fatal(err)
		}
	}
	w.seat("root@example.com", amplitudefake.RoleAdmin)
	w.seat("other@example.com", amplitudefake.RoleMember)
	return w
}

// restart begins with another runner, which remembers nothing.
func (w *world) restart(change func(*runner.Options)) {
	w.t.Helper()
	opts := w.options
	opts.Organizations = slices.Clone(opts.Organizations)
	if change != nil {
		change(&opts)
	}
	var err error
	if w.runner, err = runner.New(opts); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) amplitude(change func(*world, *amplitude.Options)) *amplitude.Client {
	w.t.Helper()
	c := w.fake.Credentials()
	at := amplitude.Endpoints{
		SCIM: "http://sim.example/scim/1", UserManagement: "http://sim.example/user-management/1",
		Audit: "http://sim.example/api/2/audit-logs", Analytics: "http://sim.example",
		Experiment: "http://sim.example/api/1", Evaluation: "http://sim.example", Developer: "http://sim.example", Data: "http://sim.example",
	}
	o := amplitude.Options{
		Name: "acme", Endpoints: at, SCIMKey: amplitude.Secret(c.SCIMKey), OrgID: c.OrgID, OrgKey: amplitude.Secret(c.OrgKey),
		OrgSecret: amplitude.Secret(c.OrgSecret), DeveloperToken: amplitude.Secret(c.DeveloperToken), Transport: w.fake.Transport(), Now: w.clock.now,
		Permit: runner.Permit(w.store.Paused),
	}
	for _, p := range c.Projects {
		o.Projects = append(o.Projects, amplitude.Project{
			ID: p.ID, Name: p.Name, APIKey: amplitude.Secret(p.APIKey), SecretKey: amplitude.Secret(p.SecretKey),
			ManagementKey: amplitude.Secret(p.ManagementKey),
		})
	}
	if change != nil {
		change(w, &o)
	}
	client, err := amplitude.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return client
}

// fault makes the simulator misbehave.
func (w *world) fault(f amplitudefake.Fault) {
	w.t.Helper()
	if _, err := w.fake.AddFault(f); err != nil {
		w.t.Fatal(err)
	}
}

// timeline is everything that happened in a case.
func (w *world) timeline(caseID string) []offboard.Entry {
	w.t.Helper()
	entries, err := w.store.Timeline(w.t.Context(), caseID)
	if err != nil {
		w.t.Fatal(err)
	}
	return entries
}

// seat adds a member to Amplitude.
func (w *world) seat(email, role string) {
	w.t.Helper()
	err := w.fake.AddMember(amplitudefake.Member{Email: email, GivenName: "Given " + email, FamilyName: "F", Role: role, LastLogin: w.clock.now()})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) rules() offboard.Rules {
	return offboard.Rules{
		Settle: 2 * time.Minute, TrustIncidents: true,
		Policy: func(offboard.PolicyFacts) offboard.Policy { return w.policy }, Triggers: w.triggers,
		Brake: w.brake, AccessConfigured: w.access,
		Protected: w.protect.Protected, ProtectedBy: w.protect.ProtectedBy,
	}
}

// person adds somebody to the directory, with a seat.
func (w *world) person(id, address string) {
	w.t.Helper()
	w.seat(address, amplitudefake.RoleMember)
	w.directoryOnly(id, address)
}

func (w *world) directoryOnly(id, address string) {
	w.t.Helper()
	w.change("", func(p offboard.Person) offboard.Person {
		p.ID, p.UserName, p.Address, p.Active, p.DisplayName, p.Resource = id, address, address, true, "Person "+id, "{}"
		return p
	})
}

// change changes a person; an empty id creates one.
func (w *world) change(id string, change func(offboard.Person) offboard.Person) {
	w.t.Helper()
	_, err := w.store.ChangePerson(w.t.Context(), offboard.PersonChange{
		Connection: "okta", ID: id, Rules: w.rules(),
		Change: func(was offboard.Person) (offboard.Person, error) { return change(was), nil },
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// deactivate is what the identity provider says about the leaver.
func (w *world) deactivate() {
	w.t.Helper()
	w.change("leaver", func(p offboard.Person) offboard.Person { p.Active = false; return p })
}

// run looks at cases, and moves time where none is due, until done says so or
// the time is over.
func (w *world) run(most time.Duration, done func() bool) {
	w.t.Helper()
	end := w.clock.now().Add(most)
	for w.clock.now().Before(end) {
		if id, ok := w.jobs.take(); ok {
			if err := w.runner.Advance(w.t.Context(), id); err != nil {
				w.t.Fatal(err)
			}
			w.looked++
			continue
		}
		if done() {
			return
		}
		n, err := w.store.Due(w.t.Context(), 100, 100)
		if err != nil {
			w.t.Fatal(err)
		}
		if err := w.runner.Rotations(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		if n == 0 {
			w.clock.move(5 * time.Second)
		}
	}
	if !done() {
		w.show()
		w.t.Fatalf("not done after %s", most)
	}
}

// seldom asks only when a case was looked at since it said no, or a minute has passed.
func (w *world) seldom(done func() bool) func() bool {
	var at time.Time
	looked := -1
	return func() bool {
		now := w.clock.now()
		if looked == w.looked && now.Sub(at) < time.Minute {
			return false
		}
		at, looked = now, w.looked
		return done()
	}
}

// newest returns the newest case of an address.
func (w *world) newest(address string) offboard.Case {
	w.t.Helper()
	list, err := w.store.Cases(w.t.Context(), offboard.CaseFilter{Address: address})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(list) == 0 {
		w.t.Fatalf("no case for %s", address)
	}
	return list[0]
}

// caseOf is newest with everything that is kept with it.
func (w *world) caseOf(address string) offboard.File {
	w.t.Helper()
	f, err := w.store.Case(w.t.Context(), w.newest(address).ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// closed runs until the case of an address ended.
func (w *world) closed(address string) offboard.File {
	w.t.Helper()
	w.run(3*time.Hour, w.seldom(func() bool { return !w.newest(address).State.Live() }))
	return w.caseOf(address)
}

// until runs until the leaver's case is in a state.
func (w *world) until(s offboard.State, wait offboard.Waiting) offboard.File {
	w.t.Helper()
	w.run(3*time.Hour, w.seldom(func() bool {
		c := w.newest(leaver)
		return c.State == s && c.Waiting == wait
	}))
	return w.caseOf(leaver)
}

// act records a person's decision.
func (w *world) act(caseID string, decide func(offboard.File) (offboard.Update, error)) {
	w.t.Helper()
	if _, err := w.store.Act(w.t.Context(), caseID, decide); err != nil {
		w.t.Fatal(err)
	}
}

// seated reports whether the leaver has a seat.
func (w *world) seated() bool {
	return len(w.fake.PersonState(leaver).Members) > 0
}

// removals counts the calls that removed somebody.
func (w *world) removals() int {
	n := 0
	for _, r := range w.fake.Requests(amplitudefake.RequestFilter{Effect: true}) {
		if r.Effect == "removed member" {
			n++
		}
	}
	return n
}

// show prints every case with its timeline, for a test that fails.
func (w *world) show() {
	w.t.Helper()
	list, err := w.store.Cases(w.t.Context(), offboard.CaseFilter{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range list {
		w.t.Logf("case %s %s: %s %s %q", c.ID, c.Address, c.State, c.Waiting, c.Note)
		entries, err := w.store.Timeline(w.t.Context(), c.ID)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range entries {
			w.t.Logf("  %s %s: %s", e.At.Format(time.TimeOnly), e.Kind, e.Text)
		}
	}
}
