package scim

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Directory is what the server asks of the rest of the product. Every method
// is scoped to one connection: an id of another connection is ErrNotFound.
// Methods may be called concurrently. They return when the outcome is durable.
//
// Errors the server understands: ErrNotFound, ErrTaken, ErrVersion,
// ErrUnavailable, ErrTooBroad, *BadValue, and whatever a change or check
// function returned (wrapped or not). Anything else becomes an opaque 500.
type Directory interface {
	// CreateUser stores u under a new id and returns it as stored. Only
	// u.Attributes is set by the caller.
	CreateUser(ctx context.Context, conn string, u User) (User, error)
	// User returns one user, active or not, with Groups filled.
	User(ctx context.Context, conn, id string) (User, error)
	// Users returns a page in a stable order; Total counts every hit.
	Users(ctx context.Context, conn string, q Query) (Page[User], error)
	// UpdateUser runs change on the stored user inside the transaction that
	// records the result. change is pure and may run more than once; if it
	// returns an error, nothing is recorded and that error is returned. A
	// change that alters nothing (User.Equal) keeps the version.
	UpdateUser(ctx context.Context, conn, id string, change func(User) (User, error)) (User, error)
	// DeleteUser removes the user and their memberships. check, if not nil,
	// runs inside the transaction; its error aborts.
	DeleteUser(ctx context.Context, conn, id string, check func(User) error) error

	// CreateGroup stores g with its members under a new id. The returned
	// group need not carry the members.
	CreateGroup(ctx context.Context, conn string, g Group) (Group, error)
	// Group returns one group; members are loaded only if withMembers is true.
	Group(ctx context.Context, conn, id string, withMembers bool) (Group, error)
	// Groups returns a page in a stable order; q.Members tells whether members
	// are wanted. A page may hold fewer groups than q.Count, though at least one
	// if there is one, so that many large groups need not be in memory at once.
	Groups(ctx context.Context, conn string, q Query) (Page[Group], error)
	// UpdateGroup applies c in one transaction. Adding a member who is there
	// and removing one who is not are no errors. The cost follows the members
	// named in c, never the size of the group. A change that alters nothing
	// keeps the version.
	UpdateGroup(ctx context.Context, conn, id string, c GroupChange) error
	// DeleteGroup removes the group; its members stay. check is as in
	// DeleteUser and sees the group without members.
	DeleteGroup(ctx context.Context, conn, id string, check func(Group) error) error
}

// Group is a SCIM group. Members is nil where they were not asked for.
type Group struct {
	ID                string
	Version           int64 // grows with every change, members included
	Created, Modified time.Time
	DisplayName       string
	ExternalID        string // empty: none
	Members           []Member
}

// Member is one user in a group. Value is the id of the user in this
// connection; the other fields are for reading and may be empty.
type Member struct{ Value, Display, Type string }

// GroupRef names a group in which a user is a direct member.
type GroupRef struct{ Value, Display string }

// MemberOp is the kind of a MemberChange.
type MemberOp string

// The kinds of a MemberChange.
const (
	AddMembers     MemberOp = "add"     // make the ids members
	RemoveMembers  MemberOp = "remove"  // end the memberships of the ids
	ReplaceMembers MemberOp = "replace" // exactly the ids remain; none empties the group
)

// MemberChange is one step over a group's members. IDs holds no duplicates.
type MemberChange struct {
	Op  MemberOp
	IDs []string
}

// GroupChange is one atomic change of a group. A nil field stays as it is.
type GroupChange struct {
	DisplayName, ExternalID *string // an empty ExternalID clears it
	Members                 []MemberChange
	// Check, if not nil, runs first, inside the transaction, with the group
	// without members; its error aborts.
	Check func(Group) error
}

// Page is one page of a listing. Total counts all hits, not only Items.
type Page[T any] struct {
	Total int
	Items []T
}

// Sortable attributes, as they appear in Query.SortBy.
const (
	SortUserName     = "userName" // Users only
	SortDisplayName  = "displayName"
	SortExternalID   = "externalId"
	SortID           = "id"
	SortCreated      = "meta.created"
	SortLastModified = "meta.lastModified"
)

// Query is what a listing asks for.
type Query struct {
	Filter     Expr   // nil: everything; every path in it is known and canonical
	Start      int    // 1-based, at least 1
	Count      int    // at least 0; 0 asks for Total only
	SortBy     string // one of the Sort constants; empty: the directory's own stable order
	Descending bool
	Members    bool // groups: load members
}

// Errors that a Directory returns and the server turns into an answer.
var (
	// ErrNotFound: no such resource in this connection (404).
	ErrNotFound = errors.New("resource not found")
	// ErrVersion: the resource is not at the version the client named (412).
	ErrVersion = errors.New("resource has another version")
	// ErrUnavailable: the write could not be made durable in time (429 with
	// Retry-After, because a provider repeats that and not a 5xx).
	ErrUnavailable = errors.New("directory is unavailable")
	// ErrTooBroad: the filter names no indexed attribute and would scan the
	// whole directory (400 invalidFilter).
	ErrTooBroad = errors.New("filter is too broad")
)

// ErrTaken says that the value of Attribute belongs to another resource of
// the connection (409 uniqueness). Attribute is a name, never a value.
type ErrTaken struct{ Attribute string }

// Error names the attribute.
func (e ErrTaken) Error() string { return fmt.Sprintf("%s is taken", e.Attribute) }

// IsTaken reports whether err is or wraps an ErrTaken.
func IsTaken(err error) bool {
	_, ok := errors.AsType[ErrTaken](err)
	return ok
}

// BadValue says that the value of Attribute is not acceptable (400
// invalidValue). Reason tells what is allowed; both are shown to the client,
// so neither may hold the value itself.
type BadValue struct{ Attribute, Reason string }

// Error joins attribute and reason.
func (e *BadValue) Error() string { return e.Attribute + ": " + e.Reason }
