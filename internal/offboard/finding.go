package offboard

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Finding is one difference between what is meant and what Amplitude shows.
// Kind, organization and object together name it: what is found again is the
// same finding.
type Finding struct {
	ID           string
	Kind         FindingKind
	Severity     Severity
	Organization string
	Object       string // what it is about: mostly an address key
	Connection   string
	Address      string
	PersonID     string
	CaseID       string
	Reason       Reason // of the case that would end it; empty: no case does
	Text         string
	Cause        string // likely, in words; empty: not known
	Proposed     string
	Data         json.RawMessage
	FirstSeen    time.Time
	LastSeen     time.Time
	State        FindingState
	AckBy        string
	AckWhy       string
	AckUntil     time.Time
	Resolved     time.Time
	ResolvedWhy  string
	Rounds       int // of leaver_back: verified removals of the address within 30 days
}

// Open reports whether somebody should look at the finding now.
func (f Finding) Open(now time.Time) bool {
	return f.State == FindingOpen || f.State == FindingAcknowledged && !now.Before(f.AckUntil)
}

// FindingKind says what differs.
type FindingKind string

// The kinds of findings.
const (
	LeaverStillThere    FindingKind = "leaver_still_there"
	LeaverBack          FindingKind = "leaver_back"
	LoginAfterRemoval   FindingKind = "login_after_removal"
	RemovedByAnother    FindingKind = "removed_by_another_writer"
	RemovedByHand       FindingKind = "removed_by_hand"
	ListUntrusted       FindingKind = "list_untrusted"
	UnknownToIdP        FindingKind = "unknown_to_idp"
	SecondSeat          FindingKind = "second_seat"
	CreatedInactive     FindingKind = "created_inactive_with_seat"
	AdminOutsideGroups  FindingKind = "admin_outside_groups"
	DeadOwner           FindingKind = "dead_owner"
	PendingInvitation   FindingKind = "pending_invitation"
	EntitledButNoMember FindingKind = "entitled_not_member"
	GroupWithoutSeat    FindingKind = "group_without_seat"
)

// FindingKinds lists every kind, for help texts and metrics, the gravest first.
func FindingKinds() []FindingKind {
	return []FindingKind{
		LeaverStillThere, LeaverBack, LoginAfterRemoval, RemovedByAnother, RemovedByHand, ListUntrusted, UnknownToIdP, SecondSeat,
		CreatedInactive, AdminOutsideGroups, GroupWithoutSeat, DeadOwner, PendingInvitation, EntitledButNoMember,
	}
}

// Severity is how grave a finding of the kind is. In observe mode a leaver who
// is still there is what observing means, and a warning: see Finding.Severity.
func (k FindingKind) Severity() Severity {
	switch k {
	case LeaverStillThere, LeaverBack, LoginAfterRemoval, RemovedByAnother:
		return Critical
	case RemovedByHand, ListUntrusted, UnknownToIdP, SecondSeat, CreatedInactive, AdminOutsideGroups, GroupWithoutSeat, DeadOwner:
		return Warning
	case PendingInvitation, EntitledButNoMember:
		return Info
	}
	return Warning
}

// Severity is how grave a finding is.
type Severity string

// The severities.
const (
	Critical Severity = "critical"
	Warning  Severity = "warning"
	Info     Severity = "info"
)

// Severities lists them, the gravest first.
func Severities() []Severity { return []Severity{Critical, Warning, Info} }

// FindingState is where a finding stands.
type FindingState string

// The states of a finding. An acknowledged one opens again by itself at its date.
const (
	FindingOpen         FindingState = "open"
	FindingAcknowledged FindingState = "acknowledged"
	FindingResolved     FindingState = "resolved"
)

// mostTold is how many findings one message lists.
const mostTold = 10

// AboutFindings makes the messages that tell of findings of one sweep, one for
// each channel: a hundred leavers who come back together are one message.
func (a Audience) AboutFindings(w Sweep, found []Finding) []Message {
	subject := fmt.Sprintf("%d critical findings in %s", len(found), w.Organization)
	if len(found) == 1 {
		subject = "A critical finding in " + w.Organization
	}
	var lines []string
	for i, f := range found {
		if i == mostTold {
			lines = append(lines, fmt.Sprintf("- and %d more", len(found)-i))
			break
		}
		line := "- " + f.Address + ": " + f.Text
		if f.Cause != "" {
			line += "; likely cause: " + f.Cause
		}
		lines = append(lines, line)
	}
	lines = append(lines, "", "What can be done about each: offramp drift show")
	return a.To(Message{
		Key: fmt.Sprintf("drift/%s/%d", w.Organization, w.Number), About: AboutDrift, Subject: subject, Text: strings.Join(lines, "\n"),
	}, true)
}

// FindingFilter narrows a list of findings. Zero fields do not narrow.
type FindingFilter struct {
	Kind         FindingKind
	Severity     Severity
	Organization string
	All          bool   // also acknowledged and resolved ones
	Before       string // id of the last finding of the page before
	Most         int    // 0: 100
}

// Acknowledgement is a person's word that a finding is known and may stand
// until a date.
type Acknowledgement struct {
	By, Because string
	Until       time.Time
}

// longestAcknowledgement is how long a finding may be put aside at most.
const longestAcknowledgement = 366 * 24 * time.Hour

// Acknowledge checks whether a finding may be acknowledged. Everything is
// required: an auditor reads who put it aside, why, and until when.
func Acknowledge(f Finding, a Acknowledgement, now time.Time) error {
	switch {
	case a.By == "":
		return incomplete("say who acknowledges")
	case a.Because == "":
		return incomplete("say why the finding may stand: an auditor will read it")
	case !a.Until.After(now):
		return incomplete("give a date in the future until which the finding may stand")
	case a.Until.Sub(now) > longestAcknowledgement:
		return incomplete("give a date within a year: what stands for longer has to be looked at again")
	case f.State == FindingResolved:
		return refused("the finding is resolved; there is nothing to acknowledge")
	}
	return nil
}

// RoundsMost is how often a leaver who comes back is removed within 30 days
// before a person has to find out who keeps bringing them back.
const RoundsMost = 3

// Fix is what somebody asks to be done about findings.
type Fix struct {
	By      string // required
	Because string // required for a match by name
	Named   bool   // the finding was named by its id, not taken with all others
	Alone   bool   // it is the only one asked for
	Again   bool   // also where the leaver came back too often
}

// Fixable tells whether a case may be opened for the finding, and refuses in
// words where something else has to be done. Only exact addresses are ever
// meant. Somebody whom no provider declared a leaver has to be named, and a
// match by name is one decision each.
func Fixable(f Finding, fix Fix) error {
	switch {
	case fix.By == "":
		return incomplete("say who decides")
	case f.State == FindingResolved:
		return refused("the finding is resolved; there is nothing to fix")
	}
	switch f.Kind {
	case LeaverStillThere, LeaverBack:
		if f.Reason == SecurityIncident && !fix.Named {
			return refused("it would be an incident, which waits for nothing: name the finding by its id")
		}
		if f.Kind == LeaverBack && f.Rounds >= RoundsMost && !fix.Again {
			return refused("removed %d times within 30 days and back again: %s. Stop what brings them back first; "+
				"to remove them once more all the same, add --again", f.Rounds, orUnknown(f.Cause))
		}
		return nil
	case UnknownToIdP, CreatedInactive, SecondSeat:
		switch {
		case f.Reason == "":
			return refused("no case can be opened for it: %s", f.Proposed)
		case !fix.Named:
			return refused("no identity provider said that this person leaves: name the finding by its id")
		case f.Kind == SecondSeat && likeness(f) == AlikeName && (!fix.Alone || fix.Because == ""):
			return refused("a name proves nothing: name this finding alone, and say with --because how you know")
		}
		return nil
	case LoginAfterRemoval, RemovedByAnother, RemovedByHand, ListUntrusted, AdminOutsideGroups, GroupWithoutSeat, DeadOwner,
		PendingInvitation, EntitledButNoMember:
	}
	return refused("no case can be opened for it: %s", f.Proposed)
}

func orUnknown(cause string) string {
	if cause == "" {
		return "who does it is not known"
	}
	return cause
}

// likeness reads why a second seat is taken for one.
func likeness(f Finding) Likeness {
	var d struct {
		By Likeness `json:"by"`
	}
	if json.Unmarshal(f.Data, &d) != nil {
		return AlikeName // the strictest
	}
	return d.By
}

// Reopen opens a case for a seat that should not be there, without a standing
// decision: the person is not entitled by the identity provider's own word, and
// is welcome when that changes. It is about the exact address of the finding, and
// refused for somebody who is entitled, or who has a live case.
func Reopen(p Person, prior PriorCase, f Finding, fix Fix, r Rules, now time.Time) (*Decision, Verdict, error) {
	switch {
	case prior.Live:
		return p.Removal, Verdict{}, refused("a case is live for this person already")
	case Entitled(p, r.AccessConfigured, now):
		return p.Removal, Verdict{}, refused("the person is entitled to a seat now")
	}
	seat := p
	seat.Address, seat.Claims = f.Address, Claims{}
	opening := newOpening(departure{
		was: seat, is: seat, reason: f.Reason, how: ByOperator,
		text: withWhy("drift, "+string(f.Kind)+": the seat is there and should not be; opened by operator "+fix.By, fix.Because),
	}, r, now)
	opening.Address = f.Address
	return p.Removal, Verdict{Open: &opening}, nil
}
