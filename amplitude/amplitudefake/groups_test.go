package amplitudefake_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	sim "offramp/amplitude/amplitudefake"
)

func ops(op, path, value string) string {
	return `{"schemas":["` + patchOp + `"],"Operations":[{"op":"` + op + `","path":"` + path + `"` + value + `}]}`
}

func value(emails ...string) string {
	items := []string{}
	for _, e := range emails {
		items = append(items, `{"value":"`+e+`"}`)
	}
	return `,"value":[` + strings.Join(items, ",") + `]`
}

func TestAGroupsNumberIsANumberOrAString(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.people("jo@example.com")
	made := w.scim("POST", "/Groups", `{"schemas":[],"displayName":"Growth","members":[{"value":"jo@example.com"}]}`).want(200)
	id := strconv.Itoa(w.State().Groups[0].ID)
	made.has(`"id":`+id+`,`, `"displayName":"Growth"`, `"display":"jo Test"`, `"created":"2026-06-01T09:00:00.000+00:00"`)
	w.scim("GET", "/Groups", nil).want(200).has(`"id":`+id+`,`, `"totalResults":1`, "jo@example.com")
	w.scim("GET", "/Groups/"+id, nil).want(200).has(`"id":"` + id + `"`)
	w.scim("PATCH", "/Groups/"+id, ops("replace", "displayName", `,"value":"Rise"`)).want(200).has(`"id":"`+id+`"`, `"displayName":"Rise"`)
	w.scim("GET", "/Groups/growth", nil).want(400)
	w.scim("GET", "/Groups/1", nil).want(404)
	w.scim("POST", "/Groups", `{"displayName":"rise"}`).want(409)
	w.scim("POST", "/Groups", `{"members":[]}`).want(400)
	w.scim("DELETE", "/Groups/"+id, nil).want(204)
	w.scim("GET", "/Groups/"+id, nil).want(404)
}

func TestMembersAreAddedAndRemovedByAListOfValues(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.people("jo@example.com", "li@example.com", "mo@example.com")
	g, err := w.AddGroup(sim.Group{Name: "G", Members: []string{"jo@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	path := "/Groups/" + strconv.Itoa(g)
	w.scim("PATCH", path, ops("Add", "members", value("li@example.com", "MO@example.com"))).want(200).has("li@example.com", "mo@example.com")
	w.scim("PATCH", path, ops("REMOVE", "members", value("LI@example.com"))).want(200).lacks("li@example.com")
	w.scim("PATCH", path, ops("remove", "members", value("nobody@example.com"))).want(200)
	w.scim("PATCH", path, ops("remove", `members[value eq \"jo@example.com\"]`, "")).want(400)
	w.scim("PATCH", path, ops("replace", "members", value("jo@example.com"))).want(400)
	w.scim("PATCH", path, `{"Operations":[{"op":"add","value":{"members":[]}}]}`).want(400)
	w.scim("PATCH", path, `{"Operations":[]}`).want(400)
	if got := w.State().Groups[0].Members; !slices.Equal(got, []string{"jo@example.com", "mo@example.com"}) {
		t.Errorf("members %v", got)
	}
	if got := w.effects(); !slices.Equal(got, []string{"joined group", "left group"}) {
		t.Errorf("effects %v", got)
	}
}

func TestRemoveWithoutValueEmptiesTheGroup(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.people("jo@example.com", "li@example.com")
	g, err := w.AddGroup(sim.Group{Name: "G", Members: []string{"jo@example.com", "li@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	w.scim("PATCH", "/Groups/"+strconv.Itoa(g), ops("remove", "members", "")).want(200).has(`"members":[]`)
	if len(w.State().Groups[0].Members) != 0 {
		t.Error("the group should be empty")
	}
}

func TestAGroupPushBringsARemovedPersonBack(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.people("jo@example.com")
	g, err := w.AddGroup(sim.Group{Name: "G", Members: []string{"jo@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	path := "/Groups/" + strconv.Itoa(g)
	w.asset(sim.Asset{Kind: sim.KindDashboard, Owners: []string{"jo@example.com"}})
	w.scim("DELETE", "/Users/jo@example.com", nil).want(204)
	w.scim("GET", path, nil).lacks("jo@example.com")
	w.scim("PATCH", path, ops("add", "members", value("jo@example.com", "new@example.com"))).want(200).
		has("jo@example.com", `"display":"undefined undefined"`)
	w.scim("GET", "/Users/jo@example.com", nil).want(200).has("NO_GIVEN_NAME")

	state := w.State()
	if len(state.Resurrections) != 1 || state.Resurrections[0].Email != "jo@example.com" || state.Resurrections[0].Via != "group push" {
		t.Errorf("resurrections %+v", state.Resurrections)
	}
	if len(state.Outbox) != 2 {
		t.Errorf("outbox %+v", state.Outbox)
	}
	if len(state.Unassigned) != 1 {
		t.Error("what was owned does not come back")
	}
	last := w.Requests(sim.RequestFilter{Effect: true})[1]
	if last.Effect != "invited member, joined group" || !strings.Contains(last.Object, "jo@example.com") {
		t.Errorf("log %+v", last)
	}
}

func TestPutOnGroupsIsOffUnlessSwitchedOn(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.people("jo@example.com", "li@example.com")
	g, err := w.AddGroup(sim.Group{Name: "G", Members: []string{"jo@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	path, body := "/Groups/"+strconv.Itoa(g), `{"displayName":"H","members":[{"value":"li@example.com"}]}`
	w.scim("PUT", path, body).want(405)
	w.set("put_group", "supported")
	w.scim("PUT", path, body).want(200).has(`"id":"`+strconv.Itoa(g)+`"`, "li@example.com", `"H"`).lacks("jo@example.com")
}

func TestMoreThanAHundredGroupsComeInPages(t *testing.T) {
	w := newWorld(t, sim.Options{})
	for i := range 130 {
		if _, err := w.AddGroup(sim.Group{Name: "G" + strconv.Itoa(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(w.scim("GET", "/Groups", nil).has(`"totalResults":130`).ids("Resources")); got != 100 {
		t.Errorf("%d on the first page", got)
	}
	if got := len(w.scim("GET", "/Groups?startIndex=101", nil).ids("Resources")); got != 30 {
		t.Errorf("%d on the second page", got)
	}
}
