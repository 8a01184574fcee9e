package scim_test

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"offramp/scim"
)

// membersOf lists the members of a group through the server.
func (b *bridge) membersOf(tb testing.TB, id string) []string {
	tb.Helper()
	g, err := b.dir.Group(tb.Context(), "okta", id, true)
	if err != nil {
		tb.Fatal(err)
	}
	out := []string{}
	for _, m := range g.Members {
		out = append(out, m.Value)
	}
	return out
}

// TestGroupPatchDialects sends one PATCH to the group Eng with the members u1,
// u2 and u3.
func TestGroupPatchDialects(t *testing.T) {
	for _, row := range []struct {
		name, ops string
		status    int
		members   string
		display   string
	}{
		{"Okta renames with the id in the value", `{"op":"replace","value":{"id":"g9","displayName":"Eng 2"}}`, 204, "u1 u2 u3", "Eng 2"},
		{"Okta removes by filter and adds by list", `{"op":"remove","path":"members[value eq \"u1\"]"},{"op":"add","path":"members","value":[{"value":"u4","display":"b@example.com"}]}`, 204, "u2 u3 u4", ""},
		{"Okta pushes all", `{"op":"replace","path":"members","value":[{"value":"u4"},{"value":"u5"}]}`, 204, "u4 u5", ""},
		{"Okta pushes all without a path", `{"op":"replace","value":{"members":[{"value":"u4"}]}}`, 204, "u4", ""},
		{"Okta pushes an empty group", `{"op":"replace","path":"members","value":[]}`, 204, "", ""},
		{"Okta pushes an empty group without a path", `{"op":"replace","value":{"members":[]}}`, 204, "", ""},
		{"Entra adds with null references", `{"op":"Add","path":"members","value":[{"$ref":null,"value":"u4"},{"$ref":null,"value":"u5"}]}`, 204, "u1 u2 u3 u4 u5", ""},
		{"Entra removes by value list, and only those", `{"op":"Remove","path":"members","value":[{"$ref":null,"value":"u1"}]}`, 204, "u2 u3", ""},
		{"Entra renames", `{"op":"Replace","path":"displayName","value":"Eng 2"}`, 204, "u1 u2 u3", "Eng 2"},
		{"members as bare strings", `{"op":"add","path":"members","value":["u4"]}`, 204, "u1 u2 u3 u4", ""},
		{"one member as an object", `{"op":"add","path":"members","value":{"value":"u4"}}`, 204, "u1 u2 u3 u4", ""},
		{"one member as a string", `{"op":"Remove","path":"members","value":"u3"}`, 204, "u1 u2", ""},
		{"members in capitals with their URN", `{"op":"add","path":"urn:ietf:params:scim:schemas:core:2.0:Group:MEMBERS","value":[{"VALUE":"u4"}]}`, 204, "u1 u2 u3 u4", ""},
		{"adding who is there and removing who is not", `{"op":"add","path":"members","value":["u1"]},{"op":"remove","path":"members[value eq \"u8\"]"}`, 204, "u1 u2 u3", ""},
		{"a filter with or", `{"op":"remove","path":"members[value eq \"u1\" or value eq \"u2\"]"}`, 204, "u3", ""},
		{"remove and add again keeps the order of the operations", `{"op":"remove","path":"members","value":["u1"]},{"op":"add","path":"members","value":["u1"]}`, 204, "u1 u2 u3", ""},
		{"add and remove leaves the member out", `{"op":"add","path":"members","value":["u4"]},{"op":"remove","path":"members","value":["u4"]}`, 204, "u1 u2 u3", ""},
		{"a removal without filter and value empties the group", `{"op":"remove","path":"members"}`, 204, "", ""},
		{"a removal of an empty list removes nobody", `{"op":"remove","path":"members","value":[]}`, 204, "u1 u2 u3", ""},
		{"an unknown attribute is dropped", `{"op":"add","path":"description","value":"x"}`, 204, "u1 u2 u3", ""},
		{"a display of a member is dropped", `{"op":"replace","path":"members[value eq \"u1\"].display","value":"x"}`, 204, "u1 u2 u3", ""},

		{"a filter by anything but the value", `{"op":"remove","path":"members[type eq \"User\"]"}`, 400, "u1 u2 u3", ""},
		{"a filter that excludes", `{"op":"remove","path":"members[not (value eq \"u1\")]"}`, 400, "u1 u2 u3", ""},
		{"an add by filter", `{"op":"add","path":"members[value eq \"u4\"]","value":{"value":"u4"}}`, 400, "u1 u2 u3", ""},
		{"a member without a value", `{"op":"add","path":"members","value":[{"display":"x"}]}`, 400, "u1 u2 u3", ""},
		{"a member that is a list", `{"op":"add","path":"members","value":[["u4"]]}`, 400, "u1 u2 u3", ""},
		{"a good removal beside a bad one", `{"op":"remove","path":"members","value":["u1"]},{"op":"remove","path":"members","value":[true]}`, 400, "u1 u2 u3", ""},
		{"an empty name", `{"op":"replace","path":"displayName","value":""}`, 400, "u1 u2 u3", ""},
		{"the removal of the name", `{"op":"remove","path":"displayName"}`, 400, "u1 u2 u3", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBridge(t)
			id, _ := b.must(t, 201, http.MethodPost, "/Groups", `{"displayName":"Eng","members":[{"value":"u1"},{"value":"u2"},{"value":"u3"}]}`).doc(t)["id"].(string)
			a := b.must(t, row.status, http.MethodPatch, "/Groups/"+id, patch(row.ops))
			if row.status == http.StatusNoContent && a.Body.Len() > 0 {
				t.Errorf("204 with a body: %s", a.Body)
			}
			if got := strings.Join(b.membersOf(t, id), " "); got != row.members {
				t.Errorf("members are %q, want %q", got, row.members)
			}
			want := row.display
			if want == "" {
				want = "Eng"
			}
			if got := b.must(t, 200, http.MethodGet, "/Groups/"+id+"?excludedAttributes=members", "").doc(t)["displayName"]; got != want {
				t.Errorf("displayName is %v, want %s", got, want)
			}
		})
	}
}

func TestGroupPut(t *testing.T) {
	b := newBridge(t)
	id, _ := b.must(t, 201, http.MethodPost, "/Groups", `{"displayName":"Eng","externalId":"x1","members":["u1","u2"]}`).doc(t)["id"].(string)
	for _, row := range []struct{ name, body, members, external string }{
		{"the whole list replaces the members", `{"displayName":"Eng","members":[{"value":"u2"},{"value":"u3"}]}`, "u2 u3", "x1"},
		{"silence about members leaves them", `{"displayName":"Eng"}`, "u2 u3", "x1"},
		{"an empty list empties the group", `{"displayName":"Eng","members":[],"externalId":"x2"}`, "", "x2"},
	} {
		b.must(t, 200, http.MethodPut, "/Groups/"+id, row.body)
		g, err := b.dir.Group(t.Context(), "okta", id, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(b.membersOf(t, id), " "); got != row.members || g.ExternalID != row.external {
			t.Errorf("%s: members %q, externalId %q", row.name, got, g.ExternalID)
		}
	}
	b.must(t, 400, http.MethodPut, "/Groups/"+id, `{"members":["u1"]}`)
	b.must(t, 404, http.MethodPut, "/Groups/g77", `{"displayName":"Eng"}`)
}

// recorder keeps the last change of a group.
type recorder struct {
	*memory
	last scim.GroupChange
	read int // members loaded
}

func (r *recorder) UpdateGroup(ctx context.Context, conn, id string, c scim.GroupChange) error {
	r.last = c
	return r.memory.UpdateGroup(ctx, conn, id, c)
}

func (r *recorder) Group(ctx context.Context, conn, id string, withMembers bool) (scim.Group, error) {
	if withMembers {
		r.read++
	}
	return r.memory.Group(ctx, conn, id, withMembers)
}

func TestNeighbouringMemberOperationsBecomeOneStep(t *testing.T) {
	rec := &recorder{memory: newMemory()}
	b := newBridge(t, func(o *scim.Options) { o.Directory = rec })
	b.must(t, 201, http.MethodPost, "/Groups", `{"displayName":"Eng"}`)
	b.must(t, 204, http.MethodPatch, "/Groups/g1", patch(`
		{"op":"remove","path":"members[value eq \"a\"]"},{"op":"remove","path":"members[value eq \"b\"]"},
		{"op":"replace","path":"displayName","value":"Eng 2"},
		{"op":"Remove","path":"members","value":[{"value":"b"},{"value":"c"}]},
		{"op":"add","path":"members","value":["d"]},{"op":"add","path":"members","value":["e","d"]},
		{"op":"remove","path":"members","value":["d"]}`))
	want := []scim.MemberChange{
		{Op: scim.RemoveMembers, IDs: []string{"a", "b", "c"}},
		{Op: scim.AddMembers, IDs: []string{"d", "e"}},
		{Op: scim.RemoveMembers, IDs: []string{"d"}},
	}
	if !reflect.DeepEqual(rec.last.Members, want) {
		t.Errorf("steps are %v, want %v", rec.last.Members, want)
	}
	if rec.read != 0 {
		t.Errorf("members were loaded %d times for a PATCH", rec.read)
	}
}

func TestMembersAreLoadedOnlyIfWanted(t *testing.T) {
	rec := &recorder{memory: newMemory()}
	b := newBridge(t, func(o *scim.Options) { o.Directory = rec })
	b.must(t, 201, http.MethodPost, "/Groups", `{"displayName":"Eng","members":["u1"]}`)
	rec.read = 0
	for _, path := range []string{"/Groups/g1?excludedAttributes=members", "/Groups/g1?attributes=displayName", "/Groups?excludedAttributes=Members&filter=displayName+eq+%22eng%22"} {
		a := b.must(t, 200, http.MethodGet, path, "")
		if strings.Contains(a.Body.String(), "members") || rec.read != 0 {
			t.Errorf("%s: loaded %d times: %s", path, rec.read, a.Body)
		}
	}
	tag := b.must(t, 200, http.MethodGet, "/Groups/g1", "").Header().Get("ETag")
	rec.read = 0
	b.must(t, 304, http.MethodGet, "/Groups/g1", "", "If-None-Match", tag)
	if rec.read != 0 {
		t.Error("members were loaded for a 304")
	}
	doc := b.must(t, 200, http.MethodGet, "/Groups/g1?attributes=members.value", "").doc(t)
	if want := []any{map[string]any{"value": "u1"}}; !reflect.DeepEqual(doc["members"], want) || doc["displayName"] != nil {
		t.Errorf("attributes=members.value gave %v", doc)
	}
}

func TestTenThousandMembersInOneBody(t *testing.T) {
	b := newBridge(t)
	var list []string
	for i := range 10000 {
		list = append(list, fmt.Sprintf(`{"$ref":null,"value":"2819c223-7f76-453a-919d-%012d","display":"user%d@example.com"}`, i, i))
	}
	members := "[" + strings.Join(list, ",") + "]"
	b.must(t, 201, http.MethodPost, "/Groups", `{"displayName":"All","members":`+members+`}`)
	if got := len(b.membersOf(t, "g1")); got != 10000 {
		t.Fatalf("created with %d members", got)
	}
	b.must(t, 200, http.MethodPut, "/Groups/g1", `{"displayName":"All","members":[]}`)
	b.must(t, 204, http.MethodPatch, "/Groups/g1", patch(`{"op":"Add","path":"members","value":`+members+`}`))
	if got := len(b.membersOf(t, "g1")); got != 10000 {
		t.Fatalf("patched to %d members", got)
	}
	b.must(t, 413, http.MethodPost, "/Groups", `{"displayName":"More","members":[`+strings.Repeat(list[0]+",", 50000)+list[0]+`]}`)
}

// TestConcurrentWritersLoseNothing is run with the race detector: the answers
// are encoded while others write.
func TestConcurrentWritersLoseNothing(t *testing.T) {
	b := newBridge(t)
	id := b.jo(t)
	b.must(t, 201, http.MethodPost, "/Groups", `{"displayName":"Eng"}`)
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 20 {
				member := fmt.Sprintf("m%d-%d", w, i)
				codes := []int{
					b.do(http.MethodPatch, "/Groups/g2", patch(`{"op":"add","path":"members","value":["`+member+`","`+member+`x"]}`)).Code,
					b.do(http.MethodPatch, "/Groups/g2", patch(`{"op":"remove","path":"members[value eq \"`+member+`x\"]"}`)).Code,
					b.do(http.MethodPatch, "/Users/"+id, patch(`{"op":"replace","value":{"name.givenName":"`+member+`","emails[type eq \"work\"].display":"`+member+`"}}`)).Code,
					b.do(http.MethodGet, "/Users/"+id, "").Code,
					b.do(http.MethodGet, "/Users?startIndex=1&count=10", "").Code,
				}
				if !slices.Equal(codes, []int{204, 204, 200, 200, 200}) {
					t.Errorf("answers %v", codes)
				}
			}
		})
	}
	wg.Wait()
	if got := len(b.membersOf(t, "g2")); got != 16*20 {
		t.Errorf("%d members, want %d", got, 16*20)
	}
}
