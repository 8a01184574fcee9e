package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/config"
)

// listening is a listener on loopback.
type listening struct {
	listener net.Listener
	url      string
}

// openLoopback listens on a free port.
func openLoopback(ctx context.Context) (*listening, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen on loopback: %w", err)
	}
	return &listening{listener: l, url: "http://" + l.Addr().String()}, nil
}

// serve answers until ctx ends.
func (l *listening) serve(ctx context.Context, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stopped()
	if err := server.Serve(l.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("the simulator stopped: %w", err)
	}
	return nil
}

// demoKeys are the secrets that the demo made up, and what is rotated.
type demoKeys struct {
	okta, entra, lead, manager, reader string
	deployment                         amplitudefake.Asset
}

// setUp makes the organization, the cast, the configuration file and the
// bridge. Nothing runs yet, but all three listeners are open.
func (d *demo) setUp(ctx context.Context) (err error) {
	if d.fake, err = amplitudefake.New(amplitudefake.Options{Seed: 7, Members: 31, Switches: map[string]string{"audit_lag": "1s"}}); err != nil {
		return err
	}
	if err := d.seat(); err != nil {
		return fmt.Errorf("give the cast their seats: %w", err)
	}
	for name, value := range d.opts.Switches {
		if err := d.fake.SetSwitch(name, value); err != nil {
			return err
		}
	}
	var open []*listening
	defer func() {
		for _, l := range open {
			if err != nil {
				_ = l.listener.Close()
			}
		}
	}()
	for _, into := range []**listening{&d.sim, &d.public, &d.admin} {
		if *into, err = openLoopback(ctx); err != nil {
			return err
		}
		open = append(open, *into)
	}
	file, err := d.writeConfig()
	if err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	var over []string
	if d.opts.Database != "" {
		over = []string{"OFFRAMP_DATABASE=" + d.opts.Database}
	}
	cfg, problems := config.Load(file, over, os.ReadFile)
	if err := problems.Err(); err != nil {
		return fmt.Errorf("the demo's configuration: %w", err)
	}
	log, err := d.logger()
	if err != nil {
		return err
	}
	d.bridge, err = New(ctx, cfg, Options{Log: log, Version: d.opts.Version, Tempo: Tempo{
		Tolerance: 3 * time.Second, Backoff: 250 * time.Millisecond, Tick: demoTick,
	}})
	if err != nil {
		return errors.Join(err, d.log.Close())
	}
	return nil
}

// writeConfig writes offramp.yaml and the files it refers to.
func (d *demo) writeConfig() (string, error) {
	c := d.fake.Credentials()
	d.keys.okta, d.keys.entra = rand.Text(), rand.Text()
	d.keys.lead, d.keys.manager, d.keys.reader = rand.Text(), rand.Text(), rand.Text()
	if err := os.Mkdir(d.published(), 0o700); err != nil {
		return "", err
	}
	secrets := map[string]string{
		"okta.token": d.keys.okta, "entra.token": d.keys.entra, "lead.token": d.keys.lead,
		"manager.token": d.keys.manager, "auditor.token": d.keys.reader,
		"scim.key": c.SCIMKey, "org.key": c.OrgKey, "org.secret": c.OrgSecret, "developer.token": c.DeveloperToken,
	}
	var projects strings.Builder
	for i, p := range c.Projects {
		fmt.Fprintf(&projects, `      - id: %d
        name: %s
        api_key: {file: project%[3]d.api.key}
        secret_key: {file: project%[3]d.secret.key}
        management_key: {file: project%[3]d.management.key}
`, p.ID, quoted(p.Name), i+1)
		secrets[fmt.Sprintf("project%d.api.key", i+1)] = p.APIKey
		secrets[fmt.Sprintf("project%d.secret.key", i+1)] = p.SecretKey
		secrets[fmt.Sprintf("project%d.management.key", i+1)] = p.ManagementKey
	}
	for name, value := range secrets {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(value+"\n"), 0o600); err != nil {
			return "", err
		}
	}
	after := demoVerify()
	text := fmt.Sprintf(`# Written by offramp demo. The waiting times are far too short for real life.
listen: %[1]s
admin_listen: %[2]s
public_url: %[3]s
database: sqlite:offramp.db
mode: enforce
connections:
  - name: %[4]s
    idp: okta
    organizations: [%[5]s]
    domains: [example.com]
    trust: {incidents: true}
    bootstrap_token: {file: okta.token}
  - name: %[6]s
    idp: entra
    organizations: [%[5]s]
    domains: [example.org]
    bootstrap_token: {file: entra.token}
access:
  groups: [%[7]s, %[8]s]
  grace: %[9]s
organizations:
  - name: %[5]s
    org_id: %[10]d
%[11]s    scim_key: {file: scim.key}
    org_key: {file: org.key}
    org_secret: {file: org.secret}
    developer_token: {file: developer.token}
    rate: 90
    projects:
%[12]s`, d.public.listener.Addr(), d.admin.listener.Addr(), d.public.url, oktaName, demoOrg, entraName, oktaGroup, entraGroup,
		demoGrace, c.OrgID, simulated(d.sim.url), projects.String())
	text += "policies:\n" + d.scene.policies
	if knew := d.knowers(); len(knew) > 0 {
		text += fmt.Sprintf(`credentials:
  - name: %[1]s
    kind: deployment_key
    project: "%[2]d"
    id: "%[3]s"
    people: [%[4]s]
    publish: %[5]s
    overlap: %[6]s
    overlap_incident: %[6]s
`, demoDeploy, d.keys.deployment.Project, d.keys.deployment.ID, strings.Join(knew, ", "), quoted(d.published()), demoOverlap)
	}
	text += fmt.Sprintf(`handover:
  confirm: 3s
verify:
  gather: %[1]s
  after: [%[2]s, %[3]s, %[4]s]
brake:
  percent: 0                  # a few leavers are a large share of so small an organization
  settle: %[5]s
approvers:
  - email: %[6]s
    roles: [manager]
operators:
  - name: %[6]s
    token: {file: manager.token}
    roles: [approver]
  - name: %[7]s
    token: {file: lead.token}
    roles: [operator]
  - name: %[8]s
    token: {file: auditor.token}
    roles: [viewer]
`, demoGather, after[0], after[1], after[2], demoSettle, demoManager, demoLead, demoReader)
	file := filepath.Join(d.dir, "offramp.yaml")
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// published is where new keys go.
func (d *demo) published() string { return filepath.Join(d.dir, "published") }

// knowers are the addresses of those who know the deployment's key.
func (d *demo) knowers() []string {
	var out []string
	for _, a := range d.cast {
		if a.knows {
			out = append(out, a.address())
		}
	}
	return out
}
