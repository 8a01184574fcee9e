package notify_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"offramp/internal/notify"
	"offramp/internal/notify/notifytest"
	"offramp/internal/offboard"
	"offramp/internal/store"
	"offramp/internal/store/storetest"
)

// What must never be seen outside a connection to its server.
const (
	password = "the-mail-password"
	token    = "the-hook-token"
)

// desk is a record with one case, a mail server, a channel, and a sender.
type desk struct {
	*store.Store
	t       *testing.T
	mu      sync.Mutex
	time    time.Time
	caseID  string
	mail    *notifytest.Server
	channel *webhook
	logs    *observer.ObservedLogs
	log     *zap.Logger
	sender  *notify.Sender
	metrics *prometheus.Registry
}

func (d *desk) now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.time
}

func (d *desk) move(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.time = d.time.Add(by)
}

// webhook is a chat service.
type webhook struct {
	mu    sync.Mutex
	code  int
	texts []string
}

func (w *webhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.code != 0 {
		http.Error(rw, "no: "+r.URL.Path+" "+string(body), w.code)
		return
	}
	w.texts = append(w.texts, string(body))
}

func (w *webhook) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.texts)
}

func (w *webhook) answer(code int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.code = code
}

// onBoth plays a story on both databases.
func onBoth(t *testing.T, change func(*notify.Options), story func(d *desk)) {
	t.Helper()
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &desk{t: t, time: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), mail: notifytest.New(t), channel: &webhook{}, metrics: prometheus.NewRegistry()}
			o := store.Options{Now: d.now}
			if name == "postgres" {
				o.URL = storetest.Postgres(t)
			} else {
				o.Path = filepath.Join(t.TempDir(), "offramp.db")
			}
			var err error
			if d.Store, err = store.Open(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			})
			if err := d.Migrate(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			d.leaver()
			service := httptest.NewServer(d.channel)
			t.Cleanup(service.Close)
			core, logs := observer.New(zapcore.DebugLevel)
			d.logs, d.log = logs, zap.New(core)
			options := notify.Options{
				Store: d.Store, Mail: d.mail.URL("offramp", password), Now: d.now, Log: d.log, Metrics: d.metrics,
				Channels: []notify.Channel{{
					Name: "analytics", URL: "generic+" + service.URL + "/hook/" + token, About: []offboard.About{offboard.AboutTasks, offboard.AboutDrift},
				}},
			}
			if change != nil {
				change(&options)
			}
			if d.sender, err = notify.New(options); err != nil {
				t.Fatal(err)
			}
			story(d)
			d.silent()
		})
	}
}

// leaver opens the case of Jo.
func (d *desk) leaver() {
	d.t.Helper()
	rules := offboard.Rules{Policy: func(offboard.PolicyFacts) offboard.Policy {
		p := offboard.Fallback()
		p.FollowUp = []offboard.FollowUp{{Title: "Take them off the roster"}}
		return p
	}}
	for _, active := range []bool{true, false} {
		id := "jo"
		if active {
			id = ""
		}
		_, err := d.ChangePerson(d.t.Context(), offboard.PersonChange{
			Connection: "okta", ID: id, Rules: rules, Change: func(p offboard.Person) (offboard.Person, error) {
				p.ID, p.UserName, p.Address, p.Active, p.DisplayName, p.Resource = "jo", "jo@example.com", "jo@example.com", active, "Jo Doe", "{}"
				return p, nil
			},
		})
		if err != nil {
			d.t.Fatal(err)
		}
	}
	list, err := d.Cases(d.t.Context(), offboard.CaseFilter{})
	if err != nil || len(list) != 1 {
		d.t.Fatal(list, err)
	}
	d.caseID = list[0].ID
}

// act records an update of the case.
func (d *desk) act(u offboard.Update) {
	d.t.Helper()
	if _, err := d.Act(d.t.Context(), d.caseID, func(offboard.File) (offboard.Update, error) { return u, nil }); err != nil {
		d.t.Fatal(err)
	}
}

// task opens a task for somebody, as a step would, and tells of it.
func (d *desk) task(assignee, title string, due time.Duration) {
	d.t.Helper()
	_, err := d.Act(d.t.Context(), d.caseID, func(f offboard.File) (offboard.Update, error) {
		u := offboard.Update{Tasks: []offboard.Task{{
			Kind: offboard.TaskHandover, Key: "handover/" + title, Title: title, Text: "Open the page and press the button.",
			Assignee: assignee, State: offboard.TaskOpen, Due: d.now().Add(due),
		}}}
		u.Messages = offboard.TellTasks(f, u, d.sender.Audience())
		return u, nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// send makes the attempts that are due.
func (d *desk) send() {
	d.t.Helper()
	if _, err := d.sender.Send(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
}

// said is the case's timeline in one text; reading it checks the chain.
func (d *desk) said() string {
	d.t.Helper()
	entries, err := d.Timeline(d.t.Context(), d.caseID)
	if err != nil {
		d.t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%s: %s\n", e.Kind, e.Text)
	}
	return b.String()
}

func (d *desk) messages(caseID string) []offboard.Message {
	d.t.Helper()
	list, err := d.Messages(d.t.Context(), caseID)
	if err != nil {
		d.t.Fatal(err)
	}
	return list
}

// silent fails when a secret, or a person's address, was logged or recorded
// where it must not be.
func (d *desk) silent() {
	d.t.Helper()
	seen := d.said()
	for _, m := range append(d.messages(d.caseID), d.messages("")...) {
		seen += m.Error + m.Text
	}
	for _, e := range d.logs.All() {
		line := fmt.Sprint(e.Message, e.ContextMap())
		seen += line
		if strings.Contains(line, "@") {
			d.t.Errorf("an address is logged: %s", line)
		}
	}
	for _, secret := range []string{password, token} {
		if strings.Contains(seen, secret) {
			d.t.Errorf("%s is shown: %s", secret, seen)
		}
	}
}

// body is the text of a mail as a person reads it.
func body(t *testing.T, m notifytest.Mail) string {
	t.Helper()
	b, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(m.Body)))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

func subject(t *testing.T, m notifytest.Mail) string {
	t.Helper()
	s, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

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
		for range 23 * 60 {
			d.send()
			d.move(time.Minute)
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
		if got := testutil.ToFloat64(counter(d.t, d.metrics, "offramp_messages_failed_total")); got != 1 {
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
func counter(t *testing.T, reg *prometheus.Registry, name string) prometheus.Gauge {
	t.Helper()
	sum := prometheus.NewGauge(prometheus.GaugeOpts{Name: "sum"})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum.Add(m.GetCounter().GetValue())
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

// lossy forgets to record, as a process that dies does.
type lossy struct {
	*store.Store
	die bool
}

var errDied = errors.New("died")

func (l *lossy) SaveMessage(ctx context.Context, m offboard.Message, next time.Time) error {
	if l.die {
		return errDied
	}
	return l.Store.SaveMessage(ctx, m, next)
}

func TestAProcessThatDiesAfterSendingSendsAgainUnderTheSameID(t *testing.T) {
	t.Parallel()
	onBoth(t, nil, func(d *desk) {
		record := &lossy{Store: d.Store, die: true}
		sender, err := notify.New(notify.Options{Store: record, Mail: d.mail.URL("offramp", password), Now: d.now})
		if err != nil {
			d.t.Fatal(err)
		}
		d.task("kim@example.com", "Take over", 72*time.Hour)
		if _, err := sender.Send(d.t.Context()); !errors.Is(err, errDied) {
			d.t.Fatal(err)
		}
		d.send() // its lease is not over
		if len(d.mail.Mails()) != 1 {
			d.t.Fatal("another sender did not leave it alone")
		}
		d.move(6 * time.Minute)
		d.send()
		d.send()
		mails := d.mail.Mails()
		if len(mails) != 2 || mails[0].Header.Get("Message-ID") != mails[1].Header.Get("Message-ID") {
			d.t.Errorf("%d mails", len(mails))
		}
	})
}

func TestTwoSendersShareTheWork(t *testing.T) {
	t.Parallel()
	onBoth(t, nil, func(d *desk) {
		for i := range 20 {
			d.task("kim@example.com", fmt.Sprintf("Task %d", i), 72*time.Hour)
		}
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				for range 5 {
					if _, err := d.sender.Send(d.t.Context()); err != nil {
						d.t.Error(err)
					}
				}
			})
		}
		all.Wait()
		seen := map[string]int{}
		for _, m := range d.mail.Mails() {
			seen[m.Header.Get("Message-ID")]++
		}
		if len(seen) != 20 || len(d.mail.Mails()) != 20 {
			d.t.Errorf("%d mails, %d different", len(d.mail.Mails()), len(seen))
		}
	})
}

func TestNothingIsSentWhilePausedOrInObserveModeButAnnouncementsAreNotPaused(t *testing.T) {
	t.Parallel()
	onBoth(t, nil, func(d *desk) {
		if err := d.Pause(d.t.Context(), "lee", "audit"); err != nil {
			d.t.Fatal(err)
		}
		d.task("kim@example.com", "Take over", 72*time.Hour)
		for range 2 {
			err := d.sender.Announce(d.t.Context(), offboard.AboutDrift, "finding-1", "A leaver is back", "Jo Doe has a seat again.")
			if err != nil {
				d.t.Fatal(err)
			}
		}
		d.send()
		if len(d.mail.Mails()) != 0 || len(d.channel.told()) != 1 {
			d.t.Errorf("paused: %d mails, %d announcements", len(d.mail.Mails()), len(d.channel.told()))
		}
		if err := d.Resume(d.t.Context()); err != nil {
			d.t.Fatal(err)
		}
		d.send()
		if len(d.mail.Mails()) != 1 {
			d.t.Error("nothing was sent after the pause")
		}
	})
	t.Run("observe", func(t *testing.T) {
		t.Parallel()
		onBoth(t, func(o *notify.Options) { o.Observe = true }, func(d *desk) {
			d.task("kim@example.com", "Take over", 72*time.Hour)
			d.act2("enforced once", "kim@example.com") // written before the mode was switched
			if err := d.sender.Announce(d.t.Context(), offboard.AboutDrift, "finding-1", "A leaver is back", "Jo Doe"); err != nil {
				d.t.Fatal(err)
			}
			d.send()
			if len(d.mail.Mails())+len(d.channel.told()) != 0 {
				d.t.Error("observe mode sent something")
			}
			if !strings.Contains(d.said(), "observe mode: would send a message to kim@example.com") || !strings.Contains(d.said(), "observe mode sends nothing") {
				d.t.Errorf("timeline:\n%s", d.said())
			}
		})
	})
}

func TestTasksAreRemindedOfOnceAndOverdueOnesInTheChannelToo(t *testing.T) {
	t.Parallel()
	onBoth(t, nil, func(d *desk) {
		d.task("kim@example.com", "Take over", 72*time.Hour)
		d.send()
		round := func() {
			if err := d.sender.Remind(d.t.Context()); err != nil {
				d.t.Fatal(err)
			}
			d.send()
		}
		round()
		if len(d.mail.Mails()) != 1 {
			d.t.Error("reminded at once")
		}
		d.move(50 * time.Hour)
		round()
		round()
		if n := len(d.mail.Mails()); n != 2 || subject(d.t, d.mail.Mails()[1]) != "Due soon: Take over" || len(d.channel.told()) != 0 {
			d.t.Errorf("%d mails near the due time, channel %q", n, d.channel.told())
		}
		d.move(30 * time.Hour)
		round()
		round()
		if n := len(d.mail.Mails()); n != 3 || subject(d.t, d.mail.Mails()[2]) != "Overdue: Take over" || len(d.channel.told()) != 1 {
			d.t.Errorf("%d mails after the due time, channel %q", n, d.channel.told())
		}
	})
}

func TestURLsThatCannotWorkAreRefusedWithoutBeingShown(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"smtp://u:SECRET@mail.example.com:587/?from=offramp%40example.com":          "",
		"smtp://mail.example.com:25/?from=a%40example.com&encryption=none":          "",
		"smtp://u:SECRET@mail.example.com/?from=a%40example.com&encryption=none":    "in the clear",
		"smtp://u:SECRET@mail.example.com/":                                         "add from=",
		"smtp://u:SECRET@mail.example.com/?from=a%40example.com&to=b%40example.com": "write only encryption, from, fromname",
		"smtp://u@mail.example.com/?from=a%40example.com":                           "both a user and a password",
		"smtp://u:SEC RET@mail.example.com:99999/?from=a%40example.com":             "percent-encoded",
		"smtp://u:SECRET@mail.example.com:99999/?from=a%40example.com":              "port",
		"https://hooks.example.com/SECRET":                                          "write smtp://",
	} {
		err := notify.CheckMail(url)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "SEC")) {
			t.Errorf("%s: %v", url, err)
		}
	}
	for url, want := range map[string]string{
		"slack://hook:WNA3PBYV6-F20DUQND3RQ-Webc4MAvoacrpPakR8phF0zi@webhook":       "",
		"generic://hooks.example.com/path?template=json":                            "",
		"generic+http://127.0.0.1:1/x":                                              "",
		"generic+http://hooks.example.com/SECRET":                                   "use https",
		"generic://hooks.example.com/SECRET?disabletls=yes":                         "use https",
		"smtp://u:SECRET@mail.example.com/?from=a%40example.com&to=b%40example.com": "",
		"smtp://u:SECRET@mail.example.com/?from=a%40example.com":                    "add to=",
		"logger://":               "tells people",
		"carrier-pigeon://SECRET": "does not understand",
		"slack://SECRET":          "does not understand",
		"SECRET":                  "write a URL",
	} {
		err := notify.CheckChannel(url)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "SECRET")) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestTryingAMailServerSendsNothing(t *testing.T) {
	t.Parallel()
	server := notifytest.New(t)
	if err := notify.TryMail(t.Context(), server.URL("offramp", password)); err != nil {
		t.Error(err)
	}
	server.Misbehave(notifytest.Fault{Login: "535 no, " + password})
	if err := notify.TryMail(t.Context(), server.URL("offramp", password)); err == nil || strings.Contains(err.Error(), password) {
		t.Errorf("error %v", err)
	}
	if len(server.Mails()) != 0 {
		t.Error("it sent something")
	}
}
