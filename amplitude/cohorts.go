package amplitude

import (
	"context"
	"net/http"
	"time"
)

// Cohort is a behavioural cohort.
type Cohort struct {
	ID          string
	Name        string
	Owners      []string // addresses, as written there; may name former members
	Archived    bool
	Description string
	ModifiedAt  time.Time // zero: not told
	Syncs       []CohortSync
}

// CohortSync is one export of a cohort to somewhere else. One-time and
// disabled ones are not listed.
type CohortSync struct {
	Target    string
	Frequency string // minute, hourly, daily
	Email     string // who probably set it up; empty: not told
}

// Cohorts lists the discoverable cohorts of a project, with their syncs. It is
// a lower bound: unlisted cohorts are invisible to the API.
//
// There is no way here to change an owner: the only call that takes one
// replaces the cohort's definition by a fixed list of ids.
func (c *Client) Cohorts(ctx context.Context, projectID int) ([]Cohort, error) {
	const op = "list cohorts"
	p, err := c.project(apiCohorts, op, projectID)
	if err != nil {
		return nil, err
	}
	if p.basicAuth == "" || c.at.Analytics == "" {
		return nil, notConfigured(apiCohorts, op, "the project's API key and secret key, or the analytics endpoint,")
	}
	r := &request{
		api: apiCohorts, op: op, method: http.MethodGet,
		url:  c.at.Analytics + "/api/3/cohorts?includeSyncInfo=true",
		auth: p.basicAuth, list: true, gate: p.cohorts, cost: 1,
	}
	var body struct {
		Cohorts *[]struct {
			ID          text   `json:"id"`
			Name        text   `json:"name"`
			Owners      texts  `json:"owners"`
			Archived    flag   `json:"archived"`
			Description text   `json:"description"`
			LastMod     moment `json:"lastMod"`
			Syncs       []struct {
				Target    text `json:"target"`
				Frequency text `json:"frequency"`
				Params    struct {
					UserID text `json:"user_id"`
				} `json:"params"`
			} `json:"syncMetadata"`
		} `json:"cohorts"`
	}
	if err := c.get(ctx, r, &body); err != nil {
		return nil, err
	}
	if body.Cohorts == nil {
		return nil, r.wrong(http.StatusOK, "the answer holds no cohorts", false)
	}
	out := make([]Cohort, 0, len(*body.Cohorts))
	for _, b := range *body.Cohorts {
		h := Cohort{
			ID: string(b.ID), Name: string(b.Name), Owners: b.Owners, Archived: bool(b.Archived),
			Description: string(b.Description), ModifiedAt: b.LastMod.Time,
		}
		for _, s := range b.Syncs {
			h.Syncs = append(h.Syncs, CohortSync{
				Target: string(s.Target), Frequency: string(s.Frequency), Email: string(s.Params.UserID),
			})
		}
		out = append(out, h)
	}
	return out, nil
}
