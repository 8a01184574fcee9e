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

// saveFindings records findings: what was found before is the same finding. What
// belongs to the evidence of a case is written on its timeline when it is found
// first, and once.
func (t *tx) saveFindings(ctx context.Context, w offboard.Sweep, found []offboard.Finding) error {
	for _, f := range found {
		row, err := t.SaveFinding(ctx, db.SaveFindingParams{
			ID: newID(), Kind: string(f.Kind), Severity: string(f.Severity), Organization: w.Organization, Object: f.Object,
			Connection: f.Connection, Address: f.Address, AddressKey: offboard.Fold(f.Address), PersonID: f.PersonID, CaseID: f.CaseID,
			Reason: string(f.Reason), Body: f.Text, Cause: f.Cause, Proposed: f.Proposed, Data: string(f.Data), Now: t.now.UnixMilli(),
			Sweep: w.Number, Rounds: int64(f.Rounds),
		})
		if err != nil {
			return fmt.Errorf("save a finding: %w", err)
		}
		if is := findingOf(row); is.Evident() && row.NotedIn != is.CaseID {
			if err := t.noteFinding(ctx, is, row.NotedIn); err != nil {
				return err
			}
		}
	}
	return nil
}

// noteFinding writes on the timeline of its case that a finding is open. noted
// is the case whose timeline said so before, or empty.
func (t *tx) noteFinding(ctx context.Context, f offboard.Finding, noted string) error {
	if noted != "" {
		if err := t.addendum(ctx, noted, f.Over("it is about case "+f.CaseID+" now")); err != nil {
			return err
		}
	}
	if err := t.addendum(ctx, f.CaseID, f.Note()); err != nil {
		return err
	}
	if err := t.NoteFinding(ctx, db.NoteFindingParams{NotedIn: f.CaseID, ID: f.ID}); err != nil {
		return fmt.Errorf("note a finding: %w", err)
	}
	return nil
}

// resolve ends the findings that a sweep did not find again: those of the
// checked kinds, and logins after a removal whose watch is over.
func (t *tx) resolve(ctx context.Context, w offboard.Sweep, checked []offboard.FindingKind) error {
	return t.findingsOver(ctx, w.Organization, w.Number, func(f db.Finding) error {
		because := "the comparison did not find it again"
		ended, err := t.watchEnded(ctx, f)
		if err != nil {
			return err
		}
		switch kind := offboard.FindingKind(f.Kind); {
		case ended:
			because = "the watch on the address is over"
		case !slices.Contains(checked, kind):
			return nil
		}
		return t.resolveFinding(ctx, f, because)
	})
}

// findingsOver goes through the findings that no sweep since one has found, a page
// at a time: there may be as many as members.
func (t *tx) findingsOver(ctx context.Context, organization string, sweep int64, do func(db.Finding) error) error {
	const page = 500
	for after, more := "", true; more; {
		over, err := t.FindingsOver(ctx, db.FindingsOverParams{Organization: organization, Sweep: sweep, After: after, Most: page})
		if err != nil {
			return fmt.Errorf("list findings: %w", err)
		}
		for _, f := range over {
			if err := do(f); err != nil {
				return err
			}
			after = f.ID
		}
		more = len(over) == page
	}
	return nil
}

// watchEnded reports whether a finding was about an address that is watched no
// longer.
func (t *tx) watchEnded(ctx context.Context, f db.Finding) (bool, error) {
	if f.Kind != string(offboard.LoginAfterRemoval) && f.Kind != string(offboard.LeaverBack) || f.CaseID == "" {
		return false, nil
	}
	c, err := t.CaseByID(ctx, f.CaseID)
	if err != nil {
		return false, fmt.Errorf("read a case: %w", missing(err))
	}
	return c.WatchEndedAt > 0, nil
}

// resolveFinding ends a finding, and says so where it was noted.
func (t *tx) resolveFinding(ctx context.Context, row db.Finding, because string) error {
	if row.NotedIn != "" {
		if err := t.addendum(ctx, row.NotedIn, findingOf(row).Over(because)); err != nil {
			return err
		}
	}
	err := t.ResolveFinding(ctx, db.ResolveFindingParams{ResolvedAt: t.now.UnixMilli(), ResolvedWhy: because, ID: row.ID})
	if err != nil {
		return fmt.Errorf("resolve a finding: %w", err)
	}
	return nil
}

// tellFindings posts what tell says about the critical findings that opened since
// it was asked last: a finding that stays open is told once.
func (t *tx) tellFindings(ctx context.Context, w offboard.Sweep, tell func([]offboard.Finding) []offboard.Message) error {
	if tell == nil {
		return nil
	}
	rows, err := t.FindingsToTell(ctx, w.Organization)
	if err != nil {
		return fmt.Errorf("list findings: %w", err)
	}
	if len(rows) == 0 {
		return nil
	}
	found := make([]offboard.Finding, 0, len(rows))
	for _, r := range rows {
		found = append(found, findingOf(r))
	}
	for _, m := range tell(found) {
		if err := t.post(ctx, "", m); err != nil {
			return err
		}
	}
	if err := t.ToldFindings(ctx, db.ToldFindingsParams{ToldAt: t.now.UnixMilli(), Organization: w.Organization}); err != nil {
		return fmt.Errorf("record that findings were told: %w", err)
	}
	return nil
}

// Findings lists findings, the gravest first, and of these the newest first.
func (s *Store) Findings(ctx context.Context, f offboard.FindingFilter) ([]offboard.Finding, error) {
	severities := offboard.Severities()
	if f.Severity != "" {
		severities = []offboard.Severity{f.Severity}
	}
	if f.Before != "" {
		last, err := s.Finding(ctx, f.Before)
		if err != nil {
			return nil, err
		}
		severities = severities[max(0, slices.Index(severities, last.Severity)):]
	}
	out := make([]offboard.Finding, 0, most(f.Most))
	for _, severity := range severities {
		rows, err := s.queries().FindingsBefore(ctx, db.FindingsBeforeParams{
			Severity: string(severity), Before: before(f.Before), Kind: string(f.Kind), Organization: f.Organization, Everything: f.All,
			Now: s.now().UnixMilli(), Most: most(f.Most) - int32(len(out)),
		})
		if err != nil {
			return nil, fmt.Errorf("list findings: %w", err)
		}
		for _, r := range rows {
			out = append(out, findingOf(r))
		}
		if f.Before = ""; len(out) == int(most(f.Most)) {
			break
		}
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
		row, err := t.LockFinding(ctx, id)
		if err != nil {
			return fmt.Errorf("link a finding: %w", missing(err))
		}
		if row.NotedIn != "" {
			if err := t.addendum(ctx, row.NotedIn, findingOf(row).Answered(caseID)); err != nil {
				return err
			}
		}
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
		AckWhy: r.AckWhy, AckUntil: moment(r.AckUntil), Resolved: moment(r.ResolvedAt), ResolvedWhy: r.ResolvedWhy, Rounds: int(r.Rounds),
	}
}
