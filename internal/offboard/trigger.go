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
	Triggers         *Policies      // open cases for people who stay active; nil: none does
	Organizations    []string       // that the connection reaches, as policies see them
	Location         *time.Location // of leave dates and days; nil: UTC
	Brake            BrakeRules     // zero: none

	Protected   func(Person) string // why somebody, as given, is not removed without a person's word; empty: they may be. nil: all may
	ProtectedBy func(Group) bool    // whether being in a group may protect; nil: it never does
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
	Claim     string // of an approval, what is made of it; empty: none is claimed
	Steps     []Step
	Brake     BrakeRules // what may hold it; zero: nothing does
	Confirmed bool       // a person opened it: no emergency brake holds it
	Beside    bool       // a live case removes the person already, and goes on as it was where a brake holds this
	Address   string     // of the seat; empty: the person's
}

// Counts reports whether the opening counts for the brakes. An incident that a
// person opened does not.
func (o Opening) Counts() bool {
	return o.State != StateNeedsAttention && (o.Plan != Emergency || !o.Confirmed)
}

// Verdict is what a change to a person means for their cases.
type Verdict struct {
	Open  *Opening // open this case
	Join  *Opening // a live case changes to this more urgent one
	Move  *Move    // a live case begins at another time
	Again bool     // a live case that removed already removes and verifies once more
	Poke  bool     // a live case should be looked at again
	Wake  bool     // with Poke: also one that needs attention goes on by itself
	Trace string   // what happened, for the live case's timeline
	By    string   // whose word Trace is; empty: the identity provider's

	Claim     string     // of an approval, which came while the case is live; what is made of it
	Approvals []Approval // with Claim: what counts of it

	Decision *Decision       // replaces the person's standing removal decision
	Lapsed   bool            // without Decision: the standing removal decision ends
	Failed   []PolicyFailure // what could not be told
}

// Move is another time for a case that has not begun to remove.
type Move struct {
	NotBefore, Due time.Time
	Brake          BrakeRules // what may hold a case that begins sooner
}

// PriorCase is what a decision needs to know about the person's earlier cases.
type PriorCase struct {
	Live      bool
	Plan      PlanName // of a live case
	Reason    Reason
	Policy    Policy    // of a live case
	NotBefore time.Time // of a live case
	Began     bool      // removal began
	Revoking  bool      // of a live mover: what is taken away began
	Verified  bool      // absence was proven
	Batched   bool      // held since it opened, with the others of a change to a group
	Braked    bool      // held by the brake
	Ending    bool      // of a live case: it is being cancelled
	Outcome   Outcome   // of the last ended case, empty: there was none
}

// scheduled reports whether the live case waits for a leave date to come.
func (c PriorCase) scheduled(d *Decision, now time.Time) bool {
	return c.Live && d != nil && d.LeaveDate && now.Before(c.NotBefore) && !c.Began
}

// Decide tells what a change from was to is means. Creating a person is a
// change from the zero Person. now is when the change was accepted.
func Decide(was, is Person, prior PriorCase, r Rules, now time.Time) Verdict {
	v := Verdict{Failed: unreadable(was, is, r)}
	if prior.Live && !prior.Began && was.Claims.ApprovedBy != is.Claims.ApprovedBy {
		v.Approvals, v.Claim = claimed(is, r, prior.Policy, now)
		v.Poke = len(v.Approvals) > 0
	}
	scheduled := prior.scheduled(is.Removal, now)
	lapsed := lapsed(is, r, now)
	if lapsed != "" {
		v.Lapsed, is.Removal = true, nil
	}
	d, left, failed := departs(was, is, prior, r, now)
	v.Failed = append(v.Failed, failed...)
	if left {
		v.Decision = d.decision
		return leave(v, d, prior, scheduled, r, now)
	}
	if prior.shifts(was, is) {
		v.Move, v.Trace = prior.move(is, r, now), "the date, for which the case waits, changed"
		return v
	}
	if at, ok := upcoming(was, is, r, now); ok {
		return schedule(v, was, is, prior, at, r, now)
	}
	entitled := Entitled(is, r.AccessConfigured, now)
	switch {
	case !prior.Live:
	case lapsed != "":
		v.Poke, v.Wake, v.Trace = true, true, lapsed
	case entitled && !Entitled(was, r.AccessConfigured, now):
		v.Poke, v.Wake, v.Trace = true, true, "entitled again at the identity provider"
	default:
		upgrade(&v, was, is, prior, r, now)
	}
	if v.Join == nil && !entitled && prior.Live && !prior.Began && prior.Policy.AtLeave && was.Claims.LeaveDate != is.Claims.LeaveDate {
		v.Move, v.Trace = prior.move(is, r, now), "the leave date, for which the case waits, changed"
	}
	return v
}

// leave turns a departure into a case, or into a change of the live one.
func leave(v Verdict, d departure, prior PriorCase, scheduled bool, r Rules, now time.Time) Verdict {
	o := newOpening(d, r, now)
	if !prior.Live {
		v.Open = &o
		if v.Decision == nil && d.is.Removal.Keeping() {
			v.Lapsed = true // a reduction that is over
		}
		return v
	}
	v.Trace = d.text
	switch {
	case prior.Began && prior.Verified && Entitled(d.was, r.AccessConfigured, now):
		v.Again = true // they came back after the removal was proven, and leave again
	case o.Plan == Mover && prior.Plan != Mover:
		// Whoever is being removed has nothing left to be reduced.
		v.Decision = nil
		v.Trace += "; its plan is mover, which does not take the place of a removal: nothing else follows from it"
	case prior.Plan == Mover && (o.Plan != Mover || o.Policy.Name != prior.Policy.Name):
		o.Policy.GivesBack = o.Plan == Mover && v.Lapsed
		v.Join = &o
	case scheduled || prior.Batched && d.reason != GroupRemoval:
		// A word about the person: the case no longer hangs on their leave
		// date, or on what was a mistake for a whole group, or was not.
		if o.Reason.urgency() < prior.Reason.urgency() {
			d.reason = prior.Reason
			o = newOpening(d, r, now)
		}
		v.Join = &o
		v.Lapsed = v.Lapsed || v.Decision == nil && d.is.Removal != nil && d.is.Removal.Proposed
	case o.Reason.urgency() > prior.Reason.urgency() && !prior.Began:
		o.Beside = true
		v.Join = &o
	case !prior.Began:
		v.Poke = true
	default: // the running removal already does what is asked
	}
	return v
}

// departure is why somebody is about to lose their seat.
type departure struct {
	was, is  Person
	reason   Reason // unless the identity provider claims one that weighs more
	how      string // one of Triggers
	text     string // the same in words, for the record
	policy   *Policy
	leave    time.Time // not before; zero: as soon as may be
	decision *Decision // standing with it; nil: the provider itself says that they are not entitled
}

// departs tells whether the change makes the person a leaver, and why.
func departs(was, is Person, prior PriorCase, r Rules, now time.Time) (d departure, left bool, failed []PolicyFailure) {
	d = departure{was: was, is: is}
	if was.ID == "" {
		return d, false, nil // nobody leaves by being created
	}
	entitled := Entitled(is, r.AccessConfigured, now)
	switch {
	case was.Deleted.IsZero() && !is.Deleted.IsZero():
		gone := prior.Outcome == OutcomeRemoved || prior.Outcome == OutcomeNoSeat || is.Placeholder()
		if !was.Active && gone && !prior.Live {
			return d, false, nil // the deactivation before it was the removal
		}
		d.reason, d.how, d.text = DeletedAtIdP, ByDeletion, "deleted at the identity provider"
		return d, true, nil
	case was.Active && !is.Active:
		d.reason, d.how, d.text = Deactivated, ByDeactivation, "deactivated at the identity provider"
		return d, true, nil
	case Entitled(was, r.AccessConfigured, now) && !entitled:
		d.reason, d.how, d.text = GroupRemoval, ByGroup, "left the last access group"
		return d, true, nil
	}
	if !entitled {
		return d, false, nil
	}
	if at, ok := LeaveMoment(is.Claims.LeaveDate, r.Location); ok && !now.Before(at) && freshDate(was, is) {
		d.reason, d.how, d.text = claimedReason(is, ContractEnd), ByLeaveDate, "the leave date has been reached"
		d.decision = leaveDecision(d.reason, at)
		return d, true, nil
	}
	d.policy, d.reason, failed = r.Triggers.Fires(PolicyFacts{
		Person: is, Was: was, Reason: claimedReason(is, ""), Trigger: ByPolicy, At: now, Organizations: r.Organizations,
	})
	if d.policy == nil {
		return d, false, failed
	}
	d.reason, d.how = claimedReason(is, d.reason), ByPolicy
	d.text = "a change at the identity provider that policy " + d.policy.Name + " acts upon"
	d.decision = &Decision{
		Reason: d.reason, By: "policy " + d.policy.Name, Policy: d.policy.Name, Before: before(was), Keeps: d.policy.Plan == Mover,
	}
	return d, true, failed
}

// upgrade looks for a claim of an incident that arrives while a case is live.
func upgrade(v *Verdict, was, is Person, prior PriorCase, r Rules, now time.Time) {
	reason, known := KnownReason(is.Claims.LeaveReason)
	if !known || reason == prior.Reason || Entitled(is, r.AccessConfigured, now) || prior.Began {
		return
	}
	o := newOpening(departure{
		was: was, is: is, reason: prior.Reason, how: ByDeactivation, text: "a more urgent reason was given",
	}, r, now)
	if o.Reason.urgency() > prior.Reason.urgency() {
		o.Beside = prior.Plan != Mover && !prior.Batched
		v.Join, v.Trace = &o, o.Trigger
	}
}

// newOpening builds the case for a departure, for the reason that the identity
// provider claims where that weighs at least as much.
func newOpening(d departure, r Rules, now time.Time) Opening {
	p, reason := d.is, d.reason
	upcoming := now.Before(d.leave)
	var note string
	if claimed, ok := KnownReason(p.Claims.LeaveReason); ok && claimed.urgency() >= reason.urgency() {
		distrusted := claimed == SecurityIncident && reason != SecurityIncident
		reason = claimed
		if distrusted && (!r.TrustIncidents || upcoming) {
			reason = Termination
			note = "the identity provider claims a security incident, but its connection is not trusted for that; " +
				"confirm it with: offramp cases open --reason security_incident"
			if upcoming {
				note = "the identity provider claims a security incident, and a leave date in the future; " +
					"if it is an incident: offramp cases open --reason security_incident"
			}
		}
	}
	facts := PolicyFacts{Person: p, Was: d.was, Reason: reason, Trigger: d.how, At: now, Organizations: r.Organizations}
	if !p.Deleted.IsZero() {
		facts.Person.Groups = d.was.Groups // deleting a resource ends its memberships: what counts is what it was
	}
	var pol Policy
	if d.policy != nil {
		pol = *d.policy
	} else {
		pol = r.Policy(facts)
	}
	o := Opening{
		Plan: pol.Plan, Reason: reason, Trigger: d.text, Ticket: p.Claims.Ticket, Policy: pol,
		State: StateRunning, Note: note, NotBefore: now, Brake: r.Brake, Confirmed: d.how == ByOperator,
	}
	if reason == SecurityIncident {
		o.Plan = Emergency
	}
	if upcoming && o.Plan == Emergency {
		o.Plan = Leaver // what may wait for a date is no emergency
	}
	from := now
	if o.Plan != Emergency {
		o.State, o.Waiting = StateWaiting, WaitSettle
		at, waits := begins(pol, p, d.leave, r, now)
		if pol.AtLeave && !waits && d.leave.IsZero() && note == "" {
			o.Note = "the policy waits for the leave date, and none is claimed that can be read: the case begins at once"
		}
		from, o.NotBefore = at, at
		if at.After(now) {
			o.Waiting = WaitNotBefore
		}
		if settle := now.Add(r.Settle); settle.After(o.NotBefore) {
			o.NotBefore, o.Waiting = settle, WaitSettle
		}
		if grace := now.Add(r.Grace); reason == GroupRemoval && grace.After(o.NotBefore) {
			o.NotBefore, o.Waiting = grace, WaitNotBefore
		}
	}
	o.Due = pol.dueAfter(reason, from, r.Location)
	o.Approvals, o.Claim = claimed(p, r, pol, now)
	switch {
	case p.Placeholder(): // closes at its first attempt; there is nothing to settle
		o.State, o.Waiting, o.NotBefore, o.Brake = StateRunning, WaitNothing, now, BrakeRules{}
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
