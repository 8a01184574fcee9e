package amplitude

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
)

// defaultTimeout is how long one request may take when Options.Timeout is zero.
const defaultTimeout = 20 * time.Second

// Options says which organization a Client talks to, and as whom.
type Options struct {
	Name      string    // required; the organization's name, a metric label
	Endpoints Endpoints // SCIM is required, see RegionEndpoints; an empty one switches its API off
	SCIMKey   Secret    // required; the organization's SCIM key
	OrgID     int       // with OrgKey and OrgSecret; zero: User Management and audit log are not configured
	OrgKey    Secret
	OrgSecret Secret

	DeveloperToken Secret // personal access token or OAuth token; empty: the Developer API is not configured

	Projects  []Project                   // none: taxonomy, cohorts, lookup tables and experiment are not configured
	Budget    Budget                      // nil: SCIM requests are not limited
	Permit    func(context.Context) error // asked last before a request that changes something; its error keeps it from being sent; nil: always
	Transport http.RoundTripper           // nil: the client's own, pooled
	Now       func() time.Time            // nil: time.Now
	Timeout   time.Duration               // of one request with its answer; zero: 20 s
	Metrics   prometheus.Registerer       // nil: not exported
	UserAgent string                      // empty: "offramp"
}

// Project is one Amplitude project with its credentials.
type Project struct {
	ID            int    // required
	Name          string // shown to people only
	APIKey        Secret // with SecretKey: taxonomy, cohorts and lookup tables
	SecretKey     Secret
	ManagementKey Secret // Experiment Management
}

// Endpoints are the base URLs of the APIs, with their path and without a
// slash at the end.
type Endpoints struct {
	SCIM           string // …/scim/1
	UserManagement string // …/user-management/1
	Audit          string // …/api/2/audit-logs, the organization's id is appended
	Analytics      string // the host; /api/3/cohorts and /api/2/taxonomy are appended
	Experiment     string // …/api/1
	Developer      string // the host; /v1 is appended
	Data           string // the host; /api/3/lookup_table is appended
	Evaluation     string // the host; /sdk/v2/vardata is appended
}

// RegionEndpoints returns the base URLs of a data region, "us" or "eu".
// Amplitude documents one host for audit logs, so both regions use it.
func RegionEndpoints(region string) (Endpoints, error) {
	switch region {
	case "us":
		return Endpoints{
			SCIM:           "https://core.amplitude.com/scim/1",
			UserManagement: "https://core.amplitude.com/user-management/1",
			Audit:          "https://amplitude.com/api/2/audit-logs",
			Analytics:      "https://amplitude.com",
			Experiment:     "https://experiment.amplitude.com/api/1",
			Developer:      "https://developer-api.amplitude.com",
			Data:           "https://data-api.amplitude.com",
			Evaluation:     "https://api.lab.amplitude.com",
		}, nil
	case "eu":
		return Endpoints{
			SCIM:           "https://core.eu.amplitude.com/scim/1",
			UserManagement: "https://core.eu.amplitude.com/user-management/1",
			Audit:          "https://amplitude.com/api/2/audit-logs",
			Analytics:      "https://analytics.eu.amplitude.com",
			Experiment:     "https://experiment.eu.amplitude.com/api/1",
			Developer:      "https://developer-api.eu.amplitude.com",
			Data:           "https://data-api.eu.amplitude.com",
			Evaluation:     "https://api.lab.eu.amplitude.com",
		}, nil
	default:
		return Endpoints{}, fmt.Errorf("region %q is not known: use us or eu", region)
	}
}

// check returns every problem at once, as sentences that name the option.
func (o Options) check() error {
	var problems []error
	add := func(format string, a ...any) { problems = append(problems, fmt.Errorf(format, a...)) }

	if o.Name == "" {
		add("the organization needs a name")
	}
	if strings.ContainsFunc(o.UserAgent, unicode.IsControl) {
		add("the user agent holds a control character")
	}
	if o.Timeout < 0 {
		add("the timeout must not be negative")
	}
	for _, e := range []struct{ name, base string }{
		{"scim", o.Endpoints.SCIM},
		{"user management", o.Endpoints.UserManagement},
		{"audit", o.Endpoints.Audit},
		{"analytics", o.Endpoints.Analytics},
		{"experiment", o.Endpoints.Experiment},
		{"developer", o.Endpoints.Developer},
		{"data", o.Endpoints.Data},
		{"evaluation", o.Endpoints.Evaluation},
	} {
		if why := badEndpoint(e.base); e.base != "" && why != "" {
			add("the %s endpoint %s", e.name, why)
		}
	}
	if o.Endpoints.SCIM == "" {
		add("the scim endpoint is missing")
	}
	if o.SCIMKey == "" {
		add("the SCIM key is missing")
	}
	if n := count(o.OrgID != 0, o.OrgKey != "", o.OrgSecret != ""); n != 0 && n != 3 {
		add("the organization's id, key and secret belong together: set all three or none")
	}
	for _, s := range []struct {
		name  string
		value Secret
	}{{"SCIM key", o.SCIMKey}, {"organization key", o.OrgKey}, {"organization secret", o.OrgSecret}, {"developer token", o.DeveloperToken}} {
		if !printable(s.value) {
			add("the %s holds a blank or a control character", s.name)
		}
	}
	seen := map[int]bool{}
	for i, p := range o.Projects {
		if p.ID <= 0 {
			add("project %d of the list needs an id above zero", i+1)
			continue
		}
		if seen[p.ID] {
			add("project %d is listed twice", p.ID)
		}
		seen[p.ID] = true
		if n := count(p.APIKey != "", p.SecretKey != ""); n == 1 {
			add("project %d needs its API key and its secret key together", p.ID)
		}
		if !printable(p.APIKey) || !printable(p.SecretKey) || !printable(p.ManagementKey) {
			add("a key of project %d holds a blank or a control character", p.ID)
		}
	}
	return errors.Join(problems...)
}

// badEndpoint says what is wrong with a base URL without repeating it: it
// could hold a password.
func badEndpoint(base string) string {
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return "is not a URL"
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return "must start with https:// (or http:// for a simulator) and name a host"
	case u.User != nil:
		return "must not hold a user or password"
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "must not hold a query or fragment"
	case strings.HasSuffix(base, "/"):
		return "must not end with a slash"
	default:
		return ""
	}
}

func printable(s Secret) bool {
	for _, r := range s.Reveal() {
		if r <= ' ' || r >= 0x7f {
			return false
		}
	}
	return true
}

func count(conditions ...bool) int {
	n := 0
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}
