package transfer

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Site says where an organization's pages are.
type Site struct {
	App  string // base of the web application; empty: https://app.amplitude.com
	Slug string // the "Org URL" of the organization's general settings; empty: links lead to the application's start page
}

// ManualOptions is what NewManual needs.
type ManualOptions struct {
	Sites map[string]Site  // by the organization's name; one that is missing has the zero Site
	Now   func() time.Time // nil: time.Now
}

// Manual answers everything with a task for a person: what to do, in a sentence, on which page, about what. It calls
// nobody, so asking twice gives the same task. It takes every kind and comes last.
type Manual struct {
	sites map[string]Site
	now   func() time.Time
}

var (
	_ Transferrer = (*Manual)(nil)
	_ Rotator     = (*Manual)(nil)
	_ Retirer     = (*Manual)(nil)
)

const (
	manual     = "manual"
	defaultApp = "https://app.amplitude.com"
)

// NewManual checks that every site's base is an https URL.
func NewManual(o ManualOptions) (*Manual, error) {
	m := &Manual{sites: make(map[string]Site, len(o.Sites)), now: clock(o.Now)}
	for name, site := range o.Sites {
		if site.App != "" {
			u, err := url.Parse(site.App)
			if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
				return nil, errors.New("manual: the application's address for organization " + name + " is not an https URL")
			}
		}
		site.App = strings.TrimRight(site.App, "/")
		m.sites[name] = site
	}
	return m, nil
}

// Name is "manual".
func (m *Manual) Name() string { return manual }

// Handles every kind.
func (m *Manual) Handles(AssetKind) bool { return true }

// Rotates every kind.
func (m *Manual) Rotates(CredentialKind) bool { return true }

// Transfer makes the task of handing one asset over, or with AssetContent everything that Amplitude's bulk transfer
// covers and that no API can list.
func (m *Manual) Transfer(ctx context.Context, h Handover) (Receipt, error) {
	if err := accept(ctx, manual, h, m.Handles); err != nil {
		return Receipt{}, err
	}
	from, to := line(h.Leaver.Label()), line(h.Successor.Label())
	t := Task{
		Title: fmt.Sprintf("Hand over the %s %q from %s to %s", kindWord(h.Asset.Kind), line(h.Asset.Label()), from, to),
		Link:  m.assetLink(h.Organization, h.Asset),
		Items: items(append([]Asset{h.Asset}, h.Items...)), Due: h.Due,
	}
	what := fmt.Sprintf("%s %q%s", kindWord(h.Asset.Kind), line(h.Asset.Label()), inProject(h.Asset.Project))
	switch h.Asset.Kind {
	case AssetContent:
		t.Title = fmt.Sprintf("Hand over everything of %s to %s", from, to)
		t.Link, t.Items = m.MembersPage(h.Organization), items(h.Items)
		t.Instruction = "In Settings → Organization settings → Members & Groups tick " + from + ", choose Bulk Transfer Edit Access, choose " +
			to + ", and confirm; it cannot be undone, and " + to + " must have logged in within the last 30 days and have access to the projects. " +
			"Then look in every project, with the owner filter set to " + from + ", for dashboards, notebooks, charts, metrics, cohorts, alerts and subscriptions " +
			"that are left, and give each to " + to + ". " + known(h.Items)
		if h.Removed {
			t.Instruction = from + " is removed already, and what they owned is unassigned. An Admin gives it away: in every project set the owner filter to " +
				"Unassigned, look for dashboards, notebooks, charts, metrics, cohorts, alerts and subscriptions, and make " + to + " the owner of each that was theirs. " +
				"Amplitude's documentation says in one place that Admins can do this, and in another that content is transferred only before a removal: " +
				"if the pages refuse, write down what is left and ask Amplitude Support. " + known(h.Items)
		}
	case AssetDashboard, AssetNotebook, AssetChart, AssetCohort, AssetMetric:
		t.Instruction = "Open the " + what + ", choose Share or Modify Owners, make " + to + " an owner, and take " + from +
			" off; it is done when " + to + " is shown as owner."
	case AssetEvent:
		t.Instruction = "Open Data → Events, choose the " + what + ", and set its owner to " + to + "; publish the change if the project asks for a review."
	case AssetFlag, AssetExperiment:
		t.Instruction = "Open the " + what + " in Experiment, and in its settings put " + to + " among its owners and editors and take " + from + " off."
	case AssetAlert, AssetSubscription:
		t.Instruction = "Open the " + what + ". Only the owner of its chart or dashboard can keep it: make " + to + " that owner, have " + to +
			" set it up again, and delete the one of " + from + "."
	case AssetDestination:
		t.Instruction = "Open Data → Destinations, choose the " + what + ", note who runs it from now on (" + to + "), and replace the credential that " + from +
			" entered."
	case AssetLookupTable:
		t.Instruction = "Open Data → Lookup tables, choose the " + what + ", and write into its description that " + to + " keeps it from now on; Amplitude cannot change who created it."
	case AssetKeys:
		t.Title = fmt.Sprintf("Find the keys that %s created, and give them to %s", from, to)
		t.Link = m.page(h.Organization, "settings", "projects")
		t.Instruction = "In Settings → Organization settings → Projects open the keys of every project and look for those that " + from +
			" created; for each decide with " + to + " whether it is kept, and open a rotation for each that " + from + " could have copied. " + known(h.Items)
	default:
		t.Instruction = "Make " + to + " the owner of the " + what + ", take " + from + " off, and see that it shows."
	}
	return m.receipt(t), nil
}

// Rotate makes the task of minting and publishing a replacement.
func (m *Manual) Rotate(ctx context.Context, r Rotation) (Receipt, error) {
	if err := acceptRotation(ctx, manual, opRotate, r, m.Rotates); err != nil {
		return Receipt{}, err
	}
	c := r.Credential
	name := credentialWord(c.Kind) + " " + fmt.Sprintf("%q", line(c.Label())) + inProject(c.Project)
	t := Task{Title: "Replace the " + name, Link: m.credentialLink(c), Items: []string{line(c.Label())}, Due: r.Due}
	t.Instruction = howToReplace(c, name) + ours(r, "put the new value into its configuration and restart it, before the old one is ended") + own(r.How)
	return m.receipt(t), nil
}

// Retire makes the task of ending the old credential.
func (m *Manual) Retire(ctx context.Context, r Rotation) (Receipt, error) {
	if err := acceptRotation(ctx, manual, opRetire, r, m.Rotates); err != nil {
		return Receipt{}, err
	}
	c := r.Credential
	name := credentialWord(c.Kind) + " " + fmt.Sprintf("%q", line(c.Label())) + inProject(c.Project)
	t := Task{Title: "End the old " + name, Link: m.credentialLink(c), Items: []string{line(c.Label())}, Due: r.Due}
	t.Instruction = howToEnd(c, name) + ours(r, "end the old one only after it was restarted with the new value") + own(r.How)
	return m.receipt(t), nil
}

// ours is a warning about a credential that this process uses itself.
func ours(r Rotation, what string) string {
	if !r.Own {
		return ""
	}
	return " This bridge uses it itself: " + what + "."
}

// own is what the credential's keeper wrote.
func own(how string) string {
	if how = clean(how, maxDetail); how == "" {
		return ""
	}
	return " Its keeper says: " + how
}

// MembersPage is where a person changes what a member of the organization may do.
func (m *Manual) MembersPage(organization string) string {
	return m.page(organization, "settings", "members")
}

func (m *Manual) receipt(t Task) Receipt {
	return Receipt{State: StateNeedsPerson, By: manual, At: m.now().UTC(), Detail: t.Title, Task: &t}
}

// assetLink is the page of one asset where Amplitude's addresses for its kind are known, else the page to look on.
func (m *Manual) assetLink(organization string, a Asset) string {
	switch a.Kind {
	case AssetDashboard, AssetNotebook, AssetChart, AssetCohort:
		if a.ID != "" {
			return m.page(organization, string(a.Kind), a.ID)
		}
	case AssetContent, AssetMetric, AssetEvent, AssetFlag, AssetExperiment, AssetAlert, AssetSubscription, AssetDestination,
		AssetLookupTable, AssetKeys:
	}
	return m.projectLink(organization, a.Project)
}

func (m *Manual) credentialLink(c Credential) string {
	return m.projectLink(c.Organization, c.Project)
}

func (m *Manual) projectLink(organization, project string) string {
	if project == "" {
		return m.page(organization, "settings", "projects")
	}
	return m.page(organization, "settings", "projects", project)
}

// page is an address below the organization's, each part escaped.
func (m *Manual) page(organization string, parts ...string) string {
	site := m.sites[organization]
	app := site.App
	if app == "" {
		app = defaultApp
	}
	if site.Slug == "" {
		return app
	}
	all := []string{app, "analytics", url.PathEscape(site.Slug)}
	for _, part := range parts {
		all = append(all, url.PathEscape(part))
	}
	return strings.Join(all, "/")
}

// items lists assets for a person, each once, in order.
func items(assets []Asset) []string {
	var list []string
	for _, a := range assets {
		if item := kindWord(a.Kind) + " " + line(a.Label()) + inProject(a.Project); a.Kind != AssetContent && !slices.Contains(list, item) {
			list = append(list, item)
		}
	}
	return list
}

func known(assets []Asset) string {
	if len(assets) == 0 {
		return "Nothing of it could be listed from outside."
	}
	return "The list is what could be seen from outside; there may be more."
}

func inProject(project string) string {
	if project == "" {
		return ""
	}
	return " in project " + line(project)
}

func kindWord(k AssetKind) string { return strings.ReplaceAll(line(string(k)), "_", " ") }

// line is text from outside on one line of bounded length.
func line(s string) string { return clean(s, maxReference) }
