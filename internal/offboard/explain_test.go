package offboard_test

import (
	"strings"
	"testing"
	"time"

	"offramp/internal/offboard"
)

func TestAnExplanationSaysWhatIsWaitedForAndWhatComesNext(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		story  string
		change func(*offboard.File)
		about  string
		says   string // empty: nothing is said about it
	}{
		{"approval", state(offboard.StateWaiting, offboard.WaitApproval), "now", "offramp cases approve"},
		{"held", state(offboard.StateHeld, offboard.WaitNothing), "now", "offramp cases release"},
		{"held with others of one change", func(f *offboard.File) {
			f.Case.State, f.Case.Batch = offboard.StateHeld, "b-1"
		}, "now", "offramp cases cancel --batch b-1 --because TEXT"},
		{"held, and entitled again", func(f *offboard.File) {
			f.Case.State, f.Standing.Entitled = offboard.StateHeld, true
		}, "now", "The person is entitled again"},
		{"what the guards will say when it is released", func(f *offboard.File) {
			f.Case.State, f.Standing.HeldBy = offboard.StateHeld, "p9"
		}, "guards", "somebody else at the identity provider holds this address"},
		{"attention", state(offboard.StateNeedsAttention, offboard.WaitNothing), "now", "offramp cases retry"},
		{"a task, by its title and for whom", func(f *offboard.File) {
			f.Case.State, f.Case.Waiting = offboard.StateWaiting, offboard.WaitTask
			f.Tasks = []offboard.Task{
				{Title: "Hand over", State: offboard.TaskOpen, Assignee: "sam@example.com"}, {Title: "Look", State: offboard.TaskDone},
			}
		}, "now", `to finish "Hand over" (sam@example.com). The one`},
		{"a task that is answered", func(f *offboard.File) {
			f.Case.State, f.Case.Waiting = offboard.StateWaiting, offboard.WaitTask
			f.Tasks = []offboard.Task{{Title: "Name another admin", State: offboard.TaskDone}}
		}, "now", "What people were asked for is answered"},
		{"a leave date, until which nobody is told", func(f *offboard.File) {
			f.Case.State, f.Case.Waiting, f.Case.NotBefore = offboard.StateWaiting, offboard.WaitNotBefore, noon().Add(time.Hour)
			f.Person.Removal = &offboard.Decision{By: "leave date", From: f.Case.NotBefore, LeaveDate: true}
		}, "now", "not begin before 2026-03-02 13:00 UTC. Until then the person is entitled"},
		{"what clearing the leave date does", func(f *offboard.File) {
			f.Person.Removal = &offboard.Decision{By: "leave date", From: noon(), LeaveDate: true}
		}, "opened", "clearing or moving it"},
		{"whose word it is", func(f *offboard.File) {
			f.Person.Removal = &offboard.Decision{By: "sam@example.com"}
		}, "opened", "by the word of sam@example.com"},
		{"why this policy", func(f *offboard.File) {
			f.Case.Policy.Name, f.Case.Policy.Version, f.Case.Policy.Why = "contractors", "ab12", "its condition holds: true"
		}, "policy", "Policy contractors, version ab12, because its condition holds: true."},
		{"the deadline of the handover", func(f *offboard.File) {
			f.Steps = []offboard.Step{{Seq: 1, Name: offboard.StepHandover, State: offboard.StepPending}}
			f.Case.Reason, f.Case.NotBefore, f.Case.Policy.Handover = offboard.Termination, noon(), 24*time.Hour
		}, "next", "by 2026-03-03 12:00 UTC is left behind"},
		{"overdue", func(f *offboard.File) { f.Case.Due = noon().Add(-time.Second) }, "next", "and is overdue"},
		{"entitled again", func(f *offboard.File) { f.Standing.Entitled = true }, "guards", "would end the case"},
		{"somebody else's address", func(f *offboard.File) { f.Standing.HeldBy = "p9" }, "guards", "would not let the member be removed"},
		{"an approval is missing", func(*offboard.File) {}, "guards", "0 of 1 approvals"},
		{"nothing in the way", func(f *offboard.File) { f.Approvals = []offboard.Approval{{By: "kim@example.com"}} }, "guards", "would let the member be removed"},
		{"what the guards said when they could see Amplitude", func(f *offboard.File) {
			f.Approvals = []offboard.Approval{{By: "kim@example.com"}}
			f.Case.Waiting, f.Case.Guard, f.Case.Note = offboard.WaitTask, offboard.GuardAdmin, "the leaver is the last admin of acme"
		}, "guards", "did not let the member be removed when they were last asked: the leaver is the last admin of acme."},
		{"the guards of a removal that is done", func(f *offboard.File) {
			f.Steps = []offboard.Step{{Seq: 1, Name: offboard.StepRemove, State: offboard.StepDone}, {Seq: 2, Name: offboard.StepVerify, State: offboard.StepWaiting}}
		}, "guards", ""},
		{"how it ended", func(f *offboard.File) {
			f.Case.State, f.Case.Outcome, f.Case.Closed = offboard.StateClosed, offboard.OutcomeRemoved, noon()
		}, "now", "ended on 2026-03-02 12:00 UTC as removed"},
		{"an ended case has nothing before it", func(f *offboard.File) { f.Case.State = offboard.StateClosed }, "next", ""},
	} {
		t.Run(row.story, func(t *testing.T) {
			t.Parallel()
			said := ""
			for _, s := range offboard.Explain(leaving(row.change), offboard.GuardFacts{Now: noon()}) {
				if s.About == row.about {
					said = s.Text
				}
			}
			if row.says == "" && said != "" || !strings.Contains(said, row.says) {
				t.Errorf("%s: %q", row.about, said)
			}
		})
	}
}

func TestEveryWaitHasItsSentence(t *testing.T) {
	t.Parallel()
	for _, w := range []offboard.Waiting{
		offboard.WaitNothing, offboard.WaitNotBefore, offboard.WaitSettle, offboard.WaitApproval, offboard.WaitTask, offboard.WaitHook,
		offboard.WaitBudget, offboard.WaitRetry, offboard.WaitSeat, offboard.WaitPaused, offboard.WaitVerify,
	} {
		for _, s := range offboard.Explain(leaving(state(offboard.StateWaiting, w)), offboard.GuardFacts{Now: noon()}) {
			if s.Text == "" || strings.Contains(s.Text, "%!") {
				t.Errorf("%s, %s: %q", w, s.About, s.Text)
			}
		}
	}
}
