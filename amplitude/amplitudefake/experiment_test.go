package amplitudefake_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	sim "offramp/amplitude/amplitudefake"
)

func (w *world) evaluates(key string) int {
	w.t.Helper()
	return w.send("GET", "/sdk/v2/vardata", nil, header("Authorization", "Api-Key "+key)).status
}

func TestADeploymentKeyIsRotatedByReplacingTheDeployment(t *testing.T) {
	w := newWorld(t, sim.Options{})
	p := strconv.Itoa(w.creds.Projects[0].ID)
	old := w.asset(sim.Asset{Kind: sim.KindDeployment, Name: "backend", Type: "server"})
	flag := w.asset(sim.Asset{Kind: sim.KindFlag, Name: "New Nav", Owners: []string{"jo@example.com"}, Deployments: []string{old.ID}})
	if !strings.HasPrefix(old.Key, "server-") || w.evaluates(old.Key) != 200 || w.evaluates("server-nonsense") != 401 {
		t.Fatal("a deployment's key evaluates, another does not")
	}
	w.send("GET", "/sdk/v2/vardata", nil, header("Authorization", "Api-Key "+old.Key)).has(`"new-nav":{`)

	var made struct{ ID string }
	body := map[string]string{"projectId": p, "label": "backend-r20260601", "type": "server"}
	w.managed("POST", "/deployments", body).want(200).lacks("key", "label").into(&made)
	w.managed("POST", "/deployments", body).want(400)
	w.managed("POST", "/deployments", map[string]string{"projectId": p, "label": "no spaces", "type": "server"}).want(400)
	w.managed("POST", "/deployments", map[string]string{"projectId": p, "label": "x", "type": "edge"}).want(400)
	w.managed("POST", "/deployments", map[string]string{"projectId": "1", "label": "x", "type": "server"}).want(400)

	var list struct {
		Deployments []struct {
			ID, ProjectID, Label, Key string
			Deleted                   bool
		}
	}
	w.managed("GET", "/deployments", nil).want(200).into(&list)
	if len(list.Deployments) != 2 || list.Deployments[1].ID != made.ID || list.Deployments[1].ProjectID != p {
		t.Fatalf("deployments %+v", list)
	}
	fresh := list.Deployments[1].Key

	attach := "/flags/" + flag.ID + "/deployments"
	if got := w.managed("POST", attach, map[string]any{"deployments": []string{made.ID}}).want(200).body; got != "OK" {
		t.Errorf("attaching says %q", got)
	}
	w.managed("POST", attach, map[string]any{"deployments": []string{made.ID}}).want(200)
	w.managed("POST", attach, map[string]any{"deployments": []string{"1"}}).want(400)
	w.managed("GET", attach, nil).want(200).has(`"label":"backend"`, `"label":"backend-r20260601"`)
	w.managed("DELETE", attach+"/"+old.ID, nil).want(200)
	w.managed("DELETE", attach+"/"+old.ID, nil).want(404)
	w.managed("PATCH", "/deployments/"+old.ID, map[string]bool{"archive": true}).want(200).has("OK")
	w.managed("GET", "/deployments", nil).has(`"deleted":true`)
	if w.evaluates(old.Key) != 401 || w.evaluates(fresh) != 200 {
		t.Error("the old key should be dead and the new one alive")
	}
	w.managed("POST", attach, map[string]any{"deployments": []string{old.ID}}).want(400)
	want := []string{"deployment created", "deployment attached", "deployment detached", "deployment archived"}
	if got := w.effects(); !slices.Equal(got, want) {
		t.Errorf("effects %v", got)
	}
}

func TestAManagementKeyWorksForItsProjectUntilRevoked(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.send("GET", "/api/1/flags", nil).want(401)
	w.asset(sim.Asset{Kind: sim.KindFlag, Name: "Mine"})
	w.managed("GET", "/flags", nil).want(200).has("Mine")
	w.send("GET", "/api/1/flags", nil, bearer(w.creds.Projects[1].ManagementKey)).want(200).lacks("Mine")
	w.managed("GET", "/flags?projectId="+strconv.Itoa(w.creds.Projects[1].ID), nil).want(403)
	w.human(sim.Action{Do: "revoke_key", Kind: sim.KindManagementKey, Project: w.creds.Projects[0].ID})
	w.managed("GET", "/flags", nil).want(401)
}

func TestFlagsAndExperimentsPageNewestFirst(t *testing.T) {
	w := newWorld(t, sim.Options{})
	for i := range 1100 {
		w.asset(sim.Asset{Kind: sim.KindExperiment, ID: strconv.Itoa(i + 1), Name: fmt.Sprintf("E%d", i), CreatedBy: "jo@example.com"})
	}
	w.asset(sim.Asset{Kind: sim.KindExperiment, ID: "old", Name: "Old", Archived: true})
	var page struct {
		Experiments []struct {
			ID, CreatedBy string
			NextCursor    int
		}
		NextCursor int
	}
	w.managed("GET", "/experiments?limit=5000", nil).want(200).into(&page)
	if len(page.Experiments) != 1000 || page.Experiments[0].ID != "1100" || page.NextCursor == 0 || page.Experiments[0].CreatedBy != "jo@example.com" {
		t.Fatalf("%d items, next %d", len(page.Experiments), page.NextCursor)
	}
	second := fmt.Sprintf("/experiments?cursor=%d", page.NextCursor)
	if got := w.managed("GET", second, nil).lacks("nextCursor").ids("experiments"); len(got) != 100 {
		t.Errorf("%d on the second page", len(got))
	}
	if got := w.managed("GET", second+"&includeArchived=true", nil).ids("experiments"); len(got) != 101 {
		t.Errorf("%d with archived ones", len(got))
	}
	w.set("next_cursor_quirk", "on")
	page.NextCursor, page.Experiments = 0, nil
	w.managed("GET", "/experiments", nil).into(&page)
	if page.NextCursor != 0 || len(page.Experiments) != 1001 || page.Experiments[1000].NextCursor != 1000 {
		t.Error("the cursor should be inside the array")
	}
	w.managed("GET", "/experiments?limit=x", nil).want(400)
}

func TestOwnersCannotBeSetThroughTheExperimentAPI(t *testing.T) {
	w := newWorld(t, sim.Options{})
	flag := w.asset(sim.Asset{Kind: sim.KindFlag, Name: "F", Owners: []string{"jo@example.com"}, CreatedBy: "jo@example.com"})
	web := w.asset(sim.Asset{Kind: sim.KindExperiment, Name: "W", Web: true})
	for _, field := range []string{"owners", "createdBy", "editors"} {
		w.managed("PATCH", "/flags/"+flag.ID, map[string]any{field: "li@example.com"}).want(400)
	}
	w.managed("PATCH", "/flags/"+flag.ID, map[string]any{"description": "handed over", "tags": []string{"x"}, "archive": true}).want(200)
	w.managed("GET", "/flags/"+flag.ID, nil).want(200).has("handed over", `"deleted":true`, `"tags":["x"]`).lacks("createdBy")
	w.managed("GET", "/flags", nil).lacks("handed over")
	w.managed("PATCH", "/experiments/"+web.ID, map[string]any{"description": "x"}).want(405)
	w.managed("GET", "/experiments/"+web.ID, nil).want(200).has("createdBy")
	w.managed("GET", "/versions", nil).want(200).has(`"createdBy":"0"`, flag.ID)
	w.managed("GET", "/flags/none", nil).want(404)
}

func TestExperimentAllowsAHundredCallsASecond(t *testing.T) {
	w := newWorld(t, sim.Options{})
	for range 100 {
		w.managed("GET", "/flags", nil).want(200)
	}
	w.managed("GET", "/flags", nil).want(http.StatusTooManyRequests)
	w.advance(time.Second)
	w.managed("GET", "/flags", nil).want(200)
}
