package transfer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"offramp/transfer"
	"offramp/transfer/transfertest"
)

// asHelper is the variable that turns this test binary into a command under test; its value says how it behaves.
const asHelper = "TRANSFER_HELPER"

func TestMain(m *testing.M) {
	if how, ok := os.LookupEnv(asHelper); ok {
		syscall.Exit(helper(how)) // not os.Exit: the race detector would keep each command for a second
	}
	os.Exit(m.Run())
}

// helper is the command. It never returns to the tests.
func helper(how string) int {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return 70
	}
	var message map[string]any
	if err := json.Unmarshal(input, &message); err != nil && how != "linger" {
		return 70
	}
	switch how {
	case "once": // one file for each key
		key := strings.ReplaceAll(fmt.Sprint(message["key"]), "/", "_")
		f, err := os.OpenFile(filepath.Join(os.Getenv("BOX"), key), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			err = f.Close()
		}
		if err != nil && !errors.Is(err, os.ErrExist) {
			return 75
		}
		fmt.Printf(`{"state":"done","reference":"B-%s","detail":"with %s"}`, key, os.Getenv("TOKEN"))
	case "world":
		dir, _ := os.Getwd()
		secret, _ := message["secret"].(string)
		fmt.Printf(`{"state":"done","reference":%q,"detail":%q}`, dir, strings.Join(os.Args[1:], "|")+" "+strings.Join(names(os.Environ()), ",")+" "+secret)
	case "garbage":
		fmt.Print("moved!")
	case "twice":
		fmt.Print(`{"state":"done"}` + "\n" + `{"state":"done"}`)
	case "flood":
		for { // until somebody stops it
			if _, err := fmt.Print(strings.Repeat("x", 1024)); err != nil {
				time.Sleep(time.Hour)
			}
		}
	case "later":
		fmt.Fprintln(os.Stderr, "the board is read-only")
		return 75
	case "refuse":
		fmt.Fprintf(os.Stderr, "\n no board for jo@example.com at https://board.example.com with %s\nsecond line\n%s", os.Getenv("TOKEN"), strings.Repeat("noise", 10_000))
		return 3
	case "signal":
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		time.Sleep(time.Hour)
	case "family", "orphan": // a child that holds a connection to the test, and the pipes, for as long as it lives
		child := exec.CommandContext(context.Background(), os.Args[0]) // this binary
		child.Env = []string{asHelper + "=linger", "CALL=" + os.Getenv("CALL")}
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		ready, err := child.StdinPipe()
		if err != nil || child.Start() != nil || ready.Close() != nil {
			return 70
		}
		if how == "family" {
			time.Sleep(time.Hour)
		}
		fmt.Print(`{"state":"done"}`)
	case "linger":
		conn, err := new(net.Dialer).DialContext(context.Background(), "tcp", os.Getenv("CALL"))
		if err != nil {
			return 70
		}
		_, _ = io.WriteString(conn, "alive\n")
		time.Sleep(time.Hour)
	}
	return 0
}

func names(environ []string) []string {
	var all []string
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// commandThat is a command that behaves as how says, with env beside.
func commandThat(t *testing.T, how string, env map[string]string, change ...func(*transfer.CommandOptions)) *transfer.Command {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := transfer.CommandOptions{
		Name: "board", Argv: []string{self, "constant", "$HOME; `id`"}, Env: []string{asHelper},
		Handles: []transfer.AssetKind{transfer.AssetEvent}, Rotates: []transfer.CredentialKind{transfer.CredentialDeploymentKey},
		Timeout: 20 * time.Second, Now: noon,
		LookupEnv: func(name string) (string, bool) {
			if name == asHelper {
				return how, true
			}
			value, ok := env[name]
			return value, ok
		},
	}
	for name := range env {
		o.Env = append(o.Env, name)
	}
	for _, c := range change {
		c(&o)
	}
	c, err := transfer.NewCommand(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCommandPassesTheSuite(t *testing.T) {
	transfertest.Run(t, func(t *testing.T) transfertest.Hook {
		t.Helper()
		box := t.TempDir()
		c := commandThat(t, "once", map[string]string{"BOX": box, "TOKEN": "token-in-the-environment"})
		return transfertest.Hook{
			Transferrer: c, Handover: eventHandover(), Rotator: c, Rotation: deploymentRotation(),
			Effects: func() int { return len(files(t, box)) },
			Secrets: func() []string { return []string{"token-in-the-environment"} },
		}
	})
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestACommandSeesOnlyWhatIsConfigured(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOT_FOR_HOOKS", "1")
	c := commandThat(t, "world", map[string]string{"TOKEN": "t0ken-value"}, func(o *transfer.CommandOptions) { o.Dir = dir })
	r, err := c.Transfer(t.Context(), eventHandover())
	if err != nil {
		t.Fatal(err)
	}
	if r.Reference != dir {
		t.Errorf("ran in %s", r.Reference)
	}
	if want := "constant|$HOME; `id` TOKEN,TRANSFER_HELPER"; r.Detail != want {
		t.Errorf("saw %q, want %q", r.Detail, want)
	}
	if err := c.Publish(t.Context(), transfer.Publication{Key: "k", Value: "server-very-secret"}); err != nil {
		t.Errorf("publish: %v", err)
	}
	if err := c.Publish(t.Context(), transfer.Publication{Value: "v"}); !errors.Is(err, transfer.ErrNoKey) {
		t.Errorf("publish without a key: %v", err)
	}
}

func TestCommandsThatMisbehave(t *testing.T) {
	for _, tc := range []struct {
		how       string
		attempt   int
		temporary bool
		says      string
	}{
		{how: "garbage", temporary: true, says: "not a JSON object"},
		{how: "garbage", attempt: 3, says: "not a JSON object"},
		{how: "nothing", attempt: 3, says: "empty"},
		{how: "twice", attempt: 3, says: "more than one"},
		{how: "flood", attempt: 3, says: "longer than 64 KiB"},
		{how: "later", temporary: true, says: "run later: the board is read-only"},
		{how: "refuse", says: "exit status 3: no board for [address] at [url] with [redacted]"},
		{how: "signal", temporary: true, says: "ended by a signal"},
	} {
		t.Run(fmt.Sprintf("%s at attempt %d", tc.how, tc.attempt), func(t *testing.T) {
			h := eventHandover()
			h.Attempt = tc.attempt
			_, err := commandThat(t, tc.how, map[string]string{"TOKEN": "token-in-the-environment"}).Transfer(t.Context(), h)
			if err == nil || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "second line") {
				t.Fatalf("got %v, want something about %q", err, tc.says)
			}
			if transfer.IsTemporary(err) != tc.temporary {
				t.Errorf("%v: temporary %v", err, transfer.IsTemporary(err))
			}
			transfertest.Anonymous(t, err)
			transfertest.Hook{Secrets: func() []string { return []string{"token-in-the-environment"} }}.Discreet(t, err.Error())
		})
	}
}

// TestNobodyOutlivesACommand has a command start a child that keeps a connection open: the end of the connection is the
// end of the child.
func TestNobodyOutlivesACommand(t *testing.T) {
	for _, tc := range []struct {
		how  string
		stop bool // the caller goes away when the child lives
		done bool
	}{
		{how: "family", stop: true},
		{how: "orphan", done: true},
	} {
		t.Run(tc.how, func(t *testing.T) {
			listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close() // a test's listener
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			gone := make(chan error, 1)
			go func() {
				conn, err := listener.Accept()
				if err != nil {
					gone <- err
					return
				}
				defer conn.Close() // read to its end
				if _, err := io.ReadFull(conn, make([]byte, len("alive\n"))); err != nil {
					gone <- err
					return
				}
				if tc.stop {
					cancel()
				}
				_, err = io.Copy(io.Discard, conn)
				gone <- err
			}()
			_, err = commandThat(t, tc.how, map[string]string{"CALL": listener.Addr().String()}).Transfer(ctx, eventHandover())
			if (err == nil) != tc.done {
				t.Errorf("err = %v", err)
			}
			if tc.stop && (!errors.Is(err, context.Canceled) || !transfer.IsTemporary(err)) {
				t.Errorf("got %v, want the caller's own end", err)
			}
			if err := <-gone; err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the child: %v", err)
			}
		})
	}
	_, err := commandThat(t, "signal", nil, func(o *transfer.CommandOptions) {
		o.Argv, o.Timeout = []string{"/bin/sleep", "3600"}, 30*time.Millisecond
	}).Transfer(t.Context(), eventHandover())
	if !transfer.IsTemporary(err) || !strings.Contains(err.Error(), "did not end within 30ms and was killed") {
		t.Errorf("got %v", err)
	}
}

func TestCommandOptionsAreChecked(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]transfer.CommandOptions{
		"no name":                        {Argv: []string{"/bin/sh"}},
		"no program":                     {Name: "board"},
		"a program to be looked for":     {Name: "board", Argv: []string{"sh"}},
		"a program that is not there":    {Name: "board", Argv: []string{"/nowhere/sh"}},
		"a program that cannot be run":   {Name: "board", Argv: []string{plain}},
		"a directory as program":         {Name: "board", Argv: []string{"/"}},
		"a working directory of nowhere": {Name: "board", Argv: []string{"/bin/sh"}, Dir: "/nowhere"},
		"a relative working directory":   {Name: "board", Argv: []string{"/bin/sh"}, Dir: "."},
		"a variable that is not set":     {Name: "board", Argv: []string{"/bin/sh"}, Env: []string{"SURELY_NOT_SET"}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := transfer.NewCommand(o); err == nil {
				t.Error("taken")
			}
		})
	}
}

func TestFileSinkWritesForItsOwnerOnly(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil { // a directory
		t.Fatal(err)
	}
	sink, err := transfer.NewFileSink(dir)
	if err != nil {
		t.Fatal(err)
	}
	p := transfer.Publication{Key: "k", Credential: transfer.Credential{Kind: transfer.CredentialDeploymentKey, ID: "../11"}, Value: "server-one"}
	for _, value := range []transfer.Secret{"server-one", "server-one", "server-two"} {
		p.Value = value
		if err := sink.Publish(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, transfer.FileName(p.Credential))
		got, err := os.ReadFile(name) // the sink's own file
		if err != nil || string(got) != value.Reveal()+"\n" {
			t.Fatalf("%q, %v", got, err)
		}
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
	if all := files(t, dir); len(all) != 1 {
		t.Errorf("files %v, want one", all)
	}
	p.Value = ""
	if err := sink.Publish(t.Context(), p); !errors.Is(err, transfer.ErrInvalid) {
		t.Errorf("an empty value: %v", err)
	}
	p.Value = "server-three"
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := sink.Publish(t.Context(), p); !transfer.IsTemporary(err) || strings.Contains(err.Error(), "server") {
		t.Errorf("a directory that is away: %v", err)
	}
	for _, bad := range []string{"relative", dir, "/bin/sh"} {
		if _, err := transfer.NewFileSink(bad); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	open := t.TempDir()
	if err := os.Chmod(open, 0o777); err != nil { // what is refused
		t.Fatal(err)
	}
	if _, err := transfer.NewFileSink(open); err == nil {
		t.Error("a directory that everybody can write to was taken")
	}
}
