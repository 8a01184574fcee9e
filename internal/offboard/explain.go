package offboard

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Sentence is one part of an explanation.
type Sentence struct {
	About string `json:"about"` // opened, policy, now, next, guards
	Text  string `json:"text"`
}

// Explain tells in sentences why a case opened, why it has its policy, what it
// waits for and who can end that, what happens next and when, and, before the
// removal, what the guards would say to it at g.Now. g needs no File, no Step and
// nothing that only Amplitude can tell: of that the last answer is told.
func Explain(f File, g GuardFacts) []Sentence {
	g.File, g.Step = f, StepRemove
	if f.Case.Plan == Mover {
		g.Step = StepRevoke
	}
	out := []Sentence{
		{"opened", explainOpening(f)},
		{"policy", explainPolicy(f.Case.Policy)},
		{"now", explainState(f, g)},
	}
	if !f.Case.State.Live() {
		return out
	}
	out = append(out, Sentence{"next", explainNext(f, g.Now)})
	if s := f.Step(g.Step); s == nil || s.State != StepDone && s.State != StepSkipped {
		out = append(out, Sentence{"guards", explainGuards(g)})
	}
	return out
}

func explainOpening(f File) string {
	c := f.Case
	text := fmt.Sprintf("The case opened on %s, through connection %s: %s. The reason is %s", instant(c.Opened), c.Connection,
		c.Trigger, spaced(c.Reason))
	if c.Ticket != "" {
		text += ", ticket " + c.Ticket
	}
	text += "."
	switch d := f.Person.Removal; {
	case d == nil || !c.State.Live():
	case d.LeaveDate:
		text += fmt.Sprintf(" The person is not entitled to a seat from %s, by the leave date that the identity provider gives; "+
			"clearing or moving it there ends or moves the case.", instant(d.From))
	case d.Proposed:
		text += fmt.Sprintf(" It is a proposal of %s: the person stays entitled to a seat until the case is released.", d.By)
	case d.Keeps && d.Policy != "":
		text += fmt.Sprintf(" The person keeps the seat; policy %s reduces what they may do there until what it acted upon no longer holds, "+
			"which gives back what the case took.", d.Policy)
	case d.Keeps:
		text += fmt.Sprintf(" The person keeps the seat, with less access by the word of %s; cancelling the case gives back what it took.", d.By)
	case d.Policy != "":
		text += fmt.Sprintf(" The person is active, and not entitled to a seat by policy %s until what it acted upon no longer holds.", d.Policy)
	default:
		text += fmt.Sprintf(" The person is not entitled to a seat by the word of %s until the case is cancelled.", d.By)
	}
	return text
}

func explainPolicy(p Policy) string {
	text := "Policy " + p.Name
	if p.Version != "" {
		text += ", version " + p.Version
	}
	if p.Why != "" {
		text += ", because " + strings.TrimSuffix(p.Why, ".")
	}
	text += ". It asks for " + (Needs{People: p.Approvals, Roles: p.Roles}).Sentence()
	for _, r := range p.AlsoApprove {
		text += ", also by " + r.Role + " when " + oneLine(r.When)
	}
	if p.ApprovalExpires > 0 {
		text += ", none older than " + spell(p.ApprovalExpires)
	}
	if p.Plan == Mover {
		return text + " and leaves the seat; the person is to " + strings.Join(p.Revoke.Sentences(), ", ") + "."
	}
	switch p.Contain {
	case ContainAlways:
		text += " and takes groups away before the removal"
	case ContainNever:
		text += " and leaves groups alone until the removal"
	case ContainWhenWaiting, "":
		text += " and takes groups away while people are waited for"
	}
	return text + "."
}

// explainState tells where the case stands and who can change that.
func explainState(f File, g GuardFacts) string {
	c, now := f.Case, g.Now
	command := func(verb string) string { return "offramp cases " + verb + " " + c.ID }
	note := ""
	if c.Note != "" {
		note = ": " + c.Note
	}
	switch c.State {
	case StateClosed, StateCancelled:
		return fmt.Sprintf("It ended on %s as %s%s.", instant(c.Closed), spaced(c.Outcome), note)
	case StateHeld:
		again := ""
		if f.Standing.Entitled {
			again = " The person is entitled again, so that it is cancelled then, and what it took is given back."
		}
		if c.Batch != "" && !c.Braked {
			return fmt.Sprintf("It is held%s. An operator lets it go on with: %s; with all of the same change: offramp cases release --batch %s; "+
				"if it was not meant: offramp cases cancel --batch %[3]s --because TEXT%[4]s", note, command("release"), c.Batch, again)
		}
		return "It is held" + note + ". An operator lets it go on with: " + command("release") + again
	case StateNeedsAttention:
		return "It needs a person" + note + ". Once that is dealt with: " + command("retry") + ", or: " + command("resolve") + " --because TEXT"
	case StateRunning:
		return "It is being worked on" + note + "."
	case StateVerifying:
		if c.Plan == Mover {
			return "The access is reduced, and is looked at again until that is proven" + note + "."
		}
		return "The removal is done, and is looked at again until it is proven" + note + "."
	case StateWaiting:
	}
	if c.Ending == EndCancel {
		return "It is being cancelled" + note + "."
	}
	switch c.Waiting {
	case WaitApproval:
		return "It waits for approval, " + g.Approvers.Count(f, now).explain() + " Anybody who may approve, but the leaver, does so with: " + command("approve")
	case WaitTask:
		titles, ids := openTasks(f)
		switch {
		case titles == "" && c.Guard == GuardAdmin:
			return "What people were asked for is answered" + note + ". It goes on by itself when Amplitude shows it, and looks again at once with: " + command("retry")
		case titles == "":
			return "What people were asked for is answered" + note + ". It goes on by itself."
		}
		return fmt.Sprintf("It waits for people to finish %s%s. The one whose task it is, or an operator, attests it with: offramp tasks done %s",
			titles, note, ids)
	case WaitHook:
		return "It waits for the call-back of a hook" + note + "."
	case WaitPaused:
		return "Outward changes are paused" + note + ". An administrator ends that with: offramp resume"
	case WaitSeat:
		return "Another live case works on the same seat" + note + ". This one goes on when that one has ended."
	case WaitSettle:
		return fmt.Sprintf("It settles until %s, so that a mistake can be taken back. An operator ends the wait with: %s",
			instant(c.NotBefore), command("expedite"))
	case WaitNotBefore:
		end := "An operator ends the wait with: " + command("expedite")
		if d := f.Person.Removal; d != nil && now.Before(d.From) {
			end = "Until then the person is entitled and nobody is told; an operator who decides otherwise says: offramp cases open"
		}
		return fmt.Sprintf("It does not begin before %s. %s", instant(c.NotBefore), end)
	case WaitBudget:
		return "It waits for its share of Amplitude's request limit" + note + ", and goes on by itself."
	case WaitRetry:
		if c.Guard != GuardNone {
			return "The guards do not let it go on" + note + ". An operator lets them look again at once with: " + command("retry")
		}
		return "The last attempt failed and is repeated" + note + ". An operator repeats it at once with: " + command("retry")
	case WaitVerify, WaitNothing:
	}
	return "It waits and goes on by itself" + note + "."
}

// openTasks names the tasks that are open, and what to put for ID in a command;
// empty: none is.
func openTasks(f File) (titles, ids string) {
	var all, which []string
	for _, t := range f.Tasks {
		if t.State == TaskOpen {
			title := `"` + t.Title + `"`
			if t.Assignee != "" {
				title += " (" + t.Assignee + ")"
			}
			all, which = append(all, title), append(which, t.ID)
		}
	}
	switch len(all) {
	case 0:
		return "", ""
	case 1:
		return all[0], which[0]
	}
	return strings.Join(all, ", "), "ID, where ID is " + strings.Join(which, " or ")
}

// explainNext tells the steps to come and the times that matter.
func explainNext(f File, now time.Time) string {
	c := f.Case
	var names []string
	for _, s := range f.Steps {
		if s.State == StepPending || s.State == StepWaiting || s.State == StepRunning {
			names = append(names, string(s.Name))
		}
	}
	var parts []string
	if len(names) > 0 {
		parts = append(parts, "Still to come: "+strings.Join(names, ", ")+".")
	}
	if now.Before(c.NotBefore) && !c.Incident() {
		parts = append(parts, "Nothing is changed in Amplitude before "+instant(c.NotBefore)+".")
	}
	if slices.Contains(names, string(StepHandover)) && !c.Incident() {
		at := instant(c.HandoverDeadline())
		switch c.Policy.AtDeadline(c.Reason) {
		case DeadlineRemove:
			parts = append(parts, "A handover that is not finished by "+at+" is left behind: the removal goes on, and what has no owner is recorded.")
		case DeadlineHold:
			parts = append(parts, "A handover that is not finished by "+at+" keeps the case waiting, while the person's access is taken away.")
		case DeadlineEscalate, DeadlineByReason:
			parts = append(parts, "A handover that is not finished by "+at+" is put to a person.")
		}
	}
	if !c.Due.IsZero() {
		late := ""
		if now.After(c.Due) {
			late = ", and is overdue"
		}
		parts = append(parts, "The case is due by "+instant(c.Due)+late+".")
	}
	return strings.Join(parts, " ")
}

func explainGuards(g GuardFacts) string {
	if g.File.Case.State == StateHeld { // what they would say once it is released
		g.File.Case.State = StateRunning
	}
	p := Guard(g)
	if g.Step == StepRevoke {
		return explainReduction(g.File.Case, p)
	}
	switch {
	case p.Allowed && g.File.Case.Guard != GuardNone:
		return "The guards did not let the member be removed when they were last asked: " + g.File.Case.Note + "."
	case p.Allowed:
		return "The guards would let the member be removed now. Whether somebody else is an admin, and what else only Amplitude can tell, " +
			"and whether another case works on the same seat, they see at the removal itself."
	case p.Cancel:
		return "The guards would end the case instead of removing anybody: " + p.Because + "."
	case p.Outcome != "":
		return "The guards would let nothing be changed: " + p.Because + "."
	}
	return "The guards would not let the member be removed now: " + p.Because + "."
}

func explainReduction(c Case, p Permission) string {
	switch {
	case p.Allowed && c.Guard != GuardNone:
		return "The guards did not let access be taken away when they were last asked: " + c.Note + "."
	case p.Allowed:
		return "The guards would let access be taken away now."
	case p.Cancel:
		return "The guards would end the case and give back what it took: " + p.Because + "."
	}
	return "The guards would not let access be taken away now: " + p.Because + "."
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func spaced[T ~string](name T) string { return strings.ReplaceAll(string(name), "_", " ") }

func countOf(n int, what string) string {
	switch n {
	case 0:
		return "no " + what
	case 1:
		return "one " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
