package cli

import (
	"fmt"
	"net/http"
	"strconv"

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
			})
			var rows [][]string
			for _, n := range s.Cases {
				rows = append(rows, []string{string(n.Plan), words(n.State), strconv.Itoa(n.Count), relative(n.Oldest, now)})
			}
			if err := o.section("Live cases", 1, []string{"PLAN", "STATE", "COUNT", "OLDEST"}, rows); err != nil {
				return err
			}
			return o.pastPauses(s.Pause.Past)
		},
	})
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
