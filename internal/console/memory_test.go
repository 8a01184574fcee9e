package console_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"offramp/internal/console"
	"offramp/internal/offboard"
)

// memory is a store of cases in memory: what the console needs of one.
type memory struct {
	mu        sync.Mutex
	now       func() time.Time
	files     map[string]*offboard.File
	timeline  map[string][]offboard.Entry
	people    []*offboard.Person
	tokens    []offboard.Token
	receipts  map[string]string // secret to effect key; the case is "case-1"
	rotations []offboard.RotationFile
	pause     *offboard.Pause
	paused    []offboard.Pause // that are over, the newest first
	findings
	brakes        []offboard.Brake
	console.Links       // served by the real store, in links_test.go
	fail          error // returned by everything, if set
	broken        error // returned by Timeline
}

func (m *memory) Cases(_ context.Context, f offboard.CaseFilter) ([]offboard.Case, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []offboard.Case
	for _, file := range m.files {
		c := file.Case
		if (f.State == "" || c.State == f.State) && (f.Plan == "" || c.Plan == f.Plan) && (f.Before == "" || c.ID < f.Before) &&
			(f.Batch == "" || c.Batch == f.Batch) && (f.Connection == "" || c.Connection == f.Connection) && (f.Address == "" || c.Address == offboard.Fold(f.Address)) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b offboard.Case) int { return -compare(a.ID, b.ID) })
	return out[:min(len(out), f.Most)], m.fail
}

func compare(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

func (m *memory) Case(_ context.Context, id string) (offboard.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.file(id)
}

func (m *memory) file(id string) (offboard.File, error) {
	if m.fail != nil {
		return offboard.File{}, m.fail
	}
	f, ok := m.files[id]
	if !ok {
		return offboard.File{}, fmt.Errorf("read case: %w", offboard.ErrNotFound)
	}
	out := *f
	for _, p := range m.people {
		if p.ID == f.Case.PersonID {
			out.Person = *p
		}
	}
	return out, nil
}

func (m *memory) Timeline(_ context.Context, id string) ([]offboard.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.timeline[id], m.broken
}

func (m *memory) Tasks(_ context.Context, f offboard.TaskFilter) ([]offboard.Task, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []offboard.Task
	for _, file := range m.files {
		for _, t := range file.Tasks {
			if (f.State == "" || t.State == f.State) && (f.CaseID == "" || t.CaseID == f.CaseID) && (f.Before == "" || t.ID < f.Before) {
				out = append(out, t)
			}
		}
	}
	slices.SortFunc(out, func(a, b offboard.Task) int { return -compare(a.ID, b.ID) })
	return out[:min(len(out), f.Most)], m.fail
}

func (m *memory) Task(_ context.Context, id string) (offboard.Task, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, file := range m.files {
		for _, t := range file.Tasks {
			if t.ID == id {
				return t, nil
			}
		}
	}
	return offboard.Task{}, offboard.ErrNotFound
}

func (m *memory) Holders(_ context.Context, address string) ([]offboard.Person, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []offboard.Person
	for _, p := range m.people {
		if slices.Contains(p.Addresses(), offboard.Fold(address)) {
			out = append(out, *p)
		}
	}
	return out, m.fail
}

func (m *memory) AdoptPerson(_ context.Context, connection, address string) (offboard.Person, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.people {
		if p.Connection == connection && slices.Contains(p.Addresses(), offboard.Fold(address)) {
			if !p.Deleted.IsZero() { // the record that was made for the address before
				return *p, m.fail
			}
			return offboard.Person{}, &offboard.TakenError{Attribute: "address"}
		}
	}
	p := &offboard.Person{ID: "adopted-" + address, Connection: connection, UserName: address, Address: address, Deleted: noon()}
	m.people = append(m.people, p)
	return *p, m.fail
}

func (m *memory) Act(_ context.Context, id string, decide func(offboard.File) (offboard.Update, error)) (offboard.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := m.file(id)
	if err != nil {
		return f, err
	}
	if !f.Case.State.Live() {
		return f, offboard.ErrEnded
	}
	u, err := decide(f)
	if err != nil {
		return f, err
	}
	at := m.files[id]
	if u.State != "" {
		if !at.Case.State.CanBecome(u.State) {
			return f, fmt.Errorf("a case that is %s cannot become %s", at.Case.State, u.State)
		}
		at.Case.State = u.State
	}
	if u.Waiting != nil {
		at.Case.Waiting = *u.Waiting
	}
	if u.Note != nil {
		at.Case.Note = *u.Note
	}
	if u.Ending != "" {
		at.Case.Ending = u.Ending
	}
	if u.Outcome != "" {
		at.Case.Outcome = u.Outcome
	}
	if !u.NotBefore.IsZero() {
		at.Case.NotBefore = u.NotBefore
	}
	at.Approvals = append(at.Approvals, u.Approvals...)
	for _, t := range u.Tasks {
		*at.Task(t.Key) = t
	}
	m.write(id, u.Timeline...)
	return m.file(id)
}

func (m *memory) write(id string, entries ...offboard.Entry) {
	for _, e := range entries {
		e.Seq, e.At = int64(len(m.timeline[id])+1), m.now()
		m.timeline[id] = append(m.timeline[id], e)
	}
}

func (m *memory) NewBatch() string { return "batch-1" }

func (m *memory) Reconsider(ctx context.Context, id string, decide func(offboard.Person, offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error)) (string, error) {
	return m.Propose(ctx, "", id, decide)
}

func (m *memory) Propose(_ context.Context, batch, id string, decide func(offboard.Person, offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error)) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.people {
		if p.ID != id {
			continue
		}
		var prior offboard.PriorCase
		var live *offboard.File
		for _, f := range m.files {
			if f.Case.PersonID == id && f.Case.State.Live() {
				live = f
				prior = offboard.PriorCase{Live: true, Plan: f.Case.Plan, Reason: f.Case.Reason, Began: f.RemoveBegan()}
			}
		}
		d, v, err := decide(*p, prior)
		if err != nil {
			return "", err
		}
		p.Removal = d
		switch {
		case v.Open != nil:
			live = m.open(*p, *v.Open)
			if batch != "" {
				live.Case.State, live.Case.Waiting, live.Case.Batch = offboard.StateHeld, offboard.WaitNothing, batch
			}
		case v.Join != nil:
			live.Case.Plan, live.Case.Reason = v.Join.Plan, v.Join.Reason
		}
		if live == nil {
			return "", nil
		}
		return live.Case.ID, nil
	}
	return "", offboard.ErrNotFound
}

func (m *memory) open(p offboard.Person, o offboard.Opening) *offboard.File {
	f := &offboard.File{Case: offboard.Case{
		ID: fmt.Sprintf("case-%d", len(m.files)+1), PersonID: p.ID, Connection: p.Connection, Address: p.Address, Plan: o.Plan,
		Reason: o.Reason, Trigger: o.Trigger, Ticket: o.Ticket, Policy: o.Policy, State: o.State, Waiting: o.Waiting,
		Opened: m.now(), NotBefore: o.NotBefore, Due: o.Due,
	}, Steps: o.Steps}
	m.files[f.Case.ID] = f
	return f
}

func (m *memory) Rotations(_ context.Context, q offboard.RotationFilter) (out []offboard.RotationFile, err error) {
	for _, r := range m.rotations {
		if q.State == "" || r.Rotation.State == q.State {
			out = append(out, r)
		}
	}
	return out, m.fail
}

func (m *memory) ConfirmRotation(_ context.Context, id string, decide func(offboard.RotationFile) (offboard.RotationUpdate, error)) (offboard.RotationFile, error) {
	for i, r := range m.rotations {
		if r.Rotation.ID == id {
			u, err := decide(r)
			if err == nil {
				m.rotations[i].Rotation = u.Rotation
			}
			return m.rotations[i], err
		}
	}
	return offboard.RotationFile{}, offboard.ErrNotFound
}

func (m *memory) Receive(ctx context.Context, secret string, decide func(offboard.File, string) (offboard.Update, error)) error {
	m.mu.Lock()
	key, ok := m.receipts[secret]
	m.mu.Unlock()
	if !ok {
		return offboard.ErrNotFound
	}
	_, err := m.Act(ctx, "case-1", func(f offboard.File) (offboard.Update, error) { return decide(f, key) })
	if err == nil {
		m.mu.Lock()
		delete(m.receipts, secret)
		m.mu.Unlock()
	}
	return err
}

func (m *memory) Pause(_ context.Context, by, why string) error {
	if m.pause != nil {
		return m.pause.Already()
	}
	m.pause = &offboard.Pause{By: by, Why: why, At: m.now()}
	return nil
}

func (m *memory) Resume(_ context.Context, by, why string) error {
	if p := m.pause; p != nil {
		p.Resumed, p.ResumedBy, p.ResumedWhy = m.now(), by, why
		m.pause, m.paused = nil, append([]offboard.Pause{*p}, m.paused...)
	}
	return nil
}

func (m *memory) PastPauses(context.Context, int) ([]offboard.Pause, error) { return m.paused, m.fail }

func (m *memory) Paused(context.Context) (*offboard.Pause, error) { return m.pause, m.fail }

func (m *memory) Tokens(_ context.Context, connection string) ([]offboard.Token, error) {
	var out []offboard.Token
	for _, t := range m.tokens {
		if t.Connection == connection {
			out = append(out, t)
		}
	}
	return out, nil
}

func (m *memory) NewToken(_ context.Context, connection string, lifetime time.Duration) (id, secret string, err error) {
	t := offboard.Token{ID: fmt.Sprintf("token-%d", len(m.tokens)+1), Connection: connection, Created: m.now()}
	if lifetime > 0 {
		t.Expires = m.now().Add(lifetime)
	}
	m.tokens = append(m.tokens, t)
	return t.ID, "told once", nil
}

func (m *memory) RevokeToken(_ context.Context, connection, id string) error {
	for i := range m.tokens {
		if m.tokens[i].ID == id && m.tokens[i].Connection == connection {
			m.tokens[i].Revoked = m.now()
			return nil
		}
	}
	return offboard.ErrNotFound
}

func (m *memory) Brakes(context.Context, int) ([]offboard.Brake, error) { return m.brakes, m.fail }

func (m *memory) BrakeCases(_ context.Context, id, after string, most int) (out []offboard.BrakedCase, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.files {
		if f.Case.Batch == id && f.Case.ID > after {
			out = append(out, offboard.BrakedCase{Case: f.Case})
		}
	}
	slices.SortFunc(out, func(a, b offboard.BrakedCase) int { return compare(a.Case.ID, b.Case.ID) })
	return out[:min(most, len(out))], m.fail
}

func (m *memory) ReleaseBrake(_ context.Context, id, by, why string) (left int, ended bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.files {
		if f.Case.Batch == id && f.Case.Batched() {
			left++
		}
	}
	for i := range m.brakes {
		if m.brakes[i].ID == id && left == 0 {
			m.brakes[i].Released, m.brakes[i].By, m.brakes[i].Why = m.now(), by, why
			ended = true
		}
	}
	return left, ended, m.fail
}
