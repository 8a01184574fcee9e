package offboard

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
)

// ApprovalRule asks for one more role where what the leaver owns makes it
// necessary.
type ApprovalRule struct {
	When string `json:"when"` // CEL over person, event, owned and unlisted; see OwnedNames
	Role string `json:"role"`
}

// Inventoried is what rules over the inventory see beside the person. The inventory is
// a lower bound, and so is every number here.
type Inventoried struct {
	Assets   []Asset
	Unlisted bool // kinds that no API can list may be theirs too
}

// kinds are those that have a number of their own, such as owned.events.
func kinds() []string {
	return []string{
		"event", "cohort", "flag", "experiment", "chart", "dashboard", "notebook", "metric", "alert", "subscription",
		"destination", "lookup_table",
	}
}

// OwnedNames lists what a rule over the inventory may name beside person and event.
func OwnedNames() []string {
	out := []string{"owned.total", "owned.kinds", "owned.organizations", "unlisted"}
	for _, k := range kinds() {
		out = append(out, "owned."+k+"s")
	}
	return out
}

// ownedEnvironment declares the names of rules over the inventory.
func ownedEnvironment() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.Variable("event.reason", cel.StringType), cel.Variable("event.ticket", cel.StringType),
		cel.Variable("owned.total", cel.IntType), cel.Variable("unlisted", cel.BoolType),
		cel.Variable("owned.kinds", cel.ListType(cel.StringType)),
		cel.Variable("owned.organizations", cel.ListType(cel.StringType)),
	}
	for _, k := range kinds() {
		options = append(options, cel.Variable("owned."+k+"s", cel.IntType))
	}
	for name, of := range attributes() {
		options = append(options, cel.Variable("person."+name, celType(of(Person{}))))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, fmt.Errorf("build the environment of approval rules: %w", err)
	}
	return env, nil
}

func compileOwned(env *cel.Env, r ApprovalRule) (cel.Program, error) {
	program, err := compile(env, r.When, "known are event.{reason,ticket}, "+strings.Join(OwnedNames(), ", ")+", and of person: "+strings.Join(known(), ", "))
	if err == nil && program == nil {
		return nil, errors.New("the condition is empty")
	}
	return program, err
}

// checkRules tells every rule of a policy that does not compile.
func checkRules(index int, p Policy) []PolicyProblem {
	if len(p.AlsoApprove) == 0 {
		return nil
	}
	env, err := ownedEnvironment()
	if err != nil {
		return []PolicyProblem{{Index: index, Key: "also_approve", Err: err}}
	}
	var out []PolicyProblem
	for i, r := range p.AlsoApprove {
		if _, err := compileOwned(env, r); err != nil {
			out = append(out, PolicyProblem{
				Index: index, Key: fmt.Sprintf("also_approve[%d].when", i), Err: fmt.Errorf("policy %q: %w", p.Name, err),
			})
		}
	}
	return out
}

// Ask tells what a case needs, now that the inventory is known. A rule that
// cannot be told asks for its role: an approval too many costs a question.
func Ask(f File, o Inventoried) Needs {
	p := f.Case.Policy
	n := Needs{People: p.Approvals, Roles: slices.Clone(p.Roles)}
	if len(p.AlsoApprove) == 0 {
		return n
	}
	env, err := ownedEnvironment()
	vars := o.variables(f)
	for _, r := range p.AlsoApprove {
		yes, why := true, ""
		failed := err
		if failed == nil {
			yes, failed = r.holds(env, vars)
		}
		if failed != nil {
			yes, why = true, "its rule could not be told: "+firstLine(failed)
		}
		if !yes || slices.Contains(n.Roles, r.Role) {
			continue
		}
		if why == "" {
			why = "its rule holds: " + oneLine(r.When)
		}
		n.People++
		n.Roles = append(n.Roles, r.Role)
		n.Rules = append(n.Rules, RuleAsked{Role: r.Role, Why: why, Failed: failed != nil})
	}
	return n
}

func (r ApprovalRule) holds(env *cel.Env, vars map[string]any) (bool, error) {
	program, err := compileOwned(env, r)
	if err != nil {
		return false, err
	}
	return holds(program, vars)
}

func (o Inventoried) variables(f File) map[string]any {
	names, where := []string{}, []string{}
	numbers := map[string]int64{}
	total := int64(0)
	for _, a := range o.Assets {
		if a.State != AssetOwned {
			continue
		}
		total++
		numbers[a.Kind]++
		names, where = append(names, a.Kind), append(where, a.Organization)
	}
	slices.Sort(names)
	slices.Sort(where)
	vars := map[string]any{
		"event.reason": string(f.Case.Reason), "event.ticket": f.Case.Ticket, "unlisted": o.Unlisted,
		"owned.total": total, "owned.kinds": slices.Compact(names), "owned.organizations": slices.Compact(where),
	}
	for _, k := range kinds() {
		vars["owned."+k+"s"] = numbers[k]
	}
	for name, of := range attributes() {
		vars["person."+name] = of(f.Person)
	}
	return vars
}
