package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// The comparison of an organization with intent, page by page: the facts are
// read, and what is found is recorded, in one transaction each. next is where
// the following page begins; empty: this was the last.

// CompareSeats decides about a page of the seats that a sweep saw.
func (s *Store) CompareSeats(ctx context.Context, w offboard.Sweep, after string, n int, decide func([]offboard.SeatFacts) []offboard.Finding) (next string, err error) {
	err = s.sweeping(ctx, w, func(t *tx) error {
		rows, err := t.SeatsSwept(ctx, db.SeatsSweptParams{Organization: w.Organization, Sweep: w.Number, After: after, Most: most(n)})
		if err != nil {
			return fmt.Errorf("read seats: %w", err)
		}
		next = ""
		if len(rows) == int(most(n)) {
			next = rows[len(rows)-1].AddressKey
		}
		facts, err := t.seatFacts(ctx, rows)
		if err != nil {
			return err
		}
		return t.saveFindings(ctx, w, decide(facts))
	})
	return next, err
}

func (t *tx) seatFacts(ctx context.Context, rows []db.Member) ([]offboard.SeatFacts, error) {
	keys := make([]string, 0, len(rows))
	for _, r := range rows {
		keys = append(keys, r.AddressKey)
	}
	holdings, err := t.holdings(ctx, keys)
	if err != nil {
		return nil, err
	}
	cases, err := t.casesOfAddresses(ctx, keys)
	if err != nil {
		return nil, err
	}
	var strange []db.Member // whose seat nobody holds who is there
	for _, r := range rows {
		if !slices.ContainsFunc(offboard.Here(holdings[r.AddressKey]), func(h offboard.Holding) bool { return h.Seat }) {
			strange = append(strange, r)
		}
	}
	alike, err := t.alike(ctx, strange)
	if err == nil {
		err = t.alikeEmails(ctx, alike, strange, holdings)
	}
	if err == nil {
		err = t.groupsOfAdmins(ctx, rows, holdings)
	}
	if err != nil {
		return nil, err
	}
	out := make([]offboard.SeatFacts, 0, len(rows))
	if len(rows) == 0 {
		return out, nil
	}
	events, err := t.seatEvents(ctx, rows[0].Organization, keys)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		out = append(out, offboard.SeatFacts{
			Seat: seatOf(r), Holdings: holdings[r.AddressKey], Cases: cases[r.AddressKey], Alike: alike[r.AddressKey],
			Events: events[r.AddressKey],
		})
	}
	return out, nil
}

// CompareCases decides about a page of the cases that are live or ended after
// since.
func (s *Store) CompareCases(ctx context.Context, w offboard.Sweep, since time.Time, after string, n int, decide func([]offboard.CaseFacts) []offboard.Finding) (next string, err error) {
	err = s.sweeping(ctx, w, func(t *tx) error {
		rows, err := t.RecentCases(ctx, db.RecentCasesParams{After: after, Since: millis(since), Most: most(n)})
		if err != nil {
			return fmt.Errorf("read cases: %w", err)
		}
		next = ""
		if len(rows) == int(most(n)) {
			next = rows[len(rows)-1].ID
		}
		facts, err := t.caseFacts(ctx, w.Organization, rows)
		if err != nil {
			return err
		}
		return t.saveFindings(ctx, w, decide(facts))
	})
	return next, err
}

func (t *tx) caseFacts(ctx context.Context, organization string, rows []db.Case) ([]offboard.CaseFacts, error) {
	var keys, ids []string
	for _, r := range rows {
		keys, ids = append(keys, r.AddressKey), append(ids, r.ID)
	}
	holdings, err := t.holdings(ctx, keys)
	if err != nil {
		return nil, err
	}
	seats, err := t.seatsAt(ctx, organization, keys)
	if err != nil {
		return nil, err
	}
	identified, err := t.identified(ctx, ids)
	if err != nil {
		return nil, err
	}
	again, err := t.removedAgain(ctx, ids)
	if err != nil {
		return nil, err
	}
	ours, err := t.removedByOthers(ctx, organization, ids)
	if err != nil {
		return nil, err
	}
	events, err := t.seatEvents(ctx, organization, keys)
	if err != nil {
		return nil, err
	}
	out := make([]offboard.CaseFacts, 0, len(rows))
	for _, r := range rows {
		f := offboard.CaseFacts{
			Holdings: holdings[r.AddressKey], Identify: identified[r.ID], Again: again[r.ID], Ours: ours[r.ID], Events: events[r.AddressKey],
		}
		if f.Case, err = caseOf(r); err != nil {
			return nil, err
		}
		if seat, ok := seats[r.AddressKey]; ok {
			f.Seat = &seat
		}
		effects, err := t.EffectsOf(ctx, r.ID)
		if err != nil {
			return nil, fmt.Errorf("read effects: %w", err)
		}
		for _, e := range effects {
			if e.Step == string(offboard.StepRemove) {
				f.Removals = append(f.Removals, effectOf(e))
			}
		}
		out = append(out, f)
	}
	return out, nil
}

// CompareAbsent decides about a page of the active people of a connection who
// hold no address that has a seat in any of the organizations.
func (s *Store) CompareAbsent(ctx context.Context, w offboard.Sweep, connection string, organizations []string, after string, n int,
	decide func([]offboard.PersonFacts) []offboard.Finding,
) (next string, err error) {
	err = s.sweeping(ctx, w, func(t *tx) error {
		next = ""
		args := append([]any{after, int64(most(n)), connection}, anys(organizations)...)
		rows, err := t.sql.QueryContext(ctx, `select `+personColumns+`, exists (select 1 from membership m
				join scim_group g on g.id = m.group_id where m.person_id = p.id and g.access_name <> '' and g.deleted_at = 0),
			exists (select 1 from cases c where c.person_id = p.id and c.closed_at = 0)
			from person p where p.deleted_at = 0 and p.active and p.id > $1 and p.connection = $3
				and not exists (select 1 from person_address a join member s on s.address_key = a.value_key and s.gone_at = 0
					where a.person_id = p.id and s.organization in (`+placeholders(4, len(organizations))+`))
			order by p.id limit $2`, args...)
		if err != nil {
			return fmt.Errorf("read people without a seat: %w", err)
		}
		facts, err := collectRows(rows, func(rows *sql.Rows) (f offboard.PersonFacts, err error) {
			var in bool
			f.Person, err = scanPersonAnd(rows, &in, &f.Live)
			f.Person.InAccess = in
			return f, err
		})
		if err != nil {
			return fmt.Errorf("read people without a seat: %w", err)
		}
		if len(facts) == int(most(n)) {
			next = facts[len(facts)-1].Person.ID
		}
		return t.saveFindings(ctx, w, decide(facts))
	})
	return next, err
}

// CompareOwners decides about a page of the owners of content, as the last
// ownership sweep stored them, who have no seat in the organization. known is
// false where no ownership sweep has read it.
func (s *Store) CompareOwners(ctx context.Context, w offboard.Sweep, after string, n int, decide func([]offboard.OwnerFacts) []offboard.Finding) (next string, known bool, err error) {
	err = s.sweeping(ctx, w, func(t *tx) error {
		lists, err := t.CountLists(ctx, w.Organization)
		if err != nil {
			return fmt.Errorf("read ownership: %w", err)
		}
		if known = lists > 0; !known {
			return nil
		}
		rows, err := t.DeadOwners(ctx, db.DeadOwnersParams{Organization: w.Organization, After: after, Most: most(n)})
		if err != nil {
			return fmt.Errorf("read ownership: %w", err)
		}
		next = ""
		if len(rows) == int(most(n)) {
			next = rows[len(rows)-1].OwnerKey
		}
		keys := make([]string, 0, len(rows))
		for _, r := range rows {
			keys = append(keys, r.OwnerKey)
		}
		holdings, err := t.holdings(ctx, keys)
		if err != nil {
			return err
		}
		facts := make([]offboard.OwnerFacts, 0, len(rows))
		for _, r := range rows {
			f := offboard.OwnerFacts{Owner: r.OwnerKey, Assets: int(r.Number), Holdings: holdings[r.OwnerKey]}
			some, err := t.SomeAssets(ctx, db.SomeAssetsParams{Organization: w.Organization, OwnerKey: r.OwnerKey, Most: 20})
			if err != nil {
				return fmt.Errorf("read ownership: %w", err)
			}
			for _, a := range some {
				f.Some = append(f.Some, offboard.Asset{Kind: a.Kind, Project: int(a.Project), RemoteID: a.RemoteID, Name: a.Name})
			}
			facts = append(facts, f)
		}
		return t.saveFindings(ctx, w, decide(facts))
	})
	return next, known, err
}

// holdings reads who holds each of the addresses, deleted people included.
func (t *tx) holdings(ctx context.Context, keys []string) (map[string][]offboard.Holding, error) {
	out := map[string][]offboard.Holding{}
	for _, some := range chunks(keys) {
		rows, err := t.sql.QueryContext(ctx, `select `+prefixed(personColumns)+`, a.value_key, a.kind, a.since, p.deleted_at,
				exists (select 1 from membership m join scim_group g on g.id = m.group_id
					where m.person_id = p.id and g.access_name <> '' and g.deleted_at = 0)
			from person_address a join person p on p.id = a.person_id
			where a.value_key in (`+placeholders(1, len(some))+`) order by a.value_key, p.id, a.kind`, anys(some)...)
		if err != nil {
			return nil, fmt.Errorf("read who holds addresses: %w", err)
		}
		type held struct {
			key  string
			kind string
			offboard.Holding
		}
		all, err := collectRows(rows, func(rows *sql.Rows) (h held, err error) {
			var since, deleted int64
			var in bool
			h.Person, err = scanPersonAnd(rows, &h.key, &h.kind, &since, &deleted, &in)
			h.Since, h.Person.Deleted, h.Person.InAccess = moment(since), moment(deleted), in
			return h, err
		})
		if err != nil {
			return nil, fmt.Errorf("read who holds addresses: %w", err)
		}
		for _, h := range all {
			h.Seat = h.kind != "email"
			list := out[h.key]
			if i := slices.IndexFunc(list, func(o offboard.Holding) bool { return o.Person.ID == h.Person.ID }); i >= 0 {
				first := &list[i]
				if h.Seat && (!first.Seat || h.Since.Before(first.Since)) || h.Seat == first.Seat && h.Since.Before(first.Since) {
					first.Since = h.Since
				}
				first.Seat = first.Seat || h.Seat
				continue
			}
			out[h.key] = append(list, h.Holding)
		}
	}
	return out, nil
}

// casesOfAddresses reads the cases of each address, newest first.
func (t *tx) casesOfAddresses(ctx context.Context, keys []string) (map[string][]offboard.Case, error) {
	out := map[string][]offboard.Case{}
	for _, some := range chunks(keys) {
		in := "address_key in (" + placeholders(1, len(some)) + ")"
		ids, err := texts(ctx, t.sql, `select id from cases where closed_at = 0 and `+in+
			` union select id from cases where closed_at > 0 and `+in+` order by id desc`, anys(some)...)
		if err != nil {
			return nil, fmt.Errorf("read cases: %w", err)
		}
		for _, id := range ids {
			row, err := t.CaseByID(ctx, id)
			if err != nil {
				return nil, fmt.Errorf("read a case: %w", missing(err))
			}
			c, err := caseOf(row)
			if err != nil {
				return nil, err
			}
			out[row.AddressKey] = append(out[row.AddressKey], c)
		}
	}
	return out, nil
}

func (t *tx) seatsAt(ctx context.Context, organization string, keys []string) (map[string]offboard.Seat, error) {
	out := map[string]offboard.Seat{}
	for _, key := range keys {
		row, err := t.SeatOf(ctx, db.SeatOfParams{Organization: organization, AddressKey: key})
		if errors.Is(missing(err), ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read a seat: %w", err)
		}
		out[key] = seatOf(row)
	}
	return out, nil
}

// identified reads what identify found in each of the cases.
func (t *tx) identified(ctx context.Context, ids []string) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	for _, some := range chunks(ids) {
		rows, err := t.sql.QueryContext(ctx, `select case_id, result from step where name = 'identify' and result <> ''
			and case_id in (`+placeholders(1, len(some))+`)`, anys(some)...)
		if err != nil {
			return nil, fmt.Errorf("read steps: %w", err)
		}
		all, err := collectRows(rows, func(rows *sql.Rows) (p [2]string, err error) {
			err = rows.Scan(&p[0], &p[1])
			return p, err
		})
		if err != nil {
			return nil, fmt.Errorf("read steps: %w", err)
		}
		for _, p := range all {
			out[p[0]] = json.RawMessage(p[1])
		}
	}
	return out, nil
}

// removedAgain tells of cases when a later one first proved the same seat gone.
func (t *tx) removedAgain(ctx context.Context, ids []string) (map[string]time.Time, error) {
	return t.moments(ctx, ids, func(some string) string {
		return `select c.id, min(d.removed_at) from cases c join cases d on d.address_key = c.address_key and d.id > c.id
			where c.id in (` + some + `) and d.outcome = 'removed' and d.verified_at > 0 group by c.id`
	})
}

// removedByOthers tells of cases when another one, such as that of another
// connection, removed the same seat last.
func (t *tx) removedByOthers(ctx context.Context, organization string, ids []string) (map[string]time.Time, error) {
	return t.moments(ctx, ids, func(some string) string {
		return `select c.id, max(e.done_at) from cases c join cases d on d.address_key = c.address_key and d.id <> c.id
			join effect e on e.case_id = d.id
			where c.id in (` + some + `) and e.step = 'remove' and e.state = 'done' and e.response like 'removed%'
				and substr(e.object || '/', 1, length(cast($1 as text) || '/' || c.address_key || '/')) = cast($1 as text) || '/' || c.address_key || '/'
			group by c.id`
	}, organization)
}

// moments reads a moment of each case that has one. The parameters before those
// of the cases are the first of the query.
func (t *tx) moments(ctx context.Context, ids []string, query func(some string) string, first ...any) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	for _, some := range chunks(ids) {
		rows, err := t.sql.QueryContext(ctx, query(placeholders(1+len(first), len(some))), append(slices.Clone(first), anys(some)...)...)
		if err != nil {
			return nil, fmt.Errorf("read other cases: %w", err)
		}
		_, err = collectRows(rows, func(rows *sql.Rows) (none struct{}, err error) {
			var id string
			var at int64
			if err = rows.Scan(&id, &at); err == nil {
				out[id] = moment(at)
			}
			return none, err
		})
		if err != nil {
			return nil, fmt.Errorf("read other cases: %w", err)
		}
	}
	return out, nil
}

// seatEvents reads what the audit log told about each of the addresses, oldest
// first.
func (t *tx) seatEvents(ctx context.Context, organization string, keys []string) (map[string][]offboard.SeatEvent, error) {
	out := map[string][]offboard.SeatEvent{}
	for _, some := range chunks(keys) {
		rows, err := t.sql.QueryContext(ctx, `select address_key, at, action, actor from seat_event
			where organization = $1 and address_key in (`+placeholders(2, len(some))+`) order by address_key, at, action`,
			append([]any{organization}, anys(some)...)...)
		if err != nil {
			return nil, fmt.Errorf("read audit entries: %w", err)
		}
		all, err := collectRows(rows, func(rows *sql.Rows) (e offboard.SeatEvent, err error) {
			var at int64
			err = rows.Scan(&e.Address, &at, &e.Action, &e.Actor)
			e.At = moment(at)
			return e, err
		})
		if err != nil {
			return nil, fmt.Errorf("read audit entries: %w", err)
		}
		for _, e := range all {
			out[e.Address] = append(out[e.Address], e)
		}
	}
	return out, nil
}
