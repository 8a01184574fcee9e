package runner

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// contained tells how much access was taken away before the removal.
type contained struct {
	Level string   `json:"level"` // full, partial or none
	Why   string   `json:"why"`
	Taken []string `json:"taken,omitempty"`
}

// nobodyWaits is why contain took nothing though the policy would; where somebody
// has to be waited for later, it is asked again.
const nobodyWaits = "nobody has to be waited for"

// uncontained is the index of a contain step that took nothing because nobody
// was to be waited for, where somebody is now; -1: there is none.
func (a *attempt) uncontained(out outcome) int {
	if a.opts.Observe || out.wait != offboard.WaitTask && out.wait != offboard.WaitApproval || a.file.Case.Incident() || !a.peopleWork() {
		return -1
	}
	return slices.IndexFunc(a.file.Steps, func(s offboard.Step) bool {
		var c contained
		return s.Name == offboard.StepContain && s.State == offboard.StepSkipped && decodeResult(s.Result, &c) == nil && c.Why == nobodyWaits
	})
}

// peopleWork reports whether the steps before the removal wait for a person.
func (a *attempt) peopleWork() bool {
	return slices.ContainsFunc(a.file.Steps, func(s offboard.Step) bool {
		return s.State == offboard.StepWaiting && (s.Name == offboard.StepHandover || s.Name == offboard.StepRotate)
	})
}

// contain takes groups and project roles away now where the removal will have
// to wait for people.
func contain(ctx context.Context, a *attempt, _ *offboard.Step) (outcome, error) {
	p := a.file.Case.Policy
	unlisted, _, err := a.unlisted(ctx)
	if err != nil {
		return outcome{}, err
	}
	will := a.peopleWork() || !a.opts.Approvers.Count(a.file, a.now()).Enough() || unlisted == offboard.UnlistedTask
	switch {
	case p.Contain == offboard.ContainNever:
		return outcome{skip: true, result: contained{Level: "none", Why: "the policy says never"}}, nil
	case p.Contain != offboard.ContainAlways && !will:
		return outcome{skip: true, result: contained{Level: "none", Why: nobodyWaits}}, nil
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
