package amplitudefake

import (
	"fmt"
	"strings"
)

func (f *Fake) humanInvite(a Action) (Outcome, error) {
	switch {
	case !f.may(a, RoleManager):
		return refused("only Managers and Admins invite")
	case !isEmail(a.Email):
		return Outcome{}, fmt.Errorf("amplitudefake: %q is not an e-mail address", a.Email)
	case f.members[keyOf(a.Email)] != nil:
		return refused("%s is invited or a member already", a.Email)
	case a.Role != "" && rank(a.Role) < 0:
		return Outcome{}, fmt.Errorf("amplitudefake: no role %q", a.Role)
	case a.Role == RoleAdmin && !f.may(a, RoleAdmin):
		return refused("only Admins make Admins")
	}
	m := f.invite(a.Email, "human", a.By)
	if a.Role != "" {
		f.setRole(m, a.Role)
	}
	if g := f.group(a.Group); a.Group != "" && g != nil {
		f.join(g, m)
	}
	return Outcome{Changed: 1}, nil
}

// humanRemove is the Remove Members dialog: it can give the content to somebody
// at the same time.
func (f *Fake) humanRemove(a Action) (Outcome, error) {
	m := f.members[keyOf(a.Email)]
	switch {
	case !f.may(a, RoleManager):
		return refused("only Managers and Admins remove members")
	case m == nil:
		return refused("%s is not a member", a.Email)
	case keyOf(a.By) == m.key:
		return refused("nobody removes themselves")
	case m.role == RoleAdmin && !f.may(a, RoleAdmin):
		return refused("only Admins remove Admins")
	case m.role == RoleAdmin && len(f.admins) == 1:
		return refused("an organization keeps one Admin")
	}
	out := Outcome{Changed: 1}
	if a.To != "" {
		given, err := f.bulkTransfer(Action{By: a.By, From: a.Email, To: a.To})
		if err != nil {
			return Outcome{}, err
		}
		out.IDs = given.IDs
	}
	f.remove(m, "human", a.By)
	return out, nil
}

// changeRole changes the org role, or the direct role on one project; an empty
// role takes the latter away.
func (f *Fake) changeRole(a Action) (Outcome, error) {
	m := f.members[keyOf(a.Email)]
	switch {
	case !f.may(a, RoleManager):
		return refused("only Managers and Admins change roles")
	case m == nil:
		return refused("%s is not a member", a.Email)
	case a.Role != "" && rank(a.Role) < 0:
		return Outcome{}, fmt.Errorf("amplitudefake: no role %q", a.Role)
	case keyOf(a.By) == m.key:
		return refused("nobody changes their own role")
	}
	if a.Project != 0 {
		return f.changeProjectRole(m, a)
	}
	switch {
	case a.Role == "":
		return Outcome{}, fmt.Errorf("amplitudefake: change_role needs a role")
	case (m.role == RoleAdmin || a.Role == RoleAdmin) && !f.may(a, RoleAdmin):
		return refused("only Admins make or unmake Admins")
	case m.role == RoleAdmin && a.Role != RoleAdmin && len(f.admins) == 1:
		return refused("an organization keeps one Admin")
	case m.role == a.Role:
		return Outcome{}, nil
	}
	f.setRole(m, a.Role)
	f.audited(auditEntry{domain: "user", feature: "user", action: "role_change", user: a.By, target: m.email})
	return Outcome{Changed: 1}, nil
}

func (f *Fake) changeProjectRole(m *member, a Action) (Outcome, error) {
	p := f.projectByID(a.Project)
	if p == nil {
		return Outcome{}, fmt.Errorf("amplitudefake: no project %d", a.Project)
	}
	for _, g := range m.grants {
		if g.project != p {
			continue
		}
		if a.Role == "" {
			f.revoke(g)
		} else {
			g.role = f.roleNamed(a.Role)
		}
		return Outcome{Changed: 1}, nil
	}
	if a.Role != "" {
		f.grant(&grant{member: m, project: p, role: f.roleNamed(a.Role)})
		return Outcome{Changed: 1}, nil
	}
	return Outcome{}, nil
}

func (f *Fake) loggedIn(m *member) Outcome {
	m.lastLogin, m.pending = f.now(), false
	if m.given == "" && m.family == "" {
		name, _, _ := strings.Cut(m.email, "@")
		given, family, _ := strings.Cut(name, ".")
		m.given, m.family = title(given), title(family)
	}
	f.audited(auditEntry{domain: "auth", feature: "auth", action: "login", user: m.email, target: m.email})
	return Outcome{Changed: 1}
}

func title(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// login is a member signing in; it accepts an invitation.
func (f *Fake) login(a Action) (Outcome, error) {
	m := f.members[keyOf(a.Email)]
	if m == nil {
		return refused("%s is not a member", a.Email)
	}
	return f.loggedIn(m), nil
}

// ssoLogin is somebody arriving from the identity provider. Unless that is
// switched off, who has no seat gets one: a removed person is back.
func (f *Fake) ssoLogin(a Action) (Outcome, error) {
	if m := f.members[keyOf(a.Email)]; m != nil {
		return f.loggedIn(m), nil
	}
	if !isEmail(a.Email) {
		return Outcome{}, fmt.Errorf("amplitudefake: %q is not an e-mail address", a.Email)
	}
	if f.knobIs(SwitchJIT, "off") {
		return refused("%s is not a member, and log-ins do not create members", a.Email)
	}
	m := f.admit(a.Email)
	m.given, m.family, _ = strings.Cut(a.Name, " ")
	f.cameBack(m, "jit")
	return f.loggedIn(m), nil
}

// idpGroupPush is the identity provider's own Amplitude app pushing a group.
func (f *Fake) idpGroupPush(a Action) (Outcome, error) {
	g := f.group(a.Group)
	if g == nil || !isEmail(a.Email) {
		return Outcome{}, fmt.Errorf("amplitudefake: idp_group_push needs a group that exists and an e-mail")
	}
	m := f.members[keyOf(a.Email)]
	if m == nil {
		m = f.invite(a.Email, "group push", "scim")
	}
	if !f.join(g, m) {
		return Outcome{}, nil
	}
	return Outcome{Changed: 1}, nil
}
