package config

import (
	"fmt"
	"slices"
	"time"
)

// Policy says how one kind of departure is handled. The first whose `when`
// holds is taken; without any, the built-in one: plan leaver, one approval.
type Policy struct {
	Name         string        `yaml:"name"`          // required, unique; recorded with every case
	When         string        `yaml:"when"`          // CEL; empty: always, or, with trigger, only the trigger's cases
	Trigger      string        `yaml:"trigger"`       // CEL over was and person; opens a case when it becomes true; empty: opens none
	Reason       string        `yaml:"reason"`        // of the trigger's cases; empty: role_change
	Plan         Plan          `yaml:"plan"`          // default PlanLeaver
	NotBefore    NotBefore     `yaml:"not_before"`    // grace before anything is done
	Due          time.Duration `yaml:"due"`           // 0: by the reason
	Approvals    Approvals     `yaml:"approvals"`     // default: one, by whoever may approve
	Contain      string        `yaml:"contain"`       // always, when waiting (default) or never
	Successor    string        `yaml:"successor"`     // address of last resort; empty: handover.successor
	Deadline     time.Duration `yaml:"deadline"`      // of the handover; 0: handover.deadline
	AtDeadline   AtDeadline    `yaml:"at_deadline"`   // empty: handover.at_deadline
	Unlisted     Unlisted      `yaml:"unlisted"`      // empty: handover.unlisted
	Unseen       string        `yaml:"unseen"`        // what a guard cannot see: proceed (default) or ask
	TrustReceipt bool          `yaml:"trust_receipt"` // a hook's "done" counts without being read back
	FollowUp     []FollowUp    `yaml:"follow_up"`     // tasks for people elsewhere, after the removal; none: nobody is asked
	Revoke       Revoke        `yaml:"revoke"`        // required with plan mover, and only there

	AlsoApprove     []AlsoApprove `yaml:"also_approve"`     // roles that the inventory may make necessary; none: it is not looked at
	ApprovalExpires time.Duration `yaml:"approval_expires"` // how long an approval counts; 0: without end
}

// NotBefore is when a case may begin: some time after the decision, or at the
// leave date that the identity provider claims.
type NotBefore struct {
	After     time.Duration
	LeaveDate bool // written leave_date
}

// parse reads a duration or leave_date.
func (n *NotBefore) parse(text string) bool {
	if text == "leave_date" {
		*n = NotBefore{LeaveDate: true}
		return true
	}
	after, err := time.ParseDuration(text)
	*n = NotBefore{After: after}
	return err == nil
}

// Plan is an order of steps.
type Plan string

// The plans.
const (
	PlanLeaver    Plan = "leaver"
	PlanEmergency Plan = "emergency"
	PlanMover     Plan = "mover" // the seat stays, with less access
)

func (p *Policy) defaults() {
	*p = Policy{Plan: PlanLeaver, Approvals: Approvals{People: 1}, Contain: "when waiting"}
}

// oneOf tells unless a value is one of the words.
func (v *validator) oneOf(value string, words []string, key string) {
	v.require(slices.Contains(words, value), fmt.Sprintf("write one of %q", words), key)
}

func (v *validator) policies() {
	seen := map[string]string{}
	for i, p := range v.c.Policies {
		key := fmt.Sprintf("policies[%d]", i)
		v.name(seen, p.Name, key+".name")
		v.approvals(p, key)
		v.require(p.NotBefore.After >= 0 && p.Due >= 0 && p.Deadline >= 0, "write durations of zero or more", key)
		v.require(p.Reason == "" || p.Trigger != "", "remove it, or add trigger: other cases have the reason that they opened with", key+".reason")
		v.oneOf(string(p.Plan), []string{"leaver", "emergency", "mover"}, key+".plan")
		v.oneOf(p.Contain, []string{"always", "when waiting", "never"}, key+".contain")
		v.oneOf(string(p.AtDeadline), []string{"", "remove", "escalate", "hold"}, key+".at_deadline")
		v.oneOf(string(p.Unlisted), []string{"", "task", "note"}, key+".unlisted")
		v.revoke(p, key)
		v.oneOf(p.Unseen, []string{"", "proceed", "ask"}, key+".unseen")
		v.require(p.Successor == "" || isAddress(p.Successor), "write an e-mail address", key+".successor")
		v.followUps(p.FollowUp, key+".follow_up")
	}
}
