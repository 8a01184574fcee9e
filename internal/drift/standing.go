package drift

import (
	"fmt"
	"slices"
	"time"

	"offramp/internal/offboard"
)

// standing tells whether the seat may be there at all. It is its owner's who
// has the address as their seat: somebody else may have it among their e-mails,
// as a manager often has a leaver's, and that explains nothing.
func (r rules) standing(at moment, f offboard.SeatFacts) []offboard.Finding {
	f.Holdings = r.within(f.Holdings, at.organization)
	f.Cases = slices.DeleteFunc(slices.Clone(f.Cases), func(c offboard.Case) bool { return !r.reaches(c.Connection, at.organization) })
	here := offboard.Here(f.Holdings)
	owner := slices.IndexFunc(here, func(h offboard.Holding) bool { return h.Seat && r.entitled(h.Person, at.now) })
	live := slices.IndexFunc(f.Cases, func(c offboard.Case) bool { return c.State.Live() })
	var out []offboard.Finding
	switch {
	case live >= 0 && (owner < 0 || takes(f.Cases[live]) && here[owner].Person.ID != f.Cases[live].PersonID):
		out = r.underway(at, f, f.Cases[live])
	case owner >= 0:
		return nil
	default:
		out = r.unexplained(at, f, here)
	}
	return r.disputed(at, here, out)
}

// unexplained is a seat of nobody who is entitled, without a live case.
func (r rules) unexplained(at moment, f offboard.SeatFacts, here []offboard.Holding) []offboard.Finding {
	if last, ok := removed(f.Cases); ok && !handed(here, last) {
		return r.back(at, f, last)
	}
	if len(f.Cases) > 0 && !takes(f.Cases[0]) && f.Cases[0].Outcome != offboard.OutcomeCancelled && f.Cases[0].Outcome != offboard.OutcomeObserved {
		return nil // it ended, and left the seat on purpose
	}
	known := slices.DeleteFunc(slices.Clone(f.Holdings), func(h offboard.Holding) bool { return h.Person.Adopted() })
	theirs := slices.ContainsFunc(known, func(h offboard.Holding) bool { return h.Seat })
	other := slices.IndexFunc(here, func(h offboard.Holding) bool { return r.entitled(h.Person, at.now) })
	switch {
	case !theirs && other >= 0:
		return r.other(f, here[other])
	case len(known) > 0:
		return []offboard.Finding{r.leftover(f, known)}
	}
	return r.stranger(at, f)
}

// disputed names in findings about a leaver who else has the address and is
// entitled: the guards stop a case over it.
func (r rules) disputed(at moment, here []offboard.Holding, out []offboard.Finding) []offboard.Finding {
	for i, n := range out {
		if n.Kind == offboard.SecondSeat || n.PersonID == "" {
			continue
		}
		j := slices.IndexFunc(here, func(h offboard.Holding) bool { return h.Person.ID != n.PersonID && r.entitled(h.Person, at.now) })
		if j >= 0 {
			p := here[j].Person
			out[i].Text += fmt.Sprintf("; %s, entitled through connection %s, has the address as well, and while both have it a case waits for a person",
				p.UserName, p.Connection)
		}
	}
	return out
}

// other is a seat under another address of somebody entitled: their second one,
// where they have another.
func (r rules) other(f offboard.SeatFacts, h offboard.Holding) []offboard.Finding {
	i := slices.IndexFunc(f.Alike, func(a offboard.Alike) bool { return a.By == offboard.AlikeEmail && a.PersonID == h.Person.ID })
	if i < 0 {
		return nil
	}
	n := r.second(f, f.Alike[i])
	n.PersonID, n.Connection, n.Reason = h.Person.ID, h.Person.Connection, ""
	n.Proposed = "the person is entitled, so that no case removes it: if they need one seat only, remove this one in Amplitude under Settings > Members & Groups"
	return []offboard.Finding{n}
}

// underway is the seat of somebody whose case is live: explained until it is due.
func (r rules) underway(at moment, f offboard.SeatFacts, c offboard.Case) []offboard.Finding {
	if c.Due.IsZero() || at.now.Before(c.Due) || !c.Removed.IsZero() && !r.outlived(at, f.Seat, c) {
		return nil
	}
	n := r.finding(offboard.LeaverStillThere, f.Seat.Address)
	n.PersonID, n.Connection, n.CaseID, n.Reason = c.PersonID, c.Connection, c.ID, c.Reason
	n.Text = "the leaver still has a seat in " + at.organization + ", and their case was due at " + c.Due.UTC().Format(time.RFC3339)
	n.Cause = "the case stands: " + string(c.State)
	n.Proposed = "see what the case waits for: offramp cases explain " + c.ID
	return []offboard.Finding{n}
}

// outlived reports whether a seat was seen after its removal, and not only
// because the list was read before or lagged behind. Where the clock was set
// back behind the removal nothing can be compared, and the seat is there.
func (r rules) outlived(at moment, s offboard.Seat, c offboard.Case) bool {
	return c.Removed.After(at.now) || s.LastSeen.After(c.Removed.Add(r.tolerance))
}

// removed returns the last case that proved the seat gone.
func removed(cases []offboard.Case) (offboard.Case, bool) {
	for _, c := range cases {
		if c.ProvedGone() {
			return c, true
		}
		if c.Outcome == offboard.OutcomeRehired {
			return c, false // whatever came before, they were welcome again
		}
	}
	return offboard.Case{}, false
}

// takes reports whether a case ends with the seat: its plan does not only take
// away projects or a role.
func takes(c offboard.Case) bool { return c.Plan == offboard.Leaver || c.Plan == offboard.Emergency }

// handed reports whether somebody else took the address for their seat after a
// case opened: then the watch on it is over.
func handed(here []offboard.Holding, c offboard.Case) bool {
	return slices.ContainsFunc(here, func(h offboard.Holding) bool { return h.Seat && h.Person.ID != c.PersonID && h.Since.After(c.Opened) })
}

// back is a seat whose removal was proven, and that is there again.
func (r rules) back(at moment, f offboard.SeatFacts, last offboard.Case) []offboard.Finding {
	if !r.outlived(at, f.Seat, last) {
		return nil
	}
	n := r.finding(offboard.LeaverStillThere, f.Seat.Address)
	n.PersonID, n.Connection, n.CaseID, n.Reason = last.PersonID, last.Connection, last.ID, last.Reason
	n.Cause = cause(f.Events, last.Removed)
	n.Text = fmt.Sprintf("the leaver has a seat in %s again; the last removal was proven on %s", at.organization, last.Verified.UTC().Format(time.DateOnly))
	n.Proposed = "end what brings them back, then open a case again: offramp drift fix --apply"
	if at.now.Sub(last.Removed) >= offboard.Watch {
		return []offboard.Finding{n}
	}
	n.Kind, n.Severity = offboard.LeaverBack, offboard.LeaverBack.Severity()
	for _, c := range f.Cases {
		if c.Outcome == offboard.OutcomeRemoved && at.now.Sub(c.Removed) < offboard.Watch {
			n.Rounds++
		}
	}
	if n.Rounds >= offboard.RoundsMost {
		n.Text = fmt.Sprintf("the leaver is back in %s after %d removals within 30 days; Offramp does not go on removing by itself", at.organization, n.Rounds)
		n.Proposed = "find who brings them back, by the cause and the audit log, and end it; only then: offramp drift fix --apply --again"
	}
	return []offboard.Finding{n}
}

// leftover is the seat of somebody whom an identity provider knows, who is not
// entitled, and whom nothing removes.
func (r rules) leftover(f offboard.SeatFacts, known []offboard.Holding) offboard.Finding {
	h := known[0]
	for _, k := range known { // who has it as their seat, and is not deleted, comes first
		better := k.Seat && !h.Seat || k.Seat == h.Seat && k.Person.Deleted.IsZero() && !h.Person.Deleted.IsZero()
		if better {
			h = k
		}
	}
	p := h.Person
	cases := slices.DeleteFunc(slices.Clone(f.Cases), func(c offboard.Case) bool { return c.PersonID != p.ID }) // another's had the address before
	n := r.finding(offboard.LeaverStillThere, f.Seat.Address)
	n.PersonID, n.Connection, n.Reason = p.ID, p.Connection, offboard.Deactivated
	n.Proposed = "open a case: offramp drift fix --apply"
	switch {
	case !h.Seat:
		i := slices.IndexFunc(f.Alike, func(a offboard.Alike) bool { return a.PersonID == p.ID })
		like := offboard.Alike{Address: p.Address, PersonID: p.ID, By: offboard.AlikeEmail}
		if i >= 0 {
			like = f.Alike[i]
		}
		s := r.second(f, like)
		s.PersonID, s.Connection = p.ID, p.Connection
		s.Text += ", who is not entitled"
		return s
	case len(cases) > 0:
		c := cases[0]
		n.CaseID, n.Reason = c.ID, c.Reason
		n.Text = "the person is not entitled and has a seat; their last case ended as " + string(c.Outcome)
		if c.Outcome == offboard.OutcomeObserved {
			n.Text = "the person is not entitled and has a seat; observed, nothing was changed"
		}
	case !p.Deleted.IsZero():
		n.Reason, n.Text = offboard.DeletedAtIdP, "the person was deleted at the identity provider and has a seat"
	default:
		n.Kind, n.Severity = offboard.CreatedInactive, offboard.CreatedInactive.Severity()
		n.Text = "the person has a seat, and was inactive when the identity provider first told about them"
		if p.Active {
			n.Reason, n.Text = offboard.GroupRemoval, "the person has a seat, and was never in a group that gives access"
		}
		n.Proposed = "open a case for this finding by its id: offramp drift fix ID --apply"
	}
	if r.observe && n.Kind == offboard.LeaverStillThere {
		n.Severity, n.Proposed = offboard.Warning, "nothing in observe mode; in enforce mode a case would remove it"
	}
	return n
}
