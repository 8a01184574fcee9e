package runner_test

import (
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
	"offramp/transfer"
)

// two lets Jo and Lee leave, who knew the same Slack connection, and waits until
// both cases wait for its one task.
func (v *vault) two() {
	v.t.Helper()
	v.known = []runner.Credential{v.credential("slack", transfer.CredentialSlack, "slack")}
	v.person("leaver", leaver)
	v.person("lee", "lee@example.com")
	v.deactivate()
	v.change("lee", func(p offboard.Person) offboard.Person { p.Active = false; return p })
	v.run(time.Hour, func() bool {
		return v.caseOf(leaver).Case.Waiting == offboard.WaitTask && v.caseOf("lee@example.com").Case.Waiting == offboard.WaitTask
	})
}

func TestATaskOutlivesTheCaseInWhichItWasOpened(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		v := newVault(t, s)
		v.two()
		first := v.only("slack").Tasks[0]
		owner, other := leaver, "lee@example.com"
		if v.caseOf(owner).Case.ID != first.CaseID {
			owner, other = other, owner
		}
		if left := v.caseOf(other); len(left.Tasks) != 1 || left.Tasks[0].ID != first.ID {
			t.Errorf("the other case shows %+v", left.Tasks)
		}
		v.decide(first.CaseID, func(f offboard.File) (offboard.Update, error) { return offboard.Cancel(f, "kim", "a mistake") })
		v.run(time.Hour, func() bool {
			tasks := v.only("slack").Tasks
			return !v.caseOf(owner).Case.State.Live() && len(tasks) == 1 && tasks[0].CaseID == v.caseOf(other).Case.ID
		})
		v.attest(v.only("slack"), "kim@example.com")
		if f := v.closed(other); f.Case.Outcome != offboard.OutcomeRemoved {
			t.Errorf("outcome %s", f.Case.Outcome)
		}
	})
}

func TestARotationThatNobodyNeedsAnyMoreIsDropped(t *testing.T) {
	t.Parallel()
	v := newVault(t, setup{})
	v.two()
	for _, who := range []string{leaver, "lee@example.com"} {
		v.decide(v.caseOf(who).Case.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Cancel(f, "kim", "a mistake") })
	}
	v.run(time.Hour, func() bool { return v.only("slack").Rotation.State == offboard.RotationDropped })
	if task := v.only("slack").Tasks[0]; task.State != offboard.TaskDropped {
		t.Errorf("the task is %s", task.State)
	}
	v.deactivateAgain()
	v.run(2*time.Hour, func() bool { return len(v.all()) == 2 }) // the next leaver gets one of their own
}

func (v *vault) deactivateAgain() {
	v.t.Helper()
	v.change("leaver", func(p offboard.Person) offboard.Person { p.Active = true; return p })
	v.clock.move(time.Hour)
	v.deactivate()
}

func TestWhoKnewTheOldOneDoesNotAttestTheNew(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		v := newVault(t, s)
		v.two()
		task := v.only("slack").Tasks[0]
		by := "lee@example.com"
		if v.caseOf(by).Case.ID == task.CaseID {
			by = leaver
		}
		v.decide(task.CaseID, func(f offboard.File) (offboard.Update, error) {
			return offboard.CompleteTask(f, task.ID, offboard.TaskAnswer{By: by}, v.clock.now())
		})
		v.rotations()
		r := v.only("slack")
		if r.Rotation.State != offboard.RotationOpen || r.Tasks[0].State != offboard.TaskOpen {
			t.Fatalf("%+v, task %s", r.Rotation, r.Tasks[0].State)
		}
		v.mustSay(task.CaseID, "is a leaver of this rotation: their word that slack is replaced does not count")
	})
}

func TestADeclinedReplacementStopsOneCaseAndCanBeAskedAgain(t *testing.T) {
	t.Parallel()
	v := newVault(t, setup{})
	v.two()
	task := v.only("slack").Tasks[0]
	v.decide(task.CaseID, func(f offboard.File) (offboard.Update, error) {
		return offboard.DeclineTask(f, task.ID, "kim@example.com", "not my job", v.clock.now())
	})
	stopped := func() (n int) {
		for _, who := range []string{leaver, "lee@example.com"} {
			if v.caseOf(who).Case.State == offboard.StateNeedsAttention {
				n++
			}
		}
		return n
	}
	v.run(time.Hour, func() bool { return stopped() > 0 })
	if stopped() != 1 {
		t.Fatalf("%d cases need attention", stopped())
	}
	v.decide(task.CaseID, func(f offboard.File) (offboard.Update, error) { return offboard.Retry(f, "kim@example.com", "I will") })
	v.run(time.Hour, func() bool { return v.only("slack").Tasks[0].State == offboard.TaskOpen && stopped() == 0 })
	v.attest(v.only("slack"), "kim@example.com")
	for _, who := range []string{leaver, "lee@example.com"} {
		if f := v.closed(who); f.Case.Outcome != offboard.OutcomeRemoved {
			t.Errorf("%s: %s", who, f.Case.Outcome)
		}
	}
}

func TestTheOldOneIsEndedByHandAfterTheCaseClosed(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		v := newVault(t, s)
		c := v.credential("slack", transfer.CredentialSlack, "slack")
		c.ManagedBy, c.Tell, c.How = "ops@example.com", []string{"ann@example.com"}, "ask in the help channel"
		v.known = []runner.Credential{c}
		v.person("leaver", leaver)
		v.deactivate()
		v.until(offboard.StateWaiting, offboard.WaitTask)
		task := v.only("slack").Tasks[0]
		if task.Assignee != "ops@example.com" || !contains(task.Text, "ask in the help channel") {
			t.Errorf("task for %q: %s", task.Assignee, task.Text)
		}
		v.attest(v.only("slack"), "ops@example.com")
		f := v.closed(leaver)
		v.pass(70*time.Hour, 7*time.Hour)
		if n := len(v.only("slack").Tasks); n != 1 {
			t.Fatalf("%d tasks before the overlap is over", n)
		}
		v.pass(7*time.Hour, time.Hour)
		r := v.only("slack")
		if len(r.Tasks) != 2 || r.Tasks[1].State != offboard.TaskOpen || r.Tasks[1].Kind != offboard.TaskRotate {
			t.Fatalf("tasks %+v", r.Tasks)
		}
		end := r.Tasks[1]
		v.decide(end.CaseID, func(f offboard.File) (offboard.Update, error) {
			return offboard.DeclineTask(f, end.ID, "ops@example.com", "one user is left", v.clock.now())
		})
		v.pass(74*time.Hour, 2*time.Hour)
		if r = v.only("slack"); r.Tasks[1].State != offboard.TaskOpen || r.Rotation.State != offboard.RotationMinted {
			t.Fatalf("a declined end is not asked again: %+v %+v", r.Rotation, r.Tasks[1])
		}
		v.attest(r, "ops@example.com")
		v.rotations()
		if r = v.only("slack"); r.Rotation.State != offboard.RotationRetired {
			t.Errorf("%+v", r.Rotation)
		}
		for _, line := range []string{
			"to be told that slack was replaced: ann@example.com", "the old slack is ended: attested by ops@example.com",
			"no harmless probe of an old slack is known: that slack is dead rests on the attestation",
		} {
			v.mustSay(f.Case.ID, line)
		}
	})
}

func TestAConsumersWordEndsTheOverlap(t *testing.T) {
	t.Parallel()
	v := newVault(t, setup{})
	v.known = []runner.Credential{v.deployment()}
	v.person("leaver", leaver)
	v.deactivate()
	v.closed(leaver)
	confirm := func(by string) error {
		_, err := v.store.ConfirmRotation(t.Context(), v.only("web").Rotation.ID, func(f offboard.RotationFile) (offboard.RotationUpdate, error) {
			return offboard.ConfirmRotation(f, by, "all pods restarted")
		})
		return err
	}
	if confirm(leaver) == nil {
		t.Error("the leaver confirmed it")
	}
	if err := confirm("kim@example.com"); err != nil {
		t.Fatal(err)
	}
	if confirm("kim@example.com") == nil {
		t.Error("confirmed twice")
	}
	v.rotations()
	if _, archived := v.deployments(); archived != 1 || v.only("web").Rotation.State != offboard.RotationRetired {
		v.show()
		t.Errorf("archived %d, %+v", archived, v.only("web").Rotation)
	}
}

func TestAnIncidentEndsTheOldOneAtOnceAndGetsANewOneAlways(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		v := newVault(t, s)
		v.known = []runner.Credential{v.deployment()}
		v.person("lee", "lee@example.com")
		v.change("lee", func(p offboard.Person) offboard.Person { p.Active = false; return p })
		v.closed("lee@example.com")
		v.person("leaver", leaver)
		v.change("leaver", func(p offboard.Person) offboard.Person {
			p.Claims.LeaveReason, p.Active = "security_incident", false
			return p
		})
		v.closed(leaver)
		v.rotations()
		all := v.all()
		if len(all) != 2 || all[1].Rotation.State != offboard.RotationRetired || all[0].Rotation.State != offboard.RotationRetired {
			v.show()
			t.Fatalf("%d rotations: %s and %s", len(all), all[0].Rotation.State, all[1].Rotation.State)
		}
		if created, archived := v.deployments(); created != 2 || archived != 2 {
			v.show()
			t.Errorf("created %d, archived %d: the second begins at the first one's replacement, and nothing old outlives an incident", created, archived)
		}
		live := 0
		for _, a := range v.fake.State().Assets {
			if a.Kind == amplitudefake.KindDeployment && !a.Archived && a.Key == v.sink.values["web"] {
				live++
			}
		}
		if live != 1 {
			t.Error("the published key is not the living one")
		}
	})
}

func TestWhoLeavesSoonAfterAReplacementIsServedByItOrNot(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		every time.Duration
		want  int
	}{"within the time": {24 * time.Hour, 1}, "always a new one": {0, 2}} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t, setup{})
			c := v.credential("bigquery", transfer.CredentialWarehouse, "bq")
			c.Every = tc.every
			v.known = []runner.Credential{c}
			v.person("lee", "lee@example.com")
			v.person("leaver", leaver)
			v.change("lee", func(p offboard.Person) offboard.Person { p.Active = false; return p })
			v.closed("lee@example.com")
			v.deactivate()
			v.closed(leaver)
			if n := len(v.all()); n != tc.want || v.hook.calls != tc.want {
				t.Errorf("%d rotations, %d calls, want %d", n, v.hook.calls, tc.want)
			}
		})
	}
}

func TestAccessToAProjectMakesSomebodyKnowItsKeys(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		group, enrolled bool
		want            int
	}{
		"through a group":                     {true, true, 1},
		"no access":                           {false, true, 0},
		"it cannot be seen, so it is counted": {false, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t, setup{})
			if !tc.enrolled {
				if err := v.fake.SetSwitch("enrolled", "false"); err != nil {
					t.Fatal(err)
				}
			}
			c := v.credential("bigquery", transfer.CredentialWarehouse, "bq")
			c.Projects = []int{v.project.ID}
			v.known = []runner.Credential{c}
			v.person("leaver", leaver)
			if tc.group {
				_, err := v.fake.AddGroup(amplitudefake.Group{Name: "Web", Members: []string{leaver}, Projects: map[int]string{v.project.ID: amplitudefake.RoleViewer}})
				if err != nil {
					t.Fatal(err)
				}
			}
			v.deactivate()
			v.closed(leaver)
			if v.hook.calls != tc.want {
				v.show()
				t.Errorf("asked %d times, want %d", v.hook.calls, tc.want)
			}
		})
	}
}

func TestWhoKeepsAndUsesACredentialIsWrittenTo(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		s.opts = func(o *runner.Options) { o.Audience = &offboard.Audience{Mail: true} }
		v := newVault(t, s)
		c := v.credential("slack", transfer.CredentialSlack, "slack")
		c.ManagedBy, c.Tell = "ops@example.com", []string{"ann@example.com"}
		v.known = []runner.Credential{c}
		v.person("leaver", leaver)
		v.deactivate()
		f := v.until(offboard.StateWaiting, offboard.WaitTask)
		v.attest(v.only("slack"), "ops@example.com")
		v.closed(leaver)
		v.pass(73*time.Hour, time.Hour)
		list, err := v.store.Messages(t.Context(), f.Case.ID)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, m := range list {
			if strings.Contains(m.Subject, "slack") {
				got[m.To]++
			}
		}
		if got["ops@example.com"] != 2 || got["ann@example.com"] != 1 {
			v.show()
			t.Errorf("messages %v, want two tasks for the keeper and one word for the user", got)
		}
	})
}
