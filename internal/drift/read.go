package drift

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// tolerable tells whether an error of Amplitude only means that a part of the
// sweep is not known, and notes it.
func (r *run) tolerable(ctx context.Context, what string, err error) error {
	_, api := errors.AsType[*amplitude.Error](err)
	known := api || errors.Is(err, amplitude.ErrNotEnrolled) || errors.Is(err, amplitude.ErrShortList) || errors.Is(err, amplitude.ErrListMoved) ||
		errors.Is(err, amplitude.ErrAuditTruncated) || errors.Is(err, amplitude.ErrRetention) || errors.Is(err, amplitude.ErrNotConfigured)
	if ctx.Err() != nil || !known {
		return err
	}
	r.notes = append(r.notes, what+": "+err.Error())
	return nil
}

// groups reads the permission groups with their members, and decides about those
// who have no seat.
func (r *run) groups(ctx context.Context) (bool, error) {
	census := r.client.GroupCensus()
	for done := false; !done; {
		var page []amplitude.Group
		err := r.patiently(ctx, func(ctx context.Context) (err error) {
			page, done, err = census.Next(ctx)
			return err
		})
		if err != nil {
			return false, r.tolerable(ctx, "groups were not read to their end", err)
		}
		for _, g := range page {
			members := make([]offboard.SeatGroup, 0, len(g.Members))
			for _, m := range g.Members {
				members = append(members, offboard.SeatGroup{Address: m.Email, ID: g.ID, Name: g.Name})
			}
			for some := range slices.Chunk(members, 1000) {
				if err := r.opts.Store.SeeGroups(ctx, r.sweep, some); err != nil {
					return false, err
				}
			}
		}
	}
	if whole, err := r.wholeGroups(ctx); err != nil || !whole {
		return false, err
	}
	if err := r.opts.Store.SawGroups(ctx, r.sweep); err != nil {
		return false, err
	}
	return true, r.ghosts(ctx)
}

// wholeGroups reports whether the list of groups may be all of them: some of those
// that had people in them and have none now are asked about directly.
func (r *run) wholeGroups(ctx context.Context) (bool, error) {
	missing, err := r.opts.Store.UnseenGroups(ctx, r.sweep, sample)
	if err != nil {
		return false, err
	}
	for _, g := range pick(missing, int(r.sweep.Number)) {
		var is amplitude.Group
		err := r.patiently(ctx, func(ctx context.Context) (err error) {
			is, err = r.client.Group(ctx, g.ID)
			return err
		})
		if e, ok := errors.AsType[*amplitude.Error](err); ok && e.NotFound() {
			continue
		}
		if err != nil {
			return false, r.tolerable(ctx, "groups were not compared", err)
		}
		if len(is.Members) > 0 {
			r.notes = append(r.notes, "groups were not compared: the list of them leaves out "+is.Name+", which has people in it")
			return false, nil
		}
	}
	return true, nil
}

// adminsEvery is how often admins are read: no list holds only them, so that it
// takes one request for each 200 people of a project.
const adminsEvery = 24 * time.Hour

// admins reads who is an admin, where admin groups are configured.
func (r *run) admins(ctx context.Context) (bool, error) {
	switch {
	case len(r.opts.AdminGroups) == 0:
		r.notes = append(r.notes, "admins were not looked at: drift.admin_groups names no group")
		return true, nil // what was found while it named one is over
	case !r.org.Roles || len(r.org.Projects) == 0:
		r.notes = append(r.notes, "admins were not looked at: org_id, org_key, org_secret and a project of the organization are needed")
		return false, nil
	}
	now := r.now()
	if at := r.sweep.AdminsAt; !at.IsZero() && !now.Before(at) && now.Sub(at) < adminsEvery {
		return true, nil
	}
	var all []string
	for _, project := range r.org.Projects {
		for cursor, more := "", true; more; more = cursor != "" {
			var some []string
			err := r.patiently(ctx, func(ctx context.Context) (err error) {
				var next string
				if some, next, err = r.client.AdminsPage(ctx, project, cursor); err == nil {
					cursor = next
				}
				return err
			})
			if err != nil {
				return false, r.tolerable(ctx, "admins were not looked at", err)
			}
			all = append(all, some...)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if ok, err := r.whole(ctx, all); err != nil || !ok {
		return false, err
	}
	r.sweep.AdminsAt = now
	return true, r.opts.Store.SawAdmins(ctx, r.sweep, all)
}

// whole reports whether a list of admins may be everybody. There always is one;
// and of members who were admins and are no more, some are asked about directly.
func (r *run) whole(ctx context.Context, admins []string) (bool, error) {
	if len(admins) == 0 {
		r.notes = append(r.notes, "admins were not looked at: the list of them is empty, which cannot be")
		return false, nil
	}
	known, err := r.opts.Store.Admins(ctx, r.sweep, sample)
	if err != nil {
		return false, err
	}
	named := map[string]bool{}
	for _, a := range admins {
		named[offboard.Fold(a)] = true
	}
	lost := slices.DeleteFunc(known, func(a string) bool { return named[offboard.Fold(a)] })
	for _, address := range pick(lost, int(r.sweep.Number)) {
		var grants []amplitude.Grant
		err := r.patiently(ctx, func(ctx context.Context) (err error) {
			grants, err = r.client.Access(ctx, address)
			return err
		})
		if e, ok := errors.AsType[*amplitude.Error](err); ok && e.NotFound() {
			r.notes = append(r.notes, "fewer admins than before are listed, and Amplitude does not answer whether that is true")
			return true, nil
		}
		if err != nil {
			return false, r.tolerable(ctx, "admins were not looked at", err)
		}
		if slices.ContainsFunc(grants, func(g amplitude.Grant) bool {
			return g.PrincipalType == "user" && strings.EqualFold(g.RoleName, offboard.RoleAdmin)
		}) {
			r.notes = append(r.notes, "admins were not looked at: the list of them leaves out one who still is")
			return false, nil
		}
	}
	return true, nil
}

// Of the audit log.
const (
	auditLate   = 24 * time.Hour      // how late an entry may be written; what was read before is read again
	auditFirst  = 24 * time.Hour      // how far the first sweep looks back
	auditOldest = 30 * 24 * time.Hour // how far any does
)

// audit reads what the audit log tells since the last sweep about people who
// are leaving or left, and about new seats.
func (r *run) audit(ctx context.Context) (bool, error) {
	if !r.org.Audit {
		r.notes = append(r.notes, "the audit log was not read: org_id, org_key and org_secret are needed; logins after a removal, "+
			"and who brings somebody back, are not known")
		return false, nil
	}
	now, from := r.now(), r.sweep.AuditUntil.Add(-auditLate)
	newSince := r.sweep.Started
	if r.sweep.AuditUntil.IsZero() || r.sweep.AuditUntil.After(now) {
		from = now.Add(-auditFirst)
	}
	if r.sweep.Trusted.IsZero() {
		newSince = now.Add(time.Hour) // the first sweep sees everybody for the first time
	}
	if oldest := now.Add(-auditOldest); from.Before(oldest) {
		from = oldest
	}
	err := r.patiently(ctx, func(ctx context.Context) error {
		var some []offboard.SeatEvent
		flush := func() error {
			defer func() { some = some[:0] }()
			return r.opts.Store.SeatEvents(ctx, r.sweep, some, now.Add(-offboard.Watch), newSince)
		}
		for e, err := range r.client.AuditLog(ctx, from, now, amplitude.AuditFilter{}) {
			if err != nil {
				return errors.Join(err, flush())
			}
			address := e.Target
			if !strings.Contains(address, "@") {
				address = e.User
			}
			if e.At.IsZero() || !strings.Contains(address, "@") {
				continue
			}
			some = append(some, offboard.SeatEvent{Address: address, At: e.At, Action: e.Feature + "/" + e.Action, Actor: e.User})
			if len(some) == 200 {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		return flush()
	})
	if err != nil {
		return false, r.tolerable(ctx, "the audit log was not read", err)
	}
	r.sweep.AuditUntil = now
	return true, nil
}

// pageSize is how many seats, cases, people or owners are decided about in one
// transaction.
const pageSize = 500

// compare decides about seats and cases.
func (r *run) compare(ctx context.Context) (bool, error) {
	at := r.at()
	for after, more := "", true; more; more = after != "" {
		next, err := r.opts.Store.CompareSeats(ctx, r.sweep, after, pageSize, func(all []offboard.SeatFacts) (out []offboard.Finding) {
			for _, f := range all {
				out = append(out, r.rules.seat(at, f)...)
			}
			return out
		})
		if err != nil {
			return false, err
		}
		after = next
	}
	since := at.now.Add(-offboard.Watch)
	for after, more := "", true; more; more = after != "" {
		next, err := r.opts.Store.CompareCases(ctx, r.sweep, since, after, pageSize, func(all []offboard.CaseFacts) (out []offboard.Finding) {
			for _, f := range all {
				out = append(out, r.rules.leaver(at, f)...)
			}
			return out
		})
		if err != nil {
			return false, err
		}
		after = next
	}
	return true, r.watches(ctx)
}

func (r *run) at() moment { return moment{organization: r.org.Name, now: r.now()} }

// missed names the connections whose people without a seat are looked for here:
// a connection belongs to the first of the organizations that it reaches. Of
// those left out not all organizations have been read.
func (r *run) missed(ctx context.Context) (mine, left []string, err error) {
	read, err := r.known(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range r.rules.names {
		reach := r.rules.reach[c]
		switch {
		case len(reach) == 0 || reach[0] != r.org.Name:
		case slices.ContainsFunc(reach, func(org string) bool { return org != r.org.Name && read[org].Trusted.IsZero() }):
			left = append(left, c)
		default:
			mine = append(mine, c)
		}
	}
	return mine, left, nil
}

// absent decides about entitled people who have no seat in any organization
// that their connection reaches.
func (r *run) absent(ctx context.Context) (bool, error) {
	mine, left, err := r.missed(ctx)
	if err != nil {
		return false, err
	}
	for _, c := range left {
		r.notes = append(r.notes, "who is entitled and has no seat was not looked at for connection "+c+": not all of its organizations have been read")
	}
	at := r.at()
	for _, c := range mine {
		for after, more := "", true; more; more = after != "" {
			next, err := r.opts.Store.CompareAbsent(ctx, r.sweep, c, r.rules.reach[c], after, pageSize, func(all []offboard.PersonFacts) (out []offboard.Finding) {
				for _, f := range all {
					out = append(out, r.rules.absent(at, f)...)
				}
				return out
			})
			if err != nil {
				return false, err
			}
			after = next
		}
	}
	return len(left) == 0, nil
}

// owners decides about owners of content who have no seat.
func (r *run) owners(ctx context.Context) (bool, error) {
	at := r.at()
	for after, more := "", true; more; more = after != "" {
		next, known, err := r.opts.Store.CompareOwners(ctx, r.sweep, after, pageSize, func(all []offboard.OwnerFacts) (out []offboard.Finding) {
			for _, f := range all {
				out = append(out, r.rules.owner(at, f)...)
			}
			return out
		})
		if err != nil {
			return false, err
		}
		if !known {
			r.notes = append(r.notes, "owners were not looked at: no ownership sweep has read this organization yet")
			return false, nil
		}
		after = next
	}
	return true, nil
}
