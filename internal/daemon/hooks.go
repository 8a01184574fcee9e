package daemon

import (
	"context"
	"fmt"

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
		Brake:  func(connection string) offboard.BrakeRules { return d.rules.brake(d.rules.connections[connection]) },
		Settle: d.cfg.Brake.Settle,
		Reach:  d.reach(), Protected: protected(d.cfg), Admins: d.cfg.Protect.Admins, TokenOwners: d.cfg.Protect.Token,
		Reachable: reachable(d.cfg), Credentials: credentials(d.cfg), Own: own(d.cfg), Verify: d.cfg.Verify.After,
		Gather: d.cfg.Verify.Gather, Tolerance: d.opts.Tempo.Tolerance, Backoff: d.opts.Tempo.Backoff,
		Confirm: d.cfg.Handover.Confirm, Callbacks: true, Audience: d.audience(), Approvers: approvers(d.cfg), RuleFailed: d.failed, Log: d.opts.Log.Named("runner"),
		Metrics: d.registry,
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
	named := map[string]transfer.Sink{}
	for _, h := range d.cfg.Hooks {
		hook, err := d.hook(h)
		if err != nil {
			return fmt.Errorf("hook %s: %w", h.Name, err)
		}
		add(hook, len(h.Handles) > 0, len(h.Rotates) > 0)
		if sink, ok := hook.(transfer.Sink); ok {
			named[h.Name] = sink
		}
		if l, ok := hook.(transfer.Lister); ok && len(h.Inventories) > 0 {
			o.Listers = append(o.Listers, l)
		}
	}
	owner, err := transfer.NewEventOwner(transfer.EventOwnerOptions{Events: c})
	if err != nil {
		return err
	}
	add(owner, true, false)
	sinks, err := newSinks(d.cfg, named)
	if err != nil {
		return err
	}
	if len(sinks) > 0 {
		key, err := transfer.NewDeploymentKey(transfer.DeploymentKeyOptions{Deployments: c, Sink: sinks})
		if err != nil {
			return err
		}
		add(key, false, true)
		destination, err := transfer.NewDestinationCredential(transfer.DestinationCredentialOptions{Destinations: c, Sink: sinks})
		if err != nil {
			return err
		}
		add(destination, false, true)
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
	var inventories []transfer.AssetKind
	for _, k := range h.Inventories {
		inventories = append(inventories, transfer.AssetKind(k))
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
			Inventories: inventories, Callback: callback,
		})
	}
	return transfer.NewWebhook(transfer.WebhookOptions{
		Name: h.Name, URL: h.URL, Secrets: []transfer.Secret{transfer.Secret(h.Secret.Reveal())}, Handles: handles,
		Rotates: rotates, Inventories: inventories, Timeout: h.Timeout, AllowLoopback: h.AllowPrivate, AllowPrivate: h.AllowPrivate, Callback: callback,
	})
}

// reach lists the organizations of a connection.
func (d *Daemon) reach() func(string) []string {
	byName := map[string][]string{}
	for _, c := range d.cfg.Connections {
		byName[c.Name] = c.Organizations
	}
	return func(connection string) []string { return byName[connection] }
}
