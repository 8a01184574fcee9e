package amplitude

import (
	"context"
	"net/http"
	"strconv"
)

// Group is a permission group. Which projects and roles it gives is known only
// inside Amplitude.
type Group struct {
	ID      string // a decimal number
	Name    string
	Members []GroupMember
}

// GroupMember is somebody in a group.
type GroupMember struct {
	Email   string
	Display string // may be "undefined undefined" for somebody without a profile
}

// Has says whether somebody is in the group.
func (g Group) Has(email string) bool {
	for _, m := range g.Members {
		if sameAddress(m.Email, email) {
			return true
		}
	}
	return false
}

// Groups reads all permission groups with their members. It is one answer of
// possibly many megabytes per 100 groups. ErrShortList and ErrListMoved are
// returned together with the groups that were seen.
func (c *Client) Groups(ctx context.Context) ([]Group, error) {
	const op = "list groups"
	return collect(newWalker(op, func(g Group) string { return g.ID },
		func(ctx context.Context, start int) (page[Group], error) {
			return fetchPage(ctx, c, c.scimList(op, "/Groups", start, nil), group.group)
		}).all(ctx))
}

// Group reads one group. An answer about another group is an error.
func (c *Client) Group(ctx context.Context, id string) (Group, error) {
	const op = "read group"
	if err := checkGroupID(op, id); err != nil {
		return Group{}, err
	}
	r := c.scim(http.MethodGet, op, "/Groups/"+id)
	r.list = true
	var body group
	if err := c.get(ctx, r, &body); err != nil {
		return Group{}, err
	}
	g, err := body.group(r)
	if err != nil {
		return Group{}, err
	}
	if g.ID != id {
		return Group{}, r.wrong(http.StatusOK, "the answer is about another group", false)
	}
	return g, nil
}

// RemoveFromGroup takes people out of a group; naming somebody who is not in
// it changes nothing. An empty list is refused, because a removal that names
// nobody empties the whole group (RFC 7644 section 3.5.2.2).
func (c *Client) RemoveFromGroup(ctx context.Context, id string, emails ...string) error {
	return c.patchGroup(ctx, "remove from group", "remove", id, emails)
}

// AddToGroup puts a member into a group. Amplitude invites somebody who is not
// a member of the organization: read the member first, or a removal is undone.
func (c *Client) AddToGroup(ctx context.Context, id, email string) error {
	return c.patchGroup(ctx, "add to group", "add", id, []string{email})
}

// patchGroup sends one operation with an array of values, the only form that
// Amplitude documents.
func (c *Client) patchGroup(ctx context.Context, op, verb, id string, emails []string) error {
	if err := checkGroupID(op, id); err != nil {
		return err
	}
	if len(emails) == 0 {
		return invalid(apiSCIM, op, "no address is named")
	}
	type value struct {
		Value string `json:"value"`
	}
	type operation struct {
		Op    string  `json:"op"`
		Path  string  `json:"path"`
		Value []value `json:"value"`
	}
	o := operation{Op: verb, Path: "members"}
	r := c.scim(http.MethodPatch, op, "/Groups/"+id)
	for _, e := range emails {
		if err := checkAddress(apiSCIM, op, e); err != nil {
			return err
		}
		o.Value = append(o.Value, value{e})
		r.hide = append(r.hide, addressForms(e)...)
	}
	r.list = true // the answer is the whole group
	if err := r.sendJSON(struct {
		Schemas    []string    `json:"schemas"`
		Operations []operation `json:"Operations"`
	}{
		Schemas:    []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"},
		Operations: []operation{o},
	}); err != nil {
		return err
	}
	return c.put(ctx, r)
}

// group is a SCIM Group as Amplitude writes it: the id is a number in lists
// and a string alone.
type group struct {
	ID          text `json:"id"`
	DisplayName text `json:"displayName"`
	Members     []struct {
		Value   text `json:"value"`
		Display text `json:"display"`
	} `json:"members"`
}

func (g group) group(r *request) (Group, error) {
	out := Group{ID: string(g.ID), Name: string(g.DisplayName)}
	if !isGroupID(out.ID) {
		return Group{}, r.wrong(http.StatusOK, "the answer holds a group without an id", false)
	}
	for _, m := range g.Members {
		out.Members = append(out.Members, GroupMember{Email: string(m.Value), Display: string(m.Display)})
	}
	return out, nil
}

func isGroupID(id string) bool {
	n, err := strconv.ParseInt(id, 10, 64)
	return err == nil && n > 0 && strconv.FormatInt(n, 10) == id
}

func checkGroupID(op, id string) error {
	if !isGroupID(id) {
		return invalid(apiSCIM, op, "the group id is not a number")
	}
	return nil
}
