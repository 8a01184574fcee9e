package offboard

import "time"

// Candidate is somebody who might take over, with where the name came from.
type Candidate struct {
	Person Person
	Source string // "named", "manager", "fallback", "task"
}

// Successor picks the first candidate who is entitled, is not the leaver, and
// is not leaving. refused tells, per rejected candidate, why.
func Successor(leaver Person, candidates []Candidate, accessConfigured bool, leaving func(personID string) bool, now time.Time) (picked *Candidate, refused []string) {
	for i, c := range candidates {
		switch {
		case c.Person.ID == leaver.ID || Fold(c.Person.Address) == Fold(leaver.Address):
			refused = append(refused, c.Source+": is the leaver")
		case !Entitled(c.Person, accessConfigured, now):
			refused = append(refused, c.Source+": is not active")
		case leaving(c.Person.ID):
			refused = append(refused, c.Source+": is leaving too")
		default:
			return &candidates[i], refused
		}
	}
	return nil, refused
}
