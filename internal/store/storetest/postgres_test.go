package storetest_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"offramp/internal/store/storetest"
)

func TestEachDatabaseIsFreshAndApart(t *testing.T) {
	t.Parallel()
	one, two := storetest.Postgres(t), storetest.Postgres(t)
	if one == two {
		t.Fatal("two calls gave the same database")
	}
	run(t, one, "CREATE TABLE people (id int)")
	run(t, two, "CREATE TABLE people (id int)")
	run(t, one, "INSERT INTO people VALUES (1)")
	if n := count(t, two); n != 0 {
		t.Errorf("the second database sees %d rows of the first", n)
	}
}

func TestLettersOutsideASCIIAreLowered(t *testing.T) {
	t.Parallel()
	conn := connect(t, storetest.Postgres(t))
	var lower string
	if err := conn.QueryRow(t.Context(), "SELECT lower('JOSÉ')").Scan(&lower); err != nil {
		t.Fatal(err)
	}
	if lower != "josé" {
		t.Errorf("lower gave %q, which is not how a production server works", lower)
	}
}

func TestARunningServerIsUsedWhenOneIsNamed(t *testing.T) {
	server := storetest.NewServer(t, storetest.Options{})
	named := server.Database(t)
	t.Setenv(storetest.ServerVariable, named)

	conn := connect(t, storetest.Postgres(t))
	if got, want := conn.Config().Port, connect(t, named).Config().Port; got != want {
		t.Errorf("the database is on port %d, want the named server's %d", got, want)
	}
}

func TestAServerOfOnesOwnKeepsDataOverARestart(t *testing.T) {
	t.Parallel()
	server := storetest.NewServer(t, storetest.Options{Sync: true})
	dsn := server.Database(t)
	run(t, dsn, "CREATE TABLE people (id int)")
	run(t, dsn, "INSERT INTO people VALUES (1)")

	server.Stop(t)
	server.Stop(t)
	if conn, err := pgx.Connect(t.Context(), dsn); err == nil {
		_ = conn.Close(t.Context())
		t.Fatal("connected to a stopped server")
	}

	server.Start(t)
	server.Start(t)
	if n := count(t, dsn); n != 1 {
		t.Errorf("%d rows after the restart, want 1", n)
	}
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func run(t *testing.T, dsn, statement string) {
	t.Helper()
	if _, err := connect(t, dsn).Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, dsn string) int {
	t.Helper()
	var n int
	if err := connect(t, dsn).QueryRow(t.Context(), "SELECT count(*) FROM people").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
