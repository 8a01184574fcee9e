package drift_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/drift"
	"offramp/internal/offboard"
)

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answering changes the JSON that the simulator answers to reads of a path.
func (w *world) answering(path string, change func(map[string]any)) {
	w.t.Helper()
	real := w.fake.Transport()
	w.transport = tripper(func(r *http.Request) (*http.Response, error) {
		resp, err := real.RoundTrip(r)
		if err != nil || resp.StatusCode != http.StatusOK || r.Method != http.MethodGet || !strings.HasPrefix(r.URL.Path, path) {
			return resp, err
		}
		defer func() { _ = resp.Body.Close() }()
		var body map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
			return nil, err
		}
		change(body)
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
		return resp, nil
	})
	w.options.Organizations[0].Client = w.amplitude(setup{}, "acme", w.fake)
	w.restart()
}

func TestAListInAnotherOrderEachTimeIsCompared(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.crowd(250)
		w.set("order", "shuffle")
		w.sweep()
		w.one(offboard.LeaverStillThere, "jo@example.com")
		if s := w.swept(); s.Failed != "" || s.Members != 253 || w.present() != 253 {
			w.t.Errorf("sweep %+v, %d present", s, w.present())
		}
		w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "jo@example.com"})
		w.sweep()
		w.none()
	})
}

// A list may go on changing its order, and never show everybody it announces.
func TestWhoAnUnstableListShowsIsComparedAllTheSame(t *testing.T) {
	onBoth(t, setup{drift: toSecurity}, func(w *world) {
		w.crowd(250)
		w.told()
		w.seat("stranger@example.com", "Stranger")
		w.sweep()
		w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "stranger@example.com"})
		w.person("sam", "sam@example.com", amplitudefake.RoleMember)
		w.leaves("sam")
		w.act("sam@example.com", func(f offboard.File) (offboard.Update, error) { return offboard.Cancel(f, "kim", "a mistake") })
		w.work()
		before := w.present()
		w.set("order", "shuffle")
		w.answering("/scim/1/Users", func(list map[string]any) {
			if n, ok := list["totalResults"].(float64); ok {
				list["totalResults"] = n + 1
			}
		})
		w.sweep()
		s := w.swept()
		if !strings.Contains(s.Failed, "fewer entries than it announced") || !strings.Contains(s.Note, "only members that the list showed were compared") {
			w.t.Errorf("failed %q, note %q", s.Failed, s.Note)
		}
		open := strings.Join(kinds(w.open()), ", ")
		for _, want := range []string{"leaver_still_there jo@example.com", "leaver_still_there sam@example.com", "list_untrusted ", "unknown_to_idp stranger@example.com"} {
			if !strings.Contains(open, want) {
				w.t.Errorf("open are %s, want %s", open, want)
			}
		}
		if n := w.present(); n != before+1 {
			w.t.Errorf("%d seats are present, want %d", n, before+1)
		}
		if all := w.told(); len(all) != 1 || !strings.Contains(all[0].Text, "sam@example.com") || strings.Contains(all[0].Text, "jo@example.com") {
			w.t.Errorf("told %+v", all)
		}
	})
}

func TestAShortListOfASmallOrganizationIsNotBelieved(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		for i := range 6 {
			w.seat(fmt.Sprintf("m%d@elsewhere.example", i), "M")
		}
		w.person("sam", "sam@example.com", amplitudefake.RoleMember)
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.clock.move(48 * time.Hour)
		w.sweep()
		w.none()
		w.approvals = 1
		w.deactivate()
		w.step(5 * time.Minute)
		w.set("list_cut", "half") // nothing is said of sam, whom nobody removed, nor of jo, whose case waits
		w.sweep()
		if all := w.open(); len(all) != 1 || all[0].Kind != offboard.ListUntrusted || w.present() != 10 {
			w.show()
			w.t.Errorf("open are %v, %d are present", kinds(all), w.present())
		}
	})
}

func TestALeaverWhoIsBackIsFoundThoughTheListHidesThem(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		for i := range 5 {
			w.seat(fmt.Sprintf("m%d@elsewhere.example", i), "M")
		}
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.sweep()
		w.leave()
		w.human(amplitudefake.Action{Do: "invite", By: "root@example.com", Email: "jo@example.com"})
		w.set("list_cut", "half")
		w.sweep()
		w.of(offboard.ListUntrusted)
		if f := w.of(offboard.LeaverBack); !strings.Contains(f.Cause, "invited by root@example.com") {
			w.t.Errorf("finding %+v", f)
		}
	})
}

func TestOneWhoAnswersThoughTheListLeftThemOutIsThere(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("sam", "sam@example.com", amplitudefake.RoleMember)
		w.clock.move(48 * time.Hour)
		w.sweep()
		w.answering("/scim/1/Users", func(list map[string]any) { // as when one leaves and another comes while it is read
			if all, ok := list["Resources"].([]any); ok {
				list["Resources"], list["totalResults"] = all[:len(all)-1], len(all)-1
			}
		})
		w.sweep()
		w.none()
		if s := w.swept(); s.Failed != "" || s.Members != 3 || !strings.Contains(s.Note, "left out a member") {
			w.t.Errorf("sweep %+v", s)
		}
	})
}

func TestTheFirstListIsComparedWithTheDirectory(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		for i := range 60 {
			w.person(fmt.Sprintf("p%02d", i), fmt.Sprintf("p%02d@example.com", i), amplitudefake.RoleMember)
		}
		w.set("list_cut", "half")
		w.sweep()
		w.of(offboard.ListUntrusted)
		w.set("list_cut", "off")
		w.clock.move(48 * time.Hour)
		w.sweep()
		w.none()
	})
}

// tally counts requests by share.
type tally struct {
	mu sync.Mutex
	of map[amplitude.Share]int
}

func (c *tally) Take(_ context.Context, s amplitude.Share) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[s]++
	return nil
}

func (c *tally) Throttled(context.Context, time.Duration) {}

func TestFewAreAskedForDirectlyHoweverManyAreMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	for i := range 40 {
		w.seat(fmt.Sprintf("guest%02d@elsewhere.example", i), "Guest")
		w.seat(fmt.Sprintf("stranger%02d@example.com", i), "Stranger")
	}
	for i := range 20 {
		w.hire(fmt.Sprintf("p%02d", i), fmt.Sprintf("p%02d@example.com", i), nil)
	}
	w.clock.move(48 * time.Hour)
	w.sweep()
	if n := len(w.open()); n != 60 {
		t.Fatalf("%d findings, want 40 strangers and 20 who are no members", n)
	}
	for i := range 40 {
		w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: fmt.Sprintf("guest%02d@elsewhere.example", i)})
		w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: fmt.Sprintf("stranger%02d@example.com", i)})
	}
	c := &tally{of: map[amplitude.Share]int{}}
	w.options.Organizations[0].Client = w.amplitude(setup{budget: func(*world) amplitude.Budget { return c }}, "acme", w.fake)
	w.restart()
	w.sweep()
	if n := len(w.open()); n != 20 || w.swept().Failed != "" {
		w.show()
		t.Errorf("%d findings are left", n)
	}
	if n := c.of[amplitude.ShareOther]; n > 20 || len(c.of) != 1 { // one page of members, one of groups
		t.Errorf("requests %v", c.of)
	}
}

func TestAListThatIsReadOnDemandSaysHowToReadItAgain(t *testing.T) {
	t.Parallel()
	for every, want := range map[time.Duration]string{0: "offramp drift run", 6 * time.Hour: "within half an hour"} {
		w := newWorld(t, setup{drift: func(o *drift.Options) { o.Every = every }})
		w.set("list_cut", "empty")
		w.ask()
		if f := w.one(offboard.ListUntrusted, ""); !strings.Contains(f.Proposed, want) {
			t.Errorf("every %s: %q", every, f.Proposed)
		}
	}
}
