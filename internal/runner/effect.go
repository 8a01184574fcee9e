package runner

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"offramp/internal/offboard"
)

// change is one outward change.
type change struct {
	step    offboard.StepName
	object  string
	text    string   // what is about to happen, for the timeline
	address string   // of the seat; empty: the case's
	claim   []string // organizations whose seat the case claims first
	giving  bool     // it gives something back: the guards that protect people from loss do not apply
	secret  string   // under which a hook may answer later
	until   time.Time

	// reserve takes from the request budget what the call needs, before
	// anything is recorded: an intention that waits for the budget would keep
	// the case from being cancelled, and make the next attempt read first.
	// nil: the call needs nothing.
	reserve func(ctx context.Context) error
	// read tells whether the change has already happened; it is asked where an
	// earlier attempt may have made the call. nil: the call itself is idempotent.
	read func(ctx context.Context) (done bool, response string, err error)
	// call makes the change. pending means that the other side will answer later.
	call func(ctx context.Context) (response string, pending bool, err error)
}

// key names an effect for ever: the case, the step and the object.
func (a *attempt) key(step offboard.StepName, object string) string {
	return a.file.Case.ID + "/" + string(step) + "/" + object
}

// do makes a change at most once in effect: it is recorded as intended before
// the call and as done after it, and where an earlier attempt left it intended,
// the remote state is read first. The permission tells whether it was allowed;
// done, whether it is finished.
func (a *attempt) do(ctx context.Context, c change) (p offboard.Permission, done bool, err error) {
	key := a.key(c.step, c.object)
	in := offboard.Intent{
		Step: c.step, Key: key, Object: c.object, Text: c.text, Lease: lease, Address: c.address, Claim: c.claim, Receipt: c.secret, Until: c.until,
	}
	var seen guarded
	if org := a.guarding(c); org != nil && a.file.Effect(key).State != offboard.EffectDone {
		if seen, err = a.guards(ctx, c.step, org); err != nil {
			return p, false, err
		}
	}
	in.Others = seen.admins.Others()
	guard := func(f offboard.File) offboard.Permission {
		facts := offboard.GuardFacts{File: f, Step: c.step, Observe: a.opts.Observe, Approvers: a.opts.Approvers, Now: a.now()}
		if c.giving {
			return giving(facts)
		}
		facts.Admin, facts.Token, facts.Elsewhere = seen.admins.Irreplaceable(f.Standing.Losing), seen.token, seen.more
		facts.Unseen = seen.blind()
		facts.Outside = a.outside(cmp.Or(c.address, f.Case.Address))
		facts.Protected = f.Protected(a.opts.Protected)
		p := offboard.Guard(facts)
		if p.Allowed {
			p.Because = seen.said(facts.Admin)
		}
		return p
	}
	if c.reserve != nil && a.file.Effect(key).State == offboard.EffectNone && guard(a.file).Allowed {
		if err := c.reserve(ctx); err != nil {
			return p, false, err
		}
	}
	was, p, err := a.opts.Store.Intend(ctx, a.fence, in, guard)
	if err != nil || was.State == offboard.EffectDone {
		return p, was.State == offboard.EffectDone, err
	}
	if !p.Allowed && (was.State != offboard.EffectIntended || p.Outcome != offboard.OutcomeRehired || c.read == nil) {
		return p, false, nil
	}
	if was.State == offboard.EffectIntended && c.read != nil {
		found, response, err := c.read(ctx)
		if err != nil {
			return p, false, err
		}
		if found {
			p.Allowed = true // it has happened, whatever the guards say now
			return p, true, a.did(ctx, key, c, response+" (found done after an interrupted attempt)")
		}
	}
	if !p.Allowed {
		return p, false, nil
	}
	response, pending, err := c.call(ctx)
	if err != nil || pending {
		return p, false, err
	}
	return p, true, a.did(ctx, key, c, response)
}

// did records an effect as done.
func (a *attempt) did(ctx context.Context, key string, c change, response string) error {
	f, err := a.opts.Store.Checkpoint(ctx, a.fence, lease, func(offboard.File) (offboard.Update, error) {
		return offboard.Update{
			Effects:  []offboard.Effect{{Key: key, Response: response}},
			Timeline: []offboard.Entry{{Actor: "offramp", Kind: "effect", Text: fmt.Sprintf("%s %s: %s", c.step, c.object, response)}},
		}, nil
	})
	if err == nil {
		a.file = f
	}
	return err
}

// giving is the guard for what gives something back.
func giving(f offboard.GuardFacts) offboard.Permission {
	switch {
	case f.Observe:
		return offboard.Permission{Outcome: offboard.OutcomeObserved, Because: "observe mode"}
	case f.File.Standing.HeldBy != "":
		return offboard.Permission{State: offboard.StateNeedsAttention, Because: "somebody else holds this address now"}
	case f.File.Standing.Paused != nil:
		return f.File.Standing.Paused.Wait(f.Now, f.File.Case.Incident())
	}
	return offboard.Permission{Allowed: true}
}

// refused turns the guards' answer into what becomes of the step.
func refused(p offboard.Permission) outcome {
	switch {
	case p.Cancel:
		return outcome{cancel: p.Because}
	case p.Outcome != "":
		return outcome{end: p.Outcome, note: p.Because}
	case p.State == offboard.StateNeedsAttention:
		return outcome{attention: p.Because, guard: p.Guard}
	case p.State == offboard.StateHeld:
		return outcome{wait: offboard.WaitPaused, note: p.Because}
	}
	return outcome{wait: p.Waiting, until: p.Until, note: p.Because, guard: p.Guard}
}

// object joins the parts of an effect's object.
func object(parts ...string) string { return strings.Join(parts, "/") }

func newSecret() string { return rand.Text() + rand.Text() }
