package notify

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"offramp/internal/offboard"
)

// channel is one configured place.
type channel struct {
	service types.Service // nil: a mailing list
	list    *mailer
	busy    chan struct{} // holds one: services have no way to be stopped
	mention *regexp.Regexp
}

// channelText is how much of a text a channel gets: services cut or split longer ones.
const channelText = 1500

// CheckChannel tells what is wrong with the URL of a channel, without showing
// it. It is a URL of shoutrrr, such as slack://hook:TOKEN@webhook, or
// generic://HOST/PATH?template=json for a webhook of one's own, or smtp:// as
// for CheckMail with to=ADDRESS for a mailing list.
func CheckChannel(raw string) error {
	_, err := newChannel(Channel{URL: raw})
	return err
}

func newChannel(c Channel) (*channel, error) {
	out := &channel{busy: make(chan struct{}, 1), mention: regexp.MustCompile(`(^|[^\pL\pN._%+-])@`)}
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme == "" {
		return nil, errors.New("write a URL such as slack://hook:TOKEN@webhook or generic://HOST/PATH?template=json")
	}
	scheme, _, _ := strings.Cut(u.Scheme, "+")
	switch scheme {
	case "smtp":
		out.list, err = parseMail(c.URL, true)
		return out, err
	case "logger":
		return nil, errors.New("name a service that tells people; logger writes to the log")
	case "generic":
		plain := strings.HasSuffix(u.Scheme, "+http") || truthy(u.Query().Get("disabletls"))
		if plain && !loopback(u.Hostname()) {
			return nil, errors.New("use https: without it is for loopback addresses alone")
		}
	}
	// The library's errors hold the URL, and with it the secret.
	if out.service, err = new(router.ServiceRouter).Locate(c.URL); err != nil {
		return nil, errors.New("shoutrrr does not understand this URL: look at its service's page for " + offboard.Line(scheme))
	}
	return out, nil
}

func truthy(s string) bool {
	switch strings.ToLower(s) {
	case "", "0", "no", "false":
		return false
	}
	return true
}

// send delivers one message. A service that falls silent keeps its channel busy
// until it answers: other messages wait instead of piling up behind it.
func (c *channel) send(ctx context.Context, m offboard.Message, text string, now time.Time) *failure {
	if c.list != nil {
		return c.list.send(ctx, m, c.list.to, text, now)
	}
	select {
	case c.busy <- struct{}{}:
	case <-ctx.Done():
		return &failure{text: "the service did not answer in time"}
	}
	done := make(chan error, 1)
	go func() {
		defer func() { <-c.busy }()
		done <- c.service.Send(c.plain(m.Subject+"\n\n"+text), &types.Params{})
	}()
	select {
	case err := <-done:
		return channelFailure(ctx, err)
	case <-ctx.Done():
		return &failure{text: "the service did not answer in time"}
	}
}

// plain takes from a text what services would act on: names come from an
// identity provider, and must not call everybody or hide a link.
func (c *channel) plain(text string) string {
	text = strings.NewReplacer("<", "‹", ">", "›", "`", "'").Replace(text)
	text = c.mention.ReplaceAllString(text, "$1(at)")
	if utf8.RuneCountInString(text) > channelText {
		text = string([]rune(text)[:channelText]) + "…"
	}
	return strings.TrimSpace(text)
}
