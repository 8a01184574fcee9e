package review

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// read puts every member under review, then opens it. What is written already
// stays when it has to begin again.
func (v *Reviews) read(ctx context.Context, r offboard.Review) error {
	var unseen []string
	for _, org := range v.opts.Organizations {
		seats, blind, err := v.seats(ctx, org)
		if err == nil {
			err = v.whole(ctx, org, seats)
		}
		if err != nil {
			return fmt.Errorf("read the members of %s: %w", org.Name, err)
		}
		unseen = append(unseen, blind...)
		for batch := range slices.Chunk(seats, 200) {
			for i := range batch {
				if err := v.acquaint(ctx, &batch[i]); err != nil {
					return err
				}
			}
			err := v.opts.Store.ChangeReview(ctx, r.ID, "", func(is offboard.Review, _ []offboard.ReviewItem) (offboard.Review, []offboard.ReviewItem, error) {
				if is.State != offboard.ReviewReading {
					return is, nil, nil
				}
				return is, batch, nil
			})
			if err != nil {
				return err
			}
		}
	}
	return v.opts.Store.ChangeReview(ctx, r.ID, "", func(is offboard.Review, _ []offboard.ReviewItem) (offboard.Review, []offboard.ReviewItem, error) {
		if is.State == offboard.ReviewReading {
			is.State, is.Read, is.Note = offboard.ReviewOpen, v.now(), strings.Join(unseen, "; ")
			is.Trouble, is.Troubled = "", time.Time{}
		}
		return is, nil, nil
	})
}

// whole asks directly for some of those whom the last comparison saw and the
// list does not hold. Without a comparison there is nobody to ask for.
func (v *Reviews) whole(ctx context.Context, org Organization, items []offboard.ReviewItem) error {
	listed := make(map[string]bool, len(items))
	for _, i := range items {
		listed[offboard.Fold(i.Address)] = true
	}
	var missing []string
	err := v.compared(ctx, org, func(s offboard.Seat) {
		if !listed[offboard.Fold(s.Address)] {
			missing = append(missing, s.Address)
		}
	})
	if err != nil {
		return err
	}
	return v.absent(ctx, org, some(missing, probes), items)
}

// compared goes through the seats that the last comparison knows.
func (v *Reviews) compared(ctx context.Context, org Organization, see func(offboard.Seat)) error {
	for after := ""; ; {
		seats, err := v.opts.Store.Seats(ctx, offboard.SeatQuery{Organization: org.Name, After: after, Most: 1000})
		if err != nil {
			return err
		}
		for _, s := range seats {
			if after = offboard.Fold(s.Address); s.Gone.IsZero() {
				see(s)
			}
		}
		if len(seats) < 1000 {
			return nil
		}
	}
}

// newcomers tells since when a seat is known that was made after the organization
// was compared for the first time; zero: how old it is nobody knows.
func (v *Reviews) newcomers(ctx context.Context, org Organization) (func(address string) time.Time, error) {
	var first time.Time
	since := map[string]time.Time{}
	err := v.compared(ctx, org, func(s offboard.Seat) {
		if since[offboard.Fold(s.Address)] = s.FirstSeen; first.IsZero() || s.FirstSeen.Before(first) {
			first = s.FirstSeen
		}
	})
	return func(address string) time.Time {
		const reading = 24 * time.Hour // longer than the first comparison takes
		at, known := since[offboard.Fold(address)]
		switch {
		case len(since) == 0, known && !at.After(first.Add(reading)):
			return time.Time{}
		case !known: // made since the last one
			return v.now()
		}
		return at
	}, err
}

// seats reads every member of an organization with what they may do. unseen
// tells in words what could not be read. The list is complete, or it is an error.
func (v *Reviews) seats(ctx context.Context, org Organization) (out []offboard.ReviewItem, unseen []string, err error) {
	client := org.Client.WithShare(amplitude.ShareOther)
	census := client.Census()
	at := map[string]int{}
	for done := false; !done; {
		var page []amplitude.Member
		err := v.patiently(ctx, func() (err error) { page, done, err = census.Next(ctx); return err })
		if err != nil {
			return nil, nil, err
		}
		for _, m := range page {
			at[offboard.Fold(m.Email)] = len(out)
			out = append(out, offboard.ReviewItem{
				Organization: org.Name, Address: m.Email, Name: strings.TrimSpace(m.GivenName + " " + m.FamilyName),
				Seat: offboard.ReviewedSeat{There: true, Pending: m.Pending()},
			})
		}
	}
	if len(out) == 0 {
		return nil, nil, errors.New("the list of members is empty, which cannot be; nothing is taken from it")
	}
	var groups []amplitude.Group
	err = v.patiently(ctx, func() (err error) { groups, err = client.Groups(ctx); return err })
	if err != nil {
		return nil, nil, err
	}
	in := make(map[string][]int, len(groups)) // who is in a group, by its id
	for _, g := range groups {
		in[g.ID] = nil
		for _, m := range g.Members {
			if i, ok := at[offboard.Fold(m.Email)]; ok {
				out[i].Seat.Groups = append(out[i].Seat.Groups, g.Name)
				in[g.ID] = append(in[g.ID], i)
			}
		}
	}
	for i := range out {
		slices.Sort(out[i].Seat.Groups)
	}
	if unseen, err = v.roles(ctx, org, out, in, at); err != nil {
		return nil, nil, err
	}
	lacks, err := v.lastUse(ctx, org, out)
	if lacks != "" {
		unseen = append(unseen, org.Name+": "+lacks)
	}
	return out, unseen, err
}

// lastUse fills in when members last logged in, or why that is not known. lacks
// tells what is known of nobody.
func (v *Reviews) lastUse(ctx context.Context, org Organization, seats []offboard.ReviewItem) (lacks string, err error) {
	if v.opts.Logins == nil {
		for i := range seats {
			seats[i].Seat.LastSeen = "not known"
		}
		return "", nil
	}
	since, err := v.newcomers(ctx, org)
	if err != nil {
		return "", err
	}
	for i := range seats {
		s := &seats[i].Seat
		l, err := v.opts.Logins(ctx, org.Name, seats[i].Address)
		if err != nil {
			return "", err
		}
		s.LastSeen, s.Inactive = l.LastUse(v.opts.Inactive, v.now())
		if came := since(seats[i].Address); s.Inactive && !came.IsZero() && v.now().Sub(came) < v.opts.Inactive {
			s.LastSeen, s.Inactive = s.LastSeen+", a member since about "+came.UTC().Format(time.DateOnly), false
		}
		lacks = l.Log.Lacks(v.now())
	}
	return lacks, nil
}

// acquaint finds out who a seat's holder is, and why to look closely.
func (v *Reviews) acquaint(ctx context.Context, item *offboard.ReviewItem) error {
	people, err := v.opts.Store.Holders(ctx, item.Address)
	if err != nil {
		return err
	}
	entitled, guest := false, len(v.opts.Connections) > 0
	for _, c := range v.opts.Connections {
		guest = guest && !v.opts.Reachable(c, item.Address)
	}
	for _, p := range people {
		reach := v.opts.Reach(p.Connection)
		if !p.Deleted.IsZero() || len(reach) > 0 && !slices.Contains(reach, item.Organization) {
			continue
		}
		is := offboard.Entitled(p, v.opts.Access, v.now())
		if item.Person == "" || is && !entitled {
			item.Person, item.Connection = p.ID, p.Connection
		}
		entitled = entitled || is
	}
	item.Reasons = offboard.ReasonsToLook(item.Seat, item.Person != "", entitled, guest)
	return nil
}
