package amplitude

import "fmt"

// Secret is a credential. Printing it in any way gives [redacted]; only Reveal
// gives the value. The zero Secret means "not configured".
type Secret string

const redacted = "[redacted]"

// Reveal returns the value.
func (s Secret) Reveal() string { return string(s) }

// String returns [redacted], or nothing when the secret is not set.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// Format keeps every verb, %q and %x included, from reaching the value.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText writes [redacted], or nothing when the secret is not set. JSON
// and YAML encoders use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
