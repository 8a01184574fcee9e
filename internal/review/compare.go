package review

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"offramp/internal/offboard"
)

// compare reads everything again, writes down what each decision came to, tells
// of it, and closes the review.
func (v *Reviews) compare(ctx context.Context, r offboard.Review) error {
	_, items, err := v.opts.Store.Review(ctx, r.ID)
	if err != nil {
		return err
	}
	was := map[string]int{}
	for i, item := range items {
		was[item.Organization+" "+offboard.Fold(item.Address)] = i
		items[i].After = nil
	}
	var unseen []string
	for _, org := range v.opts.Organizations {
		seats, blind, err := v.seats(ctx, org)
		if err != nil {
			return fmt.Errorf("read the members of %s again: %w", org.Name, err)
		}
		unseen = append(unseen, blind...)
		for i := range items {
			if items[i].Organization == org.Name {
				items[i].After = &offboard.ReviewedSeat{}
			}
		}
		for _, s := range seats {
			if i, known := was[s.Organization+" "+offboard.Fold(s.Address)]; known {
				items[i].After = &s.Seat
				continue
			}
			if err := v.acquaint(ctx, &s); err != nil {
				return err
			}
			s.Joined = true
			items = append(items, s)
		}
		if err := v.gone(ctx, r, org, items, seats); err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(items, 200) {
		if live, err := v.opts.Store.CompareReview(ctx, r.ID, batch); err != nil || !live {
			return err // somebody else compared it meanwhile
		}
	}
	r.Compared = v.now()
	if err := v.tell(ctx, r, items); err != nil {
		return err
	}
	return v.opts.Store.ChangeReview(ctx, r.ID, "", func(is offboard.Review, _ []offboard.ReviewItem) (offboard.Review, []offboard.ReviewItem, error) {
		if is.State == offboard.ReviewComparing {
			is.State, is.Compared, is.Closed = offboard.ReviewClosed, v.now(), v.now()
			is.Trouble, is.Troubled = "", time.Time{}
			if again := strings.Join(unseen, "; "); again != is.Note {
				is.Note = strings.TrimPrefix(is.Note+"; at the second reading: "+again, "; ")
			}
		}
		return is, nil, nil
	})
}

// gone makes sure of each seat that the list does not hold any more: either a
// case of ours proved its removal, or it is asked for directly. It notes which
// case removed it.
func (v *Reviews) gone(ctx context.Context, r offboard.Review, org Organization, items, listed []offboard.ReviewItem) error {
	var missing []string
	for _, i := range items {
		if i.Organization != org.Name || i.After == nil || i.After.There {
			continue
		}
		cases, err := v.opts.Store.Cases(ctx, offboard.CaseFilter{Address: i.Address})
		if err != nil {
			return err
		}
		cases = slices.DeleteFunc(cases, func(c offboard.Case) bool {
			reach := v.opts.Reach(c.Connection)
			return len(reach) > 0 && !slices.Contains(reach, org.Name)
		})
		at := slices.IndexFunc(cases, func(c offboard.Case) bool { return c.ProvedGone() && !c.Verified.Before(r.Started) })
		proved := at >= 0
		if !proved { // one that is still looking whether the removal holds
			at = slices.IndexFunc(cases, func(c offboard.Case) bool {
				return c.State.Live() && !c.Removed.IsZero() && !c.Removed.Before(r.Started)
			})
		}
		if at >= 0 {
			i.After.GoneBy = cases[at].ID
		}
		if !proved {
			missing = append(missing, i.Address)
		}
	}
	return v.absent(ctx, org, missing, listed)
}

// manyTold is how many seats a message names.
const manyTold = 30

// tell announces what a review came to: what did not come true first.
func (v *Reviews) tell(ctx context.Context, r offboard.Review, items []offboard.ReviewItem) error {
	undecided, bad, text := 0, 0, ""
	for _, i := range items {
		if i.Decision == offboard.Undecided && !i.Joined {
			undecided++
		}
		if !i.Broken() {
			continue
		}
		if bad++; bad <= manyTold {
			text += "\n" + i.Address + " in " + i.Organization + ": " + i.Result()
		}
	}
	if bad > manyTold {
		text += fmt.Sprintf("\nand %d more", bad-manyTold)
	}
	subject := "The access review is closed"
	if bad > 0 {
		subject += fmt.Sprintf(": %d decisions did not come true", bad)
	}
	body := fmt.Sprintf("Access review of %s. %s.", day(r.Started), strings.Join(differences(items), ", "))
	if undecided > 0 {
		body += fmt.Sprintf(" Nobody decided about %d seats.", undecided)
	}
	if next := v.Next(r); !next.IsZero() {
		body += " The next review begins on " + day(next) + "."
	}
	return v.opts.Announce(ctx, "review/"+r.ID+"/closed", subject, body+" See: offramp review show --review "+r.ID+text)
}
