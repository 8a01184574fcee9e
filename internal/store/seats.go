package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// SeeSeats records a page of members that a sweep saw. ErrFenced: another
// sweep of the organization has taken over.
func (s *Store) SeeSeats(ctx context.Context, w offboard.Sweep, seats []offboard.Seat) error {
	return s.sweeping(ctx, w, func(t *tx) error {
		for _, seat := range seats {
			err := t.SeeSeat(ctx, db.SeeSeatParams{
				Organization: w.Organization, AddressKey: offboard.Fold(seat.Address), Address: seat.Address, Name: seat.Name,
				NameKey: nameKey(seat), PlainKey: offboard.Plain(seat.Address), Pending: seat.Pending, Sweep: w.Number, At: t.now.UnixMilli(),
			})
			if err != nil {
				return fmt.Errorf("record a seat: %w", err)
			}
		}
		return nil
	})
}

// nameKey is what a name is compared by; names of those who never joined say
// nothing, and a single word too little.
func nameKey(s offboard.Seat) string {
	key := offboard.Fold(s.Name)
	if s.Pending || !strings.Contains(key, " ") {
		return ""
	}
	return key
}

// SeeGroups records members of permission groups that a sweep saw.
func (s *Store) SeeGroups(ctx context.Context, w offboard.Sweep, groups []offboard.SeatGroup) error {
	return s.sweeping(ctx, w, func(t *tx) error {
		for _, g := range groups {
			err := t.SeeSeatGroup(ctx, db.SeeSeatGroupParams{
				Organization: w.Organization, AddressKey: offboard.Fold(g.Address), GroupID: g.ID, GroupName: g.Name, Sweep: w.Number,
				FirstSeen: t.now.UnixMilli(),
			})
			if err != nil {
				return fmt.Errorf("record a group: %w", err)
			}
		}
		return nil
	})
}

// UnseenGroups lists groups that had somebody in them before and of which a sweep
// that has read all has seen nobody.
func (s *Store) UnseenGroups(ctx context.Context, w offboard.Sweep, n int) ([]offboard.SeatGroup, error) {
	rows, err := s.queries().UnseenGroups(ctx, db.UnseenGroupsParams{Organization: w.Organization, Sweep: w.Number, Most: most(n)})
	if err != nil {
		return nil, fmt.Errorf("list groups: %w", err)
	}
	out := make([]offboard.SeatGroup, 0, len(rows))
	for _, r := range rows {
		out = append(out, offboard.SeatGroup{ID: r.GroupID, Name: r.GroupName})
	}
	return out, nil
}

// KnownGroups lists the ids of some groups that had somebody in them when the
// organization was compared last.
func (s *Store) KnownGroups(ctx context.Context, organization string, n int) ([]string, error) {
	ids, err := s.queries().KnownGroups(ctx, db.KnownGroupsParams{Organization: organization, Most: most(n)})
	if err != nil {
		return nil, fmt.Errorf("list groups: %w", err)
	}
	return ids, nil
}

// SawGroups says that the groups were read to their end: who was not seen in
// one is not in it.
func (s *Store) SawGroups(ctx context.Context, w offboard.Sweep) error {
	return s.sweeping(ctx, w, func(t *tx) error {
		err := t.ForgetSeatGroups(ctx, db.ForgetSeatGroupsParams{Organization: w.Organization, Sweep: w.Number})
		if err != nil {
			return fmt.Errorf("forget groups: %w", err)
		}
		return nil
	})
}

// Admins lists seats that a sweep saw and that were an admin's when admins were
// read last.
func (s *Store) Admins(ctx context.Context, w offboard.Sweep, n int) ([]string, error) {
	all, err := s.queries().AdminsSwept(ctx, db.AdminsSweptParams{
		Organization: w.Organization, Sweep: w.Number, Role: offboard.RoleAdmin, Most: most(n),
	})
	if err != nil {
		return nil, fmt.Errorf("list admins: %w", err)
	}
	return all, nil
}

// SawAdmins records who is an admin, completely: the others are not.
func (s *Store) SawAdmins(ctx context.Context, w offboard.Sweep, addresses []string) error {
	return s.sweeping(ctx, w, func(t *tx) error {
		if err := t.ForgetRoles(ctx, w.Organization); err != nil {
			return fmt.Errorf("forget roles: %w", err)
		}
		for _, a := range addresses {
			err := t.SetRole(ctx, db.SetRoleParams{Role: offboard.RoleAdmin, Organization: w.Organization, AddressKey: offboard.Fold(a)})
			if err != nil {
				return fmt.Errorf("record an admin: %w", err)
			}
		}
		return nil
	})
}

// SeatEvents records what the audit log told about seats that matter: those of
// people with a live case or one that ended after since, and those first seen
// after newSince. Others are left out. A second call changes nothing.
func (s *Store) SeatEvents(ctx context.Context, w offboard.Sweep, events []offboard.SeatEvent, since, newSince time.Time) error {
	return s.sweeping(ctx, w, func(t *tx) error {
		watched := map[string]bool{}
		for _, e := range events {
			key := offboard.Fold(e.Address)
			if _, asked := watched[key]; !asked {
				n, err := t.Watched(ctx, db.WatchedParams{
					AddressKey: key, Since: millis(since), Organization: w.Organization, NewSince: millis(newSince),
				})
				if err != nil {
					return fmt.Errorf("look who is watched: %w", err)
				}
				watched[key] = n > 0
			}
			if !watched[key] {
				continue
			}
			err := t.InsertSeatEvent(ctx, db.InsertSeatEventParams{
				Organization: w.Organization, AddressKey: key, At: millis(e.At), Action: e.Action, Actor: e.Actor,
			})
			if err != nil {
				return fmt.Errorf("record an audit entry: %w", err)
			}
		}
		return nil
	})
}

// Seats lists the seats of an organization that the last sweeps saw, by
// address. It is as fresh as Sweep.Trusted tells.
func (s *Store) Seats(ctx context.Context, q offboard.SeatQuery) ([]offboard.Seat, error) {
	rows, err := s.queries().SeatsAfter(ctx, db.SeatsAfterParams{
		Organization: q.Organization, After: q.After, Most: most(q.Most),
	})
	if err != nil {
		return nil, fmt.Errorf("list seats: %w", err)
	}
	return seatsOf(rows), nil
}

// Seat returns one seat, also one that is gone, and its groups. ErrNotFound: no
// sweep ever saw it.
func (s *Store) Seat(ctx context.Context, organization, address string) (offboard.Seat, []offboard.SeatGroup, error) {
	q, key := s.queries(), offboard.Fold(address)
	row, err := q.SeatOf(ctx, db.SeatOfParams{Organization: organization, AddressKey: key})
	if err != nil {
		return offboard.Seat{}, nil, fmt.Errorf("read a seat: %w", missing(err))
	}
	groups, err := q.GroupsOfSeat(ctx, db.GroupsOfSeatParams{Organization: organization, AddressKey: key})
	if err != nil {
		return offboard.Seat{}, nil, fmt.Errorf("read the groups of a seat: %w", err)
	}
	var out []offboard.SeatGroup
	for _, g := range groups {
		out = append(out, offboard.SeatGroup{Address: row.Address, ID: g.GroupID, Name: g.GroupName})
	}
	return seatOf(row), out, nil
}

// Missing lists seats that a sweep did not see and no case explains: those
// whose absence would open or resolve a finding (suspects), or all.
func (s *Store) Missing(ctx context.Context, w offboard.Sweep, suspects bool, n int) ([]offboard.Seat, error) {
	var rows []db.Member
	var err error
	if suspects {
		rows, err = s.queries().MissingSuspects(ctx, db.MissingSuspectsParams{Organization: w.Organization, Sweep: w.Number, Most: most(n)})
	} else {
		rows, err = s.queries().MissingSeats(ctx, db.MissingSeatsParams{Organization: w.Organization, Sweep: w.Number, Most: most(n)})
	}
	if err != nil {
		return nil, fmt.Errorf("list missing seats: %w", err)
	}
	return seatsOf(rows), nil
}

// WatchedUnseen lists addresses whose removal a case proved after since, and
// that a sweep did not see.
func (s *Store) WatchedUnseen(ctx context.Context, w offboard.Sweep, since time.Time, n int) ([]string, error) {
	all, err := s.queries().WatchedUnseen(ctx, db.WatchedUnseenParams{
		Since: millis(since), Organization: w.Organization, Sweep: w.Number, Most: most(n),
	})
	if err != nil {
		return nil, fmt.Errorf("list watched addresses: %w", err)
	}
	return all, nil
}

func seatsOf(rows []db.Member) []offboard.Seat {
	out := make([]offboard.Seat, 0, len(rows))
	for _, r := range rows {
		out = append(out, seatOf(r))
	}
	return out
}

func seatOf(r db.Member) offboard.Seat {
	return offboard.Seat{
		Organization: r.Organization, Address: r.Address, Name: r.Name, Role: r.Role, Pending: r.Pending,
		FirstSeen: moment(r.FirstSeen), LastSeen: moment(r.LastSeen), Gone: moment(r.GoneAt),
	}
}

// Seen lists a page of the seats that a sweep saw, by address.
func (s *Store) Seen(ctx context.Context, w offboard.Sweep, after string, n int) ([]offboard.Seat, error) {
	rows, err := s.queries().SeatsSwept(ctx, db.SeatsSweptParams{Organization: w.Organization, Sweep: w.Number, After: after, Most: most(n)})
	if err != nil {
		return nil, fmt.Errorf("list seats: %w", err)
	}
	return seatsOf(rows), nil
}
