package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"

	"modernc.org/sqlite"
)

const (
	readers    = 8   // SQLite connections that answer at once
	statements = 100 // that a connection keeps prepared
)

func (s *Store) openSQLite(ctx context.Context, path string) error {
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return fmt.Errorf("open store %s: %w", path, err)
	}
	s.lock = lock
	// What a savepoint has to be able to undo is kept in memory, not in a file.
	pragmas := "?_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)&_pragma=synchronous(FULL)&_pragma=temp_store(memory)"
	s.write = s.connect(sqliteFile{"file:" + escape(path) + pragmas + "&_pragma=journal_mode(WAL)&_txlock=immediate"})
	s.write.SetMaxOpenConns(1)
	if err := s.write.PingContext(ctx); err != nil {
		lock.release()
		return fmt.Errorf("open store %s: %w", path, errors.Join(err, s.write.Close()))
	}
	s.read = s.connect(sqliteFile{"file:" + escape(path) + pragmas + "&_pragma=query_only(1)"})
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers) // opening one costs more than a request
	s.group = newGroup(s)
	return nil
}

// escape keeps a path out of the URI's query and fragment.
func escape(path string) string {
	return strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}

// sqliteFile is the way to an SQLite database, with its settings.
type sqliteFile struct{ name string }

// Driver is SQLite's.
func (sqliteFile) Driver() driver.Driver { return &sqlite.Driver{} }

// Connect opens the file once more. The connection keeps its statements
// prepared: to parse and plan one costs more than to run it.
func (f sqliteFile) Connect(context.Context) (driver.Conn, error) {
	c, err := f.Driver().Open(f.name)
	if err != nil {
		return nil, err
	}
	able, ok := c.(sqliteConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the SQLite driver's %T cannot do what the store needs", c), c.Close())
	}
	return &preparing{sqliteConn: able, idle: map[string]sqliteStmt{}}, nil
}

// sqliteConn is what the driver's connections can do.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// preparing is a connection that keeps statements. As any driver.Conn it is
// used by one goroutine at a time.
type preparing struct {
	sqliteConn
	idle map[string]sqliteStmt // not in use
}

// take returns a statement that nobody else uses until it is given back.
func (c *preparing) take(ctx context.Context, query string) (sqliteStmt, error) {
	if s, ok := c.idle[query]; ok {
		delete(c.idle, query)
		return s, nil
	}
	s, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	able, ok := s.(sqliteStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the SQLite driver's %T cannot do what the store needs", s), s.Close())
	}
	return able, nil
}

// give keeps a statement for the next time, in the place of any other where
// there are many. One that failed is not kept.
func (c *preparing) give(query string, s sqliteStmt, failed error) error {
	if _, twice := c.idle[query]; twice || failed != nil {
		return s.Close()
	}
	if len(c.idle) >= statements {
		for other, stmt := range c.idle {
			delete(c.idle, other)
			if err := stmt.Close(); err != nil {
				return errors.Join(err, s.Close())
			}
			break
		}
	}
	c.idle[query] = s
	return nil
}

// ExecContext runs a statement that returns no rows.
func (c *preparing) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	r, err := s.ExecContext(ctx, args)
	if back := c.give(query, s, err); err == nil {
		err = back
	}
	return r, err
}

// QueryContext runs a statement that returns rows; it is given back when they
// are closed. The end of ctx closes the rows, between two of them, but does not
// interrupt the search for one: for that the driver would start a goroutine.
func (c *preparing) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	r, err := s.QueryContext(context.WithoutCancel(ctx), args)
	if err != nil {
		return nil, errors.Join(err, c.give(query, s, err))
	}
	return &lentRows{Rows: r, conn: c, query: query, stmt: s}, nil
}

// Close finalizes the statements first.
func (c *preparing) Close() error {
	var errs []error
	for _, s := range c.idle {
		errs = append(errs, s.Close())
	}
	clear(c.idle)
	return errors.Join(append(errs, c.sqliteConn.Close())...)
}

// lentRows give their statement back.
type lentRows struct {
	driver.Rows
	conn   *preparing
	query  string
	stmt   sqliteStmt
	failed error
}

// Next reads a row.
func (r *lentRows) Next(dest []driver.Value) error {
	err := r.Rows.Next(dest)
	if err != nil && !errors.Is(err, io.EOF) {
		r.failed = err
	}
	return err
}

// Close ends the reading.
func (r *lentRows) Close() error {
	err := r.Rows.Close()
	if r.stmt != nil {
		err = errors.Join(err, r.conn.give(r.query, r.stmt, errors.Join(r.failed, err)))
		r.stmt = nil
	}
	return err
}
