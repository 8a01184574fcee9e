package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// Settings of all replicas.
const (
	modeSetting     = "mode"          // of the last start
	observedSetting = "observed_seen" // until when enforcing processes have looked at what others only observed
)

const enforcing = "enforce"

// SwitchMode records the mode in which a process starts. Where the one before
// only observed and this one enforces, nothing is replayed: the cases that are
// live, and new ones of those who left meanwhile and are still not entitled, are
// held as one batch, to be released or dismissed. It returns how many; a second
// call returns 0.
func (s *Store) SwitchMode(ctx context.Context, observe bool, rules func(connection string) offboard.Rules) (held int, err error) {
	mode, batch := enforcing, newID()
	if observe {
		mode = "observe"
	}
	err = s.transact(ctx, func(t *tx) error {
		held = 0
		was, err := t.LockSetting(ctx, modeSetting)
		if err != nil {
			return fmt.Errorf("read the mode: %w", err)
		}
		if err := t.SaveSetting(ctx, db.SaveSettingParams{Name: modeSetting, Value: mode}); err != nil {
			return fmt.Errorf("save the mode: %w", err)
		}
		if observe || was == "" {
			return nil
		}
		if was != mode {
			if held, err = t.holdLive(ctx, batch); err != nil {
				return err
			}
		}
		n, err := t.holdObserved(ctx, batch, rules)
		held += n
		return err
	})
	return held, err
}

// HoldObserved holds those whose case a process closed as observed although the
// mode is enforce: one that was not restarted yet when another switched. It
// returns how many; while the mode is observe it does nothing.
func (s *Store) HoldObserved(ctx context.Context, rules func(connection string) offboard.Rules) (held int, err error) {
	batch := newID()
	err = s.transact(ctx, func(t *tx) error {
		held = 0
		mode, err := t.LockSetting(ctx, modeSetting)
		if err != nil {
			return fmt.Errorf("read the mode: %w", err)
		}
		if mode == enforcing {
			held, err = t.holdObserved(ctx, batch, rules)
		}
		return err
	})
	return held, err
}

// lateness is how much later than its own time a case may be recorded as closed:
// clocks differ, and a write may wait.
const lateness = time.Hour

// holdObserved opens held cases for those who left while nobody did anything,
// as far as nobody looked before. The mode is locked.
func (t *tx) holdObserved(ctx context.Context, batch string, rules func(connection string) offboard.Rules) (held int, err error) {
	text, err := t.LockSetting(ctx, observedSetting)
	if err != nil {
		return 0, fmt.Errorf("read until when observed cases were looked at: %w", err)
	}
	seen, _ := strconv.ParseInt(text, 10, 64) // never looked: from the beginning
	rows, err := t.ObservedLast(ctx, seen-lateness.Milliseconds())
	if err != nil {
		return 0, fmt.Errorf("list observed cases: %w", err)
	}
	for _, row := range rows {
		p, err := t.lockPerson(ctx, row.PersonID)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return held, err
		}
		if _, err := t.LiveCaseOf(ctx, p.ID); !errors.Is(missing(err), ErrNotFound) {
			if err != nil {
				return held, fmt.Errorf("read live case: %w", err)
			}
			continue // one opened since they were listed
		}
		o, ok := offboard.AfterObserving(p, offboard.Reason(row.Reason), rules(p.Connection), t.now)
		if !ok {
			continue
		}
		if err := t.open(ctx, p, o, batch); err != nil {
			return held, err
		}
		held++
	}
	err = t.SaveSetting(ctx, db.SaveSettingParams{Name: observedSetting, Value: strconv.FormatInt(t.now.UnixMilli(), 10)})
	if err != nil {
		return held, fmt.Errorf("save until when observed cases were looked at: %w", err)
	}
	return held, nil
}
