package amplitude

import "context"

// Census is one complete reading of the member list that may rest between two
// requests, and goes on after an error where it stood. It keeps the addresses
// seen and no members. One goroutine at a time may use it.
type Census struct {
	walk *walker[Member]
}

// Census begins a reading of the member list and sends nothing. Its requests
// count against the client's share; see WithShare.
func (c *Client) Census() *Census {
	const op = "list members"
	return &Census{walk: newWalker(op, memberKey, func(ctx context.Context, start int) (page[Member], error) {
		return c.members(ctx, c.scimList(op, "/Users", start, nil))
	})}
}

// Progress is how far a census has come. With the addresses seen it is what
// another process needs to go on with it.
type Progress struct {
	Next  int // position of the list that is read next; 0: nothing to go on with
	Total int // announced last
	Ever  int // announced in all: members who left meanwhile count on
}

// Progress tells how far the census has come. It is zero before the first
// request, and where the list has no stable order, so that a position says
// nothing: then only a new census can be begun.
func (s *Census) Progress() Progress {
	w := s.walk
	if w.requests == 0 || w.reading > 1 {
		return Progress{}
	}
	return Progress{Next: w.covered + 1, Total: w.total, Ever: w.ever}
}

// ResumeCensus goes on with a census that another process left. seen are the
// addresses that it returned; none of them is returned again. One page before
// the place where it stood is read once more, since the list may have changed.
func (c *Client) ResumeCensus(at Progress, seen []string) *Census {
	s := c.Census()
	w := s.walk
	w.total, w.ever, w.covered, w.here = at.Total, at.Ever, max(at.Next-1, 0), len(seen)
	w.start = max(1, w.covered+1-scimPageSize)
	for _, address := range seen {
		w.seen[lowerASCII(address)] = w.reading
	}
	return s
}

// Next sends one request and returns the members that were not seen before,
// possibly none. done says that nothing more will come: with a nil error the
// list is complete; with ErrShortList or ErrListMoved members may be missing,
// and only a new census can tell. Any other error, a *BudgetError too, is not
// done: the same request is sent at the next call. A call after the end sends
// nothing and repeats how it ended.
//
// The list may change while it is read, and more so while the census rests.
// One in another order each time is read several times. Somebody who was a
// member from its beginning to its end is in it, but for a list whose length
// hides that one left while another came: an absence from one list alone is a
// reason to ask, not a proof.
func (s *Census) Next(ctx context.Context) (page []Member, done bool, err error) {
	return s.walk.next(ctx)
}

// Total is how many members the list announced in its last answer, 0 before
// the first one.
func (s *Census) Total() int { return max(s.walk.total, 0) }

// Seen is how many distinct members were returned so far.
func (s *Census) Seen() int { return len(s.walk.seen) }

// Pages is how many requests were answered so far.
func (s *Census) Pages() int { return s.walk.requests }
