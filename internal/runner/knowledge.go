package runner

import (
	"context"
	"time"

	"go.uber.org/zap"

	"offramp/internal/offboard"
)

// Knowledge is what sweeps found out before anybody asked.
type Knowledge interface {
	SaveOwned(ctx context.Context, l offboard.OwnedList, things []offboard.Owned) error
	OwnedLists(ctx context.Context, organization string) ([]offboard.OwnedList, error)
	Owned(ctx context.Context, organization, owner string) ([]offboard.Owned, error)
	SaveActivity(ctx context.Context, organization string, log offboard.LogRange, seen map[string]offboard.Activity, transfers []offboard.BulkTransfer) error
	LogRange(ctx context.Context, organization string) (offboard.LogRange, error)
	Logins(ctx context.Context, organization, address string) (offboard.Logins, error)
	Transfers(ctx context.Context, organization, from string) ([]offboard.BulkTransfer, error)
	WakeHandovers(ctx context.Context) (int, error)
}

// Successors makes handovers look again whose successor has become inactive or
// is leaving, once a minute over all replicas.
func (r *Runner) Successors(ctx context.Context) error {
	mine, err := r.opts.Store.Turn(ctx, "successors", time.Minute)
	if err != nil || !mine {
		return err
	}
	_, err = r.opts.Store.WakeHandovers(ctx)
	return err
}

// learn does a periodic job until ctx ends: at once, and then at every tick. The
// job itself knows whether it is due.
func (e *Engine) learn(ctx context.Context, what string, job func(context.Context) error) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		limited, stop := context.WithTimeout(ctx, 30*time.Minute)
		err := job(limited)
		stop()
		if err != nil && ctx.Err() == nil {
			e.log.Warn(what+", will be repeated", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
