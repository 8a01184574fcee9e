package runner_test

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

// shown is an Amplitude whose access lists of projects hold what it is told to.
type shown struct {
	http.RoundTripper
	data string
}

func (q shown) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := q.RoundTripper.RoundTrip(r)
	if err != nil || !strings.Contains(r.URL.Path, "/projects/") || !strings.HasSuffix(r.URL.Path, "/access") {
		return resp, err
	}
	_ = resp.Body.Close()
	body := []byte(`{"data":[` + q.data + `],"pagination":{"nextCursor":null}}`)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}

// pageless is an Amplitude that has no page on what one user can reach.
type pageless struct{ http.RoundTripper }

func (p pageless) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := p.RoundTripper.RoundTrip(r)
	if err == nil && strings.Contains(r.URL.Path, "/user-management/1/users/") {
		resp.StatusCode = http.StatusNotFound
	}
	return resp, err
}

// emptied is an Amplitude that shows nobody on any project, for as long as it is on.
type emptied struct {
	http.RoundTripper
	on *atomic.Bool
}

func (e emptied) RoundTrip(r *http.Request) (*http.Response, error) {
	if e.on.Load() {
		return shown{e.RoundTripper, ""}.RoundTrip(r)
	}
	return e.RoundTripper.RoundTrip(r)
}

func shows(data string) func(*world, *amplitude.Options) {
	return func(_ *world, o *amplitude.Options) { o.Transport = shown{o.Transport, data} }
}

// What was answered, and does not say who administers a project, is not taken
// for an answer: the policy is asked, and the record does not claim otherwise.
func TestAListThatDoesNotTellWhoAdministersIsNotTakenForNobody(t *testing.T) {
	t.Parallel()
	const (
		group = `{"principalId":"601","principalType":"group","appId":1,"role":{"id":"r","name":"Admin"}}`
		kim   = `{"principalId":"kim@example.com","principalType":"user","appId":1,"role":{"id":"r","name":"Admin"}}`
	)
	hideOrganizationAdmins := func(_ *world, o *amplitude.Options) { o.Transport = quiet{o.Transport} }
	for story, c := range map[string]struct {
		opts   func(*runner.Options)
		client func(*world, *amplitude.Options)
		says   string
	}{
		"an empty list":                     {nil, shows(""), "no admin of project "},
		"groups without their people":       {nil, shows(group), "no admin of project "},
		"the leaver's group without people": {nil, shows(group + "," + kim), "has the leaver in it, but its people were not shown"},
		"no project is configured":          {func(o *runner.Options) { o.Organizations[0].Projects = nil }, nil, "acme: no project of it is configured"},
		"a project that is not configured":  {func(o *runner.Options) { o.Organizations[0].Projects = o.Organizations[0].Projects[1:] }, hideOrganizationAdmins, "which is not configured"},
		"a project that is not configured, and nobody tells": {
			func(o *runner.Options) { o.Organizations[0].Projects = o.Organizations[0].Projects[1:] },
			func(_ *world, o *amplitude.Options) { o.Transport = pageless{quiet{o.Transport}} }, "whether the leaver administers projects that are not configured",
		},
		"a project that Amplitude lacks": {func(o *runner.Options) { o.Organizations[0].Projects[0] = runner.Project{ID: 7, Name: "Gone"} }, nil, "nothing is known of project Gone (7)"},
		"a token's maker who is nobody here": {func(o *runner.Options) {
			o.Organizations[0].Token, o.TokenOwners = true, []string{"sam@globex.example"}
		}, nil, "nobody whom it names has a seat there"},
		"a token's maker who was only invited": {func(o *runner.Options) {
			o.Organizations[0].Token, o.TokenOwners = true, []string{"invited@example.com"}
		}, nil, "nobody whom it names has a seat there"},
	} {
		t.Run(story, func(t *testing.T) {
			for _, how := range []string{"proceed", "ask", "incident"} {
				w := newWorld(t, setup{opts: c.opts, client: c.client})
				w.lax()
				w.person("leaver", leaver)
				if err := w.fake.AddMember(amplitudefake.Member{Email: "invited@example.com", Status: "pending"}); err != nil {
					t.Fatal(err)
				}
				_, err := w.fake.AddGroup(amplitudefake.Group{ID: 601, Name: "Web admins", Members: []string{leaver}, Projects: map[int]string{
					w.fake.Credentials().Projects[0].ID: amplitudefake.RoleAdmin,
				}})
				if err != nil {
					t.Fatal(err)
				}
				if how == "ask" {
					w.policy.Unseen = offboard.UnseenAsk
				}
				if strings.Contains(story, "token") || strings.Contains(story, "lacks") { // the leaver administers nothing that is configured
					w.human(amplitudefake.Action{Do: "change_role", Email: "other@example.com", Role: amplitudefake.RoleAdmin})
				}
				if how == "incident" {
					w.person("else", "else@example.com")
					w.leave("else")
					w.run(time.Hour, func() bool { return w.removals() == 1 })
					w.incident("leaver")
				} else {
					w.leave("leaver")
				}
				w.after(10 * time.Minute)
				f := w.caseOf(leaver)
				if how == "ask" {
					if f.Case.State != offboard.StateNeedsAttention || !strings.Contains(f.Case.Note, c.says) || !w.seated() {
						w.show()
						t.Errorf("%s: state %s, note %q", how, f.Case.State, f.Case.Note)
					}
					continue
				}
				if w.seated() || !w.says(f.Case.ID, c.says) || w.says(f.Case.ID, "not the only admin of anything") {
					w.show()
					t.Errorf("%s: not removed, or what was not seen is not said", how)
				}
			}
		})
	}
}

// Whoever was only invited cannot act for the organization.
func TestAnInvitedAdminReplacesNobodyUntilTheyHaveJoined(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := onlyAdmin(t, s)
		w.lax()
		if err := w.fake.AddMember(amplitudefake.Member{Email: "invited@example.com", Role: amplitudefake.RoleAdmin, Status: "pending"}); err != nil {
			t.Fatal(err)
		}
		w.leave("leaver")
		w.after(time.Hour)
		if f := w.caseOf(leaver); !w.seated() || !strings.Contains(f.Case.Note, "the last admin of acme who has joined and stays") {
			w.show()
			t.Fatalf("note %q, admins left: %v", f.Case.Note, w.admins())
		}
		w.human(amplitudefake.Action{Do: "login", Email: "invited@example.com"})
		if f := w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved {
			w.show()
			t.Errorf("outcome %s", f.Case.Outcome)
		}
	})
}

// An API that stops answering, a deadline that passes and a restart change
// nothing about what a guard saw.
func TestWhatAGuardRefusedStandsUntilANewerReadingSaysOtherwise(t *testing.T) {
	t.Parallel()
	for story, f := range map[string]amplitudefake.Fault{
		"one error":         {Kind: amplitudefake.FaultStatus, Status: 503, Count: 1},
		"an outage":         {Kind: amplitudefake.FaultStatus, Status: 503},
		"a key that is not": {Kind: amplitudefake.FaultStatus, Status: 401},
		"404 to everything": {Kind: amplitudefake.FaultStatus, Status: 404},
		"no project known":  {Kind: amplitudefake.FaultStatus, Status: 404, Match: amplitudefake.Match{PathPrefix: "/user-management/1/projects"}},
		"empty lists":       {}, // with 200
	} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			var empty atomic.Bool
			w := onlyAdmin(t, setup{client: func(_ *world, o *amplitude.Options) { o.Transport = emptied{o.Transport, &empty} }})
			w.lax()
			w.policy.Handover = time.Hour
			w.change("leaver", func(p offboard.Person) offboard.Person {
				p.Claims.LeaveReason, p.Active = "termination", false
				return p
			})
			w.after(90 * time.Minute)
			if empty.Store(f.Kind == ""); f.Kind != "" {
				f.Match.PathPrefix = cmp.Or(f.Match.PathPrefix, "/user-management/")
				w.fault(f)
			}
			w.restart(nil)
			w.after(90 * time.Minute)
			if c := w.caseOf(leaver).Case; !w.seated() || !strings.Contains(c.Note, "the last admin of acme") {
				w.show()
				t.Fatalf("note %q, admins left: %v", c.Note, w.admins())
			}
			for _, f := range w.fake.Faults() {
				w.fake.RemoveFault(f.ID)
			}
			empty.Store(false)
			w.human(amplitudefake.Action{Do: "change_role", Email: "root@example.com", Role: amplitudefake.RoleAdmin})
			if f := w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved {
				w.show()
				t.Errorf("outcome %s", f.Case.Outcome)
			}
		})
	}
}

// Where nothing was ever read, an outage does not keep a leaver's access alive.
func TestAnOutageOfHalfAnHourIsLongEnoughToWaitForTheAdmins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{opts: func(o *runner.Options) { o.Organizations[0].Roles = true }})
	w.person("leaver", leaver)
	w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: 503, Match: amplitudefake.Match{PathPrefix: "/user-management/1/projects"}})
	w.leave("leaver")
	began := w.clock.now()
	w.run(2*time.Hour, func() bool { return !w.seated() })
	if waited := w.clock.now().Sub(began); waited < 20*time.Minute {
		t.Errorf("it waited %s", waited)
	}
	if f := w.caseOf(leaver); !w.says(f.Case.ID, "acme: who administers its projects (") {
		w.show()
		t.Error("it is not said")
	}
}

// protect.admins counts where nothing is seen, and only those of it who are there
// and stay.
func TestOfTheConfiguredAdminsThoseCountWhoHaveASeatAndStay(t *testing.T) {
	t.Parallel()
	for story, c := range map[string]struct {
		admins []string
		both   bool // the other configured one leaves as well
		stays  bool
	}{
		"both leave":                 {[]string{leaver, "root@example.com"}, true, true},
		"the other left years ago":   {[]string{leaver, "former@example.com"}, false, true},
		"the other was only invited": {[]string{leaver, "invited@example.com"}, false, true},
		"the other stays":            {[]string{leaver, "root@example.com"}, false, false},
	} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{opts: func(o *runner.Options) { o.Organizations[0].Roles, o.Admins = false, c.admins }})
			w.lax()
			w.seat(leaver, amplitudefake.RoleAdmin)
			if err := w.fake.AddMember(amplitudefake.Member{Email: "invited@example.com", Role: amplitudefake.RoleAdmin, Status: "pending"}); err != nil {
				t.Fatal(err)
			}
			w.directoryOnly("leaver", leaver)
			w.directoryOnly("root", "root@example.com")
			w.leave("leaver")
			if c.both {
				w.leave("root")
			}
			w.after(2 * time.Hour)
			left := slices.DeleteFunc(w.admins(), func(who string) bool { return who == "invited@example.com" })
			if stays := w.seated(); stays != c.stays && !c.both || len(left) == 0 || c.both && len(left) != 1 {
				w.show()
				t.Errorf("the leaver stays: %v, admins left: %v", stays, left)
			}
		})
	}
}

// A token ends with the seat of whoever made it, and with nothing less.
func TestWhoMadeOfframpsTokenMayMove(t *testing.T) {
	t.Parallel()
	o := newOffice(t, setup{opts: func(o *runner.Options) { o.Organizations[0].Token, o.TokenOwners = true, []string{leaver} }},
		offboard.Revoke{Leave: []string{"Web"}})
	o.department("Sales")
	if f := o.closed(leaver); f.Case.Outcome == offboard.OutcomeRemoved || slices.Contains(o.holds().Groups, o.gWeb) {
		o.show()
		t.Errorf("outcome %s, groups %v", f.Case.Outcome, o.holds().Groups)
	}
}

// It may have been made under another of the leaver's addresses, and belongs to
// one organization.
func TestTheTokenOfOneOrganizationKeepsItsMakerOnlyThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{opts: func(o *runner.Options) { o.TokenOwners = []string{"jo.smith@example.com"} }})
	w.person("leaver", leaver)
	w.alias("jo.smith@example.com")
	second := w.elsewhere("globex", "boss@globex.example")
	if err := second.AddMember(amplitudefake.Member{Email: leaver, Role: amplitudefake.RoleMember}); err != nil {
		t.Fatal(err)
	}
	w.options.Organizations[1].Token = true
	w.restart(nil)
	w.leave("leaver")
	w.after(time.Hour)
	f := w.caseOf(leaver)
	if w.seated() || len(second.PersonState(leaver).Members) != 1 || !strings.Contains(f.Case.Note, "developer_token of globex was made in the leaver's name") {
		w.show()
		t.Errorf("note %q", f.Case.Note)
	}
}

// Whether the named maker has a seat is asked for a while, like everything else.
func TestWhoMadeTheTokenIsAskedForAgainWhenAmplitudeDoesNotAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{opts: func(o *runner.Options) { o.Organizations[0].Token, o.TokenOwners = true, []string{"root@example.com"} }})
	w.policy.Unseen = offboard.UnseenAsk
	w.person("leaver", leaver)
	w.leave("leaver")
	w.clock.move(2 * time.Minute)
	w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: 503, Count: 5, Match: amplitudefake.Match{PathPrefix: "/scim/1/Users"}})
	if f := w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved || w.says(f.Case.ID, "was not seen") {
		w.show()
		t.Errorf("outcome %s", f.Case.Outcome)
	}
}
