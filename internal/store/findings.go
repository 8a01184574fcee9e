package store

import (
	"context"
	"fmt"
	"slices"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// SaveFindings records what a sweep found outside any comparison, such as that
// its list cannot be trusted.
func (s *Store) SaveFindings(ctx context.Context, w offboard.Sweep, found ...offboard.Finding) error {
	return s.sweeping(ctx, w, func(t *tx) error { return t.saveFindings(ctx, w, found) })
}

// saveFindings records findings: what was found before is the same finding.
func (t *tx) saveFindings(ctx context.Context, w offboard.Sweep, found []offboard.Finding) error {
	for _, f := range found {
		err := t.SaveFinding(ctx, db.SaveFindingParams{
			ID: newID(), Kind: string(f.Kind), Severity: string(f.Severity), Organization: w.Organization, Object: f.Object,
			Connection: f.Connection, Address: f.Address, AddressKey: offboard.Fold(f.Address), PersonID: f.PersonID, CaseID: f.CaseID,
			Reason: string(f.Reason), Body: f.Text, Cause: f.Cause, Proposed: f.Proposed, Data: string(f.Data), Now: t.now.UnixMilli(),
			Sweep: w.Number, Rounds: int64(f.Rounds),
		})
		if err != nil {
			return fmt.Errorf("save a finding: %w", err)
		}
	}
	return nil
}

// KeepFindings keeps the findings about an address from being resolved by this
// sweep: it was not in the list, and whether it is gone is not known.
func (s *Store) KeepFindings(ctx context.Context, w offboard.Sweep, address string) error {
	return s.sweeping(ctx, w, func(t *tx) error {
		err := t.KeepFinding(ctx, db.KeepFindingParams{
			Sweep: w.Number, Organization: w.Organization, AddressKey: offboard.Fold(address),
		})
		if err != nil {
			return fmt.Errorf("keep a finding: %w", err)
		}
		return nil
	})
}

// resolve ends the findings of the checked kinds that a sweep did not find again.
func (t *tx) resolve(ctx context.Context, w offboard.Sweep, checked []offboard.FindingKind) error {
	over, err := t.FindingsOver(ctx, db.FindingsOverParams{Organization: w.Organization, Sweep: w.Number})
	if err != nil {
		return fmt.Errorf("list findings: %w", err)
	}
	for _, f := range over {
		if !slices.Contains(checked, offboard.FindingKind(f.Kind)) {
			continue
		}
		if err := t.ResolveFinding(ctx, db.ResolveFindingParams{ResolvedAt: t.now.UnixMilli(), ID: f.ID}); err != nil {
			return fmt.Errorf("resolve a finding: %w", err)
		}
	}
	return nil
}

// Findings lists findings, newest first.
func (s *Store) Findings(ctx context.Context, f offboard.FindingFilter) ([]offboard.Finding, error) {
	rows, err := s.queries().FindingsBefore(ctx, db.FindingsBeforeParams{
		Before: before(f.Before), Kind: string(f.Kind), Organization: f.Organization, Everything: f.All, Now: s.now().UnixMilli(), Most: most(f.Most),
	})
	if err != nil {
		return nil, fmt.Errorf("list findings: %w", err)
	}
	out := make([]offboard.Finding, 0, len(rows))
	for _, r := range rows {
		out = append(out, findingOf(r))
	}
	return out, nil
}

// Finding returns one finding.
func (s *Store) Finding(ctx context.Context, id string) (offboard.Finding, error) {
	row, err := s.queries().FindingByID(ctx, id)
	if err != nil {
		return offboard.Finding{}, fmt.Errorf("read a finding: %w", missing(err))
	}
	return findingOf(row), nil
}

// AcknowledgeFinding records a person's word that a finding may stand for a while.
func (s *Store) AcknowledgeFinding(ctx context.Context, id string, a offboard.Acknowledgement) (f offboard.Finding, err error) {
	err = s.transact(ctx, func(t *tx) error {
		row, err := t.LockFinding(ctx, id)
		if err != nil {
			return fmt.Errorf("lock a finding: %w", missing(err))
		}
		if err := offboard.Acknowledge(findingOf(row), a, t.now); err != nil {
			return err
		}
		row.State, row.AckBy, row.AckWhy, row.AckUntil = string(offboard.FindingAcknowledged), a.By, a.Because, millis(a.Until)
		f = findingOf(row)
		err = t.AcknowledgeFinding(ctx, db.AcknowledgeFindingParams{
			AckBy: a.By, AckWhy: a.Because, AckUntil: millis(a.Until), ID: id,
		})
		if err != nil {
			return fmt.Errorf("acknowledge a finding: %w", err)
		}
		return nil
	})
	return f, err
}

// LinkFinding records which case was opened for a finding.
func (s *Store) LinkFinding(ctx context.Context, id, caseID string) error {
	return s.transact(ctx, func(t *tx) error {
		if err := t.LinkFinding(ctx, db.LinkFindingParams{CaseID: caseID, ID: id}); err != nil {
			return fmt.Errorf("link a finding: %w", err)
		}
		return nil
	})
}

// FindingCount is how many open findings there are of a kind and severity.
type FindingCount struct {
	Kind     offboard.FindingKind
	Severity offboard.Severity
	Number   int
}

// CountFindings counts what is open.
func (s *Store) CountFindings(ctx context.Context) ([]FindingCount, error) {
	rows, err := s.queries().CountFindings(ctx, s.now().UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("count findings: %w", err)
	}
	out := make([]FindingCount, 0, len(rows))
	for _, r := range rows {
		out = append(out, FindingCount{Kind: offboard.FindingKind(r.Kind), Severity: offboard.Severity(r.Severity), Number: int(r.Number)})
	}
	return out, nil
}

func findingOf(r db.Finding) offboard.Finding {
	return offboard.Finding{
		ID: r.ID, Kind: offboard.FindingKind(r.Kind), Severity: offboard.Severity(r.Severity), Organization: r.Organization,
		Object: r.Object, Connection: r.Connection, Address: r.Address, PersonID: r.PersonID, CaseID: r.CaseID,
		Reason: offboard.Reason(r.Reason), Text: r.Body, Cause: r.Cause, Proposed: r.Proposed, Data: raw(r.Data),
		FirstSeen: moment(r.FirstSeen), LastSeen: moment(r.LastSeen), State: offboard.FindingState(r.State), AckBy: r.AckBy,
		AckWhy: r.AckWhy, AckUntil: moment(r.AckUntil), Resolved: moment(r.ResolvedAt), Rounds: int(r.Rounds),
	}
}
