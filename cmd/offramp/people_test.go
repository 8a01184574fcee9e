package main_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"offramp/amplitude/amplitudefake"
)

// leaver is one person of the story.
type leaver struct {
	id, address, how string
	event            string
}

// heir is somebody to hand over to, who stays.
const heir = "heir@example.com"

// seat gives somebody a seat who logged in yesterday.
func (b *bridge) seat(address string, role string) {
	b.t.Helper()
	m := amplitudefake.Member{Email: address, GivenName: "Given", FamilyName: address, Role: role, LastLogin: time.Now().Add(-24 * time.Hour)}
	if err := b.fake.AddMember(m); err != nil {
		b.t.Fatal(err)
	}
}

// staff tells the bridge about the heir and returns their id. The seat is there
// from the beginning: who was seated a second ago has no login that anybody
// could have read.
func (b *bridge) staff() (id string) {
	b.t.Helper()
	return b.enrol(heir, "careful", "")
}

// hire adds a member and tells the bridge about them.
func (b *bridge) hire(address, department, manager string) string {
	b.t.Helper()
	b.seat(address, amplitudefake.RoleMember)
	return b.enrol(address, department, manager)
}

// enrol tells the bridge about somebody.
func (b *bridge) enrol(address, department, manager string) string {
	b.t.Helper()
	enterprise := map[string]any{"department": department}
	if manager != "" {
		enterprise["manager"] = map[string]any{"value": manager}
	}
	status, out := b.sure(http.MethodPost, "/Users", map[string]any{
		"schemas":  []string{"urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"},
		"userName": address, "active": true, "displayName": address,
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": enterprise,
	})
	var user struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(out, &user); err != nil || status != http.StatusCreated {
		b.t.Fatalf("create: %d %s", status, out)
	}
	return user.ID
}

// leave deactivates somebody. The provider repeats what was not answered.
func (b *bridge) leave(l leaver) {
	b.t.Helper()
	op := map[string]any{"active": false}
	if l.how == "incident" {
		op["urn:ietf:params:scim:schemas:extension:offramp:2.0:User"] = map[string]any{"leaveReason": "security_incident"}
	}
	status, out := b.sure(http.MethodPatch, "/Users/"+l.id, map[string]any{
		"schemas":    []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"},
		"Operations": []any{map[string]any{"op": "replace", "value": op}},
	})
	if status != http.StatusOK && status != http.StatusNoContent {
		b.t.Fatalf("deactivate: %d %s", status, out)
	}
}

type apiCase struct {
	ID, Address, Plan, State, Waiting, Note, Outcome string
}

func (b *bridge) cases() []apiCase {
	b.t.Helper()
	var list struct{ Cases []apiCase }
	b.eventually(60*time.Second, "list cases", func() bool {
		status, out := b.call(http.MethodGet, "http://"+b.admin+"/api/v1/cases?limit=500", b.op, nil)
		return status == http.StatusOK && json.Unmarshal(out, &list) == nil
	})
	return list.Cases
}

func (b *bridge) open() int {
	b.t.Helper()
	n := 0
	for _, c := range b.cases() {
		if c.State != "closed" && c.State != "cancelled" {
			n++
		}
	}
	return n
}

// work is what people do: approve, hand over in Amplitude, attest.
func (b *bridge) work() {
	b.t.Helper()
	for _, c := range b.cases() {
		if c.Waiting == "approval" {
			b.call(http.MethodPost, "http://"+b.admin+"/api/v1/cases/"+c.ID+"/approve", b.op, map[string]string{"role": "manager"})
		}
	}
	var list struct {
		Tasks []struct{ ID, Case, Kind, Successor string }
	}
	status, out := b.call(http.MethodGet, "http://"+b.admin+"/api/v1/tasks?state=open&limit=500", b.op, nil)
	if status != http.StatusOK || json.Unmarshal(out, &list) != nil {
		return
	}
	for _, task := range list.Tasks {
		for _, c := range b.cases() {
			if c.ID != task.Case {
				continue
			}
			to := task.Successor
			if to == "" {
				to = "heir@example.com"
			}
			_, _ = b.fake.Human(amplitudefake.Action{Do: "bulk_transfer", From: c.Address, To: to}) // refused when done before
			b.call(http.MethodPost, "http://"+b.admin+"/api/v1/tasks/"+task.ID+"/done", b.op, map[string]string{"note": "done in Amplitude", "successor": to})
		}
	}
}

// caseOf returns the one case of an address.
func (b *bridge) caseOf(address string) apiCase {
	b.t.Helper()
	var found []apiCase
	for _, c := range b.cases() {
		if c.Address == address {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		b.t.Fatalf("%d cases of %s, want one: %+v", len(found), address, found)
	}
	return found[0]
}

// closes waits until the one case of an address is closed as removed, doing
// what people have to do, and checks that Amplitude removed them once.
func (b *bridge) closes(address string, most time.Duration) {
	b.t.Helper()
	b.eventually(most, "the case of "+address+" closes", func() bool {
		b.work()
		return b.caseOf(address).State == "closed"
	})
	if c := b.caseOf(address); c.Outcome != "removed" {
		b.t.Errorf("the case of %s ended %s: %s", address, c.Outcome, c.Note)
	}
	if n := b.removals(address); n != 1 {
		b.t.Errorf("%s was removed %d times", address, n)
	}
}

// removals counts how often Amplitude took an address away.
func (b *bridge) removals(address string) int {
	n := 0
	for _, r := range b.fake.Requests(amplitudefake.RequestFilter{Effect: true}) {
		if strings.HasPrefix(r.Effect, "removed member") && strings.EqualFold(r.Object, address) {
			n++
		}
	}
	return n
}
