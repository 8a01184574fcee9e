package runner_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
	"offramp/transfer"
)

// catalogue is a hook that knows who owns dashboards.
type catalogue struct {
	asked []transfer.Inquiry
	list  func(transfer.Inquiry) ([]transfer.Asset, error)
}

func (c *catalogue) Name() string { return "catalogue" }
func (c *catalogue) Lists() []transfer.AssetKind {
	return []transfer.AssetKind{transfer.AssetDashboard}
}

func (c *catalogue) List(_ context.Context, q transfer.Inquiry) ([]transfer.Asset, error) {
	c.asked = append(c.asked, q)
	return c.list(q)
}

func TestInventoryAsksTheHooksThatKnowOwners(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		hook := &catalogue{}
		s.opts = func(o *runner.Options) { o.Listers = []transfer.Lister{hook} }
		w := newWorld(t, s)
		dashboard := w.thing(amplitudefake.Asset{Kind: amplitudefake.KindDashboard, Name: "KPIs", Owners: []string{leaver}})
		hook.list = func(transfer.Inquiry) ([]transfer.Asset, error) {
			return []transfer.Asset{{Kind: transfer.AssetDashboard, ID: dashboard.ID, Name: "KPIs"}}, nil
		}
		f, result := w.lists()
		if len(f.Assets) != 1 || f.Assets[0].Source != "hook catalogue: owner" || f.Assets[0].RemoteID != dashboard.ID || f.Assets[0].Project != 0 {
			t.Errorf("listed %+v", f.Assets)
		}
		if unseen, _ := result.about("acme: hook catalogue"); unseen != "" || strings.Contains(string(f.Step(offboard.StepInventory).Result), `"dashboards"`) {
			t.Errorf("unseen %q; the result: %s", unseen, f.Step(offboard.StepInventory).Result)
		}
		q := hook.asked[0]
		if q.Leaver.Email != leaver || q.Organization != "acme" || len(q.Kinds) != 1 || q.Case != f.Case.ID || q.Key == "" {
			t.Errorf("asked %+v", q)
		}
	})
}

func TestAHookThatCannotTellIsAListThatWasNotSeen(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err   error
		times int
	}{
		"refused for good":             {&transfer.Error{Hook: "catalogue", Op: "inventory", Detail: "the hook refused with 403"}, 1},
		"down, and down, and down":     {&transfer.Error{Hook: "catalogue", Op: "inventory", Retry: true, Detail: "the hook answered 503"}, 13},
		"an error that nobody expects": {errors.New("catalogue: out of order"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			hook := &catalogue{list: func(transfer.Inquiry) ([]transfer.Asset, error) { return nil, tc.err }}
			w := newWorld(t, setup{opts: func(o *runner.Options) { o.Listers = []transfer.Lister{hook} }})
			if tc.times == 0 {
				w.policy.Handover = 1
				w.person("leaver", leaver)
				w.change("leaver", func(p offboard.Person) offboard.Person {
					p.Claims.LeaveReason, p.Active = "termination", false
					return p
				})
				if f := w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved {
					t.Errorf("outcome %s", f.Case.Outcome)
				}
				return
			}
			f, result := w.lists()
			unseen, _ := result.about("acme: hook catalogue")
			if unseen != tc.err.Error() || len(hook.asked) != tc.times || !w.said(f, "not seen: hook catalogue ("+unseen+")") {
				w.show()
				t.Errorf("unseen %q after %d times", unseen, len(hook.asked))
			}
			if !strings.Contains(string(f.Step(offboard.StepInventory).Result), `"dashboards"`) {
				t.Error("the result claims that dashboards were listed")
			}
			if first, last := hook.asked[0], hook.asked[len(hook.asked)-1]; first.Key != last.Key || last.Attempt != tc.times {
				t.Errorf("asked %+v, then %+v", first, last)
			}
		})
	}
}
