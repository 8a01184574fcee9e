package offboard_test

import (
	"testing"
	"time"

	"offramp/internal/offboard"
)

func TestALeaveDateEndsWithItsDay(t *testing.T) {
	t.Parallel()
	vienna, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		claim string
		zone  *time.Location
		at    string // empty: it cannot be read
	}{
		{"2026-03-31", nil, "2026-04-01T00:00:00Z"},
		{" 2026-03-31 ", vienna, "2026-03-31T22:00:00Z"},
		{"2026-12-31", vienna, "2026-12-31T23:00:00Z"},
		{"2026-03-31T17:00:00+02:00", vienna, "2026-03-31T15:00:00Z"},
		{"31.3.2026", vienna, ""},
		{"2026-02-30", vienna, ""},
		{"", vienna, ""},
	} {
		at, ok := offboard.LeaveMoment(row.claim, row.zone)
		if ok != (row.at != "") || ok && at.UTC().Format(time.RFC3339) != row.at {
			t.Errorf("%q: %s, %v", row.claim, at.UTC().Format(time.RFC3339), ok)
		}
	}
}

// leavesOn is somebody with a leave date.
func leavesOn(date string) offboard.Person {
	p := entitled()
	p.Claims.LeaveDate = date
	return p
}

// scheduled is leavesOn after the date was acted upon, with the case.
func scheduled(t *testing.T, r offboard.Rules) (offboard.Person, offboard.PriorCase) {
	t.Helper()
	p := leavesOn("2026-03-31")
	v := offboard.Decide(entitled(), p, offboard.PriorCase{}, r, noon())
	if v.Open == nil || v.Decision == nil {
		t.Fatalf("got %+v", v)
	}
	p.Removal = v.Decision
	return p, offboard.PriorCase{Live: true, Reason: v.Open.Reason, Policy: v.Open.Policy, NotBefore: v.Open.NotBefore}
}

func TestACaseWaitsForTheLeaveDate(t *testing.T) {
	t.Parallel()
	r := ruled(policies(t))
	end := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	for story, was := range map[string]offboard.Person{"given later": entitled(), "created with it": {}} {
		is := leavesOn("2026-03-31")
		v := offboard.Decide(was, is, offboard.PriorCase{}, r, noon())
		if v.Open == nil {
			t.Fatalf("%s: %+v", story, v)
		}
		o := v.Open
		if o.State != offboard.StateWaiting || o.Waiting != offboard.WaitNotBefore || !o.NotBefore.Equal(end) ||
			o.Reason != offboard.ContractEnd || !o.Due.Equal(end.Add(24*time.Hour)) {
			t.Errorf("%s: %+v", story, o)
		}
		is.Removal = v.Decision
		if !offboard.Entitled(is, false, end.Add(-time.Second)) || offboard.Entitled(is, false, end) {
			t.Errorf("%s: the person is not entitled until exactly the end of the day", story)
		}
	}
}

func TestWhatComesBeforeOrInsteadOfTheLeaveDate(t *testing.T) {
	t.Parallel()
	r := ruled(policies(t))
	was, prior := scheduled(t, r)
	day := func(d int) time.Time { return time.Date(2026, 4, d, 0, 0, 0, 0, time.UTC) }
	change := func(f func(*offboard.Person)) offboard.Person {
		is := was
		f(&is)
		return is
	}
	ended := func(f func(*offboard.Person)) offboard.Verdict {
		return offboard.Decide(was, change(f), prior, r, noon())
	}
	if v := ended(func(p *offboard.Person) { p.Title = "Lead" }); v.Open != nil || v.Join != nil || v.Move != nil || v.Poke || v.Decision != nil {
		t.Errorf("a new title: %+v", v)
	}
	if v := ended(func(p *offboard.Person) { p.Claims.LeaveDate = "2026-04-14" }); v.Move == nil || !v.Move.NotBefore.Equal(day(15)) ||
		v.Decision == nil || !v.Decision.From.Equal(day(15)) || v.Trace == "" {
		t.Errorf("a later date: %+v", v)
	}
	if v := ended(func(p *offboard.Person) { p.Claims.LeaveDate = "" }); !v.Lapsed || !v.Poke || v.Decision != nil || v.Trace == "" {
		t.Errorf("no date any more: %+v", v)
	}
	if v := ended(func(p *offboard.Person) { p.Claims.LeaveDate = "soon" }); v.Lapsed || v.Move != nil || len(v.Failed) != 1 {
		t.Errorf("a date that cannot be read: %+v", v)
	}
	if v := ended(func(p *offboard.Person) { p.Claims.LeaveDate = "2026-03-01" }); v.Join == nil || v.Join.NotBefore.After(noon().Add(time.Hour)) || v.Decision == nil {
		t.Errorf("a date that has passed: %+v", v)
	}
	if v := ended(func(p *offboard.Person) { p.Active = false }); v.Join == nil || v.Join.Reason != offboard.ContractEnd ||
		!v.Join.NotBefore.Equal(noon().Add(2*time.Minute)) {
		t.Errorf("a deactivation before the date: %+v", v)
	}

	gone := change(func(p *offboard.Person) { p.Active = false })
	at := noon().Add(time.Minute)
	running := prior
	running.NotBefore = at
	if v := offboard.Decide(gone, was, running, r, at); v.Move == nil || !v.Move.NotBefore.Equal(day(1)) {
		t.Errorf("reactivated, the date stands: %+v", v)
	}
	running.Began = true
	if v := offboard.Decide(was, change(func(p *offboard.Person) { p.Claims.LeaveDate = "2026-04-14" }), running, r, day(1)); v.Move != nil || v.Open != nil {
		t.Errorf("a later date after the removal began: %+v", v)
	}

	dismissed := was
	dismissed.Removal = nil
	retitled := dismissed
	retitled.Title = "Lead"
	over := offboard.PriorCase{Outcome: offboard.OutcomeCancelled}
	if v := offboard.Decide(dismissed, retitled, over, r, noon()); v.Open != nil || v.Decision != nil {
		t.Errorf("an operator cancelled the case, and it came back: %+v", v)
	}
	if v := offboard.Decide(dismissed, retitled, over, r, day(2)); v.Open != nil || v.Decision != nil {
		t.Errorf("the same, after the date: %+v", v)
	}
}

func TestAPassedLeaveDate(t *testing.T) {
	t.Parallel()
	r := ruled(policies(t))
	v := offboard.Decide(entitled(), leavesOn("2026-02-28"), offboard.PriorCase{}, r, noon())
	if v.Open == nil || v.Decision == nil || v.Open.Waiting != offboard.WaitSettle {
		t.Errorf("given late: %+v", v)
	}
	v = offboard.Decide(offboard.Person{}, leavesOn("2026-02-28"), offboard.PriorCase{}, r, noon())
	if v.Open != nil || v.Decision == nil || !v.Decision.Stands(noon()) {
		t.Errorf("created after it: no case, but no seat either: %+v", v)
	}
}

func TestAPolicyMayWaitForTheLeaveDate(t *testing.T) {
	t.Parallel()
	patient := under("patient", "")
	patient.Policy.AtLeave = true
	r := ruled(policies(t, patient))
	gone := func(date string) offboard.Person {
		p := leavesOn(date)
		p.Active = false
		return p
	}
	end := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	v := offboard.Decide(leavesOn(""), gone("2026-03-31"), offboard.PriorCase{}, r, noon())
	if v.Open == nil || !v.Open.NotBefore.Equal(end) || v.Open.Waiting != offboard.WaitNotBefore {
		t.Fatalf("got %+v", v.Open)
	}
	prior := offboard.PriorCase{Live: true, Reason: v.Open.Reason, Policy: v.Open.Policy, NotBefore: v.Open.NotBefore}
	if v := offboard.Decide(gone("2026-03-31"), gone("2026-04-30"), prior, r, noon()); v.Move == nil || v.Move.NotBefore.Month() != time.May {
		t.Errorf("the date moved: %+v", v)
	}
	if v := offboard.Decide(gone("2026-03-31"), gone(""), prior, r, noon()); v.Move == nil || v.Move.NotBefore.After(noon().Add(time.Hour)) {
		t.Errorf("the date was taken back: %+v", v)
	}
	v = offboard.Decide(leavesOn(""), gone(""), offboard.PriorCase{}, r, noon())
	if v.Open == nil || v.Open.Note == "" || v.Open.NotBefore.After(noon().Add(time.Hour)) {
		t.Errorf("without a date: %+v", v.Open)
	}
}

func TestAnIncidentIsNotPutOff(t *testing.T) {
	t.Parallel()
	r := ruled(policies(t))
	r.TrustIncidents = true
	is := leavesOn("2026-03-31")
	is.Claims.LeaveReason = "security_incident"
	v := offboard.Decide(entitled(), is, offboard.PriorCase{}, r, noon())
	if v.Open == nil || v.Open.Plan == offboard.Emergency || v.Open.Note == "" {
		t.Errorf("an incident in the future is a contradiction that a person has to look at: %+v", v.Open)
	}
	was, prior := scheduled(t, r)
	_, now, err := offboard.OpenBy(was, prior, offboard.Order{Reason: offboard.Manual, By: "sam"}, r, noon())
	if err != nil || now.Join == nil {
		t.Errorf("an operator cannot bring the case forward: %v", err)
	}
	f := offboard.File{Person: was, Case: offboard.Case{State: offboard.StateWaiting, Waiting: offboard.WaitNotBefore, NotBefore: prior.NotBefore}}
	if _, err := offboard.Expedite(f, "sam", "", noon()); err == nil {
		t.Error("a case was begun while the person is entitled; it would be cancelled at once")
	}
}

// A proposal takes nothing from anybody until a person releases it, and nothing
// is left of it when the identity provider lets the person go first.
func TestAProposalDoesNotStandAndGivesWayToADeparture(t *testing.T) {
	t.Parallel()
	r := ruled(policies(t))
	sole := offboard.SoleAccess{Organization: "acme", Project: 2001}
	is := entitled()
	d, v, err := sole.Propose(is, offboard.PriorCase{}, offboard.Order{Reason: offboard.ProjectSunset, By: "sam"}, r, noon())
	if err != nil || v.Open == nil {
		t.Fatal(v, err)
	}
	is.Removal = d
	if !offboard.Entitled(is, false, noon()) {
		t.Errorf("not entitled by a mere proposal: %+v", d)
	}
	gone := is
	gone.Active = false
	prior := offboard.PriorCase{Live: true, Plan: v.Open.Plan, Reason: offboard.ProjectSunset, Policy: v.Open.Policy, Batched: true}
	if v := offboard.Decide(is, gone, prior, r, noon()); v.Join == nil || v.Join.Reason != offboard.Deactivated || !v.Lapsed {
		t.Errorf("deactivated meanwhile: %+v", v)
	}
	is.Removal = offboard.Released(is)
	if offboard.Entitled(is, false, noon()) || is.Removal.Project != 2001 || !d.Proposed {
		t.Errorf("released: %+v", is.Removal)
	}
	f := offboard.GuardFacts{
		File: offboard.File{Person: is, Case: offboard.Case{Reason: offboard.ProjectSunset, Plan: offboard.Leaver, State: offboard.StateRunning}},
		Step: offboard.StepContain, Elsewhere: "access to project 2002", Now: noon(),
	}
	if p := offboard.Guard(f); p.Allowed || p.State != offboard.StateNeedsAttention {
		t.Errorf("with other access by now: %+v", p)
	}
}
