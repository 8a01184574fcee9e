package review_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/review"
)

// finish ends the deciding.
func (o *office) finish(id string) {
	o.t.Helper()
	if err := o.Finish(o.t.Context(), id, "lead@example.com"); err != nil {
		o.t.Fatal(err)
	}
}

// lies sets how Amplitude answers: lists cut, and no member known by name.
func (o *office) lies(cut string, knowsNobody bool) {
	o.t.Helper()
	if err := o.fake.SetSwitch("list_cut", cut); err != nil {
		o.t.Fatal(err)
	}
	if !knowsNobody {
		return
	}
	must[int](o.t)(o.fake.AddFault(amplitudefake.Fault{
		Match: amplitudefake.Match{PathRegexp: "/Users/.+"}, Kind: amplitudefake.FaultStatus, Status: 404,
	}))
}

func TestThatAmplitudeKnowsNobodyProvesNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		id := o.begin()
		must[int](t)(o.Decide(t.Context(), id, "jo@example.com", word(offboard.ReviewKeep)))
		o.finish(id)
		o.lies("half", true)
		if err := o.Advance(t.Context()); err == nil || !strings.Contains(err.Error(), "not even those whom it lists") {
			t.Errorf("compared: %v", err)
		}
		if o.state(id) != offboard.ReviewComparing || o.item(id, "stranger@example.com").After != nil {
			t.Errorf("the review is %s: %q", o.state(id), o.item(id, "stranger@example.com").Held())
		}
	})
}

func TestWhoDropsOutOfAListWasNotRemoved(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		id := o.begin()
		for _, who := range []string{"idle@example.com", "stranger@example.com", "guest@agency.example.org"} {
			_, _ = o.Decide(t.Context(), id, who, word(offboard.ReviewRemove)) // the guest is out of reach
		}
		o.finish(id)
		o.lies("half", false)
		if err := o.Advance(t.Context()); err == nil || o.state(id) != offboard.ReviewComparing {
			t.Errorf("%s: %v", o.state(id), err)
		}
		o.lies("off", false)
		o.advance()
		for _, who := range []string{"idle@example.com", "stranger@example.com", "guest@agency.example.org"} {
			if got := o.item(id, who); !got.Broken() {
				t.Errorf("%s, whom nobody removed: %q", who, got.Held())
			}
		}
	})
}

func TestWhoLeftForAnotherReasonIsToldWithTheirCase(t *testing.T) {
	t.Parallel()
	for story, looking := range map[string]bool{"proven": false, "and is still looked at": true} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(o *office) { leftForAnotherReason(o, looking) })
		})
	}
}

func leftForAnotherReason(o *office, looking bool) {
	t := o.t
	o.staff()
	id := o.begin()
	person := must[offboard.Person](t)(o.store.ChangePerson(t.Context(), offboard.PersonChange{
		Connection: "okta", Rules: o.rules(), ID: "id-jo@example.com", Change: func(p offboard.Person) (offboard.Person, error) {
			p.Active = false
			return p, nil
		},
	}))
	if one := must[[]offboard.ReviewDecided](t)(o.Reviews.Decide(t.Context(), id, []string{"jo@example.com"}, word(offboard.ReviewKeep))); !strings.Contains(one[0].Refused, "removes them") {
		t.Errorf("kept: %+v", one[0])
	}
	if n := must[int](t)(o.KeepUnremarkable(t.Context(), id, "lead@example.com", "nothing to see")); o.item(id, "jo@example.com").Decision != offboard.Undecided {
		t.Errorf("kept among %d", n)
	}
	if looking {
		for len(o.fake.PersonState("jo@example.com").Members) > 0 {
			o.works(1)
		}
	} else {
		o.work()
	}
	if _, err := o.fake.Human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "idle@example.com"}); err != nil {
		t.Fatal(err)
	}
	o.finish(id)
	o.advance()
	if is := must[[]offboard.Case](t)(o.store.Cases(t.Context(), offboard.CaseFilter{Address: person.Address})); is[0].ProvedGone() == looking {
		t.Fatalf("the case is %s", is[0].State)
	}
	cases := must[[]offboard.Case](t)(o.store.Cases(t.Context(), offboard.CaseFilter{Address: person.Address}))
	if got := o.item(id, "jo@example.com").Result(); len(cases) != 1 || got != "removed meanwhile for another reason, case "+cases[0].ID {
		t.Errorf("jo: %q, cases %+v", got, cases)
	}
	if got := o.item(id, "idle@example.com").Result(); got != "gone, and nobody decided that here" {
		t.Errorf("idle: %q", got)
	}
}

func TestRolesThatCouldNotBeReadAreNotCompared(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		id := o.begin()
		o.finish(id)
		if err := o.fake.SetSwitch(amplitudefake.SwitchEnrolled, "false"); err != nil {
			t.Fatal(err)
		}
		o.advance()
		if got := o.item(id, "jo@example.com").Held(); got != "unchanged as far as it could be read" {
			t.Errorf("jo: %q", got)
		}
		if n := o.note(id); !strings.Contains(n, "at the second reading: acme: not enrolled") {
			t.Errorf("not seen: %q", n)
		}
	})
}

func TestASlowReplicaChangesNoClosedReview(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		id := o.begin()
		o.finish(id)
		slow := o.with(func(op *review.Options) {
			op.Store = &meanwhile{Store: o.store, happens: func() {
				o.advance()
				if _, err := o.fake.Human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "jo@example.com"}); err != nil {
					t.Fatal(err)
				}
			}}
		})
		if err := slow.Advance(t.Context()); err != nil {
			t.Error(err)
		}
		if got := o.item(id, "jo@example.com").Held(); o.state(id) != offboard.ReviewClosed || got != "unchanged" {
			t.Errorf("a closed review says %q now", got)
		}
	})
}

func TestWhatADecisionCameTo(t *testing.T) {
	t.Parallel()
	seat := func(roles ...string) offboard.ReviewedSeat { return offboard.ReviewedSeat{There: true, Roles: roles} }
	in := func(groups ...string) offboard.ReviewedSeat {
		return offboard.ReviewedSeat{There: true, Groups: groups}
	}
	blind := func(s offboard.ReviewedSeat, projects ...string) offboard.ReviewedSeat {
		s.Unseen = projects
		return s
	}
	for story, c := range map[string]struct {
		decision      offboard.ReviewDecision
		before, after offboard.ReviewedSeat
		held          string
	}{
		"a lower role":                        {offboard.ReviewDowngrade, seat("Web: Admin"), seat("Web: Viewer"), "downgraded"},
		"a role less":                         {offboard.ReviewDowngrade, seat("App: Member", "Web: Admin"), seat("App: Member"), "downgraded"},
		"a group less":                        {offboard.ReviewDowngrade, in("Editors", "Readers"), in("Readers"), "downgraded"},
		"more than before":                    {offboard.ReviewDowngrade, seat("Web: Viewer"), seat("App: Admin", "Web: Admin"), "NOT LESS access although the decision was to downgrade"},
		"less here and more there":            {offboard.ReviewDowngrade, seat("App: Viewer", "Web: Admin"), seat("App: Admin", "Web: Viewer"), "NOT LESS access although the decision was to downgrade"},
		"a role that nobody can compare":      {offboard.ReviewDowngrade, seat("Web: Member"), seat("Web: Auditor"), "NOT LESS access although the decision was to downgrade"},
		"nothing":                             {offboard.ReviewDowngrade, seat("Web: Admin"), seat("Web: Admin"), "UNCHANGED although the decision was to downgrade"},
		"roles were not read again":           {offboard.ReviewDowngrade, seat("Web: Admin"), blind(seat(), "Web"), "not comparable: roles could not be read"},
		"one project was read":                {offboard.ReviewDowngrade, blind(seat("Web: Admin"), "App"), seat("App: Viewer", "Web: Viewer"), "downgraded"},
		"kept, with another role":             {offboard.ReviewKeep, seat("Web: Viewer"), seat("Web: Admin"), "access changed meanwhile"},
		"kept, and roles were not read again": {offboard.ReviewKeep, seat("Web: Viewer"), blind(seat(), "Web"), "unchanged as far as it could be read"},
		"kept, as before":                     {offboard.ReviewKeep, seat("Web: Viewer"), seat("Web: Viewer"), "unchanged"},
	} {
		i := offboard.ReviewItem{Decision: c.decision, Seat: c.before, After: &c.after}
		if got := i.Held(); got != c.held {
			t.Errorf("%s: %q, want %q", story, got, c.held)
		}
	}
}

// turns is a schedule that replicas share, and a review that takes minutes to read.
type turns struct {
	review.Store
	mu            sync.Mutex
	next          time.Time
	working, most int
	read          int
}

func (s *turns) Turn(_ context.Context, _ string, every time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.next) {
		return false, nil
	}
	s.next = time.Now().Add(every)
	return true, nil
}

func (s *turns) Postpone(_ context.Context, _ string, by time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = time.Now().Add(by)
	return nil
}

func (s *turns) Reviews(ctx context.Context, _ int) ([]offboard.Review, error) {
	s.mu.Lock()
	s.working++
	s.most = max(s.most, s.working)
	s.mu.Unlock()
	select {
	case <-time.After(3 * time.Minute):
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.working--
	s.read++
	return nil, ctx.Err()
}

func TestOfTwoReplicasOneReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
		defer stop()
		s := &turns{}
		var both sync.WaitGroup
		for range 2 {
			v := must[*review.Reviews](t)(review.New(review.Options{
				Store: s, Organizations: []review.Organization{{Name: "acme"}}, Rules: func(string) offboard.Rules { return offboard.Rules{} },
			}))
			both.Go(func() { _ = v.Run(ctx) })
		}
		both.Wait()
		if s.most != 1 || s.read < 3 {
			t.Errorf("%d read at once, %d times in all", s.most, s.read)
		}
	})
}
