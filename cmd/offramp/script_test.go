package main_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// Every script has a server of its own that answers with the files of its
// answers directory and keeps what it was sent in the file requests.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:  filepath.Join("testdata", "script"),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exitcode": exitcode},
		Setup: func(env *testscript.Env) error {
			s := httptest.NewServer(&stub{dir: env.WorkDir})
			env.Defer(s.Close)
			sum := sha256.Sum256([]byte("evidence\n"))
			env.Setenv("OFFRAMP_SERVER", s.URL)
			env.Setenv("OFFRAMP_OPERATOR_TOKEN", "jos-token")
			env.Setenv("EVIDENCE_SHA256", hex.EncodeToString(sum[:]))
			return nil
		},
	})
}

// exitcode CODE PROGRAM ARG… runs a program that has to exit with the code.
func exitcode(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// stub answers METHOD /api/v1/a/b with the file answers/METHOD-a-b.json, which
// holds the status and the body.
type stub struct {
	mu  sync.Mutex
	dir string
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in any
	_ = json.NewDecoder(r.Body).Decode(&in) // no body is nil
	if err := s.note(r.Method, r.URL.RequestURI(), in); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if r.Header.Get("Authorization") != "Bearer jos-token" {
		s.answer(w, 401, json.RawMessage(`{"title":"Unauthorized","status":401,"detail":"send the token of an operator"}`))
		return
	}
	var name strings.Builder
	name.WriteString(r.Method)
	for part := range strings.SplitSeq(strings.TrimPrefix(r.URL.Path, "/api/v1/"), "/") {
		name.WriteString("-" + part)
	}
	b, err := os.ReadFile(filepath.Join(s.dir, "answers", name.String()+".json"))
	if err != nil {
		http.Error(w, "<html>not found</html>", http.StatusNotFound)
		return
	}
	var a struct {
		Status int             `json:"status"`
		Body   json.RawMessage `json:"body"`
	}
	if err := json.Unmarshal(b, &a); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.answer(w, a.Status, a.Body)
}

func (s *stub) answer(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	if status >= 400 {
		w.Header().Set("Content-Type", "application/problem+json")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// note adds a request to the file requests, as a JSON array in a line.
func (s *stub) note(request ...any) error {
	f, err := os.OpenFile(filepath.Join(s.dir, "requests"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	e := json.NewEncoder(f)
	e.SetEscapeHTML(false)
	return errors.Join(e.Encode(request), f.Close())
}
