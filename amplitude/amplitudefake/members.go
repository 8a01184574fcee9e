package amplitudefake

import (
	"cmp"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"
)

// Org and project roles, from least to most.
const (
	RoleViewer  = "Viewer"
	RoleMember  = "Member"
	RoleManager = "Manager"
	RoleAdmin   = "Admin"
)

func roleNames() []string { return []string{RoleViewer, RoleMember, RoleManager, RoleAdmin} }

func rank(role string) int { return slices.Index(roleNames(), role) }

// Member is one seat: as given to AddMember, and as State shows it.
type Member struct {
	Email      string         `json:"email"` // required; its case is kept, and ignored when compared
	GivenName  string         `json:"given_name"`
	FamilyName string         `json:"family_name"`
	Status     string         `json:"status"`      // "joined" (default) or "pending"
	HasAccount bool           `json:"has_account"` // pending only: has joined some other organization, so has a name
	Role       string         `json:"role"`        // org role; empty: Viewer
	LastLogin  time.Time      `json:"last_login"`  // zero: never
	Projects   map[int]string `json:"projects"`    // direct role by project number
	Groups     []int          `json:"groups"`      // State only
}

// Group is a permission group: as given to AddGroup, and as State shows it.
type Group struct {
	ID       int            `json:"id"` // 0: AddGroup picks one
	Name     string         `json:"name"`
	Members  []string       `json:"members"`  // e-mails of members
	Projects map[int]string `json:"projects"` // role its members get, by project number
}

type member struct {
	email         string // as first given
	key           string // lower case
	given, family string
	pending       bool
	account       bool
	gone          bool
	role          string
	lastLogin     time.Time
	groups        []*group
	grants        []*grant
}

type group struct {
	id       int
	name     string
	created  time.Time
	modified time.Time
	members  *roster[*member]
	grants   []*grant
}

// fade is a removed member that some view still shows until a time.
type fade struct {
	m       *member
	until   time.Time
	reverse bool // shown by id, not in lists
	over    bool
}

func isEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && strings.Contains(s, "@")
}

func keyOf(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// names are what SCIM shows: somebody who never joined anything has none.
func (m *member) names() (given, family string) {
	if m.pending && !m.account {
		return "NO_GIVEN_NAME", "NO_FAMILY_NAME"
	}
	return m.given, m.family
}

// display is how a group shows the member.
func (m *member) display() string {
	if m.pending && !m.account {
		return "undefined undefined"
	}
	return strings.TrimSpace(m.given + " " + m.family)
}

// byID is what reading by id sees, which may lag behind the truth.
func (f *Fake) byID(email string) *member {
	key := keyOf(email)
	if m := f.members[key]; m != nil {
		return m
	}
	if x := f.fading[key]; x != nil && x.reverse {
		return x.m
	}
	return nil
}

// inList is what a list or filter sees, which may lag the other way.
func (f *Fake) inList(email string) *member {
	key := keyOf(email)
	if m := f.members[key]; m != nil {
		return m
	}
	if x := f.fading[key]; x != nil && !x.reverse {
		return x.m
	}
	return nil
}

// AddMember adds a seat without sending an invitation. An address that is taken
// is an error.
func (f *Fake) AddMember(in Member) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.checkMember(in); err != nil {
		return err
	}
	m := f.seat(in)
	if age := f.now().Sub(m.lastLogin); !m.lastLogin.IsZero() && age >= 0 && age < auditRetention {
		at := f.firstAudit(m.lastLogin.Add(1))
		f.audit = slices.Insert(f.audit, at, auditEntry{
			at: m.lastLogin, domain: "auth", feature: "auth", action: "login", user: m.email, target: m.email,
		})
	}
	return nil
}

func (f *Fake) checkMember(in Member) error {
	switch {
	case !isEmail(in.Email):
		return fmt.Errorf("amplitudefake: %q is not an e-mail address", in.Email)
	case f.members[keyOf(in.Email)] != nil:
		return fmt.Errorf("amplitudefake: %s is a member already", in.Email)
	case in.Role != "" && rank(in.Role) < 0:
		return fmt.Errorf("amplitudefake: no role %q, there are %s", in.Role, strings.Join(roleNames(), ", "))
	case in.Status != "" && in.Status != "joined" && in.Status != "pending":
		return fmt.Errorf("amplitudefake: a member is joined or pending, not %q", in.Status)
	}
	for p, r := range in.Projects {
		if f.projectByID(p) == nil || rank(r) < 0 {
			return fmt.Errorf("amplitudefake: no project %d or no role %q", p, r)
		}
	}
	return nil
}

// seat adds a member that has been checked.
func (f *Fake) seat(in Member) *member {
	m := f.admit(in.Email)
	m.given, m.family, m.account = in.GivenName, in.FamilyName, in.HasAccount
	m.pending, m.lastLogin = in.Status == "pending", in.LastLogin
	f.setRole(m, cmp.Or(in.Role, RoleViewer))
	for _, p := range f.projects {
		if r, ok := in.Projects[p.id]; ok {
			f.grant(&grant{member: m, project: p, role: f.roleNamed(r)})
		}
	}
	return m
}

// admit makes an empty seat. The address must be free.
func (f *Fake) admit(email string) *member {
	key := keyOf(email)
	if x := f.fading[key]; x != nil {
		f.endFade(x)
	}
	m := &member{email: email, key: key, role: RoleViewer}
	f.members[key] = m
	f.listed.add(m)
	return m
}

// invite makes a pending seat at the least role and sends the mail. Whoever was
// a member before has come back by it.
func (f *Fake) invite(email, via, by string) *member {
	m := f.admit(email)
	m.pending = true
	f.outbox = append(f.outbox, Mail{To: email, At: f.now(), Kind: "invitation", Via: via})
	f.cameBack(m, via)
	f.audited(auditEntry{domain: "user", feature: "user", action: "invite", user: by, target: m.email})
	return m
}

func (f *Fake) cameBack(m *member, via string) {
	if _, was := f.left[m.key]; was {
		f.resurrections = append(f.resurrections, Resurrection{Email: m.key, At: f.now(), Via: via})
	}
}

func (f *Fake) setRole(m *member, role string) {
	m.role = role
	if delete(f.admins, m); role == RoleAdmin {
		f.admins[m] = true
	}
}

// remove ends a seat. What it owned becomes unassigned; nothing is deleted.
// Lists and groups, or reading by id, may show it for a while longer.
func (f *Fake) remove(m *member, via, by string) {
	now := f.now()
	m.gone = true
	delete(f.members, m.key)
	delete(f.admins, m)
	f.left[m.key] = now
	orphans := f.unassign(m.key)
	f.removals = append(f.removals, Removal{Email: m.key, At: now, Via: via, Pending: m.pending, Orphans: orphans})
	f.audited(auditEntry{domain: "user", feature: "user", action: "delete", user: by, target: m.email})
	for _, a := range f.org.shelf(KindPersonalToken).order {
		if !a.Revoked && keyOf(a.CreatedBy) == m.key {
			a.Revoked, a.revokedAt = true, now.Add(time.Minute)
		}
	}
	x := &fade{m: m, until: now.Add(f.knobSpan(SwitchListLag)), reverse: f.knobIs(SwitchLagReverse, "on")}
	if x.reverse {
		f.unlist(m)
	}
	if !x.until.After(now) {
		x.over = true
		f.unlist(m)
		return
	}
	f.fading[m.key] = x
	at, _ := slices.BinarySearchFunc(f.fades, x, func(a, b *fade) int {
		if a.until.After(b.until) {
			return 1
		}
		return -1
	})
	f.fades = slices.Insert(f.fades, at, x)
}

// settle ends the fades whose time has come.
func (f *Fake) settle() {
	now := f.now()
	for len(f.fades) > 0 && !f.fades[0].until.After(now) {
		f.endFade(f.fades[0])
		f.fades = f.fades[1:]
	}
}

func (f *Fake) endFade(x *fade) {
	if x.over {
		return
	}
	x.over = true
	if f.fading[x.m.key] == x {
		delete(f.fading, x.m.key)
	}
	f.unlist(x.m)
}

// unlist takes a removed member out of lists, groups and assignments.
func (f *Fake) unlist(m *member) {
	f.listed.remove(m)
	for _, g := range m.groups {
		g.members.remove(m)
		g.modified = f.now()
	}
	m.groups = nil
	for _, g := range slices.Clone(m.grants) {
		f.revoke(g)
	}
}

// AddGroup adds a permission group of people who are members already, and
// returns its number.
func (f *Fake) AddGroup(in Group) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if in.Name == "" {
		return 0, errors.New("amplitudefake: a group needs a name")
	}
	if f.groups[in.ID] != nil || f.groupNamed(in.Name) != nil {
		return 0, fmt.Errorf("amplitudefake: group %s is there already", in.Name)
	}
	for _, email := range in.Members {
		if f.members[keyOf(email)] == nil {
			return 0, fmt.Errorf("amplitudefake: %s is not a member", email)
		}
	}
	for p, r := range in.Projects {
		if f.projectByID(p) == nil || rank(r) < 0 {
			return 0, fmt.Errorf("amplitudefake: no project %d or no role %q", p, r)
		}
	}
	g := f.addGroup(in.ID, in.Name)
	for _, email := range in.Members {
		f.join(g, f.members[keyOf(email)])
	}
	for _, p := range f.projects {
		if r, ok := in.Projects[p.id]; ok {
			f.grant(&grant{group: g, project: p, role: f.roleNamed(r)})
		}
	}
	return g.id, nil
}

func (f *Fake) addGroup(id int, name string) *group {
	if id == 0 {
		id = max(f.lastGroup, 600) + 1
	}
	f.lastGroup = max(f.lastGroup, id)
	g := &group{id: id, name: name, created: f.now(), modified: f.now(), members: newRoster[*member]()}
	f.groups[id] = g
	f.groupIDs.add(id)
	return g
}

// groupNamed finds a group by name, ignoring case.
func (f *Fake) groupNamed(name string) *group {
	for _, g := range f.groups {
		if strings.EqualFold(g.name, name) {
			return g
		}
	}
	return nil
}

func (f *Fake) join(g *group, m *member) bool {
	if !g.members.add(m) {
		return false
	}
	g.modified = f.now()
	m.groups = append(m.groups, g)
	return true
}

func (f *Fake) leave(g *group, m *member) bool {
	if !g.members.remove(m) {
		return false
	}
	g.modified = f.now()
	m.groups = slices.DeleteFunc(m.groups, func(x *group) bool { return x == g })
	return true
}

func (f *Fake) deleteGroup(g *group) {
	for m := range g.members.all() {
		m.groups = slices.DeleteFunc(m.groups, func(x *group) bool { return x == g })
	}
	for _, x := range slices.Clone(g.grants) {
		f.revoke(x)
	}
	delete(f.groups, g.id)
	f.groupIDs.remove(g.id)
}
