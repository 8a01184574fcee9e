package amplitude

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// AuditFilter narrows the audit log. Empty fields match everything. There is
// no filter by person: choose among the entries.
type AuditFilter struct {
	Domain  string
	Feature string
	Action  string
}

// AuditEntry is one entry of the audit log.
type AuditEntry struct {
	At      time.Time // UTC; zero where it could not be read
	Domain  string
	Feature string
	Action  string
	Target  string
	User    string          // an address, or the name of what acted
	Raw     json.RawMessage // as it came: the evidence
}

// AuditLog reads the entries from from to to, both included, whatever time zone
// these are in. Amplitude answers at most 30 days at once and keeps 90: longer
// ranges are read in parts, one that begins before its retention ends with
// ErrRetention and nothing else. Entries come part by part, oldest part first,
// in the order of the API within one. An entry can be written late, so the last
// minutes may be incomplete.
//
// Some answers are cut off without saying where they go on; then the time is
// halved until the parts are small enough, or ErrAuditTruncated is due.
func (c *Client) AuditLog(ctx context.Context, from, to time.Time, f AuditFilter) iter.Seq2[AuditEntry, error] {
	const op = "read audit log"
	return func(yield func(AuditEntry, error) bool) {
		from, to := from.UTC().Truncate(time.Second), to.UTC()
		if up := to.Truncate(time.Second); up.Before(to) {
			to = up.Add(time.Second)
		}
		var err error
		switch {
		case c.orgAuth == "" || c.at.Audit == "":
			err = notConfigured(apiAudit, op, "the organization's id, key and secret, or the audit endpoint,")
		case to.Before(from):
			err = invalid(apiAudit, op, "the range ends before it begins")
		case from.Before(c.now().UTC().Add(-auditRetention)):
			err = fmt.Errorf("amplitude %s: %s: %w", apiAudit, op, ErrRetention)
		}
		if err != nil {
			yield(AuditEntry{}, err)
			return
		}
		a := auditReader{c: c, op: op, filter: f, yield: yield}
		for start := from; ; {
			end := start.Add(auditRange)
			if !end.Before(to) {
				a.read(ctx, auditWindow{start, to, true})
				return
			}
			if !a.read(ctx, auditWindow{start, end, false}) {
				return
			}
			start = end
		}
	}
}

// auditWindow is a time from start to end; end belongs to it only in the last
// one, so that no entry is told twice.
type auditWindow struct {
	start, end time.Time
	last       bool
}

func (w auditWindow) holds(at time.Time) bool {
	return at.IsZero() || !at.Before(w.start) && (at.Before(w.end) || w.last && at.Equal(w.end))
}

type auditReader struct {
	c      *Client
	op     string
	filter AuditFilter
	yield  func(AuditEntry, error) bool
}

// read yields the entries of one window; false ends the whole.
func (a *auditReader) read(ctx context.Context, w auditWindow) bool {
	seen := map[string]struct{}{}
	for cursor := ""; ; {
		p, err := a.page(ctx, w, cursor)
		if err != nil {
			a.yield(AuditEntry{}, err)
			return false
		}
		cutOff := p.next == "" && (p.more || cursor == "" && len(p.entries) >= auditPageSize)
		if cutOff {
			half := w.end.Sub(w.start) / 2
			half = half.Truncate(time.Second)
			if half <= 0 || cursor != "" {
				a.yield(AuditEntry{}, fmt.Errorf("amplitude %s: %s: %w", apiAudit, a.op, ErrAuditTruncated))
				return false
			}
			middle := w.start.Add(half)
			return a.read(ctx, auditWindow{w.start, middle, false}) && a.read(ctx, auditWindow{middle, w.end, w.last})
		}
		for _, e := range p.entries {
			if w.holds(e.At) && a.filter.matches(e) && !a.yield(e, nil) {
				return false
			}
		}
		if p.next == "" {
			return true
		}
		if _, again := seen[p.next]; again || len(seen) >= maxPages {
			a.yield(AuditEntry{}, &Error{
				API: apiAudit.String(), Op: a.op, Status: http.StatusOK, Code: codeWrongAnswer, Detail: "the list does not end",
			})
			return false
		}
		seen[p.next] = struct{}{}
		cursor = p.next
	}
}

type auditPage struct {
	entries []AuditEntry
	next    string
	more    bool
}

// page sends one request. Filters and paging are documented only by example;
// what comes back is read under each of the names it might have.
func (a *auditReader) page(ctx context.Context, w auditWindow, cursor string) (auditPage, error) {
	r := &request{
		api: apiAudit, op: a.op, method: http.MethodPost,
		url:  a.c.at.Audit + "/" + strconv.Itoa(a.c.orgID),
		auth: a.c.orgAuth, list: true, reads: true,
	}
	filters := map[string]string{}
	for name, value := range map[string]string{"domain": a.filter.Domain, "feature": a.filter.Feature, "action": a.filter.Action} {
		if value != "" {
			filters[name] = value
		}
	}
	paging := map[string]any{"limit": auditPageSize}
	if cursor != "" {
		paging["cursor"] = cursor
	}
	ask := map[string]any{
		"start_date": w.start.Format(time.RFC3339),
		"end_date":   w.end.Format(time.RFC3339),
		"pagination": paging,
	}
	if len(filters) > 0 {
		ask["filters"] = filters
	}
	if err := r.sendJSON(ask); err != nil {
		return auditPage{}, err
	}
	var body struct {
		Events     *[]json.RawMessage `json:"events"`
		Data       *[]json.RawMessage `json:"data"`
		Pagination struct {
			NextCursor text `json:"next_cursor"`
			HasMore    flag `json:"has_more"`
		} `json:"pagination"`
	}
	if err := a.c.get(ctx, r, &body); err != nil {
		return auditPage{}, err
	}
	raws := body.Events
	if raws == nil {
		raws = body.Data
	}
	if raws == nil {
		return auditPage{}, r.wrong(http.StatusOK, "the answer holds no entries", false)
	}
	p := auditPage{next: string(body.Pagination.NextCursor), more: bool(body.Pagination.HasMore)}
	for _, raw := range *raws {
		var e struct {
			Timestamp moment `json:"timestamp"`
			Domain    text   `json:"domain"`
			Feature   text   `json:"feature"`
			Action    text   `json:"action"`
			Target    text   `json:"target"`
			User      text   `json:"user"`
		}
		if json.Unmarshal(raw, &e) != nil {
			return auditPage{}, r.wrong(http.StatusOK, "the answer holds an entry of an unexpected shape", false)
		}
		p.entries = append(p.entries, AuditEntry{
			At: e.Timestamp.Time, Domain: string(e.Domain), Feature: string(e.Feature), Action: string(e.Action),
			Target: string(e.Target), User: string(e.User), Raw: raw,
		})
	}
	return p, nil
}

// matches repeats the filter here, in case the server did not apply it.
func (f AuditFilter) matches(e AuditEntry) bool {
	for _, pair := range [][2]string{{f.Domain, e.Domain}, {f.Feature, e.Feature}, {f.Action, e.Action}} {
		if pair[0] != "" && !strings.EqualFold(pair[0], pair[1]) {
			return false
		}
	}
	return true
}
