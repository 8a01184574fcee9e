package amplitude

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
)

// Probes tell whether a credential of this client still works, by the cheapest
// request that reads something and changes nothing. False means that Amplitude
// refused it, with 401 or 403; an error, that it could not be told.

// ProjectKeysWork probes a project's API key and secret key together.
func (c *Client) ProjectKeysWork(ctx context.Context, projectID int) (bool, error) {
	r, err := c.taxonomy(projectID, http.MethodGet, "probe project keys", "")
	if err != nil {
		return false, err
	}
	r.url = c.at.Analytics + "/api/2/taxonomy/category"
	return c.works(ctx, r)
}

// ManagementKeyWorks probes the management key of a project.
func (c *Client) ManagementKeyWorks(ctx context.Context, projectID int) (bool, error) {
	r, err := c.experiment(projectID, http.MethodGet, "probe management key", "/flags"+query(url.Values{"limit": {"1"}}))
	if err != nil {
		return false, err
	}
	return c.works(ctx, r)
}

// SCIMKeyWorks probes the SCIM key. It costs one request of the budget.
func (c *Client) SCIMKeyWorks(ctx context.Context) (bool, error) {
	return c.works(ctx, c.scim(http.MethodGet, "probe SCIM key", "/Users"+query(url.Values{"startIndex": {"1"}, "itemsPerPage": {"1"}})))
}

// OrgKeyWorks probes the organization's key and secret. An organization that is
// not enrolled says so only to a key that it knows.
func (c *Client) OrgKeyWorks(ctx context.Context) (bool, error) {
	r, err := c.access(http.MethodGet, "probe organization key", "/roles", url.Values{})
	if err != nil {
		return false, err
	}
	works, err := c.works(ctx, r)
	if errors.Is(err, ErrNotEnrolled) {
		return true, nil
	}
	return works, err
}

func (c *Client) works(ctx context.Context, r *request) (bool, error) {
	var body json.RawMessage
	err := c.get(ctx, r, &body)
	if e, ok := errors.AsType[*Error](err); ok && e.Unauthorized() {
		return false, nil
	}
	return err == nil, err
}
