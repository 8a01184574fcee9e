package runner_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
	"offramp/transfer"
)

// found is what the audit step recorded.
type found struct {
	Final   bool     `json:"final"`
	Entries int      `json:"entries"`
	Summary []string `json:"summary"`
	Unseen  []string `json:"unseen"`
	Suspect []struct {
		What, Action, Target string
		Count                int
		IPs                  []string
	} `json:"suspect"`
	Raw map[string][]json.RawMessage `json:"raw"`
}

func (w *world) found(f offboard.File) (out found) {
	w.t.Helper()
	if s := f.Step(offboard.StepAudit); s == nil || len(s.Result) > 0 && json.Unmarshal(s.Result, &out) != nil {
		w.t.Fatalf("audit: %+v", s)
	}
	return out
}

func TestAnIncidentTellsWhatTheLeaverDid(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"cursor", "truncate"} {
		t.Run(mode, func(t *testing.T) {
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				w := newWorld(t, s)
				w.turn("audit_mode", mode)
				w.turn("audit_lag", "60s")
				w.seat(leaver, amplitudefake.RoleAdmin)
				w.directoryOnly("leaver", leaver)
				w.human(amplitudefake.Action{Do: "invite", By: leaver, Email: "eve@example.com"})
				w.human(amplitudefake.Action{Do: "change_role", By: "JO@example.com", Email: "other@example.com", Role: amplitudefake.RoleManager})
				w.human(amplitudefake.Action{Do: "invite", By: "root@example.com", Email: "sue@example.com"}) // not theirs
				w.clock.move(5 * time.Minute)
				// The last thing they do is not in the log yet when the case reads it first.
				w.human(amplitudefake.Action{Do: "remove_member", By: leaver, Email: "eve@example.com"})
				w.incident("leaver")
				w.run(time.Minute, w.stepDone(offboard.StepNotify))
				if early := w.found(w.caseOf(leaver)); early.Final || len(early.Suspect) != 2 {
					w.show()
					t.Errorf("at once: %+v", early)
				}
				f := w.closed(leaver)
				got := w.found(f)
				var what []string
				for _, one := range got.Suspect {
					what = append(what, one.What+" "+one.Action+" "+one.Target)
				}
				slices.Sort(what)
				want := []string{
					"change of a role role_change other@example.com", "deletion delete eve@example.com", "invitation invite eve@example.com",
				}
				if !slices.Equal(what, want) || !got.Final || len(got.Raw["acme"]) != got.Entries || len(got.Summary) != 3 {
					t.Errorf("found %q, final %v, %d raw of %d, summary %q", what, got.Final, len(got.Raw["acme"]), got.Entries, got.Summary)
				}
				if line := got.Summary[0]; !strings.HasPrefix(line, "deletion: delete of eve@example.com (acme), 1 times, last at ") || !strings.HasSuffix(line, ", from 192.0.2.10") {
					t.Errorf("summary begins with %q", line)
				}
				if !w.said(f, "audit: read again, ") {
					w.show()
					t.Error("the timeline does not tell")
				}
			})
		})
	}
}

func TestAnIncidentWithoutAnAuditLogSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{opts: func(o *runner.Options) { o.Organizations[0].Audit = false }})
	w.person("leaver", leaver)
	w.incident("leaver")
	f := w.closed(leaver)
	if got := w.found(f); len(got.Unseen) != 1 || !w.said(f, "audit: what they did is unknown; not seen: acme: no organization key") {
		w.show()
		t.Errorf("found %+v", got)
	}
}

func TestSecurityIsToldThoughARotationWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{opts: func(o *runner.Options) {
		o.Credentials = func(offboard.Person) []runner.Credential {
			return []runner.Credential{{Name: "warehouse", Credential: transfer.Credential{Kind: transfer.CredentialWarehouse, ID: "bq", Name: "warehouse", Organization: "acme"}}}
		}
	}})
	// The audit log is down at first.
	w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: 503, Count: 20, Match: amplitudefake.Match{Surface: "audit"}})
	w.person("leaver", leaver)
	opened := w.clock.now()
	w.incident("leaver")
	w.run(time.Minute, w.stepDone(offboard.StepNotify))
	f := w.caseOf(leaver)
	if took := f.Step(offboard.StepNotify).Finished.Sub(opened); took > 5*time.Second || f.Step(offboard.StepRotate).State != offboard.StepWaiting {
		w.show()
		t.Errorf("told after %s while rotate is %s", took, f.Step(offboard.StepRotate).State)
	}
	w.attest(f)
	if f = w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved || !w.found(f).Final {
		w.show()
		t.Errorf("outcome %s", f.Case.Outcome)
	}
}

func TestAnIncidentKeepsWhatTheLeaverCouldReach(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		enrolled string
		roles    string
		projects int
	}{
		"read alongside the removal": {"true", "known", 2},
		"from the sweep alone":       {"false", "not enrolled", 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{})
			w.turn("enrolled", tc.enrolled)
			w.turn("list_lag", "60s") // the reading is not slower than the removal
			projects := w.fake.Credentials().Projects
			err := w.fake.AddMember(amplitudefake.Member{
				Email: leaver, Role: amplitudefake.RoleMember, LastLogin: w.clock.now(), Projects: map[int]string{projects[0].ID: amplitudefake.RoleManager},
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.fake.AddGroup(amplitudefake.Group{Name: "G", Members: []string{leaver}, Projects: map[int]string{projects[1].ID: amplitudefake.RoleViewer}}); err != nil {
				t.Fatal(err)
			}
			w.directoryOnly("leaver", leaver)
			w.thing(amplitudefake.Asset{Kind: amplitudefake.KindCohort, Name: "Power users", Owners: []string{leaver}, Project: projects[0].ID})
			w.sweep()
			w.incident("leaver")
			w.run(time.Minute, w.stepDone(offboard.StepRemove))
			var got struct {
				Before []struct {
					Organization, Roles string
					Reach               []int
					Assignments         []struct{ Project int }
					Seen                struct{ Present bool }
				}
			}
			if err := json.Unmarshal(w.caseOf(leaver).Step(offboard.StepRemove).Result, &got); err != nil {
				t.Fatal(err)
			}
			if len(got.Before) != 1 || got.Before[0].Roles != tc.roles || len(got.Before[0].Reach) != tc.projects || !got.Before[0].Seen.Present {
				t.Errorf("before: %+v", got.Before)
			}
			if w.removals() != 1 || w.seated() {
				t.Error("the reading stood in the way of the removal")
			}
		})
	}
}

func TestAStrangersSeatIsRemovedInAnIncident(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		w.seat(leaver, amplitudefake.RoleMember) // and no identity provider knows them
		p, err := w.store.AdoptPerson(t.Context(), "okta", leaver)
		if err != nil {
			t.Fatal(err)
		}
		w.incident(p.ID)
		if f := w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved || w.seated() || w.removals() != 1 {
			w.show()
			t.Errorf("%s, seat %v", f.Case.Outcome, w.seated())
		}
	})
}

func TestAStrangersAddressThatSomebodyTakesIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.seat(leaver, amplitudefake.RoleMember)
	p, err := w.store.AdoptPerson(t.Context(), "okta", leaver)
	if err != nil {
		t.Fatal(err)
	}
	w.incident(p.ID)
	w.clock.move(time.Second)
	w.directoryOnly("somebody", leaver)
	if f := w.until(offboard.StateNeedsAttention, offboard.WaitNothing); !w.seated() || !strings.Contains(f.Case.Note, "holds this address now") {
		t.Errorf("seat %v, note %q", w.seated(), f.Case.Note)
	}
}

func TestWhatIsUnassignedAfterAnIncidentIsGivenAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{opts: func(o *runner.Options) { o.Confirm = 15 * time.Minute }})
	w.policy.Unlisted = offboard.UnlistedByUse
	w.person("leaver", leaver)
	w.person("heir", "kim@example.com")
	w.change("leaver", func(p offboard.Person) offboard.Person { p.Manager = "heir"; return p })
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindDashboard, Name: "KPIs", Owners: []string{leaver}})
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindCohort, Name: "Power users", Owners: []string{leaver}})
	w.readLog()
	w.sweep()
	w.incident("leaver")
	w.run(time.Hour, func() bool { return len(w.caseOf(leaver).Tasks) > 0 })
	f := w.caseOf(leaver)
	task := f.Tasks[0]
	for _, text := range []string{"is removed already, and what they owned is unassigned", "in another that content is transferred only before a removal", "- cohort Power users"} {
		if !strings.Contains(task.Text, text) {
			t.Errorf("the task does not say %q:\n%s", text, task.Text)
		}
	}
	w.human(amplitudefake.Action{Do: "assign_unassigned", By: "root@example.com", To: "kim@example.com"})
	w.attest(f)
	f = w.closed(leaver)
	if f.Assets[0].NewOwner != "kim@example.com" || w.fake.Orphans() != 0 || !w.said(f, "of what is unassigned after a removal the audit log says nothing") {
		w.show()
		t.Errorf("assets %+v, %d orphans", f.Assets, w.fake.Orphans())
	}
}
