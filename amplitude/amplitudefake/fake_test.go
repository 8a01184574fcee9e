package amplitudefake_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sim "offramp/amplitude/amplitudefake"
)

func TestNewRefusesWhatItDoesNotKnow(t *testing.T) {
	for want, o := range map[string]sim.Options{
		"drop_write":        {Switches: map[string]string{"gremlins": "on"}},
		"404 or 204":        {Switches: map[string]string{"redelete": "500"}},
		"from 0s to 2m0s":   {Switches: map[string]string{"list_lag": "3m"}},
		"cannot be negativ": {Members: -1},
	} {
		if _, err := sim.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	f, err := sim.New(sim.Options{Switches: map[string]string{"list_lag": "90", "drop_write": "on", "jit": "false"}})
	if err != nil {
		t.Fatal(err)
	}
	got := f.Switches()
	if got["list_lag"] != "1m30s" || got["drop_write"] != "true" || got["jit"] != "off" || got["order"] != "insertion" {
		t.Errorf("switches %v", got)
	}
	for name, values := range sim.KnownSwitches() {
		if _, ok := got[name]; !ok || len(values) < 2 {
			t.Errorf("switch %s is not told with its values", name)
		}
	}
}

func TestTheSameSeedMakesTheSameOrganization(t *testing.T) {
	states := []string{}
	for _, seed := range []int64{1, 1, 2} {
		w := newWorld(t, sim.Options{Seed: seed, Members: 300})
		b, err := json.Marshal(w.State())
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, string(b)+fmt.Sprint(w.Credentials()))
	}
	if states[0] != states[1] || states[0] == states[2] {
		t.Error("a seed decides everything, and nothing else does")
	}
}

func TestAMadeUpOrganizationHasEverythingALeaverCanTouch(t *testing.T) {
	w := newWorld(t, sim.Options{Seed: 1, Members: 500})
	state := w.State()
	if len(state.Members) != 500 {
		t.Fatalf("%d members", len(state.Members))
	}
	pending, emails, roles := 0, []string{}, map[string]int{}
	for _, m := range state.Members {
		if m.Status == "pending" {
			pending++
		}
		roles[m.Role]++
		emails = append(emails, m.Email)
	}
	if pending == 0 || roles[sim.RoleAdmin] != 2 || roles[sim.RoleManager] == 0 {
		t.Errorf("%d pending, roles %v", pending, roles)
	}
	for _, e := range []string{sim.SeedAdmin, sim.SeedLead, "jane.doe@example.com", "j.doe@example.com", "jane.doe+test@example.com", "Max.Muster@Example.com"} {
		if !slices.Contains(emails, e) {
			t.Errorf("no %s", e)
		}
	}
	if g := state.Groups[0]; g.Name != sim.SeedGroup || len(g.Members) < 400 {
		t.Errorf("%s has %d members", g.Name, len(g.Members))
	}
	kinds := map[string]int{}
	unlisted := 0
	for _, a := range state.Assets {
		kinds[a.Kind]++
		if a.Kind == sim.KindCohort && a.Unlisted {
			unlisted++
		}
	}
	for _, k := range []string{
		sim.KindDashboard, sim.KindNotebook, sim.KindChart, sim.KindMetric, sim.KindCohort, sim.KindEvent, sim.KindFlag, sim.KindExperiment,
		sim.KindDeployment, sim.KindSubscription, sim.KindDestination, sim.KindLookupTable, sim.KindAPIKey, sim.KindSecretKey,
		sim.KindManagementKey, sim.KindSCIMKey, sim.KindPersonalToken, sim.KindDataToken,
	} {
		if kinds[k] == 0 {
			t.Errorf("no %s", k)
		}
	}
	if unlisted == 0 || len(state.Unassigned) != 0 {
		t.Errorf("%d unlisted cohorts, %d orphans", unlisted, len(state.Unassigned))
	}
	var log auditPage
	w.audit(w.Now().Add(-30*24*time.Hour), w.Now(), map[string]any{"filters": map[string]string{"action": "login"}, "pagination": map[string]int{"limit": 1000}}).want(200).into(&log)
	if len(log.Events) < 250 {
		t.Errorf("%d log-ins in the last thirty days", len(log.Events))
	}
	w.developer("GET", "/projects", nil).want(200)
}

func TestAHundredThousandMembersListInAThousandPages(t *testing.T) {
	w := newWorld(t, sim.Options{Seed: 1, Members: 100_000})
	seen := map[string]bool{}
	for start := 1; ; start += 100 {
		ids := w.scim("GET", fmt.Sprintf("/Users?startIndex=%d", start), nil).want(200).ids("Resources")
		for _, id := range ids {
			seen[id] = true
		}
		if len(ids) < 100 {
			break
		}
	}
	if len(seen) != 100_000 || len(w.Requests(sim.RequestFilter{Surface: "scim"})) != 1001 {
		t.Errorf("%d members in %d calls", len(seen), len(w.Requests(sim.RequestFilter{})))
	}
	gone := []string{}
	for id := range seen {
		if gone = append(gone, id); len(gone) == 2000 {
			break
		}
	}
	w.set("last_admin", "allow")
	for _, id := range gone {
		w.scim("DELETE", "/Users/"+id, nil).want(204)
	}
	w.scim("GET", "/Users?startIndex=90000", nil).has(`"totalResults":98000`)
	if got := len(w.State().Removals); got != 2000 {
		t.Errorf("%d removals", got)
	}
}

func TestListsStayRightThroughManyRemovals(t *testing.T) {
	w := newWorld(t, sim.Options{})
	alive := []string{}
	for i := range 1000 {
		e := fmt.Sprintf("p%04d@example.com", i)
		w.people(e)
		if i%10 == 3 {
			alive = append(alive, e)
		}
	}
	for i := range 1000 {
		if i%10 != 3 {
			w.scim("DELETE", fmt.Sprintf("/Users/p%04d@example.com", i), nil).want(204)
		}
	}
	if got := w.scim("GET", "/Users", nil).ids("Resources"); !slices.Equal(got, alive) {
		t.Errorf("left %v", got)
	}
	if got := w.scim("GET", "/Users?startIndex=51&itemsPerPage=7", nil).ids("Resources"); !slices.Equal(got, alive[50:57]) {
		t.Errorf("page %v", got)
	}
}

func TestOthersAreUntouchedByARemoval(t *testing.T) {
	w := newWorld(t, sim.Options{Seed: 5, Members: 200})
	before := w.State()
	leaver := before.Members[50].Email
	w.scim("DELETE", "/Users/"+leaver, nil).want(204)
	after := w.State()
	i := 0
	for _, m := range before.Members {
		if m.Email == leaver {
			continue
		}
		if fmt.Sprint(m) != fmt.Sprint(after.Members[i]) {
			t.Errorf("%s changed", m.Email)
		}
		i++
	}
	if len(after.Members) != 199 {
		t.Errorf("%d members", len(after.Members))
	}
}

func TestManyClientsAtOnce(t *testing.T) {
	w := newWorld(t, sim.Options{Seed: 1, Members: 300})
	emails := []string{}
	for _, m := range w.State().Members {
		if m.Role != sim.RoleAdmin {
			emails = append(emails, m.Email)
		}
	}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := worker; i < len(emails); i += 4 { // each address by two workers
				_, _ = w.try("DELETE", "/scim/1/Users/"+emails[i], nil, bearer(w.creds.SCIMKey))
				_, _ = w.try("GET", "/scim/1/Groups", nil, bearer(w.creds.SCIMKey))
				_ = w.PersonState(emails[i])
			}
		})
	}
	all.Wait()
	removed := 0
	for _, r := range w.Requests(sim.RequestFilter{Surface: "scim", Effect: true}) {
		if r.Effect == "removed member" {
			removed++
		}
	}
	if removed != len(emails) || len(w.State().Members) != 2 {
		t.Errorf("%d effective removals of %d", removed, len(emails))
	}
}

func TestAddingIsChecked(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.people("jo@example.com")
	p := w.creds.Projects[0].ID
	for i, err := range []error{
		w.AddMember(sim.Member{Email: "JO@example.com"}),
		w.AddMember(sim.Member{Email: "not an address"}),
		w.AddMember(sim.Member{Email: "x@example.com", Role: "Emperor"}),
		w.AddMember(sim.Member{Email: "x@example.com", Status: "lost"}),
		w.AddMember(sim.Member{Email: "x@example.com", Projects: map[int]string{1: sim.RoleViewer}}),
		second(w.AddGroup(sim.Group{})),
		second(w.AddGroup(sim.Group{Name: "G", Members: []string{"x@example.com"}})),
		second(w.AddGroup(sim.Group{Name: "G", Projects: map[int]string{p: "Emperor"}})),
		second(w.AddAsset(sim.Asset{Kind: "spaceship", Project: p})),
		second(w.AddAsset(sim.Asset{Kind: sim.KindDashboard})),
		second(w.AddAsset(sim.Asset{Kind: sim.KindDashboard, Project: 1})),
		second(w.AddAsset(sim.Asset{Kind: sim.KindSCIMKey})),
		w.Advance(-time.Second),
	} {
		if err == nil {
			t.Errorf("number %d should be refused", i)
		}
	}
}

func second[T any](_ T, err error) error { return err }
