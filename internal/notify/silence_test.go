package notify_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"offramp/internal/notify"
	"offramp/internal/notify/notifytest"
	"offramp/internal/offboard"
)

func TestServersThatFallSilentAreGivenUpAndHoldUpNobodyElse(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(silent.Close)
	t.Cleanup(func() { close(release) })
	onBoth(t, func(o *notify.Options) {
		o.Patience = 500 * time.Millisecond
		o.Channels = append(o.Channels, notify.Channel{Name: "silent", URL: "generic+" + silent.URL + "/" + token, About: []offboard.About{offboard.AboutTasks}})
	}, func(d *desk) {
		d.mail.Misbehave(notifytest.Fault{Hang: true})
		d.task("kim@example.com", "Take over", 72*time.Hour)
		d.task("", "Name a successor", 72*time.Hour)
		for range 3 { // the second and third find the channel busy
			d.send()
			d.move(10 * time.Minute)
		}
		for _, m := range d.messages(d.caseID) {
			switch m.To {
			case "kim@example.com":
				if m.State != offboard.MessagePending || m.Attempts != 3 || m.Error != "the mail server did not answer in time" {
					d.t.Errorf("mail: %s after %d: %q", m.State, m.Attempts, m.Error)
				}
			case "#silent":
				if m.State != offboard.MessagePending || m.Attempts != 3 || m.Error != "the service did not answer in time" {
					d.t.Errorf("channel: %s after %d: %q", m.State, m.Attempts, m.Error)
				}
			default:
				if m.State != offboard.MessageSent {
					d.t.Errorf("%s is %s", m.To, m.State)
				}
			}
		}
	})
}
