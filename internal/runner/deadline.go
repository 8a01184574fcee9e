package runner

import (
	"cmp"
	"fmt"
	"time"

	"offramp/internal/offboard"
)

// overdue says how the handover goes on when its deadline is past.
func (a *attempt) overdue(deadline time.Time, was *handed) (outcome, bool) {
	if a.now().Before(deadline) {
		return outcome{}, false
	}
	if a.file.Case.Policy.AtDeadline(a.file.Case.Reason) != offboard.DeadlineRemove {
		if !was.Escalated {
			was.Escalated = true
			return outcome{wait: offboard.WaitTask, until: a.now().Add(time.Second), result: *was, say: "handover: the deadline has passed; escalated"}, true
		}
		return outcome{wait: offboard.WaitTask, result: *was, note: "the handover is overdue; do the task, or resolve the case"}, true
	}
	out := outcome{}
	for _, as := range a.owned() {
		if task := a.attestation(as); task != nil {
			out.update.Assets = append(out.update.Assets, was.byWord(as, task))
			continue
		}
		as.State, as.By = offboard.AssetOrphaned, "the handover deadline passed"
		out.update.Assets = append(out.update.Assets, as)
		was.Orphaned++
	}
	for _, t := range a.file.Tasks {
		if t.State == offboard.TaskOpen && (t.Kind == offboard.TaskHandover || t.Kind == offboard.TaskSuccessor || t.Kind == offboard.TaskCheck) {
			t.State, t.Ended = offboard.TaskDropped, a.now()
			out.update.Tasks = append(out.update.Tasks, t)
		}
	}
	was.Note = "the deadline passed; the removal goes on and what was not handed over is orphaned"
	out.result = *was
	out.say = fmt.Sprintf("handover: %s (%d listed things)", was.Note, was.Orphaned)
	return out, true
}

// byWord is an asset that a task says was handed over.
func (h *handed) byWord(as offboard.Asset, task *offboard.Task) offboard.Asset {
	as.State, as.NewOwner = offboard.AssetHanded, cmp.Or(task.Successor, h.Successor)
	as.By = cmp.Or(h.confirmed(task.Key), "attested by "+task.By)
	return as
}

// attestation is the task that says that an asset was handed over; nil: none
// does, or one that asks for it again is open.
func (a *attempt) attestation(as offboard.Asset) (done *offboard.Task) {
	for _, key := range []string{taskContent, taskLate} {
		switch task := a.file.Task(key); {
		case task == nil || !inTask(task, as):
		case task.State == offboard.TaskDone:
			done = task
		case task.State == offboard.TaskOpen:
			return nil
		}
	}
	return done
}
