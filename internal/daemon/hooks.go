package daemon

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"offramp/internal/config"
	"offramp/internal/offboard"
	"offramp/internal/runner"
	"offramp/transfer"
)

// newRunner builds the runner with every hook that is configured. Built-in
// hooks come after the configured ones: who configures a hook for events wants it.
func (d *Daemon) newRunner() (*runner.Runner, error) {
	orgs, err := d.organizations()
	if err != nil {
		return nil, err
	}
	if d.drift, err = d.newSweeper(orgs); err != nil {
		return nil, err
	}
	o := runner.Options{
		Store: d.store, Organizations: orgs, Observe: d.cfg.Mode == config.Observe, Access: len(d.cfg.Access.Groups) > 0,
		Reach: d.reach(), Protected: protected(d.cfg), Reachable: reachable(d.cfg), Credentials: credentials(d.cfg), Verify: d.cfg.Verify.After,
		Gather: d.cfg.Verify.Gather, Tolerance: d.opts.Tempo.Tolerance, Backoff: d.opts.Tempo.Backoff,
		Overlap: d.opts.Tempo.Overlap, Callbacks: true, Audience: d.audience(), Log: d.opts.Log.Named("runner"), Metrics: d.registry,
	}
	if err := d.hooks(&o, newContent(orgs)); err != nil {
		return nil, err
	}
	return runner.New(o)
}

func (d *Daemon) hooks(o *runner.Options, c *content) error {
	add := func(hook any, handles, rotates bool) {
		if t, ok := hook.(transfer.Transferrer); ok && handles {
			o.Transferrers = append(o.Transferrers, t)
		}
		if t, ok := hook.(transfer.Rotator); ok && rotates {
			o.Rotators = append(o.Rotators, t)
		}
	}
	for _, h := range d.cfg.Hooks {
		hook, err := d.hook(h)
		if err != nil {
			return fmt.Errorf("hook %s: %w", h.Name, err)
		}
		add(hook, len(h.Handles) > 0, len(h.Rotates) > 0)
	}
	owner, err := transfer.NewEventOwner(transfer.EventOwnerOptions{Events: c})
	if err != nil {
		return err
	}
	add(owner, true, false)
	sinks, err := newSinks(d.cfg)
	if err != nil {
		return err
	}
	if len(sinks) > 0 {
		key, err := transfer.NewDeploymentKey(transfer.DeploymentKeyOptions{Deployments: c, Sink: sinks})
		if err != nil {
			return err
		}
		add(key, false, true)
	}
	o.Manual, err = transfer.NewManual(transfer.ManualOptions{Sites: sites(d.cfg)})
	return err
}

// sites tells where the pages of each organization are.
func sites(cfg *config.Config) map[string]transfer.Site {
	out := map[string]transfer.Site{}
	for _, o := range cfg.Organizations {
		site := transfer.Site{Slug: o.Slug}
		if o.Region == config.EU {
			site.App = "https://app.eu.amplitude.com"
		}
		out[o.Name] = site
	}
	return out
}

// hook builds a configured webhook or command. Both may be told an address
// under which they answer later.
func (d *Daemon) hook(h config.Hook) (any, error) {
	var handles []transfer.AssetKind
	for _, k := range h.Handles {
		handles = append(handles, transfer.AssetKind(k))
	}
	var rotates []transfer.CredentialKind
	for _, k := range h.Rotates {
		rotates = append(rotates, transfer.CredentialKind(k))
	}
	callback := func(ctx context.Context, _ string) (string, error) {
		secret := runner.CallbackSecret(ctx)
		if secret == "" {
			return "", nil
		}
		return d.cfg.PublicURL + "/hooks/" + secret, nil
	}
	if h.Kind == config.Command {
		return transfer.NewCommand(transfer.CommandOptions{
			Name: h.Name, Argv: h.Argv, Env: h.Env, Dir: h.Dir, Handles: handles, Rotates: rotates, Timeout: h.Timeout,
			Callback: callback,
		})
	}
	return transfer.NewWebhook(transfer.WebhookOptions{
		Name: h.Name, URL: h.URL, Secrets: []transfer.Secret{transfer.Secret(h.Secret.Reveal())}, Handles: handles,
		Rotates: rotates, Timeout: h.Timeout, AllowLoopback: h.AllowPrivate, AllowPrivate: h.AllowPrivate, Callback: callback,
	})
}

// sinks take new credentials to where their users find them, by the
// credential's name.
type sinks map[string]transfer.Sink

func newSinks(cfg *config.Config) (sinks, error) {
	s := sinks{}
	for _, c := range cfg.Credentials {
		if c.Publish == "" {
			continue
		}
		file, err := transfer.NewFileSink(c.Publish)
		if err != nil {
			return nil, fmt.Errorf("credential %s: %w", c.Name, err)
		}
		s[c.Name] = file
	}
	return s, nil
}

// Publish hands the new value to the credential's own sink.
func (s sinks) Publish(ctx context.Context, p transfer.Publication) error {
	sink := s[p.Credential.Name]
	if sink == nil {
		return &transfer.Error{Hook: "publish", Op: "publish", Detail: "no directory is configured for the new key of " + p.Credential.Label()}
	}
	return sink.Publish(ctx, p)
}

// credentials matches the registry with a person, by address or group.
func credentials(cfg *config.Config) func(offboard.Person) []runner.Credential {
	return func(p offboard.Person) []runner.Credential {
		var out []runner.Credential
		for _, c := range cfg.Credentials {
			knew := slices.ContainsFunc(c.People, func(a string) bool { return slices.Contains(p.Addresses(), offboard.Fold(a)) }) ||
				slices.ContainsFunc(c.Groups, func(g string) bool {
					return slices.ContainsFunc(p.Groups, func(in string) bool { return strings.EqualFold(in, g) })
				})
			if !knew {
				continue
			}
			org := c.Organization
			if org == "" {
				org = cfg.Organizations[0].Name
			}
			out = append(out, runner.Credential{Name: c.Name, Credential: transfer.Credential{
				Kind: transfer.CredentialKind(c.Kind), ID: or(c.ID, c.Name), Name: c.Name, Project: c.Project, Organization: org,
			}})
		}
		return out
	}
}

// reach lists the organizations of a connection.
func (d *Daemon) reach() func(string) []string {
	byName := map[string][]string{}
	for _, c := range d.cfg.Connections {
		byName[c.Name] = c.Organizations
	}
	return func(connection string) []string { return byName[connection] }
}
