package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"offramp/amplitude"
	"offramp/transfer"
)

// entry is one thing of a list, with everybody it names.
type entry struct {
	id, name string
	archived bool
	people   []holder
}

// holder is one place of an entry that names somebody.
type holder struct {
	who      string // mostly an address; may be a login id, "api", or nothing
	says     string // what the place means
	freeText bool   // people write what they like there, display names too
}

// addressed reports whether the entry names anybody by an address.
func (e entry) addressed() bool {
	for _, h := range e.people {
		if strings.Contains(h.who, "@") {
			return true
		}
	}
	return false
}

// source is one list that a project has.
type source struct {
	name       string // for people
	kind       transfer.AssetKind
	api        string
	credential string   // the setting that opens it
	scope      string   // that a developer token needs for it
	without    []string // what the list never shows
	// early: by invitation, by plan, or by the rights of one person, so that
	// "not found" means that this organization or project is not opened.
	early  bool
	owners bool // it shows who owns a thing, not only who made it
	list   func(ctx context.Context, c *amplitude.Client, project int) ([]entry, error)
}

// ownerPlace is the place of an entry that names an owner.
const ownerPlace = "owner"

// Settings that open lists, as the configuration names them.
const (
	projectKeys    = "api_key and secret_key"
	managementKey  = "management_key"
	developerToken = "developer_token"
)

// sources are the lists that name an owner or a creator. Archived things are
// nobody's work to hand over and left out of all of them.
func sources() []source {
	const notOwner = "owners: who made or last changed a thing need not own it"
	return []source{
		{
			name: "events", kind: transfer.AssetEvent, api: "taxonomy API", credential: projectKeys, list: events, owners: true,
			without: []string{"hidden and deleted events"},
		},
		{
			name: "cohorts", kind: transfer.AssetCohort, api: "cohorts API", credential: projectKeys, list: cohorts, owners: true,
			without: []string{"unlisted cohorts"},
		},
		{
			name: "lookup tables", kind: transfer.AssetLookupTable, api: "lookup tables API", credential: projectKeys, list: lookupTables, early: true,
			without: []string{notOwner},
		},
		{
			name: "flags", kind: transfer.AssetFlag, api: "experiment API", credential: managementKey, list: flags,
			without: []string{notOwner},
		},
		{
			name: "experiments", kind: transfer.AssetExperiment, api: "experiment API", credential: managementKey, list: experiments,
			without: []string{notOwner},
		},
		{
			name: "flag owners", kind: transfer.AssetFlag, api: "developer API", credential: developerToken, scope: "flags:read", list: flagOwners, early: true, owners: true,
		},
		{
			name: "charts", kind: transfer.AssetChart, api: "developer API", credential: developerToken, scope: "analytics:read", list: charts, early: true,
			without: []string{notOwner},
		},
		{
			name: "destinations", kind: transfer.AssetDestination, api: "developer API", credential: developerToken, scope: "destinations:read",
			list: destinations, early: true, without: []string{notOwner, "whose credential a destination holds"},
		},
	}
}

// refusal tells in words why a list cannot be seen. Empty: it can, or the error
// is one that a later attempt or a person may cure.
func (s source) refusal(err error) string {
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*amplitude.Error](err)
	switch {
	case errors.Is(err, amplitude.ErrNotConfigured):
		return "no " + s.credential + " for it"
	case errors.Is(err, amplitude.ErrNotEnrolled):
		return "the organization is not enrolled in this API"
	case !ok:
		return ""
	case e.Code == "insufficient_scope" && s.scope != "":
		return fmt.Sprintf("the %s lacks the scope %s", s.credential, s.scope)
	case e.Unauthorized():
		return strings.TrimSpace(fmt.Sprintf("Amplitude refused the %s with status %d %s", s.credential, e.Status, e.Code))
	case s.early && e.NotFound():
		return fmt.Sprintf("Amplitude knows nothing there for the %s", s.credential)
	}
	return ""
}

func events(ctx context.Context, c *amplitude.Client, project int) ([]entry, error) {
	list, err := c.Events(ctx, project)
	out := make([]entry, 0, len(list))
	for _, e := range list {
		out = append(out, entry{id: e.Name, name: e.DisplayName, people: []holder{{who: e.Owner, says: ownerPlace, freeText: true}}})
	}
	return out, err
}

func cohorts(ctx context.Context, c *amplitude.Client, project int) ([]entry, error) {
	list, err := c.Cohorts(ctx, project)
	out := make([]entry, 0, len(list))
	for _, h := range list {
		if h.Archived {
			continue
		}
		out = append(out, entry{id: h.ID, name: h.Name, people: owners(h.Owners)})
	}
	return out, err
}

func lookupTables(ctx context.Context, c *amplitude.Client, project int) ([]entry, error) {
	list, err := c.LookupTables(ctx, project)
	out := make([]entry, 0, len(list))
	for _, t := range list {
		out = append(out, entry{id: t.Name, name: t.Name, people: made(t.CreatedBy, t.LastModifiedBy)})
	}
	return out, err
}

func flags(ctx context.Context, c *amplitude.Client, project int) ([]entry, error) {
	list, err := c.Flags(ctx, project)
	return managed(list), err
}

func experiments(ctx context.Context, c *amplitude.Client, project int) ([]entry, error) {
	list, err := c.Experiments(ctx, project)
	return managed(list), err
}

func managed(list []amplitude.Flag) []entry {
	out := make([]entry, 0, len(list))
	for _, f := range list {
		out = append(out, entry{id: f.ID, name: f.Name, people: made(f.CreatedBy, f.LastModifiedBy)})
	}
	return out
}

func flagOwners(ctx context.Context, c *amplitude.Client, project int) ([]entry, error) {
	list, err := c.DeveloperFlags(ctx, project)
	out := make([]entry, 0, len(list))
	for _, f := range list {
		if f.Archived {
			continue
		}
		out = append(out, entry{id: f.ID, name: f.Name, people: append(owners(f.Owners), made(f.CreatedBy, f.LastModifiedBy)...)})
	}
	return out, err
}

func charts(ctx context.Context, c *amplitude.Client, project int) ([]entry, error) {
	list, err := c.Charts(ctx, project)
	out := make([]entry, 0, len(list))
	for _, h := range list {
		if h.Archived {
			continue
		}
		out = append(out, entry{id: h.ID, name: h.Name, people: made(h.CreatedBy, "")})
	}
	return out, err
}

func destinations(ctx context.Context, c *amplitude.Client, project int) ([]entry, error) {
	list, err := c.Destinations(ctx, project)
	out := make([]entry, 0, len(list))
	for _, d := range list {
		title := d.DisplayName
		if title == "" {
			title = d.Partner
		}
		out = append(out, entry{id: d.ID, name: title, people: made(d.CreatedBy, d.UpdatedBy)})
	}
	return out, err
}

// deployments name nobody, and their keys are not kept.
func deployments(ctx context.Context, c *amplitude.Client, project int) ([]entry, error) {
	list, err := c.Deployments(ctx, project)
	out := make([]entry, 0, len(list))
	for _, d := range list {
		out = append(out, entry{id: d.ID, name: d.Label, archived: d.Archived})
	}
	return out, err
}

func owners(list []string) []holder {
	out := make([]holder, 0, len(list)+2)
	for _, o := range list {
		out = append(out, holder{who: o, says: ownerPlace})
	}
	return out
}

func made(creator, changer string) []holder {
	return []holder{{who: creator, says: "created by"}, {who: changer, says: "last changed by"}}
}
