package intake_test

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"offramp/internal/offboard"
)

// TestConversationsAndTheirCases plays what Okta and Entra send against the
// whole way in, on both databases, and holds what became of each request: the
// status, and what it did to cases, or that it did nothing. The files of
// testdata/okta and testdata/entra hold the outcomes. Their requests are in the
// file of the same name in scim/testdata, which holds the full answers, or else
// beside the outcomes. With -update the outcomes are written anew.
//
// The group Eng gives access. Okta's connection is trusted to declare
// incidents, Entra's is not. No worker runs: a case stays as a request left it.
func TestConversationsAndTheirCases(t *testing.T) {
	t.Parallel()
	for _, name := range conversations(t) {
		for _, postgres := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/postgres=%v", name, postgres), func(t *testing.T) {
				t.Parallel()
				own := filepath.Join("testdata", name)
				golden, requests := archive(t, own), archive(t, filepath.Join("../../scim/testdata", name))
				shared := len(requests.Files) > 0
				if !shared {
					requests = golden
				}
				got := &txtar.Archive{Comment: golden.Comment}
				l := newListener(t, name, postgres)
				for _, f := range requests.Files {
					what, isRequest := strings.CutSuffix(f.Name, " >")
					if !isRequest {
						continue
					}
					if !shared {
						got.Files = append(got.Files, f)
					}
					got.Files = append(got.Files, txtar.File{Name: what + " <", Data: l.play(t, string(f.Data))})
				}
				if updating() && !postgres {
					if err := os.WriteFile(own, txtar.Format(got), 0o600); err != nil {
						t.Fatal(err)
					}
					return
				}
				if !updating() {
					compare(t, golden, got)
				}
			})
		}
	}
}

func compare(t *testing.T, golden, got *txtar.Archive) {
	t.Helper()
	if len(got.Files) == 0 || len(got.Files) != len(golden.Files) {
		t.Errorf("%d parts were played, %d are held", len(got.Files), len(golden.Files))
	}
	for i, f := range got.Files {
		if i >= len(golden.Files) || golden.Files[i].Name != f.Name || !bytes.Equal(golden.Files[i].Data, f.Data) {
			t.Errorf("%s: got\n%s", f.Name, f.Data)
		}
	}
}

// conversations lists the files of both places once, such as okta/aiw.txtar.
func conversations(t *testing.T) (names []string) {
	t.Helper()
	for _, dir := range []string{"testdata", "../../scim/testdata"} {
		for _, idp := range []string{"okta", "entra"} {
			files, err := filepath.Glob(filepath.Join(dir, idp, "*.txtar"))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				names = append(names, filepath.Join(idp, filepath.Base(f)))
			}
		}
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) == 0 {
		t.Fatal("there are no conversations")
	}
	return names
}

// archive reads a file; one that is not there is empty.
func archive(t *testing.T, name string) *txtar.Archive {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return txtar.Parse(raw)
}

func updating() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the outcomes of the conversations anew")
	flag.Parse()
	os.Exit(m.Run())
}

// listener plays requests and tells what each did to cases.
type listener struct {
	*bridge
	token   string
	nextID  string
	made    int            // resources so far, all connections together
	told    map[string]int // lines of each case's timeline that were told
	states  map[string]string
	batches []string
}

func newListener(t *testing.T, name string, postgres bool) *listener {
	t.Helper()
	l := &listener{token: oktaToken, told: map[string]int{}, states: map[string]string{}}
	if strings.HasPrefix(name, "entra") {
		l.token = entraToken
	}
	l.bridge = newBridge(t, settings{
		postgres: postgres, access: []string{"eng"}, newID: func() string { return l.nextID },
		rules: func(connection string, r *offboard.Rules) { r.Settle, r.TrustIncidents = 0, connection == "okta" },
	})
	return l
}

// play sends one request: a line with method and path, headers, an empty line
// and the body. Users get the ids u1, u2 …, groups g1, g2 …, in one count.
func (l *listener) play(t *testing.T, request string) []byte {
	t.Helper()
	head, body, _ := strings.Cut(request, "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	method, path, ok := strings.Cut(lines[0], " ")
	if !ok {
		t.Fatalf("no request line in %q", lines[0])
	}
	token := l.token
	for _, line := range lines[1:] {
		if secret, ok := strings.CutPrefix(line, "Authorization: Bearer "); ok {
			token = secret
		}
	}
	l.nextID = fmt.Sprintf("%c%d", path[1]|' ', l.made+1)
	a := l.call(t, token, method, path, strings.TrimSpace(body))
	if a.status == http.StatusCreated {
		l.made++
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%d %s\n", a.status, http.StatusText(a.status))
	if !l.tell(t, &out) {
		out.WriteString("no case\n")
	}
	return out.Bytes()
}

// tell writes what became of cases since the last time.
func (l *listener) tell(t *testing.T, out *bytes.Buffer) (any bool) {
	t.Helper()
	list := l.cases(t)
	slices.SortFunc(list, func(a, b offboard.Case) int {
		return cmp.Or(cmp.Compare(a.PersonID, b.PersonID), cmp.Compare(a.ID, b.ID))
	})
	for _, k := range list {
		entries, err := l.store.Timeline(t.Context(), k.ID)
		if err != nil {
			t.Fatal(err)
		}
		now := l.stands(k)
		if l.states[k.ID] == now && l.told[k.ID] == len(entries) {
			continue
		}
		any = true
		fmt.Fprintf(out, "case of %s at %s: %s\n", k.PersonID, k.Connection, now)
		for _, e := range entries[l.told[k.ID]:] {
			fmt.Fprintf(out, "  %s: %s\n", e.Kind, e.Text)
		}
		l.states[k.ID], l.told[k.ID] = now, len(entries)
	}
	return any
}

// stands is where a case stands, without ids and times that differ every time.
func (l *listener) stands(k offboard.Case) string {
	text := fmt.Sprintf("%s, plan %s, %s", k.Reason, k.Plan, k.State)
	if k.Waiting != offboard.WaitNothing {
		text += fmt.Sprintf(" (%s)", k.Waiting)
	}
	if k.Batch != "" {
		if !slices.Contains(l.batches, k.Batch) {
			l.batches = append(l.batches, k.Batch)
		}
		text += fmt.Sprintf(", batch %d", slices.Index(l.batches, k.Batch)+1)
	}
	return text
}
