package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// file reads everything a decision about a case needs, as it is now.
func (s *Store) file(ctx context.Context, q *db.Queries, row db.Case) (f offboard.File, err error) {
	if f.Case, err = caseOf(row); err != nil {
		return f, err
	}
	person, err := q.PersonForCase(ctx, row.PersonID)
	if err != nil {
		return f, fmt.Errorf("read person: %w", missing(err))
	}
	if f.Person, err = personOf(person); err != nil {
		return f, err
	}
	stepRows, err := q.StepsOf(ctx, row.ID)
	if err != nil {
		return f, fmt.Errorf("read steps: %w", err)
	}
	f.Steps = steps(stepRows)
	assets, err := q.AssetsOf(ctx, row.ID)
	if err != nil {
		return f, fmt.Errorf("read assets: %w", err)
	}
	for _, a := range assets {
		f.Assets = append(f.Assets, offboard.Asset{
			ID: a.ID, Kind: a.Kind, Organization: a.Organization, Project: int(a.Project), RemoteID: a.RemoteID,
			Name: a.Name, State: offboard.AssetState(a.State), NewOwner: a.NewOwner, By: a.ByWhom, Source: a.Source,
		})
	}
	tasks, err := q.TasksOf(ctx, row.ID)
	if err != nil {
		return f, fmt.Errorf("read tasks: %w", err)
	}
	for _, k := range tasks {
		f.Tasks = append(f.Tasks, taskOf(k))
	}
	approvals, err := q.ApprovalsOf(ctx, row.ID)
	if err != nil {
		return f, fmt.Errorf("read approvals: %w", err)
	}
	for _, r := range approvals {
		a, err := approvalOf(r)
		if err != nil {
			return f, err
		}
		f.Approvals = append(f.Approvals, a)
	}
	effects, err := q.EffectsOf(ctx, row.ID)
	if err != nil {
		return f, fmt.Errorf("read effects: %w", err)
	}
	for _, e := range effects {
		f.Effects = append(f.Effects, effectOf(e))
	}
	rotations, err := q.RotationsOf(ctx, row.ID)
	if err != nil {
		return f, fmt.Errorf("read rotations: %w", err)
	}
	for _, r := range rotations {
		rotation, err := rotationOf(r)
		if err != nil {
			return f, err
		}
		f.Rotations = append(f.Rotations, rotation)
	}
	if err := deciders(ctx, q, &f); err != nil {
		return f, err
	}
	if f.Standing.Paused, err = paused(ctx, q); err != nil {
		return f, err
	}
	return f, s.standing(ctx, q, &f)
}

// standing reads what the directory says now about the person and the address.
func (s *Store) standing(ctx context.Context, q *db.Queries, f *offboard.File) error {
	return s.standingAt(ctx, q, f, f.Case.Address)
}

// standingAt is standing for one of the person's addresses.
func (s *Store) standingAt(ctx context.Context, q *db.Queries, f *offboard.File, address string) error {
	if err := withGroups(ctx, q, &f.Person); err != nil {
		return err
	}
	f.Standing.Groups = f.Person.Groups
	now := s.now()
	entitled := offboard.Entitled(f.Person, s.opts.AccessConfigured, f.Case.Begins(now))
	f.Standing.Entitled = offboard.Spared(f.Case.Plan, f.Person, entitled)
	holders, err := q.AddressHolders(ctx, db.AddressHoldersParams{
		ValueKey: offboard.Fold(address), PersonID: f.Person.ID,
	})
	if err != nil {
		return fmt.Errorf("read who holds the address: %w", err)
	}
	for _, h := range holders {
		other, err := personOf(db.Person{ID: h.ID, Connection: h.Connection, Active: h.Active, Removal: h.Removal})
		if err != nil {
			return err
		}
		if other.InAccess, err = inAccess(ctx, q, h.ID); err != nil {
			return err
		}
		entitled := offboard.Entitled(other, s.opts.AccessConfigured, now)
		heldBy, elsewhere := offboard.Holder(f.Case, address, other, moment(h.Since), h.Holds == 1, entitled)
		f.Standing.HeldBy = cmp.Or(heldBy, f.Standing.HeldBy)
		f.Standing.ElsewhereBy = cmp.Or(elsewhere, f.Standing.ElsewhereBy)
	}
	return nil
}

func inAccess(ctx context.Context, q *db.Queries, personID string) (bool, error) {
	n, err := q.AccessMemberships(ctx, personID)
	if err != nil {
		return false, fmt.Errorf("read access groups: %w", err)
	}
	return n > 0, nil
}

// Case returns a case with all that belongs to it, but its timeline.
func (s *Store) Case(ctx context.Context, id string) (offboard.File, error) {
	row, err := s.queries().CaseByID(ctx, id)
	if err != nil {
		return offboard.File{}, fmt.Errorf("read case: %w", missing(err))
	}
	return s.file(ctx, s.queries(), row)
}

// Cases lists cases, newest first.
func (s *Store) Cases(ctx context.Context, f offboard.CaseFilter) ([]offboard.Case, error) {
	rows, err := s.queries().CasesBefore(ctx, db.CasesBeforeParams{
		Before: before(f.Before), State: string(f.State), Plan: string(f.Plan), Connection: f.Connection,
		Batch: f.Batch, AddressKey: offboard.Fold(f.Address), Most: most(f.Most),
	})
	if err != nil {
		return nil, fmt.Errorf("list cases: %w", err)
	}
	out := make([]offboard.Case, 0, len(rows))
	for _, r := range rows {
		c, err := caseOf(r)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// Tasks lists tasks, newest first.
func (s *Store) Tasks(ctx context.Context, f offboard.TaskFilter) ([]offboard.Task, error) {
	rows, err := s.queries().TasksBefore(ctx, db.TasksBeforeParams{
		Before: before(f.Before), State: string(f.State), CaseID: f.CaseID, Most: most(f.Most),
	})
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	out := make([]offboard.Task, 0, len(rows))
	for _, r := range rows {
		out = append(out, taskOf(r))
	}
	return out, nil
}

// Task returns one task.
func (s *Store) Task(ctx context.Context, id string) (offboard.Task, error) {
	row, err := s.queries().TaskByID(ctx, id)
	if err != nil {
		return offboard.Task{}, fmt.Errorf("read task: %w", missing(err))
	}
	return taskOf(row), nil
}

// Leaving reports whether the person has a live case that ends with their seat:
// a mover stays.
func (s *Store) Leaving(ctx context.Context, personID string) (bool, error) {
	n, err := s.queries().LiveCaseCount(ctx, personID)
	if err != nil {
		return false, fmt.Errorf("read live cases: %w", err)
	}
	return n > 0, nil
}

// Holders returns everybody, in any connection and deleted or not, who holds
// an address as seat, user name or e-mail.
func (s *Store) Holders(ctx context.Context, address string) ([]offboard.Person, error) {
	rows, err := s.queries().PeopleByAddress(ctx, offboard.Fold(address))
	if err != nil {
		return nil, fmt.Errorf("find who holds the address: %w", err)
	}
	out := make([]offboard.Person, 0, len(rows))
	for _, r := range rows {
		p, err := personOf(r)
		if err != nil {
			return nil, err
		}
		if p.InAccess, err = inAccess(ctx, s.queries(), p.ID); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return slices.Clip(out), nil
}

// Evidence returns the bundle of a closed case and its SHA-256.
func (s *Store) Evidence(ctx context.Context, caseID string) (body, hash string, err error) {
	row, err := s.queries().EvidenceOf(ctx, caseID)
	if err != nil {
		return "", "", fmt.Errorf("read evidence: %w", missing(err))
	}
	return row.Body, row.Hash, nil
}

// before is the upper end of a page; ids are lower-case hexadecimal.
func before(id string) string {
	if id == "" {
		return "g" // behind every hexadecimal id, in any collation
	}
	return id
}

func most(n int) int32 {
	if n <= 0 || n > 1000 {
		return 100
	}
	return int32(n)
}
