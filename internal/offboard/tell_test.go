package offboard_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"offramp/internal/offboard"
)

// departing is the case of Jo, who leaves.
func departing() offboard.File {
	return offboard.File{
		Case: offboard.Case{
			ID: "c1", Address: "jo@example.com", State: offboard.StateRunning, Plan: offboard.Leaver, Reason: offboard.Termination,
			Opened: noon(), NotBefore: noon(), Policy: offboard.Policy{Approvals: 1},
		},
		Person: offboard.Person{DisplayName: "Jo Doe", Address: "jo@example.com", UserName: "jo@example.com"},
	}
}

func recipients(list []offboard.Message) string {
	var out []string
	for _, m := range list {
		out = append(out, m.To+" "+m.Subject)
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

func TestWhoIsToldOfATask(t *testing.T) {
	t.Parallel()
	open := offboard.Task{Key: "k", Kind: offboard.TaskHandover, Title: "Take over", State: offboard.TaskOpen, Assignee: "kim@example.com"}
	with := func(change func(*offboard.Task)) offboard.Task {
		k := open
		change(&k)
		return k
	}
	channels := func(offboard.About) []string { return []string{"team"} }
	for _, row := range []struct {
		story string
		was   []offboard.Task
		now   offboard.Task
		to    offboard.Audience
		want  string
	}{
		{"a new task: its assignee", nil, open, offboard.Audience{Mail: true, Channels: channels}, "kim@example.com Take over"},
		{
			"a new task for nobody: the channel", nil, with(func(k *offboard.Task) { k.Assignee = "" }),
			offboard.Audience{Mail: true, Channels: channels},
			"#team Take over",
		},
		{"without mail: the channel", nil, open, offboard.Audience{Channels: channels}, "#team Take over"},
		{"without anything: nobody", nil, open, offboard.Audience{}, ""},
		{"a task that only changes: nobody", []offboard.Task{open}, with(func(k *offboard.Task) { k.Due = noon() }), offboard.Audience{Mail: true}, ""},
		{"a task that ends: nobody", []offboard.Task{open}, with(func(k *offboard.Task) { k.State = offboard.TaskDone }), offboard.Audience{Mail: true}, ""},
		{
			"a task that goes to somebody else: both",
			[]offboard.Task{open},
			with(func(k *offboard.Task) { k.Assignee = "lee@example.com" }),
			offboard.Audience{Mail: true, Channels: channels},
			"kim@example.com Not yours any more: Take over; lee@example.com Take over",
		},
		{
			"a task that is opened again: its assignee",
			[]offboard.Task{with(func(k *offboard.Task) { k.State, k.Ended = offboard.TaskDeclined, noon() })},
			open,
			offboard.Audience{Mail: true},
			"kim@example.com Take over",
		},
	} {
		t.Run(row.story, func(t *testing.T) {
			t.Parallel()
			f := departing()
			f.Tasks = row.was
			got := offboard.TellTasks(f, offboard.Update{Tasks: []offboard.Task{row.now}}, row.to)
			if recipients(got) != row.want {
				t.Errorf("told %q, want %q", recipients(got), row.want)
			}
			again := offboard.TellTasks(departing(), offboard.Update{Tasks: []offboard.Task{row.now}}, row.to)
			if len(row.was) > 0 && row.was[0].State == offboard.TaskDeclined && again[0].Key == got[0].Key {
				t.Error("the second opening would be taken for the first")
			}
		})
	}
}

func TestWhetherADueMessageIsStillSent(t *testing.T) {
	t.Parallel()
	task := offboard.Task{Key: "k", State: offboard.TaskOpen}
	plain := offboard.Message{To: "kim@example.com"}
	ask := offboard.Message{To: "lee@example.com", Approve: true}
	for _, row := range []struct {
		story  string
		change func(*offboard.File)
		m      offboard.Message
		want   offboard.Delivery
	}{
		{"yes", func(*offboard.File) {}, plain, offboard.Delivery{Send: true}},
		{"before the case may begin it waits", func(f *offboard.File) { f.Case.NotBefore = noon().Add(time.Hour) }, plain, offboard.Delivery{Until: noon().Add(time.Hour)}},
		{"but not for an approver", func(f *offboard.File) { f.Case.NotBefore = noon().Add(time.Hour) }, ask, offboard.Delivery{Send: true}},
		{"an incident waits for nothing", func(f *offboard.File) {
			f.Case.NotBefore, f.Case.Plan = noon().Add(time.Hour), offboard.Emergency
		}, plain, offboard.Delivery{Send: true}},
		{"a held case asks nobody", func(f *offboard.File) { f.Case.State = offboard.StateHeld }, ask, offboard.Delivery{Until: noon().Add(time.Minute)}},
		{"an approved case needs no approval", func(f *offboard.File) { f.Approvals = []offboard.Approval{{By: "sam"}} }, ask, offboard.Delivery{Drop: "the case is approved"}},
		{"an ended case neither", func(f *offboard.File) { f.Case.State = offboard.StateCancelled }, ask, offboard.Delivery{Drop: "the case has ended"}},
		{"an ended case is told of", func(f *offboard.File) { f.Case.State = offboard.StateClosed }, plain, offboard.Delivery{Send: true}},
		{"the leaver before the removal never", func(*offboard.File) {}, offboard.Message{To: "Jo@Example.com"}, offboard.Delivery{Drop: "the leaver is told nothing before the removal"}},
		{"the leaver afterwards", func(f *offboard.File) { f.Case.Removed = noon() }, offboard.Message{To: "jo@example.com"}, offboard.Delivery{Send: true}},
		{"an open task", func(f *offboard.File) { f.Tasks = []offboard.Task{task} }, offboard.Message{To: "kim@example.com", TaskKey: "k"}, offboard.Delivery{Send: true}},
		{"a task that is gone", func(*offboard.File) {}, offboard.Message{To: "kim@example.com", TaskKey: "k"}, offboard.Delivery{Drop: "the task is not open any more"}},
	} {
		t.Run(row.story, func(t *testing.T) {
			t.Parallel()
			f := departing()
			row.change(&f)
			if got := offboard.Deliver(f, row.m, offboard.Approvers{}, noon()); got != row.want {
				t.Errorf("%+v, want %+v", got, row.want)
			}
		})
	}
}

func TestApproversAreAskedInWordsTheyCanJudge(t *testing.T) {
	t.Parallel()
	f := departing()
	f.Case.Ticket = "HR-7"
	for range 12 {
		f.Assets = append(f.Assets, offboard.Asset{Kind: "lookup_table", Name: "skus\r\nBcc: x", State: offboard.AssetOwned})
	}
	to := offboard.Audience{Mail: true, Approvers: listed("lee@example.com", "jo@example.com", "LEE@example.com", "sam", "")}
	got := offboard.AskApproval(f, to, noon())
	if recipients(got) != "lee@example.com Approve that Jo Doe is removed from Amplitude; sam Approve that Jo Doe is removed from Amplitude" || !got[0].Approve {
		t.Fatalf("asked %q", recipients(got))
	}
	for _, want := range []string{"HR-7", "termination", "- lookup table skus", "- and more", "offramp cases approve c1"} {
		if !strings.Contains(got[0].Text, want) {
			t.Errorf("the text lacks %q:\n%s", want, got[0].Text)
		}
	}
	if strings.Contains(got[0].Text, "\r") {
		t.Error("the text has a control character")
	}
	f.Approvals = []offboard.Approval{{By: "sam"}}
	if got := offboard.AskApproval(f, to, noon()); got != nil {
		t.Errorf("asked again: %q", recipients(got))
	}
}

func TestTheClosingNamesWhatHasNoOwner(t *testing.T) {
	t.Parallel()
	f := departing()
	f.Case.Verified = noon()
	f.Assets = []offboard.Asset{
		{Kind: "event", State: offboard.AssetHanded, NewOwner: "kim@example.com"},
		{Kind: "event", State: offboard.AssetHanded, NewOwner: "kim@example.com"},
		{Kind: "chart", State: offboard.AssetOrphaned},
	}
	got := offboard.TellClosing(f, offboard.Audience{Mail: true, Manager: "lee@example.com"}, "")
	if recipients(got) != "kim@example.com What Jo Doe owned in Amplitude is yours now; lee@example.com Jo Doe has no access to Amplitude any more" {
		t.Fatalf("told %q", recipients(got))
	}
	if !strings.Contains(got[0].Text, "2 listed things") || !strings.Contains(got[1].Text, "1 listed things that they owned have no owner") {
		t.Errorf("texts %q, %q", got[0].Text, got[1].Text)
	}
}

func TestOnlyFollowUpsAreRecordedAfterTheEnd(t *testing.T) {
	t.Parallel()
	followUp := []offboard.Task{{Kind: offboard.TaskFollowUp}}
	waiting := offboard.WaitNothing
	for story, c := range map[string]struct {
		u    offboard.Update
		want bool
	}{
		"a follow-up":               {offboard.Update{Tasks: followUp, Now: true, Timeline: []offboard.Entry{{}}}, true},
		"nothing":                   {offboard.Update{Now: true}, false},
		"another task":              {offboard.Update{Tasks: []offboard.Task{{Kind: offboard.TaskCheck}}}, false},
		"a follow-up and a state":   {offboard.Update{Tasks: followUp, State: offboard.StateRunning}, false},
		"a follow-up and a wait":    {offboard.Update{Tasks: followUp, Waiting: &waiting}, false},
		"a follow-up and an effect": {offboard.Update{Tasks: followUp, Effects: []offboard.Effect{{}}}, false},
	} {
		if got := c.u.AfterEnd(); got != c.want {
			t.Errorf("%s: %v", story, got)
		}
	}
}

// listed are approvers without a role.
func listed(addresses ...string) (a offboard.Approvers) {
	for _, to := range addresses {
		a.Listed = append(a.Listed, offboard.Approver{Address: to})
	}
	return a
}
