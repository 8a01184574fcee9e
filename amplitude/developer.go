package amplitude

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// codeListEnds is the Developer API's word for a page beyond its last one.
const codeListEnds = "pagination_not_supported"

// DeveloperProject is a project that the developer token's person may see.
type DeveloperProject struct {
	ID   int
	Name string
}

// Chart is a saved chart. The API shows who made it, not who owns it now.
type Chart struct {
	ID        string
	ProjectID int
	Name      string
	Type      string
	CreatedBy string // an address or a login id; empty: not told
	Archived  bool
}

// DeveloperFlag is a feature flag as the Developer API shows it, which unlike
// Experiment Management knows owners. They cannot be changed.
type DeveloperFlag struct {
	ID             string
	ProjectID      int
	Key            string
	Name           string
	Owners         []string
	CreatedBy      string // empty: not told
	LastModifiedBy string
	Archived       bool
}

// Destination is a connection that events or cohorts are sent to. Its
// credentials are never shown.
type Destination struct {
	ID          string
	ProjectID   int
	Partner     string
	DisplayName string
	Kinds       []string // event, identify, cohort, warehouse_export
	CreatedBy   string   // empty: not told
	UpdatedBy   string
}

// DeveloperProjects lists the projects that the developer token sees, which
// are those of its person and may be fewer than there are. With ErrTruncated
// the projects are returned as far as the API lists them.
func (c *Client) DeveloperProjects(ctx context.Context) ([]DeveloperProject, error) {
	const op = "list projects"
	items, r, listed := developerList[struct {
		ID   number `json:"id"`
		Name text   `json:"name"`
	}](ctx, c, op, "/projects")
	if listed != nil && !errors.Is(listed, ErrTruncated) {
		return nil, listed
	}
	out := make([]DeveloperProject, 0, len(items))
	for _, i := range items {
		p := DeveloperProject{ID: i.ID.int(), Name: string(i.Name)}
		if p.ID <= 0 {
			return nil, r.wrong(http.StatusOK, "the answer holds a project without a number", false)
		}
		out = append(out, p)
	}
	return out, listed
}

// Charts lists the saved charts of a project, archived ones as well. Where the
// list ends early, at 10,000, it returns those charts with ErrTruncated.
func (c *Client) Charts(ctx context.Context, projectID int) ([]Chart, error) {
	return developerItems(ctx, c, "list charts", projectID, "charts", func(i chartItem) (Chart, number) {
		return Chart{
			ID: string(i.ID), ProjectID: projectID, Name: string(i.Name), Type: string(i.Type),
			CreatedBy: string(i.CreatedBy), Archived: bool(i.Archived),
		}, i.ProjectID
	}, func(h Chart) string { return h.ID })
}

// DeveloperFlags lists the feature flags of a project with their owners,
// archived ones as well; ErrTruncated as in Charts.
func (c *Client) DeveloperFlags(ctx context.Context, projectID int) ([]DeveloperFlag, error) {
	return developerItems(ctx, c, "list flags", projectID, "flags", func(i developerFlagItem) (DeveloperFlag, number) {
		return DeveloperFlag{
			ID: string(i.ID), ProjectID: projectID, Key: string(i.Key), Name: string(i.Name), Owners: i.Owners,
			CreatedBy: string(i.CreatedBy), LastModifiedBy: string(i.LastModifiedBy), Archived: bool(i.Archived),
		}, i.ProjectID
	}, func(f DeveloperFlag) string { return f.ID })
}

// Destinations lists the destinations of a project; ErrTruncated as in Charts.
func (c *Client) Destinations(ctx context.Context, projectID int) ([]Destination, error) {
	return developerItems(ctx, c, "list destinations", projectID, "destinations", func(i destinationItem) (Destination, number) {
		return Destination{
			ID: string(i.ID), ProjectID: projectID, Partner: string(i.Partner), DisplayName: string(i.DisplayName), Kinds: i.Kind,
			CreatedBy: string(i.CreatedBy), UpdatedBy: string(i.UpdatedBy),
		}, i.ProjectID
	}, func(d Destination) string { return d.ID })
}

type chartItem struct {
	ID        text   `json:"id"`
	ProjectID number `json:"project_id"`
	Name      text   `json:"name"`
	Type      text   `json:"chart_type"`
	CreatedBy text   `json:"created_by"`
	Archived  flag   `json:"archived"`
}

type developerFlagItem struct {
	ID             text   `json:"id"`
	ProjectID      number `json:"project_id"`
	Key            text   `json:"key"`
	Name           text   `json:"name"`
	Owners         texts  `json:"owners"`
	CreatedBy      text   `json:"created_by"`
	LastModifiedBy text   `json:"last_modified_by"`
	Archived       flag   `json:"archived"`
}

type destinationItem struct {
	ID          text   `json:"id"`
	ProjectID   number `json:"project_id"`
	Partner     text   `json:"partner"`
	DisplayName text   `json:"display_name"`
	Kind        texts  `json:"kind"`
	CreatedBy   text   `json:"created_by"`
	UpdatedBy   text   `json:"updated_by"`
}

// developerItems reads a list of a project: translated entry by entry, each
// with an id, and none of another project.
func developerItems[I, O any](
	ctx context.Context, c *Client, op string, projectID int, family string, translate func(I) (O, number), id func(O) string,
) ([]O, error) {
	if projectID <= 0 {
		return nil, invalid(apiDeveloper, op, "the project is not named")
	}
	items, r, listed := developerList[I](ctx, c, op, "/projects/"+strconv.Itoa(projectID)+"/"+family)
	if listed != nil && !errors.Is(listed, ErrTruncated) {
		return nil, listed
	}
	out := make([]O, 0, len(items))
	for _, i := range items {
		o, project := translate(i)
		if id(o) == "" {
			return nil, r.wrong(http.StatusOK, "the answer holds an entry without an id", false)
		}
		if project.set && project.int() != projectID {
			continue
		}
		out = append(out, o)
	}
	return out, listed
}

// developerList reads all pages of a list. It returns the request for errors
// about what was read; nil says that none could be made.
func developerList[T any](ctx context.Context, c *Client, op, path string) ([]T, *request, error) {
	if c.developerAuth == "" || c.at.Developer == "" {
		return nil, nil, notConfigured(apiDeveloper, op, "the developer token, or the developer endpoint,")
	}
	r := &request{
		api: apiDeveloper, op: op, method: http.MethodGet, auth: c.developerAuth, list: true, gate: c.developer, cost: 1,
	}
	read, more := 0, false
	items, err := follow(r, func(cursor string) ([]T, string, error) {
		q := url.Values{"limit": {strconv.Itoa(developerPageSize)}}
		if cursor != "" {
			q.Set("cursor", cursor)
		}
		r.url = c.at.Developer + "/v1" + path + query(q)
		var body struct {
			Data       json.RawMessage `json:"data"`
			Pagination struct {
				NextCursor text `json:"next_cursor"`
				HasMore    flag `json:"has_more"`
			} `json:"pagination"`
		}
		if err := c.get(ctx, r, &body); err != nil {
			if e, ok := errors.AsType[*Error](err); ok && e.Code == codeListEnds && read > 0 {
				more = true
				return nil, "", nil
			}
			return nil, "", err
		}
		var page []T
		switch {
		case json.Unmarshal(body.Data, &page) != nil:
			return nil, "", r.wrong(http.StatusOK, "the answer holds an entry of an unexpected shape", false)
		case page == nil:
			return nil, "", r.wrong(http.StatusOK, "the answer holds no list", false)
		}
		next := string(body.Pagination.NextCursor)
		read += len(page)
		more = next == "" && bool(body.Pagination.HasMore)
		return page, next, nil
	})
	if err != nil {
		return nil, r, err
	}
	if more || read >= developerListEnd {
		return items, r, r.truncated()
	}
	return items, r, nil
}

// truncated is the error of a list that goes on past what the API shows.
func (r *request) truncated() *Error {
	e := r.wrong(http.StatusOK, ErrTruncated.Error(), false)
	e.Err = ErrTruncated
	return e
}

// developerAuth is how a developer token is presented. Personal access tokens
// carry a prefix in the header that sets them apart from OAuth tokens; it may
// be part of what was configured.
func developerAuth(token Secret) string {
	value := token.Reveal()
	if bare, ok := strings.CutPrefix(value, patPrefix); ok {
		value = bare
	}
	if value == "" {
		return ""
	}
	if value != token.Reveal() || strings.HasPrefix(value, "amp_") {
		value = patPrefix + value
	}
	return "Bearer " + value
}

const patPrefix = "PAT="

// developerSecrets are the forms of the token that no error may repeat, the
// longest first.
func developerSecrets(token Secret) []Secret {
	bare := Secret(strings.TrimPrefix(token.Reveal(), patPrefix))
	return slices.Compact([]Secret{token, bare})
}
