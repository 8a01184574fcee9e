package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"offramp/amplitude"
	"offramp/internal/offboard"
	"offramp/transfer"
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
		if s.State == offboard.StepDone || s.State == offboard.StepSkipped {
			continue
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

// record commits what a step came to and goes on with the case as it is then.
func (a *attempt) record(ctx context.Context, s offboard.Step, out outcome) error {
	u := out.update
	now := a.now()
	if s.Started.IsZero() {
		s.Started = now
	}
	s.Error = ""
	fresh := s.State
	switch {
	case out.wait != "":
		s.State = offboard.StepWaiting
	case out.skip:
		s.State, s.Finished = offboard.StepSkipped, now
	default:
		s.State, s.Finished = offboard.StepDone, now
	}
	if out.wait == offboard.WaitRetry {
		s.Error = out.note
	} else {
		s.Attempts = 0
	}
	if out.result != nil {
		b, err := json.Marshal(out.result)
		if err != nil {
			return fmt.Errorf("encode the result of %s: %w", s.Name, err)
		}
		s.Result = b
	}
	if u.State == "" {
		u.State = offboard.StateRunning
	}
	none, empty := offboard.WaitNothing, ""
	u.Waiting, u.Note = &none, &empty
	u.Steps = append(u.Steps, s)
	if fresh != s.State || out.say != "" {
		text := out.say
		if text == "" {
			text = fmt.Sprintf("%s: %s", s.Name, s.State)
			if out.note != "" {
				text += ": " + out.note
			}
		}
		u.Timeline = append(u.Timeline, offboard.Entry{Actor: "offramp", Kind: string(s.Name), Text: text, Data: s.Result})
	}
	f, err := a.opts.Store.Checkpoint(ctx, a.fence, lease, func(f offboard.File) (offboard.Update, error) {
		v := u
		v.Messages = a.tell(f, s, u)
		if f.Case.State == offboard.StateHeld {
			v.State, v.Note = "", nil // somebody held the case meanwhile
		}
		return v, nil
	})
	if err != nil {
		return err
	}
	a.file = f
	a.log.Info("step", zap.String("step", string(s.Name)), zap.String("state", string(s.State)), zap.Int("attempt", s.Attempts+1))
	if f.Case.State == offboard.StateHeld {
		_, err := a.opts.Store.Checkpoint(ctx, a.fence, 0, func(offboard.File) (offboard.Update, error) { return offboard.Update{}, nil })
		return errors.Join(err, offboard.ErrFenced)
	}
	return nil
}

// failed turns a step's error into a wait, or into a question to a person. An
// error of the record itself ends the attempt.
func (a *attempt) failed(ctx context.Context, s *offboard.Step, err error) (outcome, error) {
	for _, own := range []error{offboard.ErrFenced, offboard.ErrEnded, offboard.ErrUnavailable, offboard.ErrNotFound} {
		if errors.Is(err, own) {
			return outcome{}, err
		}
	}
	if ctx.Err() != nil {
		return outcome{}, context.Cause(ctx) // stopping; the lease lapses or is freed at the next start
	}
	now := a.now()
	if b, ok := errors.AsType[*amplitude.BudgetError](err); ok {
		until := now.Add(b.Wait)
		if s.Name == offboard.StepRemove { // of which most wait
			until = now.Add(spread(a.file.Case.ID, b.Wait))
		}
		return outcome{wait: offboard.WaitBudget, until: until, note: "waiting for Amplitude's request budget"}, nil
	}
	if s, ok := errors.AsType[*stoppedError](err); ok {
		return outcome{wait: offboard.WaitPaused, until: now.Add(10 * time.Second), note: s.because}, nil
	}
	if l, ok := errors.AsType[*laterError](err); ok {
		return outcome{wait: offboard.WaitBudget, until: l.until, note: l.note}, nil
	}
	var stop *permanentError
	if errors.As(err, &stop) || !organizational(err) && !transfer.IsTemporary(err) {
		return outcome{attention: err.Error()}, nil
	}
	if a.late(s.Name) {
		return a.giveUp(*s, err), nil
	}
	return a.repeat(s, err), nil
}

// repeat tries a step again after a while.
func (a *attempt) repeat(s *offboard.Step, err error) outcome {
	s.Attempts++
	pause := a.opts.Backoff << min(s.Attempts-1, 10)
	pause = max(min(pause, 5*time.Minute), retryAfter(err))
	a.log.Warn("step failed, will be repeated", zap.String("step", string(s.Name)), zap.Int("attempt", s.Attempts), zap.Error(err))
	return outcome{wait: offboard.WaitRetry, until: a.now().Add(pause), note: err.Error()}
}

// late reports whether a step that stands before the removal has no more time:
// the policy lets the removal go on at the handover's deadline.
func (a *attempt) late(n offboard.StepName) bool {
	c := a.file.Case
	if c.Incident() || c.Plan == offboard.Mover || !c.Removed.IsZero() || a.now().Before(c.HandoverDeadline()) ||
		c.Policy.AtDeadline(c.Reason) != offboard.DeadlineRemove {
		return false
	}
	switch n {
	case offboard.StepSnapshot, offboard.StepContain, offboard.StepInventory, offboard.StepHandover, offboard.StepRotate:
		return true
	case offboard.StepIdentify, offboard.StepApprove, offboard.StepRevoke, offboard.StepRemove, offboard.StepVerify, offboard.StepAudit,
		offboard.StepNotify, offboard.StepArchive:
	}
	return false
}

// giveUp goes on without a step that could not be done in time.
func (a *attempt) giveUp(s offboard.Step, err error) outcome {
	out := outcome{skip: true, say: string(s.Name) + ": given up at the deadline: " + err.Error()}
	if s.Name == offboard.StepHandover {
		late, _ := a.overdue(time.Time{}, &handed{})
		late.say = out.say + "; " + late.say
		return late
	}
	return out
}

// organizational reports whether Amplitude refused everything rather than this
// change: a wrong key or endpoint is put right in one place, and then every
// case goes on by itself.
func organizational(err error) bool {
	e, ok := errors.AsType[*amplitude.Error](err)
	redirected := ok && e.Status >= 300 && e.Status < 400
	return ok && (e.Unauthorized() || e.NotFound() || redirected)
}

// spread staggers cases that ask the budget again, so that they do not all
// come back in the same instant.
func spread(caseID string, wait time.Duration) time.Duration {
	n := 0
	for _, c := range caseID {
		n = (n*31 + int(c)) % 100
	}
	return wait + wait*time.Duration(n)/200
}

func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*amplitude.Error](err); ok {
		return e.RetryAfter
	}
	return transfer.RetryAfter(err)
}

// permanentError is one that repeating cannot cure. Its text tells a person what to do.
type permanentError struct{ text string }

func (e *permanentError) Error() string { return e.text }

// attention leaves the case to a person.
func (a *attempt) attention(ctx context.Context, s *offboard.Step, out outcome) error {
	none := offboard.WaitNothing
	again := map[offboard.StepName]bool{s.Name: true}
	for _, n := range out.again {
		again[n] = true
	}
	_, err := a.opts.Store.Checkpoint(ctx, a.fence, 0, func(f offboard.File) (offboard.Update, error) {
		u := out.update
		u.State, u.Waiting, u.Note, u.Guard = offboard.StateNeedsAttention, &none, &out.attention, out.guard
		for _, st := range f.Steps {
			if again[st.Name] && st.State != offboard.StepSkipped {
				if st.Started.IsZero() {
					st.Started = a.now()
				}
				st.State, st.Error, st.Finished = offboard.StepPending, out.attention, time.Time{}
				if out.result != nil && st.Name == s.Name {
					b, err := json.Marshal(out.result)
					if err != nil {
						return u, fmt.Errorf("encode the result of %s: %w", s.Name, err)
					}
					st.Result = b
				}
				u.Steps = append(u.Steps, st)
			}
		}
		u.Timeline = append(u.Timeline, offboard.Entry{Actor: "offramp", Kind: "needs_attention", Text: string(s.Name) + ": " + out.attention})
		u.Messages = a.tell(f, *s, u)
		return u, nil
	})
	a.log.Warn("case needs attention", zap.String("step", string(s.Name)), zap.String("because", out.attention))
	return err
}

// finish ends the case at a step that settles it.
func (a *attempt) finish(ctx context.Context, s *offboard.Step, out outcome) error {
	none, note := offboard.WaitNothing, out.note
	state := offboard.StateClosed
	if out.end == offboard.OutcomeCancelled {
		state = offboard.StateCancelled
	}
	now := a.now()
	s.State, s.Finished = offboard.StepDone, now
	if s.Started.IsZero() {
		s.Started = now
	}
	if out.result != nil {
		b, err := json.Marshal(out.result)
		if err != nil {
			return fmt.Errorf("encode the result of %s: %w", s.Name, err)
		}
		s.Result = b
	}
	f, err := a.opts.Store.Checkpoint(ctx, a.fence, 0, func(f offboard.File) (offboard.Update, error) {
		if out.still != nil && !out.still(f) {
			if f.Case.State == offboard.StateHeld {
				return offboard.Update{}, nil
			}
			empty := ""
			return offboard.Update{State: offboard.StateRunning, Waiting: &none, Note: &empty, Now: true}, nil
		}
		u := out.update
		u.State, u.Waiting, u.Note, u.Outcome = state, &none, &note, out.end
		u.Steps = append(u.Steps, *s)
		for _, st := range f.Steps {
			if st.Seq > s.Seq && st.State != offboard.StepDone {
				st.State = offboard.StepSkipped
				u.Steps = append(u.Steps, st)
			}
		}
		u.Timeline = append(u.Timeline, offboard.Entry{Actor: "offramp", Kind: string(state), Text: fmt.Sprintf("case %s: %s", out.end, note)})
		return u, nil
	})
	if err != nil {
		return err
	}
	a.file = f
	if !f.Case.State.Live() {
		a.metrics.closed(f.Case)
		a.log.Info("case closed", zap.String("outcome", string(out.end)))
	}
	return nil
}
