package runner

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// undo gives back what the case took, and cancels it. What a mover lost stays
// so while a decision still says that they are one.
func (a *attempt) undo(ctx context.Context, because string) error {
	s := a.file.Next()
	if s == nil {
		return nil
	}
	steps := []offboard.StepName{offboard.StepContain}
	if !a.file.Person.Removal.Keeping() || a.file.Case.Ending == offboard.EndCancel {
		steps = append(steps, offboard.StepRevoke)
	}
	out, err := a.giveBack(ctx, func(e offboard.Effect) bool { return slices.Contains(steps, e.Step) })
	if cause := err; err != nil {
		if out, err = a.failed(ctx, s, err); err != nil {
			return err
		}
		if out.wait == "" && out.attention == "" { // no deadline ends what has to be given back
			out = a.repeat(s, cause)
		}
	}
	switch {
	case out.attention != "":
		return a.attention(ctx, s, out)
	case out.wait != "":
		_, err := a.opts.Store.Checkpoint(ctx, a.fence, 0, func(f offboard.File) (offboard.Update, error) {
			if f.Case.State == offboard.StateHeld {
				return offboard.Update{WakeAt: out.until, Steps: []offboard.Step{*s}}, nil
			}
			return offboard.Update{
				State: offboard.StateWaiting, Waiting: &out.wait, Note: &out.note, WakeAt: out.until, Steps: []offboard.Step{*s},
			}, nil
		})
		return err
	}
	if kept := a.staysHandedOver(); kept != "" {
		because += "; " + kept
	}
	return a.finish(ctx, s, outcome{end: offboard.OutcomeCancelled, note: because, still: func(f offboard.File) bool {
		return f.Case.Ending == offboard.EndCancel || f.Standing.Entitled
	}})
}

// staysHandedOver says what a case that is cancelled does not take back: whoever has
// something by now may have changed it. Empty: nothing was handed over.
func (a *attempt) staysHandedOver() string {
	var list []string
	for _, e := range a.file.Effects {
		if e.Step != offboard.StepHandover || e.State != offboard.EffectDone {
			continue
		}
		i := slices.IndexFunc(a.file.Assets, func(as offboard.Asset) bool { return e.Object == as.ID })
		if i < 0 {
			continue
		}
		what := a.file.Assets[i].Name
		if what == "" {
			what = a.file.Assets[i].RemoteID
		}
		list = append(list, a.file.Assets[i].Kind+" "+what)
	}
	if len(list) == 0 {
		return ""
	}
	const most = 20
	more := ""
	if len(list) > most {
		list, more = list[:most], fmt.Sprintf(" and %d more", len(list)-most)
	}
	return "what was handed over stays with its new owner: " + strings.Join(list, ", ") + more
}

// giveBack reverses the changes that are wanted back, where the person still
// has a seat. What may not be given back is left to a person.
func (a *attempt) giveBack(ctx context.Context, wanted func(offboard.Effect) bool) (outcome, error) {
	var left []string
	because := ""
	for _, e := range a.file.Effects {
		if !wanted(e) {
			continue
		}
		parts := strings.Split(e.Object, "/")
		if len(parts) < 3 || parts[1] == "undo" {
			continue
		}
		org := a.orgs[parts[0]]
		if org == nil {
			left, because = append(left, a.givingBack(parts)), "the organization is not configured any more"
			continue
		}
		seen, err := org.roster.look(ctx, amplitude.ShareOther, question{address: a.file.Case.Address, after: a.now().Add(-recent)})
		if err != nil {
			return outcome{}, err
		}
		if !seen.Present {
			continue // adding a group to somebody who is no member would invite them
		}
		perm, _, err := a.do(ctx, change{
			step: e.Step, object: undoOf(e.Object), giving: true,
			text: "about to give back " + parts[1] + " " + parts[2] + " in " + org.Name,
			call: func(ctx context.Context) (string, bool, error) {
				switch parts[1] {
				case objectJoin:
					err := org.Client.WithShare(amplitude.ShareOther).RemoveFromGroup(ctx, parts[2], a.file.Case.Address)
					if notFound(err) {
						return "the group no longer exists", false, nil
					}
					return "taken out of the group again", false, err
				case objectLower:
					return "given back", false, raiseRole(ctx, org, a.file.Case.Address, parts)
				case "group":
					err := org.Client.WithShare(amplitude.ShareOther).AddToGroup(ctx, parts[2], a.file.Case.Address)
					if notFound(err) {
						return "the group no longer exists", false, nil
					}
					return "given back", false, err
				}
				return "given back", false, giveRole(ctx, org, a.file.Case.Address, parts)
			},
		})
		if err != nil {
			return outcome{}, err
		}
		switch {
		case !perm.Allowed && perm.State == offboard.StateWaiting:
			return refused(perm), nil
		case !perm.Allowed:
			left, because = append(left, a.givingBack(parts)), perm.Because
		}
	}
	if len(left) == 0 {
		return outcome{}, nil
	}
	return outcome{attention: "not given back, because " + because + ": " + strings.Join(left, "; ") +
		". Do it in Amplitude, then resolve the case; or end what keeps Offramp from it, then retry"}, nil
}

// givingBack says in words what gives a change back, whose object is in parts.
func (a *attempt) givingBack(parts []string) string {
	switch parts[1] {
	case "group":
		return "put into group " + a.groupName(parts) + " in " + parts[0]
	case objectJoin:
		return "take out of group " + a.groupName(parts) + " in " + parts[0]
	}
	role := ""
	if len(parts) > 3 {
		role = " " + parts[3]
	}
	return "give role" + role + " on project " + parts[2] + " in " + parts[0]
}

// groupName is the name of a group as it was seen, or its id.
func (a *attempt) groupName(parts []string) string {
	for _, st := range a.found().Seats {
		for _, g := range st.Sighting.Groups {
			if st.Organization == parts[0] && g.ID == parts[2] {
				return g.Name
			}
		}
	}
	return parts[2]
}

// undoOf names the effect that reverses another.
func undoOf(obj string) string {
	org, rest, _ := strings.Cut(obj, "/")
	return object(org, "undo", rest)
}

// giveRole assigns a role again, unless the person has one on the project.
func giveRole(ctx context.Context, org *organization, address string, parts []string) error {
	project, err := strconv.Atoi(parts[2])
	if err != nil || len(parts) < 4 {
		return &permanentError{text: "the record of a role that was taken away cannot be read; give it back by hand"}
	}
	held, err := org.Client.Assignments(ctx, address)
	if err != nil {
		return err
	}
	for _, h := range held {
		if h.ProjectID == project {
			return nil
		}
	}
	return org.Client.Assign(ctx, address, project, parts[3])
}
