package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// How often who owns what is read.
const (
	ownershipEvery = 24 * time.Hour
	ownershipLook  = time.Hour          // how often lists are looked for that are due: a new project, or one that failed
	ownershipDoubt = 7 * 24 * time.Hour // how long a list is not believed that is empty and was not
)

// SweepOwnership reads every list that names owners, of every project, that was
// not read for a day, so that an incident finds what its leaver owned. One
// replica does it, at most once an hour. What a list showed is replaced only by
// a complete reading of it: whatever fails keeps what is known.
func (r *Runner) SweepOwnership(ctx context.Context) error {
	mine, err := r.opts.Store.Turn(ctx, "ownership", ownershipLook)
	if err != nil || !mine {
		return err
	}
	var errs []error
	for _, org := range r.orgs {
		if err := r.sweepOwnership(ctx, org); err != nil {
			errs = append(errs, fmt.Errorf("ownership sweep of %s: %w", org.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (r *Runner) sweepOwnership(ctx context.Context, org *organization) error {
	done, err := r.opts.Store.OwnedLists(ctx, org.Name)
	if err != nil {
		return err
	}
	last := map[listKey]offboard.OwnedList{}
	for _, l := range done {
		last[listKey{project: l.Project, name: l.List}] = l
	}
	var errs []error
	for _, p := range org.Projects {
		for _, s := range sources() {
			was := last[listKey{project: p.ID, name: s.name}]
			if r.now().Sub(was.Seen) < ownershipEvery {
				continue
			}
			err := r.sweepList(ctx, org, p, s, was)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("%s of %s: %w", s.name, p.Name, err))
			}
			if e, ok := errors.AsType[*amplitude.Error](err); ok && e.RetryAfter > 0 {
				return errors.Join(errs...) // Amplitude asks to be left alone: the next look goes on here
			}
		}
	}
	return errors.Join(errs...)
}

// sweepList reads one list and records it, if it was read completely.
func (r *Runner) sweepList(ctx context.Context, org *organization, p Project, s source, was offboard.OwnedList) error {
	started := r.now()
	entries, err := s.list(ctx, org.Client, p.ID)
	truncated := errors.Is(err, amplitude.ErrTruncated)
	switch {
	case s.refusal(err) != "":
		return nil // no key, not enrolled, not found: inventory says so, and there is nothing to wait for
	case err != nil && !truncated:
		return err
	case len(entries) == 0 && was.Entries > 0 && started.Sub(was.Seen) < ownershipDoubt:
		r.log.Warn("a list that had entries is empty, and not believed for a week",
			zap.String("organization", org.Name), zap.Int("project", p.ID), zap.String("list", s.name), zap.Int("entries", was.Entries))
		return nil
	}
	l := offboard.OwnedList{Organization: org.Name, Project: p.ID, List: s.name, Entries: len(entries), Truncated: truncated, Seen: started}
	return r.opts.Store.SaveOwned(ctx, l, ownedIn(s, entries, l))
}

// ownedIn turns entries into one row per thing and owner.
func ownedIn(s source, entries []entry, l offboard.OwnedList) []offboard.Owned {
	var out []offboard.Owned
	for _, e := range entries {
		places := map[string][]string{}
		free := map[string]bool{}
		var order []string
		for _, h := range e.people {
			who := offboard.Fold(h.who)
			if who == "" || !strings.Contains(who, "@") && !h.freeText {
				continue // a login id or a program: nobody can be found by it
			}
			if places[who] == nil {
				order = append(order, who)
			}
			places[who] = append(places[who], h.says)
			free[who] = free[who] || h.freeText && !strings.Contains(who, "@")
		}
		for _, who := range order {
			out = append(out, offboard.Owned{
				Organization: l.Organization, Project: l.Project, List: l.List, Owner: who, FreeText: free[who], RemoteID: e.id,
				Kind: string(s.kind), Name: e.name, Source: s.api + ": " + strings.Join(places[who], ", "), Seen: l.Seen,
			})
		}
	}
	return out
}
