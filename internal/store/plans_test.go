package store

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"offramp/internal/offboard"
)

// TestNoListingWalksTheTable asks SQLite how it would answer: every narrowing
// and every order by a search in an index, and nothing by reading everyone.
func TestNoListingWalksTheTable(t *testing.T) {
	t.Parallel()
	s := fresh(t)
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

// fresh is an empty record.
func fresh(t *testing.T) *Store {
	t.Helper()
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
	return s
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

var (
	named     = regexp.MustCompile(`(?m)^-- name: (\w+) :\w+$`)
	parameter = regexp.MustCompile(`@\w+`)
	walk      = regexp.MustCompile(`SCAN \w+(?: USING (?:COVERING )?INDEX \w+)?`)
)

// whole lists the statements that read all of something small: what is live, engaged,
// or open, one row for each organization, or a list made on the way.
func whole() map[string][]string {
	return map[string][]string{
		"EngagedBrakes": {"SCAN brake USING INDEX brake_engaged"}, "CountOrdinary": {"SCAN counted"}, "CountUrgent": {"SCAN counted"},
		"QueuedCases": {"SCAN cases USING INDEX cases_address"}, "FreeLeases": {"SCAN cases USING INDEX cases_address"},
		"CountCases": {"SCAN cases USING INDEX cases_address"}, "CountOverdue": {"SCAN cases USING INDEX cases_address"},
		"CountFindings":     {"SCAN finding USING INDEX finding_counted"},
		"Sweeps":            {"SCAN sweep USING INDEX sqlite_autoindex_sweep_1"},
		"CountReadingLooks": {"SCAN f", "SCAN u", "SCAN counted"},
		"Watched":           {"SCAN CONSTANT", "SCAN l", "SCAN d", "SCAN e"}, "MemberSample": {"SCAN sample"},
		"CountDueMessages": {"SCAN pause USING COVERING INDEX sqlite_autoindex_pause_1"},
		"ClaimMessages":    {"SCAN pause USING COVERING INDEX sqlite_autoindex_pause_1"},
		"LiveReview":       {"SCAN review USING INDEX review_live"},
		"Reviews":          {"SCAN review USING INDEX sqlite_autoindex_review_1"},
		"FreeRotations":    {"SCAN rotation"}, // once, at the start
		"FreeSweeps":       {"SCAN sweep"},
		"FreeReadings":     {"SCAN reading"},  // once, at the start; one for each organization
		"CountRotations":   {"SCAN rotation"}, // one for each credential and quarter
	}
}

// TestNoStatementWalksATableThatGrows asks the same about every statement of
// queries/: what has no index is read whole, and tables of cases are never small.
func TestNoStatementWalksATableThatGrows(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	files, err := filepath.Glob("queries/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		names := named.FindAllStringSubmatch(string(text), -1)
		for i, statement := range named.Split(string(text), -1)[1:] {
			name := names[i][1]
			if j := strings.IndexByte(statement, ';'); j > 0 {
				statement = statement[:j]
			}
			n := 0
			statement = parameter.ReplaceAllStringFunc(statement, func(string) string { n++; return "?" })
			plan := explain(t, s, statement, make([]any, n))
			for _, step := range walk.FindAllString(plan, -1) {
				if !slices.Contains(whole()[name], step) {
					t.Errorf("%s %s: %s", file, name, step)
				}
			}
			if strings.Contains(statement, "batch = ?") && strings.Contains(statement, "batch <> ''") && !strings.Contains(plan, "cases_batch") {
				t.Errorf("%s %s:\n%s", file, name, plan)
			}
		}
	}
}
