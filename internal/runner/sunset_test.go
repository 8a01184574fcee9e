package runner_test

import (
	"bytes"
	"encoding/json"
	"errors"
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
)

// forgetful leaves out entries of lists whose path contains a word.
type forgetful struct {
	http.RoundTripper
	about *string
	drop  func(entry map[string]any) bool
}

func (f forgetful) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := f.RoundTripper.RoundTrip(r)
	if err != nil || *f.about == "" || !strings.HasSuffix(r.URL.Path, *f.about) {
		return resp, err
	}
	var body map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return nil, err
	}
	for _, list := range []string{"data", "Resources"} {
		if all, ok := body[list].([]any); ok {
			body[list] = slices.DeleteFunc(all, func(e any) bool { return f.drop(e.(map[string]any)) })
			body["totalResults"], body["itemsPerPage"] = len(body[list].([]any)), len(body[list].([]any))
		}
	}
	b, err := json.Marshal(body)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	resp.Header.Set("Content-Length", strconv.Itoa(len(b)))
	return resp, err
}

// ending is a world with two projects and somebody who is on both.
func ending(t *testing.T, drop func(map[string]any) bool) (w *world, web, mobile int, about *string) {
	t.Helper()
	about = new(string)
	w = newWorld(t, setup{client: func(_ *world, o *amplitude.Options) { o.Transport = forgetful{o.Transport, about, drop} }})
	web, mobile = w.fake.Credentials().Projects[0].ID, w.fake.Credentials().Projects[1].ID
	for who, projects := range map[string]map[int]string{
		"both@example.com":    {web: amplitudefake.RoleViewer, mobile: amplitudefake.RoleManager},
		"only@example.com":    {web: amplitudefake.RoleViewer},
		"through@example.com": {web: amplitudefake.RoleViewer},
	} {
		if err := w.fake.AddMember(amplitudefake.Member{Email: who, GivenName: "B", Projects: projects}); err != nil {
			t.Fatal(err)
		}
	}
	group := amplitudefake.Group{Name: "Mobile", Members: []string{"through@example.com"}, Projects: map[int]string{mobile: amplitudefake.RoleManager}}
	if _, err := w.fake.AddGroup(group); err != nil {
		t.Fatal(err)
	}
	if sole, err := w.runner.SoleAccess(t.Context(), "acme", web); err != nil || !slices.Contains(sole.People, "only@example.com") ||
		slices.Contains(sole.People, "both@example.com") || slices.Contains(sole.People, "through@example.com") {
		t.Fatalf("%+v: %v", sole, err)
	}
	return w, web, mobile, about
}

// refuses checks that nobody is proposed.
func refuses(t *testing.T, w *world, project int, because string) {
	t.Helper()
	sole, err := w.runner.SoleAccess(t.Context(), "acme", project)
	if no, ok := errors.AsType[*offboard.RefusedError](err); !ok || !strings.Contains(no.Because, because) {
		t.Errorf("proposed %v: %v, want %q", sole.People, err, because)
	}
}

func TestAListOfAccessThatIsEmptyProposesNobody(t *testing.T) {
	t.Parallel()
	w, web, mobile, about := ending(t, func(map[string]any) bool { return true })
	*about = "/projects/" + strconv.Itoa(mobile) + "/access"
	refuses(t, w, web, "the list of who has access to project "+strconv.Itoa(mobile)+" leaves out ")
}

func TestAGroupThatNoListShowsProposesNobody(t *testing.T) {
	t.Parallel()
	w, web, _, about := ending(t, func(map[string]any) bool { return true })
	*about = "/Groups"
	refuses(t, w, web, "is in no list of groups")
}

func TestWhomAmplitudeContradictsIsNotProposed(t *testing.T) {
	t.Parallel()
	w, web, _, about := ending(t, func(map[string]any) bool { return true })
	*about = "/users/only@example.com/access"
	refuses(t, w, web, "and when asked about them does not")
}

// Until a proposal is released the person may get more: where Amplitude does not
// tell, though they have a seat, a person looks.
func TestWhereAmplitudeDoesNotTellOfOtherAccessNobodyGoesWithTheirProject(t *testing.T) {
	t.Parallel()
	const only = "only@example.com"
	for story, hidden := range map[string]bool{"it tells": false, "404": true} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			w, web, mobile, _ := ending(t, func(map[string]any) bool { return false })
			w.directoryOnly("only", only)
			order := w.thing(amplitudefake.Asset{Kind: amplitudefake.KindEvent, ID: "Order", Name: "Order", Project: mobile, Owners: []string{only}})
			sole, err := w.runner.SoleAccess(t.Context(), "acme", web)
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.store.Reconsider(t.Context(), "only", func(p offboard.Person, prior offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error) {
				d, v, err := sole.Propose(p, prior, offboard.Order{Reason: offboard.ProjectSunset, By: "kim"}, w.rules(), w.clock.now())
				if d != nil {
					d.Proposed = false // released
				}
				return d, v, err
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.fake.AddGroup(amplitudefake.Group{Name: "More", Members: []string{only}, Projects: map[int]string{mobile: amplitudefake.RoleManager}})
			if err != nil {
				t.Fatal(err)
			}
			says := "by now they have access to project " + strconv.Itoa(mobile)
			if hidden {
				says = "Amplitude does not tell what the member has access to in acme"
				w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: 404, Match: amplitudefake.Match{PathPrefix: "/user-management/1/users/only"}})
			}
			w.after(3 * time.Hour)
			f := w.caseOf(only)
			if f.Case.State != offboard.StateNeedsAttention || !strings.Contains(f.Case.Note, says) || len(w.fake.PersonState(only).Members) != 1 ||
				w.ownersOf(mobile, order.ID)[0] != only {
				w.show()
				t.Errorf("%s: %s", f.Case.State, f.Case.Note)
			}
		})
	}
}
