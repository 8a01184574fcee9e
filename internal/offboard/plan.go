package offboard

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// PlanName names an order of steps.
type PlanName string

// The plans.
const (
	Leaver    PlanName = "leaver"
	Emergency PlanName = "emergency"
	Mover     PlanName = "mover" // the seat stays, with less access
)

// Plans lists every plan, for help texts and metrics.
func Plans() []PlanName { return []PlanName{Leaver, Emergency, Mover} }

// StepName names one step of a plan.
type StepName string

// The steps.
const (
	StepIdentify  StepName = "identify"
	StepSnapshot  StepName = "snapshot"
	StepContain   StepName = "contain"
	StepInventory StepName = "inventory"
	StepApprove   StepName = "approve"
	StepHandover  StepName = "handover"
	StepRotate    StepName = "rotate"
	StepRevoke    StepName = "revoke"
	StepRemove    StepName = "remove"
	StepVerify    StepName = "verify"
	StepAudit     StepName = "audit"
	StepNotify    StepName = "notify"
	StepArchive   StepName = "archive"
)

// Steps returns the order of a plan. An unknown plan gets the leaver's: a
// missing plan must never mean that nothing is done.
func Steps(p PlanName) []StepName {
	switch p {
	case Emergency:
		return []StepName{
			StepRemove, StepIdentify, StepVerify, StepRotate, StepAudit, StepNotify,
			StepInventory, StepHandover, StepArchive,
		}
	case Mover:
		return []StepName{StepIdentify, StepSnapshot, StepApprove, StepRevoke, StepVerify, StepNotify, StepArchive}
	case Leaver:
	}
	return []StepName{
		StepIdentify, StepSnapshot, StepContain, StepInventory, StepApprove, StepHandover,
		StepRotate, StepRemove, StepVerify, StepNotify, StepArchive,
	}
}

// Again returns the steps of a case that removes and verifies once more: Round
// of the removal is raised, so that its effects are new ones.
func Again(steps []Step) []Step {
	out := slices.Clone(steps)
	for i, s := range out {
		switch s.Name {
		case StepRemove:
			var r struct {
				Round  int             `json:"round"`
				Before json.RawMessage `json:"before"`
			}
			_ = json.Unmarshal(s.Result, &r) // without a result this was the first round
			s.Result = json.RawMessage(fmt.Sprintf(`{"round":%d}`, max(r.Round, 1)+1))
			if len(r.Before) > 0 {
				s.Result = json.RawMessage(fmt.Sprintf(`{"round":%d,"before":%s}`, max(r.Round, 1)+1, r.Before))
			}
			s.State, s.Attempts, s.Error, s.Finished = StepPending, 0, "", time.Time{}
		case StepIdentify, StepSnapshot, StepVerify:
			if s.Name == StepVerify || s.Name == StepIdentify {
				s.Result = nil
			}
			if s.State != StepSkipped {
				s.State, s.Attempts, s.Error, s.Finished = StepPending, 0, "", time.Time{}
			}
		case StepContain, StepInventory, StepApprove, StepHandover, StepRotate, StepRevoke, StepAudit, StepNotify, StepArchive:
		}
		out[i] = s
	}
	return out
}

// Rewrite returns the steps of a case that changes to a more urgent plan: what
// has begun stays as it is, what has not is replaced by the new plan's order
// without the steps that are done. What a mover's steps found and proved says
// nothing about a removal, or about another reduction: those begin afresh.
func Rewrite(steps []Step, to PlanName) []Step {
	var kept []Step
	done := map[StepName]bool{}
	for _, s := range steps {
		if s.State == StepPending {
			continue
		}
		if s.State == StepWaiting || s.State == StepRunning || s.State == StepObserved {
			// Begun but not finished: its waiting is over, the new order repeats it where it needs it.
			s.State = StepSkipped
		}
		if s.State == StepDone {
			done[s.Name] = true
		}
		kept = append(kept, s)
	}
	if slices.ContainsFunc(steps, func(s Step) bool { return s.Name == StepRevoke }) {
		clear(done)
	}
	for _, name := range Steps(to) {
		if !done[name] {
			kept = append(kept, Step{Name: name, State: StepPending})
		}
	}
	for i := range kept {
		kept[i].Seq = i + 1
	}
	return kept
}
