package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// Reconsider lets a person's word open or change a case: decide sees the
// person and their earlier cases, and returns the standing removal decision
// (nil: none) and what follows. It returns the live case, if there is one.
func (s *Store) Reconsider(ctx context.Context, personID string, decide func(offboard.Person, offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error)) (caseID string, err error) {
	return s.Propose(ctx, "", personID, decide)
}

// NewBatch is the id of a batch for Propose.
func (s *Store) NewBatch() string { return newID() }

// Propose is Reconsider where a case that opens is held as one of a batch. An
// empty batch is none.
func (s *Store) Propose(ctx context.Context, batch, personID string, decide func(offboard.Person, offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error)) (caseID string, err error) {
	err = s.transact(ctx, func(t *tx) error {
		caseID, err = t.propose(ctx, batch, personID, decide)
		return err
	})
	return caseID, err
}

func (t *tx) propose(ctx context.Context, batch, personID string, decide func(offboard.Person, offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error)) (caseID string, err error) {
	row, err := t.LockPerson(ctx, personID)
	if err != nil {
		return "", fmt.Errorf("lock person: %w", missing(err))
	}
	p, err := personOf(row)
	if err != nil {
		return "", err
	}
	if err := withGroups(ctx, t.Queries, &p); err != nil {
		return "", err
	}
	prior, err := t.prior(ctx, personID)
	if err != nil {
		return "", err
	}
	removal, verdict, err := decide(p, prior)
	if err != nil {
		return "", err
	}
	if err := t.setRemoval(ctx, personID, removal); err != nil {
		return "", err
	}
	if err := t.applyHeld(ctx, p, verdict, batch); err != nil {
		return "", err
	}
	live, err := t.LiveCaseOf(ctx, personID)
	if errors.Is(missing(err), ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the live case: %w", err)
	}
	return live.ID, nil
}

// setRemoval records a person's standing removal decision; nil ends it.
func (t *tx) setRemoval(ctx context.Context, personID string, d *offboard.Decision) error {
	text := ""
	if d != nil {
		b, err := json.Marshal(d)
		if err != nil {
			return fmt.Errorf("encode the removal decision: %w", err)
		}
		text = string(b)
	}
	if err := t.SetRemoval(ctx, db.SetRemovalParams{Removal: text, ID: personID}); err != nil {
		return fmt.Errorf("record the removal decision: %w", err)
	}
	return nil
}

// Turn reports whether this call is the one that does a periodic job: the
// first after its due time, on whichever replica; the next is every later.
func (s *Store) Turn(ctx context.Context, name string, every time.Duration) (mine bool, err error) {
	err = s.transact(ctx, func(t *tx) error {
		n, err := t.ClaimSchedule(ctx, db.ClaimScheduleParams{
			Name: name, NextDue: t.now.Add(every).UnixMilli(), Now: t.now.UnixMilli(),
		})
		if err != nil {
			return fmt.Errorf("claim schedule: %w", err)
		}
		mine = n == 1
		return nil
	})
	return mine, err
}

// Postpone lets nobody have a turn before so long has passed: whoever works
// keeps it, or gives it back.
func (s *Store) Postpone(ctx context.Context, name string, by time.Duration) error {
	return s.transact(ctx, func(t *tx) error {
		if err := t.PostponeSchedule(ctx, db.PostponeScheduleParams{Name: name, NextDue: t.now.Add(by).UnixMilli()}); err != nil {
			return fmt.Errorf("postpone a schedule: %w", err)
		}
		return nil
	})
}

// Counts are the live cases of one plan and state.
type Counts struct {
	Plan   offboard.PlanName
	State  offboard.State
	Number int
	Oldest time.Time // when the first of them might begin
}

// Stats is what the gauges show.
type Stats struct {
	Cases        []Counts
	Overdue      map[offboard.PlanName]int
	TasksOverdue map[offboard.TaskKind]int
}

// Stats counts live cases and tasks.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	st := Stats{Overdue: map[offboard.PlanName]int{}, TasksOverdue: map[offboard.TaskKind]int{}}
	q, now := s.queries(), s.now().UnixMilli()
	rows, err := q.CountCases(ctx)
	if err != nil {
		return st, fmt.Errorf("count cases: %w", err)
	}
	for _, r := range rows {
		st.Cases = append(st.Cases, Counts{
			Plan: offboard.PlanName(r.Plan), State: offboard.State(r.State), Number: int(r.Number), Oldest: moment(r.Oldest),
		})
	}
	overdue, err := q.CountOverdue(ctx, now)
	if err != nil {
		return st, fmt.Errorf("count overdue cases: %w", err)
	}
	for _, r := range overdue {
		st.Overdue[offboard.PlanName(r.Plan)] = int(r.Number)
	}
	tasks, err := q.CountTasksOverdue(ctx, now)
	if err != nil {
		return st, fmt.Errorf("count overdue tasks: %w", err)
	}
	for _, r := range tasks {
		st.TasksOverdue[offboard.TaskKind(r.Kind)] = int(r.Number)
	}
	return st, nil
}
