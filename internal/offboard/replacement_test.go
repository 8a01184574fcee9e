package offboard_test

import (
	"slices"
	"testing"

	"offramp/internal/offboard"
)

func TestWhichProjectsNeedAnotherAdmin(t *testing.T) {
	t.Parallel()
	const jo, alias, kim = "jo@example.com", "jo.smith@example.com", "kim@example.com"
	for story, row := range map[string]struct {
		admins map[int][]string
		want   []int
	}{
		"one that only the leaver administers":             {map[int][]string{1: {jo}, 2: {jo, kim}, 3: nil}, []int{1}},
		"by any of their addresses":                        {map[int][]string{1: {jo, alias}, 2: {kim}}, []int{1}},
		"several":                                          {map[int][]string{2: {jo}, 1: {alias}, 3: {kim}}, []int{1, 2}},
		"none: somebody else is there":                     {map[int][]string{1: {jo, kim}, 2: {kim}}, nil},
		"none: the last admin of all is replaced as one":   {map[int][]string{1: {jo}, 2: {jo}}, nil},
		"none: where there is one project, that is of all": {map[int][]string{1: {jo}}, nil},
		"none of an administrator's: somebody else is one": {map[int][]string{1: {jo, kim}, 2: {jo, kim}}, nil},
	} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			if got := offboard.ToReplace([]string{jo, alias}, row.admins); !slices.Equal(got, row.want) {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

// The question goes to an approver in a role that the policy names, and never to
// the leaver.
func TestWhoIsAskedForAnotherAdmin(t *testing.T) {
	t.Parallel()
	for want, listed := range map[string][]offboard.Approver{
		"":                {{Address: "lee@example.com"}},
		"sam@example.com": {{Address: "lee@example.com"}, {Address: "sam@example.com", Roles: []string{"legal"}}},
		"kim@example.com": {{Address: "sam@example.com", Roles: []string{"legal"}}, {Address: "kim@example.com", Roles: []string{"security"}}},
	} {
		f := leaving(func(f *offboard.File) { f.Case.Policy.Roles = []string{"security"} })
		if k := offboard.Replacement(f, offboard.Approvers{Listed: listed}, "x", ""); k.Assignee != want {
			t.Errorf("asked %q, want %q", k.Assignee, want)
		}
	}
}
