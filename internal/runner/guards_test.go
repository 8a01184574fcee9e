package runner_test

import (
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

// onlyAdmin is a world in which the leaver is the last admin.
func onlyAdmin(t *testing.T, s setup) *world {
	t.Helper()
	w := newWorld(t, s)
	w.seat(leaver, amplitudefake.RoleAdmin)
	w.directoryOnly("leaver", leaver)
	w.human(amplitudefake.Action{Do: "change_role", Email: "root@example.com", Role: amplitudefake.RoleMember})
	return w
}

func TestTheLastAdminWaitsUntilThereIsAnother(t *testing.T) {
	t.Parallel()
	for name, hide := range map[string]string{"": "", "and Amplitude would let them go": "allow"} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				w := onlyAdmin(t, s)
				if hide != "" {
					if err := w.fake.SetSwitch("last_admin", hide); err != nil {
						t.Fatal(err)
					}
				}
				w.deactivate()
				f := w.until(offboard.StateWaiting, offboard.WaitTask)
				if !strings.Contains(f.Case.Note, "the last admin of acme") || !w.seated() {
					w.show()
					t.Fatalf("note %q", f.Case.Note)
				}
				w.clock.move(time.Hour)
				w.run(time.Hour, func() bool { return w.caseOf(leaver).Case.Waiting == offboard.WaitTask })
				if !w.seated() {
					t.Fatal("removed although nobody replaces them")
				}
				w.human(amplitudefake.Action{Do: "change_role", Email: "root@example.com", Role: amplitudefake.RoleAdmin})
				if f = w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved || w.seated() {
					w.show()
					t.Errorf("outcome %s", f.Case.Outcome)
				}
			})
		})
	}
}

func TestAnAdminOverridesTheGuardOfAnIncident(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := onlyAdmin(t, s)
		if err := w.fake.SetSwitch("last_admin", "allow"); err != nil {
			t.Fatal(err)
		}
		w.change("leaver", func(p offboard.Person) offboard.Person {
			p.Claims.LeaveReason, p.Active = "security_incident", false
			return p
		})
		f := w.until(offboard.StateNeedsAttention, offboard.WaitNothing)
		if !strings.Contains(f.Case.Note, "--override") || !w.seated() {
			w.show()
			t.Fatalf("note %q", f.Case.Note)
		}
		if _, err := offboard.Pass(f, "root@example.com", " "); err == nil {
			t.Error("an override without a reason")
		}
		w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
			return offboard.Pass(f, "root@example.com", "the laptop is stolen")
		})
		if f = w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved || !w.says(f.Case.ID, "let the case pass the guards") {
			w.show()
			t.Errorf("outcome %s", f.Case.Outcome)
		}
	})
}

func TestWhatTheGuardsCannotSeeIsSaidAndThePolicyDecides(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opts func(*runner.Options)
		hide func(*world)
		says string
	}{
		"no owner of the developer token": {
			opts: func(o *runner.Options) { o.Organizations[0].Token = true }, says: "acme: protect.developer_token does not say who made its developer_token",
		},
		"no key":       {opts: func(o *runner.Options) { o.Organizations[0].Roles = false }, says: "acme: no key and secret of the organization"},
		"not enrolled": {hide: func(w *world) { _ = w.fake.SetSwitch("enrolled", "false") }, says: "acme: not enrolled in the User Management API"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, ask := range []bool{false, true} {
				w := newWorld(t, setup{opts: c.opts})
				if c.hide != nil {
					c.hide(w)
				}
				if ask {
					w.policy.Unseen = offboard.UnseenAsk
				}
				w.person("leaver", leaver)
				w.deactivate()
				if ask {
					f := w.until(offboard.StateNeedsAttention, offboard.WaitNothing)
					if !strings.Contains(f.Case.Note, c.says) || !w.seated() {
						w.show()
						t.Errorf("note %q", f.Case.Note)
					}
					w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
						return offboard.Retry(f, "sam@example.com", "looked: they are no admin")
					})
				}
				f := w.closed(leaver)
				if f.Case.Outcome != offboard.OutcomeRemoved || !ask && !w.says(f.Case.ID, "should be guarded was seen: "+c.says) {
					w.show()
					t.Errorf("ask %v: outcome %s", ask, f.Case.Outcome)
				}
			}
		})
	}
}

// The configured list of admins stands in for what cannot be seen.
func TestTheConfiguredAdminsAreASecondSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{opts: func(o *runner.Options) { o.Organizations[0].Roles, o.Admins = false, []string{leaver} }})
	w.person("leaver", leaver)
	w.deactivate()
	f := w.until(offboard.StateWaiting, offboard.WaitTask)
	if !strings.Contains(f.Case.Note, "protect.admins") || !w.seated() {
		t.Errorf("note %q", f.Case.Note)
	}
}

// Removing whoever made Offramp's developer token would end what Offramp reads.
func TestWhoMadeOfframpsTokenWaitsUntilThereIsAnother(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		s.opts = func(o *runner.Options) { o.Organizations[0].Token, o.TokenOwners = true, []string{"Jo@Example.com"} }
		w := newWorld(t, s)
		w.person("leaver", leaver)
		w.deactivate()
		f := w.until(offboard.StateWaiting, offboard.WaitRetry)
		if !strings.Contains(f.Case.Note, "developer_token of acme was made in the leaver's name") || !w.seated() || w.removals() > 0 {
			w.show()
			t.Fatalf("note %q", f.Case.Note)
		}
		later := w.clock.now().Add(2 * time.Hour)
		w.run(3*time.Hour, func() bool { return w.clock.now().After(later) })
		if !w.seated() {
			t.Fatal("removed although the token is still theirs")
		}
		w.restart(func(o *runner.Options) { o.Organizations[0].Token, o.TokenOwners = true, []string{"other@example.com"} })
		if f = w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved {
			w.show()
			t.Errorf("outcome %s", f.Case.Outcome)
		}
	})
}

// An incident does not wait for the sake of what Offramp would like to read.
func TestAnIncidentRemovesWhoMadeOfframpsToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{opts: func(o *runner.Options) { o.Organizations[0].Token, o.TokenOwners = true, []string{leaver} }})
	w.person("leaver", leaver)
	f := w.incident("leaver")
	w.run(time.Minute, func() bool { return !w.seated() })
	if w.seated() || !w.says(f.Case.ID, "developer_token of acme was made in the leaver's name") {
		w.show()
		t.Error("not removed, or not said")
	}
}
