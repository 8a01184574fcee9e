package intake_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"offramp/scim"
)

// TestAConnectionCanNeitherSeeNorTouchAnother tries a token of Entra's on
// everything of Okta's, while Entra's own directory holds people of the same
// names. All of it is answered as if the other were not there, and afterwards
// Okta's directory is as it was, to the byte.
func TestAConnectionCanNeitherSeeNorTouchAnother(t *testing.T) {
	t.Parallel()
	for _, postgres := range []bool{false, true} {
		t.Run(fmt.Sprintf("postgres=%v", postgres), func(t *testing.T) {
			t.Parallel()
			b := newBridge(t, settings{postgres: postgres, access: []string{"amplitude"}})
			jo, boss := b.hire(t, "jo"), b.hire(t, "boss")
			b.want(t, 200, oktaToken, http.MethodPatch, "/Users/"+jo, patch(`{"op":"add","value":{"title":"Analyst",
				"`+scim.EnterpriseURN+`":{"manager":{"value":"`+boss+`"}}}}`))
			access, other := b.team(t, "Amplitude", jo, boss), b.team(t, "Lunch", jo)
			stranger := b.want(t, 201, entraToken, http.MethodPost, "/Users",
				`{"schemas":["`+scim.UserURN+`"],"userName":"jo@example.com","externalId":"00u-jo","displayName":"jo Doe",
				"emails":[{"value":"jo@example.com","type":"work","primary":true}]}`).id()
			own := b.want(t, 201, entraToken, http.MethodPost, "/Groups",
				`{"schemas":["`+scim.GroupURN+`"],"displayName":"Amplitude","members":[{"value":"`+stranger+`"},{"value":"`+jo+`"}]}`).id()
			before := b.everything(t, oktaToken, jo, boss, access, other)

			b.refused(t, jo, access, stranger)
			b.unseen(t, jo, boss, access, stranger, own)
			// A group of one's own takes in nobody of another connection.
			for _, op := range []string{
				`{"op":"add","path":"members","value":[{"value":"` + jo + `"}]}`,
				`{"op":"replace","path":"members","value":[{"value":"` + stranger + `"},{"value":"` + boss + `"}]}`,
				`{"op":"remove","path":"members[value eq \"` + jo + `\"]"}`,
			} {
				b.want(t, 204, entraToken, http.MethodPatch, "/Groups/"+own, patch(op))
			}
			got := b.want(t, 200, entraToken, http.MethodGet, "/Groups/"+own, "")
			if strings.Contains(got.text, jo) || strings.Contains(got.text, boss) || !strings.Contains(got.text, stranger) {
				t.Errorf("members: %s", got.text)
			}
			b.want(t, 204, entraToken, http.MethodDelete, "/Users/"+stranger, "")
			b.want(t, 204, entraToken, http.MethodDelete, "/Groups/"+own, "")

			if after := b.everything(t, oktaToken, jo, boss, access, other); after != before {
				t.Errorf("before\n%s\nafter\n%s", before, after)
			}
			for _, k := range b.cases(t) {
				if k.Connection != "entra" {
					t.Errorf("a case of another connection was opened: %+v", k)
				}
			}
		})
	}
}

// refused tries what names something of the other connection.
func (b *bridge) refused(t *testing.T, user, group, own string) {
	t.Helper()
	for _, row := range []struct{ method, path, body string }{
		{http.MethodGet, "/Users/" + user, ""},
		{http.MethodGet, "/Users/" + user + "?attributes=userName", ""},
		{http.MethodPut, "/Users/" + user, `{"schemas":["` + scim.UserURN + `"],"userName":"jo@example.com","active":false}`},
		{http.MethodPut, "/Users/" + user, `{"schemas":["` + scim.UserURN + `"],"id":"` + own + `","userName":"other@example.com"}`},
		{http.MethodPatch, "/Users/" + user, patch(`{"op":"replace","value":{"active":false}}`)},
		{http.MethodPatch, "/Users/" + user, patch(`{"op":"Replace","path":"active","value":"False"}`)},
		{http.MethodPatch, "/Users/" + user, patch(`{"op":"replace","value":{"id":"` + own + `","userName":"other@example.com"}}`)},
		{http.MethodDelete, "/Users/" + user, ""},
		{http.MethodGet, "/Groups/" + group, ""},
		{http.MethodGet, "/Groups/" + group + "?excludedAttributes=members", ""},
		{http.MethodPut, "/Groups/" + group, `{"schemas":["` + scim.GroupURN + `"],"displayName":"Amplitude","members":[]}`},
		{http.MethodPatch, "/Groups/" + group, patch(`{"op":"replace","path":"members","value":[]}`)},
		{http.MethodPatch, "/Groups/" + group, patch(`{"op":"remove","path":"members[value eq \"` + user + `\"]"}`)},
		{http.MethodPatch, "/Groups/" + group, patch(`{"op":"Remove","path":"members","value":[{"value":"` + user + `"}]}`)},
		{http.MethodPatch, "/Groups/" + group, patch(`{"op":"add","path":"members","value":[{"value":"` + own + `"}]}`)},
		{http.MethodPatch, "/Groups/" + group, patch(`{"op":"replace","value":{"displayName":"Other"}}`)},
		{http.MethodDelete, "/Groups/" + group, ""},
	} {
		// A version that fits, or that is asked about, tells nothing either.
		for _, header := range []string{"", `If-Match: W/"1"`, `If-Match: W/"2"`, "If-Match: *", `If-None-Match: W/"1"`, "If-None-Match: *"} {
			a := b.send(t, entraToken, header, row.method, row.path, row.body)
			if a.status != http.StatusNotFound || a.header.Get("ETag") != "" {
				t.Errorf("%s %s, %s: %d %s", row.method, row.path, header, a.status, a.text)
			}
		}
	}
}

// unseen lists and filters for what is the other connection's.
func (b *bridge) unseen(t *testing.T, user, boss, group, own, ownGroup string) {
	t.Helper()
	for text, total := range map[string]int{
		``:                               1, // one's own
		`id eq "` + user + `"`:           0,
		`userName eq "boss@example.com"`: 0,
		`userName eq "jo@example.com"`:   1,
		`userName sw "boss"`:             0,
		`userName sw "jo"`:               1,
		`externalId eq "00u-boss"`:       0,
		`externalId eq "00u-jo"`:         1,
		`displayName eq "boss Doe"`:      0,
		`emails eq "boss@example.com"`:   0,
		`emails[type eq "work"].value eq "jo@example.com"`: 1,
		`title eq "Analyst"`:                                     0,
		`groups eq "` + group + `"`:                              0,
		`groups.value eq "` + group + `" and active eq true`:     0,
		`id eq "` + user + `" and manager eq "` + boss + `"`:     0,
		`manager eq "` + boss + `"`:                              0,
		`userName eq "boss@example.com" or id eq "` + user + `"`: 0,
		`not (userName eq "x@example.com")`:                      1,
		`active eq true`:                                         1,
		`(id eq "` + user + `") or (externalId eq "00u-jo")`:     1,
	} {
		for _, page := range []string{"", "&startIndex=1&count=0", "&startIndex=1&count=1", "&sortBy=userName&sortOrder=descending"} {
			path := "/Users" + filter(text) + page
			if text == "" {
				path = "/Users?" + strings.TrimPrefix(page, "&")
			}
			a := b.want(t, 200, entraToken, http.MethodGet, path, "")
			if a.total() != total || strings.Contains(a.text, user) || strings.Contains(a.text, boss) {
				t.Errorf("%s: %s", path, a.text)
			}
		}
	}
	for text, total := range map[string]int{
		`id eq "` + group + `"`:                                  0,
		`displayName eq "Lunch"`:                                 0,
		`displayName eq "Amplitude"`:                             1,
		`members eq "` + user + `"`:                              0,
		`id eq "` + group + `" and members eq "` + user + `"`:    0,
		`id eq "` + ownGroup + `" and members eq "` + user + `"`: 0,
		`id eq "` + ownGroup + `" and members eq "` + own + `"`:  1,
	} {
		a := b.want(t, 200, entraToken, http.MethodGet, "/Groups"+filter(text), "")
		if a.total() != total || strings.Contains(a.text, user) || strings.Contains(a.text, group) {
			t.Errorf("%s: %s", text, a.text)
		}
	}
}

// everything is what a connection sees of some users and groups, with versions.
func (b *bridge) everything(t *testing.T, token string, ids ...string) string {
	t.Helper()
	var out strings.Builder
	for _, path := range []string{"/Users", "/Groups"} {
		out.WriteString(b.want(t, 200, token, http.MethodGet, path, "").text + "\n")
		for _, id := range ids {
			if a := b.call(t, token, http.MethodGet, path+"/"+id, ""); a.status == http.StatusOK {
				out.WriteString(a.header.Get("ETag") + " " + a.text + "\n")
			}
		}
	}
	return out.String()
}
