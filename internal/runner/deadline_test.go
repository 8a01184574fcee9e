package runner_test

import (
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
)

// pastDeadline lets the time for the handover pass, and returns the case when
// the seat is gone.
func (w *world) pastDeadline() offboard.File {
	w.t.Helper()
	w.clock.move(25 * time.Hour)
	w.run(3*time.Hour, func() bool { return !w.seated() })
	return w.caseOf(leaver)
}

// wantOrphaned checks what a deadline leaves behind: the thing is recorded as
// orphaned, nobody is asked any more, and nothing says that it was handed over.
func (w *world) wantOrphaned(f offboard.File, name string) {
	w.t.Helper()
	for _, as := range f.Assets {
		if as.Name == name && (as.State != offboard.AssetOrphaned || as.NewOwner != "") {
			w.t.Errorf("%s is %s, of %q", name, as.State, as.NewOwner)
		}
	}
	for _, task := range f.Tasks {
		if task.State == offboard.TaskOpen && task.Kind != offboard.TaskFollowUp {
			w.t.Errorf("%s is still asked for", task.Title)
		}
	}
	if w.says(f.Case.ID, "handover: to ") || !w.says(f.Case.ID, "what was not handed over is orphaned (1 listed things)") {
		w.show()
		w.t.Error("the evidence does not say that the deadline passed")
	}
}

func TestWhatTheManagerDidNotHandOverInTimeIsOrphanedAndSaid(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		w.policy.Handover, w.policy.AtHand = 24*time.Hour, offboard.DeadlineRemove
		w.thing(amplitudefake.Asset{Kind: amplitudefake.KindCohort, Name: "Buyers", Owners: []string{leaver}})
		w.waitsForKim()
		w.wantOrphaned(w.pastDeadline(), "Buyers")
	})
}

func TestAHooksClaimThatNobodyConfirmedInTimeCountsForNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := hooked(t, s, reply(200, `{"state":"done","reference":"OPS-1"}`))
		w.policy.Handover, w.policy.AtHand = 24*time.Hour, offboard.DeadlineRemove
		w.deactivate()
		w.until(offboard.StateWaiting, offboard.WaitTask)
		w.wantOrphaned(w.pastDeadline(), "Buyers")
	})
}

func TestTheDeadlineTakesBackNothingThatAPersonAttested(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.policy.Handover, w.policy.AtHand = 24*time.Hour, offboard.DeadlineRemove
	cohort := w.thing(amplitudefake.Asset{Kind: amplitudefake.KindCohort, Name: "Buyers", Owners: []string{leaver}})
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindFlag, Name: "New checkout", CreatedBy: leaver, Owners: []string{leaver}})
	f := w.waitsForKim()
	w.human(amplitudefake.Action{Do: "transfer", Kind: cohort.Kind, ID: cohort.ID, Project: cohort.Project, To: "kim@example.com"})
	w.attest(f)
	w.run(time.Hour, func() bool { return w.caseOf(leaver).Task("handover/late") != nil })
	f = w.pastDeadline()
	w.wantOrphaned(f, "New checkout")
	for _, as := range f.Assets {
		if as.Name == "Buyers" && (as.State != offboard.AssetHanded || as.NewOwner != "kim@example.com" || !strings.Contains(as.By, "attested by lee@example.com")) {
			t.Errorf("what was attested is %s, of %q, by %q", as.State, as.NewOwner, as.By)
		}
	}
}

// That people have to be waited for may turn out only when things are handed over:
// then access is taken away, too.
func TestAccessIsTakenAwayAsSoonAsPeopleAreWaitedFor(t *testing.T) {
	t.Parallel()
	for story, contain := range map[string]offboard.Contain{"when waiting": "", "never": offboard.ContainNever} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				w := newWorld(t, s)
				w.policy.Contain = contain
				w.person("leaver", leaver)
				w.event("Signed up", "")
				if _, err := w.fake.AddGroup(amplitudefake.Group{Name: "Analysts", Members: []string{leaver}}); err != nil {
					t.Fatal(err)
				}
				w.deactivate()
				f := w.until(offboard.StateWaiting, offboard.WaitTask) // nobody is known who can take over
				if (w.groups() == 0) != (contain == "") || !w.seated() {
					w.show()
					t.Errorf("%d groups while it waits", w.groups())
				}
				w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Cancel(f, "kim", "they stay") })
				if f = w.closed(leaver); w.groups() != 1 {
					w.show()
					t.Errorf("%d groups after %s", w.groups(), f.Case.State)
				}
			})
		})
	}
}
