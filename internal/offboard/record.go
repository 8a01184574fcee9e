package offboard

import (
	"errors"
	"time"
)

// Errors of the record that callers tell apart.
var (
	ErrNotFound = errors.New("no such record")
	ErrFenced   = errors.New("another attempt has taken over")
	ErrLeased   = errors.New("another attempt is at work")
	ErrEnded    = errors.New("the case has ended")
)

// Job asks for a case to be looked at. Urgent jobs have workers of their own, and
// others where the seat is removed: nothing that follows keeps the next incident
// waiting.
type Job struct {
	CaseID  string
	Urgent  bool
	Removed bool
}

// Intent is one outward change that is about to be made.
type Intent struct {
	Step    StepName
	Key     string // case/step/object
	Object  string
	Text    string        // for the timeline
	Lease   time.Duration // how long the call may take
	Address string        // of the seat; empty: the case's
	Claim   []string      // organizations in which the case's seat is claimed first
	Receipt string        // a one-time secret under which a hook may answer, empty: none
	Until   time.Time     // how long the receipt is good
	Others  Others        // admins of whom Standing.Losing shall tell who loses something too
}
