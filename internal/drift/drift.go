// Package drift compares every organization with what is meant, on a schedule:
// it reads the member list and what belongs to it, page by page, into the
// record, decides about each seat, case, person and owner by pure rules, and
// leaves findings. It changes nothing in Amplitude and opens no case: a person
// does, after looking.
//
// It must not know SQL, SCIM, or how a case is carried out.
package drift

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// Store is what drift needs of the record. *store.Store is one.
type Store interface {
	BeginSweep(ctx context.Context, organization string, every time.Duration) (w offboard.Sweep, mine bool, err error)
	BeatSweep(ctx context.Context, w offboard.Sweep) error
	LeaveSweep(ctx context.Context, w offboard.Sweep) error
	TrustSweep(ctx context.Context, w offboard.Sweep) error
	EndSweep(ctx context.Context, w offboard.Sweep, checked []offboard.FindingKind, tell func([]offboard.Finding) []offboard.Message) error
	Sweeps(ctx context.Context) ([]offboard.Sweep, error)

	SeeSeats(ctx context.Context, w offboard.Sweep, seats []offboard.Seat) error
	SeeGroups(ctx context.Context, w offboard.Sweep, groups []offboard.SeatGroup) error
	UnseenGroups(ctx context.Context, w offboard.Sweep, n int) ([]offboard.SeatGroup, error)
	SawGroups(ctx context.Context, w offboard.Sweep) error
	Admins(ctx context.Context, w offboard.Sweep, most int) ([]string, error)
	SawAdmins(ctx context.Context, w offboard.Sweep, addresses []string) error
	SeatEvents(ctx context.Context, w offboard.Sweep, events []offboard.SeatEvent, since, newSince time.Time) error
	Missing(ctx context.Context, w offboard.Sweep, suspects bool, most int) ([]offboard.Seat, error)
	WatchedUnseen(ctx context.Context, w offboard.Sweep, since time.Time, most int) ([]string, error)
	Seen(ctx context.Context, w offboard.Sweep, after string, most int) ([]offboard.Seat, error)

	CompareSeats(ctx context.Context, w offboard.Sweep, after string, most int, decide func([]offboard.SeatFacts) []offboard.Finding) (next string, err error)
	CompareCases(ctx context.Context, w offboard.Sweep, since time.Time, after string, most int, decide func([]offboard.CaseFacts) []offboard.Finding) (next string, err error)
	CompareGroups(ctx context.Context, w offboard.Sweep, after string, most int, decide func([]offboard.GroupFacts) []offboard.Finding) (next string, err error)
	CompareWatches(ctx context.Context, w offboard.Sweep, after string, most int, decide func([]offboard.WatchFacts) []offboard.WatchEnd) (next string, err error)
	CompareAbsent(ctx context.Context, w offboard.Sweep, connection string, organizations []string, after string, most int, decide func([]offboard.PersonFacts) []offboard.Finding) (next string, err error)
	CompareOwners(ctx context.Context, w offboard.Sweep, after string, most int, decide func([]offboard.OwnerFacts) []offboard.Finding) (next string, known bool, err error)
	SaveFindings(ctx context.Context, w offboard.Sweep, found ...offboard.Finding) error
	KeepOrganizations(ctx context.Context, names []string) error
}

// Organization is one Amplitude organization.
type Organization struct {
	Name     string
	Client   *amplitude.Client
	Projects []int // whose admins are looked at
	Roles    bool  // the User Management API may be asked
	Audit    bool  // the audit log may be asked
}

// Connection is one identity provider and what it reaches.
type Connection struct {
	Name          string
	Organizations []string // none: all
	Domains       []string // folded; none: all
}

// Options say what is compared.
type Options struct {
	Store            Store          // required
	Organizations    []Organization // required
	Connections      []Connection
	AccessConfigured bool              // being active alone is not enough
	Observe          bool              // leavers are meant to be still there
	Every            time.Duration     // between two sweeps of an organization; 0: only when an operator asks
	PendingAfter     time.Duration     // how old an invitation may get; 0: not looked at
	AdminGroups      []string          // groups of the identity provider whose members may be admins; none: admins are not looked at
	Tolerance        time.Duration     // how long a list may lag behind a removal; 0: 3 min
	Audience         offboard.Audience // whose channels are told of critical findings; zero: nobody is
	Tick             time.Duration     // how often it is looked whether a sweep is due; 0: 5 s
	Now              func() time.Time
	// Sleep waits, for the budget or after a failure, until ctx ends; nil: it
	// really does.
	Sleep func(ctx context.Context, d time.Duration) error
	Log   *zap.Logger // nil: silent
}

// Sweeper sweeps organizations. It is safe for concurrent use.
type Sweeper struct {
	opts  Options
	now   func() time.Time
	log   *zap.Logger
	rules rules
}

// New checks the options and starts nothing.
func New(o Options) (*Sweeper, error) {
	if o.Store == nil || len(o.Organizations) == 0 {
		return nil, errors.New("drift: a store and at least one organization are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Tolerance == 0 {
		o.Tolerance = 3 * time.Minute
	}
	if o.Tick == 0 {
		o.Tick = 5 * time.Second
	}
	s := &Sweeper{opts: o, now: o.Now, log: o.Log}
	all := make([]string, 0, len(o.Organizations))
	for _, org := range o.Organizations {
		all = append(all, org.Name)
	}
	slices.Sort(all)
	s.rules = newRules(o, all)
	return s, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// calm is how long after the start nothing is swept that no operator asked for:
// cases that waited come first.
const calm = time.Minute

// Run sweeps each organization whenever that is due, until ctx ends. Of several
// replicas one sweeps; another takes over where it died.
func (s *Sweeper) Run(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	begun := s.now()
	if err := s.keep(ctx); err != nil && ctx.Err() == nil {
		s.log.Error("what was found in organizations that are not configured any more stands until the next comparison", zap.Error(err))
	}
	for _, org := range s.opts.Organizations {
		all.Go(func() error {
			for {
				every := s.opts.Every
				if s.now().Sub(begun).Abs() < calm {
					every = 0
				}
				if _, err := s.due(ctx, org, every); err != nil && ctx.Err() == nil {
					s.log.Error("the comparison with Amplitude was given up; it begins again when it is due",
						zap.String("organization", org.Name), zap.Error(err))
				}
				if s.opts.Sleep(ctx, s.opts.Tick) != nil {
					return nil // the process ends
				}
			}
		})
	}
	return all.Wait()
}

// Sweep sweeps an organization where that is due and reports whether it did. A
// list that cannot be trusted, or cannot be read, is no error: it is recorded
// with the sweep. An error means that the record could not be written, or that
// ctx ended.
func (s *Sweeper) Sweep(ctx context.Context, organization string) (did bool, err error) {
	i := slices.IndexFunc(s.opts.Organizations, func(o Organization) bool { return o.Name == organization })
	if i < 0 {
		return false, errors.New("drift: no such organization is configured")
	}
	return s.due(ctx, s.opts.Organizations[i], s.opts.Every)
}

// keep ends what was found in organizations that are not configured any more.
func (s *Sweeper) keep(ctx context.Context) error {
	names := make([]string, 0, len(s.opts.Organizations))
	for _, o := range s.opts.Organizations {
		names = append(names, o.Name)
	}
	return s.opts.Store.KeepOrganizations(ctx, names)
}

func (s *Sweeper) due(ctx context.Context, org Organization, every time.Duration) (did bool, err error) {
	w, mine, err := s.opts.Store.BeginSweep(ctx, org.Name, every)
	if err != nil || !mine {
		return false, err
	}
	if err := s.keep(ctx); err != nil {
		return true, err
	}
	r := &run{Sweeper: s, org: org, client: org.Client.WithShare(amplitude.ShareOther), sweep: w}
	err = r.all(ctx)
	if errors.Is(err, offboard.ErrFenced) {
		s.log.Info("another process has taken the comparison over", zap.String("organization", org.Name))
		return false, nil
	}
	if err != nil && ctx.Err() != nil {
		return true, errors.Join(err, s.leave(ctx, r.sweep))
	}
	return true, err
}

// parting is how long a process that stops may take to leave its sweep.
const parting = 5 * time.Second

// leave hands a sweep over: this process stops, and the next one, or another
// replica, goes on with it at once.
func (s *Sweeper) leave(ctx context.Context, w offboard.Sweep) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), parting)
	defer cancel()
	return s.opts.Store.LeaveSweep(ctx, w)
}
