package main_test

import (
	"encoding/json"
	"io"
	"mime/quotedprintable"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"offramp/internal/notify/notifytest"
)

// page opens or uses a personal link.
func (b *bridge) page(method, path string, form url.Values) answer {
	b.t.Helper()
	var body any
	if form != nil {
		body = form.Encode()
	}
	return b.ask(method, "http://"+b.public+path, "", body, "Authorization", "", "Content-Type", "application/x-www-form-urlencoded")
}

// link makes a personal link to a task.
func (b *bridge) link(task, to string) (path string, status int) {
	b.t.Helper()
	status, out := b.call(http.MethodPost, "http://"+b.admin+"/api/v1/tasks/"+task+"/link", b.op, map[string]string{"to": to})
	var made struct{ URL string }
	if status == http.StatusCreated && json.Unmarshal(out, &made) != nil {
		b.t.Fatalf("link: %s", out)
	}
	u, err := url.Parse(made.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	return u.Path, status
}

// TestAPersonalLinkIsForOnePersonAndOneUse follows a removal through the links
// in two mails: looking changes nothing, acting works once, and what comes of a
// used, a made-up or the leaver's own link is a clear page.
func TestAPersonalLinkIsForOnePersonAndOneUse(t *testing.T) {
	t.Parallel()
	mail := notifytest.New(t)
	b := newBridge(t, "", "brake: {", "notify: {email: {file: mail}}\napprovers: [{email: lead@example.com, roles: [manager]}]\nbrake: {")
	b.write("mail", mail.URL("offramp", "the-mail-password"))
	b.start()
	manager := b.staff()
	id := b.hire("jo@example.com", "careful", manager)
	b.sure(http.MethodPatch, "/Users/"+id, map[string]any{
		"schemas":    []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"},
		"Operations": []any{map[string]any{"op": "replace", "value": map[string]any{"displayName": "Jo <script>alert(1)</script>"}}},
	})
	b.leave(leaver{id: id, address: "jo@example.com", how: "careful"})
	at := func(to string) (path string) {
		b.eventually(60*time.Second, "a mail with a link for "+to, func() bool {
			for _, m := range mail.Mails() {
				text, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(m.Body)))
				if err != nil {
					t.Fatal(err)
				}
				if _, rest, found := strings.Cut(string(text), "/t/"); found && m.To == to {
					path = "/t/" + strings.Fields(rest)[0]
				}
			}
			return path != ""
		})
		return path
	}
	approve := at("lead@example.com")
	for _, method := range []string{http.MethodHead, http.MethodGet, http.MethodGet} { // scanners look ahead
		if a := b.page(method, approve, nil); a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", method, a.status, a.body)
		}
	}
	shown := string(b.page(http.MethodGet, approve, nil).body)
	if strings.Contains(shown, "<script>") || !strings.Contains(shown, "jo@example.com") {
		t.Errorf("the page is not escaped, or does not say whom it is about:\n%s", shown)
	}
	token := strings.TrimPrefix(approve, "/t/")
	if a := b.page(http.MethodPost, approve, url.Values{"do": {"approve"}}); a.status != http.StatusForbidden {
		t.Errorf("without the page's own token: %d", a.status)
	}
	if w := b.caseOf("jo@example.com"); w.Waiting != "approval" {
		t.Fatalf("looking approved: %+v", w)
	}
	if a := b.page(http.MethodPost, approve, url.Values{"do": {"approve"}, "token": {token}, "ticket": {"HR-7"}}); a.status != http.StatusOK {
		t.Fatalf("approve: %d %s", a.status, a.body)
	}
	if a := b.page(http.MethodPost, approve, url.Values{"do": {"approve"}, "token": {token}}); a.status != http.StatusConflict {
		t.Errorf("a second use: %d", a.status)
	}
	if a := b.page(http.MethodGet, approve, nil); a.status != http.StatusGone || !strings.Contains(string(a.body), "it has been used") {
		t.Errorf("a used link, forwarded: %d %s", a.status, a.body)
	}
	for _, bad := range []string{"/t/short", "/t/" + strings.Repeat("A", 52), "/t/" + strings.Repeat("a", 52), "/t/..%2f..%2fetc"} {
		if a := b.page(http.MethodGet, bad, nil); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", bad, a.status)
		}
	}
	handover := at(heir)
	task := b.openTask("handover")
	if own, status := b.link(task, "jo@example.com"); status == http.StatusCreated {
		form := url.Values{"do": {"done"}, "token": {strings.TrimPrefix(own, "/t/")}}
		if a := b.page(http.MethodPost, own, form); a.status == http.StatusOK {
			t.Errorf("the leaver attested their own handover: %d %s", a.status, a.body)
		}
	}
	other, status := b.link(task, "lead@example.com")
	if status != http.StatusCreated {
		t.Fatalf("link: %d", status)
	}
	form := url.Values{"do": {"done"}, "token": {strings.TrimPrefix(handover, "/t/")}, "note": {"moved"}}
	if a := b.page(http.MethodPost, handover, form); a.status != http.StatusOK {
		t.Fatalf("done: %d %s", a.status, a.body)
	}
	if a := b.page(http.MethodGet, other, nil); a.status != http.StatusGone || !strings.Contains(string(a.body), "settled") {
		t.Errorf("another link to the same task: %d %s", a.status, a.body)
	}
	b.closes("jo@example.com", 90*time.Second)
	file := b.ask(http.MethodGet, "http://"+b.admin+"/api/v1/cases/"+b.caseOf("jo@example.com").ID, b.op, nil)
	for _, want := range []string{`"by":"lead@example.com"`, `"ticket":"HR-7"`, "which changed nothing: it has been used", `"by":"heir@example.com"`} {
		if !strings.Contains(string(file.body), want) {
			t.Errorf("the case does not say %s", want)
		}
	}
	for name, text := range map[string][]byte{"log": mustRead(t, b.log.Name()), "case": file.body} {
		if strings.Contains(string(text), token) {
			t.Errorf("the %s holds a link's secret", name)
		}
	}
}

// openTask is the id of the open task of a kind.
func (b *bridge) openTask(kind string) (id string) {
	b.t.Helper()
	b.eventually(30*time.Second, "a task of kind "+kind, func() bool {
		var list struct{ Tasks []struct{ ID, Kind string } }
		status, out := b.call(http.MethodGet, "http://"+b.admin+"/api/v1/tasks?state=open", b.op, nil)
		if status != http.StatusOK || json.Unmarshal(out, &list) != nil {
			return false
		}
		for _, task := range list.Tasks {
			if task.Kind == kind {
				id = task.ID
			}
		}
		return id != ""
	})
	return id
}
