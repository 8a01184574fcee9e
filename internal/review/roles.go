package review

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// roles fills in who may do what on each project, directly or through a group,
// where that can be asked. unseen tells in words what could not be read.
func (v *Reviews) roles(ctx context.Context, org Organization, seats []offboard.ReviewItem, groups map[string][]int, at map[string]int) (unseen []string, err error) {
	var all, blind []string // projects, by name
	for _, p := range org.Projects {
		all = append(all, p.Name)
	}
	nothing := func(why string) ([]string, error) {
		blinded(seats, append(all, "all others"))
		return []string{org.Name + ": " + why + ", so roles and admins are not known"}, nil
	}
	switch {
	case !org.Roles:
		return nothing("no key and secret of the organization")
	case len(all) == 0:
		return nothing("no project stands in the configuration")
	}
	unseen = []string{org.Name + ": projects other than " + strings.Join(all, ", ") + ", which do not stand in the configuration"}
	for _, p := range org.Projects {
		grants, err := org.Client.ProjectAccess(ctx, p.ID)
		if errors.Is(err, amplitude.ErrNotEnrolled) {
			return nothing("not enrolled in the User Management API")
		}
		why := ""
		switch {
		case notFound(err):
			why = fmt.Sprintf("Amplitude does not know project %s (%d); take it out of the configuration if it was archived", p.Name, p.ID)
		case err != nil:
			return nil, err
		default:
			why = fill(p, grants, seats, groups, at)
		}
		if why != "" {
			unseen, blind = append(unseen, org.Name+": "+why), append(blind, p.Name)
		}
	}
	blinded(seats, blind)
	return unseen, nil
}

// blinded records on which projects the roles of some seats are not known.
func blinded(seats []offboard.ReviewItem, projects []string) {
	slices.Sort(projects)
	for i := range seats {
		seats[i].Seat.Unseen = projects
		slices.Sort(seats[i].Seat.Roles)
	}
}

// fill records the grants on one project. Whether those through a group are
// listed by person as well is not documented: both are read. why tells what is
// missing all the same.
func fill(p Project, grants []amplitude.Grant, seats []offboard.ReviewItem, groups map[string][]int, at map[string]int) (why string) {
	held := map[int][]string{}
	for _, g := range grants {
		if i, known := at[offboard.Fold(g.PrincipalID)]; known && g.PrincipalType == "user" {
			held[i] = append(held[i], g.RoleName)
		}
		if g.PrincipalType != "group" {
			continue
		}
		members, known := groups[g.PrincipalID]
		if !known {
			why = "a group with access to project " + p.Name + " is in no list of groups, so who is in it is not known"
		}
		for _, i := range members {
			held[i] = append(held[i], g.RoleName)
		}
	}
	var admins []int
	for i, roles := range held {
		s := &seats[i].Seat
		for _, role := range offboard.Strongest(roles) {
			s.Roles = append(s.Roles, p.Name+": "+role)
			if strings.EqualFold(role, "Admin") {
				s.Admin = true
				admins = append(admins, i)
			}
		}
	}
	if len(admins) == 1 && why == "" {
		s := &seats[admins[0]].Seat
		s.SoleIn = append(s.SoleIn, p.Name)
	}
	return why
}
