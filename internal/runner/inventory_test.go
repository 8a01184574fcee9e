package runner_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
	"offramp/transfer"
)

// inventoried is the result of the step as the evidence has it.
type inventoried struct {
	Listed  int `json:"listed"`
	Sources []struct {
		Source  string   `json:"source"`
		Entries int      `json:"entries"`
		Listed  int      `json:"listed"`
		Unseen  string   `json:"unseen"`
		Without []string `json:"without"`
	} `json:"sources"`
	Credentials []string `json:"credentials"`
	Unknown     bool     `json:"unknown"`
}

func (w *world) inventoried(f offboard.File) inventoried {
	w.t.Helper()
	var out inventoried
	step := f.Step(offboard.StepInventory)
	if step == nil || json.Unmarshal(step.Result, &out) != nil {
		w.t.Fatalf("the case has no inventory: %+v", step)
	}
	return out
}

// about returns what is told about one list: why it was not seen, and what it
// does not show.
func (i inventoried) about(source string) (unseen, without string) {
	for _, s := range i.Sources {
		if s.Source == source {
			return s.Unseen, strings.Join(s.Without, "; ")
		}
	}
	return "not in the result", ""
}

// thing puts an asset into the first project.
func (w *world) thing(a amplitudefake.Asset) amplitudefake.Asset {
	w.t.Helper()
	if a.Project == 0 {
		a.Project = w.fake.Credentials().Projects[0].ID
	}
	made, err := w.fake.AddAsset(a)
	if err != nil {
		w.t.Fatal(err)
	}
	return made
}

// lists makes a case that stops right after its inventory, for an approval.
func (w *world) lists() (offboard.File, inventoried) {
	w.t.Helper()
	w.policy.Approvals = 1
	w.person("leaver", leaver)
	w.deactivate()
	f := w.until(offboard.StateWaiting, offboard.WaitApproval)
	return f, w.inventoried(f)
}

func sourcesOf(f offboard.File) map[string]string {
	out := map[string]string{}
	for _, as := range f.Assets {
		out[as.Kind+" "+as.Name] = as.Source
	}
	return out
}

func TestInventoryListsOneOfEachKindWithItsSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	project, second := w.fake.Credentials().Projects[0], w.fake.Credentials().Projects[1]
	upper, other := "JO@Example.COM", "other@example.com"
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindEvent, ID: "Sign Up", Name: "Sign Up", Owners: []string{upper}})
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindCohort, Name: "Power users", Owners: []string{other, upper}, CreatedBy: other})
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindFlag, Name: "Made", CreatedBy: leaver, Owners: []string{other}})
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindFlag, Name: "Owned", CreatedBy: other, Owners: []string{other, leaver}})
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindExperiment, Name: "Trial", CreatedBy: leaver})
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindChart, Name: "Weekly", CreatedBy: upper})
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindChart, Name: "Weekly in the second project", CreatedBy: leaver, Project: second.ID})
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindDestination, Name: "Braze", CreatedBy: leaver})
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindLookupTable, Name: "skus", CreatedBy: leaver})
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindChart, Name: "Old", CreatedBy: leaver, Archived: true})
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindDashboard, Name: "KPIs", Owners: []string{leaver}})

	f, result := w.lists()
	want := map[string]string{
		"event Sign Up":                      "taxonomy API: owner",
		"cohort Power users":                 "cohorts API: owner",
		"flag Made":                          "experiment API: created by, last changed by; developer API: created by, last changed by",
		"flag Owned":                         "developer API: owner",
		"experiment Trial":                   "experiment API: created by, last changed by",
		"chart Weekly":                       "developer API: created by",
		"chart Weekly in the second project": "developer API: created by",
		"destination Braze":                  "developer API: created by, last changed by",
		"lookup_table skus":                  "lookup tables API: created by, last changed by",
	}
	for _, as := range f.Assets {
		key := as.Kind + " " + as.Name
		if as.Source != want[key] || as.State != offboard.AssetOwned || as.By != "" {
			t.Errorf("%s comes from %q, is %s, by %q; want %q", key, as.Source, as.State, as.By, want[key])
		}
		delete(want, key)
	}
	if len(want) > 0 || result.Listed != len(f.Assets) {
		t.Errorf("not listed: %v; the result counts %d of %d", want, result.Listed, len(f.Assets))
	}
	for _, s := range result.Sources {
		if s.Unseen != "" {
			t.Errorf("%s was not seen: %s", s.Source, s.Unseen)
		}
	}
	if _, without := result.about("acme/" + project.Name + ": cohorts"); !strings.Contains(without, "unlisted cohorts") {
		t.Errorf("of cohorts it says %q", without)
	}
	if _, without := result.about("acme/" + project.Name + ": charts"); !strings.Contains(without, "need not own it") {
		t.Errorf("of charts it says %q", without)
	}
}

func TestInventoryLeavesOutWhatIsSomebodyElses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	project := w.fake.Credentials().Projects[0]
	for _, who := range []string{
		"jo+work@example.com", "jo@example.org", "ajo@example.com", "jo@example.com.evil.example", "j.o@example.com", "jo@sub.example.com", "jo", "api",
	} {
		w.thing(amplitudefake.Asset{Kind: amplitudefake.KindChart, Name: who, CreatedBy: who})
		w.thing(amplitudefake.Asset{Kind: amplitudefake.KindFlag, Name: who, CreatedBy: who})
		w.thing(amplitudefake.Asset{Kind: amplitudefake.KindLookupTable, Name: who, CreatedBy: who})
		w.thing(amplitudefake.Asset{Kind: amplitudefake.KindEvent, ID: who, Owners: []string{"other@example.com"}, OwnerText: who})
	}
	// A display name where only addresses count, and one that two people have where it would.
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindChart, Name: "by name", OwnerText: "Person leaver"})
	err := w.fake.AddMember(amplitudefake.Member{Email: "namesake@example.com", GivenName: "Person", FamilyName: "leaver", LastLogin: w.clock.now()})
	if err != nil {
		t.Fatal(err)
	}
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindEvent, ID: "Theirs", Owners: []string{"namesake@example.com"}, OwnerText: "Person Leaver"})
	f, result := w.lists()
	if len(f.Assets) != 0 || result.Listed != 0 {
		t.Errorf("listed %v", sourcesOf(f))
	}
	if _, without := result.about("acme/" + project.Name + ": events"); !strings.Contains(without, "1 entries that give a display name which several members have") {
		t.Errorf("of events it says %q", without)
	}
	if _, without := result.about("acme/" + project.Name + ": charts"); !strings.Contains(without, "3 of its 9 entries, which name nobody by an address") {
		t.Errorf("of charts it says %q", without)
	}
}

func TestInventoryTakesADisplayNameThatNobodyElseHas(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		others int
		doubt  bool
	}{
		"where everybody was looked at, hooks may act on it":    {others: 3},
		"where not everybody was looked at, a person has to do": {others: 320, doubt: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{})
			for i := range tc.others {
				w.seat(fmt.Sprintf("member%d@example.com", i), amplitudefake.RoleMember)
			}
			w.thing(amplitudefake.Asset{Kind: amplitudefake.KindEvent, ID: "Sign Up", Owners: []string{leaver}, OwnerText: "person  leaver"})
			w.thing(amplitudefake.Asset{Kind: amplitudefake.KindEvent, ID: "Sign In", Owners: []string{leaver}, OwnerText: " PERSON LEAVER "})
			f, _ := w.lists()
			if len(f.Assets) != 1 || f.Assets[0].RemoteID != "Sign In" || f.Assets[0].Source != "taxonomy API: owner, written as a display name" {
				t.Fatalf("listed %+v", f.Assets)
			}
			if doubt := f.Assets[0].By != ""; doubt != tc.doubt {
				t.Errorf("left to a person because %q", f.Assets[0].By)
			}
		})
	}
}

func TestInventoryNamesDeploymentsOnlyFromTheRegistry(t *testing.T) {
	t.Parallel()
	var known []runner.Credential
	w := newWorld(t, setup{opts: func(o *runner.Options) {
		o.Credentials = func(offboard.Person) []runner.Credential { return known }
	}})
	project := w.fake.Credentials().Projects[0]
	live := w.thing(amplitudefake.Asset{Kind: amplitudefake.KindDeployment, Name: "prod", CreatedBy: leaver})
	gone := w.thing(amplitudefake.Asset{Kind: amplitudefake.KindDeployment, Name: "old", Archived: true})
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindDeployment, Name: "unregistered", CreatedBy: leaver})
	credential := func(name string, kind transfer.CredentialKind, id string) runner.Credential {
		return runner.Credential{Name: name, Credential: transfer.Credential{Kind: kind, ID: id, Name: name, Project: fmt.Sprint(project.ID), Organization: "acme"}}
	}
	known = []runner.Credential{
		credential("checkout", transfer.CredentialDeploymentKey, live.ID), credential("legacy", transfer.CredentialDeploymentKey, gone.ID),
		credential("lost", transfer.CredentialDeploymentKey, "12345678"), credential("warehouse", transfer.CredentialWarehouse, "bq"),
	}
	f, result := w.lists()
	want := []string{
		fmt.Sprintf("deployment key checkout: deployment prod of acme/%s", project.Name),
		fmt.Sprintf("deployment key legacy: deployment old of acme/%s, archived", project.Name),
		fmt.Sprintf("deployment key lost: acme/%s lists no deployment 12345678", project.Name),
		"warehouse warehouse",
	}
	if len(f.Assets) != 0 || !slices.Equal(result.Credentials, want) {
		t.Errorf("listed %v, credentials %q", sourcesOf(f), result.Credentials)
	}
	if body := string(f.Step(offboard.StepInventory).Result); strings.Contains(body, live.Key) {
		t.Error("the result shows the key")
	}
}

func TestManyCasesAreAnsweredFromOneReading(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.policy.Approvals = 1
	for i := range 10 {
		address := fmt.Sprintf("leaver%d@example.com", i)
		w.person(fmt.Sprint("p", i), address)
		w.thing(amplitudefake.Asset{Kind: amplitudefake.KindChart, Name: fmt.Sprint("of ", i), CreatedBy: address})
	}
	leave := func(i int) {
		w.change(fmt.Sprint("p", i), func(p offboard.Person) offboard.Person { p.Active = false; return p })
	}
	waiting := func(i int) func() bool {
		return func() bool {
			return w.caseOf(fmt.Sprintf("leaver%d@example.com", i)).Case.Waiting == offboard.WaitApproval
		}
	}
	for i := range 9 {
		leave(i)
	}
	w.run(time.Hour, func() bool {
		for i := range 9 {
			if !waiting(i)() {
				return false
			}
		}
		return true
	})
	projects := len(w.fake.Credentials().Projects)
	read := func() int {
		n := 0
		for _, r := range w.fake.Requests(amplitudefake.RequestFilter{Surface: "developer"}) {
			if strings.HasSuffix(r.Path, "/charts") {
				n++
			}
		}
		return n
	}
	if read() != projects {
		t.Errorf("nine cases read the charts of %d projects with %d requests", projects, read())
	}
	for i := range 9 {
		f := w.caseOf(fmt.Sprintf("leaver%d@example.com", i))
		if len(f.Assets) != 1 || f.Assets[0].Name != fmt.Sprint("of ", i) {
			t.Errorf("case %d lists %v", i, sourcesOf(f))
		}
	}
	// What somebody is given up to their own deactivation must not be missed.
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindChart, Name: "handed on", CreatedBy: "leaver9@example.com"})
	leave(9)
	w.run(time.Hour, waiting(9))
	if f := w.caseOf("leaver9@example.com"); len(f.Assets) != 2 {
		t.Errorf("the later case lists %v", sourcesOf(f))
	}
	if read() != 2*projects {
		t.Errorf("%d requests for charts, want %d", read(), 2*projects)
	}
}

func TestWhatNoAPICanHandOverIsInTheOneTask(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.policy.Unlisted = offboard.UnlistedTask
	w.person("leaver", leaver)
	w.person("heir", "kim@example.com")
	w.change("leaver", func(p offboard.Person) offboard.Person { p.Manager = "heir"; return p })
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindEvent, ID: "Sign Up", Owners: []string{leaver}})
	for kind, name := range map[string]string{
		amplitudefake.KindChart: "Weekly", amplitudefake.KindFlag: "New checkout", amplitudefake.KindExperiment: "Trial",
		amplitudefake.KindDestination: "Braze", amplitudefake.KindLookupTable: "skus", amplitudefake.KindCohort: "Power users",
	} {
		w.thing(amplitudefake.Asset{Kind: kind, Name: name, CreatedBy: leaver, Owners: []string{leaver}})
	}
	w.deactivate()
	f := w.until(offboard.StateWaiting, offboard.WaitTask)
	if len(f.Tasks) != 1 || f.Tasks[0].Link == "" || f.Tasks[0].Assignee != "kim@example.com" {
		t.Fatalf("tasks %+v", f.Tasks)
	}
	for _, item := range []string{"chart Weekly", "flag New checkout", "experiment Trial", "destination Braze", "lookup table skus", "cohort Power users"} {
		if !strings.Contains(f.Tasks[0].Text, "- "+item) {
			t.Errorf("the task does not name %q:\n%s", item, f.Tasks[0].Text)
		}
	}
	if strings.Contains(f.Tasks[0].Text, "Sign Up") {
		t.Errorf("the task names the event that an API handed over:\n%s", f.Tasks[0].Text)
	}
	w.human(amplitudefake.Action{Do: "bulk_transfer", From: leaver, To: "kim@example.com"})
	for _, as := range f.Assets {
		if as.Kind == amplitudefake.KindFlag {
			w.human(amplitudefake.Action{Do: "transfer", Kind: as.Kind, ID: as.RemoteID, Project: as.Project, To: "kim@example.com"})
		}
	}
	w.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
		return offboard.CompleteTask(f, f.Tasks[0].ID, offboard.TaskAnswer{By: "lee@example.com", Note: "transferred"}, w.clock.now())
	})
	f = w.closed(leaver)
	for _, as := range f.Assets {
		if as.State != offboard.AssetHanded || as.NewOwner != "kim@example.com" {
			t.Errorf("%s %s is %s of %q", as.Kind, as.Name, as.State, as.NewOwner)
		}
	}
}
