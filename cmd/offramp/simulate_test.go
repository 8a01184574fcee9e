package main_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
)

// output collects what a process says, readable while it runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// TestTheSimulatorTheBridgeAndTheCommands goes the README's way: a simulated
// Amplitude writes a configuration, the bridge is served with it, an identity
// provider uses scim.token and an operator operator.token.
func TestTheSimulatorTheBridgeAndTheCommands(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "") // for its files and its way to call; its own simulator is not used
	dir := filepath.Join(b.dir, "sim")
	var said output
	sim := b.command(&said, "simulate", "--listen", "127.0.0.1:0", "--members", "20", "--rate", "0", "--latency", "0s", "--seed", "3", "--write-config", dir)
	b.eventually(30*time.Second, "the simulator listens", func() bool { return strings.Contains(said.String(), "serve --config") })
	if !strings.Contains(said.String(), "20 members on http://127.0.0.1:") || !strings.Contains(said.String(), "offramp serve --config "+dir+"/offramp.yaml") {
		t.Errorf("it said: %s", said.String())
	}
	for _, name := range []string{"offramp.yaml", "scim.token", "operator.token"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	var checked output
	if code := b.exit(b.command(&checked, "config", "check", "--config", filepath.Join(dir, "offramp.yaml")), 30*time.Second); code != 0 {
		t.Fatalf("config check: %d %s", code, checked.String())
	}

	// The ports of the README may be taken here, so the flags choose others.
	b.process = b.command(b.log, "serve", "--config", filepath.Join(dir, "offramp.yaml"), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	b.eventually(30*time.Second, "the bridge listens", func() bool { return b.listens(mustRead(t, b.log.Name())) })
	b.scim = strings.TrimSpace(string(mustRead(t, filepath.Join(dir, "scim.token"))))
	b.op = strings.TrimSpace(string(mustRead(t, filepath.Join(dir, "operator.token"))))
	if b.scim == b.op || len(b.scim) < 32 {
		t.Error("the tokens are short or the same")
	}

	member := b.member(said.String())
	id := b.created(`{"schemas":["` + core + `"],"userName":"` + member + `","active":true}`)
	operator := func(code int, args ...string) string {
		t.Helper()
		var out output
		args = append(args, "--server", "http://"+b.admin, "--token-file", filepath.Join(dir, "operator.token"))
		if got := b.exit(b.command(&out, args...), 30*time.Second); got != code {
			t.Errorf("offramp %v: exit code %d, %s", args, got, out.String())
		}
		return out.String()
	}
	operator(0, "cases", "list")
	operator(0, "status")
	operator(0, "cases", "open", "--person", member, "--reason", "security_incident", "--ticket", "SEC-1")
	var list struct{ Cases []apiCase }
	if err := json.Unmarshal([]byte(operator(0, "cases", "list", "--output", "json")), &list); err != nil || len(list.Cases) != 1 {
		t.Fatalf("cases list: %v, %+v", err, list)
	}
	b.eventually(time.Minute, "the member is removed", func() bool { return !b.isMember(said.String(), member) })
	if show := operator(0, "cases", "show", list.Cases[0].ID); !strings.Contains(show, member) || !strings.Contains(show, "SEC-1") {
		t.Errorf("cases show: %s", show)
	}
	operator(1, "cases", "show", "no-such-case")
	operator(1, "cases", "cancel", list.Cases[0].ID, "--because", "too late")
	operator(0, "tasks", "list")
	operator(0, "token", "new", "--connection", "idp")
	if tokens := operator(0, "token", "list", "--connection", "idp"); strings.Contains(tokens, b.scim) {
		t.Errorf("token list shows a token: %s", tokens)
	}
	operator(0, "pause", "--because", "maintenance")
	operator(0, "resume")
	if a := b.idp(http.MethodGet, "/Users/"+id, nil); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	if code := b.stop(); code != 0 {
		t.Errorf("the bridge ended with %d", code)
	}
	if err := sim.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := b.exit(sim, 30*time.Second); code != 0 {
		t.Errorf("the simulator ended with %d: %s", code, said.String())
	}

	// Started again it keeps the tokens that an identity provider may have by now.
	var again output
	b.command(&again, "simulate", "--listen", "127.0.0.1:0", "--members", "20", "--write-config", dir)
	b.eventually(30*time.Second, "the simulator listens", func() bool { return strings.Contains(again.String(), "serve --config") })
	if now := strings.TrimSpace(string(mustRead(t, filepath.Join(dir, "scim.token")))); now != b.scim {
		t.Error("the token was replaced")
	}
}

// truth is what a simulator says that it really holds. said is what it wrote
// when it started.
func (b *bridge) truth(said string) []string {
	b.t.Helper()
	_, base, _ := strings.Cut(said, " members on ")
	base, _, _ = strings.Cut(base, "\n")
	var state struct {
		Members []struct{ Email, Role string }
	}
	a := b.ask(http.MethodGet, base+"/_sim/state", "", nil)
	if err := json.Unmarshal(a.body, &state); err != nil || len(state.Members) == 0 {
		b.t.Fatalf("state of the simulator: %d %.300s", a.status, a.body)
	}
	var out []string
	for _, m := range state.Members {
		if m.Role == amplitudefake.RoleMember {
			out = append(out, m.Email)
		}
	}
	return out
}

func (b *bridge) member(said string) string {
	b.t.Helper()
	all := b.truth(said)
	if len(all) == 0 {
		b.t.Fatal("the simulator has no ordinary member")
	}
	return all[0]
}

func (b *bridge) isMember(said, address string) bool {
	b.t.Helper()
	return slices.Contains(b.truth(said), address)
}
