package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store"
)

// triggered are rules with one policy that opens cases by a trigger.
func triggered(t *testing.T, trigger string) offboard.Rules {
	t.Helper()
	ps, problems := offboard.NewPolicies([]offboard.Conditional{
		{Trigger: trigger, Policy: offboard.Policy{Name: "mover", Plan: offboard.Leaver, Approvals: 1}},
	}, offboard.Fallback())
	for _, p := range problems {
		t.Fatal(p.Err)
	}
	r := rules()
	r.Policy, r.Triggers = ps.For, ps
	return r
}

// only returns the one case, with all that belongs to it.
func only(t *testing.T, s *store.Store) offboard.File {
	t.Helper()
	list := cases(t, s)
	if len(list) != 1 {
		t.Fatalf("%d cases", len(list))
	}
	f, err := s.Case(t.Context(), list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// told is the text of a case's timeline.
func told(t *testing.T, s *store.Store, id string) string {
	t.Helper()
	entries, err := s.Timeline(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintln(&b, e.Text)
	}
	return b.String()
}

func leaveOn(date string) func(*offboard.Person) {
	return func(p *offboard.Person) { p.Claims.LeaveDate = date }
}

func TestACaseWaitsForALeaveDateMovesWithItAndIsNotCancelledBefore(t *testing.T) {
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, c := d.open(t)
			r := triggered(t, `false`)
			p := hire(t, s, "jo")
			team(t, s, "Amplitude", p.ID)
			change(t, s, p.ID, r, leaveOn("2026-03-31"))
			f := only(t, s)
			if f.Case.State != offboard.StateWaiting || f.Case.Waiting != offboard.WaitNotBefore || f.Standing.Entitled {
				t.Fatalf("%+v, %+v", f.Case, f.Standing)
			}
			st, err := s.Stats(t.Context())
			if err != nil || len(st.Cases) != 1 || !st.Cases[0].Oldest.Equal(f.Case.NotBefore) {
				t.Errorf("the age of the case does not begin with its date: %+v, %v", st.Cases, err)
			}
			if n, err := s.Due(t.Context(), 10, 10); err != nil || n != 0 {
				t.Errorf("%d cases are due before the date: %v", n, err)
			}

			change(t, s, p.ID, r, leaveOn("2026-04-14"))
			f = only(t, s)
			if want := time.Date(2026, 4, 15, 0, 0, 0, 0, time.UTC); !f.Case.NotBefore.Equal(want) || !f.Person.Removal.From.Equal(want) {
				t.Errorf("not moved: %s, %+v", f.Case.NotBefore, f.Person.Removal)
			}
			if !strings.Contains(told(t, s, f.Case.ID), "begins at 2026-04-15T00:00:00Z") {
				t.Error(told(t, s, f.Case.ID))
			}
			c.pass(44 * 24 * time.Hour)
			if n, err := s.Due(t.Context(), 10, 10); err != nil || n != 1 {
				t.Errorf("%d cases are due at the date: %v", n, err)
			}

			change(t, s, p.ID, r, leaveOn(""))
			if f = only(t, s); !f.Standing.Entitled || f.Person.Removal != nil {
				t.Errorf("the date was taken back, and the person is not entitled: %+v", f.Person.Removal)
			}
		})
	}
}

func TestALeaveDateGivenAtCreationIsKept(t *testing.T) {
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			n := newcomer(okta, "id-jo", "jo@example.com")
			create := n.Change
			n.Change = func(was offboard.Person) (offboard.Person, error) {
				p, err := create(was)
				p.Claims.LeaveDate = "2026-03-31"
				return p, err
			}
			for range 2 { // the second is a repeated attempt
				if _, err := s.ChangePerson(t.Context(), n); err != nil {
					t.Fatal(err)
				}
			}
			if f := only(t, s); f.Case.Waiting != offboard.WaitNotBefore {
				t.Errorf("got %+v", f.Case)
			}
			change(t, s, "id-jo", rules(), deactivate)
			f := only(t, s)
			if f.Case.NotBefore.After(f.Case.Opened.Add(time.Hour)) || f.Case.State != offboard.StateRunning {
				t.Errorf("deactivated before the date, the case still waits: %+v", f.Case)
			}
		})
	}
}

func TestATriggerRecordsADecisionAndTakesItBack(t *testing.T) {
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			r := triggered(t, `was.department == "Analytics" && person.department != "Analytics"`)
			p := hire(t, s, "jo")
			team(t, s, "Amplitude", p.ID)
			department := func(name string) { change(t, s, p.ID, r, func(p *offboard.Person) { p.Department = name }) }
			department("Analytics")
			department("Sales")
			f := only(t, s)
			if f.Standing.Entitled || f.Case.Reason != offboard.RoleChange || f.Case.Policy.Name != "mover" {
				t.Fatalf("%+v, %+v", f.Case, f.Standing)
			}
			if text := told(t, s, f.Case.ID); !strings.Contains(text, "policy mover (version "+f.Case.Policy.Version+"), because its trigger became true") {
				t.Error(text)
			}
			department("Finance")
			if f = only(t, s); f.Standing.Entitled {
				t.Error("a third department made them entitled again")
			}
			department("Analytics")
			if f = only(t, s); !f.Standing.Entitled || f.Person.Removal != nil {
				t.Errorf("back, and not entitled: %+v", f.Person.Removal)
			}
		})
	}
}

func TestATriggerMayLookAtGroups(t *testing.T) {
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			r := triggered(t, `"Interns" in person.groups`)
			p := hire(t, s, "jo")
			var others []string
			for i := range 21 {
				others = append(others, hire(t, s, fmt.Sprintf("many%d", i)).ID)
			}
			team(t, s, "Amplitude", append(others, p.ID)...)
			g := team(t, s, "Interns")
			regroup := func(changes ...offboard.MemberChange) {
				t.Helper()
				access := withAccess()
				r.AccessConfigured = true
				access.Rules = r
				if _, _, err := s.ChangeGroup(t.Context(), offboard.GroupChange{Connection: okta, ID: g.ID, Members: changes, Access: access}); err != nil {
					t.Fatal(err)
				}
			}
			regroup(add(p.ID))
			f := only(t, s)
			if f.Standing.Entitled || f.Case.Batch != "" {
				t.Fatalf("%+v, %+v", f.Case, f.Standing)
			}
			regroup(remove(p.ID))
			if f = only(t, s); !f.Standing.Entitled {
				t.Error("out of the group again, and not entitled")
			}
			regroup(add(others...))
			held := 0
			for _, k := range cases(t, s) {
				if k.State == offboard.StateHeld && k.Batch != "" {
					held++
				}
			}
			if held != len(others) {
				t.Errorf("%d of %d cases of a mass change are held", held, len(others))
			}
		})
	}
}

func TestAPolicyThatFailsIsToldOnceItsCaseIsDurable(t *testing.T) {
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			var failed []offboard.PolicyFailure
			o := d.options(t)
			o.PolicyFailed = func(f offboard.PolicyFailure) { failed = append(failed, f) }
			s := open(t, o)
			ps, problems := offboard.NewPolicies([]offboard.Conditional{
				{When: `int(person.title) > 0`, Policy: offboard.Policy{Name: "broken", Plan: offboard.Leaver}},
			}, offboard.Fallback())
			if len(problems) > 0 {
				t.Fatal(problems[0].Err)
			}
			r := rules()
			r.Policy = ps.For
			p := hire(t, s, "jo")
			change(t, s, p.ID, r, deactivate)
			f := only(t, s)
			want := offboard.PolicyFailure{Policy: "broken", Person: p.ID, Case: f.Case.ID}
			if len(failed) != 1 || failed[0] != want {
				t.Errorf("told %+v", failed)
			}
			if text := told(t, s, f.Case.ID); !strings.Contains(text, "policy built-in") || !strings.Contains(text, "the condition of broken failed") {
				t.Error(text)
			}
		})
	}
}
