// Package runner carries cases out: it claims a case, runs its steps one after
// the other, makes each outward change at most once in effect, and records
// every step before the next. River wakes it; our tables are the truth, so a
// lost or repeated job changes nothing.
//
// It must not know SCIM, SQL, or how an operator talks to us.
package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"offramp/amplitude"
	"offramp/internal/offboard"
	"offramp/transfer"
)

// Store is what the runner needs of the record.
type Store interface {
	Claim(ctx context.Context, id string, lease time.Duration) (offboard.File, offboard.Fence, error)
	Keep(ctx context.Context, f offboard.Fence, lease time.Duration) error
	Checkpoint(ctx context.Context, f offboard.Fence, keep time.Duration, decide func(offboard.File) (offboard.Update, error)) (offboard.File, error)
	Intend(ctx context.Context, f offboard.Fence, in offboard.Intent, guard func(offboard.File) offboard.Permission) (offboard.Effect, offboard.Permission, error)
	Rotate(ctx context.Context, f offboard.Fence, n offboard.RotationNeed) (offboard.Rotation, error)
	DueRotations(ctx context.Context) ([]string, error)
	ClaimRotation(ctx context.Context, id string, lease time.Duration) (offboard.RotationFile, int64, error)
	KeepRotation(ctx context.Context, id string, epoch int64, lease time.Duration) error
	IntendRotation(ctx context.Context, id string, epoch int64, in offboard.RotationIntent, guard func(offboard.File) offboard.Permission) (offboard.Permission, error)
	CheckpointRotation(ctx context.Context, id string, epoch int64, keep time.Duration, decide func(offboard.RotationFile) (offboard.RotationUpdate, error)) (offboard.RotationFile, error)
	Due(ctx context.Context, most, queue int) (int, error)
	Found(ctx context.Context, f offboard.Fence, organizations []string, r offboard.BrakeRules, settle time.Duration) (held bool, err error)
	Case(ctx context.Context, id string) (offboard.File, error)
	Timeline(ctx context.Context, caseID string) ([]offboard.Entry, error)
	Leaving(ctx context.Context, personID string) (bool, error)
	AdminReading(ctx context.Context, organization string) (offboard.AdminReading, error)
	SaveAdminReading(ctx context.Context, r offboard.AdminReading) error
	Losing(ctx context.Context, others offboard.Others) ([]string, error)
	Holders(ctx context.Context, address string) ([]offboard.Person, error)
	FindPerson(ctx context.Context, connection, ref string) (offboard.Person, error)
	Turn(ctx context.Context, name string, every time.Duration) (bool, error)
	Knowledge
	Readings
}

// Organization is one Amplitude organization.
type Organization struct {
	Name     string
	Client   *amplitude.Client
	Projects []Project
	OrgID    string // for links; empty: links lead to Amplitude's start page
	Roles    bool   // the User Management API may be asked
	Audit    bool   // the audit log may be asked
	Token    bool   // the Developer API is asked with a token that ends with the seat of whoever made it
}

// Project is one of its projects, with what its keys allow.
type Project struct {
	ID   int
	Name string
}

// Options say what the runner works with.
type Options struct {
	Store         Store          // required
	Organizations []Organization // required
	Reach         func(connection string) []string
	Observe       bool                                        // nothing is changed in Amplitude
	Access        bool                                        // access groups are configured
	Reachable     func(connection, address string) bool       // whether the address is in the connection's domains; nil: always
	Brake         func(connection string) offboard.BrakeRules // nil: none
	Settle        time.Duration                               // how long a case whose seat nobody had seen waits for others like it
	Protected     func(p offboard.Person) string
	Admins        []string // addresses that the configuration names as admins of every organization, for where none is seen
	TokenOwners   []string // addresses of those who made the organizations' developer tokens; none: it is not known
	Transferrers  []transfer.Transferrer
	Rotators      []transfer.Rotator
	Listers       []transfer.Lister                    // hooks that know owners no API shows
	Confirm       time.Duration                        // how long an attested transfer waits for the audit log entry; 0: not at all
	Manual        Manual                               // required
	Credentials   func(p offboard.Person) []Credential // of the registry, those that the person may have known
	Own           func(c transfer.Credential) string   // fingerprint of the value that Offramp itself uses; empty: it uses none. nil: always empty
	Verify        []time.Duration                      // looks after the first one, ascending, from the removal
	Gather        time.Duration                        // how long the first look waits for others to share it; incidents do not
	Tolerance     time.Duration                        // how long a list may lag behind a removal
	Backoff       time.Duration                        // first pause after a failure, doubled up to 5 minutes
	Now           func() time.Time                     // nil: time.Now
	Log           *zap.Logger                          // nil: silent
	Metrics       prometheus.Registerer
	Audience      *offboard.Audience           // who can be told; nil: nobody
	Approvers     offboard.Approvers           // who may approve, as it is now
	RuleFailed    func(offboard.PolicyFailure) // told of each approval rule that could not be told; nil: nobody
	Callbacks     bool                         // hooks may answer later: CallbackSecret gives them what identifies the answer
}

// Manual describes work for a person: its receipts always need one.
type Manual interface {
	transfer.Transferrer
	transfer.Rotator
	transfer.Retirer
	MembersPage(organization string) string // where a person changes what a member may do
}

// lease is how long an attempt may go without a checkpoint: longer than any
// single call's time limit, short enough that an incident resumes soon.
const lease = 30 * time.Second

// beat runs an attempt and keeps its lease meanwhile; the attempt ends when the
// case is taken from it.
func (a *attempt) beat(ctx context.Context, run func(context.Context) error) error {
	return keeping(ctx, func(ctx context.Context) error { return a.opts.Store.Keep(ctx, a.fence, lease) }, run)
}

// Runner carries cases out. It is safe for concurrent use.
type Runner struct {
	opts    Options
	now     func() time.Time
	log     *zap.Logger
	orgs    map[string]*organization
	metrics *metrics
	receipt func() string
}

type organization struct {
	Organization
	roster *roster
	admins *admins
	lists  *lists
	log    *logReader
}

// New checks the options and starts nothing.
func New(o Options) (*Runner, error) {
	if o.Store == nil || len(o.Organizations) == 0 || o.Manual == nil {
		return nil, errors.New("runner: a store, at least one organization and the manual hook are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Backoff == 0 {
		o.Backoff = 5 * time.Second
	}
	if o.Tolerance == 0 {
		o.Tolerance = 3 * time.Minute
	}
	r := &Runner{opts: o, now: o.Now, log: o.Log, orgs: map[string]*organization{}, receipt: newSecret}
	for _, org := range o.Organizations {
		if o.Observe {
			org.Client = org.Client.ReadOnly()
		}
		r.orgs[org.Name] = &organization{Organization: org, roster: newRoster(org.Name, org.Client, o.Store, o.Now), admins: newAdmins(), lists: newLists(o.Now), log: newLogReader()}
	}
	r.metrics = newMetrics(o.Metrics)
	return r, nil
}

// reach lists the organizations of a case's connection, sorted.
func (r *Runner) reach(connection string) []*organization {
	var names []string
	if r.opts.Reach != nil {
		names = r.opts.Reach(connection)
	}
	if len(names) == 0 {
		for name := range r.orgs {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var out []*organization
	for _, n := range names {
		if org := r.orgs[n]; org != nil {
			out = append(out, org)
		}
	}
	return out
}

// Advance takes one case as far as it can go now. It is what a job does; a
// second call, or one for a case that somebody else works on, does nothing.
func (r *Runner) Advance(ctx context.Context, caseID string) error {
	f, fence, err := r.opts.Store.Claim(ctx, caseID, lease)
	if errors.Is(err, offboard.ErrLeased) || errors.Is(err, offboard.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("claim case %s: %w", caseID, err)
	}
	a := &attempt{Runner: r, fence: fence, file: f, log: r.log.With(zap.String("case", caseID), zap.String("person", f.Person.ID))}
	err = a.beat(ctx, a.run)
	if errors.Is(err, offboard.ErrFenced) || errors.Is(err, offboard.ErrEnded) {
		a.log.Info("attempt was overtaken")
		return nil
	}
	if err != nil && ctx.Err() == nil {
		r.metrics.records.Inc() // whatever Amplitude or a hook answers is a wait; what is left is the record
		a.log.Error("attempt given up, the case will be claimed again", zap.Error(err))
	}
	return err
}
