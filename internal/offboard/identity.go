package offboard

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
)

// isLeaver reports whether a name or an address is the leaver's.
func isLeaver(f File, who string) bool {
	return samePerson(f.Case.Address, who) || f.Person.isCalled(who)
}

// isCalled reports whether a name or an address is the person's: any of their
// addresses, an id, or their name written as an operator's.
func (p Person) isCalled(who string) bool {
	for _, address := range p.Addresses() {
		if samePerson(address, who) {
			return true
		}
	}
	for _, id := range []string{p.ID, p.ExternalID} {
		if id != "" && Fold(id) == Fold(who) {
			return true
		}
	}
	if strings.Contains(who, "@") {
		return false
	}
	for _, name := range []string{p.DisplayName, p.GivenName + " " + p.FamilyName} {
		if n := nameWords(name); len(n) > 1 && slices.Equal(n, nameWords(who)) {
			return true
		}
	}
	return false
}

// words splits a name into its words, folded: Jo Smith and jo-smith are the same.
func nameWords(name string) []string {
	return strings.FieldsFunc(Fold(name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// isSuccessor reports whether somebody is named to take something over.
func isSuccessor(f File, who string) bool {
	for _, name := range f.Successors() {
		if f.same(name, who) {
			return true
		}
	}
	return false
}

// Successors lists everybody who is named to take something over, as they were
// named: an address mostly.
func (f File) Successors() []string {
	var out []string
	add := func(name string) {
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	add(f.Person.Claims.Successor)
	if s := f.Step(StepHandover); s != nil && len(s.Result) > 0 {
		var picked struct {
			Successor string `json:"successor"`
		}
		_ = json.Unmarshal(s.Result, &picked) // a result of another shape names nobody
		add(picked.Successor)
	}
	for _, t := range f.Tasks {
		if t.Kind != TaskAdmin && (t.State == TaskOpen || t.State == TaskDone) { // an admin takes over no content
			add(t.Successor)
		}
	}
	for _, a := range f.Assets {
		add(a.NewOwner)
	}
	return out
}

// same reports whether two names or addresses are one human's, as far as the
// directory tells.
func (f File) same(a, b string) bool {
	if samePerson(a, b) {
		return true
	}
	return slices.ContainsFunc(f.Standing.Aliases, func(one []string) bool {
		return slices.Contains(one, Fold(a)) && slices.Contains(one, Fold(b))
	})
}

// Deciding reports whether approvals of the case may still be given or counted,
// so that it matters who is who.
func (f File) Deciding() bool {
	p := f.Case.Policy
	return f.Case.State.Live() && !f.Case.Incident() && f.Step(StepApprove) != nil && !f.RemoveBegan() &&
		(p.Approvals > 0 || len(p.AlsoApprove) > 0)
}
