package runner_test

import (
	"testing"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
)

func TestNothingIsAskedOfAmplitudeForSomebodyMadeUp(t *testing.T) {
	t.Parallel()
	for story, reason := range map[string]string{"a leaver": "", "an incident": string(offboard.SecurityIncident)} {
		t.Run(story, func(t *testing.T) {
			w := newWorld(t, setup{})
			w.directoryOnly("test", "test@doctor.invalid")
			before := len(w.fake.Requests(amplitudefake.RequestFilter{}))
			w.change("test", func(p offboard.Person) offboard.Person {
				p.Active, p.Claims.LeaveReason = false, reason
				return p
			})
			f := w.closed("test@doctor.invalid")
			if f.Case.Outcome != offboard.OutcomeObserved || f.Case.Note != offboard.MadeUp || !f.Case.Closed.Equal(f.Case.Opened) {
				w.show()
				t.Errorf("closed as %s, %s after it opened", f.Case.Outcome, f.Case.Closed.Sub(f.Case.Opened))
			}
			if asked := len(w.fake.Requests(amplitudefake.RequestFilter{})) - before; asked != 0 {
				t.Errorf("%d requests were made to Amplitude", asked)
			}
		})
	}
}
