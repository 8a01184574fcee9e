// Package transfertest owns the one suite that every handover and rotation hook must pass, ours and yours, and a few
// badly behaved hooks to try callers on. It must not know any particular hook.
package transfertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"offramp/transfer"
)

// Hook is what the suite examines, made anew for each of its tests.
type Hook struct {
	Transferrer transfer.Transferrer // nil: it hands nothing over
	Handover    transfer.Handover    // a valid one, of a kind that the hook handles and that changes something

	Rotator  transfer.Rotator  // nil: it rotates nothing
	Rotation transfer.Rotation // a valid one, of a kind that the hook rotates

	// Effects counts the changes that the other side has really made. nil: the hook changes nothing itself.
	Effects func() int

	// Secrets are values that no receipt and no error may hold, such as a signing secret or a new key.
	Secrets func() []string
}

// Unknown is a kind of asset and of credential that no hook under test may be made to take, unless it takes all.
const Unknown = "transfertest_unknown"

// Run tells, by subtests, whether the hooks that newHook makes keep the promises of Transferrer, Rotator and Retirer.
func Run(t *testing.T, newHook func(t *testing.T) Hook) {
	t.Helper()
	probe := newHook(t)
	if probe.Transferrer == nil && probe.Rotator == nil {
		t.Fatal("the hook is neither a Transferrer nor a Rotator")
	}
	if probe.Transferrer != nil {
		t.Run("transfer", func(t *testing.T) { runTransfer(t, newHook) })
	}
	if probe.Rotator != nil {
		t.Run("rotate", func(t *testing.T) { runRotate(t, newHook) })
	}
	if _, ok := probe.Rotator.(transfer.Retirer); ok {
		t.Run("retire", func(t *testing.T) { runRetire(t, newHook) })
	}
}

func runTransfer(t *testing.T, newHook func(t *testing.T) Hook) {
	t.Helper()
	call := func(h Hook) operation {
		return operation{name: h.Transferrer.Name(), do: func(ctx context.Context) (transfer.Receipt, error) {
			return h.Transferrer.Transfer(ctx, h.Handover)
		}}
	}
	runOperation(t, newHook, call)

	t.Run("takes its own kind and no other", func(t *testing.T) {
		h := newHook(t)
		if !h.Transferrer.Handles(h.Handover.Asset.Kind) {
			t.Fatalf("Handles(%q) = false for the hook's own kind", h.Handover.Asset.Kind)
		}
		if h.Transferrer.Handles(Unknown) {
			return // it takes everything
		}
		h.Handover.Asset.Kind = Unknown
		_, err := call(h).do(t.Context())
		h.refused(t, err, transfer.ErrUnhandled)
	})
	refusals := []struct {
		name   string
		change func(*transfer.Handover)
		want   error
	}{
		{"nobody becomes owner by accident", func(h *transfer.Handover) { h.Successor = transfer.Person{} }, transfer.ErrNoSuccessor},
		{"a successor without address and id is nobody", func(h *transfer.Handover) { h.Successor = transfer.Person{Name: "Jo", Email: " "} }, transfer.ErrNoSuccessor},
		{"the leaver does not inherit from themselves", func(h *transfer.Handover) { h.Successor = h.Leaver }, transfer.ErrSuccessorIsLeaver},
		{"not in other letters either", func(h *transfer.Handover) {
			h.Successor = transfer.Person{Email: strings.ToUpper(h.Leaver.Email)}
		}, transfer.ErrSuccessorIsLeaver},
		{"without a key a repetition cannot be told", func(h *transfer.Handover) { h.Key = "" }, transfer.ErrNoKey},
		{"a key that is not printable is refused", func(h *transfer.Handover) { h.Key = "a\r\nb" }, transfer.ErrInvalid},
		{"somebody must leave", func(h *transfer.Handover) { h.Leaver = transfer.Person{} }, transfer.ErrInvalid},
		{"the asset must have a kind", func(h *transfer.Handover) { h.Asset.Kind = "" }, transfer.ErrInvalid},
	}
	for _, tc := range refusals {
		t.Run(tc.name, func(t *testing.T) {
			h := newHook(t)
			tc.change(&h.Handover)
			_, err := call(h).do(t.Context())
			h.refused(t, err, tc.want)
			if !transfer.IsIncomplete(err) {
				t.Errorf("IsIncomplete(%v) = false", err)
			}
		})
	}
}

func runRotate(t *testing.T, newHook func(t *testing.T) Hook) {
	t.Helper()
	call := func(h Hook) operation {
		return operation{name: h.Rotator.Name(), do: func(ctx context.Context) (transfer.Receipt, error) {
			return h.Rotator.Rotate(ctx, h.Rotation)
		}}
	}
	runOperation(t, newHook, call)

	t.Run("takes its own kind and no other", func(t *testing.T) {
		h := newHook(t)
		if !h.Rotator.Rotates(h.Rotation.Credential.Kind) {
			t.Fatalf("Rotates(%q) = false for the hook's own kind", h.Rotation.Credential.Kind)
		}
		if h.Rotator.Rotates(Unknown) {
			return
		}
		h.Rotation.Credential.Kind = Unknown
		_, err := call(h).do(t.Context())
		h.refused(t, err, transfer.ErrUnhandled)
	})
	for _, tc := range rotationRefusals() {
		t.Run(tc.name, func(t *testing.T) {
			h := newHook(t)
			tc.change(&h.Rotation)
			_, err := call(h).do(t.Context())
			h.refused(t, err, tc.want)
		})
	}
}

func runRetire(t *testing.T, newHook func(t *testing.T) Hook) {
	t.Helper()
	rotated := func(t *testing.T) Hook {
		t.Helper()
		h := newHook(t)
		if _, err := h.Rotator.Rotate(t.Context(), h.Rotation); err != nil {
			t.Fatalf("rotate before retiring: %v", err)
		}
		return h
	}
	runOperation(t, rotated, func(h Hook) operation {
		return operation{name: h.Rotator.Name(), do: func(ctx context.Context) (transfer.Receipt, error) {
			return h.Rotator.(transfer.Retirer).Retire(ctx, h.Rotation) // Run has looked
		}}
	})
	for _, tc := range rotationRefusals() {
		t.Run(tc.name, func(t *testing.T) {
			h := rotated(t)
			before := h.effects()
			tc.change(&h.Rotation)
			_, err := h.Rotator.(transfer.Retirer).Retire(t.Context(), h.Rotation) // Run has looked
			h.refusedSince(t, before, err, tc.want)
		})
	}
}

type rotationRefusal struct {
	name   string
	change func(*transfer.Rotation)
	want   error
}

func rotationRefusals() []rotationRefusal {
	return []rotationRefusal{
		{"without a key a repetition cannot be told", func(r *transfer.Rotation) { r.Key = "" }, transfer.ErrNoKey},
		{"the credential must be named", func(r *transfer.Rotation) { r.Credential.ID = "" }, transfer.ErrInvalid},
		{"the time of opening must be known", func(r *transfer.Rotation) { r.Opened = time.Time{} }, transfer.ErrInvalid},
	}
}

// operation is Transfer, Rotate or Retire with its request.
type operation struct {
	name string
	do   func(context.Context) (transfer.Receipt, error)
}

// concurrent is how many callers ask at once.
const concurrent = 8

// runOperation tells whether one call, two calls, calls at once and a cancelled call do what they promise.
func runOperation(t *testing.T, newHook func(t *testing.T) Hook, call func(Hook) operation) {
	t.Helper()
	t.Run("answers with a receipt", func(t *testing.T) {
		h := newHook(t)
		op := call(h)
		r, err := op.do(t.Context())
		if err != nil {
			t.Fatalf("%v", err)
		}
		h.wellFormed(t, op.name, r)
	})
	t.Run("the same key again changes nothing", func(t *testing.T) {
		h := newHook(t)
		op := call(h)
		before := h.effects()
		first, err := op.do(t.Context())
		if err != nil {
			t.Fatalf("first call: %v", err)
		}
		once := h.effects()
		if h.Effects != nil && once == before {
			t.Error("the first call had no effect")
		}
		second, err := op.do(t.Context())
		if err != nil {
			t.Fatalf("second call: %v", err)
		}
		if h.effects() != once {
			t.Errorf("%d effects after the second call, %d after the first", h.effects(), once)
		}
		equivalent(t, first, second)
	})
	t.Run("many callers at once make one change", func(t *testing.T) {
		alone := newHook(t)
		before := alone.effects()
		if _, err := call(alone).do(t.Context()); err != nil {
			t.Fatalf("alone: %v", err)
		}
		want := alone.effects() - before

		h := newHook(t)
		op, before := call(h), h.effects()
		receipts, errs := make([]transfer.Receipt, concurrent), make([]error, concurrent)
		var wg sync.WaitGroup
		for i := range concurrent {
			wg.Go(func() { receipts[i], errs[i] = op.do(t.Context()) })
		}
		wg.Wait()
		for i := range concurrent {
			if errs[i] != nil {
				t.Fatalf("caller %d: %v", i, errs[i])
			}
			equivalent(t, receipts[0], receipts[i])
		}
		if got := h.effects() - before; got != want {
			t.Errorf("%d effects by %d callers, %d by one", got, concurrent, want)
		}
	})
	t.Run("a caller who has gone is not served", func(t *testing.T) {
		h := newHook(t)
		before := h.effects()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := call(h).do(ctx)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want an error that is context.Canceled", err)
		}
		if !transfer.IsTemporary(err) {
			t.Error("an interruption must be temporary")
		}
		if h.effects() != before {
			t.Error("something was changed all the same")
		}
	})
}

func (h Hook) effects() int {
	if h.Effects == nil {
		return 0
	}
	return h.Effects()
}

// refused checks that nothing was done, and that the error says so for good.
func (h Hook) refused(t *testing.T, err, want error) {
	t.Helper()
	h.refusedSince(t, 0, err, want)
}

func (h Hook) refusedSince(t *testing.T, before int, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
	if transfer.IsTemporary(err) {
		t.Errorf("%v is temporary: it would be asked again", err)
	}
	if h.effects() != before {
		t.Error("something was changed all the same")
	}
	h.Discreet(t, err.Error())
}

// wellFormed checks a receipt by itself.
func (h Hook) wellFormed(t *testing.T, name string, r transfer.Receipt) {
	t.Helper()
	switch r.State {
	case transfer.StateDone, transfer.StateAccepted:
		if r.Task != nil {
			t.Errorf("a receipt that is %s has a task", r.State)
		}
	case transfer.StateNeedsPerson:
		if r.Task == nil || r.Task.Title == "" || r.Task.Instruction == "" || r.Task.Link == "" {
			t.Errorf("a person is needed, and the task is not complete: %+v", r.Task)
		}
	default:
		t.Errorf("unknown state %q", r.State)
	}
	if r.By != name || name == "" {
		t.Errorf("By is %q, the hook's name is %q", r.By, name)
	}
	if r.At.IsZero() || r.At.Location() != time.UTC {
		t.Errorf("At is %v, want a time in UTC", r.At)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatalf("encode the receipt: %v", err)
	}
	h.Discreet(t, string(text), fmt.Sprintf("%v %+v %#v", r, r, r))
}

// Discreet checks that none of the texts holds a secret. Texts of errors should also be given to Anonymous.
func (h Hook) Discreet(t *testing.T, texts ...string) {
	t.Helper()
	if h.Secrets == nil {
		return
	}
	for _, secret := range h.Secrets() {
		for _, text := range texts {
			if strings.Contains(text, secret) {
				t.Errorf("a secret is told: %s", strings.ReplaceAll(text, secret, "<secret>"))
			}
		}
	}
}

// Anonymous checks that an error's text names no address and no URL.
func Anonymous(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("there is no error")
	}
	for _, mark := range []string{"@", "://"} {
		if strings.Contains(err.Error(), mark) {
			t.Errorf("the error names a person or a place: %v", err)
		}
	}
}

func equivalent(t *testing.T, a, b transfer.Receipt) {
	t.Helper()
	if a.State != b.State || a.By != b.By || a.Reference != b.Reference {
		t.Errorf("receipts differ: %s by %s %q, then %s by %s %q", a.State, a.By, a.Reference, b.State, b.By, b.Reference)
	}
}
