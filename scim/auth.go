package scim

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

// Authenticator names the connection of a bearer token. Hashing, constant
// time and expiry are its business. An unknown or expired token is
// ErrUnknownToken; any other error is answered 429, so that the provider
// comes again instead of giving the tenant up.
type Authenticator interface {
	Connection(ctx context.Context, token string) (name string, err error)
}

// ErrUnknownToken: the token names no connection, or no longer does (401).
var ErrUnknownToken = errors.New("unknown token")

// bearer returns the token of the Authorization header, or "". The scheme is
// compared without case (RFC 9110 section 11.1). A header of one word is taken
// for the token itself: some header-auth templates send it bare.
func bearer(r *http.Request) string {
	scheme, token, two := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	switch {
	case !two:
		return scheme
	case !strings.EqualFold(scheme, "Bearer"):
		return ""
	}
	return strings.TrimSpace(token)
}

// authenticate settles the request's connection, or answers 401, 403 or 429.
func (s *server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ex := exchangeOf(r)
		token := bearer(r)
		if token == "" {
			ex.refuse(problemUnauthorized())
			return
		}
		conn, err := s.opt.Auth.Connection(r.Context(), token)
		switch {
		case errors.Is(err, ErrUnknownToken):
			ex.refuse(problemUnauthorized())
			return
		case err != nil:
			ex.cause = err
			ex.refuse(problemUnavailable())
			return
		}
		ex.conn = conn
		if s.opt.AllowClient != nil {
			if err := s.opt.AllowClient(conn, r); err != nil {
				ex.cause = err
				ex.refuse(problemForbidden())
				return
			}
		}
		if s.opt.Seen != nil {
			s.opt.Seen(r.Context(), conn)
		}
		next.ServeHTTP(w, r)
	})
}
