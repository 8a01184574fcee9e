package offboard

import "slices"

// SoleAccess is who has access to one project of an organization and to no other.
type SoleAccess struct {
	Organization string
	Project      int
	Looked       []int    // projects whose access was read, sorted
	People       []string // addresses, folded and sorted
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

// Proposed is a case that waits, with the others of its batch, for a person's
// word: what opened them was seen, not said.
func Proposed(v Verdict, note string) Verdict {
	if v.Open != nil && v.Open.State != StateNeedsAttention {
		o := *v.Open
		o.Note = note
		v.Open = &o
	}
	return v
}
