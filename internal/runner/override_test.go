package runner_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

// passes lets time pass.
func (w *world) passes(d time.Duration) {
	w.t.Helper()
	end := w.clock.now().Add(d)
	w.run(d+time.Hour, func() bool { return !w.clock.now().Before(end) })
}

// TestARetryForAnotherReasonDoesNotAnswerWhatTheGuardsCannotSee retries a case
// that stopped because of a protected person.
func TestARetryForAnotherReasonDoesNotAnswerWhatTheGuardsCannotSee(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		s.opts = func(o *runner.Options) {
			o.Organizations[0].Roles = false
			o.Protected = func(p offboard.Person) string { return map[string]string{"CEO": "this person is protected"}[p.Title] }
		}
		w := newWorld(t, s)
		w.policy.Unseen = offboard.UnseenAsk
		w.person("leaver", leaver)
		w.change("leaver", func(p offboard.Person) offboard.Person { p.Title = "CEO"; return p })
		w.deactivate()
		f := w.until(offboard.StateNeedsAttention, offboard.WaitNothing)
		w.change("leaver", func(p offboard.Person) offboard.Person { p.Title = ""; return p })
		because := func(text string) {
			w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Retry(f, "sam@example.com", text) })
			w.passes(time.Minute)
		}
		because("not the CEO any more")
		if f = w.caseOf(leaver); f.Case.Guard != offboard.GuardUnseen || !w.seated() {
			w.show()
			t.Fatalf("guard %q, seat %v", f.Case.Guard, w.seated())
		}
		because("looked in Amplitude: they are no admin")
		if w.seated() {
			w.show()
			t.Error("not removed although the question was answered")
		}
	})
}

func TestAPlainRetryKeepsAnAdminsWord(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := onlyAdmin(t, s)
		w.policy.Unseen = offboard.UnseenAsk
		w.deactivate()
		f := w.until(offboard.StateWaiting, offboard.WaitTask)
		w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
			return offboard.Pass(f, "root@example.com", "the organization is closed anyway")
		})
		w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: 503, Match: amplitudefake.Match{PathPrefix: "/scim/"}})
		w.until(offboard.StateWaiting, offboard.WaitRetry)
		w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
			return offboard.Retry(f, "kim@example.com", "Amplitude should be back")
		})
		if o := w.caseOf(leaver).Case.Override; o != offboard.OverrideAll {
			t.Errorf("the admin's word became %q by an operator's retry", o)
		}
	})
}

func TestObserveTellsWhatTheGuardsWouldRefuse(t *testing.T) {
	t.Parallel()
	observe := func(o *runner.Options) { o.Observe = true }
	for says, tc := range map[string]struct {
		opts   func(*runner.Options)
		admins bool // there are others
		ask    bool
	}{
		"on the protected list": {admins: true, opts: func(o *runner.Options) {
			o.Protected = func(offboard.Person) string { return "this person is on the protected list" }
		}},
		"the last admin of acme": {},
		"no key and secret":      {admins: true, ask: true, opts: func(o *runner.Options) { o.Organizations[0].Roles = false }},
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			opts := observe
			if tc.opts != nil {
				opts = func(o *runner.Options) { observe(o); tc.opts(o) }
			}
			w := onlyAdmin(t, setup{opts: opts})
			if tc.admins {
				w.human(amplitudefake.Action{Do: "change_role", Email: "root@example.com", Role: amplitudefake.RoleAdmin})
			}
			if tc.ask {
				w.policy.Unseen = offboard.UnseenAsk
			}
			w.deactivate()
			f := w.closed(leaver)
			if f.Case.Outcome != offboard.OutcomeObserved || !strings.Contains(f.Case.Note, says) || strings.Contains(f.Case.Note, "remove the member") {
				w.show()
				t.Errorf("%s: %q", f.Case.Outcome, f.Case.Note)
			}
		})
	}
}

// TestObserveLooksOnlyWhereTheLeaverHasASeat has a second organization that
// cannot be seen.
func TestObserveLooksOnlyWhereTheLeaverHasASeat(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{opts: func(o *runner.Options) { o.Observe = true }})
	w.policy.Unseen = offboard.UnseenAsk
	w.person("leaver", leaver)
	w.elsewhere("globex")
	w.options.Organizations[1].Roles = false
	w.restart(nil)
	w.deactivate()
	if f := w.closed(leaver); !strings.Contains(f.Case.Note, "remove the member from acme") {
		w.show()
		t.Errorf("%s: %q", f.Case.Outcome, f.Case.Note)
	}
}

// TestAnIncidentLeavesAnAddressThatIsSomebodyElsesNow gives the leaver's second
// address to a new hire.
func TestAnIncidentLeavesAnAddressThatIsSomebodyElsesNow(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		const second = "jo.smith@example.com"
		w := newWorld(t, s)
		w.person("leaver", leaver)
		w.change("leaver", func(p offboard.Person) offboard.Person { p.Emails = []offboard.Email{{Value: second}}; return p })
		w.person("hire", second)
		w.incident("leaver")
		f := w.closed(leaver)
		if len(w.fake.PersonState(second).Members) != 1 || w.seated() || w.removals() != 1 {
			w.show()
			t.Errorf("the hire has %d seats, the leaver is there: %v", len(w.fake.PersonState(second).Members), w.seated())
		}
		if !w.says(f.Case.ID, "left alone: somebody else at the identity provider holds this address now") {
			w.show()
			t.Error("not told")
		}
	})
}

// Another address that the directory gives the leaver may be a colleague's of
// another connection: whoever is entitled by it keeps the seat, however long they
// have it.
func TestAnIncidentLeavesTheSeatOfAColleagueInAnotherConnection(t *testing.T) {
	t.Parallel()
	for story, active := range map[string]bool{"who is entitled": true, "who left, too": false} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				const second = "sam@example.com"
				w := newWorld(t, s)
				w.seat(second, amplitudefake.RoleMember)
				_, err := w.store.ChangePerson(t.Context(), offboard.PersonChange{
					Connection: "entra", Rules: w.rules(),
					Change: func(p offboard.Person) (offboard.Person, error) {
						p.ID, p.UserName, p.Address, p.Active, p.Resource = "sam", second, second, active, "{}"
						return p, nil
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				w.clock.move(time.Minute)
				w.person("leaver", leaver)
				w.alias(second)
				w.clock.move(time.Minute)
				w.incident("leaver")
				f := w.closed(leaver)
				stays := len(w.fake.PersonState(second).Members) == 1
				if w.seated() || stays != active || active != w.says(f.Case.ID, "left alone: somebody else at the identity provider holds this address now") {
					w.show()
					t.Errorf("the leaver is there: %v, the other: %v", w.seated(), stays)
				}
			})
		})
	}
}

// TestWhoComesBackWhileNobodyWorksIsNotRemoved kills the process between the
// record of the intention and the call, or after the call; until it is up again
// the person is entitled again.
func TestWhoComesBackWhileNobodyWorksIsNotRemoved(t *testing.T) {
	t.Parallel()
	for story, before := range map[string]bool{"before the call": true, "after the call": false} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				c := &cut{at: 1, before: before, world: func() *world { return nil }}
				s.client = func(w *world, o *amplitude.Options) { c.next = w.fake.Transport(); o.Transport = c }
				w := newWorld(t, s)
				w.person("leaver", leaver)
				w.deactivate()
				var ctx context.Context
				ctx, c.kill = context.WithCancel(t.Context())
				for ctx.Err() == nil {
					if id, ok := w.jobs.take(); ok {
						if err := w.runner.Advance(ctx, id); err != nil && ctx.Err() == nil {
							t.Fatal(err)
						}
						continue
					}
					w.clock.move(5 * time.Second)
					if _, err := w.store.Due(t.Context(), 10, 10); err != nil {
						t.Fatal(err)
					}
				}
				w.change("leaver", func(p offboard.Person) offboard.Person { p.Active = true; return p })
				w.restart(nil)
				f := w.closed(leaver)
				removals := map[bool]int{true: 0, false: 1}[before]
				if f.Case.Outcome != offboard.OutcomeRehired || w.removals() != removals || w.seated() != before {
					w.show()
					t.Errorf("outcome %s, %d removals, seat %v", f.Case.Outcome, w.removals(), w.seated())
				}
			})
		})
	}
}
