package offboard

// Reason is why somebody loses their seat.
type Reason string

// The reasons, most of them from an identity provider's leaveReason or from the
// form of the request.
const (
	Termination      Reason = "termination"
	ContractEnd      Reason = "contract_end"
	SecurityIncident Reason = "security_incident"
	RoleChange       Reason = "role_change"
	AccessReview     Reason = "access_review"
	Inactive         Reason = "inactive"
	ProjectSunset    Reason = "project_sunset"
	GroupRemoval     Reason = "group_removal"
	Deactivated      Reason = "deactivated"
	DeletedAtIdP     Reason = "deleted"
	PolicyViolation  Reason = "policy_violation"
	LegalRequest     Reason = "legal_request"
	Manual           Reason = "manual"
)

// Reasons lists every reason, for help texts and metrics.
func Reasons() []Reason {
	return []Reason{
		Termination, ContractEnd, SecurityIncident, RoleChange, AccessReview, Inactive, ProjectSunset,
		GroupRemoval, Deactivated, DeletedAtIdP, PolicyViolation, LegalRequest, Manual,
	}
}

// KnownReason turns text into a reason; false when it is none of ours.
func KnownReason(s string) (Reason, bool) {
	for _, r := range Reasons() {
		if string(r) == Fold(s) {
			return r, true
		}
	}
	return "", false
}

// urgency orders reasons: a case is rewritten only by a more urgent one.
func (r Reason) urgency() int {
	switch r {
	case SecurityIncident:
		return 3
	case Termination:
		return 2
	case ContractEnd, PolicyViolation, LegalRequest:
		return 1
	case RoleChange, AccessReview, Inactive, ProjectSunset, GroupRemoval, Deactivated, DeletedAtIdP, Manual:
		return 0
	}
	return 0
}
