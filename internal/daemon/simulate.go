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
)

// SimulateOptions say what is simulated.
type SimulateOptions struct {
	Listen   string            // host:port; required
	Members  int               // made up
	Seed     int64             // same seed, same organization
	Rate     int               // SCIM requests a minute; 0: Amplitude's 100
	Latency  time.Duration     // typical; 0: none
	Switches map[string]string // those of the simulator
	Dir      string            // gets offramp.yaml, scim.token and operator.token; empty: nothing is written
	Ready    func(base string) // told the base URL once it listens; nil: nobody
}

// Simulate serves a simulated Amplitude until ctx ends.
func Simulate(ctx context.Context, o SimulateOptions) error {
	fake, err := amplitudefake.New(amplitudefake.Options{
		Seed: o.Seed, Members: o.Members, RatePerMinute: o.Rate, Latency: o.Latency, Switches: o.Switches,
	})
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	base := "http://" + l.Addr().String()
	if o.Dir != "" {
		if err := WriteSimulatorConfig(o.Dir, base, fake.Credentials()); err != nil {
			return errors.Join(err, l.Close())
		}
	}
	if o.Ready != nil {
		o.Ready(base)
	}
	server := &http.Server{Handler: fake, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	return server.Close()
}

// WriteSimulatorConfig writes a configuration that works with the simulator at
// base: for serve as it is, for an identity provider with scim.token, and for
// the operator commands with operator.token. It never overwrites a token: a
// second call keeps those that are there.
func WriteSimulatorConfig(dir, base string, c amplitudefake.Credentials) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	secrets := map[string]string{
		"scim.token": "", "operator.token": "", "amplitude.scim_key": c.SCIMKey, "amplitude.org_key": c.OrgKey, "amplitude.org_secret": c.OrgSecret,
		"amplitude.developer_token": c.DeveloperToken,
	}
	var projects strings.Builder
	for _, p := range c.Projects {
		file := func(kind, value string) string {
			name := fmt.Sprintf("project-%d.%s", p.ID, kind)
			secrets[name] = value
			return name
		}
		fmt.Fprintf(&projects, `      - id: "%d"
        name: %s
        api_key: {file: %s}
        secret_key: {file: %s}
        management_key: {file: %s}
`, p.ID, quoted(p.Name), file("api_key", p.APIKey), file("secret_key", p.SecretKey), file("management_key", p.ManagementKey))
	}
	for name, value := range secrets {
		if err := writeSecret(filepath.Join(dir, name), value); err != nil {
			return err
		}
	}
	text := fmt.Sprintf(`# Written by offramp simulate: a bridge in front of the simulated Amplitude.
mode: enforce
listen: 127.0.0.1:8080
admin_listen: 127.0.0.1:8081
public_url: http://127.0.0.1:8080
database: sqlite:offramp.db

connections:
  - name: idp
    trust: {incidents: true}
    bootstrap_token: {file: scim.token}

organizations:
  - name: simulated
    scim_key: {file: amplitude.scim_key}
    org_id: "%[2]d"
    org_key: {file: amplitude.org_key}
    org_secret: {file: amplitude.org_secret}
    developer_token: {file: amplitude.developer_token}
%[1]s    projects:
%[3]s
operators:
  - name: operator
    token: {file: operator.token}
    roles: [admin]
`, simulated(base), c.OrgID, projects.String())
	if err := os.WriteFile(filepath.Join(dir, "offramp.yaml"), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}

// simulated is the endpoints of an organization that a simulator at base plays.
func simulated(base string) string {
	var s strings.Builder
	s.WriteString("    endpoints:\n")
	for _, e := range [][2]string{
		{"scim", "/scim/1"},
		{"user_management", "/user-management/1"},
		{"audit", "/api/2/audit-logs"},
		{"analytics", ""},
		{"experiment", "/api/1"},
		{"developer", ""},
		{"data", ""},
		{"evaluation", ""},
	} {
		fmt.Fprintf(&s, "      %s: %s%s\n", e[0], base, e[1])
	}
	return s.String()
}

// writeSecret writes a value to a file of mode 0600. Without a value it makes a
// token, unless there is one.
func writeSecret(path, value string) error {
	if value == "" {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		value = rand.Text() + rand.Text()
	}
	if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}

// quoted is a YAML string.
func quoted(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }
