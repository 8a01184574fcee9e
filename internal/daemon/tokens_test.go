package daemon_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"offramp/internal/config"
	"offramp/internal/daemon"
)

const soonConfig = `mode: observe
public_url: https://offramp.example.com
listen: 127.0.0.1:0
admin_listen: 127.0.0.1:0
connections:
  - {name: idp}
organizations:
  - {name: acme, scim_key: {file: token}, endpoints: {scim: "http://127.0.0.1:1"}}
`

// TestATokenThatEndsSoonIsToldOnce has one token that ends within two weeks and
// one that does not: the first is told, once a day, without its secret.
func TestATokenThatEndsSoonIsToldOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"offramp.yaml": soonConfig, "token": strings.Repeat("t", 32)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, problems := config.Load(filepath.Join(dir, "offramp.yaml"),
		[]string{"OFFRAMP_DATABASE=sqlite:" + filepath.Join(dir, "offramp.db")}, os.ReadFile)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	const warning = "a SCIM token ends soon: make another with offramp token new and put it into the app; both work meanwhile"
	core, logs := observer.New(zapcore.InfoLevel)
	told := make(chan struct{}, 8)
	hook := zap.Hooks(func(e zapcore.Entry) error {
		if e.Message == warning {
			told <- struct{}{}
		}
		return nil
	})
	d, err := daemon.New(t.Context(), cfg, daemon.Options{Log: zap.New(core, hook)})
	if err != nil {
		t.Fatal(err)
	}
	soon, secret, err := d.Store().NewToken(t.Context(), "idp", 10*24*time.Hour+time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Store().NewToken(t.Context(), "idp", 30*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ran := make(chan error, 1)
	go func() { ran <- d.Run(ctx) }()
	select {
	case <-told:
	case err := <-ran:
		t.Fatalf("the process ended: %v", err)
	}
	if mine, err := d.Store().Turn(t.Context(), "tokens", 24*time.Hour); err != nil || mine {
		t.Errorf("another replica, or the next start, would tell it again: %v, %v", mine, err)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	warnings := logs.FilterMessage(warning).All()
	if len(warnings) != 1 {
		t.Fatalf("told %d times", len(warnings))
	}
	fields := warnings[0].ContextMap()
	if fields["connection"] != "idp" || fields["token"] != soon || fields["days"] != int64(10) {
		t.Errorf("told %v", fields)
	}
	for _, e := range logs.All() {
		if text, _ := e.ContextMap()["token"].(string); text == secret {
			t.Error("a secret is in the log")
		}
	}
}
