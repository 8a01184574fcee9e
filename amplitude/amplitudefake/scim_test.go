package amplitudefake_test

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	sim "offramp/amplitude/amplitudefake"
)

const patchOp = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

func TestTheSCIMKeyIsTheOnlyWayInAndDiesAtOnce(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.send("GET", "/scim/1/Users", nil).want(401).has(`"status":"401"`, "2.0:Error")
	w.send("GET", "/scim/1/Users", nil, bearer("wrong")).want(401)
	w.scim("GET", "/Users", nil).want(200)
	fresh := w.human(sim.Action{Do: "regenerate_scim_key"})
	w.scim("GET", "/Users", nil).want(401)
	w.send("GET", "/scim/1/Users", nil, bearer(fresh.Key)).want(200)
	if w.Credentials().SCIMKey != fresh.Key {
		t.Error("the credentials should name the new key")
	}
}

func TestUsersAreReadByAddressWhateverItsCase(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.add(sim.Member{Email: "Jo.Mixed@Example.com", GivenName: "Jo", FamilyName: "Mixed"})
	one := w.scim("GET", "/Users/jo.mixed@example.com", nil).want(200)
	one.has(`"id":"Jo.Mixed@Example.com"`, `"userName":"Jo.Mixed@Example.com"`, `"groups":[]`, `"active":true`,
		`"emails":[{"value":"Jo.Mixed@Example.com","primary":true}]`, `"meta":{"resourceType":"User"}`, `"givenName":"Jo"`)
	if kind := one.header.Get("Content-Type"); kind != "application/scim+json" {
		t.Errorf("content type %q", kind)
	}
	w.scim("GET", "/Users/nobody@example.com", nil).want(404).has(`"status":"404"`)
	w.scim("GET", "/Users/12345", nil).want(400)
	list := w.scim("GET", "/Users", nil).want(200)
	list.has(`"totalResults":1`, `"itemsPerPage":100`, `"startIndex":1`, "2.0:ListResponse").lacks(`"groups"`)
	for _, path := range []string{"/ServiceProviderConfig", "/Schemas", "/ResourceTypes", "/Bulk", "/Me"} {
		w.scim("GET", path, nil).want(404)
	}
}

func TestPendingMembersAreActiveAndMayHaveNoName(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.add(sim.Member{Email: "new@example.com", GivenName: "Known", FamilyName: "Elsewhere", Status: "pending"})
	w.add(sim.Member{Email: "partner@example.com", GivenName: "Petra", FamilyName: "Partner", Status: "pending", HasAccount: true})
	w.scim("GET", "/Users/new@example.com", nil).has("NO_GIVEN_NAME", "NO_FAMILY_NAME", `"active":true`).lacks("Known")
	w.scim("GET", "/Users/partner@example.com", nil).has("Petra", "Partner", `"active":true`).lacks("NO_GIVEN_NAME")
}

func TestListPagesByStartIndexAndItemsPerPageAndIgnoresCount(t *testing.T) {
	w := newWorld(t, sim.Options{})
	for i := range 250 {
		w.people(fmt.Sprintf("p%03d@example.com", i))
	}
	rows := []struct {
		query string
		first string
		items int
	}{
		{"", "p000@example.com", 100},
		{"?count=5", "p000@example.com", 100},
		{"?itemsPerPage=500", "p000@example.com", 100},
		{"?itemsPerPage=10&startIndex=11", "p010@example.com", 10},
		{"?startIndex=201", "p200@example.com", 50},
		{"?startIndex=0", "p000@example.com", 100},
		{"?startIndex=251", "", 0},
	}
	for _, row := range rows {
		ids := w.scim("GET", "/Users"+row.query, nil).want(200).has(`"totalResults":250`).ids("Resources")
		if len(ids) != row.items || (row.items > 0 && ids[0] != row.first) {
			t.Errorf("%q: %d items, first %v", row.query, len(ids), ids)
		}
	}
	w.scim("GET", "/Users?itemsPerPage=0", nil).want(400)
	w.scim("GET", "/Users?startIndex=x", nil).want(400)

	w.set("order", "shuffle")
	first := w.scim("GET", "/Users", nil).ids("Resources")
	again := w.scim("GET", "/Users", nil).ids("Resources")
	if slices.Equal(first, again) {
		t.Error("two requests in shuffled order gave the same page")
	}
	slices.Sort(first)
	if len(slices.Compact(first)) != 100 {
		t.Error("a shuffled page repeats members")
	}
}

func TestOnlyEqualityOnAnAddressCanBeFiltered(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.people("jo@example.com", "li@example.com")
	rows := []struct {
		filter string
		status int
		total  int
	}{
		{`userName eq "JO@example.com"`, 200, 1},
		{`id eq "jo@example.com"`, 200, 1},
		{`emails.value eq "jo@example.com"`, 200, 1},
		{`emails EQ "jo@example.com"`, 200, 1},
		{`userName eq "gone@example.com"`, 200, 0},
		{`active eq false`, 200, 0},
		{`active eq true`, 400, 0},
		{`userName co "jo"`, 400, 0},
		{`name.givenName eq "jo"`, 400, 0},
		{`userName eq jo@example.com`, 400, 0},
		{`emails[value eq "jo@example.com"]`, 400, 0},
		{`userName eq "jo@example.com" and active eq true`, 400, 0},
	}
	for _, row := range rows {
		got := w.scim("GET", "/Users?filter="+url.QueryEscape(row.filter), nil).want(row.status)
		if row.status == 400 {
			got.has("invalidFilter")
			continue
		}
		got.has(`"totalResults":` + strconv.Itoa(row.total))
	}
}

func TestInvitingEchoesTheRequestAndSendsMail(t *testing.T) {
	w := newWorld(t, sim.Options{})
	body := `{"schemas":["x"],"id":"new@example.com","userName":"new@example.com","extra": 1}`
	if got := w.scim("POST", "/Users", body).want(201); got.body != body {
		t.Errorf("not the request: %s", got.body)
	}
	w.scim("POST", "/Users", body).want(409).has("uniqueness")
	w.scim("POST", "/Users", `{"userName":"not an address"}`).want(400)
	w.scim("POST", "/Users", `{`).want(400)
	if mail := w.State().Outbox; len(mail) != 1 || mail[0].To != "new@example.com" {
		t.Errorf("outbox %+v", mail)
	}
}

func TestEveryWayOfDeactivatingRemovesTheMember(t *testing.T) {
	rows := map[string]struct{ method, body string }{
		"PUT of the whole user":          {"PUT", `{"userName":"jo@example.com","active":false}`},
		"PATCH with a path":              {"PATCH", `{"schemas":["` + patchOp + `"],"Operations":[{"op":"replace","path":"active","value":false}]}`},
		"PATCH with text":                {"PATCH", `{"Operations":[{"op":"Replace","path":"active","value":"False"}]}`},
		"PATCH with an object":           {"PATCH", `{"Operations":[{"op":"replace","value":{"active":false}}]}`},
		"PATCH with a bare partial user": {"PATCH", `{"active":false}`},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, sim.Options{})
			w.people("jo@example.com")
			if got := w.scim(row.method, "/Users/jo@example.com", row.body).want(200); got.body != row.body {
				t.Errorf("not the request: %s", got.body)
			}
			w.scim("GET", "/Users/jo@example.com", nil).want(404)
			if got := w.effects(); !slices.Equal(got, []string{"removed member"}) {
				t.Errorf("effects %v", got)
			}
			w.scim(row.method, "/Users/jo@example.com", row.body).want(404)
			w.scim("PATCH", "/Users/jo@example.com", `{"active":true}`).want(404)
		})
	}
}

func TestChangingAUserNeverChangesTheAddress(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.people("jo@example.com")
	w.scim("PUT", "/Users/jo@example.com", `{"userName":"JO@example.com","name":{"givenName":"Joanna","familyName":"Doe"},"active":true,"groups":[{"value":"1"}]}`).want(200)
	w.scim("GET", "/Users/jo@example.com", nil).has("Joanna", "Doe", `"id":"jo@example.com"`)
	w.scim("PUT", "/Users/jo@example.com", `{"userName":"other@example.com"}`).want(400)
	w.scim("PUT", "/Users/jo@example.com", `{"active":"perhaps"}`).want(400)
	w.scim("PATCH", "/Users/jo@example.com", `{"Operations":[{"op":"remove","path":"name"}]}`).want(400)
	if got := w.effects(); !slices.Equal(got, []string{"member renamed"}) {
		t.Errorf("effects %v", got)
	}
}

func TestDeletingTwiceIsTheSwitchsBusiness(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.people("jo@example.com")
	if got := w.scim("DELETE", "/Users/JO@example.com", nil).want(204); got.body != "" {
		t.Errorf("204 with a body: %s", got.body)
	}
	w.scim("DELETE", "/Users/jo@example.com", nil).want(404)
	w.set("redelete", "204")
	w.scim("DELETE", "/Users/jo@example.com", nil).want(204)
	w.scim("DELETE", "/Users/never@example.com", nil).want(404)
	if got := w.effects(); len(got) != 1 {
		t.Errorf("one removal, not %v", got)
	}
	if got := w.State().Removals; len(got) != 1 || got[0].Via != "scim DELETE" || got[0].Email != "jo@example.com" {
		t.Errorf("removals %+v", got)
	}
}

func TestADroppedWriteIsAnsweredLikeARealOne(t *testing.T) {
	w := newWorld(t, sim.Options{Switches: map[string]string{"drop_write": "true"}})
	w.people("jo@example.com")
	g, err := w.AddGroup(sim.Group{Name: "G", Members: []string{"jo@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	path := "/Groups/" + strconv.Itoa(g)
	w.scim("DELETE", "/Users/jo@example.com", nil).want(204)
	w.scim("PUT", "/Users/jo@example.com", `{"active":false}`).want(200)
	w.scim("PATCH", "/Users/jo@example.com", `{"active":false}`).want(200)
	w.scim("POST", "/Users", `{"userName":"new@example.com"}`).want(201)
	w.scim("PATCH", path, `{"Operations":[{"op":"remove","path":"members","value":[{"value":"jo@example.com"}]}]}`).want(200).lacks("jo@example.com")
	w.scim("POST", "/Groups", `{"displayName":"H","members":[{"value":"x@example.com"}]}`).want(200).has("x@example.com")
	w.scim("DELETE", path, nil).want(204)

	w.scim("GET", "/Users/jo@example.com", nil).want(200)
	w.scim("GET", path, nil).want(200).has("jo@example.com")
	if got := w.effects(); len(got) != 0 {
		t.Errorf("nothing should have changed: %v", got)
	}
}

func TestAnswer404SaysNoToEverythingAndChangesNothing(t *testing.T) {
	w := newWorld(t, sim.Options{Switches: map[string]string{"answer_404": "true"}})
	w.people("jo@example.com")
	w.scim("GET", "/Users", nil).want(404).has("2.0:Error")
	w.scim("DELETE", "/Users/jo@example.com", nil).want(404)
	w.set("answer_404", "false")
	w.scim("GET", "/Users/jo@example.com", nil).want(200)
}

func TestAListLagsBehindARemoval(t *testing.T) {
	filter := "/Users?filter=" + url.QueryEscape(`userName eq "jo@example.com"`)
	for _, row := range []struct {
		reverse       string
		byID, inLists bool
	}{{"off", false, true}, {"on", true, false}} {
		t.Run("reverse "+row.reverse, func(t *testing.T) {
			w := newWorld(t, sim.Options{Switches: map[string]string{"list_lag": "60s", "lag_reverse": row.reverse}})
			w.people("jo@example.com", "li@example.com")
			g, err := w.AddGroup(sim.Group{Name: "G", Members: []string{"jo@example.com", "li@example.com"}})
			if err != nil {
				t.Fatal(err)
			}
			seen := func() (byID, inList, found, inGroup bool) {
				return w.scim("GET", "/Users/jo@example.com", nil).status == 200,
					strings.Contains(w.scim("GET", "/Users", nil).body, "jo@"),
					strings.Contains(w.scim("GET", filter, nil).body, "jo@"),
					strings.Contains(w.scim("GET", "/Groups/"+strconv.Itoa(g), nil).body, "jo@")
			}
			w.scim("DELETE", "/Users/jo@example.com", nil).want(204)
			w.advance(59 * time.Second)
			if byID, inList, found, inGroup := seen(); byID != row.byID || inList != row.inLists || found != row.inLists || inGroup != row.inLists {
				t.Errorf("during the lag: by id %v, list %v, filter %v, group %v", byID, inList, found, inGroup)
			}
			if state := w.State(); len(state.Members) != 1 || len(state.Groups[0].Members) != 1 {
				t.Error("the truth does not lag")
			}
			w.scim("DELETE", "/Users/jo@example.com", nil).want(404)
			w.advance(time.Second)
			if byID, inList, found, inGroup := seen(); byID || inList || found || inGroup {
				t.Errorf("after the lag: by id %v, list %v, filter %v, group %v", byID, inList, found, inGroup)
			}
		})
	}
}

func TestSomebodyInvitedDuringTheLagIsOnePerson(t *testing.T) {
	w := newWorld(t, sim.Options{Switches: map[string]string{"list_lag": "60s"}})
	w.people("jo@example.com")
	w.scim("DELETE", "/Users/jo@example.com", nil).want(204)
	w.scim("POST", "/Users", `{"userName":"jo@example.com"}`).want(201)
	w.scim("GET", "/Users", nil).has(`"totalResults":1`)
	w.advance(2 * time.Minute)
	w.scim("GET", "/Users", nil).has(`"totalResults":1`, "NO_GIVEN_NAME")
	if got := w.State().Resurrections; len(got) != 1 || got[0].Via != "scim POST" {
		t.Errorf("resurrections %+v", got)
	}
}

func TestTheLastAdminAndDashboardOwnersAreTheSwitchesBusiness(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.add(sim.Member{Email: "admin@example.com", Role: sim.RoleAdmin})
	w.people("jo@example.com")
	w.asset(sim.Asset{Kind: sim.KindDashboard, Owners: []string{"jo@example.com"}})
	w.scim("DELETE", "/Users/admin@example.com", nil).want(400).has("admin")
	w.scim("PATCH", "/Users/admin@example.com", `{"active":false}`).want(400)
	w.set("owns_dashboards", "409")
	w.scim("DELETE", "/Users/jo@example.com", nil).want(409).has("1 dashboards")
	w.set("owns_dashboards", "allow")
	w.scim("DELETE", "/Users/jo@example.com", nil).want(204)
	w.set("last_admin", "allow")
	w.scim("DELETE", "/Users/admin@example.com", nil).want(204)
}
