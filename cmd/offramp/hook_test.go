package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
)

// receiver is somebody's webhook that takes its time: it accepts, and is told
// where to call back.
type receiver struct {
	mu    sync.Mutex
	calls int
	back  string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var asked struct {
		CallbackURL string `json:"callback_url"`
	}
	if req.Header.Get("Webhook-Signature") == "" || json.NewDecoder(req.Body).Decode(&asked) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.calls++
	r.back = asked.CallbackURL
	r.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.Write([]byte(`{"state":"accepted","reference":"OPS-7"}`)) // whoever asked has gone
}

func (r *receiver) told() (string, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.back, r.calls
}

// TestAHookAcceptsAndCallsBack hands a cohort over through a webhook that
// answers later, on the address that it was given, once.
func TestAHookAcceptsAndCallsBack(t *testing.T) {
	t.Parallel()
	hook := &receiver{}
	server := httptest.NewServer(hook)
	t.Cleanup(server.Close)
	b := newBridge(t, "", "brake: {", "hooks:\n  - {name: ops, kind: webhook, handles: [cohort], url: \""+server.URL+
		"\", secret: {file: whsec}, allow_private: true}\nbrake: {",
		"approvals: 0, unlisted: note}", "approvals: 0, unlisted: note, trust_receipt: true}")
	b.write("whsec", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	b.start()
	heir := b.staff()
	id := b.hire("jo@example.com", "quick", heir)
	if _, err := b.fake.AddAsset(amplitudefake.Asset{Kind: amplitudefake.KindCohort, Name: "Power users", Project: b.project, Owners: []string{"jo@example.com"}}); err != nil {
		t.Fatal(err)
	}
	b.leave(leaver{id: id, address: "jo@example.com", how: "quick"})
	b.eventually(30*time.Second, "the hook is asked", func() bool { back, _ := hook.told(); return back != "" })
	if b.removals("jo@example.com") != 0 {
		t.Error("removed before the hook had done its part")
	}
	back, _ := hook.told()
	u, err := url.Parse(back)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(body string) int {
		status, _ := b.call(http.MethodPost, "http://"+b.public+u.Path, "", body)
		return status
	}
	if got := answer(`no JSON`); got != http.StatusBadRequest {
		t.Errorf("garbage is answered %d", got)
	}
	if got := answer(`{"state":"done","reference":"OPS-7"}`); got/100 != 2 {
		t.Errorf("the call-back is answered %d", got)
	}
	if got := answer(`{"state":"done"}`); got != http.StatusNotFound {
		t.Errorf("a second call-back is answered %d", got)
	}
	b.closes("jo@example.com", 60*time.Second)
	if _, calls := hook.told(); calls != 1 {
		t.Errorf("the hook was asked %d times", calls)
	}
}
