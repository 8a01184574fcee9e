package transfer

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// Credential names a credential; it never holds its value.
type Credential struct {
	Kind         CredentialKind `json:"kind"`
	ID           string         `json:"id"`             // Amplitude's id, or the name in the configuration's registry
	Name         string         `json:"name,omitempty"` // for people; empty: ID is shown
	Project      string         `json:"project,omitempty"`
	Organization string         `json:"organization,omitempty"`
	Field        string         `json:"field,omitempty"` // of a destination: which of its settings holds the credential
}

// Label is what a person is shown: the name, else the id.
func (c Credential) Label() string {
	if c.Name != "" {
		return c.Name
	}
	return c.ID
}

// Rotation asks that one credential is replaced. It belongs to the credential, not to a leaver: one rotation serves
// every case that needs it.
type Rotation struct {
	Key        string     `json:"key"`                  // required; the same over all attempts, and for Rotate and Retire
	Credential Credential `json:"credential"`           // Kind and ID are required
	Reason     string     `json:"reason,omitempty"`     // why, without naming anybody
	Opened     time.Time  `json:"opened"`               // required; does not change between attempts
	RetireFrom time.Time  `json:"retire_from,omitzero"` // when the old one may go; zero: not known yet
	Due        time.Time  `json:"due,omitzero"`         // zero: no deadline
	How        string     `json:"-"`                    // what its keeper wrote about replacing it, for the task of a person
	Own        bool       `json:"-"`                    // this process uses the credential itself; a person has to be told
	Attempt    int        `json:"-"`                    // as Handover.Attempt
}

// Validate tells why the rotation cannot be asked of any hook.
func (r Rotation) Validate() error {
	switch {
	case r.Key == "":
		return fmt.Errorf("rotation: %w", ErrNoKey)
	case !validKey(r.Key):
		return fmt.Errorf("rotation: %w: the key is not up to 200 printable ASCII characters without spaces", ErrInvalid)
	case r.Credential.Kind == "" || r.Credential.ID == "":
		return fmt.Errorf("rotation: %w: the credential has no kind or no id", ErrInvalid)
	case r.Opened.IsZero():
		return fmt.Errorf("rotation: %w: it has no time of opening", ErrInvalid)
	}
	return nil
}

// Rotator mints the replacement of a credential and publishes it to those who use it. The old one keeps working.
type Rotator interface {
	// Name is the hook's name in the configuration, on timelines and in errors.
	Name() string

	// Rotates reports whether the hook replaces credentials of this kind.
	Rotates(kind CredentialKind) bool

	// Rotate mints and publishes. A second call with the same r.Key finds what the first one made and goes on where it
	// stopped; it never mints twice. The new value is in neither receipt nor error.
	Rotate(ctx context.Context, r Rotation) (Receipt, error)
}

// Retirer is what a Rotator has, beside Rotate, when it can also end the old credential. Without it a person does.
type Retirer interface {
	// Retire ends the old credential of a rotation that has been carried out, and proves it where a harmless probe is
	// known. A second call has no second effect. A hook that can see replacements refuses, permanently, while it sees
	// none.
	Retire(ctx context.Context, r Rotation) (Receipt, error)
}

// Secret is a credential's value. It shows itself only to Reveal; printing, logging and encoding give "[redacted]".
type Secret string

const redacted = "[redacted]"

// Reveal is the value itself.
func (s Secret) Reveal() string { return string(s) }

// String, GoString, LogValue and MarshalText keep the value out of whatever prints it.
func (s Secret) String() string { return redacted }

// GoString is String for %#v.
func (s Secret) GoString() string { return redacted }

// LogValue is String for structured logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText is String for encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Publication is a new credential on its way to those who use it.
type Publication struct {
	Key         string     // the rotation's key
	Credential  Credential // the credential that is replaced
	Replacement string     // id or label of the new one
	Value       Secret
	Attempt     int // as Handover.Attempt
}

// Sink takes a new credential to where its users find it. Publishing the same again is harmless, and publishing another
// value for the same credential replaces the first. No error holds the value.
type Sink interface {
	Publish(ctx context.Context, p Publication) error
}
