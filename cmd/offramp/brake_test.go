package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/store/storetest"
)

type apiBrakes struct {
	Brakes []struct {
		ID, Name, Because string
		Released          time.Time
		Cases             []struct {
			ID, Address, State, Done string
			Held                     bool
		}
	}
}

func (b *bridge) brakes() (out apiBrakes) {
	b.t.Helper()
	status, body := b.call(http.MethodGet, "http://"+b.admin+"/api/v1/brakes", b.op, nil)
	if status != http.StatusOK || json.Unmarshal(body, &out) != nil {
		b.t.Fatalf("brakes: %d %s", status, body)
	}
	return out
}

func (b *bridge) release(ref string, body map[string]any) (int, []byte) {
	b.t.Helper()
	return b.call(http.MethodPost, "http://"+b.admin+"/api/v1/brakes/"+ref+"/release", b.op, body)
}

// TestAnIdentityProviderThatDeactivatesEverybody is a wrong assignment: sixty
// people are deactivated within seconds. Nobody loses their seat; some are
// released by name, the rest is dismissed, and a second word finds nothing.
func TestAnIdentityProviderThatDeactivatesEverybody(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(t *testing.T) string{
		"sqlite":   func(*testing.T) string { return "" },
		"postgres": func(t *testing.T) string { t.Helper(); return storetest.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBridge(t, database(t), "brake: {count: 0, percent: 0, settle: 0s}", "brake: {count: 10, percent: 0, settle: 10s}")
			b.start()
			b.staff()
			const everybody = 60
			people := b.together(everybody, 8, func(i int) leaver {
				l := leaver{address: fmt.Sprintf("person%02d@example.com", i)}
				l.id = b.hire(l.address, "quick", "")
				return l
			})
			b.together(everybody, 8, func(i int) leaver { b.leave(people[i]); return people[i] })
			all := b.brakes()
			if len(all.Brakes) != 1 || len(all.Brakes[0].Cases) != everybody {
				t.Fatalf("brakes: %+v", all)
			}
			for _, k := range all.Brakes[0].Cases {
				if !k.Held || k.Done != "nothing changed in Amplitude" {
					t.Errorf("%s: %+v", k.Address, k)
				}
			}
			if got := b.metric(`offramp_brake_engaged{name="acme",scope="organization"}`); got != 1 {
				t.Errorf("the gauge is %v", got)
			}
			chosen := all.Brakes[0].Cases[:2]
			status, out := b.release("acme", map[string]any{"cases": []string{chosen[0].ID, chosen[1].ID}, "because": "these two did leave"})
			if status != http.StatusOK {
				t.Fatalf("release two: %d %s", status, out)
			}
			if status, out = b.release("acme", map[string]any{"none": true, "because": "a wrong assignment"}); status != http.StatusOK {
				t.Fatalf("dismiss the rest: %d %s", status, out)
			}
			if status, out = b.release("acme", map[string]any{"all": true, "because": "again"}); status != http.StatusConflict {
				t.Errorf("a second word: %d %s", status, out)
			}
			b.eventually(2*time.Minute, "every case ends", func() bool { return b.open() == 0 })
			removed := 0
			for _, r := range b.fake.Requests(amplitudefake.RequestFilter{Effect: true}) {
				if r.Effect == "removed member" {
					removed++
				}
			}
			if removed != 2 || b.removals(chosen[0].Address) != 1 || b.removals(chosen[1].Address) != 1 {
				t.Errorf("%d people lost their seat, want the two who were released", removed)
			}
			if got := b.metric(`offramp_brake_engaged{name="acme",scope="organization"}`); got != 0 {
				t.Errorf("the gauge is %v after the release", got)
			}
		})
	}
}
