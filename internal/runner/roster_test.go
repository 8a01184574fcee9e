package runner_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

// large is an organization whose list costs more than asking for one address.
const large = 320

// inBubble tells a story in the bubble's time, in which a day is short.
func inBubble(t *testing.T, s setup, story func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		s.bubble = true
		opts := s.opts
		s.opts = func(o *runner.Options) {
			o.Log = zap.NewNop()
			if opts != nil {
				opts(o)
			}
		}
		story(newWorld(t, s))
	})
}

func (w *world) set(name, value string) {
	w.t.Helper()
	if err := w.fake.SetSwitch(name, value); err != nil {
		w.t.Fatal(err)
	}
}

// every reports whether something holds of every case.
func (w *world) every(holds func(offboard.Case) bool) bool {
	w.t.Helper()
	for _, c := range w.all() {
		if !holds(c) {
			return false
		}
	}
	return true
}

// reading is one member list that was read: when it was begun, and its pages'
// first positions.
type reading struct {
	at    time.Time
	pages []string
}

// readings are the member lists that were read to more than their first page.
func (w *world) readings() []reading {
	var out []reading
	for _, r := range w.fake.Requests(amplitudefake.RequestFilter{Surface: "scim"}) {
		if r.Method != "GET" || !strings.HasSuffix(r.Path, "/Users") || r.Status != 200 {
			continue
		}
		q, err := url.ParseQuery(r.Query)
		if err != nil {
			w.t.Fatal(err)
		}
		if q.Get("startIndex") == "1" {
			out = append(out, reading{at: r.Time})
		}
		last := &out[len(out)-1]
		last.pages = append(last.pages, q.Get("startIndex"))
	}
	return slices.DeleteFunc(out, func(r reading) bool { return len(r.pages) == 1 })
}

// lies are ways in which a list leaves people out; those who leave stand at its end.
func lies() map[string][2]string {
	return map[string][2]string{
		"half of it, told as everybody": {amplitudefake.SwitchListCut, "half"},
		"half of it, with a true total": {amplitudefake.SwitchListCut, "short"},
		"nobody, with 200":              {amplitudefake.SwitchListCut, "empty"},
		"in another order each time":    {amplitudefake.SwitchOrder, "shuffle"},
	}
}

func TestAListThatLeavesPeopleOutProvesNoAbsence(t *testing.T) {
	t.Parallel()
	story := func(t *testing.T, members int, name, value string) {
		t.Helper()
		inBubble(t, setup{}, func(w *world) {
			w.crowd(members - 4)
			w.hire(4)
			w.set(amplitudefake.SwitchDropWrite, "true") // Amplitude says yes and does nothing
			w.dismiss(4)
			w.work(4, time.Hour, func() bool { return w.every(func(c offboard.Case) bool { return !c.Removed.IsZero() }) })
			if name != "" {
				w.set(name, value)
			}
			w.work(4, 3*time.Hour, func() bool {
				return w.every(func(c offboard.Case) bool { return c.State == offboard.StateNeedsAttention })
			})
			for _, c := range w.all() {
				if !c.Verified.IsZero() || c.State != offboard.StateNeedsAttention {
					w.show()
					w.t.Fatalf("%s is still there, and the case is %s, verified %s", c.Address, c.State, c.Verified)
				}
			}
		})
	}
	t.Run("a true list", func(t *testing.T) { story(t, large, "", "") })
	for size, members := range map[string]int{"tiny": 12, "small": 40, "large": large} {
		for lie, s := range lies() {
			t.Run(size+", "+lie, func(t *testing.T) { story(t, members, s[0], s[1]) })
		}
	}
}

func TestAListThatLeavesPeopleOutStopsNobody(t *testing.T) {
	t.Parallel()
	for size, members := range map[string]int{"small": 40, "large": large} {
		for lie, s := range lies() {
			if s[1] == "empty" {
				continue // an organization without anybody cannot show a known member
			}
			t.Run(size+", "+lie, func(t *testing.T) {
				// The list lies from the beginning: there is none to compare with.
				inBubble(t, setup{}, func(w *world) {
					w.crowd(members - 4)
					w.hire(4)
					w.set(s[0], s[1])
					w.dismiss(4)
					w.work(4, 3*time.Hour, func() bool { return w.live() == 0 })
					w.judge(4, members)
				})
			})
		}
	}
}

func TestAListWithoutOrderIsReadUntilItIsComplete(t *testing.T) {
	t.Parallel()
	inBubble(t, setup{}, func(w *world) {
		w.crowd(146)
		w.hire(4)
		w.set(amplitudefake.SwitchOrder, "shuffle")
		w.dismiss(4)
		w.work(4, 3*time.Hour, func() bool { return w.live() == 0 })
		w.judge(4, 150)
		for _, c := range w.all() {
			for _, l := range w.looks(c.ID) {
				if l.Seen[0].How != "list" {
					t.Errorf("%s, look %d: %s", c.Address, l.Number, l.Seen[0].How)
				}
			}
		}
	})
}

func TestAnEmptyListEndsNoCaseUntilItIsPutRight(t *testing.T) {
	t.Parallel()
	inBubble(t, setup{}, func(w *world) {
		w.hire(3)
		w.set(amplitudefake.SwitchListCut, "empty")
		w.dismiss(3)
		w.work(4, 30*time.Minute, func() bool { return w.clock.now().Sub(w.all()[0].Opened) > 20*time.Minute })
		for _, c := range w.all() {
			if !c.State.Live() || !c.Removed.IsZero() && !c.Verified.IsZero() {
				w.show()
				w.t.Fatalf("%s: %s, outcome %q, verified %s from an empty list", c.Address, c.State, c.Outcome, c.Verified)
			}
		}
		w.set(amplitudefake.SwitchListCut, "off")
		w.work(4, 3*time.Hour, func() bool { return w.live() == 0 })
		w.judge(3, 5)
	})
}

func TestManyLeaversAndListsThatLag(t *testing.T) {
	t.Parallel()
	for name, switches := range map[string]map[string]string{
		"the list is behind":    {amplitudefake.SwitchListLag: "90s"},
		"reading by id is late": {amplitudefake.SwitchListLag: "90s", amplitudefake.SwitchLagReverse: "on"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, setup{client: budgeted(60)}, func(w *world) {
				w.hire(12)
				w.crowd(large)
				for k, v := range switches {
					w.set(k, v)
				}
				w.dismiss(12)
				w.work(8, 3*time.Hour, func() bool { return w.live() == 0 })
				w.judge(12, large)
			})
		})
	}
}

func TestABudgetThatRunsOutInTheMiddleOfTheListCostsNothing(t *testing.T) {
	t.Parallel()
	inBubble(t, setup{client: budgeted(30)}, func(w *world) { // ten a minute, and the list takes 16
		w.hire(12)
		w.crowd(1500)
		w.dismiss(12)
		w.work(8, 4*time.Hour, func() bool { return w.live() == 0 })
		w.judge(12, 1500)
		readings := w.readings()
		for _, r := range readings {
			seen := map[string]bool{}
			for _, p := range r.pages {
				if seen[p] {
					t.Errorf("page %s was read twice: %v", p, r.pages)
				}
				seen[p] = true
			}
			// People who are removed meanwhile make it reach back a little.
			if n := len(r.pages); n < 15 || n > 20 {
				t.Errorf("a reading took %d requests, want 15 and few more: %v", n, r.pages)
			}
		}
		if len(readings) < 2 {
			t.Fatalf("the list was read %d times", len(readings))
		}
		// Removals went on while it was read: it counts from its beginning.
		for _, c := range w.all() {
			for _, l := range w.looks(c.ID) {
				for _, s := range l.Seen {
					if begun := readings[len(readings)-1].at; s.How == "list" && s.At.After(begun) {
						t.Errorf("look %d counts from %s, the last list was begun at %s", l.Number, s.At, begun)
					}
				}
			}
		}
		if n := busiest(w.fake.Requests(amplitudefake.RequestFilter{Surface: "scim"})); n > 10 {
			t.Errorf("a minute holds %d requests", n)
		}
	})
}

// gate is a budget that gives a share nothing while it is shut.
type gate struct {
	mu   sync.Mutex
	left map[amplitude.Share]int // requests; a share that is not named has no limit
}

func (g *gate) Take(_ context.Context, s amplitude.Share) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, limited := g.left[s]
	if limited && n <= 0 {
		return &amplitude.BudgetError{Wait: time.Minute}
	}
	if limited {
		g.left[s] = n - 1
	}
	return nil
}

func (g *gate) Throttled(context.Context, time.Duration) {}

func (g *gate) allow(s amplitude.Share, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left[s] = n
}

func TestAReadingThatRestedTooLongIsBegunAnew(t *testing.T) {
	t.Parallel()
	g := &gate{left: map[amplitude.Share]int{amplitude.ShareVerify: 2}}
	inBubble(t, setup{client: func(_ *world, o *amplitude.Options) { o.Budget = g }}, func(w *world) {
		w.hire(4)
		w.crowd(large)
		w.dismiss(4)
		began := w.clock.now()
		w.work(4, time.Hour, func() bool { return w.clock.now().Sub(began) > 30*time.Minute })
		g.allow(amplitude.ShareVerify, 1000)
		w.work(4, 4*time.Hour, func() bool { return w.live() == 0 })
		w.judge(4, large)
		var whole []string
		for _, r := range w.readings() {
			whole = append(whole, fmt.Sprint(r.pages))
		}
		if len(whole) < 2 || whole[0] != "[1 101]" || whole[1] != "[1 101 201 301]" {
			t.Errorf("readings: %s", whole)
		}
	})
}

func TestARemovalThatWaitsForTheBudgetIsNotBegun(t *testing.T) {
	t.Parallel()
	g := &gate{left: map[amplitude.Share]int{amplitude.ShareRemove: 0}}
	inBubble(t, setup{client: func(_ *world, o *amplitude.Options) { o.Budget = g }}, func(w *world) {
		w.person("leaver", leaver)
		w.deactivate()
		f := w.until(offboard.StateWaiting, offboard.WaitBudget)
		if f.RemoveBegan() {
			w.show()
			t.Fatal("the removal counts as begun, and nothing could be sent")
		}
		w.change("leaver", func(p offboard.Person) offboard.Person { p.Active = true; return p })
		if f = w.closed(leaver); f.Case.Outcome != offboard.OutcomeCancelled || !w.seated() {
			w.show()
			t.Errorf("outcome %s, seat %v", f.Case.Outcome, w.seated())
		}
	})
}

func TestTwoReplicasReadAtOnceWithinOneBudget(t *testing.T) {
	t.Parallel()
	const rate = 60
	inBubble(t, setup{replica: true, client: budgeted(rate)}, func(w *world) {
		w.hire(24)
		w.crowd(500)
		w.dismiss(24)
		w.work(8, 4*time.Hour, func() bool { return w.live() == 0 })
		w.judge(24, 500)
		requests := w.fake.Requests(amplitudefake.RequestFilter{Surface: "scim"})
		if n := busiest(requests); n > rate {
			t.Errorf("a minute holds %d requests", n)
		}
		if calls := float64(len(requests)) / 24; calls > 7 {
			t.Errorf("%.2f calls a person: %s", calls, kinds(requests))
		}
	})
}

func TestALookThatWaitsForOthersSaysSo(t *testing.T) {
	t.Parallel()
	inBubble(t, setup{}, func(w *world) {
		w.hire(8)
		w.crowd(large)
		w.dismiss(8)
		var waiting offboard.Case
		w.work(4, time.Hour, func() bool {
			for _, c := range w.all() {
				if c.Waiting == offboard.WaitVerify && strings.Contains(c.Note, "the member list is read for everybody who waits at") {
					waiting = c
				}
			}
			return waiting.ID != ""
		})
		if waiting.State != offboard.StateVerifying || !strings.HasPrefix(waiting.Note, "look 1 of 4: ") {
			w.show()
			t.Errorf("state %s: %s", waiting.State, waiting.Note)
		}
		// An incident meanwhile waits for nobody.
		w.person("leaver", leaver)
		w.change("leaver", func(p offboard.Person) offboard.Person {
			p.Claims.LeaveReason, p.Active = "security_incident", false
			return p
		})
		from := w.clock.now()
		w.work(4, time.Minute, func() bool { return !w.caseOf(leaver).Case.Verified.IsZero() })
		if took := w.caseOf(leaver).Case.Verified.Sub(from); took > idle { // in which nobody looks what is enqueued
			t.Errorf("the incident was proven after %s", took)
		}
		w.work(4, 4*time.Hour, func() bool { return w.live() == 0 })
	})
}

func TestTimesThatPassedTogetherAreOneLook(t *testing.T) {
	t.Parallel()
	for name, members := range map[string]int{"small": 10, "large": large} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, setup{}, func(w *world) {
				w.hire(3)
				w.crowd(members)
				w.dismiss(3)
				w.work(2, time.Hour, func() bool { return w.every(func(c offboard.Case) bool { return !c.Removed.IsZero() }) })
				w.clock.move(2 * time.Hour) // the process was down
				w.work(2, time.Hour, func() bool { return w.live() == 0 })
				w.judge(3, members)
				for _, c := range w.all() {
					looks := w.looks(c.ID)
					if len(looks) != 1 || looks[0].Through != 3 || looks[0].Note == "" {
						t.Errorf("%s: looks %+v", c.Address, looks)
					}
					told := false
					for _, e := range w.timeline(c.ID) {
						told = told || strings.Contains(e.Text, "absent in 1 look; they stand for 4, because times had passed together")
					}
					if !told {
						w.show()
						t.Error("the timeline does not say that the looks were one")
					}
				}
			})
		})
	}
}

func TestAClockThatJumpsMakesNoOldListNew(t *testing.T) {
	t.Parallel()
	for name, members := range map[string]int{"small": 10, "large": large} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{})
			w.hire(4)
			w.crowd(members)
			w.clock.move(5 * time.Hour) // forward
			w.dismiss(4)
			w.run(3*time.Hour, func() bool { return w.live() == 0 })
			w.judge(4, members)
			w.clock.move(-4 * time.Hour) // and back: what was read carries a time to come
			w.person("leaver", leaver)
			w.set(amplitudefake.SwitchDropWrite, "true")
			w.deactivate()
			w.run(3*time.Hour, func() bool { return w.caseOf(leaver).Case.State == offboard.StateNeedsAttention })
			if c := w.caseOf(leaver).Case; !c.Verified.IsZero() || !w.seated() {
				w.show()
				t.Errorf("verified %s from a list read before the person came", c.Verified)
			}
		})
	}
}

func TestALongListThatShrinksForGoodReasonsIsBelieved(t *testing.T) {
	t.Parallel()
	inBubble(t, setup{}, func(w *world) {
		w.crowd(large + 100)
		w.hire(4)
		w.dismiss(4)
		w.work(4, time.Hour, func() bool { return w.every(func(c offboard.Case) bool { return !c.Removed.IsZero() }) })
		for _, m := range w.fake.State().Members[300:400] { // somebody cleans up by hand
			if _, err := w.fake.Human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: m.Email}); err != nil {
				t.Fatal(err)
			}
		}
		w.work(4, 3*time.Hour, func() bool { return w.live() == 0 })
		listed := 0
		for _, c := range w.all() {
			if c.Outcome != offboard.OutcomeRemoved {
				t.Errorf("%s: outcome %q", c.Address, c.Outcome)
			}
			for _, l := range w.looks(c.ID) {
				if l.Seen[0].How == "list" {
					listed++
				}
			}
		}
		if listed == 0 {
			t.Error("every look was asked directly: the list is not believed")
		}
	})
}

func TestAReaderThatDiesIsReplacedWithinMinutes(t *testing.T) {
	t.Parallel()
	g := &gate{left: map[amplitude.Share]int{amplitude.ShareVerify: 2}}
	inBubble(t, setup{client: func(_ *world, o *amplitude.Options) { o.Budget = g }}, func(w *world) {
		w.hire(4)
		w.crowd(large)
		w.dismiss(4)
		w.work(4, time.Hour, func() bool { return len(w.readings()) == 1 })
		g.allow(amplitude.ShareVerify, 1000)
		w.restart(nil) // another process; nobody goes on with what the first one had read
		died := w.clock.now()
		w.work(4, 4*time.Hour, func() bool { return w.live() == 0 })
		w.judge(4, large)
		if again := w.readings()[1]; again.at.Sub(died) > 3*time.Minute || len(again.pages) != 4 {
			t.Errorf("read again %s after it died: %v", again.at.Sub(died), again.pages)
		}
	})
}
