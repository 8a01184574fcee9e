package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock is the advisory lock that replicas share while they migrate.
const migrationLock = 0x6f666672616d70

// Migrate brings the tables up to date, then calls more (River's migrations)
// under the same lock: replicas that start at once on an empty database must
// not meet. A second call changes nothing.
func (s *Store) Migrate(ctx context.Context, more func(context.Context) error) (err error) {
	if s.postgres {
		conn, err := s.write.Conn(ctx)
		if err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := conn.ExecContext(ctx, "select pg_advisory_lock($1)", int64(migrationLock)); err != nil {
			return fmt.Errorf("migrate: lock: %w", err)
		}
		defer func() {
			_, e := conn.ExecContext(context.WithoutCancel(ctx), "select pg_advisory_unlock($1)", int64(migrationLock))
			err = errors.Join(err, e)
		}()
	}
	if s.postgres {
		// SQLite has it built in: keys that are searched by prefix are ordered
		// byte by byte, whatever the locale of the database.
		if _, err := s.write.ExecContext(ctx, `create collation if not exists "binary" from "C"`); err != nil {
			return fmt.Errorf("migrate: collation: %w", err)
		}
	}
	dialect := goose.DialectSQLite3
	if s.postgres {
		dialect = goose.DialectPostgres
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	p, err := goose.NewProvider(dialect, s.write, files)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if more != nil {
		if err := more(ctx); err != nil {
			return fmt.Errorf("migrate the job tables: %w", err)
		}
	}
	return s.settle(ctx)
}

// settle frees the leases and the comparisons of a process that died: on SQLite
// there is no other process that could hold one.
func (s *Store) settle(ctx context.Context) error {
	if s.postgres {
		return nil
	}
	return s.transact(ctx, func(t *tx) error {
		if err := t.FreeRotations(ctx, t.now.UnixMilli()); err != nil {
			return err
		}
		if err := t.FreeSweeps(ctx, t.now.UnixMilli()); err != nil {
			return err
		}
		if err := t.FreeReadings(ctx); err != nil {
			return err
		}
		return t.FreeLeases(ctx, t.now.UnixMilli())
	})
}
