package runner

import (
	"context"
	"fmt"

	"offramp/internal/offboard"
)

// approve waits until as many people as the policy asks for have said yes.
func approve(_ context.Context, a *attempt, _ *offboard.Step) (outcome, error) {
	need, got := a.file.Case.Policy.Approvals, len(a.file.Approvals)
	if got >= need {
		if need == 0 {
			return outcome{skip: true, say: "approve: the policy asks for no approval"}, nil
		}
		return outcome{say: fmt.Sprintf("approve: %d of %d", got, need)}, nil
	}
	return outcome{
		update: offboard.Update{Messages: offboard.AskApproval(a.file, a.audience())},
		wait:   offboard.WaitApproval,
		note:   fmt.Sprintf("%d of %d approvals; give one with: offramp cases approve %s", got, need, a.file.Case.ID),
	}, nil
}
