package runner_test

import (
	"context"
	"strconv"

	"go.uber.org/zap/zapcore"

	"offramp/amplitude"
	"offramp/transfer"
)

const zapWarn = zapcore.WarnLevel

// content gives the event owner hook its calls.
type content struct{ c *amplitude.Client }

func newContent(c *amplitude.Client) *content { return &content{c: c} }

func (c *content) Events(ctx context.Context, project string) ([]transfer.Event, error) {
	id, err := strconv.Atoi(project)
	if err != nil {
		return nil, err
	}
	list, err := c.c.Events(ctx, id)
	out := make([]transfer.Event, 0, len(list))
	for _, e := range list {
		out = append(out, transfer.Event{Name: e.Name, Owner: e.Owner})
	}
	return out, err
}

func (c *content) Event(ctx context.Context, project, name string) (transfer.Event, error) {
	id, err := strconv.Atoi(project)
	if err != nil {
		return transfer.Event{}, err
	}
	e, err := c.c.Event(ctx, id, name)
	return transfer.Event{Name: e.Name, Owner: e.Owner}, err
}

func (c *content) SetEventOwner(ctx context.Context, project, name, owner string) error {
	id, err := strconv.Atoi(project)
	if err != nil {
		return err
	}
	return c.c.SetEventOwner(ctx, id, name, owner)
}
