package offboard

import (
	"fmt"
	"time"
)

// FollowUp is what somebody does after a removal outside Amplitude: the team's
// roster, a Slack channel, a vendor list, a runbook.
type FollowUp struct {
	Title    string `json:"title"`
	Text     string `json:"text,omitempty"`
	Assignee string `json:"assignee,omitempty"` // an address; empty: any operator
}

// followUpTime is how long a follow-up may take before it is overdue.
const followUpTime = 7 * 24 * time.Hour

// FollowUps makes the tasks of the case's policy. They outlive the case.
func FollowUps(f File, now time.Time) []Task {
	var out []Task
	for i, u := range f.Case.Policy.FollowUp {
		key := fmt.Sprintf("follow_up/%d", i+1)
		if f.Task(key) != nil {
			continue
		}
		text := u.Text
		if text != "" {
			text += "\n\n"
		}
		what := "was removed from Amplitude"
		if f.Case.Plan == Mover {
			what = "keeps the seat in Amplitude, with less access"
		}
		text += fmt.Sprintf("%s (%s) "+what+". Reason: %s.", f.Person.Name(), f.Case.Address, words(string(f.Case.Reason)))
		out = append(out, Task{
			Kind: TaskFollowUp, Key: key, Title: u.Title, Text: text, Assignee: u.Assignee, State: TaskOpen, Due: now.Add(followUpTime),
		})
	}
	return out
}

// AfterEnd reports whether an update may be recorded in a case that has ended:
// it changes follow-ups and adds to the timeline, and nothing else.
func (u Update) AfterEnd() bool {
	for _, k := range u.Tasks {
		if !k.outlives() {
			return false
		}
	}
	still := u.State == "" && u.Waiting == nil && u.Note == nil && u.Ending == EndNot && u.Outcome == "" &&
		u.WakeAt.IsZero() && u.NotBefore.IsZero() && u.Due.IsZero() && u.Removed.IsZero() && u.Verified.IsZero() &&
		u.Plan == "" && u.Reason == "" && len(u.Steps) == 0 && len(u.Assets) == 0 && len(u.Approvals) == 0 &&
		len(u.Effects) == 0 && len(u.Replace) == 0
	return still && len(u.Tasks) > 0
}
