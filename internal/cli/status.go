package cli

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"offramp/internal/console"
)

func statusCommand(env Env) *cobra.Command {
	o := &operate{env: env}
	return o.flags(&cobra.Command{
		Use: "status", Short: "Show mode, pause, and what waits", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.client(cmd)
			if err != nil {
				return err
			}
			var s console.Status
			if err := c.call(cmd.Context(), http.MethodGet, "status", nil, nil, &s); err != nil {
				return err
			}
			if o.output == "json" {
				return printJSON(o.env.Stdout, s)
			}
			now := o.env.Now()
			o.facts([][2]string{
				{"Version", s.Version},
				{"Mode", s.Mode},
				{"Paused", o.pauseWords(s.Pause)},
				{"Overdue", fmt.Sprintf("%d cases, %d tasks", s.CasesOverdue, s.TasksOverdue)},
				{"Brake", brakeWords(s.Brakes)},
			})
			var rows [][]string
			for _, n := range s.Cases {
				rows = append(rows, []string{string(n.Plan), words(n.State), strconv.Itoa(n.Count), relative(n.Oldest, now)})
			}
			if err := o.section("Live cases", 1, []string{"PLAN", "STATE", "COUNT", "OLDEST"}, rows); err != nil {
				return err
			}
			rows = nil
			for _, b := range s.Budgets {
				rows = append(rows, []string{b.Organization, fmt.Sprintf("%d of %d", b.Used, b.Rate), queued(b)})
			}
			if err := o.section("Requests to Amplitude", 0, []string{"ORGANIZATION", "LAST MINUTE", "WAITING FOR A SLOT"}, rows); err != nil {
				return err
			}
			return o.pastPauses(s.Pause.Past)
		},
	})
}

func brakeWords(engaged []string) string {
	if len(engaged) == 0 {
		return "not engaged"
	}
	return "ENGAGED for " + strings.Join(engaged, ", ") + "; see: offramp brake show"
}

// queued tells what waits for a slot as time.
func queued(b console.BudgetLoad) string {
	if b.Queued == 0 {
		return "nothing"
	}
	eta := time.Duration(b.ETASeconds) * time.Second
	return fmt.Sprintf("%d cases, about %d min %d s", b.Queued, int(eta.Minutes()), int(eta.Seconds())%60)
}

func (o *operate) pauseWords(p console.Pause) string {
	if !p.Paused {
		return "no"
	}
	return "by " + p.By + " since " + clock(p.At, o.env.Now()) + ": " + p.Why
}

func (o *operate) pastPauses(past []console.PastPause) error {
	now := o.env.Now()
	var rows [][]string
	for _, p := range past {
		rows = append(rows, []string{clock(p.At, now), p.By, p.Why, span(p.Resumed.Sub(p.At)), p.ResumedBy, p.ResumedWhy})
	}
	return o.section("Last pauses", 2, []string{"PAUSED", "BY", "WHY", "FOR", "RESUMED BY", "WHY"}, rows)
}
