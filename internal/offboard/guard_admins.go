package offboard

import (
	"fmt"
	"slices"
	"strings"
)

// AdminFacts is who may administer the organizations in which somebody is about
// to lose something, as far as it can be seen. It is read before the decision.
type AdminFacts struct {
	Organizations []AdminsOf
	Known         []string // addresses that the configuration names as admins of every organization
	Unseen        []string // what could not be read, in words
}

// AdminsOf is the admins of one organization's projects, by effective access.
type AdminsOf struct {
	Organization string
	Projects     []ProjectAdmins
}

// ProjectAdmins is the admins of one project.
type ProjectAdmins struct {
	Name   string
	Admins []string // addresses
}

// Irreplaceable tells in a sentence of what the leaver is the only admin: of an
// organization, or of projects. Empty: of nothing that can be seen.
func (f AdminFacts) Irreplaceable(leaver string) string {
	is := func(who string) bool { return Fold(who) == Fold(leaver) }
	known := slices.ContainsFunc(f.Known, is)
	others := len(f.Known) > 1 || len(f.Known) == 1 && !known
	var last, sole []string
	for _, o := range f.Organizations {
		everywhere := map[string]int{}
		var alone []string
		for _, p := range o.Projects {
			for _, who := range p.Admins {
				everywhere[Fold(who)]++
			}
			if len(p.Admins) > 0 && !slices.ContainsFunc(p.Admins, func(who string) bool { return !is(who) }) {
				alone = append(alone, p.Name)
			}
		}
		another := others
		for who, n := range everywhere {
			another = another || !is(who) && n == len(o.Projects)
		}
		switch {
		case len(o.Projects) > 0 && everywhere[Fold(leaver)] == len(o.Projects) && !another:
			last = append(last, o.Organization)
		case len(alone) > 0:
			sole = append(sole, fmt.Sprintf("%s in %s", strings.Join(alone, ", "), o.Organization))
		}
	}
	if known && len(f.Known) == 1 && len(last) == 0 {
		last = append(last, "every organization, by protect.admins")
	}
	switch {
	case len(last) > 0:
		return "the leaver is the last admin of " + strings.Join(last, " and ") +
			": make somebody else an admin in Amplitude under Settings > Members & Groups"
	case len(sole) > 0:
		return "the leaver is the only admin of project " + strings.Join(sole, " and ") +
			": give somebody else the role Admin on it in Amplitude under Settings > Members & Groups"
	}
	return ""
}

// Unseen says what happens where a guard cannot see what it guards.
type Unseen string

// What happens. The zero value means proceed.
const (
	UnseenProceed Unseen = ""
	UnseenAsk     Unseen = "ask" // a person has to let the case go on
)
