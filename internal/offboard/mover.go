package offboard

import (
	"fmt"
	"slices"
	"strings"
)

// Revoke is what the plan mover takes away from somebody who keeps their seat.
// The zero value takes nothing.
type Revoke struct {
	All              bool     `json:"all,omitempty"`               // direct roles on every project
	Projects         []int    `json:"projects,omitempty"`          // direct roles on these projects
	Leave            []string `json:"leave,omitempty"`             // Amplitude's permission groups, by name
	Join             []string `json:"join,omitempty"`              // the same, which the person gets instead
	Role             string   `json:"role,omitempty"`              // direct roles become this one, by name; empty: they are taken away
	OrganizationRole string   `json:"organization_role,omitempty"` // set by a person, because no API can
}

// DirectRoles reports whether roles that the person was given themselves are to
// change. A role without projects means every project.
func (r Revoke) DirectRoles() bool { return r.All || len(r.Projects) > 0 || r.Role != "" }

// Names reports whether the policy says that no access beyond Role may be left
// on a project, whoever gives it.
func (r Revoke) Names(project int) bool { return r.All || slices.Contains(r.Projects, project) }

// Touches reports whether direct roles on a project are to change.
func (r Revoke) Touches(project int) bool {
	return r.Names(project) || r.Role != "" && len(r.Projects) == 0
}

// Sentences says what is taken, without its subject.
func (r Revoke) Sentences() []string {
	var out []string
	for _, g := range r.Leave {
		out = append(out, "leave permission group "+g)
	}
	if r.DirectRoles() {
		where := "every project"
		if len(r.Projects) > 0 {
			where = "project " + strings.Trim(fmt.Sprint(r.Projects), "[]")
		}
		if r.Role != "" {
			out = append(out, "have no more than direct role "+r.Role+" on "+where)
		} else {
			out = append(out, "lose direct roles on "+where)
		}
	}
	for _, g := range r.Join {
		out = append(out, "join permission group "+g)
	}
	if r.OrganizationRole != "" {
		out = append(out, "get organization role "+r.OrganizationRole+" from a person")
	}
	return out
}

// Holdings are what a member holds in one organization, as its APIs show it.
type Holdings struct {
	Organization string
	Groups       []Membership
	Direct       []RoleHeld
	Roles        map[string]string // names by id of the roles that can be assigned
}

// Membership is a permission group and whether the member is in it.
type Membership struct {
	ID, Name string
	Member   bool
}

// RoleHeld is a role that the member was given themselves.
type RoleHeld struct {
	Assignment string
	Project    int
	Role       string // id
}

// ReductionKind is how access is reduced.
type ReductionKind string

// The kinds of reductions.
const (
	LeaveGroup ReductionKind = "leave"
	TakeRole   ReductionKind = "take"
	LowerRole  ReductionKind = "lower"
	JoinGroup  ReductionKind = "join"
)

// Reduction is one change of what a mover holds.
type Reduction struct {
	Kind         ReductionKind `json:"kind"`
	Organization string        `json:"organization"`
	Group        string        `json:"group,omitempty"` // id
	GroupName    string        `json:"group_name,omitempty"`
	Project      int           `json:"project,omitempty"`
	Assignment   string        `json:"assignment,omitempty"`
	Role         string        `json:"role,omitempty"` // id of the role held
	RoleName     string        `json:"role_name,omitempty"`
	To           string        `json:"to,omitempty"` // id of the lower role
	ToName       string        `json:"to_name,omitempty"`
}

// Sentence says what the change is, as an order.
func (d Reduction) Sentence() string {
	switch d.Kind {
	case LeaveGroup:
		return fmt.Sprintf("take the member out of group %s in %s", d.GroupName, d.Organization)
	case JoinGroup:
		return fmt.Sprintf("put the member into group %s in %s", d.GroupName, d.Organization)
	case LowerRole:
		return fmt.Sprintf("change role %s on project %d in %s to %s", d.RoleName, d.Project, d.Organization, d.ToName)
	case TakeRole:
	}
	return fmt.Sprintf("take away role %s on project %d in %s", d.RoleName, d.Project, d.Organization)
}

// Reductions tells what has to change so that a member holds no more than r
// leaves them: taking first, giving last. A problem is a name that means
// nothing in any organization, or a role that one does not have; then nothing
// should be changed, because the policy means something else.
func (r Revoke) Reductions(held []Holdings) (list []Reduction, problems []string) {
	for _, name := range r.Leave {
		known := false
		for _, h := range held {
			for _, g := range h.named(name) {
				known = true
				if g.Member {
					list = append(list, Reduction{Kind: LeaveGroup, Organization: h.Organization, Group: g.ID, GroupName: g.Name})
				}
			}
		}
		if !known {
			problems = append(problems, "no organization has a permission group "+name)
		}
	}
	for _, h := range held {
		more, problem := r.roles(h)
		list = append(list, more...)
		if problem != "" {
			problems = append(problems, problem)
		}
	}
	for _, name := range r.Join {
		found := 0
		for _, h := range held {
			for _, g := range h.named(name) {
				found++
				if !g.Member {
					list = append(list, Reduction{Kind: JoinGroup, Organization: h.Organization, Group: g.ID, GroupName: g.Name})
				}
			}
		}
		if found == 0 {
			problems = append(problems, "no organization has a permission group "+name)
		}
	}
	return list, problems
}

// roles tells what becomes of the direct roles in one organization.
func (r Revoke) roles(h Holdings) (list []Reduction, problem string) {
	if !r.DirectRoles() {
		return nil, ""
	}
	to, toName := "", ""
	for id, name := range h.Roles {
		if Fold(name) == Fold(r.Role) {
			to, toName = id, name
		}
	}
	for _, d := range h.Direct {
		if !r.Touches(d.Project) {
			continue
		}
		one := Reduction{
			Kind: TakeRole, Organization: h.Organization, Project: d.Project, Assignment: d.Assignment, Role: d.Role,
			RoleName: d.Role,
		}
		if name := h.Roles[d.Role]; name != "" {
			one.RoleName = name
		}
		if r.Role != "" {
			if to == "" {
				return nil, fmt.Sprintf("organization %s has no role %s", h.Organization, r.Role)
			}
			if d.Role == to || !Above(one.RoleName, toName) {
				continue
			}
			one.Kind, one.To, one.ToName = LowerRole, to, toName
		}
		list = append(list, one)
	}
	return list, ""
}

func (h Holdings) named(name string) (out []Membership) {
	for _, g := range h.Groups {
		if Fold(g.Name) == Fold(name) {
			out = append(out, g)
		}
	}
	return out
}

// Above reports whether a role gives more than another, by name. Amplitude's
// own roles have an order (its page on user roles and permissions); of any
// other role it is not known, and it counts as more, so that it is not left.
func Above(role, than string) bool {
	order := []string{"viewer", "member", "manager", "admin"}
	a, b := slices.Index(order, Fold(role)), slices.Index(order, Fold(than))
	if a < 0 || b < 0 {
		return Fold(role) != Fold(than)
	}
	return a > b
}

// Keeping reports whether a decision reduces somebody who keeps their seat. A
// nil decision does not.
func (d *Decision) Keeping() bool { return d != nil && d.Keeps }

// Spared reports whether the person may keep what a case of this plan takes
// away: the seat of somebody who is entitled, or of somebody whom no decision
// reduces any more, what a mover loses.
func Spared(p PlanName, person Person, entitled bool) bool {
	return entitled && (p != Mover || !person.Removal.Keeping())
}

// SparedBecause says why a case of this plan whose person is spared ends.
func SparedBecause(p PlanName) string {
	if p == Mover {
		return "the reason to reduce what the person may do is gone"
	}
	return "the person is entitled again"
}
