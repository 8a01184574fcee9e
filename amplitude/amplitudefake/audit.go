package amplitudefake

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// auditEntry is one line of the audit log, kept in the order of at.
type auditEntry struct {
	at                      time.Time
	domain, feature, action string
	user, target            string
	appID                   int
	from, to                string // of a bulk transfer
}

func (f *Fake) audited(e auditEntry) {
	e.at = f.now()
	f.audit = append(f.audit, e)
}

func (e auditEntry) render(org int) object {
	properties := object{}
	if e.from != "" {
		properties = object{"from": e.from, "to": e.to}
	}
	var app any
	if e.appID != 0 {
		app = e.appID
	}
	return object{
		"timestamp": e.at.UTC().Format(time.RFC3339Nano), "domain": e.domain, "feature": e.feature, "action": e.action,
		"target": e.target, "user": e.user, "org_id": org, "app_id": app, "ip_address": "192.0.2.10", "user_agent": "Mozilla/5.0",
		"event_properties": properties, "error": nil,
	}
}

func (f *Fake) gateAudit(c *call) bool {
	user, pass, _ := c.r.BasicAuth()
	if user != f.orgKey || pass != f.orgPass {
		c.fail(http.StatusUnauthorized, "", "invalid organization credentials")
		return false
	}
	wait, ok := f.auditRate.take(c.at)
	return ok || f.throttle(c, wait)
}

const (
	auditRetention = 90 * 24 * time.Hour
	auditRange     = 30 * 24 * time.Hour
	auditMost      = 1000
)

func (f *Fake) handleAudit(c *call) {
	if !c.is(http.MethodPost, "*") {
		c.notFound()
		return
	}
	if c.path[0] != strconv.Itoa(f.opts.OrgID) {
		c.fail(http.StatusForbidden, "", "the organization is not that of these credentials")
		return
	}
	var in struct {
		Start      time.Time         `json:"start_date"`
		End        time.Time         `json:"end_date"`
		Filters    map[string]string `json:"filters"`
		Pagination struct {
			Limit  int    `json:"limit"`
			Cursor string `json:"cursor"`
		} `json:"pagination"`
	}
	if !c.json(&in) {
		return
	}
	switch {
	case in.Start.IsZero() || in.End.IsZero() || in.End.Before(in.Start):
		c.fail(http.StatusBadRequest, "", "start_date and end_date are required, in that order")
		return
	case in.End.Sub(in.Start) > auditRange:
		c.fail(http.StatusBadRequest, "", "the range is longer than 30 days")
		return
	case in.Start.Before(c.at.Add(-auditRetention)):
		c.fail(http.StatusBadRequest, "", "start_date is older than 90 days")
		return
	case in.Pagination.Limit < 0:
		c.fail(http.StatusBadRequest, "", "limit is not valid")
		return
	}
	limit := min(cmp.Or(in.Pagination.Limit, 100), auditMost)
	byCursor := f.knobIs(SwitchAuditMode, "cursor")
	from := f.firstAudit(in.Start)
	if in.Pagination.Cursor != "" && byCursor {
		at, ok := auditPosition(in.Pagination.Cursor)
		if !ok {
			c.fail(http.StatusBadRequest, "", "cursor is not valid")
			return
		}
		from = max(from, at)
	}
	shown := c.at.Add(-f.knobSpan(SwitchAuditLag))
	events, next := []object{}, any(nil)
	for i := from; i < len(f.audit); i++ {
		e := f.audit[i]
		if e.at.After(in.End) || e.at.After(shown) {
			break
		}
		if !e.passes(in.Filters) {
			continue
		}
		if len(events) == limit {
			next = base64.RawURLEncoding.EncodeToString([]byte("a" + strconv.Itoa(i)))
			break
		}
		events = append(events, e.render(f.opts.OrgID))
	}
	page := object{"limit": limit}
	if byCursor {
		page["next_cursor"] = next
	}
	c.reply(http.StatusOK, object{"events": events, "pagination": page})
}

func auditPosition(cursor string) (int, bool) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < 2 || b[0] != 'a' {
		return 0, false
	}
	at, err := strconv.Atoi(string(b[1:]))
	return at, err == nil && at >= 0
}

// passes knows domain, feature and action; any other filter is ignored, so
// asking for one user's entries answers everybody's.
func (e auditEntry) passes(filters map[string]string) bool {
	same := func(name, have string) bool { return filters[name] == "" || filters[name] == have }
	return same("domain", e.domain) && same("feature", e.feature) && same("action", e.action)
}

func (f *Fake) firstAudit(t time.Time) int {
	at, _ := slices.BinarySearchFunc(f.audit, t, func(e auditEntry, t time.Time) int { return e.at.Compare(t) })
	return at
}
