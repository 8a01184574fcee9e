package offboard

import (
	"fmt"
	"strings"
	"time"
)

// What a person may decide about a case. Every function here is a rule over the
// case as it is in the transaction that records the decision; the update holds
// the timeline entry with the person's name. A decision that is not allowed is a
// RefusedError and changes nothing.

// RefusedError says in one sentence why a decision is not allowed.
type RefusedError struct {
	Because    string
	Incomplete bool // something has to be added to what was asked; else the case forbids it
}

// Error gives the sentence.
func (e *RefusedError) Error() string { return e.Because }

func refused(format string, args ...any) error {
	return &RefusedError{Because: fmt.Sprintf(format, args...)}
}

func incomplete(because string) error { return &RefusedError{Because: because, Incomplete: true} }

// Attachment is a document that backs a decision. The document stays where it
// is; its hash shows later that it is the same one.
type Attachment struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"` // lower-case hexadecimal
}

// Hold stops a case until somebody releases it. A removal that has begun is
// finished and verified, not held.
func Hold(f File, by, because string) (Update, error) {
	if err := decidable(f, by); err != nil {
		return Update{}, err
	}
	switch {
	case f.Case.State == StateHeld:
		return Update{}, refused("the case is held already")
	case f.RemoveBegan():
		return Update{}, refused("the removal has begun and is now finished and verified; " +
			"to stop every outward change, pause Offramp")
	case f.Case.Ending == EndCancel:
		return Update{}, refused("the case is being cancelled; there is nothing to hold")
	case !f.Case.State.CanBecome(StateHeld):
		return Update{}, refused("a case that needs attention stands still already; retry, cancel or resolve it")
	}
	nothing, note := WaitNothing, withWhy("held by "+by, because)
	return Update{
		State: StateHeld, Waiting: &nothing, Note: &note, Cleared: true, // a person holds it, and lets it go on
		Timeline: []Entry{entry(by, "held", "held the case", because)},
	}, nil
}

// Release lets a held case go on.
func Release(f File, by, because string) (Update, error) {
	if err := decidable(f, by); err != nil {
		return Update{}, err
	}
	if f.Case.State != StateHeld {
		return Update{}, refused("the case is not held, it is %s", f.Case.State)
	}
	nothing, note := WaitNothing, ""
	return Update{
		State: StateRunning, Waiting: &nothing, Note: &note, Now: true, Cleared: true,
		Timeline: []Entry{entry(by, "released", "released the case", because)},
	}, nil
}

// Cancel asks that the case ends without a removal and that what was contained
// is given back; the runner does both. It is refused once the removal began.
func Cancel(f File, by, because string) (Update, error) {
	if err := decidable(f, by); err != nil {
		return Update{}, err
	}
	switch {
	case f.RemoveBegan():
		return Update{}, refused("the removal has begun and cannot be taken back; let the case finish, " +
			"then invite the person again in Amplitude")
	case f.Case.Ending == EndCancel:
		return Update{}, refused("the case is being cancelled already")
	}
	note := withWhy("cancelled by "+by, because)
	u := Update{
		Ending: EndCancel, Note: &note, Now: true,
		Timeline: []Entry{entry(by, "cancelled", "cancelled the case", because)},
	}
	if f.Case.State == StateHeld || f.Case.State == StateNeedsAttention {
		nothing := WaitNothing // nobody works on such a case until it runs
		u.State, u.Waiting = StateRunning, &nothing
		u.Cleared = true
	}
	return u, nil
}

// Pardon ends a standing removal decision, for a case that is to be cancelled:
// otherwise the person would stay without entitlement and without a case. It
// comes before Cancel, and is refused for the same reason.
func Pardon(prior PriorCase) (*Decision, Verdict, error) {
	if prior.Live && prior.Began {
		return nil, Verdict{}, refused("the removal has begun and cannot be taken back; let the case finish, " +
			"then invite the person again in Amplitude")
	}
	return nil, Verdict{}, nil
}

// Retry makes a case that gave up, or that waits for its next attempt, try the
// step at hand again, with all attempts before it.
func Retry(f File, by, because string) (Update, error) {
	if err := decidable(f, by); err != nil {
		return Update{}, err
	}
	waits := f.Case.State == StateWaiting && (f.Case.Waiting == WaitRetry || f.Case.Waiting == WaitTask && f.Case.Guard == GuardAdmin)
	if f.Case.State != StateNeedsAttention && !waits {
		return Update{}, refused("there is nothing to retry: %s", standing(f.Case))
	}
	nothing, note := WaitNothing, ""
	u := Update{State: StateRunning, Waiting: &nothing, Note: &note, Now: true}
	if f.Case.Guard == GuardUnseen && f.Case.Override == OverrideNone && strings.TrimSpace(because) != "" {
		u.Override = OverrideUnseen // an answer to what was asked, and to nothing else
	}
	text := "asked for another try"
	if next := f.Next(); next != nil {
		step := *next
		step.Attempts, step.Error = 0, ""
		u.Steps = []Step{step}
		text += " of " + string(step.Name)
		u.Tasks = reopened(f, step.Name)
	}
	u.Timeline = []Entry{entry(by, "retried", text, because)}
	return u, nil
}

// Pass is Retry with an admin's word that lets the case pass the guards of
// protected people and admins. Because is required, and the leaver may not say
// it. It never passes an address that somebody else holds, a pause, or observe mode.
func Pass(f File, by, because string) (Update, error) {
	if strings.TrimSpace(because) == "" {
		return Update{}, incomplete("say because of what the guards are overridden: it is what an auditor will read")
	}
	if isLeaver(f, by) {
		return Update{}, refused("%s is the leaver, and nobody lets their own case pass the guards; ask another admin", by)
	}
	u, err := Retry(f, by, because)
	if err != nil {
		return u, err
	}
	u.Override = OverrideAll
	u.Timeline = append(u.Timeline, entry(by, "override", "let the case pass the guards of protected people and admins", because))
	return u, nil
}

// reopened gives back the tasks of a step that somebody declined. The question
// for another admin stands before several steps.
func reopened(f File, step StepName) []Task {
	var out []Task
	for _, t := range f.Tasks {
		ofStep := step == StepHandover && t.Kind != TaskRotate && t.Kind != TaskRevoke && t.Kind != TaskFollowUp || t.Kind == TaskAdmin ||
			step == StepRotate && t.Kind == TaskRotate || step == StepRevoke && t.Kind == TaskRevoke
		if ofStep && t.State == TaskDeclined {
			t.State, t.By, t.Note, t.Ended = TaskOpen, "", "", time.Time{}
			out = append(out, t)
		}
	}
	return out
}

// Expedite ends a wait for time: the case may change things outside from now on.
func Expedite(f File, by, because string, now time.Time) (Update, error) {
	if err := decidable(f, by); err != nil {
		return Update{}, err
	}
	if d := f.Person.Removal; d != nil && now.Before(d.From) {
		return Update{}, refused("until their leave date the person is entitled to the seat; " +
			"if they shall go now, say so with: offramp cases open --person ADDRESS --reason REASON")
	}
	if !now.Before(f.Case.NotBefore) {
		return Update{}, refused("the case does not wait for its time: %s", standing(f.Case))
	}
	u := Update{
		NotBefore: now, Now: true,
		Timeline: []Entry{entry(by, "expedited",
			"let the case begin at once instead of at "+f.Case.NotBefore.UTC().Format(time.RFC3339), because)},
	}
	if f.Case.State == StateWaiting && (f.Case.Waiting == WaitSettle || f.Case.Waiting == WaitNotBefore) {
		nothing := WaitNothing
		u.State, u.Waiting = StateRunning, &nothing
	}
	return u, nil
}

// Resolve closes a case that needs attention on a person's word: it was dealt
// with by hand, or needs nothing. Because is required.
func Resolve(f File, by, because string, attachments []Attachment) (Update, error) {
	if err := decidable(f, by); err != nil {
		return Update{}, err
	}
	if strings.TrimSpace(because) == "" {
		return Update{}, incomplete("say because of what the case is resolved: it is what an auditor will read")
	}
	e, err := withAttachments(entry(by, "resolved", "resolved the case", because), attachments)
	if err != nil {
		return Update{}, err
	}
	if f.Case.State != StateNeedsAttention {
		return Update{}, refused("only a case that needs attention is resolved: %s", standing(f.Case))
	}
	nothing, note := WaitNothing, withWhy("resolved by "+by, because)
	return Update{
		State: StateClosed, Outcome: OutcomeResolved, Waiting: &nothing, Note: &note, Timeline: []Entry{e},
	}, nil
}

// TaskAnswer is a named person's word about a task.
type TaskAnswer struct {
	By        string // required
	Note      string // required for tasks of kind check
	Successor string // address; required for tasks of kind successor and admin
}

// CompleteTask records that a named person attests a task as done.
func CompleteTask(f File, id string, a TaskAnswer, now time.Time) (Update, error) {
	task, err := openTask(f, id, a.By)
	if err != nil {
		return Update{}, err
	}
	if isLeaver(f, a.By) {
		return Update{}, refused("%s is the leaver and cannot attest this task; ask somebody else", a.By)
	}
	if a.Successor != "" && isLeaver(f, a.Successor) {
		return Update{}, refused("the successor is the leaver; name somebody who stays")
	}
	switch task.Kind {
	case TaskCheck:
		if strings.TrimSpace(a.Note) == "" {
			return Update{}, incomplete("say in a note what was checked and what was found")
		}
	case TaskSuccessor:
		if !strings.Contains(a.Successor, "@") {
			return Update{}, incomplete("name the successor by their address")
		}
	case TaskAdmin:
		if !strings.Contains(a.Successor, "@") {
			return Update{}, incomplete("name as successor who administers it from now on, by their address")
		}
	case TaskHandover, TaskRotate, TaskFollowUp, TaskRevoke:
	}
	text := "done: " + task.Title
	if a.Successor != "" {
		task.Successor = a.Successor
		text += "; successor " + a.Successor
	}
	task.State, task.By, task.Note, task.Ended = TaskDone, a.By, strings.TrimSpace(a.Note), now
	u := Update{
		Tasks: []Task{task}, Now: true,
		Timeline: []Entry{entry(a.By, "task_done", text, a.Note)},
	}
	if task.Kind == TaskAdmin && f.Case.State == StateNeedsAttention && f.Case.Guard == GuardAdmin {
		nothing, note := WaitNothing, "" // an incident: the guard looks again
		u.State, u.Waiting, u.Note = StateRunning, &nothing, &note
	}
	return u, nil
}

// DeclineTask records that a named person will not do a task. Why is required.
func DeclineTask(f File, id, by, why string, now time.Time) (Update, error) {
	task, err := openTask(f, id, by)
	if err != nil {
		return Update{}, err
	}
	if strings.TrimSpace(why) == "" {
		return Update{}, incomplete("say why the task is declined, so that somebody else can take it from there")
	}
	task.State, task.By, task.Note, task.Ended = TaskDeclined, by, strings.TrimSpace(why), now
	return Update{
		Tasks: []Task{task}, Now: true,
		Timeline: []Entry{entry(by, "task_declined", "declined: "+task.Title, why)},
	}, nil
}

// Order is an operator's word that somebody leaves.
type Order struct {
	Reason Reason // required
	By     string // required
	Ticket string
	Policy string // name of the policy to take, whatever its conditions say; empty: the one whose condition holds
	Why    string // what the operator says about it, for the record; may be empty
}

// OpenBy opens a case on an operator's word, under a standing removal decision:
// whatever the identity provider says, the person is not entitled until the case
// is cancelled. With a policy of plan mover they stay entitled, and the decision
// stands for the reduction. A live case changes to the order's plan when the
// order is more urgent, or a removal in place of a reduction, and the removal has
// not begun; otherwise the order is refused.
//
// What the identity provider claims about a departure has no part in it.
func OpenBy(p Person, prior PriorCase, o Order, r Rules, now time.Time) (*Decision, Verdict, error) {
	if strings.TrimSpace(o.By) == "" {
		return nil, Verdict{}, incomplete("say who decides")
	}
	if _, known := KnownReason(string(o.Reason)); !known {
		return nil, Verdict{}, incomplete("give one of the known reasons")
	}
	p.Claims = Claims{Ticket: o.Ticket}
	text := "opened by operator " + o.By
	if p.Adopted() {
		text += " for an address that no identity provider sent"
	}
	d := departure{was: p, is: p, reason: o.Reason, how: ByOperator, text: withWhy(text, o.Why)}
	if o.Policy != "" {
		chosen, ok := r.Triggers.Named(o.Policy)
		if !ok {
			return nil, Verdict{}, incomplete("no policy is named " + o.Policy + "; there are: " + strings.Join(r.Triggers.Names(), ", "))
		}
		chosen.Why = o.By + " chose it"
		d.policy = &chosen
	}
	opening := newOpening(d, r, now)
	decision := &Decision{Reason: o.Reason, By: o.By, Keeps: opening.Plan == Mover}
	switch {
	case !prior.Live:
		return decision, Verdict{Open: &opening}, nil
	case prior.Began && prior.Verified:
		return decision, Verdict{Again: true, By: o.By, Trace: opening.Trigger}, nil
	case prior.Began:
		return nil, Verdict{}, refused("a case is live for this person and its removal has begun: there is nothing to add")
	case opening.Plan == Mover && prior.Plan != Mover:
		return nil, Verdict{}, refused("a case that removes this person is live, and a reduction does not take its place; cancel that case first")
	case prior.Plan == Mover && opening.Plan != Mover: // a removal takes the place of a reduction
	case prior.scheduled(p.Removal, now): // it need not wait for the leave date any more
	case opening.Reason.urgency() <= prior.Reason.urgency():
		return nil, Verdict{}, refused("a case is live for this person, reason %s, and %s is not more urgent", prior.Reason, o.Reason)
	}
	return decision, Verdict{Join: &opening}, nil
}

// Joined records in the timeline of a live case who made it more urgent.
func Joined(f File, o Order) (Update, error) {
	if err := decidable(f, o.By); err != nil {
		return Update{}, err
	}
	text := fmt.Sprintf("made the case more urgent: reason %s", o.Reason)
	if o.Ticket != "" {
		text += ", ticket " + o.Ticket
	}
	return Update{Timeline: []Entry{entry(o.By, "upgraded", text, "")}}, nil
}

// decidable is what every decision needs: a name and a live case.
func decidable(f File, by string) error {
	if strings.TrimSpace(by) == "" {
		return incomplete("say who decides")
	}
	if !f.Case.State.Live() {
		return refused("the case has ended: %s", f.Case.Outcome)
	}
	return nil
}

// openTask finds a task that may be answered: an open one of a live case, or one
// that outlives its case.
func openTask(f File, id, by string) (Task, error) {
	for _, t := range f.Tasks {
		if t.ID != id {
			continue
		}
		if !t.outlives() || strings.TrimSpace(by) == "" {
			if err := decidable(f, by); err != nil {
				return Task{}, err
			}
		}
		if t.State != TaskOpen {
			return Task{}, refused("the task is %s already", t.State)
		}
		return t, nil
	}
	if err := decidable(f, by); err != nil {
		return Task{}, err
	}
	return Task{}, refused("the case has no such task")
}

// standing tells in words where a case stands.
func standing(c Case) string {
	if c.State == StateWaiting && c.Waiting != WaitNothing {
		return "this one waits for " + strings.ReplaceAll(string(c.Waiting), "_", " ")
	}
	return "this one is " + strings.ReplaceAll(string(c.State), "_", " ")
}

func entry(by, kind, text, because string) Entry {
	return Entry{Actor: by, Kind: kind, Text: withWhy(text, because)}
}

// withWhy joins what was done and, where it was said, why.
func withWhy(what, because string) string {
	if because = strings.TrimSpace(because); because != "" {
		return what + ": " + because
	}
	return what
}

// samePerson compares two names or addresses. An operator's short name and the
// part before the @ of an address count as the same: where it decides who may
// say yes, taking two people for one costs a question, the reverse a safeguard.
func samePerson(a, b string) bool {
	a, b = Fold(a), Fold(b)
	if a == "" || b == "" {
		return false
	}
	if a == b {
		return true
	}
	la, _, aIsAddress := strings.Cut(a, "@")
	lb, _, bIsAddress := strings.Cut(b, "@")
	return aIsAddress != bIsAddress && la == lb
}

func isSHA256(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
