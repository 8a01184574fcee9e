package amplitudefake

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// flagDetail is what flags and experiments keep besides owner and deployments.
type flagDetail struct {
	description string
	enabled     bool
	evaluation  string
	bucketing   string
	rollout     float64
	tags        []string
	version     int
}

// version is one saved state of a flag or experiment.
type version struct {
	at    time.Time
	by    string // opaque
	of    string
	kind  string
	count int
}

// gateExperiment lets a valid management key pass, 100 times a second and
// 100,000 times a day for each project.
func (f *Fake) gateExperiment(c *call) bool {
	key := f.validKey(c.bearer(), KindManagementKey)
	if key == nil {
		c.fail(http.StatusUnauthorized, "", "invalid or revoked management key")
		return false
	}
	c.project = f.projectByID(key.Project)
	if wait, ok := c.project.perDay.take(c.at); !ok {
		return f.throttle(c, wait)
	}
	wait, ok := c.project.perSecond.take(c.at)
	return ok || f.throttle(c, wait)
}

func (f *Fake) handleExperiment(c *call) {
	if len(c.path) == 0 {
		c.notFound()
		return
	}
	kind, list := KindFlag, "flags"
	if c.path[0] == "experiments" {
		kind, list = KindExperiment, "experiments"
	}
	switch {
	case c.is(http.MethodGet, list):
		f.listFlags(c, kind, list)
	case c.matches(list, "*"):
		f.oneFlag(c, kind)
	case c.matches(list, "*", "deployments"), c.matches(list, "*", "deployments", "*"):
		f.flagDeployments(c, kind)
	case c.is(http.MethodGet, "deployments"):
		f.listDeployments(c)
	case c.is(http.MethodPost, "deployments"):
		f.createDeployment(c)
	case c.is(http.MethodPatch, "deployments", "*"):
		f.editDeployment(c)
	case c.is(http.MethodGet, "versions"):
		f.listVersions(c)
	default:
		c.notFound()
	}
}

// offset reads limit and cursor; here a cursor is the number of items before.
func (c *call) offset() (start, limit int, ok bool) {
	start, ok1 := c.number("cursor", 0)
	limit, ok2 := c.number("limit", 1000)
	if !ok1 || !ok2 || start < 0 || limit < 1 {
		c.fail(http.StatusBadRequest, "", "limit or cursor is not valid")
		return 0, 0, false
	}
	return start, min(limit, 1000), true
}

// slice cuts one page of n items and says where the next one begins, 0: none.
func slice(n, start, limit int) (from, to, next int) {
	from = min(start, n)
	to = min(from+limit, n)
	if to < n {
		next = to
	}
	return from, to, next
}

func (a *asset) renderFlag(detail bool) object {
	d := a.flag
	out := object{
		"id": a.ID, "projectId": strconv.Itoa(a.Project), "deployments": append([]string{}, a.Deployments...), "key": a.Key,
		"name": a.Name, "description": d.description, "enabled": d.enabled, "evaluationMode": d.evaluation,
		"bucketingKey": d.bucketing, "bucketingSalt": "salt" + a.ID, "bucketingUnit": "User",
		"variants": []object{{"key": "on"}}, "rolloutPercentage": d.rollout, "rolloutWeights": object{"on": 1},
		"targetSegments": []any{}, "parentDependencies": nil, "lastModifiedBy": a.modifiedBy,
		"createdAt": a.created.UTC().Format(time.RFC3339), "lastModifiedAt": a.modified.UTC().Format(time.RFC3339),
	}
	if !detail || a.Kind == KindExperiment { // the detail of a flag leaves its creator out
		out["createdBy"] = a.CreatedBy
	}
	if detail {
		out["deleted"], out["tags"] = a.Archived, append([]string{}, d.tags...)
	}
	if a.Kind == KindExperiment {
		out["state"], out["startDate"], out["endDate"], out["experimentType"] = "running", nil, nil, "a-b-test"
		out["decision"], out["decisionReason"], out["rolledOutVariant"], out["stickyBucketing"] = nil, nil, nil, false
	}
	return out
}

func (f *Fake) listFlags(c *call, kind, list string) {
	start, limit, ok := c.offset()
	if !ok {
		return
	}
	if p := c.query.Get("projectId"); p != "" && p != strconv.Itoa(c.project.id) {
		c.fail(http.StatusForbidden, "", "the key does not reach this project")
		return
	}
	shown := []*asset{}
	for _, a := range slices.Backward(c.project.shelf(kind).order) { // newest first
		if (!a.Archived || c.query.Get("includeArchived") == "true") && (c.query.Get("key") == "" || c.query.Get("key") == a.Key) {
			shown = append(shown, a)
		}
	}
	from, to, next := slice(len(shown), start, limit)
	items := []any{}
	for _, a := range shown[from:to] {
		items = append(items, a.renderFlag(false))
	}
	out := object{}
	if next > 0 {
		if kind == KindExperiment && f.knobIs(SwitchNextCursor, "on") {
			items = append(items, object{"nextCursor": next})
		} else {
			out["nextCursor"] = next
		}
	}
	out[list] = items
	c.reply(http.StatusOK, out)
}

func (f *Fake) oneFlag(c *call, kind string) {
	a := c.project.shelf(kind).byID[c.path[1]]
	switch {
	case a == nil:
		c.notFound()
	case c.r.Method == http.MethodGet:
		c.reply(http.StatusOK, a.renderFlag(true))
	case c.r.Method == http.MethodPatch:
		f.editFlag(c, a)
	default:
		c.fail(http.StatusMethodNotAllowed, "", "method not allowed")
	}
}

// editFlag changes what the API lets be changed. Owners and creators are not
// among it: such fields are refused.
func (f *Fake) editFlag(c *call, a *asset) {
	if a.Web {
		c.fail(http.StatusMethodNotAllowed, "", "this one can be edited in the app only")
		return
	}
	var in map[string]json.RawMessage
	if !c.json(&in) {
		return
	}
	next, archived, name := *a.flag, a.Archived, a.Name
	next.tags = slices.Clone(next.tags) // decoding must not write into the tags in force
	fields := map[string]any{
		"name": &name, "description": &next.description, "enabled": &next.enabled, "archive": &archived,
		"evaluationMode": &next.evaluation, "bucketingKey": &next.bucketing, "rolloutPercentage": &next.rollout, "tags": &next.tags,
		"bucketingSalt": new(any), "bucketingUnit": new(any), "targetSegments": new(any),
	}
	if a.Kind == KindExperiment {
		for _, more := range []string{"startDate", "endDate", "experimentType", "decision", "decisionReason", "rolledOutVariant", "stickyBucketing", "state"} {
			fields[more] = new(any)
		}
	}
	for field, raw := range in {
		into := fields[field]
		if into == nil || json.Unmarshal(raw, into) != nil {
			c.fail(http.StatusBadRequest, "", "a field cannot be changed")
			return
		}
	}
	if !c.drop && len(in) > 0 {
		*a.flag, a.Archived, a.Name = next, archived, name
		f.saved(a)
		c.did(a.Kind+" changed", a.ID)
	}
	c.send(http.StatusOK, "text/plain; charset=utf-8", []byte("OK"))
}

// saved records a new version of a flag or experiment, made by a key.
func (f *Fake) saved(a *asset) {
	a.flag.version++
	a.modified, a.modifiedBy = f.now(), "api"
	p := f.projectByID(a.Project)
	p.versions = append(p.versions, version{at: f.now(), by: "0", of: a.ID, kind: a.Kind, count: a.flag.version})
}

func (f *Fake) listVersions(c *call) {
	start, limit, ok := c.offset()
	if !ok {
		return
	}
	since, err1 := versionTime(c.query.Get("start"), time.Time{})
	until, err2 := versionTime(c.query.Get("end"), c.at)
	if err1 != nil || err2 != nil {
		c.fail(http.StatusBadRequest, "", "start or end is not a date")
		return
	}
	shown := []object{}
	for _, v := range slices.Backward(c.project.versions) {
		if !v.at.Before(since) && !v.at.After(until) {
			shown = append(shown, object{
				"createdAt": v.at.UTC().Format(time.RFC3339), "createdBy": v.by, "version": v.count,
				"flagConfig": object{"id": v.of, "type": v.kind},
			})
		}
	}
	from, to, next := slice(len(shown), start, limit)
	out := object{"versions": shown[from:to]}
	if next > 0 {
		out["nextCursor"] = next
	}
	c.reply(http.StatusOK, out)
}

func versionTime(text string, absent time.Time) (time.Time, error) {
	if text == "" {
		return absent, nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, text)
}
