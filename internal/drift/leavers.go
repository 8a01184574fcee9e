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
		if !strings.HasPrefix(e.Response, "no such member:") {
			continue
		}
		n := about(offboard.RemovedByAnother, c.ID)
		n.Text = "when the case came to remove the member from " + at.organization + ", somebody else had: what they own was not handed over by this case"
		n.Cause = deletion(f.Events, c.Opened)
		n.Proposed = "let Offramp be the only one who removes: switch deactivation off in the identity provider's own Amplitude app"
		out = append(out, n)
	}
	if s := f.Seat; s != nil && len(removals) == 0 && s.Gone.After(c.Opened) && (c.Closed.IsZero() || !s.Gone.After(c.Closed)) &&
		(s.LastSeen.After(c.Opened) || identified(f.Identify, at.organization)) {
		n := about(offboard.RemovedByHand, c.ID)
		n.Text = "the seat in " + at.organization + " went away while the case was open, before it removed anything"
		n.Cause = deletion(f.Events, c.Opened)
		n.Proposed = "ask who did it: what the leaver owns may be without an owner; the case goes on by itself"
		out = append(out, n)
	}
	return append(out, r.login(at, f, about)...)
}

// login is somebody signing in whose removal was proven.
func (r rules) login(at moment, f offboard.CaseFacts, about func(offboard.FindingKind, string) offboard.Finding) []offboard.Finding {
	c, here := f.Case, offboard.Here(f.Holdings)
	welcome := slices.ContainsFunc(here, func(h offboard.Holding) bool { return r.entitled(h.Person, at.now) })
	if c.Removed.IsZero() || c.Verified.IsZero() || welcome || handed(here, c) || at.now.Sub(c.Removed) >= offboard.Watch {
		return nil
	}
	var last offboard.SeatEvent
	count := 0
	for _, e := range f.Events {
		if e.Login() && e.At.After(c.Removed.Add(time.Minute)) {
			last, count = e, count+1
		}
	}
	if count == 0 {
		return nil
	}
	n := about(offboard.LoginAfterRemoval, offboard.Fold(c.Address))
	n.Text = fmt.Sprintf("the leaver signed in to %s after their removal, %d times, last at %s", at.organization, count, last.At.UTC().Format(time.RFC3339))
	n.Cause = "the identity provider still lets them in, or a session outlived the removal"
	n.Proposed = "end their sessions and their access to the Amplitude app at the identity provider; whether they have a seat again is a finding of its own"
	return []offboard.Finding{n}
}

// deletion tells from the audit log who removed a seat after a moment.
func deletion(events []offboard.SeatEvent, since time.Time) string {
	for _, e := range slices.Backward(events) {
		if strings.Contains(e.Action, "delete") && !e.At.Before(since) && e.Actor != "" {
			return "removed by " + e.Actor + " at " + e.At.UTC().Format(time.RFC3339)
		}
	}
	return ""
}

// identified tells whether the step identify of a case found the seat in an
// organization.
func identified(result json.RawMessage, organization string) bool {
	var found struct {
		Seats []struct {
			Organization string `json:"organization"`
			Seen         struct {
				Present bool `json:"present"`
			} `json:"seen"`
		} `json:"seats"`
	}
	if len(result) == 0 || json.Unmarshal(result, &found) != nil {
		return false
	}
	for _, s := range found.Seats {
		if s.Organization == organization && s.Seen.Present {
			return true
		}
	}
	return false
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
