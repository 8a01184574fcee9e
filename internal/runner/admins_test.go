package runner_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
)

// quiet is an Amplitude that lists who has a role on a project, and not those
// who have every role because they administer the organization. Which of the two
// the real one does is not documented.
type quiet struct{ http.RoundTripper }

func (q quiet) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := q.RoundTripper.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/access") {
		return resp, err
	}
	var page struct {
		Data []map[string]any `json:"data"`
		Rest map[string]any   `json:"-"`
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, &page.Rest); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, err
	}
	kept := []map[string]any{}
	for _, d := range page.Data {
		direct := false
		via, _ := d["grantedVia"].([]any)
		for _, v := range via {
			how, _ := v.(map[string]any)
			direct = direct || how["type"] != "organization"
		}
		if direct {
			kept = append(kept, d)
		}
	}
	page.Rest["data"] = kept
	if body, err = json.Marshal(page.Rest); err != nil {
		return nil, err
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}

// TestTheOnlyAdminOfAProjectWaitsUntilThereIsAnother gives the role by a group,
// as most organizations do.
func TestTheOnlyAdminOfAProjectWaitsUntilThereIsAnother(t *testing.T) {
	t.Parallel()
	for name, hidden := range map[string]bool{"": false, "and the User Management API is down for a while": true} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				s.client = func(_ *world, o *amplitude.Options) { o.Transport = quiet{o.Transport} }
				w := newWorld(t, s)
				project := w.fake.Credentials().Projects[0]
				w.person("leaver", leaver)
				_, err := w.fake.AddGroup(amplitudefake.Group{
					Name: "Web admins", Members: []string{leaver}, Projects: map[int]string{project.ID: amplitudefake.RoleAdmin},
				})
				if err != nil {
					t.Fatal(err)
				}
				if hidden {
					w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: 503, Count: 6, Match: amplitudefake.Match{PathPrefix: "/user-management/"}})
				}
				w.deactivate()
				w.run(3*time.Hour, func() bool { return strings.Contains(w.caseOf(leaver).Case.Note, "only admin") || !w.seated() })
				f := w.caseOf(leaver)
				if !strings.Contains(f.Case.Note, "the only admin of project "+project.Name+" in acme") || !w.seated() {
					w.show()
					t.Fatalf("note %q", f.Case.Note)
				}
				_, err = w.fake.AddGroup(amplitudefake.Group{
					Name: "Web admins too", Members: []string{"other@example.com"}, Projects: map[int]string{project.ID: amplitudefake.RoleAdmin},
				})
				if err != nil {
					t.Fatal(err)
				}
				if f = w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved {
					w.show()
					t.Errorf("outcome %s", f.Case.Outcome)
				}
			})
		})
	}
}

// TestOfTwoAdminsWhoLeaveAtOnceOneStays lets Amplitude remove its last admin, and
// a reading that is still fresh show both.
func TestOfTwoAdminsWhoLeaveAtOnceOneStays(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		if err := w.fake.SetSwitch("last_admin", "allow"); err != nil {
			t.Fatal(err)
		}
		w.seat(leaver, amplitudefake.RoleAdmin)
		w.directoryOnly("leaver", leaver)
		w.directoryOnly("root", "root@example.com")
		w.deactivate()
		w.change("root", func(p offboard.Person) offboard.Person { p.Active = false; return p })
		w.run(6*time.Hour, func() bool { return w.live() == 1 })
		left := len(w.fake.PersonState(leaver).Members) + len(w.fake.PersonState("root@example.com").Members)
		if left != 1 || w.removals() != 1 {
			w.show()
			t.Fatalf("%d admins are left, %d were removed", left, w.removals())
		}
		w.human(amplitudefake.Action{Do: "change_role", Email: "other@example.com", Role: amplitudefake.RoleAdmin})
		w.run(6*time.Hour, func() bool { return w.live() == 0 })
		if w.removals() != 2 {
			w.show()
			t.Errorf("%d were removed", w.removals())
		}
	})
}
