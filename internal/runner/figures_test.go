package runner_test

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

// idle is how much time passes where no case is due.
const idle = 5 * time.Second

// work is what the engine does, in the bubble's time: the cases that are due go
// to so many workers, until done says so.
func (w *world) work(workers int, most time.Duration, done func() bool) {
	w.t.Helper()
	ids := make(chan string)
	var all sync.WaitGroup
	for i := range workers {
		by := w.runner
		if w.replica != nil && i%2 == 1 {
			by = w.replica
		}
		all.Go(func() {
			for id := range ids {
				if err := by.Advance(w.t.Context(), id); err != nil {
					w.t.Error(err)
				}
			}
		})
	}
	defer all.Wait()
	defer close(ids)
	var asked time.Time
	for end := w.clock.now().Add(most); w.clock.now().Before(end); {
		id, ok := w.jobs.take()
		if ok {
			ids <- id
			continue
		}
		n, err := w.store.Due(w.t.Context(), 200, 200)
		if err != nil {
			w.t.Fatal(err)
		}
		if now := w.clock.now(); now.Sub(asked) >= idle {
			if asked = now; done() {
				return
			}
		}
		if n == 0 {
			time.Sleep(idle)
		}
	}
	w.t.Errorf("not done after %s", most)
}

// busiest is the most requests that any minute holds.
func busiest(requests []amplitudefake.Request) int {
	most, from := 0, 0
	for i, r := range requests {
		for r.Time.Sub(requests[from].Time) >= time.Minute {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

func budgeted(rate int) func(*world, *amplitude.Options) {
	return func(w *world, o *amplitude.Options) { o.Budget = runner.NewBudget(w.store, "acme", rate) }
}

// TestFiguresThousandLeavers removes and verifies many people with nothing to
// hand over, in virtual time, and counts what that costs one process, and two
// that share the work. A thousand of 5,000 run in make soak.
func TestFiguresThousandLeavers(t *testing.T) {
	row := thousand{members: 1000, leavers: 150, most: 1.8}
	if os.Getenv("OFFRAMP_SOAK") != "" {
		row = thousand{members: 5000, leavers: 1000, most: 1.3}
	}
	t.Run("one process", func(t *testing.T) { row.count(t, false) })
	t.Run("two replicas", func(t *testing.T) { row.count(t, true) })
}

type thousand struct {
	members, leavers int
	most             float64 // calls a person
}

func (row thousand) count(t *testing.T, replica bool) {
	t.Helper()
	const rate = 60
	inBubble(t, setup{replica: replica, client: budgeted(rate)}, func(w *world) {
		w.hire(row.leavers)
		w.crowd(row.members)
		w.dismiss(row.leavers)
		began, real := w.clock.now(), len(w.fake.Requests(amplitudefake.RequestFilter{}))
		w.work(8, 4*time.Hour, func() bool { return w.live() == 0 })
		requests := w.fake.Requests(amplitudefake.RequestFilter{Surface: "scim"})[real:]
		w.judge(row.leavers, row.members)
		calls := float64(len(requests)) / float64(row.leavers)
		most := busiest(requests)
		var proven time.Time
		for _, c := range w.all() {
			if c.Verified.After(proven) {
				proven = c.Verified
			}
		}
		t.Logf("%d leavers of %d members at %d a minute: %d SCIM calls, %.3f a person, at most %d in a minute (%s); all seen to be gone after %s, all cases closed after %s",
			row.leavers, row.members, rate, len(requests), calls, most, kinds(requests),
			proven.Sub(began).Round(time.Second), w.clock.now().Sub(began).Round(time.Second))
		if calls > row.most {
			t.Errorf("%.3f calls a person, want at most %.1f", calls, row.most)
		}
		if most > rate {
			t.Errorf("a minute holds %d requests, want at most %d", most, rate)
		}
	})
}

// hire gives so many people a seat, dismiss deactivates them at once, and crowd
// adds others until the organization has so many members.
func (w *world) hire(n int) {
	w.t.Helper()
	for i := range n {
		w.person(fmt.Sprintf("leaver%04d", i), fmt.Sprintf("leaver%04d@example.com", i))
	}
}

func (w *world) dismiss(n int) {
	w.t.Helper()
	for i := range n {
		w.change(fmt.Sprintf("leaver%04d", i), func(p offboard.Person) offboard.Person { p.Active = false; return p })
	}
}

func (w *world) crowd(members int) {
	w.t.Helper()
	for i := len(w.fake.State().Members); i < members; i++ {
		w.seat(fmt.Sprintf("stays%04d@example.com", i), amplitudefake.RoleMember)
	}
}

// all lists every case.
func (w *world) all() []offboard.Case {
	w.t.Helper()
	var out []offboard.Case
	for before := ""; ; before = out[len(out)-1].ID {
		list, err := w.store.Cases(w.t.Context(), offboard.CaseFilter{Before: before, Most: 500})
		if err != nil {
			w.t.Fatal(err)
		}
		if out = append(out, list...); len(list) < 500 {
			return out
		}
	}
}

// live counts the cases that have not ended.
func (w *world) live() int {
	w.t.Helper()
	n := 0
	for _, c := range w.all() {
		if c.State.Live() {
			n++
		}
	}
	return n
}

// judge compares with the simulator's own truth: the leavers are gone, nobody
// else is, and each absence was proven.
func (w *world) judge(leavers, members int) {
	w.t.Helper()
	if n := w.removals(); n != leavers {
		w.t.Errorf("%d removals, want %d", n, leavers)
	}
	left := w.fake.State().Members
	if len(left) != members-leavers {
		w.t.Errorf("%d members are left, want %d", len(left), members-leavers)
	}
	for _, m := range left {
		if strings.HasPrefix(m.Email, "leaver") {
			w.t.Errorf("%s is still there", m.Email)
		}
	}
	for _, c := range w.all() {
		if c.Outcome != offboard.OutcomeRemoved || c.Verified.IsZero() {
			w.t.Errorf("%s: %s, outcome %q, verified %s: %s", c.Address, c.State, c.Outcome, c.Verified, c.Note)
			continue
		}
		w.proof(c.ID)
	}
}

// watch is how long after a removal each look is due.
func watch() []time.Duration {
	return []time.Duration{20 * time.Second, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute}
}

// looked is what a case records of one look.
type looked struct {
	Number, Through int
	Note            string
	Seen            []struct {
		At  time.Time
		How string
	}
}

// looks returns what a case records of its looks.
func (w *world) looks(caseID string) []looked {
	w.t.Helper()
	f, err := w.store.Case(w.t.Context(), caseID)
	if err != nil {
		w.t.Fatal(err)
	}
	var v struct{ Looks []looked }
	if err := json.Unmarshal(f.Step(offboard.StepVerify).Result, &v); err != nil {
		w.t.Fatal(err)
	}
	return v.Looks
}

// proof checks that each look of a case was read when its time had come, and
// that no reading stands for two of them without saying so.
func (w *world) proof(caseID string) {
	w.t.Helper()
	f, err := w.store.Case(w.t.Context(), caseID)
	if err != nil {
		w.t.Fatal(err)
	}
	next, last := 0, time.Time{}
	for _, l := range w.looks(caseID) {
		if l.Number != next || (l.Through > 0) != (l.Note != "") {
			w.t.Errorf("%s: look %+v, want number %d", f.Case.Address, l, next)
		}
		for _, s := range l.Seen {
			if due := f.Case.Removed.Add(watch()[max(l.Number, l.Through)]); s.At.Before(due) || !s.At.After(last) {
				w.t.Errorf("%s: look %d to %d was read at %s; due at %s, the one before was at %s", f.Case.Address, l.Number, l.Through, s.At, due, last)
			}
			last = s.At
		}
		next = max(l.Number, l.Through) + 1
	}
	if next != len(watch()) {
		w.t.Errorf("%s: %d looks, want %d", f.Case.Address, next, len(watch()))
	}
}

// kinds counts requests by what they are.
func kinds(requests []amplitudefake.Request) string {
	deletes, lists, groups, direct := 0, 0, 0, 0
	for _, r := range requests {
		switch {
		case r.Method == "DELETE":
			deletes++
		case strings.Contains(r.Path, "/Groups"):
			groups++
		case strings.Contains(r.Path, "@"):
			direct++
		default:
			lists++
		}
	}
	return fmt.Sprintf("%d DELETEs, %d pages of members, %d of groups, %d direct", deletes, lists, groups, direct)
}

// TestFiguresAReadingOfManyMembersStaysSmall tells what a process keeps of the
// list of a hundred thousand. It runs in make soak.
func TestFiguresAReadingOfManyMembersStaysSmall(t *testing.T) {
	if os.Getenv("OFFRAMP_SOAK") == "" {
		t.Skip("runs in make soak")
	}
	const members, leavers = 100_000, 300
	w := newWorld(t, setup{})
	w.hire(leavers)
	for i := len(w.fake.State().Members); i < members; i++ {
		err := w.fake.AddMember(amplitudefake.Member{
			Email:     fmt.Sprintf("somebody.with.a.long.name%06d@corp.example.com", i),
			GivenName: "Somebody", FamilyName: fmt.Sprint("Name", i), Role: amplitudefake.RoleMember,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	w.dismiss(leavers)
	w.run(4*time.Hour, func() bool { return w.live() == 0 })
	kept := (int64(heap()) - int64(before)) >> 20
	if n := len(w.readings()); n == 0 {
		t.Error("the list was never read")
	}
	t.Logf("after %d readings of %d members %d MB more are kept", len(w.readings()), members, kept)
	if kept > 30 {
		t.Errorf("%d MB more are kept, want at most 30", kept)
	}
	runtime.KeepAlive(w)
}
