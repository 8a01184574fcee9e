package runner

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// controlAge is how old a positive control may be where another way agrees with
// the absence that it supports.
const controlAge = time.Minute

// asking is somebody who asks directly.
type asking struct {
	question
	client *amplitude.Client
	anew   bool          // what was answered before does not do
	done   chan struct{} // closed with the answer
	seen   sighting
	err    error
}

// ask asks directly. Who comes while others are asked for waits and is asked for
// with the next, so that one control, read after all their absences, and one
// reading of the groups stand for all of them. What was answered is kept for a
// while.
func (r *roster) ask(ctx context.Context, c *amplitude.Client, q question) (sighting, error) {
	w := &asking{question: q, client: c, done: make(chan struct{})}
	r.mu.Lock()
	r.queue = append(r.queue, w)
	r.mu.Unlock()
	select {
	case <-w.done:
		return w.seen, w.err
	case <-ctx.Done():
	case r.turn <- struct{}{}:
		r.mu.Lock()
		batch := r.queue
		r.queue = nil
		r.mu.Unlock()
		if r.reached.over(r.now()) {
			r.reached = newGrouping(c, newRollBuilder())
		}
		left := r.together(ctx, &r.reached, batch)
		r.mu.Lock()
		r.queue = append(left, r.queue...) // this attempt is stopped; they have a turn of their own
		r.mu.Unlock()
		<-r.turn
	}
	r.mu.Lock()
	r.queue = slices.DeleteFunc(r.queue, func(o *asking) bool { return o == w })
	r.mu.Unlock()
	select {
	case <-w.done:
		return w.seen, w.err
	default:
		return sighting{}, context.Cause(ctx)
	}
}

// alone is ask for what waits for nobody.
func (r *roster) alone(ctx context.Context, c *amplitude.Client, q question) (sighting, error) {
	w := &asking{question: q, client: c, anew: true, done: make(chan struct{})}
	g := newGrouping(c, newRollBuilder())
	if left := r.together(ctx, &g, []*asking{w}); len(left) > 0 {
		return sighting{}, context.Cause(ctx)
	}
	return w.seen, w.err
}

// together asks for some addresses, then for a known member where any is
// absent, and for the groups. It returns whom it could not ask because ctx ended.
func (r *roster) together(ctx context.Context, g **grouping, batch []*asking) (left []*asking) {
	var absent *asking // the last one
	var open []*asking
	for _, w := range batch {
		if s, ok := r.answered(w.question); ok && !w.anew { // somebody asked while they waited
			w.answer(s, nil)
			continue
		}
		if err := r.byID(ctx, w); err != nil {
			w.err = err
		} else if !w.seen.Present {
			absent = w
		}
		open = append(open, w)
	}
	var control string
	var failed error
	if absent != nil {
		control, failed = r.prove(ctx, absent.client, absent.address, absent.seen.At)
	}
	for _, w := range open {
		if w.err == nil && !w.seen.Present {
			w.seen.Control, w.err = control, failed
		}
		if w.err == nil {
			w.err = r.addGroups(ctx, g, w)
		}
		if w.err != nil && ctx.Err() != nil {
			w.err = nil
			left = append(left, w)
			continue
		}
		if w.err == nil {
			r.tell(w.seen)
		}
		w.answer(w.seen, w.err)
	}
	return left
}

func (w *asking) answer(s sighting, err error) {
	w.seen, w.err = s, err
	close(w.done)
}

// tell keeps an answer for those who ask again soon.
func (r *roster) tell(s sighting) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, old := range r.told {
		if age := r.now().Sub(old.At); age > recent || age < 0 {
			delete(r.told, key)
		}
	}
	r.told[offboard.Fold(s.Address)] = s
}

// byID asks for one address.
func (r *roster) byID(ctx context.Context, w *asking) error {
	w.seen = sighting{Address: w.address, At: r.now(), How: byAsking}
	m, err := w.client.Member(ctx, w.address)
	if notFound(err) {
		return nil
	}
	if err == nil {
		w.seen.Present, w.seen.Pending, w.seen.Name, w.seen.Control = true, m.Pending(), name(m), "the member itself"
		r.controlled(w.seen.At)
	}
	return err
}

// second asks for an address in another way, the list narrowed to it by a
// filter: what one way does not find may be that way's fault. asked is false
// where Amplitude does not take the filter.
func (r *roster) second(ctx context.Context, c *amplitude.Client, s sighting) (_ sighting, asked bool, err error) {
	r.mu.Lock()
	unfiltered := r.unfiltered
	r.mu.Unlock()
	if unfiltered {
		return s, false, nil
	}
	at := r.now()
	found, err := c.FindMembers(ctx, s.Address)
	if e, ok := errors.AsType[*amplitude.Error](err); ok && !e.Temporary() && (e.Status == http.StatusBadRequest || e.Status == http.StatusOK) {
		r.mu.Lock()
		r.unfiltered = true
		r.mu.Unlock()
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	if len(found) == 0 {
		s.Control += "; the member list, asked for this address alone, has nobody either"
		return s, true, nil
	}
	m := found[0]
	s.Present, s.Pending, s.Name, s.At, s.How = true, m.Pending(), name(m), at, byFilter
	s.Control = "the member itself, in the list; asked for directly, Amplitude does not know them"
	return s, true, nil
}

// grouping is one reading of the groups. It goes on where it stood.
type grouping struct {
	began    time.Time // zero: nothing was read
	census   *amplitude.GroupCensus
	into     *rollBuilder
	pages    int
	complete bool
}

func newGrouping(c *amplitude.Client, into *rollBuilder) *grouping {
	return &grouping{census: c.GroupCensus(), into: into}
}

// over reports whether nobody goes on with it: there is none, or it is too old to
// say anything.
func (g *grouping) over(now time.Time) bool {
	return g == nil || !g.began.IsZero() && (now.Before(g.began) || now.Sub(g.began) > recent)
}

// next reads one page.
func (g *grouping) next(ctx context.Context) error {
	page, done, err := g.census.Next(ctx)
	for _, one := range page {
		g.into.group(one)
	}
	if err != nil {
		return err
	}
	g.pages++
	g.complete = done
	return nil
}

// addGroups adds the groups of an address, as somebody read them lately, or as
// they are read now. A reading that was begun for others is brought to its end
// first: were it thrown away, a tight budget would never let one end. The older
// of both, groups and seat, is what the sighting is worth.
func (r *roster) addGroups(ctx context.Context, g **grouping, w *asking) error {
	r.mu.Lock()
	last := r.groups
	r.mu.Unlock()
	for range 2 {
		if last != nil && r.fresh(w.question, last.began) {
			break
		}
		if (*g).began.IsZero() {
			(*g).began = r.now()
		}
		for !(*g).complete {
			if err := (*g).next(ctx); err != nil {
				return err
			}
		}
		if err := r.someGroup(ctx, w.client, (*g).into); err != nil {
			*g = newGrouping(w.client, newRollBuilder())
			return err
		}
		last = (*g).into.roll(0, (*g).began)
		*g = newGrouping(w.client, newRollBuilder())
		r.mu.Lock()
		r.groups = last
		r.mu.Unlock()
	}
	if last.began.Before(w.seen.At) {
		w.seen.At = last.began
	}
	w.seen.Groups = last.in(last.find(w.address))
	return nil
}

// someGroup doubts a list without any group: where there were some at the last
// comparison, a few are asked for directly.
func (r *roster) someGroup(ctx context.Context, c *amplitude.Client, into *rollBuilder) error {
	if len(into.groups) > 0 {
		return nil
	}
	known, err := r.record.KnownGroups(ctx, r.organization, 3)
	if err != nil {
		return err
	}
	for _, id := range known {
		if _, err := c.Group(ctx, id); err == nil {
			return &groupsError{id: id}
		} else if !notFound(err) {
			return err
		}
	}
	return nil
}

// prove is the positive control: a known member, other than the one who is
// absent, answered by the same client, not before since.
func (r *roster) prove(ctx context.Context, c *amplitude.Client, absent string, since time.Time) (string, error) {
	const words = "another member was answered directly by the same client"
	fresh := func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return !r.control.IsZero() && !r.control.Before(since) && !r.control.After(r.now())
	}
	if fresh() {
		return words, nil
	}
	known, err := r.candidates(ctx, absent)
	if err == nil && len(known) == 0 {
		if err = r.learn(ctx, c); err == nil {
			known, err = r.candidates(ctx, absent)
		}
	}
	if err != nil {
		return "", err
	}
	for _, k := range known[:min(len(known), 4)] {
		at := r.now()
		_, err := c.Member(ctx, k)
		if notFound(err) {
			continue // may have been removed since
		}
		if err != nil {
			return "", err
		}
		r.controlled(at)
		return words, nil
	}
	r.mu.Lock()
	r.known = nil // look for other ones next time
	r.mu.Unlock()
	return "", errNoControl
}

// controlled notes that a member was asked for directly, and answered.
func (r *roster) controlled(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at.After(r.control) || r.control.After(r.now()) {
		r.control = at
	}
}

// candidates are known members, other than one, whom no case is removing.
func (r *roster) candidates(ctx context.Context, other string) ([]string, error) {
	r.mu.Lock()
	known := slices.Clone(r.known)
	r.mu.Unlock()
	leaving, err := r.record.Removed(ctx, known, time.Time{})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(known, func(k string) bool {
		key := offboard.Fold(k)
		return leaving[key] || key == offboard.Fold(other)
	}), nil
}
