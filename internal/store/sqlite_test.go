package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"offramp/internal/store"
)

// TestAPreparedStatementIsNeverShared runs a statement inside the rows of the
// same statement, leaves rows half read, changes the schema under it, and lets
// it fail: what is kept for the next time is always as new.
func TestAPreparedStatementIsNeverShared(t *testing.T) {
	t.Parallel()
	s := open(t, store.Options{Path: filepath.Join(t.TempDir(), "offramp.db")})
	ctx, db := t.Context(), s.DB()
	exec := func(statement string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(ctx, statement, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec("create table number (n integer primary key)")
	for n := range 300 { // more statements than a connection keeps
		exec(fmt.Sprintf("insert into number values (%d)", n))
		exec("insert into number values ($1)", 1000+n)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	const list = "select n from number where n >= $1 order by n limit 3"
	if got := numbers(t, tx, list, 1000, func(n int) {
		if inner := numbers(t, tx, list, n+1, nil); len(inner) != 3 || inner[0] != n+1 {
			t.Errorf("inside the rows of %d: %v", n, inner)
		}
	}); fmt.Sprint(got) != "[1000 1001 1002]" {
		t.Errorf("got %v", got)
	}
	var first int
	if err := tx.QueryRowContext(ctx, list, 5).Scan(&first); err != nil || first != 5 {
		t.Errorf("got %d, %v", first, err) // two rows stay unread
	}
	if _, err := tx.ExecContext(ctx, "insert into number values ($1)", 1000); err == nil {
		t.Error("a number was inserted twice")
	}
	if _, err := tx.ExecContext(ctx, "insert into number values ($1)", 5000); err != nil {
		t.Errorf("after a failure: %v", err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	exec("alter table number add column word text not null default 'x'")
	var word string
	for range 2 {
		if err := db.QueryRowContext(ctx, "select * from number where n = $1", 5000).Scan(&first, &word); err != nil || word != "x" {
			t.Errorf("after a change of the schema: %q, %v", word, err)
		}
		exec("update number set word = 'x'")
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := db.QueryRowContext(ended, list, 1).Scan(&first); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context ended: %v", err)
	}
	if err := db.QueryRowContext(ctx, list, 7).Scan(&first); err != nil || first != 7 {
		t.Errorf("got %d, %v", first, err)
	}
}

func numbers(t *testing.T, tx *sql.Tx, statement string, from int, inside func(n int)) (out []int) {
	t.Helper()
	rows, err := tx.QueryContext(t.Context(), statement, from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var n int
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
		if inside != nil {
			inside(n)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
