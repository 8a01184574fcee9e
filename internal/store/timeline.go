package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// write appends an entry to a case's timeline. Each entry's hash covers the one
// before it, so that a changed or missing line shows.
func (t *tx) write(ctx context.Context, caseID string, e offboard.Entry) error {
	last, err := t.LastEntry(ctx, caseID)
	if err != nil && !errors.Is(missing(err), ErrNotFound) {
		return fmt.Errorf("read the timeline: %w", err)
	}
	e.Seq = last.Seq + 1
	if e.At.IsZero() {
		e.At = t.now
	}
	row := db.InsertEntryParams{
		CaseID: caseID, Seq: e.Seq, At: e.At.UnixMilli(), Actor: e.Actor, Kind: e.Kind, Body: e.Text,
		Data: string(e.Data), PrevHash: last.Hash,
	}
	row.Hash, err = entryHash(db.Timeline(row))
	if err != nil {
		return err
	}
	if err := t.InsertEntry(ctx, row); err != nil {
		return fmt.Errorf("write the timeline: %w", err)
	}
	return nil
}

// entryHash is the SHA-256 over the JSON array of an entry's fields and the
// hash before it.
func entryHash(e db.Timeline) (string, error) {
	b, err := json.Marshal([]any{e.PrevHash, e.CaseID, e.Seq, e.At, e.Actor, e.Kind, e.Body, e.Data})
	if err != nil {
		return "", fmt.Errorf("hash a timeline entry: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// Timeline returns a case's entries, oldest first, and checks their chain: a
// broken one is an error that names the entry.
func (s *Store) Timeline(ctx context.Context, caseID string) ([]offboard.Entry, error) {
	rows, err := s.queries().TimelineOf(ctx, caseID)
	if err != nil {
		return nil, fmt.Errorf("read the timeline: %w", err)
	}
	return chain(caseID, rows)
}

// chain turns rows into entries and checks that each hash covers the one before.
func chain(caseID string, rows []db.Timeline) ([]offboard.Entry, error) {
	prev := ""
	out := make([]offboard.Entry, 0, len(rows))
	for i, r := range rows {
		want, err := entryHash(r)
		if err != nil {
			return nil, err
		}
		if r.Seq != int64(i+1) || r.PrevHash != prev || r.Hash != want {
			return nil, fmt.Errorf("the timeline of case %s was changed at entry %d", caseID, i+1)
		}
		prev = r.Hash
		out = append(out, offboard.Entry{
			Seq: r.Seq, At: time.UnixMilli(r.At).UTC(), Actor: r.Actor, Kind: r.Kind, Text: r.Body,
			Data: raw(r.Data), Hash: r.Hash,
		})
	}
	return out, nil
}

func raw(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}
