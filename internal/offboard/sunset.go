package offboard

import (
	"slices"
	"time"
)

// SoleAccess is who has access to one project of an organization and to no other.
type SoleAccess struct {
	Organization string
	Project      int
	Looked       []int    // projects whose access was read, sorted
	People       []string // addresses, folded and sorted
	More         []string // of People: those with access to a project that was not looked at
}

// OnlyOn returns who is among the people of one project and of no other,
// sorted. access holds addresses by project; they are compared folded.
func OnlyOn(project int, access map[int][]string) []string {
	elsewhere := map[string]bool{}
	for id, people := range access {
		for _, p := range people {
			elsewhere[Fold(p)] = elsewhere[Fold(p)] || id != project
		}
	}
	var out []string
	for p, other := range elsewhere {
		if !other {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}

// Propose is OpenBy for somebody whose only access was one project: what opens
// their case was seen, not said. It waits, with the others of its batch, for a
// person's word, and until then they stay entitled.
func (s SoleAccess) Propose(p Person, prior PriorCase, o Order, r Rules, now time.Time) (*Decision, Verdict, error) {
	d, v, err := OpenBy(p, prior, o, r, now)
	if err != nil || v.Open == nil {
		return d, v, err
	}
	d.Organization, d.Project = s.Organization, s.Project
	if v.Open.State != StateNeedsAttention {
		d.Proposed = true
		v.Open.Note = "proposed with all others whose only access was the same project: release or cancel it"
	}
	return d, v, nil
}

// Released is a person's removal decision when their case is released: what was
// proposed stands.
func Released(p Person) *Decision {
	if p.Removal == nil || !p.Removal.Proposed {
		return p.Removal
	}
	d := *p.Removal
	d.Proposed = false
	return &d
}

// Elsewhere returns the projects other than one, sorted.
func Elsewhere(project int, all []int) []int {
	out := slices.DeleteFunc(slices.Clone(all), func(p int) bool { return p == project })
	slices.Sort(out)
	return slices.Compact(out)
}
