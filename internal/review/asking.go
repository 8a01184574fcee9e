package review

import (
	"context"
	"errors"
	"fmt"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// probes is how many of those whom a list does not hold are asked for where
// their absence says something about the list alone.
const probes = 5

// controlAge is how long it counts that a known member was answered.
const controlAge = time.Minute

// absent asks directly for addresses that a list does not hold. One who answers
// gives the list away: nothing is taken from it. That Amplitude knows none of
// them counts only beside a member of the list whom it does know.
func (v *Reviews) absent(ctx context.Context, org Organization, addresses []string, listed []offboard.ReviewItem) error {
	client := org.Client.WithShare(amplitude.ShareOther)
	var control time.Time
	for _, address := range addresses {
		there, err := v.there(ctx, client, address)
		if err != nil {
			return err
		}
		if there {
			return fmt.Errorf("the member list of %s leaves out somebody who is there; nothing is taken from it, and it is read again", org.Name)
		}
		if age := v.now().Sub(control); age >= 0 && age < controlAge {
			continue
		}
		if err := v.control(ctx, client, org.Name, listed); err != nil {
			return err
		}
		control = v.now()
	}
	return nil
}

// control makes sure that Amplitude knows one of some members when it is asked
// directly. A few may have been removed since they were listed.
func (v *Reviews) control(ctx context.Context, client *amplitude.Client, organization string, listed []offboard.ReviewItem) error {
	for _, item := range some(listed, probes) {
		there, err := v.there(ctx, client, item.Address)
		if there || err != nil {
			return err
		}
	}
	return fmt.Errorf("amplitude knows no member of %s when asked directly, not even those whom it lists; nothing is taken from such answers", organization)
}

// there asks whether an address is a member's.
func (v *Reviews) there(ctx context.Context, client *amplitude.Client, address string) (bool, error) {
	err := v.patiently(ctx, func() error {
		_, err := client.Member(ctx, address)
		return err
	})
	if notFound(err) {
		return false, nil
	}
	return err == nil, err
}

// some picks up to n of a list, evenly spread.
func some[T any](list []T, n int) []T {
	n = min(n, len(list))
	out := make([]T, 0, n)
	for i := range n {
		out = append(out, list[i*len(list)/n])
	}
	return out
}

func notFound(err error) bool {
	e, ok := errors.AsType[*amplitude.Error](err)
	return ok && e.NotFound()
}

// patiently repeats what the budget refuses, when there is budget again.
func (v *Reviews) patiently(ctx context.Context, do func() error) error {
	for {
		err := do()
		b, ok := errors.AsType[*amplitude.BudgetError](err)
		if !ok {
			return err
		}
		if err := wait(ctx, b.Wait); err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
