package runner

import (
	"context"
	"errors"
	"sync"
	"time"

	"offramp/amplitude"
)

// lists keeps what was last read of an organization's lists for a few minutes:
// many cases that wait together are answered from one reading. A reading from
// before a case was opened does not serve it, because what was handed to the
// leaver until then would be missing. It is safe for concurrent use.
type lists struct {
	now  func() time.Time
	mu   sync.Mutex
	kept map[listKey]*reading
}

type listKey struct {
	project int
	name    string
}

// reading is one list as it was read.
type reading struct {
	turn    chan struct{} // held by whoever reads, or looks at what follows
	started time.Time     // zero: not read yet
	listing
}

type listing struct {
	entries   []entry
	truncated bool // the API ends its list early
}

func newLists(now func() time.Time) *lists {
	return &lists{now: now, kept: map[listKey]*reading{}}
}

// read returns a list as it was read after a time, reading it anew where there
// is none or it is too old to be shared. An error is not kept. The entries are
// shared: they are not to be changed.
func (l *lists) read(
	ctx context.Context, project int, name string, after time.Time, fetch func(context.Context) ([]entry, error),
) (listing, error) {
	r := l.of(listKey{project: project, name: name})
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return listing{}, context.Cause(ctx)
	}
	now := l.now()
	if r.started.After(after) && now.Sub(r.started) < recent {
		return r.listing, nil
	}
	entries, err := fetch(ctx)
	truncated := errors.Is(err, amplitude.ErrTruncated)
	if err != nil && !truncated {
		return listing{}, err
	}
	r.started, r.listing = now, listing{entries: entries, truncated: truncated}
	return r.listing, nil
}

// of returns the place of one list and forgets the others that are too old.
func (l *lists) of(k listKey) *reading {
	l.mu.Lock()
	defer l.mu.Unlock()
	for other, r := range l.kept {
		select {
		case r.turn <- struct{}{}:
			if other != k && l.now().Sub(r.started) >= recent {
				delete(l.kept, other)
			}
			<-r.turn
		default: // being read
		}
	}
	r := l.kept[k]
	if r == nil {
		r = &reading{turn: make(chan struct{}, 1)}
		l.kept[k] = r
	}
	return r
}
