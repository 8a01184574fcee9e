package amplitude

import (
	"context"
	"fmt"
	"iter"
)

// page is what one request of a SCIM list brought.
type page[T any] struct {
	items []T
	total int // what the list announces, over all pages
}

// walk reads a SCIM list from its beginning, 100 entries at a time, and yields
// each distinct entry once.
//
// The list can change while it is read. Entries that leave it move the others
// forward, past the place where the next page begins; so when the total falls,
// walk reaches back by as much, and lets the following pages overlap while the
// list keeps shrinking. This holds for a list in a stable order; one without
// shows some entries twice and others never, which its length gives away. A
// list that stands still costs one request per page.
// It ends with ErrShortList or ErrListMoved where entries may be missing.
func walk[T any](ctx context.Context, op string, key func(T) string, fetch func(ctx context.Context, start int) (page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		seen := map[string]struct{}{}
		// Positions 1 to covered of the list have been seen, as far as is known.
		start, covered, overlap, total, moved := 1, 0, 0, -1, false
		for requests := 1; ; requests++ {
			p, err := fetch(ctx, start)
			if err != nil {
				yield(none, err)
				return
			}
			for _, item := range p.items {
				k := key(item)
				if _, again := seen[k]; again {
					continue
				}
				seen[k] = struct{}{}
				if !yield(item, nil) {
					return
				}
			}
			fell := 0
			if total >= 0 && p.total != total {
				moved = true
				fell = max(0, total-p.total)
			}
			total = p.total
			covered = max(0, covered-fell)
			if fell > 0 {
				overlap = max(overlap, 2*fell)
			} else {
				overlap /= 2
			}
			overlap = min(overlap, len(p.items)/2)
			gap := start > covered+1
			if !gap {
				covered = max(covered, start-1+len(p.items))
			}
			if covered >= total || len(p.items) == 0 && !gap {
				break
			}
			if requests > 4*(total/scimPageSize+1)+20 || requests > maxPages {
				yield(none, fmt.Errorf("amplitude %s: %s: %w", apiSCIM, op, ErrListMoved))
				return
			}
			start = max(1, covered+1-overlap)
		}
		switch {
		case len(seen) >= total:
		case moved:
			yield(none, fmt.Errorf("amplitude %s: %s: %w", apiSCIM, op, ErrListMoved))
		default:
			yield(none, fmt.Errorf("amplitude %s: %s: %w", apiSCIM, op, ErrShortList))
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
