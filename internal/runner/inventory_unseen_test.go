package runner_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

func TestInventoryTellsWhatItCouldNotSee(t *testing.T) {
	t.Parallel()
	const flagsAt, chartsAt, eventsAt, tablesAt = ": flags", ": charts", ": events", ": lookup tables"
	for name, tc := range map[string]struct {
		client func(*world, *amplitude.Options)
		unseen map[string]string // by list of the first project
		says   string            // on the timeline
	}{
		"no developer token": {
			client: func(_ *world, o *amplitude.Options) { o.DeveloperToken = "" },
			unseen: map[string]string{chartsAt: "no developer_token for it", ": destinations": "no developer_token for it", flagsAt: "", eventsAt: ""},
			says:   "projects, flag owners, charts, destinations (no developer_token for it)",
		},
		"no keys of the project": {
			client: func(_ *world, o *amplitude.Options) {
				o.Projects[0].APIKey, o.Projects[0].SecretKey, o.Projects[0].ManagementKey = "", "", ""
			},
			unseen: map[string]string{eventsAt: "no api_key and secret_key for it", tablesAt: "no api_key and secret_key for it", flagsAt: "no management_key for it", chartsAt: ""},
		},
		"keys that Amplitude refuses": {
			client: func(_ *world, o *amplitude.Options) {
				o.Projects[0].SecretKey, o.Projects[0].ManagementKey, o.DeveloperToken = "wrong", "wrong", "amp_wrong"
			},
			unseen: map[string]string{
				eventsAt: "Amplitude refused the api_key and secret_key with status 401", tablesAt: "Amplitude refused the api_key and secret_key with status 401",
				flagsAt: "Amplitude refused the management_key with status 401", chartsAt: "Amplitude refused the developer_token with status 401",
			},
		},
		"a token that lacks scopes": {
			client: func(w *world, o *amplitude.Options) {
				token, err := w.fake.AddAsset(amplitudefake.Asset{Kind: amplitudefake.KindPersonalToken, Name: "narrow", Type: "projects:read flags:read"})
				if err != nil {
					w.t.Fatal(err)
				}
				o.DeveloperToken = amplitude.Secret(token.Key)
			},
			unseen: map[string]string{chartsAt: "the developer_token lacks the scope analytics:read", ": flag owners": "", flagsAt: ""},
		},
		"a project that the token's person does not see": {
			client: func(w *world, _ *amplitude.Options) {
				w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: 404, Match: amplitudefake.Match{Surface: "developer"}})
			},
			unseen: map[string]string{chartsAt: "Amplitude knows nothing there for the developer_token", flagsAt: ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{client: tc.client})
			project := w.fake.Credentials().Projects[0]
			f, result := w.lists()
			for list, want := range tc.unseen {
				unseen, _ := result.about("acme/" + project.Name + list)
				if want == "" && unseen != "" || !strings.HasPrefix(unseen, want) {
					t.Errorf("%s: %q, want %q", list, unseen, want)
				}
			}
			if !slices.ContainsFunc(w.timeline(f.Case.ID), func(e offboard.Entry) bool {
				return e.Kind == string(offboard.StepInventory) && strings.Contains(e.Text, "not seen: "+tc.says)
			}) {
				w.show()
				t.Error("the timeline does not tell")
			}
		})
	}
}

func TestInventoryWaitsForAnAPIThatIsDown(t *testing.T) {
	t.Parallel()
	for _, surface := range []string{"taxonomy", "cohorts", "lookup_tables", "experiment", "developer"} {
		t.Run(surface, func(t *testing.T) {
			w := newWorld(t, setup{})
			w.thing(amplitudefake.Asset{Kind: amplitudefake.KindChart, Name: "Weekly", CreatedBy: leaver})
			w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: 503, Count: 3, Match: amplitudefake.Match{Surface: surface}})
			f, result := w.lists()
			if result.Listed != 1 || f.Step(offboard.StepInventory).State != offboard.StepDone {
				t.Errorf("listed %d, step is %+v", result.Listed, f.Step(offboard.StepInventory))
			}
			for _, s := range result.Sources {
				if s.Unseen != "" {
					t.Errorf("%s: %s", s.Source, s.Unseen)
				}
			}
			if n := len(w.fake.Requests(amplitudefake.RequestFilter{Surface: "taxonomy"})); surface == "experiment" && n != len(w.fake.Credentials().Projects) {
				t.Errorf("what had been read before was read again: %d requests for events", n)
			}
		})
	}
}

func TestInventorySaysWhereTheListOfChartsEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	project := w.fake.Credentials().Projects[0]
	for i := range 10_000 {
		w.thing(amplitudefake.Asset{Kind: amplitudefake.KindChart, Name: fmt.Sprint("Chart ", i), CreatedBy: "other@example.com"})
	}
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindChart, Name: "Beyond", CreatedBy: leaver})
	f, result := w.lists()
	_, without := result.about("acme/" + project.Name + ": charts")
	if len(f.Assets) != 0 || !strings.Contains(without, "what comes after the first 10000") {
		t.Errorf("listed %v; of charts it says %q", sourcesOf(f), without)
	}
}

func TestInventoryTellsOfProjectsThatAreNotConfigured(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{opts: func(o *runner.Options) { o.Organizations[0].Projects = o.Organizations[0].Projects[:1] }})
	second := w.fake.Credentials().Projects[1]
	w.thing(amplitudefake.Asset{Kind: amplitudefake.KindChart, Name: "Elsewhere", CreatedBy: leaver, Project: second.ID})
	f, result := w.lists()
	_, without := result.about("acme: projects")
	if len(f.Assets) != 0 || !strings.Contains(without, fmt.Sprintf("project %d (%s), which is not configured", second.ID, second.Name)) {
		t.Errorf("listed %v; of projects it says %q", sourcesOf(f), without)
	}
}

func TestInventoryGoesOnWithoutAListThatStaysSilent(t *testing.T) {
	t.Parallel()
	for _, surface := range []string{"taxonomy", "lookup_tables", "experiment", "developer"} {
		t.Run(surface, func(t *testing.T) {
			w := newWorld(t, setup{})
			w.thing(amplitudefake.Asset{Kind: amplitudefake.KindCohort, Name: "Power users", Owners: []string{leaver}})
			w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: 503, Match: amplitudefake.Match{Surface: surface}})
			f, result := w.lists()
			if took := w.clock.now().Sub(f.Case.Opened); took < 20*time.Minute || took > time.Hour {
				t.Errorf("went on after %s", took)
			}
			if f.Assets == nil || f.Assets[0].Name != "Power users" {
				t.Errorf("listed %v", sourcesOf(f))
			}
			silent := 0
			for _, s := range result.Sources {
				if strings.HasPrefix(s.Unseen, "no answer after 13 attempts: amplitude "+surface) {
					silent++
				} else if s.Unseen != "" {
					t.Errorf("%s: %s", s.Source, s.Unseen)
				}
			}
			if silent == 0 {
				t.Error("the result does not tell of the outage")
			}
		})
	}
}
