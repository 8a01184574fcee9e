package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// requeue is how long an enqueued job may stay unclaimed before the sweep
// enqueues another. Urgent cases are looked after sooner.
const (
	requeueUrgent = 15 * time.Second
	requeue       = 2 * time.Minute
)

func requeueFor(plan string) int64 {
	if offboard.PlanName(plan) == offboard.Emergency {
		return requeueUrgent.Milliseconds()
	}
	return requeue.Milliseconds()
}

// prior tells what a decision needs to know about a person's earlier cases.
func (t *tx) prior(ctx context.Context, personID string) (offboard.PriorCase, error) {
	row, err := t.LastCaseOf(ctx, personID)
	if errors.Is(missing(err), ErrNotFound) {
		return offboard.PriorCase{}, nil
	}
	if err != nil {
		return offboard.PriorCase{}, fmt.Errorf("read the last case: %w", err)
	}
	if row.ClosedAt == 0 {
		// Locked, so that it cannot end between this decision and its record.
		if row, err = t.LockCase(ctx, row.ID); err != nil {
			return offboard.PriorCase{}, fmt.Errorf("lock the live case: %w", err)
		}
	}
	prior := offboard.PriorCase{
		Live: row.ClosedAt == 0, Verified: row.VerifiedAt != 0, Reason: offboard.Reason(row.Reason), Outcome: offboard.Outcome(row.Outcome),
		Batched: batched(row) && !row.Braked, Braked: batched(row) && row.Braked,
	}
	if prior.Live {
		prior.Plan = offboard.PlanName(row.Plan)
		prior.NotBefore = moment(row.NotBefore)
		prior.Ending = offboard.Ending(row.Ending) == offboard.EndCancel
		if err := json.Unmarshal([]byte(row.Policy), &prior.Policy); err != nil {
			return prior, fmt.Errorf("read the policy of case %s: %w", row.ID, err)
		}
		effects, err := t.EffectsOf(ctx, row.ID)
		if err != nil {
			return prior, fmt.Errorf("read effects: %w", err)
		}
		for _, e := range effects {
			prior.Began = prior.Began || e.Step == string(offboard.StepRemove)
			prior.Revoking = prior.Revoking || e.Step == string(offboard.StepRevoke)
		}
	}
	return prior, nil
}

// batched reports whether a case is held as part of a mass change and nobody
// has released it.
func batched(row db.Case) bool {
	return row.Batch != "" && row.State == string(offboard.StateHeld) && !row.Cleared
}

// applyHeld records what a change to a person means for their cases. With the
// batch of a mass change, a new case opens held.
func (t *tx) applyHeld(ctx context.Context, p offboard.Person, v offboard.Verdict, batch string) error {
	if v.Open != nil {
		return t.open(ctx, p, *v.Open, batch)
	}
	if v.Join == nil && v.Move == nil && !v.Poke && !v.Again && v.Trace == "" && v.Claim == "" {
		return nil
	}
	row, err := t.LiveCaseOf(ctx, p.ID)
	if errors.Is(missing(err), ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the live case: %w", err)
	}
	row, err = t.LockCase(ctx, row.ID)
	if err != nil {
		return fmt.Errorf("lock the live case: %w", err)
	}
	if v.Trace != "" {
		if err := t.write(ctx, row.ID, offboard.Entry{Actor: cmp.Or(v.By, "identity provider"), Kind: "event", Text: v.Trace}); err != nil {
			return err
		}
	}
	if err := t.claim(ctx, row.ID, v.Claim, v.Approvals); err != nil {
		return err
	}
	if v.Join != nil {
		if err := t.join(ctx, p, &row, *v.Join); err != nil {
			return err
		}
	}
	if v.Move != nil {
		if err := t.move(ctx, p, &row, *v.Move); err != nil {
			return err
		}
	}
	if v.Again {
		if err := t.again(ctx, &row); err != nil {
			return err
		}
	}
	if v.Wake && row.State == string(offboard.StateNeedsAttention) {
		row.State, row.Note = string(offboard.StateRunning), ""
		if err := t.SaveCase(ctx, saved(row)); err != nil {
			return fmt.Errorf("save case: %w", err)
		}
	}
	if v.Join != nil || v.Move != nil || v.Poke || v.Again {
		return t.poke(ctx, row)
	}
	return nil
}

// open inserts a case with its plan and, where it may move now, its first job.
func (t *tx) open(ctx context.Context, p offboard.Person, o offboard.Opening, batch string) error {
	policy, err := json.Marshal(o.Policy)
	if err != nil {
		return fmt.Errorf("encode the policy: %w", err)
	}
	if batch != "" && o.State != offboard.StateNeedsAttention {
		o.State, o.Waiting = offboard.StateHeld, offboard.WaitNothing
	}
	now, address := t.now.UnixMilli(), cmp.Or(o.Address, p.Address)
	var brake *offboard.Brake
	counted := int64(0)
	if batch == "" {
		brake, err = t.brake(ctx, braking{Opening: o, connection: p.Connection, addressKey: offboard.Fold(address), since: p.AddressSince})
		if err != nil {
			return err
		}
		if o.Counts() && !p.Placeholder() {
			counted = now
		}
	}
	if brake != nil {
		o.State, o.Waiting, o.Note, batch = offboard.StateHeld, offboard.WaitNothing, brake.Held(), brake.ID
	}
	row := db.InsertCaseParams{
		ID: newID(), PersonID: p.ID, Connection: p.Connection, Address: address,
		AddressKey: offboard.Fold(address), Plan: string(o.Plan), Reason: string(o.Reason),
		TriggerForm: o.Trigger, Ticket: o.Ticket, Policy: string(policy), State: string(o.State),
		Waiting: string(o.Waiting), Note: o.Note, Batch: batch,
		OpenedAt: now, NotBefore: millis(o.NotBefore), DueAt: millis(o.Due), CountedAt: counted,
	}
	switch o.State {
	case offboard.StateRunning:
		row.WakeAt, row.QueuedAt = now+requeueFor(row.Plan), now
		t.enqueue(offboard.Job{CaseID: row.ID, Urgent: o.Plan == offboard.Emergency})
	case offboard.StateWaiting:
		row.WakeAt = millis(o.FirstLook(t.now))
	case offboard.StateHeld, offboard.StateNeedsAttention, offboard.StateVerifying, offboard.StateClosed, offboard.StateCancelled:
	}
	if err := t.InsertCase(ctx, row); err != nil {
		return fmt.Errorf("insert case: %w", err)
	}
	if brake != nil {
		if err := t.mark(ctx, db.Case{ID: row.ID, Batch: batch, Braked: true, CountedAt: row.CountedAt}); err != nil {
			return err
		}
	}
	t.told = append(t.told, o.Reason)
	if err := t.insertSteps(ctx, row.ID, o.Steps); err != nil {
		return err
	}
	if o.Policy.Failed != "" {
		t.fell = append(t.fell, offboard.PolicyFailure{Policy: o.Policy.Failed, Person: p.ID, Case: row.ID})
	}
	text := fmt.Sprintf("case opened: %s; plan %s, policy %s", o.Trigger, o.Plan, o.Policy.Name)
	if o.Policy.Why != "" {
		text += fmt.Sprintf(" (version %s), because %s", o.Policy.Version, o.Policy.Why)
	}
	switch {
	case o.Note != "":
		text += "; " + o.Note
	case o.State == offboard.StateHeld:
		text += "; held with the others of the same change, until an operator releases or cancels them"
	}
	if err := t.write(ctx, row.ID, offboard.Entry{Actor: "offramp", Kind: "opened", Text: text}); err != nil {
		return err
	}
	return t.claim(ctx, row.ID, o.Claim, o.Approvals)
}

// claim records what the identity provider says about an approval, and what
// counts of it.
func (t *tx) claim(ctx context.Context, caseID, text string, approvals []offboard.Approval) error {
	for _, a := range approvals {
		if err := t.saveApproval(ctx, caseID, a); err != nil {
			return err
		}
	}
	if text == "" {
		return nil
	}
	return t.write(ctx, caseID, offboard.Entry{Actor: "identity provider", Kind: "claim", Text: text})
}

// join rewrites the steps of a live case that have not begun, under a new epoch.
func (t *tx) join(ctx context.Context, p offboard.Person, row *db.Case, o offboard.Opening) error {
	anew := millis(o.NotBefore) < row.NotBefore || row.Plan == string(offboard.Mover) || batched(*row) && !row.Braked
	var brake *offboard.Brake
	if anew || o.Plan == offboard.Emergency {
		var err error
		if brake, err = t.brakeLive(ctx, p, *row, o); err != nil {
			return err
		}
	}
	if brake != nil && o.Beside {
		return t.leaveGoing(ctx, row, *brake)
	}
	rows, err := t.StepsOf(ctx, row.ID)
	if err != nil {
		return fmt.Errorf("read steps: %w", err)
	}
	if err := t.replaceSteps(ctx, row.ID, offboard.Rewrite(steps(rows), o.Plan)); err != nil {
		return err
	}
	reduction := row.Plan == string(offboard.Mover)
	row.Plan, row.Reason = string(o.Plan), string(o.Reason)
	text := fmt.Sprintf("more urgent: reason %s, plan %s; steps not begun were rewritten", o.Reason, o.Plan)
	if millis(o.NotBefore) < row.NotBefore {
		text = fmt.Sprintf("%s: reason %s, plan %s; the case no longer waits for %s",
			o.Trigger, o.Reason, o.Plan, moment(row.NotBefore).Format(time.RFC3339))
	}
	row.NotBefore, row.DueAt = min(row.NotBefore, millis(o.NotBefore)), min(row.DueAt, millis(o.Due))
	mass := batched(*row) && !row.Braked
	if mass {
		text = fmt.Sprintf("no longer held with the others of its mass change: %s; reason %s, plan %s", o.Trigger, o.Reason, o.Plan)
		row.NotBefore = millis(o.NotBefore)
	}
	if reduction {
		if text, err = t.supersede(ctx, row, o); err != nil {
			return err
		}
	}
	if row.State != string(offboard.StateHeld) || mass || o.Plan == offboard.Emergency {
		row.State, row.Note = string(offboard.StateRunning), o.Note
	} // else a person held it, or the brake; a person releases it
	row.Waiting, row.Ending = "", ""
	row.Epoch++
	row.LeaseUntil = 0 // the attempt at work is fenced off
	if anew || o.Plan == offboard.Emergency {
		if err := t.countAnew(ctx, row, o.Counts(), brake); err != nil {
			return err
		}
	}
	if err := t.SaveCase(ctx, saved(*row)); err != nil {
		return fmt.Errorf("save case: %w", err)
	}
	return t.write(ctx, row.ID, offboard.Entry{
		Actor: "offramp", Kind: "upgraded", Text: text,
	})
}

// brakeLive asks the brakes about a live case that begins anew: sooner than it
// would have, in place of a reduction, without the others of its mass change, or
// as an emergency. It counts as if it opened now.
func (t *tx) brakeLive(ctx context.Context, p offboard.Person, row db.Case, o offboard.Opening) (*offboard.Brake, error) {
	return t.brake(ctx, braking{Opening: o, caseID: row.ID, connection: row.Connection, addressKey: row.AddressKey, since: p.AddressSince})
}

// countAnew makes a live case count for the brakes from now on, and lets the one
// that holds it do so, unless it stands still for another word. That a person let
// go on what the case was before says nothing about what it is now.
func (t *tx) countAnew(ctx context.Context, row *db.Case, counts bool, brake *offboard.Brake) error {
	if row.CountedAt = 0; counts {
		row.CountedAt = t.now.UnixMilli()
	}
	if row.State != string(offboard.StateHeld) {
		row.Cleared = false
		if brake != nil {
			row.State, row.Waiting, row.Note = string(offboard.StateHeld), "", brake.Held()
			row.Batch, row.Braked = brake.ID, true
		}
	}
	t.stopwatch(row)
	return t.mark(ctx, *row)
}

// leaveGoing records that a case was declared an emergency and that the brake
// holds that: the removal at work goes on as it was, since to be more urgent must
// not stop it.
func (t *tx) leaveGoing(ctx context.Context, row *db.Case, brake offboard.Brake) error {
	text := brake.Beside(row.Address)
	if row.Batch == "" {
		row.Batch, row.Braked = brake.ID, true
		if err := t.mark(ctx, *row); err != nil {
			return err
		}
	}
	if row.State != string(offboard.StateHeld) {
		row.Note = text
	}
	if err := t.SaveCase(ctx, saved(*row)); err != nil {
		return fmt.Errorf("save case: %w", err)
	}
	return t.write(ctx, row.ID, offboard.Entry{Actor: "offramp", Kind: "brake", Text: text})
}

// move lets a case begin at another time. What it was at work on is fenced off:
// the next attempt gives back what was taken, and waits. One that begins sooner
// counts for the brakes as if it opened now.
func (t *tx) move(ctx context.Context, p offboard.Person, row *db.Case, m offboard.Move) error {
	sooner := millis(m.NotBefore) < row.NotBefore
	row.NotBefore, row.DueAt = millis(m.NotBefore), millis(m.Due)
	if row.State == string(offboard.StateWaiting) || row.State == string(offboard.StateRunning) {
		row.State, row.Waiting, row.Note = string(offboard.StateWaiting), string(offboard.WaitNotBefore), ""
	}
	row.Epoch++
	row.LeaseUntil = 0
	if sooner && !batched(*row) && row.State != string(offboard.StateNeedsAttention) {
		o := offboard.Opening{Plan: offboard.PlanName(row.Plan), State: offboard.State(row.State), Brake: m.Brake}
		brake, err := t.brakeLive(ctx, p, *row, o)
		if err != nil {
			return err
		}
		if err := t.countAnew(ctx, row, o.Counts(), brake); err != nil {
			return err
		}
	}
	if err := t.SaveCase(ctx, saved(*row)); err != nil {
		return fmt.Errorf("save case: %w", err)
	}
	return t.write(ctx, row.ID, offboard.Entry{
		Actor: "offramp", Kind: "moved", Text: "the case begins at " + m.NotBefore.UTC().Format(time.RFC3339),
	})
}

// again makes a case remove and verify once more, under a new epoch: the person
// came back after the removal was proven, and left again.
func (t *tx) again(ctx context.Context, row *db.Case) error {
	rows, err := t.StepsOf(ctx, row.ID)
	if err != nil {
		return fmt.Errorf("read steps: %w", err)
	}
	if err := t.replaceSteps(ctx, row.ID, offboard.Again(steps(rows))); err != nil {
		return err
	}
	if row.State != string(offboard.StateHeld) {
		row.State = string(offboard.StateRunning)
	}
	row.Waiting, row.Note, row.RemovedAt, row.VerifiedAt = "", "", 0, 0
	row.Epoch++
	row.LeaseUntil = 0
	if err := t.SaveCase(ctx, saved(*row)); err != nil {
		return fmt.Errorf("save case: %w", err)
	}
	return t.write(ctx, row.ID, offboard.Entry{Actor: "offramp", Kind: "again", Text: "left again after the removal; removing and verifying once more"})
}

// poke makes a case look at its wait again: at once where nobody works on it,
// else when the attempt at work ends.
func (t *tx) poke(ctx context.Context, row db.Case) error {
	row, err := t.SignalCase(ctx, row.ID)
	if err != nil {
		return fmt.Errorf("signal case: %w", missing(err))
	}
	now := t.now.UnixMilli()
	state := offboard.State(row.State)
	if row.LeaseUntil > now || state == offboard.StateHeld && !batched(row) || state == offboard.StateNeedsAttention {
		return nil
	}
	t.enqueue(job(row))
	err = t.QueueCase(ctx, db.QueueCaseParams{WakeAt: now + requeueFor(row.Plan), QueuedAt: now, ID: row.ID})
	if err != nil {
		return fmt.Errorf("queue case: %w", err)
	}
	return nil
}
