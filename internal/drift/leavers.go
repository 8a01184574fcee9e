package drift

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"offramp/internal/offboard"
)

// leaver looks at what somebody else did about the seat of a case.
func (r rules) leaver(at moment, f offboard.CaseFacts) []offboard.Finding {
	c := f.Case
	if !r.reaches(c.Connection, at.organization) {
		return nil
	}
	about := func(kind offboard.FindingKind, object string) offboard.Finding {
		n := r.finding(kind, c.Address)
		n.Object, n.PersonID, n.Connection, n.CaseID = object, c.PersonID, c.Connection, c.ID
		return n
	}
	var out []offboard.Finding
	var removals []offboard.Effect
	for _, e := range f.Removals {
		if strings.HasPrefix(e.Object, at.organization+"/") {
			removals = append(removals, e)
		}
	}
	for _, e := range removals {
		if ours(f) || !strings.HasPrefix(e.Response, "no such member:") {
			continue
		}
		n := about(offboard.RemovedByAnother, c.ID)
		n.Text = "when the case came to remove the member from " + at.organization + ", somebody else had: what they own was not handed over by this case"
		n.Cause = removal(f.Events, c.Opened)
		n.Proposed = "let Offramp be the only one who removes: switch deactivation off in the identity provider's own Amplitude app"
		out = append(out, n)
	}
	if len(removals) == 0 {
		out = append(out, r.vanished(at, f, about)...)
	}
	return append(out, r.login(at, f, about)...)
}

// ours reports whether another case, such as that of another connection, removed
// the seat when this one was about to.
func ours(f offboard.CaseFacts) bool {
	return !f.Ours.IsZero() && f.Ours.After(f.Case.Opened.Add(-race))
}

// race is how long before a case opened another writer may have removed the
// seat for the same reason: two apps of one provider do not run together, and
// come up to 40 minutes apart.
const race = time.Hour

// vanished is a seat that went away though its case removed nothing.
func (r rules) vanished(at moment, f offboard.CaseFacts, about func(offboard.FindingKind, string) offboard.Finding) []offboard.Finding {
	c, s := f.Case, f.Seat
	if s == nil || !s.Gone.After(c.Opened) || ours(f) {
		return nil
	}
	ended := c.Closed
	if ended.IsZero() {
		ended = at.now
	}
	found, looked := identified(f.Identify, at.organization)
	missed := looked && !found && !s.FirstSeen.After(c.Opened) && !s.LastSeen.After(ended.Add(r.tolerance))
	switch {
	case missed:
		gone, known := deletion(f.Events, s.LastSeen)
		if known && gone.At.Before(c.Opened.Add(-race)) {
			return nil // nothing to do with the case
		}
		n := about(offboard.RemovedByAnother, c.ID)
		n.Text = "the member was in " + at.organization + " when it was last compared, and gone when the case looked: " +
			"somebody else removed them, and what they own was not handed over by this case"
		n.Cause = "somebody removed the member between the last comparison, at " + s.LastSeen.UTC().Format(time.RFC3339) + ", and the case"
		if known {
			n.Cause = removedBy(gone)
		}
		n.Proposed = "let Offramp be the only one who removes: switch deactivation off in the identity provider's own Amplitude app"
		if r.observe { // the other writer is who removes until then
			n.Severity, n.Proposed = offboard.Warning, "before enforce mode, switch deactivation off in the identity provider's own Amplitude app"
		}
		return []offboard.Finding{n}
	case !s.Gone.After(ended) && (found || s.LastSeen.After(c.Opened)):
		n := about(offboard.RemovedByHand, c.ID)
		n.Text = "the seat in " + at.organization + " went away while the case was open, before it removed anything"
		n.Cause = removal(f.Events, c.Opened)
		n.Proposed = "ask who did it: what the leaver owns may be without an owner; the case goes on by itself"
		return []offboard.Finding{n}
	}
	return nil
}

// login is somebody signing in whose removal was proven.
func (r rules) login(at moment, f offboard.CaseFacts, about func(offboard.FindingKind, string) offboard.Finding) []offboard.Finding {
	c, here := f.Case, offboard.Here(f.Holdings)
	welcome := slices.ContainsFunc(here, func(h offboard.Holding) bool { return h.Seat && r.entitled(h.Person, at.now) })
	if c.Removed.IsZero() || c.Verified.IsZero() || welcome || handed(here, c) || at.now.Sub(c.Removed) >= offboard.Watch {
		return nil
	}
	var last offboard.SeatEvent
	count := 0
	for _, e := range f.Events {
		if e.Login() && e.At.After(c.Removed.Add(time.Minute)) && (f.Again.IsZero() || e.At.Before(f.Again)) {
			last, count = e, count+1
		}
	}
	if count == 0 {
		return nil
	}
	n := about(offboard.LoginAfterRemoval, c.ID)
	n.Text = fmt.Sprintf("the leaver signed in to %s after their removal, %d times, last at %s", at.organization, count, last.At.UTC().Format(time.RFC3339))
	n.Cause = "the identity provider still lets them in, or a session outlived the removal"
	n.Proposed = "end their sessions and their access to the Amplitude app at the identity provider; whether they have a seat again is a finding of its own"
	return []offboard.Finding{n}
}

// deletion is the last removal after a moment whose actor the audit log names.
func deletion(events []offboard.SeatEvent, since time.Time) (offboard.SeatEvent, bool) {
	for _, e := range slices.Backward(events) {
		if strings.Contains(e.Action, "delete") && !e.At.Before(since) && e.Actor != "" {
			return e, true
		}
	}
	return offboard.SeatEvent{}, false
}

// removal tells from the audit log who removed a seat after a moment.
func removal(events []offboard.SeatEvent, since time.Time) string {
	if e, ok := deletion(events, since); ok {
		return removedBy(e)
	}
	return ""
}

func removedBy(e offboard.SeatEvent) string {
	return "removed by " + e.Actor + " at " + e.At.UTC().Format(time.RFC3339)
}

// identified tells whether the step identify of a case found the seat in an
// organization, and whether it looked there.
func identified(result json.RawMessage, organization string) (found, looked bool) {
	var known struct {
		Seats []struct {
			Organization string `json:"organization"`
			Seen         struct {
				Present bool `json:"present"`
			} `json:"seen"`
		} `json:"seats"`
	}
	if len(result) == 0 || json.Unmarshal(result, &known) != nil {
		return false, false
	}
	for _, s := range known.Seats {
		if s.Organization == organization {
			found, looked = found || s.Seen.Present, true
		}
	}
	return found, looked
}

// newcomer is how long somebody entitled may be without a seat: until they are
// invited.
const newcomer = 24 * time.Hour

// absent is somebody entitled who has no seat anywhere.
func (r rules) absent(at moment, f offboard.PersonFacts) []offboard.Finding {
	p := f.Person
	if f.Live || p.Placeholder() || !r.entitled(p, at.now) || at.now.Sub(p.Created) < newcomer {
		return nil
	}
	n := r.finding(offboard.EntitledButNoMember, p.Address)
	n.Object, n.PersonID, n.Connection = p.ID, p.ID, p.Connection
	n.Text = "entitled, and no member in " + strings.Join(r.reach[p.Connection], ", ")
	n.Proposed = "nothing, or an invitation in Amplitude"
	return []offboard.Finding{n}
}

// owner is somebody without a seat who owns something.
func (r rules) owner(at moment, f offboard.OwnerFacts) []offboard.Finding {
	n := r.finding(offboard.DeadOwner, f.Owner)
	n.Text = fmt.Sprintf("%d things in %s belong to an address that has no seat there", f.Assets, at.organization)
	if held := offboard.Here(r.within(f.Holdings, at.organization)); len(held) > 0 {
		n.PersonID, n.Connection = held[0].Person.ID, held[0].Person.Connection
	}
	n.Proposed = "give them to somebody in Amplitude; an admin can also give away what is unassigned"
	some := make([]map[string]any, 0, len(f.Some))
	for _, a := range f.Some {
		some = append(some, map[string]any{"kind": a.Kind, "project": a.Project, "id": a.RemoteID, "name": a.Name})
	}
	n.Data = encode(map[string]any{"assets": some})
	return []offboard.Finding{n}
}
