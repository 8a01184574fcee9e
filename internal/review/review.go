// Package review owns access reviews: it reads who has a seat and what they may
// do, waits while people decide, turns decisions into cases, reads everything
// again and compares. It changes nothing in Amplitude itself: a removal is an
// ordinary case, with its guards and approvals. It must not know SQL, HTTP, or
// how a case is carried out.
package review

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// Store is what reviews read and write.
type Store interface {
	StartReview(ctx context.Context, by string, due time.Duration) (offboard.Review, error)
	Reviews(ctx context.Context, most int) ([]offboard.Review, error)
	Review(ctx context.Context, id string) (offboard.Review, []offboard.ReviewItem, error)
	ChangeReview(ctx context.Context, id, address string, rule func(offboard.Review, []offboard.ReviewItem) (offboard.Review, []offboard.ReviewItem, error)) error
	CompareReview(ctx context.Context, id string, items []offboard.ReviewItem) error
	ReviewProgress(ctx context.Context, id string) (offboard.Progress, error)
	Unsettled(ctx context.Context, id string) ([]offboard.ReviewItem, error)
	CarryOut(ctx context.Context, id, address, personID string, rule func(offboard.Review, []offboard.ReviewItem, offboard.Person, offboard.PriorCase) ([]offboard.ReviewItem, *offboard.Decision, offboard.Verdict, error)) error
	Seats(ctx context.Context, q offboard.SeatQuery) ([]offboard.Seat, error)
	Holders(ctx context.Context, address string) ([]offboard.Person, error)
	AdoptPerson(ctx context.Context, connection, address string) (offboard.Person, error)
	Turn(ctx context.Context, name string, every time.Duration) (bool, error)
}

// Organization is one Amplitude organization.
type Organization struct {
	Name     string
	Client   *amplitude.Client
	Projects []Project
	Roles    bool // the User Management API may be asked
}

// Project is one of its projects.
type Project struct {
	ID   int
	Name string
}

// Login is what is known of a member's last login.
type Login struct {
	Last  time.Time // zero: none was seen
	Since time.Time // how far back logins are known; zero: they are not
}

// Options say what reviews work with.
type Options struct {
	Store         Store          // required
	Organizations []Organization // required
	Reach         func(connection string) []string
	Connections   []string
	Rules         func(connection string) offboard.Rules // required
	Reachable     func(connection, address string) bool  // whether an address is in a connection's domains
	Access        bool                                   // access groups are configured
	LastLogin     func(ctx context.Context, organization, address string) (Login, error)
	Announce      func(ctx context.Context, key, subject, body string) error // nil: nobody is told
	Every         time.Duration                                              // from one review to the next; 0: only when somebody asks
	Due           time.Duration                                              // how long people have to decide
	Inactive      time.Duration                                              // no login for so long is a reason to look
	Downgrade     string                                                     // policy of plan mover for downgrades; empty: they are refused
	Now           func() time.Time                                           // nil: time.Now
	Log           *zap.Logger                                                // nil: silent
}

// Reviews carries access reviews through. It is safe for concurrent use.
type Reviews struct {
	opts Options
	now  func() time.Time
	log  *zap.Logger
}

// New checks the options and starts nothing.
func New(o Options) (*Reviews, error) {
	if o.Store == nil || len(o.Organizations) == 0 || o.Rules == nil {
		return nil, errors.New("review: a store, at least one organization and the rules are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Announce == nil {
		o.Announce = func(context.Context, string, string, string) error { return nil }
	}
	return &Reviews{opts: o, now: o.Now, log: o.Log}, nil
}

// Run works until ctx ends. Of several replicas one works at a time.
func (v *Reviews) Run(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		mine, err := v.opts.Store.Turn(ctx, "review", 10*time.Second)
		if err == nil && mine {
			err = v.Advance(ctx)
		}
		if err != nil && ctx.Err() == nil {
			v.log.Warn("access review, will be repeated", zap.Error(err))
		}
	}
}

// Start begins a review at once.
// *offboard.RefusedError: one is live.
func (v *Reviews) Start(ctx context.Context, by string, due time.Duration) (offboard.Review, error) {
	if due == 0 {
		due = v.opts.Due
	}
	return v.opts.Store.StartReview(ctx, by, due)
}

// List returns the latest reviews, newest first.
func (v *Reviews) List(ctx context.Context, most int) ([]offboard.Review, error) {
	return v.opts.Store.Reviews(ctx, most)
}

// Read returns one review with its seats.
func (v *Reviews) Read(ctx context.Context, id string) (offboard.Review, []offboard.ReviewItem, error) {
	return v.opts.Store.Review(ctx, id)
}

// Advance takes the live review as far as it goes, and begins the next one when
// it is time. An error is repeated at the next call.
func (v *Reviews) Advance(ctx context.Context) error {
	latest, err := v.opts.Store.Reviews(ctx, 1)
	if err != nil {
		return err
	}
	if len(latest) == 0 {
		return nil // the first one is a person's decision
	}
	r := latest[0]
	switch r.State {
	case offboard.ReviewReading:
		return v.read(ctx, r)
	case offboard.ReviewOpen:
		return v.follow(ctx, r)
	case offboard.ReviewComparing:
		return v.compare(ctx, r)
	case offboard.ReviewClosed:
		return v.next(ctx, r)
	}
	return nil
}

// next begins the review after the last one.
func (v *Reviews) next(ctx context.Context, last offboard.Review) error {
	if v.opts.Every == 0 || v.now().Before(last.Started.Add(v.opts.Every)) {
		return nil
	}
	_, err := v.opts.Store.StartReview(ctx, offboard.BySchedule, v.opts.Due)
	return err
}

// follow announces a review, carries decisions out, and closes the review when
// nothing is left. What cannot be carried out stays open: somebody has to.
func (v *Reviews) follow(ctx context.Context, r offboard.Review) error {
	progress, err := v.Progress(ctx, r.ID)
	if err != nil {
		return err
	}
	err = v.opts.Announce(ctx, "review/"+r.ID, "Access review of "+r.Started.Format(time.DateOnly),
		fmt.Sprintf("%d seats in Amplitude are up for review until %s, %d of them with a reason to look. See: offramp review show",
			progress.Seats, r.Due.Format(time.DateOnly), progress.Striking))
	if err != nil {
		return err
	}
	if _, err := v.settle(ctx, r.ID); err != nil {
		return err
	}
	if progress, err = v.Progress(ctx, r.ID); err != nil {
		return err
	}
	switch {
	case progress.Done():
		return v.Finish(ctx, r.ID, "everything is decided")
	case !r.Due.IsZero() && v.now().After(r.Due):
		return v.opts.Announce(ctx, "review/"+r.ID+"/overdue", "The access review is overdue",
			fmt.Sprintf("%d seats are undecided, %d of them with a reason to look; %d decisions are not carried out. See: offramp review show",
				progress.Undecided, progress.Striking, progress.Open))
	}
	return nil
}

// Progress counts what is decided and what is carried out.
func (v *Reviews) Progress(ctx context.Context, id string) (offboard.Progress, error) {
	return v.opts.Store.ReviewProgress(ctx, id)
}

// Finish ends the deciding: the seats are read again and compared, then the
// review is closed. A second call changes nothing.
// *offboard.RefusedError: it is still being read, or closed.
func (v *Reviews) Finish(ctx context.Context, id, by string) error {
	return v.opts.Store.ChangeReview(ctx, id, "", func(r offboard.Review, _ []offboard.ReviewItem) (offboard.Review, []offboard.ReviewItem, error) {
		switch r.State {
		case offboard.ReviewOpen:
			r.State, r.ClosedBy = offboard.ReviewComparing, by
		case offboard.ReviewComparing:
		case offboard.ReviewReading:
			return r, nil, &offboard.RefusedError{Because: "the members are still being read; nothing has been decided yet"}
		case offboard.ReviewClosed:
			return r, nil, &offboard.RefusedError{Because: "the review is closed already"}
		}
		return r, nil, nil
	})
}
