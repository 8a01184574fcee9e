package amplitude_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"offramp/amplitude"
)

func TestNewNamesEveryProblemAtOnce(t *testing.T) {
	_, err := amplitude.New(amplitude.Options{
		Endpoints: amplitude.Endpoints{SCIM: "https://jo:hunter2@core.example.com/scim/1", Audit: "https://example.com/"},
		OrgID:     1,
		OrgKey:    "with blank",
		Timeout:   -1,
		UserAgent: "a\nb",
		Projects:  []amplitude.Project{{ID: 0}, {ID: 7, APIKey: "a"}, {ID: 7}},
	})
	if err == nil {
		t.Fatal("New took options that cannot work")
	}
	for _, want := range []string{
		"needs a name", "SCIM key is missing", "must not hold a user or password", "must not end with a slash",
		"set all three or none", "holds a blank", "must not be negative", "user agent holds", "needs an id above zero",
		"project 7 is listed twice", "project 7 needs its API key and its secret key together",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	for _, secret := range []string{"hunter2", "with blank"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error repeats %q", secret)
		}
	}
}

func TestRegionsDifferAndUnknownOnesAreRefused(t *testing.T) {
	us, err := amplitude.RegionEndpoints("us")
	if err != nil {
		t.Fatal(err)
	}
	eu, err := amplitude.RegionEndpoints("eu")
	if err != nil {
		t.Fatal(err)
	}
	if us.SCIM != "https://core.amplitude.com/scim/1" || eu.SCIM != "https://core.eu.amplitude.com/scim/1" {
		t.Errorf("SCIM is %q and %q", us.SCIM, eu.SCIM)
	}
	if eu.Audit != us.Audit {
		t.Errorf("audit logs have no host in the EU, got %q", eu.Audit)
	}
	if _, err := amplitude.RegionEndpoints("mars"); err == nil {
		t.Error("region mars was accepted")
	}
	for _, e := range []amplitude.Endpoints{us, eu} {
		o := options(nil)
		o.Endpoints = e
		if _, err := amplitude.New(o); err != nil {
			t.Error(err)
		}
	}
}

func TestSecretsPrintAsRedacted(t *testing.T) {
	s := amplitude.Secret("hunter2")
	asJSON, err := json.Marshal(amplitude.Deployment{Key: s})
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{
		fmt.Sprint(s), fmt.Sprintf("%s %v %+v %#v %q %x %d", s, s, s, s, s, s, s), string(asJSON),
		fmt.Sprintf("%+v", amplitude.Options{SCIMKey: s}),
	} {
		if strings.Contains(got, "hunter2") || strings.Contains(got, "68756e74657232") || !strings.Contains(got, "[redacted]") {
			t.Errorf("printed as %s", got)
		}
	}
	if s.Reveal() != "hunter2" {
		t.Error("Reveal does not give the value")
	}
}

func TestARequestThatHangsEndsByTheTimeoutAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		c := against(t, hang)
		begin := time.Now()
		_, err := c.RemoveMember(t.Context(), leaver)
		if took := time.Since(begin); took != 20*time.Second {
			t.Errorf("gave up after %s, want 20s", took)
		}
		e := asError(t, err)
		if !e.Temporary() || e.Status != 0 || !strings.Contains(err.Error(), "request timeout of 20s") {
			t.Errorf("error is %v, want a temporary one that names the timeout", err)
		}
		mustNotLeak(t, err)
	})
}

func TestABodyThatHangsEndsByTheTimeout(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"totalResults":`))
		_ = http.NewResponseController(w).Flush()
		<-release
	}))
	defer server.Close()
	defer close(release)
	o := options(nil)
	o.Endpoints.SCIM = server.URL + "/scim/1"
	o.Timeout = 50 * time.Millisecond
	c := newClient(t, o)
	defer c.CloseIdleConnections()
	_, err := c.MembersPage(t.Context(), 1)
	if e := asError(t, err); !e.Temporary() || !strings.Contains(err.Error(), "request timeout of 50ms") {
		t.Errorf("error is %v, want a temporary one that names the timeout", err)
	}
}

func TestACancelledCallerIsToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := contextThatEnds(t, time.Second)
		defer cancel()
		c := against(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		_, err := c.Member(ctx, leaver)
		if !errors.Is(err, ctx.Err()) || ctx.Err() == nil {
			t.Errorf("error is %v, want it to be %v", err, ctx.Err())
		}
		mustNotLeak(t, err)
	})
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var elsewhere, here int
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		here++
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	o := options(nil)
	o.Endpoints.SCIM = server.URL + "/scim/1"
	c := newClient(t, o)
	defer c.CloseIdleConnections()
	for name, call := range map[string]func() error{
		"read":  func() error { _, err := c.Member(t.Context(), leaver); return err },
		"write": func() error { _, err := c.RemoveMember(t.Context(), leaver); return err },
	} {
		err := call()
		if e := asError(t, err); e.Status != http.StatusTemporaryRedirect || e.Temporary() || !strings.Contains(err.Error(), "redirect") {
			t.Errorf("%s: error is %v, want a lasting one about the redirect", name, err)
		}
		mustNotLeak(t, err)
	}
	if elsewhere != 0 || here != 2 {
		t.Errorf("%d requests followed the redirect, %d were sent; want 0 and 2", elsewhere, here)
	}
}

func TestEachAPIGetsItsOwnCredential(t *testing.T) {
	s := says(`{"id":"jo.smith@example.com","cohorts":[],"data":[],"events":[],"flags":[]}`)
	c := against(t, s)
	ctx := t.Context()
	_, _ = c.Member(ctx, leaver)
	_, _ = c.ProjectAccess(ctx, projectID)
	_, _ = c.Cohorts(ctx, projectID)
	_, _ = c.Events(ctx, projectID)
	_, _ = c.Flags(ctx, projectID)
	_, _ = c.EvaluationKeyWorks(ctx, "server-key")
	want := []string{
		"Bearer " + scimKey,
		"Basic b3JnLWtleS00NzExOm9yZy1zZWNyZXQtNDcxMQ==",
		"Basic YXBpLWtleS00NzExOnNlY3JldC1rZXktNDcxMQ==",
		"Basic YXBpLWtleS00NzExOnNlY3JldC1rZXktNDcxMQ==",
		"Bearer " + managementKey,
		"Api-Key server-key",
	}
	got := s.requests()
	if len(got) != len(want) {
		t.Fatalf("%d requests, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].Auth != want[i] {
			t.Errorf("%s was sent with %q, want %q", got[i].URI, got[i].Auth, want[i])
		}
		if got[i].Header.Get("User-Agent") != "offramp" {
			t.Errorf("%s was sent as %q", got[i].URI, got[i].Header.Get("User-Agent"))
		}
	}
}

func TestTheBudgetIsAskedBeforeEachSCIMRequestOnly(t *testing.T) {
	b := &fakeBudget{}
	s := says(`{"totalResults":0,"Resources":[],"data":[]}`)
	o := options(inProcess{s})
	o.Budget = b
	c := newClient(t, o)
	_, _ = c.MembersPage(t.Context(), 1)
	_, _ = c.WithShare(amplitude.ShareEmergency).RemoveMember(t.Context(), leaver)
	_, _ = c.WithShare(amplitude.ShareVerify).Member(t.Context(), leaver)
	_, _ = c.Events(t.Context(), projectID)
	if got := fmt.Sprint(b.taken); got != "[other emergency verify]" {
		t.Errorf("the budget was asked for %s", got)
	}
}

func TestWhatTheBudgetRefusesIsNotSent(t *testing.T) {
	s := says(`{}`)
	o := options(inProcess{s})
	o.Budget = &fakeBudget{err: &amplitude.BudgetError{Wait: 7 * time.Second}}
	reg := prometheus.NewRegistry()
	o.Metrics = reg
	_, err := newClient(t, o).WithShare(amplitude.ShareRemove).RemoveMember(t.Context(), leaver)
	if e, ok := errors.AsType[*amplitude.BudgetError](err); !ok || e.Wait != 7*time.Second {
		t.Errorf("error is %v, want the budget's own", err)
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	if got := counted(t, reg, "scim", "budget"); got != 1 {
		t.Errorf("counted %v refusals, want 1", got)
	}
}

func TestThrottlingIsToldToTheBudget(t *testing.T) {
	for _, row := range []struct {
		name, header string
		retry, until time.Duration
	}{
		{"seconds", "17", 17 * time.Second, 17 * time.Second},
		{"a date", today().Add(42 * time.Second).Format(http.TimeFormat), 42 * time.Second, 42 * time.Second},
		{"a date that has passed", today().Add(-time.Minute).Format(http.TimeFormat), 0, 30 * time.Second},
		{"nothing", "", 0, 30 * time.Second},
		{"nonsense", "soon", 0, 30 * time.Second},
		{"a day", "86400", time.Hour, time.Hour},
		{"less than nothing", "-5", 0, 30 * time.Second},
		{"more than a duration holds", "999999999999999999999", time.Hour, time.Hour},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := &fakeBudget{}
			o := options(inProcess{play(recorded{Status: 429, Header: map[string]string{"Retry-After": row.header}})})
			o.Budget = b
			_, err := newClient(t, o).Member(t.Context(), leaver)
			if e := asError(t, err); e.RetryAfter != row.retry || !e.Temporary() {
				t.Errorf("retry after %s (temporary %v), want %s", e.RetryAfter, e.Temporary(), row.retry)
			}
			if len(b.waits) != 1 || b.waits[0] != row.until {
				t.Errorf("the budget was told %v, want %s", b.waits, row.until)
			}
		})
	}
}

func TestAReadOnlyClientSendsNoWrite(t *testing.T) {
	s := says(`{"id":"jo.smith@example.com"}`)
	c := against(t, s).ReadOnly()
	f := amplitude.FlagRef{Kind: amplitude.KindFlag, ProjectID: projectID, ID: "1"}
	ctx := t.Context()
	for name, write := range map[string]func() error{
		"remove member":     func() error { _, err := c.RemoveMember(ctx, leaver); return err },
		"remove from group": func() error { return c.RemoveFromGroup(ctx, "632", leaver) },
		"add to group":      func() error { return c.AddToGroup(ctx, "632", leaver) },
		"assign":            func() error { return c.Assign(ctx, leaver, projectID, "role") },
		"change role":       func() error { return c.ChangeRole(ctx, "a", "role") },
		"delete assignment": func() error { return c.DeleteAssignment(ctx, "a") },
		"set event owner":   func() error { return c.SetEventOwner(ctx, projectID, "e", leaver) },
		"create deployment": func() error { _, err := c.CreateDeployment(ctx, projectID, "l", "server"); return err },
		"archive":           func() error { return c.ArchiveDeployment(ctx, projectID, "1") },
		"attach":            func() error { return c.AttachDeployment(ctx, f, "1") },
		"detach":            func() error { return c.DetachDeployment(ctx, f, "1") },
		"set a secret":      func() error { return c.SetDestinationSecret(ctx, projectID, "1", "v", "field", "value") },
		"test destination":  func() error { _, err := c.TestDestination(ctx, projectID, "1"); return err },
	} {
		if err := write(); !errors.Is(err, amplitude.ErrReadOnly) {
			t.Errorf("%s: error is %v, want ErrReadOnly", name, err)
		}
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	if _, err := c.Member(ctx, leaver); err != nil {
		t.Errorf("reading: %v", err)
	}
}

func TestAClientAsksLastWhetherItMayChangeAnything(t *testing.T) {
	s := says(`{"id":"jo.smith@example.com"}`)
	var order []string
	stop := errors.New("paused")
	o := options(roundTrip(func(r *http.Request) (*http.Response, error) {
		order = append(order, r.Method)
		return inProcess{s}.RoundTrip(r)
	}))
	slots := &fakeBudget{}
	o.Budget = slots
	o.Permit = func(context.Context) error {
		order = append(order, fmt.Sprintf("asked after %d slots", len(slots.taken)))
		return stop
	}
	c := newClient(t, o)
	if _, err := c.RemoveMember(t.Context(), leaver); !errors.Is(err, stop) {
		t.Errorf("a removal that may not be: %v", err)
	}
	if _, err := c.Member(t.Context(), leaver); err != nil {
		t.Errorf("reading: %v", err)
	}
	if _, err := c.Finishing().RemoveMember(t.Context(), leaver); err != nil {
		t.Errorf("the end of what was begun: %v", err)
	}
	if got := strings.Join(order, " "); got != "asked after 1 slots GET DELETE" {
		t.Errorf("in the order %q", got)
	}
}

func TestWhatIsNotConfiguredSaysSo(t *testing.T) {
	o := options(inProcess{says(`{}`)})
	o.OrgID, o.OrgKey, o.OrgSecret = 0, "", ""
	o.Projects = []amplitude.Project{{ID: 5}}
	o.Endpoints.Evaluation = ""
	c := newClient(t, o)
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"access": func() error { _, err := c.Access(ctx, leaver); return err },
		"audit": func() error {
			return firstError(c.AuditLog(ctx, today().Add(-time.Hour), today(), amplitude.AuditFilter{}))
		},
		"events":      func() error { _, err := c.Events(ctx, 5); return err },
		"cohorts":     func() error { _, err := c.Cohorts(ctx, 5); return err },
		"flags":       func() error { _, err := c.Flags(ctx, 5); return err },
		"no project":  func() error { _, err := c.Flags(ctx, 6); return err },
		"deployments": func() error { _, err := c.Deployments(ctx, 5); return err },
		"evaluation":  func() error { _, err := c.EvaluationKeyWorks(ctx, "k"); return err },
	} {
		if err := call(); !errors.Is(err, amplitude.ErrNotConfigured) || asError(t, err).Temporary() {
			t.Errorf("%s: error is %v, want a lasting ErrNotConfigured", name, err)
		}
	}
}

func TestRequestsAreCountedByOrganizationAPIAndCode(t *testing.T) {
	reg := prometheus.NewRegistry()
	o := options(inProcess{play(
		recorded{Body: `{"id":"jo.smith@example.com"}`}, recorded{Status: 404}, recorded{Status: 418}, recorded{Status: 500},
	)})
	o.Metrics = reg
	c := newClient(t, o)
	for range 4 {
		_, _ = c.Member(t.Context(), leaver)
	}
	o.Transport = roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") })
	_, _ = newClient(t, o).Member(t.Context(), leaver) // a second client shares the registry
	for code, want := range map[string]float64{"200": 1, "404": 1, "other": 1, "500": 1, "error": 1, "429": 0} {
		if got := counted(t, reg, "scim", code); got != want {
			t.Errorf("code %s counted %v times, want %v", code, got, want)
		}
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v %v", problems, err)
	}
}
