package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"offramp/internal/offboard"
)

func all() offboard.PeopleQuery {
	return offboard.PeopleQuery{Connection: okta, Slice: offboard.Slice{Limit: 100}}
}

func names(people []offboard.Person) []string {
	var out []string
	for _, p := range people {
		out = append(out, p.UserName)
	}
	return out
}

func TestPagesCoverEveryoneOnce(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, c := d.open(t)
			for i := range 7 {
				hire(t, s, fmt.Sprintf("p%d", i))
				c.pass(time.Second)
			}
			var seen []string
			for offset := 0; offset < 9; offset += 3 {
				q := all()
				q.Offset, q.Limit = offset, 3
				people, total, err := s.People(t.Context(), q)
				if err != nil || total != 7 {
					t.Fatalf("total %d, %v", total, err)
				}
				seen = append(seen, names(people)...)
			}
			if len(seen) != 7 || !slices.IsSorted(seen) || len(slices.Compact(seen)) != 7 {
				t.Errorf("got %v", seen)
			}
			q := all()
			q.Limit = 0
			if people, total, err := s.People(t.Context(), q); err != nil || total != 7 || people != nil {
				t.Errorf("asked for the number only: %v, %d, %v", people, total, err)
			}
			q = all()
			q.Offset = 50
			if people, total, err := s.People(t.Context(), q); err != nil || total != 7 || people != nil {
				t.Errorf("behind the end: %v, %d, %v", people, total, err)
			}
			q = all()
			q.Sort, q.Descending = offboard.SortCreated, true
			if people, _, err := s.People(t.Context(), q); err != nil || people[0].UserName != "p6@example.com" {
				t.Errorf("newest first: %v, %v", names(people), err)
			}
		})
	}
}

func TestPeopleAreNarrowedByEachKey(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			jo, bo, percent := hire(t, s, "Jo"), hire(t, s, "bo"), hire(t, s, "j%o")
			hire(t, s, "jöran")
			change(t, s, bo.ID, rules(), func(p *offboard.Person) {
				p.Active, p.DisplayName, p.Manager = false, "Bo Berg", "JO@example.com"
				p.Emails = append(slices.Clone(p.Emails), offboard.Email{Value: "Boss@Example.com"})
			})
			g := team(t, s, "Marketing", jo.ID, bo.ID)
			no := false
			for _, row := range []struct {
				what string
				q    offboard.PeopleQuery
				want []string
			}{
				{"id", offboard.PeopleQuery{ID: jo.ID}, []string{"Jo@example.com"}},
				{"user name in other letters", offboard.PeopleQuery{UserName: "jO@EXAMPLE.com"}, []string{"Jo@example.com"}},
				{"beginning of the user name", offboard.PeopleQuery{UserNamePrefix: "J"}, []string{"j%o@example.com", "Jo@example.com", "jöran@example.com"}},
				{"a percent sign is only itself", offboard.PeopleQuery{UserNamePrefix: "j%"}, []string{percent.UserName}},
				{"a whole address with its sign", offboard.PeopleQuery{UserNamePrefix: "jo@"}, []string{"Jo@example.com"}},
				{"external id", offboard.PeopleQuery{ExternalID: bo.ExternalID}, []string{"bo@example.com"}},
				{"external id in other letters", offboard.PeopleQuery{ExternalID: "EXT-" + bo.ID}, nil},
				{"display name", offboard.PeopleQuery{DisplayName: "bo berg"}, []string{"bo@example.com"}},
				{"second address", offboard.PeopleQuery{Email: "boss@example.com"}, []string{"bo@example.com"}},
				{"manager", offboard.PeopleQuery{Manager: "jo@example.com"}, []string{"bo@example.com"}},
				{"group", offboard.PeopleQuery{Group: g.ID}, []string{"bo@example.com", "Jo@example.com"}},
				{"inactive", offboard.PeopleQuery{Active: &no}, []string{"bo@example.com"}},
				{"two keys", offboard.PeopleQuery{Group: g.ID, UserName: "jo@example.com"}, []string{"Jo@example.com"}},
				{"two keys that disagree", offboard.PeopleQuery{ID: jo.ID, UserName: "bo@example.com"}, nil},
			} {
				row.q.Connection, row.q.Limit, row.q.Sort = okta, 10, offboard.SortUserName
				people, total, err := s.People(t.Context(), row.q)
				if err != nil || total != len(row.want) || !slices.Equal(names(people), row.want) {
					t.Errorf("%s: got %v of %d, %v", row.what, names(people), total, err)
				}
			}
		})
	}
}

func TestGroupsAreListedAndNarrowed(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			jo, bo := hire(t, s, "jo"), hire(t, s, "bo")
			team(t, s, "Sales", jo.ID)
			team(t, s, "Marketing", jo.ID, bo.ID)
			for _, row := range []struct {
				what string
				q    offboard.GroupsQuery
				want []string
			}{
				{"all", offboard.GroupsQuery{}, []string{"Marketing", "Sales"}},
				{"name", offboard.GroupsQuery{DisplayName: "sales"}, []string{"Sales"}},
				{"member", offboard.GroupsQuery{Member: bo.ID}, []string{"Marketing"}},
				{"id and member", offboard.GroupsQuery{ID: "group-Sales", Member: jo.ID}, []string{"Sales"}},
				{"id and no member", offboard.GroupsQuery{ID: "group-Sales", Member: bo.ID}, nil},
			} {
				row.q.Connection, row.q.Limit, row.q.Sort = okta, 10, offboard.SortDisplayName
				groups, total, err := s.Groups(t.Context(), row.q)
				var got []string
				for _, g := range groups {
					got = append(got, g.DisplayName)
				}
				if err != nil || total != len(row.want) || !slices.Equal(got, row.want) {
					t.Errorf("%s: got %v of %d, %v", row.what, got, total, err)
				}
			}
			refs, err := s.GroupsOfPeople(t.Context(), []string{jo.ID, bo.ID, "nobody"})
			if err != nil || len(refs[jo.ID]) != 2 || len(refs[bo.ID]) != 1 || refs[jo.ID][0].Name != "Marketing" {
				t.Errorf("got %+v, %v", refs, err)
			}
		})
	}
}
