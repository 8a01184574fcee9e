package amplitudefake

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// destinationDetail is what a destination keeps. Its credentials go in and
// never come out.
type destinationDetail struct {
	partner, status string
	version         int
	enabled, paused bool
	config          map[string]any
	secrets         map[string]string
}

// replay is the answer to an Idempotency-Key, given again to the same key.
type replay struct {
	request string
	status  int
	value   any
}

const developerListCap = 10_000

// gateDeveloper takes personal access tokens. One whose person has been removed
// works for up to a minute more.
func (f *Fake) gateDeveloper(c *call) bool {
	token, isPAT := strings.CutPrefix(c.bearer(), "PAT=")
	key := f.validKey(token, KindPersonalToken)
	if !isPAT || key == nil {
		c.fail(http.StatusUnauthorized, "unauthorized", "the token is not valid")
		return false
	}
	if scope := c.scopeNeeded(); key.Type != "" && scope != "" && !slices.Contains(strings.Fields(key.Type), scope) {
		c.fail(http.StatusForbidden, "insufficient_scope", "the token lacks "+scope)
		return false
	}
	return true
}

// scopeNeeded is the scope that the route asks for, "" for none.
func (c *call) scopeNeeded() string {
	if len(c.path) < 3 {
		if len(c.path) > 0 && c.path[0] == "projects" {
			return "projects:read"
		}
		return ""
	}
	area := map[string]string{"charts": "analytics", "flags": "flags", "destinations": "destinations", "events": "taxonomy"}[c.path[2]]
	if area == "" {
		return ""
	}
	if c.r.Method == http.MethodGet {
		return area + ":read"
	}
	return area + ":write"
}

func (f *Fake) handleDeveloper(c *call) {
	if c.is(http.MethodGet, "context") {
		f.developerContext(c)
		return
	}
	if c.is(http.MethodGet, "projects") {
		items := []object{}
		for _, p := range f.projects {
			items = append(items, object{
				"id": strconv.Itoa(p.id), "name": p.name, "description": "", "created_at": p.created.UTC().Format(time.RFC3339),
				"updated_at": p.created.UTC().Format(time.RFC3339),
			})
		}
		f.developerPage(c, len(items), func(i int) object { return items[i] })
		return
	}
	if len(c.path) < 3 || c.path[0] != "projects" {
		c.fail(http.StatusNotFound, "not_found", "no such resource")
		return
	}
	id, _ := strconv.Atoi(c.path[1])
	if c.project = f.projectByID(id); c.project == nil {
		c.fail(http.StatusNotFound, "not_found", "no such project")
		return
	}
	c.path = c.path[2:]
	switch c.path[0] {
	case "charts":
		f.developerCharts(c)
	case "flags":
		f.developerFlags(c)
	case "destinations":
		f.developerDestinations(c)
	case "events":
		f.developerEvents(c)
	default:
		c.fail(http.StatusNotFound, "not_found", "no such resource")
	}
}

func (f *Fake) developerContext(c *call) {
	key := f.validKey(strings.TrimPrefix(c.bearer(), "PAT="), KindPersonalToken)
	scopes := strings.Fields(key.Type)
	if len(scopes) == 0 {
		scopes = []string{
			"projects:read", "taxonomy:read", "taxonomy:write", "flags:read", "flags:write", "analytics:read", "destinations:read", "destinations:write",
		}
	}
	c.reply(http.StatusOK, object{"data": object{
		"organization": object{"id": strconv.Itoa(f.opts.OrgID)},
		"principal":    object{"auth_type": "pat", "scopes": scopes, "email": nullable(key.CreatedBy)},
	}})
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// developerPage answers one page of n items. No list goes past 10,000.
func (f *Fake) developerPage(c *call, n int, item func(i int) object) {
	after, limit, ok := c.page()
	if !ok {
		return
	}
	if f.knobIs(SwitchTruncateDev, "small") {
		limit = min(limit, 10)
	}
	if after >= developerListCap {
		c.fail(http.StatusBadRequest, "pagination_not_supported", "lists end at 10,000 items")
		return
	}
	from, to, next := slice(min(n, developerListCap), max(int(after), 0), limit)
	items := []object{}
	for i := from; i < to; i++ {
		items = append(items, item(i))
	}
	page := object{"next_cursor": nil, "has_more": next > 0}
	if next > 0 {
		page["next_cursor"] = cursorFor(int64(next))
	}
	c.reply(http.StatusOK, object{"data": items, "pagination": page})
}

func (a *asset) renderChart() object {
	by := nullable(a.CreatedBy)
	if a.OwnerText != "" {
		by = a.OwnerText
	}
	kind := a.Type
	if kind == "" {
		kind = "segmentation"
	}
	return object{
		"id": a.ID, "name": a.Name, "chart_type": kind, "created_by": by, "archived": a.Archived,
		"created_at": a.created.UTC().Format(time.RFC3339), "updated_at": a.modified.UTC().Format(time.RFC3339),
		"url": "https://app.amplitude.com/analytics/chart/" + a.ID,
	}
}

func (f *Fake) developerCharts(c *call) {
	switch {
	case c.is(http.MethodGet, "charts"):
		shown := []*asset{}
		q := strings.ToLower(c.query.Get("q"))
		for _, a := range c.project.shelf(KindChart).order {
			if strings.Contains(strings.ToLower(a.Name), q) && (c.query.Get("chart_type") == "" || c.query.Get("chart_type") == a.Type) {
				shown = append(shown, a)
			}
		}
		f.developerPage(c, len(shown), func(i int) object { return shown[i].renderChart() })
	case c.is(http.MethodGet, "charts", "*") && c.project.shelf(KindChart).byID[c.path[1]] != nil:
		out := c.project.shelf(KindChart).byID[c.path[1]].renderChart()
		if c.query.Get("include_definition") == "true" {
			out["definition"] = object{}
		}
		c.reply(http.StatusOK, object{"data": out})
	case c.r.Method != http.MethodGet:
		c.fail(http.StatusMethodNotAllowed, "operation_not_enabled", "charts are read-only")
	default:
		c.fail(http.StatusNotFound, "not_found", "no such chart")
	}
}

func (f *Fake) developerEvents(c *call) {
	if !c.is(http.MethodGet, "events") {
		c.fail(http.StatusNotFound, "not_found", "no such resource")
		return
	}
	shown := []*asset{}
	for _, a := range c.project.shelf(KindEvent).order {
		if !a.event.deleted && !a.event.unplanned {
			shown = append(shown, a)
		}
	}
	f.developerPage(c, len(shown), func(i int) object {
		e := shown[i].event
		return object{"name": shown[i].ID, "display_name": e.displayName, "description": e.description, "is_active": e.active}
	})
}

func (a *asset) renderDeveloperFlag() object {
	d := a.flag
	return object{
		"id": a.ID, "key": a.Key, "name": a.Name, "description": d.description, "enabled": d.enabled, "evaluation_mode": d.evaluation,
		"bucketing_key": d.bucketing, "rollout_percentage": d.rollout, "tags": append([]string{}, d.tags...),
		"owners": append([]string{}, a.Owners...), "created_by": nullable(a.CreatedBy), "last_modified_by": nullable(a.modifiedBy),
		"version": d.version, "archived": a.Archived, "deployments": append([]string{}, a.Deployments...),
	}
}

func (f *Fake) developerFlags(c *call) {
	shelf := c.project.shelf(KindFlag)
	if c.is(http.MethodGet, "flags") {
		f.developerPage(c, len(shelf.order), func(i int) object { return shelf.order[i].renderDeveloperFlag() })
		return
	}
	var a *asset
	if len(c.path) == 2 {
		a = shelf.byID[c.path[1]]
	}
	switch {
	case a == nil:
		c.fail(http.StatusNotFound, "not_found", "no such flag")
	case c.r.Method == http.MethodGet:
		c.reply(http.StatusOK, object{"data": a.renderDeveloperFlag()})
	case c.r.Method != http.MethodPatch && c.r.Method != http.MethodDelete:
		c.fail(http.StatusMethodNotAllowed, "method_not_allowed", "method not allowed")
	default:
		f.idempotent(c, func() { f.writeDeveloperFlag(c, a) })
	}
}

// idempotent runs write once for each Idempotency-Key and repeats its answer.
func (f *Fake) idempotent(c *call, write func()) {
	key := c.r.Header.Get("Idempotency-Key")
	if len(key) < 8 || len(key) > 255 {
		c.fail(http.StatusBadRequest, "idempotency_key_required", "an Idempotency-Key of 8 to 255 characters is required")
		return
	}
	request := c.r.Method + " " + c.r.URL.Path + "\n" + string(c.body)
	if old, ok := f.replays[key]; ok {
		if old.request != request {
			c.fail(http.StatusConflict, "idempotency_key_reused", "the key was used for another request")
			return
		}
		if old.value == nil {
			c.none(old.status)
			return
		}
		c.reply(old.status, old.value)
		return
	}
	if write(); c.status < 300 && !c.drop {
		f.replays[key] = replay{request, c.status, c.value}
	}
}

func (f *Fake) writeDeveloperFlag(c *call, a *asset) {
	if c.r.Method == http.MethodDelete {
		if !c.drop && c.query.Get("dry_run") != "true" && !a.Archived {
			a.Archived = true
			f.saved(a)
			c.did("flag archived", a.ID)
		}
		c.none(http.StatusNoContent)
		return
	}
	var in map[string]json.RawMessage
	if !c.json(&in) {
		return
	}
	next, name := *a.flag, a.Name
	next.tags = slices.Clone(next.tags) // decoding must not write into the tags in force
	fields := map[string]any{
		"name": &name, "description": &next.description, "enabled": &next.enabled, "evaluation_mode": &next.evaluation,
		"bucketing_key": &next.bucketing, "rollout_percentage": &next.rollout, "tags": &next.tags,
	}
	for field, raw := range in {
		if into := fields[field]; into == nil || json.Unmarshal(raw, into) != nil {
			c.fail(http.StatusBadRequest, "validation_error", "the property "+strconv.Quote(field)+" cannot be changed")
			return
		}
	}
	if !c.drop && len(in) > 0 {
		*a.flag, a.Name = next, name
		f.saved(a)
		c.did("flag changed", a.ID)
	}
	c.reply(http.StatusOK, object{"data": a.renderDeveloperFlag()})
}

func (a *asset) renderDestination() object {
	d := a.dest
	return object{
		"id": a.ID, "partner": d.partner, "display_name": a.Name, "kind": []string{"event"}, "config": maps.Clone(d.config),
		"credential_status": d.status, "version": strconv.Itoa(d.version), "enabled": d.enabled, "paused": d.paused,
		"created_by": nullable(a.CreatedBy), "updated_by": nullable(a.modifiedBy),
	}
}

func (f *Fake) developerDestinations(c *call) {
	shelf := c.project.shelf(KindDestination)
	if c.is(http.MethodGet, "destinations") {
		f.developerPage(c, len(shelf.order), func(i int) object { return shelf.order[i].renderDestination() })
		return
	}
	var a *asset
	if len(c.path) > 1 {
		a = shelf.byID[c.path[1]]
	}
	switch {
	case a == nil:
		c.fail(http.StatusNotFound, "not_found", "no such destination")
	case c.is(http.MethodGet, "destinations", "*"):
		c.header.Set("ETag", strconv.Itoa(a.dest.version))
		c.reply(http.StatusOK, object{"data": a.renderDestination()})
	case c.is(http.MethodPost, "destinations", "*", "test"):
		c.reply(http.StatusOK, object{"data": object{"ok": a.dest.status == "connected", "detail": a.dest.status}})
	case c.is(http.MethodPatch, "destinations", "*"):
		f.patchDestination(c, a)
	default:
		c.fail(http.StatusMethodNotAllowed, "method_not_allowed", "method not allowed")
	}
}

// patchDestination wants the version it changes. A new credential connects the
// destination again; what was sent as a secret is never shown.
func (f *Fake) patchDestination(c *call, a *asset) {
	if strings.Trim(c.r.Header.Get("If-Match"), `"`) != strconv.Itoa(a.dest.version) {
		c.fail(http.StatusPreconditionFailed, "version_mismatch", "If-Match is not the present version")
		return
	}
	var in struct {
		Config  map[string]any `json:"config"`
		Enabled *bool          `json:"enabled"`
		Paused  *bool          `json:"paused"`
	}
	if !c.json(&in) {
		return
	}
	next := *a.dest
	next.config, next.secrets = maps.Clone(next.config), maps.Clone(next.secrets)
	if next.secrets == nil {
		next.secrets = map[string]string{}
	}
	for k, v := range in.Config {
		if text, isText := v.(string); isText && isSecretName(k) {
			next.secrets[k], next.status = text, "connected"
			continue
		}
		next.config[k] = v
	}
	if in.Enabled != nil {
		next.enabled = *in.Enabled
	}
	if in.Paused != nil {
		next.paused = *in.Paused
	}
	next.version++
	if !c.drop && c.query.Get("dry_run") != "true" {
		*a.dest = next
		a.modified, a.modifiedBy = c.at, "api"
		c.did("destination changed", a.ID)
	}
	c.reply(http.StatusOK, object{"data": a.renderDestination()})
}

func isSecretName(field string) bool {
	field = strings.ToLower(field)
	return slices.ContainsFunc([]string{"key", "secret", "password", "token", "credential"}, func(w string) bool {
		return strings.Contains(field, w)
	})
}
