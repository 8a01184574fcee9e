package main_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/store/storetest"
)

// vault is somebody's webhook that takes new values; it echoes what it got.
type vault struct {
	mu     sync.Mutex
	values map[string][]string // by credential
	signed bool
}

func (v *vault) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	var asked struct {
		Type, Secret string
		Credential   struct{ Name string }
	}
	if json.Unmarshal(body, &asked) != nil || asked.Type != "publish" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.signed = req.Header.Get("Webhook-Signature") != ""
	v.values[asked.Credential.Name] = append(v.values[asked.Credential.Name], asked.Secret)
	_ = json.NewEncoder(w).Encode(map[string]string{"state": "done", "reference": asked.Secret, "detail": "I took " + asked.Secret})
}

// secrets are all values that the vault was ever sent.
func (v *vault) secrets() (all []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, list := range v.values {
		all = append(all, list...)
	}
	return all
}

// TestANewSecretGoesToItsHookAndNowhereElse rotates a deployment key and a
// destination's credential in the running binary, and then looks for the values
// in everything that the bridge keeps, says and shows.
func TestANewSecretGoesToItsHookAndNowhereElse(t *testing.T) {
	for name, database := range map[string]func(*testing.T) string{
		"sqlite": func(*testing.T) string { return "" }, "postgres": func(t *testing.T) string { t.Helper(); return storetest.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := &vault{values: map[string][]string{}}
			server := httptest.NewServer(v)
			t.Cleanup(server.Close)
			at := database(t)
			b := newBridge(t, at,
				"    scim_key: {file: key}", "    scim_key: {file: key}\n    developer_token: {file: developer}",
				"brake: {", "hooks:\n  - {name: vault, kind: webhook, url: \""+server.URL+"\", secret: {file: whsec}, allow_private: true}\n"+
					"credentials:\n  - {name: web, kind: deployment_key, project: \"PROJECT\", id: \"DEPLOYMENT\", people: [jo@example.com], publish: {hook: vault}, overlap: 1s}\n"+
					"  - {name: crm, kind: destination, project: \"PROJECT\", id: \"DESTINATION\", field: shared_secret, people: [jo@example.com], publish: {hook: vault}}\n"+
					"brake: {", "level: info", "level: debug")
			asset := func(kind string) string {
				a, err := b.fake.AddAsset(amplitudefake.Asset{Kind: kind, Name: kind, Project: b.project})
				if err != nil {
					t.Fatal(err)
				}
				return a.ID
			}
			file := filepath.Join(b.dir, "offramp.yaml")
			text := strings.NewReplacer("PROJECT", strconv.Itoa(b.project), "DEPLOYMENT", asset(amplitudefake.KindDeployment), "DESTINATION", asset(amplitudefake.KindDestination)).
				Replace(string(mustRead(t, file)))
			b.write("offramp.yaml", text)
			b.write("whsec", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
			b.write("developer", b.fake.Credentials().DeveloperToken)
			b.start()
			heir := b.staff()
			id := b.hire("jo@example.com", "quick", heir)
			b.leave(leaver{id: id, address: "jo@example.com", how: "quick"})
			b.closes("jo@example.com", 60*time.Second)
			var list struct {
				Rotations []struct{ ID, Credential, State, Proof string }
			}
			var shown []byte
			b.eventually(60*time.Second, "the old deployment key is ended", func() bool {
				_, shown = b.call(http.MethodGet, "http://"+b.admin+"/api/v1/rotations", b.op, nil)
				return json.Unmarshal(shown, &list) == nil && len(list.Rotations) == 2 && bytes.Contains(shown, []byte("no longer works (read back)"))
			})
			if len(v.values["crm"]) != 1 || len(v.values["crm"][0]) != 64 || len(v.values["web"]) == 0 || !v.signed {
				t.Fatalf("published %d and %d values, signed %v", len(v.values["crm"]), len(v.values["web"]), v.signed)
			}
			changed := 0
			for _, r := range b.fake.Requests(amplitudefake.RequestFilter{Effect: true}) {
				if r.Effect == "destination changed" {
					changed++
				}
			}
			if changed != 1 {
				t.Errorf("the destination was changed %d times", changed)
			}
			places := map[string][]byte{"the list of rotations": shown, "the log": mustRead(t, b.log.Name())}
			_, places["the metrics"] = b.call(http.MethodGet, "http://"+b.admin+"/metrics", "", nil)
			_, places["the case"] = b.call(http.MethodGet, "http://"+b.admin+"/api/v1/cases/"+b.caseOf("jo@example.com").ID, b.op, nil)
			_, places["the page"] = b.call(http.MethodGet, "http://"+b.admin+"/cases/"+b.caseOf("jo@example.com").ID, b.op, nil)
			if !bytes.Contains(places["the metrics"], []byte(`offramp_rotations{state="retired"} 1`)) {
				t.Error("the metric does not count the rotation")
			}
			b.stop()
			for _, f := range []string{"offramp.db", "offramp.db-wal"} { // with the evidence bundles
				if raw, err := os.ReadFile(filepath.Join(b.dir, f)); err == nil {
					places[f] = raw
				}
			}
			if at != "" {
				places["the database"] = dump(t, at)
			}
			for place, content := range places {
				if len(content) == 0 {
					t.Errorf("%s is empty: nothing was looked at", place)
				}
				for _, secret := range v.secrets() {
					if bytes.Contains(content, []byte(secret)) {
						t.Errorf("a new value is in %s", place)
					}
				}
			}
		})
	}
}

// dump is every row of every table of a PostgreSQL database, as text.
func dump(t *testing.T, url string) []byte {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	rows, err := conn.Query(t.Context(), "select table_name::text from information_schema.tables where table_schema = current_schema()")
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, table := range tables {
		rows, err := conn.Query(t.Context(), "select x::text from "+pgx.Identifier{table}.Sanitize()+" x")
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			out.WriteString(line + "\n")
		}
	}
	return out.Bytes()
}
