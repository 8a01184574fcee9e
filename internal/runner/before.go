package runner

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// alongsideLimit bounds a reading that runs beside a removal, so that what
// follows the removal does not wait for it.
const alongsideLimit = 5 * time.Second

// alongside reads what the leaver could reach while their removal is under way:
// an incident does not wait for a snapshot. What it returns waits for the
// reading, and is called when Amplitude has answered the removal.
func (a *attempt) alongside(ctx context.Context) func() []seat {
	orgs := a.reach(a.file.Case.Connection)
	out := make([]seat, len(orgs))
	limited, stop := context.WithTimeoutCause(ctx, alongsideLimit, errors.New("reading alongside a removal"))
	var work sync.WaitGroup
	for i, org := range orgs {
		out[i] = seat{Organization: org.Name, Roles: "not configured"}
		if s, ok, err := org.roster.cached(ctx, question{address: a.file.Case.Address}); ok && err == nil {
			out[i].Sighting = s // as the last sweep saw it
		}
		work.Go(func() { a.accessBefore(limited, org, &out[i]) })
	}
	return func() []seat {
		work.Wait()
		stop()
		return out
	}
}

// accessBefore adds direct roles, and the projects that were open to the leaver
// by whatever way. Where the removal was faster there is nothing left to read.
func (a *attempt) accessBefore(ctx context.Context, org *organization, s *seat) {
	defer func() {
		slices.Sort(s.Reach)
		s.Reach = slices.Compact(s.Reach)
	}()
	if things, err := a.opts.Store.Owned(ctx, org.Name, a.file.Case.Address); err == nil {
		for _, o := range things {
			s.Reach = append(s.Reach, o.Project) // where they own something they had access
		}
	}
	if !org.Roles {
		return
	}
	held, err := org.Client.Assignments(ctx, a.file.Case.Address)
	switch {
	case errors.Is(err, amplitude.ErrNotEnrolled):
		s.Roles = "not enrolled"
		return
	case err != nil:
		s.Roles = "not read in time: " + err.Error()
		return
	}
	for _, h := range held {
		s.Assignments = append(s.Assignments, roleHeld{ID: h.ID, Project: h.ProjectID, Role: h.RoleID})
		s.Reach = append(s.Reach, h.ProjectID)
	}
	grants, err := org.Client.Access(ctx, a.file.Case.Address)
	for _, g := range grants {
		s.Reach = append(s.Reach, g.ProjectID)
	}
	s.Roles, s.ReachKnown = "known", err == nil && len(grants) > 0
	if len(held)+len(grants) == 0 {
		s.Roles = "unknown: the removal was faster than the reading" // or they had none
	}
}

// settled marks where Amplitude said that it removed a seat: there was one.
func (r *removed) settled() {
	for i := range r.Before {
		s := &r.Before[i]
		for _, one := range r.Seats {
			if one.Organization == s.Organization && one.Answer != offboard.NoMember && one.Answer != "" && !one.left() {
				s.Sighting.Present, s.Sighting.Address = true, one.Address
			}
		}
	}
}

// before is what the leaver could reach before anything was taken away: what
// the snapshot recorded, in an incident what was read alongside the removal.
func (a *attempt) before() seats {
	var r removed
	if st := a.file.Step(offboard.StepRemove); a.file.Case.Incident() && st != nil && decodeResult(st.Result, &r) == nil && len(r.Before) > 0 {
		return seats{Seats: r.Before}
	}
	return a.found()
}
