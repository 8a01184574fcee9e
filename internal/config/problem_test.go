package config_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"offramp/internal/config"
)

func TestBadFilesAreToldWithTheWayOut(t *testing.T) {
	t.Parallel()
	twoConnections := strings.Replace(minimal, "  - name: okta\n", `  - {name: okta, organizations: [main], domains: [example.com], bootstrap_token: {env: TOKEN}}
  - {name: entra, organizations: [main], domains: [example.org], bootstrap_token: {env: TOKEN}}
`, 1)
	hook := func(keys string) string {
		return minimal + "hooks:\n  - {name: h, handles: [dashboard], " + keys + "}\n"
	}
	organization := func(keys string) string {
		return strings.Replace(minimal, "scim_key: {env: KEY}", "scim_key: {env: KEY}\n    "+keys, 1)
	}
	connection := func(keys string) string {
		return strings.Replace(minimal, "name: okta", "name: okta\n    "+keys, 1)
	}
	for _, row := range []struct{ sentence, file, want string }{
		{"an empty file misses everything that is required", "", "1:1: connections: add a connection"},
		{"a file of comments misses everything too", "# nothing\n", "1:1: mode: write observe"},
		{"a list is not a configuration", "- mode: observe\n", "1:1: write an indented block of keys: listen, admin_listen"},
		{"broken YAML has a place", "mode: [observe\n", ":1:7: mend the YAML here"},
		{"two documents are one too many", minimal + "---\nmode: enforce\n", ":9:1: keep one document"},
		{"a key that stands twice", minimal + "mode: enforce\n", ":8:1: mode: remove one; the key is there twice"},
		{"an unknown key with a near neighbour", minimal + "brakes: {}\n", ":8:1: brakes: did you mean brake?"},
		{"an unknown key with no neighbour", minimal + "weather: sunny\n", ":8:1: weather: remove it; there is no such key"},
		{"an unknown key deep inside", organization("projects: [{id: 1, nmae: Web}]"), "projects[0].nmae: did you mean name?"},
		{"an alias is not read", minimal + "log: &l {level: info}\nbrake: *l\n", "brake: write the value out"},
		{"a merge key is not read", minimal + "log: {<<: {level: info}}\n", "log.<<: write the keys out"},
		{"a block where a value belongs", minimal + "listen: {port: 1}\n", "listen: write a single value"},
		{"a value where a block belongs", minimal + "log: info\n", "log: write an indented block of keys: level, format"},
		{"a value where a list belongs", minimal + "trusted_proxies: 10.0.0.0/8\n", "trusted_proxies: write a list"},
		{"a dash with nothing after it", minimal + "approvers:\n  -\n", "approvers[0]: write a value after the dash"},
		{"a duration without a unit", minimal + "brake: {settle: 60}\n", "brake.settle: write a duration such as"},
		{"a duration in days", minimal + "handover: {deadline: 3d}\n", "handover.deadline: write a duration such as"},
		{"a quoted boolean", connection(`trust: {incidents: "true"}`), "trust.incidents: write true or false, without quotes"},
		{"an address range with host bits", minimal + "trusted_proxies: [10.0.0.1/8]\n", ":8:19: trusted_proxies[0]: write an address range"},

		{"a mover who loses nothing", minimal + "policies: [{name: m, plan: mover}]\n", "policies[0].revoke: say what a mover loses"},
		{"a removal that names what is revoked", minimal + "policies: [{name: m, revoke: {role: Viewer}}]\n", "policies[0].revoke: remove it, or write plan: mover"},
		{"a project that is none", minimal + "policies: [{name: m, plan: mover, revoke: {projects: ['7']}}]\n", "policies[0].revoke.projects[0]: name the id of a project"},
		{"a word in place of projects", minimal + "policies: [{name: m, plan: mover, revoke: {projects: none}}]\n", "policies[0].revoke.projects: write all, or a list"},
		{"a group to leave and to join", minimal + "policies: [{name: m, plan: mover, revoke: {groups: {leave: [A], join: [a]}}}]\n", "policies[0].revoke.groups.join[0]: remove it from leave"},
		{"a handover of somebody who stays", minimal + "policies: [{name: m, plan: mover, revoke: {projects: all}, successor: sam@example.com}]\n", "policies[0].successor: remove it: a mover keeps"},

		{"a mode that is missing", strings.Replace(minimal, "mode: observe\n", "", 1), ":1:1: mode: write observe"},
		{"a listener without a port", minimal + "listen: localhost\n", "listen: write HOST:PORT"},
		{"a listener with a port too large", minimal + "listen: :70000\n", "listen: write HOST:PORT"},
		{"two listeners on one address", minimal + "listen: :8081\n", "admin_listen: choose an address of its own"},
		{"a public address without TLS", strings.Replace(minimal, "https:", "http:", 1), "public_url: write https://"},
		{"a public address with a path", strings.Replace(minimal, "example.com", "example.com/scim/v2", 1), "public_url: write https://"},
		{"a certificate without its key", minimal + "tls: {cert: tls.crt}\n", "tls.key: add the key file"},
		{"certificate files that are not there", minimal + "tls: {cert: a, key: b}\n", "tls.cert: name a PEM file that can be read: there is no such file"},
		{"files that are no certificate", minimal + "tls: {cert: secrets/token, key: secrets/token}\n", "tls.cert: name a PEM certificate chain"},
		{"a database of another make", minimal + "database: mysql://db/offramp\n", "database: write sqlite:PATH or postgres://"},
		{"a database in memory", minimal + "database: 'sqlite:'\n", "database: write sqlite: and the path"},
		{"a database password in the file", minimal + "database: postgres://o:hunter2@db/offramp\n", "database: take the password out of this file"},
		{"a database password as a parameter", minimal + "database: postgres://o@db/offramp?password=hunter2\n", "database: take the password out of this file"},
		{"a database reference that leads nowhere", minimal + "database: {env: NOT_SET}\n", "database: set the environment variable NOT_SET"},
		{"a log level that does not exist", minimal + "log: {level: loud}\n", "log.level: write debug, info, warn or error"},

		{"a secret in the file", organization("org_key: hunter2"), "org_key: write {env: NAME} or {file: PATH}"},
		{"a secret with two places", organization("org_key: {env: KEY, file: key}"), "org_key: write exactly one of"},
		{"a secret with an unknown place", organization("org_key: {vault: key}"), "org_key: write exactly one of"},
		{"a secret in an empty variable", organization("org_key: {env: EMPTY}"), "org_key: set the environment variable EMPTY"},
		{"a secret in an empty file", organization("org_key: {file: secrets/empty}"), "org_key: put the secret into the file secrets/empty; it is empty"},
		{"a secret in a missing file", organization("org_key: {file: nowhere}"), "org_key: put the secret into the file nowhere: there is no such file"},

		{"no connection", strings.Replace(minimal, "connections:\n  - name: okta\n", "", 1), "connections: add a connection"},
		{"a connection without a name", strings.Replace(minimal, "name: okta", "idp: okta", 1), ":4:5: connections[0].name: write a name of"},
		{"an identity provider that is not known", connection("idp: google"), "idp: write okta, entra or other"},
		{"an address attribute that is not known", connection("address: emails.work"), "address: write userName or emails.primary"},
		{"a time zone that does not exist", connection("timezone: Vienna"), "timezone: write the name of a time zone"},
		{"the machine's own time zone", connection("timezone: Local"), "timezone: write the name of a time zone"},
		{"an organization that is not in the file", connection("organizations: [mian]"), ":5:21: connections[0].organizations[0]: name one of the organizations"},
		{"an organization named twice", connection("organizations: [main, main]"), "organizations[1]: remove it; connections[0].organizations[0] has the same"},
		{"a domain with an at sign", connection("domains: ['@example.com']"), "domains[0]: write a domain such as"},
		{"a token that can be guessed", connection("bootstrap_token: {env: SHORT}"), "bootstrap_token: make a random token of at least 20"},
		{"two connections with one token", twoConnections, "connections[1].bootstrap_token: make another token; connections[0].bootstrap_token has the same"},
		{"two connections with one name", strings.Replace(twoConnections, "entra", "okta", 1), "connections[1].name: choose another name; connections[0].name has the same"},
		{"a second connection without domains", strings.Replace(twoConnections, ", domains: [example.org]", "", 1), "connections[1].domains: add the domains"},
		{"a second connection without organizations", strings.Replace(twoConnections, "entra, organizations: [main]", "entra", 1), "connections[1].organizations: add the organizations"},

		{"no organization", strings.SplitAfter(minimal, "okta\n")[0], "organizations: add the Amplitude organization"},
		{"an organization without its SCIM key", strings.Replace(minimal, "scim_key: {env: KEY}", "region: eu", 1), "scim_key: add the SCIM key"},
		{"an organization under two names", minimal + "  - {name: copy, scim_key: {env: KEY}}\n", "organizations[1].scim_key: name each Amplitude organization once"},
		{"a region that does not exist", organization("region: asia"), "region: write us or eu"},
		{"a rate above what is left to us", organization("rate: 100"), "rate: write 1 to 90"},
		{"a rate of nothing", organization("rate: 0"), "rate: write 1 to 90"},
		{"an organization key without its secret", organization("org_key: {env: OTHER_KEY}"), "org_secret: add it; org_key is of no use alone"},
		{"an organization number that is none", organization("org_id: acme"), "org_id: write the number"},
		{"an endpoint without TLS", organization("endpoints: {scim: http://proxy.example.com}"), "endpoints.scim: write the base URL with https://"},
		{"a project named twice", organization("projects: [{id: 1}, {id: 1}]"), "projects[1].id: name each project once"},
		{"a project secret without its key", organization("projects: [{id: 1, secret_key: {env: OTHER_KEY}}]"), "projects[0].api_key: add it"},

		{"a hook of no kind", hook("timeout: 5s"), "hooks[0].kind: write webhook or command"},
		{"a hook for nothing", strings.Replace(hook("kind: command, argv: [/bin/true]"), "handles: [dashboard]", "handles: []", 1), "hooks[0]: add handles"},
		{"a webhook without TLS", hook("kind: webhook, secret: {env: TOKEN}, url: http://hooks.example.com"), "hooks[0].url: write an https:// URL"},
		{"a webhook with a password in its URL", hook("kind: webhook, secret: {env: TOKEN}, url: https://a:b@hooks.example.com"), "hooks[0].url: write an https:// URL without a password"},
		{"a webhook on this machine that is not allowed", hook("kind: webhook, secret: {env: TOKEN}, url: http://127.0.0.1:9"), "hooks[0].url: add allow_private: true"},
		{"a webhook nobody signs", hook("kind: webhook, url: https://hooks.example.com"), "hooks[0].secret: add the secret"},
		{"a webhook with a program", hook("kind: webhook, secret: {env: TOKEN}, url: https://hooks.example.com, argv: [/bin/true]"), "hooks[0].argv: remove it"},
		{"a command without a program", hook("kind: command"), "hooks[0].argv: add the program"},
		{"a command that would be searched for", hook("kind: command, argv: [handover]"), "hooks[0].argv[0]: write the whole path"},
		{"a command with a value in its environment", hook("kind: command, argv: [/bin/true], env: [A=b]"), "hooks[0].env[0]: write the name of an environment variable"},
		{"a command with a URL", hook("kind: command, argv: [/bin/true], url: https://hooks.example.com"), "hooks[0].url: remove it"},
		{"a hook that may take all day", hook("kind: command, argv: [/bin/true], timeout: 24h"), "hooks[0].timeout: write a duration from 1s to 10m"},

		{"a group without a name", minimal + "access: {groups: ['']}\n", "access.groups[0]: write the display name"},
		{"a grace into the past", minimal + "access: {grace: -1s}\n", "access.grace: write a duration"},
		{"verification that goes back", minimal + "verify: {after: [30m, 5m]}\n", "verify.after[1]: write durations"},
		{"a protected person without an address", minimal + "protect: {people: [Jo]}\n", "protect.people[0]: write an e-mail address"},
		{"an approver named twice", minimal + "approvers: [{email: jo@example.com}, {email: JO@example.com}]\n", "approvers[1].email: name each approver once"},
		{"an operator without a token", minimal + "operators: [{name: jo, roles: [admin]}]\n", "operators[0]: add token"},
		{"an operator with a token as its hash", minimal + "operators: [{name: jo, token_hash: hunter2, roles: [admin]}]\n", "token_hash: write the SHA-256"},
		{"an operator without a role", minimal + "operators: [{name: jo, token: {env: TOKEN}}]\n", "operators[0].roles: add at least one of"},
		{"an operator with a role that does not exist", minimal + "operators: [{name: jo, token: {env: TOKEN}, roles: [root]}]\n", "operators[0].roles[0]: write viewer"},
		{"two operators with one token", minimal + "operators: [{name: a, token: {env: TOKEN}, roles: [admin]}, {name: b, token: {env: TOKEN}, roles: [admin]}]\n", "operators[1].token: make another token"},
		{"a policy with a plan that does not exist", minimal + "policies: [{name: p, plan: fast}]\n", "policies[0].plan: write one of"},
		{"a policy with too many approvals", minimal + "policies: [{name: p, approvals: 3}]\n", "policies[0].approvals: write 0, 1 or 2"},
		{"a policy without a name", minimal + "policies: [{plan: leaver}]\n", "policies[0].name: write a name of"},
		{"a credential nobody knows", minimal + "credentials: [{name: c, kind: api_key}]\n", "credentials[0]: name the people, groups or projects"},
		{"a credential of a kind that nobody replaces", minimal + "credentials: [{name: c, kind: pass_word, people: [jo@example.com]}]\n", "credentials[0].kind: write one of deployment_key"},
		{"a new value for a hook that is not there", minimal + "credentials: [{name: c, kind: destination, field: token, project: 1, people: [jo@example.com], publish: {hook: vault}}]\n", "credentials[0].publish.hook: name one of the hooks"},
		{"a new value that Offramp never sees", minimal + "credentials: [{name: c, kind: slack, people: [jo@example.com], publish: /var/keys}]\n", "credentials[0].publish: remove it"},
		{"a setting of something that is no destination", minimal + "credentials: [{name: c, kind: slack, people: [jo@example.com], field: token}]\n", "credentials[0].field: remove it"},
		{"a destination without its project", minimal + "credentials: [{name: c, kind: destination, people: [jo@example.com]}]\n", "credentials[0].project: write the id"},
		{"a negative overlap", minimal + "credentials: [{name: c, kind: slack, people: [jo@example.com], overlap: -1h}]\n", "credentials[0]: write durations"},
		{"somebody to tell who is no address", minimal + "credentials: [{name: c, kind: slack, people: [jo@example.com], tell: [jo]}]\n", "credentials[0].tell[0]: write an e-mail address"},
		{"a deployment key with nowhere to go", minimal + "credentials: [{name: c, kind: deployment_key, project: 1, people: [jo@example.com]}]\n", "credentials[0].publish: write the directory"},
		{"a credential of an organization that is not in the file", minimal + "credentials: [{name: c, kind: api_key, organization: x, groups: [g]}]\n", "credentials[0].organization: name one of"},
		{"a deadline with an outcome that does not exist", minimal + "handover: {at_deadline: delete}\n", "handover.at_deadline: write remove, escalate or hold"},
		{"an unlisted kind that is ignored", minimal + "handover: {unlisted: ignore}\n", "handover.unlisted: write task or note"},
		{"a last successor without an address", minimal + "handover: {successor: jo}\n", "handover.successor: write an e-mail address"},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			c, problems := load(row.file)
			if c != nil || len(problems) == 0 {
				t.Fatal("the file was accepted")
			}
			if !strings.Contains(problems.Error(), row.want) {
				t.Errorf("got\n%s\nwant a line with\n%s", problems.Error(), row.want)
			}
			if strings.Contains(problems.Error(), "hunter2") {
				t.Error("a secret is told")
			}
		})
	}
}

func TestABadEnvironmentIsToldByTheNameOfTheVariable(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ variable, want string }{
		{"OFFRAMP_MODE=both", "environment: OFFRAMP_MODE: write observe"},
		{"OFFRAMP_LISTEN=", "environment: OFFRAMP_LISTEN: write HOST:PORT"},
		{"OFFRAMP_DATABASE=oracle", "environment: OFFRAMP_DATABASE: write sqlite:PATH"},
		{"OFFRAMP_HOOKS=none", "environment: OFFRAMP_HOOKS: unset it"},
	} {
		_, problems := load(minimal, row.variable)
		if len(problems) != 1 || !strings.HasPrefix(problems.Error(), row.want) {
			t.Errorf("got %q, want %q", problems.Error(), row.want)
		}
	}
}

func TestAFileThatCannotBeReadIsOneProblem(t *testing.T) {
	t.Parallel()
	tree := fstest.MapFS{"large.yaml": {Data: make([]byte, 2<<20)}}
	for _, row := range []struct{ path, want string }{
		{"missing.yaml", "missing.yaml: there is no such file"},
		{"large.yaml", "large.yaml: this is not a configuration file"},
	} {
		_, problems := config.Load(row.path, nil, tree.ReadFile)
		if len(problems) != 1 || !strings.HasPrefix(problems.Error(), row.want) {
			t.Errorf("got %q, want %q", problems.Error(), row.want)
		}
	}
}
