package transfer_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"offramp/transfer"
	"offramp/transfer/transfertest"
)

const signing = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"

// receiver is a webhook that does each key once, and refuses what is not signed.
type receiver struct {
	mu       sync.Mutex
	seen     map[string]map[string]any
	requests []map[string]any
	ids      []string
}

func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	verifier, err := standardwebhooks.NewWebhook(signing)
	if err != nil || verifier.Verify(body, r.Header) != nil {
		http.Error(w, `{"detail":"bad signature"}`, http.StatusUnauthorized)
		return
	}
	var message map[string]any
	if json.Unmarshal(body, &message) != nil {
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	rc.mu.Lock()
	defer rc.mu.Unlock()
	id := r.Header.Get("Webhook-Id")
	rc.requests, rc.ids = append(rc.requests, message), append(rc.ids, id)
	if rc.seen == nil {
		rc.seen = map[string]map[string]any{}
	}
	rc.seen[id] = message
	_ = json.NewEncoder(w).Encode(map[string]any{"state": "done", "reference": "T-" + id, "detail": "moved with " + signing})
}

func (rc *receiver) effects() int {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return len(rc.seen)
}

func (rc *receiver) last() (string, map[string]any) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return rc.ids[len(rc.ids)-1], rc.requests[len(rc.requests)-1]
}

// webhookTo is a hook on this machine.
func webhookTo(t *testing.T, url string, change ...func(*transfer.WebhookOptions)) *transfer.Webhook {
	t.Helper()
	o := transfer.WebhookOptions{
		Name: "tickets", URL: url, Secrets: []transfer.Secret{signing}, AllowLoopback: true, Timeout: 20 * time.Second,
		Handles: []transfer.AssetKind{transfer.AssetEvent}, Rotates: []transfer.CredentialKind{transfer.CredentialDeploymentKey},
	}
	for _, c := range change {
		c(&o)
	}
	w, err := transfer.NewWebhook(o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestWebhookPassesTheSuite(t *testing.T) {
	transfertest.Run(t, func(t *testing.T) transfertest.Hook {
		t.Helper()
		rc := &receiver{}
		w := webhookTo(t, serve(t, rc)+"/hook?token=in-the-url")
		return transfertest.Hook{
			Transferrer: w, Handover: eventHandover(), Rotator: w, Rotation: deploymentRotation(), Effects: rc.effects,
			Secrets: func() []string { return []string{signing, "in-the-url"} },
		}
	})
}

func TestWebhookSendsTheSameMessageAgain(t *testing.T) {
	rc, h := &receiver{}, eventHandover()
	var asked []string
	w := webhookTo(t, serve(t, rc), func(o *transfer.WebhookOptions) {
		o.Secrets = append(o.Secrets, "whsec_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3") // the next one, beside the old
		o.Callback = func(_ context.Context, key string) (string, error) {
			asked = append(asked, key)
			return fmt.Sprintf("https://offramp.example.com/hooks/%d", len(asked)), nil
		}
	})
	for attempt := 1; attempt <= 2; attempt++ {
		h.Attempt = attempt
		if _, err := w.Transfer(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		id, message := rc.last()
		if id != h.Key || message["key"] != h.Key || message["type"] != "handover" {
			t.Errorf("attempt %d: message %q, %v", attempt, id, message)
		}
		if message["callback_url"] != fmt.Sprintf("https://offramp.example.com/hooks/%d", attempt) {
			t.Errorf("attempt %d: call back on %v", attempt, message["callback_url"])
		}
		if successor, ok := message["successor"].(map[string]any); !ok || successor["email"] != "sam@example.com" {
			t.Errorf("successor %v", message["successor"])
		}
		if _, told := message["Attempt"]; told {
			t.Error("the attempt is our own matter")
		}
	}
	if rc.effects() != 1 {
		t.Errorf("%d effects", rc.effects())
	}

	w = webhookTo(t, "http://127.0.0.1:1", func(o *transfer.WebhookOptions) {
		o.Callback = func(context.Context, string) (string, error) { return "", errors.New("store is away") }
	})
	if _, err := w.Transfer(t.Context(), h); !transfer.IsTemporary(err) {
		t.Errorf("no call-back address: %v", err)
	}
}

func TestWebhookCarriesANewCredential(t *testing.T) {
	rc := &receiver{}
	var sink transfer.Sink = webhookTo(t, serve(t, rc))
	api := newDeployments()
	if _, err := newDeploymentKey(t, api, sink).Rotate(t.Context(), deploymentRotation()); err != nil {
		t.Fatal(err)
	}
	if id, message := rc.last(); message["secret"] != api.minted()[0].Key.Reveal() || id != "rotation-3/publish" {
		t.Errorf("published %v as %s", message, id)
	}
	echo := webhookTo(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusConflict)
		_ = json.NewEncoder(w).Encode(map[string]string{"state": "failed", "detail": "cannot store " + string(body)})
	})))
	err := echo.Publish(t.Context(), transfer.Publication{Key: "k", Value: "server-very-secret"})
	if err == nil || transfer.IsTemporary(err) || strings.Contains(err.Error(), "server-very-secret") {
		t.Errorf("got %v", err)
	}
	slow := webhookTo(t, serve(t, answer(http.StatusAccepted, "")))
	if err := slow.Publish(t.Context(), transfer.Publication{Key: "k", Value: "v"}); !transfer.IsTemporary(err) {
		t.Errorf("a key that is only on its way: %v, want a temporary error", err)
	}
	if err := slow.Publish(t.Context(), transfer.Publication{Value: "v"}); !errors.Is(err, transfer.ErrNoKey) {
		t.Errorf("got %v", err)
	}
}

func answer(status int, body string, headers ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

func TestWebhookAnswers(t *testing.T) {
	long := strings.Repeat("x", 65<<10)
	for _, tc := range []struct {
		name    string
		handler http.Handler
		attempt int

		state     transfer.State // wanted; empty: an error
		reference string
		temporary bool
		after     time.Duration
		says      string
	}{
		{name: "done", handler: answer(200, `{"state":"done","reference":"T-1"}`), state: transfer.StateDone, reference: "T-1"},
		{name: "accepted", handler: answer(200, `{"state":"accepted"}`), state: transfer.StateAccepted},
		{name: "202 without a body is accepted", handler: answer(202, ""), state: transfer.StateAccepted},
		{name: "202 is accepted whatever the body says", handler: answer(202, `{"state":"done","reference":"T-2"}`), state: transfer.StateAccepted, reference: "T-2"},
		{name: "a long reference is cut", handler: answer(200, `{"state":"done","reference":"`+strings.Repeat("r", 300)+`"}`), state: transfer.StateDone, reference: strings.Repeat("r", 199) + "…"},
		{name: "control characters are taken out", handler: answer(200, `{"state":"done","reference":"a\u001b[2J\n\u202eb"}`), state: transfer.StateDone, reference: "a [2J b"},
		{name: "garbage may pass", handler: answer(200, "<html>"), temporary: true, says: "not a JSON object"},
		{name: "garbage at the third attempt is final", handler: answer(200, "<html>"), attempt: 3, says: "not a JSON object"},
		{name: "an answer without state", handler: answer(200, `{"ok":true}`), attempt: 3, says: "neither"},
		{name: "a list", handler: answer(200, `[]`), attempt: 3, says: "not a JSON object"},
		{name: "null", handler: answer(200, `null`), attempt: 3, says: "neither"},
		{name: "two answers in one", handler: answer(200, `{"state":"done"}{"state":"done"}`), attempt: 3, says: "more than one"},
		{name: "a person is not for a hook to ask", handler: answer(200, `{"state":"needs_person"}`), attempt: 3, says: "gives work to people"},
		{name: "nothing", handler: answer(204, ""), attempt: 3, says: "empty"},
		{name: "65 KiB", handler: answer(200, `{"state":"done","detail":"`+long+`"}`), attempt: 3, says: "longer than 64 KiB"},
		{name: "a refusal tells why, without people and places", handler: answer(422, `{"detail":"jo@example.com is not at https://tracker.example.com/x"}`), says: "refused with 422: [address] is not at [url]"},
		{name: "a refusal in HTML tells the status", handler: answer(404, "<html>"), says: "refused with 404"},
		{name: "408 is later", handler: answer(408, ""), temporary: true, says: "408"},
		{name: "425 is later", handler: answer(425, ""), temporary: true, says: "425"},
		{name: "429 says when", handler: answer(429, "", "Retry-After", "90"), temporary: true, after: 90 * time.Second, says: "429"},
		{name: "503 says until when", handler: answer(503, "", "Retry-After", noon().Add(time.Minute).Format(http.TimeFormat)), temporary: true, after: time.Minute, says: "503"},
		{name: "nobody waits for more than an hour", handler: answer(503, "", "Retry-After", "99999999999"), temporary: true, after: time.Hour, says: "503"},
		{name: "a negative wait is none", handler: answer(503, "", "Retry-After", "-5"), temporary: true, says: "503"},
		{name: "500 is later", handler: answer(500, long), temporary: true, says: "500"},
		{name: "a redirect is not followed", handler: http.RedirectHandler("http://169.254.169.254/", http.StatusTemporaryRedirect), says: "redirect (307)"},
		{name: "a broken connection is later", handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), temporary: true, says: "cannot be reached"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := webhookTo(t, serve(t, tc.handler), func(o *transfer.WebhookOptions) { o.Now = noon })
			h := eventHandover()
			h.Attempt = tc.attempt
			r, err := w.Transfer(t.Context(), h)
			if tc.state != "" {
				if err != nil || r.State != tc.state || r.Reference != tc.reference || !r.At.Equal(noon()) {
					t.Fatalf("got %+v, %v", r, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("got %v, want something about %q", err, tc.says)
			}
			if transfer.IsTemporary(err) != tc.temporary || transfer.RetryAfter(err) != tc.after {
				t.Errorf("%v: temporary %v after %v", err, transfer.IsTemporary(err), transfer.RetryAfter(err))
			}
			transfertest.Anonymous(t, err)
		})
	}
}

func TestAHangingWebhookIsLeft(t *testing.T) {
	for name, begin := range map[string]func(http.ResponseWriter){
		"before the answer": func(http.ResponseWriter) {},
		"within the answer": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"state":`)
			w.(http.Flusher).Flush() // net/http's own writer
		},
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // only then does the server see that the caller has gone
				begin(w)
				<-r.Context().Done()
			}))
			w := webhookTo(t, url, func(o *transfer.WebhookOptions) { o.Timeout = 30 * time.Millisecond })
			_, err := w.Transfer(t.Context(), eventHandover())
			if !transfer.IsTemporary(err) || !strings.Contains(err.Error(), "did not answer within 30ms") {
				t.Errorf("got %v", err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			defer cancel()
			_, err = webhookTo(t, url).Transfer(ctx, eventHandover())
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "interrupted") {
				t.Errorf("got %v, want the caller's own deadline", err)
			}
		})
	}
}

func TestAWebhookIsRefusedWhereItIsDialled(t *testing.T) {
	reached := serve(t, answer(200, `{"state":"done"}`))
	port := reached[strings.LastIndex(reached, ":")+1:]
	for _, tc := range []struct {
		name, host string
		says       string
	}{
		{"the metadata address", "169.254.169.254", "link-local"},
		{"link-local of IPv6", "[fe80::1]", "link-local"},
		{"the metadata address as IPv6", "[::ffff:169.254.169.254]", "link-local"},
		{"the metadata address behind NAT64", "[64:ff9b::a9fe:a9fe]", "link-local"},
		{"nothing, which is this host", "0.0.0.0", "unspecified"},
		{"loopback", "127.0.0.1", "loopback"},
		{"loopback as IPv6", "[::ffff:127.0.0.1]", "loopback"},
		{"a name that resolves to loopback", "localhost", "loopback"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := webhookTo(t, "http://"+tc.host+":"+port+"/", func(o *transfer.WebhookOptions) { o.AllowLoopback, o.AllowPrivate = false, true })
			_, err := w.Transfer(t.Context(), eventHandover())
			if !errors.Is(err, transfer.ErrRefusedAddress) || transfer.IsTemporary(err) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want a refusal about %q", err, tc.says)
			}
			transfertest.Anonymous(t, err)
		})
	}
}

func TestWebhookOptionsAreChecked(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*transfer.WebhookOptions)
	}{
		{"no name", func(o *transfer.WebhookOptions) { o.Name = "" }},
		{"no URL", func(o *transfer.WebhookOptions) { o.URL = "" }},
		{"a URL that is none", func(o *transfer.WebhookOptions) { o.URL = "https://%zz" }},
		{"another scheme", func(o *transfer.WebhookOptions) { o.URL = "file:///etc/passwd" }},
		{"plain http to the world", func(o *transfer.WebhookOptions) { o.URL = "http://hooks.example.com/" }},
		{"a password in the URL", func(o *transfer.WebhookOptions) { o.URL = "https://u:p@hooks.example.com/" }},
		{"no secret", func(o *transfer.WebhookOptions) { o.Secrets = nil }},
		{"a secret that is not base64", func(o *transfer.WebhookOptions) { o.Secrets[0] = "whsec_%" }},
		{"a short secret", func(o *transfer.WebhookOptions) {
			o.Secrets[0] = transfer.Secret("whsec_" + base64.StdEncoding.EncodeToString([]byte("short")))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := transfer.WebhookOptions{Name: "tickets", URL: "https://hooks.example.com/", Secrets: []transfer.Secret{signing}}
			if _, err := transfer.NewWebhook(o); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			tc.change(&o)
			_, err := transfer.NewWebhook(o)
			if err == nil {
				t.Fatal("taken")
			}
			for _, secret := range []string{"u:p", "short", "%zz"} {
				if strings.Contains(err.Error(), secret) && tc.name != "a short secret" {
					t.Errorf("%v tells the value", err)
				}
			}
		})
	}
}

func TestCallbacks(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		state      transfer.State
		says       string
	}{
		{name: "done", body: `{"state":"done","reference":"T-1","detail":"moved"}`, state: transfer.StateDone},
		{name: "still at it", body: `{"state":"accepted"}`, state: transfer.StateAccepted},
		{name: "failed is final and says why", body: `{"state":"failed","detail":"no such board"}`, says: "no such board"},
		{name: "nothing", body: ``, says: "empty"},
		{name: "garbage", body: `state=done`, says: "not a JSON object"},
		{name: "a state of its own", body: `{"state":"finished"}`, says: "neither"},
		{name: "twice in one", body: `{"state":"done"} {"state":"failed"}`, says: "more than one"},
		{name: "65 KiB", body: strings.Repeat(" ", 65<<10), says: "longer than 64 KiB"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := transfer.ParseCallback("tickets", noon(), []byte(tc.body))
			if tc.state != "" {
				if err != nil || r.State != tc.state || r.By != "tickets" || !r.At.Equal(noon()) {
					t.Fatalf("got %+v, %v", r, err)
				}
				return
			}
			if err == nil || transfer.IsTemporary(err) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want a permanent error about %q", err, tc.says)
			}
		})
	}
}

func FuzzCallback(f *testing.F) {
	for _, seed := range []string{`{"state":"done"}`, `{"state":"failed","detail":"a@b c://d"}`, "\x00", `{"state":"done","reference":"\ud800"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := transfer.ParseCallback("tickets", noon(), body)
		if (err == nil) == (r.State == "") {
			t.Errorf("receipt %+v with %v", r, err)
		}
		if n := len([]rune(r.Detail)) + len([]rune(r.Reference)); n > 600 {
			t.Errorf("%d characters were kept", n)
		}
	})
}
