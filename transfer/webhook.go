package transfer

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// WebhookOptions is what NewWebhook needs.
type WebhookOptions struct {
	Name          string           // required: the hook's name in the configuration
	URL           string           // required: https, or http where loopback or private addresses are allowed
	Secrets       []Secret         // required: "whsec_…", at least 24 bytes in base64; a second one while the first is replaced
	Handles       []AssetKind      // what it hands over; none: it is no transferrer
	Rotates       []CredentialKind // what it rotates; none: it is no rotator
	Inventories   []AssetKind      // what it knows owners of; none: it is no lister
	Timeout       time.Duration    // for the whole exchange; 0: 10 s
	AllowLoopback bool             // it may be on this host
	AllowPrivate  bool             // it may be in a private network
	RootCAs       *x509.CertPool   // nil: the system's

	// Callback makes the URL that is called when a hook answered "accepted", once for each request sent. nil: none is
	// given, and an accepted request is asked again with the same key until it is done.
	Callback func(ctx context.Context, key string) (string, error)

	Now func() time.Time // nil: time.Now
}

// Webhook posts a handover, a rotation or a new credential to one URL, signed as Standard Webhooks describe, with the
// request's key as message id, which does not change between attempts. It does not repeat anything itself. No redirect
// is followed, no proxy is used, and the address is checked when the connection is made.
type Webhook struct {
	o       WebhookOptions
	signers []*standardwebhooks.Webhook
	client  *http.Client
	now     func() time.Time
}

var (
	_ Transferrer = (*Webhook)(nil)
	_ Rotator     = (*Webhook)(nil)
	_ Retirer     = (*Webhook)(nil)
	_ Sink        = (*Webhook)(nil)
)

const (
	webhookTimeout = 10 * time.Second
	maxRetryAfter  = time.Hour
	minSecret      = 24 // bytes, as Standard Webhooks ask
)

// NewWebhook checks the options and connects to nothing.
func NewWebhook(o WebhookOptions) (*Webhook, error) {
	if o.Name == "" {
		return nil, errors.New("webhook: Name is required")
	}
	if err := o.checkURL(); err != nil {
		return nil, fmt.Errorf("webhook %s: %w", o.Name, err)
	}
	if len(o.Secrets) == 0 {
		return nil, fmt.Errorf("webhook %s: a signing secret is required", o.Name)
	}
	w := &Webhook{o: o, now: clock(o.Now)}
	for _, s := range o.Secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.Reveal(), "whsec_"))
		if err != nil {
			return nil, fmt.Errorf("webhook %s: the signing secret is not base64 after whsec_", o.Name)
		}
		if len(key) < minSecret {
			return nil, fmt.Errorf("webhook %s: the signing secret has %d bytes and needs %d", o.Name, len(key), minSecret)
		}
		signer, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			return nil, fmt.Errorf("webhook %s: the signing secret is not usable", o.Name)
		}
		w.signers = append(w.signers, signer)
	}
	if w.o.Timeout <= 0 {
		w.o.Timeout = webhookTimeout
	}
	w.client = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil, // a proxy would resolve and dial for us, past the check
			DialContext:            reach{loopback: o.AllowLoopback, private: o.AllowPrivate}.dialer(),
			TLSClientConfig:        &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    5 * time.Second,
			MaxResponseHeaderBytes: 16 << 10,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        30 * time.Second,
			DisableCompression:     true, // an answer is bounded as it is sent
			ForceAttemptHTTP2:      true,
		},
	}
	return w, nil
}

func (o WebhookOptions) checkURL() error {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Host == "":
		return errors.New("the URL cannot be read")
	case u.User != nil:
		return errors.New("the URL holds a user or password; the signature says who is calling")
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return errors.New("the URL is neither https nor http")
	case !o.AllowLoopback && !o.AllowPrivate:
		return errors.New("plain http is for hooks on loopback or private addresses, which are not allowed here")
	}
	return nil
}

// Name is the hook's name in the configuration.
func (w *Webhook) Name() string { return w.o.Name }

// Handles what the configuration says.
func (w *Webhook) Handles(kind AssetKind) bool { return slices.Contains(w.o.Handles, kind) }

// Rotates what the configuration says.
func (w *Webhook) Rotates(kind CredentialKind) bool { return slices.Contains(w.o.Rotates, kind) }

// Transfer posts {"type":"handover", …}.
func (w *Webhook) Transfer(ctx context.Context, h Handover) (Receipt, error) {
	if err := accept(ctx, w.o.Name, h, w.Handles); err != nil {
		return Receipt{}, err
	}
	back, err := callback(ctx, w.o.Name, opTransfer, w.o.Callback, h.Key)
	if err != nil {
		return Receipt{}, err
	}
	return w.post(ctx, opTransfer, h.Key, h.Attempt, handoverMessage{Type: "handover", Handover: h, CallbackURL: back})
}

// Rotate posts {"type":"rotate", …}.
func (w *Webhook) Rotate(ctx context.Context, r Rotation) (Receipt, error) {
	return w.rotation(ctx, opRotate, r)
}

// Retire posts {"type":"retire", …}; its message id is the rotation's key with "/retire".
func (w *Webhook) Retire(ctx context.Context, r Rotation) (Receipt, error) {
	return w.rotation(ctx, opRetire, r)
}

func (w *Webhook) rotation(ctx context.Context, op string, r Rotation) (Receipt, error) {
	if err := acceptRotation(ctx, w.o.Name, op, r, w.Rotates); err != nil {
		return Receipt{}, err
	}
	if op == opRetire {
		r.Key += "/retire"
	}
	back, err := callback(ctx, w.o.Name, op, w.o.Callback, r.Key)
	if err != nil {
		return Receipt{}, err
	}
	return w.post(ctx, op, r.Key, r.Attempt, rotationMessage{Type: op, Rotation: r, CallbackURL: back})
}

// Publish posts {"type":"publish", …} with the new credential's value; only "done" counts. Its message id is the
// rotation's key with "/publish".
func (w *Webhook) Publish(ctx context.Context, p Publication) error {
	if p.Key == "" {
		return fmt.Errorf("%s: %w", w.o.Name, ErrNoKey)
	}
	if err := ctx.Err(); err != nil {
		return interrupted(w.o.Name, opPublish, err)
	}
	r, err := w.post(ctx, opPublish, p.Key+"/publish", p.Attempt, publicationMessage{
		Type: opPublish, Key: p.Key, Credential: p.Credential, Replacement: p.Replacement, Secret: p.Value.Reveal(),
	}, p.Value.Reveal())
	return published(w.o.Name, r, err)
}

// published makes a receipt of a publication into its error.
func published(hook string, r Receipt, err error) error {
	if err == nil && r.State != StateDone {
		return &Error{Hook: hook, Op: opPublish, Retry: true, Detail: "the hook has taken the new credential but is not done with it"}
	}
	return err
}

// post sends one signed message and reads the answer. secrets are taken out of whatever the hook says.
func (w *Webhook) post(ctx context.Context, op, key string, attempt int, message any, secrets ...string) (Receipt, error) {
	r, err := w.exchange(ctx, op, key, message, maxAnswer, secrets...)
	if err != nil {
		return Receipt{}, err
	}
	return w.judge(op, attempt, r)
}

// reply is what came back, up to one byte more than may be said.
type reply struct {
	status  int
	header  http.Header
	said    []byte
	secrets []string // that must not be repeated
}

// exchange sends one signed message and reads up to limit and one bytes of what comes back.
func (w *Webhook) exchange(ctx context.Context, op, key string, message any, limit int64, secrets ...string) (reply, error) {
	for _, s := range w.o.Secrets {
		secrets = append(secrets, s.Reveal())
	}
	body, err := json.Marshal(message)
	if err != nil {
		return reply{}, fmt.Errorf("%s: encode the message: %w", w.o.Name, err)
	}
	limited, cancel := context.WithTimeout(ctx, w.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(limited, http.MethodPost, w.o.URL, bytes.NewReader(body))
	if err != nil {
		return reply{}, &Error{Hook: w.o.Name, Op: op, Detail: "the URL cannot be used"}
	}
	if err := w.sign(req.Header, key, body); err != nil {
		return reply{}, &Error{Hook: w.o.Name, Op: op, Detail: "the message cannot be signed", Err: err}
	}
	res, err := w.client.Do(req)
	if err != nil {
		return reply{}, w.unreached(ctx, op, err)
	}
	defer res.Body.Close() // nothing is written to it
	said, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return reply{}, w.unreached(ctx, op, err)
	}
	return reply{status: res.StatusCode, header: res.Header, said: said, secrets: secrets}, nil
}

// sign sets the headers of Standard Webhooks: one signature for each secret, over id, time and body.
func (w *Webhook) sign(h http.Header, key string, body []byte) error {
	at := w.now()
	signatures := make([]string, 0, len(w.signers))
	for _, s := range w.signers {
		sig, err := s.Sign(key, at, body)
		if err != nil {
			return err
		}
		signatures = append(signatures, sig)
	}
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "offramp")
	h.Set(standardwebhooks.HeaderWebhookID, key)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}

// refused reads the status: 2xx is an answer, 408, 425, 429 and 5xx mean later, any other is final.
func (w *Webhook) refused(op string, r reply) error {
	status := r.status
	switch {
	case status >= 300 && status < 400:
		return &Error{Hook: w.o.Name, Op: op, Detail: fmt.Sprintf("the hook answered with a redirect (%d); configure its final address", status)}
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return &Error{
			Hook: w.o.Name, Op: op, Retry: true, RetryAfter: retryAfter(r.header.Get("Retry-After"), w.now()),
			Detail: fmt.Sprintf("the hook answered %d", status),
		}
	case status >= 400:
		detail := ""
		if a, err := parseAnswer(r.said); err == nil {
			detail = a.Detail
		}
		return &Error{Hook: w.o.Name, Op: op, Detail: reason(fmt.Sprintf("the hook refused with %d", status), detail, r.secrets...)}
	}
	return nil
}

// judge makes a receipt of an answer.
func (w *Webhook) judge(op string, attempt int, said reply) (Receipt, error) {
	if err := w.refused(op, said); err != nil {
		return Receipt{}, err
	}
	if len(said.said) > maxAnswer {
		return Receipt{}, nonsense(w.o.Name, op, attempt, fmt.Errorf("%w: it is longer than 64 KiB", errNonsense))
	}
	a, err := parseAnswer(said.said)
	if said.status == http.StatusAccepted {
		a.State = string(StateAccepted) // the status says so; a body only adds a reference
		err = nil
	}
	if err != nil {
		return Receipt{}, nonsense(w.o.Name, op, attempt, err)
	}
	r, err := a.receipt(w.o.Name, w.now(), said.secrets...)
	if err != nil {
		return Receipt{}, nonsense(w.o.Name, op, attempt, err)
	}
	return r, nil
}

// unreached explains an exchange that did not come to its end. ctx is the caller's.
func (w *Webhook) unreached(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		return interrupted(w.o.Name, op, ctx.Err())
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the URL
	}
	e := &Error{Hook: w.o.Name, Op: op, Retry: true, Err: err, Detail: "the hook cannot be reached"}
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, ErrRefusedAddress):
		e.Retry, e.Detail = false, "the hook's host is at a "+refusal(err)
	case errors.As(err, &timeout) && timeout.Timeout():
		e.Detail = "the hook did not answer within " + w.o.Timeout.String()
	default:
		if _, ok := errors.AsType[*net.DNSError](err); ok {
			e.Detail = "the hook's host name does not resolve"
		} else if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			e.Detail = "the hook's certificate is not trusted"
		}
	}
	return e
}

// refusal is the text of check, without the address that the dialer puts before it.
func refusal(err error) string {
	for ; err != nil; err = errors.Unwrap(err) {
		if strings.HasPrefix(err.Error(), ErrRefusedAddress.Error()) {
			return err.Error()
		}
	}
	return ErrRefusedAddress.Error()
}

// retryAfter reads seconds or a date (RFC 9110 10.2.3); 0 when it says neither. More than an hour is an hour.
func retryAfter(value string, now time.Time) time.Duration {
	var d time.Duration
	if seconds, err := strconv.Atoi(strings.TrimSpace(value)); err == nil {
		d = time.Duration(min(seconds, int(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

// callback asks for the URL to call back on.
func callback(ctx context.Context, hook, op string, address func(context.Context, string) (string, error), key string) (string, error) {
	if address == nil {
		return "", nil
	}
	back, err := address(ctx, key)
	if err != nil {
		return "", &Error{Hook: hook, Op: op, Retry: true, Detail: "no address to call back on could be made", Err: err}
	}
	return back, nil
}
