package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"offramp/internal/offboard"
)

// audience is who can be told; without configuration, nobody.
func (r *Runner) audience() offboard.Audience {
	if r.opts.Audience == nil {
		return offboard.Audience{}
	}
	a := *r.opts.Audience
	a.Observe, a.Approvers = r.opts.Observe, r.opts.Approvers
	return a
}

// tell makes the messages of a step that is about to be recorded: its own, and
// those about the tasks that it opens or gives to somebody else.
func (a *attempt) tell(f offboard.File, s offboard.Step, u offboard.Update) []offboard.Message {
	to := a.audience()
	if !to.Reaches() {
		return nil
	}
	out := slices.Concat(u.Messages, offboard.TellTasks(f, u, to))
	if s.Name == offboard.StepRemove && s.State == offboard.StepDone {
		out = append(out, offboard.TellRemoved(f, to)...)
	}
	return out
}

// askEarly asks for approvals while the case waits for its time: approvers are
// the only ones who are told before it.
func (a *attempt) askEarly(ctx context.Context) error {
	ask := offboard.AskApproval(a.file, a.audience(), a.now())
	if len(ask) == 0 || ask[0].After.IsZero() || a.opts.Observe {
		return nil // nobody to ask, or the case only settles
	}
	f, err := a.opts.Store.Checkpoint(ctx, a.fence, lease, func(offboard.File) (offboard.Update, error) {
		return offboard.Update{Messages: ask}, nil
	})
	if err == nil {
		a.file = f
	}
	return err
}

// manager returns the address of the leaver's manager, empty where nobody is
// known or the manager leaves too.
func (a *attempt) manager(ctx context.Context) (string, error) {
	for _, ref := range []string{a.file.Person.Manager, a.file.Person.Claims.ManagerEmail} {
		if ref == "" {
			continue
		}
		p, err := a.opts.Store.FindPerson(ctx, a.file.Case.Connection, ref)
		switch {
		case errors.Is(err, offboard.ErrNotFound):
		case err != nil:
			return "", err
		case p.Active:
			return p.Address, nil
		}
	}
	return "", nil
}

// suspicious is what the audit log has about the leaver, in one sentence.
func (a *attempt) suspicious() string {
	s := a.file.Step(offboard.StepAudit)
	if s == nil || len(s.Result) == 0 {
		return ""
	}
	var res audited
	if err := json.Unmarshal(s.Result, &res); err != nil {
		return "" // the audit step's result is on the timeline
	}
	text := fmt.Sprintf("The audit log has %d entries of theirs in the last 30 days.", res.Entries)
	if len(res.Unseen) > 0 {
		text += " Not seen: " + strings.Join(res.Unseen, "; ") + "."
	}
	return text
}

// wouldTell says in observe mode who would be told after the removal.
func (a *attempt) wouldTell(ctx context.Context) ([]string, error) {
	manager, err := a.manager(ctx)
	if err != nil {
		return nil, err
	}
	to := a.audience()
	to.Manager = manager
	var out []string
	for _, m := range offboard.TellClosing(a.file, to, "") {
		out = append(out, "tell "+m.To)
	}
	for _, u := range a.file.Case.Policy.FollowUp {
		out = append(out, "open the follow-up "+offboard.Line(u.Title))
	}
	return out, nil
}
