package console_test

import (
	"fmt"
	"testing"

	"offramp/internal/offboard"
)

// held gives the desk three cases of one mass change: case-2 and case-3 are
// held by it; case-4 was taken out by a deactivation, and an operator holds it.
func (d *desk) held() {
	for i, cleared := range map[int]bool{2: false, 3: false, 4: true} {
		id := fmt.Sprintf("case-%d", i)
		d.files[id] = &offboard.File{Case: offboard.Case{
			ID: id, PersonID: "p-kim", Connection: "okta", Address: "kim@example.com", Plan: offboard.Leaver,
			Reason: offboard.GroupRemoval, State: offboard.StateHeld, Batch: "b-1", Cleared: cleared, Policy: offboard.Fallback(),
		}}
	}
}

func TestABatchIsReleasedAsOne(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.held()
	d.want(403, "", "viewer", "POST", "/api/v1/batches/b-1/release", "")
	d.want(200, `{"batch":"b-1","decided":2,"left":1}`, "operator", "POST", "/api/v1/batches/b-1/release", `{"because":"meant"}`)
	d.want(200, `{"batch":"b-1","decided":0,"left":3}`, "operator", "POST", "/api/v1/batches/b-1/release", "")
	d.want(200, `{"batch":"b-1","decided":0,"left":3}`, "operator", "POST", "/api/v1/batches/b-1/cancel", `{"because":"too late"}`)
	for id, want := range map[string]offboard.State{
		"case-1": offboard.StateWaiting, "case-2": offboard.StateRunning, "case-3": offboard.StateRunning, "case-4": offboard.StateHeld,
	} {
		if got := d.files[id].Case; got.State != want || got.Ending != "" {
			t.Errorf("%s is %s %s, want %s", id, got.State, got.Ending, want)
		}
	}
	if got := d.timeline["case-2"]; len(got) != 1 || got[0].Actor != "the-operator" || got[0].Text != "released the case: meant" {
		t.Errorf("timeline: %+v", got)
	}
	d.want(404, "no such batch", "operator", "POST", "/api/v1/batches/b-2/release", "")
}

func TestABatchIsCancelledAsOneAndLeavesNobodyUnderADecision(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.held()
	d.people[1].Removal = &offboard.Decision{Reason: offboard.Manual, By: "jo"}
	d.want(422, "say because of what", "operator", "POST", "/api/v1/batches/b-1/cancel", "")
	d.want(200, `{"batch":"b-1","decided":2,"left":1}`, "operator", "POST", "/api/v1/batches/b-1/cancel", `{"because":"the wrong group"}`)
	d.want(200, `{"batch":"b-1","decided":0,"left":3}`, "operator", "POST", "/api/v1/batches/b-1/cancel", `{"because":"the wrong group"}`)
	if d.files["case-2"].Case.Ending != offboard.EndCancel || d.files["case-3"].Case.Ending != offboard.EndCancel {
		t.Error("a case of the batch was not cancelled")
	}
	if d.files["case-4"].Case.Ending != "" || d.people[1].Removal != nil {
		t.Errorf("the case that was taken out: %+v; a decision that stands: %+v", d.files["case-4"].Case, d.people[1].Removal)
	}
}
