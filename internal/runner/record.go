package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"offramp/internal/offboard"
)

// know keeps with a step what it came to know; where that is nothing, what it
// knew stays.
func (out outcome) know(s *offboard.Step) error {
	if out.result == nil {
		return nil
	}
	b, err := json.Marshal(out.result)
	if err != nil {
		return fmt.Errorf("encode the result of %s: %w", s.Name, err)
	}
	s.Result = b
	return nil
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
	case out.observed:
		s.State, s.Finished = offboard.StepObserved, now
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
	if err := out.know(&s); err != nil {
		return err
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

// attention leaves the case to a person.
func (a *attempt) attention(ctx context.Context, s *offboard.Step, out outcome) error {
	none := offboard.WaitNothing
	again := map[offboard.StepName]bool{s.Name: true}
	for _, n := range out.again {
		again[n] = true
	}
	_, err := a.opts.Store.Checkpoint(ctx, a.fence, 0, func(f offboard.File) (offboard.Update, error) {
		switch {
		case f.Case.Ending == offboard.EndCancel && !f.RemoveBegan(): // somebody cancelled it meanwhile, and that is what comes next
			return offboard.Update{Now: true}, nil
		case f.Case.State == offboard.StateHeld: // or held it: it is looked at again when it is released
			return offboard.Update{}, nil
		}
		u := out.update
		u.State, u.Waiting, u.Note, u.Guard = offboard.StateNeedsAttention, &none, &out.attention, out.guard
		for _, st := range f.Steps {
			if again[st.Name] && st.State != offboard.StepSkipped {
				if st.Started.IsZero() {
					st.Started = a.now()
				}
				st.State, st.Error, st.Finished = offboard.StepPending, out.attention, time.Time{}
				if st.Name == s.Name {
					if err := out.know(&st); err != nil {
						return u, err
					}
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
	if err := out.know(s); err != nil {
		return err
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
