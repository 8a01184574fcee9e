package scim_test

import (
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"offramp/scim"
)

// people are three users over which filters are read.
func people() []scim.User {
	at := func(day int) time.Time { return time.Date(2026, 3, day, 12, 0, 0, 0, time.UTC) }
	return []scim.User{
		{ID: "1", Created: at(1), Modified: at(1), Attributes: map[string]any{
			"userName": "jo@example.com", "externalId": "Ext-1", "active": true, "title": "CTO",
			"name":   map[string]any{"familyName": "Doe"},
			"emails": []any{map[string]any{"value": "jo@example.com", "type": "work", "primary": true}, map[string]any{"value": "jo@home.example", "type": "home"}},
			ent:      map[string]any{"department": "Sales", "manager": map[string]any{"value": "2"}},
		}, Groups: []scim.GroupRef{{Value: "g1", Display: "Eng"}}},
		{ID: "2", Created: at(2), Modified: at(5), Attributes: map[string]any{
			"userName": "Kim@Example.com", "externalId": "ext-1", "active": false,
			"emails": []any{map[string]any{"value": "kim@example.com", "type": "home"}},
			offramp:  map[string]any{"leaveReason": "termination"},
		}},
		{ID: "3", Created: at(3), Modified: at(3), Attributes: map[string]any{"userName": `le"e\x@example.com`}},
	}
}

func TestUserFilters(t *testing.T) {
	for filter, want := range map[string]string{
		`userName eq "JO@example.com"`:                        "1",
		`USERNAME EQ "kim@example.com"`:                       "2",
		`userName eq "le\"e\\x@example.com"`:                  "3",
		`userName eq "\u006ao@example.com"`:                   "1",
		`userName ne "jo@example.com"`:                        "2 3",
		`userName co "EXAMPLE"`:                               "1 2 3",
		`userName sw "k"`:                                     "2",
		`userName ew ".COM"`:                                  "1 2 3",
		`userName gt "k"`:                                     "2 3",
		`userName le "jo@example.com"`:                        "1",
		`externalId eq "ext-1"`:                               "2",
		`externalId eq ext-1`:                                 "2",
		`id eq "3"`:                                           "3",
		`active eq true`:                                      "1",
		`active eq "False"`:                                   "2",
		`active ne true`:                                      "2 3",
		`active pr`:                                           "1 2",
		`not (active pr)`:                                     "3",
		`title pr`:                                            "1",
		`title eq null`:                                       "2 3",
		`title ne null`:                                       "1",
		`name pr`:                                             "1",
		`name.familyName eq "doe"`:                            "1",
		`name[familyName eq "doe"]`:                           "1",
		`emails eq "jo@home.example"`:                         "1",
		`emails co "kim"`:                                     "2",
		`emails.type eq "work"`:                               "1",
		`emails[type eq "work"]`:                              "1",
		`emails[type eq "home" and value co "jo"]`:            "1",
		`emails[type eq "work" and value co "home"]`:          "",
		`emails[type eq "home"].value eq "kim@example.com"`:   "2",
		`emails[primary eq "True"].value eq "jo@example.com"`: "1",
		`emails[not (type eq "work") and (value pr or display pr)]`: "1 2",
		`emails pr and not (emails.type eq "work")`:                 "2",
		`manager eq "2"`:               "1",
		`id eq "1" and manager eq "2"`: "1",
		`id eq "3" and manager eq "2"`: "",
		`userName eq "jo@example.com" and ` + ent + `:department eq "sales"`: "1",
		`urn:ietf:params:scim:schemas:core:2.0:user:userName sw "j"`:         "1",
		`department eq "Sales" or leaveReason eq "termination"`:              "1 2",
		`title pr or active eq false and userName sw "k"`:                    "1 2",
		`(title pr or active eq false) and userName sw "k"`:                  "2",
		`meta.created gt "2026-03-01T13:00:00+01:00"`:                        "2 3",
		`meta.lastModified ge "2026-03-05T12:00:00Z"`:                        "2",
		`meta.resourceType eq "User"`:                                        "1 2 3",
		`groups eq "g1"`:                                                     "1",
		`groups.display co "en"`:                                             "1",
		"  userName\teq   \"jo@example.com\"  ":                              "1",
	} {
		e, err := scim.ParseUserFilter(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		var got []string
		for _, u := range people() {
			if scim.MatchesUser(e, u) {
				got = append(got, u.ID)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s matches %v, want %s", filter, got, want)
		}
	}
}

func TestGroupFilters(t *testing.T) {
	g := scim.Group{ID: "g", DisplayName: "Eng", ExternalID: "x", Members: []scim.Member{{Value: "u"}}}
	for filter, want := range map[string]bool{
		`displayName eq "ENG"`:                               true,
		`id eq "g" and members eq "u"`:                       true,
		`id eq "g" and members eq "v"`:                       false,
		`members[value eq "u"]`:                              true,
		`members.value eq "u"`:                               true,
		`not (members eq "v")`:                               true,
		`externalId eq "x" and meta.resourceType eq "Group"`: true,
		`externalId eq "X"`:                                  false,
	} {
		e, err := scim.ParseGroupFilter(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		asked := scim.MatchesGroup(e, scim.Group{ID: "g", DisplayName: "Eng", ExternalID: "x"}, func(id string) bool { return id == "u" })
		if got := scim.MatchesGroup(e, g, nil); got != want || asked != want {
			t.Errorf("%s: %v from the list, %v from the question, want %v", filter, got, asked, want)
		}
	}
	if !scim.MatchesGroup(nil, g, nil) || !scim.MatchesUser(nil, scim.User{}) {
		t.Error("no filter must match")
	}
}

func TestFiltersThatAreRefused(t *testing.T) {
	for _, filter := range []string{
		`userName`, `userName eq`, `eq "x"`, `userName eq "x`, `userName eq "x" and`, `userName eq "x" "y"`, `userName eq "x"y`,
		`(userName eq "x"`, `userName eq "x")`, `not userName eq "x"`, `userName is "x"`, `nosuch eq "x"`, `password eq "x"`,
		`urn:nosuch:userName eq "x"`, `userName.x eq "y"`, `active gt true`, `active eq "maybe"`, `active eq ""`, `name eq "x"`, `meta pr eq`,
		`addresses eq "x"`, `meta.created gt "yesterday"`, `meta.created co "2026-01-01T00:00:00Z"`, `emails[type eq "work"`, `emails[] pr`,
		`emails[nosuch eq "x"]`, `emails[type eq "work"].nosuch eq "x"`, `emails[type eq "work"] value eq "x"`, `emails[emails[type eq "x"]]`,
		`userName[value eq "x"]`, `userName co null`, `schemas eq "x"`, `meta.version eq "x"`, "userName eq a\xff", `userName eq "\q"`, `userName eq "a\u0000"`, "userName eq \"a\x00\"",
		`userName eq jo doe`, `userName and userName`, `()`, `""`, `not`, `[`, `.`, `urn:`, `urn:ietf:params:scim:schemas:core:2.0:User pr`,
		`userName eq "` + strings.Repeat("x", 2048) + `"`, strings.Repeat("(", 17) + "userName pr" + strings.Repeat(")", 17),
	} {
		if e, err := scim.ParseUserFilter(filter); err == nil {
			t.Errorf("%.60q was read as %v", filter, e)
		} else if strings.Contains(err.Error(), "nosuch") {
			t.Errorf("the error repeats the filter: %v", err)
		}
	}
	for _, filter := range []string{`members pr`, `members co "x"`, `members.display eq "x"`, `members[display eq "x"]`, `members[value eq "a" and type eq "User"]`, `members eq null`, `userName eq "x"`} {
		if e, err := scim.ParseGroupFilter(filter); err == nil {
			t.Errorf("%s was read as %v", filter, e)
		}
	}
	deep := strings.Repeat("(", 16) + "userName pr" + strings.Repeat(")", 16)
	if _, err := scim.ParseUserFilter(deep); err != nil {
		t.Errorf("16 levels: %v", err)
	}
	b := newBridge(t)
	if kind, _ := b.must(t, 400, http.MethodGet, "/Users?filter="+url.QueryEscape(`nosuch eq "x"`), "").problem(t); kind != "invalidFilter" {
		t.Errorf("scimType %q", kind)
	}
}

func TestEqualityIsWhatAnIndexCanAnswer(t *testing.T) {
	for filter, want := range map[string][]scim.Term{
		`userName eq "JO@example.com"`:                      {{Path: scim.AttrPath{Attr: "userName"}, Value: "jo@example.com", Folded: true}},
		`externalId eq "A" and active eq true and title pr`: {{Path: scim.AttrPath{Attr: "externalId"}, Value: "A"}},
		`emails eq "A@b.example"`:                           {{Path: scim.AttrPath{Attr: "emails", Sub: "value"}, Value: "a@b.example", Folded: true}},
		`emails[type eq "work"].value eq "a@b.example"`: {
			{Path: scim.AttrPath{Attr: "emails", Sub: "type"}, Value: "work", Folded: true},
			{Path: scim.AttrPath{Attr: "emails", Sub: "value"}, Value: "a@b.example", Folded: true},
		},
		`(id eq "1") and (manager eq "2" and title sw "x")`: {
			{Path: scim.AttrPath{Attr: "id"}, Value: "1"},
			{Path: scim.AttrPath{URN: ent, Attr: "manager", Sub: "value"}, Value: "2", Folded: true},
		},
		`userName eq "a" or userName eq "b"`: nil,
		`not (userName eq "a")`:              nil,
	} {
		e, err := scim.ParseUserFilter(filter)
		if err != nil {
			t.Fatal(err)
		}
		if got := scim.Equality(e); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", filter, got, want)
		}
	}
	e, err := scim.ParseGroupFilter(`id eq "g" and members[value eq "u"]`)
	if err != nil {
		t.Fatal(err)
	}
	if got := scim.Equality(e); len(got) != 2 || got[1].Path.String() != "members.value" || got[1].Folded {
		t.Errorf("%v", got)
	}
}

func TestUserHelpers(t *testing.T) {
	u := people()[0]
	active, present := u.Active()
	if u.UserName() != "jo@example.com" || u.ExternalID() != "Ext-1" || u.Manager() != "2" || u.Department() != "Sales" || !active || !present || u.Title() != "CTO" {
		t.Errorf("%+v", u)
	}
	if got := u.PrimaryEmail(); got != "jo@example.com" {
		t.Errorf("primary e-mail %q", got)
	}
	if got := people()[1].PrimaryEmail(); got != "kim@example.com" {
		t.Errorf("only e-mail %q", got)
	}
	if got := people()[1].Claims(); got != (scim.Claims{LeaveReason: "termination"}) {
		t.Errorf("%+v", got)
	}
	if _, present := people()[2].Active(); present {
		t.Error("active was never said")
	}
	for want, attrs := range map[string]map[string]any{
		"":    {},
		"Jo":  {"name": map[string]any{"givenName": "Jo"}},
		"J D": {"name": map[string]any{"givenName": "J", "familyName": "D"}},
		"F":   {"name": map[string]any{"givenName": "J", "formatted": "F"}},
	} {
		if got := (scim.User{Attributes: attrs}).DisplayName(); got != want {
			t.Errorf("%v: %q", attrs, got)
		}
	}
	if emails := u.Emails(); len(emails) != 2 || !slices.Contains(emails, scim.Email{Value: "jo@home.example", Type: "home"}) {
		t.Errorf("%v", emails)
	}
}
