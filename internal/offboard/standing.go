package offboard

import (
	"strings"
	"time"
)

// Standing removal decisions that rest on what the identity provider says about
// somebody who is active: a leave date, or the trigger of a policy. They change
// and end with what was said. An operator's decision is not touched here.

// Before is what the identity provider said about a person before a change: one
// that a trigger acted upon, or that ended their protection.
type Before struct {
	UserName    string   `json:"user_name"`
	DisplayName string   `json:"display_name,omitempty"`
	GivenName   string   `json:"given_name,omitempty"`
	FamilyName  string   `json:"family_name,omitempty"`
	Department  string   `json:"department,omitempty"`
	Title       string   `json:"title,omitempty"`
	Manager     string   `json:"manager,omitempty"`
	Groups      []string `json:"groups,omitempty"`
	GroupKeys   []string `json:"group_keys,omitempty"`
	Emails      []Email  `json:"emails,omitempty"`
	Claims      Claims   `json:"claims,omitzero"`
}

func before(p Person) *Before {
	return &Before{
		UserName: p.UserName, DisplayName: p.DisplayName, GivenName: p.GivenName, FamilyName: p.FamilyName,
		Department: p.Department, Title: p.Title, Manager: p.Manager, Groups: p.Groups, GroupKeys: p.GroupKeys,
		Emails: p.Emails, Claims: p.Claims,
	}
}

// of returns the person as they were.
func (b *Before) of(is Person) Person {
	if b == nil {
		return is
	}
	is.UserName, is.DisplayName, is.GivenName, is.FamilyName = b.UserName, b.DisplayName, b.GivenName, b.FamilyName
	is.Department, is.Title, is.Manager, is.Groups, is.Claims = b.Department, b.Title, b.Manager, b.Groups, b.Claims
	is.GroupKeys, is.Emails, is.Active = b.GroupKeys, b.Emails, true
	return is
}

// LeaveMoment reads a claimed leave date: of a date without time, the end of
// that day at loc (nil: UTC); of an RFC 3339 time, that moment. False when it
// is empty or neither.
func LeaveMoment(claim string, loc *time.Location) (time.Time, bool) {
	claim = strings.TrimSpace(claim)
	if loc == nil {
		loc = time.UTC
	}
	if day, err := time.ParseInLocation(time.DateOnly, claim, loc); err == nil {
		y, m, d := day.Date()
		return time.Date(y, m, d+1, 0, 0, 0, 0, loc), true
	}
	at, err := time.Parse(time.RFC3339, claim)
	return at, err == nil
}

// claimedReason is the reason that the identity provider gives, if any. An
// incident is weighed where the case is built.
func claimedReason(p Person, otherwise Reason) Reason {
	if r, ok := KnownReason(p.Claims.LeaveReason); ok && r != SecurityIncident {
		return r
	}
	return otherwise
}

func leaveDecision(reason Reason, at time.Time) *Decision {
	return &Decision{Reason: reason, By: "leave date", From: at.UTC(), LeaveDate: true}
}

// freshDate reports whether the leave date is news: it changed, or the person
// only now became somebody to whom it applies. A date that is no news was acted
// upon, or an operator cancelled its case.
func freshDate(was, is Person) bool {
	return was.ID == "" || was.Claims.LeaveDate != is.Claims.LeaveDate || !was.Active
}

// unreadable tells of a new leave date that is none.
func unreadable(was, is Person, r Rules) []PolicyFailure {
	if was.Claims.LeaveDate == is.Claims.LeaveDate || strings.TrimSpace(is.Claims.LeaveDate) == "" {
		return nil
	}
	if _, ok := LeaveMoment(is.Claims.LeaveDate, r.Location); ok {
		return nil
	}
	return []PolicyFailure{{Person: is.ID}}
}

// lapsed tells why the person's standing removal decision ends, empty: it does
// not. A leave date that cannot be read ends none.
func lapsed(is Person, r Rules, now time.Time) string {
	switch d := is.Removal; {
	case d == nil:
	case d.LeaveDate && strings.TrimSpace(is.Claims.LeaveDate) == "":
		return "the leave date was taken back at the identity provider"
	case d.Policy != "":
		facts := PolicyFacts{
			Person: is, Was: d.Before.of(is), Reason: claimedReason(is, ""), Trigger: ByPolicy, At: now,
			Organizations: r.Organizations,
		}
		if r.Triggers.Lapsed(d.Policy, facts) {
			return "what policy " + d.Policy + " acted upon no longer holds at the identity provider"
		}
	}
	return ""
}

// upcoming returns the leave date of somebody who is active, where it lies in
// the future and has to be acted upon; of somebody new also one that has passed.
func upcoming(was, is Person, r Rules, now time.Time) (at time.Time, ok bool) {
	keeps := is.Removal.Keeping()
	if !is.Active || !is.Deleted.IsZero() || is.Removal != nil && !is.Removal.LeaveDate && !keeps {
		return at, false
	}
	at, ok = LeaveMoment(is.Claims.LeaveDate, r.Location)
	if !ok || !now.Before(at) && was.ID != "" {
		return at, false
	}
	return at, is.Removal != nil && !keeps || freshDate(was, is)
}

// schedule makes the person's case begin at their leave date. The person is
// entitled until then, so the case only waits.
func schedule(v Verdict, was, is Person, prior PriorCase, at time.Time, r Rules, now time.Time) Verdict {
	moved := is.Removal == nil || !is.Removal.From.Equal(at)
	if moved {
		v.Decision, v.Lapsed = leaveDecision(claimedReason(is, ContractEnd), at), false
	}
	if !now.Before(at) {
		return v // created after their leave date: they never had a seat through us
	}
	is.Removal = leaveDecision(ContractEnd, at)
	if !prior.Live || prior.Plan == Mover {
		o := newOpening(departure{
			was: was, is: is, reason: claimedReason(is, ContractEnd), how: ByLeaveDate, leave: at,
			text: "the identity provider gives a leave date",
		}, r, now)
		if prior.Live {
			v.Join, v.Trace = &o, o.Trigger+"; the removal at that time takes the place of the reduction"
			return v
		}
		v.Open = &o
		return v
	}
	again := Entitled(is, r.AccessConfigured, now)
	if prior.Began || !again || !moved && Entitled(was, r.AccessConfigured, now) {
		return v
	}
	m := prior.move(is, r, now)
	v.Move, v.Trace = m, "the leave date is now "+at.UTC().Format(time.RFC3339)
	return v
}

// shifts reports whether a change moves a mover who waits for the date of the
// move: it was given as leave date.
func (c PriorCase) shifts(was, is Person) bool {
	return c.Live && c.Plan == Mover && c.Policy.AtLeave && !c.Revoking && is.Removal.Keeping() &&
		was.Claims.LeaveDate != is.Claims.LeaveDate
}

// move is when a live case begins by the person's leave date.
func (c PriorCase) move(is Person, r Rules, now time.Time) *Move {
	leave, _ := LeaveMoment(is.Claims.LeaveDate, r.Location)
	at, _ := begins(c.Policy, is, leave, r, now)
	m := &Move{NotBefore: at, Due: c.Policy.dueAfter(c.Reason, at, r.Location), Brake: r.Brake}
	if settle := now.Add(r.Settle); settle.After(m.NotBefore) {
		m.NotBefore = settle
	}
	return m
}

// begins is the first moment at which a policy lets a case begin: after the
// leave date where the case is made by one (leave) or the policy says so, else
// after now. waits tells whether a leave date was found for a policy that waits.
func begins(p Policy, is Person, leave time.Time, r Rules, now time.Time) (at time.Time, waits bool) {
	from := now
	if p.AtLeave {
		claimed, ok := LeaveMoment(is.Claims.LeaveDate, r.Location)
		if waits = ok; ok && leave.IsZero() {
			leave = claimed
		}
	}
	if leave.After(from) {
		from = leave
	}
	return from.Add(p.NotBefore).UTC(), waits
}
