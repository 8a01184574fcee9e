package offboard_test

import (
	"strings"
	"testing"

	"offramp/internal/offboard"
)

func TestWhoIsTheOnlyAdmin(t *testing.T) {
	t.Parallel()
	of := func(projects ...[]string) offboard.AdminFacts {
		o := offboard.AdminsOf{Organization: "acme"}
		for i, admins := range projects {
			o.Projects = append(o.Projects, offboard.ProjectAdmins{Name: []string{"Web", "Mobile"}[i], Admins: admins})
		}
		return offboard.AdminFacts{Organizations: []offboard.AdminsOf{o}}
	}
	known := func(f offboard.AdminFacts, who ...string) offboard.AdminFacts { f.Known = who; return f }
	jo, sam := "Jo@example.com", "sam@example.com"
	for story, tc := range map[string]struct {
		facts offboard.AdminFacts
		says  string // empty: replaceable
	}{
		"no admin at all":                         {of([]string{sam}, []string{sam}), ""},
		"an admin beside another":                 {of([]string{jo, sam}, []string{sam, jo}), ""},
		"the only admin of everything":            {of([]string{jo}, []string{jo}), "the last admin of acme"},
		"an admin everywhere, the other of one":   {of([]string{jo, sam}, []string{jo}), "the last admin of acme"},
		"the only admin of one project":           {of([]string{jo}, []string{sam}), "the only admin of project Web in acme"},
		"the last one, but another is configured": {known(of([]string{jo}, []string{jo}), sam), "the only admin of project Web, Mobile in acme"},
		"one configured, and nothing is seen":     {known(offboard.AdminFacts{}, jo), "the last admin of every organization"},
		"two configured, and nothing is seen":     {known(offboard.AdminFacts{}, jo, sam), ""},
		"nothing is seen":                         {offboard.AdminFacts{}, ""},
		"a project without admins":                {of(nil, nil), ""},
	} {
		got := tc.facts.Irreplaceable("jo@example.com")
		if (tc.says == "") != (got == "") || !strings.Contains(got, tc.says) {
			t.Errorf("%s: %q, want %q", story, got, tc.says)
		}
	}
}
