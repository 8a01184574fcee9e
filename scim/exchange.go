package scim

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	scimerrors "github.com/elimity-com/scim/errors"
	"go.uber.org/zap"
)

// exchange is one request on its way through the layers and the answer it
// gets. It belongs to the goroutine of the request.
type exchange struct {
	requestID string
	conn      string
	route     route
	query     query      // lifted from the URL
	ops       []op       // of a PATCH on a user, lifted from the body
	sent      sent       // of a POST or PUT on a user
	change    groupDraft // of a POST, PUT or PATCH on a group
	notes     notes
	ifMatch   precondition

	status int // of the answer; 0: none yet
	header http.Header
	body   []byte
	id     string // our id of the resource, for the log
	cause  error  // what the client is not told, for the log
}

type exchangeKey struct{}

func exchangeOf(r *http.Request) *exchange {
	ex, _ := r.Context().Value(exchangeKey{}).(*exchange)
	return ex
}

// errAnswered is what a handler gives the library when the exchange holds an
// answer that is not a plain success; the library's own answer is dropped.
func errAnswered() error {
	return scimerrors.ScimError{Status: http.StatusInternalServerError}
}

// refuse makes p the answer.
func (ex *exchange) refuse(p *problem) {
	ex.status, ex.body = p.status, p.body()
	p.header(ex.header)
}

// fail translates err into the answer and returns what the library expects.
func (ex *exchange) fail(err error) error {
	p, opaque := problemOf(err, ex.route.what(), ex.requestID)
	if opaque {
		ex.cause = err
	}
	ex.refuse(p)
	return errAnswered()
}

// reply makes doc the answer.
func (ex *exchange) reply(status int, doc any) error {
	raw, err := json.Marshal(doc)
	if err != nil {
		return ex.fail(fmt.Errorf("encode answer: %w", err))
	}
	ex.status, ex.body = status, raw
	return nil
}

// sink takes what the library writes. Only its refusals of a body are used.
type sink struct {
	header http.Header
	status int
	body   []byte
}

func (s *sink) Header() http.Header { return s.header }

func (s *sink) WriteHeader(status int) { s.status = status }

func (s *sink) Write(b []byte) (int, error) {
	s.body = append(s.body, b...)
	return len(b), nil
}

// observe is the outermost layer: it gives the request its exchange and its
// time, sends the answer, and leaves one log line and the metrics.
func (s *server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := s.opt.Now()
		ctx, cancel := context.WithTimeoutCause(r.Context(), s.limits.Timeout, errors.New("scim limit timeout reached"))
		defer cancel()
		ex := &exchange{requestID: newRequestID(), header: w.Header(), route: parseRoute(r)}
		ctx = context.WithValue(ctx, exchangeKey{}, ex)
		out := &sink{header: http.Header{}}
		s.serve(next, out, r.WithContext(ctx), ex)
		switch {
		case ex.status != 0:
		case out.status >= http.StatusBadRequest:
			ex.status, ex.body = out.status, out.body
		default:
			_ = ex.fail(errors.New("the library gave no answer"))
		}
		ex.send(w)
		s.record(r, ex, s.opt.Now().Sub(start))
	})
}

// serve calls next and turns a panic into an opaque 500. What a panic says may
// hold values of the request, so only the kind and the stack are logged.
func (s *server) serve(next http.Handler, w http.ResponseWriter, r *http.Request, ex *exchange) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case runtime.Error:
			_ = ex.fail(fmt.Errorf("panic: %w", v))
			s.opt.Log.Error("scim panic", zap.String("request", ex.requestID), zap.ByteString("stack", debug.Stack()))
		default:
			_ = ex.fail(fmt.Errorf("panic of type %T", v))
			s.opt.Log.Error("scim panic", zap.String("request", ex.requestID), zap.ByteString("stack", debug.Stack()))
		}
	}()
	next.ServeHTTP(w, r)
}

func (ex *exchange) send(w http.ResponseWriter) {
	h := w.Header()
	h.Set("X-Request-Id", ex.requestID)
	if ex.status == http.StatusNoContent || ex.status == http.StatusNotModified {
		w.WriteHeader(ex.status)
		return
	}
	h.Set("Content-Type", "application/scim+json")
	h.Set("Content-Length", strconv.Itoa(len(ex.body)))
	w.WriteHeader(ex.status)
	_, _ = w.Write(ex.body) // the client is gone; there is nobody to tell
}

func (s *server) record(r *http.Request, ex *exchange, took time.Duration) {
	s.metrics.observe(ex, took)
	fields := []zap.Field{
		zap.String("request", ex.requestID), zap.String("connection", ex.conn), zap.String("method", r.Method),
		zap.String("resource", ex.route.resource), zap.String("id", ex.id), zap.Int("status", ex.status),
		zap.Duration("took", took),
	}
	if ops := ex.summary(); ops != "" {
		fields = append(fields, zap.String("ops", ops))
	}
	if ex.notes.dropped() > 0 {
		fields = append(fields, zap.Int("dropped", ex.notes.dropped()), zap.Strings("dropped_names", ex.notes.names))
	}
	if ex.cause != nil {
		fields = append(fields, zap.Error(ex.cause))
	}
	switch {
	case ex.status >= http.StatusInternalServerError && ex.status != http.StatusNotImplemented:
		s.opt.Log.Error("scim request", fields...)
	case ex.cause != nil || ex.notes.dropped() > 0:
		s.opt.Log.Warn("scim request", fields...)
	default:
		s.opt.Log.Info("scim request", fields...)
	}
}

// summary names what a PATCH does, by kind and attribute, never by value.
func (ex *exchange) summary() string {
	const most = 10
	var b strings.Builder
	add := func(i int, format string, args ...any) {
		switch {
		case i > most:
		case i == most:
			b.WriteString(", …")
		default:
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, format, args...)
		}
	}
	for i, o := range ex.ops {
		add(i, "%s %s", o.kind, o.target)
	}
	for i, c := range ex.change.Members {
		add(i, "%s members(%d)", c.Op, len(c.IDs))
	}
	return b.String()
}

func newRequestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}
