package main_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// created makes a person as written and returns their id.
func (b *bridge) created(body string) string {
	b.t.Helper()
	var u struct{ ID string }
	a := b.idp(http.MethodPost, "/Users", body)
	if err := json.Unmarshal(a.body, &u); err != nil || a.status != http.StatusCreated || u.ID == "" {
		b.t.Fatalf("create: %d %s", a.status, a.body)
	}
	return u.ID
}

func TestAnUnknownTokenLearnsNothing(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "")
	b.start()
	id := b.hire("jo@example.com", "careful", "")
	for _, path := range []string{"/Users", "/Users/" + id, "/Groups", "/Schemas", "/ResourceTypes", "/ServiceProviderConfig", "/Nowhere"} {
		for what, header := range map[string][]string{
			"unknown": {"Authorization", "Bearer " + strings.Repeat("x", 32)},
			"none":    {"Authorization", ""},
			"short":   {"Authorization", "Bearer " + b.scim[1:]},
			"long":    {"Authorization", "Bearer " + b.scim + "s"},
			"basic":   {"Authorization", "Basic " + b.scim},
			"op":      {"Authorization", "Bearer " + b.op}, // an operator's is not a provider's
		} {
			a := b.idp(http.MethodGet, path, nil, header...)
			refused(t, what+" token on "+path, a, http.StatusUnauthorized, "")
			if a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s token on %s: no WWW-Authenticate", what, path)
			}
			if bytes.Contains(a.body, []byte("jo@example.com")) {
				t.Errorf("%s token on %s sees %s", what, path, a.body)
			}
		}
	}
	// A write is refused before its body is looked at.
	refused(t, "patch", b.idp(http.MethodPatch, "/Users/"+id, "{", "Authorization", "Bearer nobody"), http.StatusUnauthorized, "")
	// And a provider's token is not an operator's.
	if a := b.ask(http.MethodGet, "http://"+b.admin+"/api/v1/cases", b.scim, nil); a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") == "" {
		t.Errorf("operator API with the provider's token: %d %s", a.status, a.body)
	}
}

func TestBadInputIsExplained(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "")
	b.start()
	id := b.hire("jo@example.com", "careful", "")
	other := b.hire("lee@example.com", "careful", "")
	user, users, deactivate := "/Users/"+id, "/Users", `{"op":"replace","path":"active","value":false}`
	for _, row := range []struct {
		what         string
		method, path string
		body         any
		status       int
		scimType     string
		detail       []string // what an admin has to find in it, any case
	}{
		{"text that is no JSON", "POST", users, `userName=jo`, 400, "invalidSyntax", []string{"json"}},
		{"half a JSON", "POST", users, `{"schemas":["` + core + `"],"userName":"ann@`, 400, "invalidSyntax", []string{"json"}},
		{"JSON that is no object", "POST", users, `["jo@example.com"]`, 400, "invalidSyntax", []string{"object"}},
		{"no body", "POST", users, "", 400, "invalidSyntax", nil},
		{"no userName", "POST", users, `{"schemas":["` + core + `"],"displayName":"Jo"}`, 400, "invalidValue", []string{"username"}},
		{"an empty userName", "POST", users, `{"schemas":["` + core + `"],"userName":" "}`, 400, "invalidValue", []string{"username"}},
		{"a userName that is a number", "POST", users, `{"schemas":["` + core + `"],"userName":{"a":1}}`, 400, "invalidValue", []string{"username"}},
		{"a userName that is taken", "POST", users, `{"schemas":["` + core + `"],"userName":"JO@example.com"}`, 409, "uniqueness", []string{"username"}},
		{"taken by replace", "PUT", "/Users/" + other, `{"schemas":["` + core + `"],"userName":"jo@example.com","active":true}`, 409, "uniqueness", []string{"username"}},
		{"taken by patch", "PATCH", "/Users/" + other, patch(`{"op":"replace","path":"userName","value":"jo@example.com"}`), 409, "uniqueness", []string{"username"}},

		{"active maybe", "PATCH", user, patch(`{"op":"replace","path":"active","value":"maybe"}`), 400, "invalidValue", []string{"active", "true", "false"}},
		{"active maybe without path", "PATCH", user, patch(`{"op":"replace","value":{"active":"maybe"}}`), 400, "invalidValue", []string{"active"}},
		{"active 0", "PATCH", user, patch(`{"op":"replace","path":"active","value":0}`), 400, "invalidValue", []string{"active"}},
		{"active as a list", "PATCH", user, patch(`{"op":"replace","path":"active","value":[false,true]}`), 400, "invalidValue", []string{"active"}},
		{"active maybe by replace", "PUT", user, `{"schemas":["` + core + `"],"userName":"jo@example.com","active":"maybe"}`, 400, "invalidValue", []string{"active"}},
		{"active maybe at creation", "POST", users, `{"schemas":["` + core + `"],"userName":"new@example.com","active":"maybe"}`, 400, "invalidValue", []string{"active"}},
		{"a good operation before a bad one", "PATCH", user, patch(deactivate + `,{"op":"replace","path":"active","value":"perhaps"}`), 400, "invalidValue", []string{"active"}},

		{"an unknown operation", "PATCH", user, patch(`{"op":"move","path":"active","value":false}`), 400, "invalidSyntax", []string{"op"}},
		{"no operations", "PATCH", user, patch(``), 400, "invalidSyntax", []string{"operations"}},
		{"remove without path", "PATCH", user, patch(`{"op":"remove"}`), 400, "noTarget", []string{"path"}},
		{"a path that ends too early", "PATCH", user, patch(`{"op":"replace","path":"emails[type eq \"work\"","value":"x"}`), 400, "invalidPath", []string{"path"}},
		{"a path of nothing", "PATCH", user, patch(`{"op":"replace","path":"..","value":"x"}`), 400, "invalidPath", []string{"path"}},
		{"userName taken away", "PATCH", user, patch(`{"op":"remove","path":"userName"}`), 400, "", []string{"username"}},

		{"half a filter", "GET", users + "?filter=" + url.QueryEscape(`userName eq`), nil, 400, "invalidFilter", nil},
		{"an unknown operator", "GET", users + "?filter=" + url.QueryEscape(`userName is "jo"`), nil, 400, "invalidFilter", nil},
		{"an unclosed quote", "GET", users + "?filter=" + url.QueryEscape(`userName eq "jo`), nil, 400, "invalidFilter", nil},
		{"an unknown attribute", "GET", users + "?filter=" + url.QueryEscape(`shoeSize eq "42"`), nil, 400, "invalidFilter", []string{"attribute"}},
		{"a count of many", "GET", users + "?count=many", nil, 400, "invalidValue", []string{"count"}},

		{"an unknown user", "GET", "/Users/0198a1b2-0000-7000-8000-000000000000", nil, 404, "", []string{"user"}},
		{"an unknown user to change", "PATCH", "/Users/nobody", patch(deactivate), 404, "", []string{"user"}},
		{"an unknown user to replace", "PUT", "/Users/nobody", `{"schemas":["` + core + `"],"userName":"new@example.com"}`, 404, "", []string{"user"}},
		{"an unknown user to delete", "DELETE", "/Users/nobody", nil, 404, "", []string{"user"}},
		{"an id with a slash", "GET", "/Users/a%2Fb", nil, 404, "", nil},
		{"an unknown endpoint", "GET", "/Persons", nil, 404, "", []string{"users"}},
		{"a doubled prefix", "GET", "/scim/v2/Users", nil, 404, "", []string{"/scim/v2"}},
	} {
		a := b.idp(row.method, row.path, row.body)
		scimType := row.scimType
		if scimType == "" {
			scimType = typeOf(a) // none, or one of several that are right
		}
		refused(t, row.what, a, row.status, scimType)
		for _, word := range row.detail {
			if !strings.Contains(strings.ToLower(detailOf(a)), word) {
				t.Errorf("%s: the detail says nothing of %s: %s", row.what, word, detailOf(a))
			}
		}
		for _, value := range []string{"maybe", "perhaps", "jo@example.com"} {
			if strings.Contains(detailOf(a), value) {
				t.Errorf("%s: the detail repeats a value: %s", row.what, detailOf(a))
			}
		}
	}
	if n := len(b.cases()); n != 0 {
		t.Errorf("%d cases were opened", n)
	}
	var jo struct {
		UserName string
		Active   bool
	}
	if err := json.Unmarshal(b.idp(http.MethodGet, user, nil).body, &jo); err != nil || !jo.Active || jo.UserName != "jo@example.com" {
		t.Errorf("something was changed: %+v, %v", jo, err)
	}
	b.survives()
}

func detailOf(a answer) string {
	var e struct{ Detail string }
	_ = json.Unmarshal(a.body, &e)
	return e.Detail
}

func typeOf(a answer) string {
	var e struct{ ScimType string }
	_ = json.Unmarshal(a.body, &e)
	return e.ScimType
}

func TestTypesAndMethodsThatAreNotOffered(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "")
	b.start()
	id := b.hire("jo@example.com", "careful", "")
	body := `{"schemas":["` + core + `"],"userName":"lee@example.com"}`
	for _, media := range []string{"text/xml", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ";"} {
		refused(t, media, b.idp(http.MethodPost, "/Users", body, "Content-Type", media), http.StatusUnsupportedMediaType, "")
	}
	refused(t, "gzip", b.idp(http.MethodPost, "/Users", body, "Content-Encoding", "gzip"), http.StatusUnsupportedMediaType, "")
	refused(t, "over the limit", b.idp(http.MethodPost, "/Users", strings.Repeat(" ", 1<<20+1)), http.StatusRequestEntityTooLarge, "")
	for _, row := range []struct{ method, path, allow string }{
		{"PUT", "/Users", "POST"},
		{"PATCH", "/Users", "POST"},
		{"DELETE", "/Groups", "POST"},
		{"POST", "/Users/" + id, "PATCH"},
		{"POST", "/ServiceProviderConfig", "GET"},
		{"DELETE", "/Schemas", "GET"},
		{"OPTIONS", "/Users", "GET"},
	} {
		a := b.idp(row.method, row.path, nil)
		refused(t, row.method+" "+row.path, a, http.StatusMethodNotAllowed, "")
		if !strings.Contains(a.header.Get("Allow"), row.allow) {
			t.Errorf("%s %s: Allow is %q", row.method, row.path, a.header.Get("Allow"))
		}
	}
	for _, path := range []string{"/Bulk", "/Me", "/Users/.search"} {
		refused(t, path, b.idp(http.MethodPost, path, body), http.StatusNotImplemented, "")
	}
	if a := b.idp(http.MethodPost, "/Users", body, "Content-Type", "application/json; charset=UTF-8"); a.status != http.StatusCreated {
		t.Errorf("a type that is offered: %d %s", a.status, a.body)
	}
}

// TestConnectionsDoNotSeeEachOther has two providers: the token of one finds,
// changes and collides with nothing of the other.
func TestConnectionsDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "", "  - {name: idp, trust: {incidents: true}, bootstrap_token: {file: scim}}\n",
		"  - {name: idp, organizations: [acme], domains: [example.com], bootstrap_token: {file: scim}}\n  - {name: other, organizations: [acme], domains: [example.org], bootstrap_token: {file: other}}\n")
	b.write("other", strings.Repeat("q", 32))
	b.start()
	id := b.hire("jo@example.com", "quick", "")
	group := b.idp(http.MethodPost, "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Eng","members":[{"value":"`+id+`"}]}`)
	var g struct{ ID string }
	if err := json.Unmarshal(group.body, &g); err != nil || g.ID == "" {
		t.Fatalf("%d %s", group.status, group.body)
	}
	as := []string{"Authorization", "Bearer " + strings.Repeat("q", 32)}
	for _, path := range []string{"/Users", "/Groups", "/Users?filter=" + url.QueryEscape(`userName eq "jo@example.com"`), "/Users?filter=" + url.QueryEscape(`id eq "`+id+`"`), "/Groups?filter=" + url.QueryEscape(`members eq "`+id+`"`)} {
		a := b.idp(http.MethodGet, path, nil, as...)
		if a.status != http.StatusOK || !bytes.Contains(a.body, []byte(`"totalResults":0`)) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	replace := `{"schemas":["` + core + `"],"userName":"jo@example.com","active":false}`
	for what, a := range map[string]answer{
		"get":          b.idp(http.MethodGet, "/Users/"+id, nil, as...),
		"deactivate":   b.idp(http.MethodPatch, "/Users/"+id, patch(`{"op":"replace","path":"active","value":false}`), as...),
		"replace":      b.idp(http.MethodPut, "/Users/"+id, replace, as...),
		"delete":       b.idp(http.MethodDelete, "/Users/"+id, nil, as...),
		"get group":    b.idp(http.MethodGet, "/Groups/"+g.ID, nil, as...),
		"empty group":  b.idp(http.MethodPatch, "/Groups/"+g.ID, patch(`{"op":"remove","path":"members"}`), as...),
		"delete group": b.idp(http.MethodDelete, "/Groups/"+g.ID, nil, as...),
	} {
		refused(t, what, a, http.StatusNotFound, "")
	}
	// The same name may be theirs as well: it is another person.
	if a := b.idp(http.MethodPost, "/Users", `{"schemas":["`+core+`"],"userName":"jo@example.com"}`, as...); a.status != http.StatusCreated {
		t.Errorf("the other connection's own Jo: %d %s", a.status, a.body)
	}
	if a := b.idp(http.MethodGet, "/Groups/"+g.ID, nil); !bytes.Contains(a.body, []byte(id)) {
		t.Errorf("the group lost its member: %s", a.body)
	}
	if n := len(b.cases()); n != 0 {
		t.Errorf("%d cases were opened", n)
	}
}
