package intake_test

import (
	"fmt"
	"testing"
)

// TestCostDoesNotFollowSize holds that no hot path does more in a directory
// that is ten times as large, with a group that is 500 times as large: the same
// statements, and the same allocations but for a tenth.
func TestCostDoesNotFollowSize(t *testing.T) {
	type cost struct{ allocations, statements float64 }
	for _, postgres := range []bool{false, true} {
		costs := map[string][]cost{}
		for _, size := range []struct{ people, members int }{{1_000, 10}, {10_000, 5_000}} {
			town := newTown(t, postgres, size.people, size.members)
			const runs = 30
			for _, path := range town.paths() {
				if path.needs != nil {
					path.needs(t, runs+1)
				}
				var c cost
				before, i := town.statements.Load(), 0
				c.allocations = testing.AllocsPerRun(runs, func() { path.do(t, i); i++ })
				c.statements = float64(town.statements.Load()-before) / (runs + 1) // the first run is not averaged
				costs[path.name] = append(costs[path.name], c)
			}
		}
		for name, c := range costs {
			t.Run(fmt.Sprintf("%s/postgres=%v", name, postgres), func(t *testing.T) {
				small, large := c[0], c[1]
				t.Logf("small %+v, large %+v", small, large)
				if small.statements != large.statements || small.statements == 0 {
					t.Errorf("%.2f statements, and %.2f in the large directory", small.statements, large.statements)
				}
				if ratio := large.allocations / small.allocations; ratio < 0.9 || ratio > 1.1 {
					t.Errorf("%.0f allocations, and %.0f in the large directory", small.allocations, large.allocations)
				}
			})
		}
	}
}
