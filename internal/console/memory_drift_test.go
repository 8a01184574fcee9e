package console_test

import (
	"context"
	"slices"

	"offramp/internal/offboard"
)

// findings are what memory knows of drift.
type findings struct {
	found  []offboard.Finding
	sweeps []offboard.Sweep
}

func (m *memory) Findings(_ context.Context, f offboard.FindingFilter) ([]offboard.Finding, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []offboard.Finding
	for _, one := range m.found {
		if (f.Kind == "" || one.Kind == f.Kind) && (f.Severity == "" || one.Severity == f.Severity) && (f.All || one.Open(m.now())) && (f.Before == "" || one.ID < f.Before) {
			out = append(out, one)
		}
	}
	slices.SortFunc(out, func(a, b offboard.Finding) int { return -compare(a.ID, b.ID) })
	return out[:min(len(out), f.Most)], m.fail
}

func (m *memory) at(id string) int {
	return slices.IndexFunc(m.found, func(f offboard.Finding) bool { return f.ID == id })
}

func (m *memory) Finding(_ context.Context, id string) (offboard.Finding, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := m.at(id); i >= 0 {
		return m.found[i], m.fail
	}
	return offboard.Finding{}, offboard.ErrNotFound
}

func (m *memory) AcknowledgeFinding(_ context.Context, id string, a offboard.Acknowledgement) (offboard.Finding, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.at(id)
	if i < 0 {
		return offboard.Finding{}, offboard.ErrNotFound
	}
	if err := offboard.Acknowledge(m.found[i], a, m.now()); err != nil {
		return offboard.Finding{}, err
	}
	f := &m.found[i]
	f.State, f.AckBy, f.AckWhy, f.AckUntil = offboard.FindingAcknowledged, a.By, a.Because, a.Until
	return *f, m.fail
}

func (m *memory) LinkFinding(_ context.Context, id, caseID string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.found[m.at(id)].CaseID = caseID
	return m.fail
}

func (m *memory) Sweeps(context.Context) ([]offboard.Sweep, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.sweeps), m.fail
}

func (m *memory) AskSweep(_ context.Context, organization, by string) (offboard.Sweep, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := offboard.Sweep{Organization: organization, Asked: m.now(), AskedBy: by}
	m.sweeps = append(m.sweeps, w)
	return w, m.fail
}
