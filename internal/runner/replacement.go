package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// objectAdmin is a role Admin that is given to somebody who replaces the leaver:
// org/admin/project/address.
const objectAdmin = "admin"

// replacement asks a person who administers what only the leaver does, where a
// guard refused for want of another admin. The one who is named gets the roles on
// projects that an API can give; then the case waits until Amplitude shows them.
// Where the guard lets the step pass, nobody is asked any more.
func (a *attempt) replacement(ctx context.Context, s *offboard.Step, out outcome) (outcome, error) {
	t := a.file.Task(offboard.ReplacementKey)
	switch {
	case out.guard != offboard.GuardAdmin:
		taken := s.Name == offboard.StepContain || s.Name == offboard.StepRevoke || s.Name == offboard.StepRemove
		if t != nil && t.State == offboard.TaskOpen && taken && out.wait == "" && out.attention == "" {
			drop := *t
			drop.State, drop.Ended, drop.Note = offboard.TaskDropped, a.now(), "somebody else administers it now, or does not have to"
			out.update.Tasks = append(out.update.Tasks, drop)
		}
		return out, nil
	case t == nil:
		because := out.note + out.attention
		out.update.Tasks = append(out.update.Tasks, offboard.Replacement(a.file, a.opts.Approvers, because, a.membersPage(because)))
		return out, nil
	case t.State == offboard.TaskDeclined:
		out.note += fmt.Sprintf("; %s declined to name one: %s; offramp cases retry %s asks again", t.By, t.Note, a.file.Case.ID)
		return out, nil
	case t.State == offboard.TaskDropped:
		out.update.Tasks = append(out.update.Tasks, t.Reopened(""))
		return out, nil
	case t.State == offboard.TaskOpen:
		return out, nil
	}
	because, err := a.cannotReplace(ctx, t.Successor)
	given := false
	if err == nil && because == "" {
		given, err = a.makeAdmin(ctx, t.Successor)
	}
	if err != nil {
		return a.failed(ctx, s, err)
	}
	shows := t.Ended.Add(adminsFresh + a.opts.Tolerance)
	switch {
	case because != "":
		because = t.Successor + ", whom " + t.By + " named, " + because
	case given || a.now().Before(shows):
		return outcome{
			wait: offboard.WaitTask, until: a.now().Add(adminsFresh), guard: offboard.GuardAdmin,
			note: "waiting until Amplitude shows that " + t.Successor + " administers what the leaver does: " + out.note + out.attention,
		}, nil
	default:
		because = "By what Amplitude shows, " + t.Successor + ", whom " + t.By + " named, does not administer it yet"
	}
	out.update.Tasks = append(out.update.Tasks, t.Reopened(because))
	out.say = string(s.Name) + ": " + because
	return out, nil
}

// membersPage is where a person makes an admin, in the organization of which a
// sentence speaks.
func (a *attempt) membersPage(because string) string {
	orgs := a.reach(a.file.Case.Connection)
	i := max(0, slices.IndexFunc(orgs, func(o *organization) bool { return strings.Contains(because, o.Name) }))
	if i >= len(orgs) {
		return ""
	}
	return a.opts.Manual.MembersPage(orgs[i].Name)
}

// cannotReplace tells why somebody cannot administer anything in the leaver's
// place; empty: they can.
func (a *attempt) cannotReplace(ctx context.Context, address string) (string, error) {
	people, err := a.opts.Store.Holders(ctx, address)
	if err != nil {
		return "", err
	}
	because := "is not known to the identity provider"
	for _, p := range people {
		leaving, err := a.opts.Store.Leaving(ctx, p.ID)
		if err != nil {
			return "", err
		}
		switch {
		case !offboard.Entitled(p, a.opts.Access, a.now()):
			because = "is not active"
		case leaving:
			because = "is leaving too"
		default:
			for _, org := range a.reach(a.file.Case.Connection) {
				if joined, err := a.joined(ctx, org, address); err != nil || joined {
					return "", err
				}
			}
			return "has no joined seat in Amplitude", nil
		}
	}
	return because, nil
}

func (a *attempt) joined(ctx context.Context, org *organization, address string) (bool, error) {
	s, err := org.roster.look(ctx, amplitude.ShareOther, question{address: address, after: a.now().Add(-recent)})
	return s.Present && !s.Pending, err
}

// makeAdmin gives somebody the role Admin on the projects that only the leaver
// administers, where the User Management API can. It reports whether it gave any.
func (a *attempt) makeAdmin(ctx context.Context, address string) (given bool, err error) {
	for _, org := range a.reach(a.file.Case.Connection) {
		if !org.Roles {
			continue
		}
		joined, err := a.joined(ctx, org, address)
		if err != nil {
			return given, err
		}
		projects, role, err := a.toReplace(ctx, org)
		switch {
		case !joined || errors.Is(err, amplitude.ErrNotEnrolled) || refusedKey(err):
			continue // a person does it
		case err != nil:
			return given, err
		}
		for _, project := range projects {
			obj := object(org.Name, objectAdmin, strconv.Itoa(project), offboard.Fold(address))
			if a.file.Effect(a.key(offboard.StepHandover, obj)).State == offboard.EffectDone {
				continue
			}
			_, done, err := a.do(ctx, change{
				step: offboard.StepHandover, object: obj, giving: true,
				text: fmt.Sprintf("about to give %s the role Admin on project %d in %s, in place of the leaver", address, project, org.Name),
				call: func(ctx context.Context) (string, bool, error) {
					return "role Admin given", false, giveAdmin(ctx, org, address, project, role)
				},
			})
			if err != nil {
				return given, err
			}
			given = given || done
		}
	}
	return given, nil
}

// toReplace lists the projects of an organization that only the leaver
// administers, and the id of the role.
func (a *attempt) toReplace(ctx context.Context, org *organization) (projects []int, role string, err error) {
	admins, stays := map[int][]string{}, map[string]bool{}
	for _, p := range org.Projects {
		grants, err := org.Client.ProjectAccess(ctx, p.ID)
		if err != nil {
			return nil, "", err
		}
		admins[p.ID] = nil
		for _, g := range grants {
			who := offboard.Fold(g.PrincipalID)
			if g.PrincipalType != "user" || !strings.EqualFold(g.RoleName, "Admin") {
				continue
			}
			role = g.RoleID
			if _, known := stays[who]; !known {
				if stays[who], err = a.stays(ctx, who); err != nil {
					return nil, "", err
				}
			}
			if stays[who] {
				admins[p.ID] = append(admins[p.ID], who)
			}
		}
	}
	return offboard.ToReplace(a.leaver(), admins), role, nil
}

func (a *attempt) leaver() []string {
	return append(a.file.Person.Addresses(), offboard.Fold(a.file.Case.Address))
}

// stays reports whether an admin is the leaver, or is not leaving too.
func (a *attempt) stays(ctx context.Context, address string) (bool, error) {
	if slices.Contains(a.leaver(), address) {
		return true, nil
	}
	people, err := a.opts.Store.Holders(ctx, address)
	if err != nil {
		return false, err
	}
	for _, p := range people {
		if leaving, err := a.opts.Store.Leaving(ctx, p.ID); err != nil || leaving {
			return false, err
		}
	}
	return true, nil
}

// giveAdmin makes the role on a project Admin, whatever it was.
func giveAdmin(ctx context.Context, org *organization, address string, project int, role string) error {
	held, err := org.Client.Assignments(ctx, address)
	if err != nil {
		return err
	}
	for _, h := range held {
		switch {
		case h.ProjectID != project:
		case h.RoleID == role:
			return nil
		default:
			return org.Client.ChangeRole(ctx, h.ID, role)
		}
	}
	return org.Client.Assign(ctx, address, project, role)
}
