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

// stranger is a seat that no identity provider knows.
func (r rules) stranger(at moment, f offboard.SeatFacts) []offboard.Finding {
	connection := r.responsible(f.Seat.Address, at.organization)
	alike := slices.DeleteFunc(slices.Clone(f.Alike), func(a offboard.Alike) bool {
		if a.PersonID == "" {
			return connection == "" // two guests
		}
		return !r.reaches(a.Connection, at.organization)
	})
	plus := slices.IndexFunc(alike, func(a offboard.Alike) bool { return a.By == offboard.AlikePlus })
	named := slices.IndexFunc(alike, func(a offboard.Alike) bool { return a.By == offboard.AlikeName && a.PersonID != "" })
	if named < 0 { // somebody whom the identity provider knows tells more than another seat
		named = slices.IndexFunc(alike, func(a offboard.Alike) bool { return a.By == offboard.AlikeName })
	}
	var n offboard.Finding
	switch {
	case plus >= 0 && offboard.Plain(f.Seat.Address) != offboard.Fold(f.Seat.Address):
		n = r.second(f, alike[plus])
	case named >= 0:
		n = r.second(f, alike[named])
		n.Proposed = "a name proves nothing: look whose it is, then offramp drift fix ID --apply --because TEXT, or acknowledge it"
	case connection == "":
		return nil // nobody's domain: guests are for the access review
	default:
		return []offboard.Finding{r.unknown(at, f, connection)}
	}
	if n.Connection = connection; connection == "" {
		n.Reason = ""
		n.Proposed = "look whose it is: no connection has its domain, so that no case removes it. Where the person needs one seat only, " +
			"remove this one in Amplitude under Settings > Members & Groups; else acknowledge it"
	}
	return []offboard.Finding{n}
}

// unknown is a seat in a connection's domain of somebody it never told about.
func (r rules) unknown(at moment, f offboard.SeatFacts, connection string) offboard.Finding {
	n := r.finding(offboard.UnknownToIdP, f.Seat.Address)
	n.Connection, n.Reason = connection, offboard.Manual
	n.Text = "no identity provider that reaches " + at.organization + " knows this member"
	n.Cause = cause(f.Events, time.Time{})
	n.Proposed = "assign the person in the identity provider, or open a case by the finding's id: offramp drift fix ID --apply"
	return n
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
