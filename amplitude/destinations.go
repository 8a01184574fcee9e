package amplitude

import (
	"context"
	"net/http"
	"slices"
	"strconv"
)

// DestinationState is a destination as it is now. Its credentials are write-only.
type DestinationState struct {
	Destination
	Version          string // for SetDestinationConfig
	CredentialStatus string // connected, disconnected or expired
}

// Streams reports whether events are streamed to it: only such a destination can be tested.
func (d DestinationState) Streams() bool { return slices.Contains(d.Kinds, "event") }

// Destination reads one destination of a project.
func (c *Client) Destination(ctx context.Context, projectID int, id string) (DestinationState, error) {
	r, err := c.destination(http.MethodGet, "read destination", projectID, id, "")
	if err != nil {
		return DestinationState{}, err
	}
	var body struct {
		Data struct {
			destinationItem
			Version          text `json:"version"`
			CredentialStatus text `json:"credential_status"`
		} `json:"data"`
	}
	if err := c.get(ctx, r, &body); err != nil {
		return DestinationState{}, err
	}
	i := body.Data
	if string(i.ID) != id {
		return DestinationState{}, r.wrong(http.StatusOK, "the answer is about another destination", false)
	}
	return DestinationState{
		Destination: Destination{
			ID: id, ProjectID: projectID, Partner: string(i.Partner), DisplayName: string(i.DisplayName), Kinds: i.Kind,
			CreatedBy: string(i.CreatedBy), UpdatedBy: string(i.UpdatedBy),
		},
		Version: string(i.Version), CredentialStatus: string(i.CredentialStatus),
	}, nil
}

// SetDestinationSecret replaces one setting of a destination that is at the given
// version; an Error with status 412 says that it is at another one by now. The
// value is in no error.
func (c *Client) SetDestinationSecret(ctx context.Context, projectID int, id, version, field string, value Secret) error {
	const op = "replace the credential of a destination"
	if version == "" || field == "" || value == "" {
		return invalid(apiDeveloper, op, "the version, the setting or the value is empty")
	}
	r, err := c.destination(http.MethodPatch, op, projectID, id, "")
	if err != nil {
		return err
	}
	r.header = map[string]string{"If-Match": version}
	r.hide = []string{value.Reveal()}
	if err := r.sendJSON(map[string]any{"config": map[string]string{field: value.Reveal()}}); err != nil {
		return err
	}
	return c.put(ctx, r)
}

// TestDestination lets Amplitude send a test to a destination, and tells whether
// it was taken. Amplitude's words on it are not repeated: they may hold what the
// partner answered.
func (c *Client) TestDestination(ctx context.Context, projectID int, id string) (bool, error) {
	r, err := c.destination(http.MethodPost, "test destination", projectID, id, "/test")
	if err != nil {
		return false, err
	}
	var body struct {
		Data struct {
			OK flag `json:"ok"`
		} `json:"data"`
	}
	err = c.get(ctx, r, &body)
	return bool(body.Data.OK), err
}

func (c *Client) destination(method, op string, projectID int, id, path string) (*request, error) {
	if c.developerAuth == "" || c.at.Developer == "" {
		return nil, notConfigured(apiDeveloper, op, "the developer token, or the developer endpoint,")
	}
	if projectID <= 0 || id == "" {
		return nil, invalid(apiDeveloper, op, "the project or the destination is not named")
	}
	return &request{
		api: apiDeveloper, op: op, method: method, auth: c.developerAuth, gate: c.developer, cost: 1,
		url: c.at.Developer + "/v1/projects/" + strconv.Itoa(projectID) + "/destinations/" + segment(id) + path,
	}, nil
}
