package console

import (
	"context"
	"net/http"

	"offramp/internal/offboard"
)

// Explanation tells in sentences why a case is as it is, and what comes next.
type Explanation struct {
	Case      string              `json:"case"`
	Sentences []offboard.Sentence `json:"sentences"`
}

// explain looks at a case as the guards would now.
func (c *Console) explain(ctx context.Context, id string) (Explanation, error) {
	f, err := c.opts.Store.Case(ctx, id)
	if err != nil {
		return Explanation{}, err
	}
	g := offboard.GuardFacts{Observe: c.opts.Mode == "observe", Approvers: c.opts.Approvers, Now: c.opts.Now()}
	g.Protected = f.Protected(c.opts.Protected)
	if near := c.opts.Rules(f.Case.Connection).Reachable; near != nil && !near(f.Case.Address) {
		g.Outside = "the address is outside the domains of the connection"
	}
	return Explanation{Case: id, Sentences: offboard.Explain(f, g)}, nil
}

func (c *Console) explainCase(r *http.Request, _ Operator) (int, any, error) {
	id, err := pathID(r)
	if err != nil {
		return 0, nil, err
	}
	out, err := c.explain(r.Context(), id)
	return http.StatusOK, out, err
}
