package amplitude

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// AdminsPage reads a page of who has access to a project and returns the people
// whose role there is called Admin, however they came by it: admins of the
// organization are admins of every project. next is the cursor of the following
// page, empty behind the last one.
func (c *Client) AdminsPage(ctx context.Context, projectID int, cursor string) (admins []string, next string, err error) {
	const op = "read admins of a project"
	if projectID <= 0 {
		return nil, "", invalid(apiAccess, op, "the project id is not above zero")
	}
	params := url.Values{"limit": {strconv.Itoa(accessPageSize)}}
	if cursor != "" {
		params.Set("cursor", cursor)
	}
	r, err := c.access(http.MethodGet, op, "/projects/"+strconv.Itoa(projectID)+"/access", params)
	if err != nil {
		return nil, "", err
	}
	r.list = true
	var body struct {
		Data *[]struct {
			PrincipalType text  `json:"principalType"`
			PrincipalID   text  `json:"principalId"`
			Role          named `json:"role"`
		} `json:"data"`
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
	for _, g := range *body.Data {
		if g.PrincipalType == "user" && strings.EqualFold(string(g.Role.Name), "Admin") {
			admins = append(admins, string(g.PrincipalID))
		}
	}
	next = string(body.Pagination.NextCursor)
	if next != "" && next == cursor {
		return nil, "", r.wrong(http.StatusOK, "the list does not end", false)
	}
	return admins, next, nil
}
