package drift

import (
	"context"
	"slices"
	"strings"
	"time"

	"offramp/internal/offboard"
)

// watches ends the watch on addresses for which it is over.
func (r *run) watches(ctx context.Context) error {
	read, err := r.known(ctx)
	if err != nil {
		return err
	}
	at := r.at()
	for after, more := "", true; more; more = after != "" {
		next, err := r.opts.Store.CompareWatches(ctx, r.sweep, after, pageSize, func(all []offboard.WatchFacts) (out []offboard.WatchEnd) {
			for _, f := range all {
				if because := r.rules.watched(at, f, read); because != "" {
					out = append(out, offboard.WatchEnd{CaseID: f.Case.ID, Because: because})
				}
			}
			return out
		})
		if err != nil {
			return err
		}
		after = next
	}
	return nil
}

// known tells how every organization was read last, this one by this sweep if
// its list is trusted.
func (r *run) known(ctx context.Context) (map[string]offboard.Sweep, error) {
	all, err := r.opts.Store.Sweeps(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]offboard.Sweep{}
	for _, w := range all {
		out[w.Organization] = w
	}
	this := r.sweep
	if r.trusted {
		this.Trusted = r.sweep.Started // the list is at least as new
	}
	out[r.org.Name] = this
	return out, nil
}

// watched tells why the watch on the address of a case is over; empty: it is
// not. It is over for good: a list that shows the address afterwards is a
// finding like any other.
func (r rules) watched(at moment, f offboard.WatchFacts, read map[string]offboard.Sweep) string {
	c := f.Case
	if !r.reaches(c.Connection, at.organization) {
		return ""
	}
	here := offboard.Here(f.Holdings)
	if i := slices.IndexFunc(here, func(h offboard.Holding) bool { return handed([]offboard.Holding{h}, c) }); i >= 0 {
		p := here[i].Person
		return "the address changed hands: " + p.UserName + " of connection " + p.Connection + " has it since " + here[i].Since.UTC().Format(time.RFC3339)
	}
	if i := slices.IndexFunc(here, func(h offboard.Holding) bool { return h.Seat && r.entitled(h.Person, at.now) }); i >= 0 {
		return "whoever has the address is entitled again, through connection " + here[i].Person.Connection
	}
	if last, ok := removed(f.Cases); ok && last.ID > c.ID {
		return "the seat was removed again by case " + last.ID + ", whose watch goes on"
	}
	until := earlier(c.Removed, at.now).Add(offboard.Watch)
	reach := r.reach[c.Connection]
	if slices.ContainsFunc(reach, func(org string) bool { return read[org].Trusted.Before(until) }) {
		return "" // it ends when every organization was read once more
	}
	because := "30 days are over"
	switch seats := slices.DeleteFunc(slices.Clone(f.Seats), func(org string) bool { return !slices.Contains(reach, org) }); {
	case len(seats) > 0:
		because += ", and the address has a seat in " + strings.Join(seats, ", ") + ": that stays a finding"
	case f.Noted:
		because += "; the address has no seat, and what was found in the meantime stands above"
	default:
		because += ", and nothing was found: the address has no seat in " + strings.Join(reach, ", ")
	}
	deaf := slices.DeleteFunc(slices.Clone(reach), func(org string) bool { return !read[org].AuditUntil.Before(until) })
	if len(deaf) > 0 {
		because += "; whether they signed in is not known to the end, since the audit log of " + strings.Join(deaf, ", ") + " was not read"
	}
	return because
}

// earlier is a moment as the clock has it now, where it may have been set back.
func earlier(t, now time.Time) time.Time {
	if t.After(now) {
		return now
	}
	return t
}

// ghosts decides about addresses that permission groups hold and that have no
// seat.
func (r *run) ghosts(ctx context.Context) error {
	at := r.at()
	for after, more := "", true; more; more = after != "" {
		next, err := r.opts.Store.CompareGroups(ctx, r.sweep, after, pageSize, func(all []offboard.GroupFacts) (out []offboard.Finding) {
			for _, f := range all {
				out = append(out, r.rules.ghost(at, r.sweep.Started, f)...)
			}
			return out
		})
		if err != nil {
			return err
		}
		after = next
	}
	return nil
}

// ghost is a member of permission groups who has no seat. Somebody may have been
// invited between the list and the groups, so that what a sweep that began at
// began saw first waits for the next one; a removal that was proven does not.
func (r rules) ghost(at moment, began time.Time, f offboard.GroupFacts) []offboard.Finding {
	f.Holdings = r.within(f.Holdings, at.organization)
	f.Cases = slices.DeleteFunc(f.Cases, func(c offboard.Case) bool { return !r.reaches(c.Connection, at.organization) })
	if slices.ContainsFunc(f.Cases, func(c offboard.Case) bool { return c.State.Live() && takes(c) }) {
		return nil // it verifies that nobody is left in a group
	}
	n := r.finding(offboard.GroupWithoutSeat, f.Address)
	n.Connection = r.responsible(f.Address, at.organization)
	n.Proposed = "take the address out of the groups in Amplitude under Settings > Members & Groups, and out of whatever pushes them: a push may make the seat anew"
	n.Data = encode(map[string]any{"groups": f.Groups})
	groups := "groups of " + at.organization + ": " + strings.Join(f.Groups, ", ")
	last, proved := removed(f.Cases)
	switch {
	case proved && !handed(offboard.Here(f.Holdings), last):
		if !last.Removed.After(at.now) && at.now.Sub(last.Removed) <= r.tolerance {
			return nil // groups lag behind
		}
		n.PersonID, n.Connection, n.CaseID = last.PersonID, last.Connection, last.ID
		n.Text = "the leaver was removed and is still in " + groups
	case f.Since.Before(began):
		n.Text = "without a seat, and in " + groups
	default:
		return nil
	}
	return []offboard.Finding{n}
}
