package daemon

import (
	"context"
	"time"

	"go.uber.org/zap"

	"offramp/internal/config"
)

// startMode records the mode of this process. Where that begins to enforce, who
// left before is held.
func (d *Daemon) startMode(ctx context.Context, r *rules) error {
	held, err := d.store.SwitchMode(ctx, d.cfg.Mode == config.Observe, r.of)
	if err != nil {
		return err
	}
	d.tellHeld(held)
	d.rules = r
	return nil
}

// watchMode looks now and then for leavers whom a process that still observed
// took for its own after others had switched to enforce. It returns when ctx ends.
func (d *Daemon) watchMode(ctx context.Context) error {
	if d.cfg.Mode == config.Observe {
		return nil
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(10 * time.Minute):
		}
		held, err := d.store.HoldObserved(ctx, d.rules.of)
		if err != nil && ctx.Err() == nil {
			d.opts.Log.Warn("look for leavers whom another process only observed", zap.Error(err))
		}
		d.tellHeld(held)
	}
}

func (d *Daemon) tellHeld(people int) {
	if people > 0 {
		d.opts.Log.Warn("the mode is now enforce: people who left while it was observe are held for an operator to release or dismiss",
			zap.Int("people", people))
	}
}
