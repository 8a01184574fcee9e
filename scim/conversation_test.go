package scim_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestConversations plays the files of testdata/okta and testdata/entra: each
// "… >" is a request (method and path, headers, blank line, body) and the "<"
// after it the answer (status, headers that matter, body). With -update the
// answers are written anew.
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimPrefix(file, "testdata/"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			archive := txtar.Parse(raw)
			b := newBridge(t)
			var played []txtar.File
			for _, f := range archive.Files {
				name, isRequest := strings.CutSuffix(f.Name, " >")
				if !isRequest {
					continue
				}
				got := txtar.File{Name: name + " <", Data: b.play(t, f.Data)}
				played = append(played, f, got)
				i := slices.IndexFunc(archive.Files, func(x txtar.File) bool { return x.Name == got.Name })
				if !updating() && (i < 0 || !bytes.Equal(archive.Files[i].Data, got.Data)) {
					t.Errorf("%s: got\n%s", got.Name, got.Data)
				}
			}
			if len(played) == 0 {
				t.Error("a conversation without requests")
			}
			if updating() {
				archive.Files = played
				if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// updating reports whether the flag -update is set. It is registered on first
// use, so that the package has no variable for it.
func updating() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the answers of the conversations anew")
	flag.Parse()
	os.Exit(m.Run())
}

func (b *bridge) play(t *testing.T, request []byte) []byte {
	t.Helper()
	head, body, _ := strings.Cut(string(request), "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	method, path, ok := strings.Cut(lines[0], " ")
	if !ok {
		t.Fatalf("no request line in %q", lines[0])
	}
	var header []string
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		header = append(header, name, value)
	}
	a := b.do(method, path, strings.TrimSpace(body), header...)
	var out bytes.Buffer
	fmt.Fprintf(&out, "%d %s\n", a.Code, http.StatusText(a.Code))
	for _, name := range []string{"Location", "ETag", "Allow", "Retry-After", "WWW-Authenticate"} {
		if v := a.Header().Get(name); v != "" {
			fmt.Fprintf(&out, "%s: %s\n", name, v)
		}
	}
	if a.Body.Len() > 0 {
		out.WriteByte('\n')
		if err := json.Indent(&out, a.Body.Bytes(), "", " "); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		out.WriteByte('\n')
	}
	return out.Bytes()
}
