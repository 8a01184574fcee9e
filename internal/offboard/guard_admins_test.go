package offboard_test

import (
	"slices"
	"strings"
	"testing"

	"offramp/internal/offboard"
)

func TestWhoIsTheOnlyAdmin(t *testing.T) {
	t.Parallel()
	const jo, other, sam, kim = "Jo@example.com", "jo.smith@example.com", "sam@example.com", "kim@example.com"
	of := func(projects ...[]string) offboard.AdminFacts {
		f := offboard.AdminFacts{Organization: "acme", Leaver: []string{"jo@example.com", other}}
		for i, admins := range projects {
			f.Projects = append(f.Projects, offboard.ProjectAdmins{Name: []string{"Web", "Mobile"}[i], Admins: admins})
		}
		return f
	}
	known := func(f offboard.AdminFacts, who ...string) offboard.AdminFacts { f.Known = who; return f }
	for story, tc := range map[string]struct {
		facts  offboard.AdminFacts
		losing string
		says   string // empty: replaceable
	}{
		"no admin at all":                          {of([]string{sam}, []string{sam}), "", ""},
		"an admin beside another":                  {of([]string{jo, sam}, []string{sam, jo}), "", ""},
		"the other loses something too":            {of([]string{jo, sam}, []string{sam, jo}), sam, "the last admin of acme"},
		"one of two others loses something":        {of([]string{jo, sam, kim}, []string{sam, jo, kim}), sam, ""},
		"the only admin of everything":             {of([]string{jo}, []string{jo}), "", "the last admin of acme"},
		"the other admin is the same human":        {of([]string{jo, other}, []string{jo, other}), "", "the last admin of acme"},
		"an admin everywhere by two seats":         {of([]string{jo}, []string{other}), "", "the last admin of acme"},
		"an admin everywhere, the other of one":    {of([]string{jo, sam}, []string{jo}), "", "the last admin of acme"},
		"the only admin of one project":            {of([]string{jo}, []string{sam}), "", "the only admin of project Web in acme"},
		"the other admin of a project loses it":    {of([]string{jo, kim}, []string{sam}), kim, "the only admin of project Web in acme"},
		"who is configured is not seen as one":     {known(of([]string{jo}, []string{jo}), sam), "", "the last admin of acme"},
		"alone configured, but others are seen":    {known(of([]string{jo, sam, kim}), jo), "", ""},
		"one configured, and nothing is seen":      {known(of(), jo), "", "by protect.admins the leaver is the last admin of acme"},
		"one configured, and a project shows none": {known(of([]string{sam}, nil), jo), "", "by protect.admins the leaver is the last admin of acme"},
		"two configured, and nothing is seen":      {known(of(), jo, sam), "", ""},
		"two configured, and the other leaves":     {known(of(), jo, sam), sam, "by protect.admins the leaver is the last admin of acme"},
		"another is configured, and none is seen":  {known(of(), sam), "", ""},
		"nothing is seen":                          {of(), "", ""},
		"a project without admins":                 {of(nil, nil), "", ""},
	} {
		got := tc.facts.Irreplaceable([]string{tc.losing})
		if (tc.says == "") != (got == "") || !strings.Contains(got, tc.says) {
			t.Errorf("%s: %q, want %q", story, got, tc.says)
		}
	}
}

// Whoever takes something from nobody who administers anything asks for nobody,
// and waits for nobody.
func TestOnlyTheAdminsBesideAnAdminMatter(t *testing.T) {
	t.Parallel()
	f := offboard.AdminFacts{Organization: "acme", Leaver: []string{"jo@example.com"}, Known: []string{"root@example.com"}, Projects: []offboard.ProjectAdmins{
		{Name: "Web", Admins: []string{"sam@example.com", "kim@example.com"}}, {Name: "Mobile", Admins: []string{"lee@example.com"}},
	}}
	if got := f.Others().Addresses; len(got) > 0 {
		t.Errorf("of no admin: %v", got)
	}
	f.Projects[0].Admins = []string{"kim@example.com", "Jo@example.com", "Sam@example.com"}
	f.Projects = append(f.Projects, offboard.ProjectAdmins{Name: "Shop", Admins: []string{"jo@example.com", "sam@example.com"}})
	if got := f.Others().Addresses; !slices.Equal(got, []string{"sam@example.com", "kim@example.com"}) {
		t.Errorf("who stands in for most comes first: %v", got)
	}
	if !f.Wanted("kim@example.com", []string{"sam@example.com"}, 2) || f.Wanted("kim@example.com", []string{"sam@example.com"}, 1) ||
		f.Wanted("lee@example.com", nil, 1) {
		t.Error("somebody is wanted where fewer than enough are sure, and nowhere else")
	}
	if got := f.Only([]string{"kim@example.com"}); got.Irreplaceable(nil) == "" || len(got.Projects[1].Admins) != 1 || len(f.Projects[2].Admins) != 2 {
		t.Errorf("left: %+v, of %+v", got, f)
	}
}
