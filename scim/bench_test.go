package scim_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"offramp/scim"
)

// sink discards an answer and remembers the status.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }

func (br *bridge) bench(b *testing.B, want int, method, path string, body func(i int) string) {
	b.Helper()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), method, "/scim/v2"+path, strings.NewReader(body(i)))
		r.Header.Set("Authorization", "Bearer okta-token")
		w := &sink{header: http.Header{}}
		if br.ServeHTTP(w, r); w.status != want {
			b.Fatalf("status %d", w.status)
		}
		i++
	}
}

// filled returns a bridge with users, and a group of members.
func filled(tb testing.TB, users, members int) *bridge {
	tb.Helper()
	b := newBridge(tb)
	b.dir.twice = false
	for i := range users {
		_, err := b.dir.CreateUser(tb.Context(), "okta", scim.User{Attributes: map[string]any{
			"userName": fmt.Sprintf("load%d@example.com", i), "externalId": fmt.Sprint("x", i), "active": true,
			"name":   map[string]any{"givenName": "Load", "familyName": "Test"},
			"emails": []any{map[string]any{"value": fmt.Sprintf("load%d@example.com", i), "type": "work", "primary": true}},
		}})
		if err != nil {
			tb.Fatal(err)
		}
	}
	g := scim.Group{DisplayName: "Eng"}
	for i := range members {
		g.Members = append(g.Members, scim.Member{Value: fmt.Sprint("m", i)})
	}
	if _, err := b.dir.CreateGroup(tb.Context(), "okta", g); err != nil {
		tb.Fatal(err)
	}
	return b
}

func constant(s string) func(int) string { return func(int) string { return s } }

func BenchmarkHotPaths(b *testing.B) {
	off := []string{`{"op":"replace","value":{"active":false}}`, `{"op":"replace","value":{"active":true}}`}
	for _, users := range []int{1000, 100000} {
		br := filled(b, users, 10)
		b.Run(fmt.Sprintf("deactivate by Okta/users=%d", users), func(b *testing.B) {
			br.bench(b, 200, http.MethodPatch, "/Users/u7", func(i int) string { return patch(off[i%2]) })
		})
		b.Run(fmt.Sprintf("deactivate by Entra/users=%d", users), func(b *testing.B) {
			br.bench(b, 200, http.MethodPatch, "/Users/u7", constant(patch(`{"op":"Replace","path":"active","value":"False"}`)))
		})
		b.Run(fmt.Sprintf("filter by userName/users=%d", users), func(b *testing.B) {
			br.bench(b, 200, http.MethodGet, "/Users?filter=userName+eq+%22load7@example.com%22&startIndex=1&count=100", constant(""))
		})
	}
	for _, members := range []int{10, 10000} {
		br := filled(b, 1, members)
		b.Run(fmt.Sprintf("remove a member/members=%d", members), func(b *testing.B) {
			br.bench(b, 204, http.MethodPatch, "/Groups/g2", constant(patch(`{"op":"remove","path":"members[value eq \"m3\"]"}`)))
		})
	}
	br := filled(b, 200, 10000)
	b.Run("create", func(b *testing.B) {
		br.bench(b, 201, http.MethodPost, "/Users", func(i int) string {
			return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"new%d@example.com","active":true,"name":{"givenName":"Jo","familyName":"Doe"},"emails":[{"primary":true,"value":"jo@example.com","type":"work"}],"displayName":"Jo Doe","externalId":"n%d","groups":[],"password":"x"}`, i, i)
		})
	})
	b.Run("get", func(b *testing.B) { br.bench(b, 200, http.MethodGet, "/Users/u7", constant("")) })
	b.Run("list 100", func(b *testing.B) { br.bench(b, 200, http.MethodGet, "/Users?count=100", constant("")) })
	b.Run("schemas", func(b *testing.B) { br.bench(b, 200, http.MethodGet, "/Schemas", constant("")) })
	b.Run("group of 10000", func(b *testing.B) { br.bench(b, 200, http.MethodGet, "/Groups/g201", constant("")) })
}

// TestCostDoesNotFollowSize holds the allocations of the hot paths against the
// size of what they do not touch.
func TestCostDoesNotFollowSize(t *testing.T) {
	cost := func(b *bridge, method, path, body string) float64 {
		return testing.AllocsPerRun(50, func() { b.do(method, path, body) })
	}
	small, large := filled(t, 100, 10), filled(t, 5000, 10000)
	for _, r := range []struct{ method, path, body string }{
		{http.MethodPatch, "/Users/u7", patch(`{"op":"Replace","path":"active","value":"False"}`)},
		{http.MethodGet, "/Users?filter=userName+eq+%22load7@example.com%22", ""},
	} {
		if a, b := cost(small, r.method, r.path, r.body), cost(large, r.method, r.path, r.body); b > a*1.2+10 {
			t.Errorf("%s %s: %.0f allocations, and %.0f in the large directory", r.method, r.path, a, b)
		}
	}
	remove := patch(`{"op":"remove","path":"members[value eq \"m3\"]"}`)
	if a, b := cost(small, http.MethodPatch, "/Groups/g101", remove), cost(large, http.MethodPatch, "/Groups/g5001", remove); b > a*1.2+10 {
		t.Errorf("removing a member: %.0f allocations, and %.0f from the large group", a, b)
	}
}
