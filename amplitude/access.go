package amplitude

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strconv"
)

// Assignment is an explicit role of a person or a group on a project.
type Assignment struct {
	ID            string
	PrincipalType string // user or group
	PrincipalID   string // an address, or a group's id
	ProjectID     int
	RoleID        string
}

// Grant is a role that somebody has on a project, however they came by it.
type Grant struct {
	PrincipalType string
	PrincipalID   string
	ProjectID     int
	RoleID        string
	RoleName      string
	Raw           json.RawMessage // the entry as it came; how it was granted is told there in undocumented words
}

// Role is a role that can be assigned.
type Role struct {
	ID   string
	Name string
}

// Access reads what one member may do on every project, directly and through
// groups. Its path is not documented in full: where it answers Error.NotFound
// for a member that exists, ProjectAccess tells the same project by project.
// Like all User Management methods it answers ErrNotEnrolled where the
// organization has not been let in.
func (c *Client) Access(ctx context.Context, email string) ([]Grant, error) {
	const op = "read access of a member"
	if err := checkAddress(apiAccess, op, email); err != nil {
		return nil, err
	}
	grants, err := c.grants(ctx, op, "/users/"+segment(email)+"/access", addressForms(email))
	if err != nil {
		return nil, err
	}
	for _, g := range grants {
		if g.PrincipalType == "user" && g.PrincipalID != "" && !sameAddress(g.PrincipalID, email) {
			return nil, &Error{
				API: apiAccess.String(), Op: op, Status: http.StatusOK, Code: codeWrongAnswer,
				Detail: "the answer is about another member",
			}
		}
	}
	return grants, nil
}

// ProjectAccess reads who may do what on one project.
func (c *Client) ProjectAccess(ctx context.Context, projectID int) ([]Grant, error) {
	const op = "read access to a project"
	if projectID <= 0 {
		return nil, invalid(apiAccess, op, "the project id is not above zero")
	}
	return c.grants(ctx, op, "/projects/"+strconv.Itoa(projectID)+"/access", nil)
}

// Assignments reads the explicit roles of one member. Those of others, should
// the server not filter, are left out.
func (c *Client) Assignments(ctx context.Context, email string) ([]Assignment, error) {
	const op = "list role assignments"
	if err := checkAddress(apiAccess, op, email); err != nil {
		return nil, err
	}
	r, err := c.access(http.MethodGet, op, "/project-role-assignments", url.Values{"principalId": {email}})
	if err != nil {
		return nil, err
	}
	r.hide = addressForms(email)
	all, err := accessList[assignment](ctx, c, r)
	if err != nil {
		return nil, err
	}
	var out []Assignment
	for _, a := range all {
		if a.PrincipalType == "user" && sameAddress(string(a.PrincipalID), email) {
			out = append(out, a.assignment())
		}
	}
	return out, nil
}

// Roles lists the organization's roles.
func (c *Client) Roles(ctx context.Context) ([]Role, error) {
	r, err := c.access(http.MethodGet, "list roles", "/roles", nil)
	if err != nil {
		return nil, err
	}
	all, err := accessList[named](ctx, c, r)
	if err != nil {
		return nil, err
	}
	out := make([]Role, 0, len(all))
	for _, n := range all {
		out = append(out, Role{ID: string(n.ID), Name: string(n.Name)})
	}
	return out, nil
}

// Assign gives a member a role on a project. An Error with status 409 says that
// the member has an explicit role there already.
func (c *Client) Assign(ctx context.Context, email string, projectID int, roleID string) error {
	const op = "assign role"
	if err := checkAddress(apiAccess, op, email); err != nil {
		return err
	}
	if projectID <= 0 || roleID == "" {
		return invalid(apiAccess, op, "the project or the role is not named")
	}
	r, err := c.access(http.MethodPost, op, "/project-role-assignments", nil)
	if err != nil {
		return err
	}
	r.hide = addressForms(email)
	if err := r.sendJSON(map[string]any{
		"principalType": "user", "principalId": email, "projectId": projectID, "roleId": roleID,
	}); err != nil {
		return err
	}
	return c.put(ctx, r)
}

// ChangeRole gives an assignment another role, a lower one for instance.
func (c *Client) ChangeRole(ctx context.Context, assignmentID, roleID string) error {
	const op = "change role"
	if assignmentID == "" || roleID == "" {
		return invalid(apiAccess, op, "the assignment or the role is not named")
	}
	r, err := c.access(http.MethodPatch, op, "/project-role-assignments/"+segment(assignmentID), nil)
	if err != nil {
		return err
	}
	if err := r.sendJSON(map[string]any{"roleId": roleID}); err != nil {
		return err
	}
	return c.put(ctx, r)
}

// DeleteAssignment takes an explicit role away. One that is not there counts
// as taken away.
func (c *Client) DeleteAssignment(ctx context.Context, assignmentID string) error {
	const op = "delete role assignment"
	if assignmentID == "" {
		return invalid(apiAccess, op, "the assignment is not named")
	}
	r, err := c.access(http.MethodDelete, op, "/project-role-assignments/"+segment(assignmentID), nil)
	if err != nil {
		return err
	}
	err = c.put(ctx, r)
	if e, ok := errors.AsType[*Error](err); ok && e.NotFound() {
		return nil
	}
	return err
}

// access describes a User Management request; the organization's id goes with
// every one.
func (c *Client) access(method, op, path string, params url.Values) (*request, error) {
	if c.orgAuth == "" || c.at.UserManagement == "" {
		return nil, notConfigured(apiAccess, op, "the organization's id, key and secret, or the user management endpoint,")
	}
	q := url.Values{"orgId": {strconv.Itoa(c.orgID)}}
	maps.Copy(q, params)
	return &request{
		api: apiAccess, op: op, method: method,
		url: c.at.UserManagement + path + query(q), auth: c.orgAuth,
	}, nil
}

func (c *Client) grants(ctx context.Context, op, path string, hide []string) ([]Grant, error) {
	r, err := c.access(http.MethodGet, op, path, nil)
	if err != nil {
		return nil, err
	}
	r.hide = hide
	raws, err := accessList[json.RawMessage](ctx, c, r)
	if err != nil {
		return nil, err
	}
	out := make([]Grant, 0, len(raws))
	for _, raw := range raws {
		var g struct {
			PrincipalType text   `json:"principalType"`
			PrincipalID   text   `json:"principalId"`
			AppID         number `json:"appId"`
			ProjectID     number `json:"projectId"`
			Role          named  `json:"role"`
			RoleID        text   `json:"roleId"`
		}
		if json.Unmarshal(raw, &g) != nil {
			return nil, r.wrong(http.StatusOK, "the answer holds a grant of an unexpected shape", false)
		}
		h := Grant{
			PrincipalType: string(g.PrincipalType), PrincipalID: string(g.PrincipalID),
			ProjectID: g.AppID.int(), RoleID: string(g.Role.ID), RoleName: string(g.Role.Name), Raw: raw,
		}
		if h.ProjectID == 0 {
			h.ProjectID = g.ProjectID.int()
		}
		if h.RoleID == "" {
			h.RoleID = string(g.RoleID)
		}
		out = append(out, h)
	}
	return out, nil
}

// accessList reads all pages of a list; r is its first request, without cursor.
func accessList[T any](ctx context.Context, c *Client, r *request) ([]T, error) {
	r.list = true
	first := r.url + "&limit=" + strconv.Itoa(accessPageSize)
	return follow(r, func(cursor string) ([]T, string, error) {
		r.url = first
		if cursor != "" {
			r.url += "&cursor=" + url.QueryEscape(cursor)
		}
		var body struct {
			Data       *[]T `json:"data"`
			Pagination struct {
				NextCursor text `json:"nextCursor"`
			} `json:"pagination"`
		}
		if err := c.get(ctx, r, &body); err != nil {
			return nil, "", err
		}
		if body.Data == nil {
			return nil, "", r.wrong(http.StatusOK, "the answer holds no data", false)
		}
		return *body.Data, string(body.Pagination.NextCursor), nil
	})
}

type assignment struct {
	ID            text   `json:"id"`
	PrincipalType text   `json:"principalType"`
	PrincipalID   text   `json:"principalId"`
	ProjectID     number `json:"projectId"`
	RoleID        text   `json:"roleId"`
}

func (a assignment) assignment() Assignment {
	return Assignment{
		ID: string(a.ID), PrincipalType: string(a.PrincipalType), PrincipalID: string(a.PrincipalID),
		ProjectID: a.ProjectID.int(), RoleID: string(a.RoleID),
	}
}
