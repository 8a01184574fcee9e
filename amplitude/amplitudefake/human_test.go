package amplitudefake_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	sim "offramp/amplitude/amplitudefake"
)

// scene is a leaver who owns one of each kind, a successor, a manager, an admin.
func scene(t *testing.T, o sim.Options) *world {
	t.Helper()
	w := newWorld(t, o)
	w.people("leaver@example.com", "heir@example.com")
	w.add(sim.Member{Email: "boss@example.com", Role: sim.RoleManager, LastLogin: w.Now()})
	w.add(sim.Member{Email: "root@example.com", Role: sim.RoleAdmin, LastLogin: w.Now()})
	for _, kind := range []string{
		sim.KindDashboard, sim.KindNotebook, sim.KindChart, sim.KindMetric, sim.KindCohort, sim.KindEvent, sim.KindFlag,
		sim.KindExperiment, sim.KindSubscription,
	} {
		w.asset(sim.Asset{Kind: kind, Name: "One " + kind, Owners: []string{"leaver@example.com"}})
	}
	return w
}

func TestRemovalOrphansWhatIsStillOwnedAndDeletesNothing(t *testing.T) {
	w := scene(t, sim.Options{})
	w.asset(sim.Asset{Kind: sim.KindDashboard, Name: "Shared", Owners: []string{"leaver@example.com", "heir@example.com"}})
	w.asset(sim.Asset{Kind: sim.KindCohort, Name: "With a former owner", Owners: []string{"leaver@example.com", "gone@example.com"}})
	before := len(w.State().Assets)
	w.scim("DELETE", "/Users/leaver@example.com", nil).want(204)
	state := w.State()
	if len(state.Assets) != before || w.Orphans() != 10 || len(state.Unassigned) != 10 || state.Removals[0].Orphans != 10 {
		t.Errorf("%d assets of %d, %d orphans, %+v", len(state.Assets), before, w.Orphans(), state.Removals)
	}
	for _, a := range state.Assets {
		if slices.Contains(a.Owners, "leaver@example.com") {
			t.Errorf("%s %s still names the leaver", a.Kind, a.Name)
		}
	}
	w.keyed("GET", "/api/2/taxonomy/event", nil).has(`"owner":null`)
	w.managed("GET", "/flags", nil).has(`"createdBy":"leaver@example.com"`) // history stays

	if out := w.human(sim.Action{Do: "assign_unassigned", By: "root@example.com", To: "heir@example.com"}); out.Changed != 6 {
		t.Errorf("six kinds of content can be given out again, not %d", out.Changed)
	}
	if w.Orphans() != 4 {
		t.Errorf("%d orphans", w.Orphans())
	}
}

func TestBulkTransferMovesContentOnceAndForAll(t *testing.T) {
	w := scene(t, sim.Options{Switches: map[string]string{"audit_lag": "0"}})
	w.add(sim.Member{Email: "idle@example.com", LastLogin: w.Now().Add(-31 * 24 * time.Hour)})
	w.add(sim.Member{Email: "new@example.com", Status: "pending"})
	give := func(by, from, to string) error {
		_, err := w.Human(sim.Action{Do: "bulk_transfer", By: by, From: from, To: to})
		return err
	}
	for _, row := range [][3]string{
		{"boss@example.com", "leaver@example.com", "idle@example.com"},
		{"boss@example.com", "leaver@example.com", "new@example.com"},
		{"boss@example.com", "leaver@example.com", "nobody@example.com"},
		{"boss@example.com", "leaver@example.com", "leaver@example.com"},
		{"heir@example.com", "leaver@example.com", "heir@example.com"},
		{"boss@example.com", "nobody@example.com", "heir@example.com"},
	} {
		if err := give(row[0], row[1], row[2]); !errors.Is(err, sim.ErrRefused) {
			t.Errorf("%v: %v", row, err)
		}
	}
	if err := give("boss@example.com", "leaver@example.com", "heir@example.com"); err != nil {
		t.Fatal(err)
	}
	heir := w.PersonState("heir@example.com")
	if len(heir.Assets) != 5 || len(heir.Transfers) != 1 || heir.Transfers[0].Items != 5 || !heir.Transfers[0].Bulk {
		t.Errorf("%d assets, transfers %+v", len(heir.Assets), heir.Transfers)
	}
	w.audit(w.Now().Add(-time.Hour), w.Now(), nil).want(200).has(`"action":"bulk_transfer"`, `"from":"leaver@example.com"`, `"to":"heir@example.com"`)

	w.scim("DELETE", "/Users/leaver@example.com", nil).want(204)
	if w.Orphans() != 4 {
		t.Errorf("%d orphans: the kinds that bulk transfer does not move", w.Orphans())
	}
	if err := give("boss@example.com", "leaver@example.com", "heir@example.com"); !errors.Is(err, sim.ErrRefused) {
		t.Errorf("after the removal: %v", err)
	}
}

func TestASilentActionLeavesNoAuditEntry(t *testing.T) {
	w := scene(t, sim.Options{Switches: map[string]string{"audit_lag": "0"}})
	w.human(sim.Action{Do: "bulk_transfer", From: "leaver@example.com", To: "heir@example.com", Silent: true})
	w.audit(w.Now().Add(-time.Hour), w.Now(), nil).want(200).lacks("bulk_transfer")
}

func TestOneAssetIsTransferredOrSharedByWhoMay(t *testing.T) {
	w := scene(t, sim.Options{})
	id := w.PersonState("leaver@example.com").Assets[0].ID
	act := sim.Action{Do: "transfer", Kind: sim.KindDashboard, ID: id, By: "heir@example.com", To: "heir@example.com"}
	if _, err := w.Human(act); !errors.Is(err, sim.ErrRefused) {
		t.Errorf("somebody else's dashboard: %v", err)
	}
	w.human(sim.Action{Do: "share", Kind: sim.KindDashboard, ID: id, By: "leaver@example.com", To: "boss@example.com"})
	act.By = "boss@example.com"
	w.human(act)
	if got := w.PersonState("heir@example.com").Assets; len(got) != 1 || !slices.Equal(got[0].Owners, []string{"heir@example.com"}) {
		t.Errorf("assets %+v", got)
	}
	if _, err := w.Human(sim.Action{Do: "transfer", Kind: sim.KindDashboard, ID: "none", To: "heir@example.com"}); err == nil {
		t.Error("an asset that is not there")
	}
}

func TestProjectKeysAreRotatedByHandAndTheOldOneLagsOnlyIfPublic(t *testing.T) {
	w := newWorld(t, sim.Options{Switches: map[string]string{"revoke_lag": "6h"}})
	p := w.creds.Projects[0]
	try := func(api, secret string) int { return w.send("GET", "/api/3/cohorts", nil, basic(api, secret)).status }

	if _, err := w.Human(sim.Action{Do: "revoke_key", Kind: sim.KindAPIKey, Project: p.ID}); !errors.Is(err, sim.ErrRefused) {
		t.Errorf("the legacy key cannot be revoked: %v", err)
	}
	api := w.human(sim.Action{Do: "rotate_key", Kind: sim.KindAPIKey, Project: p.ID}).Key
	if try(api, p.SecretKey) != 200 || try(p.APIKey, p.SecretKey) != 200 {
		t.Error("for six hours both work")
	}
	w.advance(6 * time.Hour)
	if try(api, p.SecretKey) != 200 || try(p.APIKey, p.SecretKey) != 401 {
		t.Error("then only the new one")
	}
	secret := w.human(sim.Action{Do: "rotate_key", Kind: sim.KindSecretKey, Project: p.ID}).Key
	if try(api, secret) != 200 || try(api, p.SecretKey) != 401 {
		t.Error("a secret key is dead at once")
	}
	if got := w.Credentials().Projects[0]; got.APIKey != api || got.SecretKey != secret {
		t.Errorf("credentials %+v", got)
	}
	keys := 0
	for _, a := range w.State().Assets {
		if a.Project == p.ID && a.Revoked {
			keys++
		}
	}
	if keys != 2 {
		t.Errorf("%d revoked keys in the truth", keys)
	}
}

func TestAProjectHasAtMostFiftyAPIKeys(t *testing.T) {
	w := newWorld(t, sim.Options{})
	act := sim.Action{Do: "generate_key", Kind: sim.KindAPIKey, Project: w.creds.Projects[0].ID}
	for range 49 {
		w.human(act)
	}
	if _, err := w.Human(act); !errors.Is(err, sim.ErrRefused) {
		t.Errorf("the 51st: %v", err)
	}
}

func TestLoggingInBySSOBringsARemovedPersonBackUnlessJITIsOff(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.people("jo@example.com")
	w.scim("DELETE", "/Users/jo@example.com", nil).want(204)
	w.set("jit", "off")
	if _, err := w.Human(sim.Action{Do: "sso_login", Email: "jo@example.com"}); !errors.Is(err, sim.ErrRefused) {
		t.Errorf("without JIT: %v", err)
	}
	w.set("jit", "on")
	w.human(sim.Action{Do: "sso_login", Email: "jo@example.com", Name: "Jo Doe"})
	state := w.PersonState("jo@example.com")
	if len(state.Members) != 1 || state.Members[0].Status != "joined" || len(state.Resurrections) != 1 || state.Resurrections[0].Via != "jit" {
		t.Errorf("%+v", state)
	}
	w.scim("GET", "/Users/jo@example.com", nil).want(200).has("Jo", "Doe")
}

func TestTheIdentityProvidersOwnPushInvitesAgain(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.people("jo@example.com")
	if _, err := w.AddGroup(sim.Group{Name: "G"}); err != nil {
		t.Fatal(err)
	}
	w.scim("DELETE", "/Users/jo@example.com", nil).want(204)
	w.human(sim.Action{Do: "idp_group_push", Group: "g", Email: "jo@example.com"})
	if out := w.human(sim.Action{Do: "idp_group_push", Group: "g", Email: "jo@example.com"}); out.Changed != 0 {
		t.Error("the second push changes nothing")
	}
	state := w.State()
	if len(state.Resurrections) != 1 || len(state.Outbox) != 1 || len(state.Groups[0].Members) != 1 {
		t.Errorf("%+v", state)
	}
	w.human(sim.Action{Do: "login", Email: "jo@example.com"})
	w.scim("GET", "/Users/jo@example.com", nil).lacks("NO_GIVEN_NAME")
}

func TestThePagesKeepTheirRulesAboutPeople(t *testing.T) {
	w := scene(t, sim.Options{})
	p := w.creds.Projects[0].ID
	rows := map[string]sim.Action{
		"a viewer does not invite":               {Do: "invite", By: "heir@example.com", Email: "x@example.com"},
		"a manager does not make admins":         {Do: "change_role", By: "boss@example.com", Email: "heir@example.com", Role: sim.RoleAdmin},
		"nobody changes their own role":          {Do: "change_role", By: "root@example.com", Email: "root@example.com", Role: sim.RoleViewer},
		"an admin stays":                         {Do: "change_role", Email: "root@example.com", Role: sim.RoleViewer},
		"the last admin is not removed":          {Do: "remove_member", Email: "root@example.com"},
		"nobody removes themselves":              {Do: "remove_member", By: "boss@example.com", Email: "boss@example.com"},
		"who is not there is not removed":        {Do: "remove_member", Email: "nobody@example.com"},
		"who is not there does not log in":       {Do: "login", Email: "nobody@example.com"},
		"who is there is not invited":            {Do: "invite", Email: "heir@example.com"},
		"a manager does not regenerate SCIM key": {Do: "regenerate_scim_key", By: "boss@example.com"},
		"a member does not manage keys":          {Do: "rotate_key", By: "heir@example.com", Kind: sim.KindSecretKey, Project: p},
	}
	for name, act := range rows {
		if _, err := w.Human(act); !errors.Is(err, sim.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.human(sim.Action{Do: "invite", By: "boss@example.com", Email: "x@example.com", Role: sim.RoleMember})
	w.human(sim.Action{Do: "change_role", By: "root@example.com", Email: "heir@example.com", Role: sim.RoleAdmin})
	w.human(sim.Action{Do: "change_role", Email: "heir@example.com", Role: sim.RoleManager, Project: p})
	w.human(sim.Action{Do: "change_role", Email: "root@example.com", Role: sim.RoleViewer})
	heir := w.PersonState("heir@example.com").Members[0]
	if heir.Role != sim.RoleAdmin || heir.Projects[p] != sim.RoleManager {
		t.Errorf("%+v", heir)
	}
	w.human(sim.Action{Do: "change_role", Email: "heir@example.com", Project: p})
	w.human(sim.Action{Do: "remove_member", By: "heir@example.com", Email: "leaver@example.com", To: "boss@example.com"})
	if got := w.State().Removals; len(got) != 1 || got[0].Via != "human" || got[0].Orphans != 4 {
		t.Errorf("removals %+v", got)
	}
}

func TestAnUnknownActionIsToldTheKnownOnes(t *testing.T) {
	w := newWorld(t, sim.Options{})
	_, err := w.Human(sim.Action{Do: "wave"})
	if err == nil || !strings.Contains(err.Error(), "bulk_transfer (by, from, to") {
		t.Errorf("%v", err)
	}
}
