package store_test

import (
	"errors"
	"sync"
	"testing"

	"offramp/internal/offboard"
	"offramp/internal/store"
)

func TestWhatIsLearnedLateContinuesTheChainOfAnEndedCase(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, r *record) {
		t.Helper()
		id := r.leaver(t, "jo", offboard.Leaver)
		_, err := r.Act(t.Context(), id, func(offboard.File) (offboard.Update, error) {
			return offboard.Update{State: offboard.StateCancelled, Outcome: offboard.OutcomeCancelled}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		body, hash, err := r.Evidence(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		before, err := r.Timeline(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		const writers = 5
		var all sync.WaitGroup
		for range writers {
			all.Go(func() {
				if err := r.Append(t.Context(), id, offboard.Entry{Actor: "offramp", Kind: "message", Text: "delivered"}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		after, err := r.Timeline(t.Context(), id) // checks the chain
		if err != nil || len(after) != len(before)+writers {
			t.Fatalf("%d entries after %d, %v", len(after), len(before), err)
		}
		if b, h, err := r.Evidence(t.Context(), id); err != nil || b != body || h != hash {
			t.Errorf("the bundle changed: %v", err)
		}
		if f, err := r.Case(t.Context(), id); err != nil || f.Case.State != offboard.StateCancelled {
			t.Errorf("state %s, %v", f.Case.State, err)
		}
		if err := r.Append(t.Context(), "nobody", offboard.Entry{Kind: "message"}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a case that does not exist: %v", err)
		}
	})
}
