package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"offramp/amplitude"
	"offramp/internal/config"
	"offramp/internal/offboard"
)

// maxPages bounds how many pages of members are read to look at their domains:
// the doctor's requests are beside the server's budget.
const maxPages = 5

// probe is one harmless read that needs one credential.
type probe struct {
	what    string
	setting string // in the configuration
	from    string // where the credential was read, may be empty
	renew   string // how to get another one
	base    string // of the API
	own     bool   // the base is not a region's
	swap    func(at *amplitude.Endpoints, other amplitude.Endpoints)
	read    func(context.Context, *amplitude.Client) (well string, err error)
}

// organization checks every credential of an organization, and whether the
// connections reach its members.
func (d *Doctor) organization(ctx context.Context, s subject, o config.Organization) {
	opts, err := d.opts.Amplitude(o)
	if err != nil {
		s.tell("configuration", "", &trouble{err.Error(), "correct the organization in the configuration"})
		return
	}
	opts.Budget, opts.Metrics, opts.UserAgent = nil, nil, "offramp-doctor"
	opts.Transport, opts.Now = d.opts.Transport, d.opts.Now
	client, err := amplitude.New(opts)
	if err != nil {
		s.tell("configuration", "", &trouble{err.Error(), "correct the organization in the configuration"})
		return
	}
	client = client.ReadOnly()
	defer client.CloseIdleConnections()

	x := examination{d: d, s: s, org: o, opts: opts, client: client}
	x.members(ctx)
	if opts.OrgKey == "" {
		s.skip("organization key", "not configured: roles and project access stay unknown, and incidents have no audit log")
	} else {
		x.organizationKey(ctx)
	}
	if opts.DeveloperToken == "" {
		s.skip("developer token", "not configured: charts, owners of flags and destinations stay unseen")
	} else {
		x.developerToken(ctx)
	}
	for i, p := range opts.Projects {
		x.project(ctx, p, o.Projects[i])
	}
}

// examination is what the checks of one organization share.
type examination struct {
	d      *Doctor
	s      subject
	org    config.Organization
	opts   amplitude.Options
	client *amplitude.Client
}

// members checks the SCIM key, that a member who is listed is also found, and
// whether somebody watches over every member.
func (x examination) members(ctx context.Context) {
	var first amplitude.Page
	scim := probe{
		what: "SCIM key", setting: "scim_key", from: x.org.SCIMKey.From(), base: x.opts.Endpoints.SCIM, own: x.org.Endpoints.SCIM != "",
		renew: "copy it again from Amplitude, Settings > Organization settings > Access and SSO > Provisioning Settings, " +
			"or generate another one there, which ends the old one at once",
		swap: func(at *amplitude.Endpoints, other amplitude.Endpoints) { at.SCIM = other.SCIM },
		read: func(ctx context.Context, c *amplitude.Client) (string, error) {
			page, err := c.MembersPage(ctx, 1)
			first = page
			return fmt.Sprintf("lists %d members", page.Total), err
		},
	}
	well := x.try(ctx, scim)
	const control = "known member"
	switch {
	case !well:
		x.s.skip(control, "needs the SCIM key")
		x.s.skip("domains", "needs the SCIM key")
		return
	case len(first.Members) == 0:
		x.s.skip(control, "the organization has no members yet")
	default:
		_, err := x.client.Member(ctx, first.Members[0].Email)
		if e, ok := errors.AsType[*amplitude.Error](err); ok && e.NotFound() {
			err = &trouble{
				"a member that is listed is not found by their address, so no removal could be proven",
				"check endpoints.scim, and any proxy in between, for paths that hold an @ or a %40",
			}
		} else if err != nil {
			err = x.explain(err, scim)
		}
		x.s.tell(control, "a member who is listed is found by their address", err)
	}
	x.domains(ctx, first, scim)
}

// domains looks for members whom no connection can ever reach.
func (x examination) domains(ctx context.Context, page amplitude.Page, scim probe) {
	const what = "domains"
	var covered []string
	reached := false
	for _, c := range x.d.opts.Config.Connections {
		if !reaches(c, x.org) {
			continue
		}
		reached = true
		if len(c.Domains) == 0 {
			x.s.ok(what, "connection %s has none configured, so it reaches every address", c.Name)
			return
		}
		covered = append(covered, c.Domains...)
	}
	if !reached {
		x.s.tell(what, "", &trouble{
			"no connection has this organization: nobody is removed from it",
			"add it to the organizations of the connection whose people it has",
		})
		return
	}
	outside, looked, total := map[string]int{}, 0, page.Total
	for n := 1; ; n++ {
		for _, m := range page.Members {
			looked++
			domain := offboard.Domain(m.Email)
			if !slices.Contains(covered, domain) && !slices.Contains(x.d.opts.Config.Protect.People, offboard.Fold(m.Email)) {
				outside[domain]++
			}
		}
		if n == maxPages || looked >= total || len(page.Members) == 0 {
			break
		}
		next, err := x.client.MembersPage(ctx, looked+1)
		if err != nil {
			x.s.tell(what, "", x.explain(err, scim))
			return
		}
		page = next
	}
	if len(outside) == 0 {
		x.s.ok(what, "connections reach all of the %d members looked at", looked)
		return
	}
	count, names := tally(outside)
	x.s.tell(what, "", &trouble{
		fmt.Sprintf("%d of %d members looked at have an address that no connection reaches: %s", count, looked, names),
		"add the missing domain to the domains of the connection whose people they are, or put the addresses under protect.people",
	})
}

// tally tells how many there are of each domain, the most frequent first.
func tally(domains map[string]int) (count int, names string) {
	all := slices.SortedFunc(maps.Keys(domains), func(a, b string) int {
		return cmp.Or(domains[b]-domains[a], strings.Compare(a, b))
	})
	for i, name := range all {
		count += domains[name]
		all[i] = fmt.Sprintf("%s (%d)", cmp.Or(name, "without a domain"), domains[name])
	}
	return count, listed(all)
}

// organizationKey checks what the key and secret of the organization open.
func (x examination) organizationKey(ctx context.Context) {
	const renew = "the key is in Amplitude under Settings > Organization settings > API Keys, the secret comes from Amplitude's support; org_id has to match"
	x.try(ctx, probe{
		what: "organization key: roles", setting: "org_key", from: x.org.OrgKey.From(), renew: renew,
		base: x.opts.Endpoints.UserManagement, own: x.org.Endpoints.UserManagement != "",
		swap: func(at *amplitude.Endpoints, other amplitude.Endpoints) { at.UserManagement = other.UserManagement },
		read: func(ctx context.Context, c *amplitude.Client) (string, error) {
			roles, err := c.Roles(ctx)
			return fmt.Sprintf("lists %d roles", len(roles)), err
		},
	})
	x.try(ctx, probe{
		what: "organization key: audit log", setting: "org_key", from: x.org.OrgKey.From(), renew: renew,
		base: x.opts.Endpoints.Audit, own: true, // there is one host for both regions
		read: func(ctx context.Context, c *amplitude.Client) (string, error) {
			to := x.d.opts.Now()
			for _, err := range c.AuditLog(ctx, to.Add(-time.Minute), to, amplitude.AuditFilter{}) {
				if errors.Is(err, amplitude.ErrAuditTruncated) {
					break // it answers, and has more than one answer holds
				}
				return "answers", err
			}
			return "answers", nil
		},
	})
}

// project checks the keys of one project. What has no key becomes tasks.
// developerToken lists the projects that the token may see.
func (x examination) developerToken(ctx context.Context) {
	x.try(ctx, probe{
		what: "developer token: projects", setting: "developer_token", from: x.org.DeveloperToken.From(),
		renew: "make another personal access token in Amplitude, as a member who stays",
		base:  x.opts.Endpoints.Developer, own: x.org.Endpoints.Developer != "",
		swap: func(at *amplitude.Endpoints, other amplitude.Endpoints) { at.Developer = other.Developer },
		read: func(ctx context.Context, c *amplitude.Client) (string, error) {
			all, err := c.DeveloperProjects(ctx)
			return fmt.Sprintf("lists %d", len(all)), err
		},
	})
}

func (x examination) project(ctx context.Context, p amplitude.Project, c config.Project) {
	name := fmt.Sprintf("project %d", p.ID)
	const analytics = "copy API key and secret key of this project again from Amplitude, Settings > Projects"
	if p.APIKey == "" {
		x.s.skip(name+": events and cohorts", "no api_key and secret_key: what a leaver owns there becomes tasks")
	} else {
		for _, read := range []struct {
			what string
			do   func(context.Context, *amplitude.Client) (string, error)
		}{
			{"events", func(ctx context.Context, c *amplitude.Client) (string, error) {
				all, err := c.Events(ctx, p.ID)
				return fmt.Sprintf("lists %d", len(all)), err
			}},
			{"cohorts", func(ctx context.Context, c *amplitude.Client) (string, error) {
				all, err := c.Cohorts(ctx, p.ID)
				return fmt.Sprintf("lists %d", len(all)), err
			}},
		} {
			x.try(ctx, probe{
				what: name + ": " + read.what, setting: "api_key and secret_key", from: c.SecretKey.From(), renew: analytics,
				base: x.opts.Endpoints.Analytics, own: x.org.Endpoints.Analytics != "",
				swap: func(at *amplitude.Endpoints, other amplitude.Endpoints) { at.Analytics = other.Analytics },
				read: read.do,
			})
		}
	}
	if p.ManagementKey == "" {
		x.s.skip(name+": flags", "no management_key: flags and deployment keys become tasks")
		return
	}
	x.try(ctx, probe{
		what: name + ": flags", setting: "management_key", from: c.ManagementKey.From(),
		renew: "make another one in Amplitude under Experiment > Management API, for this project",
		base:  x.opts.Endpoints.Experiment, own: x.org.Endpoints.Experiment != "",
		swap: func(at *amplitude.Endpoints, other amplitude.Endpoints) { at.Experiment = other.Experiment },
		read: func(ctx context.Context, c *amplitude.Client) (string, error) {
			all, err := c.Flags(ctx, p.ID)
			return fmt.Sprintf("lists %d", len(all)), err
		},
	})
}

// try makes a probe and reports it.
func (x examination) try(ctx context.Context, p probe) bool {
	well, err := p.read(ctx, x.client)
	if errors.Is(err, amplitude.ErrNotEnrolled) {
		x.s.skip(p.what, "the organization is not enrolled in this API, which is by invitation: roles and project access stay unknown")
		return false
	}
	if e, ok := errors.AsType[*amplitude.Error](err); ok && e.Unauthorized() {
		if region := x.elsewhere(ctx, p); region != "" {
			err = &trouble{
				fmt.Sprintf("the key belongs to region %s, and the organization is configured for %s", region, x.org.Region),
				fmt.Sprintf("write region: %s for this organization", region),
			}
		}
	}
	if err != nil {
		err = x.explain(err, p)
	}
	return x.s.tell(p.what, well, err)
}

// elsewhere asks the other region whether it knows a credential that was
// refused, and returns its name if it does.
func (x examination) elsewhere(ctx context.Context, p probe) string {
	if p.own {
		return ""
	}
	region := string(config.EU)
	if x.org.Region == config.EU {
		region = string(config.US)
	}
	other, err := amplitude.RegionEndpoints(region)
	if err != nil {
		return ""
	}
	opts := x.opts
	p.swap(&opts.Endpoints, other)
	client, err := amplitude.New(opts)
	if err != nil {
		return ""
	}
	defer client.CloseIdleConnections()
	if _, err := p.read(ctx, client.ReadOnly()); err != nil {
		return ""
	}
	return region
}

// explain turns an error of Amplitude's client into a sentence and its fix.
func (x examination) explain(err error, p probe) error {
	e, ok := errors.AsType[*amplitude.Error](err)
	if !ok {
		return err
	}
	setting := p.setting
	if p.from != "" {
		setting += " (" + p.from + ")"
	}
	at := host(p.base)
	switch {
	case e.Unauthorized():
		return &trouble{fmt.Sprintf("Amplitude refuses %s with status %d", setting, e.Status), p.renew}
	case e.Status == http.StatusTooManyRequests:
		return &trouble{
			"Amplitude throttles: its limit is shared by every client of the organization",
			"wait a minute and try again; if it stays so, lower the organization's rate, or find out who else asks",
		}
	case e.Status >= 500:
		return &trouble{fmt.Sprintf("%s answers with status %d", at, e.Status), "try again later; if it stays so, ask Amplitude's support"}
	case e.NotFound():
		return &trouble{at + " knows no such path", "check the endpoints of this organization: the base URL has to end as the region's does"}
	case e.Status == 0 && strings.Contains(e.Detail, "certificate"):
		return &trouble{
			fmt.Sprintf("no trusted connection to %s: %s", at, e.Detail),
			"if a proxy opens TLS, add its authority to the system's certificates (SSL_CERT_FILE); else check the endpoints",
		}
	case e.Status == 0 && e.Code == "":
		return &trouble{
			fmt.Sprintf("%s cannot be reached: %s", at, e.Detail),
			"allow outgoing HTTPS to this host, set HTTPS_PROXY where a proxy is needed, and check the endpoints for a wrong name or port",
		}
	}
	return &trouble{err.Error(), "check that the endpoints of this organization lead to Amplitude and not to a proxy's page"}
}
