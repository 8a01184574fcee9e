package runner_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

// alias gives the leaver another address at the identity provider.
func (w *world) alias(address string) {
	w.t.Helper()
	w.change("leaver", func(p offboard.Person) offboard.Person {
		p.Emails = []offboard.Email{{Value: address, Primary: true}}
		return p
	})
}

// stopped runs until the incident of the last admin stands still, and wants
// nobody removed.
func (w *world) stopped(id string) offboard.File {
	w.t.Helper()
	w.after(5 * time.Minute)
	f, err := w.store.Case(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	if f.Case.State != offboard.StateNeedsAttention || !strings.Contains(f.Case.Note, "the last admin of acme") || w.removals() > 0 {
		w.show()
		w.t.Errorf("state %s, note %q, admins left: %v", f.Case.State, f.Case.Note, w.admins())
	}
	return f
}

func TestASecondAddressDoesNotDisarmTheGuardOfAnIncident(t *testing.T) {
	t.Parallel()
	for story, seats := range map[string][]string{
		"which has no seat":                 {leaver},
		"which has a seat, an admin's too":  {leaver, "jo.smith@example.com"},
		"which alone has the seat of admin": {"jo.smith@example.com"},
	} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{})
			w.lax()
			for _, address := range seats {
				w.seat(address, amplitudefake.RoleAdmin)
			}
			w.directoryOnly("leaver", leaver)
			w.alias("jo.smith@example.com")
			w.human(amplitudefake.Action{Do: "change_role", Email: "root@example.com", Role: amplitudefake.RoleMember})
			w.stopped(w.incident("leaver").Case.ID)
		})
	}
}

// A reading that ordinary cases made says nothing about now.
func TestAnIncidentAsksWhoIsAnAdminNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.lax()
	w.seat(leaver, amplitudefake.RoleAdmin)
	w.directoryOnly("leaver", leaver)
	w.person("else", "else@example.com")
	w.leave("else")
	w.run(time.Hour, func() bool { return w.removals() == 1 })
	w.human(amplitudefake.Action{Do: "change_role", Email: "root@example.com", Role: amplitudefake.RoleMember})
	w.after(30 * time.Second)
	f := w.incident("leaver")
	w.after(time.Minute)
	if !w.seated() || !strings.Contains(w.caseOf(leaver).Case.Note, "the last admin of acme") {
		w.show()
		t.Errorf("case %s removed the last admin: %v are left", f.Case.ID, w.admins())
	}
}

// silence is a User Management API that does not answer.
func (w *world) silence() {
	w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultHang, Delay: amplitudefake.Span(time.Minute), Match: amplitudefake.Match{PathPrefix: "/user-management/"}})
}

func TestAnIncidentWaitsTwoSecondsForTheAdminsAndSaysWhatItDidNotSee(t *testing.T) {
	t.Parallel()
	for story, c := range map[string]struct {
		before bool // somebody left twenty minutes ago, so that there is a reading
		alone  bool // the leaver was the last admin then
		says   string
	}{
		"nothing was ever read":           {says: "acme: who administers its projects (no answer within 2s)"},
		"they were replaceable when read": {before: true, says: "acme: who administers its projects now: the last reading is 20m2s old (no answer within 2s)"},
		"they were the last one":          {before: true, alone: true},
	} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{bubble: true})
				w.lax()
				w.seat(leaver, amplitudefake.RoleAdmin)
				w.directoryOnly("leaver", leaver)
				if c.alone {
					w.human(amplitudefake.Action{Do: "change_role", Email: "root@example.com", Role: amplitudefake.RoleMember})
				}
				if c.before {
					w.person("else", "else@example.com")
					w.leave("else")
					w.run(time.Hour, func() bool { return w.removals() == 1 })
					read := w.fake.PersonState("else@example.com").Removals[0].At
					time.Sleep(time.Until(read.Add(20 * time.Minute)))
				}
				w.silence()
				f := w.incident("leaver")
				began := time.Now()
				if err := w.runner.Advance(t.Context(), f.Case.ID); err != nil {
					t.Fatal(err)
				}
				f = w.caseOf(leaver)
				if c.alone {
					if f.Case.State != offboard.StateNeedsAttention || !strings.Contains(f.Case.Note, "the last admin of acme") || !w.seated() {
						w.show()
						t.Errorf("state %s, note %q", f.Case.State, f.Case.Note)
					}
					return
				}
				if w.seated() || !w.says(f.Case.ID, c.says) || w.says(f.Case.ID, "not the only admin of anything") {
					w.show()
					t.Fatal("not removed, or what was not seen is not said")
				}
				if took := f.Effects[0].Intended.Sub(began); took > 2*time.Second {
					t.Errorf("the removal waited %s", took)
				}
			})
		})
	}
}

// Whether somebody has joined is asked by another API, which may be silent too.
func TestAnIncidentThatCannotSeeWhetherOthersHaveJoinedSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.seat(leaver, amplitudefake.RoleAdmin)
	w.directoryOnly("leaver", leaver)
	w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: 503, Match: amplitudefake.Match{Method: "GET", PathPrefix: "/scim/1/Users"}})
	f := w.incident("leaver")
	w.run(time.Minute, func() bool { return !w.seated() })
	if !w.says(f.Case.ID, "acme: whether the other admins have joined (") {
		w.show()
		t.Error("it is not said")
	}
}

// What was overridden is told as that.
func TestAnOverrideIsNotToldAsIfNobodyWereMissed(t *testing.T) {
	t.Parallel()
	w := onlyAdmin(t, setup{})
	w.lax()
	f := w.stopped(w.incident("leaver").Case.ID)
	w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Pass(f, "root@example.com", "stolen") })
	w.run(time.Hour, func() bool { return !w.seated() })
	if !w.says(f.Case.ID, "let pass by a person's word although the leaver is the last admin of acme") || w.says(f.Case.ID, "not the only admin") {
		w.show()
		t.Error("the record does not tell what was let pass")
	}
}

// elsewhere adds a second organization, with somebody who administers it.
func (w *world) elsewhere(name string, admins ...string) *amplitudefake.Fake {
	w.t.Helper()
	fake, err := amplitudefake.New(amplitudefake.Options{Seed: 2, RatePerMinute: -1, Now: w.clock.now, Switches: map[string]string{"audit_lag": "0s", "last_admin": "allow"}})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, who := range append([]string{"member@example.com"}, admins...) {
		role := amplitudefake.RoleMember
		if slices.Contains(admins, who) {
			role = amplitudefake.RoleAdmin
		}
		if err := fake.AddMember(amplitudefake.Member{Email: who, Role: role, LastLogin: w.clock.now()}); err != nil {
			w.t.Fatal(err)
		}
	}
	first := w.fake
	w.fake = fake
	org := runner.Organization{Name: name, Roles: true, Client: w.amplitude(func(_ *world, o *amplitude.Options) { o.Name = name })}
	for _, p := range fake.Credentials().Projects {
		org.Projects = append(org.Projects, runner.Project{ID: p.ID, Name: p.Name})
	}
	w.fake = first
	w.options.Organizations = append(w.options.Organizations, org)
	w.restart(nil)
	return fake
}

// Where somebody cannot be replaced keeps them only there.
func TestTheLastAdminOfOneOrganizationLeavesTheOthers(t *testing.T) {
	t.Parallel()
	for story, incident := range map[string]bool{"": false, "in an incident": true} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{})
			w.seat(leaver, amplitudefake.RoleAdmin)
			w.directoryOnly("leaver", leaver)
			second := w.elsewhere("globex", leaver)
			if incident {
				w.incident("leaver")
			} else {
				w.leave("leaver")
			}
			w.after(10 * time.Minute)
			f := w.caseOf(leaver)
			if w.seated() || len(second.PersonState(leaver).Members) != 1 || !strings.Contains(f.Case.Note, "the last admin of globex") {
				w.show()
				t.Fatalf("note %q", f.Case.Note)
			}
			if _, err := second.Human(amplitudefake.Action{Do: "change_role", Email: "member@example.com", Role: amplitudefake.RoleAdmin}); err != nil {
				t.Fatal(err)
			}
			if incident {
				w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Retry(f, "kim", "member@ is one now") })
			}
			if f = w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved || len(second.PersonState(leaver).Members) > 0 {
				w.show()
				t.Errorf("outcome %s", f.Case.Outcome)
			}
		})
	}
}
