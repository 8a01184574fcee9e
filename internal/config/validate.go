package config

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	namePattern     = regexp.MustCompile(`^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$`)
	wordPattern     = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	variablePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	domainPattern   = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])$`)
	numberPattern   = regexp.MustCompile(`^[0-9]{1,20}$`)
	hashPattern     = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

const nameRule = "write a name of lower-case letters, digits, - and _, at most 63 long"

// minToken is the shortest token that cannot be guessed when it is random.
const minToken = 20

// validator collects what is wrong with the meaning of a decoded file.
type validator struct {
	c        *Config
	bad      map[string]bool // keys whose value could not be read: nothing more is said of them
	readFile func(string) ([]byte, error)
	problems Problems
}

// validate checks everything and changes nothing.
func validate(c *Config, bad map[string]bool, readFile func(string) ([]byte, error)) Problems {
	v := &validator{c: c, bad: bad, readFile: readFile}
	v.process()
	v.connections()
	v.organizations()
	v.hooks()
	v.policies()
	v.credentials()
	v.rules()
	v.drift()
	v.people()
	v.notify()
	return v.problems
}

// tell records a problem at a key, written like key[%d].name with its numbers.
func (v *validator) tell(text, key string, numbers ...any) {
	if len(numbers) > 0 {
		key = fmt.Sprintf(key, numbers...)
	}
	for part := key; ; part = parent(part) {
		if v.bad[part] {
			return
		}
		if part == "" {
			break
		}
	}
	v.problems = append(v.problems, v.c.source.problem(key, text))
}

// require tells the text unless the check holds.
func (v *validator) require(holds bool, text, key string, numbers ...any) {
	if !holds {
		v.tell(text, key, numbers...)
	}
}

// unique tells when a value other than the empty one was seen before.
func (v *validator) unique(seen map[string]string, value, text, key string, numbers ...any) {
	if value == "" {
		return
	}
	key = fmt.Sprintf(key, numbers...)
	if first, twice := seen[value]; twice {
		v.tell(text+"; "+first+" has the same", key)
		return
	}
	seen[value] = key
}

// strings checks every element of a list, and that none is there twice.
func (v *validator) strings(values []string, holds func(string) bool, text, key string) {
	seen := map[string]string{}
	for i, value := range values {
		path := fmt.Sprintf("%s[%d]", key, i)
		if !holds(value) {
			v.tell(text, path)
			continue
		}
		v.unique(seen, value, "remove it", "%s", path)
	}
}

// process checks what the process itself needs: listeners, files, the log.
func (v *validator) process() {
	listens := v.listener("listen", v.c.Listen)
	if v.listener("admin_listen", v.c.AdminListen) && listens && sameListener(v.c.Listen, v.c.AdminListen) {
		v.tell("choose an address of its own; listen has this one", "admin_listen")
	}
	if v.c.PublicURL == "" {
		v.tell("add the address under which the identity provider and people reach listen, such as https://offramp.example.com", "public_url")
	} else {
		u, err := url.Parse(v.c.PublicURL)
		good := err == nil && u.User == nil && u.Path == "" && !strings.ContainsAny(v.c.PublicURL, "?#")
		v.require(good && secureURL(v.c.PublicURL),
			"write https:// and a host name, and no more; http:// is for loopback addresses alone", "public_url")
	}
	switch v.c.Mode {
	case Observe, Enforce:
	default:
		v.tell("write observe (nothing is changed in Amplitude, cases tell what would have been done) or enforce (people are removed)", "mode")
	}
	v.certificate()
	v.require(slices.Contains([]string{"debug", "info", "warn", "error"}, v.c.Log.Level),
		"write debug, info, warn or error", "log.level")
	v.require(v.c.Log.Format == JSON || v.c.Log.Format == Console, "write json or console", "log.format")
}

func (v *validator) listener(key, address string) bool {
	host, port, err := net.SplitHostPort(address)
	number, portErr := strconv.ParseUint(port, 10, 16)
	ok := err == nil && portErr == nil && number <= 65535 && !strings.ContainsAny(host, " /@")
	v.require(ok, "write HOST:PORT, such as 127.0.0.1:8080, or :8080 for every address", key)
	return ok && !v.bad[key]
}

// sameListener says whether two checked listeners cannot both be opened.
func sameListener(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	return portA == portB && portA != "0" && (hostA == hostB || anyHost(hostA) || anyHost(hostB))
}

func anyHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || (err == nil && ip.IsUnspecified())
}

func (v *validator) certificate() {
	t := v.c.TLS
	if t.Cert == "" && t.Key == "" {
		return
	}
	v.require(t.Cert != "", "add the certificate file; a key alone is of no use", "tls.cert")
	v.require(t.Key != "", "add the key file; a certificate alone is of no use", "tls.key")
	if !t.Enabled() {
		return
	}
	cert, err := v.readFile(t.Cert)
	if err != nil {
		v.tell("name a PEM file that can be read: "+unreadable(err), "tls.cert")
	}
	key, keyErr := v.readFile(t.Key)
	if keyErr != nil {
		v.tell("name a PEM file that can be read: "+unreadable(keyErr), "tls.key")
	}
	if err != nil || keyErr != nil {
		return
	}
	_, err = tls.X509KeyPair(cert, key)
	v.require(err == nil, "name a PEM certificate chain and the PEM key that belongs to it", "tls.cert")
}

// secureURL says whether text is an absolute https URL, or an http URL of a
// loopback address.
func secureURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return false
	}
	return u.Scheme == "https" || (u.Scheme == "http" && loopback(u.Hostname()))
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

func (v *validator) connections() {
	v.require(len(v.c.Connections) > 0, "add a connection for your identity provider", "connections")
	organizations := make([]string, len(v.c.Organizations))
	for i, organization := range v.c.Organizations {
		organizations[i] = organization.Name
	}
	names, tokens := map[string]string{}, map[string]string{}
	for i, c := range v.c.Connections {
		key := fmt.Sprintf("connections[%d]", i)
		v.name(names, c.Name, key+".name")
		switch c.IdP {
		case Okta, Entra, Other:
		default:
			v.tell("write okta, entra or other", key+".idp")
		}
		switch c.Address {
		case AddressUserName, AddressPrimaryEmail:
		default:
			v.tell("write userName or emails.primary", key+".address")
		}
		_, err := time.LoadLocation(c.Timezone)
		v.require(err == nil && c.Timezone != "" && c.Timezone != "Local",
			"write the name of a time zone such as Europe/Vienna or UTC", key+".timezone")
		v.strings(c.Organizations, func(name string) bool { return slices.Contains(organizations, name) },
			"name one of the organizations of this file"+orNone(organizations), key+".organizations")
		v.strings(c.Domains, domainPattern.MatchString, "write a domain such as example.com, without @ and without *", key+".domains")
		if len(v.c.Connections) > 1 {
			v.require(len(c.Organizations) > 0,
				"add the organizations that this connection may change; only a single connection may leave them out", key+".organizations")
			v.require(len(c.Domains) > 0,
				"add the domains of the people of this connection; only a single connection may leave them out", key+".domains")
		}
		v.token(tokens, c.BootstrapToken, key+".bootstrap_token")
	}
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "; it has none yet"
	}
	return ""
}

// name checks a required name, which is a metric label and a word on the
// command line.
func (v *validator) name(seen map[string]string, name, key string) {
	if !namePattern.MatchString(name) {
		v.tell(nameRule, key)
		return
	}
	v.unique(seen, name, "choose another name", "%s", key)
}

// token checks a bearer token that may be absent.
func (v *validator) token(seen map[string]string, token Secret, key string) {
	if !token.IsSet() {
		return
	}
	if len(token.Reveal()) < minToken {
		v.tell(fmt.Sprintf("make a random token of at least %d characters", minToken), key)
		return
	}
	v.unique(seen, token.SHA256(), "make another token", "%s", key)
}

func (v *validator) organizations() {
	v.require(len(v.c.Organizations) > 0, "add the Amplitude organization that people are removed from", "organizations")
	names, keys := map[string]string{}, map[string]string{}
	for i, o := range v.c.Organizations {
		key := fmt.Sprintf("organizations[%d]", i)
		v.name(names, o.Name, key+".name")
		v.require(o.Region == US || o.Region == EU, "write us or eu", key+".region")
		v.require(o.Slug == "" || namePattern.MatchString(o.Slug), "write the last part of the organization's address in Amplitude, such as acme", key+".slug")
		v.require(o.SCIMKey.IsSet(), "add the SCIM key of the organization; without it nobody can be removed", key+".scim_key")
		v.unique(keys, o.SCIMKey.SHA256(), "name each Amplitude organization once, or two budgets share one limit", "%s.scim_key", key)
		v.require(o.OrgID == "" || numberPattern.MatchString(o.OrgID), "write the number of the organization", key+".org_id")
		v.pair(o.OrgKey, o.OrgSecret, key, "org_key", "org_secret")
		v.require(o.Rate >= 1 && o.Rate <= 90, "write 1 to 90 requests a minute; Amplitude allows 100 to all its clients together", key+".rate")
		v.endpoints(o.Endpoints, key+".endpoints")
		projects := map[string]string{}
		for j, p := range o.Projects {
			project := fmt.Sprintf("%s.projects[%d]", key, j)
			if !numberPattern.MatchString(p.ID) {
				v.tell("write the number of the project", project+".id")
			} else {
				v.unique(projects, p.ID, "name each project once", "%s.id", project)
			}
			v.pair(p.APIKey, p.SecretKey, project, "api_key", "secret_key")
		}
	}
}

// pair tells when one of two secrets that go together is missing.
func (v *validator) pair(a, b Secret, key, nameA, nameB string) {
	switch {
	case v.bad[key+"."+nameA] || v.bad[key+"."+nameB]:
	case a.IsSet() && !b.IsSet():
		v.tell("add it; "+nameA+" is of no use alone", key+"."+nameB)
	case b.IsSet() && !a.IsSet():
		v.tell("add it; "+nameB+" is of no use alone", key+"."+nameA)
	}
}

func (v *validator) endpoints(e Endpoints, key string) {
	for _, endpoint := range []struct{ name, url string }{
		{"scim", e.SCIM},
		{"user_management", e.UserManagement},
		{"audit", e.Audit},
		{"analytics", e.Analytics},
		{"experiment", e.Experiment},
		{"developer", e.Developer},
		{"data", e.Data},
		{"evaluation", e.Evaluation},
	} {
		if endpoint.url == "" {
			continue
		}
		u, err := url.Parse(endpoint.url)
		v.require(err == nil && u.User == nil && u.RawQuery == "" && secureURL(endpoint.url),
			"write the base URL with https://; http:// is for loopback addresses alone", key+"."+endpoint.name)
	}
}

func (v *validator) hooks() {
	names := map[string]string{}
	for i, h := range v.c.Hooks {
		key := fmt.Sprintf("hooks[%d]", i)
		v.name(names, h.Name, key+".name")
		if len(h.Handles)+len(h.Rotates)+len(h.Inventories) == 0 && !v.publishes(h.Name) && !v.bad[key+".handles"] && !v.bad[key+".rotates"] && !v.bad[key+".inventories"] {
			v.tell("add handles (kinds of asset it hands over), rotates (kinds of credential it replaces) or inventories (kinds of asset it lists)", key)
		}
		v.strings(h.Inventories, wordPattern.MatchString, "write a kind of asset in lower case, such as dashboard", key+".inventories")
		v.strings(h.Handles, wordPattern.MatchString, "write a kind of asset in lower case, such as dashboard", key+".handles")
		v.strings(h.Rotates, wordPattern.MatchString, "write a kind of credential in lower case, such as deployment_key", key+".rotates")
		v.require(h.Timeout >= time.Second && h.Timeout <= 10*time.Minute, "write a duration from 1s to 10m", key+".timeout")
		switch h.Kind {
		case Webhook:
			v.webhook(h, key)
		case Command:
			v.command(h, key)
		default:
			v.tell("write webhook or command", key+".kind")
		}
	}
}

func (v *validator) webhook(h Hook, key string) {
	u, err := url.Parse(h.URL)
	switch {
	case err != nil || !secureURL(h.URL) || u.User != nil:
		v.tell("write an https:// URL without a password; http:// is for loopback addresses alone", key+".url")
	case loopback(u.Hostname()) && !h.AllowPrivate:
		v.tell("add allow_private: true, or name a public address", key+".url")
	}
	v.require(h.Secret.IsSet(), "add the secret that signs the calls", key+".secret")
	v.require(h.Argv == nil, "remove it; it belongs to a command", key+".argv")
	v.require(h.Env == nil, "remove it; it belongs to a command", key+".env")
	v.require(h.Dir == "", "remove it; it belongs to a command", key+".dir")
}

func (v *validator) command(h Hook, key string) {
	switch {
	case len(h.Argv) == 0:
		v.tell("add the program and its arguments as a list", key+".argv")
	case !filepath.IsAbs(h.Argv[0]):
		v.tell("write the whole path of the program", key+".argv[0]")
	}
	v.strings(h.Env, variablePattern.MatchString, "write the name of an environment variable, without its value", key+".env")
	v.require(h.URL == "", "remove it; it belongs to a webhook", key+".url")
	v.require(!h.Secret.IsSet(), "remove it; it belongs to a webhook", key+".secret")
	v.require(!h.AllowPrivate, "remove it; it belongs to a webhook", key+".allow_private")
}

// rules checks what steers cases.
func (v *validator) rules() {
	filled := func(s string) bool { return strings.TrimSpace(s) != "" }
	v.strings(v.c.Access.Groups, filled, "write the display name or external id of a group", "access.groups")
	v.require(v.c.Access.Grace >= 0 && v.c.Access.Grace <= 24*time.Hour, "write a duration from 0s to 24h", "access.grace")

	switch v.c.Handover.Unlisted {
	case UnlistedByUse, UnlistedTask, UnlistedNote:
	default:
		v.tell("write task or note, or leave it out to decide by how the leaver used Amplitude", "handover.unlisted")
	}
	switch v.c.Handover.AtDeadline {
	case AtDeadlineByReason, AtDeadlineRemove, AtDeadlineEscalate, AtDeadlineHold:
	default:
		v.tell("write remove, escalate or hold, or leave it out to decide by reason", "handover.at_deadline")
	}
	v.require(v.c.Handover.Deadline > 0, "write a duration above zero, such as 72h", "handover.deadline")
	v.require(v.c.Handover.Confirm >= 0 && v.c.Handover.Confirm <= 24*time.Hour, "write a duration from 0s to 24h", "handover.confirm")
	v.require(v.c.Handover.Successor == "" || isAddress(v.c.Handover.Successor), "write an e-mail address", "handover.successor")

	last := time.Duration(0)
	for i, after := range v.c.Verify.After {
		v.require(after > last && after <= 24*time.Hour, "write durations up to 24h, each longer than the one before", "verify.after[%d]", i)
		last = after
	}
	r := v.c.Review
	v.require(r.Every >= 0 && r.Inactive >= 0, "write durations of zero or more", "review")
	v.require(r.Inactive <= 180*24*time.Hour, "write at most 4320h: logins are remembered no longer", "review.inactive")
	v.require(r.Due > 0, "write how long people have to decide, such as 336h", "review.due")
	v.require(r.Downgrade == "" || slices.ContainsFunc(v.c.Policies, func(p Policy) bool { return p.Name == r.Downgrade && p.Plan == PlanMover }),
		"name a policy of plan mover", "review.downgrade")
	b := v.c.Brake
	v.require(b.Count >= 0 && b.Count <= 1_000_000, "write a number of cases; 0: no limit by number", "brake.count")
	v.require(b.Percent >= 0 && b.Percent <= 100, "write a number from 0 to 100; 0: no limit by share", "brake.percent")
	v.require(b.Window >= time.Minute && b.Window <= 24*time.Hour, "write a duration from 1m to 24h", "brake.window")
	gather := v.c.Verify.Gather
	v.require(gather >= 0 && gather <= time.Hour, "write a duration from 0s to 1h", "verify.gather")
	v.require(b.Settle >= 0 && b.Settle <= 24*time.Hour, "write a duration from 0s to 24h", "brake.settle")

	v.strings(v.c.Protect.People, isAddress, "write an e-mail address", "protect.people")
	v.strings(v.c.Protect.Admins, isAddress, "write an e-mail address", "protect.admins")
	v.strings(v.c.Protect.Token, isAddress, "write an e-mail address", "protect.developer_token")
	v.strings(v.c.Protect.Groups, filled, "write the display name or external id of a group", "protect.groups")
}

// people checks who may approve and operate.
func (v *validator) people() {
	emails := map[string]string{}
	for i, a := range v.c.Approvers {
		key := fmt.Sprintf("approvers[%d]", i)
		v.require(isAddress(a.Email), "write an e-mail address", key+".email")
		v.unique(emails, a.Email, "name each approver once, with all roles", "%s.email", key)
		v.strings(a.Roles, wordPattern.MatchString, "write a role in lower case, such as manager, security or data_governance", key+".roles")
	}
	names, tokens := map[string]string{}, map[string]string{}
	for i, o := range v.c.Operators {
		key := fmt.Sprintf("operators[%d]", i)
		if isAddress(o.Name) {
			v.unique(names, o.Name, "choose another name", "%s.name", key)
		} else {
			v.name(names, o.Name, key+".name")
		}
		switch {
		case v.bad[key+".token"]:
		case o.Token.IsSet() && o.TokenHash != "":
			v.tell("remove token_hash or token; one of them is enough", key+".token_hash")
		case o.Token.IsSet():
			v.token(tokens, o.Token, key+".token")
		case o.TokenHash == "":
			v.tell("add token: {env: NAME}, or token_hash with the SHA-256 of the token", key)
		case !hashPattern.MatchString(o.TokenHash):
			v.tell("write the SHA-256 of the token as 64 lower-case hexadecimal digits", key+".token_hash")
		default:
			v.unique(tokens, o.TokenHash, "make another token", "%s.token_hash", key)
		}
		v.require(len(o.Roles) > 0, "add at least one of viewer, operator, approver, admin", key+".roles")
		for j, role := range o.Roles {
			switch role {
			case RoleViewer, RoleOperator, RoleApprover, RoleAdmin:
			default:
				v.tell("write viewer, operator, approver or admin", "%s.roles[%d]", key, j)
			}
		}
	}
}

// isAddress says whether s is one bare e-mail address.
func isAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && a.Name == "" && strings.Contains(s, "@")
}
