package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"offramp/internal/offboard"
)

// approve asks, with the inventory in hand, whose yes the case needs, and waits
// until it has them. What is needed is recorded with the step and stays so.
func approve(ctx context.Context, a *attempt, s *offboard.Step) (outcome, error) {
	needs, say := a.file.Needs(), ""
	if len(s.Result) == 0 {
		unlisted, _, err := a.unlisted(ctx)
		if err != nil {
			return outcome{}, err
		}
		needs = offboard.Ask(a.file, offboard.Inventoried{Assets: a.file.Assets, Unlisted: unlisted == offboard.UnlistedTask})
		for _, r := range needs.Rules {
			say += fmt.Sprintf("; %s is asked, since %s", r.Role, r.Why)
			if r.Failed && a.opts.RuleFailed != nil {
				a.opts.RuleFailed(offboard.PolicyFailure{Policy: a.file.Case.Policy.Name, Person: a.file.Person.ID, Case: a.file.Case.ID})
			}
		}
	}
	asked, err := withResult(a.file, s.Name, needs)
	if err != nil {
		return outcome{}, err
	}
	t := a.opts.Approvers.Count(asked, a.now())
	switch {
	case needs.People == 0:
		return outcome{skip: true, say: "approve: the policy asks for no approval"}, nil
	case t.Enough():
		return outcome{result: needs, say: "approve: " + t.Sentence() + say}, nil
	}
	if say != "" {
		say = "approve: needs " + needs.Sentence() + say
	}
	return outcome{
		result: needs, say: say, update: offboard.Update{Messages: offboard.AskApproval(asked, a.audience(), a.now())},
		wait: offboard.WaitApproval, note: t.Sentence() + "; give one with: offramp cases approve " + a.file.Case.ID,
	}, nil
}

// withResult is the case as it will be when a step's result is recorded; nil:
// as it is.
func withResult(f offboard.File, step offboard.StepName, result any) (offboard.File, error) {
	if result == nil {
		return f, nil
	}
	b, err := json.Marshal(result)
	if err != nil {
		return f, fmt.Errorf("encode the result of %s: %w", step, err)
	}
	f.Steps = slices.Clone(f.Steps)
	if s := f.Step(step); s != nil {
		s.Result = b
	}
	return f, nil
}

// askAgain asks for approvals where a step behind the approve step waits for
// one: those that the case had do not count any more, or are not enough.
func (a *attempt) askAgain(s offboard.Step, out outcome) (outcome, error) {
	f, err := withResult(a.file, s.Name, out.result)
	if err == nil {
		out.update.Messages = append(out.update.Messages, offboard.AskApproval(f, a.audience(), a.now())...)
	}
	return out, err
}

// lone reports whether a candidate is the only one who approved, so that they
// may not take over before somebody else has approved as well.
func (a *attempt) lone(p offboard.Person) bool {
	return a.file.Deciding() && a.opts.Approvers.Lone(a.file, p, a.now())
}
