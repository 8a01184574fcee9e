package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"offramp/internal/cli"
	"offramp/internal/console"
	"offramp/internal/offboard"
)

func noon() time.Time { return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) }

// run runs a command against a server that answers everything with body.
func run(t *testing.T, body any, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out bytes.Buffer
	code, stderr = runTo(t, &out, body, args...)
	return code, out.String(), stderr
}

// terminal is where somebody reads along.
type terminal struct{ bytes.Buffer }

func (terminal) Stat() (os.FileInfo, error) { return os.Stat(os.DevNull) } // a character device, as a terminal is

func runTo(t *testing.T, out io.Writer, body any, args ...string) (code int, stderr string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(body); err != nil {
			t.Error(err)
		}
	}))
	defer s.Close()
	var errs bytes.Buffer
	code = cli.Run(t.Context(), cli.Env{
		Args: args, Stdin: strings.NewReader(""), Stdout: out, Stderr: &errs, Now: noon,
		Environ: []string{"OFFRAMP_SERVER=" + s.URL, "OFFRAMP_OPERATOR_TOKEN=x"},
	})
	return code, errs.String()
}

func TestTimesAreToldAsTheyAreAndFromNow(t *testing.T) {
	t.Parallel()
	f := console.CaseFile{
		Case: console.Case{
			ID: "case-1", Address: "lee@example.com", State: offboard.StateClosed, Outcome: offboard.OutcomeRemoved,
			Opened: noon().Add(-49 * time.Hour), Due: noon().Add(3 * time.Hour), Removed: noon().Add(-90 * time.Second), Verified: noon(),
		},
		Timeline: []console.Entry{{At: noon().Add(-5 * time.Second), Actor: "jo", Text: "approved\nand\x1b[2J more"}},
	}
	code, out, errs := run(t, f, "cases", "show", "case-1")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	for _, want := range []string{
		"Opened      2026-02-28 11:00:00Z (2 d ago)", "Due         2026-03-02 15:00:00Z (in 3 h)",
		"Removed     2026-03-02 11:58:30Z (1 min ago)", "Verified    2026-03-02 12:00:00Z (now)", "State       removed",
		"2026-03-02 11:59:55Z (5 s ago)     jo: approved and [2J more",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

func TestTablesFitAPageAndAPipeGetsAllOfThem(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long name ", 30)
	for story, answer := range map[string]struct {
		body any
		args []string
	}{
		"cases": {console.CaseList{Cases: []console.Case{{
			ID: "0198aaaa-0000-7000-8000-000000000001", Address: long, Plan: offboard.Emergency, State: offboard.StateWaiting,
			Waiting: offboard.WaitNotBefore, Due: noon().Add(-72 * time.Hour), Overdue: true,
		}}}, []string{"cases", "list"}},
		"tasks": {console.TaskList{Tasks: []console.Task{{
			ID: "0198aaaa-0000-7000-8000-000000000001", Kind: offboard.TaskSuccessor, State: offboard.TaskDeclined, Title: long,
			Due: noon().Add(72 * time.Hour),
		}}}, []string{"tasks", "list"}},
		"one case": {console.CaseFile{
			Case: console.Case{ID: "case-1", Address: "lee@example.com", Note: long},
			Name: long, Steps: []console.Step{{Name: offboard.StepInventory, State: offboard.StepWaiting, Error: long}},
			Assets:   []console.Asset{{Kind: "event", Name: long, Organization: "main", State: offboard.AssetOwned, NewOwner: "sam@example.com"}},
			Timeline: []console.Entry{{At: noon(), Actor: "offramp", Text: long}},
		}, []string{"cases", "show", "case-1"}},
	} {
		var page terminal
		code, errs := runTo(t, &page, answer.body, answer.args...)
		if code != 0 {
			t.Errorf("%s: exit code %d: %s", story, code, errs)
		}
		if _, all, _ := run(t, answer.body, answer.args...); story != "one case" && !strings.Contains(all, strings.TrimSpace(long)) {
			t.Errorf("%s: cut in a pipe: %s", story, all)
		}
		for line := range strings.SplitSeq(page.String(), "\n") {
			if n := utf8.RuneCountInString(line); n > 100 {
				t.Errorf("%s: %d columns: %s", story, n, line)
			}
		}
	}
}

func TestWhatIsOverdueSaysHowLong(t *testing.T) {
	t.Parallel()
	_, out, _ := run(t, console.TaskList{Tasks: []console.Task{
		{ID: "task-1", State: offboard.TaskOpen, Due: noon().Add(-3 * time.Hour), Overdue: true},
		{ID: "task-2", State: offboard.TaskOpen, Due: noon().Add(30 * time.Minute)},
		{ID: "task-3", State: offboard.TaskDone, Due: noon().Add(-time.Hour)},
	}}, "tasks", "list")
	for _, want := range []string{"3 h late", "in 30 min"} {
		if strings.Count(out, want) != 1 {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if strings.Contains(out, "1 h") {
		t.Errorf("a done task is still due:\n%s", out)
	}
}

func TestALongListIsReadPageByPage(t *testing.T) {
	t.Parallel()
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("limit")+" before "+r.URL.Query().Get("before"))
		page := console.CaseList{Next: "c" + r.URL.Query().Get("limit")}
		for range 1000 {
			page.Cases = append(page.Cases, console.Case{ID: "x"})
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(page); err != nil {
			t.Error(err)
		}
	}))
	defer s.Close()
	var out, errs bytes.Buffer
	code := cli.Run(t.Context(), cli.Env{
		Args: []string{"cases", "list", "--limit", "2000", "--server", s.URL}, Stdout: &out, Stderr: &errs,
		Environ: []string{"OFFRAMP_OPERATOR_TOKEN=x"},
	})
	if code != 0 || strings.Join(asked, ", ") != "1000 before , 1000 before c1000" || !strings.Contains(errs.String(), "There are more") {
		t.Errorf("exit code %d, asked %q, told %q", code, asked, errs.String())
	}
}

func TestTheTokenStaysWithItsServer(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer other.Close()
	s := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer s.Close()
	var errs bytes.Buffer
	code := cli.Run(t.Context(), cli.Env{
		Args: []string{"status", "--server", s.URL}, Stdout: &bytes.Buffer{}, Stderr: &errs,
		Environ: []string{"OFFRAMP_OPERATOR_TOKEN=open-sesame"},
	})
	if code != 1 || !strings.Contains(errs.String(), "answered 307") || strings.Contains(errs.String(), "sesame") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

func TestAStoppedCommandFails(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var errs bytes.Buffer
	code := cli.Run(ctx, cli.Env{
		Args: []string{"status", "--server", "http://127.0.0.1:1"}, Stdout: &bytes.Buffer{}, Stderr: &errs,
		Environ: []string{"OFFRAMP_OPERATOR_TOKEN=x"},
	})
	if code != 1 || !strings.Contains(errs.String(), "context canceled") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

func TestABatchIsDecidedAsOne(t *testing.T) {
	t.Parallel()
	held := console.Case{ID: "case-1", Address: "lee@example.com", Plan: offboard.Leaver, State: offboard.StateHeld, Batch: "b-1"}
	code, _, errs := run(t, console.CaseList{Cases: []console.Case{held, held, {ID: "case-3", Batch: "b-1"}}}, "cases", "list")
	if code != 0 || !strings.Contains(errs, "2 of these") || !strings.Contains(errs, "offramp cases release --batch b-1") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	result := console.BatchResult{Batch: "b-1", Decided: 12, Left: 1}
	for _, row := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"release", "--batch", "b-1"}, 0, "release: done for 12 cases; 1 no longer waited for it and stay as they are"},
		{[]string{"cancel", "--batch", "b-1", "--because", "a mistake"}, 0, "cancel: done for 12 cases"},
		{[]string{"cancel", "--batch", "b-1", "--because", "a mistake", "--output", "json"}, 0, `"decided": 12`},
		{[]string{"cancel", "--batch", "b-1"}, 2, "say why with --because"},
		{[]string{"release", "case-1", "--batch", "b-1"}, 2, "not both"},
		{[]string{"release"}, 2, "give the id of one case"},
	} {
		code, out, errs := run(t, result, append([]string{"cases"}, row.args...)...)
		if code != row.code || !strings.Contains(out+errs, row.says) {
			t.Errorf("%v: exit code %d: %s%s", row.args, code, out, errs)
		}
	}
}

func TestTokensThatEndSoonAreShown(t *testing.T) {
	t.Parallel()
	tokens := console.TokenList{Tokens: []console.Token{
		{ID: "t-1", Created: noon().Add(-240 * time.Hour), Expires: noon().Add(72 * time.Hour), Live: true, EndsSoon: true},
		{ID: "t-2", Created: noon().Add(-time.Hour), Live: true},
		{ID: "t-3", Created: noon().Add(-240 * time.Hour), Expires: noon().Add(-time.Hour)},
	}}
	code, out, errs := run(t, tokens, "token", "list", "--connection", "okta")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	for _, want := range []string{"t-1    ends soon  10 d ago  in 3 d", "t-2    live       1 h ago   never", "t-3    expired    10 d ago  1 h ago"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

func TestStatusTellsTheQueueAsTime(t *testing.T) {
	t.Parallel()
	busy := console.Status{
		Mode: "enforce", Brakes: []string{"acme"},
		Budgets: []console.BudgetLoad{{Organization: "acme", Used: 40, Rate: 60, Queued: 412, ETASeconds: 618}, {Organization: "eu", Rate: 60}},
	}
	code, out, _ := run(t, busy, "status")
	for _, says := range []string{"ENGAGED for acme; see: offramp brake show", "40 of 60", "412 cases, about 10 min 18 s", "nothing"} {
		if code != 0 || !strings.Contains(out, says) {
			t.Errorf("exit code %d, does not say %q:\n%s", code, says, out)
		}
	}
}
