package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
)

// TestStopsGracefully asks the process to end while a request is half sent and
// a case half done: the request is answered, the process exits 0, and the next
// one goes on with the case.
func TestStopsGracefully(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "")
	b.start()
	b.staff()
	jo, lee := b.hire("jo@example.com", "quick", ""), b.hire("lee@example.com", "quick", "")
	hits, lift := b.fault(amplitudefake.Fault{Kind: amplitudefake.FaultHang, Delay: amplitudefake.Span(2 * time.Second)})
	b.leave(leaver{id: jo, how: "quick"})
	b.eventually(30*time.Second, "the case of Jo is at work", func() bool { return hits() > 0 })

	conn, body := b.halfSent("/Users/"+lee, patch(deactivation))
	stopped := make(chan int, 1)
	go func() { stopped <- b.stop() }()
	b.eventually(10*time.Second, "nothing new is accepted", func() bool {
		var d net.Dialer
		c, err := d.DialContext(t.Context(), "tcp", b.public)
		if err != nil {
			return true
		}
		_ = c.Close()
		return false
	})
	if _, err := io.WriteString(conn, body); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusNoContent {
		t.Errorf("the request at work was answered %d", res.StatusCode)
	}
	if code := <-stopped; code != 0 {
		t.Errorf("exit code %d", code)
	}
	if !bytes.Contains(mustRead(t, b.log.Name()), []byte(`"stopped"`)) {
		t.Error("the log does not say that it stopped")
	}
	lift()
	b.start()
	b.closes("jo@example.com", time.Minute)
	b.closes("lee@example.com", time.Minute)
}

// halfSent sends a PATCH but for the second half of its body, which it returns.
// The server has begun with the request: it asked for the body.
func (b *bridge) halfSent(path, body string) (net.Conn, string) {
	b.t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(b.t.Context(), "tcp", b.public)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, err = fmt.Fprintf(conn, "PATCH /scim/v2%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/scim+json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
		path, b.public, b.scim, len(body))
	if err != nil {
		b.t.Fatal(err)
	}
	const goOn = "HTTP/1.1 100 Continue\r\n\r\n"
	said := make([]byte, len(goOn))
	if _, err := io.ReadFull(conn, said); err != nil || string(said) != goOn {
		b.t.Fatalf("%q, %v", said, err)
	}
	half := len(body) / 2
	if _, err := io.WriteString(conn, body[:half]); err != nil {
		b.t.Fatal(err)
	}
	return conn, body[half:]
}

func TestASecondProcessIsKeptAway(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "")
	b.start()
	var said bytes.Buffer
	second := b.command(&said, "serve", "--config", filepath.Join(b.dir, "offramp.yaml"))
	if code := b.exit(second, 30*time.Second); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(said.String(), "another process uses this database file") || strings.Count(said.String(), "\n") != 1 {
		t.Errorf("it said: %s", &said)
	}
	b.survives()
	b.kill()
	b.start() // the lock died with its holder
}

func TestABadConfigurationStartsNothing(t *testing.T) {
	t.Parallel()
	address := freePort(t)
	b := newBridge(t, "", "listen: 127.0.0.1:0\nadmin", "listen: "+address+"\nlissten: x\nadmin", "mode: enforce", "mode: force",
		"rate: 90", "rate: 900", "{file: key}", "{file: nowhere}", "[1s, 2s]", "[2s, 1s]")
	var said bytes.Buffer
	if code := b.exit(b.command(&said, "serve", "--config", filepath.Join(b.dir, "offramp.yaml")), 30*time.Second); code != 2 {
		t.Errorf("exit code %d", code)
	}
	for _, problem := range []string{`:1:1: mode: `, `:3:1: lissten: `, `: organizations[0].rate: `, `: organizations[0].scim_key: `, `: verify.after[1]: `} {
		if !strings.Contains(said.String(), problem) {
			t.Errorf("nothing is said of %s:\n%s", problem, &said)
		}
	}
	place := regexp.MustCompile(`^\S+offramp\.yaml:\d+:\d+: `)
	for line := range strings.Lines(said.String()) {
		if !place.MatchString(line) {
			t.Errorf("no place in %q", line)
		}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatalf("the port is taken: %v", err)
	}
	_ = l.Close()
	if _, err := os.Stat(filepath.Join(b.dir, "offramp.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a database was made: %v", err)
	}
}

// families are the names that dashboards and alerts are built on.
func families() []string {
	return []string{
		"scim_requests_total", "scim_request_duration_seconds", "cases", "cases_opened_total", "cases_closed_total",
		"removal_lag_seconds", "removal_machine_seconds", "oldest_open_case_seconds", "cases_overdue", "step_duration_seconds",
		"amplitude_requests_total", "amplitude_budget_used_ratio", "queue_eta_seconds", "last_idp_request_timestamp_seconds",
		"token_expiry_timestamp_seconds", "tasks_overdue", "messages_sent_total", "messages_failed_total", "message_delay_seconds", "accept_retries_total", "evidence_failures_total",
	}
}

// TestALeaversLife follows leavers of each kind to the end and looks at what the
// process shows of it: its metrics, and a log without secrets and addresses.
func TestALeaversLife(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "", "name: lead@example.com", "name: lead") // the log tells which operator decided
	b.start()
	heir := b.staff()
	for i, how := range []string{"quick", "careful", "incident"} {
		l := leaver{address: fmt.Sprintf("leaver-%d@example.com", i), how: how}
		l.id = b.hire(l.address, how, heir)
		for _, a := range []amplitudefake.Asset{
			{Kind: amplitudefake.KindEvent, ID: "event " + how, Project: b.project, Owners: []string{l.address}},
			{Kind: amplitudefake.KindDashboard, Name: "board", Project: b.project, Owners: []string{l.address}},
		} {
			if _, err := b.fake.AddAsset(a); err != nil {
				t.Fatal(err)
			}
		}
		b.leave(l)
	}
	b.idp(http.MethodPatch, "/Users/"+heir, patch(`{"op":"replace","path":"active","value":"maybe"}`))
	b.idp(http.MethodGet, "/Users?filter=userName%20eq%20%22leaver-0@example.com%22", nil)
	b.eventually(2*time.Minute, "all cases close", func() bool { b.work(); return b.open() == 0 })

	c := b.fake.Credentials()
	for _, said := range []struct {
		where string
		text  []byte
	}{
		{"log", mustRead(t, b.log.Name())},
		{"metrics", b.ask(http.MethodGet, "http://"+b.admin+"/metrics", "", nil).body},
	} {
		for _, secret := range []string{
			b.scim, b.op, c.SCIMKey, c.OrgKey, c.OrgSecret, c.Projects[0].SecretKey, c.Projects[0].ManagementKey,
			"@example.com", "%40example.com", "Bearer",
		} {
			if i := bytes.Index(said.text, []byte(secret)); i >= 0 {
				t.Errorf("the %s holds %q: …%s…", said.where, secret, said.text[max(0, i-200):min(len(said.text), i+100)])
			}
		}
	}
	for line := range bytes.Lines(mustRead(t, b.log.Name())) {
		if !json.Valid(line) {
			t.Errorf("not a line of JSON: %s", line)
		}
	}
	b.scraped()
}

// scraped looks at the listeners for machines.
func (b *bridge) scraped() {
	b.t.Helper()
	for _, url := range []string{"http://" + b.admin + "/livez", "http://" + b.public + "/livez"} {
		if a := b.ask(http.MethodGet, url, "", nil); a.status != http.StatusOK || string(a.body) != "ok\n" {
			b.t.Errorf("livez: %d %s", a.status, a.body)
		}
	}
	var parts map[string]string
	a := b.ask(http.MethodGet, "http://"+b.admin+"/readyz", "", nil)
	if err := json.Unmarshal(a.body, &parts); err != nil || a.status != http.StatusOK || parts["database"] != "ok" {
		b.t.Errorf("readyz: %d %s", a.status, a.body)
	}
	for _, path := range []string{"/metrics", "/readyz", "/api/v1/cases", "/"} {
		if a := b.ask(http.MethodGet, "http://"+b.public+path, b.op, nil); a.status != http.StatusNotFound {
			b.t.Errorf("the public listener answers %d to %s", a.status, path)
		}
	}
	metrics := b.ask(http.MethodGet, "http://"+b.admin+"/metrics", "", nil)
	if metrics.status != http.StatusOK {
		b.t.Fatalf("metrics: %d", metrics.status)
	}
	for _, name := range families() {
		if !bytes.Contains(metrics.body, []byte("# TYPE offramp_"+name+" ")) {
			b.t.Errorf("there is no metric offramp_%s", name)
		}
	}
	if n := b.metric("offramp_cases_closed_total"); n != 3 {
		b.t.Errorf("%v cases closed by the metrics", n)
	}
	promtool, err := filepath.Abs(filepath.Join("..", "..", "bin", "promtool"))
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := os.Stat(promtool); err != nil {
		b.t.Log("promtool is not there, the metrics are not linted")
		return
	}
	check := exec.CommandContext(b.t.Context(), promtool, "check", "metrics")
	check.Stdin = bytes.NewReader(metrics.body)
	if out, err := check.CombinedOutput(); err != nil {
		b.t.Errorf("promtool: %v\n%s", err, out)
	}
}
