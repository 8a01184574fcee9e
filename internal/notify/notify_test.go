package notify_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"offramp/internal/notify"
	"offramp/internal/notify/notifytest"
	"offramp/internal/offboard"
)

func TestATaskReachesItsAssigneeOnceWithALinkThatIsInNoRecord(t *testing.T) {
	t.Parallel()
	links := 0
	var mu sync.Mutex
	link := func(_ context.Context, m offboard.Message, f offboard.File) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		links++
		return "https://offramp.example.com/t/SECRET-" + f.Task(m.TaskKey).Key, nil
	}
	onBoth(t, func(o *notify.Options) { o.Link = link }, func(d *desk) {
		d.task("kim@example.com", "Take over what Jo Doe owns", 72*time.Hour)
		d.task("kim@example.com", "Take over what Jo Doe owns", 72*time.Hour) // the step is repeated
		d.send()
		d.send()
		mails := d.mail.Mails()
		if len(mails) != 1 {
			d.t.Fatalf("%d mails", len(mails))
		}
		m := mails[0]
		if m.To != "kim@example.com" || m.From != "offramp@example.com" || subject(d.t, m) != "Take over what Jo Doe owns" {
			d.t.Errorf("mail %+v", m)
		}
		text := body(d.t, m)
		for _, want := range []string{"press the button", "https://offramp.example.com/t/SECRET-handover/", "Due 5 March 2026, 09:00 UTC"} {
			if !strings.Contains(text, want) {
				d.t.Errorf("the mail does not say %q:\n%s", want, text)
			}
		}
		if m.Header.Get("Auto-Submitted") != "auto-generated" || !strings.HasSuffix(m.Header.Get("Message-ID"), "@example.com>") {
			d.t.Errorf("header %v", m.Header)
		}
		said := d.said()
		if !strings.Contains(said, "message to kim@example.com about tasks: Take over") || !strings.Contains(said, "sent to kim@example.com") {
			d.t.Errorf("timeline:\n%s", said)
		}
		for _, m := range d.messages(d.caseID) {
			if strings.Contains(m.Text, "SECRET") {
				d.t.Error("the link is in the record")
			}
		}
		if strings.Contains(said, "SECRET") || len(d.channel.told()) != 0 {
			d.t.Error("the link, or the task of one person, is told to others")
		}
	})
}

func TestATaskForNobodyGoesToTheChannelWithoutALink(t *testing.T) {
	t.Parallel()
	link := func(context.Context, offboard.Message, offboard.File) (string, error) {
		return "https://offramp.example.com/t/SECRET", nil
	}
	onBoth(t, func(o *notify.Options) { o.Link = link }, func(d *desk) {
		d.task("", "Name a successor, @channel <!here> `now`", 72*time.Hour)
		d.send()
		told := d.channel.told()
		if len(told) != 1 || len(d.mail.Mails()) != 0 {
			d.t.Fatalf("told %q", told)
		}
		if !strings.Contains(told[0], "offramp tasks done ") || strings.Contains(told[0], "SECRET") {
			d.t.Errorf("told %q", told[0])
		}
		if strings.ContainsAny(told[0], "<>`") || strings.Contains(told[0], "@channel") {
			d.t.Errorf("the channel would act on %q", told[0])
		}
	})
}

func TestNamesCannotAddHeadersOrLines(t *testing.T) {
	t.Parallel()
	onBoth(t, nil, func(d *desk) {
		d.task("kim@example.com", "Jo\r\nBcc: all@example.com\r\n\r\nBuy Ünïcode\u202e now", time.Hour)
		d.task("kim@example.com\r\nBcc: all@example.com", "Second", time.Hour)
		d.send()
		mails := d.mail.Mails()
		if len(mails) != 1 {
			d.t.Fatalf("%d mails", len(mails))
		}
		if got := subject(d.t, mails[0]); got != "Jo Bcc: all@example.com Buy Ünïcode now" || mails[0].Header.Get("Bcc") != "" {
			d.t.Errorf("subject %q, header %v", got, mails[0].Header)
		}
		if !strings.Contains(d.said(), "cannot be written to") {
			d.t.Errorf("timeline:\n%s", d.said())
		}
	})
}

func TestAMailServerThatIsDownForADayLosesNothingBeforeAndEverythingAfter(t *testing.T) {
	t.Parallel()
	onBoth(t, nil, func(d *desk) {
		d.mail.Down()
		d.task("kim@example.com", "First", 240*time.Hour)
		d.task("", "For the channel", 240*time.Hour)
		for range 23 * 6 {
			d.send()
			d.move(10 * time.Minute)
		}
		if len(d.channel.told()) != 1 {
			d.t.Errorf("the channel waits for the mail server: %q", d.channel.told())
		}
		first := d.messages(d.caseID)[0]
		if first.State != offboard.MessagePending || first.Attempts < 20 || first.Attempts > 40 || first.Error != "the mail server refused the connection" {
			d.t.Errorf("after 23 hours: %+v", first)
		}
		if at, err := d.OldestMessage(d.t.Context()); err != nil || d.now().Sub(at) < 22*time.Hour {
			d.t.Errorf("oldest %s, %v", at, err)
		}
		d.mail.Up(d.t)
		d.move(time.Hour)
		d.send() // the last attempt
		if n := len(d.mail.Mails()); n != 1 {
			d.t.Fatalf("%d mails after the server came back", n)
		}
		d.mail.Down()
		d.task("kim@example.com", "Second", 240*time.Hour)
		d.act(offboard.Update{State: offboard.StateRunning})
		d.act(offboard.Update{State: offboard.StateClosed, Outcome: offboard.OutcomeRemoved}) // what it asks for is dropped with it
		d.act2("late", "kim@example.com")
		for range 26 {
			d.send()
			d.move(time.Hour)
		}
		d.mail.Up(d.t)
		d.send()
		said := d.said()
		if len(d.mail.Mails()) != 1 || !strings.Contains(said, "not delivered to kim@example.com: the mail server refused the connection") {
			d.t.Errorf("timeline:\n%s", said)
		}
		if !strings.Contains(said, "not sent to kim@example.com: the task is not open any more") {
			d.t.Errorf("timeline:\n%s", said)
		}
		if got := counter(d.t, d.metrics, "offramp_messages_failed_total"); got != 1 {
			d.t.Errorf("%v messages failed", got)
		}
	})
}

// act2 records a message about the case, which has ended.
func (d *desk) act2(key, to string) {
	d.t.Helper()
	m := offboard.Message{CaseID: d.caseID, Key: key, To: to, About: offboard.AboutRemovals, Subject: "Removed", Text: "They are gone."}
	if err := d.Post(d.t.Context(), m); err != nil {
		d.t.Fatal(err)
	}
}

// counter sums a counter over its labels.
func counter(t *testing.T, reg *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func TestWhatServersAnswerIsToldInOurWords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault notifytest.Fault
		want  string
		state offboard.MessageState
	}{
		"garbage":                      {notifytest.Fault{Greeting: "HTTP/1.1 200 OK " + password}, "gave no answer that can be understood", offboard.MessagePending},
		"a password that is refused":   {notifytest.Fault{Login: "535 5.7.8 bad credentials " + password}, "the mail server answered 535", offboard.MessagePending},
		"nobody of this name":          {notifytest.Fault{Rcpt: "550 5.1.1 no kim@example.com here"}, "does not take mail for the recipient (550)", offboard.MessageFailed},
		"greylisting":                  {notifytest.Fault{Rcpt: "451 4.7.1 later, kim@example.com"}, "refused the message (451)", offboard.MessagePending},
		"a message that is not wanted": {notifytest.Fault{Data: "554 5.7.1 spam from " + password}, "refused the message (554)", offboard.MessagePending},
		"no answer to the end":         {notifytest.Fault{Lose: true}, "ended the connection", offboard.MessagePending},
		"no goodbye":                   {notifytest.Fault{GoneQuit: true}, "", offboard.MessageSent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, nil, func(d *desk) {
				d.mail.Misbehave(c.fault)
				d.task("kim@example.com", "Take over", time.Hour)
				d.send()
				m := d.messages(d.caseID)[0]
				if m.State != c.state || !strings.Contains(m.Error, c.want) || strings.Contains(m.Error, "kim") {
					d.t.Errorf("%s: %q", m.State, m.Error)
				}
			})
		})
	}
}

func TestAChannelThatRefusesDoesNotShowItsToken(t *testing.T) {
	t.Parallel()
	onBoth(t, nil, func(d *desk) {
		d.channel.answer(http.StatusNotFound)
		d.task("", "Name a successor", time.Hour)
		d.send()
		if m := d.messages(d.caseID)[0]; m.State != offboard.MessagePending || m.Error != "the service answered 404" {
			d.t.Errorf("%s: %q", m.State, m.Error)
		}
		d.channel.answer(0)
		d.move(2 * time.Minute)
		d.send()
		if len(d.channel.told()) != 1 {
			d.t.Error("it was not told when the service was back")
		}
	})
}
