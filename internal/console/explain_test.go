package console_test

import (
	"encoding/json"
	"strings"
	"testing"

	"offramp/internal/console"
	"offramp/internal/offboard"
)

func TestACaseIsExplainedInSentences(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	f := d.files["case-1"]
	f.Case.Trigger = "deactivated at the identity provider"
	f.Case.Policy.Version, f.Case.Policy.Why = "ab12", "no policy's condition holds"
	f.Steps = []offboard.Step{{Seq: 1, Name: offboard.StepApprove, State: offboard.StepWaiting}, {Seq: 2, Name: offboard.StepHandover, State: offboard.StepPending}}
	var e console.Explanation
	if err := json.Unmarshal([]byte(d.want(200, "", "viewer", "GET", "/api/v1/cases/case-1/explain", "")), &e); err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	for _, s := range e.Sentences {
		text[s.About] = s.Text
	}
	for about, says := range map[string]string{
		"opened": "deactivated at the identity provider",
		"policy": "version ab12, because no policy's condition holds",
		"now":    "0 of 1 approvals",
		"next":   "Still to come: approve, handover.",
		"guards": "would not let the member be removed now: 0 of 1 approvals",
	} {
		if !strings.Contains(text[about], says) {
			t.Errorf("%s: %q", about, text[about])
		}
	}
	d.want(404, "", "viewer", "GET", "/api/v1/cases/no-such/explain", "")
	d.want(401, "", "", "GET", "/api/v1/cases/case-1/explain", "")
}
