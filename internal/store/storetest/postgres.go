// Package storetest helps tests of everything that keeps state: it owns the
// throw-away database servers that tests run on. It must not know the schema.
package storetest

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// ServerVariable names the environment variable that may hold the URL of a
// running PostgreSQL whose user may create databases. When it is set, Postgres
// uses that server and starts none.
const ServerVariable = "OFFRAMP_TEST_POSTGRES"

// shared holds the server that all tests of one binary use.
//
//nolint:gochecknoglobals // one server for each test binary is what it is for
var shared struct {
	sync.Mutex
	server *Server
}

// Postgres returns the URL of a fresh, empty PostgreSQL database, dropped when
// the test ends. The server behind it is started by the first call in a test
// binary, does not sync to disk, and stops when the binary ends, however it
// ends. A machine without PostgreSQL fails the test.
func Postgres(tb testing.TB) string {
	tb.Helper()
	if admin := os.Getenv(ServerVariable); admin != "" {
		return createDatabase(tb, admin)
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		server, err := startServer(Options{})
		if err != nil {
			tb.Fatalf("start postgresql: %v", err)
		}
		shared.server = server
	}
	return createDatabase(tb, shared.server.adminURL())
}

// Options choose what a server of one's own is like.
type Options struct {
	Sync bool // sync to disk as in production; false is faster, and only a crash of the machine can tell
}

// Server is a PostgreSQL server on a free port of 127.0.0.1. It can be stopped
// and started again, to see how its users bear that.
type Server struct {
	dir     string
	port    int
	options Options
	bin     string
	owner   *syscall.Credential

	watcher *exec.Cmd // nil: stopped
	hold    io.Closer
}

// NewServer starts a server for one test, stopped and deleted when it ends.
func NewServer(tb testing.TB, options Options) *Server {
	tb.Helper()
	server, err := startServer(options)
	if err != nil {
		tb.Fatalf("start postgresql: %v", err)
	}
	tb.Cleanup(func() {
		if err := server.stop(); err != nil {
			tb.Errorf("stop postgresql: %v", err)
		}
		if err := os.RemoveAll(server.dir); err != nil {
			tb.Errorf("remove postgresql data: %v", err)
		}
	})
	return server
}

// Database returns the URL of a fresh, empty database on this server. It goes
// away with the server.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	name, err := addDatabase(context.Background(), s.adminURL())
	if err != nil {
		tb.Fatalf("create database: %v", err)
	}
	return withDatabase(tb, s.adminURL(), name)
}

// Stop stops the server and breaks every connection to it. The data stays. A
// second call does nothing.
func (s *Server) Stop(tb testing.TB) {
	tb.Helper()
	if err := s.stop(); err != nil {
		tb.Fatalf("stop postgresql: %v", err)
	}
}

// Start starts a stopped server again, on the same port. A second call does
// nothing.
func (s *Server) Start(tb testing.TB) {
	tb.Helper()
	if err := s.start(); err != nil {
		tb.Fatalf("start postgresql: %v", err)
	}
}

func (s *Server) adminURL() string {
	return fmt.Sprintf("postgres://offramp@127.0.0.1:%d/postgres?sslmode=disable", s.port)
}

func startServer(options Options) (*Server, error) {
	bin, err := findBinaries()
	if err != nil {
		return nil, err
	}
	owner, err := serverOwner()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "offramp-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, options: options, bin: bin, owner: owner}
	if err := s.create(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	// A free port can be taken between finding and using it.
	for attempt := 1; ; attempt++ {
		if s.port, err = freePort(); err != nil {
			break
		}
		if err = s.start(); err == nil || attempt == 3 {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// create makes the data directory.
func (s *Server) create() error {
	if s.owner != nil {
		if err := os.Chown(s.dir, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			return err
		}
	}
	//nolint:noctx // runs for a second; the caller has no context that may end it
	initdb := exec.Command(filepath.Join(s.bin, "initdb"), "--pgdata="+s.data(), "--username=offramp",
		"--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
	s.as(initdb)
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// watch starts a server, says so, and waits until its standard input ends: when
// we close it, or when we are gone for whatever reason. Then it stops the
// server and, where told to, deletes it.
const watch = `
trap '' INT TERM HUP
bin=$1 data=$2 log=$3 options=$4 delete=$5
if ! "$bin/pg_ctl" --pgdata="$data" --log="$log" --timeout=120 --wait --silent --options="$options" start; then
	cat "$log"
	exit 1
fi
echo ready
cat >/dev/null
"$bin/pg_ctl" --pgdata="$data" --mode=immediate --wait --silent stop >/dev/null 2>&1
if [ -e "$delete" ]; then rm -rf "$data" "$log" "$delete"; rmdir "$(dirname "$data")"; fi
`

func (s *Server) start() error {
	if s.watcher != nil {
		return nil
	}
	settings := []string{
		"-c listen_addresses=127.0.0.1", "-c port=" + strconv.Itoa(s.port), "-c unix_socket_directories=''",
		"-c max_connections=200", "-c shared_buffers=64MB", "-c log_min_messages=fatal", "-c timezone=UTC",
	}
	if !s.options.Sync {
		settings = append(settings, "-c fsync=off", "-c synchronous_commit=off", "-c full_page_writes=off")
	}
	// The marker says that nobody is left to delete the data. NewServer's
	// clean-up and stop take it away; an ending test binary cannot.
	if err := os.WriteFile(s.marker(), nil, 0o644); err != nil {
		return err
	}
	//nolint:noctx // ends with its standard input
	cmd := exec.Command("/bin/sh", "-c", watch, "offramp-postgres", s.bin, s.data(),
		filepath.Join(s.dir, "log"), strings.Join(settings, " "), s.marker())
	s.as(cmd)
	cmd.SysProcAttr.Setpgid = true
	hold, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	told := bufio.NewReader(out)
	first, err := told.ReadString('\n')
	if err == nil && first == "ready\n" {
		s.watcher, s.hold = cmd, hold
		return nil
	}
	rest, _ := io.ReadAll(told)
	return fmt.Errorf("postgres: %w\n%s%s", errors.Join(hold.Close(), cmd.Wait()), first, rest)
}

func (s *Server) stop() error {
	if s.watcher == nil {
		return nil
	}
	err := errors.Join(os.Remove(s.marker()), s.hold.Close(), s.watcher.Wait())
	s.watcher, s.hold = nil, nil
	return err
}

func (s *Server) data() string   { return filepath.Join(s.dir, "data") }
func (s *Server) marker() string { return filepath.Join(s.dir, "unattended") }

// as makes cmd run as the owner of the data, at a place that the owner may be.
func (s *Server) as(cmd *exec.Cmd) {
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
}

// serverOwner returns who the server runs as: us, or, since PostgreSQL refuses
// to run as root, the user of the package or nobody.
func serverOwner() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil //nolint:nilnil // nil is what SysProcAttr wants for "as we are"
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("running as root, and there is no user postgres or nobody to run the server as")
}

// findBinaries returns the directory of the newest initdb.
func findBinaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // Debian keeps them out of PATH
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		slices.SortFunc(found, func(a, b string) int { return release(a) - release(b) })
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", fmt.Errorf("there is no PostgreSQL server here; `make test` installs it: %w", err)
	}
	return filepath.Dir(path), nil
}

// release reads 15 from /usr/lib/postgresql/15/bin/initdb, and 0 from the rest.
func release(initdb string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
	return n
}

func freePort() (int, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = listener.Close() }()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("unexpected address %v", listener.Addr())
	}
	return address.Port, nil
}

// createDatabase makes a database that is dropped when the test ends.
func createDatabase(tb testing.TB, admin string) string {
	tb.Helper()
	name, err := addDatabase(context.Background(), admin)
	if err != nil {
		tb.Fatalf("create database: %v", err)
	}
	tb.Cleanup(func() {
		if err := execute(context.Background(), admin, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			tb.Errorf("drop database: %v", err)
		}
	})
	return withDatabase(tb, admin, name)
}

func addDatabase(ctx context.Context, admin string) (string, error) {
	name := "test_" + strings.ToLower(rand.Text())
	return name, execute(ctx, admin, "CREATE DATABASE "+name+" TEMPLATE template0")
}

func execute(ctx context.Context, dsn, statement string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// withDatabase returns dsn with its database replaced.
func withDatabase(tb testing.TB, dsn, name string) string {
	tb.Helper()
	u, err := url.Parse(dsn)
	if err != nil || u.Host == "" {
		tb.Fatalf("%s must hold a URL such as postgres://user@127.0.0.1:5432/postgres", ServerVariable)
	}
	u.Path = "/" + name
	return u.String()
}
