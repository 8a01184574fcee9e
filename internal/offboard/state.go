package offboard

import "slices"

// State is where a case stands. The diagram is in docs/states.md.
type State string

// The states of a case.
const (
	StateHeld           State = "held"
	StateWaiting        State = "waiting"
	StateRunning        State = "running"
	StateVerifying      State = "verifying"
	StateNeedsAttention State = "needs_attention"
	StateClosed         State = "closed"
	StateCancelled      State = "cancelled"
)

// States lists every state in the order of a case's life.
func States() []State {
	return []State{
		StateHeld, StateWaiting, StateRunning, StateVerifying, StateNeedsAttention, StateClosed, StateCancelled,
	}
}

// Live reports whether a case in this state can still move.
func (s State) Live() bool { return s != StateClosed && s != StateCancelled }

// CanBecome reports whether a case may go from s to next. Staying is always
// allowed; closed and cancelled are final.
func (s State) CanBecome(next State) bool {
	if s == next {
		return true
	}
	var to []State
	switch s {
	case StateHeld:
		to = []State{StateRunning, StateNeedsAttention, StateCancelled}
	case StateWaiting:
		to = []State{StateRunning, StateVerifying, StateHeld, StateNeedsAttention, StateClosed, StateCancelled}
	case StateRunning:
		to = []State{StateWaiting, StateVerifying, StateHeld, StateNeedsAttention, StateClosed, StateCancelled}
	case StateVerifying:
		to = []State{StateRunning, StateWaiting, StateNeedsAttention, StateClosed, StateCancelled}
	case StateNeedsAttention:
		to = []State{StateRunning, StateClosed, StateCancelled}
	case StateClosed, StateCancelled:
	}
	return slices.Contains(to, next)
}

// Waiting says what a waiting case waits for.
type Waiting string

// What a case may wait for.
const (
	WaitNothing   Waiting = ""
	WaitNotBefore Waiting = "not_before"
	WaitSettle    Waiting = "settle"
	WaitApproval  Waiting = "approval"
	WaitTask      Waiting = "task"
	WaitHook      Waiting = "hook"
	WaitBudget    Waiting = "budget"
	WaitRetry     Waiting = "retry"
	WaitSeat      Waiting = "seat"
	WaitPaused    Waiting = "paused"
	WaitVerify    Waiting = "verify"
)

// Outcome is how a case ended.
type Outcome string

// The outcomes of closed and cancelled cases.
const (
	OutcomeRemoved   Outcome = "removed"   // the seat is gone, verified
	OutcomeReduced   Outcome = "reduced"   // a mover: the seat stays with less access, verified
	OutcomeNoSeat    Outcome = "no_seat"   // there was none
	OutcomeObserved  Outcome = "observed"  // observe mode: written down, not done
	OutcomeRehired   Outcome = "rehired"   // entitled again after the removal began
	OutcomeCancelled Outcome = "cancelled" // entitled again, or an operator's word, before it began
	OutcomeResolved  Outcome = "resolved"  // an operator closed it with a reason
)

// Outcomes lists every outcome, for metrics.
func Outcomes() []Outcome {
	return []Outcome{
		OutcomeRemoved, OutcomeReduced, OutcomeNoSeat, OutcomeObserved, OutcomeRehired, OutcomeCancelled, OutcomeResolved,
	}
}

// StepState is where one step stands.
type StepState string

// The states of a step.
const (
	StepPending  StepState = "pending"
	StepRunning  StepState = "running"
	StepWaiting  StepState = "waiting"
	StepDone     StepState = "done"
	StepSkipped  StepState = "skipped"
	StepObserved StepState = "observed" // observe mode told what it would do; to enforce, it is still to be done
)
