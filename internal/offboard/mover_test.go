package offboard_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"offramp/internal/offboard"
)

// held is what somebody holds in one organization.
func held() []offboard.Holdings {
	return []offboard.Holdings{{
		Organization: "acme",
		Groups: []offboard.Membership{
			{ID: "1", Name: "Web", Member: true}, {ID: "2", Name: "Readers"}, {ID: "3", Name: "Core", Member: true},
		},
		Direct: []offboard.RoleHeld{
			{Assignment: "a", Project: 2001, Role: "r3"}, {Assignment: "b", Project: 2002, Role: "r1"}, {Assignment: "c", Project: 2003, Role: "rx"},
		},
		Roles: map[string]string{"r1": "Viewer", "r2": "Member", "r3": "Manager", "rx": "Steward"},
	}}
}

func TestAReductionTakesWhatThePolicySaysAndRaisesNothing(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		story   string
		revoke  offboard.Revoke
		want    string // sentences
		problem string
	}{
		{"one project", offboard.Revoke{Projects: []int{2001}}, "take away role Manager on project 2001 in acme", ""},
		{"every project", offboard.Revoke{All: true}, "take away role Manager on project 2001 in acme|take away role Viewer on project 2002 in acme|" +
			"take away role Steward on project 2003 in acme", ""},
		{
			"a lower role everywhere, of which one has less and one is not known to have",
			offboard.Revoke{Role: "member"},
			"change role Manager on project 2001 in acme to Member|change role Steward on project 2003 in acme to Member", "",
		},
		{"a lower role on one project", offboard.Revoke{Role: "Viewer", Projects: []int{2002}}, "", ""},
		{
			"groups, taken before others are given",
			offboard.Revoke{Leave: []string{"WEB"}, Join: []string{"readers", "core"}},
			"take the member out of group Web in acme|put the member into group Readers in acme", "",
		},
		{"a group that they are not in", offboard.Revoke{Leave: []string{"Readers"}}, "", ""},
		{"a group that does not exist", offboard.Revoke{Leave: []string{"Wbe"}}, "", "no organization has a permission group Wbe"},
		{"a role that does not exist", offboard.Revoke{Role: "Reader"}, "", "organization acme has no role Reader"},
		{"the organization role is a person's", offboard.Revoke{OrganizationRole: "Member"}, "", ""},
	} {
		list, problems := row.revoke.Reductions(held())
		var got []string
		for _, d := range list {
			got = append(got, d.Sentence())
		}
		if strings.Join(got, "|") != row.want || strings.Join(problems, "|") != row.problem {
			t.Errorf("%s: %q, %q", row.story, got, problems)
		}
	}
}

// moving is a policy for those who leave Analytics and stay, another for those who go to Growth.
func moving(t *testing.T, atLeave bool) offboard.Rules {
	t.Helper()
	revoke := offboard.Revoke{Leave: []string{"Web"}}
	return ruled(policies(t,
		offboard.Conditional{Trigger: `was.department == "Analytics" && person.department == "Growth"`, Policy: offboard.Policy{
			Name: "growth", Plan: offboard.Mover, Revoke: revoke,
		}},
		offboard.Conditional{Trigger: `was.department != "Intern" && person.department == "Intern"`, Policy: offboard.Policy{Name: "interns", Plan: offboard.Leaver}},
		offboard.Conditional{Trigger: `was.department == "Analytics" && person.department != "Analytics"`, Policy: offboard.Policy{
			Name: "movers", Plan: offboard.Mover, Revoke: revoke, AtLeave: atLeave,
		}},
		offboard.Conditional{When: `event.reason == "role_change"`, Policy: offboard.Policy{Name: "readers", Plan: offboard.Mover, Revoke: revoke}},
	))
}

// to is somebody in a department.
func to(department string) offboard.Person {
	p := entitled()
	p.Department = department
	return p
}

// moved is somebody whose move was acted upon, with the case.
func moved(t *testing.T, r offboard.Rules) (offboard.Person, offboard.PriorCase) {
	t.Helper()
	is := to("Sales")
	v := offboard.Decide(to("Analytics"), is, offboard.PriorCase{}, r, noon())
	if v.Open == nil || v.Open.Plan != offboard.Mover || !v.Decision.Keeping() || v.Decision.Policy != "movers" {
		t.Fatalf("got %+v", v)
	}
	is.Removal = v.Decision
	if !offboard.Entitled(is, false, noon()) || offboard.Spared(offboard.Mover, is, true) || !offboard.Spared(offboard.Leaver, is, true) {
		t.Fatal("a mover stays entitled, and is not spared the reduction")
	}
	return is, offboard.PriorCase{Live: true, Plan: offboard.Mover, Reason: v.Open.Reason, Policy: v.Open.Policy, NotBefore: v.Open.NotBefore}
}

func TestWhatFollowsAMove(t *testing.T) {
	t.Parallel()
	r := moving(t, false)
	was, prior := moved(t, r)
	after := func(prior offboard.PriorCase, change func(*offboard.Person)) offboard.Verdict {
		is := was
		change(&is)
		return offboard.Decide(was, is, prior, r, noon())
	}
	over := offboard.PriorCase{Outcome: offboard.OutcomeReduced}
	if v := after(prior, func(p *offboard.Person) { p.Department = "Analytics" }); !v.Lapsed || !v.Poke || v.Join != nil {
		t.Errorf("back: %+v", v)
	}
	if v := after(over, func(p *offboard.Person) { p.Department = "Analytics" }); !v.Lapsed || v.Open != nil {
		t.Errorf("back after the case ended: %+v", v)
	}
	if v := after(prior, func(p *offboard.Person) { p.Title = "Lead" }); v.Lapsed || v.Poke || v.Open != nil {
		t.Errorf("other news: %+v", v)
	}
	if v := after(prior, func(p *offboard.Person) { p.Active = false }); v.Join == nil || v.Join.Plan != offboard.Leaver || v.Open != nil {
		t.Errorf("deactivated, though that is not more urgent: %+v", v)
	}
	if v := after(over, func(p *offboard.Person) { p.Active = false }); v.Open == nil || v.Open.Plan != offboard.Leaver || !v.Lapsed {
		t.Errorf("deactivated after the case ended: %+v", v)
	}
	if v := after(prior, func(p *offboard.Person) { p.Department = "Intern" }); v.Join == nil || v.Join.Policy.Name != "interns" || v.Decision.Keeping() {
		t.Errorf("moved on to where nobody has a seat: %+v", v)
	}
	if v := after(prior, func(p *offboard.Person) { p.Claims.LeaveDate = "2026-03-31" }); v.Join == nil || v.Join.Plan != offboard.Leaver ||
		!v.Decision.LeaveDate || !v.Join.NotBefore.Equal(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("a leave date: %+v", v)
	}
	if v := after(over, func(p *offboard.Person) { p.Claims.LeaveDate = "2026-03-31" }); v.Open == nil || !v.Decision.LeaveDate {
		t.Errorf("a leave date after the case ended: %+v", v)
	}
	if v := offboard.Decide(to("Analytics"), to("Growth"), offboard.PriorCase{Live: true, Plan: offboard.Leaver, Reason: offboard.Manual}, r, noon()); v.Join != nil ||
		v.Decision != nil || !strings.Contains(v.Trace, "does not take the place of a removal") {
		t.Errorf("a move of somebody who is being removed: %+v", v)
	}
}

func TestTheDateOfAMoveMovesItsCaseUntilItBegins(t *testing.T) {
	t.Parallel()
	r := moving(t, true)
	was, prior := moved(t, r)
	is := was
	is.Claims.LeaveDate = "2026-03-10"
	if v := offboard.Decide(was, is, prior, r, noon()); v.Move == nil || !v.Move.NotBefore.Equal(time.Date(2026, 3, 11, 0, 0, 0, 0, time.UTC)) || v.Decision != nil {
		t.Errorf("the date was changed: %+v", v)
	}
	prior.Revoking = true
	if v := offboard.Decide(was, is, prior, r, noon()); v.Move != nil {
		t.Errorf("the date was changed after it began: %+v", v)
	}
}

func TestAnOperatorChoosesAPolicyByItsName(t *testing.T) {
	t.Parallel()
	r := moving(t, false)
	open := func(prior offboard.PriorCase, reason offboard.Reason, policy string) (*offboard.Decision, offboard.Verdict, error) {
		return offboard.OpenBy(entitled(), prior, offboard.Order{Reason: reason, By: "kim", Policy: policy, Why: "HR-7"}, r, noon())
	}
	d, v, err := open(offboard.PriorCase{}, offboard.Manual, "growth")
	if err != nil || !d.Keeping() || v.Open.Policy.Name != "growth" || v.Open.Policy.Why != "kim chose it" || !strings.HasSuffix(v.Open.Trigger, ": HR-7") {
		t.Errorf("by name: %+v %+v %v", d, v.Open, err)
	}
	if d, v, err = open(offboard.PriorCase{}, offboard.RoleChange, ""); err != nil || !d.Keeping() || v.Open.Policy.Name != "readers" {
		t.Errorf("by its condition: %+v %+v %v", d, v.Open, err)
	}
	if d, v, err = open(offboard.PriorCase{}, offboard.SecurityIncident, "growth"); err != nil || d.Keeping() || v.Open.Plan != offboard.Emergency {
		t.Errorf("an incident removes: %+v %+v %v", d, v.Open, err)
	}
	if _, _, err = open(offboard.PriorCase{}, offboard.Manual, "grwth"); err == nil || !strings.Contains(err.Error(), "there are: growth, interns, movers, readers") {
		t.Errorf("a name that is none: %v", err)
	}
	live := offboard.PriorCase{Live: true, Plan: offboard.Leaver, Reason: offboard.Deactivated}
	if _, _, err = open(live, offboard.Termination, "growth"); err == nil || !strings.Contains(err.Error(), "does not take its place") {
		t.Errorf("a reduction in place of a removal: %v", err)
	}
	live.Plan, live.Reason = offboard.Mover, offboard.RoleChange
	if d, v, err = open(live, offboard.Manual, "interns"); err != nil || v.Join == nil || d.Keeping() {
		t.Errorf("a removal in place of a reduction: %+v %v", v, err)
	}
}

func TestStepsOfARemovalBeginAfreshAfterAReduction(t *testing.T) {
	t.Parallel()
	var steps []offboard.Step
	for i, n := range offboard.Steps(offboard.Mover) {
		s := offboard.Step{Seq: i + 1, Name: n, State: offboard.StepDone}
		switch n { //nolint:exhaustive // the others are done
		case offboard.StepVerify:
			s.State = offboard.StepWaiting
		case offboard.StepArchive:
			s.State = offboard.StepPending
		}
		steps = append(steps, s)
	}
	again := offboard.Rewrite(steps, offboard.Leaver)
	var pending []offboard.StepName
	for _, s := range again {
		if s.State == offboard.StepPending {
			pending = append(pending, s.Name)
		}
	}
	if !slices.Equal(pending, offboard.Steps(offboard.Leaver)) {
		t.Errorf("to do: %v", pending)
	}
}

func TestWhoIsOnlyOnOneProject(t *testing.T) {
	t.Parallel()
	got := offboard.OnlyOn(1, map[int][]string{
		1: {"Jo@example.com", "kim@example.com", "jo@example.com"}, 2: {"KIM@example.com", "sam@example.com"}, 3: nil,
	})
	if !slices.Equal(got, []string{"jo@example.com"}) {
		t.Errorf("got %v", got)
	}
}

func TestNobodyIsToldThatAMoverIsRemoved(t *testing.T) {
	t.Parallel()
	f := leaving(func(f *offboard.File) {
		f.Case.Plan = offboard.Mover
		f.Case.Policy.Revoke = offboard.Revoke{Role: "Viewer"}
		f.Case.Policy.FollowUp = []offboard.FollowUp{{Title: "Roster"}}
	})
	a := offboard.Audience{Manager: "kim@example.com", Mail: true}
	texts := []string{offboard.FollowUps(f, noon())[0].Text}
	for _, m := range offboard.TellClosing(f, a, "") {
		texts = append(texts, m.Subject, m.Text)
	}
	for _, text := range texts {
		if strings.Contains(text, "removed") || strings.Contains(text, "no seat") {
			t.Errorf("%q", text)
		}
	}
	if len(texts) < 3 || !strings.Contains(texts[2], "no more than direct role Viewer") {
		t.Errorf("%q", texts)
	}
}

func TestWhoMovedWhileNothingWasChangedIsReducedAfterwards(t *testing.T) {
	t.Parallel()
	r := moving(t, false)
	is, _ := moved(t, r)
	if o, ok := offboard.AfterObserving(is, offboard.RoleChange, r, noon()); !ok || o.Plan != offboard.Mover || o.Policy.Name != "movers" {
		t.Errorf("moved: %v %+v", ok, o)
	}
	is.Removal = nil
	if o, ok := offboard.AfterObserving(is, offboard.RoleChange, r, noon()); ok {
		t.Errorf("went back: %+v", o)
	}
}
