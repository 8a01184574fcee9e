package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// probes is how many members that a list lacks are asked for directly.
const probes = 5

// errLie means that a list left out somebody who is there.
var errLie = errors.New("the member list leaves out members of the one before, and one of them answers when asked directly")

// sweep is one reading of every member and every group by this process. It
// counts from when it began, whatever was read later.
type sweep struct {
	number   int64
	began    time.Time
	census   *amplitude.Census
	groups   *grouping
	into     *rollBuilder
	complete bool     // every page of members was read
	compared bool     // with the list before
	doubted  []string // members of that list who are still to be asked for
}

// read goes on with the reading that this process is at, to its end or to where
// the budget ends. A look that may wait comes again later where another one of
// the process is at it.
func (r *roster) read(ctx context.Context, st offboard.Reading, waits bool) error {
	if st.Small() {
		select {
		case r.reading <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	} else {
		select {
		case r.reading <- struct{}{}:
		default:
			return &laterError{until: st.Over(r.now()), note: st.Progress()}
		}
	}
	defer func() { <-r.reading }()
	if r.ended >= st.Number { // somebody read it while we waited
		return nil
	}
	if r.running == nil || r.running.number != st.Number {
		c := r.client.WithShare(amplitude.ShareVerify)
		into := newRollBuilder()
		r.running = &sweep{number: st.Number, began: st.Began, census: c.Census(), groups: newGrouping(c, into), into: into}
	}
	err := r.sweep(ctx, r.running)
	if errors.Is(err, errOvertaken) {
		return nil
	}
	if b, ok := errors.AsType[*amplitude.BudgetError](err); ok && waits {
		var later *laterError
		_, err := r.record.ChangeReading(ctx, r.organization, func(st *offboard.Reading, now time.Time) {
			if st.Mine(r.id, r.running.number) {
				st.Rest = now.Add(b.Wait)
			}
			later = &laterError{until: now.Add(b.Wait), note: "the member list is being read for everybody who waits, as fast as the request budget allows"}
		})
		if err != nil {
			return err
		}
		return later
	}
	return err
}

// errOvertaken means that another process has taken the reading over.
var errOvertaken = errors.New("another process reads the list")

// end gives the reading of this process up, or has finished it. The caller holds reading.
func (r *roster) end() {
	r.ended, r.running = r.running.number, nil
}

// sweep reads until the end of the list, or an error; then a later call goes
// on where it stood. What it read counts once it is complete and plausible.
func (r *roster) sweep(ctx context.Context, s *sweep) error {
	for !s.complete {
		page, done, err := s.census.Next(ctx)
		for _, m := range page {
			s.into.member(m)
		}
		if done && err != nil {
			return r.distrust(ctx, err)
		}
		if err != nil {
			return err
		}
		s.complete = done
		if err := r.moved(ctx, s); err != nil {
			return err
		}
	}
	for !s.groups.complete {
		if err := s.groups.next(ctx); err != nil {
			return err
		}
		if err := r.moved(ctx, s); err != nil {
			return err
		}
	}
	if err := r.someGroup(ctx, r.client.WithShare(amplitude.ShareVerify), s.into); err != nil {
		if _, lies := errors.AsType[*groupsError](err); lies {
			return r.distrust(ctx, err)
		}
		return err
	}
	if err := r.plausible(ctx, s); err != nil {
		return err
	}
	whole := s.into.roll(s.number, s.began)
	packed, err := whole.pack()
	if err != nil {
		return err
	}
	mine, err := r.record.EndReading(ctx, r.organization, r.id, s.number, packed, func(st *offboard.Reading) {
		st.Size, st.Blocks = whole.members, s.groups.pages
	})
	if err != nil {
		return err
	}
	r.end()
	if mine {
		r.keep(whole)
	}
	return nil
}

// moved shows the others that the reading goes on.
func (r *roster) moved(ctx context.Context, s *sweep) error {
	st, err := r.record.ChangeReading(ctx, r.organization, func(st *offboard.Reading, now time.Time) {
		if st.Mine(r.id, s.number) {
			st.Moved, st.Rest, st.Pages = now, time.Time{}, s.census.Pages()+s.groups.pages
		}
	})
	if err == nil && !st.Mine(r.id, s.number) {
		r.end()
		return errOvertaken
	}
	return err
}

// plausible compares a complete list with the one before. Where it lacks members
// whom no case removed, some of those are asked for directly: if one answers,
// the list is a lie, and nobody's absence is taken from it. A list without
// anybody is none.
func (r *roster) plausible(ctx context.Context, s *sweep) error {
	if s.into.members == 0 {
		return r.distrust(ctx, errNoControl)
	}
	if !s.compared {
		lacking, err := r.lacking(ctx, s)
		if err != nil {
			return err
		}
		s.doubted, s.compared = lacking, true
	}
	c := r.client.WithShare(amplitude.ShareVerify)
	asked := len(s.doubted) > 0
	for len(s.doubted) > 0 {
		_, err := c.Member(ctx, s.doubted[0])
		if err == nil {
			return r.distrust(ctx, errLie)
		}
		if !notFound(err) {
			return err
		}
		s.doubted = s.doubted[1:]
	}
	if asked { // a server that says so of everybody proves nothing
		if _, err := r.prove(ctx, c, "", r.now().Add(-controlAge)); err != nil {
			return err
		}
	}
	return nil
}

// lacking picks members of the list before to ask for: some of those whom the new
// one lacks and no case removed, all where they are few. Whom that list showed,
// the new one remembers.
func (r *roster) lacking(ctx context.Context, s *sweep) ([]string, error) {
	before, err := r.list(ctx)
	if err != nil || before == nil {
		return nil, err
	}
	var missing []string
	for e := range before.all() {
		if s.into.has(e.key) {
			continue
		}
		s.into.gone(e, before.began)
		if e.member {
			missing = append(missing, e.address)
		}
	}
	if len(missing) == 0 {
		return nil, nil
	}
	// A removal from before that list began may show only now: lists lag.
	ours, err := r.record.Removed(ctx, missing, before.began.Add(-time.Hour))
	if err != nil {
		return nil, err
	}
	odd := missing[:0]
	for _, address := range missing {
		if !ours[offboard.Fold(address)] {
			odd = append(odd, address)
		}
	}
	if len(odd) <= probes {
		return odd, nil
	}
	var out []string
	for i := range probes {
		out = append(out, odd[i*(len(odd)-1)/(probes-1)])
	}
	return out, nil
}

// distrust throws the reading away: until the list may be good again,
// everybody is asked for directly.
func (r *roster) distrust(ctx context.Context, because error) error {
	number := r.running.number
	st, err := r.record.ChangeReading(ctx, r.organization, func(st *offboard.Reading, now time.Time) {
		if st.Mine(r.id, number) {
			st.Distrust(now)
		}
	})
	if err != nil {
		return err
	}
	r.end()
	return fmt.Errorf("no absence is taken from the member list; members are asked for one by one until %s: %w",
		st.Doubt.UTC().Format("15:04:05 MST"), because)
}
