package amplitude

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Amplitude writes the same thing in several ways: a group's id is a number in
// a list and a string alone, a status is either. The types here take what
// comes, and read what they cannot use as absent.

// text is a JSON string, number or boolean; anything else is empty.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	*t = ""
	if len(b) == 0 {
		return nil
	}
	switch b[0] {
	case '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = text(s)
	case 'n', '{', '[':
	default:
		*t = text(b)
	}
	return nil
}

// texts is an array of text, or one text alone; anything else is empty.
type texts []string

func (t *texts) UnmarshalJSON(b []byte) error {
	*t = nil
	var many []text
	var one text
	switch {
	case len(b) > 0 && b[0] == '[':
		if err := json.Unmarshal(b, &many); err != nil {
			return err
		}
		for _, s := range many {
			if s != "" {
				*t = append(*t, string(s))
			}
		}
	default:
		if err := json.Unmarshal(b, &one); err != nil {
			return err
		}
		if one != "" {
			*t = texts{string(one)}
		}
	}
	return nil
}

// number is a JSON number, alone or in a string. Invalid or absent: not set.
type number struct {
	set bool
	n   float64
}

func (n *number) UnmarshalJSON(b []byte) error {
	*n = number{}
	var t text
	if err := t.UnmarshalJSON(b); err != nil {
		return err
	}
	if f, err := strconv.ParseFloat(string(t), 64); err == nil {
		*n = number{set: true, n: f}
	}
	return nil
}

func (n number) value() float64 { return n.n }

// int returns the number if it is a whole one, else zero.
func (n number) int() int {
	const exact = 1 << 53
	if i := int(n.n); n.n > -exact && n.n < exact && float64(i) == n.n {
		return i
	}
	return 0
}

// flag is a JSON boolean, alone or in a string; anything else is false.
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	var t text
	if err := t.UnmarshalJSON(b); err != nil {
		return err
	}
	*f = flag(strings.EqualFold(string(t), "true"))
	return nil
}

// moment is a time as RFC 3339 text or as Unix seconds or milliseconds;
// anything else is the zero time. The result is in UTC.
type moment struct{ time.Time }

func (m *moment) UnmarshalJSON(b []byte) error {
	*m = moment{}
	var t text
	if err := t.UnmarshalJSON(b); err != nil {
		return err
	}
	s := string(t)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", time.DateTime} {
		if at, err := time.Parse(layout, s); err == nil {
			m.Time = at.UTC()
			return nil
		}
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil && n > 0 && n < 1e15 {
		if n < 1e11 {
			n *= 1000
		}
		m.Time = time.UnixMilli(int64(n)).UTC()
	}
	return nil
}

// named is an object with an id and a name, or one of them alone as text.
type named struct{ ID, Name text }

func (n *named) UnmarshalJSON(b []byte) error {
	*n = named{}
	if len(b) > 0 && b[0] == '{' {
		var o struct {
			ID   text `json:"id"`
			Name text `json:"name"`
		}
		if err := json.Unmarshal(b, &o); err != nil {
			return err
		}
		*n = named{ID: o.ID, Name: o.Name}
		return nil
	}
	return n.Name.UnmarshalJSON(b)
}

// decode reads a 2xx answer as JSON into v. An answer that is empty, cut off or
// not JSON makes a temporary Error: something stood between the API and us.
// JSON of another shape makes a lasting one.
func (r *request) decode(a answer, v any) error {
	body := bytes.TrimSpace(a.body)
	if len(body) == 0 || a.status == http.StatusNoContent {
		return r.wrong(a.status, "the answer is empty", true)
	}
	err := json.Unmarshal(body, v)
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return r.wrong(a.status, "the answer is JSON of an unexpected shape", false)
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok && syntax.Offset >= int64(len(body)) && (body[0] == '{' || body[0] == '[') {
		return r.wrong(a.status, "the answer is cut off", true)
	}
	return r.wrong(a.status, "the answer is not JSON", true)
}
