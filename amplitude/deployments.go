package amplitude

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
)

// Deployment is an environment of flags and experiments with its own key.
// There is no call that rotates the key: a new deployment takes the place of
// the old one on every flag and experiment, then the old one is archived.
type Deployment struct {
	ID        string
	ProjectID int
	Label     string
	Key       Secret // Amplitude shows it in clear to whoever may list
	Archived  bool
}

// Type says whether the key belongs to a server (secret) or a client (public),
// by its documented prefix; empty where it has none.
func (d Deployment) Type() string {
	for _, t := range []string{"server", "client"} {
		if len(d.Key) > len(t) && string(d.Key[:len(t)+1]) == t+"-" {
			return t
		}
	}
	return ""
}

// Deployments lists the deployments of a project, archived ones as well.
func (c *Client) Deployments(ctx context.Context, projectID int) ([]Deployment, error) {
	r, err := c.experiment(projectID, http.MethodGet, "list deployments", "/deployments")
	if err != nil {
		return nil, err
	}
	items, err := experimentList[struct {
		ID        text   `json:"id"`
		ProjectID number `json:"projectId"`
		Label     text   `json:"label"`
		Key       text   `json:"key"`
		Deleted   flag   `json:"deleted"`
	}](ctx, c, r, "deployments", nil)
	if err != nil {
		return nil, err
	}
	var out []Deployment
	for _, i := range items {
		if i.ID == "" {
			return nil, r.wrong(http.StatusOK, "the answer holds an entry without an id", false)
		}
		if i.ProjectID.set && i.ProjectID.int() != projectID {
			continue // the key sees several projects
		}
		out = append(out, Deployment{
			ID: string(i.ID), ProjectID: projectID, Label: string(i.Label),
			Key: Secret(i.Key), Archived: bool(i.Deleted),
		})
	}
	return out, nil
}

// CreateDeployment makes a deployment of kind "server" or "client" and returns
// its id; the key is read by listing. It is not repeatable: before a second
// try, look for the label in the list. Labels are letters, digits, "-", "_".
func (c *Client) CreateDeployment(ctx context.Context, projectID int, label, kind string) (string, error) {
	const op = "create deployment"
	if !isLabel(label) {
		return "", invalid(apiExperiment, op, "the label may hold letters, digits, - and _ only")
	}
	if kind != "server" && kind != "client" {
		return "", invalid(apiExperiment, op, "the type is neither server nor client")
	}
	r, err := c.experiment(projectID, http.MethodPost, op, "/deployments")
	if err != nil {
		return "", err
	}
	if err := r.sendJSON(map[string]any{"projectId": projectID, "label": label, "type": kind}); err != nil {
		return "", err
	}
	var body struct {
		ID text `json:"id"`
	}
	if err := c.get(ctx, r, &body); err != nil {
		return "", err
	}
	if body.ID == "" {
		return "", r.wrong(http.StatusOK, "the answer holds no id", true)
	}
	return string(body.ID), nil
}

// ArchiveDeployment ends a deployment; its key stops evaluating. Twice is
// harmless.
func (c *Client) ArchiveDeployment(ctx context.Context, projectID int, id string) error {
	const op = "archive deployment"
	if id == "" {
		return invalid(apiExperiment, op, "the deployment is not named")
	}
	r, err := c.experiment(projectID, http.MethodPatch, op, "/deployments/"+segment(id))
	if err != nil {
		return err
	}
	if err := r.sendJSON(map[string]any{"archive": true}); err != nil {
		return err
	}
	return c.put(ctx, r)
}

// FlagDeployments lists the ids of the deployments that f is on.
func (c *Client) FlagDeployments(ctx context.Context, f FlagRef) ([]string, error) {
	r, err := c.flagRequest(http.MethodGet, "list deployments of a flag", f, "")
	if err != nil {
		return nil, err
	}
	r.list = true
	var raw json.RawMessage
	if err := c.get(ctx, r, &raw); err != nil {
		return nil, err
	}
	var wrapped struct {
		Deployments json.RawMessage `json:"deployments"`
	}
	if json.Unmarshal(raw, &wrapped) == nil && wrapped.Deployments != nil {
		raw = wrapped.Deployments
	}
	var entries []json.RawMessage
	if json.Unmarshal(raw, &entries) != nil {
		return nil, r.wrong(http.StatusOK, "the answer holds no deployments", false)
	}
	out := make([]string, 0, len(entries))
	for _, e := range entries {
		var n named // an object with an id, or the id alone
		if json.Unmarshal(e, &n) != nil || n.ID == "" && n.Name == "" {
			return nil, r.wrong(http.StatusOK, "the answer holds a deployment without an id", false)
		}
		if n.ID != "" {
			out = append(out, string(n.ID))
		} else {
			out = append(out, string(n.Name))
		}
	}
	return out, nil
}

// AttachDeployment puts f on a deployment as well. Where it is already, look at
// FlagDeployments instead of calling again.
func (c *Client) AttachDeployment(ctx context.Context, f FlagRef, deploymentID string) error {
	const op = "attach deployment"
	if deploymentID == "" {
		return invalid(apiExperiment, op, "the deployment is not named")
	}
	r, err := c.flagRequest(http.MethodPost, op, f, "")
	if err != nil {
		return err
	}
	if err := r.sendJSON(map[string]any{"deployments": []string{deploymentID}}); err != nil {
		return err
	}
	return c.put(ctx, r)
}

// DetachDeployment takes f off a deployment. One that it is not on counts as
// taken off.
func (c *Client) DetachDeployment(ctx context.Context, f FlagRef, deploymentID string) error {
	const op = "detach deployment"
	if deploymentID == "" {
		return invalid(apiExperiment, op, "the deployment is not named")
	}
	r, err := c.flagRequest(http.MethodDelete, op, f, "/"+segment(deploymentID))
	if err != nil {
		return err
	}
	err = c.put(ctx, r)
	if e, ok := errors.AsType[*Error](err); ok && e.NotFound() {
		return nil
	}
	return err
}

func (c *Client) flagRequest(method, op string, f FlagRef, path string) (*request, error) {
	if f.ID == "" || f.Kind != KindFlag && f.Kind != KindExperiment {
		return nil, invalid(apiExperiment, op, "the flag is not named")
	}
	return c.experiment(f.ProjectID, method, op, "/"+string(f.Kind)+"/"+segment(f.ID)+"/deployments"+path)
}

// EvaluationKeyWorks tells whether a deployment key still evaluates. It asks
// for a flag that does not exist, for a made-up user, and switches tracking
// off, so it leaves nothing behind. An error means that it could not be told.
func (c *Client) EvaluationKeyWorks(ctx context.Context, key Secret) (bool, error) {
	const op = "probe deployment key"
	if c.at.Evaluation == "" {
		return false, notConfigured(apiEvaluation, op, "the evaluation endpoint")
	}
	if key == "" || !printable(key) {
		return false, invalid(apiEvaluation, op, "the key is empty or holds a blank")
	}
	r := &request{
		api: apiEvaluation, op: op, method: http.MethodGet,
		url: c.at.Evaluation + "/sdk/v2/vardata" + query(url.Values{
			"user_id":   {"offramp-key-probe"},
			"flag_keys": {"offramp-key-probe"},
		}),
		auth: "Api-Key " + key.Reveal(),
		header: map[string]string{
			"X-Amp-Exp-Track":          "no-track",
			"X-Amp-Exp-Exposure-Track": "no-track",
		},
		hide: []string{key.Reveal()},
	}
	var variants map[string]json.RawMessage
	err := c.get(ctx, r, &variants)
	if e, ok := errors.AsType[*Error](err); ok && e.Unauthorized() {
		return false, nil
	}
	return err == nil, err
}

func isLabel(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return s != ""
}
