package runner_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

// office is a world with somebody who may move: Manager on both projects by
// direct role, in group Web (Member on the first) and in group Core (Viewer on
// the second).
type office struct {
	*world
	web, mobile int // projects
	gWeb, gCore int // groups
}

func newOffice(t *testing.T, s setup, r offboard.Revoke) *office {
	t.Helper()
	o := &office{world: newWorld(t, s)}
	projects := o.fake.Credentials().Projects
	o.web, o.mobile = projects[0].ID, projects[1].ID
	for _, m := range []amplitudefake.Member{
		{Email: leaver, GivenName: "Jo", FamilyName: "M", Role: amplitudefake.RoleMember, LastLogin: o.clock.now(), Projects: map[int]string{
			o.web: amplitudefake.RoleManager, o.mobile: amplitudefake.RoleManager,
		}},
		{Email: "kim@example.com", GivenName: "Kim", FamilyName: "N", Role: amplitudefake.RoleMember, LastLogin: o.clock.now(), Projects: map[int]string{
			o.web: amplitudefake.RoleManager, o.mobile: amplitudefake.RoleViewer,
		}},
	} {
		if err := o.fake.AddMember(m); err != nil {
			t.Fatal(err)
		}
	}
	o.gWeb = o.group("Web", map[int]string{o.web: amplitudefake.RoleMember}, leaver, "kim@example.com")
	o.gCore = o.group("Core", map[int]string{o.mobile: amplitudefake.RoleViewer}, leaver, "kim@example.com")
	o.group("Readers", map[int]string{o.web: amplitudefake.RoleViewer}, "kim@example.com")
	o.triggers = moves(t, offboard.Policy{Name: "movers", Plan: offboard.Mover, Revoke: r})
	o.directoryOnly("leaver", leaver)
	o.department("Analytics")
	return o
}

// moves is one policy that acts upon leaving the department Analytics.
func moves(t *testing.T, p offboard.Policy) *offboard.Policies {
	t.Helper()
	ps, problems := offboard.NewPolicies([]offboard.Conditional{{
		Trigger: `was.department == "Analytics" && person.department != "Analytics"`, Reason: offboard.RoleChange, Policy: p,
	}}, offboard.Fallback())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return ps
}

func (o *office) group(name string, projects map[int]string, members ...string) int {
	o.t.Helper()
	id, err := o.fake.AddGroup(amplitudefake.Group{Name: name, Members: members, Projects: projects})
	if err != nil {
		o.t.Fatal(err)
	}
	return id
}

// department is what the identity provider says about where they work.
func (o *office) department(name string) {
	o.t.Helper()
	o.change("leaver", func(p offboard.Person) offboard.Person { p.Department = name; return p })
}

// holds is the truth about the mover.
func (o *office) holds() amplitudefake.Member {
	o.t.Helper()
	members := o.fake.PersonState(leaver).Members
	if len(members) != 1 {
		o.show()
		o.t.Fatalf("%d seats", len(members))
	}
	return members[0]
}

// others is the truth about everybody else, to be the same afterwards.
func (o *office) others() string {
	o.t.Helper()
	s := o.fake.State()
	s.Members = slices.DeleteFunc(s.Members, func(m amplitudefake.Member) bool { return m.Email == leaver })
	for i, g := range s.Groups {
		s.Groups[i].Members = slices.DeleteFunc(g.Members, func(m string) bool { return m == leaver })
	}
	b, err := json.Marshal([]any{s.Members, s.Groups, s.Removals, s.Resurrections, s.Outbox})
	if err != nil {
		o.t.Fatal(err)
	}
	return string(b)
}

// want compares what the mover holds with what they should.
func (o *office) want(projects map[int]string, groups ...int) {
	o.t.Helper()
	m := o.holds()
	slices.Sort(m.Groups)
	slices.Sort(groups)
	if !reflect.DeepEqual(m.Projects, projects) || !slices.Equal(m.Groups, groups) {
		o.show()
		o.t.Errorf("holds %v and groups %v, want %v and %v", m.Projects, m.Groups, projects, groups)
	}
}

// said reports whether the timeline has a text.
func (o *office) said(f offboard.File, text string) {
	o.t.Helper()
	if !slices.ContainsFunc(o.timeline(f.Case.ID), func(e offboard.Entry) bool { return strings.Contains(e.Text, text) }) {
		o.show()
		o.t.Errorf("the timeline does not say %q", text)
	}
}

const (
	viewer  = amplitudefake.RoleViewer
	manager = amplitudefake.RoleManager
)

func TestAMoverLosesWhatThePolicyNamesAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		revoke   func(o *office) offboard.Revoke
		projects func(o *office) map[int]string
		groups   func(o *office) []int
	}{
		"groups only": {
			func(*office) offboard.Revoke { return offboard.Revoke{Leave: []string{"web"}} },
			func(o *office) map[int]string { return map[int]string{o.web: manager, o.mobile: manager} },
			func(o *office) []int { return []int{o.gCore} },
		},
		"one project, with the group that gives it": {
			func(o *office) offboard.Revoke {
				return offboard.Revoke{Projects: []int{o.web}, Leave: []string{"Web"}}
			},
			func(o *office) map[int]string { return map[int]string{o.mobile: manager} },
			func(o *office) []int { return []int{o.gCore} },
		},
		"every project": {
			func(*office) offboard.Revoke { return offboard.Revoke{All: true, Leave: []string{"Web", "Core"}} },
			func(*office) map[int]string { return map[int]string{} },
			func(*office) []int { return []int{} },
		},
		"one project to read only, by another group": {
			func(o *office) offboard.Revoke {
				return offboard.Revoke{Projects: []int{o.web}, Role: "viewer", Leave: []string{"Web"}, Join: []string{"Readers"}}
			},
			func(o *office) map[int]string { return map[int]string{o.web: viewer, o.mobile: manager} },
			func(o *office) []int { return []int{o.gCore, o.gCore + 1} },
		},
		"read only everywhere": {
			func(*office) offboard.Revoke { return offboard.Revoke{Role: "Viewer", Leave: []string{"Web"}} },
			func(o *office) map[int]string { return map[int]string{o.web: viewer, o.mobile: viewer} },
			func(o *office) []int { return []int{o.gCore} },
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				o := newOffice(t, s, offboard.Revoke{})
				o.triggers = moves(t, offboard.Policy{Name: "movers", Plan: offboard.Mover, Revoke: row.revoke(o)})
				before := o.others()
				o.department("Sales")
				f := o.closed(leaver)
				if f.Case.Outcome != offboard.OutcomeReduced || f.Case.Plan != offboard.Mover || f.Case.Verified.IsZero() {
					o.show()
					t.Errorf("outcome %s, plan %s, verified %s", f.Case.Outcome, f.Case.Plan, f.Case.Verified)
				}
				o.want(row.projects(o), row.groups(o)...)
				if after := o.others(); after != before {
					t.Errorf("others were changed:\n%s\n%s", before, after)
				}
				for _, e := range f.Effects {
					if e.State != offboard.EffectDone {
						t.Errorf("effect %s is %s", e.Key, e.State)
					}
				}
			})
		})
	}
}

func TestAMoverWhoHeldNothingOfItIsToldSo(t *testing.T) {
	t.Parallel()
	o := newOffice(t, setup{}, offboard.Revoke{Leave: []string{"Readers"}})
	o.department("Sales")
	f := o.closed(leaver)
	if f.Case.Outcome != offboard.OutcomeReduced || !strings.Contains(f.Case.Note, "held none of what policy movers takes away") || len(f.Effects) > 0 {
		o.show()
		t.Errorf("%s: %q, %d effects", f.Case.Outcome, f.Case.Note, len(f.Effects))
	}
}

func TestAGroupThatStillGivesAccessIsAPersonsTask(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		o := newOffice(t, s, offboard.Revoke{})
		o.triggers = moves(t, offboard.Policy{Name: "movers", Plan: offboard.Mover, Revoke: offboard.Revoke{Projects: []int{o.web}}})
		o.department("Sales")
		f := o.until(offboard.StateWaiting, offboard.WaitTask)
		o.want(map[int]string{o.mobile: manager}, o.gWeb, o.gCore)
		if len(f.Tasks) != 1 || f.Tasks[0].Kind != offboard.TaskRevoke || !strings.Contains(f.Tasks[0].Text, "permission group Web") || f.Tasks[0].Link == "" {
			o.show()
			t.Fatalf("tasks %+v", f.Tasks)
		}
		attest := func() {
			o.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
				return offboard.CompleteTask(f, f.Tasks[0].ID, offboard.TaskAnswer{By: "kim@example.com"}, o.clock.now())
			})
		}
		attest() // though it is not so
		f = o.until(offboard.StateNeedsAttention, offboard.WaitNothing)
		if !strings.Contains(f.Case.Note, "Amplitude still shows the access") {
			t.Errorf("note %q", f.Case.Note)
		}
		if err := o.client.RemoveFromGroup(t.Context(), itoa(o.gWeb), leaver); err != nil {
			t.Fatal(err)
		}
		o.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Retry(f, "kim", "done now") })
		if f = o.closed(leaver); f.Case.Outcome != offboard.OutcomeReduced {
			o.show()
			t.Errorf("outcome %s", f.Case.Outcome)
		}
		o.want(map[int]string{o.mobile: manager}, o.gCore)
	})
}

func itoa(n int) string {
	b, _ := json.Marshal(n) // a number always can be
	return string(b)
}

func TestWithoutTheUserManagementAPIDirectRolesAreAPersonsTask(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(o *office){
		"not enrolled": func(o *office) {
			if err := o.fake.SetSwitch(amplitudefake.SwitchEnrolled, "false"); err != nil {
				o.t.Fatal(err)
			}
		},
		"no key": nil,
	} {
		t.Run(name, func(t *testing.T) {
			s := setup{}
			if change == nil {
				s.opts = func(o *runner.Options) { o.Organizations[0].Roles = false }
			}
			o := newOffice(t, s, offboard.Revoke{})
			if change != nil {
				change(o)
			}
			o.triggers = moves(t, offboard.Policy{Name: "movers", Plan: offboard.Mover, Revoke: offboard.Revoke{
				Projects: []int{o.web}, Leave: []string{"Web"}, OrganizationRole: "Member",
			}})
			o.department("Sales")
			f := o.until(offboard.StateWaiting, offboard.WaitTask)
			o.want(map[int]string{o.web: manager, o.mobile: manager}, o.gCore)
			if len(f.Tasks) != 2 {
				o.show()
				t.Fatalf("tasks %+v", f.Tasks)
			}
			for _, task := range f.Tasks {
				if !strings.Contains(task.Text, "Members & Groups open "+leaver) {
					t.Errorf("text %q", task.Text)
				}
				o.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
					return offboard.CompleteTask(f, task.ID, offboard.TaskAnswer{By: "kim@example.com"}, o.clock.now())
				})
			}
			f = o.closed(leaver)
			if f.Case.Outcome != offboard.OutcomeReduced || !strings.Contains(f.Case.Note, "attested by kim@example.com and not seen by an API") {
				o.show()
				t.Errorf("%s: %s", f.Case.Outcome, f.Case.Note)
			}
		})
	}
}

func TestAMoverWhoMovesBackKeepsOrGetsBackWhatTheyHeld(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		for name, when := range map[string]func(o *office){
			"before anything is taken": func(o *office) { o.until(offboard.StateWaiting, offboard.WaitSettle) },
			"while a person is asked":  func(o *office) { o.until(offboard.StateWaiting, offboard.WaitTask) },
		} {
			t.Run(name, func(t *testing.T) {
				o := newOffice(t, s, offboard.Revoke{})
				o.triggers = moves(t, offboard.Policy{Name: "movers", Plan: offboard.Mover, Revoke: offboard.Revoke{
					Projects: []int{o.web, o.mobile}, Role: "Viewer", Leave: []string{"Core"}, Join: []string{"Readers"}, OrganizationRole: "Member",
				}})
				o.department("Sales")
				when(o)
				o.department("Analytics")
				if f := o.closed(leaver); f.Case.Outcome != offboard.OutcomeCancelled {
					o.show()
					t.Errorf("outcome %s", f.Case.Outcome)
				}
				o.want(map[int]string{o.web: manager, o.mobile: manager}, o.gWeb, o.gCore)
			})
		}
		t.Run("after it is proven, while it is watched", func(t *testing.T) {
			o := newOffice(t, s, offboard.Revoke{All: true, Leave: []string{"Core", "Web"}})
			o.department("Sales")
			o.run(time.Hour, func() bool { return !o.caseOf(leaver).Case.Verified.IsZero() })
			o.want(map[int]string{})
			o.department("Analytics")
			if f := o.closed(leaver); f.Case.Outcome != offboard.OutcomeCancelled {
				o.show()
				t.Errorf("outcome %s", f.Case.Outcome)
			}
			o.want(map[int]string{o.web: manager, o.mobile: manager}, o.gWeb, o.gCore)
		})
		t.Run("after the case ended, and away again", func(t *testing.T) {
			o := newOffice(t, s, offboard.Revoke{Leave: []string{"Core"}})
			o.department("Sales")
			first := o.closed(leaver)
			o.department("Analytics")
			o.want(map[int]string{o.web: manager, o.mobile: manager}, o.gWeb)
			o.department("Support")
			f := o.closed(leaver)
			if f.Case.ID == first.Case.ID || f.Case.Outcome != offboard.OutcomeReduced || !strings.Contains(f.Case.Note, "held none of it") && !strings.Contains(f.Case.Note, "held none of what") {
				o.show()
				t.Errorf("%s %q", f.Case.Outcome, f.Case.Note)
			}
		})
	})
}

func TestWhoeverMovesOnMeanwhileLosesWhatTheNewerPolicySays(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		o := newOffice(t, s, offboard.Revoke{})
		var problems []offboard.PolicyProblem
		o.triggers, problems = offboard.NewPolicies([]offboard.Conditional{
			{Trigger: `was.department == "Analytics" && person.department == "Growth"`, Policy: offboard.Policy{
				Name: "growth", Plan: offboard.Mover, Revoke: offboard.Revoke{Projects: []int{o.mobile}, Leave: []string{"Core"}, OrganizationRole: "Member"},
			}},
			{Trigger: `was.department == "Growth" && person.department == "Sales"`, Policy: offboard.Policy{
				Name: "sales", Plan: offboard.Mover, Revoke: offboard.Revoke{Projects: []int{o.web}, Leave: []string{"Web"}},
			}},
		}, offboard.Fallback())
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		o.department("Growth")
		first := o.until(offboard.StateWaiting, offboard.WaitTask)
		o.want(map[int]string{o.web: manager}, o.gWeb)
		o.department("Sales")
		f := o.closed(leaver)
		if f.Case.ID != first.Case.ID || f.Case.Policy.Name != "sales" || f.Case.Outcome != offboard.OutcomeReduced {
			o.show()
			t.Errorf("policy %s, outcome %s", f.Case.Policy.Name, f.Case.Outcome)
		}
		o.want(map[int]string{o.mobile: manager}, o.gCore)
	})
}

func TestAMoverIsEntitledAllAlong(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		o := newOffice(t, s, offboard.Revoke{Leave: []string{"Core"}})
		o.department("Sales")
		p, err := o.store.Person(t.Context(), "okta", "leaver")
		if err != nil {
			t.Fatal(err)
		}
		leaving, err := o.store.Leaving(t.Context(), "leaver")
		if err != nil || leaving || !offboard.Entitled(p, false, o.clock.now()) || !p.Removal.Keeping() {
			t.Errorf("leaving %v (%v), decision %+v", leaving, err, p.Removal)
		}
		o.change("leaver", func(p offboard.Person) offboard.Person { p.Title = "Lead"; return p }) // news of somebody entitled cancels nothing
		if f := o.closed(leaver); f.Case.Outcome != offboard.OutcomeReduced {
			o.show()
			t.Errorf("outcome %s", f.Case.Outcome)
		}
	})
}

func TestWhoeverLeavesWhileTheyMoveIsRemoved(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		for name, row := range map[string]struct {
			leave func(p *offboard.Person)
			plan  offboard.PlanName
		}{
			"deactivated": {func(p *offboard.Person) { p.Active = false }, offboard.Leaver},
			"terminated":  {func(p *offboard.Person) { p.Active, p.Claims.LeaveReason = false, "termination" }, offboard.Leaver},
			"incident":    {func(p *offboard.Person) { p.Active, p.Claims.LeaveReason = false, "security_incident" }, offboard.Emergency},
		} {
			t.Run(name, func(t *testing.T) {
				o := newOffice(t, s, offboard.Revoke{})
				o.triggers = moves(t, offboard.Policy{Name: "movers", Plan: offboard.Mover, Approvals: 1, Revoke: offboard.Revoke{
					Leave: []string{"Core"}, OrganizationRole: "Member",
				}})
				o.policy.Approvals = 1
				o.department("Sales")
				f := o.until(offboard.StateWaiting, offboard.WaitApproval)
				o.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
					return offboard.Approve(f, offboard.Approval{By: "sam@example.com"})
				})
				o.until(offboard.StateWaiting, offboard.WaitTask)
				o.change("leaver", func(p offboard.Person) offboard.Person { row.leave(&p); return p })
				if row.plan == offboard.Leaver {
					f = o.until(offboard.StateWaiting, offboard.WaitApproval) // the yes to less access is no yes to a removal
					if f.Case.Policy.Name != "built-in" {
						t.Errorf("policy %s", f.Case.Policy.Name)
					}
					o.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
						return offboard.Approve(f, offboard.Approval{By: "sam@example.com"})
					})
				}
				if after := o.closed(leaver); after.Case.ID != f.Case.ID || after.Case.Outcome != offboard.OutcomeRemoved || after.Case.Plan != row.plan || o.seated() {
					o.show()
					t.Errorf("%s %s, seat %v", after.Case.Plan, after.Case.Outcome, o.seated())
				}
			})
		}
		t.Run("after the reduction a new case opens", func(t *testing.T) {
			o := newOffice(t, s, offboard.Revoke{Leave: []string{"Core"}})
			o.department("Sales")
			first := o.closed(leaver)
			o.deactivate()
			if f := o.closed(leaver); f.Case.ID == first.Case.ID || f.Case.Outcome != offboard.OutcomeRemoved || o.seated() {
				o.show()
				t.Errorf("%s, seat %v", f.Case.Outcome, o.seated())
			}
		})
	})
}

func TestSomebodyDeactivatedIsReducedWhereThePolicySaysSo(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		o := newOffice(t, s, offboard.Revoke{})
		o.triggers = nil
		o.policy = offboard.Policy{Name: "readers", Plan: offboard.Mover, Revoke: offboard.Revoke{Role: "Viewer"}}
		o.deactivate()
		if f := o.closed(leaver); f.Case.Outcome != offboard.OutcomeReduced {
			o.show()
			t.Errorf("outcome %s", f.Case.Outcome)
		}
		o.want(map[int]string{o.web: viewer, o.mobile: viewer}, o.gWeb, o.gCore)
		o.change("leaver", func(p offboard.Person) offboard.Person { p.Active = true; return p })
		o.deactivate()
		o.run(time.Hour, func() bool { return o.caseOf(leaver).Case.Waiting == offboard.WaitSettle })
		o.change("leaver", func(p offboard.Person) offboard.Person { p.Active = true; return p })
		if f := o.closed(leaver); f.Case.Outcome != offboard.OutcomeCancelled {
			o.show()
			t.Errorf("reactivated: %s", f.Case.Outcome)
		}
	})
}

func TestObserveTellsWhatAMoverWouldLose(t *testing.T) {
	t.Parallel()
	o := newOffice(t, setup{opts: func(o *runner.Options) { o.Observe = true }}, offboard.Revoke{})
	o.triggers = moves(t, offboard.Policy{Name: "movers", Plan: offboard.Mover, Revoke: offboard.Revoke{
		Projects: []int{o.web}, Leave: []string{"Core"}, Join: []string{"Readers"}, OrganizationRole: "Member",
	}})
	o.department("Sales")
	f := o.closed(leaver)
	o.want(map[int]string{o.web: manager, o.mobile: manager}, o.gWeb, o.gCore)
	for _, part := range []string{"take the member out of group Core", "take away role Manager on project", "put the member into group Readers", "task for organization role Member"} {
		if !strings.Contains(f.Case.Note, part) {
			t.Errorf("%q does not say %q", f.Case.Note, part)
		}
	}
	if f.Case.Outcome != offboard.OutcomeObserved || len(f.Effects) > 0 {
		t.Errorf("%s, %d effects", f.Case.Outcome, len(f.Effects))
	}
}
