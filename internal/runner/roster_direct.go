package runner

import (
	"context"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// controlAge is how long a positive control counts.
const controlAge = time.Minute

// ask asks directly, one case at a time, so that the control and the groups are
// read once for all that ask together. What was answered is kept for a while.
func (r *roster) ask(ctx context.Context, c *amplitude.Client, address string, after time.Time) (sighting, error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return sighting{}, context.Cause(ctx)
	}
	if s, ok := r.answered(address, after); ok { // somebody asked while we waited
		return s, nil
	}
	s, err := r.direct(ctx, c, address, after)
	if err != nil {
		return s, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, old := range r.told {
		if age := r.now().Sub(old.At); age > recent || age < 0 {
			delete(r.told, key)
		}
	}
	r.told[offboard.Fold(address)] = s
	return s, nil
}

// direct asks for one address, and for a known member where it is absent.
func (r *roster) direct(ctx context.Context, c *amplitude.Client, address string, after time.Time) (sighting, error) {
	r.mu.Lock()
	s := sighting{Address: address, At: r.now(), How: byAsking, tick: r.tick + 1}
	r.mu.Unlock()
	m, err := c.Member(ctx, address)
	switch {
	case err == nil:
		s.Present, s.Pending, s.Name, s.Control = true, m.Pending(), name(m), "the member itself"
	case notFound(err):
		if s.Control, err = r.prove(ctx, c, address); err != nil {
			return s, err
		}
	default:
		return s, err
	}
	r.mu.Lock()
	groups, at := r.groups, r.groupsAt
	r.mu.Unlock()
	if at.Before(after) || at.IsZero() || at.After(r.now()) {
		at = r.now()
		if groups, err = c.Groups(ctx); err != nil {
			return s, err
		}
		r.mu.Lock()
		r.groups, r.groupsAt = groups, at
		r.mu.Unlock()
	}
	if at.Before(s.At) {
		s.At = at // the older of both readings is what the sighting is worth
	}
	for _, g := range groups {
		for _, gm := range g.Members {
			if offboard.Fold(gm.Email) == offboard.Fold(address) {
				s.Groups = append(s.Groups, group{ID: g.ID, Name: g.Name})
			}
		}
	}
	return s, nil
}

// prove is the positive control: a known member, other than the one who is
// absent, answered within the last minute.
func (r *roster) prove(ctx context.Context, c *amplitude.Client, absent string) (string, error) {
	const words = "another member was answered directly by the same client within a minute"
	r.mu.Lock()
	age := r.now().Sub(r.control)
	fresh := !r.control.IsZero() && age >= 0 && age < controlAge
	known := r.candidates(absent)
	r.mu.Unlock()
	if fresh {
		return words, nil
	}
	if len(known) == 0 {
		page, err := c.MembersPage(ctx, 1)
		if err != nil {
			return "", err
		}
		r.learn(page)
		r.mu.Lock()
		known = r.candidates(absent)
		r.mu.Unlock()
	}
	for _, k := range known[:min(len(known), 4)] {
		_, err := c.Member(ctx, k)
		if notFound(err) {
			continue // may have been removed since
		}
		if err != nil {
			return "", err
		}
		r.mu.Lock()
		r.control = r.now()
		r.mu.Unlock()
		return words, nil
	}
	r.mu.Lock()
	r.known = nil // look for other ones next time
	r.mu.Unlock()
	return "", errNoControl
}

// candidates are the known members, other than one, that nobody removed since.
// The caller holds the lock.
func (r *roster) candidates(other string) []string {
	var out []string
	for _, k := range r.known {
		key := offboard.Fold(k)
		if _, removed := r.gone[key]; !removed && key != offboard.Fold(other) {
			out = append(out, k)
		}
	}
	return out
}

func (r *roster) learn(p amplitude.Page) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.size = p.Total
	r.known = r.known[:0:0]
	for _, m := range p.Members {
		r.known = append(r.known, m.Email)
	}
}
