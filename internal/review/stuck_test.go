package review_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
)

// A removal that Offramp may not make is a person's: it keeps nobody else's
// decision from being carried out, and does not hide that the review is overdue.
func TestWhatCannotBeCarriedOutStopsNothingElse(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		id := o.begin()
		o.advance()
		if _, err := o.Decide(t.Context(), id, "guest@agency.example.org", word(offboard.ReviewRemove)); err == nil {
			t.Error("nobody is told that the guest has to be removed by hand")
		}
		if _, err := o.Decide(t.Context(), id, "jo@example.com", word(offboard.ReviewRemove)); err != nil {
			t.Errorf("the refusal of another is told about jo: %v", err)
		}
		if o.item(id, "jo@example.com").Case == "" {
			t.Error("jo has no case")
		}
		o.at = o.at.Add(15 * 24 * time.Hour)
		o.advance()
		if len(o.told) != 2 || !strings.Contains(o.told[1], "overdue") {
			t.Errorf("told %q", o.told)
		}
		o.work()
		for _, keep := range []string{"root@example.com", "idle@example.com", "stranger@example.com"} {
			must[int](t)(o.Decide(t.Context(), id, keep, word(offboard.ReviewKeep)))
		}
		o.advance()
		if p := must[offboard.Progress](t)(o.Progress(t.Context(), id)); o.state(id) != offboard.ReviewOpen || p.Open != 1 || p.Undecided != 0 {
			t.Fatalf("the review is %s, progress %+v", o.state(id), p)
		}
		// Somebody removes the guest by hand, and closes the review.
		if _, err := o.fake.Human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "guest@agency.example.org"}); err != nil {
			t.Fatal(err)
		}
		if err := o.Finish(t.Context(), id, "lead@example.com"); err != nil {
			t.Fatal(err)
		}
		o.advance()
		for _, gone := range []string{"guest@agency.example.org", "jo@example.com"} {
			if got := o.item(id, gone).Held(); got != "removed" {
				t.Errorf("%s: %q", gone, got)
			}
		}
	})
}

// A list that is cut at the first reading would leave people out of the review:
// nobody would ever be asked about them.
func TestAListThatIsCutLeavesNobodyOutOfTheReview(t *testing.T) {
	t.Parallel()
	for _, cut := range []string{"half", "short", "empty"} {
		t.Run(cut, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(o *office) {
				t := o.t
				o.staff()
				for i := range 40 {
					o.member(amplitudefake.Member{Email: fmt.Sprintf("m%02d@example.com", i), GivenName: "M", FamilyName: "X"}, false)
				}
				o.compared()
				r := must[offboard.Review](t)(o.Start(t.Context(), "lead@example.com", 0))
				if err := o.fake.SetSwitch("list_cut", cut); err != nil {
					t.Fatal(err)
				}
				if err := o.Advance(t.Context()); err == nil || o.state(r.ID) != offboard.ReviewReading {
					t.Fatalf("the review is %s: %v", o.state(r.ID), err)
				}
				if err := o.fake.SetSwitch("list_cut", "off"); err != nil {
					t.Fatal(err)
				}
				o.advance()
				if p := must[offboard.Progress](t)(o.Progress(t.Context(), r.ID)); o.state(r.ID) != offboard.ReviewOpen || p.Seats != 45 {
					t.Errorf("the review is %s, progress %+v", o.state(r.ID), p)
				}
			})
		})
	}
}

// compared puts everybody into what the last comparison saw.
func (o *office) compared() {
	o.t.Helper()
	w, mine, err := o.store.BeginSweep(o.t.Context(), "acme", time.Hour)
	if err != nil || !mine {
		o.t.Fatal(mine, err)
	}
	var seats []offboard.Seat
	for _, m := range o.fake.State().Members {
		seats = append(seats, offboard.Seat{Address: m.Email, Name: m.GivenName})
	}
	if err := o.store.SeeSeats(o.t.Context(), w, seats); err != nil {
		o.t.Fatal(err)
	}
	if err := o.store.TrustSweep(o.t.Context(), w); err != nil {
		o.t.Fatal(err)
	}
	w.Members = len(seats)
	if err := o.store.EndSweep(o.t.Context(), w, nil, nil); err != nil {
		o.t.Fatal(err)
	}
}
