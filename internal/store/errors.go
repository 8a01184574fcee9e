package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// errGroupGone says that a transaction of several writes was rolled back
// because of one of them.
var errGroupGone = errors.New("the shared transaction was rolled back")

// away reports whether an error means that the database cannot be had now, or
// lost a race that repeating wins: the write did not happen or can be repeated.
func away(err error) bool {
	if errors.Is(err, errGroupGone) {
		return true
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN:
			return true
		}
		return false
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		// Connection, resources, operator intervention, serialization and deadlock.
		for _, class := range []string{"08", "53", "57", "40"} {
			if strings.HasPrefix(e.Code, class) {
				return true
			}
		}
		return false
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err)
}

// violates reports whether err says that the named unique index refused a row.
// SQLite names the columns instead of the index, so both are given.
func violates(err error, index, columns string) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code == "23505" && e.ConstraintName == index
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		unique := e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
		return unique && (strings.Contains(e.Error(), index) || strings.Contains(e.Error(), columns))
	}
	return false
}

// missing turns the driver's "no rows" into ours.
func missing(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}
