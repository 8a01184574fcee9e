package main_test

import (
	"net/http"
	"testing"
	"time"
)

// The alert about a review that is overdue looks at these figures.
func TestTheMetricsTellOfALiveReview(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "")
	b.start()
	b.staff()
	const due, undecided = "offramp_review_due_timestamp_seconds", "offramp_review_undecided"
	if b.metric(due) != 0 || b.metric(undecided) != 0 {
		t.Errorf("before the first review: due %f, undecided %f", b.metric(due), b.metric(undecided))
	}
	var r struct{ Due time.Time }
	b.operator(http.StatusCreated, http.MethodPost, "/reviews", map[string]any{"days": 7}, &r)
	b.eventually(60*time.Second, "the members are read", func() bool { return b.metric(undecided) > 0 })
	if got := b.metric(due); got != float64(r.Due.Unix()) {
		t.Errorf("due %f, want %d", got, r.Due.Unix())
	}
}
