package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/store/storetest"
)

// twoProjects is a bridge that knows both projects of the simulator.
func twoProjects(t *testing.T, database string, policies string) (b *bridge, web, mobile int) {
	t.Helper()
	same, err := amplitudefake.New(amplitudefake.Options{Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	web, mobile = same.Credentials().Projects[0].ID, same.Credentials().Projects[1].ID
	b = newBridge(t, database,
		"management_key: {file: management}}", fmt.Sprintf("management_key: {file: management}}\n      - {id: \"%d\", name: Mobile}", mobile),
		"policies:\n", "policies:\n"+policies)
	b.start()
	b.staff()
	return b, web, mobile
}

// on gives a member direct roles.
func (b *bridge) on(address string, projects ...int) {
	b.t.Helper()
	for _, p := range projects {
		if _, err := b.fake.Human(amplitudefake.Action{Do: "change_role", By: "root@example.com", Email: address, Project: p, Role: amplitudefake.RoleManager}); err != nil {
			b.t.Fatal(err)
		}
	}
}

// operator asks the operator API and reads its answer.
func (b *bridge) operator(want int, method, path string, in, out any) {
	b.t.Helper()
	status, body := b.call(method, "http://"+b.admin+"/api/v1"+path, b.op, in)
	if status != want {
		b.t.Fatalf("%s %s: %d %s", method, path, status, body)
	}
	if err := json.Unmarshal(body, out); err != nil {
		b.t.Fatal(err)
	}
}

func databases() map[string]func(t *testing.T) string {
	return map[string]func(t *testing.T) string{
		"sqlite":   func(*testing.T) string { return "" },
		"postgres": func(t *testing.T) string { t.Helper(); return storetest.Postgres(t) },
	}
}

// TestAMoverKeepsTheSeat moves somebody as Okta says it, and somebody else by an
// operator's word with a policy chosen by name.
func TestAMoverKeepsTheSeat(t *testing.T) {
	t.Parallel()
	for name, database := range databases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, web, mobile := twoProjects(t, database(t), `
  - {name: movers, trigger: 'was.department == "Analytics" && person.department == "Sales"', plan: mover, approvals: 0, revoke: {role: Viewer}}
`)
			id := b.hire("jo@example.com", "Analytics", "")
			b.hire("pat@example.com", "Analytics", "")
			b.on("jo@example.com", web, mobile)
			b.on("pat@example.com", web)
			status, out := b.sure(http.MethodPatch, "/Users/"+id, map[string]any{
				"schemas":    []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"},
				"Operations": []map[string]any{{"op": "replace", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "Sales"}},
			})
			if status != http.StatusOK {
				t.Fatalf("%d %s", status, out)
			}
			var k struct{ Plan, Policy, Trigger string }
			b.operator(http.StatusCreated, http.MethodPost, "/cases", map[string]any{
				"person": "pat@example.com", "reason": "role_change", "policy": "movers", "because": "HR-7",
			}, &k)
			if k.Plan != "mover" || k.Policy != "movers" || !strings.HasSuffix(k.Trigger, "HR-7") {
				t.Errorf("%+v", k)
			}
			for address, projects := range map[string]int{"jo@example.com": 2, "pat@example.com": 1} {
				b.eventually(60*time.Second, address+" is reduced", func() bool { return b.outcome(address) == "reduced" })
				m := b.fake.PersonState(address).Members
				if len(m) != 1 || len(m[0].Projects) != projects || m[0].Projects[web] != amplitudefake.RoleViewer {
					t.Errorf("%s: %+v", address, m)
				}
			}
		})
	}
}

// Much may happen between a proposal and its release.
func TestWhoGotOtherAccessMeanwhileIsNotRemovedWithTheirProject(t *testing.T) {
	t.Parallel()
	for name, database := range databases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, web, mobile := twoProjects(t, database(t), "")
			b.hire("only@example.com", "quick", "")
			b.on("only@example.com", web)
			var r struct{ Batch string }
			b.operator(http.StatusCreated, http.MethodPost, "/sunsets", map[string]any{"project": web, "because": "archived"}, &r)
			b.on("only@example.com", mobile)
			var done struct{ Decided int }
			b.operator(http.StatusOK, http.MethodPost, "/batches/"+r.Batch+"/release", map[string]any{"because": "meant"}, &done)
			var all struct {
				Cases []struct{ State, Note string }
			}
			b.eventually(60*time.Second, "the case stops", func() bool {
				b.operator(http.StatusOK, http.MethodGet, "/cases?limit=1&address=only@example.com", nil, &all)
				return all.Cases[0].State == "needs_attention" || b.outcome("only@example.com") != ""
			})
			if k := all.Cases[0]; !strings.Contains(k.Note, fmt.Sprintf("by now they have access to project %d", mobile)) || b.removals("only@example.com") != 0 {
				t.Errorf("%+v", k)
			}
		})
	}
}

// outcome is how the newest case of an address ended.
func (b *bridge) outcome(address string) string {
	b.t.Helper()
	var all struct{ Cases []struct{ Outcome string } }
	b.operator(http.StatusOK, http.MethodGet, "/cases?limit=1&address="+address, nil, &all)
	if len(all.Cases) == 0 {
		return ""
	}
	return all.Cases[0].Outcome
}

// TestThePeopleOfAProjectThatEndsAreRemovedTogether proposes them, leaves out who
// has other access, and removes the batch when it is released.
func TestThePeopleOfAProjectThatEndsAreRemovedTogether(t *testing.T) {
	t.Parallel()
	for name, database := range databases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, web, mobile := twoProjects(t, database(t), "")
			group := amplitudefake.Group{Name: "Mobile team", Projects: map[int]string{mobile: amplitudefake.RoleViewer}}
			for _, who := range []string{"only", "both", "through"} {
				b.hire(who+"@example.com", "quick", "")
				b.on(who+"@example.com", web)
			}
			b.on("both@example.com", mobile)
			group.Members = []string{"through@example.com"}
			if _, err := b.fake.AddGroup(group); err != nil {
				t.Fatal(err)
			}
			if err := b.fake.AddMember(amplitudefake.Member{Email: "stranger@example.com", Projects: map[int]string{web: amplitudefake.RoleViewer}}); err != nil {
				t.Fatal(err)
			}
			type result struct {
				Batch  string
				Opened []struct{ Address, State string }
				Live   []string
				Left   []struct{ Address string }
			}
			ask := func() (r result) {
				b.operator(http.StatusCreated, http.MethodPost, "/sunsets", map[string]any{"project": web, "because": "archived"}, &r)
				return r
			}
			r := ask()
			if len(r.Opened) != 1 || r.Opened[0].Address != "only@example.com" || r.Opened[0].State != "held" || r.Batch == "" ||
				len(r.Left) != 1 || r.Left[0].Address != "stranger@example.com" {
				t.Fatalf("%+v", r)
			}
			if again := ask(); len(again.Opened) != 0 || len(again.Live) != 1 || again.Batch != "" {
				t.Errorf("a second time: %+v", again)
			}
			if b.removals("only@example.com") != 0 {
				t.Error("removed before anybody said so")
			}
			var done struct{ Decided int }
			b.operator(http.StatusOK, http.MethodPost, "/batches/"+r.Batch+"/release", map[string]any{"because": "meant"}, &done)
			if done.Decided != 1 {
				t.Errorf("%d released", done.Decided)
			}
			b.eventually(60*time.Second, "the batch is done", func() bool { return b.outcome("only@example.com") == "removed" })
			for _, who := range []string{"both", "through", "stranger"} {
				if len(b.fake.PersonState(who+"@example.com").Members) != 1 {
					t.Errorf("%s is gone", who)
				}
			}
			if err := b.fake.SetSwitch(amplitudefake.SwitchEnrolled, "false"); err != nil {
				t.Fatal(err)
			}
			status, body := b.call(http.MethodPost, "http://"+b.admin+"/api/v1/sunsets", b.op, map[string]any{"project": web, "because": "archived"})
			if status != http.StatusConflict || !strings.Contains(string(body), "not enrolled") {
				t.Errorf("without the API: %d %s", status, body)
			}
		})
	}
}
