package runner_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

// incident opens a case on an operator's word.
func (w *world) incident(personID string) offboard.File {
	w.t.Helper()
	id, err := w.store.Reconsider(w.t.Context(), personID, func(p offboard.Person, prior offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error) {
		return offboard.OpenBy(p, prior, offboard.Order{Reason: offboard.SecurityIncident, By: "kim"}, w.rules(), w.clock.now())
	})
	if err != nil {
		w.t.Fatal(err)
	}
	f, err := w.store.Case(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// sweep reads who owns what, as the engine would now.
func (w *world) sweep() {
	w.t.Helper()
	if err := w.runner.SweepOwnership(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) stepDone(n offboard.StepName) func() bool {
	return func() bool {
		s := w.caseOf(leaver).Step(n)
		return s != nil && (s.State == offboard.StepDone || s.State == offboard.StepSkipped)
	}
}

func TestAnIncidentKnowsWhatItsLeaverOwned(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		w.person("leaver", leaver)
		w.thing(amplitudefake.Asset{Kind: amplitudefake.KindEvent, ID: "Sign Up", Name: "Sign Up", Owners: []string{"JO@example.com"}})
		w.thing(amplitudefake.Asset{Kind: amplitudefake.KindCohort, Name: "Power users", Owners: []string{leaver}})
		w.thing(amplitudefake.Asset{Kind: amplitudefake.KindCohort, Name: "Others", Owners: []string{"other@example.com"}})
		w.sweep()
		swept := w.clock.now()
		w.clock.move(time.Hour)
		w.incident("leaver")
		w.run(time.Hour, w.stepDone(offboard.StepInventory))
		f := w.caseOf(leaver)
		got := sourcesOf(f)
		at := swept.Format(time.RFC3339)
		for _, name := range []string{"event Sign Up", "cohort Power users"} {
			if !strings.Contains(got[name], "as the last ownership sweep stored it at "+at) {
				t.Errorf("%s comes from %q", name, got[name])
			}
		}
		if len(got) != 2 || w.inventoried(f).Unknown {
			t.Errorf("listed %v, unknown %v", got, w.inventoried(f).Unknown)
		}
		if !w.said(f, "what the last ownership sweep stored at "+at+" stands in for") {
			w.show()
			t.Error("the timeline does not say where it comes from")
		}
	})
}

func TestWithoutASweepAnIncidentSaysThatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		policy offboard.Unlisted
		tasks  int
	}{
		"a task, where the policy leaves it open": {offboard.UnlistedByUse, 1},
		"a note, where the policy wants no task":  {offboard.UnlistedNote, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{})
			w.policy.Unlisted = tc.policy
			w.member(leaver, -1) // never logged in: still nobody may say that they owned nothing
			w.directoryOnly("leaver", leaver)
			w.readLog()
			w.thing(amplitudefake.Asset{Kind: amplitudefake.KindCohort, Name: "Power users", Owners: []string{leaver}})
			w.incident("leaver")
			w.run(time.Hour, func() bool {
				c := w.caseOf(leaver)
				return !c.Case.State.Live() || len(c.Tasks) > 0
			})
			f := w.caseOf(leaver)
			if !w.inventoried(f).Unknown || len(f.Tasks) != tc.tasks {
				w.show()
				t.Fatalf("unknown %v, %d tasks", w.inventoried(f).Unknown, len(f.Tasks))
			}
			if tc.tasks == 0 && !w.said(f, "what they owned is unknown") {
				w.show()
				t.Error("the evidence says that nothing is owned")
			}
		})
	}
}

// answering is an Amplitude that a test puts before the simulator.
type answering func(*http.Request) (*http.Response, error)

func (f answering) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestALaterReadingThatFailsKeepsWhatIsKnown(t *testing.T) {
	t.Parallel()
	var empty atomic.Bool
	lying := func(_ *world, o *amplitude.Options) {
		simulator := o.Transport
		o.Transport = answering(func(r *http.Request) (*http.Response, error) {
			if empty.Load() && strings.HasSuffix(r.URL.Path, "/cohorts") {
				return &http.Response{
					StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
					Body: io.NopCloser(strings.NewReader(`{"cohorts":[]}`)),
				}, nil
			}
			return simulator.RoundTrip(r)
		})
	}
	for name, fault := range map[string]func(*world){
		"404 to all":             func(w *world) { w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: 404}) },
		"503 to all":             func(w *world) { w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: 503}) },
		"half an answer":         func(w *world) { w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultTruncate}) },
		"an empty list with 200": func(*world) { empty.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			empty.Store(false)
			w := newWorld(t, setup{client: lying})
			w.person("leaver", leaver)
			w.thing(amplitudefake.Asset{Kind: amplitudefake.KindCohort, Name: "Power users", Owners: []string{leaver}})
			w.sweep()
			w.clock.move(25 * time.Hour)
			fault(w)
			_ = w.runner.SweepOwnership(t.Context()) // whether it says so or not
			w.calm()
			got, err := w.store.Owned(t.Context(), "acme", leaver)
			if err != nil || len(got) != 1 || got[0].Name != "Power users" {
				t.Errorf("known: %+v, %v", got, err)
			}
		})
	}
}

func TestASweepReplacesWhatIsNoLongerTrue(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		w.person("leaver", leaver)
		w.person("heir", "kim@example.com")
		one := w.thing(amplitudefake.Asset{Kind: amplitudefake.KindCohort, Name: "Power users", Owners: []string{leaver}})
		w.sweep()
		w.human(amplitudefake.Action{Do: "transfer", Kind: one.Kind, ID: one.ID, Project: one.Project, To: "kim@example.com"})
		w.clock.move(2 * time.Hour)
		w.sweep() // too early for a list that was read
		if got, err := w.store.Owned(t.Context(), "acme", leaver); err != nil || len(got) != 1 {
			t.Errorf("after two hours: %+v, %v", got, err)
		}
		w.clock.move(day)
		w.sweep()
		if got, err := w.store.Owned(t.Context(), "acme", leaver); err != nil || len(got) != 0 {
			t.Errorf("after a day: %+v, %v", got, err)
		}
		if got, err := w.store.Owned(t.Context(), "acme", "KIM@example.com"); err != nil || len(got) != 1 {
			t.Errorf("the new owner's: %+v, %v", got, err)
		}
	})
}

func TestAListThatStaysSilentIsFilledFromTheSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindChart, Name: "Weekly", CreatedBy: leaver})
	w.sweep()
	w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: 503, Match: amplitudefake.Match{Surface: "developer"}})
	f, result := w.lists()
	unseen, _ := result.about("acme/" + w.fake.Credentials().Projects[0].Name + ": charts")
	if !strings.Contains(unseen, "no answer after") || !strings.Contains(sourcesOf(f)["chart Weekly"], "the last ownership sweep stored it") {
		t.Errorf("unseen %q, listed %v", unseen, sourcesOf(f))
	}
}

func TestOneReplicaSweeps(t *testing.T) {
	t.Parallel()
	var second *runner.Runner
	w := newWorld(t, setup{opts: func(o *runner.Options) {
		var err error
		if second, err = runner.New(*o); err != nil {
			t.Fatal(err)
		}
	}})
	w.sweep()
	n := len(w.fake.Requests(amplitudefake.RequestFilter{Surface: "taxonomy"}))
	if err := second.SweepOwnership(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := len(w.fake.Requests(amplitudefake.RequestFilter{Surface: "taxonomy"})); again != n || n == 0 {
		t.Errorf("%d requests became %d", n, again)
	}
}
