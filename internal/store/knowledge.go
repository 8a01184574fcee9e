package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// What sweeps found out before anybody asked. It is not part of any case until
// a step takes it over, and may be thrown away at any time.

// sweptRows is how many things one statement, and one write, records: a sweep of
// ten thousand must not keep others from writing.
const sweptRows = 300

// SaveOwned records what a complete reading of one list showed, and forgets
// what the reading before it showed.
func (s *Store) SaveOwned(ctx context.Context, l offboard.OwnedList, things []offboard.Owned) error {
	seen := millis(l.Seen)
	for len(things) > 0 {
		some := things[:min(sweptRows, len(things))]
		things = things[len(some):]
		err := s.transact(ctx, func(t *tx) error { return t.insertOwned(ctx, l, some) })
		if err != nil {
			return err
		}
	}
	return s.transact(ctx, func(t *tx) error {
		err := t.ForgetSwept(ctx, db.ForgetSweptParams{Organization: l.Organization, Project: int64(l.Project), List: l.List, SeenAt: seen})
		if err != nil {
			return fmt.Errorf("forget what an earlier sweep saw: %w", err)
		}
		err = t.SaveSweptList(ctx, db.SaveSweptListParams{
			Organization: l.Organization, Project: int64(l.Project), List: l.List, Entries: int64(l.Entries), Truncated: l.Truncated, SeenAt: seen,
		})
		if err != nil {
			return fmt.Errorf("record a sweep: %w", err)
		}
		return nil
	})
}

func (t *tx) insertOwned(ctx context.Context, l offboard.OwnedList, some []offboard.Owned) error {
	const columns = 6 // that differ
	var q strings.Builder
	q.WriteString("insert into owned_asset (organization, project, list, seen_at, owner_key, remote_id, kind, name, source, free_text) values ")
	args := []any{l.Organization, int64(l.Project), l.List, millis(l.Seen)}
	for i, o := range some {
		if i > 0 {
			q.WriteString(", ")
		}
		q.WriteString("($1, $2, $3, $4, " + placeholders(len(args)+1, columns) + ")")
		args = append(args, o.Owner, o.RemoteID, o.Kind, o.Name, o.Source, o.FreeText)
	}
	q.WriteString(" on conflict (organization, project, list, owner_key, remote_id) do update set " +
		"kind = excluded.kind, name = excluded.name, source = excluded.source, free_text = excluded.free_text, seen_at = excluded.seen_at")
	if _, err := t.sql.ExecContext(ctx, q.String(), args...); err != nil {
		return fmt.Errorf("record what a sweep saw: %w", err)
	}
	return nil
}

// OwnedLists tells which lists of an organization were ever read completely.
func (s *Store) OwnedLists(ctx context.Context, organization string) ([]offboard.OwnedList, error) {
	rows, err := s.queries().SweptLists(ctx, organization)
	if err != nil {
		return nil, fmt.Errorf("read the sweeps: %w", err)
	}
	out := make([]offboard.OwnedList, 0, len(rows))
	for _, r := range rows {
		out = append(out, offboard.OwnedList{
			Organization: r.Organization, Project: int(r.Project), List: r.List, Entries: int(r.Entries), Truncated: r.Truncated, Seen: moment(r.SeenAt),
		})
	}
	return out, nil
}

// Owned tells what the last sweep of each list saw of one owner: an address, or
// a display name where owners are free text.
func (s *Store) Owned(ctx context.Context, organization, owner string) ([]offboard.Owned, error) {
	rows, err := s.queries().SweptAssets(ctx, db.SweptAssetsParams{Organization: organization, OwnerKey: offboard.Fold(owner)})
	if err != nil {
		return nil, fmt.Errorf("read what a sweep saw: %w", err)
	}
	out := make([]offboard.Owned, 0, len(rows))
	for _, r := range rows {
		out = append(out, offboard.Owned{
			Organization: r.Organization, Project: int(r.Project), List: r.List, Owner: r.OwnerKey, FreeText: r.FreeText,
			RemoteID: r.RemoteID, Kind: r.Kind, Name: r.Name, Source: r.Source, Seen: moment(r.SeenAt),
		})
	}
	return out, nil
}

// SaveActivity records what a reading of the audit log told, and that the log
// is now known for that range. The later of two times counts, so that reading
// the same entries again changes nothing. Cases of people whose content was
// transferred look at it at once.
func (s *Store) SaveActivity(ctx context.Context, organization string, log offboard.LogRange, seen map[string]offboard.Activity, transfers []offboard.BulkTransfer) error {
	addresses := slices.Sorted(maps.Keys(seen))
	for len(addresses) > 0 {
		some := addresses[:min(sweptRows, len(addresses))]
		addresses = addresses[len(some):]
		err := s.transact(ctx, func(t *tx) error { return t.saveActivity(ctx, organization, some, seen) })
		if err != nil {
			return err
		}
	}
	return s.transact(ctx, func(t *tx) error {
		for _, b := range transfers {
			if err := t.saveTransfer(ctx, organization, b); err != nil {
				return err
			}
		}
		old := millis(t.now.Add(-offboard.ActivityKept))
		if err := t.ForgetActivity(ctx, db.ForgetActivityParams{Organization: organization, LastSeen: old}); err != nil {
			return fmt.Errorf("forget old activity: %w", err)
		}
		if err := t.ForgetTransfers(ctx, db.ForgetTransfersParams{Organization: organization, At: old}); err != nil {
			return fmt.Errorf("forget old transfers: %w", err)
		}
		err := t.SaveActivityMark(ctx, db.SaveActivityMarkParams{Organization: organization, KnownFrom: millis(log.From), ReadTo: millis(log.To)})
		if err != nil {
			return fmt.Errorf("record how far the audit log was read: %w", err)
		}
		return nil
	})
}

func (t *tx) saveActivity(ctx context.Context, organization string, some []string, seen map[string]offboard.Activity) error {
	for _, address := range some {
		a := seen[address]
		err := t.SaveActivity(ctx, db.SaveActivityParams{
			Organization: organization, AddressKey: offboard.Fold(address), LastLogin: millis(a.LastLogin), LastSeen: millis(a.LastSeen),
		})
		if err != nil {
			return fmt.Errorf("record activity: %w", err)
		}
	}
	return nil
}

func (t *tx) saveTransfer(ctx context.Context, organization string, b offboard.BulkTransfer) error {
	n, err := t.InsertTransfer(ctx, db.InsertTransferParams{
		Organization: organization, FromKey: offboard.Fold(b.From), At: millis(b.At), ToKey: offboard.Fold(b.To), ByWhom: b.By,
		Project: b.Project, Raw: string(b.Raw),
	})
	if err != nil {
		return fmt.Errorf("record a transfer: %w", err)
	}
	if n == 0 {
		return nil // told before
	}
	ids, err := t.LiveCasesAt(ctx, offboard.Fold(b.From))
	if err != nil {
		return fmt.Errorf("find who waits for a transfer: %w", err)
	}
	return t.wake(ctx, ids)
}

// wake makes cases look at their waits again.
func (t *tx) wake(ctx context.Context, ids []string) error {
	for _, id := range ids {
		row, err := t.LockCase(ctx, id)
		if err != nil {
			return fmt.Errorf("lock case: %w", missing(err))
		}
		if err := t.poke(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

// Logins tells what the audit log of an organization told about an address, and
// for which time it is known.
func (s *Store) Logins(ctx context.Context, organization, address string) (out offboard.Logins, err error) {
	if out.Log, err = s.LogRange(ctx, organization); err != nil {
		return out, err
	}
	row, err := s.queries().ActivityOf(ctx, db.ActivityOfParams{Organization: organization, AddressKey: offboard.Fold(address)})
	if errors.Is(missing(err), ErrNotFound) {
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("read activity: %w", err)
	}
	out.Activity = offboard.Activity{LastLogin: moment(row.LastLogin), LastSeen: moment(row.LastSeen)}
	return out, nil
}

// LogRange tells for which time an organization's audit log is known.
func (s *Store) LogRange(ctx context.Context, organization string) (offboard.LogRange, error) {
	row, err := s.queries().ActivityMark(ctx, organization)
	if errors.Is(missing(err), ErrNotFound) {
		return offboard.LogRange{}, nil
	}
	if err != nil {
		return offboard.LogRange{}, fmt.Errorf("read how far the audit log was read: %w", err)
	}
	return offboard.LogRange{From: moment(row.KnownFrom), To: moment(row.ReadTo)}, nil
}

// Transfers lists the bulk transfers of somebody's content that the audit log
// told about, oldest first.
func (s *Store) Transfers(ctx context.Context, organization, from string) ([]offboard.BulkTransfer, error) {
	rows, err := s.queries().TransfersFrom(ctx, db.TransfersFromParams{Organization: organization, FromKey: offboard.Fold(from)})
	if err != nil {
		return nil, fmt.Errorf("read transfers: %w", err)
	}
	out := make([]offboard.BulkTransfer, 0, len(rows))
	for _, r := range rows {
		out = append(out, offboard.BulkTransfer{
			From: r.FromKey, To: r.ToKey, By: r.ByWhom, At: moment(r.At), Project: r.Project, Raw: json.RawMessage(r.Raw),
		})
	}
	return out, nil
}

// WakeHandovers makes cases look at their handover whose successor has become
// inactive or is leaving. It returns how many there are.
func (s *Store) WakeHandovers(ctx context.Context) (n int, err error) {
	err = s.transact(ctx, func(t *tx) error {
		ids, err := t.HandoversToNobody(ctx)
		if err != nil {
			return fmt.Errorf("find handovers to nobody: %w", err)
		}
		n = len(ids)
		return t.wake(ctx, ids)
	})
	return n, err
}
