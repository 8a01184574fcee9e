package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
)

// bridge is the real binary, which is this test's own, in front of a simulator.
type bridge struct {
	t       *testing.T
	dir     string
	fake    *amplitudefake.Fake
	public  string // host:port of the process at work, another one after each start
	admin   string // likewise
	project int
	process *process
	env     []string
	log     *os.File
	client  *http.Client // its own: closing any httptest.Server empties the shared one
	scim    string       // token
	op      string       // token
}

// newBridge makes a simulator and a configuration; an empty database is a
// SQLite file. replace holds pairs of old and new text of the configuration.
func newBridge(t *testing.T, database string, replace ...string) *bridge {
	t.Helper()
	fake, err := amplitudefake.New(amplitudefake.Options{Seed: 7, RatePerMinute: -1})
	if err != nil {
		t.Fatal(err)
	}
	sim := httptest.NewServer(fake)
	t.Cleanup(sim.Close)
	b := &bridge{t: t, dir: t.TempDir(), fake: fake, scim: strings.Repeat("s", 32), op: strings.Repeat("o", 32)}
	b.seat("root@example.com", amplitudefake.RoleAdmin)
	b.seat(heir, amplitudefake.RoleMember)
	b.client = &http.Client{Transport: &http.Transport{ExpectContinueTimeout: 30 * time.Second}}
	t.Cleanup(b.client.CloseIdleConnections)
	c := fake.Credentials()
	b.project = c.Projects[0].ID
	for name, value := range map[string]string{
		"scim": b.scim, "op": b.op, "key": c.SCIMKey, "org_key": c.OrgKey, "org_secret": c.OrgSecret,
		"api": c.Projects[0].APIKey, "secret": c.Projects[0].SecretKey, "management": c.Projects[0].ManagementKey,
	} {
		b.write(name, value)
	}
	b.write("offramp.yaml", strings.NewReplacer(replace...).Replace(fmt.Sprintf(bridgeConfig, sim.URL, c.OrgID, b.project)))
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

const bridgeConfig = `mode: enforce
listen: 127.0.0.1:0
admin_listen: 127.0.0.1:0
public_url: http://127.0.0.1:8080
database: sqlite:offramp.db
connections:
  - {name: idp, trust: {incidents: true}, bootstrap_token: {file: scim}}
organizations:
  - name: acme
    rate: 90
    scim_key: {file: key}
    org_id: "%[2]d"
    org_key: {file: org_key}
    org_secret: {file: org_secret}
    endpoints: {scim: "%[1]s/scim/1", user_management: "%[1]s/user-management/1", audit: "%[1]s/api/2/audit-logs", analytics: "%[1]s", experiment: "%[1]s/api/1", evaluation: "%[1]s", developer: "%[1]s", data: "%[1]s"}
    projects:
      - {id: "%[3]d", api_key: {file: api}, secret_key: {file: secret}, management_key: {file: management}}
policies:
  - {name: quick, when: 'person.department == "quick"', approvals: 0, unlisted: note}
  - {name: careful, approvals: 1, unlisted: task}
handover: {confirm: 0s}
brake: {count: 0, percent: 0, settle: 0s}
verify: {after: [1s, 2s], gather: 1s}
operators:
  - {name: lead@example.com, token: {file: op}, roles: [admin]}
log: {level: info, format: json}
`

// write puts a file beside the configuration.
func (b *bridge) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// process is a running command.
type process struct {
	*exec.Cmd
	ended chan struct{} // closed when it has been waited for
}

// command starts the binary with what it says going to out.
func (b *bridge) command(out io.Writer, args ...string) *process {
	b.t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], args...), ended: make(chan struct{})} //nolint:noctx // it outlives contexts; kill ends it
	p.Env, p.Stdout, p.Stderr = b.env, out, out
	if err := p.Start(); err != nil {
		b.t.Fatal(err)
	}
	go func() {
		_ = p.Wait() // the state tells
		close(p.ended)
	}()
	b.t.Cleanup(p.kill)
	return p
}

// kill ends a process as a power cut would. A second call does nothing.
func (p *process) kill() {
	_ = p.Process.Kill() // refused when it has ended
	<-p.ended
}

// exit waits for a process to end and returns its code.
func (b *bridge) exit(p *process, most time.Duration) int {
	b.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(most):
		b.t.Fatalf("%v did not end within %s", p.Args[1:], most)
	}
	return p.ProcessState.ExitCode()
}

// start runs the binary and waits until it is ready.
func (b *bridge) start() {
	b.t.Helper()
	before := len(mustRead(b.t, b.log.Name()))
	b.process = b.command(b.log, "serve", "--config", filepath.Join(b.dir, "offramp.yaml"))
	b.eventually(30*time.Second, "the bridge listens", func() bool {
		select {
		case <-b.process.ended:
			b.t.Fatalf("the bridge ended with %d", b.process.ProcessState.ExitCode())
		default:
		}
		return b.listens(mustRead(b.t, b.log.Name())[before:])
	})
	b.eventually(30*time.Second, "the bridge is ready", func() bool {
		status, _ := b.call(http.MethodGet, "http://"+b.admin+"/readyz", "", nil)
		return status == http.StatusOK
	})
}

// listens finds the two addresses in what a bridge wrote.
func (b *bridge) listens(log []byte) bool {
	for line := range bytes.Lines(log) {
		var said struct{ Msg, Public, Admin string }
		if json.Unmarshal(line, &said) == nil && said.Msg == "serving" {
			b.public, b.admin = said.Public, said.Admin
			return true
		}
	}
	return false
}

// kill ends the bridge as a power cut would.
func (b *bridge) kill() {
	if b.process != nil {
		b.process.kill()
		b.process = nil
	}
}

// stop asks the bridge to end, and returns its exit code.
func (b *bridge) stop() int {
	b.t.Helper()
	p := b.process
	b.process = nil
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		b.t.Fatal(err)
	}
	return b.exit(p, 40*time.Second)
}

// answer is what came back; no answer is status 0, and the body tells why.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ask makes one request. The header is changed as told: an empty value takes a
// field away.
func (b *bridge) ask(method, url, token string, body any, header ...string) answer {
	b.t.Helper()
	var in io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(body)
	case io.Reader:
		in = body
	default:
		j, err := json.Marshal(body)
		if err != nil {
			b.t.Fatal(err)
		}
		in = bytes.NewReader(j)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, in)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	for pair := range slices.Chunk(header, 2) {
		req.Header.Del(pair[0])
		if pair[1] != "" {
			req.Header.Set(pair[0], pair[1])
		}
	}
	res, err := b.client.Do(req)
	if err != nil {
		return answer{body: []byte(err.Error())}
	}
	defer func() { _ = res.Body.Close() }()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{body: []byte(err.Error())}
	}
	return answer{status: res.StatusCode, header: res.Header, body: out}
}

// call makes one request as the operator API wants it.
func (b *bridge) call(method, url, token string, body any) (int, []byte) {
	b.t.Helper()
	a := b.ask(method, url, token, body, "Content-Type", "application/json")
	return a.status, a.body
}

// idp makes one request of the identity provider.
func (b *bridge) idp(method, path string, body any, header ...string) answer {
	b.t.Helper()
	return b.ask(method, "http://"+b.public+"/scim/v2"+path, b.scim, body, header...)
}

// sure repeats a request until the bridge answers, as an identity provider does.
func (b *bridge) sure(method, path string, body any) (status int, out []byte) {
	b.t.Helper()
	b.eventually(60*time.Second, method+" "+path, func() bool {
		a := b.idp(method, path, body)
		status, out = a.status, a.body
		return status != 0 && status != http.StatusTooManyRequests && status < 500
	})
	return status, out
}

// eventually polls; it fails the test when the time is over.
func (b *bridge) eventually(most time.Duration, what string, holds func() bool) {
	b.t.Helper()
	for end := time.Now().Add(most); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("not within %s: %s", most, what)
		}
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

// freePort is an address that nobody listens on.
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
