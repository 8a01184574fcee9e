package review

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"offramp/internal/offboard"
)

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
		mine, err := v.opts.Store.Turn(ctx, turn, rest)
		if err == nil && mine {
			err = v.hold(ctx, v.Advance)
		}
		if err != nil && ctx.Err() == nil {
			v.log.Warn("access review, will be repeated", zap.Error(err))
		}
	}
}

// A replica has the turn for as long as it works: to read ten thousand members
// takes minutes. One that dies is replaced when its lease is over.
const (
	turn  = "review"
	rest  = 10 * time.Second // between two looks
	lease = time.Minute
)

// hold works and keeps the turn meanwhile.
func (v *Reviews) hold(ctx context.Context, work func(context.Context) error) error {
	ended := make(chan struct{})
	held := false
	var keep sync.WaitGroup
	keep.Go(func() {
		t := time.NewTicker(rest / 3)
		defer t.Stop()
		for {
			select {
			case <-ended:
				return
			case <-t.C:
			}
			held = true
			if err := v.opts.Store.Postpone(ctx, turn, lease); err != nil && ctx.Err() == nil {
				v.log.Warn("access review: keep the turn", zap.Error(err))
			}
			t.Reset(lease / 3)
		}
	})
	err := work(ctx)
	close(ended)
	keep.Wait()
	if held {
		err = errors.Join(err, v.opts.Store.Postpone(ctx, turn, rest))
	}
	return err
}

// Advance takes the live review as far as it goes, and begins the next one when
// it is time. An error is repeated at the next call.
func (v *Reviews) Advance(ctx context.Context) error {
	r, err := v.latest(ctx)
	if err != nil || r.ID == "" {
		return err // the first one is a person's decision
	}
	if next := v.Next(r); r.Live() && !next.IsZero() && !v.now().Before(next) && (r.State == offboard.ReviewOpen || r.Trouble != "") {
		if err := v.Finish(ctx, r.ID, offboard.BySchedule); err != nil {
			return err
		}
		if r, err = v.latest(ctx); err != nil {
			return err
		}
	}
	switch r.State {
	case offboard.ReviewReading:
		return v.troubled(ctx, r, v.read(ctx, r))
	case offboard.ReviewOpen:
		return v.follow(ctx, r)
	case offboard.ReviewComparing:
		return v.troubled(ctx, r, v.compare(ctx, r))
	case offboard.ReviewClosed:
		return v.next(ctx, r)
	}
	return nil
}

// latest is the newest review; without one, the zero value.
func (v *Reviews) latest(ctx context.Context) (offboard.Review, error) {
	list, err := v.opts.Store.Reviews(ctx, 1)
	if err != nil || len(list) == 0 {
		return offboard.Review{}, err
	}
	return list[0], nil
}

// patience is how long the members may be unreadable until somebody is told.
const patience = time.Hour

// troubled records why the members cannot be read, and tells people when that
// lasts: nobody decides until they are.
func (v *Reviews) troubled(ctx context.Context, r offboard.Review, cause error) error {
	if cause == nil || ctx.Err() != nil {
		return cause
	}
	if why := cause.Error(); why != r.Trouble {
		err := v.opts.Store.ChangeReview(ctx, r.ID, "", func(is offboard.Review, _ []offboard.ReviewItem) (offboard.Review, []offboard.ReviewItem, error) {
			if is.State == r.State {
				if is.Trouble = why; is.Troubled.IsZero() {
					is.Troubled = v.now()
				}
			}
			r = is
			return is, nil, nil
		})
		if err != nil {
			return errors.Join(cause, err)
		}
	}
	if r.Troubled.IsZero() || v.now().Sub(r.Troubled) < patience {
		return cause
	}
	err := v.opts.Announce(ctx, fmt.Sprintf("review/%s/trouble/%s/%d", r.ID, r.State, v.weeks(r.Troubled)), "The access review stands still",
		fmt.Sprintf("Since %s the members cannot be read: %s. It goes on by itself when they can be; to give it up: offramp review close",
			r.Troubled.UTC().Format(time.RFC3339), r.Trouble))
	return errors.Join(cause, err)
}

// Next is when the review after this one begins; zero: when somebody asks.
func (v *Reviews) Next(r offboard.Review) time.Time { return r.Next(v.opts.Every) }

// next begins the review after the last one.
func (v *Reviews) next(ctx context.Context, last offboard.Review) error {
	if at := v.Next(last); at.IsZero() || v.now().Before(at) {
		return nil
	}
	_, err := v.opts.Store.StartReview(ctx, offboard.BySchedule, v.opts.Due)
	return err
}

// weeks is how many whole weeks lie behind a moment: what lasts is said again
// every week.
func (v *Reviews) weeks(since time.Time) int { return int(v.now().Sub(since) / (7 * 24 * time.Hour)) }

// follow announces a review, carries decisions out, and closes the review when
// nothing is left. What cannot be carried out stays open: somebody has to.
func (v *Reviews) follow(ctx context.Context, r offboard.Review) error {
	progress, err := v.Progress(ctx, r.ID)
	if err != nil {
		return err
	}
	err = v.opts.Announce(ctx, "review/"+r.ID, "Access review of "+day(r.Started),
		fmt.Sprintf("%d seats in Amplitude are up for review until %s, %d of them with a reason to look. See: offramp review show",
			progress.Seats, day(r.Due), progress.Striking))
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
		return v.opts.Announce(ctx, fmt.Sprintf("review/%s/overdue/%d", r.ID, v.weeks(r.Due)), "The access review is overdue",
			fmt.Sprintf("%d seats are undecided, %d of them with a reason to look; %d decisions are not carried out. See: offramp review show",
				progress.Undecided, progress.Striking, progress.Open))
	}
	return nil
}
