package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// What an operation is called in errors, and in the "type" of what a webhook or command is sent.
const (
	opTransfer = "transfer"
	opRotate   = "rotate"
	opRetire   = "retire"
	opPublish  = "publish"
	opReceipt  = "receipt"
)

// maxAnswer bounds what a hook may answer, in bytes.
const maxAnswer = 64 << 10

// The bounds of text that came from outside, in characters.
const (
	maxReference = 200
	maxDetail    = 400
)

// answer is what a webhook or a command says, and what calls back.
type answer struct {
	State     string `json:"state"`
	Reference string `json:"reference"`
	Detail    string `json:"detail"`
}

// The messages: the request itself, flat, with its type and where to call back.
type (
	handoverMessage struct {
		Type string `json:"type"`
		Handover
		CallbackURL string `json:"callback_url,omitempty"`
	}
	rotationMessage struct {
		Type string `json:"type"`
		Rotation
		CallbackURL string `json:"callback_url,omitempty"`
	}
	publicationMessage struct {
		Type        string     `json:"type"`
		Key         string     `json:"key"`
		Credential  Credential `json:"credential"`
		Replacement string     `json:"replacement"`
		Secret      string     `json:"secret"`
	}
)

// errNonsense is an answer that says nothing; its text is fit for people.
var errNonsense = errors.New("nonsensical answer")

// parseAnswer reads exactly one JSON object.
func parseAnswer(body []byte) (answer, error) {
	var a answer
	if len(bytes.TrimSpace(body)) == 0 {
		return answer{}, fmt.Errorf("%w: it is empty", errNonsense)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(&a); err != nil {
		return answer{}, fmt.Errorf("%w: it is not a JSON object", errNonsense)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return answer{}, fmt.Errorf("%w: it holds more than one JSON value", errNonsense)
	}
	return a, nil
}

// receipt turns an answer into a receipt, or tells that its state is neither done nor accepted.
func (a answer) receipt(hook string, at time.Time, secrets ...string) (Receipt, error) {
	r := Receipt{
		By: hook, At: at.UTC(),
		Reference: clean(a.Reference, maxReference, secrets...), Detail: clean(a.Detail, maxDetail, secrets...),
	}
	switch State(a.State) {
	case StateDone:
		r.State = StateDone
	case StateAccepted:
		r.State = StateAccepted
	case StateNeedsPerson:
		return Receipt{}, fmt.Errorf("%w: only the bridge itself gives work to people; answer with an error instead", errNonsense)
	default:
		return Receipt{}, fmt.Errorf(`%w: its state is neither "done" nor "accepted"`, errNonsense)
	}
	return r, nil
}

// ParseCallback reads the body of a call-back that a hook makes after it answered "accepted". The state is done, accepted
// (still at work), or failed, which is a permanent *Error with the hook's sentence. A body that says nothing, or is over
// 64 KiB, is a permanent *Error too. Who may call back, and how often, is decided by whoever gave out the URL.
// By and At of the receipt are hook and at.
func ParseCallback(hook string, at time.Time, body []byte) (Receipt, error) {
	if len(body) > maxAnswer {
		return Receipt{}, &Error{Hook: hook, Op: opReceipt, Detail: "the call-back is longer than 64 KiB"}
	}
	a, err := parseAnswer(body)
	if err != nil {
		return Receipt{}, &Error{Hook: hook, Op: opReceipt, Detail: err.Error(), Err: err}
	}
	if a.State == "failed" {
		return Receipt{}, &Error{Hook: hook, Op: opReceipt, Detail: reason("the hook could not do it", a.Detail), Err: ErrHookFailed}
	}
	r, err := a.receipt(hook, at)
	if err != nil {
		return Receipt{}, &Error{Hook: hook, Op: opReceipt, Detail: err.Error(), Err: err}
	}
	return r, nil
}

// reason is a sentence for an error, with what the other side said, stripped of people and places.
func reason(what, said string, secrets ...string) string {
	if said = anonymous(clean(said, maxDetail, secrets...)); said == "" {
		return what
	}
	return what + ": " + said
}

// clean makes text from outside fit to be kept: one line, no control characters, bounded, without the given secrets.
func clean(s string, limit int, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) >= 6 { // a shorter one would mutilate ordinary words
			s = strings.ReplaceAll(s, secret, redacted)
		}
	}
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "�"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
	}), " ")
	if r := []rune(s); len(r) > limit {
		s = string(r[:limit-1]) + "…"
	}
	return s
}

var (
	urls      = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://\S+`)
	addresses = regexp.MustCompile(`[^\s<>"'(),;:]+@[^\s<>"'(),;:]+`)
)

// anonymous takes URLs and e-mail addresses out of text that goes into an error.
func anonymous(s string) string {
	return addresses.ReplaceAllString(urls.ReplaceAllString(s, "[url]"), "[address]")
}

// accept is what every hook asks of a handover before anything else.
func accept(ctx context.Context, hook string, h Handover, handles func(AssetKind) bool) error {
	if err := h.Validate(); err != nil {
		return fmt.Errorf("%s: %w", hook, err)
	}
	if !handles(h.Asset.Kind) {
		return unhandled(hook, opTransfer)
	}
	if err := ctx.Err(); err != nil {
		return interrupted(hook, opTransfer, err)
	}
	return nil
}

// acceptRotation is accept for a rotation.
func acceptRotation(ctx context.Context, hook, op string, r Rotation, rotates func(CredentialKind) bool) error {
	if err := r.Validate(); err != nil {
		return fmt.Errorf("%s: %w", hook, err)
	}
	if !rotates(r.Credential.Kind) {
		return unhandled(hook, op)
	}
	if err := ctx.Err(); err != nil {
		return interrupted(hook, op, err)
	}
	return nil
}

func unhandled(hook, op string) error {
	return &Error{Hook: hook, Op: op, Detail: ErrUnhandled.Error(), Err: ErrUnhandled}
}

func interrupted(hook, op string, err error) error {
	return &Error{Hook: hook, Op: op, Retry: true, Detail: "interrupted", Err: err}
}

func nonsense(hook, op string, attempt int, err error) error {
	return &Error{Hook: hook, Op: op, Retry: attempt < GiveUpAfter, Detail: err.Error(), Err: err}
}

func clock(now func() time.Time) func() time.Time {
	if now == nil {
		return time.Now
	}
	return now
}
