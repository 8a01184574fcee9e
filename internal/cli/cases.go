package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"offramp/internal/console"
	"offramp/internal/offboard"
)

func casesCommand(env Env) *cobra.Command {
	o := &operate{env: env}
	return o.flags(group("cases", "Look at cases and decide about them",
		casesList(o), casesShow(o), casesExplain(o), casesOpen(o), casesApprove(o),
		casesBecause(o, "hold", "Stop a case until it is released"),
		casesOrBatch(o, "release", "Let a held case go on, or all of a mass change"),
		casesOrBatch(o, "cancel", "End a case without a removal, before the removal begins, or all of a held mass change"),
		casesRetry(o),
		casesBecause(o, "expedite", "Begin now instead of at the case's time"),
		casesResolve(o),
	))
}

func casesList(o *operate) *cobra.Command {
	var state, plan, connection, person, batch string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List cases, newest first", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.client(cmd)
			if err != nil {
				return err
			}
			switch {
			case limit < 1:
				return usage(cmd, "--limit is at least 1")
			case state != "" && !slices.Contains(offboard.States(), offboard.State(state)):
				return usage(cmd, "--state %s: a state is one of %s", state, list(offboard.States()))
			case plan != "" && !slices.Contains(offboard.Plans(), offboard.PlanName(plan)):
				return usage(cmd, "--plan %s: a plan is one of %s", plan, list(offboard.Plans()))
			}
			q := url.Values{}
			for key, value := range map[string]string{
				"state": state, "plan": plan, "connection": connection, "address": person, "batch": batch,
			} {
				if value != "" {
					q.Set(key, value)
				}
			}
			all := console.CaseList{Cases: []console.Case{}}
			for len(all.Cases) < limit {
				q.Set("limit", strconv.Itoa(min(limit-len(all.Cases), 1000)))
				var page console.CaseList
				if err := c.call(cmd.Context(), http.MethodGet, "cases", q, nil, &page); err != nil {
					return err
				}
				all.Cases, all.Next = append(all.Cases, page.Cases...), page.Next
				if page.Next == "" {
					break
				}
				q.Set("before", page.Next)
			}
			if o.output == "json" {
				return printJSON(o.env.Stdout, all)
			}
			return o.listCases(all)
		},
	}
	f := cmd.Flags()
	f.StringVar(&state, "state", "", "only cases in this state: "+list(offboard.States()))
	f.StringVar(&plan, "plan", "", "only cases of this plan: "+list(offboard.Plans()))
	f.StringVar(&connection, "connection", "", "only cases of this connection")
	f.StringVar(&person, "person", "", "only cases of the seat with this address")
	f.StringVar(&batch, "batch", "", "only cases of this mass change")
	f.IntVar(&limit, "limit", 50, "how many at most")
	return cmd
}

func (o *operate) listCases(all console.CaseList) error {
	var rows [][]string
	for _, k := range all.Cases {
		rows = append(rows, []string{k.ID, k.Address, string(k.Plan), stands(k), due(k.Due, k.Overdue, o.env.Now())})
	}
	if err := table(o.env.Stdout, 1, []string{"CASE", "ADDRESS", "PLAN", "STATE", "DUE"}, rows); err != nil {
		return err
	}
	for _, b := range batches(all.Cases) {
		_, _ = fmt.Fprintf(o.env.Stderr, "%d of these, and perhaps more that are not listed, are held together and wait for one word. "+
			"If it was meant: offramp cases release --batch %s; if not: offramp cases cancel --batch %[2]s --because TEXT\n", b.held, b.id)
	}
	if all.Next != "" {
		_, _ = fmt.Fprintln(o.env.Stderr, "There are more; see --limit.")
	}
	return nil
}

// stands is a case's state in few words.
func stands(k console.Case) string {
	switch {
	case k.Cancelling:
		return "cancelling"
	case k.Outcome != "":
		return words(k.Outcome)
	case k.State == offboard.StateWaiting && k.Waiting != "":
		return "waits: " + words(k.Waiting)
	}
	return words(k.State)
}

// due is when something has to be finished, empty once it ended.
func due(t time.Time, overdue bool, now time.Time) string {
	switch {
	case overdue:
		return span(now.Sub(t)) + " late"
	case t.IsZero() || t.Before(now):
		return ""
	}
	return relative(t, now)
}

func list[T ~string](of []T) string {
	var out []string
	for _, v := range of {
		out = append(out, string(v))
	}
	return strings.Join(out, ", ")
}

// decided prints what a decision about a case came to.
func (o *operate) decided(what string, k console.Case) error {
	if o.output == "json" {
		return printJSON(o.env.Stdout, k)
	}
	_, err := fmt.Fprintf(o.env.Stdout, "%s: case %s, %s, plan %s, %s\n", what, k.ID, plain(k.Address), k.Plan, stands(k))
	return err
}
