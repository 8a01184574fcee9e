package offboard_test

import (
	"strings"
	"testing"
	"time"

	"offramp/internal/offboard"
)

// policies compiles a list over the built-in policy.
func policies(t *testing.T, list ...offboard.Conditional) *offboard.Policies {
	t.Helper()
	ps, problems := offboard.NewPolicies(list, offboard.Fallback())
	for _, p := range problems {
		t.Fatal(p.Err)
	}
	return ps
}

// under is a policy with a condition.
func under(name, when string) offboard.Conditional {
	return offboard.Conditional{When: when, Policy: offboard.Policy{Name: name, Plan: offboard.Leaver}}
}

func TestTheFirstPolicyWhoseConditionHoldsIsTaken(t *testing.T) {
	t.Parallel()
	ps := policies(t,
		under("incident", `event.reason == "security_incident"`),
		under("vienna", `"agency" in organizations && person.groups.exists(g, g.startsWith("VIE"))`),
		under("fails", `person.claims.ticket != "" && int(person.claims.ticket) > 0`),
		under("moved", `was.department == "Analytics" && person.department == "Sales"`),
		under("noon", `event.trigger == "deactivated" && event.at > timestamp("2026-03-02T11:00:00Z") && person.domain == "example.com"`),
	)
	someone := offboard.Person{Address: "jo@example.com"}
	for _, row := range []struct {
		story  string
		facts  func(*offboard.PolicyFacts)
		policy string
		failed string
		why    string
	}{
		{"a reason", func(f *offboard.PolicyFacts) { f.Reason = offboard.SecurityIncident }, "incident", "", "its condition holds: event.reason"},
		{"a group and an organization", func(f *offboard.PolicyFacts) {
			f.Person.Groups, f.Organizations = []string{"VIE Analytics"}, []string{"agency"}
		}, "vienna", "", "its condition holds"},
		{"what they were before", func(f *offboard.PolicyFacts) {
			f.Was.Department, f.Person.Department = "Analytics", "Sales"
		}, "moved", "", "its condition holds"},
		{"the time and the form of the event", func(f *offboard.PolicyFacts) { f.Trigger = offboard.ByDeactivation }, "noon", "", "its condition holds"},
		{"a condition that fails takes the built-in, though a later one would hold", func(f *offboard.PolicyFacts) {
			f.Person.Claims.Ticket, f.Trigger = "HR-7", offboard.ByDeactivation
		}, "built-in", "fails", "the condition of fails failed"},
		{"none holds", func(*offboard.PolicyFacts) {}, "built-in", offboard.NoPolicy, "no policy's condition holds"},
	} {
		t.Run(row.story, func(t *testing.T) {
			t.Parallel()
			f := offboard.PolicyFacts{Person: someone, Was: someone, Reason: offboard.Deactivated, At: noon()}
			row.facts(&f)
			p := ps.For(f)
			if p.Name != row.policy || p.Failed != row.failed || !strings.Contains(p.Why, row.why) {
				t.Errorf("got %s, failed %q, because %q", p.Name, p.Failed, p.Why)
			}
			if p.Version == "" || p.Plan == "" {
				t.Errorf("the policy has no version or no plan: %+v", p)
			}
		})
	}
}

func TestAVersionTellsPoliciesApart(t *testing.T) {
	t.Parallel()
	version := func(c offboard.Conditional) string {
		return policies(t, c).For(offboard.PolicyFacts{At: noon()}).Version
	}
	one := under("all", "")
	if version(one) != version(under("all", "")) {
		t.Error("the same policy has two versions")
	}
	changed := one
	changed.Policy.Approvals = 2
	if version(one) == version(changed) {
		t.Error("another policy has the same version")
	}
	if none := policies(t); none.For(offboard.PolicyFacts{}).Version == "" {
		t.Error("the built-in policy has no version")
	}
}

func TestAConditionThatMeansNothingDoesNotCompile(t *testing.T) {
	t.Parallel()
	for when, says := range map[string]string{
		`person.tile == "Contractor"`: "department",
		`person.title`:                "gives string",
		`person.title = "Contractor"`: "Syntax error",
		`event.at == "2026"`:          "no matching overload",
	} {
		for _, c := range []offboard.Conditional{{When: when}, {Trigger: when}} {
			ps, problems := offboard.NewPolicies([]offboard.Conditional{c}, offboard.Fallback())
			if len(problems) != 1 || !strings.Contains(problems[0].Err.Error(), says) || (problems[0].Key == "when") != (c.When != "") {
				t.Errorf("%s: %v", when, problems)
			}
			if p := ps.For(offboard.PolicyFacts{At: noon()}); p.Name != "built-in" {
				t.Errorf("%s applies, as %s", when, p.Name)
			}
		}
	}
}

// mover is a policy with a trigger.
func mover(trigger string) offboard.Conditional {
	return offboard.Conditional{Trigger: trigger, Policy: offboard.Policy{Name: "mover", Plan: offboard.Leaver, Approvals: 1}}
}

func ruled(ps *offboard.Policies) offboard.Rules {
	return offboard.Rules{Settle: 2 * time.Minute, Policy: ps.For, Triggers: ps}
}

// entitled is somebody who may have a seat.
func entitled() offboard.Person {
	return offboard.Person{
		ID: "p1", Connection: "okta", UserName: "jo@example.com", Address: "jo@example.com", Active: true,
		Department: "Analytics", Title: "Analyst",
	}
}

func TestAChangeOpensACaseWhereATriggerBecomesTrue(t *testing.T) {
	t.Parallel()
	left := `was.department == "Analytics" && person.department != "Analytics"`
	intern := `person.title == "Intern"`
	for _, row := range []struct {
		story    string
		trigger  string
		was, is  func(*offboard.Person)
		prior    offboard.PriorCase
		reason   offboard.Reason // empty: nothing opens
		joins    bool
		failures int
	}{
		{story: "leaves the department", trigger: left, is: func(p *offboard.Person) { p.Department = "Sales" }, reason: offboard.RoleChange},
		{story: "another change is none of its business", trigger: left, is: func(p *offboard.Person) { p.Title = "Lead" }},
		{story: "a state that begins", trigger: intern, is: func(p *offboard.Person) { p.Title = "Intern" }, reason: offboard.RoleChange},
		{
			story: "a state that lasts was acted upon before", trigger: intern,
			was: func(p *offboard.Person) { p.Title = "Intern" }, is: func(p *offboard.Person) { p.Title, p.Department = "Intern", "Sales" },
		},
		{
			story: "the claimed reason counts", trigger: left,
			is:     func(p *offboard.Person) { p.Department, p.Claims.LeaveReason = "Sales", "project_sunset" },
			reason: offboard.ProjectSunset,
		},
		{
			story: "a claimed incident of a connection that is not trusted is a termination", trigger: left,
			is:     func(p *offboard.Person) { p.Department, p.Claims.LeaveReason = "Sales", "security_incident" },
			reason: offboard.Termination,
		},
		{story: "who is not entitled is not looked at", trigger: left, was: func(p *offboard.Person) { p.Active = false }, is: func(p *offboard.Person) {
			p.Active, p.Department = false, "Sales"
		}},
		{story: "a trigger that fails opens nothing and is told", trigger: `int(person.title) > 1`, is: func(p *offboard.Person) { p.Department = "Sales" }, failures: 1},
		{
			story: "a deactivation is a deactivation", trigger: left,
			is:     func(p *offboard.Person) { p.Active, p.Department = false, "Sales" },
			reason: offboard.Deactivated,
		},
	} {
		t.Run(row.story, func(t *testing.T) {
			t.Parallel()
			was, is := entitled(), entitled()
			if row.was != nil {
				row.was(&was)
			}
			row.is(&is)
			v := offboard.Decide(was, is, row.prior, ruled(policies(t, mover(row.trigger))), noon())
			if len(v.Failed) != row.failures {
				t.Errorf("failures: %+v", v.Failed)
			}
			if row.reason == "" {
				if v.Open != nil || v.Decision != nil {
					t.Errorf("it opens %+v, %+v", v.Open, v.Decision)
				}
				return
			}
			if v.Open == nil || v.Open.Reason != row.reason {
				t.Fatalf("got %+v", v.Open)
			}
			if !is.Active {
				if v.Decision != nil {
					t.Errorf("the provider's word needs no decision beside it: %+v", v.Decision)
				}
				return
			}
			if v.Open.Policy.Name != "mover" || !strings.Contains(v.Open.Policy.Why, "its trigger became true") {
				t.Errorf("policy %+v", v.Open.Policy)
			}
			is.Removal = v.Decision
			if offboard.Entitled(is, false, noon()) {
				t.Error("the guard would cancel the case at once: the person is still entitled")
			}
		})
	}
}

func TestWhatATriggerDecidedEndsWhenItNoLongerHolds(t *testing.T) {
	t.Parallel()
	ps := policies(t, mover(`was.department == "Analytics" && person.department != "Analytics"`))
	was, is := entitled(), entitled()
	is.Department = "Sales"
	v := offboard.Decide(was, is, offboard.PriorCase{}, ruled(ps), noon())
	if v.Decision == nil {
		t.Fatal("nothing was decided")
	}
	live := offboard.PriorCase{Live: true, Reason: offboard.RoleChange, NotBefore: noon().Add(2 * time.Minute)}
	moved := is
	moved.Removal = v.Decision

	other := moved
	other.Department = "Finance"
	if v := offboard.Decide(moved, other, live, ruled(ps), noon()); v.Lapsed || v.Poke || v.Open != nil || v.Join != nil {
		t.Errorf("a third department changed something: %+v", v)
	}
	back := moved
	back.Department = "Analytics"
	v = offboard.Decide(moved, back, live, ruled(ps), noon())
	if !v.Lapsed || !v.Poke || v.Decision != nil {
		t.Errorf("back in the department: %+v", v)
	}
	if v := offboard.Decide(moved, back, live, ruled(policies(t)), noon()); v.Lapsed {
		t.Error("a policy that is gone ended its decision")
	}
	back.Removal = &offboard.Decision{Reason: offboard.Manual, By: "sam"}
	if v := offboard.Decide(moved, back, live, ruled(ps), noon()); v.Lapsed {
		t.Error("an operator's decision ended by itself")
	}
}
