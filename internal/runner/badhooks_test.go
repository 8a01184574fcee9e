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

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
	"offramp/transfer"
)

// hooked is a world in which somebody's webhook hands cohorts over, and a leaver
// who owns one, with a manager.
func hooked(t *testing.T, s setup, answer http.HandlerFunc, change ...func(*transfer.WebhookOptions)) *world {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	also := s.opts
	s.opts = func(o *runner.Options) {
		if also != nil {
			also(o)
		}
		hook := transfer.WebhookOptions{
			Name: "ops", URL: server.URL, Secrets: []transfer.Secret{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
			Handles: []transfer.AssetKind{transfer.AssetCohort}, Timeout: 50 * time.Millisecond, AllowLoopback: true, AllowPrivate: true, Now: o.Now,
		}
		for _, f := range change {
			f(&hook)
		}
		webhook, err := transfer.NewWebhook(hook)
		if err != nil {
			t.Fatal(err)
		}
		o.Transferrers = append([]transfer.Transferrer{webhook}, o.Transferrers...)
	}
	w := newWorld(t, s)
	w.person("kim", "kim@example.com")
	w.person("leaver", leaver)
	w.change("leaver", func(p offboard.Person) offboard.Person { p.Manager = "kim@example.com"; return p })
	_, err := w.fake.AddAsset(amplitudefake.Asset{
		Kind: amplitudefake.KindCohort, Name: "Buyers", Project: w.fake.Credentials().Projects[0].ID, Owners: []string{leaver},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// says reports whether a sentence stands on a case's timeline.
func (w *world) says(caseID, text string) bool {
	w.t.Helper()
	return w.count(caseID, text) > 0
}

func reply(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// A hook that does not do its part leaves a sentence and its work to a person;
// the removal waits for that.
func TestAHookThatMisbehavesLeavesASentenceAndATask(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		change func(*transfer.WebhookOptions)
		says   string
	}{
		"garbage":     {answer: reply(200, "<html>"), says: "not a JSON object"},
		"65 KiB":      {answer: reply(200, `{"state":"done","detail":"`+strings.Repeat("x", 65<<10)+`"}`), says: "longer than 64 KiB"},
		"a refusal":   {answer: reply(422, `{"detail":"no such cohort"}`), says: "refused with 422: no such cohort"},
		"a redirect":  {answer: http.RedirectHandler("http://169.254.169.254/", http.StatusTemporaryRedirect).ServeHTTP, says: "redirect (307)"},
		"an accuser":  {answer: reply(200, `{"state":"needs_person"}`), says: "gives work to people"},
		"link-local":  {answer: reply(200, `{"state":"done"}`), change: func(o *transfer.WebhookOptions) { o.URL = "http://169.254.169.254/latest" }, says: "link-local"},
		"no loopback": {answer: reply(200, `{"state":"done"}`), change: func(o *transfer.WebhookOptions) { o.AllowLoopback = false }, says: "loopback"},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				w := hooked(t, s, c.answer, func(o *transfer.WebhookOptions) {
					if c.change != nil {
						c.change(o)
					}
				})
				w.deactivate()
				f := w.until(offboard.StateWaiting, offboard.WaitTask)
				if !w.says(f.Case.ID, c.says) {
					w.show()
					t.Errorf("the timeline does not say %q", c.says)
				}
				if task := f.Task("handover/content"); task == nil || !strings.Contains(task.Text, "Buyers") {
					t.Errorf("the cohort is in no task: %+v", f.Tasks)
				}
				if !w.seated() {
					t.Error("removed although the handover is not done")
				}
			})
		})
	}
}

// What may pass is tried again: a hook that is down for a day, or hangs for a
// while, is asked until it answers, and acts once.
func TestAHookThatIsAwayIsAskedUntilItIsBack(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]http.HandlerFunc{
		"down": reply(503, ""),
		"hanging": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				var back atomic.Bool
				var acted atomic.Int32
				w := hooked(t, s, func(rw http.ResponseWriter, r *http.Request) {
					if !back.Load() {
						away(rw, r)
						return
					}
					acted.Add(1)
					reply(200, `{"state":"done","reference":"OPS-1"}`)(rw, r)
				})
				w.policy.Trust = true
				began := w.clock.now()
				w.deactivate()
				day := 24 * time.Hour
				if name == "hanging" {
					day = 15 * time.Minute // each try takes real time
				}
				w.run(2*day, func() bool { return w.clock.now().Sub(began) > day })
				f := w.caseOf(leaver)
				if f.Case.State != offboard.StateWaiting || f.Case.Waiting != offboard.WaitRetry || !w.seated() {
					w.show()
					t.Fatalf("the case is %s %s", f.Case.State, f.Case.Waiting)
				}
				want := map[string]string{"down": "503", "hanging": "did not answer within 50ms"}[name]
				if !w.says(f.Case.ID, want) {
					w.show()
					t.Errorf("the timeline does not say %q", want)
				}
				back.Store(true)
				if f = w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved || acted.Load() != 1 {
					w.show()
					t.Errorf("outcome %s, the hook acted %d times", f.Case.Outcome, acted.Load())
				}
			})
		})
	}
}

// A hook's word that nothing can read back is a claim: a person looks, and a
// lie is found out before anything is taken away.
func TestAHookThatClaimsFalselyIsFoundOut(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := hooked(t, s, reply(200, `{"state":"done","reference":"OPS-1"}`))
		w.deactivate()
		f := w.until(offboard.StateWaiting, offboard.WaitTask)
		var check offboard.Task
		for _, task := range f.Tasks {
			if task.Kind == offboard.TaskCheck {
				check = task
			}
		}
		if check.ID == "" || !strings.Contains(check.Title, "Buyers") {
			t.Fatalf("nobody is asked to look: %+v", f.Tasks)
		}
		w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
			return offboard.DeclineTask(f, check.ID, "kim@example.com", "it still belongs to Jo", w.clock.now())
		})
		f = w.until(offboard.StateNeedsAttention, offboard.WaitNothing)
		if !w.says(f.Case.ID, "a hook's claim is not true: it still belongs to Jo") || !w.seated() {
			w.show()
			t.Error("the lie is not on the timeline, or the member was removed")
		}
	})
}

// An answer that comes again, or when nobody waits for it any more, changes
// nothing and leaves one sentence.
func TestAHookThatAnswersTwiceOrTooLateLeavesOneSentence(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		var secret string
		s.opts = func(o *runner.Options) { o.Callbacks = true }
		w := hooked(t, s, reply(202, ""), func(o *transfer.WebhookOptions) {
			o.Callback = func(ctx context.Context, _ string) (string, error) {
				secret = runner.CallbackSecret(ctx)
				return "https://offramp.example.com/hooks/" + secret, nil
			}
		})
		w.policy.Trust = true
		w.deactivate()
		f := w.until(offboard.StateWaiting, offboard.WaitHook)
		first := secret
		done := func(f offboard.File, key string) (offboard.Update, error) {
			return runner.Answer(f, key, transfer.Receipt{State: transfer.StateDone, By: "ops"}), nil
		}
		if err := w.store.Receive(t.Context(), first, done); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := w.store.Receive(t.Context(), first, done); !errors.Is(err, offboard.ErrNotFound) {
				t.Errorf("an answer that came again: %v", err)
			}
		}
		f = w.closed(leaver)
		if n := w.count(f.Case.ID, "a hook answered again about handover/cohort"); n != 1 || f.Case.Outcome != offboard.OutcomeRemoved {
			w.show()
			t.Errorf("%d sentences about the second answer, outcome %s", n, f.Case.Outcome)
		}
	})
}

func TestAHookThatAnswersAfterItsTimeLeavesOneSentence(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		var secret string
		s.opts = func(o *runner.Options) { o.Callbacks = true }
		w := hooked(t, s, reply(202, ""), func(o *transfer.WebhookOptions) {
			o.Callback = func(ctx context.Context, _ string) (string, error) {
				secret = runner.CallbackSecret(ctx)
				return "https://offramp.example.com/hooks/" + secret, nil
			}
		})
		w.deactivate()
		f := w.until(offboard.StateWaiting, offboard.WaitHook)
		first := secret
		w.clock.move(8 * 24 * time.Hour)
		for range 2 {
			err := w.store.Receive(t.Context(), first, func(f offboard.File, key string) (offboard.Update, error) {
				t.Error("a late answer was taken")
				return offboard.Update{}, nil
			})
			if !errors.Is(err, offboard.ErrNotFound) {
				t.Errorf("a late answer: %v", err)
			}
		}
		if n := w.count(f.Case.ID, "a hook answered too late about handover/cohort"); n != 1 || !w.seated() {
			w.show()
			t.Errorf("%d sentences about the late answer", n)
		}
	})
}

// count tells how often a sentence stands on a case's timeline.
func (w *world) count(caseID, text string) int {
	w.t.Helper()
	n := 0
	for _, e := range w.timeline(caseID) {
		if strings.Contains(e.Text, text) {
			n++
		}
	}
	return n
}
