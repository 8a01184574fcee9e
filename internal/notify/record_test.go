package notify_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"offramp/internal/notify"
	"offramp/internal/offboard"
	"offramp/internal/store"
)

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
		if err := d.Resume(d.t.Context(), "lee", "done"); err != nil {
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
