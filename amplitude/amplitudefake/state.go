package amplitudefake

import (
	"slices"
	"time"
)

// State is the ground truth, past every lag and lie of the surfaces.
type State struct {
	Now           time.Time         `json:"now"`
	Members       []Member          `json:"members"`
	Groups        []Group           `json:"groups"`
	Assets        []Asset           `json:"assets"`
	Unassigned    []Asset           `json:"unassigned"` // of Assets, those whose last owner was removed: orphans
	Outbox        []Mail            `json:"outbox"`
	Removals      []Removal         `json:"removals"`
	Resurrections []Resurrection    `json:"resurrections"`
	Transfers     []Transfer        `json:"transfers"`
	Switches      map[string]string `json:"switches"`
}

// State returns a copy of everything. For 100,000 members it is large; PersonState is not.
func (f *Fake) State() State {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle()
	s := State{
		Now: f.now(), Members: []Member{}, Groups: []Group{}, Assets: []Asset{}, Unassigned: []Asset{},
		Outbox: append([]Mail{}, f.outbox...), Removals: append([]Removal{}, f.removals...),
		Resurrections: append([]Resurrection{}, f.resurrections...), Transfers: append([]Transfer{}, f.transfers...),
		Switches: f.knobsCopy(),
	}
	for m := range f.listed.all() {
		if !m.gone {
			s.Members = append(s.Members, m.snapshot())
		}
	}
	for id := range f.groupIDs.all() {
		s.Groups = append(s.Groups, f.groups[id].snapshot())
	}
	for _, p := range append([]*project{f.org}, f.projects...) {
		for _, kind := range allKinds() {
			for _, a := range p.shelf(kind).order {
				s.addAsset(a)
			}
		}
	}
	return s
}

func (s *State) addAsset(a *asset) {
	one := a.snapshot()
	s.Assets = append(s.Assets, one)
	if one.Unassigned {
		s.Unassigned = append(s.Unassigned, one)
	}
}

// PersonState is the slice of the truth that one address touches: its seat, the
// groups it is in (with no other members), what it owns, made or used to own,
// and what happened to it.
func (f *Fake) PersonState(email string) State {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle()
	key := keyOf(email)
	s := State{
		Now: f.now(), Members: []Member{}, Groups: []Group{}, Assets: []Asset{}, Unassigned: []Asset{}, Outbox: []Mail{},
		Removals: []Removal{}, Resurrections: []Resurrection{}, Transfers: []Transfer{}, Switches: f.knobsCopy(),
	}
	if m := f.members[key]; m != nil {
		s.Members = append(s.Members, m.snapshot())
		for _, g := range m.groups {
			s.Groups = append(s.Groups, Group{ID: g.id, Name: g.name, Members: []string{m.email}, Projects: g.roles()})
		}
	}
	hers := func(who string) bool { return keyOf(who) == key }
	for _, p := range append([]*project{f.org}, f.projects...) {
		for _, kind := range allKinds() {
			for _, a := range p.shelf(kind).order {
				if hers(a.CreatedBy) || slices.ContainsFunc(a.Owners, hers) || slices.ContainsFunc(a.FormerOwners, hers) {
					s.addAsset(a)
				}
			}
		}
	}
	for _, x := range f.outbox {
		if hers(x.To) {
			s.Outbox = append(s.Outbox, x)
		}
	}
	for _, x := range f.removals {
		if hers(x.Email) {
			s.Removals = append(s.Removals, x)
		}
	}
	for _, x := range f.resurrections {
		if hers(x.Email) {
			s.Resurrections = append(s.Resurrections, x)
		}
	}
	for _, x := range f.transfers {
		if hers(x.From) || hers(x.To) {
			s.Transfers = append(s.Transfers, x)
		}
	}
	return s
}

// Orphans counts the assets whose last owner was removed and that nobody has
// been given since.
func (f *Fake) Orphans() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.projects {
		for _, s := range p.shelves {
			for _, a := range s.order {
				if a.Unassigned {
					n++
				}
			}
		}
	}
	return n
}

func (m *member) snapshot() Member {
	out := Member{
		Email: m.email, GivenName: m.given, FamilyName: m.family, Status: "joined", HasAccount: m.account, Role: m.role,
		LastLogin: m.lastLogin, Projects: map[int]string{}, Groups: []int{},
	}
	if m.pending {
		out.Status = "pending"
	}
	for _, g := range m.grants {
		out.Projects[g.project.id] = g.role.Name
	}
	for _, g := range m.groups {
		out.Groups = append(out.Groups, g.id)
	}
	return out
}

func (g *group) roles() map[int]string {
	out := map[int]string{}
	for _, x := range g.grants {
		out[x.project.id] = x.role.Name
	}
	return out
}

func (g *group) snapshot() Group {
	out := Group{ID: g.id, Name: g.name, Members: []string{}, Projects: g.roles()}
	for m := range g.members.all() {
		if !m.gone {
			out.Members = append(out.Members, m.email)
		}
	}
	return out
}
