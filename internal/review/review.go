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
	CompareReview(ctx context.Context, id string, items []offboard.ReviewItem) (comparing bool, err error)
	ReviewProgress(ctx context.Context, id string) (offboard.Progress, error)
	Unsettled(ctx context.Context, id string) ([]offboard.ReviewItem, error)
	CarryOut(ctx context.Context, id, address, personID string, rule func(offboard.Review, []offboard.ReviewItem, offboard.Person, offboard.PriorCase) ([]offboard.ReviewItem, *offboard.Decision, offboard.Verdict, error)) error
	Seats(ctx context.Context, q offboard.SeatQuery) ([]offboard.Seat, error)
	Cases(ctx context.Context, f offboard.CaseFilter) ([]offboard.Case, error)
	Holders(ctx context.Context, address string) ([]offboard.Person, error)
	AdoptPerson(ctx context.Context, connection, address string) (offboard.Person, error)
	Turn(ctx context.Context, name string, every time.Duration) (bool, error)
	Postpone(ctx context.Context, name string, by time.Duration) error
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

// Options say what reviews work with.
type Options struct {
	Store         Store          // required
	Organizations []Organization // required
	Reach         func(connection string) []string
	Connections   []string
	Rules         func(connection string) offboard.Rules                                           // required
	Reachable     func(connection, address string) bool                                            // whether an address is in a connection's domains
	Access        bool                                                                             // access groups are configured
	Logins        func(ctx context.Context, organization, address string) (offboard.Logins, error) // nil: last logins are not known
	Announce      func(ctx context.Context, key, subject, body string) error                       // nil: nobody is told
	Every         time.Duration                                                                    // from one review to the next; 0: only when somebody asks
	Due           time.Duration                                                                    // how long people have to decide
	Inactive      time.Duration                                                                    // no login for so long is a reason to look
	Downgrade     string                                                                           // policy of plan mover for downgrades; empty: they are refused
	Now           func() time.Time                                                                 // nil: time.Now
	Log           *zap.Logger                                                                      // nil: silent
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

// Progress counts what is decided and what is carried out.
func (v *Reviews) Progress(ctx context.Context, id string) (offboard.Progress, error) {
	return v.opts.Store.ReviewProgress(ctx, id)
}

// Finish ends the deciding: the seats are read again and compared, then the
// review is closed. One whose members cannot be read is closed at once. A second
// call changes nothing.
// *offboard.RefusedError: it is still being read, or closed.
func (v *Reviews) Finish(ctx context.Context, id, by string) error {
	var r offboard.Review
	err := v.opts.Store.ChangeReview(ctx, id, "", func(is offboard.Review, _ []offboard.ReviewItem) (_ offboard.Review, _ []offboard.ReviewItem, err error) {
		r, err = is.End(by, v.now())
		return r, nil, err
	})
	if err != nil || r.State != offboard.ReviewClosed {
		return err
	}
	return v.opts.Announce(ctx, "review/"+id+"/closed", "The access review of "+day(r.Started)+" was given up",
		fmt.Sprintf("Closed by %s: %s. Cases that it opened go on. See: offramp review show --review %s", by, r.Note, id))
}
