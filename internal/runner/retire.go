package runner

import (
	"context"
	"fmt"
	"time"

	"offramp/internal/offboard"
	"offramp/transfer"
)

// How late probes go on.
const (
	probeSoon  = 5 * time.Minute
	probeLater = time.Hour
)

// retire ends the old credential when its overlap is over, or every consumer is
// said to use the new one: through the hook that made the replacement, where it
// can, else through a person.
func (t *turn) retire(ctx context.Context) (*rest, error) {
	rot := t.file.Rotation
	at := t.retireAt()
	if t.now().Before(at) {
		return &rest{wake: at, note: "both work until " + at.UTC().Format(time.RFC3339)}, nil
	}
	hook := t.rotatorNamed(rot.By)
	retirer, can := hook.(transfer.Retirer)
	switch {
	case t.cred.Kind.EndsWithReplacement():
		return nil, t.retired(ctx, "it ended when the new one was made ("+rot.How+")")
	case rot.Op == offboard.OpRetire && rot.Answer != "":
		return nil, t.retired(ctx, rot.Answer+"; this is the hook's word")
	case !can, rot.Refused != "", t.own(t.cred) != "":
		return t.retireByHand(ctx)
	}
	asked, secret := t.offerCallback(ctx)
	text := fmt.Sprintf("about to end the old %s through %s, rotation %s", t.cred.Name, hook.Name(), rot.ID)
	if r, err := t.intend(ctx, offboard.OpRetire, text, secret); r != nil || err != nil {
		return r, err
	}
	receipt, err := retirer.Retire(asked, t.request())
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return t.failed(ctx, hook.Name(), "end the old", err)
	case receipt.State == transfer.StateNeedsPerson:
		return nil, t.leave(ctx, hook.Name()+" says that a person has to end the old one: "+receipt.Detail)
	case receipt.State != transfer.StateDone:
		return &rest{wake: t.now().Add(10 * time.Minute), note: "waiting for " + hook.Name() + " to end the old one"}, nil
	case receipt.Proof == transfer.ProofReadBack:
		return nil, t.retired(ctx, receiptText(receipt)+" (read back)")
	}
	return nil, t.retired(ctx, receiptText(receipt)+"; this is the hook's word")
}

// retireAt is when the overlap is over: earlier than planned where every
// consumer is said to use the new one, or an incident came meanwhile.
func (t *turn) retireAt() time.Time {
	rot := t.file.Rotation
	if rot.ConfirmedBy != "" {
		return rot.Minted
	}
	if soon := rot.Minted.Add(t.cred.Incident); t.file.Incident() && soon.Before(rot.RetireAt) {
		return soon
	}
	return rot.RetireAt
}

// retireByHand asks a person. A task that was declined is asked again later:
// the old credential still lives.
func (t *turn) retireByHand(ctx context.Context) (*rest, error) {
	rot := t.file.Rotation
	task := t.file.Task(retireKey(rot))
	if task == nil {
		receipt, err := t.opts.Manual.Retire(ctx, t.request())
		if err != nil {
			return nil, fmt.Errorf("describe the task: %w", err)
		}
		return t.ask(ctx, retireKey(rot), receipt.Task, t.now().Add(24*time.Hour), "waiting for a person to end the old one")
	}
	switch {
	case task.State == offboard.TaskDone && t.file.Leaver(task.By):
		return t.reopen(ctx, *task, fmt.Sprintf("%s is a leaver of this rotation: their word that the old %s is ended does not count", task.By, t.cred.Name))
	case task.State == offboard.TaskDone:
		return nil, t.retired(ctx, "attested by "+task.By)
	case task.State == offboard.TaskOpen:
		return &rest{note: "waiting for a person to end the old one"}, nil
	}
	again := task.Ended.Add(max(t.cred.Overlap, 24*time.Hour))
	if t.now().Before(again) {
		return &rest{wake: again, note: "the old one still works: ending it was declined by " + task.By + ": " + task.Note}, nil
	}
	return t.reopen(ctx, *task, "the old "+t.cred.Name+" still works; asked again to end it")
}

// retired records that the old one is ended, and how that is known so far.
func (t *turn) retired(ctx context.Context, proof string) error {
	return t.save(ctx, lease, func(u *offboard.RotationUpdate) {
		r := &u.Rotation
		r.State, r.Retired, r.Proof = offboard.RotationRetired, t.now(), proof
		r.Op, r.Answer, r.Refused, r.Attempts, r.Note = offboard.OpNone, "", "", 0, ""
		u.Timeline = line("retired", "the old %s is ended: %s", t.cred.Name, proof)
	})
}

// prove probes an old credential that Offramp itself knows, by a request that
// can do no harm, until it is refused. An API key may be taken for hours after
// it was revoked, and is not probed by sending events: it is public, and an
// event would be kept.
func (t *turn) prove(ctx context.Context) (*rest, error) {
	rot := t.file.Rotation
	if rot.Attempts < 0 {
		return &rest{}, nil // there is nothing more to find out
	}
	works, known, err := t.probe(ctx, t.cred, rot.Fingerprint)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, t.again(ctx, "could not look whether the old "+t.cred.Name+" is dead: "+err.Error(), probeSoon)
	case !known && rot.Fingerprint != "":
		return nil, t.closed(ctx, "Offramp holds another value by now and keeps no old one, so what was said about the old "+t.cred.Name+" cannot be probed", rot.State)
	case !known && rot.By == "":
		return nil, t.closed(ctx, "no harmless probe of an old "+string(t.cred.Kind)+" is known: that "+t.cred.Name+" is dead rests on the attestation", rot.State)
	case !known:
		return nil, t.closed(ctx, "", rot.State)
	case !works:
		return nil, t.closed(ctx, "the old "+t.cred.Name+" is proven dead: Amplitude refuses it", offboard.RotationRetired)
	}
	patience := max(time.Duration(t.cred.Kind.DiesWithin())*time.Hour, 2*probeSoon)
	until := rot.Retired.Add(patience)
	if t.now().Before(until) {
		note := fmt.Sprintf("the old %s still works; looked at again until %s", t.cred.Name, until.UTC().Format(time.RFC3339))
		return nil, t.again(ctx, note, min(probeSoon<<min(max(rot.Attempts, 0), 4), max(until.Sub(t.now()), time.Second)))
	}
	note := fmt.Sprintf("the old %s STILL WORKS %s after it was said to be ended; end it on the linked page of its task", t.cred.Name, patience)
	err = t.save(ctx, 0, func(u *offboard.RotationUpdate) {
		if u.Rotation.Note != note {
			u.Timeline = line("finding", "%s", note)
		}
		u.Rotation.State, u.Rotation.Note, u.Wake = offboard.RotationAlive, note, t.now().Add(probeLater)
	})
	if err == nil {
		err = errRested
	}
	return nil, err
}

// closed ends the probing.
func (t *turn) closed(ctx context.Context, text string, state offboard.RotationState) error {
	return t.save(ctx, lease, func(u *offboard.RotationUpdate) {
		u.Rotation.State, u.Rotation.Attempts, u.Rotation.Note = state, -1, ""
		if text != "" {
			u.Rotation.Proof += "; " + text
			u.Timeline = line("retired", "%s", text)
		}
	})
}
