package offboard

import "time"

// AfterObserving is the case of somebody who left while Offramp only observed,
// now that it enforces. It belongs into a batch that opens held: switching the
// mode is no decision about anybody. ok is false where there is nothing to do:
// they are entitled again, or were made up. Of somebody who moved meanwhile, and
// keeps the seat, it is the reduction that their policy asks for.
func AfterObserving(p Person, reason Reason, r Rules, now time.Time) (o Opening, ok bool) {
	entitled := Entitled(p, r.AccessConfigured, now)
	if p.Placeholder() {
		return o, false
	}
	if entitled {
		moved, ok := Policy{}, false
		if p.Removal.Keeping() {
			moved, ok = r.Triggers.Named(p.Removal.Policy)
		}
		if !ok || moved.Plan != Mover {
			return o, false
		}
		moved.Why = "its trigger became true while Offramp only observed"
		return newOpening(departure{
			was: p, is: p, reason: reason, how: ByPolicy, text: "moved while Offramp only observed", policy: &moved,
		}, r, now), true
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
