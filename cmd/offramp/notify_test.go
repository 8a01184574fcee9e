package main_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"offramp/internal/notify/notifytest"
)

// TestPeopleAreTold plays a leaver whose removal needs an approval and a
// handover: everybody gets their one mail, the channel its line, and no log or
// record holds what opens the mail server.
func TestPeopleAreTold(t *testing.T) {
	t.Parallel()
	mail := notifytest.New(t)
	var mu sync.Mutex
	var lines []string
	chat := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body := make([]byte, 4096)
		n, _ := r.Body.Read(body)
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, string(body[:n]))
	}))
	t.Cleanup(chat.Close)
	b := newBridge(t, "",
		"brake: {", "notify:\n  email: {file: mail}\n  channels: [{name: team, url: {file: chat}, about: [tasks, removals]}]\n"+
			"approvers: [{email: lead@example.com, roles: [manager, security]}]\nbrake: {",
		"approvals: 1, unlisted: task}", "approvals: 1, unlisted: task, follow_up: [{title: Update the roster}]}")
	b.write("mail", mail.URL("offramp", "the-mail-password"))
	b.write("chat", "generic+"+chat.URL+"/the-hook-token")
	b.start()
	heir := b.staff()
	id := b.hire("jo@example.com", "careful", heir)
	b.leave(leaver{id: id, address: "jo@example.com", how: "careful"})
	b.eventually(30*time.Second, "the approver is asked", func() bool { return len(mail.Mails()) == 1 })
	b.eventually(30*time.Second, "the approval is given", func() bool {
		status, _ := b.call(http.MethodPost, "http://"+b.admin+"/api/v1/cases/"+b.caseOf("jo@example.com").ID+"/approve", b.op, map[string]string{"role": "manager"})
		return status == http.StatusOK
	})
	b.eventually(30*time.Second, "the successor is asked", func() bool { return len(mail.Mails()) == 2 })
	b.work()
	b.eventually(60*time.Second, "the case closes", func() bool { return b.caseOf("jo@example.com").State == "closed" })
	b.eventually(30*time.Second, "everybody is told", func() bool { return b.metric("offramp_messages_sent_total") == 6 })
	var told []string
	for _, m := range mail.Mails() {
		told = append(told, m.To+": "+m.Header.Get("Subject"))
	}
	slices.Sort(told)
	want := []string{
		"heir@example.com: Hand over everything of jo@example.com <jo@example.com> to heir@example.com <heir@example.com>",
		"heir@example.com: What jo@example.com owned in Amplitude is yours now",
		"heir@example.com: jo@example.com has no access to Amplitude any more",
		"lead@example.com: Approve that jo@example.com is removed from Amplitude",
	}
	if !slices.Equal(told, want) {
		t.Errorf("mails:\n%s", strings.Join(told, "\n"))
	}
	mu.Lock()
	all := strings.Join(lines, "\n")
	mu.Unlock()
	if !strings.Contains(all, "has no access") || !strings.Contains(all, "Update the roster") {
		t.Errorf("the channel was told:\n%s", all)
	}
	a := b.ask(http.MethodGet, "http://"+b.admin+"/api/v1/cases/"+b.caseOf("jo@example.com").ID, b.op, nil)
	if !strings.Contains(string(a.body), "sent to heir@example.com") {
		t.Errorf("the timeline does not say what was sent: %s", a.body)
	}
	log, err := os.ReadFile(b.log.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"the-mail-password", "the-hook-token"} {
		if strings.Contains(string(log)+string(a.body), secret) {
			t.Errorf("%s is shown", secret)
		}
	}
}
