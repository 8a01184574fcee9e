package amplitudefake

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// URNs of RFC 7643 and RFC 7644 as Amplitude's examples carry them.
const (
	urnUser  = "urn:ietf:params:scim:schemas:core:2.0:User"
	urnGroup = "urn:ietf:params:scim:schemas:core:2.0:Group"
	urnList  = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	urnError = "urn:ietf:params:scim:api:messages:2.0:Error"
)

type scimName struct {
	GivenName  string `json:"givenName"`
	FamilyName string `json:"familyName"`
}

type scimEmail struct {
	Value   string `json:"value"`
	Primary bool   `json:"primary"`
}

type scimMeta struct {
	ResourceType string `json:"resourceType"`
	Created      string `json:"created,omitempty"`
	LastModified string `json:"lastModified,omitempty"`
}

type scimUser struct {
	Schemas  []string    `json:"schemas"`
	ID       string      `json:"id"`
	UserName string      `json:"userName"`
	Name     scimName    `json:"name"`
	Active   bool        `json:"active"`
	Emails   []scimEmail `json:"emails"`
	Groups   *[]string   `json:"groups,omitempty"` // always empty on a single user, absent in lists
	Meta     scimMeta    `json:"meta"`
}

func (m *member) render(single bool) scimUser {
	given, family := m.names()
	u := scimUser{
		Schemas: []string{urnUser}, ID: m.email, UserName: m.email, Name: scimName{given, family}, Active: true,
		Emails: []scimEmail{{m.email, true}}, Meta: scimMeta{ResourceType: "User"},
	}
	if single {
		u.Groups = &[]string{}
	}
	return u
}

func scimFail(c *call, status int, code, detail string) {
	e := object{"schemas": []string{urnError}, "detail": detail, "status": strconv.Itoa(status)}
	if status == http.StatusBadRequest || status == http.StatusConflict {
		if code != "" {
			e["scimType"] = code
		}
	}
	c.header.Set("Content-Type", "application/scim+json")
	c.reply(status, e)
}

func (f *Fake) gateSCIM(c *call) bool {
	c.header.Set("Content-Type", "application/scim+json")
	if !strings.HasPrefix(c.r.Header.Get("Authorization"), "Bearer ") || c.bearer() != f.scimKey {
		c.fail(http.StatusUnauthorized, "", "the SCIM key is not valid")
		return false
	}
	if wait, ok := f.scimRate.take(c.at); !ok {
		return f.throttle(c, wait)
	}
	if f.knobIs(SwitchAnswer404, "true") {
		c.fail(http.StatusNotFound, "", "resource not found")
		return false
	}
	return true
}

func (f *Fake) handleSCIM(c *call) {
	switch {
	case c.is(http.MethodGet, "Users"):
		f.listUsers(c)
	case c.is(http.MethodPost, "Users"):
		f.postUser(c)
	case c.matches("Users", "*"):
		f.oneUser(c)
	case c.is(http.MethodGet, "Groups"):
		f.listGroups(c)
	case c.is(http.MethodPost, "Groups"):
		f.postGroup(c)
	case c.matches("Groups", "*"):
		f.oneGroup(c)
	default:
		c.notFound()
	}
}

// scimPage reads startIndex and itemsPerPage; RFC 7644's count is not known.
func (c *call) scimPage() (start, size int, ok bool) {
	start, ok1 := c.number("startIndex", 1)
	size, ok2 := c.number("itemsPerPage", 100)
	if !ok1 || !ok2 || size <= 0 {
		c.fail(http.StatusBadRequest, "invalidValue", "startIndex or itemsPerPage is not valid")
		return 0, 0, false
	}
	return max(start, 1), min(size, 100), true
}

func scimList(start, size, total int, items []any) object {
	return object{"schemas": []string{urnList}, "startIndex": start, "itemsPerPage": size, "totalResults": total, "Resources": items}
}

func (f *Fake) listUsers(c *call) {
	start, size, ok := c.scimPage()
	if !ok {
		return
	}
	items := []any{}
	if filter := c.query.Get("filter"); filter != "" {
		found, known := f.filterUsers(filter)
		if !known {
			c.fail(http.StatusBadRequest, "invalidFilter", "the filter is not supported")
			return
		}
		total := 0
		if found != nil {
			if total = 1; start == 1 {
				items = append(items, found.render(false))
			}
		}
		c.reply(http.StatusOK, scimList(start, size, total, items))
		return
	}
	total := f.listed.len()
	if f.knobIs(SwitchOrder, "shuffle") {
		for _, m := range f.shuffledPage(start-1, size) {
			items = append(items, m.render(false))
		}
	} else {
		shown := total
		switch f.knob(SwitchListCut) {
		case "half":
			shown, total = total/2, total/2
		case "short":
			shown = total / 2
		case "empty":
			shown, total = 0, 0
		}
		for _, m := range f.listed.page(start-1, min(size, max(shown-start+1, 0))) {
			items = append(items, m.render(false))
		}
	}
	c.reply(http.StatusOK, scimList(start, size, total, items))
}

// shuffledPage is a page of an order that holds for this request only: the
// k-th member becomes the (a·k+b)-th, a without common factor with their number.
func (f *Fake) shuffledPage(start, size int) (out []*member) {
	n := f.listed.len()
	if n == 0 {
		return nil
	}
	a, b := 1+f.rng.IntN(n), f.rng.IntN(n)
	for gcd(a, n) != 1 {
		a++
	}
	for k := start; k < min(start+size, n); k++ {
		out = append(out, f.listed.at((a*k+b)%n))
	}
	return out
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// eqFilter is the one form of filter understood: attribute eq "value".
var eqFilter = regexp.MustCompile(`^\s*([A-Za-z.]+)\s+[eE][qQ]\s+(?:"([^"]*)"|(true|false))\s*$`)

// filterUsers answers a filter that names one person; known is false when the
// filter is not one of those understood.
func (f *Fake) filterUsers(filter string) (found *member, known bool) {
	parts := eqFilter.FindStringSubmatch(filter)
	if parts == nil {
		return nil, false
	}
	attribute, text, bare := strings.ToLower(parts[1]), parts[2], parts[3]
	if attribute == "active" && bare == "false" {
		return nil, true // nobody is ever inactive
	}
	if bare != "" || !slices.Contains([]string{"username", "id", "emails.value", "emails"}, attribute) {
		return nil, false
	}
	return f.inList(text), true
}

func (f *Fake) postUser(c *call) {
	var in scimUser
	if !c.json(&in) {
		return
	}
	email := in.UserName
	switch {
	case !isEmail(email) || (in.ID != "" && !isEmail(in.ID)):
		c.fail(http.StatusBadRequest, "invalidValue", "userName and id must be a valid e-mail")
		return
	case in.ID != "" && !strings.EqualFold(in.ID, email):
		c.fail(http.StatusBadRequest, "invalidValue", "id and userName must be the same e-mail")
		return
	case len(in.Emails) > 1:
		c.fail(http.StatusBadRequest, "invalidValue", "exactly one e-mail is supported")
		return
	case f.members[keyOf(email)] != nil:
		c.fail(http.StatusConflict, "uniqueness", "the user is invited or a member already")
		return
	}
	if !c.drop {
		m := f.invite(email, "scim POST", "scim")
		m.given, m.family = in.Name.GivenName, in.Name.FamilyName
		c.did("invited member", m.key)
	}
	c.send(http.StatusCreated, "application/scim+json", c.body)
}

func (f *Fake) oneUser(c *call) {
	email := c.path[1]
	if !isEmail(email) {
		c.fail(http.StatusBadRequest, "invalidValue", "id must be a valid e-mail")
		return
	}
	m := f.members[keyOf(email)]
	switch c.r.Method {
	case http.MethodGet:
		if m = f.byID(email); m == nil {
			c.fail(http.StatusNotFound, "", "user not found")
			return
		}
		c.reply(http.StatusOK, m.render(true))
	case http.MethodPut, http.MethodPatch:
		if m == nil {
			c.fail(http.StatusNotFound, "", "user must have already been invited")
			return
		}
		f.changeUser(c, m)
	case http.MethodDelete:
		switch {
		case m == nil && f.knobIs(SwitchRedelete, "204") && !f.left[keyOf(email)].IsZero():
			c.none(http.StatusNoContent)
		case m == nil:
			c.fail(http.StatusNotFound, "", "user not found")
		case f.removable(c, m):
			if !c.drop {
				f.remove(m, "scim DELETE", "scim")
				c.did("removed member", m.key)
			}
			c.none(http.StatusNoContent)
		}
	default:
		c.fail(http.StatusMethodNotAllowed, "", "method not allowed")
	}
}

// removable answers the call and reports false when a switch protects m.
func (f *Fake) removable(c *call, m *member) bool {
	if m.role == RoleAdmin && len(f.admins) == 1 && f.knobIs(SwitchLastAdmin, "refuse400") {
		c.fail(http.StatusBadRequest, "", "the last admin of the organization cannot be removed")
		return false
	}
	if n := f.owns(m, KindDashboard); n > 0 && f.knobIs(SwitchDashboards, "409") {
		c.fail(http.StatusConflict, "", "the user owns "+strconv.Itoa(n)+" dashboards")
		return false
	}
	return true
}

// userChange is what a PUT or PATCH of a user asks for; nil fields were not named.
type userChange struct {
	active *bool
	given  *string
	family *string
	id     *string
}

// read takes the fields of a full or partial user. PATCH values may carry
// active as text.
func (u *userChange) read(fields map[string]json.RawMessage, text bool) bool {
	for name, raw := range fields {
		if !u.set(strings.ToLower(name), raw, text) {
			return false
		}
	}
	return true
}

func (u *userChange) set(name string, raw json.RawMessage, text bool) bool {
	switch name {
	case "active":
		value := string(bytes.TrimSpace(raw))
		if text {
			value = strings.ToLower(strings.Trim(value, `"`))
		}
		b := value == "true"
		if !b && value != "false" {
			return false
		}
		u.active = &b
	case "username", "id":
		return json.Unmarshal(raw, &u.id) == nil && u.id != nil
	case "name.givenname":
		return json.Unmarshal(raw, &u.given) == nil
	case "name.familyname":
		return json.Unmarshal(raw, &u.family) == nil
	case "name":
		var n map[string]json.RawMessage
		if json.Unmarshal(raw, &n) != nil {
			return false
		}
		for k, v := range n {
			if !u.set("name."+strings.ToLower(k), v, text) {
				return false
			}
		}
	}
	return true // the other attributes, groups among them, are ignored
}

func (f *Fake) changeUser(c *call, m *member) {
	var fields map[string]json.RawMessage
	if !c.json(&fields) {
		return
	}
	var change userChange
	var ok bool
	if raw, isPatch := fields["Operations"]; isPatch && c.r.Method == http.MethodPatch {
		var ops []struct {
			Op, Path string
			Value    json.RawMessage
		}
		ok = json.Unmarshal(raw, &ops) == nil
		for _, op := range ops {
			var partial map[string]json.RawMessage
			switch {
			case !strings.EqualFold(op.Op, "replace") && !strings.EqualFold(op.Op, "add"):
				ok = false
			case op.Path != "":
				ok = ok && change.set(strings.ToLower(op.Path), op.Value, true)
			default:
				ok = ok && json.Unmarshal(op.Value, &partial) == nil && change.read(partial, true)
			}
		}
	} else {
		ok = change.read(fields, c.r.Method == http.MethodPatch)
	}
	if !ok {
		c.fail(http.StatusBadRequest, "invalidValue", "a value or operation is not supported")
		return
	}
	if change.id != nil && !strings.EqualFold(*change.id, m.email) {
		c.fail(http.StatusBadRequest, "mutability", "an e-mail can never change")
		return
	}
	off := change.active != nil && !*change.active
	if off && !f.removable(c, m) {
		return
	}
	if !c.drop {
		f.applyUser(c, m, change, off)
	}
	c.send(http.StatusOK, "application/scim+json", c.body) // the request, word for word: no evidence of anything
}

func (f *Fake) applyUser(c *call, m *member, change userChange, off bool) {
	before := [2]string{m.given, m.family}
	if change.given != nil {
		m.given = *change.given
	}
	if change.family != nil {
		m.family = *change.family
	}
	if before != [2]string{m.given, m.family} {
		c.did("member renamed", m.key)
	}
	if off {
		f.remove(m, "scim "+c.r.Method, "scim")
		c.did("removed member", m.key)
	}
}
