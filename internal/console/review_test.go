package console_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"offramp/internal/console"
	"offramp/internal/offboard"
)

// reviews is one review with one seat, and remembers what was decided.
type reviews struct {
	begun    bool
	finished bool
	decided  []string
}

func (v *reviews) one() offboard.Review {
	r := offboard.Review{ID: "review-1", State: offboard.ReviewOpen, By: "jo@example.com", Started: noon(), Due: noon().Add(time.Hour)}
	if v.finished {
		r.State = offboard.ReviewComparing
	}
	return r
}

func (v *reviews) Next(r offboard.Review) time.Time { return r.Next(90 * 24 * time.Hour) }

func (v *reviews) List(context.Context, int) ([]offboard.Review, error) {
	if !v.begun {
		return nil, nil
	}
	return []offboard.Review{v.one()}, nil
}

func (v *reviews) Read(_ context.Context, id string) (offboard.Review, []offboard.ReviewItem, error) {
	if !v.begun || id != "review-1" {
		return offboard.Review{}, nil, offboard.ErrNotFound
	}
	return v.one(), []offboard.ReviewItem{{Organization: "acme", Address: "lee@example.com", Seat: offboard.ReviewedSeat{There: true, Admin: true}, Reasons: []string{"admin"}}}, nil
}

func (v *reviews) Start(context.Context, string, time.Duration) (offboard.Review, error) {
	if v.begun {
		return offboard.Review{}, &offboard.RefusedError{Because: "a review is live already"}
	}
	v.begun = true
	return v.one(), nil
}

func (v *reviews) Decide(_ context.Context, _ string, addresses []string, w offboard.ReviewWord) (out []offboard.ReviewDecided, err error) {
	for _, address := range addresses {
		one := offboard.ReviewDecided{Address: address, Refused: "the review has no seat with this address"}
		if address == "lee@example.com" {
			v.decided = append(v.decided, fmt.Sprint(address, w.Decision, w.By, w.Because))
			one.Seats, one.Refused = 1, ""
		}
		out = append(out, one)
	}
	return out, nil
}

func (v *reviews) KeepUnremarkable(context.Context, string, string, string) (int, error) {
	return 3, nil
}

func (v *reviews) Finish(context.Context, string, string) error {
	v.finished = true
	return nil
}

func (v *reviews) Progress(context.Context, string) (offboard.Progress, error) {
	return offboard.Progress{Seats: 1, Undecided: 1, Striking: 1}, nil
}

func (v *reviews) Report(w io.Writer, format string, _ offboard.Review, items []offboard.ReviewItem, _ offboard.Progress) error {
	if format != "csv" {
		return fmt.Errorf("there is no report in the form %q", format)
	}
	_, err := io.WriteString(w, items[0].Address)
	return err
}

func TestAnOperatorWorksThroughAReview(t *testing.T) {
	t.Parallel()
	v := &reviews{}
	d := newDesk(t, func(o *console.Options) { o.Reviews = v })
	d.want(404, "", "operator", "GET", "/api/v1/reviews/latest", "")
	d.want(403, "", "viewer", "POST", "/api/v1/reviews", `{}`)
	d.want(422, "", "operator", "POST", "/api/v1/reviews", `{"days":400}`)
	d.want(201, "", "operator", "POST", "/api/v1/reviews", `{"days":14}`)
	d.want(409, "live already", "operator", "POST", "/api/v1/reviews", `{}`)
	d.want(200, `"undecided_with_reasons":1`, "viewer", "GET", "/api/v1/reviews/latest", "")
	d.want(200, `"next":"`+noon().Add(90*24*time.Hour).UTC().Format(time.RFC3339), "viewer", "GET", "/api/v1/reviews", "")
	d.want(200, "lee@example.com", "viewer", "GET", "/api/v1/reviews/review-1/report?format=csv", "")
	d.want(400, "no report in the form", "viewer", "GET", "/api/v1/reviews/review-1/report?format=pdf", "")
	d.want(422, "name 1 to 1000", "operator", "POST", "/api/v1/reviews/latest/decide", `{"decision":"remove","because":"left"}`)
	d.want(422, "without addresses", "operator", "POST", "/api/v1/reviews/latest/decide", `{"decision":"remove","because":"left","unremarkable":true}`)
	d.want(200, `"decided":1`, "operator", "POST", "/api/v1/reviews/latest/decide", `{"decision":"remove","because":"left","addresses":["lee@example.com"]}`)
	d.want(200, `"address":"nobody@example.com","seats":0,"refused":"the review has no seat`, "operator", "POST", "/api/v1/reviews/latest/decide",
		`{"decision":"remove","because":"left","addresses":[" nobody@example.com "]}`)
	d.want(200, `"decided":3`, "operator", "POST", "/api/v1/reviews/latest/decide", `{"decision":"keep","because":"nothing stands out","unremarkable":true}`)
	d.want(200, "comparing", "operator", "POST", "/api/v1/reviews/latest/close", "")
	if len(v.decided) != 1 || !strings.Contains(v.decided[0], "lee@example.comremove") || slices.Contains(v.decided, "") {
		t.Errorf("decided: %v", v.decided)
	}
}
