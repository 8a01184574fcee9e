package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"offramp/amplitude"
	"offramp/internal/offboard"
	"offramp/transfer"
)

// turn is one claim of one rotation. A rotation is carried apart from the cases
// that it serves: it may outlive them all.
type turn struct {
	*Runner
	epoch int64
	file  offboard.RotationFile // as of the last checkpoint
	cred  Credential
	log   *zap.Logger
}

// rest is where a turn leaves its rotation.
type rest struct {
	wake time.Time // zero: only when something happens
	note string
}

// turn takes one rotation as far as it can go now. A second call, or one for a
// rotation that somebody else works on or whose time has not come, does nothing.
func (r *Runner) turn(ctx context.Context, id string) error {
	f, epoch, err := r.opts.Store.ClaimRotation(ctx, id, lease)
	if errors.Is(err, offboard.ErrLeased) {
		return nil
	}
	if err != nil {
		return err
	}
	t := &turn{Runner: r, epoch: epoch, file: f, log: r.log.With(zap.String("rotation", id))}
	if err := json.Unmarshal(f.Rotation.Spec, &t.cred); err != nil {
		return fmt.Errorf("read rotation %s: %w", id, err)
	}
	err = keeping(ctx, func(ctx context.Context) error { return r.opts.Store.KeepRotation(ctx, id, epoch, lease) }, t.run)
	if errors.Is(err, offboard.ErrFenced) || errors.Is(err, errRested) {
		return nil
	}
	return err
}

// errRested says that a rotation was given back already.
var errRested = errors.New("the rotation was given back")

// keeping runs work and keeps its lease meanwhile.
func keeping(ctx context.Context, keep, run func(context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := keep(ctx); errors.Is(err, offboard.ErrFenced) {
				stop(err)
				return
			}
		}
	}()
	err := run(ctx)
	stop(nil)
	<-done
	return err
}

// run goes from stage to stage until the rotation has to wait.
func (t *turn) run(ctx context.Context) error {
	for {
		var (
			r   *rest
			err error
		)
		was := t.file.Rotation.State
		switch was {
		case offboard.RotationOpen:
			r, err = t.replace(ctx)
		case offboard.RotationMinted:
			r, err = t.retire(ctx)
		case offboard.RotationRetired, offboard.RotationAlive:
			r, err = t.prove(ctx)
		case offboard.RotationDropped:
			r = &rest{}
		}
		if err != nil {
			return err
		}
		if r != nil {
			return t.save(ctx, 0, func(u *offboard.RotationUpdate) {
				u.Wake = r.wake
				if r.note != "" {
					u.Rotation.Note = r.note
				}
			})
		}
	}
}

// save records what change makes of the rotation as it is in the transaction.
// With keep the turn goes on.
func (t *turn) save(ctx context.Context, keep time.Duration, change func(*offboard.RotationUpdate)) error {
	f, err := t.opts.Store.CheckpointRotation(ctx, t.file.Rotation.ID, t.epoch, keep, func(f offboard.RotationFile) (offboard.RotationUpdate, error) {
		u := offboard.RotationUpdate{Rotation: f.Rotation}
		change(&u)
		return u, nil
	})
	if err == nil {
		t.file = f
	}
	return err
}

// line is a line for the timelines of all cases.
func line(kind, format string, args ...any) []offboard.Entry {
	return []offboard.Entry{{Actor: "offramp", Kind: kind, Text: fmt.Sprintf(format, args...)}}
}

// intend asks whether an outward change may be made, and records that it is
// about to be. What it returns is not nil where the change has to wait.
func (t *turn) intend(ctx context.Context, op offboard.RotationOp, text, secret string) (*rest, error) {
	if t.opts.Observe {
		return &rest{wake: t.now().Add(time.Minute), note: "observe mode: nothing is changed"}, nil
	}
	in := offboard.RotationIntent{Op: op, Text: text, Receipt: secret, Until: t.now().Add(7 * 24 * time.Hour)}
	perm, err := t.opts.Store.IntendRotation(ctx, t.file.Rotation.ID, t.epoch, in, func(f offboard.File) offboard.Permission {
		facts := offboard.GuardFacts{File: f, Step: offboard.StepRotate, Now: t.now(), Outside: t.outsideOf(f.Case.Connection, f.Case.Address)}
		facts.Protected = f.Protected(t.opts.Protected)
		return offboard.Guard(facts)
	})
	if err != nil || perm.Allowed {
		return nil, err
	}
	return &rest{wake: later(perm.Until, t.now()), note: perm.Because}, nil
}

// replace makes the replacement, through a hook or a person.
func (t *turn) replace(ctx context.Context) (*rest, error) {
	rot := t.file.Rotation
	hook := t.rotatorFor(t.cred.Kind)
	switch {
	case len(t.file.Wanted()) == 0 && rot.Op == offboard.OpNone:
		return nil, t.drop(ctx)
	case rot.Op == offboard.OpRotate && rot.Answer != "":
		return nil, t.minted(ctx, offboard.RotationDetail{By: t.hookName(hook), How: "replaced: " + rot.Answer})
	case hook == nil, rot.Refused != "", t.own(t.cred) != "":
		return t.replaceByHand(ctx)
	}
	return t.replaceByHook(ctx, hook)
}

func (t *turn) hookName(hook transfer.Rotator) string {
	if hook == nil {
		return ""
	}
	return hook.Name()
}

func (t *turn) replaceByHook(ctx context.Context, hook transfer.Rotator) (*rest, error) {
	asked, secret := t.offerCallback(ctx)
	text := fmt.Sprintf("about to replace %s through %s, for %d cases, rotation %s", t.cred.Name, hook.Name(), len(t.file.Wanted()), t.file.Rotation.ID)
	if r, err := t.intend(ctx, offboard.OpRotate, text, secret); r != nil || err != nil {
		return r, err
	}
	receipt, err := hook.Rotate(asked, t.request())
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx) // stopping, or taken over; the same key is asked again
	case err != nil:
		return t.failed(ctx, hook.Name(), "replace", err)
	case receipt.State == transfer.StateNeedsPerson:
		return nil, t.leave(ctx, hook.Name()+" says that a person has to replace it: "+receipt.Detail)
	case receipt.State != transfer.StateDone:
		return &rest{wake: t.now().Add(10 * time.Minute), note: "waiting for " + hook.Name() + ", which has accepted it"}, nil
	}
	how := "replaced: " + receiptText(receipt)
	if receipt.Proof == transfer.ProofNone {
		how += "; this is the hook's word, nothing can read it back"
	}
	return nil, t.minted(ctx, offboard.RotationDetail{By: hook.Name(), How: how, Replacement: receipt.Replacement})
}

// request is what the hooks are asked; the key is the same over all attempts.
func (t *turn) request() transfer.Rotation {
	rot := t.file.Rotation
	req := transfer.Rotation{
		Key: "rotation/" + rot.ID, Credential: t.cred.Credential, Opened: rot.Opened, RetireFrom: rot.RetireAt, Due: rot.Due,
		Attempt: rot.Attempts + 1, How: t.cred.How, Own: t.own(t.cred) != "",
	}
	if rot.State == offboard.RotationMinted {
		req.RetireFrom = t.retireAt()
	}
	for _, c := range t.file.Wanted() {
		req.Reason = string(c.Reason)
		break
	}
	return req
}

// failed decides what a hook's error means: another try, or a person. A hook
// that is away for longer than the cases can wait is a person's as well.
func (t *turn) failed(ctx context.Context, hook, verb string, err error) (*rest, error) {
	rot := t.file.Rotation
	budget, short := errors.AsType[*amplitude.BudgetError](err)
	stop, stopped := errors.AsType[*stoppedError](err)
	switch {
	case stopped:
		return &rest{wake: stop.again(t.now(), true), note: stop.because}, nil
	case short:
		return &rest{wake: t.now().Add(budget.Wait), note: "waiting for Amplitude's request budget"}, nil
	case !organizational(err) && !transfer.IsTemporary(err):
		return nil, t.leave(ctx, err.Error())
	case rot.State == offboard.RotationOpen && t.now().After(rot.Due) && t.now().After(rot.Opened.Add(time.Hour)):
		return nil, t.leave(ctx, "it is due, and "+hook+" still fails: "+err.Error())
	}
	pause := max(min(t.opts.Backoff<<min(rot.Attempts, 10), 5*time.Minute), retryAfter(err))
	if rot.State != offboard.RotationOpen {
		pause = max(pause, 10*time.Minute)
	}
	t.log.Warn("rotation failed, will be repeated", zap.String("hook", hook), zap.Int("attempt", rot.Attempts+1), zap.Error(err))
	return nil, t.again(ctx, fmt.Sprintf("could not %s %s: %s; it will be tried again", verb, t.cred.Name, err), pause)
}

// again waits for another try, and tells once why.
func (t *turn) again(ctx context.Context, note string, pause time.Duration) error {
	err := t.save(ctx, 0, func(u *offboard.RotationUpdate) {
		u.Wake = t.now().Add(pause)
		if u.Rotation.Note != note {
			u.Timeline = line(string(offboard.StepRotate), "%s", note)
		}
		u.Rotation.Attempts++
		u.Rotation.Note = note
		u.Poke = u.Rotation.Attempts == 1 && u.Rotation.State == offboard.RotationOpen
	})
	if err == nil {
		err = errRested
	}
	return err
}

// leave gives what a hook could not do to a person.
func (t *turn) leave(ctx context.Context, because string) error {
	return t.save(ctx, lease, func(u *offboard.RotationUpdate) {
		u.Rotation.Refused, u.Rotation.Op, u.Rotation.Attempts = because, offboard.OpNone, 0
		u.Timeline = line(string(offboard.StepRotate), "%s is left to a person: %s", t.cred.Name, because)
	})
}

// drop ends a rotation that nobody needs any more and that nobody began.
func (t *turn) drop(ctx context.Context) error {
	return t.save(ctx, lease, func(u *offboard.RotationUpdate) {
		u.Rotation.State, u.Rotation.Note = offboard.RotationDropped, ""
		if task := t.file.Task(rotateKey(u.Rotation)); task != nil && task.State == offboard.TaskOpen {
			gone := *task
			gone.State, gone.Ended = offboard.TaskDropped, t.now()
			u.Tasks = []offboard.Task{gone}
		}
		u.Timeline = line(string(offboard.StepRotate), "%s is not replaced: no case needs it any more", t.cred.Name)
	})
}

// minted records that the replacement is published, and whom that concerns.
func (t *turn) minted(ctx context.Context, d offboard.RotationDetail) error {
	overlap := t.cred.Overlap
	if t.file.Incident() {
		overlap = t.cred.Incident
	}
	if t.cred.Kind.EndsWithReplacement() {
		overlap = 0
	}
	return t.save(ctx, lease, func(u *offboard.RotationUpdate) {
		r := &u.Rotation
		d.Fingerprint = r.Fingerprint
		r.RotationDetail = d
		r.State, r.Minted = offboard.RotationMinted, t.now()
		r.RetireAt = r.Minted.Add(overlap)
		u.Timeline = line("rotated", "%s: %s; rotation %s serves %d cases; the old one is to end at %s",
			t.cred.Name, d.How, r.ID, len(t.file.Cases), r.RetireAt.UTC().Format(time.RFC3339))
		t.tell(u)
		u.Poke = true
	})
}

// tell writes to those who have to know of the replacement, or, where nobody
// can be written to, says on the timelines whom to tell.
func (t *turn) tell(u *offboard.RotationUpdate) {
	if len(t.cred.Tell) == 0 {
		return
	}
	u.Messages = t.audience().To(offboard.Message{
		Key: "rotated/" + u.Rotation.ID, About: offboard.AboutTasks, Subject: t.cred.Name + " was replaced",
		Text: fmt.Sprintf("%s has a new value; it is where it always is. Use it before %s, when the old one ends.",
			t.cred.Name, u.Rotation.RetireAt.UTC().Format("2 January 2006, 15:04 UTC")),
	}, false, t.cred.Tell...)
	if len(u.Messages) == 0 {
		u.Timeline = append(u.Timeline, line("told", "to be told that %s was replaced: %s", t.cred.Name, strings.Join(t.cred.Tell, ", "))...)
	}
}

// tellTasks writes to whoever has a task that an update opens.
func (t *turn) tellTasks(u *offboard.RotationUpdate) {
	u.Messages = offboard.TellTasks(offboard.File{Tasks: t.file.Tasks}, offboard.Update{Tasks: u.Tasks}, t.audience())
}

// replaceByHand asks a person, once for all cases.
func (t *turn) replaceByHand(ctx context.Context) (*rest, error) {
	rot := t.file.Rotation
	task := t.file.Task(rotateKey(rot))
	if task == nil {
		receipt, err := t.opts.Manual.Rotate(ctx, t.request())
		if err != nil {
			return nil, fmt.Errorf("describe the task: %w", err)
		}
		return t.ask(ctx, rotateKey(rot), receipt.Task, rot.Due, "waiting for a person")
	}
	now := *task
	switch {
	case now.State == offboard.TaskDone && t.file.Leaver(now.By):
		return t.reopen(ctx, now, fmt.Sprintf("%s is a leaver of this rotation: their word that %s is replaced does not count", now.By, t.cred.Name))
	case now.State == offboard.TaskDone:
		return nil, t.minted(ctx, offboard.RotationDetail{How: "replaced, attested by " + now.By})
	case t.moved(&now):
		return t.reopen(ctx, now, fmt.Sprintf("the task to replace %s goes on with case %s", t.cred.Name, now.CaseID))
	case now.State == offboard.TaskDeclined:
		if note := "declined by " + now.By + ": " + now.Note; rot.Note != note {
			return nil, t.note(ctx, note)
		}
		return &rest{}, nil
	case !rot.Due.IsZero() && rot.Due.Before(now.Due):
		now.Due = rot.Due
		return nil, t.save(ctx, lease, func(u *offboard.RotationUpdate) { u.Tasks = []offboard.Task{now} })
	}
	return &rest{note: "waiting for a person"}, nil
}

// ask opens a task of the rotation, in the first case that still runs.
func (t *turn) ask(ctx context.Context, key string, what *transfer.Task, due time.Time, note string) (*rest, error) {
	err := t.save(ctx, lease, func(u *offboard.RotationUpdate) {
		u.Tasks = []offboard.Task{{
			Kind: offboard.TaskRotate, Key: key, Title: what.Title, Text: what.Instruction, Link: what.Link,
			Assignee: t.cred.ManagedBy, State: offboard.TaskOpen, Due: due,
		}}
		t.tellTasks(u)
		u.Timeline = line(string(offboard.StepRotate), "one task for %d cases: %s", len(t.file.Cases), what.Title)
		u.Poke = true
	})
	return &rest{note: note}, err
}

func (t *turn) reopen(ctx context.Context, task offboard.Task, because string) (*rest, error) {
	task.State, task.By, task.Note, task.Ended = offboard.TaskOpen, "", "", time.Time{}
	err := t.save(ctx, lease, func(u *offboard.RotationUpdate) {
		u.Tasks, u.Poke = []offboard.Task{task}, true
		t.tellTasks(u)
		u.Timeline = line(string(offboard.StepRotate), "%s", because)
	})
	return &rest{note: "waiting for a person"}, err
}

// note tells the waiting cases something new about the wait.
func (t *turn) note(ctx context.Context, note string) error {
	return t.save(ctx, lease, func(u *offboard.RotationUpdate) { u.Rotation.Note, u.Poke = note, true })
}

// moved gives a task whose case no longer needs it to another one that runs.
func (t *turn) moved(task *offboard.Task) bool {
	next := ""
	for _, c := range t.file.Wanted() {
		if c.ID == task.CaseID {
			return false
		}
		if next == "" && c.State.Live() {
			next = c.ID
		}
	}
	if next == "" {
		return false
	}
	task.CaseID = next
	return true
}
