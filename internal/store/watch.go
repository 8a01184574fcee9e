package store

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// CompareWatches decides about a page of the ended cases whose address is
// watched. The end of a watch is recorded, and written on the timeline of its
// case, once: of two that decide it at the same time, one does.
func (s *Store) CompareWatches(ctx context.Context, w offboard.Sweep, after string, n int, decide func([]offboard.WatchFacts) []offboard.WatchEnd) (next string, err error) {
	err = s.sweeping(ctx, w, func(t *tx) error {
		rows, err := t.WatchedCases(ctx, db.WatchedCasesParams{After: after, Most: most(n)})
		if err != nil {
			return fmt.Errorf("read watched cases: %w", err)
		}
		next = ""
		if len(rows) == int(most(n)) {
			next = rows[len(rows)-1].ID
		}
		facts, err := t.watchFacts(ctx, rows)
		if err != nil {
			return err
		}
		for _, end := range decide(facts) {
			n, err := t.EndWatch(ctx, db.EndWatchParams{At: t.now.UnixMilli(), ID: end.CaseID})
			if err != nil {
				return fmt.Errorf("end a watch: %w", err)
			}
			if n == 0 {
				continue
			}
			if err := t.addendum(ctx, end.CaseID, end.Entry()); err != nil {
				return err
			}
		}
		return nil
	})
	return next, err
}

func (t *tx) watchFacts(ctx context.Context, rows []db.Case) ([]offboard.WatchFacts, error) {
	keys := make([]string, 0, len(rows))
	for _, r := range rows {
		keys = append(keys, r.AddressKey)
	}
	holdings, err := t.holdings(ctx, keys)
	if err != nil {
		return nil, err
	}
	cases, err := t.casesOfAddresses(ctx, keys)
	if err != nil {
		return nil, err
	}
	out := make([]offboard.WatchFacts, 0, len(rows))
	for _, r := range rows {
		f := offboard.WatchFacts{Holdings: holdings[r.AddressKey], Cases: cases[r.AddressKey]}
		if f.Case, err = caseOf(r); err != nil {
			return nil, err
		}
		if f.Seats, err = t.OrganizationsWithSeat(ctx, r.AddressKey); err != nil {
			return nil, fmt.Errorf("read seats: %w", err)
		}
		notes, err := t.CountNotes(ctx, db.CountNotesParams{CaseID: r.ID, Kind: offboard.NoteDrift})
		if err != nil {
			return nil, fmt.Errorf("read the timeline: %w", err)
		}
		f.Noted = notes > 0
		out = append(out, f)
	}
	return out, nil
}

// CompareGroups decides about a page of the addresses that permission groups
// hold, as a sweep saw them, and that have no seat in the organization.
func (s *Store) CompareGroups(ctx context.Context, w offboard.Sweep, after string, n int, decide func([]offboard.GroupFacts) []offboard.Finding) (next string, err error) {
	err = s.sweeping(ctx, w, func(t *tx) error {
		rows, err := t.GroupsWithoutSeat(ctx, db.GroupsWithoutSeatParams{Organization: w.Organization, Sweep: w.Number, After: after, Most: most(n)})
		if err != nil {
			return fmt.Errorf("read groups: %w", err)
		}
		next = ""
		if len(rows) == int(most(n)) {
			next = rows[len(rows)-1].AddressKey
		}
		keys := make([]string, 0, len(rows))
		for _, r := range rows {
			keys = append(keys, r.AddressKey)
		}
		holdings, err := t.holdings(ctx, keys)
		if err != nil {
			return err
		}
		cases, err := t.casesOfAddresses(ctx, keys)
		if err != nil {
			return err
		}
		facts := make([]offboard.GroupFacts, 0, len(rows))
		for _, r := range rows {
			f := offboard.GroupFacts{Address: r.AddressKey, Since: moment(r.FirstSeen), Holdings: holdings[r.AddressKey], Cases: cases[r.AddressKey]}
			groups, err := t.GroupsOfSeat(ctx, db.GroupsOfSeatParams{Organization: w.Organization, AddressKey: r.AddressKey})
			if err != nil {
				return fmt.Errorf("read groups: %w", err)
			}
			for _, g := range groups {
				f.Groups = append(f.Groups, g.GroupName)
			}
			facts = append(facts, f)
		}
		return t.saveFindings(ctx, w, decide(facts))
	})
	return next, err
}

// KeepOrganizations ends what was found in organizations that are not among
// those named, as when one was taken out of the configuration: nobody reads
// them any more. Their members are not known to be there.
func (s *Store) KeepOrganizations(ctx context.Context, names []string) error {
	all, err := s.Sweeps(ctx)
	if err != nil {
		return err
	}
	for _, w := range all {
		if slices.Contains(names, w.Organization) {
			continue
		}
		if err := s.transact(ctx, func(t *tx) error { return t.leaveOrganization(ctx, w.Organization) }); err != nil {
			return fmt.Errorf("leave organization %s: %w", w.Organization, err)
		}
	}
	return nil
}

// leaveOrganization ends the findings of an organization, and a sweep of it that
// another process may be at.
func (t *tx) leaveOrganization(ctx context.Context, organization string) error {
	row, err := t.LockSweep(ctx, organization)
	if err != nil {
		return fmt.Errorf("read a sweep: %w", err)
	}
	err = t.findingsOver(ctx, organization, math.MaxInt64, func(f db.Finding) error {
		return t.resolveFinding(ctx, f, "the organization is not configured any more, and nobody looks")
	})
	if err != nil {
		return err
	}
	err = t.MarkGone(ctx, db.MarkGoneParams{GoneAt: t.now.UnixMilli(), Organization: organization, Sweep: math.MaxInt64})
	if err != nil {
		return fmt.Errorf("record who is gone: %w", err)
	}
	w := sweepOf(row)
	w.Running, w.Asked, w.AskedBy, w.Trusted, w.Members = false, time.Time{}, "", time.Time{}, 0
	return t.saveSweep(ctx, w)
}
