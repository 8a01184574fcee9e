package amplitudefake

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// eventDetail is what the tracking plan keeps of an event besides its owner.
type eventDetail struct {
	category, description, displayName string
	tags                               []string
	active, deleted, hidden            bool // hidden: its visibility is not "Visible"
	unplanned                          bool // ingested, but not in the plan
	flags                              map[string]bool
}

func visibilityFlags() []string {
	return []string{
		"is_hidden_from_dropdowns", "is_hidden_from_persona_results", "is_hidden_from_pathfinder", "is_hidden_from_timeline",
	}
}

// addDetail fills in what only some kinds have.
func (f *Fake) addDetail(a *asset) {
	switch a.Kind {
	case KindEvent:
		a.event = &eventDetail{displayName: a.Name, active: true, hidden: a.Unlisted, flags: map[string]bool{}}
	case KindFlag, KindExperiment:
		a.flag = &flagDetail{enabled: true, evaluation: "remote", bucketing: "amplitude_id", rollout: 100, version: 1}
	case KindDestination:
		a.dest = &destinationDetail{partner: "segment", status: "connected", version: 1, enabled: true, config: map[string]any{"region": "us"}}
	}
}

func taxonomyFail(c *call, status int, _, detail string) {
	c.reply(status, object{"success": false, "errors": []object{{"message": detail}}})
}

// gateTaxonomy charges a read 1 and a write 2 of 7200 an hour.
func (f *Fake) gateTaxonomy(c *call) bool {
	if !f.gateProjectKeys(c) {
		return false
	}
	cost := 1
	if c.r.Method != http.MethodGet {
		cost = 2
	}
	for range cost {
		if wait, ok := c.project.taxonomyCost.take(c.at); !ok {
			return f.throttle(c, wait)
		}
	}
	return true
}

func (f *Fake) handleTaxonomy(c *call) {
	switch {
	case c.is(http.MethodGet, "event"):
		f.listEvents(c)
	case c.is(http.MethodPost, "event"):
		f.createEvent(c)
	case c.matches("event", "*"):
		f.oneEvent(c)
	case c.is(http.MethodGet, "category"):
		f.listCategories(c)
	case c.is(http.MethodGet, "event-property"), c.is(http.MethodGet, "user-property"), c.is(http.MethodGet, "group-property"):
		c.reply(http.StatusOK, object{"success": true, "data": []any{}}) // none of them has an owner
	default:
		c.fail(http.StatusNotFound, "", "Not found")
	}
}

func (a *asset) renderEvent() object {
	e := a.event
	out := object{
		"event_type": a.ID, "category": nil, "description": e.description, "display_name": e.displayName, "is_active": e.active,
		"tags": append([]string{}, e.tags...), "owner": nil,
	}
	if e.category != "" {
		out["category"] = object{"name": e.category}
	}
	for _, flag := range visibilityFlags() {
		out[flag] = e.flags[flag]
	}
	if a.OwnerText != "" {
		out["owner"] = a.OwnerText
	} else if len(a.Owners) > 0 {
		out["owner"] = a.Owners[0]
	}
	return out
}

func (f *Fake) listEvents(c *call) {
	data := []object{}
	for _, a := range c.project.shelf(KindEvent).order {
		if a.event.hidden || a.event.unplanned || (a.event.deleted && c.query.Get("showDeleted") != "true") {
			continue
		}
		data = append(data, a.renderEvent())
	}
	f.weigh(c, len(data))
	c.reply(http.StatusOK, object{"success": true, "data": data})
}

func (f *Fake) listCategories(c *call) {
	seen, data := map[string]bool{}, []object{}
	for _, a := range c.project.shelf(KindEvent).order {
		if name := a.event.category; name != "" && !seen[name] {
			seen[name] = true
			data = append(data, object{"id": len(data) + 1, "name": name})
		}
	}
	c.reply(http.StatusOK, object{"success": true, "data": data})
}

// form reads an URL-encoded body; anything else is answered with 400.
func (c *call) form() (url.Values, bool) {
	values, err := url.ParseQuery(string(c.body))
	if err != nil || !strings.HasPrefix(c.r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		c.fail(http.StatusBadRequest, "", "the body must be application/x-www-form-urlencoded")
		return nil, false
	}
	return values, true
}

func (f *Fake) createEvent(c *call) {
	values, ok := c.form()
	if !ok {
		return
	}
	name := values.Get("event_type")
	switch {
	case name == "":
		c.fail(http.StatusBadRequest, "", "event_type is required")
		return
	case f.knobIs(SwitchReview, "required"):
		c.fail(http.StatusConflict, "", "changes to this project's plan need a review")
		return
	}
	if a := c.project.shelf(KindEvent).byID[name]; a != nil && !a.event.unplanned {
		c.fail(http.StatusConflict, "", "the event type exists already")
		return
	}
	if !f.ownerAllowed(values) {
		c.fail(http.StatusConflict, "", "owner is not a member of the organization")
		return
	}
	if !c.drop {
		a := c.project.shelf(KindEvent).byID[name]
		if a == nil {
			a = f.place(c.project, Asset{Kind: KindEvent, ID: name, Name: name})
		}
		a.event.unplanned = false
		c.did("event created", name)
		f.applyEvent(a, values)
	}
	c.reply(http.StatusOK, object{"success": true})
}

// ownerAllowed wants an owner to be the e-mail of somebody who has joined, or
// empty to clear it.
func (f *Fake) ownerAllowed(values url.Values) bool {
	owner := values.Get("owner")
	m := f.members[keyOf(owner)]
	return owner == "" || (m != nil && !m.pending)
}

func (f *Fake) oneEvent(c *call) {
	name := c.path[1]
	a := c.project.shelf(KindEvent).byID[name]
	switch c.r.Method {
	case http.MethodGet:
		if a == nil || a.event.unplanned || a.event.deleted {
			c.fail(http.StatusBadRequest, "", "Not found") // not 404
			return
		}
		c.reply(http.StatusOK, object{"success": true, "data": a.renderEvent()})
		return
	case http.MethodPut, http.MethodDelete:
	default:
		c.fail(http.StatusMethodNotAllowed, "", "method not allowed")
		return
	}
	values := url.Values{}
	if c.r.Method == http.MethodPut {
		sent, ok := c.form()
		if !ok {
			return
		}
		values = sent
	}
	rename := values.Get("new_event_type")
	switch {
	case a == nil || a.event.unplanned || a.event.deleted:
		c.fail(http.StatusConflict, "", "the event type is not in the schema")
	case f.knobIs(SwitchReview, "required"):
		c.fail(http.StatusConflict, "", "changes to this project's plan need a review")
	case !f.ownerAllowed(values):
		c.fail(http.StatusConflict, "", "owner is not a member of the organization")
	case rename != "" && rename != name && c.project.shelf(KindEvent).byID[rename] != nil:
		c.fail(http.StatusConflict, "", "the event type exists already")
	case c.drop:
		c.reply(http.StatusOK, object{"success": true})
	case c.r.Method == http.MethodDelete:
		a.event.deleted, a.Archived = true, true
		f.own(a, nil)
		c.did("event deleted", name)
		c.reply(http.StatusOK, object{"success": true})
	default:
		owner, other := f.applyEvent(a, values)
		if owner {
			c.did("event owner changed", name)
		}
		if other {
			c.did("event changed", name)
		}
		c.reply(http.StatusOK, object{"success": true})
	}
}

// applyEvent sets the fields that the form names, and reports which kinds of
// fields are different now.
func (f *Fake) applyEvent(a *asset, values url.Values) (owner, other bool) {
	e := a.event
	if values.Has("owner") {
		was := a.renderEvent()["owner"]
		if to := values.Get("owner"); to == "" {
			f.own(a, nil)
			a.Unassigned = false
		} else {
			f.own(a, []string{to})
		}
		a.OwnerText = ""
		owner = was != a.renderEvent()["owner"]
	}
	set := func(field *string, name string) {
		if values.Has(name) && *field != values.Get(name) {
			*field, other = values.Get(name), true
		}
	}
	set(&e.category, "category")
	set(&e.description, "description")
	set(&e.displayName, "display_name")
	if values.Has("is_active") && e.active != (values.Get("is_active") == "true") {
		e.active, other = !e.active, true
	}
	if values.Has("tags") {
		tags := strings.FieldsFunc(values.Get("tags"), func(r rune) bool { return r == ',' })
		if !slices.Equal(tags, e.tags) {
			e.tags, other = tags, true
		}
	}
	for _, flag := range visibilityFlags() {
		if on := values.Get(flag) == "true"; values.Has(flag) && e.flags[flag] != on {
			e.flags[flag], other = on, true
		}
	}
	if to := values.Get("new_event_type"); to != "" && to != a.ID {
		s := f.projectByID(a.Project).shelf(KindEvent)
		delete(s.byID, a.ID)
		a.ID, a.Name, other = to, to, true
		s.byID[to] = a
	}
	if owner || other {
		a.modified = f.now()
	}
	return owner, other
}
