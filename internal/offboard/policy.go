package offboard

import (
	"fmt"
	"time"

	"cel.dev/cel-go/cel"
)

// Policy is how one kind of departure is handled. A case keeps the policy it
// opened with. Fallback returns the one that needs no configuration.
type Policy struct {
	Name      string        `json:"name"`
	Version   string        `json:"version"`
	Plan      PlanName      `json:"plan"`
	NotBefore time.Duration `json:"not_before"` // after acceptance
	Due       time.Duration `json:"due"`        // zero: by the reason
	Approvals int           `json:"approvals"`
	Contain   Contain       `json:"contain"`
	Successor string        `json:"successor"` // fallback address
	Handover  time.Duration `json:"handover"`  // deadline after acceptance, zero: 72 h
	AtHand    Deadline      `json:"at_deadline"`
	Unlisted  Unlisted      `json:"unlisted"`
	Trust     bool          `json:"trust_receipt"` // a hook's "done" opens remove without read-back
}

// Contain says when groups are taken away before the removal.
type Contain string

// When to contain. The zero value means when waiting.
const (
	ContainWhenWaiting Contain = "when waiting"
	ContainAlways      Contain = "always"
	ContainNever       Contain = "never"
)

// Deadline says what happens when the handover is not finished in time.
type Deadline string

// What happens at the deadline. The zero value means by the reason: remove for
// termination and contract end, escalate for the others.
const (
	DeadlineByReason Deadline = ""
	DeadlineRemove   Deadline = "remove"
	DeadlineEscalate Deadline = "escalate"
	DeadlineHold     Deadline = "hold"
)

// Unlisted says what happens about kinds of content that no API can list.
type Unlisted string

// What happens about unlistable kinds. The zero value means by use: a note for
// pending members, who can own nothing, else a task.
const (
	UnlistedByUse Unlisted = ""
	UnlistedTask  Unlisted = "task"
	UnlistedNote  Unlisted = "note"
)

// Fallback is the built-in policy: a leaver with one approval.
func Fallback() Policy {
	return Policy{Name: "built-in", Plan: Leaver, Approvals: 1, Contain: ContainWhenWaiting}
}

// AtDeadline resolves the deadline's outcome for a reason.
func (p Policy) AtDeadline(r Reason) Deadline {
	if p.AtHand != DeadlineByReason {
		return p.AtHand
	}
	if r == Termination || r == ContractEnd {
		return DeadlineRemove
	}
	return DeadlineEscalate
}

// HandoverDeadline is when the handover has to be finished.
func (p Policy) HandoverDeadline(opened time.Time) time.Time {
	if p.Handover == 0 {
		return opened.Add(72 * time.Hour)
	}
	return opened.Add(p.Handover)
}

func (p Policy) dueAfter(r Reason, now time.Time, loc *time.Location) time.Time {
	if p.Due > 0 {
		return now.Add(p.Due)
	}
	if loc == nil {
		loc = time.UTC
	}
	switch r {
	case SecurityIncident:
		return now.Add(15 * time.Minute)
	case Termination:
		y, m, d := now.In(loc).Date()
		return time.Date(y, m, d, 23, 59, 59, 0, loc)
	case ContractEnd, RoleChange, AccessReview, Inactive, ProjectSunset, GroupRemoval, Deactivated,
		DeletedAtIdP, PolicyViolation, LegalRequest, Manual:
		return now.Add(24 * time.Hour)
	}
	return now.Add(24 * time.Hour)
}

// PolicyFacts is what a policy's condition sees.
type PolicyFacts struct {
	Person  Person
	Reason  Reason
	Trigger string
}

// Conditional is a policy that applies where When is true.
type Conditional struct {
	When   string // CEL over person and event; empty: always
	Policy Policy
}

// Policies picks the first policy whose condition holds.
type Policies struct {
	rules []compiled
}

type compiled struct {
	program cel.Program // nil: always
	policy  Policy
}

// NewPolicies compiles the conditions. Every one that does not compile is told,
// by its place in the list; -1 is no place.
func NewPolicies(list []Conditional) (*Policies, map[int]error) {
	env, err := cel.NewEnv(
		cel.Variable("person", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("event", cel.MapType(cel.StringType, cel.StringType)),
	)
	if err != nil {
		return nil, map[int]error{-1: fmt.Errorf("build the policy environment: %w", err)}
	}
	ps := &Policies{}
	problems := map[int]error{}
	for i, c := range list {
		r := compiled{policy: c.Policy}
		if c.When != "" {
			ast, issues := env.Compile(c.When)
			if issues.Err() != nil {
				problems[i] = fmt.Errorf("policy %q: %w", c.Policy.Name, issues.Err())
				continue
			}
			if ast.OutputType() != cel.BoolType {
				problems[i] = fmt.Errorf("policy %q: `when` gives %s, not true or false", c.Policy.Name, ast.OutputType())
				continue
			}
			r.program, err = env.Program(ast, cel.CostLimit(100_000))
			if err != nil {
				problems[i] = fmt.Errorf("policy %q: %w", c.Policy.Name, err)
				continue
			}
		}
		ps.rules = append(ps.rules, r)
	}
	return ps, problems
}

// For picks the policy. A condition that fails, or no match, takes the built-in
// one: a person is never without a case. Absent attributes are empty.
func (ps *Policies) For(f PolicyFacts) Policy {
	if ps == nil {
		return Fallback()
	}
	vars := map[string]any{
		"person": map[string]any{
			"userName": f.Person.UserName, "address": f.Person.Address, "displayName": f.Person.DisplayName,
			"department": f.Person.Department, "title": f.Person.Title, "connection": f.Person.Connection,
			"domain": Domain(f.Person.Address), "groups": f.Person.Groups, "active": f.Person.Active,
		},
		"event": map[string]string{"reason": string(f.Reason), "trigger": f.Trigger, "ticket": f.Person.Claims.Ticket},
	}
	for _, r := range ps.rules {
		if r.program == nil {
			return r.policy
		}
		out, _, err := r.program.Eval(vars)
		if err != nil {
			p := Fallback()
			p.Name = "built-in, because " + r.policy.Name + " failed"
			return p
		}
		if yes, ok := out.Value().(bool); ok && yes {
			return r.policy
		}
	}
	return Fallback()
}
