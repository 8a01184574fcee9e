package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/cli"
	"offramp/internal/config"
	"offramp/internal/daemon"
	"offramp/internal/doctor"
)

// installation is a bridge before a simulated Amplitude: its configuration file
// and the flags that name its listeners.
func installation(t *testing.T) (file string, flags []string) {
	t.Helper()
	fake, err := amplitudefake.New(amplitudefake.Options{Members: 5})
	if err != nil {
		t.Fatal(err)
	}
	sim := httptest.NewServer(fake)
	dir := t.TempDir()
	if err := daemon.WriteSimulatorConfig(dir, sim.URL, fake.Credentials()); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "offramp.yaml")
	cfg, problems := config.Load(file, nil, os.ReadFile)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	d, err := daemon.New(t.Context(), cfg, daemon.Options{Log: zap.NewNop(), Version: "test", Tempo: daemon.Tempo{Tick: 20 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	worked := make(chan error, 1)
	go func() { worked <- d.Work(ctx) }()
	p, a := d.Handlers()
	public, admin := httptest.NewServer(p), httptest.NewServer(a)
	t.Cleanup(func() {
		for _, s := range []*httptest.Server{public, admin, sim} {
			s.Close()
		}
		stop()
		if err := errors.Join(<-worked, d.Close()); err != nil {
			t.Error(err)
		}
	})
	return file, []string{"--server-public", public.URL, "--server", admin.URL}
}

func TestDoctorPrintsALineForEachCheck(t *testing.T) {
	t.Parallel()
	file, flags := installation(t)
	ask := func(more ...string) (int, string, string) {
		var out, errs bytes.Buffer
		args := append([]string{"doctor", "--config", file}, flags...)
		code := cli.Run(t.Context(), cli.Env{Args: append(args, more...), Stdout: &out, Stderr: &errs})
		return code, out.String(), errs.String()
	}
	code, out, errs := ask()
	if code != 0 || errs != "" || strings.Contains(out, "FAIL") ||
		!strings.Contains(out, "\nok    connection idp: case: opened by the deactivation and closed as observed") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "ok    ") && !strings.HasPrefix(line, "skip  ") {
			t.Errorf("not the line of a check: %s", line)
		}
	}

	code, out, _ = ask("--output", "json")
	var got struct {
		OK     bool           `json:"ok"`
		Checks []doctor.Check `json:"checks"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || !got.OK || len(got.Checks) < 10 {
		t.Errorf("exit code %d, %v: %s", code, err, out)
	}

	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("not-a-token-not-a-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs = ask("--connection", "idp", "--token-file", token)
	if code != 1 || !strings.HasPrefix(out, "FAIL  connection idp: token: the server refuses the token. To do: ") || !strings.Contains(errs, "something is wrong") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	for story, more := range map[string][]string{
		"an unknown connection": {"--connection", "nobody"}, "an unknown format": {"--output", "xml"},
		"no such file": {"--token-file", token + "s"}, "no URL": {"--server", "here"},
	} {
		if code, out, _ := ask(more...); code != 2 || out != "" {
			t.Errorf("%s: exit code %d, %s", story, code, out)
		}
	}
}
