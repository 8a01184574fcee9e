package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// How the audit log is read forward.
const (
	activityEvery   = 10 * time.Minute
	activityOverlap = 15 * time.Minute // entries are written late
	activityBack    = 90*24*time.Hour - time.Hour
	activityPart    = 30 * 24 * time.Hour
)

// logReader lets one reading of an organization's log happen at a time, in this
// process. Two replicas that read the same entries change nothing by it.
type logReader struct{ turn chan struct{} }

func newLogReader() *logReader { return &logReader{turn: make(chan struct{}, 1)} }

// ReadActivity reads the audit log of every organization forward from where the
// last reading ended, once in ten minutes over all replicas; the first reading
// goes back 90 days. An organization that cannot be read does not keep others
// from it. A second call within the ten minutes does nothing.
func (r *Runner) ReadActivity(ctx context.Context) error {
	var errs []error
	var all sync.Mutex
	var work sync.WaitGroup
	for _, org := range r.orgs {
		if !org.Audit {
			continue
		}
		work.Go(func() {
			mine, err := r.opts.Store.Turn(ctx, "activity/"+org.Name, activityEvery)
			if err == nil && mine {
				err = r.readLog(ctx, org, 0)
			}
			if err != nil {
				all.Lock()
				defer all.Unlock()
				errs = append(errs, fmt.Errorf("audit log of %s: %w", org.Name, err))
			}
		})
	}
	work.Wait()
	return errors.Join(errs...)
}

// readLog reads an organization's log up to now, unless a reading that is not
// older than fresh is there already.
func (r *Runner) readLog(ctx context.Context, org *organization, fresh time.Duration) error {
	select {
	case org.log.turn <- struct{}{}:
		defer func() { <-org.log.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	known, err := r.opts.Store.LogRange(ctx, org.Name)
	if err != nil {
		return err
	}
	now := r.now()
	if fresh > 0 && now.Sub(known.To) < fresh {
		return nil
	}
	from, oldest := known.To.Add(-activityOverlap), now.Add(-activityBack)
	if known.To.IsZero() || from.Before(oldest) {
		known, from = offboard.LogRange{From: oldest}, oldest // what lies between is lost for ever
	}
	for from.Before(now) {
		to := from.Add(activityPart)
		if to.After(now) {
			to = now
		}
		seen, transfers, err := activities(ctx, org.Client, from, to)
		if err != nil {
			return err
		}
		known.To = to
		if err := r.opts.Store.SaveActivity(ctx, org.Name, known, seen, transfers); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// activities sums one part of the log up by person.
func activities(ctx context.Context, c *amplitude.Client, from, to time.Time) (map[string]offboard.Activity, []offboard.BulkTransfer, error) {
	seen := map[string]offboard.Activity{}
	var transfers []offboard.BulkTransfer
	for e, err := range c.AuditLog(ctx, from, to, amplitude.AuditFilter{}) {
		if err != nil {
			return nil, nil, err
		}
		if b, ok := bulkTransfer(e); ok {
			transfers = append(transfers, b)
		}
		who := offboard.Fold(e.User)
		if !strings.Contains(who, "@") {
			continue // a program, or nobody
		}
		a := seen[who]
		if e.At.After(a.LastSeen) {
			a.LastSeen = e.At
		}
		if isLogin(e) && e.At.After(a.LastLogin) {
			a.LastLogin = e.At
		}
		seen[who] = a
	}
	return seen, transfers, nil
}

// logins tells what each organization's audit log told about an address.
// Organizations without the key for it are left out.
func (a *attempt) logins(ctx context.Context, address string, in func(organization string) bool) ([]offboard.Logins, error) {
	var out []offboard.Logins
	for _, org := range a.reach(a.file.Case.Connection) {
		if in != nil && !in(org.Name) {
			continue
		}
		if !org.Audit {
			out = append(out, offboard.Logins{})
			continue
		}
		l, err := a.opts.Store.Logins(ctx, org.Name, address)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

// logAvailable reports whether the audit log of some organization where the
// leaver has a seat is being read.
func (a *attempt) logAvailable(ctx context.Context) (bool, error) {
	list, err := a.logins(ctx, a.file.Case.Address, nil)
	for _, l := range list {
		if l.Log.Fresh(a.now()) {
			return true, nil
		}
	}
	return false, err
}

// catchUp reads the logs once more where a handover waits for an entry, unless
// they were read less than fresh ago. A log that cannot be read is as good as
// one without the entry.
func (a *attempt) catchUp(ctx context.Context, fresh time.Duration) {
	for _, org := range a.reach(a.file.Case.Connection) {
		if !org.Audit {
			continue
		}
		if err := a.readLog(ctx, org, fresh); err != nil && ctx.Err() == nil {
			a.log.Warn("reading the audit log", zap.String("organization", org.Name), zap.Error(err))
		}
	}
}
