package offboard_test

import (
	"errors"
	"strings"
	"testing"

	"offramp/internal/offboard"
)

// What a live case does decides whether it carries out a reviewer's word.
func TestWhichCaseCarriesOutAReviewersWord(t *testing.T) {
	t.Parallel()
	live := func(plan offboard.PlanName, policy string) offboard.PriorCase {
		return offboard.PriorCase{Live: true, Plan: plan, Reason: offboard.Deactivated, Policy: offboard.Policy{Name: policy, Plan: plan}}
	}
	but := func(c offboard.PriorCase, change func(*offboard.PriorCase)) offboard.PriorCase {
		change(&c)
		return c
	}
	ending := func(c *offboard.PriorCase) { c.Ending = true }
	for _, row := range []struct {
		story     string
		prior     offboard.PriorCase
		decision  offboard.ReviewDecision
		downgrade string
		opens     offboard.PlanName
		joins     bool
		accepts   bool // the live case
		refused   string
	}{
		{story: "a removal opens a case", decision: offboard.ReviewRemove, opens: offboard.Leaver},
		{story: "a downgrade opens a case under its policy", decision: offboard.ReviewDowngrade, downgrade: "growth", opens: offboard.Mover},
		{story: "a live removal is the removal", prior: live(offboard.Leaver, "p"), decision: offboard.ReviewRemove, accepts: true},
		{
			story: "a removal that has begun is the removal", prior: but(live(offboard.Leaver, "p"), func(c *offboard.PriorCase) { c.Began = true }),
			decision: offboard.ReviewRemove, accepts: true,
		},
		{story: "a removal takes the place of a reduction", prior: live(offboard.Mover, "growth"), decision: offboard.ReviewRemove, opens: offboard.Leaver, joins: true},
		{story: "the same reduction is the downgrade", prior: live(offboard.Mover, "growth"), decision: offboard.ReviewDowngrade, downgrade: "growth", accepts: true},
		{
			story: "another reduction is not the downgrade", prior: live(offboard.Mover, "movers"), decision: offboard.ReviewDowngrade, downgrade: "growth",
			refused: "a case is live",
		},
		{
			story: "a live removal is not the downgrade", prior: live(offboard.Leaver, "p"), decision: offboard.ReviewDowngrade, downgrade: "growth",
			refused: "does not take its place",
		},
		{story: "a case that is being cancelled carries out nothing", prior: but(live(offboard.Leaver, "p"), ending), decision: offboard.ReviewRemove, refused: "being cancelled"},
		{
			story: "a proposal carries out nothing", prior: but(live(offboard.Leaver, "p"), func(c *offboard.PriorCase) { c.Batched = true }),
			decision: offboard.ReviewRemove, refused: "held with many others",
		},
		{
			story: "what the brake holds carries out nothing", prior: but(live(offboard.Leaver, "p"), func(c *offboard.PriorCase) { c.Braked = true }),
			decision: offboard.ReviewRemove, refused: "held with many others",
		},
		{story: "a policy that removes does not downgrade", decision: offboard.ReviewDowngrade, downgrade: "interns", refused: "does not downgrade"},
		{story: "a policy that is not there any more", decision: offboard.ReviewDowngrade, downgrade: "gone", refused: "no policy is named gone"},
	} {
		t.Run(row.story, func(t *testing.T) {
			t.Parallel()
			item := offboard.ReviewItem{Review: "r-1", Decision: row.decision, By: "lead", Because: "looked at it"}
			d, v, err := offboard.CarryOut(entitled(), row.prior, item, row.downgrade, moving(t, false), noon())
			if no, ok := errors.AsType[*offboard.RefusedError](err); row.refused != "" || err != nil {
				if !ok || row.refused == "" || !strings.Contains(no.Because, row.refused) {
					t.Fatalf("got %v, want a refusal with %q", err, row.refused)
				}
				return
			}
			if row.accepts {
				if d != nil || v.Open != nil || v.Join != nil || !v.Poke || v.By != "lead" || !strings.Contains(v.Trace, "looked at it (access review r-1)") {
					t.Fatalf("got %+v %+v", d, v)
				}
				return
			}
			o := v.Open
			if row.joins {
				o = v.Join
			}
			if o == nil || (v.Open != nil) == (v.Join != nil) || o.Plan != row.opens || o.Reason != offboard.AccessReview ||
				!strings.Contains(o.Trigger, "looked at it (access review r-1)") || d.By != "lead" {
				t.Errorf("got %+v %+v %+v", d, v, o)
			}
		})
	}
}
