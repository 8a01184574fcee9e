package console

import (
	"context"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"offramp/internal/offboard"
)

// Differences is the record of how Amplitude differs from what is meant.
type Differences interface {
	Findings(ctx context.Context, f offboard.FindingFilter) ([]offboard.Finding, error)
	Finding(ctx context.Context, id string) (offboard.Finding, error)
	AcknowledgeFinding(ctx context.Context, id string, a offboard.Acknowledgement) (offboard.Finding, error)
	LinkFinding(ctx context.Context, id, caseID string) error
	Sweeps(ctx context.Context) ([]offboard.Sweep, error)
	AskSweep(ctx context.Context, organization, by string) (offboard.Sweep, error)
}

// Finding is one difference.
type Finding struct {
	ID           string                `json:"id"`
	Kind         offboard.FindingKind  `json:"kind"`
	Severity     offboard.Severity     `json:"severity"`
	Organization string                `json:"organization"`
	Connection   string                `json:"connection,omitempty"`
	Address      string                `json:"address,omitempty"`
	Case         string                `json:"case,omitempty"`
	Text         string                `json:"text"`
	Cause        string                `json:"cause,omitempty"`
	Proposed     string                `json:"proposed"`
	Rounds       int                   `json:"rounds,omitempty"`
	State        offboard.FindingState `json:"state"`
	FirstSeen    time.Time             `json:"first_seen"`
	LastSeen     time.Time             `json:"last_seen"`
	AckBy        string                `json:"acknowledged_by,omitempty"`
	AckWhy       string                `json:"acknowledged_because,omitempty"`
	AckUntil     time.Time             `json:"acknowledged_until,omitzero"`
	Resolved     time.Time             `json:"resolved,omitzero"`
	ResolvedWhy  string                `json:"resolved_because,omitempty"`
}

func (c *Console) findingOf(f offboard.Finding) Finding {
	state := f.State
	if f.Open(c.opts.Now()) {
		state = offboard.FindingOpen
	}
	return Finding{
		ID: f.ID, Kind: f.Kind, Severity: f.Severity, Organization: f.Organization, Connection: f.Connection, Address: f.Address,
		Case: f.CaseID, Text: f.Text, Cause: f.Cause, Proposed: f.Proposed, Rounds: f.Rounds, State: state, FirstSeen: f.FirstSeen,
		LastSeen: f.LastSeen, AckBy: f.AckBy, AckWhy: f.AckWhy, AckUntil: f.AckUntil, Resolved: f.Resolved, ResolvedWhy: f.ResolvedWhy,
	}
}

// Sweep is how the comparison of one organization stands.
type Sweep struct {
	Organization string    `json:"organization"`
	Number       int64     `json:"number"` // grows with each one
	Running      bool      `json:"running"`
	Asked        time.Time `json:"asked,omitzero"` // by an operator, and not begun since
	Started      time.Time `json:"started,omitzero"`
	Finished     time.Time `json:"finished,omitzero"`
	Trusted      time.Time `json:"trusted,omitzero"` // when the last one ended that can be trusted
	Members      int       `json:"members"`
	Note         string    `json:"note,omitempty"`   // what was not looked at
	Failed       string    `json:"failed,omitempty"` // why the last one is not trusted
}

// FindingList is a page of findings, the gravest first, and how fresh they are.
type FindingList struct {
	Findings []Finding `json:"findings"`
	Sweeps   []Sweep   `json:"sweeps"`
	Next     string    `json:"next,omitempty"`
}

// SweepList is how the comparison of some organizations stands.
type SweepList struct {
	Sweeps []Sweep `json:"sweeps"`
}

// SweepRequest asks for a comparison now.
type SweepRequest struct {
	Organization string `json:"organization,omitempty"` // empty: all
}

// AcknowledgeRequest puts a finding aside.
type AcknowledgeRequest struct {
	Because string    `json:"because"`
	Until   time.Time `json:"until"`
}

func (c *Console) sweeps(ctx context.Context, organization string) ([]Sweep, error) {
	all, err := c.opts.Store.Sweeps(ctx)
	if err != nil {
		return nil, err
	}
	out := []Sweep{}
	for _, name := range c.opts.Organizations {
		if organization != "" && organization != name {
			continue
		}
		w := offboard.Sweep{Organization: name}
		if i := slices.IndexFunc(all, func(s offboard.Sweep) bool { return s.Organization == name }); i >= 0 {
			w = all[i]
		}
		out = append(out, Sweep{
			Organization: w.Organization, Number: w.Number, Running: w.Running, Asked: w.Asked, Started: w.Started, Finished: w.Finished,
			Trusted: w.Trusted, Members: w.Members, Note: w.Note, Failed: w.Failed,
		})
	}
	return out, nil
}

func (c *Console) listFindings(r *http.Request, _ Operator) (int, any, error) {
	q, err := query(r, "kind", "severity", "organization", "all", "before", "limit")
	if err != nil {
		return 0, nil, err
	}
	f := offboard.FindingFilter{Organization: q.Get("organization"), Before: q.Get("before"), All: q.Get("all") == "true"}
	if _, err := oneOf("all", q.Get("all"), []string{"true", "false"}); err != nil {
		return 0, nil, err
	}
	if f.Kind, err = oneOf("kind", q.Get("kind"), offboard.FindingKinds()); err != nil {
		return 0, nil, err
	}
	if f.Severity, err = oneOf("severity", q.Get("severity"), offboard.Severities()); err != nil {
		return 0, nil, err
	}
	if f.Most, err = most(q); err != nil {
		return 0, nil, err
	}
	found, err := c.opts.Store.Findings(r.Context(), f)
	if err != nil {
		return 0, nil, err
	}
	out := FindingList{Findings: []Finding{}}
	for _, one := range found {
		out.Findings = append(out.Findings, c.findingOf(one))
	}
	if len(found) == f.Most {
		out.Next = found[len(found)-1].ID
	}
	out.Sweeps, err = c.sweeps(r.Context(), f.Organization)
	return http.StatusOK, out, err
}

func (c *Console) showFinding(r *http.Request, _ Operator) (int, any, error) {
	id, err := pathID(r)
	if err != nil {
		return 0, nil, err
	}
	f, err := c.opts.Store.Finding(r.Context(), id)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, c.findingOf(f), nil
}

func (c *Console) askSweep(r *http.Request, by Operator) (int, any, error) {
	in, err := decode[SweepRequest](r)
	if err != nil {
		return 0, nil, err
	}
	if in.Organization != "" && !slices.Contains(c.opts.Organizations, in.Organization) {
		return 0, nil, bad(http.StatusUnprocessableEntity, "the organization has to be one of %q", c.opts.Organizations)
	}
	for _, name := range c.opts.Organizations {
		if in.Organization != "" && in.Organization != name {
			continue
		}
		if _, err := c.opts.Store.AskSweep(r.Context(), name, by.Name); err != nil {
			return 0, nil, err
		}
	}
	c.opts.Log.Info("operator", zap.String("operator", by.Name), zap.String("decision", "drift run"))
	out := SweepList{}
	out.Sweeps, err = c.sweeps(r.Context(), in.Organization)
	return http.StatusAccepted, out, err
}

func (c *Console) acknowledge(r *http.Request, by Operator) (int, any, error) {
	in, err := decode[AcknowledgeRequest](r)
	if err == nil {
		err = tidy(&in.Because)
	}
	if err != nil {
		return 0, nil, err
	}
	id, err := pathID(r)
	if err != nil {
		return 0, nil, err
	}
	f, err := c.opts.Store.AcknowledgeFinding(r.Context(), id, offboard.Acknowledgement{By: by.Name, Because: in.Because, Until: in.Until})
	if err != nil {
		return 0, nil, err
	}
	c.opts.Log.Info("operator", zap.String("operator", by.Name), zap.String("decision", "acknowledge"), zap.String("finding", id))
	return http.StatusOK, c.findingOf(f), nil
}
