package doctor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/config"
	"offramp/internal/daemon"
	"offramp/internal/doctor"
)

// The secrets of every installation here.
const (
	oktaToken     = "okta-token-okta-token-okta-token-okta"
	entraToken    = "entra-token-entra-token-entra-token-1"
	operatorToken = "operator-token-operator-token-operator"
)

// file is what differs between configurations.
type file struct {
	connections string // YAML; empty: one connection
	access      string
	region      string // empty: endpoints lead to base
	base        string
	keys        amplitudefake.Credentials
}

const oneConnection = "  - {name: okta, idp: okta, bootstrap_token: {env: OKTA}}\n"

// load reads the configuration as serve and doctor do.
func (f file) load(t *testing.T, okta string) *config.Config {
	t.Helper()
	if f.connections == "" {
		f.connections = oneConnection
	}
	where := "region: " + f.region
	if f.region == "" {
		where = fmt.Sprintf(`endpoints: {scim: "%[1]s/scim/1", user_management: "%[1]s/user-management/1", audit: "%[1]s/api/2/audit-logs",
      analytics: "%[1]s", experiment: "%[1]s/api/1", evaluation: "%[1]s", developer: "%[1]s", data: "%[1]s"}`, f.base)
	}
	text := fmt.Sprintf(`mode: enforce
public_url: https://offramp.example.com
database: sqlite:%s/offramp.db
connections:
%s
%s
organizations:
  - name: main
    %s
    scim_key: {env: SCIM_KEY}
    org_id: "%d"
    org_key: {env: ORG_KEY}
    org_secret: {env: ORG_SECRET}
    developer_token: {env: DEVELOPER_TOKEN}
    projects:
      - {id: "%d", api_key: {env: API_KEY}, secret_key: {env: SECRET_KEY}, management_key: {env: MANAGEMENT_KEY}}
operators:
  - {name: jo@example.com, token: {env: OPERATOR}, roles: [viewer]}
`, t.TempDir(), f.connections, f.access, where, f.keys.OrgID, f.keys.Projects[0].ID)
	cfg, problems := config.Load("offramp.yaml", []string{
		"OKTA=" + okta, "ENTRA=" + entraToken, "OPERATOR=" + operatorToken, "SCIM_KEY=" + f.keys.SCIMKey,
		"DEVELOPER_TOKEN=" + f.keys.DeveloperToken, "ORG_KEY=" + f.keys.OrgKey, "ORG_SECRET=" + f.keys.OrgSecret, "API_KEY=" + f.keys.Projects[0].APIKey,
		"SECRET_KEY=" + f.keys.Projects[0].SecretKey, "MANAGEMENT_KEY=" + f.keys.Projects[0].ManagementKey,
	}, func(name string) ([]byte, error) {
		if name == "offramp.yaml" {
			return []byte(text), nil
		}
		return nil, os.ErrNotExist
	})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// newAmplitude is a simulated organization whose members are all at example.com.
func newAmplitude(t *testing.T, seed int64) (*amplitudefake.Fake, string) {
	t.Helper()
	fake, err := amplitudefake.New(amplitudefake.Options{Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ann", "bob", "cleo"} {
		if err := fake.AddMember(amplitudefake.Member{Email: name + "@example.com", GivenName: name, FamilyName: "Example"}); err != nil {
			t.Fatal(err)
		}
	}
	s := httptest.NewServer(fake)
	t.Cleanup(s.Close)
	return fake, s.URL
}

// serve runs a bridge and returns the addresses of its listeners.
func serve(t *testing.T, cfg *config.Config) (public, admin string) {
	t.Helper()
	d, err := daemon.New(t.Context(), cfg, daemon.Options{Log: zap.NewNop(), Version: "test", Tempo: daemon.Tempo{Tick: 20 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	worked := make(chan error, 1)
	go func() { worked <- d.Work(ctx) }()
	p, a := d.Handlers()
	ps, as := httptest.NewServer(p), httptest.NewServer(a)
	t.Cleanup(func() {
		ps.Close()
		as.Close()
		stop()
		if err := errors.Join(<-worked, d.Close()); err != nil {
			t.Error(err)
		}
	})
	return ps.URL, as.URL
}

// examine runs the doctor with what is usual.
func examine(t *testing.T, o doctor.Options) []doctor.Check {
	t.Helper()
	o.Amplitude = daemon.AmplitudeOptions
	d, err := doctor.New(o)
	if err != nil {
		t.Fatal(err)
	}
	checks := d.Run(t.Context())
	for _, c := range checks {
		t.Logf("%-4s %s: %s: %s | %s", c.Result, c.About, c.What, c.Say, c.Fix)
	}
	return checks
}

func count(checks []doctor.Check, r doctor.Result) int {
	n := 0
	for _, c := range checks {
		if c.Result == r {
			n++
		}
	}
	return n
}

func TestASoundInstallationIsSoundInEveryDialect(t *testing.T) {
	t.Parallel()
	for _, idp := range []string{"okta", "entra", "other"} {
		t.Run(idp, func(t *testing.T) {
			t.Parallel()
			fake, base := newAmplitude(t, 1)
			f := file{base: base, keys: fake.Credentials(), connections: "  - {name: staff, idp: " + idp +
				", domains: [example.com], bootstrap_token: {env: OKTA}}\n"}
			cfg := f.load(t, oktaToken)
			public, admin := serve(t, cfg)
			var told []doctor.Check
			checks := examine(t, doctor.Options{
				Config: cfg, Public: public, Admin: admin, OperatorToken: operatorToken, Each: func(c doctor.Check) { told = append(told, c) },
			})
			if !doctor.Sound(checks) || count(checks, doctor.OK) != len(checks) || len(checks) < 12 || len(told) != len(checks) {
				t.Errorf("not everything is ok, or told")
			}
			for _, r := range fake.Requests(amplitudefake.RequestFilter{}) {
				if r.Effect != "" || strings.Contains(r.Path+r.Query, "invalid") {
					t.Errorf("Amplitude was asked %s %s (%s)", r.Method, r.Path, r.Effect)
				}
			}
			again := examine(t, doctor.Options{Config: cfg, Public: public, Admin: admin, OperatorToken: operatorToken})
			if !doctor.Sound(again) {
				t.Error("a second examination finds something that the first left behind")
			}
			noSecrets(t, checks, f.keys)
		})
	}
}

// noSecrets fails if a check holds a secret or somebody's address.
func noSecrets(t *testing.T, checks []doctor.Check, c amplitudefake.Credentials) {
	t.Helper()
	b, err := json.Marshal(checks)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{
		oktaToken, entraToken, operatorToken, c.SCIMKey, c.OrgSecret, c.Projects[0].SecretKey, c.Projects[0].ManagementKey, "@",
	} {
		if strings.Contains(string(b), secret) {
			t.Errorf("%q is in the checks", secret)
		}
	}
}

func TestEachFailureIsExplainedWithItsFix(t *testing.T) {
	t.Parallel()
	fake, base := newAmplitude(t, 1)
	sound := file{base: base, keys: fake.Credentials()}
	public, admin := serve(t, sound.load(t, oktaToken))
	other := "other-token-other-token-other-token-other"
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(untrusted.Close)
	for _, row := range []struct {
		story string
		file  func(*file)
		serve func(*file) // a server of its own, with another configuration; nil: the one of all rows
		token string      // in the doctor's file
		o     func(*doctor.Options)
		about string
		say   string
		fix   string
	}{
		{
			story: "a wrong token", token: other, about: "connection okta: token",
			say: "the server refuses the token", fix: "offramp token new --connection okta",
		},
		{
			story: "the token of another connection", token: entraToken, about: "connection okta: case",
			serve: func(f *file) {
				f.connections = "  - {name: okta, organizations: [main], domains: [example.com]}\n" +
					"  - {name: entra, organizations: [main], domains: [example.com], bootstrap_token: {env: ENTRA}}\n"
			},
			say: "the token belongs to connection entra", fix: "its own token",
		},
		{
			story: "a wrong SCIM key", file: func(f *file) { f.keys.SCIMKey = "wrong-key" }, about: "organization main: SCIM key",
			say: "Amplitude refuses scim_key (env SCIM_KEY) with status 401", fix: "Provisioning Settings",
		},
		{
			story: "a wrong organization secret", file: func(f *file) { f.keys.OrgSecret = "wrong-secret" }, about: "organization main: organization key: roles",
			say: "Amplitude refuses org_key (env ORG_KEY) with status 401", fix: "Amplitude's support",
		},
		{
			story: "a wrong management key", file: func(f *file) {
				f.keys.Projects = append([]amplitudefake.ProjectCredentials{}, f.keys.Projects...)
				f.keys.Projects[0].ManagementKey = "wrong-key"
			}, about: ": flags", say: "refuses management_key", fix: "Experiment > Management API",
		},
		{
			story: "a wrong developer token", file: func(f *file) { f.keys.DeveloperToken = "amp_wrong" }, about: "developer token: projects",
			say: "refuses developer_token", fix: "personal access token",
		},
		{
			story: "an unreachable Amplitude", file: func(f *file) { f.base = closed.URL }, about: "organization main: SCIM key",
			say: "cannot be reached: connection refused", fix: "allow outgoing HTTPS",
		},
		{
			story: "a certificate that nobody trusts", file: func(f *file) { f.base = untrusted.URL }, about: "organization main: SCIM key",
			say: "the certificate is signed by an unknown authority", fix: "SSL_CERT_FILE",
		},
		{
			story: "something else at Amplitude's address", file: func(f *file) { f.base += "/elsewhere" }, about: "organization main: SCIM key",
			say: "", fix: "check",
		},
		{
			story: "an access group that never arrived", file: func(f *file) { f.access = "access: {groups: [Amplitude users]}" },
			about: `access: group "Amplitude users"`, say: "no directory has it yet", fix: "push it",
		},
		{
			story: "members whom no connection reaches", about: "organization main: domains", file: func(f *file) {
				f.connections = "  - {name: okta, idp: okta, domains: [example.org], bootstrap_token: {env: OKTA}}\n"
			},
			say: "3 of 3 members looked at have an address that no connection reaches: example.com (3)", fix: "add the missing domain",
		},
		{
			story: "people outside their connection's domains", about: "connection okta: domains", file: func(f *file) {
				f.connections = "  - {name: okta, idp: okta, domains: [example.com], bootstrap_token: {env: OKTA}}\n"
			},
			serve: func(*file) {},
			o:     func(o *doctor.Options) { hire(o.Public, "kim@example.net") },
			say:   "1 of 1 people looked at have an address outside them: example.net (1)", fix: "add the missing domain",
		},
		{
			story: "a server that does not run", o: func(o *doctor.Options) { o.Public = closed.URL }, about: "connection okta: server",
			say: "no answer from", fix: "start offramp serve",
		},
		{
			story: "something else in place of the server", o: func(o *doctor.Options) { o.Public = o.Admin }, about: "connection okta: server",
			say: "no SCIM at", fix: "not the admin one",
		},
		{
			story: "a wrong operator's token", o: func(o *doctor.Options) { o.OperatorToken = "wrong" }, about: "connection okta: case",
			say: "refuses the operator's token", fix: "OFFRAMP_OPERATOR_TOKEN",
		},
	} {
		t.Run(row.story, func(t *testing.T) {
			t.Parallel()
			f := sound
			if row.file != nil {
				row.file(&f)
			}
			cfg := f.load(t, first(row.token, oktaToken))
			public, admin := public, admin
			if row.serve != nil {
				server := f
				row.serve(&server)
				public, admin = serve(t, server.load(t, oktaToken))
			}
			o := doctor.Options{Config: cfg, Public: public, Admin: admin, OperatorToken: operatorToken}
			if row.o != nil {
				row.o(&o)
			}
			checks := examine(t, o)
			noSecrets(t, checks, fake.Credentials())
			for _, c := range checks {
				if c.Result == doctor.Failed && strings.Contains(c.About+": "+c.What, row.about) {
					if !strings.Contains(c.Say, row.say) || !strings.Contains(c.Fix, row.fix) {
						t.Errorf("got %q, fix %q", c.Say, c.Fix)
					}
					return
				}
			}
			t.Errorf("nothing is said about %s", row.about)
		})
	}
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// hire makes a person over SCIM.
func hire(public, userName string) {
	body := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q,"active":true}`, userName)
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, public+"/scim/v2/Users", strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Authorization", "Bearer "+oktaToken)
	r.Header.Set("Content-Type", "application/scim+json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		panic(err)
	}
	_ = answer.Body.Close()
}

func TestAKeyOfAnotherRegionIsRecognised(t *testing.T) {
	t.Parallel()
	us, _ := newAmplitude(t, 1)
	eu, _ := newAmplitude(t, 2)
	f := file{region: "us", keys: eu.Credentials()}
	cfg := f.load(t, oktaToken)
	public, admin := serve(t, cfg)
	checks := examine(t, doctor.Options{
		Config: cfg, Public: public, Admin: admin, OperatorToken: operatorToken,
		Transport: regions{us: us.Transport(), eu: eu.Transport()},
	})
	hints := 0
	for _, c := range checks {
		if c.Result == doctor.Failed && c.Say == "the key belongs to region eu, and the organization is configured for us" &&
			c.Fix == "write region: eu for this organization" {
			hints++
		}
	}
	if hints != 6 { // SCIM, roles, developer token, events, cohorts, flags; the audit log has one host
		t.Errorf("%d checks say that the region is wrong, want 6", hints)
	}
}

// regions is Amplitude's hosts.
type regions struct{ us, eu http.RoundTripper }

func (a regions) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Host, ".eu.") {
		return a.eu.RoundTrip(r)
	}
	return a.us.RoundTrip(r)
}

func TestWhatCannotBeTriedIsSkippedAndSaid(t *testing.T) {
	t.Parallel()
	fake, base := newAmplitude(t, 1)
	f := file{base: base, keys: fake.Credentials(), connections: "  - {name: okta, idp: okta}\n", access: "access: {groups: [Amplitude users]}"}
	cfg := f.load(t, oktaToken)
	d, err := daemon.New(t.Context(), cfg, daemon.Options{Log: zap.NewNop(), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := d.Store().NewToken(t.Context(), "okta", 0)
	if err := errors.Join(err, d.Close()); err != nil {
		t.Fatal(err)
	}
	public, _ := serve(t, cfg)
	none := examine(t, doctor.Options{Config: cfg, Public: public})
	if !doctor.Sound(none) || none[0].Result != doctor.Skipped || !strings.Contains(none[0].Say, "--connection okta --token-file FILE") {
		t.Errorf("without a token: %+v", none[0])
	}
	with := examine(t, doctor.Options{Config: cfg, Public: public, Connection: "okta", Token: token})
	if count(with, doctor.Skipped) != 1 || count(with, doctor.Failed) != 1 {
		t.Errorf("with a token that was made, only the case is skipped, and the access group fails")
	}
	if _, err := doctor.New(doctor.Options{Config: cfg, Public: public, Connection: "nobody", Amplitude: daemon.AmplitudeOptions}); err == nil {
		t.Error("an unknown connection is taken")
	}
}
