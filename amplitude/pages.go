package amplitude

import (
	"context"
	"fmt"
	"hash/maphash"
	"iter"
)

// page is what one request of a SCIM list brought.
type page[T any] struct {
	items []T
	total int // what the list announces, over all pages
}

// walker reads a SCIM list from its beginning, 100 entries at a time, one
// request per call of next, and hands out each distinct entry once. A request
// that fails leaves it where it stood.
//
// The list can change while it is read. Entries that leave it move the others
// forward, past the place where the next page begins; so when the total falls,
// the walker reaches back by as much, and lets the following pages overlap
// while the list keeps shrinking. This holds for a list in a stable order, and
// one that stands still costs one request per page.
//
// One without a stable order shows some entries twice and others never, which
// its length gives away. It is read again, keeping what was seen, until one
// reading shows as many entries as the list announces, or all of them together
// show everybody it ever announced. A list that comes twice in the same order
// holds no more, and is not read a third time.
// It ends with ErrShortList or ErrListMoved where entries may be missing.
type walker[T any] struct {
	op    string
	key   func(T) string
	fetch func(ctx context.Context, start int) (page[T], error)

	seen     map[string]int // keys of what was handed out, and the last reading that showed each
	requests int            // that were answered
	size     int            // entries of the largest page
	// Positions 1 to covered of the list have been seen, as far as is known.
	start, covered, overlap, total int
	ever                           int // entries announced so far: those that left count on

	reading int          // counts from 1
	here    int          // distinct entries that this reading showed
	order   maphash.Hash // of this reading's entries, as they came
	before  uint64       // the same of the reading before

	moved bool
	ended bool
	end   error // why it ended early; nil: it is complete
}

// readings is how often a list without order is read at most, about: as often
// as shows all of a thousand entries that come in another order each time.
const readings = 8

func newWalker[T any](op string, key func(T) string, fetch func(ctx context.Context, start int) (page[T], error)) *walker[T] {
	return &walker[T]{op: op, key: key, fetch: fetch, seen: map[string]int{}, start: 1, total: -1, reading: 1}
}

// next sends one request and returns the entries not seen before. Behind the
// end it sends nothing and repeats how it ended.
func (w *walker[T]) next(ctx context.Context) (fresh []T, done bool, err error) {
	if w.ended {
		return nil, true, w.end
	}
	p, err := w.fetch(ctx, w.start)
	if err != nil {
		return nil, false, err
	}
	w.requests++
	w.size = max(w.size, len(p.items))
	for _, item := range p.items {
		k := w.key(item)
		_, _ = w.order.WriteString(k + " ")
		last, again := w.seen[k]
		if last != w.reading {
			w.seen[k] = w.reading
			w.here++
		}
		if !again {
			fresh = append(fresh, item)
		}
	}
	fell := 0
	switch {
	case w.total < 0:
		w.ever = p.total
	case p.total != w.total:
		w.moved = true
		w.ever += max(0, p.total-w.total)
		fell = max(0, w.total-p.total)
	}
	w.total = p.total
	w.covered = max(0, w.covered-fell)
	if fell > 0 {
		w.overlap = max(w.overlap, 2*fell)
	} else {
		w.overlap /= 2
	}
	w.overlap = min(w.overlap, len(p.items)/2)
	gap := w.start > w.covered+1
	if !gap {
		w.covered = max(w.covered, w.start-1+len(p.items))
	}
	switch {
	case w.reading > 1 && len(w.seen) >= w.ever:
		w.ended = true
	case w.covered >= w.total || len(p.items) == 0 && !gap:
		w.again()
	case w.requests > readings*(w.total/max(w.size, 1)+1)+20 || w.requests > maxPages:
		w.ended, w.end = true, w.missing()
	default:
		w.start = max(1, w.covered+1-w.overlap)
	}
	return fresh, w.ended, w.end
}

// again ends the walk with the list, or begins another reading of it.
func (w *walker[T]) again() {
	order := w.order.Sum64()
	switch {
	case w.here >= w.total:
		w.ended = true
	case w.reading > 1 && order == w.before:
		w.ended, w.end = true, w.missing()
	default:
		w.reading, w.here, w.before = w.reading+1, 0, order
		w.start, w.covered, w.overlap = 1, 0, 0
		w.order.Reset()
	}
}

// missing says why entries may be missing.
func (w *walker[T]) missing() error {
	because := ErrShortList
	if w.moved {
		because = ErrListMoved
	}
	return fmt.Errorf("amplitude %s: %s, read %d times: %w", apiSCIM, w.op, w.reading, because)
}

// all yields what is left of the list. After an error nothing follows.
func (w *walker[T]) all(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			fresh, done, err := w.next(ctx)
			for _, item := range fresh {
				if !yield(item, nil) {
					return
				}
			}
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			if done {
				return
			}
		}
	}
}

// collect gathers a sequence; on an error it returns what came before as well.
func collect[T any](seq iter.Seq2[T, error]) ([]T, error) {
	var out []T
	for item, err := range seq {
		if err != nil {
			return out, err
		}
		out = append(out, item)
	}
	return out, nil
}

// follow reads a list that is paged by cursors. A cursor that comes twice ends
// it with an error, because it would never end otherwise.
func follow[T any](r *request, fetch func(cursor string) (items []T, next string, err error)) ([]T, error) {
	var out []T
	seen := map[string]struct{}{}
	for cursor := ""; ; {
		items, next, err := fetch(cursor)
		if err != nil {
			return nil, err
		}
		out = append(out, items...)
		if next == "" {
			return out, nil
		}
		if _, again := seen[next]; again || len(seen) >= maxPages {
			return nil, r.wrong(200, "the list does not end", false)
		}
		seen[next] = struct{}{}
		cursor = next
	}
}
