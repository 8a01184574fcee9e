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

// contained tells how much access was taken away before the removal.
type contained struct {
	Level string   `json:"level"` // full, partial or none
	Why   string   `json:"why"`
	Taken []string `json:"taken,omitempty"`
}

// contain takes groups and project roles away now where the removal will have
// to wait for people.
func contain(ctx context.Context, a *attempt, _ *offboard.Step) (outcome, error) {
	p := a.file.Case.Policy
	unlisted, _, err := a.unlisted(ctx)
	if err != nil {
		return outcome{}, err
	}
	will := !a.opts.Approvers.Count(a.file, a.now()).Enough() || unlisted == offboard.UnlistedTask
	switch {
	case p.Contain == offboard.ContainNever:
		return outcome{skip: true, result: contained{Level: "none", Why: "the policy says never"}}, nil
	case p.Contain != offboard.ContainAlways && !will:
		return outcome{skip: true, result: contained{Level: "none", Why: "nobody has to be waited for"}}, nil
	}
	c := contained{Level: "full"}
	for _, st := range a.found().Seats {
		org := a.orgs[st.Organization]
		if org == nil {
			continue
		}
		for _, g := range st.Sighting.Groups {
			perm, _, err := a.do(ctx, a.leaveGroup(org, offboard.StepContain, object(org.Name, "group", g.ID), g))
			if err != nil || !perm.Allowed {
				return refused(perm), err
			}
			c.Taken = append(c.Taken, object(org.Name, "group", g.Name))
		}
		if st.Roles != "known" {
			c.Level, c.Why = "partial", "direct roles cannot be seen or taken away: User Management API "+st.Roles
		}
		for _, h := range st.Assignments {
			perm, _, err := a.do(ctx, a.takeRole(org, offboard.StepContain, roleObject(org.Name, h), h))
			if err != nil || !perm.Allowed {
				return refused(perm), err
			}
			c.Taken = append(c.Taken, object(org.Name, "project", strconv.Itoa(h.Project)))
		}
	}
	if len(c.Taken) == 0 && c.Level != "full" {
		c.Level = "none"
	}
	say := "contain: " + c.Level
	if c.Why != "" {
		say += ", because " + c.Why
	}
	return outcome{result: c, say: say}, nil
}

// leaveGroup is the change that takes the member out of a group. Repeating it
// changes nothing.
func (a *attempt) leaveGroup(org *organization, step offboard.StepName, obj string, g group) change {
	return change{
		step: step, object: obj, claim: []string{org.Name},
		text: fmt.Sprintf("about to take the member out of group %s in %s", g.Name, org.Name),
		call: func(ctx context.Context) (string, bool, error) {
			err := org.Client.WithShare(amplitude.ShareOther).RemoveFromGroup(ctx, g.ID, a.file.Case.Address)
			if notFound(err) {
				return "the group no longer exists", false, nil
			}
			return "taken out of group " + g.Name, false, err
		},
	}
}

// takeRole is the change that takes a direct role away.
func (a *attempt) takeRole(org *organization, step offboard.StepName, obj string, h roleHeld) change {
	return change{
		step: step, object: obj, claim: []string{org.Name},
		text: fmt.Sprintf("about to take away the role on project %d in %s", h.Project, org.Name),
		read: func(ctx context.Context) (bool, string, error) {
			left, err := org.Client.Assignments(ctx, a.file.Case.Address)
			for _, l := range left {
				if l.ID == h.ID {
					return false, "", err
				}
			}
			return err == nil, "role taken away", err
		},
		call: func(ctx context.Context) (string, bool, error) {
			err := org.Client.DeleteAssignment(ctx, h.ID)
			if notFound(err) {
				err = nil
			}
			return "role taken away", false, err
		},
	}
}

func roleObject(org string, h roleHeld) string {
	return object(org, "role", strconv.Itoa(h.Project), h.Role, h.ID)
}

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
	if err != nil {
		if out, err = a.failed(ctx, s, err); err != nil {
			return err
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
	return a.finish(ctx, s, outcome{end: offboard.OutcomeCancelled, note: because, still: func(f offboard.File) bool {
		return f.Case.Ending == offboard.EndCancel || f.Standing.Entitled
	}})
}

// giveBack reverses the changes that are wanted back, where the person still
// has a seat.
func (a *attempt) giveBack(ctx context.Context, wanted func(offboard.Effect) bool) (outcome, error) {
	for _, e := range a.file.Effects {
		if !wanted(e) {
			continue
		}
		parts := strings.Split(e.Object, "/")
		if len(parts) < 3 || a.orgs[parts[0]] == nil || parts[1] == "undo" {
			continue
		}
		org := a.orgs[parts[0]]
		seen, err := org.roster.look(ctx, amplitude.ShareOther, a.file.Case.Address, a.now().Add(-recent))
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
		if !perm.Allowed && perm.State == offboard.StateWaiting {
			return refused(perm), nil
		}
	}
	return outcome{}, nil
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
