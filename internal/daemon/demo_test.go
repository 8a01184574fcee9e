package daemon_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"offramp/internal/daemon"
	"offramp/internal/store/storetest"
)

// play runs the demo and returns what it printed.
func play(t *testing.T, o daemon.DemoOptions) (string, error) {
	t.Helper()
	var out bytes.Buffer
	o.Out, o.Version = &out, "test"
	err := daemon.Demo(t.Context(), o)
	t.Log(out.String())
	return out.String(), err
}

func TestDemoEndsWellAndKeepsWhatItMade(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "kept")
	out, err := play(t, daemon.DemoOptions{Keep: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Waiting times are shortened", "Olga Owens", "changed her mind", "SCIM calls to Amplitude", "The truth agrees: 6 leavers are gone, each removed once; 1 kept the seat",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the output does not say %q", want)
		}
	}
	for line := range strings.SplitSeq(out, "\n") {
		if len([]rune(line)) > 100 {
			t.Errorf("a line is longer than 100 columns: %s", line)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("there are colours, and the output is no terminal")
	}
	for _, name := range []string{"offramp.yaml", "offramp.db", "offramp.log"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("not kept: %v", err)
		}
	}
	if _, err := play(t, daemon.DemoOptions{Keep: dir}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a second run into the same directory: %v", err)
	}
}

// Each use case of the process runs under the ready-made policies on both
// databases, and the simulator's ground truth agrees with what the cases say.
func TestEveryScenarioEndsWell(t *testing.T) {
	t.Parallel()
	for _, scenario := range daemon.Scenarios() {
		for name, database := range map[string]func(t *testing.T) string{
			"sqlite":   func(*testing.T) string { return "" },
			"postgres": func(t *testing.T) string { t.Helper(); return storetest.Postgres(t) },
		} {
			t.Run(scenario+"/"+name, func(t *testing.T) {
				t.Parallel()
				if _, err := play(t, daemon.DemoOptions{Scenario: scenario, Database: database(t), Patience: 2 * time.Minute}); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestDemoKnowsItsScenarios(t *testing.T) {
	t.Parallel()
	_, err := play(t, daemon.DemoOptions{Scenario: "holiday"})
	if err == nil || !strings.Contains(err.Error(), "name one of termination") {
		t.Errorf("an unknown scenario: %v", err)
	}
}

func TestDemoFailsWhenAmplitudeDoesNotDoWhatItSays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ value, say string }{
		"drop_write": {"true", "still there"},
		"answer_404": {"true", "404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := play(t, daemon.DemoOptions{Switches: map[string]string{name: c.value}, Quiet: true})
			if err == nil {
				t.Fatal("the demo ended well")
			}
			if !strings.Contains(err.Error(), c.say) {
				t.Errorf("the error does not say %q: %v", c.say, err)
			}
			if !strings.Contains(out, "in truth the seat is there") {
				t.Errorf("nothing is said of the truth: %s", out)
			}
		})
	}
}

// interrupting cancels as soon as a text is printed.
type interrupting struct {
	at     string
	cancel context.CancelFunc
}

func (w interrupting) Write(b []byte) (int, error) {
	if strings.Contains(string(b), w.at) {
		w.cancel()
	}
	return len(b), nil
}

func TestDemoStopsWhenItIsInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := daemon.Demo(ctx, daemon.DemoOptions{Out: interrupting{at: "Dora Dahl", cancel: cancel}})
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("the error is %v", err)
	}
}

func TestDemoRefusesASwitchThatTheSimulatorDoesNotHave(t *testing.T) {
	t.Parallel()
	if _, err := play(t, daemon.DemoOptions{Switches: map[string]string{"no_such": "true"}}); err == nil || !strings.Contains(err.Error(), "no_such") {
		t.Errorf("the error is %v", err)
	}
}
