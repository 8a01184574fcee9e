package amplitudefake_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	sim "offramp/amplitude/amplitudefake"
)

func TestDeveloperAPIListsProjectsChartsAndFlags(t *testing.T) {
	w := newWorld(t, sim.Options{})
	p := strconv.Itoa(w.creds.Projects[0].ID)
	w.send("GET", "/v1/projects", nil).want(401).has("error_code")
	w.developer("GET", "/context", nil).want(200).has(`"auth_type":"pat"`, "projects:read")
	w.developer("GET", "/projects", nil).want(200).has(`"id":"`+p+`"`, `"has_more":false`, `"next_cursor":null`)
	w.asset(sim.Asset{Kind: sim.KindChart, Name: "Funnel", CreatedBy: "jo@example.com", Owners: []string{"li@example.com"}})
	w.asset(sim.Asset{Kind: sim.KindChart, Name: "Old", OwnerText: "login_1"})
	w.asset(sim.Asset{Kind: sim.KindChart, Name: "Nobody"})
	charts := "/projects/" + p + "/charts"
	w.developer("GET", charts, nil).want(200).has(`"created_by":"jo@example.com"`, `"created_by":"login_1"`, `"created_by":null`).lacks("owners")
	w.developer("GET", charts+"?q=funnel", nil).has("Funnel").lacks("Nobody")
	w.developer("DELETE", charts+"/x", nil).want(405)
	w.developer("GET", "/projects/1/charts", nil).want(404)
	for i := range 120 {
		w.asset(sim.Asset{Kind: sim.KindFlag, Name: fmt.Sprintf("F%d", i), Owners: []string{"jo@example.com"}})
	}
	var page struct {
		Data       []struct{ Owners []string }
		Pagination struct {
			NextCursor string `json:"next_cursor"`
			HasMore    bool   `json:"has_more"`
		}
	}
	w.developer("GET", "/projects/"+p+"/flags", nil).into(&page)
	if len(page.Data) != 50 || !page.Pagination.HasMore || page.Data[0].Owners[0] != "jo@example.com" {
		t.Errorf("first page: %d, more %v", len(page.Data), page.Pagination.HasMore)
	}
	w.developer("GET", "/projects/"+p+"/flags?limit=200&cursor="+page.Pagination.NextCursor, nil).into(&page)
	if len(page.Data) != 70 || page.Pagination.HasMore {
		t.Errorf("second page: %d, more %v", len(page.Data), page.Pagination.HasMore)
	}
}

func TestDeveloperWritesAreIdempotentAndNeverSetOwners(t *testing.T) {
	w := newWorld(t, sim.Options{})
	flag := w.asset(sim.Asset{Kind: sim.KindFlag, Name: "F", Owners: []string{"jo@example.com"}})
	path := fmt.Sprintf("/projects/%d/flags/%s", flag.Project, flag.ID)
	key := header("Idempotency-Key", "12345678")
	body := map[string]any{"description": "x"}
	w.developer("PATCH", path, body).want(400)
	w.developer("PATCH", path, map[string]any{"owners": []string{"li@example.com"}}, key).want(400).has("owners")
	first := w.developer("PATCH", path, body, key).want(200).has(`"version":2`)
	if again := w.developer("PATCH", path, body, key).want(200); again.body != first.body {
		t.Error("the same key should give the same answer")
	}
	w.developer("DELETE", path, nil, key).want(409)
	w.developer("DELETE", path, nil, header("Idempotency-Key", "87654321")).want(204)
	w.developer("GET", path, nil).has(`"archived":true`)
	if got := w.effects(); len(got) != 2 {
		t.Errorf("effects %v", got)
	}
}

func TestADestinationsCredentialGoesInAndNeverComesOut(t *testing.T) {
	w := newWorld(t, sim.Options{})
	d := w.asset(sim.Asset{Kind: sim.KindDestination, Name: "S3", CreatedBy: "jo@example.com"})
	path := fmt.Sprintf("/projects/%d/destinations/%s", d.Project, d.ID)
	w.developer("GET", path, nil).want(200).has(`"created_by":"jo@example.com"`, `"version":"1"`, `"credential_status":"connected"`)
	body := map[string]any{"config": map[string]string{"api_secret": "hunter2", "bucket": "b"}}
	w.developer("PATCH", path, body).want(412)
	w.developer("PATCH", path, body, header("If-Match", "1")).want(200).has(`"version":"2"`, `"bucket":"b"`).lacks("hunter2")
	w.developer("PATCH", path, body, header("If-Match", "1")).want(412)
	w.developer("POST", path+"/test", nil).want(200).has(`"ok":true`)
}

func TestATokenDiesWithItsPersonWithinAMinute(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.people("jo@example.com")
	token := w.human(sim.Action{Do: "generate_key", Kind: sim.KindPersonalToken, By: "jo@example.com"}).Key
	status := func() int { return w.send("GET", "/v1/projects", nil, bearer("PAT="+token)).status }
	w.scim("DELETE", "/Users/jo@example.com", nil).want(204)
	w.advance(59 * time.Second)
	if status() != 200 {
		t.Error("it may live on for a minute")
	}
	w.advance(time.Second)
	if status() != 401 {
		t.Error("after a minute it is dead")
	}
}

func TestATokenIsHeldToItsScopes(t *testing.T) {
	w := newWorld(t, sim.Options{})
	a, err := w.AddAsset(sim.Asset{Kind: sim.KindPersonalToken, Name: "narrow", Type: "projects:read"})
	if err != nil {
		t.Fatal(err)
	}
	w.send("GET", "/v1/projects", nil, bearer("PAT="+a.Key)).want(200)
	w.send("GET", fmt.Sprintf("/v1/projects/%d/charts", w.creds.Projects[0].ID), nil, bearer("PAT="+a.Key)).want(403).has("insufficient_scope")
}
