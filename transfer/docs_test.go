package transfer_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"offramp/transfer"
	"offramp/transfer/transfertest"
)

// fromDocs is the only block of that language in docs/hooks.md.
func fromDocs(t *testing.T, language string) string {
	t.Helper()
	page, err := os.ReadFile("../docs/hooks.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(page), "\n```"+language+"\n")
	if len(parts) != 2 {
		t.Fatalf("docs/hooks.md has %d blocks of %s, want one", len(parts)-1, language)
	}
	block, _, ok := strings.Cut(parts[1], "\n```\n")
	if !ok {
		t.Fatal("the block does not end")
	}
	return block + "\n"
}

func TestTheDocumentedWebhookPassesTheSuite(t *testing.T) {
	dir := t.TempDir()
	source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "receiver")
	if err := os.WriteFile(source, []byte(fromDocs(t, "go")), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, source) // the page's own code
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	transfertest.Run(t, func(t *testing.T) transfertest.Hook {
		t.Helper()
		address, changes := startReceiver(t, binary)
		return transfertest.Hook{
			Transferrer: webhookTo(t, "http://"+address+"/handover"), Handover: eventHandover(), Effects: changes,
			Secrets: func() []string { return []string{signing} },
		}
	})

	address, _ := startReceiver(t, binary)
	other := webhookTo(t, "http://"+address+"/handover", func(o *transfer.WebhookOptions) {
		o.Secrets = []transfer.Secret{"whsec_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3"}
	})
	if _, err := other.Transfer(t.Context(), eventHandover()); err == nil || !strings.Contains(err.Error(), "401: not signed by us") {
		t.Errorf("another's signature: %v", err)
	}
	mine := webhookTo(t, "http://"+address+"/handover")
	if _, err := mine.Rotate(t.Context(), deploymentRotation()); err == nil || transfer.IsTemporary(err) || !strings.Contains(err.Error(), "only handovers") {
		t.Errorf("a rotation: %v", err)
	}
}

// startReceiver runs the documented webhook. It prints a line for each change before it answers, so that changes finds
// in the pipe whatever was answered.
func startReceiver(t *testing.T, binary string) (address string, changes func() int) {
	t.Helper()
	stdout, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdout.Close() })
	cmd := exec.CommandContext(t.Context(), binary) // built from the page
	cmd.Env = []string{"WEBHOOK_SECRET=" + signing, "LISTEN=127.0.0.1:0"}
	cmd.Stdout = theirs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if err := theirs.Close(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n') // nothing follows it before the first request
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		t.Fatalf("the receiver did not start: %q, %v", line, err)
	}
	raw, err := stdout.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	return address, func() int {
		_ = raw.Read(func(fd uintptr) bool {
			buffer := make([]byte, 4096)
			for {
				n, err := syscall.Read(int(fd), buffer)
				if n <= 0 || err != nil {
					return true // there is no more for now
				}
				lines += bytes.Count(buffer[:n], []byte("\n"))
			}
		})
		return lines
	}
}

func TestTheDocumentedCommandPassesTheSuite(t *testing.T) {
	script := filepath.Join(t.TempDir(), "file-handover")
	if err := os.WriteFile(script, []byte(fromDocs(t, "sh")), 0o700); err != nil { // it must be executable
		t.Fatal(err)
	}
	documented := func(t *testing.T, inbox string) *transfer.Command {
		t.Helper()
		c, err := transfer.NewCommand(transfer.CommandOptions{
			Name: "inbox", Argv: []string{script}, Env: []string{"INBOX"}, Handles: []transfer.AssetKind{transfer.AssetEvent},
			Rotates:   []transfer.CredentialKind{transfer.CredentialDeploymentKey},
			LookupEnv: func(name string) (string, bool) { return inbox, name == "INBOX" },
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	transfertest.Run(t, func(t *testing.T) transfertest.Hook {
		t.Helper()
		inbox := t.TempDir()
		return transfertest.Hook{
			Transferrer: documented(t, inbox), Handover: eventHandover(), Effects: func() int { return len(files(t, inbox)) },
		}
	})

	inbox := t.TempDir()
	if _, err := documented(t, inbox).Transfer(t.Context(), eventHandover()); err != nil {
		t.Fatal(err)
	}
	filed, err := os.ReadFile(filepath.Join(inbox, files(t, inbox)[0])) // the script's own file
	var message struct{ Successor transfer.Person }
	if err != nil || json.Unmarshal(filed, &message) != nil || message.Successor.Email != "sam@example.com" {
		t.Errorf("filed %s, %v", filed, err)
	}
	if _, err := documented(t, inbox).Rotate(t.Context(), deploymentRotation()); err == nil || !strings.Contains(err.Error(), "exit status 64: only handovers") {
		t.Errorf("a rotation: %v", err)
	}
	if _, err := documented(t, "/nowhere").Transfer(t.Context(), eventHandover()); !transfer.IsTemporary(err) {
		t.Errorf("an inbox that is away: %v", err)
	}
}

func TestTheDocumentedMessageIsWhatIsSent(t *testing.T) {
	var documented, sent map[string]any
	if err := json.Unmarshal([]byte(fromDocs(t, "json")), &documented); err != nil {
		t.Fatal(err)
	}
	rc := &receiver{}
	if _, err := webhookTo(t, serve(t, rc)).Transfer(t.Context(), eventHandover()); err != nil {
		t.Fatal(err)
	}
	_, sent = rc.last()
	for field := range documented {
		if _, ok := sent[field]; !ok && field != "callback_url" {
			t.Errorf("%s is documented and not sent", field)
		}
	}
	for field := range sent {
		if _, ok := documented[field]; !ok {
			t.Errorf("%s is sent and not documented", field)
		}
	}
}
