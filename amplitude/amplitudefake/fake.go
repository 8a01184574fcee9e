// Package amplitudefake is one Amplitude organization in memory, behind the
// HTTP surfaces that Amplitude documents: SCIM, User Management, audit logs,
// cohorts, taxonomy, experiment management and evaluation, the Developer API
// and lookup tables. It also holds what no API shows (who owns a dashboard, who
// knows a key) as ground truth, so that a test can tell what really happened
// from what was answered.
//
// It owns the behaviour of the vendor, including its traps: an echo that proves
// nothing, a group push that brings a person back, an upload that wipes a
// cohort. It must not know any client: it imports nothing of this module and is
// written from Amplitude's documentation. It does not import testing either;
// the same handler serves tests, the demo and a command.
//
// All surfaces live on one host and differ by path. Everything under /_sim/ is
// the control surface: state, request log, switches, faults, human actions and
// the clock. It asks for no credentials, so listen on loopback only.
package amplitudefake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options say what organization to make up. The zero value is an organization
// of two projects without members, answering at once.
type Options struct {
	Seed          int64             // of all made-up data and chance; same seed, same organization
	Members       int               // members to make up; 0: none, and no groups or assets either
	RatePerMinute int               // SCIM requests a minute for the whole organization; 0: 100; negative: no limit
	Latency       time.Duration     // typical time to answer, with jitter and a long tail; 0: none
	Now           func() time.Time  // nil: time.Now
	Switches      map[string]string // behaviour to begin with, see Switches
	Projects      int               // 0: 2
	OrgID         int               // 0: 36958
}

// Credentials are the keys of the organization that are valid now.
type Credentials struct {
	SCIMKey        string               `json:"scim_key"`
	OrgID          int                  `json:"org_id"`
	OrgKey         string               `json:"org_key"`
	OrgSecret      string               `json:"org_secret"`
	DeveloperToken string               `json:"developer_token"` // send as "Bearer PAT=…"
	Projects       []ProjectCredentials `json:"projects"`
}

// ProjectCredentials are the keys of one project. A field is empty when its
// last key has been revoked.
type ProjectCredentials struct {
	ID            int    `json:"id"`
	Name          string `json:"name"`
	APIKey        string `json:"api_key"`
	SecretKey     string `json:"secret_key"`
	ManagementKey string `json:"management_key"`
}

// Fake is the organization. It is safe for concurrent use.
type Fake struct {
	opts     Options
	surfaces []surface

	mu     sync.Mutex
	rng    *rand.Rand
	offset time.Duration // added to Now by Advance
	knobs  map[string]string

	// Members, groups and who may do what.
	members   map[string]*member // by lower-case e-mail: the truth
	fading    map[string]*fade   // removed, but still visible somewhere
	fades     []*fade            // the same, by the time they end
	listed    *roster[*member]   // what lists show
	admins    map[*member]bool
	groups    map[int]*group
	groupIDs  *roster[int]
	grants    map[string]*grant
	granted   *roster[*grant]
	roles     []role
	lastID    int
	lastGroup int

	// Projects, assets and keys.
	org      *project // number 0: what belongs to no project
	projects []*project
	owned    map[string]map[*asset]bool // by lower-case e-mail
	keys     map[string]*asset          // by secret value
	scimKey  string
	orgKey   string
	orgPass  string
	devToken *asset
	replays  map[string]replay // Developer API, by Idempotency-Key

	// Limits, records.
	scimRate      *window
	accessRate    *window
	auditRate     *window
	log           requestLog
	faults        []*Fault
	faultID       int
	audit         []auditEntry
	outbox        []Mail
	removals      []Removal
	resurrections []Resurrection
	transfers     []Transfer
	left          map[string]time.Time // who was a member once
}

// surface is one of Amplitude's APIs.
type surface struct {
	name   string
	prefix string
	fail   func(c *call, status int, code, detail string) // answers in this API's error shape
	gate   func(c *call) bool                             // credentials and limits; false: c is answered
	handle func(c *call)
}

// New makes up an organization. It starts nothing. An unknown switch or value
// is an error that names the known ones.
func New(o Options) (*Fake, error) {
	if o.Members < 0 || o.Projects < 0 || o.Latency < 0 {
		return nil, errors.New("amplitudefake: members, projects and latency cannot be negative")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Projects == 0 {
		o.Projects = 2
	}
	if o.OrgID == 0 {
		o.OrgID = 36958
	}
	if o.RatePerMinute == 0 {
		o.RatePerMinute = 100
	}
	f := &Fake{
		opts:  o,
		rng:   rand.New(rand.NewPCG(uint64(o.Seed), 0x5ca1ab1e)), // #nosec G115 G404 -- made-up data, repeatable on purpose
		knobs: defaultKnobs(), members: map[string]*member{}, fading: map[string]*fade{}, listed: newRoster[*member](),
		admins: map[*member]bool{}, groups: map[int]*group{}, groupIDs: newRoster[int](), grants: map[string]*grant{},
		granted: newRoster[*grant](), lastID: 100_000, owned: map[string]map[*asset]bool{}, keys: map[string]*asset{},
		replays: map[string]replay{}, left: map[string]time.Time{},
		scimRate: newWindow(o.RatePerMinute, time.Minute), accessRate: newWindow(100, time.Minute), auditRate: newWindow(100, time.Minute),
	}
	for name, value := range o.Switches {
		if err := f.setSwitch(name, value); err != nil {
			return nil, err
		}
	}
	f.surfaces = f.allSurfaces()
	f.found()
	if o.Members > 0 {
		f.seed(o.Members)
	}
	return f, nil
}

func (f *Fake) allSurfaces() []surface {
	return []surface{
		{"scim", "/scim/1", scimFail, f.gateSCIM, f.handleSCIM},
		{"user_management", "/user-management/1", problemFail, f.gateAccess, f.handleAccess},
		{"audit", "/api/2/audit-logs", plainFail, f.gateAudit, f.handleAudit},
		{"cohorts", "/api/3/cohorts", cohortFail, f.gateCohorts, f.handleCohorts},
		{"taxonomy", "/api/2/taxonomy", taxonomyFail, f.gateTaxonomy, f.handleTaxonomy},
		{"lookup_tables", "/api/3/lookup_table", lookupFail, f.gateProjectKeys, f.handleLookup},
		{"experiment", "/api/1", plainFail, f.gateExperiment, f.handleExperiment},
		{"evaluation", "/sdk/v2/vardata", plainFail, f.gateNothing, f.handleEvaluation},
		{"developer", "/v1", problemFail, f.gateDeveloper, f.handleDeveloper},
		{"unknown", "", plainFail, f.gateNothing, func(c *call) { c.fail(http.StatusNotFound, "", "no such resource") }},
	}
}

func (f *Fake) gateNothing(*call) bool { return true }

// now is the simulated time. Call with the lock held.
func (f *Fake) now() time.Time { return f.opts.Now().Add(f.offset) }

// Now is the simulated time: Options.Now and everything Advance has added.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now()
}

// Advance moves the simulated clock forward; a negative d is an error. Lag,
// rate windows and the ages of log-ins follow. Sleeping requests do not wake.
func (f *Fake) Advance(d time.Duration) error {
	if d < 0 {
		return errors.New("amplitudefake: the clock moves forward only")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offset += d
	f.settle()
	return nil
}

// Credentials returns the keys valid now. Copies taken before a rotation keep
// the old ones.
func (f *Fake) Credentials() Credentials {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := Credentials{SCIMKey: f.scimKey, OrgID: f.opts.OrgID, OrgKey: f.orgKey, OrgSecret: f.orgPass, DeveloperToken: f.devToken.Key}
	for _, p := range f.projects {
		out.Projects = append(out.Projects, ProjectCredentials{
			ID: p.id, Name: p.name,
			APIKey: p.liveKey(KindAPIKey), SecretKey: p.liveKey(KindSecretKey), ManagementKey: p.liveKey(KindManagementKey),
		})
	}
	return out
}

// maxBody is the largest request body read; Amplitude's own limit is unknown.
const maxBody = 32 << 20

// ServeHTTP answers one request of any surface, or of the control surface.
// A fault that breaks the connection panics with http.ErrAbortHandler, which
// net/http turns into a closed connection and Transport into an error.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_sim/") {
		f.serveControl(w, r)
		return
	}
	c := newCall(r)
	for i := range f.surfaces {
		if s := &f.surfaces[i]; c.under(s.prefix) {
			c.surface = s
			break
		}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return // the client went away
	}
	c.body = body

	f.mu.Lock()
	pause := f.latency()
	leave := f.enter(c)
	f.mu.Unlock()
	gone := !sleep(r.Context(), pause)

	f.mu.Lock()
	if !gone {
		f.process(c)
	}
	f.mu.Unlock()
	if !gone && c.pause > 0 {
		gone = !sleep(r.Context(), c.pause)
	}
	f.mu.Lock()
	leave()
	f.mu.Unlock()
	if gone || c.abort {
		panic(http.ErrAbortHandler)
	}
	c.write(w)
}

// process decides and records one call. Call with the lock held.
func (f *Fake) process(c *call) {
	c.at = f.now()
	f.settle()
	switch {
	case len(c.body) > maxBody:
		c.fail(http.StatusRequestEntityTooLarge, "", "request body too large")
	case !c.surface.gate(c):
	default:
		f.answer(c, f.faultFor(c))
	}
	f.log.add(c)
}

// latency draws the time one answer takes: half of it fixed, half exponential,
// and one in a hundred eight times as long.
func (f *Fake) latency() time.Duration {
	base := f.opts.Latency
	if base == 0 {
		return 0
	}
	d := base/2 + time.Duration(f.rng.ExpFloat64()*float64(base)/2)
	if f.rng.IntN(100) == 0 {
		d *= 8
	}
	return min(d, 40*base)
}

// sleep waits for d and reports true, or false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// id returns a fresh number for anything that Amplitude numbers.
func (f *Fake) id() int {
	f.lastID += 1 + f.rng.IntN(3)
	return f.lastID
}

// token returns n random characters as Amplitude's keys have them.
func (f *Fake) token(n int) string {
	const digits = "0123456789abcdef"
	b := make([]byte, n)
	for i := range b {
		b[i] = digits[f.rng.IntN(len(digits))]
	}
	return string(b)
}

func (f *Fake) uuid() string {
	return fmt.Sprintf("%s-%s-4%s-a%s-%s", f.token(8), f.token(4), f.token(3), f.token(3), f.token(12))
}
