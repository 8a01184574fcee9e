package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// What processes share of reading a member list, so that together they send no
// more requests than one of them would.

// Reading tells how it stands with reading an organization's member list.
func (s *Store) Reading(ctx context.Context, organization string) (offboard.Reading, error) {
	row, err := s.queries().ReadingOf(ctx, organization)
	if errors.Is(missing(err), ErrNotFound) {
		return offboard.Reading{Organization: organization, Size: -1, Blocks: 1}, nil
	}
	if err != nil {
		return offboard.Reading{}, fmt.Errorf("read how the reading of a list stands: %w", err)
	}
	return readingOf(row), nil
}

// ChangeReading lets change see it and change it.
func (s *Store) ChangeReading(ctx context.Context, organization string, change func(r *offboard.Reading, now time.Time)) (r offboard.Reading, err error) {
	err = s.transact(ctx, func(t *tx) error {
		if r, err = t.reading(ctx, organization); err != nil {
			return err
		}
		change(&r, t.now)
		return t.saveReading(ctx, r)
	})
	return r, err
}

// AskReading is ChangeReading for a look that may wait for others: answer sees
// how many such there are, this one included, and returns when the look comes
// again; zero: it does not wait. A look that is repeated counts once. Beyond what
// a reading costs they are not counted: it makes no difference to the answer.
func (s *Store) AskReading(ctx context.Context, organization, look string,
	answer func(r *offboard.Reading, asked int, now time.Time) time.Time,
) (r offboard.Reading, err error) {
	err = s.transact(ctx, func(t *tx) error {
		if r, err = t.reading(ctx, organization); err != nil {
			return err
		}
		since, waiting, forget := r.Counted(t.now)
		// Two statements: SQLite walks all looks for one with an or.
		err := t.ForgetReadingLooks(ctx, db.ForgetReadingLooksParams{Organization: organization, Since: forget.UnixMilli()})
		if err != nil {
			return fmt.Errorf("forget looks: %w", err)
		}
		err = t.ForgetReadingLooksAhead(ctx, db.ForgetReadingLooksAheadParams{Organization: organization, Now: t.now.UnixMilli()})
		if err != nil {
			return fmt.Errorf("forget looks: %w", err)
		}
		others, err := t.CountReadingLooks(ctx, db.CountReadingLooksParams{
			Organization: organization, Look: look, Since: since.UnixMilli(), Waiting: waiting.UnixMilli(), Most: int32(r.Cost()),
		})
		if err != nil {
			return fmt.Errorf("count looks: %w", err)
		}
		until := answer(&r, int(others)+1, t.now)
		err = t.SaveReadingLook(ctx, db.SaveReadingLookParams{
			Organization: organization, Look: look, FirstAt: t.now.UnixMilli(), UntilAt: millis(until),
		})
		if err != nil {
			return fmt.Errorf("record a look: %w", err)
		}
		return t.saveReading(ctx, r)
	})
	return r, err
}

// EndReading records the list of a reading that its reader still is at, packed.
// mine is false, and nothing is recorded, where another one has taken over.
func (s *Store) EndReading(ctx context.Context, organization, reader string, number int64, packed []byte,
	change func(r *offboard.Reading),
) (mine bool, err error) {
	err = s.transact(ctx, func(t *tx) error {
		r, err := t.reading(ctx, organization)
		if err != nil {
			return err
		}
		if mine = r.Mine(reader, number); !mine {
			return nil
		}
		r.List, r.ListBegan, r.Reader = r.Number, r.Began, ""
		change(&r)
		err = t.SaveReadingList(ctx, db.SaveReadingListParams{
			Organization: organization, Number: r.List, BeganAt: millis(r.ListBegan), Packed: packed,
		})
		if err != nil {
			return fmt.Errorf("record a member list: %w", err)
		}
		return t.saveReading(ctx, r)
	})
	return mine, err
}

// MemberList returns the newest list that counts, packed. ErrNotFound: there is none.
func (s *Store) MemberList(ctx context.Context, organization string) (number int64, began time.Time, packed []byte, err error) {
	row, err := s.queries().ReadingList(ctx, organization)
	if err != nil {
		return 0, time.Time{}, nil, fmt.Errorf("read a member list: %w", missing(err))
	}
	return row.Number, moment(row.BeganAt), row.Packed, nil
}

// Removed tells which of some addresses a case has been removing since a time.
func (s *Store) Removed(ctx context.Context, addresses []string, since time.Time) (map[string]bool, error) {
	keys := make([]string, 0, len(addresses))
	for _, a := range addresses {
		keys = append(keys, offboard.Fold(a))
	}
	out := map[string]bool{}
	for _, some := range chunks(keys) {
		found, err := texts(ctx, s.read, `select distinct c.address_key from cases c join effect e on e.case_id = c.id
			where e.step = 'remove' and e.intended_at >= $1 and c.address_key in (`+placeholders(2, len(some))+`)`,
			append([]any{millis(since)}, anys(some)...)...)
		if err != nil {
			return nil, fmt.Errorf("look for removals: %w", err)
		}
		for _, key := range found {
			out[key] = true
		}
	}
	return out, nil
}

// LikelySeats lists other seats of an organization that may be the same human's,
// as the last comparison saw them: the same address but for its plus part, or
// the same name.
func (s *Store) LikelySeats(ctx context.Context, organization, address, name string) ([]string, error) {
	found, err := s.queries().LikelySeats(ctx, db.LikelySeatsParams{
		Organization: organization, PlainKey: offboard.Plain(address), NameKey: nameKey(offboard.Seat{Name: name}),
	})
	if err != nil {
		return nil, fmt.Errorf("look for second seats: %w", err)
	}
	out := found[:0]
	for _, key := range found {
		if key != offboard.Fold(address) {
			out = append(out, key)
		}
	}
	return out, nil
}

func (t *tx) reading(ctx context.Context, organization string) (offboard.Reading, error) {
	row, err := t.LockReading(ctx, organization)
	if err != nil {
		return offboard.Reading{}, fmt.Errorf("lock the reading of a list: %w", err)
	}
	return readingOf(row), nil
}

func (t *tx) saveReading(ctx context.Context, r offboard.Reading) error {
	err := t.SaveReading(ctx, db.SaveReadingParams{
		Number: r.Number, BeganAt: millis(r.Began), Reader: r.Reader, MovedAt: millis(r.Moved), Pages: int64(r.Pages),
		RestUntil: millis(r.Rest), Starter: r.Starter, DoubtUntil: millis(r.Doubt), Size: int64(r.Size), Blocks: int64(r.Blocks),
		List: r.List, ListBeganAt: millis(r.ListBegan), Organization: r.Organization,
	})
	if err != nil {
		return fmt.Errorf("record how the reading of a list stands: %w", err)
	}
	return nil
}

func readingOf(r db.Reading) offboard.Reading {
	return offboard.Reading{
		Organization: r.Organization, Number: r.Number, Began: moment(r.BeganAt), Reader: r.Reader, Moved: moment(r.MovedAt),
		Pages: int(r.Pages), Rest: moment(r.RestUntil), Starter: r.Starter, Doubt: moment(r.DoubtUntil), Size: int(r.Size),
		Blocks: int(r.Blocks), List: r.List, ListBegan: moment(r.ListBeganAt),
	}
}
