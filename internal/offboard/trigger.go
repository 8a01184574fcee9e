package offboard

import (
	"fmt"
	"time"
)

// Rules are the settings that decisions about people need.
type Rules struct {
	AccessConfigured bool
	Grace            time.Duration // how long a lost access group may come back unnoticed
	Settle           time.Duration // before the first outward change of an ordinary case
	TrustIncidents   bool          // the connection may declare security incidents
	TrustApprovals   bool          // the connection's approvedBy counts as one approval
	Reachable        func(address string) bool
	Policy           func(PolicyFacts) Policy
	Location         *time.Location // nil: UTC
}

// Opening is a case about to be opened.
type Opening struct {
	Plan      PlanName
	Reason    Reason
	Trigger   string
	Ticket    string
	Policy    Policy
	State     State
	Waiting   Waiting
	Note      string
	NotBefore time.Time
	Due       time.Time
	Approvals []Approval
	Steps     []Step
}

// Verdict is what a change to a person means for their cases.
type Verdict struct {
	Open  *Opening // open this case
	Join  *Opening // a live case changes to this more urgent one
	Poke  bool     // a live case should be looked at again
	Trace string   // what happened, for the live case's timeline
}

// PriorCase is what a decision needs to know about the person's earlier cases.
type PriorCase struct {
	Live    bool
	Reason  Reason
	Began   bool    // removal began
	Outcome Outcome // of the last ended case, empty: there was none
}

// Decide tells what a change from was to is means. Creating a person is a
// change from the zero Person. now is when the change was accepted.
func Decide(was, is Person, prior PriorCase, r Rules, now time.Time) Verdict {
	reason, trigger, left := leaves(was, is, prior, r, now)
	if !left {
		if prior.Live && Entitled(is, r.AccessConfigured, now) && !Entitled(was, r.AccessConfigured, now) {
			return Verdict{Poke: true, Trace: "entitled again at the identity provider"}
		}
		if prior.Live {
			return upgrade(is, prior, r, now)
		}
		return Verdict{}
	}
	o := NewOpening(is, reason, trigger, r, now)
	if prior.Live {
		if o.Reason.urgency() > prior.Reason.urgency() && !prior.Began {
			return Verdict{Join: &o, Trace: trigger}
		}
		if !prior.Began {
			return Verdict{Poke: true, Trace: trigger}
		}
		return Verdict{Trace: trigger} // the running removal already does what is asked
	}
	return Verdict{Open: &o}
}

// leaves tells whether the change makes the person a leaver, and why.
func leaves(was, is Person, prior PriorCase, r Rules, now time.Time) (Reason, string, bool) {
	if was.ID == "" {
		return "", "", false // a person created inactive opens none
	}
	switch {
	case was.Deleted.IsZero() && !is.Deleted.IsZero():
		gone := prior.Outcome == OutcomeRemoved || prior.Outcome == OutcomeNoSeat || is.Placeholder()
		if !was.Active && gone && !prior.Live {
			return "", "", false // the deactivation before it was the removal
		}
		return DeletedAtIdP, "deleted at the identity provider", true
	case was.Active && !is.Active:
		return Deactivated, "deactivated at the identity provider", true
	case Entitled(was, r.AccessConfigured, now) && !Entitled(is, r.AccessConfigured, now):
		return GroupRemoval, "left the last access group", true
	}
	return "", "", false
}

// upgrade looks for a claim of an incident that arrives while a case is live.
func upgrade(is Person, prior PriorCase, r Rules, now time.Time) Verdict {
	reason, known := KnownReason(is.Claims.LeaveReason)
	if !known || reason == prior.Reason || Entitled(is, r.AccessConfigured, now) || prior.Began {
		return Verdict{}
	}
	o := NewOpening(is, prior.Reason, "a more urgent reason was given", r, now)
	if o.Reason.urgency() <= prior.Reason.urgency() {
		return Verdict{}
	}
	return Verdict{Join: &o, Trace: o.Trigger}
}

// NewOpening builds the case for a person who leaves for fallback, or for the
// reason that the identity provider claims.
func NewOpening(p Person, fallback Reason, trigger string, r Rules, now time.Time) Opening {
	reason := fallback
	var note string
	if claimed, ok := KnownReason(p.Claims.LeaveReason); ok && claimed.urgency() >= fallback.urgency() {
		reason = claimed
		if claimed == SecurityIncident && fallback != SecurityIncident && !r.TrustIncidents {
			reason = Termination
			note = "the identity provider claims a security incident, but its connection is not trusted for that; " +
				"confirm it with: offramp cases open --reason security_incident"
		}
	}
	pol := r.Policy(PolicyFacts{Person: p, Reason: reason, Trigger: trigger})
	o := Opening{
		Plan: pol.Plan, Reason: reason, Trigger: trigger, Ticket: p.Claims.Ticket, Policy: pol,
		State: StateRunning, Note: note, NotBefore: now,
	}
	if reason == SecurityIncident {
		o.Plan = Emergency
	}
	if o.Plan != Emergency {
		o.NotBefore = now.Add(pol.NotBefore)
		if settle := now.Add(r.Settle); settle.After(o.NotBefore) {
			o.NotBefore = settle
		}
		o.State, o.Waiting = StateWaiting, WaitSettle
		if reason == GroupRemoval && r.Grace > r.Settle {
			o.NotBefore, o.Waiting = now.Add(r.Grace), WaitNotBefore
		}
	}
	o.Due = pol.dueAfter(reason, now, r.Location)
	if who := p.Claims.ApprovedBy; who != "" && r.TrustApprovals && pol.Approvals == 1 &&
		Fold(who) != Fold(p.UserName) && Fold(who) != Fold(p.Address) {
		o.Approvals = append(o.Approvals, Approval{
			By: who, Role: "claimed by the identity provider", Ticket: p.Claims.Ticket, At: now,
		})
	}
	switch {
	case p.Placeholder(): // closes at its first attempt; there is nothing to settle
		o.State, o.Waiting, o.NotBefore = StateRunning, WaitNothing, now
	case r.Reachable != nil && !r.Reachable(p.Address):
		o.State, o.Waiting = StateNeedsAttention, WaitNothing
		o.Note = fmt.Sprintf("the seat's domain %q is outside this connection's domains: "+
			"add it to the connection, then retry, or resolve the case", Domain(p.Address))
	}
	for i, n := range Steps(o.Plan) {
		o.Steps = append(o.Steps, Step{Seq: i + 1, Name: n, State: StepPending})
	}
	return o
}
