package offboard

import "time"

// Policy is how one kind of departure is handled. A case keeps the policy it
// opened with. Fallback returns the one that needs no configuration.
type Policy struct {
	Name      string        `json:"name"`
	Version   string        `json:"version"`
	Plan      PlanName      `json:"plan"`
	NotBefore time.Duration `json:"not_before"`                      // after acceptance, or after the leave date
	AtLeave   bool          `json:"not_before_leave_date,omitempty"` // nothing before the leave date, where one is claimed
	Due       time.Duration `json:"due"`                             // zero: by the reason
	Approvals int           `json:"approvals"`                       // different people
	Contain   Contain       `json:"contain"`
	Successor string        `json:"successor"` // fallback address
	Handover  time.Duration `json:"handover"`  // deadline after acceptance, zero: 72 h
	AtHand    Deadline      `json:"at_deadline"`
	Unlisted  Unlisted      `json:"unlisted"`
	Unseen    Unseen        `json:"unseen,omitempty"`    // what a guard cannot see; zero: proceed
	Trust     bool          `json:"trust_receipt"`       // a hook's "done" opens remove without read-back
	FollowUp  []FollowUp    `json:"follow_up,omitempty"` // what people do elsewhere after the removal
	Revoke    Revoke        `json:"revoke,omitzero"`     // of plan mover: what is taken away

	Roles           []string       `json:"roles,omitempty"`            // of the approvals, each by a different person; none: any
	AlsoApprove     []ApprovalRule `json:"also_approve,omitempty"`     // roles that the inventory may make necessary
	ApprovalExpires time.Duration  `json:"approval_expires,omitempty"` // how long an approval counts; 0: without end

	// Of the choice, for a case's record.
	Why       string `json:"why,omitempty"`        // this policy was taken, as a sentence without its subject
	GivesBack bool   `json:"gives_back,omitempty"` // an earlier policy of the case lapsed: what it took, and this one does not take, is given back
	Failed    string `json:"failed,omitempty"`     // the policy whose condition could not be told, or NoPolicy; empty: none failed
}

// Contain says when groups are taken away before the removal.
type Contain string

// When to contain. The zero value means when waiting.
const (
	ContainWhenWaiting Contain = "when waiting"
	ContainAlways      Contain = "always"
	ContainNever       Contain = "never"
)

// Deadline says what happens when the handover is not finished in time.
type Deadline string

// What happens at the deadline. The zero value means by the reason: remove for
// termination and contract end, escalate for the others.
const (
	DeadlineByReason Deadline = ""
	DeadlineRemove   Deadline = "remove"
	DeadlineEscalate Deadline = "escalate"
	DeadlineHold     Deadline = "hold"
)

// Unlisted says what happens about kinds of content that no API can list.
type Unlisted string

// What happens about unlistable kinds. The zero value means by use: a note for
// pending members, who can own nothing, else a task.
const (
	UnlistedByUse Unlisted = ""
	UnlistedTask  Unlisted = "task"
	UnlistedNote  Unlisted = "note"
)

// Fallback is the built-in policy: a leaver with one approval.
func Fallback() Policy {
	return Policy{Name: "built-in", Plan: Leaver, Approvals: 1, Contain: ContainWhenWaiting}
}

// AtDeadline resolves the deadline's outcome for a reason.
func (p Policy) AtDeadline(r Reason) Deadline {
	if p.AtHand != DeadlineByReason {
		return p.AtHand
	}
	if r == Termination || r == ContractEnd {
		return DeadlineRemove
	}
	return DeadlineEscalate
}

func (p Policy) handoverDeadline(opened time.Time) time.Time {
	if p.Handover == 0 {
		return opened.Add(72 * time.Hour)
	}
	return opened.Add(p.Handover)
}

func (p Policy) dueAfter(r Reason, now time.Time, loc *time.Location) time.Time {
	if p.Due > 0 {
		return now.Add(p.Due)
	}
	if loc == nil {
		loc = time.UTC
	}
	switch r {
	case SecurityIncident:
		return now.Add(15 * time.Minute)
	case Termination:
		y, m, d := now.In(loc).Date()
		return time.Date(y, m, d, 23, 59, 59, 0, loc)
	case ContractEnd, RoleChange, AccessReview, Inactive, ProjectSunset, GroupRemoval, Deactivated,
		DeletedAtIdP, PolicyViolation, LegalRequest, Manual:
		return now.Add(24 * time.Hour)
	}
	return now.Add(24 * time.Hour)
}
