package runner_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

// changes counts what was sent to Amplitude to change something.
func (w *world) changes() (n int) {
	for _, r := range w.fake.Requests(amplitudefake.RequestFilter{Surface: "scim"}) {
		if r.Method != http.MethodGet {
			n++
		}
	}
	return n
}

// TestAPauseHoldsOnEveryReplicaAtOnce stops outward changes while two processes
// work, also where attempts broke off and it is not known whether they removed
// somebody: not one change leaves after the word.
func TestAPauseHoldsOnEveryReplicaAtOnce(t *testing.T) {
	t.Parallel()
	const people = 50
	for name, broken := range map[string]bool{"": false, "after attempts that broke off": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, setup{client: budgeted(60)}, func(w *world) {
				first := w.runner
				w.restart(nil)
				w.replica = first
				w.hire(people)
				if broken {
					w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultReset, Count: people, Match: amplitudefake.Match{Method: http.MethodDelete}})
				}
				w.dismiss(people)
				w.work(4, time.Hour, func() bool { return w.changes() > 0 })
				if err := w.store.Pause(w.t.Context(), "kim", "something is wrong"); err != nil {
					w.t.Fatal(err)
				}
				at, until := w.changes(), time.Now().Add(20*time.Minute)
				if at >= people && !broken {
					w.t.Fatal("nobody was left to stop")
				}
				w.work(4, time.Hour, func() bool { return time.Now().After(until) })
				if n := w.changes(); n != at {
					w.t.Errorf("%d changes were sent after the word", n-at)
				}
				for _, c := range w.all() {
					if c.Removed.IsZero() && c.Waiting != offboard.WaitPaused && c.Waiting != offboard.WaitRetry {
						w.t.Errorf("%s is %s %s: %s", c.Address, c.State, c.Waiting, c.Note)
					}
				}
				if err := w.store.Resume(w.t.Context(), "kim", "done"); err != nil {
					w.t.Fatal(err)
				}
				w.work(4, 120*time.Minute, func() bool { return w.live() == 0 })
				if n := w.removals(); n != people {
					w.t.Errorf("%d were removed", n)
				}
			})
		})
	}
}

// Hundreds that wait through a long pause look ever more seldom whether it is over,
// and the resume wakes them.
func TestALongPauseIsAskedAboutSeldom(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		const people = 12
		w := newWorld(t, s)
		w.hire(people)
		w.dismiss(people)
		if err := w.store.Pause(t.Context(), "kim", "something is wrong"); err != nil {
			t.Fatal(err)
		}
		until := w.clock.now().Add(10 * time.Minute) // they settle, are looked at, and reach what would change something
		w.run(time.Hour, func() bool { return w.clock.now().After(until) })
		for _, c := range w.all() {
			if c.Waiting != offboard.WaitPaused {
				t.Errorf("%s is %s %s: %s", c.Address, c.State, c.Waiting, c.Note)
			}
		}
		before := w.looked
		until = until.Add(2 * time.Hour)
		w.run(3*time.Hour, func() bool { return w.clock.now().After(until) })
		if each := float64(w.looked-before) / people; each > 25 || each < 20 { // every five minutes
			t.Errorf("in two hours %.1f looks at each case", each)
		}
		if err := w.store.Resume(t.Context(), "kim", "done"); err != nil {
			t.Fatal(err)
		}
		soon := w.clock.now().Add(15 * time.Second)
		w.run(time.Minute, func() bool { return w.clock.now().After(soon) })
		if n := w.removals(); n != people {
			t.Errorf("%d were removed in the seconds after the resume", n)
		}
	})
}

// slow is a store that takes its time to record the intention to remove.
type slow struct {
	runner.Store
	meanwhile func()
}

func (s *slow) Intend(ctx context.Context, f offboard.Fence, in offboard.Intent, guard func(offboard.File) offboard.Permission) (offboard.Effect, offboard.Permission, error) {
	if in.Step == offboard.StepRemove {
		s.meanwhile()
	}
	return s.Store.Intend(ctx, f, in, guard)
}

func TestAPauseThatComesWhileTheRecordIsSlowIsObeyed(t *testing.T) {
	t.Parallel()
	for name, reason := range map[string]string{"a leaver": "", "an incident": "security_incident"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				st, paused := &slow{}, false
				s.opts = func(o *runner.Options) { st.Store, o.Store = o.Store, st }
				w := newWorld(t, s)
				st.meanwhile = func() {
					if !paused {
						paused = true
						w.clock.move(15 * time.Second) // the database was away
						if err := w.store.Pause(t.Context(), "kim", "stop"); err != nil {
							t.Error(err)
						}
					}
				}
				w.person("leaver", leaver)
				w.change("leaver", func(p offboard.Person) offboard.Person {
					p.Claims.LeaveReason, p.Active = reason, false
					return p
				})
				f := w.until(offboard.StateWaiting, offboard.WaitPaused)
				if n := w.changes(); n != 0 || w.says(f.Case.ID, "about to remove") || f.Case.Note != "paused by kim: stop" {
					w.show()
					t.Errorf("%d changes were sent under a pause; the case says %q", n, f.Case.Note)
				}
				if err := w.store.Resume(t.Context(), "kim", "it was nothing"); err != nil {
					t.Fatal(err)
				}
				if f := w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved || w.removals() != 1 {
					w.show()
					t.Errorf("%s after %d removals", f.Case.Outcome, w.removals())
				}
			})
		})
	}
}

// after is a transport that does something once a request was answered.
type after struct {
	next http.RoundTripper
	do   func(*http.Request)
}

func (a *after) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := a.next.RoundTrip(r)
	a.do(r)
	return res, err
}

// A replacement of a deployment key is several requests: after the word not
// one more is sent, and after the pause it goes on where it stood.
func TestAPauseStopsAReplacementBetweenItsRequests(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		var v *vault
		paused := false
		s.client = func(w *world, o *amplitude.Options) {
			o.Transport = &after{next: o.Transport, do: func(r *http.Request) {
				if r.Method == http.MethodPost && !paused {
					paused = true
					if err := v.store.Pause(t.Context(), "kim", "stop"); err != nil {
						t.Error(err)
					}
				}
			}}
		}
		v = newVault(t, s)
		v.known = []runner.Credential{v.deployment()}
		v.person("leaver", leaver)
		v.deactivate()
		v.run(time.Hour, func() bool { return paused })
		v.pass(time.Hour, 10*time.Second)
		if n := len(v.fake.Requests(amplitudefake.RequestFilter{Effect: true})); n != 1 || len(v.sink.values) != 0 {
			v.show()
			t.Errorf("%d changes, %d values published, want only the one before the word", n, len(v.sink.values))
		}
		if r := v.only("web").Rotation; r.State != offboard.RotationOpen || r.Note != "paused by kim: stop" || r.Attempts != 0 {
			t.Errorf("the rotation is %s, %q, %d attempts", r.State, r.Note, r.Attempts)
		}
		if err := v.store.Resume(t.Context(), "kim", "it was nothing"); err != nil {
			t.Fatal(err)
		}
		f := v.closed(leaver)
		if created, _ := v.deployments(); created != 1 || f.Case.Outcome != offboard.OutcomeRemoved || v.only("web").Rotation.State != offboard.RotationMinted {
			v.show()
			t.Errorf("%s, %d deployments made, rotation %s", f.Case.Outcome, created, v.only("web").Rotation.State)
		}
	})
}

func TestAnIncidentGoesOnInTheMomentInWhichAPauseEnds(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		w.person("leaver", leaver)
		if err := w.store.Pause(t.Context(), "kim", "audit"); err != nil {
			t.Fatal(err)
		}
		_, err := w.store.Reconsider(t.Context(), "leaver", func(p offboard.Person, prior offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error) {
			return offboard.OpenBy(p, prior, offboard.Order{Reason: offboard.SecurityIncident, By: "kim"}, w.rules(), w.clock.now())
		})
		if err != nil {
			t.Fatal(err)
		}
		w.until(offboard.StateWaiting, offboard.WaitPaused)
		if n, err := w.store.Due(t.Context(), 10, 10); err != nil || n != 0 {
			t.Fatalf("%d are due before the pause ends: %v", n, err)
		}
		if err := w.store.Resume(t.Context(), "kim", "done"); err != nil {
			t.Fatal(err)
		}
		if n, err := w.store.Due(t.Context(), 10, 10); err != nil || n != 1 {
			t.Fatalf("%d are due, and no time has passed: %v", n, err)
		}
		if f := w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved {
			t.Errorf("outcome %s", f.Case.Outcome)
		}
	})
}
