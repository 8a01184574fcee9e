package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"offramp/internal/offboard"
	"offramp/internal/store"
)

func TestMembersComeAndGo(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			a, b, c := hire(t, s, "a").ID, hire(t, s, "b").ID, hire(t, s, "c").ID
			g := team(t, s, "Marketing", a)
			for _, row := range []struct {
				what    string
				changes []offboard.MemberChange
				want    []string
				version int64
			}{
				{"one more", []offboard.MemberChange{add(b)}, []string{a, b}, 2},
				{"one who is there", []offboard.MemberChange{add(a)}, []string{a, b}, 2},
				{"one who is not there leaves", []offboard.MemberChange{remove(c)}, []string{a, b}, 2},
				{"in and out", []offboard.MemberChange{add(c), remove(c)}, []string{a, b}, 2},
				{"out and in", []offboard.MemberChange{remove(a, b), add(a, b)}, []string{a, b}, 2},
				{"exactly these", []offboard.MemberChange{replace(b, c)}, []string{b, c}, 3},
				{"exactly these, and then one more", []offboard.MemberChange{replace(a), add(b)}, []string{a, b}, 4},
				{"nobody", []offboard.MemberChange{replace()}, []string{}, 5},
			} {
				regroup(t, s, g, row.changes...)
				now, err := s.Group(t.Context(), okta, g.ID)
				if got := memberIDs(t, s, g); err != nil || !slices.Equal(got, row.want) || now.Version != row.version {
					t.Errorf("%s: %v at version %d, %v", row.what, got, now.Version, err)
				}
			}
		})
	}
}

func TestACheckThatFailsLeavesTheGroupAlone(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			a := hire(t, s, "a").ID
			g := team(t, s, "Marketing", a)
			stop := errors.New("another version")
			name := "Sales"
			_, _, err := s.ChangeGroup(t.Context(), offboard.GroupChange{
				Connection: okta, ID: g.ID, DisplayName: &name, Members: []offboard.MemberChange{replace()},
				Check: func(was offboard.Group) error {
					if was.Version != 1 {
						t.Errorf("saw version %d", was.Version)
					}
					return stop
				},
			})
			now, _ := s.Group(t.Context(), okta, g.ID)
			if !errors.Is(err, stop) || now.DisplayName != "Marketing" || len(memberIDs(t, s, g)) != 1 {
				t.Errorf("%v, %+v", err, now)
			}
		})
	}
}

func TestAGroupThatAProviderCouldNotTellApartIsRefused(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			create := func(id, name, external string) error {
				_, _, err := s.CreateGroup(t.Context(), offboard.NewGroup{ID: id, Connection: okta, DisplayName: name, ExternalID: external})
				return err
			}
			if err := errors.Join(create("1", "Sales", "x1"), create("1", "Sales", "x1")); err != nil {
				t.Fatalf("a repeated attempt: %v", err)
			}
			if err := create("2", "Sales", "x2"); err != nil {
				t.Errorf("the same name with another external id: %v", err)
			}
			for what, err := range map[string]error{
				"the same name": create("3", "SALES", ""), "the same external id": create("4", "Other", "x1"),
			} {
				if _, taken := errors.AsType[*offboard.TakenError](err); !taken {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

func TestManyWritersOfOneGroupLoseNothing(t *testing.T) {
	t.Parallel()
	const size, writers, rounds = 5000, 32, 6
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			fill(t, s, size+writers*rounds)
			var first []string
			for i := range size {
				first = append(first, personID(i))
			}
			g := team(t, s, "Everyone", first...)
			want := map[string]bool{}
			for _, id := range first {
				want[id] = true
			}
			// Each writer has people of its own to add and to remove.
			var wg sync.WaitGroup
			for w := range writers {
				random := rand.New(rand.NewPCG(1, uint64(w)))
				var in, out []string
				for r := range rounds {
					in = append(in, personID(size+w*rounds+r))
					out = append(out, personID(w*rounds+r))
					want[in[r]] = true
					delete(want, out[r])
				}
				wg.Go(func() {
					for r := range rounds {
						changes := []offboard.MemberChange{add(in[r]), remove(out[r])}
						random.Shuffle(2, func(i, j int) { changes[i], changes[j] = changes[j], changes[i] })
						_, _, err := s.ChangeGroup(t.Context(), offboard.GroupChange{Connection: okta, ID: g.ID, Members: changes})
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			got := memberIDs(t, s, g)
			if len(got) != len(want) {
				t.Errorf("%d members, want %d", len(got), len(want))
			}
			for _, id := range got {
				if !want[id] {
					t.Errorf("%s is a member", id)
				}
			}
			if now, err := s.Group(t.Context(), okta, g.ID); err != nil || now.Version != 1+writers*rounds {
				t.Errorf("version %d, %v", now.Version, err)
			}
		})
	}
}

func personID(i int) string { return fmt.Sprintf("p-%d", 1_000_000+i) }

// fill records n people at once, with what a member needs.
func fill(t *testing.T, s *store.Store, n int) {
	t.Helper()
	_, err := s.DB().ExecContext(t.Context(), `insert into person (
			id, connection, external_id, user_name, user_name_key, display_name, display_key, given_name, family_name,
			address, address_key, address_since, emails, manager, manager_key, department, title, active, claims, removal,
			resource, version, created_at, modified_at, deleted_at)
		with recursive numbers(i) as (select 0 union all select i + 1 from numbers where i + 1 < $1)
		select 'p-' || cast(1000000 + i as text), 'okta', '', 'p' || cast(i as text), 'p' || cast(i as text), '', '', '', '',
			'', '', 0, '', '', '', '', '', true, '', '', '{}', 1, 0, 0, 0 from numbers`, n)
	if err != nil {
		t.Fatal(err)
	}
}
