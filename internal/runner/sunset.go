package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// SoleAccess reads who has access to one project and to no other configured
// project of the organization: directly, and through groups. An empty
// organization means the only one with that project. What cannot be told for
// certain is refused, with what to do: nobody is proposed on half a picture.
func (r *Runner) SoleAccess(ctx context.Context, organization string, project int) (offboard.SoleAccess, error) {
	org, err := r.withProject(organization, project)
	if err != nil {
		return offboard.SoleAccess{}, err
	}
	out := offboard.SoleAccess{Organization: org.Name, Project: project}
	access := map[int][]string{}
	byGroup := map[string][]int{}
	for _, p := range org.Projects {
		grants, err := org.Client.ProjectAccess(ctx, p.ID)
		if err != nil {
			return out, unread(p.ID, err)
		}
		out.Looked = append(out.Looked, p.ID)
		for _, g := range grants {
			switch g.PrincipalType {
			case "user":
				access[p.ID] = append(access[p.ID], g.PrincipalID)
			case "group": // whether its people are listed besides is not documented
				byGroup[g.PrincipalID] = append(byGroup[g.PrincipalID], p.ID)
			}
		}
	}
	if len(byGroup) > 0 {
		groups, err := org.Client.WithShare(amplitude.ShareOther).Groups(ctx)
		if err != nil {
			return out, unread(project, err)
		}
		for _, g := range groups {
			for _, id := range byGroup[g.ID] {
				for _, m := range g.Members {
					access[id] = append(access[id], m.Email)
				}
			}
			delete(byGroup, g.ID)
		}
		for id, projects := range byGroup {
			return out, unsure("group %s has access to project %d and is in no list of groups, so who is in it is not known", id, projects[0])
		}
	}
	slices.Sort(out.Looked)
	out.People = offboard.OnlyOn(project, access)
	return out, org.each(ctx, &out)
}

// each asks about every person what they have access to. Their answers have to
// agree with the lists: one that is cut short would make many people leave.
func (o *organization) each(ctx context.Context, out *offboard.SoleAccess) error {
	for _, who := range out.People {
		all, err := o.accessOf(ctx, who)
		for asked := retryAfter(err); asked > 0 && asked <= time.Minute; asked = retryAfter(err) { // a hundred a minute
			select {
			case <-time.After(asked):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			all, err = o.accessOf(ctx, who)
		}
		switch {
		case notFound(err):
			return unsure("Amplitude does not tell what %s has access to", who)
		case err != nil:
			return unread(out.Project, err)
		case !slices.Contains(all, out.Project):
			return unsure("Amplitude lists %s on project %d, and when asked about them does not", who, out.Project)
		}
		for _, other := range offboard.Elsewhere(out.Project, all) {
			if slices.Contains(out.Looked, other) {
				return unsure("the list of who has access to project %d leaves out %s, who has", other, who)
			}
			if !slices.Contains(out.More, who) {
				out.More = append(out.More, who)
			}
		}
	}
	return nil
}

// accessOf reads to which projects of an organization a member has access.
func (o *organization) accessOf(ctx context.Context, address string) (projects []int, err error) {
	grants, err := o.Client.Access(ctx, address)
	for _, g := range grants {
		projects = append(projects, g.ProjectID)
	}
	return projects, err
}

// elsewhere tells what somebody who is removed because a project ended can reach
// besides it by now; empty: nothing. Much may happen until a proposal is released.
func (a *attempt) elsewhere(ctx context.Context) (string, error) {
	d := a.file.Person.Removal
	if a.file.Case.Reason != offboard.ProjectSunset || d == nil || d.Project == 0 {
		return "", nil
	}
	for _, org := range a.reach(a.file.Case.Connection) {
		if org.Name != d.Organization {
			s, err := org.roster.look(ctx, amplitude.ShareOther, question{address: a.file.Case.Address, after: a.now().Add(-recent)})
			if err != nil {
				return "", err
			}
			if !s.clear() {
				return "a seat in organization " + org.Name, nil
			}
			continue
		}
		all, err := org.accessOf(ctx, a.file.Case.Address)
		if notFound(err) { // without a seat there is no access
			err = a.seatless(ctx, org)
		}
		if err != nil {
			return "", err
		}
		if more := offboard.Elsewhere(d.Project, all); len(more) > 0 {
			return fmt.Sprintf("access to project %d", more[0]), nil
		}
	}
	return "", nil
}

// sunsetOver stops a case whose reason is gone before it hands anything over or
// asks anybody: by now the person can reach something besides the project.
func (a *attempt) sunsetOver(ctx context.Context) (outcome, error) {
	if a.file.Case.Override == offboard.OverrideAll {
		return outcome{}, nil
	}
	more, err := a.elsewhere(ctx)
	if err != nil || more == "" {
		return outcome{}, err
	}
	return outcome{attention: offboard.Reaches(more)}, nil
}

// seatless checks that somebody of whom Amplitude tells no access has no seat, so
// that there is none.
func (a *attempt) seatless(ctx context.Context, org *organization) error {
	s, err := org.roster.look(ctx, amplitude.ShareOther, question{address: a.file.Case.Address, after: a.now().Add(-recent)})
	if err != nil || s.clear() {
		return err
	}
	return &permanentError{text: "Amplitude does not tell what the member has access to in " + org.Name + ", so that nobody can say whether the project " +
		"that ended was still all they had; look in Amplitude, then retry, or cancel the case"}
}

// unsure refuses to propose anybody where Amplitude contradicts itself.
func unsure(format string, args ...any) error {
	return &offboard.RefusedError{Because: fmt.Sprintf(format, args...) + ": nobody is proposed; try again later, or look in Amplitude under Settings > Projects"}
}

// Seated reports whether an address has a seat in an organization.
func (r *Runner) Seated(ctx context.Context, organization, address string) (bool, error) {
	org := r.orgs[organization]
	if org == nil {
		return false, nil
	}
	_, err := org.Client.WithShare(amplitude.ShareOther).Member(ctx, address)
	if notFound(err) {
		_, err = org.roster.prove(ctx, org.Client.WithShare(amplitude.ShareOther), address, r.now())
		if err == nil {
			return false, nil
		}
	}
	if err != nil {
		return false, &offboard.RefusedError{Because: "organization " + organization + " could not be asked: " + err.Error() + "; try again later"}
	}
	return true, nil
}

// withProject finds the organization of a project and checks that its access can
// be read and compared.
func (r *Runner) withProject(name string, project int) (*organization, error) {
	var found []*organization
	for _, org := range r.orgs {
		has := slices.ContainsFunc(org.Projects, func(p Project) bool { return p.ID == project })
		if has && (name == "" || name == org.Name) {
			found = append(found, org)
		}
	}
	refuse := func(format string, args ...any) error {
		return &offboard.RefusedError{Because: fmt.Sprintf(format, args...)}
	}
	switch {
	case len(found) == 0:
		return nil, refuse("project %d does not stand under organizations in the configuration; add it, with all other projects of its organization", project)
	case len(found) > 1:
		return nil, refuse("project %d stands under several organizations; name one of them", project)
	case !found[0].Roles:
		return nil, refuse("who has access to a project is known only to the User Management API: add org_id, org_key and org_secret to organization %s", found[0].Name)
	case len(found[0].Projects) == 1:
		return nil, refuse("project %d is the only one that stands under organization %s: add the others, "+
			"otherwise nobody can tell whose only access it is", project, found[0].Name)
	}
	return found[0], nil
}

// unread refuses to go on without a project.
func unread(project int, err error) error {
	because := err.Error()
	switch {
	case errors.Is(err, amplitude.ErrNotEnrolled):
		because = "the organization is not enrolled in the User Management API, which alone knows; ask Amplitude for it"
	case notFound(err):
		because = "Amplitude does not know it any more; take it out of the configuration, or propose its people before it is archived"
	}
	return &offboard.RefusedError{Because: fmt.Sprintf("who has access to project %d could not be read, so nobody is proposed: %s", project, because)}
}
