package amplitudefake_test

import (
	"net/url"
	"slices"
	"strconv"
	"testing"

	sim "offramp/amplitude/amplitudefake"
)

func form(pairs ...string) url.Values {
	out := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		out.Set(pairs[i], pairs[i+1])
	}
	return out
}

func TestCohortsShowOwnersOfListedOnesOnly(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.people("jo@example.com")
	p := w.creds.Projects[0].ID
	w.asset(sim.Asset{Kind: sim.KindCohort, ID: "seen0001", Name: "Seen", Owners: []string{"Jo@Example.com", "left@example.com"}})
	w.asset(sim.Asset{Kind: sim.KindCohort, ID: "hidden01", Name: "Hidden", Owners: []string{"jo@example.com"}, Unlisted: true})
	got := w.keyed("GET", "/api/3/cohorts", nil).want(200)
	got.has(`"id":"seen0001"`, `"owners":["Jo@Example.com","left@example.com"]`, `"appId":`+strconv.Itoa(p), `"archived":false`, `"viewers":[]`).
		lacks("hidden01", "syncMetadata")
	w.keyed("GET", "/api/3/cohorts?includeSyncInfo=true", nil).want(200).has("syncMetadata")
	other := w.creds.Projects[1]
	w.send("GET", "/api/3/cohorts", nil, basic(other.APIKey, other.SecretKey)).want(200).lacks("seen0001")
	w.send("GET", "/api/3/cohorts", nil, basic(other.APIKey, w.creds.Projects[0].SecretKey)).want(401)
	w.send("GET", "/api/3/cohorts", nil).want(401).has(`"error":{`, `"http_code":401`)
}

func TestUploadingToACohortWipesItAndLeavesItsOwner(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.people("jo@example.com", "li@example.com")
	a := w.asset(sim.Asset{Kind: sim.KindCohort, Name: "Active", Owners: []string{"jo@example.com"}})
	body := map[string]any{
		"name": "Active", "app_id": a.Project, "id_type": "BY_USER_ID", "ids": []string{"1"}, "owner": "li@example.com", "published": true,
		"existing_cohort_id": a.ID,
	}
	w.keyed("POST", "/api/3/cohorts/upload", body).want(200).has(`"cohortId":"` + a.ID + `"`)
	state := w.PersonState("jo@example.com")
	if len(state.Assets) != 1 || !state.Assets[0].Destroyed || state.Assets[0].Owners[0] != "jo@example.com" {
		t.Errorf("assets %+v", state.Assets)
	}
	body["owner"] = "nobody@example.com"
	w.keyed("POST", "/api/3/cohorts/upload", body).want(400)
	body["owner"], body["existing_cohort_id"] = "li@example.com", ""
	w.keyed("POST", "/api/3/cohorts/upload", body).want(200)
	w.keyed("POST", "/api/3/cohorts/membership", map[string]any{"cohort_id": a.ID, "memberships": []any{}}).want(200)
	if got := w.effects(); !slices.Equal(got, []string{"cohort definition replaced", "cohort created", "cohort members changed"}) {
		t.Errorf("effects %v", got)
	}
}

func TestAnEventsOwnerCanBeReadAndChanged(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.people("jo@example.com", "li@example.com")
	w.add(sim.Member{Email: "new@example.com", Status: "pending"})
	w.asset(sim.Asset{Kind: sim.KindEvent, Name: "Order/Completed größe", Owners: []string{"jo@example.com"}})
	w.asset(sim.Asset{Kind: sim.KindEvent, Name: "Sign Up", Owners: []string{"jo@example.com"}, OwnerText: "Jo Test"})
	w.asset(sim.Asset{Kind: sim.KindEvent, Name: "Nobodys"})
	w.asset(sim.Asset{Kind: sim.KindEvent, Name: "Secret", Owners: []string{"jo@example.com"}, Unlisted: true})

	w.keyed("GET", "/api/2/taxonomy/event", nil).want(200).
		has(`"success":true`, `"event_type":"Order/Completed größe"`, `"owner":"jo@example.com"`, `"owner":"Jo Test"`, `"owner":null`).lacks("Secret")
	path := "/api/2/taxonomy/event/" + url.PathEscape("Order/Completed größe")
	w.keyed("PUT", path, form("owner", "li@example.com")).want(200).has(`{"success":true}`)
	w.keyed("GET", path, nil).want(200).has(`"owner":"li@example.com"`, `"data":{`)
	w.keyed("PUT", path, form("owner", "li@example.com")).want(200)
	w.keyed("PUT", path, form("owner", "left@example.com")).want(409).has(`"success":false`, `"errors":[{"message":`)
	w.keyed("PUT", path, form("owner", "new@example.com")).want(409)
	w.keyed("PUT", path, form("owner", "Li Test")).want(409)
	w.keyed("PUT", path, `{"owner":"jo@example.com"}`).want(400)
	w.keyed("PUT", path, form("description", "x", "tags", "a,b")).want(200)
	w.keyed("PUT", path, form("owner", "")).want(200)
	w.keyed("GET", path, nil).has(`"owner":null`, `"tags":["a","b"]`)
	if got := w.effects(); !slices.Equal(got, []string{"event owner changed", "event changed", "event owner changed"}) {
		t.Errorf("effects %v", got)
	}
	w.keyed("GET", "/api/2/taxonomy/event/Unheard", nil).want(400).has("Not found")
	w.keyed("PUT", "/api/2/taxonomy/event/Unheard", form("owner", "")).want(409)
	w.set("taxonomy_review", "required")
	w.keyed("PUT", path, form("owner", "jo@example.com")).want(409)
}

func TestEventsAreMadeRenamedAndDeleted(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.keyed("POST", "/api/2/taxonomy/event", form("event_type", "A", "category", "Growth")).want(200)
	w.keyed("POST", "/api/2/taxonomy/event", form("event_type", "A")).want(409)
	w.keyed("POST", "/api/2/taxonomy/event", form()).want(400)
	w.keyed("GET", "/api/2/taxonomy/category", nil).want(200).has("Growth")
	w.keyed("GET", "/api/2/taxonomy/event-property", nil).want(200)
	w.keyed("PUT", "/api/2/taxonomy/event/A", form("new_event_type", "B", "is_active", "false", "is_hidden_from_timeline", "true")).want(200)
	w.keyed("GET", "/api/2/taxonomy/event/B", nil).want(200).has(`"is_active":false`, `"is_hidden_from_timeline":true`)
	w.keyed("DELETE", "/api/2/taxonomy/event/B", nil).want(200)
	w.keyed("GET", "/api/2/taxonomy/event", nil).lacks(`"B"`)
	w.keyed("GET", "/api/2/taxonomy/event?showDeleted=true", nil).has(`"B"`)
	w.keyed("GET", "/api/2/taxonomy/event/B", nil).want(400)
}

func TestTaxonomyCostsAreCountedByTheHour(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.asset(sim.Asset{Kind: sim.KindEvent, Name: "A"})
	for range 3600 {
		w.keyed("PUT", "/api/2/taxonomy/event/A", form("description", "x")).want(200)
	}
	got := w.keyed("GET", "/api/2/taxonomy/event/A", nil).want(429)
	if got.header.Get("Retry-After") != "" {
		t.Error("taxonomy does not say when to come back")
	}
	w.advance(3600e9)
	w.keyed("GET", "/api/2/taxonomy/event/A", nil).want(200)
}

func TestLookupTablesNameWhoMadeThem(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.asset(sim.Asset{Kind: sim.KindLookupTable, Name: "skus", CreatedBy: "jo@example.com"})
	w.keyed("GET", "/api/3/lookup_table", nil).want(200).has(`"createdBy":"jo@example.com"`, `"name":"skus"`)
	w.keyed("GET", "/api/3/lookup_table/skus", nil).want(200)
	w.keyed("GET", "/api/3/lookup_table/none", nil).want(404).has(`"statusCode":404`, `"errorCode"`)
}

func TestCallsOutsideEverySurfaceAreLoggedAndRefused(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.keyed("POST", "/api/2/deletions/users", map[string]any{"user_ids": []string{"1"}}).want(404)
	if got := w.Requests(sim.RequestFilter{Surface: "unknown"}); len(got) != 1 || got[0].Path != "/api/2/deletions/users" {
		t.Errorf("log %+v", got)
	}
}
