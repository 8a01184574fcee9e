package runner

import (
	"context"
	"time"

	"offramp/internal/offboard"
)

// stoppedError says that a request was not sent, because outward changes are
// paused, or because nobody can say whether they are.
type stoppedError struct {
	because string
	pause   *offboard.Pause // nil: nobody can say
}

func (e *stoppedError) Error() string { return e.because }

// again is when to ask whether it may be sent now.
func (e *stoppedError) again(now time.Time, incident bool) time.Time {
	if e.pause == nil {
		return now.Add(10 * time.Second)
	}
	return e.pause.Again(now, incident)
}

// Temporary is true: the same request may be sent after the pause.
func (e *stoppedError) Temporary() bool { return true }

// Permit keeps a client from changing anything while outward changes are
// paused: it is asked last, right before a request leaves. The guards ask where
// a change is recorded as intended; what comes after the first request of that
// change, and what waited for a slot, is stopped here.
func Permit(paused func(context.Context) (*offboard.Pause, error)) func(context.Context) error {
	return func(ctx context.Context) error {
		stop, err := paused(ctx)
		switch {
		case err != nil:
			return &stoppedError{because: "whether outward changes are paused cannot be read: " + err.Error()}
		case stop != nil:
			return &stoppedError{because: stop.Because(), pause: stop}
		}
		return nil
	}
}
