package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/store/storetest"
)

// bridge is the real binary, which is this test's own, in front of a simulator.
type bridge struct {
	t       *testing.T
	dir     string
	fake    *amplitudefake.Fake
	public  string
	admin   string
	project int
	process *exec.Cmd
	env     []string
	log     *os.File
	scim    string // token
	op      string // token
}

func newBridge(t *testing.T, database string) *bridge {
	t.Helper()
	fake, err := amplitudefake.New(amplitudefake.Options{Seed: 7, RatePerMinute: -1})
	if err != nil {
		t.Fatal(err)
	}
	sim := httptest.NewServer(fake)
	t.Cleanup(sim.Close)
	b := &bridge{t: t, dir: t.TempDir(), fake: fake, public: freePort(t), admin: freePort(t), scim: strings.Repeat("s", 32), op: strings.Repeat("o", 32)}
	c := fake.Credentials()
	b.project = c.Projects[0].ID
	for name, value := range map[string]string{
		"scim": b.scim, "op": b.op, "key": c.SCIMKey, "org_key": c.OrgKey, "org_secret": c.OrgSecret,
		"api": c.Projects[0].APIKey, "secret": c.Projects[0].SecretKey, "management": c.Projects[0].ManagementKey,
	} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(b.dir, "offramp.yaml"), fmt.Appendf(nil, crashConfig, b.public, b.admin, sim.URL, c.OrgID, b.project), 0o600); err != nil {
		t.Fatal(err)
	}
	b.env = append(os.Environ(), "OFFRAMP_TEST_MAIN=1")
	if database != "" {
		b.env = append(b.env, "OFFRAMP_DATABASE="+database)
	}
	if b.log, err = os.Create(filepath.Join(b.dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.kill()
		_ = b.log.Close()
		if t.Failed() {
			text, err := os.ReadFile(b.log.Name())
			t.Logf("log of the bridge (%v):\n%s", err, text[max(0, len(text)-6000):])
		}
	})
	return b
}

const crashConfig = `mode: enforce
listen: %[1]s
admin_listen: %[2]s
public_url: http://%[1]s
database: sqlite:offramp.db
connections:
  - {name: idp, trust: {incidents: true}, bootstrap_token: {file: scim}}
organizations:
  - name: acme
    rate: 90
    scim_key: {file: key}
    org_id: "%[4]d"
    org_key: {file: org_key}
    org_secret: {file: org_secret}
    endpoints: {scim: "%[3]s/scim/1", user_management: "%[3]s/user-management/1", audit: "%[3]s/api/2/audit-logs", analytics: "%[3]s", experiment: "%[3]s/api/1", evaluation: "%[3]s"}
    projects:
      - {id: "%[5]d", api_key: {file: api}, secret_key: {file: secret}, management_key: {file: management}}
policies:
  - {name: quick, when: 'person.department == "quick"', approvals: 0, unlisted: note}
  - {name: careful, approvals: 1, unlisted: task}
brake: {settle: 0s}
verify: {after: [2s], gather: 1s}
operators:
  - {name: lead@example.com, token: {file: op}, roles: [admin]}
log: {level: info, format: json}
`

func freePort(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// start runs the binary and waits until it is ready.
func (b *bridge) start() {
	b.t.Helper()
	b.process = exec.Command(os.Args[0], "serve", "--config", filepath.Join(b.dir, "offramp.yaml")) //nolint:noctx // it outlives contexts; kill ends it
	b.process.Env = b.env
	b.process.Stdout, b.process.Stderr = b.log, b.log
	if err := b.process.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.eventually(30*time.Second, "the bridge is ready", func() bool {
		status, _ := b.call(http.MethodGet, "http://"+b.admin+"/readyz", "", nil)
		return status == http.StatusOK
	})
}

// kill ends the process as a power cut would.
func (b *bridge) kill() {
	if b.process == nil {
		return
	}
	_ = b.process.Process.Kill()
	_ = b.process.Wait()
	b.process = nil
}

// call makes one request; a process that is dead answers status 0.
func (b *bridge) call(method, url, token string, body any) (int, []byte) {
	b.t.Helper()
	var in io.Reader
	if body != nil {
		text, ok := body.(string)
		if !ok {
			j, err := json.Marshal(body)
			if err != nil {
				b.t.Fatal(err)
			}
			text = string(j)
		}
		in = strings.NewReader(text)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, in)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = res.Body.Close() }()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil
	}
	return res.StatusCode, out
}

// sure repeats a request until the bridge answers, as an identity provider does.
func (b *bridge) sure(method, path string, body any) (status int, out []byte) {
	b.t.Helper()
	b.eventually(60*time.Second, method+" "+path, func() bool {
		status, out = b.call(method, "http://"+b.public+"/scim/v2"+path, b.scim, body)
		return status != 0 && status != http.StatusTooManyRequests && status < 500
	})
	return status, out
}

func (b *bridge) eventually(most time.Duration, what string, holds func() bool) {
	b.t.Helper()
	for end := time.Now().Add(most); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("not within %s: %s", most, what)
		}
	}
}

// leaver is one person of the story.
type leaver struct {
	id, address, how string
	event            string
}

// TestCrash kills the bridge again and again while people leave by every plan.
// Nothing may be lost, and by the simulator's log nothing may take effect twice
// or before its turn.
func TestCrash(t *testing.T) {
	t.Parallel()
	rounds, people, kills := 2, 30, 4
	if os.Getenv("OFFRAMP_SOAK") != "" {
		rounds = 20
	}
	for name, database := range map[string]func(t *testing.T) string{
		"sqlite":   func(*testing.T) string { return "" },
		"postgres": func(t *testing.T) string { t.Helper(); return storetest.Postgres(t) },
	} {
		for round := range rounds {
			t.Run(fmt.Sprintf("%s/%d", name, round), func(t *testing.T) {
				t.Parallel() // each has a bridge and an Amplitude of its own, and mostly waits for the request budget
				crashRound(t, newBridge(t, database(t)), people, kills, int64(round))
			})
		}
	}
}

func crashRound(t *testing.T, b *bridge, people, kills int, seed int64) {
	t.Helper()
	chance := rand.New(rand.NewPCG(uint64(seed), 42)) //nolint:gosec // chance that can be repeated
	b.start()
	heir := b.hire("heir@example.com", "careful", "")
	if err := b.fake.AddMember(amplitudefake.Member{Email: "root@example.com", GivenName: "Root", FamilyName: "Admin", Role: amplitudefake.RoleAdmin, LastLogin: time.Now()}); err != nil {
		t.Fatal(err)
	}
	var all []leaver
	for i := range people {
		l := leaver{address: fmt.Sprintf("leaver%02d@example.com", i), how: []string{"quick", "careful", "incident"}[i%3]}
		l.id = b.hire(l.address, l.how, heir)
		if l.how == "careful" {
			l.event = fmt.Sprintf("event %02d", i)
			for _, a := range []amplitudefake.Asset{
				{Kind: amplitudefake.KindEvent, ID: l.event, Project: b.project, Owners: []string{l.address}},
				{Kind: amplitudefake.KindDashboard, Name: "board", Project: b.project, Owners: []string{l.address}},
			} {
				if _, err := b.fake.AddAsset(a); err != nil {
					t.Fatal(err)
				}
			}
		}
		all = append(all, l)
	}
	// People leave in batches; in the middle of each the process dies.
	for batch := range slices.Chunk(all, (people+kills)/(kills+1)) {
		for _, l := range batch {
			b.leave(l)
		}
		for end := time.Now().Add(time.Duration(50+chance.IntN(1200)) * time.Millisecond); time.Now().Before(end); {
			b.work()
		}
		if kills--; kills >= 0 {
			b.kill()
			b.start()
		}
	}
	deadline := time.Now().Add(4 * time.Minute)
	for b.open() > 0 {
		b.work()
		if time.Now().After(deadline) {
			t.Errorf("%d cases are still open", b.open())
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.judge(all)
	t.Logf("%d calls to the simulator, %d of them changed something", len(b.fake.Requests(amplitudefake.RequestFilter{})), len(b.fake.Requests(amplitudefake.RequestFilter{Effect: true})))
}

// hire adds a member and tells the bridge about them.
func (b *bridge) hire(address, department, manager string) string {
	b.t.Helper()
	err := b.fake.AddMember(amplitudefake.Member{Email: address, GivenName: "Given", FamilyName: address, Role: amplitudefake.RoleMember, LastLogin: time.Now()})
	if err != nil {
		b.t.Fatal(err)
	}
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

// judge compares what happened with what should have, by the simulator's log.
func (b *bridge) judge(all []leaver) {
	b.t.Helper()
	state := b.fake.State()
	requests := b.fake.Requests(amplitudefake.RequestFilter{Effect: true})
	for _, l := range all {
		if slices.ContainsFunc(state.Members, func(m amplitudefake.Member) bool { return m.Email == l.address }) {
			b.t.Errorf("%s (%s) was lost: still a member", l.address, l.how)
		}
		removed, handed := -1, -1
		for i, r := range requests {
			switch {
			case strings.HasPrefix(r.Effect, "removed member") && strings.EqualFold(r.Object, l.address):
				if removed >= 0 {
					b.t.Errorf("%s was removed twice", l.address)
				}
				removed = i
			case r.Effect == "event owner changed" && l.event != "" && strings.Contains(r.Object, l.event):
				if handed >= 0 {
					b.t.Errorf("%s changed its owner twice", l.event)
				}
				handed = i
			}
		}
		if l.event != "" && (handed < 0 || removed < handed) {
			b.t.Errorf("%s was removed before its event was handed over (%d, %d)", l.address, removed, handed)
		}
	}
	for _, a := range state.Unassigned {
		b.t.Errorf("%s %s lost its owner before handover", a.Kind, a.Name)
	}
	for _, c := range b.cases() {
		if c.State != "closed" || c.Outcome != "removed" {
			b.t.Errorf("case of %s: %s %s %s", c.Address, c.State, c.Outcome, c.Note)
		}
	}
	if !bytes.Contains(mustRead(b.t, b.log.Name()), []byte("serving")) {
		b.t.Error("the bridge wrote no log")
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
