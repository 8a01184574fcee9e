package amplitude

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"
)

// api names one of Amplitude's APIs, for errors and metrics.
type api string

const (
	apiSCIM       api = "scim"
	apiAccess     api = "access"
	apiAudit      api = "audit"
	apiTaxonomy   api = "taxonomy"
	apiCohorts    api = "cohorts"
	apiExperiment api = "experiment"
	apiEvaluation api = "evaluation"
	apiDeveloper  api = "developer"
	apiLookup     api = "lookup_tables"
)

func (a api) String() string { return string(a) }

func allAPIs() []api {
	return []api{apiSCIM, apiAccess, apiAudit, apiTaxonomy, apiCohorts, apiExperiment, apiEvaluation, apiDeveloper, apiLookup}
}

// Client talks to one organization. It is made by New, does not change
// afterwards, and may be used from several goroutines.
type Client struct {
	at       Endpoints
	scimAuth string // values of the Authorization header
	orgAuth  string // empty: not configured
	orgID    int
	projects map[int]project

	developerAuth string              // empty: not configured
	developer     *semaphore.Weighted // the Developer API does not say how much it bears

	secrets  []string // cut from every error text, should a server repeat them
	budget   Budget
	permit   func(context.Context) error // nil: everything may be sent
	http     *http.Client
	now      func() time.Time
	timeout  time.Duration
	metrics  *metrics
	agent    string
	share    Share
	readOnly bool
}

// project is a Project ready for use.
type project struct {
	id             int
	basicAuth      string // empty: not configured
	managementAuth string // empty: not configured

	// Amplitude counts what runs at the same time, per project. Waiting here
	// is cheaper than being refused there; other replicas are not seen.
	taxonomy *semaphore.Weighted
	cohorts  *semaphore.Weighted
}

// New checks the options and returns a client whose requests count as
// ShareOther. It starts nothing and sends nothing. The error lists every
// problem of the options.
func New(o Options) (*Client, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("amplitude client %q: %w", o.Name, err)
	}
	m, err := newMetrics(o.Metrics, o.Name)
	if err != nil {
		return nil, fmt.Errorf("amplitude client %q: %w", o.Name, err)
	}
	c := &Client{
		at:       o.Endpoints,
		scimAuth: "Bearer " + o.SCIMKey.Reveal(),
		orgID:    o.OrgID,
		projects: make(map[int]project, len(o.Projects)),
		budget:   o.Budget,
		permit:   o.Permit,
		now:      o.Now,
		timeout:  o.Timeout,
		metrics:  m,
		agent:    o.UserAgent,
		share:    ShareOther,

		developerAuth: developerAuth(o.DeveloperToken),
		developer:     semaphore.NewWeighted(developerRequests),
	}
	secrets := append([]Secret{o.SCIMKey, o.OrgKey, o.OrgSecret}, developerSecrets(o.DeveloperToken)...)
	if o.OrgKey != "" {
		c.orgAuth = basic(o.OrgKey, o.OrgSecret)
	}
	for _, p := range o.Projects {
		q := project{
			id:       p.ID,
			taxonomy: semaphore.NewWeighted(taxonomyCost),
			cohorts:  semaphore.NewWeighted(cohortRequests),
		}
		if p.APIKey != "" {
			q.basicAuth = basic(p.APIKey, p.SecretKey)
		}
		if p.ManagementKey != "" {
			q.managementAuth = "Bearer " + p.ManagementKey.Reveal()
		}
		c.projects[p.ID] = q
		secrets = append(secrets, p.APIKey, p.SecretKey, p.ManagementKey)
	}
	for _, s := range secrets {
		if s != "" {
			c.secrets = append(c.secrets, s.Reveal())
		}
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	if c.agent == "" {
		c.agent = "offramp"
	}
	transport := o.Transport
	if transport == nil {
		transport = newTransport()
	}
	c.http = &http.Client{
		Transport: transport,
		// A redirect would carry credentials to a place nobody configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// WithShare returns the same client with its SCIM requests counted against s.
func (c *Client) WithShare(s Share) *Client {
	d := *c
	d.share = s
	return &d
}

// ReadOnly returns the same client with every write refused by ErrReadOnly
// before anything is sent.
func (c *Client) ReadOnly() *Client {
	d := *c
	d.readOnly = true
	return &d
}

// Finishing returns the same client without Options.Permit: for the second half
// of what was begun, where to stop in between would do harm.
func (c *Client) Finishing() *Client {
	d := *c
	d.permit = nil
	return &d
}

// CloseIdleConnections closes the connections that no request is using. The
// client stays usable.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// project returns a configured project, or ErrNotConfigured.
func (c *Client) project(a api, op string, id int) (project, error) {
	p, ok := c.projects[id]
	if !ok {
		return project{}, notConfigured(a, op, "project "+strconv.Itoa(id))
	}
	return p, nil
}

func newTransport() http.RoundTripper {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          64,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
	}
}

func basic(user, password Secret) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user.Reveal()+":"+password.Reveal()))
}

// segment escapes one path segment. A plus sign and the dot segments are
// escaped as well: they mean something else to some servers.
func segment(s string) string {
	if s == "." || s == ".." {
		return strings.ReplaceAll(s, ".", "%2E")
	}
	return strings.ReplaceAll(url.PathEscape(s), "+", "%2B")
}

// query encodes parameters with %20 for a blank, which every server reads alike.
func query(v url.Values) string {
	if len(v) == 0 {
		return ""
	}
	return "?" + strings.ReplaceAll(v.Encode(), "+", "%20")
}
