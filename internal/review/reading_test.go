package review_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/review"
)

const hours24 = 24 * time.Hour

// client is another client of the same Amplitude.
func (o *office) client(through func(http.RoundTripper) http.RoundTripper) *amplitude.Client {
	o.t.Helper()
	c := o.fake.Credentials()
	return must[*amplitude.Client](o.t)(amplitude.New(amplitude.Options{
		Name: "acme", SCIMKey: amplitude.Secret(c.SCIMKey), OrgID: c.OrgID, OrgKey: amplitude.Secret(c.OrgKey), OrgSecret: amplitude.Secret(c.OrgSecret),
		Endpoints: amplitude.Endpoints{SCIM: "http://sim.example/scim/1", UserManagement: "http://sim.example/user-management/1"},
		Transport: through(o.fake.Transport()), Now: func() time.Time { return o.at },
	}))
}

func (o *office) note(id string) string {
	o.t.Helper()
	r, _, err := o.Read(o.t.Context(), id)
	if err != nil {
		o.t.Fatal(err)
	}
	return r.Note
}

// logRead records what a reading of the audit log told.
func (o *office) logRead(from, to time.Time, seen map[string]offboard.Activity) {
	o.t.Helper()
	if err := o.store.SaveActivity(o.t.Context(), "acme", offboard.LogRange{From: from, To: to}, seen, nil); err != nil {
		o.t.Fatal(err)
	}
}

func TestALogThatIsNotReadMakesNobodyIdle(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		o.Reviews = o.with(func(op *review.Options) { op.Logins = o.store.Logins })
		o.logRead(o.at.Add(-89*hours24), o.at, map[string]offboard.Activity{"jo@example.com": {LastLogin: o.at, LastSeen: o.at}})
		o.at = o.at.Add(95 * hours24) // nothing of these days was read
		id := o.begin()
		for who, told := range map[string]string{"jo@example.com": "2026-03-02, not known since 2026-03-02", "root@example.com": "not known since 2026-03-02"} {
			if i := o.item(id, who); i.Seat.Inactive || i.Seat.LastSeen != told {
				t.Errorf("%s: last login %q, reasons %q", who, i.Seat.LastSeen, i.Reasons)
			}
		}
		if n := o.note(id); !strings.Contains(n, "acme: the audit log has not been read since 2026-03-02") {
			t.Errorf("not seen: %q", n)
		}
	})
}

// Who got their seat a while ago is not idle because they did not log in before.
func TestANewMemberIsNotIdle(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		o.Reviews = o.with(func(op *review.Options) { op.Logins = o.store.Logins })
		o.compared()
		o.at = o.at.Add(60 * hours24)
		o.member(amplitudefake.Member{Email: "compared@example.com", Role: amplitudefake.RoleMember}, true)
		o.compared()
		o.at = o.at.Add(40 * hours24)
		o.member(amplitudefake.Member{Email: "new@example.com", Role: amplitudefake.RoleMember}, true)
		o.logRead(o.at.Add(-100*hours24), o.at, nil)
		id := o.begin()
		for who, idle := range map[string]bool{"jo@example.com": true, "compared@example.com": false, "new@example.com": false} {
			i := o.item(id, who)
			if i.Seat.Inactive != idle || strings.Contains(i.Seat.LastSeen, "a member since about") == idle || slices.Contains(i.Reasons, "no login for a long time") != idle {
				t.Errorf("%s: %q, reasons %q", who, i.Seat.LastSeen, i.Reasons)
			}
		}
	})
}

func TestALoginThatIsForgottenIsNotToldAsNever(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		o.Reviews = o.with(func(op *review.Options) { op.Logins = o.store.Logins })
		from := o.at.Add(-89 * hours24)
		o.logRead(from, o.at, map[string]offboard.Activity{"jo@example.com": {LastLogin: o.at, LastSeen: o.at}})
		o.at = o.at.Add(200 * hours24)
		o.logRead(from, o.at, map[string]offboard.Activity{"root@example.com": {LastSeen: o.at}})
		id := o.begin()
		if s := o.item(id, "jo@example.com").Seat; s.LastSeen != "not within 180 days" || !s.Inactive {
			t.Errorf("jo, who came 200 days ago: %q", s.LastSeen)
		}
		if s := o.item(id, "root@example.com").Seat; s.LastSeen != "no login seen, active 2026-09-18" || s.Inactive {
			t.Errorf("root, who works without logging in: %q, inactive %t", s.LastSeen, s.Inactive)
		}
	})
}

func TestAProjectThatAmplitudeDoesNotKnowStopsNoReview(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		o.Reviews = o.with(func(op *review.Options) {
			org := op.Organizations[0]
			org.Projects = append(slices.Clone(org.Projects), review.Project{ID: 999999, Name: "Archived"})
			op.Organizations = []review.Organization{org}
		})
		id := o.begin()
		if n := o.note(id); o.state(id) != offboard.ReviewOpen || !strings.Contains(n, "does not know project Archived (999999)") {
			t.Fatalf("%s, not seen: %q", o.state(id), n)
		}
		if got := o.item(id, "jo@example.com").Seat; len(got.Roles) != 1 || !slices.Equal(got.Unseen, []string{"Archived"}) {
			t.Errorf("jo: %+v", got)
		}
	})
}

// A reading that fails for long is told, and does not keep anybody from
// beginning another review.
func TestAReadingThatFailsForLongIsToldAndGivenUp(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		fault := must[int](t)(o.fake.AddFault(amplitudefake.Fault{
			Match: amplitudefake.Match{PathRegexp: "/projects/.+"}, Kind: amplitudefake.FaultStatus, Status: 403,
		}))
		r := must[offboard.Review](t)(o.Start(t.Context(), "lead@example.com", 0))
		for range 2 {
			if err := o.Advance(t.Context()); err == nil {
				t.Fatal("read although Amplitude refuses")
			}
			if len(o.told) != 0 {
				t.Fatalf("told %q at once", o.told)
			}
			o.at = o.at.Add(50 * time.Minute)
		}
		_ = o.Advance(t.Context())
		if len(o.told) != 1 || !strings.Contains(o.told[0], "stands still") || !strings.Contains(o.said, "403") {
			t.Fatalf("told %q: %s", o.told, o.said)
		}
		if err := o.Finish(t.Context(), r.ID, "lead@example.com"); err != nil {
			t.Fatal(err)
		}
		if n := o.note(r.ID); o.state(r.ID) != offboard.ReviewClosed || !strings.Contains(n, "given up before everybody had been read") {
			t.Errorf("%s: %q", o.state(r.ID), n)
		}
		o.fake.RemoveFault(fault)
		if id := o.begin(); o.state(id) != offboard.ReviewOpen {
			t.Errorf("the review after it is %s", o.state(id))
		}
	})
}

// That a reading works again ends its trouble.
func TestAReadingThatWorksAgainGoesOn(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		if err := o.fake.SetSwitch("list_cut", "empty"); err != nil {
			t.Fatal(err)
		}
		r := must[offboard.Review](t)(o.Start(t.Context(), "lead@example.com", 0))
		_ = o.Advance(t.Context())
		got, _, err := o.Read(t.Context(), r.ID)
		if err != nil || !strings.Contains(got.Trouble, "the list of members is empty") || !got.Troubled.Equal(o.at) {
			t.Errorf("%+v %v", got, err)
		}
		if err := o.fake.SetSwitch("list_cut", "off"); err != nil {
			t.Fatal(err)
		}
		o.advance()
		if got, _, err = o.Read(t.Context(), r.ID); err != nil || got.State != offboard.ReviewOpen || got.Trouble != "" || !got.Troubled.IsZero() {
			t.Errorf("%+v %v", got, err)
		}
	})
}

// groupsOnly shows of who has access to a project the groups alone; hidden ones
// are in no list of groups.
type groupsOnly struct {
	http.RoundTripper
	hide *bool
}

func (g groupsOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := g.RoundTripper.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	var body map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return nil, err
	}
	if data, ok := body["data"].([]any); ok && strings.HasSuffix(r.URL.Path, "/access") {
		body["data"] = slices.DeleteFunc(data, func(d any) bool { return d.(map[string]any)["principalType"] == "user" })
	}
	if strings.Contains(r.URL.Path, "/Groups") && *g.hide {
		body["Resources"], body["totalResults"], body["itemsPerPage"] = []any{}, 0, 0
	}
	b, err := json.Marshal(body)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	resp.Header.Set("Content-Length", strconv.Itoa(len(b)))
	return resp, err
}

func TestWhoIsAdminThroughAGroupStandsOut(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		project := o.fake.Credentials().Projects[0]
		must[int](t)(o.fake.AddGroup(amplitudefake.Group{
			Name: "Owners", Members: []string{"idle@example.com"}, Projects: map[int]string{project.ID: amplitudefake.RoleAdmin},
		}))
		hide := false
		o.Reviews = o.with(func(op *review.Options) {
			op.Organizations[0].Client = o.client(func(t http.RoundTripper) http.RoundTripper { return groupsOnly{t, &hide} })
		})
		id := o.begin()
		got := o.item(id, "idle@example.com")
		if !slices.Equal(got.Seat.Roles, []string{project.Name + ": Admin"}) || !slices.Contains(got.Reasons, "the only admin of "+project.Name) {
			t.Errorf("roles %q, reasons %q", got.Seat.Roles, got.Reasons)
		}
		if n := o.note(id); !strings.Contains(n, "projects other than "+project.Name) {
			t.Errorf("not seen: %q", n)
		}
		hide = true
		if err := o.Finish(t.Context(), id, "lead@example.com"); err != nil {
			t.Fatal(err)
		}
		o.advance()
		if n := o.note(id); !strings.Contains(n, "a group with access to project "+project.Name+" is in no list of groups") {
			t.Errorf("not seen: %q", n)
		}
		if got := o.item(id, "jo@example.com").Held(); got != "unchanged as far as it could be read" {
			t.Errorf("jo: %q", got)
		}
	})
}
