package amplitudefake

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// metaTime is how Amplitude's examples write the times of a group.
const metaTime = "2006-01-02T15:04:05.000+00:00"

type scimMember struct {
	Value   string `json:"value"`
	Display string `json:"display"`
}

type scimGroup struct {
	Schemas     []string     `json:"schemas"`
	ID          any          `json:"id"` // a number in lists and POST, a string elsewhere
	DisplayName string       `json:"displayName"`
	Members     []scimMember `json:"members"`
	Meta        scimMeta     `json:"meta"`
}

func (g *group) render(id any) scimGroup {
	out := scimGroup{
		Schemas: []string{urnGroup}, ID: id, DisplayName: g.name, Members: make([]scimMember, 0, g.members.len()),
		Meta: scimMeta{"Group", g.created.UTC().Format(metaTime), g.modified.UTC().Format(metaTime)},
	}
	for m := range g.members.all() {
		out.Members = append(out.Members, scimMember{m.email, m.display()})
	}
	return out
}

// weigh slows an answer down in proportion to the members it lists: a thousand
// cost as much again as the usual latency.
func (f *Fake) weigh(c *call, members int) {
	c.pause += f.opts.Latency * time.Duration(members) / 1000
}

func (f *Fake) listGroups(c *call) {
	start, size, ok := c.scimPage()
	if !ok {
		return
	}
	items, weight := []any{}, 0
	if filter := c.query.Get("filter"); filter != "" {
		parts := eqFilter.FindStringSubmatch(filter)
		if parts == nil || parts[3] != "" || !strings.EqualFold(parts[1], "displayName") {
			c.fail(http.StatusBadRequest, "invalidFilter", "the filter is not supported")
			return
		}
		total := 0
		if g := f.groupNamed(parts[2]); g != nil {
			if total = 1; start == 1 {
				items = append(items, g.render(g.id))
			}
		}
		c.reply(http.StatusOK, scimList(start, size, total, items))
		return
	}
	for _, id := range f.groupIDs.page(start-1, size) {
		g := f.groups[id]
		weight += g.members.len()
		items = append(items, g.render(id))
	}
	f.weigh(c, weight)
	c.reply(http.StatusOK, scimList(start, size, f.groupIDs.len(), items))
}

type groupBody struct {
	DisplayName string          `json:"displayName"`
	Members     json.RawMessage `json:"members"`
}

// addresses reads a value array of group members.
func addresses(raw json.RawMessage) (out []string, ok bool) {
	var items []struct {
		Value string `json:"value"`
	}
	if len(raw) == 0 {
		return nil, true
	}
	if json.Unmarshal(raw, &items) != nil {
		return nil, false
	}
	for _, i := range items {
		if !isEmail(i.Value) {
			return nil, false
		}
		out = append(out, i.Value)
	}
	return out, true
}

func (f *Fake) postGroup(c *call) {
	var in groupBody
	if !c.json(&in) {
		return
	}
	emails, ok := addresses(in.Members)
	switch {
	case in.DisplayName == "" || !ok:
		c.fail(http.StatusBadRequest, "invalidValue", "a displayName and members with e-mails are required")
		return
	case f.groupNamed(in.DisplayName) != nil:
		c.fail(http.StatusConflict, "uniqueness", "there is a group of that name")
		return
	}
	if c.drop {
		c.reply(http.StatusOK, scimGroup{
			Schemas: []string{urnGroup}, ID: f.lastGroup + 1, DisplayName: in.DisplayName, Members: claimed(emails),
			Meta: scimMeta{"Group", c.at.UTC().Format(metaTime), c.at.UTC().Format(metaTime)},
		})
		return
	}
	g := f.addGroup(0, in.DisplayName)
	c.did("group created", strconv.Itoa(g.id))
	f.push(c, g, emails)
	f.audited(auditEntry{domain: "group", feature: "group", action: "create", user: "scim", target: g.name})
	c.reply(http.StatusOK, g.render(g.id))
}

func claimed(emails []string) []scimMember {
	out := []scimMember{}
	for _, e := range emails {
		out = append(out, scimMember{e, "undefined undefined"})
	}
	return out
}

// push puts people into a group. Whoever is not in the organization is invited:
// this is how a group push brings a removed person back.
func (f *Fake) push(c *call, g *group, emails []string) {
	for _, e := range emails {
		m := f.members[keyOf(e)]
		if m == nil {
			m = f.invite(e, "group push", "scim")
			c.did("invited member", m.key)
		}
		if f.join(g, m) {
			c.did("joined group", m.key+" to "+strconv.Itoa(g.id))
		}
	}
}

func (f *Fake) drain(c *call, g *group, emails []string) {
	for _, e := range emails {
		m := f.members[keyOf(e)]
		if m != nil && f.leave(g, m) {
			c.did("left group", m.key+" from "+strconv.Itoa(g.id))
		}
	}
}

func (f *Fake) oneGroup(c *call) {
	id, err := strconv.Atoi(c.path[1])
	if err != nil {
		c.fail(http.StatusBadRequest, "invalidValue", "a group id is an integer")
		return
	}
	g := f.groups[id]
	if g == nil {
		c.fail(http.StatusNotFound, "", "group not found")
		return
	}
	switch {
	case c.r.Method == http.MethodGet:
		f.weigh(c, g.members.len())
		c.reply(http.StatusOK, g.render(strconv.Itoa(id)))
	case c.r.Method == http.MethodPatch:
		f.patchGroup(c, g)
	case c.r.Method == http.MethodPut && f.knobIs(SwitchPutGroup, "supported"):
		f.putGroup(c, g)
	case c.r.Method == http.MethodDelete:
		if !c.drop {
			f.deleteGroup(g)
			f.audited(auditEntry{domain: "group", feature: "group", action: "delete", user: "scim", target: g.name})
			c.did("group deleted", strconv.Itoa(id))
		}
		c.none(http.StatusNoContent)
	default:
		c.fail(http.StatusMethodNotAllowed, "", "method not allowed")
	}
}

// groupChange is one operation of a PATCH, checked.
type groupChange struct {
	add, remove []string
	all         bool // remove everybody
	name        string
}

type patchOp struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value"`
}

// read understands the operations that Amplitude documents, and no more.
func (op patchOp) read() (change groupChange, ok bool) {
	verb, path := strings.ToLower(op.Op), strings.ToLower(op.Path)
	noValue := len(op.Value) == 0 || string(op.Value) == "null"
	switch {
	case verb == "replace" && path == "displayname":
		ok = json.Unmarshal(op.Value, &change.name) == nil && change.name != ""
	case verb == "add" && path == "members" && !noValue:
		change.add, ok = addresses(op.Value)
	case verb == "remove" && path == "members" && noValue:
		change.all, ok = true, true // RFC 7644 s.3.5.2.2: no value means everyone
	case verb == "remove" && path == "members":
		change.remove, ok = addresses(op.Value)
	}
	return change, ok
}

func (f *Fake) patchGroup(c *call, g *group) {
	var in struct {
		Operations []patchOp `json:"Operations"`
	}
	if !c.json(&in) {
		return
	}
	changes := []groupChange{}
	for _, op := range in.Operations {
		change, ok := op.read()
		if !ok {
			c.fail(http.StatusBadRequest, "invalidPath", "the operation is not supported")
			return
		}
		changes = append(changes, change)
	}
	if len(changes) == 0 {
		c.fail(http.StatusBadRequest, "invalidSyntax", "Operations are required")
		return
	}
	if c.drop {
		c.reply(http.StatusOK, pretend(g, changes))
		return
	}
	for _, change := range changes {
		f.applyGroup(c, g, change)
	}
	f.weigh(c, g.members.len())
	c.reply(http.StatusOK, g.render(strconv.Itoa(g.id)))
}

func (f *Fake) applyGroup(c *call, g *group, change groupChange) {
	if change.all {
		for m := range g.members.all() {
			change.remove = append(change.remove, m.email)
		}
	}
	before := c.effect
	f.push(c, g, change.add)
	f.drain(c, g, change.remove)
	if change.name != "" && change.name != g.name {
		g.name, g.modified = change.name, f.now()
		c.did("group renamed", strconv.Itoa(g.id))
	}
	if c.effect != before {
		f.audited(auditEntry{domain: "group", feature: "group", action: "update", user: "scim", target: g.name})
	}
}

// pretend is the answer to changes that were not made.
func pretend(g *group, changes []groupChange) scimGroup {
	out := g.render(strconv.Itoa(g.id))
	for _, change := range changes {
		gone := map[string]bool{}
		for _, e := range change.remove {
			gone[keyOf(e)] = true
		}
		rest := []scimMember{}
		for _, m := range out.Members {
			if !change.all && !gone[keyOf(m.Value)] {
				rest = append(rest, m)
			}
		}
		out.Members = append(rest, claimed(change.add)...)
		if change.name != "" {
			out.DisplayName = change.name
		}
	}
	return out
}

func (f *Fake) putGroup(c *call, g *group) {
	var in groupBody
	if !c.json(&in) {
		return
	}
	emails, ok := addresses(in.Members)
	if !ok || in.DisplayName == "" {
		c.fail(http.StatusBadRequest, "invalidValue", "a displayName and members with e-mails are required")
		return
	}
	wanted := map[string]bool{}
	for _, e := range emails {
		wanted[keyOf(e)] = true
	}
	change := groupChange{add: emails, name: in.DisplayName}
	for m := range g.members.all() {
		if !wanted[m.key] {
			change.remove = append(change.remove, m.email)
		}
	}
	if c.drop {
		c.reply(http.StatusOK, pretend(g, []groupChange{change}))
		return
	}
	f.applyGroup(c, g, change)
	c.reply(http.StatusOK, g.render(strconv.Itoa(g.id)))
}
