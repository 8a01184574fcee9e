// Package offboard holds the nouns and rules of a removal: person, seat, case,
// plan, policy, entitlement, guards and states.
//
// Everything in it is pure: no I/O, no clock, no client, no randomness. A rule
// is a function over facts that its caller read, inside the transaction that
// records the decision. It must not know SCIM's wire format, Amplitude's APIs
// or SQL.
package offboard

import (
	"slices"
	"strings"
	"time"
)

// Person is one human as one identity provider describes them. The key is our
// id; ExternalID and UserName may change, Address keeps the value that was
// first seen, because Amplitude never changes a member's address.
type Person struct {
	ID           string
	Connection   string
	ExternalID   string
	UserName     string
	DisplayName  string
	GivenName    string
	FamilyName   string
	Address      string    // of the seat, as first seen
	AddressSince time.Time // when this person took Address
	Emails       []Email   // every address of the resource
	Manager      string    // what the provider sent: our id, an external id, a user name or an address
	Department   string
	Title        string
	Active       bool
	Claims       Claims
	Groups       []string  // display names; filled when read for a decision
	GroupKeys    []string  // by which the file may name those groups: names, of now and before, and external ids; filled with Groups
	InAccess     bool      // member of a bound access group; filled when read
	Removal      *Decision // standing removal decision, nil when none
	Shield       *Shield   // of a protection that ended, nil when none did
	Resource     string    // the SCIM attributes as JSON, opaque here
	Version      int64
	Created      time.Time
	Modified     time.Time
	Deleted      time.Time // zero: not deleted
}

// Email is one address of a person. Type is the SCIM canonical type, possibly empty.
type Email struct {
	Value   string
	Type    string
	Primary bool
}

// Claims are what the identity provider says about a departure. They are not
// facts: ApprovedBy and an incident count only for connections that are trusted
// for them.
type Claims struct {
	LeaveReason  string
	Successor    string
	ManagerEmail string
	Ticket       string
	ApprovedBy   string
	LeaveDate    string
}

// Decision is a standing removal decision: this person shall have no seat,
// whatever the identity provider says, from its beginning until it ends. One
// that keeps the seat only reduces what the person may do there.
type Decision struct {
	Reason    Reason    `json:"reason"`
	By        string    `json:"by"`
	From      time.Time `json:"from,omitzero"`        // zero: at once
	Until     time.Time `json:"until,omitzero"`       // zero: until revoked
	LeaveDate bool      `json:"leave_date,omitempty"` // made by the claimed leave date: changes and ends with it
	Policy    string    `json:"policy,omitempty"`     // made by this policy's trigger: ends when it no longer holds
	Before    *Before   `json:"before,omitempty"`     // with Policy: what the trigger compares with
	Keeps     bool      `json:"keeps,omitempty"`      // the plan is mover: the person stays entitled
	Proposed  bool      `json:"proposed,omitempty"`   // waits, with its held case, for a person's word
	Project   int       `json:"project,omitempty"`    // of Organization: their only access, which ends; 0: it is about everything
	// Organization is where Project is.
	Organization string `json:"organization,omitempty"`
}

// Stands reports whether the decision takes the seat away at now. A nil one, one
// that keeps the seat, and one that is only proposed never do.
func (d *Decision) Stands(now time.Time) bool {
	return d != nil && !d.Keeps && !d.Proposed && !now.Before(d.From) && (d.Until.IsZero() || now.Before(d.Until))
}

// Name is how the person is called in a sentence: display name, else given and
// family name, else the user name.
func (p Person) Name() string {
	if p.DisplayName != "" {
		return p.DisplayName
	}
	if n := strings.TrimSpace(p.GivenName + " " + p.FamilyName); n != "" {
		return n
	}
	return p.UserName
}

// Addresses lists every address the person holds, folded, without duplicates:
// user name, seat address, e-mails.
func (p Person) Addresses() []string {
	out := []string{Fold(p.UserName), Fold(p.Address)}
	for _, e := range p.Emails {
		out = append(out, Fold(e.Value))
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}

// Fold returns the key under which an address or a user name is compared:
// trimmed, lower case.
func Fold(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// Domain returns the part of an address behind the last @, folded; empty when
// there is none.
func Domain(address string) string {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return ""
	}
	return Fold(address[i+1:])
}

// Placeholder reports whether every address of the person is under the top-level
// domain invalid, which never exists (RFC 6761 section 6.4). Nobody can have a
// seat there: it is somebody made up, for a test of the connection, and nothing
// about them reaches Amplitude. One real address makes them a person.
func (p Person) Placeholder() bool {
	all := p.Addresses()
	return len(all) > 0 && !slices.ContainsFunc(all, func(a string) bool {
		d := Domain(a)
		return d != "invalid" && !strings.HasSuffix(d, ".invalid")
	})
}

// Adopted reports whether no identity provider ever sent this person: an
// operator or a sweep found the seat, and the record was made for its case.
func (p Person) Adopted() bool { return !p.Deleted.IsZero() && p.Resource == "" }

// Entitled reports whether a person may have a seat: active at the identity
// provider, in an access group where any is configured, and under no standing
// removal decision.
func Entitled(p Person, accessConfigured bool, now time.Time) bool {
	return p.Active && p.Deleted.IsZero() && (!accessConfigured || p.InAccess) && !p.Removal.Stands(now)
}

// SeatAddress picks the address of the seat from what the provider sent:
// the user name, or the primary e-mail where the connection says so. A
// connection by e-mail without a primary one takes the first, then the user name.
func SeatAddress(p Person, byEmail bool) string {
	if !byEmail {
		return p.UserName
	}
	for _, e := range p.Emails {
		if e.Primary {
			return e.Value
		}
	}
	if len(p.Emails) > 0 {
		return p.Emails[0].Value
	}
	return p.UserName
}
