package intake_test

import (
	"fmt"
	"net/http"
	"testing"

	"offramp/scim"
)

func TestFilters(t *testing.T) {
	t.Parallel()
	for _, postgres := range []bool{false, true} {
		t.Run(fmt.Sprintf("postgres=%v", postgres), func(t *testing.T) {
			t.Parallel()
			b := newBridge(t, settings{postgres: postgres})
			jo, bo := b.hire(t, "Jo"), b.hire(t, "bo")
			b.hire(t, "al")
			b.want(t, 200, oktaToken, http.MethodPatch, "/Users/"+bo, patch(`{"op":"add","value":{"active":false,"title":"Lead",
				"`+scim.EnterpriseURN+`":{"manager":{"value":"`+jo+`"},"department":"Sales"}}}`))
			g := b.team(t, "Marketing", jo, bo)
			b.team(t, "Sales", jo)
			for _, row := range []struct{ filter, want string }{
				{`userName eq "JO@example.com"`, "Jo"},
				{`userName eq "nobody@example.com"`, ""},
				{`id eq "` + jo + `"`, "Jo"},
				{`externalId eq "00u-bo"`, "bo"},
				{`externalId eq "00U-BO"`, ""},
				{`emails eq "bo@example.com"`, "bo"},
				{`emails[type eq "work"].value eq "BO@example.com"`, "bo"},
				{`emails[type eq "home" and value eq "bo@example.com"]`, ""},
				{`displayName eq "bo doe"`, "bo"},
				{`active eq true`, "Jo al"},
				{`active eq "False"`, "bo"},
				{`userName sw "j"`, "Jo"},
				{`userName sw "j" and active eq true`, "Jo"},
				{`userName sw "J" and title pr`, ""},
				{`groups eq "` + g + `"`, "Jo bo"},
				{`groups eq "` + g + `" and active eq true`, "Jo"},
				{scim.EnterpriseURN + `:manager eq "` + jo + `"`, "bo"},
				{`id eq "` + bo + `" and manager eq "` + jo + `"`, "bo"},
				{`id eq "` + jo + `" and manager eq "` + jo + `"`, ""},
				{`title eq "Lead" and ` + scim.EnterpriseURN + `:department eq "sales"`, "bo"},
				{`userName eq "jo@example.com" or emails eq "bo@example.com"`, "Jo bo"},
				{`userName eq "jo@example.com" or externalId eq "00u-Jo"`, "Jo"},
				{`active eq true and (id eq "` + jo + `" or id eq "` + bo + `")`, "Jo"},
				{`not (userName eq "jo@example.com")`, "bo al"},
				{`userName co "example" and not (active eq false)`, "Jo al"},
				{`title eq "x" or userName ew "nowhere"`, ""},
			} {
				got := b.want(t, 200, oktaToken, http.MethodGet, "/Users"+filter(row.filter), "")
				if got.userNames() != row.want || got.total() != len(got.doc["Resources"].([]any)) {
					t.Errorf("%s: got %q of %d, want %q", row.filter, got.userNames(), got.total(), row.want)
				}
			}
			for _, row := range []struct{ filter, want string }{
				{`displayName eq "marketing"`, "Marketing"},
				{`displayName eq "x"`, ""},
				{`members eq "` + bo + `"`, "Marketing"},
				{`id eq "` + g + `" and members eq "` + jo + `"`, "Marketing"},
				{`id eq "` + g + `" and members eq "x"`, ""},
				{`members[value eq "` + jo + `"]`, "Marketing Sales"},
				{`displayName sw "s"`, "Sales"},
				{`displayName eq "Sales" or id eq "` + g + `"`, "Marketing Sales"},
				{`externalId pr`, ""},
			} {
				got := b.want(t, 200, oktaToken, http.MethodGet, "/Groups"+filter(row.filter), "")
				if got.userNames() != row.want {
					t.Errorf("%s: got %q, want %q", row.filter, got.userNames(), row.want)
				}
			}
			b.want(t, 400, oktaToken, http.MethodGet, "/Users"+filter(`userName eq`), "")
		})
	}
}

func TestPagesOfAFilterKeepTheirOrder(t *testing.T) {
	t.Parallel()
	b := newBridge(t, settings{})
	for _, name := range []string{"c", "a", "b"} {
		b.hire(t, name)
	}
	for _, row := range []struct{ query, want string }{
		{"&startIndex=1&count=2", "c a"},
		{"&startIndex=3&count=2", "b"},
		{"&startIndex=9&count=2", ""},
		{"&sortBy=userName", "a b c"},
		{"&sortBy=userName&sortOrder=descending&count=1", "c"},
		{"&count=0", ""},
	} {
		for _, path := range []string{"/Users" + filter(`userName co "example"`), "/Users" + filter(`active eq true`)} {
			got := b.want(t, 200, oktaToken, http.MethodGet, path+row.query, "")
			if got.userNames() != row.want || got.total() != 3 {
				t.Errorf("%s%s: got %q of %d, want %q", path, row.query, got.userNames(), got.total(), row.want)
			}
		}
	}
}

func TestAFilterThatWouldReadEveryoneIsRefused(t *testing.T) {
	t.Parallel()
	b := newBridge(t, settings{})
	const people = 1001
	b.crowd(t, 0, people)
	for _, text := range []string{`title eq "x"`, `userName co "p"`, `active eq true and title pr`, `userName eq "p0000001@example.com" or title pr`, `not (active eq true)`} {
		if got := b.want(t, 400, oktaToken, http.MethodGet, "/Users"+filter(text), ""); got.scimType() != "invalidFilter" {
			t.Errorf("%s: %s", text, got.text)
		}
	}
	for text, want := range map[string]int{
		`active eq true`: people, `userName sw "p"`: people, `userName sw "p00000"`: 100, `userName sw "p000000" and title pr`: 0,
		`userName eq "P0000007@example.com" and userName co "7"`: 1,
	} {
		if got := b.want(t, 200, oktaToken, http.MethodGet, "/Users"+filter(text), ""); got.total() != want {
			t.Errorf("%s: %d hits, want %d", text, got.total(), want)
		}
	}
}
