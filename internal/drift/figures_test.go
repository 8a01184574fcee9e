package drift_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/drift"
	"offramp/internal/offboard"
	"offramp/internal/store"
)

// What the test binary is when it is started again: the simulator, or the one
// that sweeps, each with memory of its own.
const (
	childKey   = "OFFRAMP_DRIFT_CHILD"
	simulating = "simulate"
	sweeping   = "sweep"
)

func TestMain(m *testing.M) {
	switch os.Getenv(childKey) {
	case simulating:
		fatal(simulate())
	case sweeping:
		fatal(sweep())
	default:
		os.Exit(m.Run())
	}
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// simulated is how the simulator is reached.
type simulated struct {
	Base        string
	Credentials amplitudefake.Credentials
}

const membersOfFigure = 100_000

func simulate() error {
	fake, err := amplitudefake.New(amplitudefake.Options{Seed: 1, Members: membersOfFigure, RatePerMinute: -1})
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(simulated{Base: "http://" + l.Addr().String(), Credentials: fake.Credentials()}); err != nil {
		return err
	}
	return (&http.Server{Handler: fake, ReadHeaderTimeout: time.Minute}).Serve(l)
}

// swept is what sweeping came to.
type swept struct {
	Members  int
	Seconds  []float64
	Findings map[string]int
	PeakMB   int
}

// sweep sweeps twice: an organization of which nothing is known, and one whose
// members are all in the directory, but for some leavers.
func sweep() error {
	debug.SetGCPercent(200) // as offramp serve does
	var sim simulated
	if err := json.Unmarshal([]byte(os.Getenv("OFFRAMP_DRIFT_SIMULATED")), &sim); err != nil {
		return err
	}
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{Path: filepath.Join(os.Getenv("OFFRAMP_DRIFT_DIR"), "offramp.db")})
	if err != nil {
		return err
	}
	if err := s.Migrate(ctx, nil); err != nil {
		return err
	}
	client, err := amplitude.New(amplitude.Options{
		Name: "acme", SCIMKey: amplitude.Secret(sim.Credentials.SCIMKey), Endpoints: amplitude.Endpoints{SCIM: sim.Base + "/scim/1"},
	})
	if err != nil {
		return err
	}
	sweeper, err := drift.New(drift.Options{
		Store: s, Organizations: []drift.Organization{{Name: "acme", Client: client}}, Connections: []drift.Connection{{Name: "okta"}},
		PendingAfter: 24 * time.Hour,
	})
	if err != nil {
		return err
	}
	out := swept{Findings: map[string]int{}}
	for round := range 2 {
		if round == 1 {
			if err := enrol(s); err != nil {
				return err
			}
		}
		if _, err := s.AskSweep(ctx, "acme", "test"); err != nil {
			return err
		}
		from := time.Now()
		if did, err := sweeper.Sweep(ctx, "acme"); err != nil || !did {
			return fmt.Errorf("swept %v: %w", did, err)
		}
		out.Seconds = append(out.Seconds, time.Since(from).Seconds())
		w, err := s.SweepOf(ctx, "acme")
		if err != nil || w.Failed != "" {
			return fmt.Errorf("%s: %w", w.Failed, err)
		}
		out.Members = w.Members
	}
	counts, err := s.CountFindings(ctx)
	if err != nil {
		return err
	}
	for _, c := range counts {
		out.Findings[string(c.Kind)] = c.Number
	}
	if out.PeakMB, err = peak(); err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		return err
	}
	return s.Close()
}

// enrol puts every member into the directory; one in a thousand is inactive.
func enrol(s *store.Store) error {
	now := time.Now().UnixMilli()
	for _, statement := range []string{
		`insert into person (id, connection, external_id, user_name, user_name_key, display_name, display_key, given_name, family_name, address,
			address_key, address_since, emails, manager, manager_key, department, title, active, claims, removal, resource, version, created_at,
			modified_at, deleted_at)
		select 'p' || address_key, 'okta', '', address, address_key, name, name_key, '', '', address, address_key, $1, '', '', '', '', '',
			(rowid % 1000) <> 0, '', '', '{}', 1, $1, $1, 0 from member`,
		`insert into person_address (person_id, connection, kind, value_key, since) select id, connection, 'seat', address_key, $1 from person`,
	} {
		if _, err := s.DB().ExecContext(context.Background(), statement, now); err != nil {
			return err
		}
	}
	return nil
}

// peak is the most memory this process ever had, in MB.
func peak() (int, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			return kb / 1024, err
		}
	}
	return 0, fmt.Errorf("no VmHWM in /proc/self/status")
}

// TestFiguresSweep100000 measures a sweep of 100,000 members in a process of its
// own: the requests it sends, and the most memory it takes.
func TestFiguresSweep100000(t *testing.T) {
	if os.Getenv("OFFRAMP_SOAK") == "" {
		t.Skip("set OFFRAMP_SOAK=1: it takes a minute or two")
	}
	sim := exec.CommandContext(t.Context(), os.Args[0])
	sim.Env = append(os.Environ(), childKey+"="+simulating)
	sim.Stderr = os.Stderr
	stdout, err := sim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Process.Kill(); _ = sim.Wait() })
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childKey+"="+sweeping, "OFFRAMP_DRIFT_SIMULATED="+string(bytes.TrimSpace(line)), "OFFRAMP_DRIFT_DIR="+t.TempDir())
	child.Stderr = os.Stderr
	text, err := child.Output()
	if err != nil {
		t.Fatal(err)
	}
	var out swept
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	var at simulated
	if err := json.Unmarshal(line, &at); err != nil {
		t.Fatal(err)
	}
	lists, groups, others := requests(t, at.Base)
	t.Logf("%d members: %d list calls and %d group calls in each of two sweeps, %d other calls; %.1f s and %.1f s; peak RSS %d MB; findings %v",
		out.Members, lists/2, groups/2, others, out.Seconds[0], out.Seconds[1], out.PeakMB, out.Findings)
	if want := 2 * ((membersOfFigure + 99) / 100); out.Members != membersOfFigure || lists != want || others != 0 {
		t.Errorf("%d list calls and %d others, want %d and none", lists, others, want)
	}
	if out.PeakMB > 150 {
		t.Errorf("peak RSS %d MB, want at most 150", out.PeakMB)
	}
	if out.Findings[string(offboard.CreatedInactive)] == 0 {
		t.Error("the second sweep found nobody inactive")
	}
}

// requests counts what the simulator was asked.
func requests(t *testing.T, base string) (lists, groups, others int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/_sim/requests", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var log []struct {
		Path string `json:"path"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&log); err != nil {
		t.Fatal(err)
	}
	for _, one := range log {
		switch {
		case strings.HasPrefix(one.Path, "/scim/1/Users"):
			lists++
		case strings.HasPrefix(one.Path, "/scim/1/Groups"):
			groups++
		default:
			others++
		}
	}
	return lists, groups, others
}
