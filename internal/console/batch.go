package console

import (
	"context"
	"errors"
	"net/http"

	"golang.org/x/sync/errgroup"

	"offramp/internal/offboard"
)

// beside is how many cases of a batch are decided at once: their transactions
// share commits.
const beside = 16

func (c *Console) releaseBatch(r *http.Request, by Operator) (int, any, error) {
	return c.batch(r, by, func(ctx context.Context, id, because string) error {
		_, err := c.letGo(ctx, id, by, because, offboard.ReleaseBatched)
		return err
	})
}

func (c *Console) cancelBatch(r *http.Request, by Operator) (int, any, error) {
	return c.batch(r, by, func(ctx context.Context, id, because string) error {
		_, err := c.withdraw(ctx, id, by, because, offboard.CancelBatched)
		return err
	})
}

// batch lets one decision be recorded in every case of the batch of the path,
// each in a transaction of its own. What fails stops it; the same call goes on
// from there.
func (c *Console) batch(r *http.Request, by Operator, decide func(ctx context.Context, id, because string) error) (int, any, error) {
	in, err := decode[BecauseRequest](r)
	if err == nil {
		err = tidy(&in.Because)
	}
	if err != nil {
		return 0, nil, err
	}
	out := BatchResult{}
	if out.Batch, err = pathID(r); err != nil {
		return 0, nil, err
	}
	filter := offboard.CaseFilter{Batch: out.Batch, Most: 1000}
	for {
		page, err := c.opts.Store.Cases(r.Context(), filter)
		if err != nil {
			return 0, nil, err
		}
		decided, err := each(r.Context(), page, func(ctx context.Context, id string) error { return decide(ctx, id, in.Because) })
		if err != nil {
			return 0, nil, err
		}
		out.Decided += decided
		out.Left += len(page) - decided
		if len(page) < filter.Most {
			break
		}
		filter.Before = page[len(page)-1].ID
	}
	if out.Decided+out.Left == 0 {
		return 0, nil, bad(http.StatusNotFound, "there is no such batch; see the cases in state held")
	}
	if _, _, err := c.opts.Store.ReleaseBrake(r.Context(), out.Batch, by.Name, in.Because); err != nil && !errors.Is(err, offboard.ErrNotFound) {
		return 0, nil, err // a brake that holds nobody any more is over
	}
	return http.StatusOK, out, nil
}

// each decides about some cases side by side and counts those to which the
// decision applied.
func each(ctx context.Context, cases []offboard.Case, decide func(ctx context.Context, id string) error) (decided int, err error) {
	done := make([]bool, len(cases))
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(beside)
	for i, k := range cases {
		all.Go(func() error {
			err := decide(ctx, k.ID)
			no, isRefused := errors.AsType[*offboard.RefusedError](err)
			if errors.Is(err, offboard.ErrEnded) || isRefused && !no.Incomplete {
				return nil // it no longer waits for this
			}
			done[i] = err == nil
			return err
		})
	}
	err = all.Wait()
	for _, yes := range done {
		if yes {
			decided++
		}
	}
	return decided, err
}
