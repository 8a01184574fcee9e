package runner

import (
	"errors"
	"fmt"
	"time"
)

const (
	// small is up to how many members reading the whole list costs about as
	// much as asking for one address.
	small = 300
	// pace is how much time a reading of the list is given per request: while
	// many wait, one follows the other so slowly that this is what they take of
	// the budget on average.
	pace = 25 * time.Second
	// longest is how long a look waits at most for a reading to begin, and how
	// long a list is not believed.
	longest = time.Hour
	// shortest is how long a list is not believed at least.
	shortest = 5 * time.Minute
	// perRequest is what one request of a reading takes where nothing else is
	// known: the 40 requests a minute of the default rate that are not kept for incidents.
	perRequest = 1500 * time.Millisecond
)

// traffic is what decides how a look at one address is answered.
type traffic struct {
	now    time.Time
	size   int       // members of the organization
	cost   int       // requests of a whole reading, groups included
	shared bool      // the look may wait for others
	asked  int       // looks that may share a reading: within patience, or still waiting
	going  bool      // a reading is under way: what it has cost is not to be lost
	begun  time.Time // when the newest reading began; zero: there was none
	doubt  time.Time // until when the list is not believed
}

// way is how a look is answered.
type way int

const (
	askDirectly way = iota
	readNow
	readLater
)

// patience is how far apart readings begin while many wait for them.
func (t traffic) patience() time.Duration { return min(time.Duration(t.cost)*pace, longest) }

// decide says how, and for readLater when. Few looks at a large organization
// are asked directly, a request each and now and then one for the groups.
// Where as many come within patience that this would cost a good part of a
// reading, they wait for one: it serves first looks of some and later looks of
// others.
func (t traffic) decide() (way, time.Time) {
	switch {
	case t.now.Before(t.doubt) && t.doubt.Sub(t.now) <= longest: // beyond that the clock was set back
		return askDirectly, t.now
	case t.size <= small:
		return readNow, t.now
	case !t.shared || !t.going && 4*t.asked < t.cost:
		return askDirectly, t.now
	case t.begun.IsZero() || t.begun.After(t.now) || !t.now.Before(t.begun.Add(t.patience())):
		return readNow, t.now
	}
	return readLater, t.begun.Add(t.patience())
}

// errAsk means that an address is to be asked for directly.
var errAsk = errors.New("ask directly")

// traffic notes a look that may wait, known by its key, and counts those like it.
func (r *roster) traffic(key string) traffic {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := traffic{shared: true}
	now := r.now()
	if _, again := r.asks[key]; !again {
		r.asks[key] = asked{first: now}
	}
	patience := r.situation(t).patience()
	for k, a := range r.asks {
		age := now.Sub(a.first)
		switch {
		case age < 0 || age > 2*longest: // the clock was set back, or the case ended otherwise
			delete(r.asks, k)
		case age <= patience || !a.answered:
			t.asked++
		default:
			delete(r.asks, k)
		}
	}
	return t
}

// situation completes t with what is known of the organization now. The caller
// holds the lock.
func (r *roster) situation(t traffic) traffic {
	t.now, t.size, t.going, t.begun, t.doubt = r.now(), r.size, r.underway() != nil, r.begun, r.doubt
	t.cost = (max(r.size, 1)+99)/100 + r.blocks
	if r.last != nil { // a list without order was read several times
		t.cost = max(t.cost, r.last.pages)
	}
	return t
}

// begins tells a look when to come for a reading that begins later: the first
// one in time to begin it, the others when it will be over. The caller holds
// the lock.
func (r *roster) begins(key string, begin time.Time, t traffic) *laterError {
	over := begin.Add(time.Duration(t.cost) * perRequest)
	e := &laterError{until: over, note: "the member list is read for everybody who waits " + clock(begin)}
	if r.starter == "" || r.starter == key {
		r.starter, e.until = key, begin
	}
	return e
}

// ends tells a look when the reading under way will be over. The caller holds
// the lock.
func (r *roster) ends(s *sweep) *laterError {
	now := r.now()
	each := perRequest
	if s.pages > 2 && now.After(s.started) {
		each = now.Sub(s.started) / time.Duration(s.pages)
	}
	left := max((max(r.size, 1)+99)/100+r.blocks-s.pages, 1)
	until := now.Add(min(max(time.Duration(left)*each, 2*time.Second), 5*time.Minute))
	if r.rest.After(now) && r.rest.Sub(now) < longest {
		until = r.rest.Add(time.Second)
	}
	return &laterError{until: until, note: fmt.Sprintf("the member list is being read for everybody who waits, %d of about %d requests are done",
		s.pages, s.pages+left)}
}

func clock(t time.Time) string { return "at " + t.UTC().Format("15:04:05 MST") }
