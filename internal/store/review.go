package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// StartReview begins an access review.
// *offboard.RefusedError: one is live.
func (s *Store) StartReview(ctx context.Context, by string, due time.Duration) (out offboard.Review, err error) {
	id := newID()
	err = s.transact(ctx, func(t *tx) error {
		live, err := t.LiveReview(ctx)
		switch {
		case err == nil && live.ID != id:
			return &offboard.RefusedError{Because: "a review is live already, begun " +
				moment(live.StartedAt).Format(time.DateOnly) + "; see it with: offramp review show, and end it with: offramp review close"}
		case err == nil: // the first attempt did commit
			out = reviewOf(live)
			return nil
		case !errors.Is(missing(err), ErrNotFound):
			return fmt.Errorf("read the live review: %w", err)
		}
		out = offboard.Review{ID: id, State: offboard.ReviewReading, By: by, Started: t.now, Due: t.now.Add(due)}
		if err := t.InsertReview(ctx, db.InsertReviewParams{
			ID: id, State: string(out.State), ByWhom: by, StartedAt: millis(out.Started), DueAt: millis(out.Due),
		}); err != nil {
			return fmt.Errorf("insert review: %w", err)
		}
		return nil
	})
	return out, err
}

// Reviews lists the latest reviews, newest first.
func (s *Store) Reviews(ctx context.Context, most int) ([]offboard.Review, error) {
	rows, err := s.queries().Reviews(ctx, int32(min(most, 1000))) //nolint:gosec // bounded
	if err != nil {
		return nil, fmt.Errorf("read reviews: %w", err)
	}
	out := make([]offboard.Review, 0, len(rows))
	for _, r := range rows {
		out = append(out, reviewOf(r))
	}
	return out, nil
}

// Review reads one review with its items, by organization and address.
func (s *Store) Review(ctx context.Context, id string) (offboard.Review, []offboard.ReviewItem, error) {
	q := s.queries()
	row, err := q.ReviewByID(ctx, id)
	if err != nil {
		return offboard.Review{}, nil, fmt.Errorf("read review: %w", missing(err))
	}
	rows, err := q.ReviewItems(ctx, id)
	if err != nil {
		return offboard.Review{}, nil, fmt.Errorf("read review items: %w", err)
	}
	words, err := q.ReviewWords(ctx, id)
	if err != nil {
		return offboard.Review{}, nil, fmt.Errorf("read what was said in the review: %w", err)
	}
	cases, err := q.ReviewCases(ctx, id)
	if err != nil {
		return offboard.Review{}, nil, fmt.Errorf("read the cases of the review: %w", err)
	}
	items, err := reviewItems(rows, words, cases)
	return reviewOf(row), items, err
}

// ReviewProgress counts the seats of a review by what was decided and what
// became of it, without reading them.
func (s *Store) ReviewProgress(ctx context.Context, id string) (offboard.Progress, error) {
	rows, err := s.queries().CountReviewItems(ctx, id)
	if err != nil {
		return offboard.Progress{}, fmt.Errorf("count review items: %w", err)
	}
	all := make([]offboard.Counted, 0, len(rows))
	for _, r := range rows {
		all = append(all, offboard.Counted{
			Decision: offboard.ReviewDecision(r.Decision), Striking: r.Striking != 0, Uncarried: r.Uncarried != 0, Live: r.Live != 0, Number: int(r.Number),
		})
	}
	return offboard.ProgressOf(all), nil
}

// Unsettled lists the decisions of a review that take something away and have no
// case, or one that is cancelled. What else was said is left out.
func (s *Store) Unsettled(ctx context.Context, id string) ([]offboard.ReviewItem, error) {
	rows, err := s.queries().UnsettledItems(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read review items: %w", err)
	}
	items, err := reviewItems(rows, nil, nil)
	for i := range items {
		if items[i].Case != "" {
			items[i].CaseOutcome = offboard.OutcomeCancelled
		}
	}
	return items, err
}

// ChangeReview lets a rule change a review and some of its items in one
// transaction. The items of one address are read first; an empty address reads
// none. The rule may run more than once; its error changes nothing.
func (s *Store) ChangeReview(
	ctx context.Context, id, address string,
	rule func(offboard.Review, []offboard.ReviewItem) (offboard.Review, []offboard.ReviewItem, error),
) error {
	return s.transact(ctx, func(t *tx) error {
		review, items, err := t.lockReview(ctx, id, address)
		if err != nil {
			return err
		}
		if review, items, err = rule(review, items); err != nil {
			return err
		}
		if err := t.SaveReview(ctx, db.SaveReviewParams{
			ID: id, State: string(review.State), Note: review.Note, ReadAt: millis(review.Read), ComparedAt: millis(review.Compared),
			ClosedAt: millis(review.Closed), ClosedBy: review.ClosedBy, Trouble: review.Trouble, TroubleAt: millis(review.Troubled),
		}); err != nil {
			return fmt.Errorf("save review: %w", err)
		}
		for _, i := range items {
			if err := t.putReviewItem(ctx, id, i); err != nil {
				return err
			}
		}
		return nil
	})
}

// CarryOut lets a rule open or change a person's case for what a review decided
// about seats of an address. The rule sees both as they are, and returns the seats
// that the person's live case carries out; with none, nothing should follow. All
// of it is one transaction: no case opens for a decision that is not there any
// more, and no decision changes while its case opens.
func (s *Store) CarryOut(
	ctx context.Context, id, address, personID string,
	rule func(offboard.Review, []offboard.ReviewItem, offboard.Person, offboard.PriorCase) ([]offboard.ReviewItem, *offboard.Decision, offboard.Verdict, error),
) error {
	return s.transact(ctx, func(t *tx) error {
		review, items, err := t.lockReview(ctx, id, address)
		if err != nil {
			return err
		}
		var carried []offboard.ReviewItem
		caseID, err := t.propose(ctx, "", personID, func(p offboard.Person, prior offboard.PriorCase) (d *offboard.Decision, v offboard.Verdict, err error) {
			carried, d, v, err = rule(review, items, p, prior)
			return d, v, err
		})
		if err != nil {
			return err
		}
		for _, i := range carried {
			i.Case, i.Note = caseID, ""
			if err := t.putReviewItem(ctx, id, i); err != nil {
				return err
			}
		}
		return nil
	})
}

// lockReview reads a review and the seats of an address, none for an empty one,
// and keeps other writers of the review away.
func (t *tx) lockReview(ctx context.Context, id, address string) (offboard.Review, []offboard.ReviewItem, error) {
	row, err := t.LockReview(ctx, id)
	if err != nil {
		return offboard.Review{}, nil, fmt.Errorf("lock review: %w", missing(err))
	}
	if address == "" {
		return reviewOf(row), nil, nil
	}
	key := offboard.Fold(address)
	rows, err := t.ReviewItemsOf(ctx, db.ReviewItemsOfParams{ReviewID: id, AddressKey: key})
	if err != nil {
		return offboard.Review{}, nil, fmt.Errorf("read review items: %w", err)
	}
	words, err := t.ReviewWordsOf(ctx, db.ReviewWordsOfParams{ReviewID: id, AddressKey: key})
	if err != nil {
		return offboard.Review{}, nil, fmt.Errorf("read what was said in the review: %w", err)
	}
	cases, err := t.ReviewCasesOf(ctx, db.ReviewCasesOfParams{ReviewID: id, AddressKey: key})
	if err != nil {
		return offboard.Review{}, nil, fmt.Errorf("read the cases of a seat: %w", err)
	}
	items, err := reviewItems(rows, words, cases)
	return reviewOf(row), items, err
}

// CompareReview records how some seats are after the decisions; those who
// joined meanwhile are added, those without After left alone. What was decided
// is not touched. A review that is not being compared is not changed.
func (s *Store) CompareReview(ctx context.Context, id string, items []offboard.ReviewItem) (comparing bool, err error) {
	err = s.transact(ctx, func(t *tx) error {
		row, err := t.LockReview(ctx, id)
		if err != nil {
			return fmt.Errorf("lock review: %w", missing(err))
		}
		if comparing = row.State == string(offboard.ReviewComparing); !comparing {
			return nil
		}
		for _, i := range items {
			if i.Joined {
				if err := t.putReviewItem(ctx, id, i); err != nil {
					return err
				}
				continue
			}
			if i.After == nil {
				continue
			}
			after, err := json.Marshal(i.After)
			if err != nil {
				return fmt.Errorf("encode a seat: %w", err)
			}
			if err := t.CompareReviewItem(ctx, db.CompareReviewItemParams{
				ReviewID: id, Organization: i.Organization, AddressKey: offboard.Fold(i.Address), After: string(after),
			}); err != nil {
				return fmt.Errorf("save a compared seat: %w", err)
			}
		}
		return nil
	})
	return comparing, err
}

func (t *tx) putReviewItem(ctx context.Context, review string, i offboard.ReviewItem) error {
	seat, err := json.Marshal(i.Seat)
	if err != nil {
		return fmt.Errorf("encode a seat: %w", err)
	}
	reasons, err := json.Marshal(append([]string{}, i.Reasons...))
	if err != nil {
		return fmt.Errorf("encode reasons: %w", err)
	}
	var after []byte
	if i.After != nil {
		if after, err = json.Marshal(i.After); err != nil {
			return fmt.Errorf("encode a seat: %w", err)
		}
	}
	joined := int64(0)
	if i.Joined {
		joined = 1
	}
	if err := t.PutReviewItem(ctx, db.PutReviewItemParams{
		ReviewID: review, Organization: i.Organization, AddressKey: offboard.Fold(i.Address), Address: i.Address, Name: i.Name,
		PersonID: i.Person, Connection: i.Connection, Seat: string(seat), Reasons: string(reasons), Decision: string(i.Decision),
		ByWhom: i.By, Because: i.Because, DecidedAt: millis(i.Decided), CaseID: i.Case, After: string(after), Joined: joined, Note: i.Note,
	}); err != nil {
		return fmt.Errorf("save review item: %w", err)
	}
	for n, w := range i.Words {
		if err := t.PutReviewWord(ctx, db.PutReviewWordParams{
			ReviewID: review, Organization: i.Organization, AddressKey: offboard.Fold(i.Address), Number: int64(n),
			Decision: string(w.Decision), ByWhom: w.By, Because: w.Because, SaidAt: millis(w.At),
		}); err != nil {
			return fmt.Errorf("save what was said about a seat: %w", err)
		}
	}
	return nil
}

func reviewOf(r db.Review) offboard.Review {
	return offboard.Review{
		ID: r.ID, State: offboard.ReviewState(r.State), By: r.ByWhom, Note: r.Note, Started: moment(r.StartedAt), Read: moment(r.ReadAt),
		Due: moment(r.DueAt), Compared: moment(r.ComparedAt), Closed: moment(r.ClosedAt), ClosedBy: r.ClosedBy,
		Trouble: r.Trouble, Troubled: moment(r.TroubleAt),
	}
}

// reviewItems puts seats together with what was said about them and how their
// cases ended.
func reviewItems(rows []db.ReviewItem, words []db.ReviewWord, cases []db.Case) ([]offboard.ReviewItem, error) {
	type seat struct{ organization, addressKey string }
	said := map[seat][]offboard.ReviewWord{}
	for _, w := range words {
		key := seat{w.Organization, w.AddressKey}
		said[key] = append(said[key], offboard.ReviewWord{Decision: offboard.ReviewDecision(w.Decision), By: w.ByWhom, Because: w.Because, At: moment(w.SaidAt)})
	}
	outcome := map[string]offboard.Outcome{}
	for _, c := range cases {
		outcome[c.ID] = offboard.Outcome(c.Outcome)
		if c.ClosedAt == 0 && offboard.Ending(c.Ending) == offboard.EndCancel {
			outcome[c.ID] = offboard.OutcomeCancelled
		}
	}
	items := make([]offboard.ReviewItem, 0, len(rows))
	for _, r := range rows {
		i, err := reviewItemOf(r)
		if err != nil {
			return nil, err
		}
		i.CaseOutcome, i.Words = outcome[i.Case], said[seat{r.Organization, r.AddressKey}]
		items = append(items, i)
	}
	return items, nil
}

func reviewItemOf(r db.ReviewItem) (offboard.ReviewItem, error) {
	i := offboard.ReviewItem{
		Review: r.ReviewID, Organization: r.Organization, Address: r.Address, Name: r.Name, Person: r.PersonID, Connection: r.Connection,
		Decision: offboard.ReviewDecision(r.Decision), By: r.ByWhom, Because: r.Because, Decided: moment(r.DecidedAt), Case: r.CaseID,
		Joined: r.Joined != 0, Note: r.Note,
	}
	if err := json.Unmarshal([]byte(r.Seat), &i.Seat); err != nil {
		return i, fmt.Errorf("read a reviewed seat: %w", err)
	}
	if err := json.Unmarshal([]byte(r.Reasons), &i.Reasons); err != nil {
		return i, fmt.Errorf("read the reasons of a review item: %w", err)
	}
	if r.After != "" {
		i.After = &offboard.ReviewedSeat{}
		if err := json.Unmarshal([]byte(r.After), i.After); err != nil {
			return i, fmt.Errorf("read a compared seat: %w", err)
		}
	}
	return i, nil
}
