package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// ChangePerson changes one person, decides in the same transaction what that
// means for their cases, and returns the person as recorded. A change that
// alters nothing keeps the version. Creating a person whose id is there already
// is a repeated attempt and returns them as they are.
//
// ErrNotFound: there is no such person in the connection, or not any more.
// *TakenError: the user name belongs to somebody else of the connection.
func (s *Store) ChangePerson(ctx context.Context, c offboard.PersonChange) (offboard.Person, error) {
	var out offboard.Person
	err := s.transact(ctx, func(t *tx) (err error) {
		if c.ID == "" {
			out, err = t.createPerson(ctx, c)
		} else {
			out, err = t.changePerson(ctx, c)
		}
		return err
	})
	if violates(err, "person_user_name", "person.connection, person.user_name_key") {
		err = &TakenError{Attribute: "userName"}
	}
	if err != nil {
		return offboard.Person{}, err
	}
	return out, nil
}

// createPerson opens no case, but for a leave date to come: a person who is
// created inactive never had a seat through this connection.
func (t *tx) createPerson(ctx context.Context, c offboard.PersonChange) (offboard.Person, error) {
	p, err := c.Change(offboard.Person{})
	if err != nil {
		return p, err
	}
	if p.ID == "" || p.UserName == "" {
		return p, errors.New("create person: an id and a user name are required")
	}
	p.Connection, p.Version = c.Connection, 1
	p.Created, p.Modified, p.AddressSince = moment(millis(t.now)), moment(millis(t.now)), moment(millis(t.now))
	r, err := personRow(p)
	if err != nil {
		return p, err
	}
	n, err := t.InsertPerson(ctx, db.InsertPersonParams{
		ID: r.ID, Connection: r.Connection, ExternalID: r.ExternalID, UserName: r.UserName, UserNameKey: r.UserNameKey,
		DisplayName: r.DisplayName, DisplayKey: r.DisplayKey, GivenName: r.GivenName, FamilyName: r.FamilyName,
		Address: r.Address, AddressKey: r.AddressKey, AddressSince: r.AddressSince, Emails: r.Emails,
		Manager: r.Manager, ManagerKey: r.ManagerKey, Department: r.Department, Title: r.Title, Active: r.Active,
		Claims: r.Claims, Resource: r.Resource, CreatedAt: r.CreatedAt, ModifiedAt: r.ModifiedAt,
	})
	if err != nil {
		return p, fmt.Errorf("insert person: %w", err)
	}
	if n == 0 {
		return t.createdBefore(ctx, p)
	}
	if err := t.saveAddresses(ctx, offboard.Person{}, p); err != nil || p.Claims.LeaveDate == "" {
		return p, err
	}
	return p, t.decide(ctx, offboard.Person{}, p, c.Rules, "")
}

// createdBefore tells a repeated attempt, whose first one did commit, from a
// user name that is taken.
func (t *tx) createdBefore(ctx context.Context, p offboard.Person) (offboard.Person, error) {
	row, err := t.PersonByID(ctx, db.PersonByIDParams{ID: p.ID, Connection: p.Connection})
	if errors.Is(missing(err), ErrNotFound) {
		return p, &TakenError{Attribute: "userName"}
	}
	if err != nil {
		return p, fmt.Errorf("read person: %w", err)
	}
	return t.decided(ctx, row)
}

func (t *tx) changePerson(ctx context.Context, c offboard.PersonChange) (offboard.Person, error) {
	was, err := t.lockPerson(ctx, c.ID)
	if err != nil {
		return was, err
	}
	if was.Connection != c.Connection || !was.Deleted.IsZero() {
		return was, ErrNotFound
	}
	is, err := c.Change(was)
	if err != nil {
		return was, err
	}
	is.ID, is.Connection, is.Version = was.ID, was.Connection, was.Version
	is.Address, is.AddressSince = was.Address, was.AddressSince
	is.Created, is.Modified, is.Removal, is.Shield = was.Created, was.Modified, was.Removal, was.Shield
	is.Groups, is.GroupKeys, is.InAccess = was.Groups, was.GroupKeys, was.InAccess
	if !is.Deleted.IsZero() {
		is.Deleted, is.Groups, is.GroupKeys, is.InAccess = moment(millis(t.now)), nil, nil, false
	}
	if reflect.DeepEqual(was, is) {
		return was, nil
	}
	is.Version, is.Modified = was.Version+1, moment(millis(t.now))
	if err := t.savePerson(ctx, was, is); err != nil {
		return was, err
	}
	return is, t.decide(ctx, was, is, c.Rules, "")
}

// decide asks the rules what a change means and records the answer. With a
// batch, a case that opens is held.
func (t *tx) decide(ctx context.Context, was, is offboard.Person, rules offboard.Rules, batch string) error {
	prior, err := t.prior(ctx, is.ID)
	if err != nil {
		return err
	}
	if s := rules.Shield(was, is, t.now); s != nil {
		if err := t.setShield(ctx, is.ID, *s); err != nil {
			return err
		}
	}
	v := offboard.Decide(was, is, prior, rules, t.now)
	t.fell = append(t.fell, v.Failed...)
	if v.Decision != nil || v.Lapsed {
		if err := t.setRemoval(ctx, is.ID, v.Decision); err != nil {
			return err
		}
	}
	if v.Open != nil && batch != "" && v.Open.State != offboard.StateNeedsAttention {
		v.Open.Note = "part of a change to an access group that affects many people at once: release or cancel it"
	}
	return t.applyHeld(ctx, is, v, batch)
}

// setShield keeps what a person was while they were protected.
func (t *tx) setShield(ctx context.Context, personID string, s offboard.Shield) error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode what protected a person: %w", err)
	}
	if err := t.SetShield(ctx, db.SetShieldParams{Shield: string(b), ID: personID}); err != nil {
		return fmt.Errorf("keep what protected a person: %w", err)
	}
	return nil
}

func (t *tx) savePerson(ctx context.Context, was, is offboard.Person) error {
	if !is.Deleted.IsZero() {
		err := t.TouchGroupsOf(ctx, db.TouchGroupsOfParams{ModifiedAt: millis(t.now), PersonID: is.ID})
		if err != nil {
			return fmt.Errorf("change the groups of a deleted person: %w", err)
		}
		if err := t.EndMemberships(ctx, is.ID); err != nil {
			return fmt.Errorf("end memberships: %w", err)
		}
	}
	r, err := personRow(is)
	if err != nil {
		return err
	}
	light, err := onlyState(was, r)
	switch {
	case err != nil:
		return err
	case light:
		return t.saveState(ctx, r)
	}
	err = t.SavePerson(ctx, db.SavePersonParams{
		ExternalID: r.ExternalID, UserName: r.UserName, UserNameKey: r.UserNameKey, DisplayName: r.DisplayName,
		DisplayKey: r.DisplayKey, GivenName: r.GivenName, FamilyName: r.FamilyName, Emails: r.Emails,
		Manager: r.Manager, ManagerKey: r.ManagerKey, Department: r.Department, Title: r.Title, Active: r.Active,
		Claims: r.Claims, Resource: r.Resource, Version: r.Version, ModifiedAt: r.ModifiedAt, DeletedAt: r.DeletedAt,
		ID: r.ID,
	})
	if err != nil {
		return fmt.Errorf("save person: %w", err)
	}
	return t.saveAddresses(ctx, was, is)
}

// onlyState reports whether nothing changed that a person is looked up by, but
// for being active: most changes that providers send are like that.
func onlyState(was offboard.Person, is db.Person) (bool, error) {
	before, err := personRow(was)
	before.Active, before.Claims, before.Resource = is.Active, is.Claims, is.Resource
	before.Version, before.ModifiedAt = is.Version, is.ModifiedAt
	return before == is, err
}

func (t *tx) saveState(ctx context.Context, r db.Person) error {
	err := t.SavePersonState(ctx, db.SavePersonStateParams{
		Active: r.Active, Claims: r.Claims, Resource: r.Resource, Version: r.Version, ModifiedAt: r.ModifiedAt, ID: r.ID,
	})
	if err != nil {
		return fmt.Errorf("save person: %w", err)
	}
	return nil
}

// heldAddress is one row of person_address, but for whose it is and since when.
type heldAddress struct{ kind, key string }

func addressesOf(p offboard.Person) map[heldAddress]bool {
	out := map[heldAddress]bool{
		{"seat", offboard.Fold(p.Address)}:       true,
		{"user_name", offboard.Fold(p.UserName)}: true,
	}
	for _, e := range p.Emails {
		out[heldAddress{"email", offboard.Fold(e.Value)}] = true
	}
	for a := range out {
		if a.key == "" {
			delete(out, a)
		}
	}
	return out
}

// saveAddresses writes the difference, so that what stays keeps its date. The
// addresses of a deleted person stay: they tell who once held them.
func (t *tx) saveAddresses(ctx context.Context, was, is offboard.Person) error {
	before, after := addressesOf(was), addressesOf(is)
	for a := range before {
		if after[a] {
			continue
		}
		err := t.DeleteAddress(ctx, db.DeleteAddressParams{PersonID: is.ID, Kind: a.kind, ValueKey: a.key})
		if err != nil {
			return fmt.Errorf("delete address: %w", err)
		}
	}
	for a := range after {
		if before[a] {
			continue
		}
		err := t.InsertAddress(ctx, db.InsertAddressParams{
			PersonID: is.ID, Connection: is.Connection, Kind: a.kind, ValueKey: a.key, Since: millis(t.now),
		})
		if err != nil {
			return fmt.Errorf("insert address: %w", err)
		}
	}
	return nil
}

// lockPerson reads a person, deleted or not, and keeps other writers away.
func (t *tx) lockPerson(ctx context.Context, id string) (offboard.Person, error) {
	row, err := t.LockPerson(ctx, id)
	if errors.Is(missing(err), ErrNotFound) {
		return offboard.Person{}, ErrNotFound
	}
	if err != nil {
		return offboard.Person{}, fmt.Errorf("lock person: %w", err)
	}
	return t.decided(ctx, row)
}

// decided maps a row with everything that a decision needs.
func (t *tx) decided(ctx context.Context, row db.Person) (offboard.Person, error) {
	p, err := personOf(row)
	if err != nil {
		return p, err
	}
	err = withGroups(ctx, t.Queries, &p)
	return p, err
}

// withGroups fills in what a person's groups say about them.
func withGroups(ctx context.Context, q *db.Queries, p *offboard.Person) error {
	rows, err := q.GroupsOf(ctx, p.ID)
	if err != nil {
		return fmt.Errorf("read groups: %w", err)
	}
	p.Groups, p.GroupKeys, p.InAccess = nil, nil, false
	for _, r := range rows {
		g := offboard.Group{DisplayName: r.DisplayName, ExternalID: r.ExternalID, Former: r.Former}
		p.GroupKeys = append(p.GroupKeys, g.Keys()...)
		if r.DeletedAt == 0 {
			p.Groups = append(p.Groups, r.DisplayName)
			p.InAccess = p.InAccess || r.AccessName != ""
		}
	}
	return nil
}

// personRow maps a person to a row; the removal decision is written elsewhere.
func personRow(p offboard.Person) (db.Person, error) {
	r := db.Person{
		ID: p.ID, Connection: p.Connection, ExternalID: p.ExternalID,
		UserName: p.UserName, UserNameKey: offboard.Fold(p.UserName),
		DisplayName: p.DisplayName, DisplayKey: offboard.Fold(p.DisplayName), GivenName: p.GivenName, FamilyName: p.FamilyName,
		Address: p.Address, AddressKey: offboard.Fold(p.Address), AddressSince: millis(p.AddressSince),
		Manager: p.Manager, ManagerKey: offboard.Fold(p.Manager), Department: p.Department, Title: p.Title,
		Active: p.Active, Resource: p.Resource, Version: p.Version,
		CreatedAt: millis(p.Created), ModifiedAt: millis(p.Modified), DeletedAt: millis(p.Deleted),
	}
	if len(p.Emails) > 0 {
		b, err := json.Marshal(p.Emails)
		if err != nil {
			return r, fmt.Errorf("encode addresses: %w", err)
		}
		r.Emails = string(b)
	}
	if p.Claims != (offboard.Claims{}) {
		b, err := json.Marshal(p.Claims)
		if err != nil {
			return r, fmt.Errorf("encode claims: %w", err)
		}
		r.Claims = string(b)
	}
	return r, nil
}

// Person returns a person of the connection who is not deleted, without groups.
func (s *Store) Person(ctx context.Context, connection, id string) (offboard.Person, error) {
	row, err := s.queries().PersonByID(ctx, db.PersonByIDParams{ID: id, Connection: connection})
	if err != nil {
		return offboard.Person{}, fmt.Errorf("read person: %w", missing(err))
	}
	return personOf(row)
}

// FindPerson returns who is meant by a reference: our id, else the external
// id, else the user name, else an e-mail address of a person of the
// connection. Of several with one address, an active one wins. Groups are not
// filled, InAccess is.
func (s *Store) FindPerson(ctx context.Context, connection, ref string) (offboard.Person, error) {
	return findPerson(ctx, s.queries(), connection, ref)
}

func findPerson(ctx context.Context, q *db.Queries, connection, ref string) (offboard.Person, error) {
	key := offboard.Fold(ref)
	if key == "" {
		return offboard.Person{}, ErrNotFound
	}
	for _, find := range []func() (db.Person, error){
		func() (db.Person, error) {
			return q.PersonByID(ctx, db.PersonByIDParams{ID: ref, Connection: connection})
		},
		func() (db.Person, error) {
			return q.PersonByExternalID(ctx, db.PersonByExternalIDParams{Connection: connection, ExternalID: ref})
		},
		func() (db.Person, error) {
			return q.PersonByUserName(ctx, db.PersonByUserNameParams{Connection: connection, UserNameKey: key})
		},
		func() (db.Person, error) {
			return q.PersonByEmail(ctx, db.PersonByEmailParams{ValueKey: key, Connection: connection})
		},
	} {
		row, err := find()
		if errors.Is(missing(err), ErrNotFound) {
			continue
		}
		if err != nil {
			return offboard.Person{}, fmt.Errorf("find person: %w", err)
		}
		p, err := personOf(row)
		if err != nil {
			return p, err
		}
		p.InAccess, err = inAccess(ctx, q, p.ID)
		return p, err
	}
	return offboard.Person{}, ErrNotFound
}
