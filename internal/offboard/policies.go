package offboard

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
)

// PolicyFacts is what the conditions of a policy see.
type PolicyFacts struct {
	Person        Person
	Was           Person // before the change; of an operator's word the same as Person
	Reason        Reason
	Trigger       string // one of Triggers
	At            time.Time
	Organizations []string // that the person's connection reaches
}

// The forms in which somebody leaves, as conditions see them in event.trigger.
const (
	ByDeactivation = "deactivated"
	ByDeletion     = "deleted"
	ByGroup        = "group_removal"
	ByLeaveDate    = "leave_date"
	ByPolicy       = "policy"
	ByOperator     = "operator"
)

// Triggers lists every form in which somebody leaves.
func Triggers() []string {
	return []string{ByDeactivation, ByDeletion, ByGroup, ByLeaveDate, ByPolicy, ByOperator}
}

// Conditional is a policy with its conditions, which are CEL.
type Conditional struct {
	When    string // over person, was, event and organizations; empty: always, but never where there is a Trigger
	Trigger string // over the same: opens a case when it becomes true of somebody entitled; empty: opens none
	Reason  Reason // of the cases that Trigger opens; empty: role_change
	Policy  Policy // an empty Version is filled
}

// version is the same for the same policy, and another for another.
func (c Conditional) version() string {
	b, err := json.Marshal(c)
	if err != nil {
		return "unknown" // a policy is plain values
	}
	sum := sha256.Sum256(b)
	return fmt.Sprintf("%x", sum[:4])
}

// NoPolicy stands in Policy.Failed where no condition held.
const NoPolicy = "none"

// PolicyFailure tells that a policy could not be applied as it was meant to be.
type PolicyFailure struct {
	Policy string // its name; NoPolicy: no condition held; empty: a leave date could not be read
	Person string // our id
	Case   string // the case that opened by the built-in policy; empty: none did
}

// PolicyProblem is a condition that does not compile.
type PolicyProblem struct {
	Index int    // in the list
	Key   string // when or trigger
	Err   error
}

// Policies are compiled policies, in order. A nil *Policies has none.
type Policies struct {
	rules   []compiled
	builtIn Policy
}

type compiled struct {
	Conditional
	when    cel.Program // nil: always
	trigger cel.Program // nil: opens no case
}

// attributes lists what can be said about a person, as in person.title.
func attributes() map[string]func(Person) any {
	return map[string]func(Person) any{
		"userName":            func(p Person) any { return p.UserName },
		"address":             func(p Person) any { return p.Address },
		"domain":              func(p Person) any { return Domain(p.Address) },
		"displayName":         func(p Person) any { return p.DisplayName },
		"givenName":           func(p Person) any { return p.GivenName },
		"familyName":          func(p Person) any { return p.FamilyName },
		"department":          func(p Person) any { return p.Department },
		"title":               func(p Person) any { return p.Title },
		"manager":             func(p Person) any { return p.Manager },
		"connection":          func(p Person) any { return p.Connection },
		"active":              func(p Person) any { return p.Active },
		"groups":              func(p Person) any { return append([]string{}, p.Groups...) },
		"claims.leaveReason":  func(p Person) any { return p.Claims.LeaveReason },
		"claims.successor":    func(p Person) any { return p.Claims.Successor },
		"claims.managerEmail": func(p Person) any { return p.Claims.ManagerEmail },
		"claims.ticket":       func(p Person) any { return p.Claims.Ticket },
		"claims.approvedBy":   func(p Person) any { return p.Claims.ApprovedBy },
		"claims.leaveDate":    func(p Person) any { return p.Claims.LeaveDate },
	}
}

// environment declares every name, with its type: a condition with a misspelt
// one does not compile. What the identity provider did not send is empty.
func environment() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.Variable("event.reason", cel.StringType), cel.Variable("event.trigger", cel.StringType),
		cel.Variable("event.ticket", cel.StringType), cel.Variable("event.at", cel.TimestampType),
		cel.Variable("organizations", cel.ListType(cel.StringType)),
	}
	for name, of := range attributes() {
		kind := celType(of(Person{}))
		options = append(options, cel.Variable("person."+name, kind), cel.Variable("was."+name, kind))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, fmt.Errorf("build the policy environment: %w", err)
	}
	return env, nil
}

// celType is how CEL calls the type of an attribute.
func celType(v any) *cel.Type {
	switch v.(type) {
	case bool:
		return cel.BoolType
	case []string:
		return cel.ListType(cel.StringType)
	}
	return cel.StringType
}

func (f PolicyFacts) variables() map[string]any {
	vars := map[string]any{
		"event.reason": string(f.Reason), "event.trigger": f.Trigger, "event.ticket": f.Person.Claims.Ticket,
		"event.at": f.At, "organizations": append([]string{}, f.Organizations...),
	}
	for name, of := range attributes() {
		vars["person."+name], vars["was."+name] = of(f.Person), of(f.Was)
	}
	return vars
}

// NewPolicies compiles the conditions and tells every one that does not
// compile. builtIn is taken where no condition holds, or one fails.
func NewPolicies(list []Conditional, builtIn Policy) (*Policies, []PolicyProblem) {
	builtIn.Version = Conditional{Policy: builtIn}.version()
	ps := &Policies{builtIn: builtIn}
	env, err := environment()
	if err != nil {
		return ps, []PolicyProblem{{Key: "when", Err: err}}
	}
	var problems []PolicyProblem
	for i, c := range list {
		if c.Policy.Version == "" {
			c.Policy.Version = c.version()
		}
		if c.Reason == "" {
			c.Reason = RoleChange
		}
		rule := compiled{Conditional: c}
		sound := len(problems)
		if rule.when, err = compile(env, c.When, policyNames()); err != nil {
			problems = append(problems, PolicyProblem{Index: i, Key: "when", Err: fmt.Errorf("policy %q: %w", c.Policy.Name, err)})
		}
		if rule.trigger, err = compile(env, c.Trigger, policyNames()); err != nil {
			problems = append(problems, PolicyProblem{Index: i, Key: "trigger", Err: fmt.Errorf("policy %q: %w", c.Policy.Name, err)})
		}
		problems = append(problems, checkRules(i, c.Policy)...)
		if len(problems) == sound {
			ps.rules = append(ps.rules, rule)
		}
	}
	return ps, problems
}

// policyNames says what the conditions of policies may name.
func policyNames() string {
	return "known are organizations, event.{reason,trigger,ticket,at}, and of person and was: " + strings.Join(known(), ", ")
}

// compile makes a program of a condition, nil of an empty one. names says what
// it may name.
func compile(env *cel.Env, condition, names string) (cel.Program, error) {
	if strings.TrimSpace(condition) == "" {
		return nil, nil
	}
	ast, issues := env.Compile(condition)
	if err := issues.Err(); err != nil {
		if strings.Contains(err.Error(), "undeclared reference") {
			return nil, fmt.Errorf("%w\n%s", err, names)
		}
		return nil, err
	}
	if !ast.OutputType().IsExactType(cel.BoolType) {
		return nil, fmt.Errorf("the condition gives %s, not true or false", ast.OutputType())
	}
	program, err := env.Program(ast, cel.CostLimit(100_000))
	if err != nil {
		return nil, fmt.Errorf("prepare the condition: %w", err)
	}
	return program, nil
}

// NewCondition compiles CEL over person alone, such as
// person.title == "Break glass". An empty one never holds.
func NewCondition(condition string) (func(Person) (bool, error), error) {
	env, err := environment()
	if err != nil {
		return nil, err
	}
	program, err := compile(env, condition, "known are, of person: "+strings.Join(known(), ", "))
	if err != nil {
		return nil, err
	}
	return func(p Person) (bool, error) {
		if program == nil {
			return false, nil
		}
		return holds(program, PolicyFacts{Person: p, Was: p}.variables())
	}, nil
}

func known() []string {
	var out []string
	for name := range attributes() {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// holds evaluates a condition.
func holds(p cel.Program, vars map[string]any) (bool, error) {
	out, _, err := p.Eval(vars)
	if err != nil {
		return false, fmt.Errorf("evaluate: %w", err)
	}
	yes, ok := out.Value().(bool)
	if !ok {
		return false, fmt.Errorf("it gives %s, not true or false", out.Type().TypeName())
	}
	return yes, nil
}

// For picks the first policy whose condition holds and says in Why which one
// did. A condition that fails, or none that holds, takes the built-in policy,
// with Failed: a person is never without a case.
func (ps *Policies) For(f PolicyFacts) Policy {
	if ps == nil {
		p := Fallback()
		p.Why = "no policy is configured"
		return p
	}
	vars := f.variables()
	asked := 0
	for _, r := range ps.rules {
		switch {
		case r.when == nil && r.trigger != nil:
			continue // for its own cases only
		case r.when == nil:
			p := r.Policy
			p.Why = "it has no condition, and none before it held"
			return p
		}
		asked++
		yes, err := holds(r.when, vars)
		if err != nil {
			p := ps.builtIn
			p.Failed = r.Policy.Name
			p.Why = fmt.Sprintf("the condition of %s failed: %s", r.Policy.Name, firstLine(err))
			return p
		}
		if yes {
			p := r.Policy
			p.Why = "its condition holds: " + oneLine(r.When)
			return p
		}
	}
	p := ps.builtIn
	if asked == 0 {
		p.Why = "no policy is configured"
		return p
	}
	p.Failed, p.Why = NoPolicy, "no policy's condition holds"
	return p
}

// Fires returns the first policy whose trigger becomes true by a change from
// f.Was to f.Person, with the reason of the case to open; nil where there is
// none. A trigger that was true of Was already has been acted upon, or was
// dismissed. One that fails opens nothing and is told.
func (ps *Policies) Fires(f PolicyFacts) (*Policy, Reason, []PolicyFailure) {
	if ps == nil || !ps.Watch() {
		return nil, "", nil
	}
	before := f
	before.Person = f.Was
	is, was := f.variables(), before.variables()
	var failed []PolicyFailure
	for _, r := range ps.rules {
		if r.trigger == nil {
			continue
		}
		now, err := holds(r.trigger, is)
		if err != nil {
			failed = append(failed, PolicyFailure{Policy: r.Policy.Name, Person: f.Person.ID})
			continue
		}
		if !now {
			continue
		}
		// Where it cannot be told whether it was true before, it was not.
		if already, err := holds(r.trigger, was); err == nil && already {
			continue
		}
		p := r.Policy
		p.Why = "its trigger became true: " + oneLine(r.Trigger)
		return &p, r.Reason, failed
	}
	return nil, "", failed
}

// Named returns the policy of that name, false where there is none.
func (ps *Policies) Named(name string) (Policy, bool) {
	if ps != nil {
		for _, r := range ps.rules {
			if r.Policy.Name == name {
				return r.Policy, true
			}
		}
	}
	return Policy{}, false
}

// Names lists the policies in their order.
func (ps *Policies) Names() (out []string) {
	if ps != nil {
		for _, r := range ps.rules {
			out = append(out, r.Policy.Name)
		}
	}
	return out
}

// Watch reports whether any policy opens cases by a trigger.
func (ps *Policies) Watch() bool {
	return ps != nil && slices.ContainsFunc(ps.rules, func(r compiled) bool { return r.trigger != nil })
}

// WatchGroups reports whether any trigger looks at groups.
func (ps *Policies) WatchGroups() bool {
	return ps != nil && slices.ContainsFunc(ps.rules, func(r compiled) bool {
		return r.trigger != nil && strings.Contains(r.Trigger, ".groups")
	})
}

// Lapsed reports whether the trigger of the named policy no longer holds. A
// policy that is gone, or whose trigger fails, has not lapsed.
func (ps *Policies) Lapsed(name string, f PolicyFacts) bool {
	if ps == nil {
		return false
	}
	for _, r := range ps.rules {
		if r.Policy.Name == name && r.trigger != nil {
			yes, err := holds(r.trigger, f.variables())
			return err == nil && !yes
		}
	}
	return false
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
