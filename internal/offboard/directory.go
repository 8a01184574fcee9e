package offboard

import (
	"errors"
	"slices"
	"time"
)

// ErrUnavailable says that a write could not be made durable in time.
var ErrUnavailable = errors.New("the database did not answer in time")

// TakenError says which attribute's value belongs to somebody else.
type TakenError struct{ Attribute string }

// Error names the attribute, never the value.
func (e *TakenError) Error() string { return e.Attribute + " is taken" }

// PersonChange is one change of one person, decided inside the transaction
// that records it.
type PersonChange struct {
	Connection string
	ID         string // empty: a new person, whose ID Change chooses before the first attempt
	Rules      Rules
	// Change is pure and may run more than once. For a new person it sees the
	// zero Person. To delete it sets Deleted, to any time. ID, connection,
	// address, versions, times and groups are the store's; what Change does
	// with them otherwise is ignored, but for ID and Address of a new person.
	// Its error aborts and is returned as it is.
	Change func(was Person) (is Person, err error)
}

// Group is a group of an identity provider.
type Group struct {
	ID          string
	Connection  string
	DisplayName string
	ExternalID  string
	Access      string // the configured access name it is bound to, folded; empty: it gives no access
	Former      string // earlier names and external ids, one a line
	Version     int64  // grows with every change, members included
	Created     time.Time
	Modified    time.Time
}

// Member is one person in a group.
type Member struct{ ID, Name string }

// GroupRef names a group in which a person is.
type GroupRef struct{ ID, Name string }

// AccessRules say which groups give access and what losing it means.
type AccessRules struct {
	Groups []string // configured display names or external ids
	Rules  Rules
}

// NewGroup is a group about to be recorded. A second call with the same ID
// changes nothing.
type NewGroup struct {
	ID, Connection, DisplayName, ExternalID string
	Members                                 []string // ids of people; those not in the connection are left out
	Access                                  AccessRules
}

// GroupChange is one atomic change of a group. A nil field stays as it is.
type GroupChange struct {
	Connection, ID          string
	DisplayName, ExternalID *string
	Members                 []MemberChange
	Delete                  bool
	Access                  AccessRules
	// Check, if not nil, runs inside the transaction before anything changes;
	// its error aborts and is returned as it is.
	Check func(Group) error
}

// MemberChange is one step over a group's members.
type MemberChange struct {
	Op  MemberOp
	IDs []string
}

// MemberOp is the kind of a MemberChange.
type MemberOp string

// The kinds of member changes.
const (
	AddMembers     MemberOp = "add"
	RemoveMembers  MemberOp = "remove"
	ReplaceMembers MemberOp = "replace" // exactly these remain
)

// NetMembers is what a list of member changes comes to. With Replace, exactly
// Add remains and Remove is empty. All ids are sorted and without duplicates.
type NetMembers struct {
	Replace     bool
	Add, Remove []string
}

// Net folds changes, in their order, into one: whoever is removed and added
// again in one request was never away.
func Net(changes []MemberChange) NetMembers {
	wanted := map[string]bool{}
	replace := false
	for _, c := range changes {
		if c.Op == ReplaceMembers {
			replace = true
			clear(wanted)
		}
		for _, id := range c.IDs {
			wanted[id] = c.Op != RemoveMembers
		}
	}
	n := NetMembers{Replace: replace}
	for id, member := range wanted {
		switch {
		case member:
			n.Add = append(n.Add, id)
		case !replace:
			n.Remove = append(n.Remove, id)
		}
	}
	slices.Sort(n.Add)
	slices.Sort(n.Remove)
	return n
}

// massChange is how many people may lose an access group at once before the
// change is taken for a mistake.
const massChange = 20

// MassSample is how many members have to be counted to tell what share of a
// group a change takes: above it, only the number matters.
const MassSample = 2*massChange + 1

// MassChange reports whether a change that takes lost of size members out of
// an access group has to be confirmed before anything happens. emptied tells
// that the provider replaced the members with none, or deleted the group. One
// person who leaves by name is never a mass change.
func MassChange(lost, size int, emptied bool) bool {
	return lost > 0 && (emptied || lost > massChange || lost > 1 && 2*lost > size)
}

// Sort names an order of people or groups; ids break ties.
type Sort string

// The orders. The zero value is by id, which is by age.
const (
	SortID          Sort = ""
	SortUserName    Sort = "userName" // people only
	SortDisplayName Sort = "displayName"
	SortExternalID  Sort = "externalId"
	SortCreated     Sort = "created"
	SortModified    Sort = "modified"
)

// Slice is the part of a listing that is wanted. The zero value wants nothing
// but the number of hits.
type Slice struct {
	Offset, Limit int
	Sort          Sort
	Descending    bool
	Uncounted     bool // the number of hits is not needed and not told
}

// PeopleQuery narrows a listing of the people of a connection who are not
// deleted, active or not. Zero fields do not narrow; all given ones must hold.
// Names and addresses are compared folded.
type PeopleQuery struct {
	Connection     string
	ID             string
	UserName       string
	UserNamePrefix string
	ExternalID     string
	DisplayName    string
	Email          string
	Manager        string
	Group          string // id of a group that they are in
	Active         *bool
	Slice
}

// GroupsQuery narrows a listing of the groups of a connection, like PeopleQuery.
type GroupsQuery struct {
	Connection  string
	ID          string
	DisplayName string
	ExternalID  string
	Member      string // id of a person who is in it
	Slice
}

// Token is a bearer token of a connection, without its secret.
type Token struct {
	ID         string
	Connection string
	Created    time.Time
	Expires    time.Time // zero: never
	Revoked    time.Time // zero: not
}

// Live reports whether the token is accepted at now.
func (t Token) Live(now time.Time) bool {
	return t.Revoked.IsZero() && (t.Expires.IsZero() || now.Before(t.Expires))
}

// soon is how long before its end a token should be replaced.
const soon = 14 * 24 * time.Hour

// EndsSoon reports whether the token is accepted now and not for long.
func (t Token) EndsSoon(now time.Time) bool {
	return t.Live(now) && !t.Expires.IsZero() && t.Expires.Sub(now) < soon
}
