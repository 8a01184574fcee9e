package runner_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

const day = 24 * time.Hour

// turn sets a switch of the simulator.
func (w *world) turn(name, value string) {
	w.t.Helper()
	if err := w.fake.SetSwitch(name, value); err != nil {
		w.t.Fatal(err)
	}
}

// readLog reads the audit log as the engine would now.
func (w *world) readLog() {
	w.t.Helper()
	if err := w.runner.ReadActivity(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// calm ends all faults.
func (w *world) calm() {
	for _, f := range w.fake.Faults() {
		w.fake.RemoveFault(f.ID)
	}
}

func (w *world) logins(address string) offboard.Logins {
	w.t.Helper()
	l, err := w.store.Logins(w.t.Context(), "acme", address)
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

// member adds a seat whose last login was some time ago.
func (w *world) member(address string, ago time.Duration) {
	w.t.Helper()
	m := amplitudefake.Member{Email: address, GivenName: "Given " + address, FamilyName: "F", Role: amplitudefake.RoleMember}
	if ago >= 0 {
		m.LastLogin = w.clock.now().Add(-ago)
	}
	if err := w.fake.AddMember(m); err != nil {
		w.t.Fatal(err)
	}
}

// said reports whether a line of the case's timeline holds a text.
func (w *world) said(f offboard.File, text string) bool {
	w.t.Helper()
	for _, e := range w.timeline(f.Case.ID) {
		if strings.Contains(e.Text, text) {
			return true
		}
	}
	return false
}

func TestTheAuditLogIsReadForwardFromNinetyDaysBack(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"cursor", "truncate"} {
		t.Run(mode, func(t *testing.T) {
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				w := newWorld(t, s)
				w.turn("audit_mode", mode)
				w.turn("audit_lag", "60s")
				w.member("old@example.com", 89*day)
				w.member("kim@example.com", 45*day)
				w.readLog()
				first := w.clock.now()
				if l := w.logins("OLD@example.com"); !l.Activity.LastLogin.Equal(first.Add(-89*day)) || !l.Log.Knows(first.Add(-89*day), first) || !l.Log.To.Equal(first) {
					t.Errorf("first reading: %+v", l)
				}
				// An entry that is written only after the reading that should have had it.
				w.clock.move(9*time.Minute + 55*time.Second)
				w.human(amplitudefake.Action{Do: "login", Email: "kim@example.com"})
				at := w.clock.now()
				w.clock.move(5 * time.Second)
				w.readLog()
				if l := w.logins("kim@example.com"); !l.Activity.LastLogin.Equal(first.Add(-45 * day)) {
					t.Errorf("the simulator shows entries at once, %+v: this test proves nothing", l)
				}
				w.clock.move(10 * time.Minute)
				w.readLog()
				l := w.logins("kim@example.com")
				if !l.Activity.LastLogin.Equal(at) || !l.Activity.LastSeen.Equal(at) {
					t.Errorf("the late entry was missed: %+v", l.Activity)
				}
				if l.Log.From.After(first.Add(-89 * day)) {
					t.Errorf("known since %s", l.Log.From)
				}
				// Within the ten minutes nothing is asked.
				before := len(w.fake.Requests(amplitudefake.RequestFilter{Surface: "audit"}))
				w.readLog()
				if after := len(w.fake.Requests(amplitudefake.RequestFilter{Surface: "audit"})); after != before || before == 0 {
					t.Errorf("%d requests became %d", before, after)
				}
			})
		})
	}
}

func TestABusyAuditLogThatIsCutShortIsReadInParts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.turn("audit_mode", "truncate")
	for i := range 2500 {
		w.member(fmt.Sprintf("member%d@example.com", i), time.Duration(i)*30*time.Minute)
	}
	w.readLog()
	for i := range 2500 {
		if l := w.logins(fmt.Sprintf("member%d@example.com", i)); l.Activity.LastLogin.IsZero() {
			t.Fatalf("the login of member %d was not seen", i)
		}
	}
}

func TestAnAuditLogThatCannotBeReadIsNotKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: 503, Match: amplitudefake.Match{Surface: "audit"}})
	if err := w.runner.ReadActivity(t.Context()); err == nil {
		t.Fatal("the fault does not show")
	}
	if l := w.logins("other@example.com"); l.Log.Fresh(w.clock.now()) {
		t.Errorf("known: %+v", l)
	}
	w.calm()
	w.clock.move(10 * time.Minute)
	w.readLog()
	if l := w.logins("other@example.com"); !l.Log.Fresh(w.clock.now()) || l.Activity.LastLogin.IsZero() {
		t.Errorf("after the fault: %+v", l)
	}
	// What is not read any more is soon not known any more.
	w.clock.move(2 * time.Hour)
	if l := w.logins("other@example.com"); l.Log.Fresh(w.clock.now()) {
		t.Errorf("still fresh: %+v", l)
	}
}

func TestASuccessorWhoDoesNotLogInIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ago      time.Duration
		unread   bool
		noKey    bool
		refused  string
		login    string
		assignee string
	}{
		"logged in lately":       {ago: 5 * day, login: "logged in within 30 days, by the audit log", assignee: "kim@example.com"},
		"not for 31 days":        {ago: 31 * day, refused: "manager: has not logged in for 30 days: bulk transfer would fail"},
		"never":                  {ago: -1, refused: "manager: has not logged in for 30 days: bulk transfer would fail"},
		"the log was not read":   {ago: 31 * day, unread: true, login: "not known: no audit log is available for the last 30 days", assignee: "kim@example.com"},
		"there is no key for it": {ago: 31 * day, noKey: true, login: "not known: no audit log is available for the last 30 days", assignee: "kim@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{opts: func(o *runner.Options) { o.Organizations[0].Audit = !tc.noKey }})
			w.policy.Unlisted = offboard.UnlistedTask
			w.person("leaver", leaver)
			w.member("kim@example.com", tc.ago)
			w.directoryOnly("heir", "kim@example.com")
			w.change("leaver", func(p offboard.Person) offboard.Person { p.Manager = "heir"; return p })
			if !tc.unread {
				w.readLog()
			}
			w.deactivate()
			f := w.until(offboard.StateWaiting, offboard.WaitTask)
			result := string(f.Step(offboard.StepHandover).Result)
			if !strings.Contains(result, tc.refused) || !strings.Contains(result, tc.login) || f.Tasks[0].Assignee != tc.assignee {
				w.show()
				t.Errorf("result %s, task %+v", result, f.Tasks[0])
			}
		})
	}
}

func TestASeatThatNobodyUsedIsNotAskedAbout(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ago    time.Duration
		client func(*world, *amplitude.Options)
		unread bool
		task   bool
	}{
		"no login in 90 days":  {ago: -1},
		"a login 80 days ago":  {ago: 80 * day, task: true},
		"the log was not read": {ago: -1, unread: true, task: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{client: tc.client})
			w.policy.Unlisted = offboard.UnlistedByUse
			w.member(leaver, tc.ago)
			w.directoryOnly("leaver", leaver)
			if !tc.unread {
				w.readLog()
			}
			w.deactivate()
			if tc.task {
				w.until(offboard.StateWaiting, offboard.WaitTask)
				return
			}
			f := w.closed(leaver)
			if len(f.Tasks) != 0 || !w.said(f, "was not checked, because by the audit log the seat was not used for 90 days") {
				w.show()
				t.Errorf("%d tasks", len(f.Tasks))
			}
		})
	}
}

func TestAManagerWhoLogsInIsTakenAfterAll(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		w.policy.Unlisted = offboard.UnlistedTask
		w.person("leaver", leaver)
		w.member("kim@example.com", 31*day)
		w.directoryOnly("heir", "kim@example.com")
		w.change("leaver", func(p offboard.Person) offboard.Person { p.Manager = "heir"; return p })
		w.readLog()
		w.deactivate()
		f := w.until(offboard.StateWaiting, offboard.WaitTask)
		if task := f.Task("successor"); task == nil || task.State != offboard.TaskOpen {
			t.Fatalf("nobody is asked for a successor: %+v", f.Tasks)
		}
		w.human(amplitudefake.Action{Do: "login", Email: "kim@example.com"})
		w.run(30*time.Minute, func() bool { return w.caseOf(leaver).Task("handover/content") != nil })
		f = w.caseOf(leaver)
		if task := f.Task("handover/content"); task.Successor != "kim@example.com" || f.Task("successor").State != offboard.TaskDropped {
			w.show()
			t.Errorf("task %+v, question %+v", task, f.Task("successor"))
		}
	})
}

func TestASuccessorWhoLogsInWhenAskedToIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.policy.Unlisted = offboard.UnlistedTask
	w.person("leaver", leaver)
	w.member("kim@example.com", 31*day)
	w.directoryOnly("heir", "kim@example.com")
	w.readLog()
	w.deactivate()
	f := w.until(offboard.StateWaiting, offboard.WaitTask)
	w.human(amplitudefake.Action{Do: "login", Email: "kim@example.com"})
	w.clock.move(time.Minute) // long before the log is read again by itself
	w.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
		return offboard.CompleteTask(f, f.Tasks[0].ID, offboard.TaskAnswer{By: "lee@example.com", Successor: "kim@example.com"}, w.clock.now())
	})
	w.run(time.Minute, func() bool {
		t := w.caseOf(leaver).Task("handover/content")
		return t != nil && t.Successor == "kim@example.com"
	})
}
