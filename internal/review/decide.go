package review

import (
	"context"
	"slices"

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

// leaving names the live case that removes an address; empty: none does.
func (v *Reviews) leaving(ctx context.Context, address string) (string, error) {
	cases, err := v.opts.Store.Cases(ctx, offboard.CaseFilter{Address: address})
	if err != nil {
		return "", err
	}
	for _, c := range cases {
		if c.State.Live() && c.Plan != offboard.Mover && c.Ending != offboard.EndCancel {
			return c.ID, nil
		}
	}
	return "", nil
}

func (v *Reviews) decide(ctx context.Context, id, address string, w offboard.ReviewWord) (out offboard.ReviewDecided, err error) {
	leaving, err := v.leaving(ctx, address)
	if err != nil {
		return out, err
	}
	holders, err := v.opts.Store.Holders(ctx, address)
	if err != nil {
		return out, err
	}
	err = v.opts.Store.ChangeReview(ctx, id, address, func(r offboard.Review, seats []offboard.ReviewItem) (offboard.Review, []offboard.ReviewItem, error) {
		out = offboard.ReviewDecided{Address: address}
		if err := offboard.Decidable(r, w); err != nil {
			return r, nil, err
		}
		switch own := slices.ContainsFunc(seats, func(s offboard.ReviewItem) bool { return s.Case == leaving }); {
		case len(seats) == 0:
			out.Refused = "the review has no seat with this address"
			return r, nil, nil
		case w.Decision == offboard.ReviewKeep && leaving != "" && !own:
			out.Refused = "case " + leaving + " removes them, so that there is nothing to keep; cancel the case first where they are to stay"
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
// look, but for the reviewer's own and those of people whom a case removes, and
// tells how many there were.
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
	if by, err := v.leaving(ctx, address); err != nil || by != "" {
		return 0, err
	}
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
