package amplitudefake

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

type role struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// grant is an explicit role of one user or one group on one project.
type grant struct {
	id      string
	member  *member // or group
	group   *group
	project *project
	role    role
}

func (f *Fake) roleNamed(name string) role {
	at := max(0, slices.IndexFunc(f.roles, func(r role) bool { return r.Name == name }))
	return f.roles[at]
}

func (f *Fake) grant(g *grant) {
	g.id = f.token(20)
	f.grants[g.id] = g
	f.granted.add(g)
	if g.member != nil {
		g.member.grants = append(g.member.grants, g)
	} else {
		g.group.grants = append(g.group.grants, g)
	}
}

func (f *Fake) revoke(g *grant) {
	delete(f.grants, g.id)
	f.granted.remove(g)
	same := func(x *grant) bool { return x == g }
	if g.member != nil {
		g.member.grants = slices.DeleteFunc(g.member.grants, same)
	} else {
		g.group.grants = slices.DeleteFunc(g.group.grants, same)
	}
}

func (g *grant) principal() (kind, id string) {
	if g.member != nil {
		return "user", g.member.email
	}
	return "group", strconv.Itoa(g.group.id)
}

func (g *grant) object() string {
	_, id := g.principal()
	return id + " on " + strconv.Itoa(g.project.id)
}

func (g *grant) render() object {
	kind, id := g.principal()
	return object{"id": g.id, "principalType": kind, "principalId": id, "projectId": g.project.id, "roleId": g.role.ID}
}

func (f *Fake) gateAccess(c *call) bool {
	user, pass, _ := c.r.BasicAuth()
	switch {
	case user != f.orgKey || pass != f.orgPass:
		c.fail(http.StatusUnauthorized, "unauthorized", "invalid organization credentials")
	case f.knobIs(SwitchEnrolled, "false"):
		c.fail(http.StatusForbidden, "org_not_enrolled", "the organization is not enabled for this API")
	case c.query.Get("orgId") == "":
		c.fail(http.StatusBadRequest, "invalid_request", "orgId is required")
	case c.query.Get("orgId") != strconv.Itoa(f.opts.OrgID):
		c.fail(http.StatusForbidden, "org_mismatch", "orgId is not the organization of these credentials")
	default:
		wait, ok := f.accessRate.take(c.at)
		return ok || f.throttle(c, wait)
	}
	return false
}

func (f *Fake) handleAccess(c *call) {
	switch {
	case c.is(http.MethodGet, "project-role-assignments"):
		f.listGrants(c)
	case c.is(http.MethodPost, "project-role-assignments"):
		f.createGrant(c)
	case c.matches("project-role-assignments", "*"):
		f.oneGrant(c)
	case c.is(http.MethodGet, "projects", "*", "access"):
		f.projectAccess(c)
	case c.is(http.MethodGet, "users", "*", "access"):
		f.userAccess(c)
	case c.is(http.MethodGet, "roles"):
		c.reply(http.StatusOK, object{"data": slices.Clone(f.roles), "pagination": object{"nextCursor": nil}})
	case c.is(http.MethodGet, "roles", "*"):
		at := slices.IndexFunc(f.roles, func(r role) bool { return r.ID == c.path[1] })
		if at < 0 {
			c.notFound()
			return
		}
		c.reply(http.StatusOK, f.roles[at])
	case c.is(http.MethodDelete, "groups", "*", "users", "*"):
		f.leaveByAccess(c)
	default:
		c.notFound()
	}
}

// page reads cursor and limit; the cursor hides the number of the last item.
func (c *call) page() (after int64, limit int, ok bool) {
	limit, ok = c.number("limit", 50)
	if cursor := c.query.Get("cursor"); ok && cursor != "" {
		b, err := base64.RawURLEncoding.DecodeString(cursor)
		after, ok = 0, err == nil
		if ok {
			after, err = strconv.ParseInt(strings.TrimPrefix(string(b), "v1:"), 10, 64)
			ok = err == nil
		}
	}
	if !ok || limit < 1 {
		c.fail(http.StatusBadRequest, "invalid_request", "cursor or limit is not valid")
		return 0, 0, false
	}
	return after, min(limit, 200), true
}

func cursorFor(seq int64) string {
	return base64.RawURLEncoding.EncodeToString([]byte("v1:" + strconv.FormatInt(seq, 10)))
}

func (f *Fake) listGrants(c *call) {
	after, limit, ok := c.page()
	if !ok {
		return
	}
	q := c.query
	wanted := func(g *grant) bool {
		_, id := g.principal()
		return (q.Get("principalId") == "" || strings.EqualFold(q.Get("principalId"), id)) &&
			(q.Get("projectId") == "" || q.Get("projectId") == strconv.Itoa(g.project.id)) &&
			(q.Get("roleId") == "" || q.Get("roleId") == g.role.ID)
	}
	data, next := []object{}, any(nil)
	if who := q.Get("principalId"); who != "" { // few: no need to walk the whole list
		for _, g := range f.grantsOf(who) {
			if wanted(g) {
				data = append(data, g.render())
			}
		}
		if skip := min(int(after), len(data)); skip >= 0 {
			data = data[skip:]
			if len(data) > limit {
				data, next = data[:limit], cursorFor(int64(skip+limit))
			}
		}
	} else {
		last := after
		for seq, g := range f.granted.after(after) {
			if !wanted(g) {
				continue
			}
			if len(data) == limit {
				next = cursorFor(last)
				break
			}
			data, last = append(data, g.render()), seq
		}
	}
	c.reply(http.StatusOK, object{"data": data, "pagination": object{"nextCursor": next}})
}

func (f *Fake) grantsOf(principal string) []*grant {
	if id, err := strconv.Atoi(principal); err == nil {
		if g := f.groups[id]; g != nil {
			return g.grants
		}
		return nil
	}
	if m := f.inList(principal); m != nil {
		return m.grants
	}
	return nil
}

func (f *Fake) createGrant(c *call) {
	var in struct {
		PrincipalType string          `json:"principalType"`
		PrincipalID   json.RawMessage `json:"principalId"`
		ProjectID     int             `json:"projectId"`
		RoleID        string          `json:"roleId"`
	}
	if !c.json(&in) {
		return
	}
	g := &grant{project: f.projectByID(in.ProjectID)}
	id := strings.Trim(string(in.PrincipalID), `"`)
	switch in.PrincipalType {
	case "user":
		g.member = f.members[keyOf(id)]
	case "group":
		n, _ := strconv.Atoi(id)
		g.group = f.groups[n]
	}
	at := slices.IndexFunc(f.roles, func(r role) bool { return r.ID == in.RoleID })
	if g.project == nil || (g.member == nil && g.group == nil) || at < 0 {
		c.fail(http.StatusBadRequest, "invalid_request", "principal, project or role does not exist")
		return
	}
	g.role = f.roles[at]
	for _, x := range f.grantsOf(id) {
		if x.project == g.project {
			c.fail(http.StatusConflict, "already_assigned", "the principal already has a role on this project")
			return
		}
	}
	if c.drop {
		g.id = f.token(20)
	} else {
		f.grant(g)
		c.did("role granted", g.object())
	}
	c.reply(http.StatusCreated, g.render())
}

func (f *Fake) oneGrant(c *call) {
	g := f.grants[c.path[1]]
	if g == nil {
		c.fail(http.StatusNotFound, "not_found", "no such assignment")
		return
	}
	switch c.r.Method {
	case http.MethodGet:
		c.reply(http.StatusOK, g.render())
	case http.MethodPatch:
		var in map[string]json.RawMessage
		if !c.json(&in) {
			return
		}
		at := slices.IndexFunc(f.roles, func(r role) bool { return `"`+r.ID+`"` == string(in["roleId"]) })
		if at < 0 || len(in) != 1 {
			c.fail(http.StatusBadRequest, "invalid_request", "the body is a roleId that exists, and nothing else")
			return
		}
		out := g.render()
		out["roleId"] = f.roles[at].ID
		if !c.drop && g.role != f.roles[at] {
			g.role = f.roles[at]
			c.did("role changed", g.object())
		}
		c.reply(http.StatusOK, out)
	case http.MethodDelete:
		if !c.drop {
			f.revoke(g)
			c.did("role removed", g.object())
		}
		c.reply(http.StatusOK, object{"deleted": g.render()})
	default:
		c.fail(http.StatusMethodNotAllowed, "method_not_allowed", "method not allowed")
	}
}

// resolved is the highest role a member has on a project, with every way it is
// granted; ok is false without any.
func (f *Fake) resolved(m *member, p *project) (out object, ok bool) {
	best, via := role{}, []object{}
	consider := func(r role, how object) {
		via = append(via, how)
		if best.ID == "" || rank(r.Name) > rank(best.Name) {
			best = r
		}
	}
	for _, g := range m.grants {
		if g.project == p {
			consider(g.role, object{"type": "direct", "assignmentId": g.id})
		}
	}
	for _, grp := range m.groups {
		for _, g := range grp.grants {
			if g.project == p {
				consider(g.role, object{"type": "group", "groupId": strconv.Itoa(grp.id), "assignmentId": g.id})
			}
		}
	}
	if m.role == RoleAdmin {
		consider(f.roleNamed(RoleAdmin), object{"type": "organization"})
	}
	return object{"principalId": m.email, "principalType": "user", "appId": p.id, "role": best, "grantedVia": via}, len(via) > 0
}

// projectAccess lists the groups with a role on the project, then its people,
// however they got there. The numbers of groups are negative in the cursor.
func (f *Fake) projectAccess(c *call) {
	after, limit, ok := c.page()
	if !ok {
		return
	}
	id, _ := strconv.Atoi(c.path[1])
	p := f.projectByID(id)
	if p == nil {
		c.fail(http.StatusNotFound, "not_found", "no such project")
		return
	}
	data, last := []object{}, after
	var next any
	add := func(seq int64, item object) bool {
		if len(data) == limit {
			next = cursorFor(last)
			return false
		}
		data, last = append(data, item), seq
		return true
	}
	if after <= 0 {
		for seq, groupID := range f.groupIDs.after(-after) {
			grp := f.groups[groupID]
			for _, g := range grp.grants {
				if g.project == p && !add(-seq, object{
					"principalId": strconv.Itoa(grp.id), "principalType": "group", "appId": p.id, "role": g.role,
					"grantedVia": []object{{"type": "direct", "assignmentId": g.id}},
				}) {
					break
				}
			}
			if next != nil {
				break
			}
		}
	}
	if next == nil {
		for seq, m := range f.listed.after(max(after, 0)) {
			if item, has := f.resolved(m, p); has && !add(seq, item) {
				break
			}
		}
	}
	c.reply(http.StatusOK, object{"data": data, "pagination": object{"nextCursor": next}})
}

func (f *Fake) userAccess(c *call) {
	m := f.inList(c.path[1])
	if m == nil {
		c.fail(http.StatusNotFound, "not_found", "no such user")
		return
	}
	data := []object{}
	for _, p := range f.projects {
		if item, has := f.resolved(m, p); has {
			data = append(data, item)
		}
	}
	c.reply(http.StatusOK, object{"data": data, "pagination": object{"nextCursor": nil}})
}

func (f *Fake) leaveByAccess(c *call) {
	id, _ := strconv.Atoi(c.path[1])
	g, m := f.groups[id], f.members[keyOf(c.path[3])]
	if g == nil || m == nil || !g.members.has(m) {
		c.notFound()
		return
	}
	if !c.drop {
		f.leave(g, m)
		c.did("left group", m.key+" from "+strconv.Itoa(g.id))
	}
	c.reply(http.StatusOK, object{"removed": object{"groupId": strconv.Itoa(g.id), "userId": m.email}})
}
