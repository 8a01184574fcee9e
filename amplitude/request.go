package amplitude

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/semaphore"
)

// request is one request to one API, described before it is sent.
type request struct {
	api         api
	op          string // in words, without the object
	method      string
	url         string
	auth        string // value of the Authorization header
	header      map[string]string
	body        []byte
	contentType string
	reads       bool     // changes nothing, whatever the method
	list        bool     // the answer may be large
	hide        []string // words that an error text must not repeat

	gate *semaphore.Weighted // nil: nothing to wait for
	cost int64
}

// changes reports whether the request may change something: every one does
// that is no GET and is not said to read.
func (r *request) changes() bool { return r.method != http.MethodGet && !r.reads }

// answer is a complete 2xx answer that holds no error.
type answer struct {
	status int
	body   []byte
}

// send sends r once and returns its answer, or an *Error. The exceptions are
// what Budget.Take and Options.Permit returned and a context that ended while
// waiting; they keep their identity for errors.As.
func (c *Client) send(ctx context.Context, r *request) (answer, error) {
	if c.readOnly && r.changes() {
		return answer{}, &Error{API: r.api.String(), Op: r.op, Detail: ErrReadOnly.Error(), Err: ErrReadOnly}
	}
	if r.gate != nil {
		if err := r.gate.Acquire(ctx, r.cost); err != nil {
			return answer{}, r.noAnswer(err)
		}
		defer r.gate.Release(r.cost)
	}
	if r.api == apiSCIM && c.budget != nil {
		if err := c.budget.Take(ctx, c.share); err != nil {
			c.metrics.count(r.api, codeLabelBudget)
			return answer{}, fmt.Errorf("amplitude %s: %s: %w", r.api, r.op, err)
		}
	}
	if c.permit != nil && r.changes() {
		if err := c.permit(ctx); err != nil {
			return answer{}, fmt.Errorf("amplitude %s: %s: %w", r.api, r.op, err)
		}
	}
	resp, err := c.exchange(ctx, r)
	if err != nil {
		c.metrics.count(r.api, codeLabelError)
		return answer{}, err
	}
	c.metrics.count(r.api, statusLabel(resp.status))
	return c.judge(ctx, r, resp)
}

// reply is what came over the wire.
type reply struct {
	status     int
	retryAfter string
	body       []byte
	tooLarge   bool
}

// exchange sends r and reads its answer within the client's timeout.
func (c *Client) exchange(parent context.Context, r *request) (reply, error) {
	ctx, cancel := context.WithTimeoutCause(parent, c.timeout, &timeoutError{after: c.timeout})
	defer cancel()
	failed := func(err error) (reply, error) {
		switch {
		case parent.Err() != nil:
			err = parent.Err()
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		}
		return reply{}, r.noAnswer(err)
	}

	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, body)
	if err != nil {
		return reply{}, r.wrong(0, "the request cannot be made", false)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	req.Header.Set("Authorization", r.auth)
	req.Header.Set("User-Agent", c.agent)
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}

	resp, err := c.http.Do(req)
	if err != nil {
		return failed(err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end below, unless it is too large to go on
	out := reply{status: resp.StatusCode, retryAfter: resp.Header.Get("Retry-After")}
	limit := int64(maxErrorBytes)
	if isSuccess(out.status) {
		limit = maxBytes
		if r.list {
			limit = maxListBytes
		}
	}
	out.body, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil && isSuccess(out.status):
		return failed(err)
	case err != nil:
		out.body = nil // the status says enough
	case int64(len(out.body)) > limit:
		out.body, out.tooLarge = out.body[:limit], true
	}
	return out, nil
}

// judge turns a reply into an answer or an error.
func (c *Client) judge(ctx context.Context, r *request, p reply) (answer, error) {
	if isSuccess(p.status) {
		if p.tooLarge {
			return answer{}, r.wrong(p.status, "the answer is larger than the client reads", false)
		}
		// An evaluation answer has flag keys as its fields, so it cannot be told apart.
		if len(p.body) <= maxErrorBytes && r.api != apiEvaluation {
			if f, ok := readFault(p.body); ok && f.isError() {
				return answer{}, c.faultInSuccess(r, p.status, f)
			}
		}
		return answer{status: p.status, body: p.body}, nil
	}
	e := &Error{API: r.api.String(), Op: r.op, Status: p.status, RetryAfter: retryAfter(p.retryAfter, c.now())}
	if p.status < 400 {
		e.Code, e.Detail = codeRedirect, "the answer is a redirect, which is not followed"
		return answer{}, e
	}
	if f, ok := readFault(p.body); ok {
		e.Code, e.Detail = c.code(f, r.hide), c.clean(f.detail(), r.hide)
		if e.RetryAfter == 0 {
			e.RetryAfter = boundedWait(f.RetryAfterSeconds.value())
		}
		if r.api == apiTaxonomy && p.status == http.StatusBadRequest && f.saysNotFound() {
			e.Code, e.notFound = codeNotFound, true
		}
	}
	if p.status == http.StatusTooManyRequests && r.api == apiSCIM && c.budget != nil {
		wait := e.RetryAfter
		if wait == 0 {
			wait = defaultRetryAfter
		}
		c.budget.Throttled(ctx, wait)
	}
	return answer{}, e
}

// faultInSuccess makes the Error of a 2xx whose body says that it failed. The
// status that the body names is believed; where it names none, the outcome is
// unknown and the Error is temporary.
func (c *Client) faultInSuccess(r *request, status int, f fault) *Error {
	e := &Error{API: r.api.String(), Op: r.op, Status: status, Code: c.code(f, r.hide), temporary: true}
	e.Detail = "the answer says success and holds an error"
	if d := c.clean(f.detail(), r.hide); d != "" {
		e.Detail += ": " + d
	}
	if n, err := strconv.Atoi(string(f.Status)); err == nil && n >= 400 && n <= 599 {
		e.Status, e.temporary = n, false
	}
	if r.api == apiTaxonomy && f.saysNotFound() {
		e.Code, e.notFound, e.temporary = codeNotFound, true, false
	}
	return e
}

func isSuccess(status int) bool { return status >= 200 && status < 300 }

// retryAfter reads a Retry-After header, seconds or HTTP-date. What cannot be
// read, or lies in the past, is zero.
func retryAfter(header string, now time.Time) time.Duration {
	if header == "" {
		return 0
	}
	if seconds, err := strconv.ParseFloat(header, 64); err == nil {
		return boundedWait(seconds)
	}
	if at, err := http.ParseTime(header); err == nil {
		return boundedWait(at.Sub(now).Seconds())
	}
	return 0
}

func boundedWait(seconds float64) time.Duration {
	switch {
	case math.IsNaN(seconds) || seconds <= 0:
		return 0
	case seconds >= maxRetryAfter.Seconds():
		return maxRetryAfter
	default:
		return time.Duration(math.Ceil(seconds)) * time.Second
	}
}

// get sends r and decodes its answer into v.
func (c *Client) get(ctx context.Context, r *request, v any) error {
	a, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	return r.decode(a, v)
}

// put sends a write whose answer is an acknowledgement and no more: nothing,
// the word OK, or JSON that is not looked at because an echo proves nothing.
func (c *Client) put(ctx context.Context, r *request) error {
	a, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	text := bytes.TrimSpace(a.body)
	if len(text) == 0 || bytes.EqualFold(text, []byte("OK")) {
		return nil
	}
	var ignored json.RawMessage
	return r.decode(a, &ignored)
}

// sendJSON puts v into r as its body.
func (r *request) sendJSON(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return invalid(r.api, r.op, "the request cannot be written as JSON")
	}
	r.body, r.contentType = body, "application/json"
	return nil
}
