package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/goccy/go-yaml/ast"
)

// Approvals is who has to say yes before somebody is removed: a number of
// different people, or roles, each by a different person.
type Approvals struct {
	People int      // 0 to 2; with Roles as many as those
	Roles  []string // none: whoever may approve
}

// AlsoApprove asks for one more role where what the leaver owns makes it
// necessary.
type AlsoApprove struct {
	When string `yaml:"when"` // required; CEL over person, event, owned and unlisted
	Role string `yaml:"role"` // required
}

// roleManager is the role that the leaver's own manager has unlisted.
const roleManager = "manager"

// maxRoles is how many roles a policy may ask for.
const maxRoles = 4

// approvalsValue decodes a number, or a list of roles.
func (d *decoder) approvalsValue(key string, node ast.Node, v reflect.Value) {
	const write = "write 0, 1 or 2, or a list of roles such as [manager, security]"
	if list, ok := node.(*ast.SequenceNode); ok {
		var a Approvals
		d.sequence(key, list, reflect.ValueOf(&a.Roles).Elem())
		if len(a.Roles) == 0 && !d.bad[key] {
			d.tell(key, write)
			return
		}
		a.People = len(a.Roles)
		v.Set(reflect.ValueOf(a))
		return
	}
	text, ok := scalarText(node)
	n, err := strconv.Atoi(text)
	if !ok || err != nil || n < 0 || n > 2 {
		d.tell(key, write)
		return
	}
	v.Set(reflect.ValueOf(Approvals{People: n}))
}

// approvals checks what a policy says about approvals.
func (v *validator) approvals(p Policy, key string) {
	v.require(p.ApprovalExpires >= 0, "write a duration such as 168h; 0s: an approval counts without end", key+".approval_expires")
	v.require(len(p.Approvals.Roles) <= maxRoles, fmt.Sprintf("ask for at most %d roles", maxRoles), key+".approvals")
	names := map[string]string{}
	roles := slices.Clone(p.Approvals.Roles)
	for i, role := range p.Approvals.Roles {
		at := fmt.Sprintf("%s.approvals[%d]", key, i)
		v.role(role, at)
		v.unique(names, role, "name each role once", "%s", at)
	}
	v.require(len(p.AlsoApprove) == 0 || p.Plan == PlanLeaver, "remove it: only the plan leaver looks at what somebody owns before it asks for approval", key+".also_approve")
	for i, a := range p.AlsoApprove {
		at := fmt.Sprintf("%s.also_approve[%d].role", key, i)
		v.role(a.Role, at)
		if !slices.Contains(roles, a.Role) {
			roles = append(roles, a.Role)
		}
	}
	if !v.fillable(roles) {
		v.tell("add approvers: each of the roles needs a person of its own", key+".approvals")
	}
}

// role checks the name of one role, and that somebody has it.
func (v *validator) role(role, key string) {
	if !wordPattern.MatchString(role) {
		v.tell("write a role in lower case, such as manager, security or data_governance", key)
		return
	}
	v.require(v.fillable([]string{role}), "add somebody with the role "+role+" to approvers: nobody has it", key)
}

// fillable reports whether every role can be filled by a different person. The
// leaver's own manager is somebody who is not in the list, and so is anybody
// who may log in, where there is no list.
func (v *validator) fillable(roles []string) bool {
	if len(v.c.Approvers) == 0 {
		return true
	}
	taken := make([]bool, len(v.c.Approvers))
	var fill func(left []string) bool
	fill = func(left []string) bool {
		if len(left) == 0 {
			return true
		}
		if left[0] == roleManager && fill(left[1:]) {
			return true
		}
		for i, a := range v.c.Approvers {
			if taken[i] || len(a.Roles) > 0 && !slices.Contains(a.Roles, left[0]) {
				continue
			}
			taken[i] = true
			done := fill(left[1:])
			taken[i] = false
			if done {
				return true
			}
		}
		return false
	}
	return fill(roles)
}
