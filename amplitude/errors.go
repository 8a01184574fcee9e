package amplitude

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

var (
	// ErrNotConfigured says that a method needs a credential or an endpoint
	// that Options did not give.
	ErrNotConfigured = errors.New("not configured")
	// ErrReadOnly says that a write was asked of a ReadOnly client.
	ErrReadOnly = errors.New("this client only reads")
	// ErrNotEnrolled says that the organization is not enrolled in an API that
	// is by invitation, such as User Management.
	ErrNotEnrolled = errors.New("the organization is not enrolled in this API")
	// ErrShortList says that a list whose length did not change while it was
	// read held fewer distinct entries than it announced, however often it was
	// read. Absence from it proves nothing.
	ErrShortList = errors.New("the list held fewer entries than it announced")
	// ErrListMoved says that a list changed so much while it was read that
	// entries may have been passed over. Absence from it proves nothing.
	ErrListMoved = errors.New("the list changed while it was read")
	// ErrRetention says that an audit log was asked for a time before its
	// retention of 90 days.
	ErrRetention = errors.New("the audit log keeps 90 days")
	// ErrTruncated says that a list goes on past what its API shows. What it
	// showed is returned with the error; absence from it proves nothing.
	ErrTruncated = errors.New("the list goes on past what the API shows")
	// ErrAuditTruncated says that more audit entries fell into one second than
	// one answer holds, so they cannot all be listed.
	ErrAuditTruncated = errors.New("the audit log has more entries than it can list")
)

// Codes that the client itself gives; others are Amplitude's words.
const (
	codeNotEnrolled = "org_not_enrolled"
	codeNotFound    = "not_found" // taxonomy says it by 400
	codeInvalid     = "invalid_argument"
	codeRedirect    = "redirect"
	codeWrongAnswer = "wrong_answer"
)

// Error is what went wrong with one request. Its text never holds a URL, an
// e-mail address or a secret.
type Error struct {
	API        string        // scim, access, audit, taxonomy, cohorts, experiment, evaluation, developer, lookup_tables
	Op         string        // what was asked, in words
	Status     int           // the HTTP status, or the one a SCIM error inside a 2xx names; zero: no answer
	Code       string        // a word of the API (scimType, problem code) or of the client; often empty
	Detail     string        // one short, cleaned sentence; may be empty
	RetryAfter time.Duration // what Amplitude asked for, at most an hour; zero: it did not say
	Err        error         // the cause when there was no usable answer; its own text may be less clean than Error's

	temporary bool
	notFound  bool // said by a status other than 404
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "amplitude %s: %s: ", e.API, e.Op)
	switch {
	case e.Status >= 300:
		fmt.Fprintf(&b, "status %d", e.Status)
		if text := http.StatusText(e.Status); text != "" {
			fmt.Fprintf(&b, " (%s)", strings.ToLower(text))
		}
		if e.Code != "" {
			fmt.Fprintf(&b, " %s", e.Code)
		}
		if e.Detail != "" {
			fmt.Fprintf(&b, ": %s", e.Detail)
		}
	case e.Detail != "":
		b.WriteString(e.Detail)
	default:
		b.WriteString("no usable answer")
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, "; retry after %s", e.RetryAfter)
	}
	return b.String()
}

// Unwrap returns the cause, for errors.Is with context.Canceled and the like.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrNotEnrolled) true for Amplitude's word for it.
func (e *Error) Is(target error) bool {
	return target == ErrNotEnrolled && e.isNotEnrolled()
}

// Temporary says that the same request may work later: 429, 5xx, no answer,
// or an answer that was cut off or not what the API speaks. A write that ended
// so may have taken effect: read before repeating it.
func (e *Error) Temporary() bool {
	return e.temporary || e.Status == http.StatusTooManyRequests || e.Status >= 500
}

// NotFound says that the API knows no such object. An API that is broken or
// asked at a wrong address may say so of everything: before it counts as
// absence, something known must have been found by the same client.
func (e *Error) NotFound() bool {
	return e.Status == http.StatusNotFound || e.notFound
}

func (e *Error) isNotEnrolled() bool {
	return e.Status == http.StatusForbidden && e.Code == codeNotEnrolled
}

// Unauthorized says that the credential was refused or lacks the right.
func (e *Error) Unauthorized() bool {
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden && !e.isNotEnrolled()
}

// noAnswer makes the Error of a request that got no usable answer. The text of
// err may hold anything a server or a proxy sent, so it is not repeated.
func (r *request) noAnswer(err error) *Error {
	for {
		u, ok := errors.AsType[*url.Error](err)
		if !ok {
			break
		}
		err = u.Err
	}
	return &Error{API: r.api.String(), Op: r.op, Detail: describe(err), Err: err, temporary: true}
}

// wrong makes the Error of an answer that came but cannot be used.
func (r *request) wrong(status int, detail string, temporary bool) *Error {
	return &Error{API: r.api.String(), Op: r.op, Status: status, Code: codeWrongAnswer, Detail: detail, temporary: temporary}
}

// invalid makes the Error of an argument that is never sent.
func invalid(a api, op, detail string) *Error {
	return &Error{API: a.String(), Op: op, Code: codeInvalid, Detail: detail}
}

// notConfigured makes the Error of a method whose credential is missing.
func notConfigured(a api, op, what string) *Error {
	return &Error{API: a.String(), Op: op, Detail: what + " is not configured", Err: ErrNotConfigured}
}

// timeoutError is the cause of a request that outlived Options.Timeout.
type timeoutError struct{ after time.Duration }

func (e *timeoutError) Error() string {
	return fmt.Sprintf("no complete answer within the request timeout of %s", e.after)
}
func (e *timeoutError) Timeout() bool { return true }
func (e *timeoutError) Is(target error) bool {
	return target == context.DeadlineExceeded
}

// describe says in fixed words why no answer came.
func describe(err error) string {
	if t, ok := errors.AsType[*timeoutError](err); ok {
		return t.Error()
	}
	if d, ok := errors.AsType[*net.DNSError](err); ok {
		if d.IsNotFound {
			return "the host name does not exist"
		}
		return "the host name could not be looked up"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the certificate is for another host"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the certificate is signed by an unknown authority"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the certificate is not valid"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the server does not speak TLS"
	}
	var n net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "interrupted by the caller"
	case errors.Is(err, context.DeadlineExceeded):
		return "the caller's time was up"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "the host cannot be reached"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the answer was cut off"
	case errors.Is(err, io.EOF):
		return "the connection was closed without an answer"
	case errors.As(err, &n) && n.Timeout():
		return "timeout on the network"
	default:
		return "the request failed on the network"
	}
}
