package store

import (
	"context"
	"encoding/json"
	"fmt"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// supersede makes a case that reduced somebody one with another policy: times
// and approvals of the reduction do not count for what takes its place.
func (t *tx) supersede(ctx context.Context, row *db.Case, o offboard.Opening) (text string, err error) {
	policy, err := json.Marshal(o.Policy)
	if err != nil {
		return "", fmt.Errorf("encode the policy: %w", err)
	}
	row.Policy, row.NotBefore, row.DueAt = string(policy), millis(o.NotBefore), millis(o.Due)
	row.VerifiedAt = 0
	if err := t.SavePolicy(ctx, db.SavePolicyParams{Policy: row.Policy, ID: row.ID}); err != nil {
		return "", fmt.Errorf("save the policy: %w", err)
	}
	if err := t.DropApprovals(ctx, row.ID); err != nil {
		return "", fmt.Errorf("drop approvals: %w", err)
	}
	for _, a := range o.Approvals {
		if err := t.saveApproval(ctx, row.ID, a); err != nil {
			return "", err
		}
	}
	if o.Policy.Failed != "" {
		t.fell = append(t.fell, offboard.PolicyFailure{Policy: o.Policy.Failed, Person: row.PersonID, Case: row.ID})
	}
	taken := "What was taken away stays so"
	if o.Policy.GivesBack {
		taken = "What was taken away is given back, unless this policy takes it too"
	}
	return fmt.Sprintf("%s: the reduction is overtaken; reason %s, plan %s, policy %s. %s, "+
		"and approvals of the reduction no longer count", o.Trigger, o.Reason, o.Plan, o.Policy.Name, taken), nil
}
