package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"regexp"
	"strings"

	gomail "github.com/wneessen/go-mail"
)

// failure is why an attempt did not deliver. The libraries' own texts hold
// passwords, tokens and addresses: its text is made of our words and a status
// code alone, and may stand in logs and on timelines.
type failure struct {
	text      string
	permanent bool // repeating it is of no use
}

func (f *failure) Error() string { return f.text }

var errSlow = errors.New("the server did not answer in time")

// mailFailure puts an error of the mail client into words.
func mailFailure(ctx context.Context, err error) *failure {
	if sent, ok := errors.AsType[*gomail.SendError](err); ok && sent.ErrorCode() != 0 {
		if sent.Reason == gomail.ErrSMTPRcptTo && !sent.IsTemp() {
			return &failure{text: fmt.Sprintf("the mail server does not take mail for the recipient (%d)", sent.ErrorCode()), permanent: true}
		}
		return &failure{text: fmt.Sprintf("the mail server refused the message (%d)", sent.ErrorCode())}
	}
	if answer, ok := errors.AsType[*textproto.Error](err); ok {
		return &failure{text: fmt.Sprintf("the mail server answered %d", answer.Code)}
	}
	return &failure{text: "the mail server " + network(ctx, err)}
}

// channelFailure puts an error of a service into words; nil for none.
func channelFailure(ctx context.Context, err error) *failure {
	if err == nil {
		return nil
	}
	// Most services only keep the text of what went wrong.
	if code := regexp.MustCompile(`\b[345]\d\d\b`).FindString(withoutURLs(err.Error())); code != "" {
		return &failure{text: "the service answered " + code}
	}
	return &failure{text: "the service " + network(ctx, err)}
}

// withoutURLs takes out what may hold numbers of its own.
func withoutURLs(s string) string {
	return regexp.MustCompile(`\S*://\S*|"[^"]*"|\S+:\d+\S*`).ReplaceAllString(s, "")
}

// network says in words of ours what a connection failed of.
func network(ctx context.Context, err error) string {
	text := strings.ToLower(err.Error())
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded), strings.Contains(text, "timeout"), strings.Contains(text, "timed out"):
		return "did not answer in time"
	case errors.As(err, &dns), strings.Contains(text, "no such host"):
		return "is not found: its name cannot be resolved"
	case errors.As(err, &certificate), strings.Contains(text, "certificate"):
		return "has a certificate that is not trusted"
	case strings.Contains(text, "starttls"):
		return "offers no TLS"
	case strings.Contains(text, "auth"):
		return "did not take the user and password"
	case strings.Contains(text, "connection refused"):
		return "refused the connection"
	case strings.Contains(text, "eof"), strings.Contains(text, "reset by peer"), strings.Contains(text, "closed"):
		return "ended the connection"
	case strings.Contains(text, "unreachable"):
		return "cannot be reached"
	}
	return "gave no answer that can be understood"
}
