package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	How     string    `json:"how"`     // list, direct or filter
	Control string    `json:"control"` // the positive control, in words

	hidden bool // from a list: neither it nor one before it ever showed the seat
}

// How a sighting came about.
const (
	fromList = "list"
	byAsking = "direct"
	byFilter = "filter" // the list, asked for this address alone
)

type group struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// clear reports whether nothing of the seat is left.
func (s sighting) clear() bool { return !s.Present && len(s.Groups) == 0 }

// question asks about one address.
type question struct {
	address string
	after   time.Time // what was read before says nothing
	beyond  int64     // nor does a reading up to this number: it began before the removal
}

// errNoControl means that an absence proves nothing: no known member was
// answered by the same client.
var errNoControl = errors.New("no positive control: Amplitude answered for no known member either, so an absence proves nothing; check its SCIM key and endpoint")

// groupsError means that a list of groups leaves out what Amplitude knows, so that
// nobody's being in none of them is taken from it.
type groupsError struct{ id string }

func (e *groupsError) Error() string {
	return "Amplitude lists no group, and when asked about group " + e.id + " knows it: who is in which group cannot be told; it will be tried again"
}

// Temporary is true: the list may be whole the next time.
func (e *groupsError) Temporary() bool { return true }

// laterError says that an address will be answered by a reading of the member
// list that others share, and when to ask again.
type laterError struct {
	until time.Time
	note  string
}

func (e *laterError) Error() string { return e.note }

// Readings is what all processes share of reading member lists.
type Readings interface {
	Reading(ctx context.Context, organization string) (offboard.Reading, error)
	ChangeReading(ctx context.Context, organization string, change func(r *offboard.Reading, now time.Time)) (offboard.Reading, error)
	AskReading(ctx context.Context, organization, look string, answer func(r *offboard.Reading, asked int, now time.Time) time.Time) (offboard.Reading, error)
	EndReading(ctx context.Context, organization, reader string, number int64, packed []byte, change func(r *offboard.Reading)) (mine bool, err error)
	MemberList(ctx context.Context, organization string) (number int64, began time.Time, packed []byte, err error)
	Removed(ctx context.Context, addresses []string, since time.Time) (map[string]bool, error)
	KnownGroups(ctx context.Context, organization string, n int) ([]string, error)
	LikelySeats(ctx context.Context, organization, address, name string) ([]string, error)
}

// roster answers who is in one organization: from one reading of the member
// list that many cases share where that costs less, directly where it does not.
// offboard.Reading says when which, for all processes together; one of them
// reads, and its list answers the looks of all. The newest list that counts
// stays in the record, because the next one is judged by it.
//
// It is safe for concurrent use.
type roster struct {
	organization string
	client       *amplitude.Client
	record       Readings
	now          func() time.Time
	id           string // of this process, as a reader

	turn    chan struct{} // held by whoever asks directly
	reading chan struct{} // held by whoever reads the list
	loading chan struct{} // held by whoever fetches it from the record

	running *sweep // the reading of this process; behind reading
	ended   int64  // the newest reading of this process that ended; behind reading
	reached *grouping

	mu         sync.Mutex
	newest     *roll // of the record, as far as this process has fetched it
	queue      []*asking
	told       map[string]sighting
	groups     *roll // of the last reading of groups alone
	known      []string
	control    time.Time // when a member was asked for directly, and answered
	unfiltered bool      // Amplitude does not take the filter
}

func newRoster(name string, c *amplitude.Client, record Readings, now func() time.Time) *roster {
	return &roster{
		organization: name, client: c, record: record, now: now, id: newSecret(),
		turn: make(chan struct{}, 1), reading: make(chan struct{}, 1), loading: make(chan struct{}, 1), told: map[string]sighting{},
	}
}

// look tells whether an address has a seat or is in a group. It waits for
// nobody: it is for what cannot wait, and for what is rarely asked. What an
// incident asks is never answered by a new reading.
func (r *roster) look(ctx context.Context, share amplitude.Share, q question) (sighting, error) {
	return r.shared(ctx, share, "", q)
}

// shared is look for many addresses that may wait for each other: where that
// costs less, it is a *laterError until the list has been read. name is the
// look's: one that is repeated counts once.
func (r *roster) shared(ctx context.Context, share amplitude.Share, name string, q question) (sighting, error) {
	c := r.client.WithShare(share)
	for range 3 {
		if s, ok, err := r.cached(ctx, q); err != nil || ok {
			return s, err
		}
		if urgent(string(share)) { // it does not wait for the share that reads lists
			return r.alone(ctx, c, q)
		}
		if err := r.measure(ctx, c); err != nil {
			return sighting{}, err
		}
		st, way, err := r.way(ctx, name)
		if err != nil {
			return sighting{}, err
		}
		if way == offboard.AskDirectly {
			return r.ask(ctx, c, q)
		}
		if err := r.read(ctx, st, name != ""); err != nil {
			return sighting{}, err
		}
	}
	return sighting{}, errNoControl
}

// way says how a look is answered; a *laterError where it has to wait.
func (r *roster) way(ctx context.Context, name string) (st offboard.Reading, way offboard.Way, err error) {
	var until time.Time
	var note string
	answer := func(st *offboard.Reading, asked int, now time.Time) time.Time {
		way, until, note = st.Answer(name, r.id, asked, now)
		return until
	}
	if name != "" {
		st, err = r.record.AskReading(ctx, r.organization, name, answer)
	} else if st, err = r.record.Reading(ctx, r.organization); err == nil && st.Small() {
		st, err = r.record.ChangeReading(ctx, r.organization, func(st *offboard.Reading, now time.Time) { answer(st, 1, now) })
	}
	if err == nil && way == offboard.AwaitList {
		err = &laterError{until: until, note: note}
	}
	return st, way, err
}

// measure learns how long the member list is, once, if that is not known.
func (r *roster) measure(ctx context.Context, c *amplitude.Client) error {
	unknown := func() (bool, error) {
		st, err := r.record.Reading(ctx, r.organization)
		return st.Size < 0, err
	}
	if ask, err := unknown(); err != nil || !ask {
		return err
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if ask, err := unknown(); err != nil || !ask {
		return err
	}
	return r.learn(ctx, c)
}

// learn reads the first page of the list: how long it is, and who is on it.
func (r *roster) learn(ctx context.Context, c *amplitude.Client) error {
	page, err := c.MembersPage(ctx, 1)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.known = r.known[:0:0]
	for _, m := range page.Members {
		r.known = append(r.known, m.Email)
	}
	r.mu.Unlock()
	_, err = r.record.ChangeReading(ctx, r.organization, func(st *offboard.Reading, _ time.Time) { st.Size = page.Total })
	return err
}

// cached answers from what is known already.
func (r *roster) cached(ctx context.Context, q question) (sighting, bool, error) {
	if s, ok := r.answered(q); ok {
		return s, true, nil
	}
	st, err := r.record.Reading(ctx, r.organization)
	if err != nil || st.List <= q.beyond || !r.fresh(q, st.ListBegan) {
		return sighting{}, false, err
	}
	l, err := r.list(ctx)
	if err != nil || l == nil || l.number <= q.beyond || !r.fresh(q, l.began) {
		return sighting{}, false, err
	}
	e := l.find(q.address)
	others := l.members
	if e.member {
		others--
	}
	return sighting{
		Address: q.address, Present: e.member, Pending: e.pending, Name: e.name, Groups: l.in(e),
		At: l.began, How: fromList, hidden: !e.member && e.shown.IsZero(), Control: fmt.Sprintf("%d other members were in the same complete list", others),
	}, true, nil
}

// fresh reports whether what was read at a time answers a question. The record
// keeps milliseconds.
func (r *roster) fresh(q question, at time.Time) bool {
	return !at.Before(q.after.Truncate(time.Millisecond)) && !at.After(r.now()) // the clock was set back: nobody knows how old it is
}

// answered is cached for what was asked directly, which no list replaces.
func (r *roster) answered(q question) (sighting, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.told[offboard.Fold(q.address)]
	return s, ok && r.fresh(q, s.At)
}

// list is the newest list that counts, of whichever process; nil: there is none.
func (r *roster) list(ctx context.Context) (*roll, error) {
	have := func() *roll {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.newest
	}
	st, err := r.record.Reading(ctx, r.organization)
	if err != nil || st.List == 0 {
		return nil, err
	}
	if l := have(); l != nil && l.number >= st.List {
		return l, nil
	}
	select {
	case r.loading <- struct{}{}:
		defer func() { <-r.loading }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if l := have(); l != nil && l.number >= st.List {
		return l, nil
	}
	number, began, packed, err := r.record.MemberList(ctx, r.organization)
	if err != nil {
		return nil, err
	}
	l, err := unpack(number, began, packed)
	if err != nil {
		return nil, err
	}
	r.keep(l)
	return l, nil
}

// keep remembers a list.
func (r *roster) keep(l *roll) {
	some := l.some(100)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.newest == nil || r.newest.number < l.number {
		r.newest, r.known = l, some
	}
}

// removed tells that this process had a seat removed: what it was told before
// does not show that.
func (r *roster) removed(address string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.told, offboard.Fold(address))
}

// newestBegun is the newest reading that began. Once a seat was removed, a list
// up to it may show the seat still.
func (r *roster) newestBegun(ctx context.Context) (int64, error) {
	st, err := r.record.Reading(ctx, r.organization)
	return st.Number, err
}

// likelyAge is how old a list may be that tells of other seats.
const likelyAge = 24 * time.Hour

// likely lists other members who may be the same human: the same address but
// for a plus part, or the same name. The last comparison with Amplitude knows
// them, and the newest list.
func (r *roster) likely(ctx context.Context, address, person string) ([]string, error) {
	out, err := r.record.LikelySeats(ctx, r.organization, address, person)
	if err != nil {
		return nil, err
	}
	l, err := r.list(ctx)
	if err != nil || l == nil || r.now().Sub(l.began) > likelyAge {
		return out, err
	}
	base, key, person := offboard.Plain(address), offboard.Fold(address), strings.TrimSpace(person)
	local, _, _ := strings.Cut(base, "@")
	for e := range l.all() {
		sameName := person != "" && strings.EqualFold(e.name, person)
		if e.member && e.key != key && (sameName || strings.HasPrefix(e.key, local) && offboard.Plain(e.key) == base) {
			out = append(out, e.key)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// namesakes counts the other members with a display name, as the newest list
// shows them; known is false where there is none, or it cannot be read.
func (r *roster) namesakes(ctx context.Context, address, person string) (n int, known bool) {
	l, err := r.list(ctx)
	if err != nil || l == nil {
		return 0, false
	}
	key, person := offboard.Fold(address), strings.TrimSpace(person)
	for e := range l.all() {
		if e.member && e.key != key && strings.EqualFold(e.name, person) {
			n++
		}
	}
	return n, true
}

func name(m amplitude.Member) string { return strings.TrimSpace(m.GivenName + " " + m.FamilyName) }

func notFound(err error) bool {
	e, ok := errors.AsType[*amplitude.Error](err)
	return ok && e.NotFound()
}
