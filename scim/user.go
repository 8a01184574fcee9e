package scim

import (
	"reflect"
	"time"
)

// Schema URNs of users and groups.
const (
	UserURN       = "urn:ietf:params:scim:schemas:core:2.0:User"
	GroupURN      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	EnterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	OfframpURN    = "urn:ietf:params:scim:schemas:extension:offramp:2.0:User"
)

// User is what an identity provider said about one person.
//
// Attributes holds canonical attribute names as spelled in the schema, with
// extensions nested under their URN. Values are string, bool, map[string]any
// and []any only, so they survive JSON unchanged; id, meta, schemas, groups
// and password are never in it. It is immutable: whoever changes a user makes
// a new map, and nested maps and slices are shared between versions.
type User struct {
	ID                string
	Version           int64 // grows with every change
	Created, Modified time.Time
	Attributes        map[string]any
	Groups            []GroupRef // filled on read; readOnly for clients
}

// Email is one element of emails.
type Email struct {
	Value, Type string
	Primary     bool
}

// Claims is the offramp extension: what an admin mapped about a departure.
// Every field may be empty. They are claims of the provider, not decisions.
type Claims struct {
	LeaveReason, Successor, ManagerEmail, Ticket, ApprovedBy string
	LeaveDate                                                string // as sent: a date or an RFC 3339 time
}

// Equal reports whether u and v hold the same attributes. Ids, versions,
// times and groups are not compared.
func (u User) Equal(v User) bool {
	if len(u.Attributes) == 0 && len(v.Attributes) == 0 {
		return true
	}
	return reflect.DeepEqual(u.Attributes, v.Attributes)
}

// Text returns the string at path, or "" if there is none or it is not a
// string. Multi-valued attributes have no text.
func (u User) Text(path AttrPath) string {
	m := u.Attributes
	if path.URN != "" {
		m, _ = m[path.URN].(map[string]any)
	}
	if path.Sub == "" {
		s, _ := m[path.Attr].(string)
		return s
	}
	c, _ := m[path.Attr].(map[string]any)
	s, _ := c[path.Sub].(string)
	return s
}

// UserName returns userName, which every stored user has.
func (u User) UserName() string { return u.Text(AttrPath{Attr: "userName"}) }

// ExternalID returns the provider's own id, or "".
func (u User) ExternalID() string { return u.Text(AttrPath{Attr: "externalId"}) }

// DisplayName returns displayName, else name.formatted, else given and family
// name, else "".
func (u User) DisplayName() string {
	for _, p := range []AttrPath{{Attr: "displayName"}, {Attr: "name", Sub: "formatted"}} {
		if s := u.Text(p); s != "" {
			return s
		}
	}
	given, family := u.GivenName(), u.FamilyName()
	if given == "" || family == "" {
		return given + family
	}
	return given + " " + family
}

// GivenName returns name.givenName, or "".
func (u User) GivenName() string { return u.Text(AttrPath{Attr: "name", Sub: "givenName"}) }

// FamilyName returns name.familyName, or "".
func (u User) FamilyName() string { return u.Text(AttrPath{Attr: "name", Sub: "familyName"}) }

// Title returns title, or "".
func (u User) Title() string { return u.Text(AttrPath{Attr: "title"}) }

// Active returns active and whether the provider ever said it. A user who was
// created without it has no value; RFC 7643 leaves the meaning to us.
func (u User) Active() (value, present bool) {
	value, present = u.Attributes["active"].(bool)
	return value, present
}

// Emails returns emails in stored order; elements without a value are left out.
func (u User) Emails() []Email {
	list, _ := u.Attributes["emails"].([]any)
	out := make([]Email, 0, len(list))
	for _, item := range list {
		m, _ := item.(map[string]any)
		value, _ := m["value"].(string)
		if value == "" {
			continue
		}
		kind, _ := m["type"].(string)
		primary, _ := m["primary"].(bool)
		out = append(out, Email{Value: value, Type: kind, Primary: primary})
	}
	return out
}

// PrimaryEmail returns the primary address, else the one of type work, else
// the first, else "".
func (u User) PrimaryEmail() string {
	emails := u.Emails()
	best := ""
	for _, e := range emails {
		switch {
		case e.Primary:
			return e.Value
		case Fold(e.Type) == "work" && best == "":
			best = e.Value
		}
	}
	if best == "" && len(emails) > 0 {
		best = emails[0].Value
	}
	return best
}

// Manager returns the enterprise manager.value as the provider sent it, or
// "": our id of the manager, or whatever else the provider was told to map.
func (u User) Manager() string {
	return u.Text(AttrPath{URN: EnterpriseURN, Attr: "manager", Sub: "value"})
}

// Department returns the enterprise department, or "".
func (u User) Department() string {
	return u.Text(AttrPath{URN: EnterpriseURN, Attr: "department"})
}

// EmployeeNumber returns the enterprise employeeNumber, or "".
func (u User) EmployeeNumber() string {
	return u.Text(AttrPath{URN: EnterpriseURN, Attr: "employeeNumber"})
}

// Claims returns the offramp extension; without it, the zero value.
func (u User) Claims() Claims {
	at := func(name string) string { return u.Text(AttrPath{URN: OfframpURN, Attr: name}) }
	return Claims{
		LeaveReason: at("leaveReason"), Successor: at("successor"), ManagerEmail: at("managerEmail"),
		Ticket: at("ticket"), ApprovedBy: at("approvedBy"), LeaveDate: at("leaveDate"),
	}
}
