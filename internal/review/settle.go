package review

import (
	"context"
	"errors"
	"slices"

	"offramp/internal/offboard"
)

// Settle opens the cases of a review's decisions that have none yet: those about
// one address, or with an empty one all. It may be called again at any time: a
// person has one live case, whoever asks for it.
func (v *Reviews) Settle(ctx context.Context, id, address string) error {
	items, err := v.opts.Store.Uncarried(ctx, id)
	if err != nil {
		return err
	}
	opened := map[string]string{} // by folded address
	var errs []error
	for _, i := range items {
		key := offboard.Fold(i.Address)
		if _, done := opened[key]; done || address != "" && key != offboard.Fold(address) {
			continue
		}
		caseID, err := v.open(ctx, i)
		if err != nil {
			errs = append(errs, err) // the others are not kept waiting
			continue
		}
		opened[key] = caseID
		errs = append(errs, v.carried(ctx, id, i.Address, caseID))
	}
	return errors.Join(errs...)
}

// carried records which case carries out what was decided about an address.
func (v *Reviews) carried(ctx context.Context, id, address, caseID string) error {
	return v.opts.Store.ChangeReview(ctx, id, address, func(r offboard.Review, items []offboard.ReviewItem) (offboard.Review, []offboard.ReviewItem, error) {
		for i := range items {
			if items[i].Decision == offboard.ReviewRemove || items[i].Decision == offboard.ReviewDowngrade {
				items[i].Case = caseID
			}
		}
		return r, items, nil
	})
}

// open opens the case, or finds the live one that does the same.
func (v *Reviews) open(ctx context.Context, i offboard.ReviewItem) (string, error) {
	person := i.Person
	if person == "" {
		connection, err := v.connectionFor(i)
		if err != nil {
			return "", err
		}
		p, err := v.opts.Store.AdoptPerson(ctx, connection, i.Address)
		if err != nil {
			return "", err
		}
		person = p.ID
	}
	order := offboard.Order{Reason: offboard.AccessReview, By: i.By}
	if i.Decision == offboard.ReviewDowngrade {
		order.Policy, order.Why = v.opts.Downgrade, i.Because
	}
	live := false
	id, err := v.opts.Store.Reconsider(ctx, person, func(p offboard.Person, prior offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error) {
		if live = prior.Live; live {
			return p.Removal, offboard.Verdict{Poke: true, Trace: "the access review decided the same: " + i.Because}, nil
		}
		return offboard.OpenBy(p, prior, order, v.opts.Rules(p.Connection), v.now())
	})
	return id, err
}

// connectionFor picks the connection in whose name a seat is removed that no
// identity provider knows: the first that reaches both its organization and its
// address, else the first that reaches the organization.
func (v *Reviews) connectionFor(i offboard.ReviewItem) (string, error) {
	for _, c := range v.opts.Connections {
		reach := v.opts.Reach(c)
		if (len(reach) == 0 || slices.Contains(reach, i.Organization)) && v.opts.Reachable(c, i.Address) {
			return c, nil
		}
	}
	return "", &offboard.RefusedError{Because: "the address " + i.Address + " is outside every connection's domains: remove the member by hand in " +
		"Amplitude under Settings > Members & Groups, or add the domain to a connection"}
}
