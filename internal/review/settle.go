package review

import (
	"context"
	"errors"
	"slices"

	"offramp/internal/offboard"
)

// settle opens the cases of a review's decisions that have none: those about some
// addresses, or without any all. A decision whose case was cancelled is taken
// back. It may be called again at any time. waits tells by folded address what
// keeps a decision from being carried out; it is noted with the seat too.
func (v *Reviews) settle(ctx context.Context, id string, only ...string) (waits map[string]string, err error) {
	items, err := v.opts.Store.Unsettled(ctx, id)
	if err != nil {
		return nil, err
	}
	asked := make(map[string]bool, len(only))
	for _, address := range only {
		asked[offboard.Fold(address)] = true
	}
	waits = map[string]string{}
	var errs []error
	for _, i := range items {
		key := offboard.Fold(i.Address)
		if len(only) > 0 && !asked[key] {
			continue
		}
		err := v.carryOut(ctx, i)
		if no, ok := errors.AsType[*offboard.RefusedError](err); ok {
			waits[key] = no.Because
			err = v.note(ctx, i, no.Because)
		}
		errs = append(errs, err) // the others are not kept waiting
	}
	return waits, errors.Join(errs...)
}

// carryOut opens the case for a seat and for the others of its address that the
// same case reaches, or finds the live case that does the same.
func (v *Reviews) carryOut(ctx context.Context, i offboard.ReviewItem) error {
	if i.CaseOutcome == offboard.OutcomeCancelled {
		return v.change(ctx, i, func(s offboard.ReviewItem) offboard.ReviewItem { return offboard.TakeBack(s, v.now()) })
	}
	person, connection, err := v.whose(ctx, i)
	if err != nil {
		return err
	}
	reached := func(s offboard.ReviewItem) bool {
		if s.Person != "" || connection == "" {
			return s.Person == person
		}
		c, err := v.connectionFor(s)
		return err == nil && c == connection
	}
	return v.opts.Store.CarryOut(ctx, i.Review, i.Address, person,
		func(r offboard.Review, seats []offboard.ReviewItem, p offboard.Person, prior offboard.PriorCase) ([]offboard.ReviewItem, *offboard.Decision, offboard.Verdict, error) {
			seats = slices.DeleteFunc(seats, func(s offboard.ReviewItem) bool { return s.Decision != i.Decision || !s.TakesAway() || !reached(s) })
			if r.State != offboard.ReviewOpen || len(seats) == 0 { // decided otherwise, or carried out by now
				return nil, p.Removal, offboard.Verdict{}, nil
			}
			d, verdict, err := offboard.CarryOut(p, prior, seats[0], v.opts.Downgrade, v.opts.Rules(p.Connection), v.now())
			return seats, d, verdict, err
		})
}

// note writes down with a seat what keeps its decision from being carried out.
func (v *Reviews) note(ctx context.Context, i offboard.ReviewItem, why string) error {
	if i.Note == why {
		return nil
	}
	return v.change(ctx, i, func(s offboard.ReviewItem) offboard.ReviewItem {
		if s.TakesAway() {
			s.Note = why
		}
		return s
	})
}

// change changes one seat of a review that is open.
func (v *Reviews) change(ctx context.Context, i offboard.ReviewItem, to func(offboard.ReviewItem) offboard.ReviewItem) error {
	return v.opts.Store.ChangeReview(ctx, i.Review, i.Address, func(r offboard.Review, seats []offboard.ReviewItem) (offboard.Review, []offboard.ReviewItem, error) {
		at := slices.IndexFunc(seats, func(s offboard.ReviewItem) bool { return s.Organization == i.Organization })
		if at < 0 || r.State != offboard.ReviewOpen {
			return r, nil, nil
		}
		return r, []offboard.ReviewItem{to(seats[at])}, nil
	})
}

// whose finds the person whose case removes a seat. For one whom no identity
// provider knew it is made; then connection tells in whose name.
func (v *Reviews) whose(ctx context.Context, i offboard.ReviewItem) (person, connection string, err error) {
	if i.Person != "" {
		return i.Person, "", nil
	}
	if connection, err = v.connectionFor(i); err != nil {
		return "", "", err
	}
	p, err := v.opts.Store.AdoptPerson(ctx, connection, i.Address)
	if _, taken := errors.AsType[*offboard.TakenError](err); !taken {
		return p.ID, connection, err
	}
	people, err := v.opts.Store.Holders(ctx, i.Address) // the provider sent somebody since
	for _, p := range people {
		if p.Connection == connection && p.Deleted.IsZero() {
			person = p.ID
		}
	}
	return person, connection, err
}

// connectionFor picks the connection in whose name a seat is removed that no
// identity provider knows: the first that reaches both its organization and its
// address.
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
