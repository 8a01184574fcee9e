package main_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"offramp/internal/store/storetest"
)

// TestSwitchingToEnforceReplaysNothing lets people leave while the bridge only
// observes, then starts it to enforce: who is still gone is held for a word, who
// came back is left alone, and nothing happens by itself.
func TestSwitchingToEnforceReplaysNothing(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(t *testing.T) string{
		"sqlite":   func(*testing.T) string { return "" },
		"postgres": func(t *testing.T) string { t.Helper(); return storetest.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBridge(t, database(t))
			enforcing := slices.Clone(b.env)
			b.env = append(b.env, "OFFRAMP_MODE=observe")
			b.start()
			b.staff()
			gone := leaver{address: "gone@example.com"}
			back := leaver{address: "back@example.com"}
			for _, l := range []*leaver{&gone, &back} {
				l.id = b.hire(l.address, "quick", "")
				b.leave(*l)
			}
			b.eventually(30*time.Second, "both are observed", func() bool {
				return !slices.ContainsFunc(b.cases(), func(c apiCase) bool { return c.Outcome != "observed" }) && len(b.cases()) == 2
			})
			b.sure(http.MethodPatch, "/Users/"+back.id, map[string]any{
				"schemas":    []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"},
				"Operations": []any{map[string]any{"op": "replace", "value": map[string]any{"active": true}}},
			})
			if code := b.stop(); code != 0 {
				t.Fatalf("ended with %d", code)
			}
			b.env = enforcing
			for range 2 { // the second start finds nothing to do
				b.start()
				all := b.cases()
				held := slices.DeleteFunc(slices.Clone(all), func(c apiCase) bool { return c.State != "held" })
				if len(all) != 3 || len(held) != 1 || held[0].Address != gone.address {
					t.Fatalf("cases after the switch: %+v", all)
				}
				if b.removals(gone.address)+b.removals(back.address) != 0 {
					t.Fatal("somebody was removed by the switch")
				}
				if code := b.stop(); code != 0 {
					t.Fatalf("ended with %d", code)
				}
			}
			b.start()
			var id string
			for _, c := range b.cases() {
				if c.State == "held" {
					id = c.ID
				}
			}
			if status, out := b.call(http.MethodPost, "http://"+b.admin+"/api/v1/cases/"+id+"/release", b.op, map[string]string{"because": "checked"}); status != http.StatusOK {
				t.Fatalf("release: %d %s", status, out)
			}
			b.eventually(60*time.Second, "who was released is removed", func() bool { return b.removals(gone.address) == 1 })
			if b.removals(back.address) != 0 {
				t.Error("who came back was removed")
			}
		})
	}
}
