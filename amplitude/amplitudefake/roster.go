package amplitudefake

import "iter"

// roster keeps distinct values in the order they came in, and answers "the
// k-th of those still here" in logarithmic time, so that paging through and
// removing from a list of 100,000 costs no pass over it.
//
// The zero value is not ready; use newRoster.
type roster[T comparable] struct {
	items []T
	live  []bool
	seqs  []int64 // increasing, never reused: a cursor survives removals
	tree  []int   // Fenwick tree over live, 1-based
	pos   map[T]int
	next  int64
}

func newRoster[T comparable]() *roster[T] {
	return &roster[T]{pos: map[T]int{}, tree: []int{0}}
}

func (r *roster[T]) len() int { return len(r.pos) }

func (r *roster[T]) has(v T) bool {
	_, ok := r.pos[v]
	return ok
}

// add appends v and reports whether it was new.
func (r *roster[T]) add(v T) bool {
	if r.has(v) {
		return false
	}
	r.next++
	r.push(v, r.next)
	return true
}

func (r *roster[T]) push(v T, seq int64) {
	r.items = append(r.items, v)
	r.live = append(r.live, true)
	r.seqs = append(r.seqs, seq)
	i := len(r.items)
	r.tree = append(r.tree, 1+r.prefix(i-1)-r.prefix(i-i&-i))
	r.pos[v] = i - 1
}

// prefix counts the live values among the first i.
func (r *roster[T]) prefix(i int) int {
	n := 0
	for ; i > 0; i -= i & -i {
		n += r.tree[i]
	}
	return n
}

// remove takes v out and reports whether it was there.
func (r *roster[T]) remove(v T) bool {
	at, ok := r.pos[v]
	if !ok {
		return false
	}
	delete(r.pos, v)
	var zero T
	r.items[at], r.live[at] = zero, false
	for i := at + 1; i < len(r.tree); i += i & -i {
		r.tree[i]--
	}
	if len(r.items) > 64 && len(r.pos) < len(r.items)/2 {
		r.compact()
	}
	return true
}

func (r *roster[T]) compact() {
	items, live, seqs := r.items, r.live, r.seqs
	r.items, r.live, r.seqs = nil, nil, nil
	r.tree, r.pos = []int{0}, make(map[T]int, len(r.pos))
	for i, v := range items {
		if live[i] {
			r.push(v, seqs[i])
		}
	}
}

// index is the position of the k-th live value, k from 0; k must be below len.
func (r *roster[T]) index(k int) int {
	top := 1
	for top*2 < len(r.tree) {
		top *= 2
	}
	at, want := 0, k
	for ; top > 0; top /= 2 {
		if next := at + top; next < len(r.tree) && r.tree[next] <= want {
			at = next
			want -= r.tree[next]
		}
	}
	return at
}

// at returns the k-th live value.
func (r *roster[T]) at(k int) T { return r.items[r.index(k)] }

// page returns up to n live values from the start-th on, start from 0.
func (r *roster[T]) page(start, n int) []T {
	if start >= r.len() || n <= 0 {
		return nil
	}
	out := make([]T, 0, min(n, r.len()-start))
	for i := r.index(start); i < len(r.items) && len(out) < n; i++ {
		if r.live[i] {
			out = append(out, r.items[i])
		}
	}
	return out
}

// all yields every live value in order.
func (r *roster[T]) all() iter.Seq[T] {
	return func(yield func(T) bool) {
		for i, v := range r.items {
			if r.live[i] && !yield(v) {
				return
			}
		}
	}
}

// after yields the live values that came in after the one numbered seq, with
// their numbers; 0 begins at the first.
func (r *roster[T]) after(seq int64) iter.Seq2[int64, T] {
	lo, hi := 0, len(r.seqs)
	for lo < hi {
		if mid := (lo + hi) / 2; r.seqs[mid] <= seq {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return func(yield func(int64, T) bool) {
		for i := lo; i < len(r.items); i++ {
			if r.live[i] && !yield(r.seqs[i], r.items[i]) {
				return
			}
		}
	}
}
