package amplitude

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// LookupTable maps the values of a property to others. It has no id: its name
// is unique in its project. Who made it cannot be changed.
type LookupTable struct {
	ProjectID      int
	Name           string
	CreatedBy      string // an address, or "api"; empty: not told
	LastModifiedBy string
	ModifiedAt     time.Time // zero: not told
}

// LookupTables lists the lookup tables of a project, deleted ones left out.
func (c *Client) LookupTables(ctx context.Context, projectID int) ([]LookupTable, error) {
	const op = "list lookup tables"
	p, err := c.project(apiLookup, op, projectID)
	if err != nil {
		return nil, err
	}
	if p.basicAuth == "" || c.at.Data == "" {
		return nil, notConfigured(apiLookup, op, "the project's API key and secret key, or the data endpoint,")
	}
	r := &request{
		api: apiLookup, op: op, method: http.MethodGet,
		url: c.at.Data + "/api/3/lookup_table", auth: p.basicAuth, list: true,
	}
	var raw json.RawMessage
	if err := c.get(ctx, r, &raw); err != nil {
		return nil, err
	}
	// The documented answer is the bare list; all neighbours of this API wrap theirs.
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && raw[0] == '{' {
		var wrapped struct {
			Data json.RawMessage `json:"data"`
		}
		if json.Unmarshal(raw, &wrapped) == nil {
			raw = wrapped.Data
		}
	}
	var items []struct {
		Name           text   `json:"name"`
		CreatedBy      text   `json:"createdBy"`
		LastModifiedBy text   `json:"lastModifiedBy"`
		LastModifiedAt moment `json:"lastModifiedAt"`
		IsDeleted      flag   `json:"isDeleted"`
	}
	if json.Unmarshal(raw, &items) != nil || items == nil {
		return nil, r.wrong(http.StatusOK, "the answer holds no lookup tables", false)
	}
	out := make([]LookupTable, 0, len(items))
	for _, i := range items {
		switch {
		case i.Name == "":
			return nil, r.wrong(http.StatusOK, "the answer holds a table without a name", false)
		case bool(i.IsDeleted):
			continue
		}
		out = append(out, LookupTable{
			ProjectID: projectID, Name: string(i.Name), CreatedBy: string(i.CreatedBy),
			LastModifiedBy: string(i.LastModifiedBy), ModifiedAt: i.LastModifiedAt.Time,
		})
	}
	return out, nil
}
