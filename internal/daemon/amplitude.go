package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"offramp/amplitude"
	"offramp/internal/config"
	"offramp/internal/runner"
	"offramp/transfer"
)

// AmplitudeOptions says how an organization of the configuration is reached, and
// as whom: without a budget, metrics and a user agent.
func AmplitudeOptions(o config.Organization) (amplitude.Options, error) {
	at, err := amplitude.RegionEndpoints(string(o.Region))
	if err != nil {
		return amplitude.Options{}, fmt.Errorf("organization %s: %w", o.Name, err)
	}
	for into, from := range map[*string]string{
		&at.SCIM: o.Endpoints.SCIM, &at.UserManagement: o.Endpoints.UserManagement, &at.Audit: o.Endpoints.Audit,
		&at.Analytics: o.Endpoints.Analytics, &at.Experiment: o.Endpoints.Experiment, &at.Developer: o.Endpoints.Developer,
		&at.Data: o.Endpoints.Data, &at.Evaluation: o.Endpoints.Evaluation,
	} {
		if from != "" {
			*into = from
		}
	}
	opts := amplitude.Options{
		Name: o.Name, Endpoints: at, SCIMKey: secret(o.SCIMKey), OrgKey: secret(o.OrgKey), OrgSecret: secret(o.OrgSecret),
		DeveloperToken: secret(o.DeveloperToken),
	}
	if o.OrgID != "" {
		if opts.OrgID, err = strconv.Atoi(o.OrgID); err != nil {
			return opts, fmt.Errorf("organization %s: org_id is not a number", o.Name)
		}
	}
	for _, p := range o.Projects {
		id, err := strconv.Atoi(p.ID)
		if err != nil {
			return opts, fmt.Errorf("organization %s: project id is not a number", o.Name)
		}
		opts.Projects = append(opts.Projects, amplitude.Project{
			ID: id, Name: p.Name, APIKey: secret(p.APIKey), SecretKey: secret(p.SecretKey), ManagementKey: secret(p.ManagementKey),
		})
	}
	return opts, nil
}

// organizations builds a client for each organization, with its shared budget.
func (d *Daemon) organizations() ([]runner.Organization, error) {
	var out []runner.Organization
	for _, o := range d.cfg.Organizations {
		opts, err := AmplitudeOptions(o)
		if err != nil {
			return nil, err
		}
		opts.Budget, opts.Metrics = runner.NewBudget(d.store, o.Name, o.Rate), d.registry
		opts.Permit = runner.Permit(d.store.Paused)
		opts.UserAgent = "offramp/" + d.opts.Version
		org := runner.Organization{Name: o.Name, OrgID: o.OrgID}
		org.Roles = opts.OrgKey != "" && opts.OrgSecret != "" && opts.OrgID != 0
		org.Audit = org.Roles
		org.Token = opts.DeveloperToken != ""
		for _, p := range opts.Projects {
			org.Projects = append(org.Projects, runner.Project{
				ID: p.ID, Name: p.Name,
			})
		}
		if org.Client, err = amplitude.New(opts); err != nil {
			return nil, fmt.Errorf("organization %s: %w", o.Name, err)
		}
		if d.cfg.Mode == config.Observe {
			org.Client = org.Client.ReadOnly() // no hook that uses it can write either
		}
		out = append(out, org)
	}
	return out, nil
}

func secret(s config.Secret) amplitude.Secret { return amplitude.Secret(s.Reveal()) }

// content gives the hooks the Amplitude calls they need, by project: an id
// belongs to one organization.
type content struct {
	clients map[string]*amplitude.Client
}

func newContent(orgs []runner.Organization) *content {
	c := &content{clients: map[string]*amplitude.Client{}}
	for _, o := range orgs {
		for _, p := range o.Projects {
			c.clients[strconv.Itoa(p.ID)] = o.Client
		}
	}
	return c
}

func (c *content) project(id string) (*amplitude.Client, int, error) {
	client := c.clients[id]
	n, err := strconv.Atoi(id)
	if client == nil || err != nil {
		return nil, 0, &transfer.Error{Hook: "amplitude", Op: "find the project", Detail: "the project is not configured"}
	}
	return client, n, nil
}

func (c *content) Events(ctx context.Context, project string) ([]transfer.Event, error) {
	client, id, err := c.project(project)
	if err != nil {
		return nil, err
	}
	events, err := client.Events(ctx, id)
	out := make([]transfer.Event, 0, len(events))
	for _, e := range events {
		out = append(out, transfer.Event{Name: e.Name, Owner: e.Owner})
	}
	return out, err
}

func (c *content) Event(ctx context.Context, project, name string) (transfer.Event, error) {
	client, id, err := c.project(project)
	if err != nil {
		return transfer.Event{}, err
	}
	e, err := client.Event(ctx, id, name)
	return transfer.Event{Name: e.Name, Owner: e.Owner}, err
}

func (c *content) SetEventOwner(ctx context.Context, project, name, owner string) error {
	client, id, err := c.project(project)
	if err != nil {
		return err
	}
	return client.SetEventOwner(ctx, id, name, owner)
}

func (c *content) Deployments(ctx context.Context, project string) ([]transfer.Deployment, error) {
	client, id, err := c.project(project)
	if err != nil {
		return nil, err
	}
	list, err := client.Deployments(ctx, id)
	out := make([]transfer.Deployment, 0, len(list))
	for _, d := range list {
		out = append(out, transfer.Deployment{ID: d.ID, Label: d.Label, Key: transfer.Secret(d.Key.Reveal()), Archived: d.Archived})
	}
	return out, err
}

func (c *content) CreateDeployment(ctx context.Context, project, label, kind string) (string, error) {
	client, id, err := c.project(project)
	if err != nil {
		return "", err
	}
	return client.CreateDeployment(ctx, id, label, kind)
}

func (c *content) ArchiveDeployment(ctx context.Context, project, deployment string) error {
	client, id, err := c.project(project)
	if err != nil {
		return err
	}
	return client.ArchiveDeployment(ctx, id, deployment)
}

// Attached reads every flag and experiment, because no API lists those of one
// deployment.
func (c *content) Attached(ctx context.Context, project, deployment string) ([]transfer.FlagRef, error) {
	client, id, err := c.project(project)
	if err != nil {
		return nil, err
	}
	flags, err := client.Flags(ctx, id)
	if err != nil {
		return nil, err
	}
	experiments, err := client.Experiments(ctx, id)
	if err != nil {
		return nil, err
	}
	var out []transfer.FlagRef
	for _, f := range append(flags, experiments...) {
		for _, d := range f.Deployments {
			if d == deployment {
				out = append(out, transfer.FlagRef{ID: f.ID, Experiment: f.Kind == amplitude.KindExperiment})
			}
		}
	}
	return out, nil
}

func (c *content) Attach(ctx context.Context, project string, f transfer.FlagRef, deployment string) error {
	client, id, err := c.project(project)
	if err != nil {
		return err
	}
	return client.AttachDeployment(ctx, flagRef(id, f), deployment)
}

func (c *content) Detach(ctx context.Context, project string, f transfer.FlagRef, deployment string) error {
	client, id, err := c.project(project)
	if err != nil {
		return err
	}
	return client.DetachDeployment(ctx, flagRef(id, f), deployment)
}

func (c *content) KeyWorks(ctx context.Context, project string, key transfer.Secret) (bool, error) {
	client, _, err := c.project(project)
	if err != nil {
		return false, err
	}
	return client.EvaluationKeyWorks(ctx, amplitude.Secret(key.Reveal()))
}

func (c *content) Destination(ctx context.Context, project, id string) (transfer.DestinationState, error) {
	client, n, err := c.project(project)
	if err != nil {
		return transfer.DestinationState{}, err
	}
	d, err := client.Destination(ctx, n, id)
	return transfer.DestinationState{Version: d.Version, Connected: d.CredentialStatus == "connected", Streams: d.Streams()}, err
}

// SetDestinationSecret is not stopped by a pause: the new value was published
// before, and without it the destination would fail for as long as that lasts.
func (c *content) SetDestinationSecret(ctx context.Context, project, id, version, field string, value transfer.Secret) error {
	client, n, err := c.project(project)
	if err != nil {
		return err
	}
	err = client.Finishing().SetDestinationSecret(ctx, n, id, version, field, amplitude.Secret(value.Reveal()))
	if e, ok := errors.AsType[*amplitude.Error](err); ok && e.Status == http.StatusPreconditionFailed {
		return fmt.Errorf("%w: %w", transfer.ErrStale, err)
	}
	return err
}

func (c *content) TestDestination(ctx context.Context, project, id string) (bool, error) {
	client, n, err := c.project(project)
	if err != nil {
		return false, err
	}
	return client.Finishing().TestDestination(ctx, n, id)
}

func flagRef(project int, f transfer.FlagRef) amplitude.FlagRef {
	kind := amplitude.KindFlag
	if f.Experiment {
		kind = amplitude.KindExperiment
	}
	return amplitude.FlagRef{Kind: kind, ProjectID: project, ID: f.ID}
}

var (
	_ transfer.Events       = (*content)(nil)
	_ transfer.Deployments  = (*content)(nil)
	_ transfer.Destinations = (*content)(nil)
)
