package runner

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"offramp/amplitude"
	"offramp/internal/offboard"
	"offramp/transfer"
)

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
		return outcome{wait: offboard.WaitPaused, until: s.again(now, a.file.Case.Incident()), note: s.because}, nil
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
