package intake_test

import (
	"context"
	"database/sql/driver"
	"sync/atomic"

	"offramp/internal/store"
)

// counter stands between the store and its database and counts statements.
// Beginning and committing are not counted.
type counter struct{ statements atomic.Int64 }

// through lets a store's connections be counted.
func (c *counter) through(o *store.Options) {
	o.Through = func(next driver.Connector) driver.Connector { return counted{next, c} }
}

type counted struct {
	driver.Connector
	count *counter
}

func (c counted) Connect(ctx context.Context) (driver.Conn, error) {
	next, err := c.Connector.Connect(ctx)
	return &countedConn{next, c.count}, err
}

// countedConn passes on what both drivers can do.
type countedConn struct {
	driver.Conn
	count *counter
}

func (c *countedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	next, ok := c.Conn.(driver.ExecerContext)
	if !ok {
		return nil, driver.ErrSkip
	}
	c.count.statements.Add(1)
	return next.ExecContext(ctx, query, args)
}

func (c *countedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	next, ok := c.Conn.(driver.QueryerContext)
	if !ok {
		return nil, driver.ErrSkip
	}
	c.count.statements.Add(1)
	return next.QueryContext(ctx, query, args)
}

func (c *countedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if next, ok := c.Conn.(driver.ConnPrepareContext); ok {
		return next.PrepareContext(ctx, query)
	}
	return c.Prepare(query)
}

func (c *countedConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
}

func (c *countedConn) Ping(ctx context.Context) error {
	if next, ok := c.Conn.(driver.Pinger); ok {
		return next.Ping(ctx)
	}
	return nil
}

func (c *countedConn) ResetSession(ctx context.Context) error {
	if next, ok := c.Conn.(driver.SessionResetter); ok {
		return next.ResetSession(ctx)
	}
	return nil
}

func (c *countedConn) IsValid() bool {
	next, ok := c.Conn.(driver.Validator)
	return !ok || next.IsValid()
}

func (c *countedConn) CheckNamedValue(v *driver.NamedValue) error {
	if next, ok := c.Conn.(driver.NamedValueChecker); ok {
		return next.CheckNamedValue(v)
	}
	return driver.ErrSkip
}
