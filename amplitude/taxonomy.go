package amplitude

import (
	"context"
	"net/http"
	"net/url"
)

// Event is an event type of a project's tracking plan.
type Event struct {
	Name        string // as sent by the code that tracks it
	DisplayName string
	Description string
	Category    string
	Owner       string // as written there: mostly an address, sometimes a name; empty: nobody
	Active      bool
}

// Events lists the visible event types of a project. It is a lower bound:
// hidden and deleted ones are left out by the API.
func (c *Client) Events(ctx context.Context, projectID int) ([]Event, error) {
	r, err := c.taxonomy(projectID, http.MethodGet, "list events", "")
	if err != nil {
		return nil, err
	}
	r.list = true
	var body struct {
		Data *[]event `json:"data"`
	}
	if err := c.get(ctx, r, &body); err != nil {
		return nil, err
	}
	if body.Data == nil {
		return nil, r.wrong(http.StatusOK, "the answer holds no events", false)
	}
	out := make([]Event, 0, len(*body.Data))
	for _, b := range *body.Data {
		out = append(out, b.event())
	}
	return out, nil
}

// Event reads one event type by its name. Error.NotFound says that the plan
// has no visible one. An answer about another event is an error.
func (c *Client) Event(ctx context.Context, projectID int, name string) (Event, error) {
	const op = "read event"
	if name == "" {
		return Event{}, invalid(apiTaxonomy, op, "the event has no name")
	}
	r, err := c.taxonomy(projectID, http.MethodGet, op, "/"+segment(name))
	if err != nil {
		return Event{}, err
	}
	var body struct {
		Data *event `json:"data"`
	}
	if err := c.get(ctx, r, &body); err != nil {
		return Event{}, err
	}
	switch {
	case body.Data == nil:
		return Event{}, r.wrong(http.StatusOK, "the answer holds no event", false)
	case string(body.Data.EventType) != name:
		return Event{}, r.wrong(http.StatusOK, "the answer is about another event", false)
	}
	return body.Data.event(), nil
}

// SetEventOwner gives an event type a new owner, in the form that other events
// of the project use. An empty owner is refused: it would leave nobody. Doing
// it twice is harmless. Nil means accepted; Event shows whether it happened.
func (c *Client) SetEventOwner(ctx context.Context, projectID int, name, owner string) error {
	const op = "set event owner"
	switch {
	case name == "":
		return invalid(apiTaxonomy, op, "the event has no name")
	case owner == "":
		return invalid(apiTaxonomy, op, "the new owner is empty")
	}
	r, err := c.taxonomy(projectID, http.MethodPut, op, "/"+segment(name))
	if err != nil {
		return err
	}
	r.cost = 2
	r.hide = addressForms(owner)
	r.body = []byte(url.Values{"owner": {owner}}.Encode())
	r.contentType = "application/x-www-form-urlencoded"
	return c.put(ctx, r)
}

// taxonomy describes a request about event types.
func (c *Client) taxonomy(projectID int, method, op, path string) (*request, error) {
	p, err := c.project(apiTaxonomy, op, projectID)
	if err != nil {
		return nil, err
	}
	if p.basicAuth == "" || c.at.Analytics == "" {
		return nil, notConfigured(apiTaxonomy, op, "the project's API key and secret key, or the analytics endpoint,")
	}
	return &request{
		api: apiTaxonomy, op: op, method: method,
		url:  c.at.Analytics + "/api/2/taxonomy/event" + path,
		auth: p.basicAuth, gate: p.taxonomy, cost: 1,
	}, nil
}

type event struct {
	EventType   text  `json:"event_type"`
	DisplayName text  `json:"display_name"`
	Description text  `json:"description"`
	Category    named `json:"category"`
	Owner       text  `json:"owner"`
	Active      flag  `json:"is_active"`
}

func (e event) event() Event {
	return Event{
		Name: string(e.EventType), DisplayName: string(e.DisplayName), Description: string(e.Description),
		Category: string(e.Category.Name), Owner: string(e.Owner), Active: bool(e.Active),
	}
}
