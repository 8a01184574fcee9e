package store

import (
	"context"
	"fmt"

	"offramp/internal/offboard"
)

// Append adds an entry to a case's timeline, whether or not the case has
// ended: what is learned late (a message that could not be delivered, a key
// that is proven dead) continues the chain that the evidence was closed over.
// It does not move the case. ErrNotFound: there is no such case.
func (s *Store) Append(ctx context.Context, caseID string, e offboard.Entry) error {
	return s.transact(ctx, func(t *tx) error { return t.addendum(ctx, caseID, e) })
}

// addendum is Append as part of a write. The case's row is locked, so that two
// writers do not continue the chain from the same entry.
func (t *tx) addendum(ctx context.Context, caseID string, e offboard.Entry) error {
	if _, err := t.LockCase(ctx, caseID); err != nil {
		return fmt.Errorf("add to the timeline: %w", missing(err))
	}
	return t.write(ctx, caseID, e)
}
