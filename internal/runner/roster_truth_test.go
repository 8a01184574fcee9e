package runner_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
)

// blind makes Amplitude answer 404 to whatever is asked about the leaver, whom its
// lists still show.
func (w *world) blind() {
	w.t.Helper()
	local, _, _ := strings.Cut(leaver, "@")
	w.fault(amplitudefake.Fault{
		Kind: amplitudefake.FaultStatus, Status: http.StatusNotFound, Match: amplitudefake.Match{PathPrefix: "/scim/1/Users/" + local},
	})
}

// leaveAs lets the leaver go, in an incident or not.
func (w *world) leaveAs(incident bool) {
	w.t.Helper()
	if incident {
		w.incident("leaver")
		return
	}
	w.deactivate()
}

// asked is a question to a person about somebody who is still there.
func (w *world) asked(about string) {
	w.t.Helper()
	w.run(6*time.Hour, func() bool {
		c := w.caseOf(leaver).Case
		return !c.State.Live() || c.State == offboard.StateNeedsAttention
	})
	c := w.caseOf(leaver).Case
	if c.State != offboard.StateNeedsAttention || !strings.Contains(c.Note, about) || !w.seated() {
		w.show()
		w.t.Errorf("%s, verified %s, %q; want a question about %q", c.State, c.Verified, c.Note, about)
	}
}

func TestA404ThatTheListContradictsProvesNothing(t *testing.T) {
	t.Parallel()
	for _, members := range []int{3, large} {
		for _, incident := range []bool{false, true} {
			t.Run(fmt.Sprintf("removal, %d members, incident %v", members, incident), func(t *testing.T) {
				w := newWorld(t, setup{})
				w.crowd(members)
				w.person("leaver", leaver)
				w.blind()
				w.leaveAs(incident)
				w.asked("but its member list still shows them")
			})
			t.Run(fmt.Sprintf("lost removal, %d members, incident %v", members, incident), func(t *testing.T) {
				w := newWorld(t, setup{})
				w.crowd(members)
				w.person("leaver", leaver)
				w.set(amplitudefake.SwitchDropWrite, "true") // Amplitude says yes and does nothing
				w.leaveAs(incident)
				w.run(time.Hour, func() bool { return w.caseOf(leaver).RemoveBegan() })
				w.blind()
				w.asked("its member list still shows the seat")
				if c := w.caseOf(leaver).Case; !c.Verified.IsZero() {
					w.show()
					t.Errorf("verified %s", c.Verified)
				}
			})
		}
	}
}

// unfiltered is an Amplitude that takes no filter: which it takes is not documented.
type unfiltered struct{ http.RoundTripper }

func (u unfiltered) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.URL.RawQuery, "filter=") {
		return u.RoundTripper.RoundTrip(r)
	}
	body := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"400","scimType":"invalidFilter","detail":"no"}`
	return &http.Response{
		StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/scim+json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}

func withoutFilters(w *world, o *amplitude.Options) { o.Transport = unfiltered{w.fake.Transport()} }

func TestWithoutFiltersALaterListTells(t *testing.T) {
	t.Parallel()
	t.Run("a list that lagged", func(t *testing.T) {
		t.Parallel()
		inBubble(t, setup{client: withoutFilters}, func(w *world) {
			w.hire(12)
			w.crowd(large)
			w.set(amplitudefake.SwitchListLag, "90s")
			w.dismiss(12)
			w.work(4, 3*time.Hour, func() bool { return w.live() == 0 })
			w.judge(12, large)
		})
	})
	t.Run("somebody who is there", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, setup{client: withoutFilters})
		w.person("leaver", leaver)
		w.set(amplitudefake.SwitchDropWrite, "true")
		w.deactivate()
		w.run(time.Hour, func() bool { return w.caseOf(leaver).RemoveBegan() })
		w.blind()
		w.asked("its member list still shows the seat")
	})
}

// TestALeaverWhomOnlyTheListKnowsHasASeat asks before a case ends as without a seat.
func TestALeaverWhomOnlyTheListKnowsHasASeat(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.crowd(large)
	w.person("leaver", leaver)
	w.blind()
	w.deactivate()
	w.run(time.Hour, func() bool {
		s := w.caseOf(leaver).Step(offboard.StepIdentify)
		return s.State == offboard.StepDone || !w.caseOf(leaver).Case.State.Live()
	})
	if c := w.caseOf(leaver).Case; !c.State.Live() {
		w.show()
		t.Errorf("outcome %s", c.Outcome)
	}
}

func TestAListProvesNothingAboutWhomNoListEverShowed(t *testing.T) {
	t.Parallel()
	for name, later := range map[string]bool{"cut from the beginning": false, "cut after a restart": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, setup{}, func(w *world) {
				w.crowd(large - 4)
				w.hire(4)
				w.set(amplitudefake.SwitchDropWrite, "true")
				if !later {
					w.set(amplitudefake.SwitchListCut, "half")
				}
				w.dismiss(4)
				w.work(4, time.Hour, func() bool { return w.every(func(c offboard.Case) bool { return !c.Removed.IsZero() }) })
				if later {
					w.restart(nil)
					w.set(amplitudefake.SwitchListCut, "half")
				}
				w.work(4, 3*time.Hour, func() bool {
					return w.every(func(c offboard.Case) bool { return !c.State.Live() || c.State == offboard.StateNeedsAttention })
				})
				for _, c := range w.all() {
					if !c.Verified.IsZero() || c.State != offboard.StateNeedsAttention {
						t.Errorf("%s is still there, and the case is %s, outcome %q, verified %s", c.Address, c.State, c.Outcome, c.Verified)
					}
				}
			})
		})
	}
}

// TestAControlFromBeforeAnOutageProvesNothing lets the leaver come back, and
// Amplitude answer 404 to everybody, seconds after it had answered well.
func TestAControlFromBeforeAnOutageProvesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.crowd(large)
	w.person("leaver", leaver)
	w.deactivate()
	w.run(time.Hour, func() bool { return !w.caseOf(leaver).Case.Verified.IsZero() })
	w.human(amplitudefake.Action{Do: "invite", By: "root@example.com", Email: leaver})
	due := w.caseOf(leaver).Case.Removed.Add(5 * time.Minute)
	w.clock.move(due.Sub(w.clock.now()) - 10*time.Second)
	if seated, err := w.runner.Seated(t.Context(), "acme", "nobody@example.com"); err != nil || seated {
		t.Fatal(seated, err)
	}
	w.fault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: http.StatusNotFound, Match: amplitudefake.Match{PathPrefix: "/scim/1/Users/"}})
	w.run(time.Hour, func() bool { return w.clock.now().After(due.Add(time.Minute)) })
	if n := len(w.looks(w.caseOf(leaver).Case.ID)); n != 1 {
		w.show()
		t.Errorf("%d looks count", n)
	}
}

// TestAListFromBeforeTheRemovalProvesNothingWhateverTheClockSays lets a list be
// read while the clock is hours ahead: it looks newer than the removal for ever.
func TestAListFromBeforeTheRemovalProvesNothingWhateverTheClockSays(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		w.hire(8)
		w.person("leaver", leaver)
		w.crowd(1000) // one leaver alone is asked for directly
		leave := func(from, to int) {
			for i := from; i < to; i++ {
				w.change(fmt.Sprintf("leaver%04d", i), func(p offboard.Person) offboard.Person { p.Active = false; return p })
			}
			w.run(3*time.Hour, func() bool { return w.live() == 0 })
		}
		leave(0, 4) // lists show the leaver,
		w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: leaver})
		w.clock.move(6 * time.Hour)
		leave(4, 8) // then one does not,
		r, err := w.store.Reading(t.Context(), "acme")
		if err != nil || r.List < 2 {
			t.Fatal(r, err)
		}
		w.clock.move(-3 * time.Hour)
		w.human(amplitudefake.Action{Do: "invite", By: "root@example.com", Email: leaver})
		w.deactivate()
		w.run(time.Hour, func() bool { return !w.caseOf(leaver).Case.Verified.IsZero() })
		w.human(amplitudefake.Action{Do: "invite", By: "root@example.com", Email: leaver}) // and they are back
		if same, err := w.store.Reading(t.Context(), "acme"); err != nil || same.List != r.List {
			t.Fatal(same, err)
		}
		w.clock.move(r.ListBegan.Sub(w.clock.now()) + time.Second)
		w.asked("the seat is back")
	})
}

func TestAnIncidentInASmallOrganizationIsProvenFromWhatIsKeptForIncidents(t *testing.T) {
	t.Parallel()
	g := &gate{left: map[amplitude.Share]int{amplitude.ShareVerify: 0, amplitude.ShareRemove: 0, amplitude.ShareOther: 0}}
	w := newWorld(t, setup{client: func(_ *world, o *amplitude.Options) { o.Budget = g }})
	w.person("leaver", leaver)
	w.incident("leaver")
	w.run(time.Minute, func() bool { return !w.caseOf(leaver).Case.Verified.IsZero() })
}

func TestALikelySecondSeatIsKnownFromTheLastComparison(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		for what, other := range map[string]offboard.Seat{
			"a plus part":   {Address: "jo+amplitude@example.com"},
			"the same name": {Address: "jo.doe@other.example", Name: "Person Leaver"},
		} {
			t.Run(what, func(t *testing.T) {
				w := newWorld(t, s)
				w.crowd(large)
				sweep, mine, err := w.store.BeginSweep(t.Context(), "acme", time.Hour)
				if err != nil || !mine {
					t.Fatal(mine, err)
				}
				if err := w.store.SeeSeats(t.Context(), sweep, []offboard.Seat{other, {Address: "somebody@example.com", Name: "Some Body"}}); err != nil {
					t.Fatal(err)
				}
				w.directoryOnly("leaver", leaver)
				w.deactivate()
				f := w.until(offboard.StateNeedsAttention, offboard.WaitNothing)
				var found struct {
					Likely []string `json:"likely_other_seats"`
				}
				if err := json.Unmarshal(f.Step(offboard.StepIdentify).Result, &found); err != nil || len(found.Likely) != 1 || found.Likely[0] != other.Address {
					w.show()
					t.Errorf("likely: %+v, %v", found, err)
				}
			})
		}
	})
}

// TestGroupsAreReadAFewAtATime keeps an answer that holds every member of its
// groups from filling memory.
func TestGroupsAreReadAFewAtATime(t *testing.T) {
	t.Parallel()
	for _, members := range []int{10, large} {
		w := newWorld(t, setup{})
		w.person("leaver", leaver)
		w.crowd(members)
		for i := range 25 {
			in := []string{"other@example.com"}
			if i == 24 {
				in = append(in, leaver)
			}
			if _, err := w.fake.AddGroup(amplitudefake.Group{Name: fmt.Sprint("group ", i), Members: in}); err != nil {
				t.Fatal(err)
			}
		}
		w.deactivate()
		f := w.closed(leaver)
		var before struct {
			Seats []struct {
				Seen struct{ Groups []struct{ Name string } }
			}
		}
		if err := json.Unmarshal(f.Step(offboard.StepSnapshot).Result, &before); err != nil || f.Case.Outcome != offboard.OutcomeRemoved ||
			len(before.Seats) != 1 || len(before.Seats[0].Seen.Groups) != 1 || before.Seats[0].Seen.Groups[0].Name != "group 24" {
			w.show()
			t.Errorf("%d members: outcome %s, before %+v, %v", members, f.Case.Outcome, before, err)
		}
		for _, r := range w.fake.Requests(amplitudefake.RequestFilter{Surface: "scim"}) {
			if q, err := url.ParseQuery(r.Query); strings.HasSuffix(r.Path, "/Groups") && (err != nil || q.Get("itemsPerPage") != "10") {
				t.Errorf("%d members: %s?%s", members, r.Path, r.Query)
			}
		}
	}
}
