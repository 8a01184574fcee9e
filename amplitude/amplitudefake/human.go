package amplitudefake

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrRefused is wrapped by the error of an action that Amplitude's pages do not
// let that person do. Other errors of Human mean the action was not understood.
var ErrRefused = errors.New("amplitudefake: refused")

// Action is one thing that a person does in Amplitude's web pages, or that an
// identity provider does besides SCIM. Which fields count depends on Do; Human
// lists them.
type Action struct {
	Do      string   `json:"action"`
	By      string   `json:"by,omitempty"` // who acts; empty: some admin whose rights are not checked
	Email   string   `json:"email,omitempty"`
	From    string   `json:"from,omitempty"`
	To      string   `json:"to,omitempty"`
	Kind    string   `json:"kind,omitempty"`
	Kinds   []string `json:"kinds,omitempty"`
	ID      string   `json:"id,omitempty"`
	Name    string   `json:"name,omitempty"`
	Project int      `json:"project,omitempty"`
	Group   string   `json:"group,omitempty"` // number or name
	Role    string   `json:"role,omitempty"`
	Count   int      `json:"count,omitempty"`
	Silent  bool     `json:"silent,omitempty"` // leave no entry in the audit log
}

// Outcome is what an action did.
type Outcome struct {
	Changed int      `json:"changed"`
	IDs     []string `json:"ids,omitempty"`
	Key     string   `json:"key,omitempty"` // the new secret, shown once
}

// deed is one kind of action and the fields it takes.
type deed struct {
	takes string
	do    func(Action) (Outcome, error)
}

func (f *Fake) deeds() map[string]deed {
	return map[string]deed{
		"bulk_transfer":       {"by, from, to, kinds, project", f.bulkTransfer},
		"transfer":            {"by, kind, id, project, to", f.transferOne},
		"share":               {"by, kind, id, project, to", f.shareOne},
		"assign_unassigned":   {"by, to, kinds", f.assignUnassigned},
		"create_asset":        {"by, kind, name, project", f.createAsset},
		"generate_key":        {"by, kind, project, name", f.generateKey},
		"rotate_key":          {"by, kind, project, id", f.rotateKey},
		"revoke_key":          {"by, kind, project, id", f.revokeKey},
		"regenerate_scim_key": {"by", f.regenerateSCIMKey},
		"invite":              {"by, email, role, group", f.humanInvite},
		"remove_member":       {"by, email, to", f.humanRemove},
		"change_role":         {"by, email, role, project", f.changeRole},
		"login":               {"email", f.login},
		"sso_login":           {"email, name", f.ssoLogin},
		"idp_group_push":      {"group, email", f.idpGroupPush},
		"consume_quota":       {"count", func(a Action) (Outcome, error) { return Outcome{Changed: f.consumeQuota(a.Count)}, nil }},
	}
}

// Human does one action and returns what it changed. Unknown actions are an
// error that lists the known ones with the fields they take; an action that the
// rules forbid wraps ErrRefused.
func (f *Fake) Human(a Action) (Outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle()
	all := f.deeds()
	d, ok := all[a.Do]
	if !ok {
		known := []string{}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			known = append(known, name+" ("+all[name].takes+")")
		}
		return Outcome{}, fmt.Errorf("amplitudefake: no action %q, there are %s", a.Do, strings.Join(known, ", "))
	}
	before := len(f.audit)
	out, err := d.do(a)
	if a.Silent {
		f.audit = f.audit[:before]
	}
	return out, err
}

func refused(format string, args ...any) (Outcome, error) {
	return Outcome{}, fmt.Errorf("%w: "+format, append([]any{ErrRefused}, args...)...)
}

// may reports whether By has at least this org role. Nobody named may anything.
func (f *Fake) may(a Action, least string) bool {
	m := f.members[keyOf(a.By)]
	return a.By == "" || (m != nil && !m.pending && rank(m.role) >= rank(least))
}

// recipient is somebody who can be given content: joined, and logged in within
// the last 30 days.
func (f *Fake) recipient(email string) (*member, error) {
	m := f.members[keyOf(email)]
	switch {
	case m == nil || m.pending:
		return nil, fmt.Errorf("%w: the recipient has not joined the organization", ErrRefused)
	case f.now().Sub(m.lastLogin) > 30*24*time.Hour:
		return nil, fmt.Errorf("%w: the recipient has not logged in within 30 days", ErrRefused)
	}
	return m, nil
}

func (f *Fake) bulkTransfer(a Action) (Outcome, error) {
	from := f.members[keyOf(a.From)]
	if !f.may(a, RoleManager) {
		return refused("only Managers and Admins transfer content")
	}
	if from == nil {
		return refused("content can be transferred before its owner is removed, not after")
	}
	to, err := f.recipient(a.To)
	if err != nil {
		return Outcome{}, err
	}
	if from == to {
		return refused("a transfer needs two people")
	}
	out := f.hand(from, to, a)
	f.transfers = append(f.transfers, Transfer{From: from.key, To: to.key, By: keyOf(a.By), At: f.now(), Items: out.Changed, Bulk: true})
	f.audited(auditEntry{
		domain: "user", feature: "user", action: "bulk_transfer", user: a.By, target: from.email, from: from.email, to: to.email, appID: a.Project,
	})
	return out, nil
}

// hand moves content from one member to another, in the order it was made.
func (f *Fake) hand(from, to *member, a Action) (out Outcome) {
	kinds := a.Kinds
	if len(kinds) == 0 {
		kinds = contentKinds()
	}
	for x := range f.owned[from.key] {
		if slices.Contains(kinds, x.Kind) && slices.Contains(contentKinds(), x.Kind) && (a.Project == 0 || a.Project == x.Project) {
			out.IDs = append(out.IDs, x.ID)
			owners := slices.DeleteFunc(slices.Clone(x.Owners), func(o string) bool { return keyOf(o) == from.key || keyOf(o) == to.key })
			f.own(x, append(owners, to.email))
		}
	}
	slices.Sort(out.IDs)
	out.Changed = len(out.IDs)
	return out
}

// editable finds the asset that an action is about if By may give it away.
func (f *Fake) editable(a Action) (*asset, error) {
	x := f.find(a.Project, a.Kind, a.ID)
	if x == nil {
		return nil, fmt.Errorf("amplitudefake: no %s %q", a.Kind, a.ID)
	}
	mine := slices.ContainsFunc(x.Owners, func(o string) bool { return keyOf(o) == keyOf(a.By) })
	if !mine && !f.may(a, RoleManager) {
		return nil, fmt.Errorf("%w: only its owner, Managers and Admins give it away", ErrRefused)
	}
	return x, nil
}

func (f *Fake) transferOne(a Action) (Outcome, error) {
	x, err := f.editable(a)
	if err != nil {
		return Outcome{}, err
	}
	to := f.members[keyOf(a.To)]
	if to == nil || to.pending {
		return refused("the recipient has not joined the organization")
	}
	from := strings.Join(x.Owners, ",")
	f.own(x, []string{to.email})
	x.OwnerText = ""
	f.transfers = append(f.transfers, Transfer{From: from, To: to.key, By: keyOf(a.By), At: f.now(), Items: 1})
	return Outcome{Changed: 1, IDs: []string{x.ID}}, nil
}

func (f *Fake) shareOne(a Action) (Outcome, error) {
	x, err := f.editable(a)
	if err != nil {
		return Outcome{}, err
	}
	to := f.members[keyOf(a.To)]
	if to == nil {
		return refused("the recipient is not a member of the organization")
	}
	if slices.ContainsFunc(x.Owners, func(o string) bool { return keyOf(o) == to.key }) {
		return Outcome{}, nil
	}
	f.own(x, append(slices.Clone(x.Owners), to.email))
	return Outcome{Changed: 1, IDs: []string{x.ID}}, nil
}

// assignUnassigned gives content without an owner to somebody.
func (f *Fake) assignUnassigned(a Action) (Outcome, error) {
	if !f.may(a, RoleAdmin) {
		return refused("only Admins give out unassigned content")
	}
	to, err := f.recipient(a.To)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{}
	for _, p := range f.projects {
		for _, kind := range contentKinds() {
			if len(a.Kinds) > 0 && !slices.Contains(a.Kinds, kind) {
				continue
			}
			for _, x := range p.shelf(kind).order {
				if x.Unassigned {
					f.own(x, []string{to.email})
					out.IDs = append(out.IDs, x.ID)
				}
			}
		}
	}
	out.Changed = len(out.IDs)
	return out, nil
}

func (f *Fake) createAsset(a Action) (Outcome, error) {
	in := Asset{Kind: a.Kind, ID: a.ID, Name: a.Name, Project: a.Project, CreatedBy: a.By}
	if a.By != "" && slices.Contains(ownedKinds(), a.Kind) {
		in.Owners = []string{a.By}
	}
	x, err := f.addAsset(in)
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Changed: 1, IDs: []string{x.ID}, Key: x.Key}, nil
}

// group finds a group by number or name.
func (f *Fake) group(text string) *group {
	if id, err := strconv.Atoi(text); err == nil && f.groups[id] != nil {
		return f.groups[id]
	}
	return f.groupNamed(text)
}
