package amplitudefake

import (
	"fmt"
	"slices"
	"strings"
)

// projectKeyKinds are the keys made and ended on a project's pages.
func projectKeyKinds() []string { return []string{KindAPIKey, KindSecretKey, KindManagementKey} }

// mostAPIKeys is how many API keys of a project can be active.
const mostAPIKeys = 50

func (f *Fake) generateKey(a Action) (Outcome, error) {
	p := f.projectByID(a.Project)
	personal := a.Kind == KindPersonalToken || a.Kind == KindDataToken
	switch {
	case personal && f.members[keyOf(a.By)] == nil:
		return refused("a personal token needs a member")
	case personal:
		p = f.org
	case p == nil || !slices.Contains(projectKeyKinds(), a.Kind):
		return Outcome{}, fmt.Errorf("amplitudefake: generate_key needs a project and one of %s", strings.Join(projectKeyKinds(), ", "))
	case !f.may(a, RoleManager):
		return refused("only Managers and Admins manage keys")
	}
	active := 0
	for _, x := range p.shelf(a.Kind).order {
		if !x.Revoked {
			active++
		}
	}
	if a.Kind == KindAPIKey && active >= mostAPIKeys {
		return refused("a project has at most %d active API keys", mostAPIKeys)
	}
	x := f.place(p, Asset{Kind: a.Kind, Name: a.Name, CreatedBy: a.By})
	return Outcome{Changed: 1, IDs: []string{x.ID}, Key: x.Key}, nil
}

// keyNamed finds the key of an action: by ID, or the newest active one.
func (f *Fake) keyNamed(a Action) (*asset, error) {
	if !slices.Contains(keyKinds(), a.Kind) || a.Kind == KindSCIMKey {
		return nil, fmt.Errorf("amplitudefake: %q is not a kind of key with an ID", a.Kind)
	}
	if a.ID != "" {
		if x := f.find(a.Project, a.Kind, a.ID); x != nil && !x.Revoked {
			return x, nil
		}
		return nil, fmt.Errorf("%w: no active %s %s", ErrRefused, a.Kind, a.ID)
	}
	p := f.projectByID(a.Project)
	if p == nil {
		return nil, fmt.Errorf("amplitudefake: no project %d", a.Project)
	}
	for _, x := range slices.Backward(p.shelf(a.Kind).order) {
		if !x.Revoked {
			return x, nil
		}
	}
	return nil, fmt.Errorf("%w: the project has no active %s", ErrRefused, a.Kind)
}

func (f *Fake) mayEndKey(a Action, x *asset) bool {
	personal := x.Kind == KindPersonalToken || x.Kind == KindDataToken
	return f.may(a, RoleManager) || (personal && keyOf(x.CreatedBy) == keyOf(a.By))
}

// rotateKey makes a new key and ends the old one, as the pages do in one or in
// two clicks.
func (f *Fake) rotateKey(a Action) (Outcome, error) {
	old, err := f.keyNamed(a)
	if err != nil {
		return Outcome{}, err
	}
	if !f.mayEndKey(a, old) {
		return refused("only Managers and Admins manage keys")
	}
	p := f.projectByID(old.Project)
	if p == nil {
		p = f.org
	}
	by := a.By
	if by == "" {
		by = old.CreatedBy
	}
	x := f.place(p, Asset{Kind: old.Kind, Name: old.Name, CreatedBy: by, Legacy: old.Legacy, Type: old.Type})
	f.endKey(old)
	if f.devToken == old {
		f.devToken = x
	}
	return Outcome{Changed: 1, IDs: []string{x.ID}, Key: x.Key}, nil
}

func (f *Fake) revokeKey(a Action) (Outcome, error) {
	x, err := f.keyNamed(a)
	if err != nil {
		return Outcome{}, err
	}
	if !f.mayEndKey(a, x) {
		return refused("only Managers and Admins manage keys")
	}
	if x.Legacy {
		return refused("the legacy API key can be rotated, not revoked")
	}
	f.endKey(x)
	return Outcome{Changed: 1, IDs: []string{x.ID}}, nil
}

func (f *Fake) endKey(x *asset) { x.Revoked, x.revokedAt = true, f.now() }

// regenerateSCIMKey replaces the SCIM key; the old one is dead at once.
func (f *Fake) regenerateSCIMKey(a Action) (Outcome, error) {
	if !f.may(a, RoleAdmin) {
		return refused("only Admins generate the SCIM key")
	}
	for _, x := range f.org.shelf(KindSCIMKey).order {
		if !x.Revoked {
			f.endKey(x)
		}
	}
	x := f.place(f.org, Asset{Kind: KindSCIMKey, Name: "SCIM key", CreatedBy: a.By})
	f.scimKey = x.Key
	return Outcome{Changed: 1, IDs: []string{x.ID}, Key: x.Key}, nil
}
