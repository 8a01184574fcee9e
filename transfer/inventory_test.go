package transfer_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"offramp/transfer"
)

func inquiry() transfer.Inquiry {
	return transfer.Inquiry{
		Key: "case-7/inventory/acme/catalogue", Case: "case-7", Organization: "acme",
		Leaver: transfer.Person{Email: "jo@example.com", Name: "Jo Doe"},
		Kinds:  []transfer.AssetKind{transfer.AssetDashboard, transfer.AssetNotebook},
	}
}

func listing(o *transfer.WebhookOptions) { o.Inventories = inquiry().Kinds }

// saying is a hook that answers every message alike.
func saying(t *testing.T, status int, answer string) *transfer.Webhook {
	t.Helper()
	return webhookTo(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, answer)
	})), listing)
}

// commandSaying is a program that prints a file.
func commandSaying(t *testing.T, answer string) *transfer.Command {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "answer"), []byte(answer), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := transfer.NewCommand(transfer.CommandOptions{
		Name: "catalogue", Argv: []string{"/bin/cat", filepath.Join(dir, "answer")}, Inventories: inquiry().Kinds,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAHookTellsWhatSomebodyOwns(t *testing.T) {
	const answer = `{"assets":[{"kind":"dashboard","id":"d1","name":"Weekly\u0000 numbers","project":"101"},{"kind":"notebook","id":"n1"}]}`
	for name, hook := range map[string]transfer.Lister{"webhook": saying(t, 200, answer), "command": commandSaying(t, answer)} {
		t.Run(name, func(t *testing.T) {
			list, err := hook.List(t.Context(), inquiry())
			if err != nil || len(list) != 2 || list[0] != (transfer.Asset{Kind: "dashboard", ID: "d1", Name: "Weekly numbers", Project: "101"}) {
				t.Errorf("listed %+v: %v", list, err)
			}
		})
	}
	if list, err := saying(t, 200, `{"assets":[]}`).List(t.Context(), inquiry()); err != nil || len(list) != 0 {
		t.Errorf("nothing is owned: %+v, %v", list, err)
	}
}

func TestAnInventoryThatSaysNothingIsNoInventory(t *testing.T) {
	many := strings.Repeat(`{"kind":"dashboard","id":"d"},`, 5001)
	for name, tc := range map[string]struct {
		answer string
		says   string
	}{
		"empty":                     {"", "not a JSON object"},
		"a page":                    {"<html>", "not a JSON object"},
		"done":                      {`{"state":"done"}`, "it has no assets"},
		"null":                      {`{"assets":null}`, "it has no assets"},
		"two values":                {`{"assets":[]}{"assets":[]}`, "more than one JSON value"},
		"a kind nobody asked for":   {`{"assets":[{"kind":"chart","id":"c1"}]}`, "a kind that was not asked for"},
		"without an id":             {`{"assets":[{"kind":"dashboard","name":"x"}]}`, "has no id"},
		"too many":                  {`{"assets":[` + strings.TrimSuffix(many, ",") + `]}`, "more than 5000 assets"},
		"too long":                  {`{"assets":[]` + strings.Repeat(" ", 1<<20) + `}`, "longer than 1"},
		"an address in another way": {`{"assets":["jo@example.com"]}`, "not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			for kind, hook := range map[string]transfer.Lister{"webhook": saying(t, 200, tc.answer), "command": commandSaying(t, tc.answer)} {
				q := inquiry()
				_, err := hook.List(t.Context(), q)
				if !transfer.IsTemporary(err) || !strings.Contains(fmt.Sprint(err), tc.says) || strings.Contains(fmt.Sprint(err), "jo@") {
					t.Errorf("%s: %v", kind, err)
				}
				q.Attempt = transfer.GiveUpAfter
				if _, err := hook.List(t.Context(), q); err == nil || transfer.IsTemporary(err) {
					t.Errorf("%s, the third time: %v", kind, err)
				}
			}
		})
	}
	if _, err := saying(t, 202, `{"assets":[]}`).List(t.Context(), inquiry()); err == nil || !strings.Contains(err.Error(), "answered at once") {
		t.Errorf("202: %v", err)
	}
	if _, err := saying(t, 503, "").List(t.Context(), inquiry()); !transfer.IsTemporary(err) {
		t.Errorf("503: %v", err)
	}
	if _, err := saying(t, 403, `{"detail":"not for you"}`).List(t.Context(), inquiry()); err == nil || transfer.IsTemporary(err) {
		t.Errorf("403: %v", err)
	}
}

func TestAnInquiryIsCheckedBeforeItIsSent(t *testing.T) {
	rc := &receiver{}
	hook := webhookTo(t, serve(t, rc), listing)
	for name, spoil := range map[string]func(*transfer.Inquiry){
		"no key":           func(q *transfer.Inquiry) { q.Key = "" },
		"a key of lines":   func(q *transfer.Inquiry) { q.Key = "a\nb" },
		"nobody leaves":    func(q *transfer.Inquiry) { q.Leaver = transfer.Person{Name: "Jo"} },
		"nothing is asked": func(q *transfer.Inquiry) { q.Kinds = nil },
		"another kind":     func(q *transfer.Inquiry) { q.Kinds = []transfer.AssetKind{transfer.AssetEvent} },
	} {
		q := inquiry()
		spoil(&q)
		if _, err := hook.List(t.Context(), q); err == nil || transfer.IsTemporary(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := rc.effects(); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
}

func TestTheDocumentedInventoryWorks(t *testing.T) {
	dir := t.TempDir()
	source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "receiver")
	if err := os.WriteFile(source, []byte(fromDocs(t, "go")), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, source) // the page's own code
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	address, _ := startReceiver(t, binary)
	list, err := webhookTo(t, "http://"+address+"/handover", listing).List(t.Context(), inquiry())
	var documented struct{ Assets []transfer.Asset }
	if e := json.Unmarshal([]byte(fromDocs(t, "json answer")), &documented); e != nil {
		t.Fatal(e)
	}
	if err != nil || len(list) != 1 || list[0] != documented.Assets[0] {
		t.Errorf("listed %+v, documented %+v: %v", list, documented.Assets, err)
	}

	rc := &receiver{}
	_, _ = webhookTo(t, serve(t, rc), listing).List(t.Context(), inquiry()) // it answers a receipt, which is none
	_, sent := rc.last()
	var message map[string]any
	if err := json.Unmarshal([]byte(fromDocs(t, "json inventory")), &message); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(message) != fmt.Sprint(sent) {
		t.Errorf("sent\n%v\ndocumented\n%v", sent, message)
	}
}
