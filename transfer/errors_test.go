package transfer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"offramp/transfer"
)

func TestWhatIsWorthAskingAgain(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want bool
	}{
		{"nothing is not", nil, false},
		{"a hook that says later", &transfer.Error{Retry: true}, true},
		{"a hook that says no", &transfer.Error{}, false},
		{"a client that says later, below other words", fmt.Errorf("event-owner: %w", errLater{}), true},
		{"a client that says no", fmt.Errorf("event-owner: %w", errNever{}), false},
		{"an error that says nothing", errors.New("odd"), true},
		{"a caller who has gone", context.Canceled, true},
		{"a deadline below a permanent error", &transfer.Error{Err: context.DeadlineExceeded}, true},
		{"a missing successor", fmt.Errorf("x: %w", transfer.ErrNoSuccessor), false},
		{"a missing key", transfer.ErrNoKey, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := transfer.IsTemporary(tc.err); got != tc.want {
				t.Errorf("IsTemporary(%v) = %v", tc.err, got)
			}
		})
	}
	err := fmt.Errorf("x: %w", &transfer.Error{Hook: "tickets", Op: "transfer", Detail: "busy", RetryAfter: time.Minute, Err: errors.New("https://u:p@x")})
	if transfer.RetryAfter(err) != time.Minute || transfer.RetryAfter(errNever{}) != 0 {
		t.Error("the wait is lost")
	}
	if err.Error() != "x: tickets: transfer: busy" {
		t.Errorf("text %q", err)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	const value = "server-very-secret"
	s := transfer.Secret(value)
	p := transfer.Publication{Key: "k", Value: s}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{s.String(), s.GoString(), s.LogValue().String(), fmt.Sprintf("%v %+v %#v %s %q", p, p, p, s, s), string(text)} {
		if strings.Contains(got, value) {
			t.Errorf("told: %s", got)
		}
	}
	if s.Reveal() != value {
		t.Error("the value is lost")
	}
}

func TestPeopleAreTheSameByAddressOrID(t *testing.T) {
	jo := transfer.Person{ID: "u-1", Email: "jo@example.com", Name: "Jo Doe"}
	for _, tc := range []struct {
		name string
		who  transfer.Person
		same bool
	}{
		{"other letters", transfer.Person{Email: " JO@EXAMPLE.com"}, true},
		{"a new address of the same login", transfer.Person{ID: "u-1", Email: "jo.doe@example.com"}, true},
		{"a namesake", transfer.Person{ID: "u-9", Email: "jo@example.org", Name: "Jo Doe"}, false},
		{"nobody", transfer.Person{}, false},
	} {
		if got := jo.Same(tc.who); got != tc.same {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
	if (transfer.Person{}).Same(transfer.Person{}) {
		t.Error("nobody is somebody")
	}
	if (transfer.Person{}).Named("") || jo.Named("Kim") {
		t.Error("named by accident")
	}
}
