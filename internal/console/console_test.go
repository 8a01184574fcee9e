package console_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"offramp/internal/console"
	"offramp/internal/offboard"
)

func noon() time.Time { return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) }

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// desk is a console with a leaver, Lee, whose case waits for approval, and with
// Kim, who stays.
type desk struct {
	*memory
	t       *testing.T
	console *console.Console
	access  *amplitude
}

func newDesk(t *testing.T, change ...func(*console.Options)) *desk {
	t.Helper()
	m := &memory{
		now: noon, files: map[string]*offboard.File{}, timeline: map[string][]offboard.Entry{}, receipts: map[string]string{},
		people: []*offboard.Person{
			{ID: "p-lee", Connection: "okta", UserName: "lee@example.com", Address: "lee@example.com", DisplayName: "Lee <b>"},
			{ID: "p-kim", Connection: "okta", UserName: "kim@example.com", Address: "kim@example.com", Active: true},
			{ID: "p-kim2", Connection: "entra", UserName: "kim@example.com", Address: "kim@example.com", Active: true},
			{ID: "p-old", Connection: "okta", UserName: "old@example.com", Address: "old@example.com", Deleted: noon()},
		},
	}
	m.files["case-1"] = &offboard.File{
		Case: offboard.Case{
			ID: "case-1", PersonID: "p-lee", Connection: "okta", Address: "lee@example.com", Plan: offboard.Leaver,
			Reason: offboard.Deactivated, State: offboard.StateWaiting, Waiting: offboard.WaitApproval,
			Policy: offboard.Fallback(), Opened: noon().Add(-time.Hour), Due: noon().Add(-time.Minute),
		},
		Tasks: []offboard.Task{
			{ID: "task-1", CaseID: "case-1", Kind: offboard.TaskHandover, Key: "h", Title: "Hand over", State: offboard.TaskOpen},
			{ID: "task-2", CaseID: "case-1", Kind: offboard.TaskCheck, Key: "c", Title: "Check", State: offboard.TaskOpen},
		},
	}
	operators := []console.Operator{{Name: "lee", TokenHash: hash("lee-token"), Roles: []console.Role{console.Admin}}}
	for _, role := range []console.Role{console.Viewer, console.Worker, console.Approver, console.Admin} {
		operators = append(operators, console.Operator{
			Name: "the-" + string(role), TokenHash: hash(string(role)), Roles: []console.Role{role},
		})
	}
	access := &amplitude{}
	options := console.Options{
		Access: access, Reviews: &reviews{},
		Store: m, Operators: operators, Connections: []string{"okta", "entra"}, Organizations: []string{"main", "eu"}, Mode: "enforce", Version: "v1", Now: noon,
		Approvers: offboard.Approvers{Listed: []offboard.Approver{{Address: "the-approver", Roles: []string{"security"}}, {Address: "the-admin"}}},
		PublicURL: "https://offramp.example.com",
		Rules: func(connection string) offboard.Rules {
			reach := map[string][]string{"okta": {"acme", "agency"}, "entra": {"agency"}}
			return offboard.Rules{Organizations: reach[connection], Policy: func(offboard.PolicyFacts) offboard.Policy { return offboard.Fallback() }}
		},
		Reachable: func(_, address string) bool { return offboard.Domain(address) == "example.com" },
		Load:      func(context.Context) (console.Load, error) { return console.Load{CasesOverdue: 1}, nil },
		Callback: func(body []byte) (console.Answer, error) {
			switch string(body) {
			case "done":
				return func(_ offboard.File, key string) (offboard.Update, error) {
					return offboard.Update{Timeline: []offboard.Entry{{Actor: "hook", Kind: "receipt", Text: key}}}, nil
				}, nil
			case "accepted":
				return nil, nil
			}
			return nil, errors.New("garbage")
		},
	}
	for _, f := range change {
		f(&options)
	}
	c, err := console.New(options)
	if err != nil {
		t.Fatal(err)
	}
	return &desk{memory: m, t: t, console: c, access: access}
}

// ask sends a request as the operator of a token and returns status and body.
func (d *desk) ask(token, method, path, body string, header ...string) (int, string) {
	d.t.Helper()
	r := httptest.NewRequestWithContext(d.t.Context(), method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	d.console.Admin().ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// has checks that an answer holds a text.
func (d *desk) has(answer, text string) {
	d.t.Helper()
	if !strings.Contains(answer, text) {
		d.t.Errorf("%s is missing in %s", text, answer)
	}
}

// want asks and checks the status; the answer has to hold the text.
func (d *desk) want(status int, text, token, method, path, body string, header ...string) string {
	d.t.Helper()
	code, got := d.ask(token, method, path, body, header...)
	if code != status || !strings.Contains(got, text) {
		d.t.Fatalf("%s %s %s: got %d %s\nwant %d with %q", method, path, body, code, got, status, text)
	}
	return got
}

// An override is an admin's word, and never about their own case.
func TestOnlyAnotherAdminLetsACasePassTheGuards(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.files["case-1"].Case.State, d.files["case-1"].Case.Waiting = offboard.StateNeedsAttention, offboard.WaitNothing
	const path, body = "/api/v1/cases/case-1/retry", `{"because":"the laptop is stolen","override":true}`
	for _, role := range []string{"viewer", "approver", "operator"} {
		d.want(403, "", role, "POST", path, body)
	}
	d.want(409, "is the leaver", "lee-token", "POST", path, body)
	d.want(422, "say because of what", "admin", "POST", path, `{"override":true}`)
	d.want(200, `"state":"running"`, "admin", "POST", path, body)
}

func TestOperatorsWorkOnACase(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.want(200, `"overdue":true`, "viewer", "GET", "/api/v1/cases?state=waiting", "")
	d.want(200, `"name":"Lee \u003cb\u003e"`, "viewer", "GET", "/api/v1/cases/case-1", "")
	d.want(409, "is the leaver", "lee-token", "POST", "/api/v1/cases/case-1/approve", "")
	d.want(422, "approves in one of these roles: security", "approver", "POST", "/api/v1/cases/case-1/approve", `{"role":"manager"}`)
	d.want(200, `"state":"waiting"`, "approver", "POST", "/api/v1/cases/case-1/approve", `{"ticket":"HR-1","note":"ok"}`)
	d.want(409, "counts once", "approver", "POST", "/api/v1/cases/case-1/approve", "")
	d.want(200, `"state":"held"`, "operator", "POST", "/api/v1/cases/case-1/hold", `{"because":"legal"}`)
	d.want(200, `"state":"running"`, "operator", "POST", "/api/v1/cases/case-1/release", "")
	d.want(409, "nothing to retry", "operator", "POST", "/api/v1/cases/case-1/retry", "")
	d.want(409, "does not wait for its time", "operator", "POST", "/api/v1/cases/case-1/expedite", "")
	d.want(422, "say because of what", "operator", "POST", "/api/v1/cases/case-1/resolve", "")
	d.want(200, `"state":"done"`, "operator", "POST", "/api/v1/tasks/task-1/done", "")
	d.want(422, "what was checked", "operator", "POST", "/api/v1/tasks/task-2/done", "")
	d.want(200, `"state":"declined"`, "operator", "POST", "/api/v1/tasks/task-2/decline", `{"because":"not mine"}`)
	d.want(200, `"tasks":[]`, "viewer", "GET", "/api/v1/tasks?state=open", "")
	d.want(200, `"cancelling":true`, "operator", "POST", "/api/v1/cases/case-1/cancel", `{"because":"stays"}`)

	var file console.CaseFile
	if err := json.Unmarshal([]byte(d.want(200, "", "viewer", "GET", "/api/v1/cases/case-1", "")), &file); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"the-approver approved", "the-operator held", "the-operator released", "the-operator task_done",
		"the-operator task_declined", "the-operator cancelled",
	}
	for i, e := range file.Timeline {
		if i >= len(want) || e.Actor+" "+e.Kind != want[i] {
			t.Errorf("timeline entry %d: %s %s", i, e.Actor, e.Kind)
		}
	}
	if len(file.Timeline) != len(want) {
		t.Errorf("%d timeline entries, want %d: every decision has its operator's name", len(file.Timeline), len(want))
	}
}

func TestACaseThatNeedsAttentionIsResolvedByHand(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.files["case-1"].Case.State = offboard.StateNeedsAttention
	d.want(200, `"outcome":"resolved"`, "operator", "POST", "/api/v1/cases/case-1/resolve",
		`{"because":"removed by hand","attachments":[{"name":"mail.eml","sha256":"`+hash("x")+`"}]}`)
	d.want(409, "has ended", "operator", "POST", "/api/v1/cases/case-1/retry", "")
}

func TestAnOperatorOpensAndCancelsACase(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.want(422, "say who leaves", "operator", "POST", "/api/v1/cases", `{"reason":"manual"}`)
	d.want(422, "the reason has to be one of", "operator", "POST", "/api/v1/cases", `{"person":"kim@example.com","reason":"boredom"}`)
	d.want(404, "nobody that the identity providers told about", "operator", "POST", "/api/v1/cases", `{"person":"nobody@example.com","reason":"manual"}`)
	d.want(409, `2 people hold this address; give the user name, or one of the connections [\"entra\" \"okta\"]`,
		"operator", "POST", "/api/v1/cases", `{"person":"kim@example.com","reason":"manual"}`)
	d.want(201, `"trigger":"opened by operator the-operator"`, "operator", "POST", "/api/v1/cases",
		`{"person":"Kim@Example.com","connection":"okta","reason":"manual","ticket":"HR-1"}`)
	d.want(200, `"standing_removal":{"reason":"manual","by":"the-operator"}`, "viewer", "GET", "/api/v1/cases/case-2", "")
	d.want(409, `"case":"case-2"`, "operator", "POST", "/api/v1/cases", `{"person":"kim@example.com","connection":"okta","reason":"manual"}`)
	d.want(201, `"plan":"emergency"`, "operator", "POST", "/api/v1/cases", `{"person":"kim@example.com","connection":"okta","reason":"security_incident"}`)
	if e := d.timeline["case-2"]; len(e) != 1 || e[0].Actor != "the-operator" {
		t.Errorf("who made the case more urgent is not on its timeline: %+v", e)
	}

	d.want(415, "application/json", "operator", "POST", "/api/v1/cases/case-2/cancel", "because", "Content-Type", "text/plain")
	if d.people[1].Removal == nil {
		t.Fatal("a request that cannot be read ended the removal decision")
	}
	d.want(200, `"cancelling":true`, "operator", "POST", "/api/v1/cases/case-2/cancel", "")
	if d.people[1].Removal != nil {
		t.Error("the standing removal decision outlived the case")
	}
	d.want(201, `"address":"old@example.com"`, "operator", "POST", "/api/v1/cases", `{"person":"old@example.com","reason":"manual"}`)
}

func TestARemovalThatBeganIsNotCancelled(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.files["case-1"].Effects = []offboard.Effect{{Key: "k", Step: offboard.StepRemove, State: offboard.EffectIntended}}
	d.people[0].Removal = &offboard.Decision{By: "jo"}
	d.want(409, "cannot be taken back", "operator", "POST", "/api/v1/cases/case-1/cancel", "")
	if d.people[0].Removal == nil {
		t.Error("the removal decision ended although the case was not cancelled")
	}
}

func TestTokensAndThePauseAreForAdmins(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.want(422, "the connection has to be one of", "admin", "POST", "/api/v1/tokens", `{"connection":"other"}`)
	d.want(422, "days has to be", "admin", "POST", "/api/v1/tokens", `{"connection":"okta","days":-1}`)
	d.want(201, `"secret":"told once"`, "admin", "POST", "/api/v1/tokens", `{"connection":"okta","days":90}`)
	if got := d.want(200, `"live":true`, "viewer", "GET", "/api/v1/tokens?connection=okta", ""); strings.Contains(got, "told once") {
		t.Error("the secret is told twice")
	}
	d.want(422, "the connection has to be", "admin", "DELETE", "/api/v1/tokens/token-1", "")
	d.want(404, "no such record", "admin", "DELETE", "/api/v1/tokens/token-1?connection=entra", "")
	d.want(204, "", "admin", "DELETE", "/api/v1/tokens/token-1?connection=okta", "")
	d.want(200, `"live":false`, "viewer", "GET", "/api/v1/tokens?connection=okta", "")
	d.want(404, "no such record", "admin", "DELETE", "/api/v1/tokens/token-9?connection=okta", "")

	d.want(200, `{"paused":false}`, "viewer", "GET", "/api/v1/pause", "")
	d.want(422, "say why", "admin", "PUT", "/api/v1/pause", "")
	d.want(200, `"by":"the-admin","why":"migration"`, "admin", "PUT", "/api/v1/pause", `{"why":"migration"}`)
	d.want(200, `"mode":"enforce","pause":{"paused":true`, "viewer", "GET", "/api/v1/status", "")
	d.want(409, "paused already, by the-admin since", "admin", "PUT", "/api/v1/pause", `{"why":"something is wrong"}`)
	const over = `{"paused":false,"past":[{"by":"the-admin","why":"migration",`
	d.want(200, over, "admin", "DELETE", "/api/v1/pause?why=it+is+done", "")
	d.want(200, `"resumed_by":"the-admin","resumed_why":"it is done"`, "viewer", "GET", "/api/v1/status", "")
}

func TestBadRequestsAreToldInASentence(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	const cancel = "/api/v1/cases/case-1/hold"
	for _, row := range []struct {
		story                    string
		status                   int
		text, method, path, body string
		header                   []string
	}{
		{"unknown fields are refused", 400, `unknown field \"why\"`, "POST", cancel, `{"why":"x"}`, nil},
		{"a wrong type is named", 400, "because has the wrong type", "POST", cancel, `{"because":1}`, nil},
		{"half a JSON is no JSON", 400, "not one JSON object", "POST", cancel, `{"because":`, nil},
		{"two objects are one too many", 400, "more than one JSON object", "POST", cancel, `{}{}`, nil},
		{"a form is not JSON", 415, "application/json", "POST", cancel, `because=x`, []string{"Content-Type", "application/x-www-form-urlencoded"}},
		{"a megabyte is too much", 413, "longer than", "POST", cancel, `{"because":"` + strings.Repeat("x", 1<<20) + `"}`, nil},
		{"a novel is too much", 422, "longer than 2000 characters", "POST", cancel, `{"because":"` + strings.Repeat("x", 2001) + `"}`, nil},
		{"a NUL cannot be kept", 422, "control characters", "POST", cancel, `{"because":"a\u0000b"}`, nil},
		{"another site's page changes nothing", 403, "another origin", "POST", cancel, `{}`, []string{"Sec-Fetch-Site", "cross-site"}},
		{"an unknown filter is refused", 400, `unknown key \"stat\"`, "GET", "/api/v1/cases?stat=held", "", nil},
		{"an unknown state is refused", 400, "the query's state has to be one of", "GET", "/api/v1/cases?state=lost", "", nil},
		{"an unknown task state is refused", 400, "the query's state has to be one of", "GET", "/api/v1/tasks?state=lost", "", nil},
		{"a page has an end", 400, "from 1 to 1000", "GET", "/api/v1/cases?limit=0", "", nil},
		{"a NUL in a filter is refused", 400, "plain text", "GET", "/api/v1/cases?address=%00", "", nil},
		{"a filter is given once", 400, "given once", "GET", "/api/v1/cases?plan=leaver&plan=emergency", "", nil},
		{"an unknown case", 404, "no such record", "GET", "/api/v1/cases/case-9", "", nil},
		{"an unknown case with a NUL", 404, "no such record", "GET", "/api/v1/cases/%00", "", nil},
		{"an unknown task", 404, "no such record", "POST", "/api/v1/tasks/task-9/done", "", nil},
		{"an unknown path", 404, "nothing at this path", "GET", "/api/v2/cases", "", nil},
		{"a method that the path does not know", 405, "does not know the method", "PUT", cancel, "", nil},
	} {
		t.Run(row.story, func(t *testing.T) {
			got := d.want(row.status, row.text, "admin", row.method, row.path, row.body, row.header...)
			var p console.Problem
			if err := json.Unmarshal([]byte(got), &p); err != nil || p.Status != row.status || p.Detail == "" || p.Title == "" {
				t.Errorf("not a problem: %s", got)
			}
		})
	}
	if e := d.timeline["case-1"]; len(e) != 0 {
		t.Errorf("a bad request left a trace: %+v", e)
	}
}

func TestAnswersArePrivate(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/api/v1/cases/case-1/hold", nil)
	w := httptest.NewRecorder()
	d.console.Admin().ServeHTTP(w, r)
	if w.Header().Get("Allow") != "POST" || w.Header().Get("Content-Type") != "application/problem+json" ||
		w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("got headers %v", w.Header())
	}
}

func TestPagesFollowOneAnother(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for range 3 {
		d.open(*d.people[1], offboard.Opening{State: offboard.StateCancelled})
	}
	var seen []string
	path := "/api/v1/cases?limit=2"
	for range 3 {
		var list console.CaseList
		if err := json.Unmarshal([]byte(d.want(200, "", "viewer", "GET", path, "")), &list); err != nil {
			t.Fatal(err)
		}
		for _, k := range list.Cases {
			seen = append(seen, k.ID)
		}
		path = "/api/v1/cases?limit=2&before=" + list.Next
		if list.Next == "" {
			break
		}
	}
	if got := strings.Join(seen, " "); got != "case-4 case-3 case-2 case-1" {
		t.Errorf("got %s", got)
	}
}

func TestTroubleBehindTheConsole(t *testing.T) {
	t.Parallel()
	t.Run("a database that is away is told as temporary", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t)
		d.fail = offboard.ErrUnavailable
		d.want(503, "did not answer in time", "viewer", "GET", "/api/v1/cases", "")
	})
	t.Run("what goes wrong inside is not told", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t)
		d.fail = errors.New("password is hunter2")
		if got := d.want(500, "its log says more", "viewer", "GET", "/api/v1/cases", ""); strings.Contains(got, "hunter2") {
			t.Error("the error leaked")
		}
	})
	t.Run("a timeline that was changed does not hide the case", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t)
		d.broken = errors.New("the timeline of case case-1 was changed at entry 3")
		d.want(200, `"timeline_problem":"the timeline of case case-1 was changed at entry 3"`, "viewer", "GET", "/api/v1/cases/case-1", "")
	})
}

func TestAConsoleIsBuiltFromSoundParts(t *testing.T) {
	t.Parallel()
	sound := func() console.Options {
		return console.Options{
			Store: &memory{}, Rules: func(string) offboard.Rules { return offboard.Rules{} },
			Load:      func(context.Context) (console.Load, error) { return console.Load{}, nil },
			Reviews:   &reviews{},
			Operators: []console.Operator{{Name: "jo", TokenHash: hash("x"), Roles: []console.Role{console.Viewer}}},
		}
	}
	if _, err := console.New(sound()); err != nil {
		t.Fatal(err)
	}
	for story, spoil := range map[string]func(*console.Options){
		"no store":        func(o *console.Options) { o.Store = nil },
		"no rules":        func(o *console.Options) { o.Rules = nil },
		"no load":         func(o *console.Options) { o.Load = nil },
		"no reviews":      func(o *console.Options) { o.Reviews = nil },
		"a short hash":    func(o *console.Options) { o.Operators[0].TokenHash = "abc" },
		"no name":         func(o *console.Options) { o.Operators[0].Name = "" },
		"no role":         func(o *console.Options) { o.Operators[0].Roles = nil },
		"the same name":   func(o *console.Options) { o.Operators = append(o.Operators, o.Operators[0]) },
		"not hexadecimal": func(o *console.Options) { o.Operators[0].TokenHash = strings.Repeat("z", 64) },
	} {
		o := sound()
		spoil(&o)
		if _, err := console.New(o); err == nil {
			t.Errorf("%s: accepted", story)
		}
	}
}
