package offboard

import (
	"slices"
	"strings"
)

// ReviewedSeat is what a member of an organization may do, as far as it can be seen.
type ReviewedSeat struct {
	There    bool     `json:"there"`
	Pending  bool     `json:"pending,omitempty"`
	Roles    []string `json:"roles,omitempty"`  // "Web: Admin", sorted; those through groups too
	Groups   []string `json:"groups,omitempty"` // names, sorted
	Unseen   []string `json:"unseen,omitempty"` // projects on which roles are not known, sorted
	Admin    bool     `json:"admin,omitempty"`
	SoleIn   []string `json:"sole_admin_of,omitempty"` // projects
	LastSeen string   `json:"last_seen,omitempty"`     // a date, or in words why there is none
	Inactive bool     `json:"inactive,omitempty"`      // not used in the time that the configuration gives
	GoneBy   string   `json:"gone_by,omitempty"`       // not there: the case that removed it; empty: none did
}

// Strongest leaves out those of somebody's roles on one project that another of
// them includes, and sorts.
func Strongest(roles []string) []string {
	var out []string
	for _, r := range roles {
		if !slices.ContainsFunc(roles, func(other string) bool { return includes(other, r) && !includes(r, other) }) {
			out = append(out, r)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// includes reports whether a role certainly gives everything that another gives.
func includes(role, other string) bool {
	return Fold(role) == Fold(other) || Above(role, other) && !Above(other, role)
}

// Broken reports whether a decision did not come true.
func (i ReviewItem) Broken() bool { return strings.Contains(i.Held(), "although") }

// Result is Held with the case that removed somebody in place of the review's own.
func (i ReviewItem) Result() string {
	if i.After == nil || i.After.GoneBy == "" || i.After.GoneBy == i.Case {
		return i.Held()
	}
	return i.Held() + ", case " + i.After.GoneBy
}

// Held tells whether a decision came true, in words; empty: nothing to say.
func (i ReviewItem) Held() string {
	switch {
	case i.Joined:
		return "joined during the review"
	case i.After == nil:
		return ""
	case i.Decision == ReviewRemove && i.After.There:
		return "STILL THERE although the decision was to remove"
	case i.Decision == ReviewRemove:
		return "removed"
	case !i.After.There && i.After.GoneBy != "":
		return "removed meanwhile for another reason"
	case !i.After.There:
		return "gone, and nobody decided that here"
	}
	roles, groups, blind := i.Seat.change(*i.After)
	if i.Decision == ReviewDowngrade {
		if roles == (change{}) {
			roles = groups // a role tells more than the name of a group
		}
		switch {
		case roles.less && !roles.more:
			return "downgraded"
		case blind:
			return "not comparable: roles could not be read"
		case roles.more:
			return "NOT LESS access although the decision was to downgrade"
		}
		return "UNCHANGED although the decision was to downgrade"
	}
	switch {
	case roles != (change{}) || groups != (change{}):
		return "access changed meanwhile"
	case blind:
		return "unchanged as far as it could be read"
	}
	return "unchanged"
}

// change tells whether something was taken and something was given.
type change struct{ less, more bool }

// change compares what could be read both before and after. blind tells that
// something could not.
func (s ReviewedSeat) change(after ReviewedSeat) (roles, groups change, blind bool) {
	for _, g := range s.Groups {
		groups.less = groups.less || !slices.Contains(after.Groups, g)
	}
	for _, g := range after.Groups {
		groups.more = groups.more || !slices.Contains(s.Groups, g)
	}
	unseen := append(slices.Clone(s.Unseen), after.Unseen...)
	was, is := byProject(s.Roles, unseen), byProject(after.Roles, unseen)
	for project, held := range was {
		roles.less = roles.less || !included(held, is[project])
	}
	for project, held := range is {
		roles.more = roles.more || !included(held, was[project])
	}
	return roles, groups, len(unseen) > 0
}

// included reports whether each of some roles is included in one of others.
func included(roles, others []string) bool {
	return !slices.ContainsFunc(roles, func(r string) bool {
		return !slices.ContainsFunc(others, func(o string) bool { return includes(o, r) })
	})
}

// byProject sorts "project: role" by project, without some projects.
func byProject(roles, without []string) map[string][]string {
	out := map[string][]string{}
	for _, r := range roles {
		at := strings.LastIndex(r, ": ")
		if at < 0 || slices.Contains(without, r[:at]) {
			continue
		}
		out[r[:at]] = append(out[r[:at]], r[at+2:])
	}
	return out
}
