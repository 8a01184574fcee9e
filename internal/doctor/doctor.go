// Package doctor tells what is wrong with an installation before a leaver finds
// out: it behaves towards the running server as the identity provider of each
// connection would, with a made-up person, and reads from Amplitude once with
// every credential. It owns the checks and the sentence that explains each
// failure; how they are printed, it must not know.
//
// It does no harm. The made-up person's address is random and under .invalid,
// for which the server asks nothing of Amplitude, and is deleted at the end.
// Amplitude is read through a client that cannot write.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"offramp/amplitude"
	"offramp/internal/config"
)

// Result is how a check ended.
type Result string

// The results.
const (
	OK      Result = "ok"
	Failed  Result = "fail"
	Skipped Result = "skip" // it could not be tried, or does not apply
)

// Check is one finished check. Its text holds no secret and nobody's address.
type Check struct {
	About  string `json:"about"` // such as connection okta
	What   string `json:"check"`
	Result Result `json:"result"`
	Say    string `json:"says,omitempty"`
	Fix    string `json:"fix,omitempty"` // of a failure: what to do, in a sentence
}

// Options say what is examined, and by what way.
type Options struct {
	Config        *config.Config                                       // required
	Connection    string                                               // only this one and its organizations; empty: all
	Token         string                                               // of Connection, over its bootstrap token; empty: that one
	Public        string                                               // required; base URL of the public listener
	Admin         string                                               // base URL of the admin listener; required with OperatorToken
	OperatorToken string                                               // empty: cases are not looked at
	Amplitude     func(config.Organization) (amplitude.Options, error) // required; how the server reaches an organization
	HTTP          *http.Client                                         // to the server; nil: one that follows no redirect
	Transport     http.RoundTripper                                    // to Amplitude; nil: the client's own
	Now           func() time.Time                                     // nil: time.Now
	Patience      time.Duration                                        // with the made-up person's case; 0: 15 s
	Each          func(Check)                                          // told each check as it ends; nil: nobody
}

// Doctor examines one installation. It may run more than once.
type Doctor struct {
	opts          Options
	connections   []config.Connection
	organizations []config.Organization
}

// New checks the options. It starts nothing and sends nothing.
func New(o Options) (*Doctor, error) {
	if o.Config == nil || o.Amplitude == nil || o.Public == "" || o.OperatorToken != "" && o.Admin == "" {
		return nil, errors.New("doctor: an option is missing")
	}
	d := &Doctor{opts: o}
	for _, c := range o.Config.Connections {
		if o.Connection == "" || c.Name == o.Connection {
			d.connections = append(d.connections, c)
		}
	}
	switch {
	case len(d.connections) == 0:
		return nil, fmt.Errorf("the configuration has no connection %q", o.Connection)
	case o.Token != "" && len(d.connections) > 1:
		return nil, errors.New("say which of the connections the token belongs to")
	}
	for _, org := range o.Config.Organizations {
		if slices.ContainsFunc(d.connections, func(c config.Connection) bool { return reaches(c, org) }) || o.Connection == "" {
			d.organizations = append(d.organizations, org)
		}
	}
	if d.opts.HTTP == nil {
		d.opts.HTTP = &http.Client{
			Timeout:       time.Minute,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if d.opts.Now == nil {
		d.opts.Now = time.Now
	}
	if d.opts.Patience == 0 {
		d.opts.Patience = 15 * time.Second
	}
	return d, nil
}

// reaches tells whether a connection may remove people from an organization.
func reaches(c config.Connection, o config.Organization) bool {
	return len(c.Organizations) == 0 || slices.Contains(c.Organizations, o.Name)
}

// Run makes every check and returns them in order. What stops one check skips
// those that need it, and no others.
func (d *Doctor) Run(ctx context.Context) []Check {
	r := &report{each: d.opts.Each}
	d.servers(ctx, r)
	for _, o := range d.organizations {
		d.organization(ctx, r.of("organization "+o.Name), o)
	}
	messages(ctx, r.of("notify"), d.opts.Config.Notify)
	return r.checks
}

// Sound reports whether nothing failed.
func Sound(checks []Check) bool {
	return !slices.ContainsFunc(checks, func(c Check) bool { return c.Result == Failed })
}

// report collects checks.
type report struct {
	checks []Check
	each   func(Check)
}

// subject is a report on one connection or organization.
type subject struct {
	*report
	about string
}

func (r *report) of(about string) subject { return subject{report: r, about: about} }

func (s subject) add(what string, result Result, say, fix string) {
	c := Check{About: s.about, What: what, Result: result, Say: say, Fix: fix}
	s.checks = append(s.checks, c)
	if s.each != nil {
		s.each(c)
	}
}

func (s subject) ok(what, format string, args ...any) {
	s.add(what, OK, fmt.Sprintf(format, args...), "")
}

func (s subject) skip(what, format string, args ...any) {
	s.add(what, Skipped, fmt.Sprintf(format, args...), "")
}

// tell reports how a check ended, and whether it ended well.
func (s subject) tell(what, well string, err error) bool {
	if err == nil {
		s.ok(what, "%s", well)
		return true
	}
	t, ok := errors.AsType[*trouble](err)
	if !ok {
		t = &trouble{say: err.Error(), fix: "look at the log of offramp serve"}
	}
	s.add(what, Failed, t.say, t.fix)
	return false
}

// trouble is a failure with what to do about it.
type trouble struct{ say, fix string }

func (t *trouble) Error() string { return t.say }

// host is the host of a base URL, for sentences.
func host(base string) string {
	if u, err := url.Parse(base); err == nil && u.Host != "" {
		return u.Host
	}
	return base
}

// listed joins names for a sentence, the first few of them.
func listed(names []string) string {
	const most = 5
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
