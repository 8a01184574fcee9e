package runner

import (
	"context"
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
	Unseen      []string `json:"unseen,omitempty"`
}

// rotate lets every credential that the leaver knew be replaced. A replacement
// belongs to the credential and serves every case that needs it; the case waits
// for it. The old one is ended later, without delaying the case.
func rotate(ctx context.Context, a *attempt, _ *offboard.Step) (outcome, error) {
	list, unseen := a.credentials()
	if len(list) == 0 {
		return outcome{skip: true, say: "rotate: no credential in the registry was known to the leaver", result: rotated{}}, nil
	}
	ids := map[string]string{}
	for _, c := range list {
		rot, err := a.opts.Store.Rotate(ctx, a.fence, a.need(c))
		if err != nil {
			return outcome{}, err
		}
		ids[c.Name] = rot.ID
		if rot.State == offboard.RotationOpen {
			if err := a.turn(ctx, rot.ID); err != nil {
				return outcome{}, err
			}
		}
	}
	f, err := a.opts.Store.Checkpoint(ctx, a.fence, lease, func(offboard.File) (offboard.Update, error) { return offboard.Update{}, nil })
	if err != nil {
		return outcome{}, err
	}
	a.file = f
	return a.served(list, ids, rotated{Unseen: unseen}), nil
}

// served says how far the replacements are that the case waits for.
func (a *attempt) served(list []Credential, ids map[string]string, res rotated) outcome {
	var waiting *outcome
	for _, c := range list {
		rot := a.rotation(ids[c.Name])
		if rot.State != offboard.RotationOpen {
			text := fmt.Sprintf("%s: %s, rotation %s", c.Name, rot.How, rot.ID)
			if rot.Minted.Before(a.file.Case.Opened) {
				text += ", made " + a.file.Case.Opened.Sub(rot.Minted).Round(time.Minute).String() + " before this case opened"
			}
			res.Credentials = append(res.Credentials, text)
			continue
		}
		out := outcome{wait: offboard.WaitHook, note: "waiting for " + c.Name + " to be replaced"}
		if rot.Note != "" {
			out.note += ": " + rot.Note
		}
		if task := a.taskOf(rot); task != nil {
			out.wait = offboard.WaitTask
			if task.State == offboard.TaskDeclined && task.CaseID == a.file.Case.ID {
				return outcome{result: res, attention: "replacing " + c.Name + " was declined: " + task.Note + "; retry, and it is asked again; " +
					"or replace it by hand, then resolve the case"}
			}
		}
		if waiting == nil || waiting.wait == offboard.WaitHook {
			waiting = &out
		}
	}
	if waiting == nil {
		return outcome{result: res, say: "rotate: " + strings.Join(res.Credentials, "; ")}
	}
	waiting.result = res
	if a.late(offboard.StepRotate) {
		return outcome{skip: true, result: res, say: "rotate: the deadline passed and the removal goes on; " + waiting.note}
	}
	if c := a.file.Case; c.Removed.IsZero() && !c.Incident() && c.Policy.AtDeadline(c.Reason) == offboard.DeadlineRemove {
		waiting.until = later(c.HandoverDeadline(), a.now())
	}
	return *waiting
}

// rotation is one of the case's rotations, as of the last checkpoint.
func (a *attempt) rotation(id string) offboard.Rotation {
	for _, r := range a.file.Rotations {
		if r.ID == id {
			return r
		}
	}
	return offboard.Rotation{}
}

func (a *attempt) taskOf(rot offboard.Rotation) *offboard.Task {
	for i, t := range a.file.Tasks {
		if t.Rotation == rot.ID && t.Key == rotateKey(rot) {
			return &a.file.Tasks[i]
		}
	}
	return nil
}

// Keys of a rotation's tasks.
func rotateKey(r offboard.Rotation) string { return "rotate/" + r.ID }
func retireKey(r offboard.Rotation) string { return "retire/" + r.ID }

func (r *Runner) rotatorFor(kind transfer.CredentialKind) transfer.Rotator {
	for _, t := range r.opts.Rotators {
		if t.Rotates(kind) {
			return t
		}
	}
	return nil
}

// rotatorNamed is the hook that made a replacement, nil where it is configured
// no more.
func (r *Runner) rotatorNamed(name string) transfer.Rotator {
	for _, t := range r.opts.Rotators {
		if t.Name() == name && name != "" {
			return t
		}
	}
	return nil
}

// Rotations works on every rotation whose time has come: replacements that a
// hook was not ready for, old credentials whose overlap is over, probes.
func (r *Runner) Rotations(ctx context.Context) error {
	if r.opts.Observe {
		return nil
	}
	ids, err := r.opts.Store.DueRotations(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		if err := r.turn(ctx, id); err != nil {
			r.log.Warn("rotation not carried on, will be repeated", zap.String("rotation", id), zap.Error(err))
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
