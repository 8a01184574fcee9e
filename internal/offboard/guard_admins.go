package offboard

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// AdminReading is who administers an organization's projects, as Amplitude told
// it last.
type AdminReading struct {
	Organization string
	Began        time.Time // zero: it was never read
	Projects     []ProjectAdmins
}

// ProjectAdmins is the admins of one project, by effective access.
type ProjectAdmins struct {
	ID     int      `json:"id"`
	Name   string   `json:"name"`
	Admins []string `json:"admins,omitempty"` // addresses; none: nobody was shown, which proves nothing
	Groups []string `json:"groups,omitempty"` // ids of the groups that have the role
	// Shown is when Amplitude showed these admins, where later readings showed
	// nobody or did not know the project; zero: the reading itself did.
	Shown time.Time `json:"shown,omitzero"`
}

// After completes a reading by the one before it: a project whose admins are not
// shown any more keeps those who were. That it has none now is nothing that
// a broken answer could be told from.
func (r AdminReading) After(last AdminReading, project int) AdminReading {
	is := func(p ProjectAdmins) bool { return p.ID == project }
	was, now := slices.IndexFunc(last.Projects, is), slices.IndexFunc(r.Projects, is)
	if was < 0 || len(last.Projects[was].Admins) == 0 || now >= 0 && len(r.Projects[now].Admins) > 0 {
		return r
	}
	kept := last.Projects[was]
	if kept.Shown.IsZero() {
		kept.Shown = last.Began
	}
	r.Projects = slices.Clone(r.Projects)
	if now < 0 {
		r.Projects = append(r.Projects, kept)
		return r
	}
	kept.Groups = r.Projects[now].Groups
	r.Projects[now] = kept
	return r
}

// AdminFacts is what is known about the admins of an organization in which
// somebody is about to lose something. It is read before the decision.
type AdminFacts struct {
	Organization string
	Leaver       []string // every address of whoever loses something
	Projects     []ProjectAdmins
	Known        []string  // addresses that the configuration names as admins: they count where a project shows nobody
	Since        time.Time // what was taken from somebody before it shows in Projects and Known
}

// Others are the admins beside somebody who is about to lose something, of whom
// it matters whether they lose something as well.
type Others struct {
	Organization string
	Addresses    []string // folded; none: nobody has to be looked for
	Since        time.Time
}

func (f AdminFacts) leaves(who string) bool {
	return slices.ContainsFunc(f.Leaver, func(l string) bool { return Fold(l) == Fold(who) })
}

// blind reports whether the configured admins have to stand in for what is not seen.
func (f AdminFacts) blind() bool {
	return len(f.Projects) == 0 || slices.ContainsFunc(f.Projects, func(p ProjectAdmins) bool { return len(p.Admins) == 0 })
}

// lists are the lists of admins that the leaver is on, each with the name of what
// it administers.
func (f AdminFacts) lists() []ProjectAdmins {
	out := slices.DeleteFunc(slices.Clone(f.Projects), func(p ProjectAdmins) bool { return !slices.ContainsFunc(p.Admins, f.leaves) })
	if f.blind() && slices.ContainsFunc(f.Known, f.leaves) {
		out = append(out, ProjectAdmins{Admins: f.Known})
	}
	return out
}

// Others lists who may stand in for the leaver, those first who do so in most
// places. Nobody, where the leaver is no admin as far as can be seen.
func (f AdminFacts) Others() Others {
	in := map[string]int{}
	out := Others{Organization: f.Organization, Since: f.Since}
	for _, l := range f.lists() {
		for _, who := range l.Admins {
			if key := Fold(who); !f.leaves(who) {
				if in[key]++; in[key] == 1 {
					out.Addresses = append(out.Addresses, key)
				}
			}
		}
	}
	slices.SortFunc(out.Addresses, func(a, b string) int { return cmp.Or(cmp.Compare(in[b], in[a]), cmp.Compare(a, b)) })
	return out
}

// Wanted reports whether who may stand in for the leaver somewhere where fewer
// than n of those who surely do can.
func (f AdminFacts) Wanted(who string, sure []string, n int) bool {
	return slices.ContainsFunc(f.lists(), func(l ProjectAdmins) bool {
		is := func(address string) bool { return Fold(address) == Fold(who) }
		have := 0
		for _, a := range l.Admins {
			if slices.Contains(sure, Fold(a)) {
				have++
			}
		}
		return have < n && slices.ContainsFunc(l.Admins, is)
	})
}

// Only leaves beside the leaver those admins who are in a list of folded addresses.
func (f AdminFacts) Only(stay []string) AdminFacts {
	keep := func(list []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(who string) bool { return !f.leaves(who) && !slices.Contains(stay, Fold(who)) })
	}
	out := f
	out.Projects = slices.Clone(f.Projects)
	for i, p := range out.Projects {
		if slices.ContainsFunc(p.Admins, f.leaves) {
			out.Projects[i].Admins = keep(p.Admins)
		}
	}
	out.Known = keep(f.Known)
	return out
}

// Irreplaceable tells in a sentence of what the leaver is the only admin: of the
// organization, or of projects. losing are the folded addresses of others who
// lose something at the same time. Empty: of nothing that can be seen.
func (f AdminFacts) Irreplaceable(losing []string) string {
	stays := func(who string) bool { return !f.leaves(who) && !slices.Contains(losing, Fold(who)) }
	everywhere := map[string]int{}
	mine := 0
	var alone, unshown []string
	for _, p := range f.Projects {
		if !slices.ContainsFunc(p.Admins, f.leaves) {
			continue
		}
		if mine++; !slices.ContainsFunc(p.Admins, stays) {
			alone = append(alone, p.Name)
			if !p.Shown.IsZero() {
				unshown = append(unshown, p.Name)
			}
		}
		for _, who := range p.Admins {
			if stays(who) {
				everywhere[Fold(who)]++
			}
		}
	}
	another := false
	for _, n := range everywhere {
		another = another || n == len(f.Projects)
	}
	const who, here = " who has joined and stays: ", " in Amplitude under Settings > Members & Groups"
	where := here
	if len(unshown) > 0 {
		where += "; Amplitude shows no admin of " + strings.Join(unshown, ", ") + " any more, so those whom it showed last count: " +
			"where a project is gone, take it out of the configuration and restart"
	}
	switch {
	case mine > 0 && mine == len(f.Projects) && !another:
		return "the leaver is the last admin of " + f.Organization + who + "make somebody else an admin" + where
	case f.blind() && slices.ContainsFunc(f.Known, f.leaves) && !slices.ContainsFunc(f.Known, stays):
		return "by protect.admins the leaver is the last admin of " + f.Organization + who + "make somebody else an admin" + here +
			", name them in protect.admins, and restart"
	case len(alone) > 0:
		return fmt.Sprintf("the leaver is the only admin of project %s in %s%sgive somebody else the role Admin on it%s",
			strings.Join(alone, ", "), f.Organization, who, where)
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
