package runner_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/runner"
	"offramp/transfer"
)

// webhookThat is a real webhook whose other side behaves as answer says; call counts from 1.
func webhookThat(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, call int)) transfer.Rotator {
	t.Helper()
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answer(w, r, int(calls.Add(1)))
	}))
	t.Cleanup(server.Close)
	hook, err := transfer.NewWebhook(transfer.WebhookOptions{
		Name: "keys", URL: server.URL, Secrets: []transfer.Secret{"whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}, AllowLoopback: true,
		Rotates: []transfer.CredentialKind{transfer.CredentialWarehouse}, Timeout: 300 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return hook
}

// jump lets time pass in large steps, for waits of hours.
func (v *vault) jump(most, step time.Duration, done func() bool) {
	v.t.Helper()
	for end := v.clock.now().Add(most); v.clock.now().Before(end); v.clock.move(step) {
		if _, err := v.store.Due(v.t.Context(), 100, 100); err != nil {
			v.t.Fatal(err)
		}
		v.run(time.Hour, func() bool { return true })
		v.rotations()
		v.run(time.Hour, func() bool { return true })
		if done() {
			return
		}
	}
	v.show()
	v.t.Fatalf("not done after %s", most)
}

func TestARotationHookThatAnswersBadlyIsToldAndGotAround(t *testing.T) {
	t.Parallel()
	done := `{"state":"done","reference":"T-1"}`
	say := func(text string) func(http.ResponseWriter, *http.Request, int) {
		return func(w http.ResponseWriter, _ *http.Request, _ int) { _, _ = io.WriteString(w, text) }
	}
	for name, tc := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request, call int)
		says   []string
		person bool // it ends as a task
	}{
		"it hangs once": {func(w http.ResponseWriter, r *http.Request, call int) {
			if call == 1 {
				<-r.Context().Done()
				return
			}
			_, _ = io.WriteString(w, done)
		}, []string{"could not replace bigquery: keys: rotate: the hook did not answer within 300ms; it will be tried again", "replaced: done by keys"}, false},
		"it answers garbage":        {say("minted!"), []string{"it will be tried again", "bigquery is left to a person: keys: rotate: nonsensical answer"}, true},
		"it answers 65 KiB":         {say(`{"state":"done","detail":"` + strings.Repeat("x", 65<<10) + `"}`), []string{"longer than 64 KiB"}, true},
		"it answers twice":          {say(done + "\n" + done), []string{"bigquery is left to a person: keys: rotate: nonsensical answer"}, true},
		"it claims success falsely": {say(done), []string{"this is the hook's word, nothing can read it back"}, false},
		"it redirects": {func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("Location", "/x")
			w.WriteHeader(302)
		}, []string{"answered with a redirect (302)"}, true},
		"it refuses": {func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.WriteHeader(422)
			_, _ = io.WriteString(w, `{"detail":"no such user"}`)
		}, []string{"is left to a person: keys: rotate: the hook refused with 422: no such user"}, true},
		"it is down for more than a day":  {func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(503) }, []string{"the hook answered 503; it will be tried again", "is left to a person: it is due, and keys still fails"}, true},
		"it accepts and never comes back": {say(`{"state":"accepted"}`), []string{"about to replace bigquery through keys"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVaultWith(t, setup{}, webhookThat(t, tc.answer))
			v.known = []runner.Credential{v.credential("bigquery", transfer.CredentialWarehouse, "bq")}
			v.person("leaver", leaver)
			v.deactivate()
			id := v.caseOf(leaver).Case.ID
			switch {
			case tc.person:
				v.jump(40*time.Hour, 5*time.Minute, func() bool { return v.caseOf(leaver).Case.Waiting == offboard.WaitTask })
				if !v.seated() {
					t.Error("removed before the credential was replaced")
				}
				v.attest(v.only("bigquery"), "kim@example.com")
			case strings.HasPrefix(name, "it accepts"):
				v.until(offboard.StateWaiting, offboard.WaitHook)
				v.jump(3*time.Hour, 5*time.Minute, func() bool { return v.clock.now().Hour() >= 11 })
				if !v.seated() || v.only("bigquery").Rotation.State != offboard.RotationOpen {
					t.Error("accepted counted as done")
				}
				v.mustSay(id, tc.says[0])
				return
			}
			f := v.closed(leaver)
			if f.Case.Outcome != offboard.OutcomeRemoved {
				t.Errorf("outcome %s", f.Case.Outcome)
			}
			for _, text := range tc.says {
				v.mustSay(id, text)
			}
		})
	}
}

func TestALateCallBackCountsOnceAndOnlyWhileItIsAwaited(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		v := newVault(t, s)
		var secrets []string
		v.hook.onRotate = func(ctx context.Context, _ int) (transfer.Receipt, error) {
			secrets = append(secrets, runner.CallbackSecret(ctx))
			return transfer.Receipt{State: transfer.StateAccepted, By: "keys"}, nil
		}
		v.known = []runner.Credential{v.credential("bigquery", transfer.CredentialWarehouse, "bq")}
		v.person("leaver", leaver)
		v.deactivate()
		v.until(offboard.StateWaiting, offboard.WaitHook)
		answer := func(secret string) error {
			return v.store.Receive(t.Context(), secret, func(f offboard.File, key string) (offboard.Update, error) {
				return runner.Answer(f, key, transfer.Receipt{State: transfer.StateDone, By: "keys", Reference: "T-9"}), nil
			})
		}
		v.jump(time.Hour, 5*time.Minute, func() bool { return len(secrets) == 2 }) // asked again: each attempt has its own
		if err := answer(secrets[0]); err != nil {
			t.Fatal(err)
		}
		if err := answer(secrets[0]); !errors.Is(err, offboard.ErrNotFound) {
			t.Errorf("used again: %v", err)
		}
		f := v.closed(leaver)
		if err := answer(secrets[1]); !errors.Is(err, offboard.ErrNotFound) {
			t.Errorf("after it was settled: %v", err)
		}
		if r := v.only("bigquery").Rotation; r.State != offboard.RotationMinted || !strings.Contains(r.How, "reference T-9") {
			v.show()
			t.Errorf("%+v", r)
		}
		v.mustSay(f.Case.ID, "bigquery: done by keys, reference T-9")
		v.mustSay(f.Case.ID, "a hook answered again about bigquery; nothing was taken from it")
		v.mustSay(f.Case.ID, "a hook answered too late about bigquery; nothing was taken from it")
	})
}

func TestAHookThatFailsLaterLeavesItToAPerson(t *testing.T) {
	t.Parallel()
	v := newVault(t, setup{})
	secret := ""
	v.hook.onRotate = func(ctx context.Context, _ int) (transfer.Receipt, error) {
		secret = runner.CallbackSecret(ctx)
		return transfer.Receipt{State: transfer.StateAccepted, By: "keys"}, nil
	}
	v.known = []runner.Credential{v.credential("bigquery", transfer.CredentialWarehouse, "bq")}
	v.person("leaver", leaver)
	v.deactivate()
	f := v.until(offboard.StateWaiting, offboard.WaitHook)
	err := v.store.Receive(t.Context(), secret, func(f offboard.File, key string) (offboard.Update, error) {
		return runner.Failed(f, key, "the vault is sealed"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	v.until(offboard.StateWaiting, offboard.WaitTask)
	v.mustSay(f.Case.ID, "a hook could not do bigquery: the vault is sealed")
	v.attest(v.only("bigquery"), "kim@example.com")
	if f := v.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved {
		t.Errorf("outcome %s", f.Case.Outcome)
	}
}

func TestARetirementThatFailsIsRepeated(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		v := newVault(t, s)
		v.hook.onRetire = func(call int) (transfer.Receipt, error) {
			if call < 4 {
				return transfer.Receipt{}, &transfer.Error{Hook: "keys", Op: "retire", Retry: true, Detail: "the vault is away"}
			}
			return v.hook.done("ended")
		}
		v.known = []runner.Credential{v.credential("bigquery", transfer.CredentialWarehouse, "bq")}
		v.person("leaver", leaver)
		v.deactivate()
		f := v.closed(leaver)
		v.pass(80*time.Hour, 30*time.Minute)
		r := v.only("bigquery").Rotation
		if r.State != offboard.RotationRetired || v.hook.ends != 4 || len(v.hook.retired) != 1 {
			v.show()
			t.Errorf("%+v after %d tries under %d keys", r, v.hook.ends, len(v.hook.retired))
		}
		v.mustSay(f.Case.ID, "could not end the old bigquery: keys: retire: the vault is away; it will be tried again")
		n := 0
		for _, e := range v.timeline(f.Case.ID) {
			if strings.Contains(e.Text, "the vault is away") {
				n++
			}
		}
		if n != 1 {
			t.Errorf("the same trouble is told %d times", n)
		}
	})
}
