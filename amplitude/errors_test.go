package amplitude_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"offramp/amplitude"
)

// longToken looks like a key that the client does not know.
const longToken = "amp_0123456789abcdef0123456789abcdef"

func TestAnswersThatAreErrors(t *testing.T) {
	html := "<!doctype html><html><body>Bad gateway for jo.smith@example.com</body></html>"
	for _, row := range []struct {
		name                              string
		answer                            recorded
		status                            int
		code                              string
		says                              string
		temporary, notFound, unauthorized bool
	}{
		{
			name:   "a SCIM error with its status as a string",
			answer: recorded{Status: 404, Body: `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"detail":"User jo.smith@example.com not found","status":"404"}`},
			status: 404, says: "User [redacted] not found", notFound: true,
		},
		{
			name:   "a SCIM error with its status as a number and a type",
			answer: recorded{Status: 400, Body: `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"detail":"cannot remove the last admin","scimType":"mutability","status":400}`},
			status: 400, code: "mutability", says: "cannot remove the last admin",
		},
		{name: "a 503 that talks of not found", answer: recorded{Status: 503, Body: `{"code":"not_found"}`}, status: 503, code: "not_found", temporary: true},
		{name: "a 404 without a body", answer: recorded{Status: 404}, status: 404, notFound: true},
		{name: "a 401", answer: recorded{Status: 401, Body: `{"error":"Invalid API key"}`}, status: 401, says: "Invalid API key", unauthorized: true},
		{name: "a 403", answer: recorded{Status: 403}, status: 403, unauthorized: true},
		{
			name:   "a problem document",
			answer: recorded{Status: 403, Body: `{"type":"https://amplitude.com/problems/org_not_enrolled","title":"Forbidden","detail":"ask your contact"}`},
			status: 403, code: "org_not_enrolled", says: "ask your contact",
		},
		{name: "a 409", answer: recorded{Status: 409, Body: `{"success":false,"errors":[{"message":"Event is not in schema"}]}`}, status: 409, says: "Event is not in schema"},
		{name: "a 429 with HTML", answer: recorded{Status: 429, Body: html}, status: 429, temporary: true},
		{name: "a 500 with half a JSON", answer: recorded{Status: 500, Body: `{"detail":"bro`}, status: 500, temporary: true},
		{name: "a 502 with HTML", answer: recorded{Status: 502, Body: html}, status: 502, temporary: true},
		{
			name:   "a 503 whose detail holds everything it must not",
			answer: recorded{Status: 503, Body: fmt.Sprintf(`{"detail":"see https://amplitude.invalid/x?u=jo.smith%%40example.com for\n al@example.com with %s and %s"}`, longToken, strings.ToUpper(scimKey))},
			status: 503, says: "see [url] for [address] with […] and [redacted]", temporary: true,
		},
		{
			name:   "a detail that never ends",
			answer: recorded{Status: 400, Body: `{"detail":"` + strings.Repeat("ab ", 5000) + `"}`},
			status: 400, says: "ab ab ab",
		},
		{
			name:   "a code that is somebody's address",
			answer: recorded{Status: 400, Body: `{"code":"jo.smith@example.com","type":"` + longToken + `"}`},
			status: 400,
		},
		{
			name:   "a 200 that holds a SCIM error",
			answer: recorded{Body: `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"detail":"database away","status":"503"}`},
			status: 503, says: "database away", temporary: true,
		},
		{
			name:   "a 200 that holds a SCIM error without a status",
			answer: recorded{Body: `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"]}`},
			status: 200, says: "holds an error", temporary: true,
		},
		{
			name:   "a 200 that holds success false",
			answer: recorded{Body: `{"success":false,"errors":["try again"]}`},
			status: 200, says: "try again", temporary: true,
		},
		{
			name:   "a 200 that holds an error object",
			answer: recorded{Body: `{"error":{"http_code":400,"type":"invalid_owner","message":"who is that"}}`},
			status: 200, code: "invalid_owner", says: "who is that", temporary: true,
		},
		{name: "a 200 with HTML", answer: recorded{Body: html}, status: 200, code: "wrong_answer", says: "not JSON", temporary: true},
		{name: "a 200 with half a JSON", answer: recorded{Body: `{"id":"jo.smith@exa`}, status: 200, code: "wrong_answer", says: "cut off", temporary: true},
		{name: "a 200 with nothing", answer: recorded{}, status: 200, code: "wrong_answer", says: "empty", temporary: true},
		{name: "a 200 with an array", answer: recorded{Body: `[1,2]`}, status: 200, code: "wrong_answer", says: "unexpected shape"},
		{name: "a 200 about nobody", answer: recorded{Body: `{}`}, status: 200, code: "wrong_answer", says: "without an address"},
		{name: "a 200 about somebody else", answer: recorded{Body: `{"id":"al@example.com","userName":"al@example.com"}`}, status: 200, code: "wrong_answer", says: "another member"},
		{name: "a 200 about two people", answer: recorded{Body: `{"id":"jo.smith@example.com","userName":"al@example.com"}`}, status: 200, code: "wrong_answer", says: "another member"},
		{name: "a 200 that is too large", answer: recorded{Body: `{"id":"` + strings.Repeat("x", 1<<20) + `"}`}, status: 200, code: "wrong_answer", says: "larger than"},
		{name: "a 302", answer: recorded{Status: 302, Header: map[string]string{"Location": "https://login.example.com/?jo.smith@example.com"}}, status: 302, code: "redirect"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := against(t, play(row.answer)).Member(t.Context(), leaver)
			e := asError(t, err)
			if e.API != "scim" || e.Op != "read member" {
				t.Errorf("the error is about %s: %s", e.API, e.Op)
			}
			if e.Status != row.status || e.Code != row.code {
				t.Errorf("status %d, code %q; want %d, %q", e.Status, e.Code, row.status, row.code)
			}
			if e.Temporary() != row.temporary || e.NotFound() != row.notFound || e.Unauthorized() != row.unauthorized {
				t.Errorf("temporary %v, not found %v, unauthorized %v: %v", e.Temporary(), e.NotFound(), e.Unauthorized(), err)
			}
			if !strings.Contains(err.Error(), row.says) {
				t.Errorf("%q does not say %q", err, row.says)
			}
			if len(err.Error()) > 300 || strings.ContainsAny(err.Error(), "\n<") {
				t.Errorf("the error is not one short sentence: %q", err)
			}
			mustNotLeak(t, err)
			if strings.Contains(err.Error(), longToken) {
				t.Errorf("the error shows a key: %v", err)
			}
		})
	}
}

func TestNoAnswerAtAll(t *testing.T) {
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	for _, row := range []struct {
		err  error
		says string
	}{
		{dial(syscall.ECONNREFUSED), "connection refused"},
		{dial(syscall.ECONNRESET), "connection reset"},
		{dial(syscall.ENETUNREACH), "cannot be reached"},
		{&net.DNSError{Err: "no such host", Name: "amplitude.invalid", IsNotFound: true}, "host name does not exist"},
		{&net.DNSError{Err: "server misbehaving", Name: "amplitude.invalid"}, "could not be looked up"},
		{x509.UnknownAuthorityError{}, "unknown authority"},
		{x509.HostnameError{Certificate: &x509.Certificate{}, Host: "amplitude.invalid"}, "for another host"},
		{io.EOF, "closed without an answer"},
		{io.ErrUnexpectedEOF, "cut off"},
		{os.ErrDeadlineExceeded, "timeout on the network"},
		{&url.Error{Op: "Get", URL: "https://amplitude.invalid/Users/" + leaver, Err: errors.New("malformed HTTP response \"" + leaver + "\"")}, "failed on the network"},
	} {
		t.Run(row.says, func(t *testing.T) {
			fail := roundTrip(func(*http.Request) (*http.Response, error) { return nil, row.err })
			_, err := newClient(t, options(fail)).RemoveMember(t.Context(), leaver)
			e := asError(t, err)
			if e.Status != 0 || !e.Temporary() || e.NotFound() || e.Unauthorized() {
				t.Errorf("error is %+v, want a temporary one without a status", e)
			}
			if !strings.Contains(err.Error(), row.says) {
				t.Errorf("%q does not say %q", err, row.says)
			}
			mustNotLeak(t, err)
			for cause := error(e); cause != nil; cause = errors.Unwrap(cause) {
				if _, ok := cause.(*url.Error); ok { //nolint:errorlint // each link is looked at
					t.Error("the URL is still in the chain of causes")
				}
			}
		})
	}
}

func TestAConnectionThatBreaksWithinTheAnswer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"id":"jo.smith@example.com"`)
	}))
	defer server.Close()
	o := options(nil)
	o.Endpoints.SCIM = server.URL + "/scim/1"
	c := newClient(t, o)
	defer c.CloseIdleConnections()
	_, err := c.Member(t.Context(), leaver)
	if e := asError(t, err); !e.Temporary() || e.Status != 0 || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("error is %v, want a temporary one about the cut", err)
	}
	mustNotLeak(t, err)
}

func TestTheClientSendsEverythingOnce(t *testing.T) {
	s := play(recorded{Status: 503}, recorded{Status: 204})
	if _, err := against(t, s).RemoveMember(t.Context(), leaver); err == nil {
		t.Error("a 503 was taken for success")
	}
	s.only(t)
}

func TestArgumentsThatCannotBeMeantAreNotSent(t *testing.T) {
	s := says(`{}`)
	c := against(t, s)
	ctx := t.Context()
	for name, call := range map[string]func(context.Context) error{
		"no address":                  func(ctx context.Context) error { _, err := c.RemoveMember(ctx, ""); return err },
		"half an address":             func(ctx context.Context) error { _, err := c.RemoveMember(ctx, "@example.com"); return err },
		"an address with a newline":   func(ctx context.Context) error { _, err := c.Member(ctx, "jo@example.com\r\nX: y"); return err },
		"an address that is not text": func(ctx context.Context) error { _, err := c.Member(ctx, "j\xff@example.com"); return err },
		"a long address": func(ctx context.Context) error {
			_, err := c.Member(ctx, strings.Repeat("j", 400)+"@example.com")
			return err
		},
		"nobody to remove from a group":  func(ctx context.Context) error { return c.RemoveFromGroup(ctx, "632") },
		"an empty one among the removed": func(ctx context.Context) error { return c.RemoveFromGroup(ctx, "632", leaver, "") },
		"a group that is a path":         func(ctx context.Context) error { return c.RemoveFromGroup(ctx, "632/../633", leaver) },
		"a group without id":             func(ctx context.Context) error { _, err := c.Group(ctx, ""); return err },
		"no owner":                       func(ctx context.Context) error { return c.SetEventOwner(ctx, projectID, "Sign Up", "") },
		"no event":                       func(ctx context.Context) error { _, err := c.Event(ctx, projectID, ""); return err },
		"no assignment":                  func(ctx context.Context) error { return c.DeleteAssignment(ctx, "") },
		"no deployment":                  func(ctx context.Context) error { return c.ArchiveDeployment(ctx, projectID, "") },
		"a label with a blank": func(ctx context.Context) error {
			_, err := c.CreateDeployment(ctx, projectID, "a b", "server")
			return err
		},
		"a deployment of no type": func(ctx context.Context) error { _, err := c.CreateDeployment(ctx, projectID, "a", "both"); return err },
		"no flag":                 func(ctx context.Context) error { return c.AttachDeployment(ctx, amplitude.FlagRef{}, "1") },
		"no key":                  func(ctx context.Context) error { _, err := c.EvaluationKeyWorks(ctx, ""); return err },
	} {
		if e := asError(t, call(ctx)); e.Temporary() || e.NotFound() || e.Status != 0 {
			t.Errorf("%s: error is %v, want a lasting one", name, e)
		}
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests were sent: %+v", n, s.requests())
	}
}
