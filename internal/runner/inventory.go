package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
	"offramp/transfer"
)

// owned is what inventory found out, and what it cannot see.
type owned struct {
	Listed      int      `json:"listed"`
	Sources     []looked `json:"sources"`               // every list that was asked for
	Credentials []string `json:"credentials,omitempty"` // what the registry says the leaver knew; rotate replaces it
	Unlistable  []string `json:"unlistable"`            // kinds no API can list
	LowerBound  bool     `json:"lower_bound"`
	Unknown     bool     `json:"unknown,omitempty"` // read after the removal, and not all of it by a sweep before: empty means unknown
}

// looked is what came of asking for one list.
type looked struct {
	Source  string   `json:"source"`            // organization/project: list
	Entries int      `json:"entries"`           // how many it held
	Listed  int      `json:"listed"`            // how many of them name the leaver
	Unseen  string   `json:"unseen,omitempty"`  // why it could not be read; empty: it was
	Without []string `json:"without,omitempty"` // what it does not show even so

	Stored     time.Time `json:"stored,omitzero"`       // when the ownership sweep that fills the gap read the list; zero: nothing fills it
	FromStored int       `json:"from_stored,omitempty"` // how many things were taken over from it

	name  string
	hook  bool // a hook was asked, for
	kinds []transfer.AssetKind
}

// projectsList is the one list that belongs to no project and names no owner.
const projectsList = "projects"

// unlistable are the kinds whose owners no public API shows.
func unlistable() []string {
	return []string{"dashboards", "notebooks", "metrics", "unlisted cohorts", "alerts and subscriptions", "keys"}
}

// inventory lists what the leaver owns or made, as far as APIs show it.
func inventory(ctx context.Context, a *attempt, _ *offboard.Step) (outcome, error) {
	o := owned{LowerBound: true}
	found := findings{index: map[string]int{}}
	for _, org := range a.reach(a.file.Case.Connection) {
		kept, err := a.storedOf(ctx, org)
		if err != nil {
			return outcome{}, err
		}
		seen, err := a.unconfigured(ctx, org)
		if err != nil {
			return outcome{}, err
		}
		o.Sources = append(o.Sources, seen)
		for _, p := range org.Projects {
			for _, s := range sources() {
				seen, err := a.look(ctx, org, p, s, &found)
				if err != nil {
					return outcome{}, err
				}
				a.fill(ctx, &seen, kept, org, p, s, &found)
				o.Sources = append(o.Sources, seen)
			}
		}
		told, err := a.askListers(ctx, org, &found)
		if err != nil {
			return outcome{}, err
		}
		o.Sources = append(o.Sources, told...)
	}
	o.Unlistable = unlistableBesides(o.Sources)
	o.Unknown = o.unknown(a.file.Case.Removed)
	var err error
	if o.Credentials, err = a.registered(ctx); err != nil {
		return outcome{}, err
	}
	o.Listed = len(found.assets)
	say := fmt.Sprintf("inventory: %d things listed, a lower bound", o.Listed)
	if o.Unknown && o.Listed == 0 {
		say = "inventory: read after the removal, so an empty list means unknown"
	}
	if stored := o.stored(); stored != "" {
		say += "; " + stored
	}
	if unseen := o.unseen(); unseen != "" {
		say += "; not seen: " + unseen
	}
	return outcome{result: o, say: say, update: offboard.Update{Assets: found.assets}}, nil
}

// unseen sums up in words which lists could not be read, by reason.
func (o owned) unseen() string {
	var reasons []string
	lists := map[string][]string{}
	for _, l := range o.Sources {
		if l.Unseen == "" {
			continue
		}
		if lists[l.Unseen] == nil {
			reasons = append(reasons, l.Unseen)
		}
		if !slices.Contains(lists[l.Unseen], l.name) {
			lists[l.Unseen] = append(lists[l.Unseen], l.name)
		}
	}
	for i, r := range reasons {
		reasons[i] = strings.Join(lists[r], ", ") + " (" + r + ")"
	}
	return strings.Join(reasons, "; ")
}

// findings are the things that name the leaver, each once: several lists may
// show the same one.
type findings struct {
	assets []offboard.Asset
	index  map[string]int
}

func (f *findings) add(as offboard.Asset) {
	if i, again := f.index[as.ID]; again {
		f.assets[i].Source += "; " + as.Source
		return
	}
	f.index[as.ID] = len(f.assets)
	f.assets = append(f.assets, as)
}

// look asks for one list of a project and adds what names the leaver.
func (a *attempt) look(ctx context.Context, org *organization, p Project, s source, found *findings) (looked, error) {
	seen := looked{Source: org.Name + "/" + p.Name + ": " + s.name, name: s.name}
	l, err := org.lists.read(ctx, p.ID, s.name, a.file.Case.Opened, func(ctx context.Context) ([]entry, error) {
		return s.list(ctx, org.Client, p.ID)
	})
	if seen.Unseen = a.unseen(s, err); seen.Unseen != "" {
		return seen, nil
	}
	if err != nil {
		return looked{}, fmt.Errorf("inventory of %s in %s/%s: %w", s.name, org.Name, p.Name, err)
	}
	seen.Entries, seen.Without = len(l.entries), slices.Clone(s.without)
	if l.truncated {
		seen.Without = append(seen.Without, fmt.Sprintf("what comes after the first %d: the API ends its list there", len(l.entries)))
	}
	nameless, namesakes := 0, 0
	for _, e := range l.entries {
		mine := a.claims(ctx, org, e, &namesakes)
		if len(mine.says) == 0 {
			if !e.addressed() {
				nameless++
			}
			continue
		}
		seen.Listed++
		found.add(offboard.Asset{
			ID:   object(string(s.kind), org.Name, strconv.Itoa(p.ID), e.id),
			Kind: string(s.kind), Organization: org.Name, Project: p.ID, RemoteID: e.id, Name: e.name,
			State: offboard.AssetOwned, By: mine.doubt, Source: s.api + ": " + strings.Join(mine.says, ", "),
		})
	}
	if nameless > 0 {
		seen.Without = append(seen.Without, fmt.Sprintf("the people behind %d of its %d entries, which name nobody by an address", nameless, len(l.entries)))
	}
	if namesakes > 0 {
		seen.Without = append(seen.Without, fmt.Sprintf("the people behind %d entries that give a display name which several members have", namesakes))
	}
	return seen, nil
}

// silent is how often the step may fail, over about half an hour, until it goes
// on without a list that still does not answer: it must not keep a leaver's
// access alive.
const silent = 12

// unseen tells in words why the case goes on without a list. Empty: it was
// read, or the step has to wait for it.
func (a *attempt) unseen(s source, err error) string {
	return a.unseenIn(s, err, offboard.StepInventory)
}

// unseenIn is unseen for any step.
func (a *attempt) unseenIn(s source, err error, in offboard.StepName) string {
	step := a.file.Step(in)
	if e, ok := errors.AsType[*amplitude.Error](err); ok && e.Temporary() && step != nil && step.Attempts >= silent {
		return fmt.Sprintf("no answer after %d attempts: %s", step.Attempts+1, e.Error())
	}
	return s.refusal(err)
}

// claim is how an entry names the leaver.
type claim struct {
	says  []string // in which places; none: it does not
	doubt string   // why no hook may act on it by itself; empty: none
}

// claims tells how an entry names the leaver: by their address whatever its
// case, or where owners are free text by a display name that no other member
// has. namesakes counts the entries left out because one has.
func (a *attempt) claims(ctx context.Context, org *organization, e entry, namesakes *int) claim {
	var c claim
	for _, h := range e.people {
		switch {
		case offboard.Fold(h.who) == "":
		case offboard.Fold(h.who) == offboard.Fold(a.file.Case.Address):
			c.says = append(c.says, h.says)
		case h.freeText && a.isLeaver(h.who):
			others, known := org.roster.namesakes(ctx, a.file.Case.Address, h.who)
			if others > 0 {
				*namesakes++
				continue
			}
			c.says = append(c.says, h.says+", written as a display name")
			if !known {
				c.doubt = "the owner is written as a display name, and other members may have the same one"
			}
		}
	}
	return c
}

// isLeaver compares an owner, which is an address or a name, with the leaver.
func (a *attempt) isLeaver(owner string) bool {
	o := offboard.Fold(owner)
	return o != "" && (o == offboard.Fold(a.file.Case.Address) || o == offboard.Fold(a.file.Person.Name()))
}

// unconfigured tells which projects of an organization nothing is listed from.
func (a *attempt) unconfigured(ctx context.Context, org *organization) (looked, error) {
	seen := looked{Source: org.Name + ": projects", name: projectsList}
	s := source{credential: developerToken, scope: "projects:read", early: true}
	l, err := org.lists.read(ctx, 0, seen.name, a.file.Case.Opened, func(ctx context.Context) ([]entry, error) {
		projects, err := org.Client.DeveloperProjects(ctx)
		out := make([]entry, 0, len(projects))
		for _, p := range projects {
			out = append(out, entry{id: strconv.Itoa(p.ID), name: p.Name})
		}
		return out, err
	})
	if seen.Unseen = a.unseen(s, err); seen.Unseen != "" {
		return seen, nil
	}
	if err != nil {
		return looked{}, fmt.Errorf("inventory of projects in %s: %w", org.Name, err)
	}
	seen.Entries = len(l.entries)
	seen.Without = []string{"projects that the person of the " + developerToken + " has no access to"}
	for _, e := range l.entries {
		if !slices.ContainsFunc(org.Projects, func(p Project) bool { return strconv.Itoa(p.ID) == e.id }) {
			seen.Without = append(seen.Without, fmt.Sprintf("anything of project %s (%s), which is not configured", e.id, e.name))
		}
	}
	return seen, nil
}

// registered names the credentials that the registry says the leaver knew. A
// deployment has no owner, so its key shows up here and nowhere else.
func (a *attempt) registered(ctx context.Context) ([]string, error) {
	known, unseen := a.credentials()
	out := unseen
	for _, c := range known {
		text := strings.ReplaceAll(string(c.Kind), "_", " ") + " " + c.Name
		if c.Kind == transfer.CredentialDeploymentKey {
			state, err := a.deployment(ctx, c)
			if err != nil {
				return nil, err
			}
			text += ": " + state
		}
		out = append(out, text)
	}
	return out, nil
}

// deployment tells in words what Amplitude lists of a registered deployment.
func (a *attempt) deployment(ctx context.Context, c Credential) (string, error) {
	s := source{credential: managementKey}
	for _, org := range a.reach(a.file.Case.Connection) {
		if c.Organization != "" && c.Organization != org.Name {
			continue
		}
		for _, p := range org.Projects {
			if strconv.Itoa(p.ID) != c.Project {
				continue
			}
			l, err := org.lists.read(ctx, p.ID, "deployments", a.file.Case.Opened, func(ctx context.Context) ([]entry, error) {
				return deployments(ctx, org.Client, p.ID)
			})
			if why := a.unseen(s, err); why != "" {
				return "its deployment was not looked up, " + why, nil
			}
			if err != nil {
				return "", fmt.Errorf("inventory of deployments in %s/%s: %w", org.Name, p.Name, err)
			}
			i := slices.IndexFunc(l.entries, func(e entry) bool { return e.id == c.ID })
			switch {
			case i < 0:
				return fmt.Sprintf("%s/%s lists no deployment %s", org.Name, p.Name, c.ID), nil
			case l.entries[i].archived:
				return fmt.Sprintf("deployment %s of %s/%s, archived", l.entries[i].name, org.Name, p.Name), nil
			}
			return fmt.Sprintf("deployment %s of %s/%s", l.entries[i].name, org.Name, p.Name), nil
		}
	}
	return "its project is not configured", nil
}

func refusedKey(err error) bool {
	if errors.Is(err, amplitude.ErrNotConfigured) {
		return true
	}
	e, ok := errors.AsType[*amplitude.Error](err)
	return ok && e.Unauthorized()
}
