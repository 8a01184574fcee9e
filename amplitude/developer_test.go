package amplitude_test

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"offramp/amplitude"
)

// lastPage is an answer of the Developer API that nothing follows.
func lastPage(items string) string {
	return `{"data":[` + items + `],"pagination":{"next_cursor":null,"has_more":false}}`
}

func TestChartsNameTheirCreatorInSeveralWays(t *testing.T) {
	s := play(
		recorded{Body: `{"data":[
			{"object":"chart","id":"abc123","project_id":"187520","name":"Weekly actives","chart_type":"eventsSegmentation","created_by":"Jo.Smith@example.com",
			 "created_at":"2026-01-01T00:00:00Z","updated_at":"2026-02-01T00:00:00Z","url":"https://app.amplitude.com/analytics/acme/chart/abc123","archived":false},
			{"id":"def456","name":"By login","created_by":"login-77","archived":true}],"pagination":{"next_cursor":"c/2+x","has_more":true}}`},
		recorded{Body: lastPage(`{"id":9,"name":"Nobody's","created_by":null},{"id":"of another","project_id":"5","name":"Other"}`)},
	)
	got, err := against(t, s).Charts(t.Context(), projectID)
	want := []amplitude.Chart{
		{ID: "abc123", ProjectID: projectID, Name: "Weekly actives", Type: "eventsSegmentation", CreatedBy: "Jo.Smith@example.com"},
		{ID: "def456", ProjectID: projectID, Name: "By login", CreatedBy: "login-77", Archived: true},
		{ID: "9", ProjectID: projectID, Name: "Nobody's"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("charts are %+v, %v", got, err)
	}
	r := s.requests()
	if len(r) != 2 || r[0].URI != "/v1/projects/187520/charts?limit=200" || r[1].URI != "/v1/projects/187520/charts?cursor=c%2F2%2Bx&limit=200" {
		t.Fatalf("asked %+v", r)
	}
	if r[0].Method != http.MethodGet || r[0].Auth != "Bearer PAT="+devToken {
		t.Errorf("asked %s as %q", r[0].Method, r[0].Auth)
	}
}

func TestWhatTheDeveloperAPIListsBesideCharts(t *testing.T) {
	ctx := t.Context()
	s := says(lastPage(`{"id":"187520","name":"Shop","description":"d"},{"id":5,"name":"Lab"}`))
	projects, err := against(t, s).DeveloperProjects(ctx)
	if err != nil || !reflect.DeepEqual(projects, []amplitude.DeveloperProject{{ID: projectID, Name: "Shop"}, {ID: 5, Name: "Lab"}}) {
		t.Errorf("projects are %+v, %v", projects, err)
	}
	if uri := s.only(t).URI; uri != "/v1/projects?limit=200" {
		t.Errorf("asked %s", uri)
	}
	flags, err := against(t, says(lastPage(`{"id":"77","key":"new-checkout","name":"New checkout","enabled":true,"owners":["Jo.Smith@example.com","al@example.com"],
		"created_by":"al@example.com","last_modified_by":"jo.smith@example.com","version":3,"archived":false,"deployments":["11"]},
		{"id":"78","key":"old","owners":null,"archived":true}`))).DeveloperFlags(ctx, projectID)
	wantFlags := []amplitude.DeveloperFlag{
		{
			ID: "77", ProjectID: projectID, Key: "new-checkout", Name: "New checkout", Owners: []string{"Jo.Smith@example.com", "al@example.com"},
			CreatedBy: "al@example.com", LastModifiedBy: leaver,
		},
		{ID: "78", ProjectID: projectID, Key: "old", Archived: true},
	}
	if err != nil || !reflect.DeepEqual(flags, wantFlags) {
		t.Errorf("flags are %+v, %v", flags, err)
	}
	destinations, err := against(t, says(lastPage(`{"object":"destination","id":"d1","project_id":"187520","partner":"braze","display_name":"Braze EU","kind":["event","cohort"],
		"config":{"region":"eu"},"credential_status":"connected","version":2,"enabled":true,"created_by":"jo.smith@example.com","updated_by":null}`))).Destinations(ctx, projectID)
	wantDestinations := []amplitude.Destination{
		{ID: "d1", ProjectID: projectID, Partner: "braze", DisplayName: "Braze EU", Kinds: []string{"event", "cohort"}, CreatedBy: leaver},
	}
	if err != nil || !reflect.DeepEqual(destinations, wantDestinations) {
		t.Errorf("destinations are %+v, %v", destinations, err)
	}
}

func TestAListThatEndsEarlySaysSo(t *testing.T) {
	chart := `{"id":"a","name":"n"}`
	for name, answers := range map[string][]recorded{
		"more is said to follow without a way there": {{Body: `{"data":[` + chart + `],"pagination":{"next_cursor":null,"has_more":true}}`}},
		"the next page is refused": {
			{Body: `{"data":[` + chart + `],"pagination":{"next_cursor":"c2","has_more":true}}`},
			{Status: 400, Body: `{"type":"about:blank","title":"Bad Request","status":400,"error_code":"pagination_not_supported","detail":"lists end at 10,000 items"}`},
		},
		"it holds as much as a list can": {{Body: lastPage(strings.TrimSuffix(strings.Repeat(chart+",", 10_000), ","))}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := against(t, play(answers...)).Charts(t.Context(), projectID)
			if !errors.Is(err, amplitude.ErrTruncated) || len(got) == 0 {
				t.Fatalf("%d charts, %v; want what there was and ErrTruncated", len(got), err)
			}
			if e := asError(t, err); e.Temporary() || !strings.Contains(err.Error(), "goes on past") {
				t.Errorf("the error is %v", err)
			}
		})
	}
	first := play(recorded{Status: 400, Body: `{"error_code":"pagination_not_supported","title":"Bad Request"}`})
	if got, err := against(t, first).Charts(t.Context(), projectID); errors.Is(err, amplitude.ErrTruncated) || err == nil {
		t.Errorf("a first page that is refused gives %d charts, %v", len(got), err)
	}
	endless := says(`{"data":[` + chart + `],"pagination":{"next_cursor":"again","has_more":true}}`)
	if _, err := against(t, endless).Charts(t.Context(), projectID); err == nil || errors.Is(err, amplitude.ErrTruncated) {
		t.Errorf("a cursor that comes twice gives %v", err)
	}
}

func TestTheDeveloperTokenIsPresentedAsWhatItIs(t *testing.T) {
	for token, want := range map[amplitude.Secret]string{
		"amp_abc":     "Bearer PAT=amp_abc",
		"PAT=amp_abc": "Bearer PAT=amp_abc",
		"PAT=abc":     "Bearer PAT=abc",
		"eyJ.abc.def": "Bearer eyJ.abc.def",
	} {
		s := says(lastPage(""))
		o := options(inProcess{s})
		o.DeveloperToken = token
		if got, err := newClient(t, o).DeveloperProjects(t.Context()); err != nil || len(got) != 0 {
			t.Errorf("%v, %v", got, err)
		}
		if auth := s.only(t).Auth; auth != want {
			t.Errorf("sent %q, want %q", auth, want)
		}
	}
}

func TestDeveloperProblems(t *testing.T) {
	problem := func(code, detail, more string) string {
		return `{"type":"https://amplitude.com/problems/` + code + `","title":"T","status":0,"detail":"` + detail + `","instance":"/v1/projects/187520/charts?email=jo.smith@example.com",` +
			`"error_code":"` + code + `"` + more + `}`
	}
	for name, tc := range map[string]struct {
		answer       recorded
		code         string
		unauthorized bool
		temporary    bool
		after        time.Duration
	}{
		"a scope is missing": {
			answer: recorded{Status: 403, Body: problem("insufficient_scope", "PAT="+devToken+" of jo.smith@example.com lacks analytics:read", `,"retryable":false`)},
			code:   "insufficient_scope", unauthorized: true,
		},
		"the token is dead": {answer: recorded{Status: 401, Body: problem("unauthorized", "bad token "+devToken, "")}, code: "unauthorized", unauthorized: true},
		"the API is not opened for the organization": {
			answer: recorded{Status: 403, Body: problem("operation_not_enabled", "no", "")}, code: "operation_not_enabled", unauthorized: true,
		},
		"too many requests, with a wait in the body": {
			answer: recorded{Status: 429, Body: problem("rate_limit_exceeded", "slow down", `,"retryable":true,"retry_after_seconds":17`)},
			code:   "rate_limit_exceeded", temporary: true, after: 17 * time.Second,
		},
		"too many requests, without": {answer: recorded{Status: 429, Body: problem("rate_limit_exceeded", "slow down", `,"retryable":true`)}, code: "rate_limit_exceeded", temporary: true},
		"a bad gateway":              {answer: recorded{Status: 502, Body: "<html>"}, temporary: true},
		"an unknown project":         {answer: recorded{Status: 404, Body: problem("not_found", "no such project", "")}, code: "not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := against(t, play(tc.answer)).Charts(t.Context(), projectID)
			e := asError(t, err)
			if e.API != "developer" || e.Status != tc.answer.Status || e.Code != tc.code || e.Unauthorized() != tc.unauthorized ||
				e.Temporary() != tc.temporary || e.RetryAfter != tc.after || e.NotFound() != (tc.answer.Status == 404) {
				t.Errorf("error is %+v", e)
			}
			mustNotLeak(t, err)
		})
	}
	for _, body := range []string{
		`{}`, `{"data":null}`, `{"data":{}}`, `{"data":["x"]}`, `{"data":[{"name":"without id"}]}`, `[]`, `"x"`, `<html>`, `{"data":[{"id":"a"}`, ``,
	} {
		if got, err := against(t, says(body)).Charts(t.Context(), projectID); err == nil {
			t.Errorf("%s was read as %+v", body, got)
		} else {
			mustNotLeak(t, err)
		}
	}
	if got, err := against(t, says(lastPage(`{"name":"without number"}`))).DeveloperProjects(t.Context()); err == nil {
		t.Errorf("a project without a number was read as %+v", got)
	}
}

func TestWithoutATokenOrAnEndpointNothingIsSent(t *testing.T) {
	s := says(lastPage(""))
	for name, change := range map[string]func(*amplitude.Options){
		"no token":    func(o *amplitude.Options) { o.DeveloperToken = "" },
		"no endpoint": func(o *amplitude.Options) { o.Endpoints.Developer, o.Endpoints.Data = "", "" },
	} {
		t.Run(name, func(t *testing.T) {
			o := options(inProcess{s})
			change(&o)
			c := newClient(t, o)
			if _, err := c.Charts(t.Context(), projectID); !errors.Is(err, amplitude.ErrNotConfigured) {
				t.Errorf("charts: %v", err)
			}
			if _, err := c.DeveloperProjects(t.Context()); !errors.Is(err, amplitude.ErrNotConfigured) {
				t.Errorf("projects: %v", err)
			}
			if o.Endpoints.Data == "" {
				if _, err := c.LookupTables(t.Context(), projectID); !errors.Is(err, amplitude.ErrNotConfigured) {
					t.Errorf("lookup tables: %v", err)
				}
			}
		})
	}
	c := against(t, s)
	if _, err := c.Destinations(t.Context(), 0); err == nil {
		t.Error("a project without a number was asked for")
	}
	if _, err := c.LookupTables(t.Context(), 5); !errors.Is(err, amplitude.ErrNotConfigured) {
		t.Errorf("lookup tables of a project without keys: %v", err)
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests were made", n)
	}
	o := options(nil)
	o.DeveloperToken = "with blank"
	if _, err := amplitude.New(o); err == nil || !strings.Contains(err.Error(), "the developer token holds a blank") || strings.Contains(err.Error(), "with blank") {
		t.Errorf("a token with a blank gives %v", err)
	}
}

func TestTheDeveloperAPIIsAskedAFewThingsAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		o := options(inProcess{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			_, _ = w.Write([]byte(lastPage("")))
		})})
		o.Metrics = reg
		c := newClient(t, o)
		done := make(chan error, 6)
		for range 6 {
			go func() {
				_, err := c.Charts(t.Context(), projectID)
				done <- err
			}()
		}
		for _, finished := range []int{0, 4, 6} {
			synctest.Wait()
			if len(done) != finished {
				t.Errorf("%d lists are read, want %d", len(done), finished)
			}
			time.Sleep(time.Second)
		}
		for range 6 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if n := counted(t, reg, "developer", "200"); n != 6 {
			t.Errorf("%v requests were counted", n)
		}
	})
}

func TestLookupTablesNameTheirCreator(t *testing.T) {
	list := `[{"appId":"187520","name":"sku / names","columnHeaders":["Language"],"createdAt":1715912516,"createdBy":"jo.smith@example.com","lastModifiedAt":1715912516,
		"lastModifiedBy":"api","isDeleted":false,"isConfigured":true,"keyColumnHeader":"SKU","keyProperty":{"type":"event","value":"example","groupType":"User"},
		"fileName":"a.csv","rowCount":3,"sizeBytes":5},
		{"name":"gone","createdBy":"jo.smith@example.com","isDeleted":true},{"name":"bare"}]`
	want := []amplitude.LookupTable{
		{ProjectID: projectID, Name: "sku / names", CreatedBy: leaver, LastModifiedBy: "api", ModifiedAt: time.Date(2024, 5, 17, 2, 21, 56, 0, time.UTC)},
		{ProjectID: projectID, Name: "bare"},
	}
	for _, body := range []string{list, ` {"data":` + list + `}`} {
		s := says(body)
		got, err := against(t, s).LookupTables(t.Context(), projectID)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("tables are %+v, %v", got, err)
		}
		if r := s.only(t); r.Method != http.MethodGet || r.URI != "/api/3/lookup_table" || !strings.HasPrefix(r.Auth, "Basic ") {
			t.Errorf("asked %+v", r)
		}
	}
	if got, err := against(t, says(`[]`)).LookupTables(t.Context(), projectID); err != nil || len(got) != 0 {
		t.Errorf("no tables are %+v, %v", got, err)
	}
	for _, body := range []string{`{}`, `{"data":null}`, `null`, `["x"]`, `[{}]`, `"x"`, ``} {
		if got, err := against(t, says(body)).LookupTables(t.Context(), projectID); err == nil {
			t.Errorf("%s was read as %+v", body, got)
		}
	}
	_, err := against(t, play(recorded{Status: 400, Body: `{"statusCode":400,"message":"no for jo.smith@example.com","errorCode":"LOOKUP_TABLE_OFF","extraParams":{}}`})).LookupTables(t.Context(), projectID)
	if e := asError(t, err); e.API != "lookup_tables" || e.Code != "LOOKUP_TABLE_OFF" || e.Temporary() {
		t.Errorf("error is %+v", e)
	}
	mustNotLeak(t, err)
}
