package scim

import (
	"encoding/json"
	"net/http"
	"slices"

	scimlib "github.com/elimity-com/scim"
)

// groupDraft is what the body of a POST, PUT or PATCH says about a group.
type groupDraft struct{ GroupChange }

// fill reads ops in order. Neighbours that add, or that remove, become one
// step, which changes nothing in their meaning and a lot in their cost.
func (d *groupDraft) fill(ops []op) error {
	seen := map[string]bool{} // ids of the step being gathered
	for _, o := range ops {
		text, _ := o.value.(string)
		switch o.attr.name {
		case "displayName":
			d.DisplayName = &text
		case "externalId":
			d.ExternalID = &text
		case "members":
			ids, _ := o.value.([]string)
			last := len(d.Members) - 1
			if o.kind == opReplace || last < 0 || d.Members[last].Op != MemberOp(o.kind) {
				clear(seen)
				d.Members = append(d.Members, MemberChange{Op: MemberOp(o.kind), IDs: make([]string, 0, len(ids))})
				last++
			}
			step := &d.Members[last]
			for _, id := range ids {
				if !seen[id] {
					seen[id] = true
					step.IDs = append(step.IDs, id)
				}
			}
		default:
			return invalidPath("%s of a group cannot be changed.", o.attr.name)
		}
	}
	return nil
}

// plain is the body for the library: all but the members, which are checked
// already and can be many.
func (d *groupDraft) plain() ([]byte, error) {
	body := map[string]any{"schemas": []string{GroupURN}}
	if d.DisplayName == nil {
		return nil, invalidValue("displayName is required.")
	}
	body["displayName"] = *d.DisplayName
	if d.ExternalID != nil && *d.ExternalID != "" {
		body["externalId"] = *d.ExternalID
	}
	return json.Marshal(body)
}

// members adds an operation on the members of a group, with a []string of ids
// as value. Accepted are lists of objects or of ids, one of either, and the
// removal by value filter.
func (n *normalizer) members(o op, value any) error {
	if o.selector != nil {
		ids, ok := idsOf(o.selector)
		if !ok || o.kind != opRemove || o.sub != nil {
			return invalidPath(`A value filter on members can only remove, as in members[value eq "id"].`)
		}
		o.selector, o.value = nil, ids
		n.ops = append(n.ops, o)
		return nil
	}
	o.sub = nil // members.value is members
	if isUnassigned(value) {
		// Nothing added is nothing done; nothing named to remove or to remain
		// means that nobody remains.
		if o.kind == opAdd {
			return nil
		}
		o.kind, o.value = opReplace, []string{}
		n.ops = append(n.ops, o)
		return nil
	}
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	ids := make([]string, 0, len(list))
	for _, item := range list {
		if m, isObject := item.(map[string]any); isObject {
			item, _ = get(m, "value")
		}
		id, err := coerceSimple(o.attr.sub("value"), "members.value", item)
		if err != nil {
			return err
		}
		text, _ := id.(string)
		if text == "" {
			return invalidValue("Every member needs a value: the id of a user.")
		}
		ids = append(ids, text)
	}
	if o.kind == opReplace || len(ids) > 0 {
		o.value = ids
		n.ops = append(n.ops, o)
	}
	return nil
}

// idsOf reads `value eq "a"` and `value eq "a" or value eq "b"`.
func idsOf(e Expr) ([]string, bool) {
	parts := []Expr{e}
	if either, ok := e.(Or); ok {
		parts = either.Parts
	}
	var ids []string
	for _, p := range parts {
		c, ok := p.(Compare)
		id, text := c.Value.(string)
		if !ok || !text || c.Op != OpEqual || c.Path.Attr != "value" {
			return nil, false
		}
		ids = append(ids, id)
	}
	return ids, true
}

// groupHandler is what the library calls for Groups; see userHandler.
type groupHandler struct{ *server }

var _ scimlib.ResourceHandler = groupHandler{}

func (h groupHandler) answer(ex *exchange, status int, g Group) error {
	ex.id = g.ID
	ex.header.Set("ETag", entityTag(g.Version))
	return ex.reply(status, h.groupDoc(g, ex.query.projection))
}

// Create stores a group with its members: 201 with the resource.
func (h groupHandler) Create(r *http.Request, _ scimlib.ResourceAttributes) (scimlib.Resource, error) {
	ex := exchangeOf(r)
	draft := Group{DisplayName: *ex.change.DisplayName}
	if ex.change.ExternalID != nil {
		draft.ExternalID = *ex.change.ExternalID
	}
	for _, step := range ex.change.Members {
		draft.Members = slices.Grow(draft.Members, len(step.IDs))
		for _, id := range step.IDs {
			draft.Members = append(draft.Members, Member{Value: id})
		}
	}
	g, err := h.opt.Directory.CreateGroup(r.Context(), ex.conn, draft)
	if err != nil {
		return scimlib.Resource{}, ex.fail(err)
	}
	switch {
	case !ex.query.Members:
		g.Members = nil
	case len(draft.Members) > 0 && len(g.Members) == 0:
		if g, err = h.opt.Directory.Group(r.Context(), ex.conn, g.ID, true); err != nil {
			return scimlib.Resource{}, ex.fail(err)
		}
	}
	ex.header.Set("Location", h.location(h.groups, g.ID))
	return scimlib.Resource{}, h.answer(ex, http.StatusCreated, g)
}

// Get returns one group. Members are loaded only if they are wanted and the
// client does not hold this version already.
func (h groupHandler) Get(r *http.Request, id string) (scimlib.Resource, error) {
	ex := exchangeOf(r)
	first := ex.query.Members && !ex.ifMatch.present()
	g, err := h.opt.Directory.Group(r.Context(), ex.conn, id, first)
	if err != nil {
		return scimlib.Resource{}, ex.fail(err)
	}
	unchanged, err := ex.ifMatch.unchanged(g.Version)
	if err != nil {
		return scimlib.Resource{}, ex.fail(err)
	}
	if unchanged {
		ex.header.Set("ETag", entityTag(g.Version))
		ex.status = http.StatusNotModified
		return scimlib.Resource{}, nil
	}
	if ex.query.Members && !first {
		if g, err = h.opt.Directory.Group(r.Context(), ex.conn, id, true); err != nil {
			return scimlib.Resource{}, ex.fail(err)
		}
	}
	return scimlib.Resource{}, h.answer(ex, http.StatusOK, g)
}

// GetAll lists groups. No hit is an empty list with 200.
func (h groupHandler) GetAll(r *http.Request, _ scimlib.ListRequestParams) (scimlib.Page, error) {
	ex := exchangeOf(r)
	page, err := h.opt.Directory.Groups(r.Context(), ex.conn, ex.query.Query)
	if err != nil {
		return scimlib.Page{}, ex.fail(err)
	}
	return scimlib.Page{}, ex.reply(http.StatusOK, listOf(page, ex.query.Start, func(g Group) map[string]any {
		return h.groupDoc(g, ex.query.projection)
	}))
}

// Replace is PUT. A body without members leaves them, one with an empty list
// removes all; a body without externalId leaves that.
func (h groupHandler) Replace(r *http.Request, id string, _ scimlib.ResourceAttributes) (scimlib.Resource, error) {
	ex := exchangeOf(r)
	if err := h.update(r, ex, id); err != nil {
		return scimlib.Resource{}, ex.fail(err)
	}
	g, err := h.opt.Directory.Group(r.Context(), ex.conn, id, ex.query.Members)
	if err != nil {
		return scimlib.Resource{}, ex.fail(err)
	}
	return scimlib.Resource{}, h.answer(ex, http.StatusOK, g)
}

// Patch applies the lifted change: 204, so that nobody pays for the members.
func (h groupHandler) Patch(r *http.Request, id string, _ []scimlib.PatchOperation) (scimlib.Resource, error) {
	ex := exchangeOf(r)
	if err := h.update(r, ex, id); err != nil {
		return scimlib.Resource{}, ex.fail(err)
	}
	ex.status = http.StatusNoContent
	return scimlib.Resource{}, nil
}

func (h groupHandler) update(r *http.Request, ex *exchange, id string) error {
	change := ex.change.GroupChange
	if ex.ifMatch.present() {
		change.Check = func(g Group) error { return ex.ifMatch.check(g.Version) }
	}
	return h.opt.Directory.UpdateGroup(r.Context(), ex.conn, id, change)
}

// Delete removes the group; its members stay.
func (h groupHandler) Delete(r *http.Request, id string) error {
	ex := exchangeOf(r)
	err := h.opt.Directory.DeleteGroup(r.Context(), ex.conn, id, func(g Group) error { return ex.ifMatch.check(g.Version) })
	if err != nil {
		return ex.fail(err)
	}
	ex.status = http.StatusNoContent
	return nil
}
