package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Revoke is what the plan mover takes away from somebody who keeps their seat.
type Revoke struct {
	Projects         RevokeProjects `yaml:"projects"`          // where direct roles change; none: with Role everywhere, else nowhere
	Groups           RevokeGroups   `yaml:"groups"`            // permission groups of Amplitude
	Role             string         `yaml:"role"`              // direct roles become this one; empty: they are taken away
	OrganizationRole string         `yaml:"organization_role"` // asked of a person; empty: it stays
}

// RevokeProjects are ids of projects, or all of them, which is written all.
type RevokeProjects struct {
	All bool     `yaml:"-"`
	IDs []string `yaml:"-"`
}

// RevokeGroups are names of permission groups, as Amplitude shows them.
type RevokeGroups struct {
	Leave []string `yaml:"leave"`
	Join  []string `yaml:"join"` // only members are put into one
}

func (r Revoke) empty() bool {
	return !r.Projects.All && len(r.Projects.IDs)+len(r.Groups.Leave)+len(r.Groups.Join) == 0 && r.Role == "" && r.OrganizationRole == ""
}

// revokeProjects decodes a list of ids, or the word all.
func (d *decoder) revokeProjects(key string, node ast.Node, v reflect.Value) {
	if text, ok := scalarText(node); ok {
		if text != "all" {
			d.tell(key, "write all, or a list of projects such as [\"2001\"]")
			return
		}
		v.Set(reflect.ValueOf(RevokeProjects{All: true}))
		return
	}
	d.sequence(key, node, v.FieldByName("IDs"))
}

// revoke checks what a mover's policy takes away, and that nothing stands there
// that the plan has no step for.
func (v *validator) revoke(p Policy, key string) {
	if p.Plan != PlanMover {
		v.require(p.Revoke.empty(), "remove it, or write plan: mover: other plans take the seat itself", key+".revoke")
		return
	}
	r := p.Revoke
	v.require(!r.empty(), "say what a mover loses: projects, groups, role or organization_role", key+".revoke")
	filled := func(s string) bool { return strings.TrimSpace(s) != "" }
	var known []string
	for _, o := range v.c.Organizations {
		for _, project := range o.Projects {
			known = append(known, project.ID)
		}
	}
	v.strings(r.Projects.IDs, func(id string) bool { return slices.Contains(known, id) },
		"name the id of a project that stands under organizations"+orNone(known), key+".revoke.projects")
	v.strings(r.Groups.Leave, filled, "write the name of a permission group", key+".revoke.groups.leave")
	v.strings(r.Groups.Join, filled, "write the name of a permission group", key+".revoke.groups.join")
	for i, name := range r.Groups.Join {
		both := slices.ContainsFunc(r.Groups.Leave, func(l string) bool { return strings.EqualFold(strings.TrimSpace(l), strings.TrimSpace(name)) })
		v.require(!both, "remove it from leave or from join", fmt.Sprintf("%s.revoke.groups.join[%d]", key, i))
	}
	for _, other := range []struct {
		name string
		set  bool
	}{
		{"contain", p.Contain != "when waiting"},
		{"successor", p.Successor != ""},
		{"deadline", p.Deadline != 0},
		{"at_deadline", p.AtDeadline != ""},
		{"unlisted", p.Unlisted != ""},
		{"trust_receipt", p.TrustReceipt},
	} {
		v.require(!other.set, "remove it: a mover keeps what they own, and nothing is handed over", key+"."+other.name)
	}
}
