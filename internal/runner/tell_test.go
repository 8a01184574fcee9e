package runner_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/notify"
	"offramp/internal/notify/notifytest"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

// everybody is an audience of approvers, security and a channel for each
// subject matter.
func everybody() *offboard.Audience {
	return &offboard.Audience{
		Mail: true, Security: []string{"sam@example.com"},
		Channels: func(a offboard.About) []string { return []string{string(a)} },
	}
}

// told lists the messages of a case as "recipient: subject", sorted.
func (w *world) told(caseID string) []string {
	w.t.Helper()
	list, err := w.store.Messages(w.t.Context(), caseID)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, m := range list {
		out = append(out, m.To+": "+m.Subject)
	}
	slices.Sort(out)
	return out
}

// expect compares who was told what.
func (w *world) expect(caseID string, want ...string) {
	w.t.Helper()
	slices.Sort(want)
	if got := w.told(caseID); !slices.Equal(got, want) {
		w.show()
		w.t.Errorf("told:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestEverybodyWhoHasToKnowIsToldOnceAndFollowUpsOutliveTheCase(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		s.opts = func(o *runner.Options) { o.Audience, o.Approvers = everybody(), listed("lee@example.com", leaver) }
		w := newWorld(t, s)
		w.policy.Approvals, w.policy.Unlisted = 1, offboard.UnlistedTask
		w.policy.FollowUp = []offboard.FollowUp{{Title: "Update the roster", Assignee: "kim@example.com"}, {Title: "Tell the vendor"}}
		w.person("leaver", leaver)
		w.person("boss", "kim@example.com")
		w.change("leaver", func(p offboard.Person) offboard.Person { p.Manager = "kim@example.com"; return p })
		w.deactivate()
		f := w.until(offboard.StateWaiting, offboard.WaitApproval)
		asked := []string{"lee@example.com: Approve that Person leaver is removed from Amplitude", "#approvals: Approve that Person leaver is removed from Amplitude"}
		w.expect(f.Case.ID, asked...)
		w.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
			return offboard.Approve(f, offboard.Approval{By: "lee@example.com"})
		})
		f = w.until(offboard.StateWaiting, offboard.WaitTask)
		opened := append(asked, "kim@example.com: "+f.Tasks[0].Title)
		w.expect(f.Case.ID, opened...)
		w.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
			return offboard.CompleteTask(f, f.Tasks[0].ID, offboard.TaskAnswer{By: "kim@example.com", Note: "moved"}, w.clock.now())
		})
		f = w.closed(leaver)
		w.expect(f.Case.ID, append(opened,
			"kim@example.com: What Person leaver owned in Amplitude is yours now",
			"kim@example.com: Person leaver has no access to Amplitude any more",
			"#removals: Person leaver has no access to Amplitude any more",
			"kim@example.com: Update the roster",
			"#tasks: Tell the vendor",
		)...)
		roster := f.Task("follow_up/1")
		if f.Case.Outcome != offboard.OutcomeRemoved || roster == nil || roster.State != offboard.TaskOpen {
			t.Fatalf("outcome %s, follow-up %+v", f.Case.Outcome, roster)
		}
		_, before, err := w.store.Evidence(t.Context(), f.Case.ID)
		if err != nil {
			t.Fatal(err)
		}
		w.clock.move(8 * 24 * time.Hour)
		if st, err := w.store.Stats(t.Context()); err != nil || st.TasksOverdue[offboard.TaskFollowUp] != 2 {
			t.Errorf("overdue %v, %v", st.TasksOverdue, err)
		}
		w.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
			return offboard.CompleteTask(f, roster.ID, offboard.TaskAnswer{By: "kim@example.com", Note: "done in the wiki"}, w.clock.now())
		})
		w.decide(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
			return offboard.DeclineTask(f, f.Task("follow_up/2").ID, "kim@example.com", "there is no vendor", w.clock.now())
		})
		f = w.caseOf(leaver)
		_, after, err := w.store.Evidence(t.Context(), f.Case.ID)
		if err != nil || after != before {
			t.Errorf("the evidence changed: %v", err)
		}
		entries := w.timeline(f.Case.ID)
		if last := entries[len(entries)-2]; last.Actor != "kim@example.com" || !strings.Contains(last.Text, "done in the wiki") {
			t.Errorf("last lines %+v", entries[len(entries)-2:])
		}
		if f.Task("follow_up/1").State != offboard.TaskDone || f.Task("follow_up/2").State != offboard.TaskDeclined || f.Case.State != offboard.StateClosed {
			t.Errorf("tasks %+v, state %s", f.Tasks, f.Case.State)
		}
		for what, decide := range map[string]func(offboard.File) (offboard.Update, error){
			"a second answer": func(f offboard.File) (offboard.Update, error) {
				return offboard.CompleteTask(f, roster.ID, offboard.TaskAnswer{By: "kim@example.com"}, w.clock.now())
			},
			"a hold":   func(f offboard.File) (offboard.Update, error) { return offboard.Hold(f, "kim", "late") },
			"anything": func(offboard.File) (offboard.Update, error) { return offboard.Update{Now: true}, nil },
		} {
			if _, err := w.store.Act(t.Context(), f.Case.ID, decide); err == nil {
				t.Errorf("%s was recorded in a case that has ended", what)
			}
		}
	})
}

func TestSecurityIsToldOfAnIncidentBeforeItIsProvenAndThoughItCannotBe(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		s.opts = func(o *runner.Options) { o.Audience, o.Approvers = everybody(), listed("lee@example.com", leaver) }
		w := newWorld(t, s)
		w.person("leaver", leaver)
		w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Match: amplitudefake.Match{Method: "GET", PathPrefix: "/scim/"}})
		w.change("leaver", func(p offboard.Person) offboard.Person {
			p.Active, p.Claims.LeaveReason = false, string(offboard.SecurityIncident)
			return p
		})
		w.run(time.Hour, func() bool { return len(w.told(w.caseOf(leaver).Case.ID)) > 0 })
		f := w.caseOf(leaver)
		if !f.Case.Verified.IsZero() || w.seated() {
			t.Errorf("verified %s, seat %v", f.Case.Verified, w.seated())
		}
		w.expect(f.Case.ID,
			"sam@example.com: Security incident: Person leaver is removed from Amplitude",
			"#security: Security incident: Person leaver is removed from Amplitude")
	})
}

func TestApproversAreAskedBeforeACaseMayBeginAndNobodyElse(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		s.opts = func(o *runner.Options) { o.Audience, o.Approvers = everybody(), listed("lee@example.com", leaver) }
		w := newWorld(t, s)
		mail := notifytest.New(t)
		sender, err := notify.New(notify.Options{Store: w.store, Mail: mail.URL("offramp", "secret"), Now: w.clock.now})
		if err != nil {
			t.Fatal(err)
		}
		send := func() {
			if _, err := sender.Send(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		w.policy.Approvals, w.policy.NotBefore = 1, 72*time.Hour
		w.person("leaver", leaver)
		w.deactivate()
		f := w.until(offboard.StateWaiting, offboard.WaitNotBefore)
		w.run(9*time.Minute, func() bool { return w.clock.now().Sub(f.Case.Opened) > 8*time.Minute })
		send()
		if len(mail.Mails())+len(w.told(f.Case.ID)) != 0 {
			t.Error("asked at once, though a mistake may still be taken back")
		}
		w.run(time.Hour, func() bool { return len(w.told(f.Case.ID)) == 2 })
		send()
		if m := mail.Mails(); len(m) != 1 || m[0].To != "lee@example.com" {
			t.Fatalf("mails %+v", m)
		}
		for _, to := range []string{"kim@example.com", leaver} {
			m := offboard.Message{CaseID: f.Case.ID, Key: "early", To: to, About: offboard.AboutRemovals, Subject: "They leave", Text: "They leave."}
			if err := w.store.Post(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		send()
		if m := mail.Mails(); len(m) != 1 {
			t.Errorf("somebody else was told before the case may begin: %+v", m)
		}
		if c := w.caseOf(leaver).Case; c.Waiting != offboard.WaitNotBefore || !w.seated() {
			t.Errorf("waits for %s, seat %v", c.Waiting, w.seated())
		}
		w.clock.move(72 * time.Hour)
		send()
		if m := mail.Mails(); len(m) != 2 || m[1].To != "kim@example.com" {
			t.Errorf("mails %+v", m)
		}
	})
}

func TestWithoutAMailServerTheTimelineSaysWhomToTell(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.person("leaver", leaver)
	w.person("boss", "kim@example.com")
	w.change("leaver", func(p offboard.Person) offboard.Person { p.Manager = "kim@example.com"; return p })
	w.deactivate()
	f := w.closed(leaver)
	w.expect(f.Case.ID)
	var said strings.Builder
	for _, e := range w.timeline(f.Case.ID) {
		said.WriteString(e.Text + "\n")
	}
	if !strings.Contains(said.String(), "tell them by hand, since notify.email is not set: kim@example.com") {
		t.Errorf("timeline:\n%s", said.String())
	}
}

func TestObserveModeSaysWhoWouldBeTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{opts: func(o *runner.Options) { o.Audience, o.Observe = everybody(), true }})
	w.policy.FollowUp = []offboard.FollowUp{{Title: "Update the roster"}}
	w.person("leaver", leaver)
	w.deactivate()
	f := w.closed(leaver)
	for _, want := range []string{"tell #removals", "open the follow-up Update the roster"} {
		if f.Case.Outcome != offboard.OutcomeObserved || !strings.Contains(f.Case.Note, want) {
			t.Errorf("outcome %s, note %q lacks %q", f.Case.Outcome, f.Case.Note, want)
		}
	}
	for _, m := range w.told(f.Case.ID) {
		t.Errorf("recorded %s", m)
	}
}

// listed are approvers without a role.
func listed(addresses ...string) (a offboard.Approvers) {
	for _, to := range addresses {
		a.Listed = append(a.Listed, offboard.Approver{Address: to})
	}
	return a
}
