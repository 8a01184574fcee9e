package notify_test

import (
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
	var seen strings.Builder
	seen.WriteString(d.said())
	for _, m := range append(d.messages(d.caseID), d.messages("")...) {
		seen.WriteString(m.Error + m.Text)
	}
	for _, e := range d.logs.All() {
		line := fmt.Sprint(e.Message, e.ContextMap())
		seen.WriteString(line)
		if strings.Contains(line, "@") {
			d.t.Errorf("an address is logged: %s", line)
		}
	}
	for _, secret := range []string{password, token} {
		if strings.Contains(seen.String(), secret) {
			d.t.Errorf("%s is shown: %s", secret, seen.String())
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
