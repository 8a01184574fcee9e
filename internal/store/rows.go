package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// Rows to nouns and back.

func caseOf(r db.Case) (offboard.Case, error) {
	c := offboard.Case{
		ID: r.ID, PersonID: r.PersonID, Connection: r.Connection, Address: r.Address,
		Plan: offboard.PlanName(r.Plan), Reason: offboard.Reason(r.Reason), Trigger: r.TriggerForm, Ticket: r.Ticket,
		State: offboard.State(r.State), Waiting: offboard.Waiting(r.Waiting), Note: r.Note, Guard: offboard.GuardName(r.Guard), Batch: r.Batch,
		Braked: r.Braked, Cleared: r.Cleared, Override: offboard.Override(r.Override),
		Ending: offboard.Ending(r.Ending), Outcome: offboard.Outcome(r.Outcome), Epoch: r.Epoch, Signal: r.Signal,
		Opened: moment(r.OpenedAt), NotBefore: moment(r.NotBefore), Due: moment(r.DueAt), Removed: moment(r.RemovedAt),
		Verified: moment(r.VerifiedAt), Waited: time.Duration(r.WaitedMs) * time.Millisecond, Closed: moment(r.ClosedAt),
		Held: time.Duration(r.HeldMs) * time.Millisecond,
	}
	if err := json.Unmarshal([]byte(r.Policy), &c.Policy); err != nil {
		return c, fmt.Errorf("read the policy of case %s: %w", r.ID, err)
	}
	return c, nil
}

func saved(r db.Case) db.SaveCaseParams {
	return db.SaveCaseParams{
		Plan: r.Plan, Reason: r.Reason, State: r.State, Waiting: r.Waiting, Note: r.Note, Guard: r.Guard, Ending: r.Ending,
		Outcome: r.Outcome, Epoch: r.Epoch, Signal: r.Signal, LeaseUntil: r.LeaseUntil, WakeAt: r.WakeAt,
		QueuedAt: r.QueuedAt, NotBefore: r.NotBefore, DueAt: r.DueAt, RemovedAt: r.RemovedAt,
		VerifiedAt: r.VerifiedAt, WaitedMs: r.WaitedMs, WaitSince: r.WaitSince, ClosedAt: r.ClosedAt,
		HeldMs: r.HeldMs, HeldSince: r.HeldSince, ID: r.ID,
	}
}

func steps(rows []db.Step) []offboard.Step {
	out := make([]offboard.Step, 0, len(rows))
	for _, r := range rows {
		out = append(out, offboard.Step{
			Seq: int(r.Seq), Name: offboard.StepName(r.Name), State: offboard.StepState(r.State),
			Attempts: int(r.Attempts), Result: raw(r.Result), Error: r.Error,
			Started: moment(r.StartedAt), Finished: moment(r.FinishedAt),
		})
	}
	return out
}

func (t *tx) saveStep(ctx context.Context, caseID string, s offboard.Step) error {
	err := t.InsertStep(ctx, db.InsertStepParams{
		CaseID: caseID, Seq: int64(s.Seq), Name: string(s.Name), State: string(s.State), Attempts: int64(s.Attempts),
		Result: string(s.Result), Error: s.Error, StartedAt: millis(s.Started), FinishedAt: millis(s.Finished),
	})
	if err != nil {
		return fmt.Errorf("save step %s: %w", s.Name, err)
	}
	return nil
}

func (t *tx) replaceSteps(ctx context.Context, caseID string, all []offboard.Step) error {
	if err := t.DeleteSteps(ctx, caseID); err != nil {
		return fmt.Errorf("rewrite steps: %w", err)
	}
	return t.insertSteps(ctx, caseID, all)
}

// insertSteps writes a whole plan in one statement: of all that a new case
// costs, eleven single ones would be the largest part. Of a step that has not
// begun only the name is an argument, since each argument costs too.
func (t *tx) insertSteps(ctx context.Context, caseID string, all []offboard.Step) error {
	var q strings.Builder
	q.WriteString("insert into step (case_id, seq, name, state, attempts, result, error, started_at, finished_at) values ")
	args := make([]any, 1, 1+8*len(all))
	args[0] = caseID
	for i, s := range all {
		if i > 0 {
			q.WriteString(", ")
		}
		q.WriteString("($1, ")
		if s.Seq == i+1 && s.State == offboard.StepPending && s.Attempts == 0 && len(s.Result) == 0 && s.Error == "" &&
			s.Started.IsZero() && s.Finished.IsZero() {
			args = append(args, string(s.Name))
			q.WriteString(strconv.Itoa(s.Seq) + ", $" + strconv.Itoa(len(args)) + ", '" + string(offboard.StepPending) + "', 0, '', '', 0, 0)")
			continue
		}
		q.WriteString(placeholders(len(args)+1, 8) + ")")
		args = append(args, int64(s.Seq), string(s.Name), string(s.State), int64(s.Attempts), string(s.Result), s.Error,
			millis(s.Started), millis(s.Finished))
	}
	if _, err := t.sql.ExecContext(ctx, q.String(), args...); err != nil {
		return fmt.Errorf("insert steps: %w", err)
	}
	return nil
}

func (t *tx) saveApproval(ctx context.Context, caseID string, a offboard.Approval) error {
	if a.At.IsZero() {
		a.At = t.now
	}
	files := ""
	if len(a.Attachments) > 0 {
		b, err := json.Marshal(a.Attachments)
		if err != nil {
			return fmt.Errorf("encode the attachments: %w", err)
		}
		files = string(b)
	}
	err := t.InsertApproval(ctx, db.InsertApprovalParams{
		CaseID: caseID, ByKey: offboard.Fold(a.By), ByWhom: a.By, Role: a.Role, Ticket: a.Ticket, Note: a.Note,
		At: millis(a.At), Via: string(a.Via), Attachments: files,
	})
	if err != nil {
		return fmt.Errorf("save approval: %w", err)
	}
	return nil
}

func approvalOf(r db.Approval) (offboard.Approval, error) {
	a := offboard.Approval{By: r.ByWhom, Role: r.Role, Ticket: r.Ticket, Note: r.Note, At: moment(r.At), Via: offboard.Via(r.Via)}
	if r.Attachments != "" {
		if err := json.Unmarshal([]byte(r.Attachments), &a.Attachments); err != nil {
			return a, fmt.Errorf("read the attachments of an approval of case %s: %w", r.CaseID, err)
		}
	}
	return a, nil
}

func (t *tx) saveAsset(ctx context.Context, caseID string, a offboard.Asset) error {
	err := t.InsertAsset(ctx, db.InsertAssetParams{
		CaseID: caseID, ID: a.ID, Kind: a.Kind, Organization: a.Organization, Project: int64(a.Project),
		RemoteID: a.RemoteID, Name: a.Name, State: string(a.State), NewOwner: a.NewOwner, ByWhom: a.By, Source: a.Source,
	})
	if err != nil {
		return fmt.Errorf("save asset: %w", err)
	}
	return nil
}

func (t *tx) saveTask(ctx context.Context, caseID string, k offboard.Task) error {
	k.CaseID = cmp.Or(k.CaseID, caseID) // a rotation's task stays with the case that it was opened in
	if err := t.putTask(ctx, k); err != nil {
		return err
	}
	if k.Rotation == "" {
		return nil
	}
	if err := t.WakeRotation(ctx, db.WakeRotationParams{Now: t.now.UnixMilli(), ID: k.Rotation}); err != nil {
		return fmt.Errorf("wake the rotation: %w", err)
	}
	return nil
}

func (t *tx) putTask(ctx context.Context, k offboard.Task) error {
	if k.ID == "" {
		k.ID, k.Opened = newID(), t.now
	}
	err := t.InsertTask(ctx, db.InsertTaskParams{
		ID: k.ID, CaseID: k.CaseID, RotationID: k.Rotation, Kind: string(k.Kind), TaskKey: k.Key, Title: k.Title, Body: k.Text, Link: k.Link,
		Assignee: k.Assignee, Successor: k.Successor, State: string(k.State), DueAt: millis(k.Due),
		OpenedAt: millis(k.Opened), ByWhom: k.By, Note: k.Note, EndedAt: millis(k.Ended),
	})
	if err != nil {
		return fmt.Errorf("save task: %w", err)
	}
	return nil
}

func taskOf(r db.Task) offboard.Task {
	return offboard.Task{
		ID: r.ID, CaseID: r.CaseID, Rotation: r.RotationID, Kind: offboard.TaskKind(r.Kind), Key: r.TaskKey, Title: r.Title, Text: r.Body,
		Link: r.Link, Assignee: r.Assignee, Successor: r.Successor, State: offboard.TaskState(r.State),
		Due: moment(r.DueAt), Opened: moment(r.OpenedAt), By: r.ByWhom, Note: r.Note, Ended: moment(r.EndedAt),
	}
}

func effectOf(r db.Effect) offboard.Effect {
	return offboard.Effect{
		Key: r.Key, Step: offboard.StepName(r.Step), Object: r.Object, State: offboard.EffectState(r.State),
		Response: r.Response, Intended: moment(r.IntendedAt), Done: moment(r.DoneAt),
	}
}

// personOf maps a row; groups and access are read apart.
func personOf(r db.Person) (offboard.Person, error) {
	p := offboard.Person{
		ID: r.ID, Connection: r.Connection, ExternalID: r.ExternalID, UserName: r.UserName,
		DisplayName: r.DisplayName, GivenName: r.GivenName, FamilyName: r.FamilyName,
		Address: r.Address, AddressSince: moment(r.AddressSince), Manager: r.Manager, Department: r.Department,
		Title: r.Title, Active: r.Active, Resource: r.Resource, Version: r.Version,
		Created: moment(r.CreatedAt), Modified: moment(r.ModifiedAt), Deleted: moment(r.DeletedAt),
	}
	if r.Emails != "" {
		if err := json.Unmarshal([]byte(r.Emails), &p.Emails); err != nil {
			return p, fmt.Errorf("read the addresses of person %s: %w", r.ID, err)
		}
	}
	if r.Claims != "" {
		if err := json.Unmarshal([]byte(r.Claims), &p.Claims); err != nil {
			return p, fmt.Errorf("read the claims of person %s: %w", r.ID, err)
		}
	}
	if r.Removal != "" {
		if err := json.Unmarshal([]byte(r.Removal), &p.Removal); err != nil {
			return p, fmt.Errorf("read the removal decision of person %s: %w", r.ID, err)
		}
	}
	if r.Shield != "" {
		if err := json.Unmarshal([]byte(r.Shield), &p.Shield); err != nil {
			return p, fmt.Errorf("read what protected person %s: %w", r.ID, err)
		}
	}
	return p, nil
}
