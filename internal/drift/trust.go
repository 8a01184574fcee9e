package drift

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// distrust is why a member list is not believed: no absence follows from it.
type distrust struct{ because string }

func (e *distrust) Error() string { return e.because }

// fail ends a sweep whose list is not believed. Whoever was seen is there, and
// is compared; nobody is gone, nothing is resolved, and that it happened is a
// finding itself.
func (r *run) fail(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, offboard.ErrFenced) || errors.Is(err, offboard.ErrUnavailable) {
		return err
	}
	_, lie := errors.AsType[*distrust](err)
	_, api := errors.AsType[*amplitude.Error](err)
	if !lie && !api && !errors.Is(err, amplitude.ErrShortList) && !errors.Is(err, amplitude.ErrListMoved) {
		return err // the record
	}
	r.sweep.Failed = err.Error()
	r.log.Warn("the member list is not trusted: no absence follows from it", zap.String("organization", r.org.Name), zap.Error(err))
	again := "the list is read again within half an hour"
	if r.opts.Every == 0 {
		again = "then let the list be read again: offramp drift run"
	}
	found := offboard.Finding{
		Kind: offboard.ListUntrusted, Severity: offboard.ListUntrusted.Severity(), Object: "members",
		Text: "the member list of " + r.org.Name + " cannot be trusted: " + err.Error() +
			"; whom it showed is compared, but nobody is taken for gone, and what was found before stands",
		Proposed: "check the SCIM key and the endpoint with offramp doctor; " + again,
	}
	if err := r.opts.Store.SaveFindings(ctx, r.sweep, found); err != nil {
		return err
	}
	r.notes = append(r.notes, "only members that the list showed were compared")
	for _, part := range []func(context.Context) (bool, error){r.audit, r.compare} {
		if _, err := part(ctx); err != nil {
			return err
		}
	}
	r.sweep.Note = strings.Join(r.notes, "; ")
	return r.opts.Store.EndSweep(ctx, r.sweep, nil, r.tell)
}

const (
	// probes is how many of each sort of absent people are asked for directly:
	// all of them, where they are no more.
	probes = 5
	// sample is how many these are picked from at most.
	sample = 1000
)

// plausible asks directly for some of those whom a complete list does not hold,
// and who may be there: then they are, whatever becomes of the list. One of few,
// who were all asked, may be chance, as when one leaves and another comes while
// it is read, and counts as present; more is a list that lies. It returns how many were found.
func (r *run) plausible(ctx context.Context) (found int, err error) {
	ask, whole, err := r.doubtful(ctx)
	if err != nil || len(ask) == 0 {
		return 0, err
	}
	var there []offboard.Seat
	for _, address := range ask {
		seat, ok, err := r.there(ctx, address)
		if err != nil {
			return 0, err
		}
		if ok {
			there = append(there, seat)
		}
	}
	if len(there) == 0 {
		return 0, r.control(ctx)
	}
	if err := r.opts.Store.SeeSeats(ctx, r.sweep, there); err != nil {
		return 0, err
	}
	if len(there) > 1 || !whole {
		return 0, &distrust{because: fmt.Sprintf("it leaves out members who are there: %d people whom it does not hold were asked for directly, and %d answered",
			len(ask), len(there))}
	}
	r.notes = append(r.notes, "the list left out a member who answered when asked for directly")
	return 1, nil
}

// doubtful picks whom to ask for: those of whom a finding would open or end,
// others who were there before and are missing without a case of ours, whoever
// is watched after a removal, and people who are entitled and have no seat.
// whole means that nobody more is missing.
func (r *run) doubtful(ctx context.Context) (ask []string, whole bool, err error) {
	whole = true
	add := func(all []string) {
		for _, a := range pick(all, int(r.sweep.Number)) {
			if !slices.ContainsFunc(ask, func(b string) bool { return offboard.Fold(a) == offboard.Fold(b) }) {
				ask = append(ask, a)
			}
		}
	}
	for _, suspects := range []bool{true, false} {
		missing, err := r.opts.Store.Missing(ctx, r.sweep, suspects, sample)
		if err != nil {
			return nil, false, err
		}
		whole = whole && len(missing) <= probes
		all := make([]string, 0, len(missing))
		for _, seat := range missing {
			all = append(all, seat.Address)
		}
		add(all)
	}
	watched, err := r.opts.Store.WatchedUnseen(ctx, r.sweep, r.now().Add(-offboard.Watch), sample)
	if err != nil {
		return nil, false, err
	}
	add(watched)
	entitled, err := r.unseated(ctx)
	if err != nil {
		return nil, false, err
	}
	add(entitled)
	return ask, whole && len(entitled) <= probes, nil
}

// pick takes all of few, or some from all over the list, others at each turn.
func pick[T any](all []T, turn int) []T {
	if len(all) <= probes {
		return all
	}
	out := make([]T, 0, probes)
	for i := range probes {
		out = append(out, all[(i*len(all)/probes+turn)%len(all)])
	}
	return out
}

// unseated lists the addresses of some people who are about to be missed as
// members. When an organization is read for the first time there is no list
// to compare with but the directory: then it is whoever is entitled to a seat.
func (r *run) unseated(ctx context.Context) (out []string, err error) {
	connections, _, err := r.missed(ctx)
	if err != nil {
		return nil, err
	}
	at, first := r.at(), r.sweep.Trusted.IsZero()
	if first {
		connections = slices.DeleteFunc(slices.Clone(r.rules.names), func(c string) bool { return !r.rules.reaches(c, r.org.Name) })
	}
	for _, c := range connections {
		for after, more := "", true; more; more = after != "" && len(out) < sample {
			after, err = r.opts.Store.CompareAbsent(ctx, r.sweep, c, r.rules.reach[c], after, pageSize, func(all []offboard.PersonFacts) []offboard.Finding {
				for _, f := range all {
					if first && !f.Person.Placeholder() && r.rules.entitled(f.Person, at.now) || len(r.rules.absent(at, f)) > 0 {
						out = append(out, f.Person.Address)
					}
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// there asks for one member directly.
func (r *run) there(ctx context.Context, address string) (seat offboard.Seat, there bool, err error) {
	err = r.patiently(ctx, func(ctx context.Context) error {
		m, err := r.client.Member(ctx, address)
		if e, ok := errors.AsType[*amplitude.Error](err); ok && e.NotFound() {
			there = false
			return nil
		}
		seat, there = seatOf(m), err == nil
		return err
	})
	return seat, there, err
}

// control is the positive control of absences: a member that the list did hold
// answers directly. Three are asked, since one may just have been removed.
func (r *run) control(ctx context.Context) error {
	known, err := r.opts.Store.Seen(ctx, r.sweep, "", 3)
	if err != nil {
		return err
	}
	for _, seat := range known {
		_, there, err := r.there(ctx, seat.Address)
		if err != nil || there {
			return err
		}
	}
	return &distrust{because: "members that the list holds are not found when they are asked for directly, so that an absence proves nothing"}
}
