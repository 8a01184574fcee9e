package daemon_test

import (
	"context"
	"net/http"
	"net/http/httptest"
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
	"offramp/internal/store/storetest"
)

const awayConfig = `mode: observe
public_url: https://offramp.example.com
brake: {settle: 0s}
connections:
  - {name: idp, bootstrap_token: {file: token}}
organizations:
  - {name: acme, scim_key: {file: token}, endpoints: {scim: "http://127.0.0.1:1"}}
`

// TestTheWorkersWaitForTheDatabase stops PostgreSQL between the opening of the
// record and the start of the workers: the process lives on, and works as soon
// as the database is back.
func TestTheWorkersWaitForTheDatabase(t *testing.T) {
	t.Parallel()
	server := storetest.NewServer(t, storetest.Options{Sync: true})
	dir, token := t.TempDir(), strings.Repeat("t", 32)
	for name, text := range map[string]string{"offramp.yaml": awayConfig, "token": token} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, problems := config.Load(filepath.Join(dir, "offramp.yaml"), []string{"OFFRAMP_DATABASE=" + server.Database(t)}, os.ReadFile)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	core, logs := observer.New(zapcore.InfoLevel)
	d, err := daemon.New(t.Context(), cfg, daemon.Options{Log: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	server.Stop(t)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	worked := make(chan error, 1)
	go func() { worked <- d.Work(ctx) }()
	until := func(what string, holds func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
			select {
			case err := <-worked:
				t.Fatalf("the workers ended: %v", err)
			default:
			}
			if time.Now().After(end) {
				t.Fatalf("not within a minute: %s", what)
			}
		}
	}
	until("the start is repeated", func() bool { return logs.FilterMessage("starting the workers, will be repeated").Len() > 1 })
	server.Start(t)

	public, _ := d.Handlers()
	send := func(method, path, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, "/scim/v2"+path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		public.ServeHTTP(w, r)
		return w
	}
	created := send(http.MethodPost, "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"jo@example.com"}`)
	id := created.Header().Get("Location")
	id = id[strings.LastIndex(id, "/")+1:]
	if w := send(http.MethodDelete, "/Users/"+id, ""); created.Code != http.StatusCreated || w.Code != http.StatusNoContent {
		t.Fatalf("%d %s, %d %s", created.Code, created.Body, w.Code, w.Body)
	}
	until("a case is worked on", func() bool { return logs.FilterLoggerName("runner").Len() > 0 })
	cancel()
	if err := <-worked; err != nil {
		t.Error(err)
	}
}
