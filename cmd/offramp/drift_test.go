package main_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
)

// TestAMemberWhomNobodyKnowsIsFoundAndRemoved plays what an operator does about
// drift, with the commands and the running bridge.
func TestAMemberWhomNobodyKnowsIsFoundAndRemoved(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "", "approvals: 1, unlisted: task", "approvals: 0, unlisted: note")
	b.start()
	b.staff()
	if err := b.fake.AddMember(amplitudefake.Member{Email: "eve@example.com", GivenName: "Eve", FamilyName: "Nobody"}); err != nil {
		t.Fatal(err)
	}
	b.env = append(b.env, "OFFRAMP_SERVER=http://"+b.admin, "OFFRAMP_OPERATOR_TOKEN="+b.op)
	run := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := b.exit(b.command(&out, append([]string{"drift"}, args...)...), 90*time.Second); code != 0 {
			t.Fatalf("drift %v ended with %d:\n%s", args, code, out.String())
		}
		return out.String()
	}
	if text := run("run"); !strings.Contains(text, "done") {
		t.Fatalf("run:\n%s", text)
	}
	var page struct {
		Findings []struct{ ID, Kind, Address string }
	}
	if err := json.Unmarshal([]byte(run("show", "--kind", "unknown_to_idp", "--output", "json")), &page); err != nil {
		t.Fatal(err)
	}
	id := ""
	for _, f := range page.Findings {
		if f.Address == "eve@example.com" {
			id = f.ID
		}
	}
	if id == "" {
		t.Fatalf("findings %+v", page.Findings)
	}
	if text := run("fix"); strings.Contains(text, "eve@example.com") {
		t.Errorf("a member whom nobody declared a leaver is taken with all others:\n%s", text)
	}
	if text := run("fix", id); !strings.Contains(text, "would open a case for exactly eve@example.com") {
		t.Errorf("fix:\n%s", text)
	}
	if len(b.fake.PersonState("eve@example.com").Removals) > 0 {
		t.Fatal("removed without --apply")
	}
	if text := run("fix", id, "--apply"); !strings.Contains(text, "opened case ") {
		t.Errorf("apply:\n%s", text)
	}
	b.eventually(60*time.Second, "the member is removed", func() bool {
		return len(b.fake.PersonState("eve@example.com").Members) == 0
	})
	_, metrics := b.call(http.MethodGet, "http://"+b.admin+"/metrics", "", nil)
	for _, want := range []string{
		`offramp_drift_findings{kind="leaver_back",severity="critical"} 0`, `offramp_drift_last_sweep_timestamp_seconds{organization="acme"} 1.`,
	} {
		if !strings.Contains(string(metrics), want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
}
