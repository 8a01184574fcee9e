package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// stalled is how long a reading may rest before it is begun anew: what it has
// seen until then says too little about now.
const stalled = 10 * time.Minute

// probes is how many members that a list lacks are asked for directly.
const probes = 5

// errLie means that a list left out somebody who is there.
var errLie = errors.New("the member list leaves out members of the one before, and one of them answers when asked directly")

// sweep is one reading of every member and every group. It counts from when it
// began, whatever was read later.
type sweep struct {
	started time.Time
	tick    int       // of the roster, when it began
	touched time.Time // the last progress
	pages   int       // requests answered; guarded by the roster's lock

	census   *amplitude.Census
	complete bool // every page was read
	members  map[string]amplitude.Member
	groups   map[string][]group // by address; nil: not read
	blocks   int                // requests of the groups
	compared bool
	doubted  []string // members of the one before who are still to be asked for
}

// read reads the list, or goes on with it, where t says so: nil means that a
// reading was finished. It is errAsk where the address is to be asked for
// directly, and a *laterError where somebody else reads, or nobody yet.
func (r *roster) read(ctx context.Context, key string, t traffic) error {
	r.mu.Lock()
	t = r.situation(t)
	do, begin := t.decide()
	running := r.underway()
	var later *laterError
	if do == readLater && running == nil {
		later = r.begins(key, begin, t)
	}
	if do == readLater && running != nil && r.rest.After(t.now) && r.rest.Sub(t.now) < longest {
		later = r.ends(running)
	}
	r.mu.Unlock()
	switch {
	case do == askDirectly:
		return errAsk
	case later != nil:
		return later
	case t.size <= small:
		select {
		case r.reading <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	default:
		select {
		case r.reading <- struct{}{}:
		default:
			r.mu.Lock()
			defer r.mu.Unlock()
			if running = r.underway(); running == nil { // it has just ended
				return &laterError{until: t.now.Add(time.Second), note: "the member list has just been read"}
			}
			return r.ends(running)
		}
	}
	defer func() { <-r.reading }()
	if r.settled(t) { // somebody read it while we waited
		return nil
	}
	err := r.sweep(ctx)
	if b, ok := errors.AsType[*amplitude.BudgetError](err); ok && t.shared {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.rest = r.now().Add(b.Wait)
		return &laterError{until: r.rest, note: "the member list is being read for everybody who waits, as fast as the request budget allows"}
	}
	return err
}

// settled reports whether a reading that was begun behind t has ended.
func (r *roster) settled(t traffic) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.running == nil && r.begun.After(t.begun) && r.last != nil && r.last.started.Equal(r.begun)
}

// underway is the reading that was begun and not finished, unless it has
// rested too long. The caller holds the lock.
func (r *roster) underway() *sweep {
	if r.running == nil {
		return nil
	}
	if rested := r.now().Sub(r.running.touched); rested < 0 || rested > stalled {
		return nil
	}
	return r.running
}

// begin returns the reading to go on with, a new one where there is none.
func (r *roster) begin() *sweep {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.underway(); s != nil {
		return s
	}
	now := r.now()
	s := &sweep{
		started: now, touched: now, tick: r.tick + 1,
		census: r.client.WithShare(amplitude.ShareVerify).Census(), members: make(map[string]amplitude.Member, max(r.size, 0)),
	}
	r.running, r.begun, r.starter, r.rest = s, now, "", time.Time{}
	return s
}

// sweep reads until the end of the list, or an error; then a later call goes
// on where it stood. What it read counts once it is complete and plausible.
// The caller holds reading.
func (r *roster) sweep(ctx context.Context) error {
	s := r.begin()
	c := r.client.WithShare(amplitude.ShareVerify)
	for !s.complete {
		page, done, err := s.census.Next(ctx)
		for _, m := range page {
			s.members[offboard.Fold(m.Email)] = m
		}
		if done && err != nil {
			return r.distrust(err)
		}
		if err != nil {
			return err
		}
		s.complete = done
		r.progress(s, 1)
	}
	if s.groups == nil {
		groups, err := c.Groups(ctx)
		if err != nil {
			return err
		}
		s.blocks = max((len(groups)+99)/100, 1)
		s.groups = byMember(groups)
		r.progress(s, s.blocks)
	}
	if err := r.plausible(ctx, c, s); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.census = nil
	r.running, r.last, r.size, r.blocks = nil, s, len(s.members), s.blocks
	for key, g := range r.gone {
		if _, listed := s.members[key]; g.tick < s.tick && !listed {
			delete(r.gone, key)
		}
	}
	r.known = r.known[:0:0]
	for key, m := range s.members {
		if _, removed := r.gone[key]; !removed {
			r.known = append(r.known, m.Email)
		}
		if len(r.known) == 100 {
			break
		}
	}
	slices.Sort(r.known)
	return nil
}

func (r *roster) progress(s *sweep, requests int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.touched = r.now()
	s.pages += requests
	r.rest = time.Time{}
}

func byMember(groups []amplitude.Group) map[string][]group {
	out := map[string][]group{}
	for _, g := range groups {
		for _, m := range g.Members {
			key := offboard.Fold(m.Email)
			out[key] = append(out[key], group{ID: g.ID, Name: g.Name})
		}
	}
	return out
}

// plausible compares a complete list with the one before. Where it lacks
// members whom we did not remove, some of those are asked for directly: if one
// answers, the list is a lie, and nobody's absence is taken from it. A list
// without anybody is none.
func (r *roster) plausible(ctx context.Context, c *amplitude.Client, s *sweep) error {
	if !s.compared {
		s.doubted, s.compared = r.lacking(s), true
	}
	asked := len(s.doubted) > 0
	for len(s.doubted) > 0 {
		_, err := c.Member(ctx, s.doubted[0])
		if err == nil {
			return r.distrust(errLie)
		}
		if !notFound(err) {
			return err
		}
		s.doubted = s.doubted[1:]
	}
	if len(s.members) == 0 {
		return r.distrust(errNoControl)
	}
	if asked { // a server that says so of everybody proves nothing
		if _, err := r.prove(ctx, c, ""); err != nil {
			return err
		}
	}
	return nil
}

// lacking picks members of the last list to ask for: some of those whom the new
// one lacks, all where they are few.
func (r *roster) lacking(s *sweep) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		return nil
	}
	var missing []string
	for key, m := range r.last.members {
		_, there := s.members[key]
		if _, ours := r.gone[key]; !there && !ours {
			missing = append(missing, m.Email)
		}
	}
	slices.Sort(missing)
	if len(missing) <= probes {
		return missing
	}
	var out []string
	for i := range probes {
		out = append(out, missing[i*(len(missing)-1)/(probes-1)])
	}
	return out
}

// distrust throws the reading away: until the list may be good again,
// everybody is asked for directly. One that was read several times in vain is
// left alone for longer.
func (r *roster) distrust(because error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.situation(traffic{})
	if r.running != nil {
		t.cost = max(t.cost, r.running.pages)
	}
	r.running = nil
	r.doubt = r.now().Add(max(t.patience(), shortest))
	return fmt.Errorf("no absence is taken from the member list; members are asked for one by one until %s: %w",
		r.doubt.UTC().Format("15:04:05 MST"), because)
}
