package store

import (
	"context"
	"errors"
	"math"
	"slices"

	"offramp/internal/offboard"
)

// massive reports whether a change moved so many people that what follows from
// it has to be confirmed: many lost access, or many came where a policy's
// trigger looks at groups.
func (m moved) massive(r offboard.Rules) bool {
	return m.mass || r.Triggers.WatchGroups() && offboard.MassChange(len(m.added), math.MaxInt/2, false)
}

// regrouped decides about everybody who joined or left a group, where a policy
// has a trigger that looks at groups or protection does, in the order of their ids.
func (t *tx) regrouped(ctx context.Context, g offboard.Group, rules offboard.Rules, gained, lost []string, batch string) error {
	everyone := slices.Concat(gained, lost)
	slices.Sort(everyone)
	for _, id := range slices.Compact(everyone) {
		is, err := t.lockPerson(ctx, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		was := is
		_, left := slices.BinarySearch(lost, id)
		was.Groups = slices.DeleteFunc(slices.Clone(is.Groups), func(name string) bool { return name == g.DisplayName })
		if left {
			was.Groups = append(was.Groups, g.DisplayName)
			was.GroupKeys = append(slices.Clone(is.GroupKeys), g.Keys()...)
		}
		switch {
		case g.Access == "":
		case left:
			was.InAccess = true
		default:
			if was.InAccess, err = t.accessBefore(ctx, id); err != nil {
				return err
			}
		}
		if err := t.decide(ctx, was, is, rules, batch); err != nil {
			return err
		}
	}
	return nil
}
