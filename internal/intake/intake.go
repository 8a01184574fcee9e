// Package intake turns a SCIM write into a recorded person or group, and by
// that into a case where somebody leaves: it is the scim.Directory of the
// product. It owns the mapping between scim.User and offboard.Person, the
// translation of filters into what the record has indexes for, and the check of
// bearer tokens. It must not know SQL, Amplitude, or what becomes of a case.
package intake

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"offramp/internal/offboard"
	"offramp/scim"
)

// Store is the record of people and groups. Its methods may be called
// concurrently; writes return when they are durable.
type Store interface {
	ChangePerson(ctx context.Context, c offboard.PersonChange) (offboard.Person, error)
	Person(ctx context.Context, connection, id string) (offboard.Person, error)
	People(ctx context.Context, q offboard.PeopleQuery) ([]offboard.Person, int, error)
	GroupsOfPeople(ctx context.Context, people []string) (map[string][]offboard.GroupRef, error)

	CreateGroup(ctx context.Context, n offboard.NewGroup) (g offboard.Group, unknown int, err error)
	ChangeGroup(ctx context.Context, c offboard.GroupChange) (g offboard.Group, unknown int, err error)
	Group(ctx context.Context, connection, id string) (offboard.Group, error)
	Groups(ctx context.Context, q offboard.GroupsQuery) ([]offboard.Group, int, error)
	Members(ctx context.Context, groupID string) ([]offboard.Member, error)
}

// Options are what New needs.
type Options struct {
	Store        Store                                  // required
	Rules        func(connection string) offboard.Rules // required
	AccessGroups []string                               // configured names; none: no group gives access
	ByEmail      func(connection string) bool           // seats are found by primary e-mail; nil: by user name
	NewID        func() string                          // nil: UUID version 7, which sorts by age
	Now          func() time.Time                       // nil: time.Now
	Log          *zap.Logger                            // nil: no log
	Metrics      prometheus.Registerer                  // nil: not exported
}

// Intake is the directory behind the SCIM server, safe for concurrent use.
type Intake struct {
	opts    Options
	metrics *metrics
}

var _ scim.Directory = (*Intake)(nil)

// New checks the options and starts nothing.
func New(o Options) (*Intake, error) {
	if o.Store == nil || o.Rules == nil {
		return nil, errors.New("intake: a store and rules are required")
	}
	if o.ByEmail == nil {
		o.ByEmail = func(string) bool { return false }
	}
	if o.NewID == nil {
		o.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	return &Intake{opts: o, metrics: m}, nil
}

// CreateUser records a person under an id that is chosen before the first
// attempt, so that a repeated attempt finds itself. Without active they are
// active. Nobody who is created inactive gets a case.
func (in *Intake) CreateUser(ctx context.Context, conn string, u scim.User) (scim.User, error) {
	id := in.opts.NewID()
	p, err := in.opts.Store.ChangePerson(ctx, offboard.PersonChange{
		Connection: conn, Rules: in.opts.Rules(conn),
		Change: func(offboard.Person) (offboard.Person, error) {
			p, err := mapPerson(offboard.Person{Active: true}, u)
			p.ID, p.Address = id, offboard.SeatAddress(p, in.opts.ByEmail(conn))
			return p, err
		},
	})
	if err != nil {
		return scim.User{}, translate("create user", err)
	}
	return mapUser(p, nil)
}

// User returns one user with their groups.
func (in *Intake) User(ctx context.Context, conn, id string) (scim.User, error) {
	if !storable(id) {
		return scim.User{}, scim.ErrNotFound
	}
	p, err := in.opts.Store.Person(ctx, conn, id)
	if err != nil {
		return scim.User{}, translate("read user", err)
	}
	return in.withGroups(ctx, p)
}

func (in *Intake) withGroups(ctx context.Context, p offboard.Person) (scim.User, error) {
	users, err := in.mapUsers(ctx, []offboard.Person{p})
	if err != nil {
		return scim.User{}, err
	}
	return users[0], nil
}

// UpdateUser changes a person; whether they leave by that is decided and
// recorded in the same transaction.
func (in *Intake) UpdateUser(ctx context.Context, conn, id string, change func(scim.User) (scim.User, error)) (scim.User, error) {
	p, err := in.changePerson(ctx, conn, id, func(was offboard.Person, u scim.User) (offboard.Person, error) {
		next, err := change(u)
		if err != nil {
			return was, err
		}
		return mapPerson(was, next)
	})
	if err != nil {
		return scim.User{}, translate("update user", err)
	}
	return in.withGroups(ctx, p)
}

// DeleteUser hides a person, ends their memberships and frees the user name.
func (in *Intake) DeleteUser(ctx context.Context, conn, id string, check func(scim.User) error) error {
	_, err := in.changePerson(ctx, conn, id, func(was offboard.Person, u scim.User) (offboard.Person, error) {
		if check != nil {
			if err := check(u); err != nil {
				return was, err
			}
		}
		was.Deleted = in.opts.Now()
		return was, nil
	})
	if err != nil {
		return translate("delete user", err)
	}
	return nil
}

func (in *Intake) changePerson(ctx context.Context, conn, id string, change func(offboard.Person, scim.User) (offboard.Person, error)) (offboard.Person, error) {
	if !storable(id) {
		return offboard.Person{}, scim.ErrNotFound
	}
	return in.opts.Store.ChangePerson(ctx, offboard.PersonChange{
		Connection: conn, ID: id, Rules: in.opts.Rules(conn),
		Change: func(was offboard.Person) (offboard.Person, error) {
			u, err := mapUser(was, nil)
			if err != nil {
				return was, err
			}
			return change(was, u)
		},
	})
}

// translate names the operation and turns the record's errors into scim's.
// What a change or check returned passes through.
func translate(op string, err error) error {
	switch taken, isTaken := errors.AsType[*offboard.TakenError](err); {
	case isTaken:
		return fmt.Errorf("%s: %w", op, scim.ErrTaken{Attribute: taken.Attribute})
	case errors.Is(err, offboard.ErrNotFound):
		return fmt.Errorf("%s: %w", op, scim.ErrNotFound)
	case errors.Is(err, offboard.ErrUnavailable):
		return fmt.Errorf("%s: %w: %w", op, scim.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", op, err)
}

// storable reports whether a text can be in the record at all: a database need
// not be asked for what it would refuse.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }
