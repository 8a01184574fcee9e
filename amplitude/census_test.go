package amplitude_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"offramp/amplitude"
)

// census reads to the end and returns the addresses. Between two calls it
// hands the number of the next one to between.
func census(t *testing.T, s *amplitude.Census, between func(call int)) (seen []string, refused int, err error) {
	t.Helper()
	for call := 1; call < 1000; call++ {
		if between != nil {
			between(call)
		}
		page, done, err := s.Next(t.Context())
		for _, m := range page {
			seen = append(seen, m.Email)
		}
		if done {
			return seen, refused, err
		}
		if err != nil {
			refused++
		}
	}
	t.Fatal("the census does not end")
	return nil, 0, nil
}

func TestACensusGoesOnWhereItStoodWhenTheBudgetRanOut(t *testing.T) {
	d := &directory{members: people(950)}
	b := &fakeBudget{}
	o := options(inProcess{d})
	o.Budget = b
	s := newClient(t, o).WithShare(amplitude.ShareVerify).Census()
	seen, refused, err := census(t, s, func(call int) {
		b.err = nil
		if call%3 != 0 { // two of three calls get no slot
			b.err = &amplitude.BudgetError{Wait: time.Minute}
		}
	})
	if err != nil || len(seen) != 950 || s.Seen() != 950 || s.Total() != 950 {
		t.Errorf("saw %d (told %d of %d), %v", len(seen), s.Seen(), s.Total(), err)
	}
	if refused != 20 || d.asked != 10 || s.Pages() != 10 {
		t.Errorf("%d calls without a slot, %d requests, told %d; want 20, 10, 10", refused, d.asked, s.Pages())
	}
	for _, share := range b.taken {
		if share != amplitude.ShareVerify {
			t.Fatalf("counted against %s", share)
		}
	}
	page, done, err := s.Next(t.Context())
	if len(page) != 0 || !done || err != nil || d.asked != 10 {
		t.Errorf("behind the end: %d members, done %v, %v, %d requests", len(page), done, err, d.asked)
	}
}

func TestACensusSurvivesEveryKindOfTrouble(t *testing.T) {
	d := &directory{members: people(450)}
	call := 0
	s := against(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch call++; call % 4 {
		case 0:
			d.ServeHTTP(w, r)
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			_, _ = w.Write([]byte(`{"totalResults":4`))
		default:
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})).Census()
	seen, refused, err := census(t, s, nil)
	if err != nil || len(seen) != 450 || refused != 15 || d.asked != 5 {
		t.Errorf("saw %d after %d failures in %d good requests, %v", len(seen), refused, d.asked, err)
	}
}

func TestMembersWhoLeaveWhileACensusRestsHideNobody(t *testing.T) {
	// While it rests, fifty people in front of the place it stands at are removed.
	d := &directory{members: people(600)}
	s := against(t, d).Census()
	seen, _, err := census(t, s, func(call int) {
		if call == 4 {
			d.members = d.members[50:]
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	there := strings.Join(seen, " ")
	for _, m := range d.members {
		if !strings.Contains(there, m) {
			t.Errorf("%s is a member and was not seen", m)
		}
	}
}

func TestACensusSaysThatMembersMayBeMissing(t *testing.T) {
	for name, row := range map[string]struct {
		d    *directory
		want error
	}{
		"a list cut short":       {&directory{members: people(250), extra: 100}, amplitude.ErrShortList},
		"an empty list of 5":     {&directory{extra: 5}, amplitude.ErrShortList},
		"one is listed twice":    {&directory{members: append(people(350), "P0007@example.com")}, amplitude.ErrShortList},
		"it grows without bound": {&directory{members: people(350), before: func(d *directory, _ int) { d.extra += 1000 }}, amplitude.ErrListMoved},
	} {
		t.Run(name, func(t *testing.T) {
			s := against(t, row.d).Census()
			_, _, err := census(t, s, nil)
			if !errors.Is(err, row.want) {
				t.Errorf("ends with %v, want %v", err, row.want)
			}
			asked := row.d.asked
			if _, done, again := s.Next(t.Context()); !done || !errors.Is(again, row.want) || row.d.asked != asked {
				t.Errorf("behind the end: done %v, %v, %d more requests", done, again, row.d.asked-asked)
			}
		})
	}
}

// shuffle brings the members into another order before each request.
func shuffle() func(*directory, int) {
	rng := rand.New(rand.NewPCG(1, 2))
	return func(d *directory, _ int) {
		rng.Shuffle(len(d.members), func(i, j int) { d.members[i], d.members[j] = d.members[j], d.members[i] })
	}
}

func TestAListInAnotherOrderEachTimeIsReadUntilItIsComplete(t *testing.T) {
	for _, n := range []int{40, 101, 253, 950} {
		d := &directory{members: people(n), before: shuffle()}
		seen, _, err := census(t, against(t, d).Census(), nil)
		pages := (n + 99) / 100
		t.Logf("%d members: %d requests for %d pages", n, d.asked, pages)
		if err != nil || len(seen) != n || d.asked > 8*(pages+1)+20 {
			t.Errorf("%d members: saw %d in %d requests, %v", n, len(seen), d.asked, err)
		}
	}
}

func TestAListWithoutOrderIsNotReadForEver(t *testing.T) {
	// It announces one more than it ever shows, as one whose length is wrong.
	d := &directory{members: people(450), extra: 1, before: shuffle()}
	s := against(t, d).Census()
	seen, _, err := census(t, s, nil)
	if !errors.Is(err, amplitude.ErrShortList) || len(seen) != 450 {
		t.Errorf("saw %d, %v", len(seen), err)
	}
	if d.asked > 65 {
		t.Errorf("took %d requests for 5 pages", d.asked)
	}
	if s.Progress() != (amplitude.Progress{}) {
		t.Errorf("a place to go on from: %+v", s.Progress())
	}
}

// Somebody who leaves while a list without order is read was seen and is not
// announced any more: they do not stand for somebody who was never shown.
func TestWhoeverLeftDoesNotStandForSomebodyUnseen(t *testing.T) {
	mix := shuffle()
	d := &directory{members: people(250), extra: 1} // one is never shown
	d.before = func(d *directory, n int) {
		if n == 5 {
			d.members = d.members[1:]
		}
		mix(d, n)
	}
	seen, _, err := census(t, against(t, d).Census(), nil)
	if err == nil {
		t.Errorf("complete with %d, and one was never shown", len(seen))
	}
}

func TestACensusGoesOnInAnotherProcess(t *testing.T) {
	d := &directory{members: people(950)}
	c := against(t, d)
	s := c.Census()
	if s.Progress() != (amplitude.Progress{}) {
		t.Fatalf("progress before the first request: %+v", s.Progress())
	}
	var first []string
	for range 6 {
		page, _, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page {
			first = append(first, m.Email)
		}
	}
	d.members = d.members[30:] // thirty leave while nobody reads
	again := c.ResumeCensus(s.Progress(), first)
	rest, _, err := census(t, again, nil)
	if err != nil || len(first)+len(rest) != 950 || again.Seen() != 950 {
		t.Errorf("%d before and %d after, %d in all, %v", len(first), len(rest), again.Seen(), err)
	}
	if d.asked > 13 {
		t.Errorf("%d requests for ten pages", d.asked)
	}
}

func TestACensusOfAHundredThousandStaysSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 100,000 members")
	}
	d := &directory{}
	for i := range 100_000 {
		d.members = append(d.members, fmt.Sprintf("somebody.with.a.long.name.%06d@corp.example.com", i))
	}
	s := against(t, d).Census()
	before := heap()
	for done := false; !done; {
		var err error
		if _, done, err = s.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	grown := heap() - before
	t.Logf("100,000 members: %d requests, %d MB kept", d.asked, grown>>20)
	if d.asked != 1000 || s.Seen() != 100_000 {
		t.Errorf("%d requests, %d members", d.asked, s.Seen())
	}
	if grown > 30<<20 {
		t.Errorf("the census keeps %d MB", grown>>20)
	}
	runtime.KeepAlive(s)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestAReservedRequestIsPaidForOnce(t *testing.T) {
	s := says(oneMember)
	b := &fakeBudget{}
	o := options(inProcess{s})
	o.Budget = b
	c := newClient(t, o).WithShare(amplitude.ShareRemove)
	paid, err := c.Reserve(t.Context())
	if err != nil || len(b.taken) != 1 || b.taken[0] != amplitude.ShareRemove || len(s.requests()) != 0 {
		t.Fatalf("took %v, sent %d, %v", b.taken, len(s.requests()), err)
	}
	b.err = &amplitude.BudgetError{Wait: time.Minute} // the budget is empty now
	if _, err := paid.Member(t.Context(), leaver); err != nil {
		t.Errorf("the request that was paid for: %v", err)
	}
	for name, f := range map[string]func() error{
		"the one after it": func() error { _, err := paid.Member(t.Context(), leaver); return err },
		"another reserve":  func() error { _, err := c.Reserve(t.Context()); return err },
	} {
		if refused, ok := errors.AsType[*amplitude.BudgetError](f()); !ok || refused.Wait != time.Minute {
			t.Errorf("%s is not refused by the budget", name)
		}
	}
	if n := len(s.requests()); n != 1 {
		t.Errorf("%d requests were sent, want 1", n)
	}
}
