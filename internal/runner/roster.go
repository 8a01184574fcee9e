package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// sighting is what Amplitude showed about one address, and why it counts.
type sighting struct {
	Address string    `json:"address"`
	Present bool      `json:"present"`
	Pending bool      `json:"pending,omitempty"`
	Name    string    `json:"name,omitempty"`
	Groups  []group   `json:"groups,omitempty"`
	At      time.Time `json:"at"`
	How     string    `json:"how"`     // list or direct
	Control string    `json:"control"` // the positive control, in words
}

type group struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// clear reports whether nothing of the seat is left.
func (s sighting) clear() bool { return !s.Present && len(s.Groups) == 0 }

// errNoControl means that an absence proves nothing: no known member was
// answered by the same client.
var errNoControl = errors.New("no positive control: Amplitude answered for no known member either, so an absence proves nothing; check its SCIM key and endpoint")

// small is up to how many members one sweep costs about as much as asking directly.
const small = 300

// controlAge is how long a positive control counts.
const controlAge = time.Minute

// roster answers who is in an organization, from one sweep that many cases
// share where that is cheap, directly where it is not. Sweeps and controls are
// kept only as long as they are fresh enough to be asked for.
type roster struct {
	client *amplitude.Client
	now    func() time.Time

	turn  chan struct{} // held by whoever talks to Amplitude
	mu    sync.Mutex
	last  *sweep
	total int // members at the last look, -1: not known

	groups   []amplitude.Group // of the last reading of groups alone
	groupsAt time.Time
	known    []string // members seen, to serve as control
	control  time.Time
}

type sweep struct {
	started time.Time
	members map[string]amplitude.Member
	groups  map[string][]group // by address
}

func newRoster(c *amplitude.Client, now func() time.Time) *roster {
	return &roster{client: c, now: now, turn: make(chan struct{}, 1), total: -1}
}

// look tells whether an address has a seat or is in a group, from something
// read not before after.
func (r *roster) look(ctx context.Context, share amplitude.Share, address string, after time.Time) (sighting, error) {
	if s, ok := r.cached(address, after); ok {
		return s, nil
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return sighting{}, context.Cause(ctx)
	}
	if s, ok := r.cached(address, after); ok { // somebody swept while we waited
		return s, nil
	}
	c := r.client.WithShare(share)
	r.mu.Lock()
	total := r.total
	r.mu.Unlock()
	if total < 0 {
		page, err := c.MembersPage(ctx, 1)
		if err != nil {
			return sighting{}, err
		}
		r.learn(page)
		total = page.Total
	}
	if total <= small {
		if err := r.sweep(ctx, c); err != nil {
			return sighting{}, err
		}
		if s, ok := r.cached(address, after); ok {
			return s, nil
		}
		return sighting{}, errNoControl
	}
	return r.direct(ctx, c, address, after)
}

func (r *roster) cached(address string, after time.Time) (sighting, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil || r.last.started.Before(after) {
		return sighting{}, false
	}
	key := offboard.Fold(address)
	m, present := r.last.members[key]
	others := len(r.last.members)
	if present {
		others--
	}
	if !present && others == 0 {
		return sighting{}, false
	}
	return sighting{
		Address: address, Present: present, Pending: present && m.Pending(), Name: name(m), Groups: r.last.groups[key],
		At: r.last.started, How: "list", Control: fmt.Sprintf("%d other members were in the same complete list", others),
	}, true
}

// sweep reads every member and every group.
func (r *roster) sweep(ctx context.Context, c *amplitude.Client) error {
	s := &sweep{started: r.now(), members: map[string]amplitude.Member{}, groups: map[string][]group{}}
	for m, err := range c.Members(ctx) {
		if err != nil {
			return err
		}
		s.members[offboard.Fold(m.Email)] = m
	}
	if len(s.members) == 0 {
		return errNoControl
	}
	groups, err := c.Groups(ctx)
	if err != nil {
		return err
	}
	for _, g := range groups {
		for _, m := range g.Members {
			key := offboard.Fold(m.Email)
			s.groups[key] = append(s.groups[key], group{ID: g.ID, Name: g.Name})
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last, r.total = s, len(s.members)
	return nil
}

// direct asks for one address, and for a known member where it is absent.
func (r *roster) direct(ctx context.Context, c *amplitude.Client, address string, after time.Time) (sighting, error) {
	s := sighting{Address: address, At: r.now(), How: "direct"}
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
	if at.Before(after) || at.IsZero() {
		at = r.now()
		if groups, err = c.Groups(ctx); err != nil {
			return s, err
		}
		r.mu.Lock()
		r.groups, r.groupsAt = groups, at
		r.mu.Unlock()
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
	fresh := !r.control.IsZero() && r.now().Sub(r.control) < controlAge
	known := r.known
	r.mu.Unlock()
	if fresh {
		return words, nil
	}
	if len(known) == 0 {
		page, err := c.MembersPage(ctx, 1)
		if err != nil {
			return "", err
		}
		known = r.learn(page)
	}
	for i, k := range known {
		if offboard.Fold(k) == offboard.Fold(absent) {
			continue
		}
		if i > 3 {
			break
		}
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

func (r *roster) learn(p amplitude.Page) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total = p.Total
	r.known = r.known[:0:0]
	for _, m := range p.Members {
		r.known = append(r.known, m.Email)
	}
	return r.known
}

// likely lists other members who may be the same human: the same address but
// for a plus part, or the same name. Only what the last sweep saw is searched.
func (r *roster) likely(address, person string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		return nil
	}
	base, key := plain(address), offboard.Fold(address)
	var out []string
	for k, m := range r.last.members {
		if k == key {
			continue
		}
		sameName := person != "" && offboard.Fold(name(m)) == offboard.Fold(person)
		if plain(k) == base || sameName {
			out = append(out, k)
		}
	}
	return out
}

// plain drops the plus part of an address.
func plain(address string) string {
	local, domain, ok := strings.Cut(offboard.Fold(address), "@")
	if !ok {
		return offboard.Fold(address)
	}
	local, _, _ = strings.Cut(local, "+")
	return local + "@" + domain
}

func name(m amplitude.Member) string { return strings.TrimSpace(m.GivenName + " " + m.FamilyName) }

func notFound(err error) bool {
	e, ok := errors.AsType[*amplitude.Error](err)
	return ok && e.NotFound()
}
