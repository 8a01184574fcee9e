package amplitudefake

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Kinds of assets. Which of them an API shows, and which API can change an
// owner (events only), is the vendor's business; State shows them all.
const (
	KindDashboard     = "dashboard"
	KindNotebook      = "notebook"
	KindChart         = "chart"
	KindMetric        = "metric"
	KindCohort        = "cohort"
	KindEvent         = "event"
	KindFlag          = "flag"
	KindExperiment    = "experiment"
	KindDeployment    = "deployment"
	KindSubscription  = "subscription"
	KindDestination   = "destination"
	KindLookupTable   = "lookup_table"
	KindAPIKey        = "api_key"
	KindSecretKey     = "secret_key"
	KindManagementKey = "management_key"
	KindSCIMKey       = "scim_key"
	KindPersonalToken = "personal_token"
	KindDataToken     = "data_token"
)

// ownedKinds have owners, and lose them when the owner is removed. The other
// kinds only have a creator: they belong to the project.
func ownedKinds() []string {
	return []string{
		KindDashboard, KindNotebook, KindChart, KindMetric, KindCohort, KindEvent, KindFlag, KindExperiment, KindSubscription,
	}
}

// contentKinds are what the page for bulk transfer moves.
func contentKinds() []string {
	return []string{KindDashboard, KindNotebook, KindChart, KindMetric, KindCohort}
}

func keyKinds() []string {
	return []string{KindAPIKey, KindSecretKey, KindManagementKey, KindSCIMKey, KindPersonalToken, KindDataToken}
}

func allKinds() []string {
	return append(append(ownedKinds(), KindDeployment, KindDestination, KindLookupTable), keyKinds()...)
}

// Asset is one thing somebody made: as given to AddAsset, and as State shows it.
type Asset struct {
	Kind         string   `json:"kind"`    // required
	ID           string   `json:"id"`      // empty: AddAsset makes one; of an event: its name
	Name         string   `json:"name"`    // of a deployment: its label
	Project      int      `json:"project"` // 0: belongs to no project (SCIM key, personal tokens)
	Owners       []string `json:"owners"`  // e-mails; of former members too, where Amplitude kept them
	CreatedBy    string   `json:"created_by,omitempty"`
	FormerOwners []string `json:"former_owners,omitempty"` // who was removed while owning it
	Unlisted     bool     `json:"unlisted,omitempty"`      // exists, but its API does not list it
	Unassigned   bool     `json:"unassigned,omitempty"`    // the last owner was removed
	Archived     bool     `json:"archived,omitempty"`
	Revoked      bool     `json:"revoked,omitempty"`     // a key that is no longer valid
	Destroyed    bool     `json:"destroyed,omitempty"`   // a cohort whose definition was overwritten
	Web          bool     `json:"web,omitempty"`         // an experiment that its API refuses to edit
	Type         string   `json:"type,omitempty"`        // of a deployment: client or server
	OwnerText    string   `json:"owner_text,omitempty"`  // of an event: what the API shows instead of the owner's e-mail
	Deployments  []string `json:"deployments,omitempty"` // of a flag or experiment
	Key          string   `json:"key,omitempty"`         // of a key or deployment: the secret itself; of a flag: its key
	Legacy       bool     `json:"legacy,omitempty"`      // of an API key: can be rotated, not revoked
}

type asset struct {
	Asset
	created    time.Time
	modified   time.Time
	modifiedBy string
	revokedAt  time.Time // of an API key or token: when it was revoked or will be
	event      *eventDetail
	flag       *flagDetail
	dest       *destinationDetail
}

type shelf struct {
	order []*asset
	byID  map[string]*asset
}

type project struct {
	id           int
	name         string
	created      time.Time
	shelves      map[string]*shelf
	openCohorts  int
	openTaxonomy int
	taxonomyCost window
	perSecond    *window
	perDay       *window
	versions     []version
}

func (f *Fake) newProject(id int, name string) *project {
	return &project{
		id: id, name: name, created: f.now(), shelves: map[string]*shelf{},
		taxonomyCost: *newWindow(7200, time.Hour), perSecond: newWindow(100, time.Second), perDay: newWindow(100_000, 24*time.Hour),
	}
}

func (p *project) shelf(kind string) *shelf {
	s := p.shelves[kind]
	if s == nil {
		s = &shelf{byID: map[string]*asset{}}
		p.shelves[kind] = s
	}
	return s
}

// liveKey is the newest valid key of a kind, or "".
func (p *project) liveKey(kind string) string {
	for _, a := range slices.Backward(p.shelf(kind).order) {
		if !a.Revoked {
			return a.Key
		}
	}
	return ""
}

func (f *Fake) projectByID(id int) *project {
	for _, p := range f.projects {
		if p.id == id {
			return p
		}
	}
	return nil
}

// AddAsset adds an asset and returns it with the ID and key it was given. An
// owner need not be a member: Amplitude shows former ones too.
func (f *Fake) AddAsset(in Asset) (Asset, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, err := f.addAsset(in)
	if err != nil {
		return Asset{}, err
	}
	return a.snapshot(), nil
}

func (f *Fake) addAsset(in Asset) (*asset, error) {
	p := f.org
	if in.Project != 0 {
		p = f.projectByID(in.Project)
	}
	switch {
	case p == nil:
		return nil, fmt.Errorf("amplitudefake: no project %d", in.Project)
	case !slices.Contains(allKinds(), in.Kind):
		return nil, fmt.Errorf("amplitudefake: no kind of asset %q, there are %s", in.Kind, strings.Join(allKinds(), ", "))
	case p == f.org && in.Kind != KindSCIMKey && in.Kind != KindPersonalToken && in.Kind != KindDataToken:
		return nil, fmt.Errorf("amplitudefake: a %s belongs to a project", in.Kind)
	case in.Kind == KindSCIMKey:
		return nil, errors.New("amplitudefake: there is one SCIM key, regenerate it instead")
	}
	if in.Kind == KindEvent && in.ID == "" {
		in.ID = in.Name
	}
	if in.ID != "" && p.shelf(in.Kind).byID[in.ID] != nil {
		return nil, fmt.Errorf("amplitudefake: there is a %s %s already", in.Kind, in.ID)
	}
	return f.place(p, in), nil
}

// place puts an asset into a project, or into the organization. An ID that is
// given must be free.
func (f *Fake) place(p *project, in Asset) *asset {
	in.Project = p.id
	s := p.shelf(in.Kind)
	for in.ID == "" || s.byID[in.ID] != nil {
		in.ID = f.newAssetID(in.Kind)
	}
	if in.Name == "" {
		in.Name = in.Kind + " " + in.ID
	}
	if in.CreatedBy == "" && len(in.Owners) > 0 {
		in.CreatedBy = in.Owners[0]
	}
	if in.Kind == KindDeployment && in.Type == "" {
		in.Type = "server"
	}
	if in.Key == "" {
		in.Key = f.newSecret(in)
	}
	in.Owners, in.Deployments, in.FormerOwners = slices.Clone(in.Owners), slices.Clone(in.Deployments), slices.Clone(in.FormerOwners)
	a := &asset{Asset: in, created: f.now(), modified: f.now(), modifiedBy: in.CreatedBy}
	f.addDetail(a)
	s.order = append(s.order, a)
	s.byID[in.ID] = a
	if slices.Contains(keyKinds(), in.Kind) || in.Kind == KindDeployment {
		f.keys[in.Key] = a
	}
	f.own(a, a.Owners)
	return a
}

func (f *Fake) newAssetID(kind string) string {
	switch kind {
	case KindCohort, KindChart, KindDashboard, KindNotebook, KindMetric:
		return f.token(8)
	}
	return fmt.Sprint(f.id())
}

// newSecret makes the value of a key as Amplitude would, or of a flag a key
// that its name suggests. Other kinds have none.
func (f *Fake) newSecret(in Asset) string {
	switch in.Kind {
	case KindAPIKey, KindSecretKey:
		return f.token(32)
	case KindManagementKey:
		return "ampex_" + f.token(40)
	case KindSCIMKey:
		return f.token(48)
	case KindPersonalToken:
		return "amp_" + f.token(40)
	case KindDataToken:
		return f.token(40)
	case KindDeployment:
		return in.Type + "-" + f.token(32)
	case KindFlag, KindExperiment:
		return strings.ToLower(strings.ReplaceAll(in.Name, " ", "-"))
	}
	return ""
}

// own makes owners the asset's owners; nobody leaves it unassigned only when
// somebody owned it.
func (f *Fake) own(a *asset, owners []string) {
	for _, o := range a.Owners {
		delete(f.owned[keyOf(o)], a)
	}
	a.Owners = slices.Clone(owners)
	for _, o := range owners {
		mine := f.owned[keyOf(o)]
		if mine == nil {
			mine = map[*asset]bool{}
			f.owned[keyOf(o)] = mine
		}
		mine[a] = true
	}
	if len(owners) > 0 {
		a.Unassigned = false
	}
}

// unassign takes a removed person off everything they owned, and returns how
// many assets were left without an owner who is still a member.
func (f *Fake) unassign(key string) (orphans int) {
	for a := range maps.Clone(f.owned[key]) {
		rest := slices.DeleteFunc(slices.Clone(a.Owners), func(o string) bool { return keyOf(o) == key })
		f.own(a, rest)
		a.FormerOwners = append(a.FormerOwners, key)
		a.OwnerText = ""
		if !slices.ContainsFunc(rest, func(o string) bool { return f.members[keyOf(o)] != nil }) {
			a.Unassigned = true
			orphans++
		}
	}
	delete(f.owned, key)
	return orphans
}

// owns counts what a member owns of one kind.
func (f *Fake) owns(m *member, kind string) (n int) {
	for a := range f.owned[m.key] {
		if a.Kind == kind && !a.Archived {
			n++
		}
	}
	return n
}

func (a *asset) snapshot() Asset {
	out := a.Asset
	out.Owners = append([]string{}, a.Owners...)
	out.FormerOwners, out.Deployments = slices.Clone(a.FormerOwners), slices.Clone(a.Deployments)
	return out
}

// find looks an asset up; project 0 looks in all.
func (f *Fake) find(projectID int, kind, id string) *asset {
	for _, p := range append([]*project{f.org}, f.projects...) {
		if projectID != 0 && p.id != projectID {
			continue
		}
		if s := p.shelves[kind]; s != nil && s.byID[id] != nil {
			return s.byID[id]
		}
	}
	return nil
}

// validKey finds the key with this value if it is of the kind and still works.
func (f *Fake) validKey(value, kind string) *asset {
	a := f.keys[value]
	if a == nil || a.Kind != kind {
		return nil
	}
	if !a.Revoked {
		return a
	}
	works := a.revokedAt
	if kind == KindAPIKey {
		works = works.Add(f.knobSpan(SwitchRevokeLag))
	}
	if (kind == KindAPIKey || kind == KindPersonalToken) && f.now().Before(works) {
		return a
	}
	return nil
}

// projectByKeys returns the project whose API key and secret key the call
// carries as Basic credentials, or nil.
func (f *Fake) projectByKeys(c *call) *project {
	user, pass, _ := c.r.BasicAuth()
	k, s := f.validKey(user, KindAPIKey), f.validKey(pass, KindSecretKey)
	if k == nil || s == nil || k.Project != s.Project {
		return nil
	}
	return f.projectByID(k.Project)
}

// gateProjectKeys lets calls with a project's keys pass.
func (f *Fake) gateProjectKeys(c *call) bool {
	if c.project = f.projectByKeys(c); c.project == nil {
		c.fail(401, "unauthorized", "Invalid API key")
		return false
	}
	if c.busy {
		return f.throttle(c, 0)
	}
	return true
}
