package runner_test

import (
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

// waitsForKim makes a case whose handover waits for a person, with Kim as successor.
func (w *world) waitsForKim() offboard.File {
	w.t.Helper()
	w.policy.Unlisted = offboard.UnlistedTask
	w.person("leaver", leaver)
	w.person("heir", "kim@example.com")
	w.change("leaver", func(p offboard.Person) offboard.Person { p.Manager = "heir"; return p })
	w.readLog()
	w.deactivate()
	return w.until(offboard.StateWaiting, offboard.WaitTask)
}

// confirming is the setup under which an attested transfer waits.
func confirming(s setup) setup {
	s.opts = func(o *runner.Options) { o.Confirm = 15 * time.Minute }
	return s
}

func (w *world) attest(f offboard.File) {
	w.t.Helper()
	w.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
		for _, t := range f.Tasks {
			if t.State == offboard.TaskOpen {
				return offboard.CompleteTask(f, t.ID, offboard.TaskAnswer{By: "lee@example.com", Note: "moved"}, w.clock.now())
			}
		}
		w.t.Fatal("no task is open")
		return offboard.Update{}, nil
	})
}

// ticking lets time pass with the log being read as the engine does.
func (w *world) ticking(done func() bool) {
	w.t.Helper()
	w.run(time.Hour, func() bool {
		if done() {
			return true
		}
		w.readLog()
		if err := w.runner.Successors(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		return false
	})
}

func TestTheAuditLogCompletesTheHandover(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, confirming(s))
		w.thing(amplitudefake.Asset{Kind: amplitudefake.KindDashboard, Name: "KPIs", Owners: []string{leaver}})
		w.thing(amplitudefake.Asset{Kind: amplitudefake.KindCohort, Name: "Power users", Owners: []string{leaver}})
		w.waitsForKim()
		w.turn("audit_lag", "60s")
		w.human(amplitudefake.Action{Do: "bulk_transfer", By: "root@example.com", From: "JO@example.com", To: "Kim@example.com"})
		at := w.clock.now()
		w.ticking(func() bool { return w.caseOf(leaver).Tasks[0].State == offboard.TaskDone })
		f := w.caseOf(leaver)
		want := "the audit log of acme shows the bulk transfer at " + at.Format(time.RFC3339) + " by root@example.com"
		if f.Tasks[0].By != "audit log" || f.Tasks[0].Note != want {
			t.Errorf("done by %q: %q", f.Tasks[0].By, f.Tasks[0].Note)
		}
		if f = w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved || f.Assets[0].By != want || w.fake.Orphans() != 0 {
			w.show()
			t.Errorf("%s, by %q, %d orphans", f.Case.Outcome, f.Assets[0].By, w.fake.Orphans())
		}
	})
}

func TestAnAttestedTransferIsLookedForInTheAuditLog(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		do    func(*world)
		waits bool
		says  string
	}{
		"confirmed, though the entry is late": {
			do: func(w *world) {
				w.turn("audit_lag", "3m")
				w.human(amplitudefake.Action{Do: "bulk_transfer", By: "root@example.com", From: leaver, To: "kim@example.com"})
			},
			says: "attested by lee@example.com, and the audit log of acme shows the bulk transfer at",
		},
		"not confirmed, where nothing was transferred": {
			do: func(*world) {}, waits: true, says: "attested by lee@example.com, not confirmed by the audit log",
		},
		"not confirmed, where the entry never comes": {
			do: func(w *world) {
				w.human(amplitudefake.Action{Do: "bulk_transfer", From: leaver, To: "kim@example.com", Silent: true})
			},
			waits: true, says: "attested by lee@example.com, not confirmed by the audit log",
		},
		"somebody else got it": {
			do: func(w *world) {
				w.human(amplitudefake.Action{Do: "bulk_transfer", From: leaver, To: "other@example.com"})
			},
			waits: true, says: "not confirmed by the audit log: the audit log shows a bulk transfer to other@example.com instead",
		},
		"one project alone": {
			do: func(w *world) {
				w.human(amplitudefake.Action{Do: "bulk_transfer", From: leaver, To: "kim@example.com", Project: w.fake.Credentials().Projects[0].ID})
			},
			waits: true, says: "not confirmed by the audit log: the audit log shows a bulk transfer of project",
		},
		"somebody else's content": {
			do: func(w *world) {
				w.human(amplitudefake.Action{Do: "bulk_transfer", From: "other@example.com", To: "kim@example.com"})
			},
			waits: true, says: "attested by lee@example.com, not confirmed by the audit log",
		},
		"the log went away": {
			do: func(w *world) {
				w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: 503, Match: amplitudefake.Match{Surface: "audit"}})
				w.clock.move(2 * time.Hour)
			},
			says: "attested by lee@example.com; no audit log is available to confirm it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, confirming(setup{}))
			f := w.waitsForKim()
			tc.do(w)
			w.attest(f)
			attested := w.clock.now()
			f = w.closed(leaver)
			if !w.said(f, tc.says) {
				w.show()
				t.Errorf("the timeline does not say %q", tc.says)
			}
			waited := f.Step(offboard.StepHandover).Finished.Sub(attested)
			if tc.waits != (waited == 15*time.Minute) || f.Case.Outcome != offboard.OutcomeRemoved {
				t.Errorf("waited %s, %s", waited, f.Case.Outcome)
			}
		})
	}
}

func TestWhatBulkTransferDoesNotCoverStaysATask(t *testing.T) {
	t.Parallel()
	w := newWorld(t, confirming(setup{}))
	flag := w.thing(amplitudefake.Asset{Kind: amplitudefake.KindFlag, Name: "New checkout", CreatedBy: leaver, Owners: []string{leaver}})
	w.waitsForKim()
	w.human(amplitudefake.Action{Do: "bulk_transfer", From: leaver, To: "kim@example.com"})
	w.ticking(func() bool { return w.said(w.caseOf(leaver), "a person still has to give away: flag New checkout") })
	f := w.caseOf(leaver)
	if f.Tasks[0].State != offboard.TaskOpen {
		t.Fatalf("the task is %s", f.Tasks[0].State)
	}
	w.human(amplitudefake.Action{Do: "transfer", Kind: flag.Kind, ID: flag.ID, Project: flag.Project, To: "kim@example.com"})
	w.attest(f)
	if f = w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved || len(f.Tasks) != 1 {
		w.show()
		t.Errorf("%s, %d tasks", f.Case.Outcome, len(f.Tasks))
	}
}

func TestWhatStillNamesTheLeaverGetsOneMoreTask(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		cohort := w.thing(amplitudefake.Asset{Kind: amplitudefake.KindCohort, Name: "Power users", Owners: []string{leaver}})
		flag := w.thing(amplitudefake.Asset{Kind: amplitudefake.KindFlag, Name: "New checkout", CreatedBy: leaver, Owners: []string{leaver}})
		f := w.waitsForKim()
		// Somebody says that it is done, and nothing was.
		w.attest(f)
		w.run(time.Hour, func() bool { return len(w.caseOf(leaver).Tasks) == 2 })
		f = w.until(offboard.StateWaiting, offboard.WaitTask)
		late := f.Task("handover/late")
		if late == nil || !strings.Contains(late.Text, "cohort Power users") || !strings.Contains(late.Text, "flag New checkout") || !w.seated() {
			t.Fatalf("tasks %+v, seat %v", f.Tasks, w.seated())
		}
		// Now one of the two is done.
		w.human(amplitudefake.Action{Do: "transfer", Kind: cohort.Kind, ID: cohort.ID, Project: cohort.Project, To: "kim@example.com"})
		w.attest(f)
		f = w.closed(leaver)
		for _, as := range f.Assets {
			want := offboard.AssetHanded
			if as.RemoteID == flag.ID {
				want = offboard.AssetOrphaned
			}
			if as.State != want || want == offboard.AssetOrphaned && !strings.Contains(as.By, "still names the leaver as owner") {
				t.Errorf("%s is %s by %q", as.Name, as.State, as.By)
			}
		}
		if f.Case.Outcome != offboard.OutcomeRemoved || len(f.Tasks) != 2 {
			w.show()
			t.Errorf("%s with %d tasks", f.Case.Outcome, len(f.Tasks))
		}
	})
}

func TestAListThatCannotBeReadAgainIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindCohort, Name: "Power users", Owners: []string{leaver}})
	f := w.waitsForKim()
	w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: 403, Match: amplitudefake.Match{Surface: "cohorts"}})
	w.clock.move(10 * time.Minute)
	w.attest(f)
	if f = w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved || !w.said(f, "handover: not read again: cohorts of project") {
		w.show()
		t.Errorf("outcome %s", f.Case.Outcome)
	}
}

func TestASuccessorWhoLeavesMeanwhileIsReplaced(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fallback string
		next     string
	}{
		"by the next candidate":        {"sam@example.com", "sam@example.com"},
		"by whom somebody names later": {"", "lou@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				w := newWorld(t, s)
				w.policy.Successor = tc.fallback
				w.person("sam", "sam@example.com")
				w.person("lou", "lou@example.com")
				w.thing(amplitudefake.Asset{Kind: amplitudefake.KindCohort, Name: "Power users", Owners: []string{leaver}})
				f := w.waitsForKim()
				if f.Tasks[0].Successor != "kim@example.com" {
					t.Fatalf("task for %q", f.Tasks[0].Successor)
				}
				w.change("heir", func(p offboard.Person) offboard.Person { p.Active = false; return p })
				if tc.fallback == "" {
					w.ticking(func() bool { return w.caseOf(leaver).Task("successor") != nil })
					f = w.caseOf(leaver)
					if task := f.Task("handover/content"); task.Successor != "" || !w.said(f, "kim@example.com can no longer take over, and nobody else is known") {
						w.show()
						t.Fatalf("the task still names %q", task.Successor)
					}
					w.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
						return offboard.CompleteTask(f, f.Task("successor").ID, offboard.TaskAnswer{By: "lee@example.com", Successor: tc.next}, w.clock.now())
					})
				}
				w.ticking(func() bool { return w.caseOf(leaver).Task("handover/content").Successor == tc.next })
				f = w.caseOf(leaver)
				task := f.Task("handover/content")
				if task.Assignee != tc.next || !strings.Contains(task.Title, tc.next) || !strings.Contains(task.Text, "cohort Power users") || strings.Contains(task.Text, "kim@") {
					t.Errorf("task %+v", task)
				}
				if !w.said(f, tc.next) {
					w.show()
					t.Error("the timeline does not tell")
				}
				w.human(amplitudefake.Action{Do: "bulk_transfer", From: leaver, To: tc.next})
				w.attest(f)
				if f = w.closed(leaver); f.Assets[0].NewOwner != tc.next {
					t.Errorf("new owner %q", f.Assets[0].NewOwner)
				}
			})
		})
	}
}

func TestTwoWhoLeaveAndNameEachOtherInheritNothing(t *testing.T) {
	t.Parallel()
	for name, fallback := range map[string]string{"the fallback does": "sam@example.com", "somebody is asked": ""} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{})
			w.policy.Unlisted, w.policy.Successor = offboard.UnlistedTask, fallback
			w.person("sam", "sam@example.com")
			w.person("leaver", leaver)
			w.person("other", "max@example.com")
			w.change("leaver", func(p offboard.Person) offboard.Person { p.Claims.Successor = "max@example.com"; return p })
			w.change("other", func(p offboard.Person) offboard.Person { p.Claims.Successor = leaver; return p })
			for _, id := range []string{"leaver", "other"} {
				w.change(id, func(p offboard.Person) offboard.Person { p.Active = false; return p })
			}
			w.run(time.Hour, func() bool { return len(w.caseOf(leaver).Tasks) > 0 && len(w.caseOf("max@example.com").Tasks) > 0 })
			for _, address := range []string{leaver, "max@example.com"} {
				f := w.caseOf(address)
				kind := offboard.TaskSuccessor
				if fallback != "" {
					kind = offboard.TaskHandover
				}
				if f.Tasks[0].Kind != kind || f.Tasks[0].Successor != fallback || !strings.Contains(string(f.Step(offboard.StepHandover).Result), "named: is ") {
					t.Errorf("%s: task %+v, result %s", address, f.Tasks[0], f.Step(offboard.StepHandover).Result)
				}
			}
		})
	}
}
