package intake

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"offramp/internal/offboard"
	"offramp/scim"
)

// Tokens is the record of bearer tokens. It looks a secret up by its hash;
// offboard.ErrNotFound: unknown, expired or revoked.
type Tokens interface {
	TokenConnection(ctx context.Context, secret string) (connection string, expires time.Time, err error)
}

// AuthOptions are what NewAuthenticator needs.
type AuthOptions struct {
	Tokens    Tokens            // required
	Bootstrap map[string]string // secret to connection, from the configuration; they never expire
}

// Authenticator names the connection of a bearer token.
type Authenticator struct {
	tokens    Tokens
	bootstrap []bootstrap
}

type bootstrap struct {
	hash       [sha256.Size]byte
	connection string
}

var _ scim.Authenticator = (*Authenticator)(nil)

// NewAuthenticator keeps only the hashes of the bootstrap tokens.
func NewAuthenticator(o AuthOptions) (*Authenticator, error) {
	if o.Tokens == nil {
		return nil, errors.New("intake: tokens are required")
	}
	a := &Authenticator{tokens: o.Tokens}
	for secret, connection := range o.Bootstrap {
		if secret == "" || connection == "" {
			return nil, errors.New("intake: a bootstrap token needs a secret and a connection")
		}
		a.bootstrap = append(a.bootstrap, bootstrap{hash: sha256.Sum256([]byte(secret)), connection: connection})
	}
	return a, nil
}

// Connection returns the connection of a token. Every bootstrap token is
// compared, in a time that does not depend on what they are.
func (a *Authenticator) Connection(ctx context.Context, token string) (string, error) {
	hash := sha256.Sum256([]byte(token))
	found := ""
	for i := range a.bootstrap {
		if subtle.ConstantTimeCompare(hash[:], a.bootstrap[i].hash[:]) == 1 {
			found = a.bootstrap[i].connection
		}
	}
	if found != "" {
		return found, nil
	}
	connection, _, err := a.tokens.TokenConnection(ctx, token)
	if errors.Is(err, offboard.ErrNotFound) {
		return "", scim.ErrUnknownToken
	}
	if err != nil {
		return "", fmt.Errorf("check token: %w", err)
	}
	return connection, nil
}
