package transfer

import (
	"context"
	"errors"
	"time"
)

// What a handover or rotation lacks; all of them are permanent, and nothing was changed.
var (
	// ErrNoSuccessor means that nobody was named to take over.
	ErrNoSuccessor = errors.New("no successor is named")
	// ErrSuccessorIsLeaver means that the leaver would inherit from themselves.
	ErrSuccessorIsLeaver = errors.New("the successor is the leaver")
	// ErrNoKey means that a repetition could not be recognised.
	ErrNoKey = errors.New("no key is given")
	// ErrInvalid means that something else is missing; the text says what.
	ErrInvalid = errors.New("incomplete request")
	// ErrUnhandled means that the hook was asked for a kind which it does not take.
	ErrUnhandled = errors.New("the hook does not take this kind")
	// ErrHookFailed means that a hook called back to say that it could not do what it had accepted.
	ErrHookFailed = errors.New("the hook could not do it")
	// ErrRefusedAddress means that a hook's host resolved to an address that hooks must not reach.
	ErrRefusedAddress = errors.New("refused address")
)

// GiveUpAfter is the attempt from which on an answer without meaning is a permanent error. Until then the other side may
// be in the middle of a deployment.
const GiveUpAfter = 3

// Error is a hook that did not do what it was asked. Its text is fit for a timeline: no credential, no address of a
// person, no URL.
type Error struct {
	Hook       string        // the hook's name
	Op         string        // transfer, rotate, retire, publish or read
	Retry      bool          // asking again later may help
	RetryAfter time.Duration // with Retry: what the other side asked for; 0: the caller's own schedule
	Detail     string        // one sentence
	Err        error         // what caused it; may be nil
}

// Error is "hook: op: detail". The cause's text is left out, because it may hold a URL; Unwrap has it.
func (e *Error) Error() string { return e.Hook + ": " + e.Op + ": " + e.Detail }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// Temporary is Retry, for callers that know errors only by this method.
func (e *Error) Temporary() bool { return e.Retry }

// IsTemporary reports whether the same call, made again later with the same key, may succeed. An error says so by a
// method Temporary() bool; one that says nothing is taken for temporary, because every call here is safe to repeat. A
// cancelled or expired context is temporary. nil is not.
func IsTemporary(err error) bool {
	if err == nil || IsIncomplete(err) {
		return false
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var t interface{ Temporary() bool }
	if errors.As(err, &t) {
		return t.Temporary()
	}
	return true
}

// IsIncomplete reports whether the request itself was at fault, so that no other hook would take it either.
func IsIncomplete(err error) bool {
	return errors.Is(err, ErrNoSuccessor) || errors.Is(err, ErrSuccessorIsLeaver) || errors.Is(err, ErrNoKey) ||
		errors.Is(err, ErrInvalid)
}

// RetryAfter is how long the other side asked to be left alone; 0 when it did not say.
func RetryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}
