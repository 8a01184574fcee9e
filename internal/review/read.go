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
		}
		return is, nil, nil
	})
}

// compare reads everything again, writes down what each decision came to, and
// closes the review.
func (v *Reviews) compare(ctx context.Context, r offboard.Review) error {
	_, before, err := v.opts.Store.Review(ctx, r.ID)
	if err != nil {
		return err
	}
	was := map[string]int{}
	for i, item := range before {
		was[item.Organization+" "+offboard.Fold(item.Address)] = i
		before[i].After = &offboard.ReviewedSeat{}
	}
	for _, org := range v.opts.Organizations {
		seats, _, err := v.seats(ctx, org)
		if err != nil {
			return fmt.Errorf("read the members of %s again: %w", org.Name, err)
		}
		for _, s := range seats {
			i, known := was[s.Organization+" "+offboard.Fold(s.Address)]
			if !known {
				if err := v.acquaint(ctx, &s); err != nil {
					return err
				}
				s.Joined = true
				before = append(before, s)
				continue
			}
			seat := s.Seat
			before[i].After = &seat
		}
		if err := v.plausible(ctx, org, before); err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(before, 200) {
		if err := v.opts.Store.CompareReview(ctx, r.ID, batch); err != nil {
			return err
		}
	}
	return v.opts.Store.ChangeReview(ctx, r.ID, "", func(is offboard.Review, _ []offboard.ReviewItem) (offboard.Review, []offboard.ReviewItem, error) {
		if is.State == offboard.ReviewComparing {
			is.State, is.Compared, is.Closed = offboard.ReviewClosed, v.now(), v.now()
		}
		return is, nil, nil
	})
}

// probes is how many of those whom a list does not hold are asked for directly.
const probes = 5

// plausible asks directly for some of those who are missing from the list,
// though nobody decided that they go.
func (v *Reviews) plausible(ctx context.Context, org Organization, items []offboard.ReviewItem) error {
	var missing []string
	for _, i := range items {
		if i.Organization == org.Name && i.After != nil && !i.After.There && i.Decision != offboard.ReviewRemove {
			missing = append(missing, i.Address)
		}
	}
	return v.absent(ctx, org, missing)
}

// whole asks directly for some of those whom the last comparison saw and the
// list does not hold. Without a comparison there is nobody to ask for.
func (v *Reviews) whole(ctx context.Context, org Organization, items []offboard.ReviewItem) error {
	listed := make(map[string]bool, len(items))
	for _, i := range items {
		listed[offboard.Fold(i.Address)] = true
	}
	var missing []string
	for after := ""; ; {
		seats, err := v.opts.Store.Seats(ctx, offboard.SeatQuery{Organization: org.Name, After: after, Most: 1000})
		if err != nil {
			return err
		}
		for _, s := range seats {
			if after = offboard.Fold(s.Address); s.Gone.IsZero() && !listed[after] {
				missing = append(missing, s.Address)
			}
		}
		if len(seats) < 1000 {
			return v.absent(ctx, org, missing)
		}
	}
}

// absent asks directly for some of the addresses. One who answers gives the list
// away: nothing is taken from it.
func (v *Reviews) absent(ctx context.Context, org Organization, addresses []string) error {
	client := org.Client.WithShare(amplitude.ShareOther)
	n := min(probes, len(addresses))
	for i := range n {
		err := v.patiently(ctx, func() error {
			_, err := client.Member(ctx, addresses[i*len(addresses)/n])
			return err
		})
		if e, ok := errors.AsType[*amplitude.Error](err); ok && e.NotFound() {
			continue
		}
		if err != nil {
			return err
		}
		return fmt.Errorf("the member list of %s leaves out somebody who is there; nothing is taken from it, and it is read again", org.Name)
	}
	return nil
}

// patiently repeats what the budget refuses, when there is budget again.
func (v *Reviews) patiently(ctx context.Context, do func() error) error {
	for {
		err := do()
		b, ok := errors.AsType[*amplitude.BudgetError](err)
		if !ok {
			return err
		}
		if err := wait(ctx, b.Wait); err != nil {
			return err
		}
	}
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
	for _, g := range groups {
		for _, m := range g.Members {
			if i, ok := at[offboard.Fold(m.Email)]; ok {
				out[i].Seat.Groups = append(out[i].Seat.Groups, g.Name)
			}
		}
	}
	if unseen, err = v.roles(ctx, org, out, at); err != nil {
		return nil, nil, err
	}
	for i := range out {
		if err := v.lastSeen(ctx, org, &out[i]); err != nil {
			return nil, nil, err
		}
		slices.Sort(out[i].Seat.Roles)
		slices.Sort(out[i].Seat.Groups)
	}
	return out, unseen, nil
}

// roles fills in who may do what on each project, where that can be asked.
func (v *Reviews) roles(ctx context.Context, org Organization, seats []offboard.ReviewItem, at map[string]int) (unseen []string, err error) {
	if !org.Roles {
		return []string{org.Name + ": no key and secret of the organization, so roles and admins are not known"}, nil
	}
	for _, p := range org.Projects {
		grants, err := org.Client.ProjectAccess(ctx, p.ID)
		if errors.Is(err, amplitude.ErrNotEnrolled) {
			return append(unseen, org.Name+": not enrolled in the User Management API, so roles and admins are not known"), nil
		}
		if err != nil {
			return nil, err
		}
		var admins []int
		for _, g := range grants {
			i, known := at[offboard.Fold(g.PrincipalID)]
			if g.PrincipalType != "user" || !known {
				continue
			}
			seats[i].Seat.Roles = append(seats[i].Seat.Roles, p.Name+": "+g.RoleName)
			if strings.EqualFold(g.RoleName, "Admin") && !slices.Contains(admins, i) {
				seats[i].Seat.Admin = true
				admins = append(admins, i)
			}
		}
		if len(admins) == 1 {
			seats[admins[0]].Seat.SoleIn = append(seats[admins[0]].Seat.SoleIn, p.Name)
		}
	}
	return unseen, nil
}

// lastSeen fills in when a member last logged in, or why that is not known.
func (v *Reviews) lastSeen(ctx context.Context, org Organization, item *offboard.ReviewItem) error {
	s := &item.Seat
	if v.opts.LastLogin == nil {
		s.LastSeen = "not known"
		return nil
	}
	l, err := v.opts.LastLogin(ctx, org.Name, item.Address)
	if err != nil {
		return err
	}
	now := v.now()
	switch {
	case !l.Last.IsZero():
		s.LastSeen = l.Last.UTC().Format(time.DateOnly)
		s.Inactive = v.opts.Inactive > 0 && now.Sub(l.Last) >= v.opts.Inactive
	case l.Since.IsZero():
		s.LastSeen = "not known: the audit log is not read"
	default:
		days := int(now.Sub(l.Since).Hours() / 24)
		s.LastSeen = fmt.Sprintf("not within %d days", days)
		s.Inactive = v.opts.Inactive > 0 && now.Sub(l.Since) >= v.opts.Inactive-24*time.Hour
	}
	return nil
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

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
