package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"offramp/internal/config"
	"offramp/internal/notify"
	"offramp/internal/offboard"
	"offramp/internal/store"
)

// newSender builds what sends messages.
func (d *Daemon) newSender() (*notify.Sender, error) {
	o := notify.Options{
		Store: d.store, Mail: d.cfg.Notify.Email.Reveal(), Observe: d.cfg.Mode == config.Observe,
		Log: d.opts.Log.Named("notify"), Metrics: d.registry,
	}
	for _, c := range d.cfg.Notify.Channels {
		channel := notify.Channel{Name: c.Name, URL: c.URL.Reveal()}
		for _, about := range c.About {
			channel.About = append(channel.About, offboard.About(about))
		}
		o.Channels = append(o.Channels, channel)
	}
	for _, a := range d.cfg.Approvers {
		if slices.Contains(a.Roles, "security") {
			o.Security = append(o.Security, a.Email)
		}
	}
	o.Approvers, o.Link = approvers(d.cfg), d.link
	return notify.New(o)
}

// linkLife is how long a link in a message is good.
const linkLife = 14 * 24 * time.Hour

// link makes the personal link of a message; empty where there is nothing to do
// by one, or where it takes a login.
func (d *Daemon) link(ctx context.Context, m offboard.Message, f offboard.File) (string, error) {
	l := offboard.Link{CaseID: m.CaseID, Person: m.To, Until: time.Now().Add(linkLife)}
	switch task := f.Task(m.TaskKey); {
	case task != nil:
		l.TaskID = task.ID
	case !m.Approve || f.Needs().People > 1:
		return "", nil
	}
	secret, err := d.store.NewLink(ctx, l)
	if _, refused := errors.AsType[*offboard.RefusedError](err); refused {
		return "", nil // the message names the command
	}
	if err != nil {
		return "", err
	}
	return d.cfg.PublicURL + "/t/" + secret, nil
}

// audience is who can be told; nil where nobody is configured.
func (d *Daemon) audience() *offboard.Audience {
	a := d.sender.Audience()
	if !a.Reaches() {
		return nil
	}
	return &a
}

// checkNotify tells which URLs nothing can be sent to. It sends nothing.
func checkNotify(cfg *config.Config) config.Problems {
	var problems config.Problems
	if cfg.Notify.Email.IsSet() {
		if err := notify.CheckMail(cfg.Notify.Email.Reveal()); err != nil {
			problems = append(problems, cfg.Problem("notify.email", err.Error()))
		}
	}
	for i, c := range cfg.Notify.Channels {
		if err := notify.CheckChannel(c.URL.Reveal()); err != nil {
			problems = append(problems, cfg.Problem(fmt.Sprintf("notify.channels[%d].url", i), err.Error()))
		}
	}
	return problems
}

func followUps(list []config.FollowUp) []offboard.FollowUp {
	var out []offboard.FollowUp
	for _, f := range list {
		out = append(out, offboard.FollowUp{Title: f.Title, Text: f.Text, Assignee: f.Assignee})
	}
	return out
}

// messageGauge tells for how long messages could not be delivered.
type messageGauge struct {
	store *store.Store
	late  *prometheus.Desc
}

func newMessageGauge(s *store.Store) *messageGauge {
	return &messageGauge{store: s, late: prometheus.NewDesc(
		"offramp_message_delay_seconds", "For how long the oldest message that is still tried could not be delivered; 0: none.", nil, nil)}
}

// Describe names the gauge.
func (g *messageGauge) Describe(ch chan<- *prometheus.Desc) { ch <- g.late }

// Collect reads the record; while it cannot be read the gauge is absent.
func (g *messageGauge) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	first, err := g.store.OldestMessage(ctx)
	if err != nil {
		return
	}
	age := 0.0
	if !first.IsZero() {
		age = max(time.Since(first).Seconds(), 0)
	}
	ch <- prometheus.MustNewConstMetric(g.late, prometheus.GaugeValue, age)
}
