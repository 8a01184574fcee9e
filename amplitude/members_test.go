package amplitude_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"offramp/amplitude"
)

// The answers below are the examples of the SCIM documentation.
const (
	oneMember = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"Jo.Smith@Example.com","userName":"jo.smith@example.com",
		"name":{"givenName":"Jo","familyName":"Smith"},"active":true,"emails":[{"value":"jo.smith@example.com","primary":true}],
		"groups":[],"meta":{"resourceType":"User"}}`
	memberList = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"startIndex":1,"itemsPerPage":100,"totalResults":1,
		"Resources":[{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"a@x.com","userName":"a@x.com",
		"name":{"givenName":"A","familyName":"B"},"active":true,"emails":[{"value":"a@x.com","primary":true}],"meta":{"resourceType":"User"}}]}`
)

func TestAMemberIsReadByAddress(t *testing.T) {
	s := says(oneMember)
	m, err := against(t, s).Member(t.Context(), "JO.smith@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if want := (amplitude.Member{Email: "Jo.Smith@Example.com", GivenName: "Jo", FamilyName: "Smith", Active: true}); m != want {
		t.Errorf("member is %+v, want %+v", m, want)
	}
	if r := s.only(t); r.Method != "GET" || r.URI != "/scim/1/Users/JO.smith@example.com" {
		t.Errorf("asked %s %s", r.Method, r.URI)
	}
}

func TestAddressesAreEscapedInPaths(t *testing.T) {
	for address, path := range map[string]string{
		"jo+test@example.com":   "/scim/1/Users/jo%2Btest@example.com",
		"a/../b?c@example.com":  "/scim/1/Users/a%2F..%2Fb%3Fc@example.com",
		"jörg#1@example.com":    "/scim/1/Users/j%C3%B6rg%231@example.com",
		"50%25@example.com":     "/scim/1/Users/50%2525@example.com",
		"o'hara;x@example.com":  "/scim/1/Users/o%27hara%3Bx@example.com",
		"\"q\"@sub.example.com": "/scim/1/Users/%22q%22@sub.example.com",
	} {
		s := play(recorded{Status: 204})
		if _, err := against(t, s).RemoveMember(t.Context(), address); err != nil {
			t.Fatal(err)
		}
		got := strings.ReplaceAll(s.only(t).URI, "'", "%27")
		if got != path {
			t.Errorf("%s became %s, want %s", address, got, path)
		}
	}
}

func TestPendingIsGuessedByThePlaceholderNames(t *testing.T) {
	for _, row := range []struct {
		m    amplitude.Member
		want bool
	}{
		{amplitude.Member{GivenName: "NO_GIVEN_NAME", FamilyName: "NO_FAMILY_NAME"}, true},
		{amplitude.Member{GivenName: "Jo", FamilyName: "NO_FAMILY_NAME"}, true},
		{amplitude.Member{GivenName: "Jo", FamilyName: "Smith"}, false},
		{amplitude.Member{}, false},
	} {
		if got := row.m.Pending(); got != row.want {
			t.Errorf("%+v pending: %v", row.m, got)
		}
	}
}

func TestRemovingAMember(t *testing.T) {
	echo := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"jo.smith@example.com","active":false}`
	for _, row := range []struct {
		name   string
		answer recorded
		gone   bool
		fails  bool
	}{
		{"204", recorded{Status: 204}, false, false},
		{"200 with an echo", recorded{Body: echo}, false, false},
		{"200 without a body", recorded{}, false, false},
		{"404", recorded{Status: 404}, true, false},
		{"200 that holds a 404", recorded{Body: `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"404"}`}, true, false},
		{"200 with HTML", recorded{Body: "<html>signed out</html>"}, false, true},
		{"200 that holds an error", recorded{Body: `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"500"}`}, false, true},
		{"409", recorded{Status: 409}, false, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := play(row.answer)
			got, err := against(t, s).RemoveMember(t.Context(), leaver)
			if got.AlreadyGone != row.gone || (err != nil) != row.fails {
				t.Errorf("removal is %+v, %v", got, err)
			}
			if r := s.only(t); r.Method != "DELETE" || r.Body != "" || r.URI != "/scim/1/Users/"+leaver {
				t.Errorf("asked %+v", r)
			}
		})
	}
}

func TestMembersAreFoundByFilter(t *testing.T) {
	s := says(`{"totalResults":"1","Resources":[` + oneMember + `]}`)
	got, err := against(t, s).FindMembers(t.Context(), leaver)
	if err != nil || len(got) != 1 {
		t.Fatalf("found %+v, %v", got, err)
	}
	if uri := s.only(t).URI; uri != "/scim/1/Users?filter=userName%20eq%20%22jo.smith%40example.com%22&itemsPerPage=100&startIndex=1" {
		t.Errorf("asked %s", uri)
	}
	got, err = against(t, says(`{"totalResults":0}`)).FindMembers(t.Context(), leaver)
	if err != nil || len(got) != 0 {
		t.Errorf("no match gives %+v, %v", got, err)
	}
	_, err = against(t, says(memberList)).FindMembers(t.Context(), leaver)
	if asError(t, err).Temporary() {
		t.Errorf("a server that ignores filters gives %v", err)
	}
	mustNotLeak(t, err)
	q := says(`{"totalResults":0,"Resources":[]}`)
	_, _ = against(t, q).FindMembers(t.Context(), `a"\@example.com`)
	if uri := q.only(t).URI; !strings.Contains(uri, `%22a%5C%22%5C%5C%40example.com%22`) {
		t.Errorf("quotes are not escaped: %s", uri)
	}
}

func TestAMemberPageReadsTheDocumentedExample(t *testing.T) {
	s := says(memberList)
	p, err := against(t, s).MembersPage(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if p.Start != 1 || p.Total != 1 || len(p.Members) != 1 || p.Members[0].Email != "a@x.com" {
		t.Errorf("page is %+v", p)
	}
	if uri := s.only(t).URI; uri != "/scim/1/Users?itemsPerPage=100&startIndex=1" {
		t.Errorf("asked %s", uri)
	}
}

// directory is a member list that changes between requests.
type directory struct {
	members []string
	before  func(d *directory, request int) // called before each answer
	size    int                             // entries per answer; 0: as asked
	extra   int                             // announced and never shown
	asked   int
}

func (d *directory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.asked++
	if d.before != nil {
		d.before(d, d.asked)
	}
	start, _ := strconv.Atoi(r.URL.Query().Get("startIndex"))
	size, _ := strconv.Atoi(r.URL.Query().Get("itemsPerPage"))
	if d.size > 0 {
		size = d.size
	}
	type entry struct {
		ID string `json:"id"`
	}
	list := struct {
		TotalResults, ItemsPerPage int
		Resources                  []entry
	}{TotalResults: len(d.members) + d.extra, ItemsPerPage: 100}
	for i := start - 1; i < min(start-1+size, len(d.members)); i++ {
		list.Resources = append(list.Resources, entry{d.members[i]})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"totalResults": list.TotalResults, "itemsPerPage": list.ItemsPerPage, "Resources": list.Resources,
	})
}

func people(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("p%04d@example.com", i)
	}
	return out
}

func TestReadingTheWholeMemberList(t *testing.T) {
	for _, row := range []struct {
		name     string
		d        *directory
		seen     int
		requests int
		err      error
	}{
		{"nobody", &directory{}, 0, 1, nil},
		{"one page", &directory{members: people(100)}, 100, 1, nil},
		{"three pages", &directory{members: people(201)}, 201, 3, nil},
		{"a server that gives 50 at a time", &directory{members: people(201), size: 50}, 201, 5, nil},
		{"two that are never shown", &directory{members: people(150), extra: 2}, 150, 6, amplitude.ErrShortList},
		{"one that is listed twice", &directory{members: append(people(150), "P0007@example.com")}, 150, 4, amplitude.ErrShortList},
		{
			"the first ones leave after the first page",
			&directory{members: people(350), before: func(d *directory, n int) {
				if n == 2 {
					d.members = d.members[30:]
				}
			}},
			350, 6, nil,
		},
		{
			"three leave between all pages",
			&directory{members: people(950), before: func(d *directory, n int) {
				if n > 1 {
					d.members = d.members[3:]
				}
			}},
			950, 11, nil,
		},
		{
			"people join at the front",
			&directory{members: people(350), before: func(d *directory, n int) {
				if n == 2 {
					d.members = append([]string{"new@example.com"}, d.members...)
				}
			}},
			351, 5, nil,
		},
		{
			"the list never stops shrinking and growing",
			&directory{members: people(350), before: func(d *directory, n int) {
				if n%2 == 0 {
					d.members = d.members[:150]
				} else {
					d.members = people(350)
				}
			}},
			-1, -1, amplitude.ErrListMoved,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			seen, err := all(against(t, row.d).Members(t.Context()))
			if !errors.Is(err, row.err) {
				t.Errorf("error is %v, want %v", err, row.err)
			}
			if row.seen >= 0 && len(seen) != row.seen {
				t.Errorf("saw %d members, want %d", len(seen), row.seen)
			}
			if row.requests >= 0 && row.d.asked != row.requests {
				t.Errorf("took %d requests, want %d", row.d.asked, row.requests)
			}
			if row.d.asked > 60 {
				t.Errorf("took %d requests", row.d.asked)
			}
			distinct := map[string]bool{}
			for _, m := range seen {
				if distinct[m.Email] {
					t.Errorf("%s came twice", m.Email)
				}
				distinct[m.Email] = true
			}
		})
	}
}

func TestNobodyIsPassedOverWhileOthersLeave(t *testing.T) {
	// Everybody whose number is a multiple of 7 leaves, one between any two
	// requests, wherever they stand. Nobody who stays may be missing.
	d := &directory{members: people(1200), before: func(d *directory, n int) {
		for i, m := range d.members {
			if k, _ := strconv.Atoi(m[1:5]); k%7 == 0 && k >= 7*n {
				d.members = append(d.members[:i:i], d.members[i+1:]...)
				return
			}
		}
	}}
	seen, err := all(against(t, d).Members(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, m := range seen {
		there[m.Email] = true
	}
	for _, m := range d.members {
		if !there[m] {
			t.Errorf("%s is a member and was not seen", m)
		}
	}
}

func TestReadingMembersStopsWhenTheCallerDoes(t *testing.T) {
	d := &directory{members: people(500)}
	for _, err := range against(t, d).Members(t.Context()) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if d.asked != 1 {
		t.Errorf("took %d requests, want 1", d.asked)
	}
}

func TestAnErrorInTheMiddleOfTheListEndsIt(t *testing.T) {
	full := `{"totalResults":200,"Resources":[` + oneMember + `]}`
	seen, err := all(against(t, play(recorded{Body: full}, recorded{Status: 429})).Members(t.Context()))
	if len(seen) != 1 || asError(t, err).Status != 429 {
		t.Errorf("saw %d members and then %v", len(seen), err)
	}
	_, err = all(against(t, says(`{"Resources":[]}`)).Members(t.Context()))
	if asError(t, err).Temporary() {
		t.Errorf("a list without a length gives %v", err)
	}
}
