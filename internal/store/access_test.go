package store_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"offramp/internal/offboard"
	"offramp/internal/store"
)

// staff records people named after a letter and a number.
func staff(t *testing.T, s *store.Store, n int) []string {
	t.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = hire(t, s, fmt.Sprintf("m%02d", i)).ID
	}
	return ids
}

func TestLeavingTheLastAccessGroupOpensACase(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			ids := staff(t, s, 4)
			g := team(t, s, "Amplitude", ids...)
			team(t, s, "Marketing", ids...)
			regroup(t, s, g, remove(ids[0]))
			list := cases(t, s)
			if len(list) != 1 || list[0].PersonID != ids[0] || list[0].Reason != offboard.GroupRemoval || list[0].State == offboard.StateHeld {
				t.Fatalf("cases: %+v", list)
			}
			before := list[0].Signal
			regroup(t, s, g, add(ids[0]))
			if list = cases(t, s); len(list) != 1 || list[0].Signal <= before {
				t.Errorf("who came back: %+v", list)
			}
		})
	}
}

func TestRemovedAndAddedInOneChangeIsNotLeaving(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			ids := staff(t, s, 3)
			g := team(t, s, "Amplitude", ids...)
			regroup(t, s, g, remove(ids[0]), add(ids[0]))
			regroup(t, s, g, replace(), add(ids...))
			if list := cases(t, s); len(list) != 0 {
				t.Errorf("cases: %+v", list)
			}
		})
	}
}

func TestAnotherAccessGroupKeepsAccess(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			access := withAccess()
			access.Groups = append(access.Groups, "x-analysts")
			ids := staff(t, s, 3)
			first := team(t, s, "Amplitude", ids...)
			second, _, err := s.CreateGroup(t.Context(), offboard.NewGroup{
				ID: "second", Connection: okta, DisplayName: "Analysts", ExternalID: "X-Analysts", Members: ids[:1], Access: access,
			})
			if err != nil || second.Access == "" {
				t.Fatalf("a group is bound by its external id too: %+v, %v", second, err)
			}
			regroup(t, s, first, remove(ids[0]))
			if list := cases(t, s); len(list) != 0 {
				t.Errorf("cases: %+v", list)
			}
			regroup(t, s, second, remove(ids[0]))
			if list := cases(t, s); len(list) != 1 {
				t.Errorf("cases: %+v", list)
			}
		})
	}
}

func TestAccessStaysWithTheGroupOverARename(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			ids := staff(t, s, 3)
			g := team(t, s, "Amplitude", ids...)
			name := "Product analytics"
			_, _, err := s.ChangeGroup(t.Context(), offboard.GroupChange{Connection: okta, ID: g.ID, DisplayName: &name, Access: withAccess()})
			if err != nil {
				t.Fatal(err)
			}
			namesake := team(t, s, "amplitude") // comes later, has the name, gives no access
			if namesake.Access != "" {
				t.Errorf("bound twice: %+v", namesake)
			}
			regroup(t, s, g, remove(ids[0]))
			if len(cases(t, s)) != 1 {
				t.Error("a renamed access group gives no access any more")
			}
		})
	}
}

func TestChangesToManyAtOnceAreHeld(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		what   string
		size   int
		change func(c *offboard.GroupChange, ids []string)
		held   int
		open   int
	}{
		{"the group is emptied", 3, func(c *offboard.GroupChange, _ []string) { c.Members = []offboard.MemberChange{replace()} }, 3, 0},
		{"an only member is replaced by none", 1, func(c *offboard.GroupChange, _ []string) { c.Members = []offboard.MemberChange{replace()} }, 1, 0},
		{"an only member leaves by name", 1, func(c *offboard.GroupChange, ids []string) { c.Members = []offboard.MemberChange{remove(ids...)} }, 0, 1},
		{"the group is deleted", 2, func(c *offboard.GroupChange, _ []string) { c.Delete = true }, 2, 0},
		{"more than half", 5, func(c *offboard.GroupChange, ids []string) {
			c.Members = []offboard.MemberChange{remove(ids[:3]...)}
		}, 3, 0},
		{"less than half", 5, func(c *offboard.GroupChange, ids []string) {
			c.Members = []offboard.MemberChange{replace(ids[2:]...)}
		}, 0, 2},
		{"more than twenty of many", 50, func(c *offboard.GroupChange, ids []string) {
			c.Members = []offboard.MemberChange{remove(ids[:21]...)}
		}, 21, 0},
	} {
		t.Run(row.what, func(t *testing.T) {
			t.Parallel()
			for _, d := range databases() {
				t.Run(d.name, func(t *testing.T) {
					s, _ := d.open(t)
					ids := staff(t, s, row.size)
					g := team(t, s, "Amplitude", ids...)
					c := offboard.GroupChange{Connection: okta, ID: g.ID, Access: withAccess()}
					row.change(&c, ids)
					if _, _, err := s.ChangeGroup(t.Context(), c); err != nil {
						t.Fatal(err)
					}
					batches := map[string]bool{}
					held, open := 0, 0
					for _, k := range cases(t, s) {
						if k.State != offboard.StateHeld {
							open++
							continue
						}
						held++
						batches[k.Batch] = true
						if k.Batch == "" || !strings.Contains(k.Note, "access group") {
							t.Errorf("held without a batch or a reason: %+v", k)
						}
					}
					if held != row.held || open != row.open || len(batches) > 1 {
						t.Errorf("%d held in %d batches and %d open, want %d and %d", held, len(batches), open, row.held, row.open)
					}
				})
			}
		})
	}
}

func TestOneLeaverTwoReasonsOneCase(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			ids := staff(t, s, 30)
			g := team(t, s, "Amplitude", ids...)
			access := withAccess()
			var wg sync.WaitGroup
			for _, id := range ids[:10] {
				wg.Go(func() {
					_, err := s.ChangePerson(t.Context(), offboard.PersonChange{
						Connection: okta, ID: id, Rules: access.Rules,
						Change: func(p offboard.Person) (offboard.Person, error) { p.Active = false; return p, nil },
					})
					if err != nil {
						t.Error(err)
					}
				})
				wg.Go(func() {
					_, _, err := s.ChangeGroup(t.Context(), offboard.GroupChange{
						Connection: okta, ID: g.ID, Members: []offboard.MemberChange{remove(id)}, Access: access,
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			people := map[string]int{}
			for _, k := range cases(t, s) {
				people[k.PersonID]++
			}
			for _, id := range ids[:10] {
				if people[id] != 1 {
					t.Errorf("%s has %d cases", id, people[id])
				}
			}
		})
	}
}

func TestConfiguringAccessBindsWhatIsThere(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			ids := staff(t, s, 3)
			old := team(t, s, "Amplitude", ids...)
			later := team(t, s, "Analysts", ids[0])
			// The configuration now names the other group.
			access := withAccess()
			access.Groups = []string{"analysts"}
			lost, err := s.BindAccess(t.Context(), okta, access)
			if err != nil || lost != 2 {
				t.Errorf("%d lost access, %v", lost, err)
			}
			list := cases(t, s)
			for _, k := range list {
				if k.State != offboard.StateHeld || k.Batch == "" || k.PersonID == ids[0] {
					t.Errorf("case %+v", k)
				}
			}
			if len(list) != 2 {
				t.Errorf("%d cases", len(list))
			}
			if g, err := s.Group(t.Context(), okta, later.ID); err != nil || g.Access != "analysts" {
				t.Errorf("%+v, %v", g, err)
			}
			if g, err := s.Group(t.Context(), okta, old.ID); err != nil || g.Access != "" {
				t.Errorf("%+v, %v", g, err)
			}
			if lost, err := s.BindAccess(t.Context(), okta, access); err != nil || lost != 0 || len(cases(t, s)) != 2 {
				t.Errorf("a second start changed something: %d, %v", lost, err)
			}
		})
	}
}
