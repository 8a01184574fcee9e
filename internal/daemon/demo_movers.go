package daemon

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/console"
	"offramp/internal/offboard"
	"offramp/scim"
)

func roleChange() scenario {
	return scenario{
		name: "role-change", title: "people change to another role",
		story: "Rosa moves to Marketing and only reads reports from now on: her own roles become Viewer, and she keeps her seat. " +
			"Ralf moves to Facilities and needs no seat: what he owns goes to his manager, and he is removed.",
		cast: func() []*actor {
			mara := head("Mara", "Moser", oktaName)
			return []*actor{mara, {
				given: "Rosa", family: "Reed", connection: oktaName, department: "Analytics", title: "Analyst", manager: mara,
				how: "Okta: department changes to Marketing", reason: offboard.RoleChange, outcome: offboard.OutcomeReduced, policy: "role-change-read-only",
				owns: []amplitudefake.Asset{thing(amplitudefake.KindDashboard, "Launch"), thing(amplitudefake.KindCohort, "Early adopters")},
			}, {
				given: "Ralf", family: "Reed", connection: oktaName, department: "Analytics", title: "Analyst", manager: mara,
				how: "Okta: department changes to Facilities", reason: offboard.RoleChange, outcome: offboard.OutcomeRemoved, policy: "role-change",
				owns: []amplitudefake.Asset{thing(amplitudefake.KindEvent, "Trial Began"), thing(amplitudefake.KindNotebook, "Trials")},
			}}
		},
		act: func(ctx context.Context, d *demo, okta, _ *provider) error {
			for given, department := range map[string]string{"Rosa": "Marketing", "Ralf": "Facilities"} {
				err := d.does(given, func(a *actor) error {
					moved := *a
					moved.department = department
					return okta.oktaPut(ctx, a, object{"active": true, scim.EnterpriseURN: oktaEnterprise(&moved)})
				})
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func accessReview() scenario {
	return scenario{
		name: "review", title: "a quarterly access review",
		story: "Everybody with a seat is looked at. Rex has not logged in for 90 days, and no identity provider knows Stan: both go. " +
			"The others keep their seats, and afterwards every seat is read again and compared.",
		cast: func() []*actor {
			mara := head("Mara", "Moser", oktaName)
			return []*actor{mara, {
				given: "Rex", family: "Rand", connection: oktaName, department: "Sales", title: "Account executive", manager: mara, idle: true,
				how: "a reviewer decides: remove", reason: offboard.AccessReview, outcome: offboard.OutcomeRemoved, policy: "access-review",
			}, {
				given: "Stan", family: "Stray", connection: oktaName, idle: true, unknown: true,
				how: "a reviewer decides: remove", reason: offboard.AccessReview, outcome: offboard.OutcomeRemoved, policy: "access-review",
			}}
		},
		act: reviewActs,
	}
}

func reviewActs(ctx context.Context, d *demo, _, _ *provider) error {
	lead := d.operator(d.keys.lead)
	if err := d.bridge.runner.ReadActivity(ctx); err != nil { // the bridge does so every ten minutes
		return fmt.Errorf("read the audit log: %w", err)
	}
	if err := lead.call(ctx, http.MethodPost, "reviews", console.ReviewRequest{}, nil); err != nil {
		return err
	}
	review, err := d.review(ctx, lead, offboard.ReviewOpen)
	if err != nil {
		return err
	}
	d.stage.linef("review", "%d seats, %d of them with a reason to look", review.Progress.Seats, review.Progress.Striking)
	keep := console.ReviewWord{Decision: offboard.ReviewKeep, Because: "works here, as their team says"}
	for _, i := range review.Items {
		if a := d.actorOf(i.Address); a != nil && a.leaves() {
			d.stage.linef(a.name(), "last login %s; reasons to look: %s", i.Seat.LastSeen, strings.Join(i.Reasons, ", "))
			continue
		}
		if offboard.Fold(i.Address) != demoLead { // nobody decides about their own seat
			keep.Addresses = append(keep.Addresses, i.Address)
		}
	}
	if err := d.decide(ctx, lead, keep); err != nil {
		return err
	}
	for _, given := range []string{"Rex", "Stan"} {
		err := d.does(given, func(a *actor) error {
			return d.decide(ctx, lead, console.ReviewWord{
				Decision: offboard.ReviewRemove, Because: "nobody missed them for 90 days", Addresses: []string{a.address()},
			})
		})
		if err != nil {
			return err
		}
	}
	return d.finishReview(ctx, lead)
}

// decide says a word in the review, which everybody it is about has to take.
func (d *demo) decide(ctx context.Context, lead *operator, w console.ReviewWord) error {
	var out console.ReviewResult
	if err := lead.call(ctx, http.MethodPost, "reviews/latest/decide", w, &out); err != nil {
		return err
	}
	for _, one := range out.Addresses {
		if no := one.Refused + one.Waits; no != "" {
			return fmt.Errorf("the review, about %s: %s", d.nameOf(one.Address), no)
		}
	}
	return nil
}

// finishReview lets the removals go ahead, and closes the review after them.
func (d *demo) finishReview(ctx context.Context, lead *operator) error {
	for _, given := range []string{"Rex", "Stan"} {
		a := d.called(given)
		c, err := d.caseOf(ctx, a)
		if err != nil {
			return err
		}
		if c == nil {
			return fmt.Errorf("%s has no case", a.name())
		}
		err = lead.call(ctx, http.MethodPost, "cases/"+c.ID+"/expedite", console.BecauseRequest{Because: "the demo does not wait three days for objections"}, nil)
		if err != nil {
			return err
		}
	}
	for _, given := range []string{"Rex", "Stan"} {
		if err := d.ended(ctx, d.called(given)); err != nil {
			return err
		}
	}
	if err := lead.call(ctx, http.MethodPost, "reviews/latest/close", nil, nil); err != nil {
		return err
	}
	review, err := d.review(ctx, lead, offboard.ReviewClosed)
	if err != nil {
		return err
	}
	for _, i := range review.Items {
		if strings.Contains(i.Result, "although") || i.Decision == offboard.ReviewRemove && i.Result != "removed" {
			return fmt.Errorf("the review says of %s: %s", d.nameOf(i.Address), i.Result)
		}
	}
	removed := slices.DeleteFunc(slices.Clone(review.Items), func(i console.ReviewItem) bool { return i.Result != "removed" })
	d.stage.linef("review", "compared: %d removed, and every other seat is as it was decided", len(removed))
	return nil
}

// review waits until the review has come so far. The bridge looks after it
// every few seconds, which is too long for a demo.
func (d *demo) review(ctx context.Context, lead *operator, state offboard.ReviewState) (console.Review, error) {
	for {
		if err := d.bridge.reviews.Advance(ctx); err != nil {
			return console.Review{}, fmt.Errorf("the access review: %w", err)
		}
		var r console.Review
		if err := lead.call(ctx, http.MethodGet, "reviews/latest", nil, &r); err != nil || r.State == state {
			return r, err
		}
		if err := pause(ctx, demoPoll); err != nil {
			return r, err
		}
	}
}
