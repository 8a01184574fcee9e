package doctor

import (
	"context"
	"fmt"

	"offramp/internal/config"
	"offramp/internal/notify"
)

// messages logs in to the mail server and reads the URLs of channels. Nothing
// is sent: a channel is only tried by a message, which people would read.
func messages(ctx context.Context, s subject, c config.Notify) {
	if c.Email.IsSet() {
		err := notify.TryMail(ctx, c.Email.Reveal())
		if err != nil {
			err = &trouble{err.Error(), "correct the URL of notify.email" + read(c.Email)}
		}
		s.tell("mail server", "it takes the login", err)
	}
	for _, channel := range c.Channels {
		what := "channel " + channel.Name
		if err := notify.CheckChannel(channel.URL.Reveal()); err != nil {
			s.tell(what, "", &trouble{err.Error(), "correct the URL of the channel" + read(channel.URL)})
			continue
		}
		s.skip(what, "its URL is understood; only a message would try it")
	}
}

// read says where a secret was read.
func read(s config.Secret) string {
	if s.From() == "" {
		return ""
	}
	return fmt.Sprintf(" (%s)", s.From())
}
