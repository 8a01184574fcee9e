package review

import (
	"context"

	"offramp/internal/offboard"
)

// Decide records a reviewer's word about every seat of some addresses, in all
// organizations, and carries it out. What became of each address is in the
// answer; those after one that is refused are decided all the same.
// *offboard.RefusedError: the word cannot be said about anybody.
func (v *Reviews) Decide(ctx context.Context, id string, addresses []string, w offboard.ReviewWord) ([]offboard.ReviewDecided, error) {
	if w.Decision == offboard.ReviewDowngrade && v.opts.Downgrade == "" {
		return nil, &offboard.RefusedError{Because: "nothing says how to downgrade: name a policy of plan mover under review.downgrade"}
	}
	var out []offboard.ReviewDecided
	var decided []string
	seen := map[string]bool{}
	for _, address := range addresses {
		if seen[offboard.Fold(address)] {
			continue
		}
		seen[offboard.Fold(address)] = true
		one, err := v.decide(ctx, id, address, w)
		if err != nil {
			return nil, err
		}
		if one.Refused == "" {
			decided = append(decided, address)
		}
		out = append(out, one)
	}
	if len(decided) == 0 || w.Decision == offboard.ReviewKeep {
		return out, nil
	}
	waits, err := v.settle(ctx, id, decided...)
	for i := range out {
		out[i].Waits = waits[offboard.Fold(out[i].Address)]
	}
	return out, err
}

func (v *Reviews) decide(ctx context.Context, id, address string, w offboard.ReviewWord) (out offboard.ReviewDecided, err error) {
	holders, err := v.opts.Store.Holders(ctx, address)
	if err != nil {
		return out, err
	}
	err = v.opts.Store.ChangeReview(ctx, id, address, func(r offboard.Review, seats []offboard.ReviewItem) (offboard.Review, []offboard.ReviewItem, error) {
		out = offboard.ReviewDecided{Address: address}
		if err := offboard.Decidable(r, w); err != nil {
			return r, nil, err
		}
		if len(seats) == 0 {
			out.Refused = "the review has no seat with this address"
			return r, nil, nil
		}
		for i, s := range seats {
			var err error
			if seats[i], err = offboard.DecideItem(s, w, holders, v.now()); err != nil {
				out.Refused = err.Error()
				return r, nil, nil
			}
		}
		out.Seats = len(seats)
		return r, seats, nil
	})
	return out, err
}

// KeepUnremarkable decides keep for every undecided seat without a reason to
// look, but for the reviewer's own, and tells how many there were.
func (v *Reviews) KeepUnremarkable(ctx context.Context, id, by, because string) (n int, err error) {
	_, items, err := v.opts.Store.Review(ctx, id)
	if err != nil {
		return 0, err
	}
	w := offboard.ReviewWord{Decision: offboard.ReviewKeep, By: by, Because: because}
	seen := map[string]bool{}
	for _, i := range items {
		key := offboard.Fold(i.Address)
		if seen[key] || !i.Unremarkable(by, nil) {
			continue
		}
		seen[key] = true
		kept, err := v.keepUnremarkable(ctx, id, i.Address, w)
		if n += kept; err != nil {
			return n, err
		}
	}
	return n, nil
}

// keepUnremarkable looks at the seats of one address as they are by now: another
// reviewer may have decided about them.
func (v *Reviews) keepUnremarkable(ctx context.Context, id, address string, w offboard.ReviewWord) (n int, err error) {
	holders, err := v.opts.Store.Holders(ctx, address)
	if err != nil {
		return 0, err
	}
	err = v.opts.Store.ChangeReview(ctx, id, address, func(r offboard.Review, seats []offboard.ReviewItem) (offboard.Review, []offboard.ReviewItem, error) {
		if err := offboard.Decidable(r, w); err != nil {
			return r, nil, err
		}
		var kept []offboard.ReviewItem
		for _, s := range seats {
			if !s.Unremarkable(w.By, holders) {
				continue
			}
			s, err := offboard.DecideItem(s, w, holders, v.now())
			if err != nil {
				return r, nil, err
			}
			kept = append(kept, s)
		}
		n = len(kept)
		return r, kept, nil
	})
	return n, err
}
