package offboard

import "time"

// AfterObserving is the case of somebody who left while Offramp only observed,
// now that it enforces. It belongs into a batch that opens held: switching the
// mode is no decision about anybody. ok is false where there is nothing to do:
// they are entitled again, or were made up.
func AfterObserving(p Person, reason Reason, r Rules, now time.Time) (o Opening, ok bool) {
	if p.Placeholder() || Entitled(p, r.AccessConfigured, now) {
		return o, false
	}
	how := ByGroup
	switch {
	case !p.Deleted.IsZero():
		how = ByDeletion
	case !p.Active:
		how = ByDeactivation
	}
	return newOpening(departure{was: p, is: p, reason: reason, how: how, text: "left while Offramp only observed"}, r, now), true
}
