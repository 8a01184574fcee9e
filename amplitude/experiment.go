package amplitude

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strconv"
)

// FlagKind says which of the two kinds a FlagRef names; the API keeps them
// under different paths.
type FlagKind string

// The kinds.
const (
	KindFlag       FlagKind = "flags"
	KindExperiment FlagKind = "experiments"
)

// FlagRef names a feature flag or an experiment.
type FlagRef struct {
	Kind      FlagKind
	ProjectID int
	ID        string
}

// Flag is a feature flag or an experiment. Neither has an owner in this API,
// and who made it cannot be changed.
type Flag struct {
	FlagRef
	Key            string
	Name           string
	Enabled        bool
	State          string   // of experiments
	Deployments    []string // ids
	CreatedBy      string   // an address
	LastModifiedBy string
}

// Flags lists the feature flags of a project that are not archived.
func (c *Client) Flags(ctx context.Context, projectID int) ([]Flag, error) {
	return c.flags(ctx, KindFlag, "list flags", projectID)
}

// Experiments lists the experiments of a project that are not archived.
func (c *Client) Experiments(ctx context.Context, projectID int) ([]Flag, error) {
	return c.flags(ctx, KindExperiment, "list experiments", projectID)
}

func (c *Client) flags(ctx context.Context, kind FlagKind, op string, projectID int) ([]Flag, error) {
	r, err := c.experiment(projectID, http.MethodGet, op, "/"+string(kind))
	if err != nil {
		return nil, err
	}
	items, err := experimentList[flagItem](ctx, c, r, string(kind), url.Values{"projectId": {strconv.Itoa(projectID)}})
	if err != nil {
		return nil, err
	}
	out := make([]Flag, 0, len(items))
	for _, i := range items {
		f := Flag{
			FlagRef: FlagRef{Kind: kind, ProjectID: projectID, ID: string(i.ID)},
			Key:     string(i.Key), Name: string(i.Name), Enabled: bool(i.Enabled), State: string(i.State),
			Deployments: i.Deployments, CreatedBy: string(i.CreatedBy), LastModifiedBy: string(i.LastModifiedBy),
		}
		if f.ID == "" {
			return nil, r.wrong(http.StatusOK, "the answer holds an entry without an id", false)
		}
		if i.ProjectID.set && i.ProjectID.int() != projectID {
			continue // the key sees several projects
		}
		out = append(out, f)
	}
	return out, nil
}

type flagItem struct {
	ID             text   `json:"id"`
	ProjectID      number `json:"projectId"`
	Key            text   `json:"key"`
	Name           text   `json:"name"`
	Enabled        flag   `json:"enabled"`
	State          text   `json:"state"`
	Deployments    texts  `json:"deployments"`
	CreatedBy      text   `json:"createdBy"`
	LastModifiedBy text   `json:"lastModifiedBy"`
}

// experiment describes a request with a project's management key.
func (c *Client) experiment(projectID int, method, op, path string) (*request, error) {
	p, err := c.project(apiExperiment, op, projectID)
	if err != nil {
		return nil, err
	}
	if p.managementAuth == "" || c.at.Experiment == "" {
		return nil, notConfigured(apiExperiment, op, "the project's management key, or the experiment endpoint,")
	}
	return &request{
		api: apiExperiment, op: op, method: method,
		url: c.at.Experiment + path, auth: p.managementAuth,
	}, nil
}

// experimentList reads all pages of a list whose entries are under field. The
// cursor of the next page is documented beside that field, and once within it,
// as an entry of its own or in the last one: all are understood.
func experimentList[T any](ctx context.Context, c *Client, r *request, field string, params url.Values) ([]T, error) {
	r.list = true
	base := r.url
	return follow(r, func(cursor string) ([]T, string, error) {
		q := url.Values{"limit": {strconv.Itoa(experimentPageSize)}}
		maps.Copy(q, params)
		if cursor != "" {
			q.Set("cursor", cursor)
		}
		r.url = base + query(q)
		var body map[string]json.RawMessage
		if err := c.get(ctx, r, &body); err != nil {
			return nil, "", err
		}
		var entries []json.RawMessage
		if raw, ok := body[field]; !ok || json.Unmarshal(raw, &entries) != nil || entries == nil {
			return nil, "", r.wrong(http.StatusOK, "the answer holds no "+field, false)
		}
		var next text
		if raw, ok := body["nextCursor"]; ok {
			_ = next.UnmarshalJSON(raw) // a text that cannot be read is none
		}
		items := make([]T, 0, len(entries))
		for _, raw := range entries {
			var quirk struct {
				ID         text `json:"id"`
				NextCursor text `json:"nextCursor"`
			}
			var item T
			if json.Unmarshal(raw, &quirk) != nil || json.Unmarshal(raw, &item) != nil {
				return nil, "", r.wrong(http.StatusOK, "the answer holds an entry of an unexpected shape", false)
			}
			if quirk.NextCursor != "" {
				next = quirk.NextCursor
				if quirk.ID == "" {
					continue
				}
			}
			items = append(items, item)
		}
		return items, string(next), nil
	})
}
