package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"offramp/internal/offboard"
	"offramp/transfer"
)

// auditLog is who completes a task whose transfer the audit log shows.
const auditLog = "audit log"

// An attested transfer is looked for in parts of the time that it may take to
// appear, and the log is read again for it when the last reading is as old.
const (
	confirmLooks = 7
	confirmReads = 15
)

// openTask looks after a task that waits for a person: it gives it to another
// successor where the one it names can no longer take over, and completes it
// where the audit log shows the transfer that it asks for.
func (a *attempt) openTask(ctx context.Context, task *offboard.Task, h transfer.Handover, was *handed) (outcome, error) {
	if offboard.Fold(task.Successor) != offboard.Fold(h.Successor.Email) {
		return outcome{}, a.readdress(ctx, task, h, was)
	}
	seen, err := a.transferred(ctx, task)
	if err != nil || seen.proof == nil {
		return outcome{}, err
	}
	var left []string
	for _, as := range a.owned() {
		if inTask(task, as) && !bulkKind(as.Kind) {
			left = append(left, strings.ReplaceAll(as.Kind, "_", " ")+" "+as.Name)
		}
	}
	if len(left) > 0 {
		if was.confirmed(task.Key) != "" {
			return outcome{}, nil // told before
		}
		was.confirm(task.Key, seen.text)
		return outcome{
			wait: offboard.WaitTask, until: later(h.Due, a.now()), result: *was,
			say:  "handover: " + seen.text + "; bulk transfer does not cover, and a person still has to give away: " + strings.Join(left, ", "),
			note: "waiting for a person to hand over what bulk transfer does not cover: " + task.Title,
		}, nil
	}
	was.confirm(task.Key, seen.text)
	done := *task
	done.State, done.By, done.Note, done.Ended = offboard.TaskDone, auditLog, seen.text, a.now()
	f, err := a.opts.Store.Checkpoint(ctx, a.fence, lease, func(f offboard.File) (offboard.Update, error) {
		if now := f.Task(task.Key); now == nil || now.State != offboard.TaskOpen {
			return offboard.Update{}, nil // a person was faster
		}
		return offboard.Update{
			Tasks:    []offboard.Task{done},
			Timeline: []offboard.Entry{{Actor: auditLog, Kind: "task_done", Text: "done: " + task.Title + ": " + seen.text, Data: seen.proof}},
		}, nil
	})
	if err == nil {
		a.file = f
	}
	return outcome{}, err
}

// attested waits for the audit log to confirm what a person attests, for as
// long as Options.Confirm says; then the word alone counts, and is told as that.
func (a *attempt) attested(ctx context.Context, task *offboard.Task, was *handed) (outcome, error) {
	if was.confirmed(task.Key) != "" {
		return outcome{}, nil
	}
	if task.By == auditLog {
		was.confirm(task.Key, task.Note)
		return outcome{}, nil
	}
	word := "attested by " + task.By
	available, err := a.logAvailable(ctx)
	if err != nil {
		return outcome{}, err
	}
	switch {
	case !a.file.Case.Removed.IsZero():
		word += "; of what is unassigned after a removal the audit log says nothing"
		return outcome{}, a.settle(ctx, task, was, word, nil)
	case !available:
		word += "; no audit log is available to confirm it"
		return outcome{}, a.settle(ctx, task, was, word, nil)
	}
	seen, err := a.transferred(ctx, task)
	if err == nil && seen.proof == nil && a.opts.Confirm > 0 {
		a.catchUp(ctx, a.opts.Confirm/confirmReads)
		seen, err = a.transferred(ctx, task)
	}
	if err != nil {
		return outcome{}, err
	}
	until := task.Ended.Add(a.opts.Confirm)
	switch {
	case seen.proof != nil:
		return outcome{}, a.settle(ctx, task, was, word+", and "+seen.text, seen.proof)
	case a.now().Before(until):
		next := a.now().Add(a.opts.Confirm / confirmLooks)
		if next.After(until) {
			next = until
		}
		return outcome{
			wait: offboard.WaitHook, until: next, result: *was,
			note: "waiting until " + until.UTC().Format(time.RFC3339) + " for the audit log to show the transfer that " + task.By + " attests",
		}, nil
	}
	word += ", not confirmed by the audit log"
	if seen.otherwise != "" {
		word += ": " + seen.otherwise
	}
	return outcome{}, a.settle(ctx, task, was, word, nil)
}

// settle records what a task's end rests on.
func (a *attempt) settle(ctx context.Context, task *offboard.Task, was *handed, word string, proof []byte) error {
	was.confirm(task.Key, word)
	f, err := a.opts.Store.Checkpoint(ctx, a.fence, lease, func(offboard.File) (offboard.Update, error) {
		return offboard.Update{Timeline: []offboard.Entry{{
			Actor: "offramp", Kind: string(offboard.StepHandover), Text: "handover: " + task.Title + ": " + word, Data: proof,
		}}}, nil
	})
	if err == nil {
		a.file = f
	}
	return err
}

// transferSeen is what the audit logs say about a task's transfer.
type transferSeen struct {
	text      string
	proof     []byte // the entries as they came; nil: they do not confirm it
	otherwise string // what they show instead
}

// transferred looks in the audit log of every organization where the leaver has
// a seat. One that does not show the transfer is enough to leave it unconfirmed.
func (a *attempt) transferred(ctx context.Context, task *offboard.Task) (transferSeen, error) {
	var out transferSeen
	var texts []string
	var proof []any
	present := a.before().present()
	for _, org := range a.reach(a.file.Case.Connection) {
		if len(present) > 0 && !slices.Contains(present, org.Name) {
			continue
		}
		list, err := a.opts.Store.Transfers(ctx, org.Name, a.file.Case.Address)
		if err != nil {
			return out, err
		}
		i := slices.IndexFunc(list, func(b offboard.BulkTransfer) bool {
			yes, otherwise := b.Confirms(*task, a.file.Case.Address)
			if otherwise != "" {
				out.otherwise = otherwise
			}
			return yes
		})
		if i < 0 {
			return out, nil
		}
		b := list[i]
		texts = append(texts, fmt.Sprintf("the audit log of %s shows the bulk transfer at %s by %s", org.Name, b.At.UTC().Format(time.RFC3339), b.By))
		proof = append(proof, b.Raw)
	}
	if len(texts) > 0 {
		out.text, out.proof = strings.Join(texts, ", "), encode(proof)
	}
	return out, nil
}

// bulkKind reports whether Amplitude's bulk transfer covers a kind.
func bulkKind(kind string) bool {
	switch transfer.AssetKind(kind) {
	case transfer.AssetDashboard, transfer.AssetNotebook, transfer.AssetChart, transfer.AssetMetric, transfer.AssetCohort, transfer.AssetContent:
		return true
	case transfer.AssetEvent, transfer.AssetFlag, transfer.AssetExperiment, transfer.AssetAlert, transfer.AssetSubscription,
		transfer.AssetDestination, transfer.AssetLookupTable, transfer.AssetKeys:
	}
	return false
}

func (h *handed) confirmed(task string) string { return h.Confirmed[task] }

func (h *handed) confirm(task, word string) {
	if h.Confirmed == nil {
		h.Confirmed = map[string]string{}
	}
	h.Confirmed[task] = word
}

// readdress gives an open task to the successor of now. Whom it named before
// can no longer take over.
func (a *attempt) readdress(ctx context.Context, task *offboard.Task, h transfer.Handover, was *handed) error {
	var items []offboard.Asset
	for _, as := range a.owned() {
		if inTask(task, as) {
			items = append(items, as)
		}
	}
	next, err := a.contentTask(ctx, task.Key, h, items)
	if err != nil {
		return err
	}
	next.ID, next.Opened = task.ID, a.now() // a transfer to somebody else, before now, is not this one
	text := fmt.Sprintf("handover: %s takes over (%s), and the task is addressed to them", h.Successor.Email, was.Source)
	if task.Successor != "" {
		text = fmt.Sprintf("handover: %s can no longer take over; %s does (%s), and the task is addressed to them", task.Successor, h.Successor.Email, was.Source)
	}
	f, err := a.opts.Store.Checkpoint(ctx, a.fence, lease, func(f offboard.File) (offboard.Update, error) {
		if now := f.Task(task.Key); now == nil || now.State != offboard.TaskOpen {
			return offboard.Update{}, nil
		}
		return offboard.Update{
			Tasks:    []offboard.Task{next},
			Timeline: []offboard.Entry{{Actor: "offramp", Kind: "readdressed", Text: text}},
		}, nil
	})
	if err == nil {
		a.file = f
	}
	return err
}

// unaddress takes the name of somebody who can no longer take over off the open
// tasks, where nobody else is known.
func (a *attempt) unaddress(out *outcome) {
	for _, t := range a.file.Tasks {
		if t.Kind != offboard.TaskHandover || t.State != offboard.TaskOpen || t.Successor == "" {
			continue
		}
		out.update.Timeline = append(out.update.Timeline, offboard.Entry{
			Actor: "offramp", Kind: "readdressed",
			Text: "handover: " + t.Successor + " can no longer take over, and nobody else is known: the task waits for a successor",
		})
		t.Successor, t.Assignee = "", ""
		out.update.Tasks = append(out.update.Tasks, t)
	}
}

// unchecked is what the evidence says where nothing is handed over.
func (a *attempt) unchecked(because string) string {
	note := "nothing is listed; what no API can list was not checked"
	if o := a.inventoried(); o.Unknown && o.Listed == 0 {
		note = "what they owned is unknown: it was looked for only after the removal, and no ownership sweep had seen it before"
	}
	if because != "" {
		note += ", because " + because
	}
	return note
}
