package review_test

import (
	"encoding/csv"
	"strings"
	"testing"

	"offramp/internal/offboard"
	"offramp/internal/review"
)

// A list within a cell is split by some spreadsheets, and each part of it may
// begin a formula.
func TestNoPartOfACellIsAFormula(t *testing.T) {
	t.Parallel()
	v := must[*review.Reviews](t)(review.New(review.Options{
		Store: struct{ review.Store }{}, Organizations: []review.Organization{{}}, Rules: func(string) offboard.Rules { return offboard.Rules{} },
	}))
	for in, want := range map[string]string{
		"Web: Admin":             "Web: Admin",
		"jo-ann@example.com":     "jo-ann@example.com",
		"=1+1":                   "'=1+1",
		"Web; =HYPERLINK(1)":     "Web; '=HYPERLINK(1)",
		"a\t@SUM(A1)":            "a\t'@SUM(A1)",
		"a,+1;-2":                "a,'+1;'-2",
		" \u00a0=1":              " \u00a0'=1",
		"say \"=1\" and, \"b\"":  "say \"'=1\" and, \"b\"",
		"two lines\n+49 89 1234": "two lines\n'+49 89 1234",
		"＝1+1":                   "'＝1+1",
	} {
		var text strings.Builder
		items := []offboard.ReviewItem{{Organization: "acme", Name: in}}
		if err := v.Report(&text, "csv", offboard.Review{}, items, offboard.Progress{}); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(strings.NewReader(text.String())).ReadAll()
		if err != nil || len(rows) != 2 || rows[1][2] != want {
			t.Errorf("%q became %q, want %q: %v", in, rows, want, err)
		}
		if _, line, _ := strings.Cut(text.String(), "\n"); !strings.HasPrefix(line, `"acme","","`) {
			t.Errorf("a cell is not quoted: %s", line)
		}
	}
}
