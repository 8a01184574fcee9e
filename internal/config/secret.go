package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

const redacted = "[redacted]"

// Secret is a value that is used and never shown. Every way of printing it
// gives [redacted]; only Reveal gives the value. The zero Secret is "not set".
type Secret struct {
	value string
	from  string
}

// NewSecret returns a Secret that holds value. It is for callers that make
// their configuration in code (the demonstration, tests); a file names its
// secrets by environment variable or path.
func NewSecret(value string) Secret { return Secret{value: value} }

// Reveal returns the value. It is empty when the secret is not set.
func (s Secret) Reveal() string { return s.value }

// IsSet says whether there is a value.
func (s Secret) IsSet() bool { return s.value != "" }

// From says where the value was read, as "env NAME" or "file PATH", for
// messages that tell an operator which secret to look at. It is empty for a
// secret that was made in code or is not set.
func (s Secret) From() string { return s.from }

// SHA256 returns the lower-case hexadecimal SHA-256 of the value, or the empty
// string when the secret is not set. It is meant for random tokens, not for
// passwords.
func (s Secret) SHA256() string {
	if s.value == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(s.value))
	return hex.EncodeToString(sum[:])
}

// String returns [redacted], or nothing when the secret is not set.
func (s Secret) String() string {
	if s.value == "" {
		return ""
	}
	return redacted
}

// GoString keeps %#v from showing the fields.
func (s Secret) GoString() string { return "config.Secret(" + s.String() + ")" }

// Format keeps every verb, %x and %d included, from reaching the fields.
func (s Secret) Format(f fmt.State, verb rune) {
	text := s.String()
	if verb == 'v' && f.Flag('#') {
		text = s.GoString()
	}
	_, _ = f.Write([]byte(text))
}

// MarshalText writes [redacted], or nothing when the secret is not set.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON writes "[redacted]", or "" when the secret is not set.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// MarshalYAML writes [redacted], or nothing when the secret is not set.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }
