package drift

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"offramp/internal/offboard"
)

// rules decide what differs. They are pure: the same facts give the same
// findings.
type rules struct {
	reach     map[string][]string // organizations of each connection, sorted
	domains   map[string][]string
	names     []string // of connections, in the order of the configuration
	access    bool
	observe   bool
	pending   time.Duration
	admins    []string // folded
	tolerance time.Duration
}

func newRules(o Options, all []string) rules {
	r := rules{
		reach: map[string][]string{}, domains: map[string][]string{}, access: o.AccessConfigured, observe: o.Observe,
		pending: o.PendingAfter, tolerance: o.Tolerance,
	}
	for _, c := range o.Connections {
		r.names = append(r.names, c.Name)
		r.reach[c.Name], r.domains[c.Name] = all, c.Domains
		if len(c.Organizations) > 0 {
			r.reach[c.Name] = slices.Sorted(slices.Values(c.Organizations))
		}
	}
	for _, g := range o.AdminGroups {
		r.admins = append(r.admins, offboard.Fold(g))
	}
	return r
}

// moment is where and when something is decided.
type moment struct {
	organization string
	now          time.Time
}

func (r rules) reaches(connection, organization string) bool {
	return slices.Contains(r.reach[connection], organization)
}

func (r rules) entitled(p offboard.Person, now time.Time) bool {
	return offboard.Entitled(p, r.access, now)
}

// within keeps the holdings of connections that reach the organization.
func (r rules) within(all []offboard.Holding, organization string) []offboard.Holding {
	return slices.DeleteFunc(slices.Clone(all), func(h offboard.Holding) bool { return !r.reaches(h.Person.Connection, organization) })
}

// responsible names the connection whose people have addresses of this domain
// in the organization; empty: none has.
func (r rules) responsible(address, organization string) string {
	for _, c := range r.names {
		d := r.domains[c]
		if r.reaches(c, organization) && (len(d) == 0 || slices.Contains(d, offboard.Domain(address))) {
			return c
		}
	}
	return ""
}

// seat compares one seat with what is meant.
func (r rules) seat(at moment, f offboard.SeatFacts) []offboard.Finding {
	out := r.standing(at, f)
	f.Holdings = r.within(f.Holdings, at.organization)
	age := at.now.Sub(f.Seat.FirstSeen)
	if r.pending > 0 && f.Seat.Pending && age > r.pending {
		n := r.finding(offboard.PendingInvitation, f.Seat.Address)
		n.Text = fmt.Sprintf("an invitation to %s is open for %d days or longer", at.organization, int(age/(24*time.Hour)))
		n.Proposed = "ask the person to join, or revoke the invitation in Amplitude under Settings > Members & Groups"
		out = append(out, n)
	}
	if len(r.admins) > 0 && f.Seat.Role == offboard.RoleAdmin && !r.mayAdmin(f.Holdings) {
		n := r.finding(offboard.AdminOutsideGroups, f.Seat.Address)
		n.Text = "an admin in " + at.organization + " who is in none of the admin groups of the identity provider"
		n.Proposed = "add the person to an admin group, or lower the role in Amplitude under Settings > Members & Groups"
		out = append(out, n)
	}
	for i := range out {
		if out[i].Connection == "" {
			out[i].Connection = r.responsible(f.Seat.Address, at.organization)
		}
	}
	return out
}

func (r rules) mayAdmin(all []offboard.Holding) bool {
	return slices.ContainsFunc(offboard.Here(all), func(h offboard.Holding) bool {
		return slices.ContainsFunc(h.Person.Groups, func(g string) bool { return slices.Contains(r.admins, offboard.Fold(g)) })
	})
}

// standing tells whether the seat may be there at all.
func (r rules) standing(at moment, f offboard.SeatFacts) []offboard.Finding {
	holdings := r.within(f.Holdings, at.organization)
	cases := slices.DeleteFunc(slices.Clone(f.Cases), func(c offboard.Case) bool { return !r.reaches(c.Connection, at.organization) })
	here := offboard.Here(holdings)
	owner := slices.IndexFunc(here, func(h offboard.Holding) bool { return r.entitled(h.Person, at.now) })
	if owner >= 0 {
		return r.other(f, here[owner])
	}
	if len(cases) > 0 && cases[0].State.Live() {
		return r.underway(at, f, cases[0])
	}
	if last, ok := removed(cases); ok && !handed(here, last) {
		return r.back(at, f, last, cases)
	}
	if len(cases) > 0 && keeps(cases[0]) {
		return nil
	}
	real := slices.DeleteFunc(slices.Clone(holdings), func(h offboard.Holding) bool { return h.Person.Adopted() })
	if len(real) > 0 {
		return []offboard.Finding{r.leftover(f, real, cases)}
	}
	return r.stranger(at, f)
}

// other is the seat of somebody entitled: fine, unless it is their second one.
func (r rules) other(f offboard.SeatFacts, h offboard.Holding) []offboard.Finding {
	i := slices.IndexFunc(f.Alike, func(a offboard.Alike) bool { return a.By == offboard.AlikeEmail && a.PersonID == h.Person.ID })
	if h.Seat || i < 0 {
		return nil
	}
	n := r.second(f, f.Alike[i])
	n.PersonID, n.Connection, n.Reason = h.Person.ID, h.Person.Connection, ""
	n.Proposed = "the person is entitled, so that no case removes it: if they need one seat only, remove this one in Amplitude under Settings > Members & Groups"
	return []offboard.Finding{n}
}

// underway is the seat of somebody whose case is live: explained until it is due.
func (r rules) underway(at moment, f offboard.SeatFacts, c offboard.Case) []offboard.Finding {
	if c.Due.IsZero() || at.now.Before(c.Due) {
		return nil
	}
	n := r.finding(offboard.LeaverStillThere, f.Seat.Address)
	n.PersonID, n.Connection, n.CaseID, n.Reason = c.PersonID, c.Connection, c.ID, c.Reason
	n.Text = "the leaver still has a seat in " + at.organization + ", and their case was due at " + c.Due.UTC().Format(time.RFC3339)
	n.Cause = "the case stands: " + string(c.State)
	n.Proposed = "see what the case waits for: offramp cases explain " + c.ID
	return []offboard.Finding{n}
}

// removed returns the last case that proved the seat gone.
func removed(cases []offboard.Case) (offboard.Case, bool) {
	for _, c := range cases {
		if c.Outcome == offboard.OutcomeRemoved && !c.Removed.IsZero() && !c.Verified.IsZero() {
			return c, true
		}
		if c.Outcome == offboard.OutcomeRehired {
			return c, false // whatever came before, they were welcome again
		}
	}
	return offboard.Case{}, false
}

// keeps reports whether a case ended and left the seat on purpose: a plan that
// takes away projects or a role, not the seat.
func keeps(c offboard.Case) bool {
	taken := c.Plan == offboard.Leaver || c.Plan == offboard.Emergency
	return !taken && c.Outcome != offboard.OutcomeCancelled && c.Outcome != offboard.OutcomeObserved
}

// handed reports whether somebody else took the address after a case opened:
// then the watch on it is over.
func handed(here []offboard.Holding, c offboard.Case) bool {
	return slices.ContainsFunc(here, func(h offboard.Holding) bool { return h.Person.ID != c.PersonID && h.Since.After(c.Opened) })
}

// back is a seat whose removal was proven, and that is there again.
func (r rules) back(at moment, f offboard.SeatFacts, last offboard.Case, cases []offboard.Case) []offboard.Finding {
	if !f.Seat.LastSeen.After(last.Removed.Add(r.tolerance)) {
		return nil // the list was read before, or lagged behind
	}
	n := r.finding(offboard.LeaverStillThere, f.Seat.Address)
	n.PersonID, n.Connection, n.CaseID, n.Reason = last.PersonID, last.Connection, last.ID, last.Reason
	n.Cause = cause(f.Events, last.Removed)
	n.Text = fmt.Sprintf("the leaver has a seat in %s again; the last removal was proven on %s", at.organization, last.Verified.UTC().Format(time.DateOnly))
	n.Proposed = "end what brings them back, then open a case again: offramp drift fix --apply"
	if at.now.Sub(last.Removed) >= offboard.Watch {
		return []offboard.Finding{n}
	}
	n.Kind, n.Severity = offboard.LeaverBack, offboard.LeaverBack.Severity()
	for _, c := range cases {
		if c.Outcome == offboard.OutcomeRemoved && at.now.Sub(c.Removed) < offboard.Watch {
			n.Rounds++
		}
	}
	if n.Rounds >= offboard.RoundsMost {
		n.Text = fmt.Sprintf("the leaver is back in %s after %d removals within 30 days; Offramp does not go on removing by itself", at.organization, n.Rounds)
		n.Proposed = "find who brings them back, by the cause and the audit log, and end it; only then: offramp drift fix --apply --again"
	}
	return []offboard.Finding{n}
}

// leftover is the seat of somebody whom an identity provider knows, who is not
// entitled, and whom nothing removes.
func (r rules) leftover(f offboard.SeatFacts, known []offboard.Holding, cases []offboard.Case) offboard.Finding {
	h := known[0]
	for _, k := range known { // who has it as their seat, and is not deleted, comes first
		better := k.Seat && !h.Seat || k.Seat == h.Seat && k.Person.Deleted.IsZero() && !h.Person.Deleted.IsZero()
		if better {
			h = k
		}
	}
	p := h.Person
	cases = slices.DeleteFunc(slices.Clone(cases), func(c offboard.Case) bool { return c.PersonID != p.ID }) // another's had the address before
	n := r.finding(offboard.LeaverStillThere, f.Seat.Address)
	n.PersonID, n.Connection, n.Reason = p.ID, p.Connection, offboard.Deactivated
	n.Proposed = "open a case: offramp drift fix --apply"
	switch {
	case !h.Seat:
		i := slices.IndexFunc(f.Alike, func(a offboard.Alike) bool { return a.PersonID == p.ID })
		like := offboard.Alike{Address: p.Address, PersonID: p.ID, By: offboard.AlikeEmail}
		if i >= 0 {
			like = f.Alike[i]
		}
		s := r.second(f, like)
		s.PersonID, s.Connection = p.ID, p.Connection
		s.Text += ", who is not entitled"
		return s
	case len(cases) > 0:
		c := cases[0]
		n.CaseID, n.Reason = c.ID, c.Reason
		n.Text = "the person is not entitled and has a seat; their last case ended as " + string(c.Outcome)
		if c.Outcome == offboard.OutcomeObserved {
			n.Text = "the person is not entitled and has a seat; observed, nothing was changed"
		}
	case !p.Deleted.IsZero():
		n.Reason, n.Text = offboard.DeletedAtIdP, "the person was deleted at the identity provider and has a seat"
	default:
		n.Kind, n.Severity = offboard.CreatedInactive, offboard.CreatedInactive.Severity()
		n.Text = "the person has a seat, and was inactive when the identity provider first told about them"
		if p.Active {
			n.Reason, n.Text = offboard.GroupRemoval, "the person has a seat, and was never in a group that gives access"
		}
		n.Proposed = "open a case for this finding by its id: offramp drift fix ID --apply"
	}
	if r.observe && n.Kind == offboard.LeaverStillThere {
		n.Severity, n.Proposed = offboard.Warning, "nothing in observe mode; in enforce mode a case would remove it"
	}
	return n
}

// stranger is a seat that no identity provider knows.
func (r rules) stranger(at moment, f offboard.SeatFacts) []offboard.Finding {
	connection := r.responsible(f.Seat.Address, at.organization)
	if connection == "" {
		return nil // nobody's domain: guests are for the access review
	}
	plus := slices.IndexFunc(f.Alike, func(a offboard.Alike) bool { return a.By == offboard.AlikePlus })
	named := slices.IndexFunc(f.Alike, func(a offboard.Alike) bool { return a.By == offboard.AlikeName })
	switch {
	case plus >= 0 && offboard.Plain(f.Seat.Address) != offboard.Fold(f.Seat.Address):
		n := r.second(f, f.Alike[plus])
		n.Connection = connection
		return []offboard.Finding{n}
	case named >= 0:
		n := r.second(f, f.Alike[named])
		n.Connection = connection
		n.Proposed = "a name proves nothing: look whose it is, then offramp drift fix ID --apply --because TEXT, or acknowledge it"
		return []offboard.Finding{n}
	}
	n := r.finding(offboard.UnknownToIdP, f.Seat.Address)
	n.Connection, n.Reason = connection, offboard.Manual
	n.Text = "no identity provider that reaches " + at.organization + " knows this member"
	n.Cause = cause(f.Events, time.Time{})
	n.Proposed = "assign the person in the identity provider, or open a case by the finding's id: offramp drift fix ID --apply"
	return []offboard.Finding{n}
}

// second is a seat of somebody who likely has another.
func (r rules) second(f offboard.SeatFacts, a offboard.Alike) offboard.Finding {
	n := r.finding(offboard.SecondSeat, f.Seat.Address)
	n.Reason = offboard.Manual
	switch a.By {
	case offboard.AlikePlus:
		n.Text = "the same address but for its plus part as " + a.Address
	case offboard.AlikeName:
		n.Text = "the same name as the member " + a.Address
		if a.PersonID != "" {
			n.Text = "the same name as " + a.Address + " at the identity provider"
		}
	case offboard.AlikeEmail:
		n.Text = "another address of the person whose seat is " + a.Address
	}
	n.Proposed = "open a case by the finding's id, if the person needs one seat only: offramp drift fix ID --apply"
	n.Data = encode(map[string]string{"by": string(a.By), "like": a.Address})
	return n
}

func (r rules) finding(kind offboard.FindingKind, address string) offboard.Finding {
	return offboard.Finding{Kind: kind, Severity: kind.Severity(), Object: offboard.Fold(address), Address: address}
}

// cause tells from the audit log what made a seat appear after a moment.
func cause(events []offboard.SeatEvent, since time.Time) string {
	var login string
	for _, e := range events {
		if e.At.Before(since) || strings.Contains(e.Action, "delete") {
			continue
		}
		when := e.At.UTC().Format(time.RFC3339)
		if e.Login() {
			if login == "" {
				login = "a login at " + when + " made the seat anew: switch just-in-time provisioning off, or take the Amplitude app away from them"
			}
			continue
		}
		if strings.Contains(e.Action, "invite") || strings.Contains(e.Action, "group") {
			who := "by " + e.Actor
			if strings.EqualFold(e.Actor, "scim") {
				who = "over SCIM, as a group push of an identity provider's own app does"
			} else if e.Actor == "" {
				who = "by somebody whom the audit log does not name"
			}
			return "invited " + who + " at " + when
		}
	}
	return login
}

// encode turns one of our own values into JSON. They always can be.
func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return b
}
