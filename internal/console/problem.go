package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap"

	"offramp/internal/offboard"
)

const (
	maxBody = 1 << 20
	maxText = 2000 // characters of one field
)

// Problem is an error as RFC 9457 writes it.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Case   string `json:"case,omitempty"` // the live case that stands in the way
}

// requestError is a request that cannot be understood or answered as it is.
type requestError struct {
	status int
	detail string
	caseID string
}

func (e *requestError) Error() string { return e.detail }

func bad(status int, format string, args ...any) error {
	return &requestError{status: status, detail: fmt.Sprintf(format, args...)}
}

// fail is the one place where an error becomes an answer of the operator API.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	if e, ok := errors.AsType[*requestError](err); ok {
		problem(w, e.status, e.detail, e.caseID)
		return
	}
	if e, ok := errors.AsType[*offboard.RefusedError](err); ok {
		status := http.StatusConflict
		if e.Incomplete {
			status = http.StatusUnprocessableEntity
		}
		problem(w, status, e.Because, "")
		return
	}
	switch {
	case errors.Is(err, offboard.ErrNotFound):
		problem(w, http.StatusNotFound, "there is no such record", "")
	case errors.Is(err, offboard.ErrEnded):
		problem(w, http.StatusConflict, "the case has ended", "")
	case errors.Is(err, offboard.ErrUnavailable) || r.Context().Err() != nil:
		w.Header().Set("Retry-After", "10")
		problem(w, http.StatusServiceUnavailable, "the database did not answer in time; try again", "")
	default:
		c.opts.Log.Error("operator API", zap.String("method", r.Method), zap.Error(err))
		problem(w, http.StatusInternalServerError, "this went wrong inside Offramp; its log says more", "")
	}
}

func problem(w http.ResponseWriter, status int, detail, caseID string) {
	answer(w, status, "application/problem+json", Problem{
		Title: http.StatusText(status), Status: status, Detail: detail, Case: caseID,
	})
}

func answer(w http.ResponseWriter, status int, contentType string, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"title":"Internal Server Error","status":500,"detail":"the answer cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // whoever asked has gone
}

// decode reads a request's body into a T. No body is an empty object; unknown
// fields, other types than JSON and anything behind the object are refused.
func decode[T any](r *http.Request) (v T, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return v, bad(http.StatusRequestEntityTooLarge, "the body is longer than %d bytes", e.Limit)
		}
		return v, bad(http.StatusBadRequest, "the body ended too early")
	}
	if len(body) == 0 {
		return v, nil
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return v, bad(http.StatusUnsupportedMediaType, "send the body as Content-Type: application/json")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field != "" {
			return v, bad(http.StatusBadRequest, "%s has the wrong type", e.Field)
		}
		if _, field, ok := strings.Cut(err.Error(), "json: unknown field "); ok {
			return v, bad(http.StatusBadRequest, "the body has an unknown field %s", field)
		}
		return v, bad(http.StatusBadRequest, "the body is not one JSON object")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return v, bad(http.StatusBadRequest, "the body is more than one JSON object")
	}
	return v, nil
}

// tidy trims what people wrote and refuses what is too long or cannot be kept.
func tidy(fields ...*string) error {
	for _, f := range fields {
		*f = strings.TrimSpace(*f)
		if utf8.RuneCountInString(*f) > maxText {
			return bad(http.StatusUnprocessableEntity, "a text is longer than %d characters", maxText)
		}
		if !printable(*f) {
			return bad(http.StatusUnprocessableEntity, "a text holds control characters")
		}
	}
	return nil
}

// printable reports whether text can be kept and shown: valid, and no control
// characters but line ends and tabs.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r'
	})
}
