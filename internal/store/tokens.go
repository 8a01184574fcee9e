package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// liveTokens is how many tokens of a connection may be live at once: the old
// one and the new one while the provider is moved over.
const liveTokens = 2

// tooMany tells which token to revoke first.
func tooMany(connection string, live []offboard.Token) error {
	var names []string
	for _, t := range live {
		names = append(names, fmt.Sprintf("%s of %s", t.ID, t.Created.Format(time.DateOnly)))
	}
	return &offboard.RefusedError{Because: fmt.Sprintf("connection %q has %d live tokens already (%s): "+
		"revoke the one that is no longer used first", connection, len(live), strings.Join(names, ", "))}
}

// NewToken makes a bearer token of a connection and returns its secret, which
// is stored nowhere. A ttl of 0 never ends.
// *offboard.RefusedError: two are live.
func (s *Store) NewToken(ctx context.Context, connection string, ttl time.Duration) (id, secret string, err error) {
	id, secret = newID(), NewSecret()
	err = s.transact(ctx, func(t *tx) error {
		if err := t.LockTokens(ctx, connection); err != nil {
			return fmt.Errorf("lock tokens: %w", err)
		}
		rows, err := t.TokensOf(ctx, connection)
		if err != nil {
			return fmt.Errorf("read tokens: %w", err)
		}
		var live []offboard.Token
		for _, r := range rows {
			if r.ID == id {
				return nil // the first attempt did commit
			}
			if token := tokenOf(r); token.Live(t.now) {
				live = append(live, token)
			}
		}
		if len(live) >= liveTokens {
			return tooMany(connection, live)
		}
		row := db.InsertTokenParams{ID: id, Connection: connection, Hash: secretHash(secret), CreatedAt: millis(t.now)}
		if ttl > 0 {
			row.ExpiresAt = millis(t.now.Add(ttl))
		}
		if err := t.InsertToken(ctx, row); err != nil {
			return fmt.Errorf("insert token: %w", err)
		}
		return nil
	})
	if err != nil {
		return "", "", err
	}
	return id, secret, nil
}

// Tokens lists the tokens of a connection, oldest first, also those that
// ended.
func (s *Store) Tokens(ctx context.Context, connection string) ([]offboard.Token, error) {
	rows, err := s.queries().TokensOf(ctx, connection)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	out := make([]offboard.Token, 0, len(rows))
	for _, r := range rows {
		out = append(out, tokenOf(r))
	}
	return out, nil
}

// RevokeToken ends a token at once. ErrNotFound: the connection has no such
// token, or it is revoked already.
func (s *Store) RevokeToken(ctx context.Context, connection, id string) error {
	return s.transact(ctx, func(t *tx) error {
		n, err := t.RevokeToken(ctx, db.RevokeTokenParams{RevokedAt: millis(t.now), ID: id, Connection: connection})
		if err != nil {
			return fmt.Errorf("revoke token: %w", err)
		}
		if n == 0 {
			return ErrNotFound
		}
		return nil
	})
}

// TokenConnection names the connection of a secret and when the token ends,
// zero for never. The secret is looked up by its hash, so that how long it
// takes tells nothing about it. ErrNotFound: unknown, expired or revoked.
func (s *Store) TokenConnection(ctx context.Context, secret string) (connection string, expires time.Time, err error) {
	row, err := s.queries().TokenByHash(ctx, secretHash(secret))
	if errors.Is(missing(err), ErrNotFound) {
		return "", time.Time{}, ErrNotFound
	}
	if err != nil {
		return "", time.Time{}, fmt.Errorf("read token: %w", err)
	}
	token := tokenOf(row)
	if !token.Live(s.now()) {
		return "", time.Time{}, ErrNotFound
	}
	return token.Connection, token.Expires, nil
}

func tokenOf(r db.Token) offboard.Token {
	return offboard.Token{
		ID: r.ID, Connection: r.Connection, Created: moment(r.CreatedAt), Expires: moment(r.ExpiresAt), Revoked: moment(r.RevokedAt),
	}
}
