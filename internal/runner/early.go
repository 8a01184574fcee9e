package runner

import (
	"context"
	"time"

	"offramp/internal/offboard"
)

// early is the wait of a case whose time has not come. Where it had begun
// before a later time was set, what was taken away is given back meanwhile.
func (a *attempt) early(ctx context.Context) (outcome, error) {
	out, err := a.giveBack(ctx, func(e offboard.Effect) bool { return e.Step == offboard.StepContain })
	if err != nil || out.wait != "" || out.attention != "" {
		return out, err
	}
	if err := a.askEarly(ctx); err != nil {
		return out, err
	}
	at := a.file.Case.NotBefore
	return outcome{wait: offboard.WaitNotBefore, until: at, note: "not before " + at.UTC().Format(time.RFC3339)}, nil
}
