package runner_test

import (
	"strings"
	"testing"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

const other = "other@example.com"

// soleAdmin is a world in which the leaver, through a group, is the only admin
// of a project, and other@example.com is known to the identity provider.
func soleAdmin(t *testing.T, s setup) (*world, int) {
	t.Helper()
	s.client = func(_ *world, o *amplitude.Options) { o.Transport = quiet{o.Transport} }
	s.opts = func(o *runner.Options) {
		o.Audience, o.Approvers = everybody(), listed("lead@example.com")
	}
	w := newWorld(t, s)
	project := w.fake.Credentials().Projects[0].ID
	w.person("leaver", leaver)
	w.directoryOnly("other", other)
	_, err := w.fake.AddGroup(amplitudefake.Group{Name: "Web admins", Members: []string{leaver}, Projects: map[int]string{project: amplitudefake.RoleAdmin}})
	if err != nil {
		t.Fatal(err)
	}
	return w, project
}

// named answers the question for another admin.
func (w *world) named(address string) {
	w.t.Helper()
	f := w.caseOf(leaver)
	w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
		return offboard.CompleteTask(f, f.Task(offboard.ReplacementKey).ID, offboard.TaskAnswer{By: "lead@example.com", Successor: address}, w.clock.now())
	})
}

// asks reports whether the question for another admin is open, and says a text.
func (w *world) asks(text string) func() bool {
	return func() bool {
		t := w.caseOf(leaver).Task(offboard.ReplacementKey)
		return t != nil && t.State == offboard.TaskOpen && strings.Contains(t.Text, text)
	}
}

func TestWhomAPersonNamesAdministersTheProjectInPlaceOfTheLeaver(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w, project := soleAdmin(t, s)
		w.deactivate()
		f := w.until(offboard.StateWaiting, offboard.WaitTask)
		task := f.Task(offboard.ReplacementKey)
		if task == nil || task.Kind != offboard.TaskAdmin || task.Assignee != "lead@example.com" || !strings.Contains(task.Text, "only admin of project") || task.Link == "" {
			w.show()
			t.Fatalf("task %+v", task)
		}
		w.expect(f.Case.ID, "lead@example.com: Name another admin before Person leaver leaves")
		w.named(other)
		if f = w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved || !w.says(f.Case.ID, "to give other@example.com the role Admin") {
			w.show()
			t.Errorf("outcome %s", f.Case.Outcome)
		}
		if role := w.fake.PersonState(other).Members[0].Projects[project]; role != amplitudefake.RoleAdmin {
			t.Errorf("the one who was named has role %q", role)
		}
	})
}

func TestWhoCannotAdministerIsNotTakenForAReplacement(t *testing.T) {
	t.Parallel()
	for says, who := range map[string]func(*world) string{
		"is not known to the identity provider": func(*world) string { return "root@example.com" },
		"is not active": func(w *world) string {
			w.change("other", func(p offboard.Person) offboard.Person { p.Active = false; return p })
			w.run(time.Hour, func() bool { return w.removals() == 1 })
			return other
		},
		"has no joined seat in Amplitude": func(w *world) string {
			w.directoryOnly("invited", "invited@example.com")
			if err := w.fake.AddMember(amplitudefake.Member{Email: "invited@example.com", Role: amplitudefake.RoleMember, Status: "pending"}); err != nil {
				w.t.Fatal(err)
			}
			return "invited@example.com"
		},
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			w, _ := soleAdmin(t, setup{})
			w.deactivate()
			w.until(offboard.StateWaiting, offboard.WaitTask)
			w.named(who(w))
			w.run(time.Hour, w.asks(says))
			if !w.seated() {
				w.show()
				t.Error("removed although nobody replaces them")
			}
		})
	}
}

// TestAnotherAdminOfTheOrganizationIsMadeByAPerson names somebody, who is made an
// admin only after the case has asked again.
func TestAnotherAdminOfTheOrganizationIsMadeByAPerson(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := onlyAdmin(t, s)
		w.directoryOnly("other", other)
		w.deactivate()
		w.until(offboard.StateWaiting, offboard.WaitTask)
		w.named(other)
		w.run(time.Hour, w.asks("other@example.com, whom lead@example.com named, does not administer it yet"))
		if !w.seated() || len(w.fake.PersonState(other).Members[0].Projects) > 0 {
			w.show()
			t.Fatal("removed, or a role on projects was given for one in the organization")
		}
		w.human(amplitudefake.Action{Do: "change_role", Email: other, Role: amplitudefake.RoleAdmin})
		w.run(time.Hour, func() bool { return !w.seated() })
		if task := w.caseOf(leaver).Task(offboard.ReplacementKey); task.State != offboard.TaskDropped {
			t.Errorf("the question is %s after it was answered in Amplitude", task.State)
		}
	})
}

func TestAnIncidentGoesOnWhenSomebodyNamesAnotherAdmin(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := onlyAdmin(t, s)
		w.directoryOnly("other", other)
		w.change("leaver", func(p offboard.Person) offboard.Person {
			p.Claims.LeaveReason, p.Active = "security_incident", false
			return p
		})
		w.until(offboard.StateNeedsAttention, offboard.WaitNothing)
		w.human(amplitudefake.Action{Do: "change_role", Email: other, Role: amplitudefake.RoleAdmin})
		w.clock.move(2 * time.Hour)
		w.named(other)
		w.run(time.Hour, func() bool { return !w.seated() })
	})
}

func TestADeclinedQuestionForAnotherAdminIsAskedAgainByARetry(t *testing.T) {
	t.Parallel()
	w, _ := soleAdmin(t, setup{})
	w.deactivate()
	f := w.until(offboard.StateWaiting, offboard.WaitTask)
	w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
		return offboard.DeclineTask(f, f.Task(offboard.ReplacementKey).ID, "lead@example.com", "not my project", w.clock.now())
	})
	w.run(time.Hour, func() bool {
		return strings.Contains(w.caseOf(leaver).Case.Note, "declined to name one: not my project")
	})
	w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Retry(f, "sam@example.com", "") })
	w.run(time.Hour, w.asks("only admin"))
}
