package offboard

import (
	"slices"
	"strings"
	"time"
)

// shieldFor is how long a protection outlives what gave it: identity providers
// take groups and attributes away along with the seat, some of them first.
const shieldFor = 24 * time.Hour

// Shield is how somebody was when they were last protected. What the
// configuration protects now is asked about it, so that taking somebody off the
// configuration ends this as well.
type Shield struct {
	Was  Before    `json:"was"`
	Lost time.Time `json:"lost"` // when they ceased to be protected
}

// Shield returns what a change from was to is leaves of a protection that it
// ends; nil: it ends none.
func (r Rules) Shield(was, is Person, now time.Time) *Shield {
	if r.Protected == nil || was.ID == "" || r.Protected(was) == "" || r.Protected(is) != "" {
		return nil
	}
	return &Shield{Was: *before(was), Lost: now}
}

// Protected tells why the person of a case is not removed without a person's
// word: as they are, or as they were until a day before the case opened, or
// later. Empty: nothing protects them. A nil rule protects nobody.
func (f File) Protected(rule func(Person) string) string {
	if rule == nil {
		return ""
	}
	if why := rule(f.Person); why != "" {
		return why
	}
	s := f.Person.Shield
	if s == nil || s.Lost.Before(f.Case.Opened.Add(-shieldFor)) {
		return ""
	}
	if why := rule(s.Was.of(f.Person)); why != "" {
		return why + ", as the identity provider had them until " + instant(s.Lost)
	}
	return ""
}

// Keys lists by what the file may name the group: its names, of now and before,
// and its external ids.
func (g Group) Keys() []string {
	keys := append(strings.Split(g.Former, "\n"), g.DisplayName, g.ExternalID)
	return slices.DeleteFunc(keys, func(k string) bool { return Fold(k) == "" })
}

// Known returns the group as it is now, with what was is called by before.
func (g Group) Known(was Group) Group {
	if g.DisplayName == was.DisplayName && g.ExternalID == was.ExternalID {
		return g
	}
	var former []string
	for _, k := range was.Keys() {
		if k != g.DisplayName && k != g.ExternalID && !slices.Contains(former, k) {
			former = append(former, k)
		}
	}
	g.Former = strings.Join(former, "\n")
	return g
}
