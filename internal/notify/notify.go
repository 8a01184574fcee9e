// Package notify sends what has been recorded to be told: mail to persons, and
// short texts to channels such as Slack. It owns delivery: addresses of servers
// and services, attempts, giving up, and the words for why something could not
// be delivered. Who is told what, and when not, are rules of offboard; it must
// not know SQL, Amplitude, or how a case is carried out.
//
// Delivery is at least once. A process that dies between the mail server's yes
// and its record sends the message again, under the same Message-ID, which lets
// the recipient's mail system drop the second.
package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"offramp/internal/offboard"
)

// Store is what the sender needs of the record.
type Store interface {
	ClaimMessages(ctx context.Context, most int, lease time.Duration) ([]offboard.Message, error)
	SaveMessage(ctx context.Context, m offboard.Message, next time.Time) error
	Post(ctx context.Context, messages ...offboard.Message) error
	TasksToRemind(ctx context.Context, channels bool, most int) ([]offboard.Task, error)
	Case(ctx context.Context, id string) (offboard.File, error)
	Turn(ctx context.Context, name string, every time.Duration) (bool, error)
}

// Channel is a place where several people read.
type Channel struct {
	Name  string           // required, unique
	URL   string           // required: see CheckChannel
	About []offboard.About // what it takes
}

// Linker makes the link that a personal message carries: to its task, or to the
// approval of its case. An empty link means none; the message then says which
// command does it.
type Linker func(ctx context.Context, m offboard.Message, f offboard.File) (link string, err error)

// Options say what is sent by which way.
type Options struct {
	Store     Store                 // required
	Mail      string                // URL of the mail server: see CheckMail; empty: no mail
	Channels  []Channel             // none: nothing is announced
	Approvers offboard.Approvers    // who may approve
	Security  []string              // addresses of those who handle incidents
	Link      Linker                // nil: messages name the command instead
	Observe   bool                  // nothing is sent
	Tick      time.Duration         // how often due messages are looked for; 0: 1 s
	Patience  time.Duration         // with one attempt; 0: 30 s
	Now       func() time.Time      // nil: time.Now
	Log       *zap.Logger           // nil: silent
	Metrics   prometheus.Registerer // nil: not exported
}

// Limits of delivery.
const (
	patience = 30 * time.Second // with one attempt, where nothing else is said
	lease    = 5 * time.Minute  // how long a claimed message is left alone; longer than a batch takes
	batch    = 8                // messages at once
	giveUp   = 24 * time.Hour   // after the first attempt
	first    = time.Minute      // pause after the first failure, doubled each time
	slowest  = time.Hour        // longest pause
)

// Sender delivers messages. It is safe for concurrent use, and several may work
// on one record.
type Sender struct {
	opts     Options
	mail     *mailer
	channels map[string]*channel
	audience offboard.Audience
	metrics  *metrics
}

// New checks the options and starts nothing. Its errors hold no secret.
func New(o Options) (*Sender, error) {
	if o.Store == nil {
		return nil, errors.New("notify: a store is required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Patience == 0 {
		o.Patience = patience
	}
	if o.Tick == 0 {
		o.Tick = time.Second
	}
	s := &Sender{opts: o, channels: map[string]*channel{}, metrics: newMetrics(o.Metrics)}
	if o.Mail != "" {
		m, err := parseMail(o.Mail, false)
		if err != nil {
			return nil, fmt.Errorf("notify: the mail server's URL: %w", err)
		}
		s.mail = m
	}
	for _, c := range o.Channels {
		built, err := newChannel(c)
		if err != nil {
			return nil, fmt.Errorf("notify: channel %s: %w", c.Name, err)
		}
		s.channels[c.Name] = built
	}
	s.audience = offboard.Audience{
		Mail: s.mail != nil, Approvers: o.Approvers, Security: o.Security, Observe: o.Observe,
		Channels: func(a offboard.About) (names []string) {
			for _, c := range o.Channels {
				if slices.Contains(c.About, a) {
					names = append(names, c.Name)
				}
			}
			return names
		},
	}
	return s, nil
}

// Audience is who can be told, for those who decide what is said.
func (s *Sender) Audience() offboard.Audience { return s.audience }

// Announce tells the channels that take a subject matter something that belongs
// to no case. Key makes it said once: a second call with it does nothing.
func (s *Sender) Announce(ctx context.Context, about offboard.About, key, subject, text string) error {
	return s.opts.Store.Post(ctx, s.audience.To(offboard.Message{Key: key, About: about, Subject: subject, Text: text}, true)...)
}

// Tell tells persons, by their addresses, something that belongs to no case.
// Key makes it said once to each.
func (s *Sender) Tell(ctx context.Context, about offboard.About, key, subject, text string, addresses ...string) error {
	return s.opts.Store.Post(ctx, s.audience.To(offboard.Message{Key: key, About: about, Subject: subject, Text: text}, false, addresses...)...)
}

// Run sends what is due until ctx ends. What cannot be read or written is tried
// again: it returns nil.
func (s *Sender) Run(ctx context.Context) error {
	tick := time.NewTicker(s.opts.Tick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		mine, err := s.opts.Store.Turn(ctx, "remind", time.Minute)
		if err == nil && mine {
			err = s.Remind(ctx)
		}
		for n := batch; err == nil && n == batch && ctx.Err() == nil; {
			n, err = s.Send(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.opts.Log.Warn("sending messages, will be repeated", zap.Error(err))
		}
	}
}

// Send makes one attempt for each of the next due messages, at most eight, and
// returns how many there were. Its error is the record's; a message that cannot
// be delivered is recorded as that.
func (s *Sender) Send(ctx context.Context) (int, error) {
	due, err := s.opts.Store.ClaimMessages(ctx, batch, lease)
	if err != nil {
		return 0, err
	}
	all, ctx := errgroup.WithContext(ctx)
	for _, m := range due {
		all.Go(func() error { return s.attempt(ctx, m) })
	}
	return len(due), all.Wait()
}

// attempt delivers one message, or records why not.
func (s *Sender) attempt(ctx context.Context, m offboard.Message) error {
	now := s.opts.Now()
	var f offboard.File
	verdict := offboard.Delivery{Send: true}
	if m.CaseID != "" {
		var err error
		if f, err = s.opts.Store.Case(ctx, m.CaseID); err != nil {
			return err
		}
		verdict = offboard.Deliver(f, m, s.opts.Approvers, now)
	}
	if s.opts.Observe {
		verdict = offboard.Delivery{Drop: "observe mode sends nothing"}
	}
	switch {
	case verdict.Drop != "":
		m.State, m.Error = offboard.MessageDropped, verdict.Drop
		return s.opts.Store.SaveMessage(ctx, m, now)
	case !verdict.Send:
		return s.opts.Store.SaveMessage(ctx, m, verdict.Until)
	}
	text, err := s.text(ctx, m, f)
	if err != nil {
		return err
	}
	limited, stop := context.WithTimeoutCause(ctx, s.opts.Patience, errSlow)
	failure := s.deliver(limited, m, text)
	stop()
	if ctx.Err() != nil {
		return nil // stopping; the message is due again when its lease ends
	}
	return s.record(ctx, m, failure)
}

// record writes down what became of an attempt.
func (s *Sender) record(ctx context.Context, m offboard.Message, failure *failure) error {
	now := s.opts.Now()
	m.Attempts++
	if m.First.IsZero() {
		m.First = now
	}
	next := now
	log := s.opts.Log.With(zap.String("message", m.ID), zap.String("case", m.CaseID), zap.String("way", way(m)), zap.Int("attempt", m.Attempts))
	switch {
	case failure == nil:
		m.State, m.Sent, m.Error = offboard.MessageSent, now, ""
	case failure.permanent || now.Sub(m.First) >= giveUp:
		m.State, m.Error = offboard.MessageFailed, failure.text
		log.Warn("message given up", zap.String("because", failure.text))
	default:
		m.Error, next = failure.text, now.Add(pause(m.Attempts))
		log.Info("message not delivered, will be repeated", zap.String("because", failure.text))
	}
	if err := s.opts.Store.SaveMessage(ctx, m, next); err != nil {
		return err
	}
	s.metrics.count(m)
	return nil
}

func pause(attempts int) time.Duration {
	if attempts > 7 {
		return slowest
	}
	return min(first<<(attempts-1), slowest)
}

// deliver makes one attempt; nil: it was accepted.
func (s *Sender) deliver(ctx context.Context, m offboard.Message, text string) *failure {
	name, isChannel := m.Channel()
	switch {
	case isChannel && s.channels[name] == nil:
		return &failure{text: "no channel of this name is configured any more", permanent: true}
	case isChannel:
		return s.channels[name].send(ctx, m, text, s.opts.Now())
	case s.mail == nil:
		return &failure{text: "notify.email is not configured any more", permanent: true}
	}
	return s.mail.send(ctx, m, m.To, text, s.opts.Now())
}

// text is a message's text with its link, which is made now, or with the
// command that does the same. A channel's readers get no link that acts.
func (s *Sender) text(ctx context.Context, m offboard.Message, f offboard.File) (string, error) {
	_, isChannel := m.Channel()
	task := f.Task(m.TaskKey)
	if !isChannel && s.opts.Link != nil && (task != nil || m.Approve) {
		link, err := s.opts.Link(ctx, m, f)
		if err != nil {
			return "", fmt.Errorf("make a link: %w", err)
		}
		if link != "" {
			return m.Text + "\n\n" + link + "\n", nil
		}
	}
	if task != nil {
		return m.Text + "\n\nSay that it is done: offramp tasks done " + task.ID + "\n", nil
	}
	return m.Text + "\n", nil
}

// Remind records a message about each open task that is near its due time or
// past it, once each.
func (s *Sender) Remind(ctx context.Context) error {
	channels := len(s.audience.Channels(offboard.AboutTasks)) > 0
	if !channels && s.mail == nil {
		return nil
	}
	tasks, err := s.opts.Store.TasksToRemind(ctx, channels, 100)
	if err != nil {
		return err
	}
	for _, k := range tasks {
		f, err := s.opts.Store.Case(ctx, k.CaseID)
		if err != nil {
			return err
		}
		said := offboard.Remind(f, k, s.audience, s.opts.Now())
		for i := range said {
			said[i].CaseID = k.CaseID
		}
		if err := s.opts.Store.Post(ctx, said...); err != nil {
			return err
		}
	}
	return nil
}

// way is by what a message goes, as a metric's label.
func way(m offboard.Message) string {
	if _, ok := m.Channel(); ok {
		return "channel"
	}
	return "email"
}
