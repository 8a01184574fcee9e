package store

import (
	"path/filepath"
	"strings"
	"testing"

	"offramp/internal/offboard"
)

// TestNoListingWalksTheTable asks SQLite how it would answer: every narrowing
// and every order by a search in an index, and nothing by reading everyone.
func TestNoListingWalksTheTable(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "offramp.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Migrate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	yes := true
	for what, row := range map[string]struct {
		q     offboard.PeopleQuery
		index string
	}{
		"everyone":        {offboard.PeopleQuery{}, "person_"},
		"id":              {offboard.PeopleQuery{ID: "x"}, "sqlite_autoindex_person_1"},
		"user name":       {offboard.PeopleQuery{UserName: "x"}, "person_user_name"},
		"beginning":       {offboard.PeopleQuery{UserNamePrefix: "x"}, "person_user_name"},
		"external id":     {offboard.PeopleQuery{ExternalID: "x"}, "person_external_id"},
		"display name":    {offboard.PeopleQuery{DisplayName: "x"}, "person_display"},
		"address":         {offboard.PeopleQuery{Email: "x"}, "person_address_value"},
		"manager":         {offboard.PeopleQuery{Manager: "x"}, "person_manager"},
		"group":           {offboard.PeopleQuery{Group: "x"}, "sqlite_autoindex_membership_1"},
		"active":          {offboard.PeopleQuery{Active: &yes}, "person_active"},
		"active and name": {offboard.PeopleQuery{Active: &yes, UserName: "x"}, "person_user_name"},
	} {
		for _, by := range []offboard.Sort{
			offboard.SortID, offboard.SortUserName, offboard.SortDisplayName, offboard.SortExternalID,
			offboard.SortCreated, offboard.SortModified,
		} {
			row.q.Connection, row.q.Slice = "okta", offboard.Slice{Limit: 10, Sort: by}
			statement, args := peopleListing(row.q).page(personColumns, row.q.Slice)
			plan := explain(t, s, statement, args)
			used := strings.Contains(plan, row.index) || by != offboard.SortID && strings.Contains(plan, "person_")
			if strings.Contains(plan, "SCAN person") || !used {
				t.Errorf("%s by %q:\n%s", what, by, plan)
			}
			statement, args = peopleListing(row.q).count()
			if plan := explain(t, s, statement, args); strings.Contains(plan, "SCAN person") {
				t.Errorf("count %s:\n%s", what, plan)
			}
		}
	}
	for what, q := range map[string]offboard.GroupsQuery{
		"all": {}, "id": {ID: "x"}, "name": {DisplayName: "x"}, "external id": {ExternalID: "x"}, "member": {Member: "x"},
		"one member": {ID: "x", Member: "y"},
	} {
		q.Connection, q.Limit = "okta", 10
		statement, args := groupsListing(q).page(groupColumns, q.Slice)
		if plan := explain(t, s, statement, args); strings.Contains(plan, "SCAN scim_group") || strings.Contains(plan, "SCAN membership") {
			t.Errorf("groups by %s:\n%s", what, plan)
		}
	}
}

func explain(t *testing.T, s *Store, statement string, args []any) string {
	t.Helper()
	rows, err := s.read.QueryContext(t.Context(), "explain query plan "+statement, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(detail + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
