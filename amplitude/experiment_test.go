package amplitude_test

import (
	"reflect"
	"strings"
	"testing"

	"offramp/amplitude"
)

func TestFlagsAndExperimentsOverSeveralPages(t *testing.T) {
	flag := func(id string) string {
		return `{"id":"` + id + `","projectId":"187520","deployments":["d1","d2"],"key":"k","name":"n","enabled":true,"createdBy":"jo.smith@example.com","lastModifiedBy":"al@example.com"}`
	}
	for name, firstPage := range map[string]string{
		"the cursor is beside the list":         `{"experiments":[` + flag("1") + `],"nextCursor":"c2"}`,
		"the cursor is an entry of the list":    `{"experiments":[` + flag("1") + `,{"nextCursor":"c2"}]}`,
		"the cursor is within the last entry":   `{"experiments":[` + strings.TrimSuffix(flag("1"), "}") + `,"nextCursor":"c2"}]}`,
		"other projects of the key are skipped": `{"experiments":[` + flag("1") + `,{"id":"9","projectId":5}],"nextCursor":"c2"}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := play(recorded{Body: firstPage}, recorded{Body: `{"experiments":[{"id":2,"key":"k2","state":"running"}],"nextCursor":null}`})
			got, err := against(t, s).Experiments(t.Context(), projectID)
			want := []amplitude.Flag{
				{
					FlagRef: amplitude.FlagRef{Kind: amplitude.KindExperiment, ProjectID: projectID, ID: "1"}, Key: "k", Name: "n", Enabled: true,
					Deployments: []string{"d1", "d2"}, CreatedBy: leaver, LastModifiedBy: "al@example.com",
				},
				{FlagRef: amplitude.FlagRef{Kind: amplitude.KindExperiment, ProjectID: projectID, ID: "2"}, Key: "k2", State: "running"},
			}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("experiments are %+v, %v", got, err)
			}
			base := "/api/1/experiments?limit=1000&projectId=187520"
			if r := s.requests(); len(r) != 2 || r[0].URI != base || r[1].URI != "/api/1/experiments?cursor=c2&limit=1000&projectId=187520" {
				t.Errorf("asked %+v", r)
			}
		})
	}
	got, err := against(t, says(`{"flags":[`+flag("1")+`]}`)).Flags(t.Context(), projectID)
	if err != nil || len(got) != 1 || got[0].Kind != amplitude.KindFlag {
		t.Errorf("flags are %+v, %v", got, err)
	}
	for _, body := range []string{`{}`, `{"flags":null}`, `{"flags":{}}`, `{"flags":["x"]}`, `{"flags":[{"key":"k"}]}`} {
		if got, err := against(t, says(body)).Flags(t.Context(), projectID); err == nil {
			t.Errorf("%s was read as %+v", body, got)
		}
	}
}

func TestDeploymentsShowTheirKeyOnlyWhenAsked(t *testing.T) {
	s := says(`{"deployments":[
		{"id":"11","projectId":"187520","label":"prod","key":"server-abc","deleted":false},
		{"id":"12","projectId":"187520","label":"web","key":"client-abc","deleted":true},
		{"id":"13","projectId":"5","label":"other","key":"server-xyz","deleted":false}]}`)
	got, err := against(t, s).Deployments(t.Context(), projectID)
	want := []amplitude.Deployment{
		{ID: "11", ProjectID: projectID, Label: "prod", Key: "server-abc"},
		{ID: "12", ProjectID: projectID, Label: "web", Key: "client-abc", Archived: true},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%d deployments, %v", len(got), err)
	}
	if got[0].Type() != "server" || got[1].Type() != "client" || (amplitude.Deployment{Key: "x"}).Type() != "" {
		t.Error("the type is not read from the key's prefix")
	}
}

func TestRotatingADeployment(t *testing.T) {
	ctx := t.Context()
	f := amplitude.FlagRef{Kind: amplitude.KindFlag, ProjectID: projectID, ID: "77"}
	x := amplitude.FlagRef{Kind: amplitude.KindExperiment, ProjectID: projectID, ID: "88"}
	s := play(
		recorded{Body: `{"id":"14"}`}, recorded{Body: "OK"}, recorded{Body: "OK\n"}, recorded{Body: `"OK"`}, recorded{Body: ""}, recorded{Status: 404},
	)
	c := against(t, s)
	id, err := c.CreateDeployment(ctx, projectID, "prod-r20260301", "server")
	if err != nil || id != "14" {
		t.Errorf("id is %q, %v", id, err)
	}
	for _, err := range []error{
		c.AttachDeployment(ctx, f, "14"), c.AttachDeployment(ctx, x, "14"), c.DetachDeployment(ctx, f, "11"),
		c.ArchiveDeployment(ctx, projectID, "11"), c.DetachDeployment(ctx, x, "11"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	want := []asked{
		{Method: "POST", URI: "/api/1/deployments", Body: `{"label":"prod-r20260301","projectId":187520,"type":"server"}`},
		{Method: "POST", URI: "/api/1/flags/77/deployments", Body: `{"deployments":["14"]}`},
		{Method: "POST", URI: "/api/1/experiments/88/deployments", Body: `{"deployments":["14"]}`},
		{Method: "DELETE", URI: "/api/1/flags/77/deployments/11"},
		{Method: "PATCH", URI: "/api/1/deployments/11", Body: `{"archive":true}`},
		{Method: "DELETE", URI: "/api/1/experiments/88/deployments/11"},
	}
	for i, r := range s.requests() {
		if r.Method != want[i].Method || r.URI != want[i].URI || r.Body != want[i].Body {
			t.Errorf("asked %s %s %s", r.Method, r.URI, r.Body)
		}
	}
	if err := against(t, says("Service Unavailable")).ArchiveDeployment(ctx, projectID, "11"); !asError(t, err).Temporary() {
		t.Errorf("a 200 that says something else gives %v", err)
	}
	if _, err := against(t, says(`{}`)).CreateDeployment(ctx, projectID, "l", "client"); !asError(t, err).Temporary() {
		t.Errorf("a 200 without an id gives %v", err)
	}
}

func TestTheDeploymentsOfAFlagComeInSeveralShapes(t *testing.T) {
	f := amplitude.FlagRef{Kind: amplitude.KindFlag, ProjectID: projectID, ID: "77"}
	for _, body := range []string{
		`["11","12"]`, `[11,12]`, `[{"id":"11","label":"prod"},{"id":12}]`, `{"deployments":["11","12"]}`, `{"deployments":[{"id":11},{"id":"12"}]}`,
	} {
		got, err := against(t, says(body)).FlagDeployments(t.Context(), f)
		if err != nil || !reflect.DeepEqual(got, []string{"11", "12"}) {
			t.Errorf("%s gives %v, %v", body, got, err)
		}
	}
	for _, body := range []string{`{}`, `"x"`, `[{}]`, `[[]]`} {
		if got, err := against(t, says(body)).FlagDeployments(t.Context(), f); err == nil {
			t.Errorf("%s was read as %v", body, got)
		}
	}
}

func TestProbingADeploymentKeyLeavesNothingBehind(t *testing.T) {
	s := says(`{}`)
	works, err := against(t, s).EvaluationKeyWorks(t.Context(), "server-abc")
	if !works || err != nil {
		t.Errorf("a live key: %v, %v", works, err)
	}
	r := s.only(t)
	if r.Method != "GET" || !strings.HasPrefix(r.URI, "/sdk/v2/vardata?") || strings.Contains(r.URI, "server-abc") ||
		!strings.Contains(r.URI, "flag_keys=") || r.Header.Get("X-Amp-Exp-Track") != "no-track" || r.Header.Get("X-Amp-Exp-Exposure-Track") != "no-track" {
		t.Errorf("asked %+v", r)
	}
	for _, status := range []int{401, 403} {
		works, err = against(t, play(recorded{Status: status})).EvaluationKeyWorks(t.Context(), "server-abc")
		if works || err != nil {
			t.Errorf("a dead key by %d: %v, %v", status, works, err)
		}
	}
	for _, a := range []recorded{{Status: 500, Body: `{"message":"key server-abc"}`}, {Body: "<html>"}, {Status: 404}, {Status: 429}} {
		works, err = against(t, play(a)).EvaluationKeyWorks(t.Context(), "server-abc")
		if works || err == nil {
			t.Errorf("%+v: %v, %v; want that it cannot be told", a, works, err)
		} else if strings.Contains(err.Error(), "server-abc") {
			t.Errorf("the error shows the key: %v", err)
		}
	}
}
