package drift

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.uber.org/zap"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// run is one sweep of one organization.
type run struct {
	*Sweeper
	org    Organization
	client *amplitude.Client
	sweep  offboard.Sweep
	notes  []string // what was not checked, and why

	trusted bool // the member list was complete and no lie
}

// all reads, compares, and ends the sweep.
func (r *run) all(ctx context.Context) error {
	members, err := r.seats(ctx)
	more := 0
	if err == nil {
		more, err = r.plausible(ctx)
	}
	if err != nil {
		return r.fail(ctx, err)
	}
	if err := r.opts.Store.TrustSweep(ctx, r.sweep); err != nil {
		return err
	}
	r.trusted = true
	r.sweep.Members = members + more
	checked, err := r.rest(ctx)
	if err != nil {
		return err
	}
	r.sweep.Note, r.sweep.Failed = strings.Join(r.notes, "; "), ""
	if err := r.opts.Store.EndSweep(ctx, r.sweep, checked, r.tell); err != nil {
		return err
	}
	r.log.Info("compared with Amplitude", zap.String("organization", r.org.Name), zap.Int("members", r.sweep.Members),
		zap.Duration("took", r.now().Sub(r.sweep.Started)))
	return nil
}

// tell makes the messages about critical findings that have just opened.
func (r *run) tell(found []offboard.Finding) []offboard.Message {
	return r.opts.Audience.AboutFindings(r.sweep, found)
}

// rest reads what is not the member list, compares, and tells which kinds of
// findings could be looked for.
func (r *run) rest(ctx context.Context) ([]offboard.FindingKind, error) {
	checked := []offboard.FindingKind{
		offboard.LeaverStillThere, offboard.LeaverBack, offboard.RemovedByAnother, offboard.RemovedByHand, offboard.ListUntrusted,
		offboard.UnknownToIdP, offboard.SecondSeat, offboard.CreatedInactive, offboard.PendingInvitation,
	}
	for _, part := range []struct {
		kinds []offboard.FindingKind
		do    func(context.Context) (ok bool, err error)
	}{
		{[]offboard.FindingKind{offboard.GroupWithoutSeat}, r.groups},
		{[]offboard.FindingKind{offboard.AdminOutsideGroups}, r.admins},
		{[]offboard.FindingKind{offboard.LoginAfterRemoval}, r.audit},
		{nil, r.compare},
		{[]offboard.FindingKind{offboard.EntitledButNoMember}, r.absent},
		{[]offboard.FindingKind{offboard.DeadOwner}, r.owners},
	} {
		ok, err := part.do(ctx)
		if err != nil {
			return nil, err
		}
		if ok {
			checked = append(checked, part.kinds...)
		}
	}
	return checked, nil
}

// seats reads the member list, one request for each hundred, into the record.
// Where another process stood in the middle of it, it goes on from there.
func (r *run) seats(ctx context.Context) (int, error) {
	census := r.client.Census()
	if r.sweep.Progress.Next > 0 {
		seen, err := r.seen(ctx)
		if err != nil {
			return 0, err
		}
		census = r.client.ResumeCensus(amplitude.Progress(r.sweep.Progress), seen)
	}
	for done := false; !done; {
		var page []amplitude.Member
		err := r.patiently(ctx, func(ctx context.Context) (err error) {
			page, done, err = census.Next(ctx)
			return err
		})
		seats := make([]offboard.Seat, 0, len(page))
		for _, m := range page {
			seats = append(seats, seatOf(m))
		}
		r.sweep.Progress = offboard.SweepProgress(census.Progress())
		if err := r.opts.Store.SeeSeats(ctx, r.sweep, seats); err != nil {
			return 0, err
		}
		if err != nil {
			return 0, err
		}
	}
	if census.Seen() == 0 {
		return 0, &distrust{because: "the list is empty, and Offramp's own key belongs to somebody"}
	}
	return census.Seen(), nil
}

// seen are the addresses that the sweep has recorded.
func (r *run) seen(ctx context.Context) (all []string, err error) {
	for after, more := "", true; more; {
		page, err := r.opts.Store.Seen(ctx, r.sweep, after, 1000)
		if err != nil {
			return nil, err
		}
		for _, seat := range page {
			all = append(all, seat.Address)
			after = offboard.Fold(seat.Address)
		}
		more = len(page) == 1000
	}
	return all, nil
}

func seatOf(m amplitude.Member) offboard.Seat {
	return offboard.Seat{Address: m.Email, Name: strings.TrimSpace(m.GivenName + " " + m.FamilyName), Pending: m.Pending()}
}

// tries is how often in a row one request may fail for a while.
const tries = 8

// patiently repeats what the budget, or Amplitude for a while, refuses. The
// sweep goes on where it stood.
func (r *run) patiently(ctx context.Context, do func(context.Context) error) error {
	pause := 5 * time.Second
	for failed := 0; ; {
		err := do(ctx)
		wait := time.Duration(0)
		if budget, ok := errors.AsType[*amplitude.BudgetError](err); ok {
			wait = max(budget.Wait, time.Second)
		} else if e, ok := errors.AsType[*amplitude.Error](err); ok && e.Temporary() && failed < tries {
			failed++
			wait = max(e.RetryAfter, pause)
			pause = min(2*pause, 5*time.Minute)
		} else {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		for wait > 0 {
			nap := min(wait, time.Minute)
			if err := r.opts.Sleep(ctx, nap); err != nil {
				return err
			}
			if err := r.opts.Store.BeatSweep(ctx, r.sweep); err != nil {
				return err
			}
			wait -= nap
		}
	}
}
