package store

import (
	"context"
	"errors"
	"fmt"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// modeSetting is where the mode of the last start stands.
const modeSetting = "mode"

// SwitchMode records the mode in which a process starts. Where the one before
// only observed and this one enforces, nothing is replayed: the cases that are
// live, and new ones of those who left meanwhile and are still not entitled, are
// held as one batch, to be released or dismissed. It returns how many; a second
// call returns 0.
func (s *Store) SwitchMode(ctx context.Context, observe bool, rules func(connection string) offboard.Rules) (held int, err error) {
	mode, batch := "enforce", newID()
	if observe {
		mode = "observe"
	}
	err = s.transact(ctx, func(t *tx) error {
		held = 0
		was, err := t.Setting(ctx, modeSetting)
		if err != nil && !errors.Is(missing(err), ErrNotFound) {
			return fmt.Errorf("read the mode: %w", err)
		}
		if was == mode {
			return nil
		}
		if err := t.SaveSetting(ctx, db.SaveSettingParams{Name: modeSetting, Value: mode}); err != nil {
			return fmt.Errorf("save the mode: %w", err)
		}
		if observe || was == "" {
			return nil
		}
		if held, err = t.holdLive(ctx, batch); err != nil {
			return err
		}
		rows, err := t.ObservedLast(ctx)
		if err != nil {
			return fmt.Errorf("list observed cases: %w", err)
		}
		for _, row := range rows {
			p, err := t.lockPerson(ctx, row.PersonID)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			o, ok := offboard.AfterObserving(p, offboard.Reason(row.Reason), rules(p.Connection), t.now)
			if !ok {
				continue
			}
			if err := t.open(ctx, p, o, batch); err != nil {
				return err
			}
			held++
		}
		return nil
	})
	return held, err
}
