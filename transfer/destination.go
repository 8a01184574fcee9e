package transfer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"
)

// DestinationState is what Amplitude shows of a destination. The credential itself is never shown.
type DestinationState struct {
	Version   string // changes with every write
	Connected bool   // Amplitude holds a credential that it takes for good
	Streams   bool   // events are streamed to it: it can be tested
}

// ErrStale means that a destination was changed since it was read; nothing was written.
var ErrStale = errors.New("the destination was changed meanwhile")

// Destinations are the calls to Amplitude's Developer API that DestinationCredential needs.
type Destinations interface {
	Destination(ctx context.Context, project, id string) (DestinationState, error)
	// SetDestinationSecret writes one setting of the destination if it is at the version; else ErrStale.
	SetDestinationSecret(ctx context.Context, project, id, version, field string, value Secret) error
	// TestDestination lets Amplitude send something, and tells whether it was taken.
	TestDestination(ctx context.Context, project, id string) (bool, error)
}

// DestinationCredentialOptions is what NewDestinationCredential needs.
type DestinationCredentialOptions struct {
	Destinations Destinations     // required
	Sink         Sink             // required: the partner's side, which has to know the new value
	Now          func() time.Time // nil: time.Now
}

// DestinationCredential replaces the secret with which a destination authenticates itself at the partner, where the two
// share one that either side may choose. A new value of 256 random bits is published first, so that the partner knows it,
// then written to the destination, which is tested and read back.
//
// Amplitude keeps no mark of a rotation and never shows the value, so another process cannot find what an earlier call
// made. It need not: a repetition publishes and writes a new value, which takes the place of the one before on both sides.
// The same process answers a known key with its first receipt. The old value is the partner's to revoke, so it is no
// Retirer. It takes destinations whose setting is named, Credential.Field.
type DestinationCredential struct {
	api  Destinations
	sink Sink
	now  func() time.Time
	busy keyed

	mu   sync.Mutex
	done map[string]Receipt // by key
}

var _ Rotator = (*DestinationCredential)(nil)

const destinationCredential = "destination-credential"

// NewDestinationCredential checks the options and calls nothing.
func NewDestinationCredential(o DestinationCredentialOptions) (*DestinationCredential, error) {
	switch {
	case o.Destinations == nil:
		return nil, errors.New("destination credential: Destinations is required")
	case o.Sink == nil:
		return nil, errors.New("destination credential: Sink is required, or the partner would not know the new value")
	}
	return &DestinationCredential{api: o.Destinations, sink: o.Sink, now: clock(o.Now), done: map[string]Receipt{}}, nil
}

// Name is "destination-credential".
func (d *DestinationCredential) Name() string { return destinationCredential }

// Rotates destinations only.
func (d *DestinationCredential) Rotates(kind CredentialKind) bool {
	return kind == CredentialDestination
}

// Rotate publishes a new value and writes it to the destination. One without a named setting is left to a person.
func (d *DestinationCredential) Rotate(ctx context.Context, r Rotation) (Receipt, error) {
	if err := acceptRotation(ctx, destinationCredential, opRotate, r, d.Rotates); err != nil {
		return Receipt{}, err
	}
	c := r.Credential
	if c.Project == "" || c.Field == "" {
		return Receipt{}, &Error{Hook: destinationCredential, Op: opRotate, Detail: "which setting of the destination holds the credential is not configured"}
	}
	unlock, err := d.busy.lock(ctx, c.Project+"/"+c.ID)
	if err != nil {
		return Receipt{}, interrupted(destinationCredential, opRotate, err)
	}
	defer unlock()
	if known, ok := d.answered(r.Key); ok {
		return known, nil
	}
	value, err := newValue()
	if err != nil {
		return Receipt{}, err
	}
	was, err := d.api.Destination(ctx, c.Project, c.ID)
	if err != nil {
		return Receipt{}, fmt.Errorf("%s: read the destination: %w", destinationCredential, err)
	}
	err = d.sink.Publish(ctx, Publication{Key: r.Key, Credential: c, Replacement: c.ID, Value: value, Attempt: r.Attempt})
	if err != nil {
		return Receipt{}, fmt.Errorf("%s: publish the new value: %w", destinationCredential, err)
	}
	if err := d.write(ctx, c, was, value); err != nil {
		return Receipt{}, err
	}
	tested, err := d.check(ctx, c, was, r.Attempt)
	if err != nil {
		return Receipt{}, err
	}
	receipt := Receipt{
		State: StateDone, By: destinationCredential, At: d.now().UTC(), Reference: c.ID, Proof: ProofReadBack,
		Detail: "the destination carries the new value, which was published before, and " + tested,
	}
	d.mu.Lock()
	d.done[r.Key] = receipt
	d.mu.Unlock()
	return receipt, nil
}

func (d *DestinationCredential) answered(key string) (Receipt, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.done[key]
	r.Already = ok
	return r, ok
}

// write puts the value into the destination, whatever others change in it meanwhile.
func (d *DestinationCredential) write(ctx context.Context, c Credential, at DestinationState, value Secret) error {
	for try := 0; ; try++ {
		err := d.api.SetDestinationSecret(ctx, c.Project, c.ID, at.Version, c.Field, value)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, ErrStale):
			return fmt.Errorf("%s: write the new value: %w", destinationCredential, err)
		case try == 2:
			return &Error{Hook: destinationCredential, Op: opRotate, Retry: true, Detail: "the destination is being changed by somebody else", Err: err}
		}
		if at, err = d.api.Destination(ctx, c.Project, c.ID); err != nil {
			return fmt.Errorf("%s: read the destination again: %w", destinationCredential, err)
		}
	}
}

// check tests the destination, where it can be, and reads it back.
func (d *DestinationCredential) check(ctx context.Context, c Credential, was DestinationState, attempt int) (string, error) {
	tested := "is connected"
	if was.Streams {
		ok, err := d.api.TestDestination(ctx, c.Project, c.ID)
		switch {
		case err != nil:
			return "", fmt.Errorf("%s: test the destination: %w", destinationCredential, err)
		case !ok:
			return "", &Error{Hook: destinationCredential, Op: opRotate, Retry: attempt < GiveUpAfter, Detail: "the partner did not take a test with the new value"}
		}
		tested = "a test was taken"
	}
	is, err := d.api.Destination(ctx, c.Project, c.ID)
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: read the destination back: %w", destinationCredential, err)
	case is.Version == was.Version:
		return "", &Error{Hook: destinationCredential, Op: opRotate, Retry: attempt < GiveUpAfter, Detail: "the write was taken but does not show when read again"}
	case !is.Connected:
		return "", &Error{Hook: destinationCredential, Op: opRotate, Retry: attempt < GiveUpAfter, Detail: "the destination is not connected with the new value"}
	}
	return tested, nil
}

// newValue makes 256 random bits, as text that every system takes.
func newValue() (Secret, error) {
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("%s: make a new value: %w", destinationCredential, err)
	}
	return Secret(hex.EncodeToString(b[:])), nil
}
