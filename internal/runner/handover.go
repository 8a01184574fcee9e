package runner

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"offramp/internal/offboard"
	"offramp/transfer"
)

// Keys of the tasks that a case opens at most once each.
const (
	taskSuccessor = "successor"
	taskContent   = "handover/content"
	taskLate      = "handover/late"
)

// handed is what handover came to.
type handed struct {
	Successor string            `json:"successor,omitempty"`
	Source    string            `json:"successor_from,omitempty"`
	Login     string            `json:"successor_login,omitempty"` // what is known about the successor's last login
	Refused   []string          `json:"refused,omitempty"`
	Note      string            `json:"note,omitempty"`
	Confirmed map[string]string `json:"confirmed,omitempty"` // by task: who or what says that it was done
	ReadBack  map[string]bool   `json:"read_back,omitempty"` // by task: whether the lists that show owners were read again
	Orphaned  int               `json:"orphaned"`
	Escalated bool              `json:"escalated,omitempty"`
}

// handover gives every listed asset to the successor by the first hook that
// can, and asks a person for the rest.
func handover(ctx context.Context, a *attempt, s *offboard.Step) (outcome, error) {
	was := handed{}
	if len(s.Result) > 0 {
		if err := json.Unmarshal(s.Result, &was); err != nil {
			return outcome{}, fmt.Errorf("read the handover so far: %w", err)
		}
	}
	if out, err := a.sunsetOver(ctx); err != nil || out.attention != "" {
		return out, err
	}
	choice, because, err := a.unlisted(ctx)
	if err != nil {
		return outcome{}, err
	}
	unlisted := choice == offboard.UnlistedTask
	if len(a.owned()) == 0 && !unlisted && a.file.Task(taskContent) == nil {
		note := a.unchecked(because)
		return outcome{skip: true, result: handed{Note: note}, say: "handover: " + note}, nil
	}
	successor, refusals, err := a.successor(ctx)
	if err != nil {
		return outcome{}, err
	}
	was.Refused = refusals
	deadline := a.file.Case.HandoverDeadline()
	if successor == nil {
		if out, over := a.overdue(deadline, &was); over {
			return out, nil
		}
		out := a.askSuccessor(deadline, was)
		a.unaddress(&out)
		return out, nil
	}
	if err := a.answered(ctx, successor); err != nil {
		return outcome{}, err
	}
	alone := a.lone(successor.Person)
	if alone {
		was.Successor = "" // at the deadline nobody takes over
		if out, over := a.overdue(deadline, &was); over {
			return out, nil
		}
	}
	was.Successor, was.Source = successor.Person.Address, successor.Source
	if alone {
		return outcome{
			wait: offboard.WaitApproval, until: later(deadline, a.now()), result: was,
			note: was.Successor + " takes over and is the only one who approved: somebody else has to approve as well, with: offramp cases approve " + a.file.Case.ID,
		}, nil
	}
	if was.Login, err = a.loginOf(ctx, successor.Person.Address); err != nil {
		return outcome{}, err
	}
	h := a.handoverTo(successor.Person, deadline)
	out, items, waitHook, err := a.byHooks(ctx, h, was)
	if err != nil || !out.zero() {
		return out, err
	}
	out, done, err := a.byPerson(ctx, h, items, unlisted, &was)
	if err != nil || !out.zero() {
		return out, err
	}
	if waitHook {
		if out, over := a.overdue(deadline, &was); over {
			return out, nil
		}
		return outcome{wait: offboard.WaitHook, until: later(deadline, a.now()), result: was, note: "waiting for a hook's answer"}, nil
	}
	return a.settled(done, was), nil
}

// byPerson opens the task for what no hook handed over and waits for it, and
// for what confirms it. What a hook gave up only afterwards, or what still names
// the leaver when it is read again, gets a second one.
func (a *attempt) byPerson(ctx context.Context, h transfer.Handover, items []offboard.Asset, unlisted bool, was *handed) (out outcome, done []*offboard.Task, err error) {
	for _, key := range []string{taskContent, taskLate} {
		task := a.file.Task(key)
		if task == nil {
			if len(items) == 0 && (key == taskLate || !unlisted) {
				continue
			}
			out, err := a.askContent(ctx, key, h, items, *was)
			return out, nil, err
		}
		if task.State == offboard.TaskOpen {
			if out, err := a.openTask(ctx, task, h, was); err != nil || !out.zero() {
				return out, nil, err
			}
			task = a.file.Task(key) // the audit log may have completed it
		}
		switch task.State {
		case offboard.TaskOpen:
			if out, over := a.overdue(h.Due, was); over {
				return out, nil, nil
			}
			return outcome{
				wait: offboard.WaitTask, until: later(h.Due, a.now()), result: *was,
				note: "waiting for a person to hand over what no API can: " + task.Title,
			}, nil, nil
		case offboard.TaskDeclined:
			return outcome{result: *was, attention: "the handover task was declined: " + task.Note + "; hand over by hand, then retry or resolve the case"}, nil, nil
		case offboard.TaskDone, offboard.TaskDropped:
			done = append(done, task)
		}
		items = slices.DeleteFunc(slices.Clone(items), func(as offboard.Asset) bool { return inTask(task, as) })
		if task.State == offboard.TaskDone {
			if out, err := a.attested(ctx, task, was); err != nil || !out.zero() {
				return out, nil, err
			}
			left, err := a.readAgain(ctx, task, was)
			if err != nil {
				return outcome{}, nil, err
			}
			items = append(items, left...)
		}
	}
	return outcome{}, done, nil
}

// inTask reports whether a task names an asset.
func inTask(t *offboard.Task, as offboard.Asset) bool {
	return strings.Contains(t.Text, cmp.Or(as.Name, as.RemoteID))
}

// settled closes the step: what a person attested counts as handed over.
func (a *attempt) settled(tasks []*offboard.Task, was handed) outcome {
	out := outcome{result: was, say: "handover: to " + was.Source + " successor"}
	for _, task := range tasks {
		if task.State != offboard.TaskDone {
			continue
		}
		for _, as := range a.owned() {
			if inTask(task, as) {
				out.update.Assets = append(out.update.Assets, was.byWord(as, task))
			}
		}
		if word := ", " + was.Confirmed[task.Key]; !strings.Contains(out.say, word) { // of several tasks the same may be said
			out.say += word
		}
	}
	return out
}

// owned lists the assets that are still the leaver's.
func (a *attempt) owned() []offboard.Asset {
	var out []offboard.Asset
	for _, as := range a.file.Assets {
		if as.State == offboard.AssetOwned {
			out = append(out, as)
		}
	}
	return out
}

func (a *attempt) handoverTo(p offboard.Person, deadline time.Time) transfer.Handover {
	return transfer.Handover{
		Case: a.file.Case.ID, Reason: string(a.file.Case.Reason), Due: deadline,
		Leaver:    transfer.Person{Email: a.file.Case.Address, Name: a.file.Person.Name()},
		Removed:   !a.file.Case.Removed.IsZero(),
		Successor: transfer.Person{Email: p.Address, Name: p.Name()},
	}
}

// byHooks hands over every asset that a hook takes. What is left is for the
// manual task.
func (a *attempt) byHooks(ctx context.Context, h transfer.Handover, was handed) (out outcome, left []offboard.Asset, waiting bool, err error) {
	var claimed []offboard.Asset
	for _, as := range a.owned() {
		hook := a.hookFor(transfer.AssetKind(as.Kind))
		if hook == nil || as.By != "" { // no hook takes it, or the one that does could not
			left = append(left, as)
			continue
		}
		h.Organization = as.Organization
		h.Asset = transfer.Asset{Kind: transfer.AssetKind(as.Kind), ID: as.RemoteID, Name: as.Name, Project: projectOf(as)}
		h.Key = hookKey(a.key(offboard.StepHandover, as.ID))
		h.Attempt = a.file.Step(offboard.StepHandover).Attempts + 1
		perm, done, person, err := a.byHook(ctx, hook, h, as)
		if e, ok := errors.AsType[*transfer.Error](err); ok && !e.Retry {
			as.By = e.Error()
			if err := a.couldNot(ctx, as); err != nil {
				return outcome{}, nil, false, err
			}
			left = append(left, as)
			continue
		}
		if err != nil || !perm.Allowed {
			return refused(perm), nil, false, err
		}
		if person {
			left = append(left, as)
			continue
		}
		if !done {
			waiting = true
			continue
		}
		known, err := a.handedOver(ctx, hook, h, as)
		if err != nil {
			return outcome{}, nil, false, err
		}
		if !known {
			claimed = append(claimed, as)
		}
	}
	if len(claimed) > 0 {
		deadline := a.file.Case.HandoverDeadline()
		if out, over := a.overdue(deadline, &was); over {
			return out, nil, false, nil
		}
		return a.askCheck(claimed, deadline, was), nil, false, nil
	}
	return outcome{}, left, waiting, nil
}

// couldNot records that no hook hands an asset over: it becomes a person's.
func (a *attempt) couldNot(ctx context.Context, as offboard.Asset) error {
	f, err := a.opts.Store.Checkpoint(ctx, a.fence, lease, func(offboard.File) (offboard.Update, error) {
		text := fmt.Sprintf("%s %s is left to a person: %s", as.Kind, as.RemoteID, as.By)
		return offboard.Update{
			Assets:   []offboard.Asset{as},
			Timeline: []offboard.Entry{{Actor: "offramp", Kind: string(offboard.StepHandover), Text: text}},
		}, nil
	})
	if err == nil {
		a.file = f
	}
	return err
}

func (a *attempt) byHook(ctx context.Context, hook transfer.Transferrer, h transfer.Handover, as offboard.Asset) (p offboard.Permission, done, person bool, err error) {
	ctx, secret := a.offerCallback(ctx)
	p, done, err = a.do(ctx, change{
		step: offboard.StepHandover, object: as.ID, text: fmt.Sprintf("about to hand over %s %s through %s", as.Kind, as.ID, hook.Name()),
		secret: secret, until: a.now().Add(7 * 24 * time.Hour),
		call: func(ctx context.Context) (string, bool, error) {
			r, err := hook.Transfer(ctx, h)
			if err != nil {
				return "", false, err
			}
			person = r.State == transfer.StateNeedsPerson
			return receiptText(r), r.State != transfer.StateDone, nil
		},
	})
	return p, done, person, err
}

// handedOver reads an asset back where the hook can, and records its new owner.
func (a *attempt) handedOver(ctx context.Context, hook transfer.Transferrer, h transfer.Handover, as offboard.Asset) (bool, error) {
	as.State, as.NewOwner, as.By = offboard.AssetHanded, h.Successor.Email, hook.Name()
	if reader, ok := hook.(transfer.Reader); ok {
		owner, known, err := reader.Owner(ctx, h.Asset)
		if err != nil {
			return false, err
		}
		if known && a.isLeaver(owner) {
			return false, &permanentError{text: fmt.Sprintf("%s says that %s %s is handed over, but it still belongs to the leaver; "+
				"hand it over by hand, then retry", hook.Name(), as.Kind, as.Name)}
		}
		if known {
			as.By += ", read back"
			if !h.Successor.Named(owner) {
				as.NewOwner = owner // somebody else had it already
			}
		}
	} else if !a.file.Case.Policy.Trust {
		// A hook's word is a claim; a person confirms what nothing can read.
		task := a.file.Task(checkKey(as))
		if task == nil || task.State != offboard.TaskDone {
			return false, nil
		}
		as.By += ", confirmed by " + task.By
	}
	f, err := a.opts.Store.Checkpoint(ctx, a.fence, lease, func(offboard.File) (offboard.Update, error) {
		return offboard.Update{Assets: []offboard.Asset{as}}, nil
	})
	if err == nil {
		a.file = f
	}
	return err == nil, err
}

// checkKey names the task that confirms a hook's word about an asset.
func checkKey(as offboard.Asset) string { return "check/" + as.ID }

// askCheck opens the tasks that confirm hooks' words, once each.
func (a *attempt) askCheck(claimed []offboard.Asset, deadline time.Time, was handed) outcome {
	out := outcome{wait: offboard.WaitTask, until: later(deadline, a.now()), result: was, note: "waiting for a person to confirm what a hook claims"}
	for _, as := range claimed {
		if t := a.file.Task(checkKey(as)); t != nil {
			if t.State == offboard.TaskDeclined {
				return outcome{result: was, attention: "a person says that a hook's claim is not true: " + t.Note + "; hand it over by hand, then retry"}
			}
			continue
		}
		out.update.Tasks = append(out.update.Tasks, offboard.Task{
			Kind: offboard.TaskCheck, Key: checkKey(as), State: offboard.TaskOpen, Due: deadline,
			Title: fmt.Sprintf("Check who owns %s %s now", as.Kind, cmp.Or(as.Name, as.RemoteID)),
			Text:  "A hook says that it was handed over, and no API can confirm it. Look in Amplitude and say what you saw.",
		})
	}
	return out
}

func (a *attempt) hookFor(kind transfer.AssetKind) transfer.Transferrer {
	for _, t := range a.opts.Transferrers {
		if t.Handles(kind) {
			return t
		}
	}
	return nil
}

// askContent opens the one task for everything that no API hands over.
func (a *attempt) askContent(ctx context.Context, key string, h transfer.Handover, items []offboard.Asset, was handed) (outcome, error) {
	task, err := a.contentTask(ctx, key, h, items)
	if err != nil {
		return outcome{}, err
	}
	return outcome{
		wait: offboard.WaitTask, until: later(h.Due, a.now()), result: was, note: "waiting for a person to hand over what no API can",
		say:    "handover: a task was opened for what no API can hand over",
		update: offboard.Update{Tasks: []offboard.Task{task}},
	}, nil
}

// contentTask describes the work for whoever does it.
func (a *attempt) contentTask(ctx context.Context, key string, h transfer.Handover, items []offboard.Asset) (offboard.Task, error) {
	h.Asset = transfer.Asset{Kind: transfer.AssetContent}
	h.Key = hookKey(a.key(offboard.StepHandover, key))
	if present := a.before().present(); len(present) > 0 {
		h.Organization = present[0]
	} else if orgs := a.reach(a.file.Case.Connection); len(orgs) > 0 {
		h.Organization = orgs[0].Name
	}
	for _, as := range items {
		h.Items = append(h.Items, transfer.Asset{Kind: transfer.AssetKind(as.Kind), ID: as.RemoteID, Name: as.Name, Project: projectOf(as)})
	}
	r, err := a.opts.Manual.Transfer(ctx, h)
	if err != nil {
		return offboard.Task{}, err
	}
	text := r.Task.Instruction
	if len(r.Task.Items) > 0 {
		text += "\n- " + strings.Join(r.Task.Items, "\n- ")
	}
	return offboard.Task{
		Kind: offboard.TaskHandover, Key: key, Title: r.Task.Title, Text: text, Link: r.Task.Link,
		Assignee: h.Successor.Email, Successor: h.Successor.Email, State: offboard.TaskOpen, Due: h.Due,
	}, nil
}

// projectOf is an asset's project as text; empty: it belongs to none.
func projectOf(as offboard.Asset) string {
	if as.Project == 0 {
		return ""
	}
	return strconv.Itoa(as.Project)
}

// zero reports whether nothing came of a step yet: it neither waits nor ends, and
// has no result.
func (o outcome) zero() bool {
	return o.wait == "" && o.attention == "" && o.end == "" && o.cancel == "" && o.result == nil
}

// later is t, or a moment from now where t is past: a wait must end.
func later(t, now time.Time) time.Time {
	if t.Before(now) {
		return now.Add(time.Minute)
	}
	return t
}

// hookKey makes an effect's key fit for a header: hooks take printable ASCII.
func hookKey(key string) string {
	var b strings.Builder
	for _, r := range key {
		if r <= ' ' || r > '~' {
			fmt.Fprintf(&b, "%%%X", r)
			continue
		}
		b.WriteRune(r)
	}
	if b.Len() > 200 {
		return b.String()[:136] + digest(key)
	}
	return b.String()
}

func receiptText(r transfer.Receipt) string {
	text := string(r.State) + " by " + r.By
	if r.Reference != "" {
		text += ", reference " + r.Reference
	}
	if r.Detail != "" {
		text += ": " + r.Detail
	}
	if r.Already {
		text += " (nothing had to be changed)"
	}
	return text
}
