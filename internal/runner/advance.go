package runner

import (
	"context"
	"time"

	"go.uber.org/zap"

	"offramp/internal/offboard"
)

// attempt is one claim of one case.
type attempt struct {
	*Runner
	fence offboard.Fence
	file  offboard.File // as of the last checkpoint
	log   *zap.Logger
	seen  map[string]guarded // what the guards read for it last, by step and organization
}

// outcome is what a step came to. The zero value means that it is done.
type outcome struct {
	result    any                // what the step knows, kept with it
	update    offboard.Update    // rows to record with it
	say       string             // a line for the timeline, empty: the step's name and state
	wait      offboard.Waiting   // not done: what it waits for
	until     time.Time          // when to look again; zero: only at a signal
	note      string             // one sentence on the wait
	guard     offboard.GuardName // whose refusal note or attention tells
	meanwhile bool               // the steps behind it may go on
	attention string             // a person has to decide; says what
	again     []offboard.StepName
	end       offboard.Outcome         // the case ends here
	cancel    string                   // undo what was done and cancel the case
	skip      bool                     // done, and there was nothing to do
	observed  bool                     // only told what would be done
	still     func(offboard.File) bool // with end: whether the reason still holds when it is recorded; nil: always
}

// stepFunc runs one step as far as it can go.
type stepFunc func(ctx context.Context, a *attempt, s *offboard.Step) (outcome, error)

func stepOf(n offboard.StepName) stepFunc {
	switch n {
	case offboard.StepIdentify:
		return identify
	case offboard.StepSnapshot:
		return snapshot
	case offboard.StepContain:
		return contain
	case offboard.StepInventory:
		return inventory
	case offboard.StepApprove:
		return approve
	case offboard.StepHandover:
		return handover
	case offboard.StepRotate:
		return rotate
	case offboard.StepRevoke:
		return revoke
	case offboard.StepRemove:
		return remove
	case offboard.StepVerify:
		return verify
	case offboard.StepAudit:
		return audit
	case offboard.StepNotify:
		return notify
	case offboard.StepArchive:
		return archive
	}
	return func(context.Context, *attempt, *offboard.Step) (outcome, error) {
		return outcome{attention: "this version does not know the step " + string(n)}, nil
	}
}

// pause is where an attempt leaves its case.
type pause struct {
	state offboard.State
	wait  offboard.Waiting
	note  string
	guard offboard.GuardName
	wake  time.Time
}

// run takes the case from its first unfinished step to the next wait or its end.
func (a *attempt) run(ctx context.Context) error {
	if first := a.file.Next(); first != nil && a.file.Person.Placeholder() {
		return a.finish(ctx, first, outcome{end: offboard.OutcomeObserved, note: offboard.MadeUp})
	}
	if a.file.Case.State == offboard.StateHeld {
		return a.whileHeld(ctx)
	}
	rest := pause{state: offboard.StateRunning}
	for i := 0; i < len(a.file.Steps); i++ {
		s := a.file.Steps[i]
		if s.State == offboard.StepDone || s.State == offboard.StepSkipped || a.opts.Observe && s.State == offboard.StepObserved {
			continue
		}
		if s.State == offboard.StepObserved { // nothing was done: it begins here
			s = offboard.Step{Seq: s.Seq, Name: s.Name, State: offboard.StepPending}
		}
		if s.Name == offboard.StepArchive && rest.wait != "" {
			break // the bundle is closed over everything else
		}
		if because := a.mindChanged(); because != "" {
			return a.undo(ctx, because)
		}
		if c := a.file.Case; !c.Incident() && a.now().Before(c.NotBefore) {
			out, err := a.early(ctx)
			if err != nil {
				if out, err = a.failed(ctx, &s, err); err != nil {
					return err
				}
			}
			if out.attention != "" {
				return a.attention(ctx, &s, out)
			}
			rest = rest.and(out)
			break
		}
		started := a.now()
		step := stepOf(s.Name)
		if a.opts.Observe {
			step = observed(s.Name, step)
		}
		out, err := step(ctx, a, &s)
		if err != nil {
			if out, err = a.failed(ctx, &s, err); err != nil {
				return err
			}
		}
		if out, err = a.replacement(ctx, &s, out); err != nil {
			return err
		}
		if out.wait == offboard.WaitApproval && s.Name != offboard.StepApprove {
			if out, err = a.askAgain(s, out); err != nil {
				return err
			}
		}
		a.metrics.step(s.Name, out, a.now().Sub(started))
		switch {
		case out.cancel != "":
			return a.undo(ctx, out.cancel)
		case out.end != "":
			return a.finish(ctx, &s, out)
		case out.attention != "":
			return a.attention(ctx, &s, out)
		}
		before := a.file.Case.Removed
		if err := a.record(ctx, s, out); err != nil {
			return err
		}
		if !a.file.Case.State.Live() {
			return nil
		}
		if a.file.Case.Incident() && before.IsZero() && !a.file.Case.Removed.IsZero() {
			return a.handOn(ctx)
		}
		if out.wait == "" {
			continue
		}
		if at := a.uncontained(out); at >= 0 { // it turns out that people are waited for
			a.file.Steps[at].State = offboard.StepPending
			i = at - 1
			continue
		}
		rest = rest.and(out)
		if !out.meanwhile && !a.beside(s.Name) {
			break
		}
	}
	if rest.wait == "" {
		return nil // archive closed the case
	}
	_, err := a.opts.Store.Checkpoint(ctx, a.fence, 0, func(offboard.File) (offboard.Update, error) {
		return offboard.Update{State: rest.state, Waiting: &rest.wait, Note: &rest.note, Guard: rest.guard, WakeAt: rest.wake}, nil
	})
	return err
}

// handOn leaves an incident whose seat is removed to the workers of such cases:
// this one is for the next incident.
func (a *attempt) handOn(ctx context.Context) error {
	_, err := a.opts.Store.Checkpoint(ctx, a.fence, 0, func(offboard.File) (offboard.Update, error) { return offboard.Update{Now: true}, nil })
	return err
}

// whileHeld ends a case that waits with others for a person's word, should the
// leaver be entitled again: nobody has to say so. Else it does nothing.
func (a *attempt) whileHeld(ctx context.Context) error {
	if because := a.mindChanged(); because != "" {
		return a.undo(ctx, because)
	}
	_, err := a.opts.Store.Checkpoint(ctx, a.fence, 0, func(offboard.File) (offboard.Update, error) { return offboard.Update{}, nil })
	return err
}

// beside reports whether a step's wait holds up nothing behind it: in an
// incident nobody is told later because a replacement or the audit log has to be
// waited for. What says that the seat is gone waits for the proof.
func (a *attempt) beside(n offboard.StepName) bool {
	return a.file.Case.Incident() && !a.file.Case.Removed.IsZero() &&
		(n == offboard.StepRotate || n == offboard.StepAudit || n == offboard.StepNotify)
}

// and adds a step's wait: the earliest time wakes, the last reason shows.
func (p pause) and(out outcome) pause {
	if p.wake.IsZero() || !out.until.IsZero() && out.until.Before(p.wake) {
		p.wake = out.until
	}
	p.wait, p.note, p.guard, p.state = out.wait, out.note, out.guard, offboard.StateWaiting
	if out.wait == offboard.WaitVerify {
		p.state = offboard.StateVerifying
	}
	return p
}

// mindChanged tells why the case should not go on, if the person is entitled
// again or an operator cancelled it, and no removal was begun.
func (a *attempt) mindChanged() string {
	switch f := a.file; {
	case f.Case.Ending == offboard.EndCancel && f.Case.Removed.IsZero():
		return "an operator cancelled the case"
	case f.Standing.Entitled && !f.RemoveBegan():
		return offboard.SparedBecause(f.Case.Plan)
	}
	return ""
}
