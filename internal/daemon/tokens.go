package daemon

import (
	"context"
	"time"

	"go.uber.org/zap"

	"offramp/internal/offboard"
)

// watchTokens tells once a day, on one of the replicas, which tokens end soon:
// a provider whose token ended stops telling who leaves. It returns when ctx ends.
func (d *Daemon) watchTokens(ctx context.Context) error {
	for {
		if err := d.warnTokens(ctx, time.Now()); err != nil && ctx.Err() == nil {
			d.opts.Log.Warn("look for tokens that end soon", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Hour):
		}
	}
}

func (d *Daemon) warnTokens(ctx context.Context, now time.Time) error {
	mine, err := d.store.Turn(ctx, "tokens", 24*time.Hour)
	if err != nil || !mine {
		return err
	}
	for _, c := range d.cfg.Connections {
		tokens, err := d.store.Tokens(ctx, c.Name)
		if err != nil {
			return err
		}
		for _, t := range tokens {
			if t.EndsSoon(now) {
				d.opts.Log.Warn("a SCIM token ends soon: make another with offramp token new and put it into the app; both work meanwhile",
					zap.String("connection", c.Name), zap.String("token", t.ID), zap.Int("days", days(t, now)))
			}
		}
	}
	return nil
}

// days is how many whole days a token still works.
func days(t offboard.Token, now time.Time) int { return int(t.Expires.Sub(now) / (24 * time.Hour)) }
