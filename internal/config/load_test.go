package config_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"offramp/internal/config"
)

var update = flag.Bool("update", false, "write the golden files anew") //nolint:gochecknoglobals // a flag

// minimal is the smallest file that is accepted.
const minimal = `mode: observe
public_url: https://offramp.example.com
connections:
  - name: okta
organizations:
  - name: main
    scim_key: {env: KEY}
`

const token = "a-token-that-is-long-enough"

// environment holds what the files of these tests refer to.
func environment() []string {
	return []string{"KEY=" + "the-scim-key", "OTHER_KEY=another-scim-key", "TOKEN=" + token, "EMPTY=", "SHORT=short"}
}

// files is a readFile over a map.
func files(contents map[string]string) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		content, ok := contents[path]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		return []byte(content), nil
	}
}

func load(text string, environ ...string) (*config.Config, config.Problems) {
	return config.Load("/etc/offramp/offramp.yaml", append(environment(), environ...), files(map[string]string{
		"/etc/offramp/offramp.yaml":  text,
		"/etc/offramp/secrets/token": token + "\n",
		"/etc/offramp/secrets/empty": "\n",
	}))
}

func mustLoad(t *testing.T, text string, environ ...string) *config.Config {
	t.Helper()
	c, problems := load(text, environ...)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheSmallestFileGetsTheDefaults(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, minimal)
	if c.Mode != config.Observe || c.Listen != ":8080" || c.AdminListen != "127.0.0.1:8081" {
		t.Errorf("mode %q, listen %q, admin_listen %q", c.Mode, c.Listen, c.AdminListen)
	}
	if c.Database.Path != "/etc/offramp/offramp.db" {
		t.Errorf("the database is at %q, want it beside the file", c.Database.Path)
	}
	connection, organization := c.Connections[0], c.Organizations[0]
	if connection.IdP != config.Other || connection.Address != config.AddressUserName || connection.Location() != time.UTC {
		t.Errorf("connection defaults: %+v", connection)
	}
	if organization.Region != config.US || organization.Rate != 60 || organization.SCIMKey.Reveal() != "the-scim-key" {
		t.Errorf("organization defaults: %+v", organization)
	}
	if want := []time.Duration{5 * time.Minute, 15 * time.Minute, 30 * time.Minute}; !slices.Equal(c.Verify.After, want) {
		t.Errorf("verify after %v, want %v", c.Verify.After, want)
	}
	if c.Brake != (config.Brake{Count: 25, Percent: 10, Window: 10 * time.Minute, Settle: 2 * time.Minute}) {
		t.Errorf("brake %+v, want it on, and cases to settle", c.Brake)
	}
}

func TestTheEnvironmentReplacesSingleValues(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, minimal, "OFFRAMP_MODE=enforce", "OFFRAMP_LISTEN=127.0.0.1:0",
		"OFFRAMP_DATABASE=postgres://offramp:hunter2hunter2@db.example.com/offramp", "OFFRAMP_SERVER=http://127.0.0.1:8081")
	if c.Mode != config.Enforce || c.Listen != "127.0.0.1:0" {
		t.Errorf("mode %q, listen %q", c.Mode, c.Listen)
	}
	if c.Database.Path != "" || !strings.Contains(c.Database.URL.Reveal(), "db.example.com") {
		t.Error("the database is not the one of the environment")
	}
}

func TestTheEnvironmentMendsTheFile(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, strings.Replace(minimal, "mode: observe", "mode: perhaps", 1), "OFFRAMP_MODE=enforce")
	if c.Mode != config.Enforce {
		t.Errorf("mode %q", c.Mode)
	}
}

func TestListsOfEveryKindAreRead(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, minimal+`trusted_proxies: [10.0.0.0/8, 192.0.2.7]
protect: {people: [Jo@Example.com], groups: [Break glass]}
approvers: [{email: Sam@example.com, roles: [security]}]
operators: [{name: Jo@example.com, token: {file: secrets/token}, roles: [admin]}]
policies: [{name: all}]
credentials: [{name: warehouse, kind: warehouse, people: [Jo@Example.com]}]
verify: {after: []}
hooks:
  - {name: run, kind: command, handles: [dashboard], argv: [/bin/true], dir: work}
`)
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32")}
	if !slices.Equal(c.TrustedProxies, want) {
		t.Errorf("proxies %v, want %v", c.TrustedProxies, want)
	}
	if c.Protect.People[0] != "jo@example.com" || c.Approvers[0].Email != "sam@example.com" {
		t.Error("addresses are not in lower case")
	}
	operator := c.Operators[0]
	if operator.Token.Reveal() != token || operator.TokenHash != config.NewSecret(token).SHA256() {
		t.Error("the operator's token was not read from its file and hashed")
	}
	if len(c.Verify.After) != 0 {
		t.Errorf("verify after %v, want only the look at once", c.Verify.After)
	}
	if name := c.Operators[0].Name; name != "jo@example.com" {
		t.Errorf("operator %q cannot be found among the approvers", name)
	}
	if policy := c.Policies[0]; policy.Plan != config.PlanLeaver || policy.Approvals.People != 1 || policy.Contain != "when waiting" {
		t.Errorf("policy defaults: %+v", policy)
	}
	if credential := c.Credentials[0]; credential.Organization != "main" || credential.ID != "warehouse" {
		t.Errorf("credential defaults: %+v", credential)
	}
	if hook := c.Hooks[0]; hook.Dir != "/etc/offramp/work" || hook.Timeout != 30*time.Second {
		t.Errorf("hook runs in %q for %v", hook.Dir, hook.Timeout)
	}
}

func TestAKeyWithoutValueIsAsIfAbsent(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, minimal+"hooks:\nlog:\n  level:\nlisten: ~\n")
	if c.Log.Level != "info" || c.Listen != ":8080" {
		t.Errorf("level %q, listen %q", c.Log.Level, c.Listen)
	}
}

func TestTheExampleIsAccepted(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "deploy", "examples", "offramp.yaml")
	environ := []string{
		"OKTA_SCIM_TOKEN=okta-" + token, "JO_TOKEN=jo-" + token, "KEYS_HOOK_SECRET=" + token,
		"AMPLITUDE_SCIM_KEY=1", "AMPLITUDE_ORG_KEY=2", "AMPLITUDE_ORG_SECRET=3", "AGENCY_SCIM_KEY=4",
		"MAIL_URL=smtp://offramp:8@mail.example.com/?from=offramp@example.com", "SECURITY_LIST_URL=smtp://mail.example.com/?from=a@example.com&to=b@example.com",
		"WEB_API_KEY=5", "WEB_SECRET_KEY=6", "WEB_MANAGEMENT_KEY=7",
	}
	c, problems := config.Load(path, environ, func(name string) ([]byte, error) {
		if strings.Contains(name, "secrets") {
			return []byte(filepath.Base(name) + "-" + token), nil
		}
		return os.ReadFile(name)
	})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	if c.Brake != config.Default().Brake || !reflect.DeepEqual(c.Verify, config.Default().Verify) ||
		c.Listen != config.Default().Listen || c.Access.Grace != config.Default().Access.Grace {
		t.Error("the example says it shows defaults and does not")
	}
}

func TestTheExampleShowsEveryTopLevelKey(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "examples", "offramp.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for field := range reflect.TypeFor[config.Config]().Fields() {
		name := field.Tag.Get("yaml")
		if name != "" && !strings.Contains(string(text), "\n"+name+":") && !strings.Contains(string(text), "\n# "+name+":") {
			t.Errorf("the example does not show %s", name)
		}
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, minimal, "OFFRAMP_DATABASE=postgres://offramp:the-scim-key@db.example.com/offramp")
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	secret := c.Organizations[0].SCIMKey
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		encoded = append(encoded, fmt.Sprintf(verb, *c)...)
		encoded = append(encoded, fmt.Sprintf(verb, secret)...)
		encoded = append(encoded, fmt.Sprintf(verb, &secret)...)
	}
	for _, shown := range []string{"the-scim-key", fmt.Sprintf("%x", "the-scim-key")} {
		if strings.Contains(string(encoded), shown) {
			t.Errorf("a secret is shown: %s", encoded)
		}
	}
	if !strings.Contains(string(encoded), "[redacted]") || secret.From() != "env KEY" {
		t.Error("a secret does not say that it is there, or where from")
	}
}

func TestAProblemIsPlacedForOtherPackages(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, minimal+"hooks:\n  - {name: run, kind: command, handles: [pigeon], argv: [/bin/true]}\n", "OFFRAMP_LISTEN=:1")
	for key, want := range map[string]string{
		"hooks[0].handles[0]": "/etc/offramp/offramp.yaml:9:42: hooks[0].handles[0]: x",
		"hooks[0].timeout":    "/etc/offramp/offramp.yaml:9:6: hooks[0].timeout: x",
		"log.level":           "/etc/offramp/offramp.yaml:1:1: log.level: x",
		"listen":              "environment: OFFRAMP_LISTEN: x",
	} {
		if got := c.Problem(key, "x").String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestEveryProblemIsToldAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join("testdata", "many_problems.yaml")
	_, problems := config.Load(path, append(environment(), "OFFRAMP_TLS=yes"), os.ReadFile)
	golden := filepath.Join("testdata", "many_problems.golden")
	got := problems.Error() + "\n"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if len(problems) != 12 {
		t.Errorf("%d problems, want 12", len(problems))
	}
}

func TestProblemsAreAnErrorOnlyWhenThereAreSome(t *testing.T) {
	t.Parallel()
	if config.Problems(nil).Err() != nil {
		t.Error("no problems are an error")
	}
	_, problems := load("")
	var found config.Problems
	if !errors.As(fmt.Errorf("check: %w", problems.Err()), &found) || len(found) != len(problems) {
		t.Error("the problems cannot be found in the error")
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(minimal)
	f.Add("a: &a [*a]\nmode: *b\n<<: {x: 1}\n")
	f.Add("- [\n? {}\n: |\n  x\n--- !!binary x\n...\n")
	f.Add("connections: [null, 1, {name: [x]}]\norganizations: {a: {b: {c: {}}}}\n")
	example, err := os.ReadFile(filepath.Join("..", "..", "deploy", "examples", "offramp.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example))
	f.Fuzz(func(t *testing.T, text string) {
		c, problems := load(text)
		if (c == nil) == (len(problems) == 0) {
			t.Fatalf("config %v and %d problems", c != nil, len(problems))
		}
		for _, p := range problems {
			if p.Text == "" || p.Line < 0 || p.File != "" && p.Line > 0 && p.Column < 1 {
				t.Fatalf("a problem without text or place: %+v", p)
			}
			if strings.Contains(p.Text, "the-scim-key") {
				t.Fatalf("a secret is told: %s", p)
			}
		}
	})
}
