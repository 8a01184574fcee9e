package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// AdoptPerson returns a person for an address that no identity provider sent,
// so that a case can be opened for its seat. The person is inactive and deleted
// from the start: nothing of SCIM ever sees them, and a user of that name can
// be created as if they were not there. A second call returns the same person,
// and somebody whom the connection's provider deleted is taken before a new one
// is made. Whether the address is within the connection's reach is for the
// caller to know.
//
// *TakenError: somebody who is not deleted holds the address in the connection.
func (s *Store) AdoptPerson(ctx context.Context, connection, address string) (out offboard.Person, err error) {
	key := offboard.Fold(address)
	if connection == "" || key == "" {
		return out, errors.New("adopt person: a connection and an address are required")
	}
	err = s.transact(ctx, func(t *tx) error {
		if known, err := t.formerHolder(ctx, connection, key); err != nil || known != nil {
			if known != nil {
				out = *known
			}
			return err
		}
		id := uuid.NewSHA1(uuid.NameSpaceURL, []byte("offramp:adopted:"+connection+"\x00"+key)).String()
		n, err := t.InsertAdopted(ctx, db.InsertAdoptedParams{ID: id, Connection: connection, Address: key, AddressKey: key, Now: millis(t.now)})
		if err != nil {
			return fmt.Errorf("insert person: %w", err)
		}
		if out, err = t.lockPerson(ctx, id); err != nil || n == 0 { // n is 0 where another replica was first
			return err
		}
		return t.saveAddresses(ctx, offboard.Person{}, out)
	})
	return out, err
}

// formerHolder returns who last had the seat of an address in a connection,
// where nobody has it now; nil where nobody ever had.
func (t *tx) formerHolder(ctx context.Context, connection, key string) (*offboard.Person, error) {
	rows, err := t.PeopleByAddress(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("find who holds the address: %w", err)
	}
	var last *db.Person
	for i, r := range rows {
		switch {
		case r.Connection != connection:
		case r.DeletedAt == 0:
			return nil, &TakenError{Attribute: "address"}
		case r.AddressKey == key && (last == nil || r.DeletedAt > last.DeletedAt):
			last = &rows[i]
		}
	}
	if last == nil {
		return nil, nil
	}
	p, err := t.decided(ctx, *last)
	return &p, err
}
