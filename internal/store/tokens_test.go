package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store"
)

func TestATokenNamesItsConnectionUntilItEnds(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, c := d.open(t)
			_, secret, err := s.NewToken(t.Context(), okta, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			conn, expires, err := s.TokenConnection(t.Context(), secret)
			if err != nil || conn != okta || !expires.Equal(c.now().Add(time.Hour)) {
				t.Errorf("got %q until %v, %v", conn, expires, err)
			}
			if _, _, err := s.TokenConnection(t.Context(), secret+"x"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("another secret: %v", err)
			}
			c.pass(time.Hour)
			if _, _, err := s.TokenConnection(t.Context(), secret); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("an expired token: %v", err)
			}
		})
	}
}

func TestTwoTokensAreLiveWhileOneIsReplaced(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, c := d.open(t)
			first, oldSecret, err := s.NewToken(t.Context(), okta, 0)
			if err != nil {
				t.Fatal(err)
			}
			c.pass(time.Minute)
			_, newSecret, err := s.NewToken(t.Context(), okta, 0)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = s.NewToken(t.Context(), okta, 0)
			if refused, ok := errors.AsType[*offboard.RefusedError](err); !ok || !strings.Contains(refused.Because, first) {
				t.Errorf("a third token: %v", err)
			}
			if _, _, err := s.NewToken(t.Context(), "entra", 0); err != nil {
				t.Errorf("another connection: %v", err)
			}
			if err := s.RevokeToken(t.Context(), "entra", first); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("revoked through another connection: %v", err)
			}
			if err := s.RevokeToken(t.Context(), okta, first); err != nil {
				t.Fatal(err)
			}
			if err := s.RevokeToken(t.Context(), okta, first); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("revoked twice: %v", err)
			}
			if _, _, err := s.TokenConnection(t.Context(), oldSecret); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a revoked token: %v", err)
			}
			if _, _, err := s.TokenConnection(t.Context(), newSecret); err != nil {
				t.Error(err)
			}
			if _, _, err := s.NewToken(t.Context(), okta, 0); err != nil {
				t.Errorf("a token after the revocation: %v", err)
			}
			list, err := s.Tokens(t.Context(), okta)
			if err != nil || len(list) != 3 || list[0].ID != first || list[0].Revoked.IsZero() {
				t.Errorf("got %+v, %v", list, err)
			}
		})
	}
}
