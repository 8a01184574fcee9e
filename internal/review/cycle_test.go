package review_test

import (
	"strings"
	"testing"

	"offramp/internal/offboard"
)

// toldOf counts the messages about a review whose key ends so.
func (o *office) toldOf(id, about string) (n int) {
	for _, told := range o.told {
		if strings.HasPrefix(told, "review/"+id+"/"+about) {
			n++
		}
	}
	return n
}

// A removal that stays a person's keeps a review open: the next one comes all
// the same, and what was not done is said every week, and at the end.
func TestAReviewThatNobodyFinishesGivesWayToTheNext(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		id := o.begin()
		for _, keep := range []string{"root@example.com", "idle@example.com", "stranger@example.com"} {
			must[int](t)(o.Decide(t.Context(), id, keep, word(offboard.ReviewKeep)))
		}
		_, _ = o.Decide(t.Context(), id, "guest@agency.example.org", word(offboard.ReviewRemove))
		for range 13 {
			o.at = o.at.Add(7 * hours24)
			o.advance()
		}
		if n := o.toldOf(id, "overdue"); n != 10 {
			t.Errorf("told %d times in ten weeks that it is overdue: %q", n, o.told)
		}
		for range 3 { // the old one ended, the new one begins and is read
			o.advance()
		}
		all := must[[]offboard.Review](t)(o.List(t.Context(), 10))
		if len(all) != 2 || all[0].State != offboard.ReviewOpen || all[1].State != offboard.ReviewClosed || all[1].ClosedBy != offboard.BySchedule {
			t.Fatalf("after 91 days: %+v", all)
		}
		if o.toldOf(id, "closed: The access review is closed: 1 decisions did not come true") != 1 {
			t.Errorf("told %q", o.told)
		}
		if next := o.Next(all[0]); !next.Equal(all[0].Started.Add(90 * hours24)) {
			t.Errorf("the third begins %s", next)
		}
	})
}

// What can never be compared ends, too.
func TestAComparisonThatNeverWorksGivesWayToTheNext(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		id := o.begin()
		o.finish(id)
		o.lies("half", true)
		for range 12 {
			o.at = o.at.Add(7 * hours24)
			_ = o.Advance(t.Context())
		}
		if o.state(id) != offboard.ReviewComparing || o.toldOf(id, "trouble/comparing") != 11 {
			t.Fatalf("%s, told %q", o.state(id), o.told)
		}
		o.at = o.at.Add(7 * hours24)
		_ = o.Advance(t.Context())
		if n := o.note(id); o.state(id) != offboard.ReviewClosed || !strings.Contains(n, "not compared: amplitude knows no member of acme") || o.toldOf(id, "closed") != 1 {
			t.Errorf("%s: %q, told %q", o.state(id), n, o.told)
		}
		if all := must[[]offboard.Review](t)(o.List(t.Context(), 10)); len(all) != 2 {
			t.Errorf("%d reviews", len(all))
		}
	})
}

// Whoever gave people a year to decide meant it.
func TestTheNextReviewWaitsUntilThisOneIsDue(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		r := must[offboard.Review](t)(o.Start(t.Context(), "lead@example.com", 365*hours24))
		o.advance()
		o.at = o.at.Add(100 * hours24)
		o.advance()
		if o.state(r.ID) != offboard.ReviewOpen || !o.Next(r).Equal(r.Due) {
			t.Errorf("%s, the next one begins %s", o.state(r.ID), o.Next(r))
		}
	})
}
