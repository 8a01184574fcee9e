package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"offramp/internal/offboard"
	"offramp/transfer"
)

// rotated tells what became of each credential the leaver knew.
type rotated struct {
	Credentials []string `json:"credentials"`
}

// rotate replaces every credential that the leaver knew. The old one lives on
// for the overlap and is retired later, without delaying the case.
func rotate(ctx context.Context, a *attempt, _ *offboard.Step) (outcome, error) {
	var list []Credential
	if a.opts.Credentials != nil {
		list = a.opts.Credentials(a.file.Person)
	}
	if len(list) == 0 {
		return outcome{skip: true, say: "rotate: no credential in the registry was known to the leaver", result: rotated{}}, nil
	}
	res := rotated{}
	var waiting *outcome
	for _, c := range list {
		rot, err := a.opts.Store.Rotate(ctx, a.fence, c.Name, a.file.Case.Opened)
		if err != nil {
			return outcome{}, err
		}
		if rot.State != offboard.RotationOpen {
			res.Credentials = append(res.Credentials, c.Name+": replaced, rotation "+rot.ID)
			continue
		}
		out, err := a.rotateOne(ctx, c, rot)
		if err != nil {
			return outcome{}, err
		}
		switch {
		case out.end != "" || out.cancel != "" || out.attention != "":
			return out, nil
		case out.wait != "":
			if waiting == nil {
				waiting = &outcome{wait: out.wait, until: out.until, note: out.note}
			}
			waiting.update.Tasks = append(waiting.update.Tasks, out.update.Tasks...)
		default:
			res.Credentials = append(res.Credentials, c.Name+": "+out.say)
		}
	}
	if waiting != nil {
		waiting.result = res
		return *waiting, nil
	}
	return outcome{result: res, say: "rotate: replaced " + strings.Join(res.Credentials, "; ")}, nil
}

func (a *attempt) rotateOne(ctx context.Context, c Credential, rot offboard.Rotation) (outcome, error) {
	req := rotationRequest(c, rot)
	req.Reason = string(a.file.Case.Reason)
	req.Attempt = a.file.Step(offboard.StepRotate).Attempts + 1
	hook := a.rotatorFor(c.Kind)
	if hook == nil {
		return a.rotateByHand(ctx, c, req, rot)
	}
	var receipt transfer.Receipt
	ctx, secret := a.offerCallback(ctx)
	perm, done, err := a.do(ctx, change{
		step: offboard.StepRotate, object: c.Name, text: fmt.Sprintf("about to replace %s through %s", c.Name, hook.Name()),
		secret: secret, until: a.now().Add(7 * 24 * time.Hour),
		call: func(ctx context.Context) (string, bool, error) {
			var err error
			receipt, err = hook.Rotate(ctx, req)
			return receiptText(receipt), receipt.State != transfer.StateDone, err
		},
	})
	if err != nil || !perm.Allowed {
		return refused(perm), err
	}
	if receipt.State == transfer.StateNeedsPerson {
		return a.rotateByHand(ctx, c, req, rot)
	}
	if !done {
		return outcome{wait: offboard.WaitHook, until: a.now().Add(10 * time.Minute), note: "waiting for " + hook.Name() + " to replace " + c.Name}, nil
	}
	return a.minted(ctx, c, rot, "replaced by "+hook.Name())
}

// minted records that the replacement is published.
func (a *attempt) minted(ctx context.Context, c Credential, rot offboard.Rotation, how string) (outcome, error) {
	rot.State, rot.Minted = offboard.RotationMinted, a.now()
	if _, can := a.rotatorFor(c.Kind).(transfer.Retirer); can {
		rot.RetireAt = rot.Minted.Add(a.opts.Overlap) // otherwise a person ends the old one
	}
	rot.Result = encode(c)
	f, err := a.opts.Store.Checkpoint(ctx, a.fence, lease, func(offboard.File) (offboard.Update, error) {
		return offboard.Update{Rotations: []offboard.Rotation{rot}}, nil
	})
	if err == nil {
		a.file = f
	}
	return outcome{say: how + ", rotation " + rot.ID}, err
}

// rotateByHand asks a person, once per case and credential.
func (a *attempt) rotateByHand(ctx context.Context, c Credential, req transfer.Rotation, rot offboard.Rotation) (outcome, error) {
	key := "rotate/" + c.Name
	task := a.file.Task(key)
	switch {
	case task == nil:
		r, err := a.opts.Manual.Rotate(ctx, req)
		if err != nil {
			return outcome{}, err
		}
		t := r.Task
		return outcome{wait: offboard.WaitTask, note: "waiting for a person to replace " + c.Name, update: offboard.Update{Tasks: []offboard.Task{{
			Kind: offboard.TaskRotate, Key: key, Title: t.Title, Text: t.Instruction, Link: t.Link,
			State: offboard.TaskOpen, Due: a.file.Case.Due,
		}}}}, nil
	case task.State == offboard.TaskOpen:
		return outcome{wait: offboard.WaitTask, note: "waiting for a person to replace " + c.Name}, nil
	case task.State == offboard.TaskDeclined:
		return outcome{attention: "replacing " + c.Name + " was declined: " + task.Note + "; replace it by hand, then resolve the case"}, nil
	}
	return a.minted(ctx, c, rot, "attested by "+task.By)
}

func rotationRequest(c Credential, rot offboard.Rotation) transfer.Rotation {
	return transfer.Rotation{Key: "rotation/" + rot.ID, Credential: c.Credential, Opened: rot.Opened, RetireFrom: rot.RetireAt}
}

func (r *Runner) rotatorFor(kind transfer.CredentialKind) transfer.Rotator {
	for _, t := range r.opts.Rotators {
		if t.Rotates(kind) {
			return t
		}
	}
	return nil
}

// Retire ends the old credentials whose overlap is over. Those that no hook can
// end stay minted; their task is a person's.
func (r *Runner) Retire(ctx context.Context) error {
	if r.opts.Observe {
		return nil
	}
	if stop, err := r.opts.Store.Paused(ctx); err != nil || stop != nil {
		return err
	}
	due, err := r.opts.Store.Retirable(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, rot := range due {
		if err := r.retire(ctx, rot); err != nil {
			r.log.Warn("old credential not retired, will be repeated", zap.String("rotation", rot.ID), zap.Error(err))
			errs = append(errs, err)
			rot.RetireAt = r.now().Add(10 * time.Minute) // others get their turn meanwhile
			errs = append(errs, r.opts.Store.SaveRotation(ctx, rot))
		}
	}
	return errors.Join(errs...)
}

func (r *Runner) retire(ctx context.Context, rot offboard.Rotation) error {
	c, err := credentialOf(rot)
	if err != nil {
		return err
	}
	retirer, ok := r.rotatorFor(c.Kind).(transfer.Retirer)
	if !ok {
		return nil // a person ended the old one with their task, or has to; nothing here can tell
	}
	receipt, err := retirer.Retire(ctx, rotationRequest(c, rot))
	if err != nil || receipt.State != transfer.StateDone {
		return err
	}
	rot.State, rot.Retired = offboard.RotationRetired, r.now()
	return r.opts.Store.SaveRotation(ctx, rot)
}

// credentialOf reads which credential a rotation was for.
func credentialOf(rot offboard.Rotation) (Credential, error) {
	var c Credential
	if err := json.Unmarshal(rot.Result, &c); err != nil {
		return c, fmt.Errorf("read rotation %s: %w", rot.ID, err)
	}
	return c, nil
}
