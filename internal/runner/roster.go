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

	tick int // of the roster, when it was asked
}

// How a sighting came about.
const (
	fromList = "list"
	byAsking = "direct"
)

type group struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// clear reports whether nothing of the seat is left.
func (s sighting) clear() bool { return !s.Present && len(s.Groups) == 0 }

// errNoControl means that an absence proves nothing: no known member was
// answered by the same client.
var errNoControl = errors.New("no positive control: Amplitude answered for no known member either, so an absence proves nothing; check its SCIM key and endpoint")

// laterError says that an address will be answered by a reading of the member
// list that others share, and when to ask again.
type laterError struct {
	until time.Time
	note  string
}

func (e *laterError) Error() string { return e.note }

// roster answers who is in one organization: from one reading of the member
// list that many cases share where that costs less, directly where it does not.
// traffic says when which. What was read is kept while it is fresh enough to be
// asked for; the newest reading stays, because the next one is judged by it.
//
// It is one per process: replicas read for themselves, within one budget.
// It is safe for concurrent use.
type roster struct {
	client *amplitude.Client
	now    func() time.Time

	turn    chan struct{} // held by whoever asks directly
	reading chan struct{} // held by whoever reads the list

	mu      sync.Mutex
	tick    int               // counts removals and readings: their order, whatever the clock does
	last    *sweep            // the newest that counts
	running *sweep            // begun and not finished
	begun   time.Time         // when the newest one began, whatever came of it
	rest    time.Time         // until when the running one has no slot in the budget
	doubt   time.Time         // until when the list is not believed
	starter string            // who was told to begin the next one
	size    int               // members as last announced, -1: not known
	blocks  int               // requests that reading the groups takes
	asks    map[string]asked  // looks that may share a reading
	gone    map[string]absent // seats that this process had removed, by address
	told    map[string]sighting

	groups   []amplitude.Group // of the last reading of groups alone
	groupsAt time.Time
	known    []string // members seen, to serve as control
	control  time.Time
}

// asked is a look at one address that many may share a reading for.
type asked struct {
	first    time.Time
	answered bool
}

// absent is a removal that this process made.
type absent struct {
	at   time.Time
	tick int
}

func newRoster(c *amplitude.Client, now func() time.Time) *roster {
	return &roster{
		client: c, now: now, turn: make(chan struct{}, 1), reading: make(chan struct{}, 1), size: -1, blocks: 1,
		asks: map[string]asked{}, gone: map[string]absent{}, told: map[string]sighting{},
	}
}

// look tells whether an address has a seat or is in a group, from something
// read not before after. It waits for nobody: it is for what cannot wait, and
// for what is rarely asked.
func (r *roster) look(ctx context.Context, share amplitude.Share, address string, after time.Time) (sighting, error) {
	c := r.client.WithShare(share)
	return r.answer(ctx, c, address, after, "", traffic{})
}

// shared is look for many addresses that may wait for each other: where that
// costs less, it is a *laterError until the list has been read. key names the
// question, so that one that is repeated counts once.
func (r *roster) shared(ctx context.Context, share amplitude.Share, key, address string, after time.Time) (sighting, error) {
	s, ok := r.cached(address, after)
	var err error
	if !ok {
		s, err = r.answer(ctx, r.client.WithShare(share), address, after, key, r.traffic(key))
	}
	if err == nil {
		r.mu.Lock()
		if a, ok := r.asks[key]; ok {
			a.answered = true
			r.asks[key] = a
		}
		r.mu.Unlock()
	}
	return s, err
}

// answer finds out about one address as t says. key names a look that may wait.
func (r *roster) answer(ctx context.Context, c *amplitude.Client, address string, after time.Time, key string, t traffic) (sighting, error) {
	for range 3 {
		if s, ok := r.cached(address, after); ok {
			return s, nil
		}
		if err := r.measure(ctx, c); err != nil {
			return sighting{}, err
		}
		err := r.read(ctx, key, t)
		if errors.Is(err, errAsk) {
			return r.ask(ctx, c, address, after)
		}
		if err != nil {
			return sighting{}, err
		}
	}
	if s, ok := r.cached(address, after); ok {
		return s, nil
	}
	return sighting{}, errNoControl
}

// measure learns how long the member list is, once, if that is not known.
func (r *roster) measure(ctx context.Context, c *amplitude.Client) error {
	known := func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.size >= 0
	}
	if known() {
		return nil
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if known() {
		return nil
	}
	page, err := c.MembersPage(ctx, 1)
	if err != nil {
		return err
	}
	r.learn(page)
	return nil
}

// cached answers from what is known already, if it was read after a time, and
// after this process removed the seat where the answer is to show that.
func (r *roster) cached(address string, after time.Time) (sighting, bool) {
	if s, ok := r.answered(address, after); ok {
		return s, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := offboard.Fold(address)
	if r.last == nil || !r.good(key, after, r.last.started, r.last.tick) {
		return sighting{}, false
	}
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
		At: r.last.started, How: fromList, Control: fmt.Sprintf("%d other members were in the same complete list", others),
	}, true
}

// answered is cached for what was asked directly, which no list replaces.
func (r *roster) answered(address string, after time.Time) (sighting, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := offboard.Fold(address)
	s, ok := r.told[key]
	return s, ok && r.good(key, after, s.At, s.tick)
}

// good reports whether what was read at a time answers a question about what
// is after another. The caller holds the lock.
func (r *roster) good(key string, after, at time.Time, tick int) bool {
	if at.Before(after) || at.After(r.now()) { // the clock was set back: nobody knows how old it is
		return false
	}
	g, removed := r.gone[key]
	return !removed || g.tick < tick || after.Before(g.at)
}

// removed tells that this process had a seat removed: what was read before
// does not show it.
func (r *roster) removed(address string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tick++
	r.gone[offboard.Fold(address)] = absent{at: r.now(), tick: r.tick}
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
