package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"offramp/internal/console"
)

func tasksCommand(env Env) *cobra.Command {
	o := &operate{env: env}
	return o.flags(group("tasks", "Look at what people have to do, and attest it", tasksList(o), tasksDone(o), tasksDecline(o), tasksLink(o), tasksConfirm(o)))
}

func tasksList(o *operate) *cobra.Command {
	var state, caseID string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List tasks, newest first", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.client(cmd)
			if err != nil {
				return err
			}
			if limit < 1 || limit > 1000 {
				return usage(cmd, "--limit is a number from 1 to 1000")
			}
			q := url.Values{"limit": {strconv.Itoa(limit)}}
			if state != "all" {
				q.Set("state", state)
			}
			if caseID != "" {
				q.Set("case", caseID)
			}
			var all console.TaskList
			if err := c.call(cmd.Context(), http.MethodGet, "tasks", q, nil, &all); err != nil {
				return err
			}
			if o.output == "json" {
				return printJSON(o.env.Stdout, all)
			}
			var rows [][]string
			for _, t := range all.Tasks {
				rows = append(rows, taskRow(t, o.env.Now()))
			}
			if err := table(o.env.Stdout, 4, taskHead(), rows); err != nil {
				return err
			}
			if all.Next != "" {
				_, _ = fmt.Fprintln(o.env.Stderr, "There are more; see --limit.")
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&state, "state", "open", "open, done, declined, dropped or all")
	f.StringVar(&caseID, "case", "", "only tasks of this case")
	f.IntVar(&limit, "limit", 50, "how many at most")
	return cmd
}

func taskHead() []string { return []string{"TASK", "KIND", "STATE", "DUE", "TITLE"} }

func taskRow(t console.Task, now time.Time) []string {
	return []string{t.ID, string(t.Kind), string(t.State), due(t.Due, t.Overdue, now), t.Title}
}

// attest sends a person's word about a task and prints what came of it.
func (o *operate) attest(cmd *cobra.Command, id, action string, in any) error {
	c, err := o.client(cmd)
	if err != nil {
		return err
	}
	var t console.Task
	if err := c.call(cmd.Context(), http.MethodPost, "tasks/"+url.PathEscape(id)+"/"+action, nil, in, &t); err != nil {
		return err
	}
	if o.output == "json" {
		return printJSON(o.env.Stdout, t)
	}
	_, err = fmt.Fprintf(o.env.Stdout, "%s: %s\n", t.State, plain(t.Title))
	return err
}

func tasksDone(o *operate) *cobra.Command {
	var in console.DoneRequest
	cmd := &cobra.Command{
		Use: "done TASK", Short: "Attest, in your own name, that a task is done", Args: oneID("task"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.attest(cmd, args[0], "done", in) },
	}
	f := cmd.Flags()
	f.StringVar(&in.Note, "note", "", "what was done or found; a check needs one")
	f.StringVar(&in.Successor, "successor", "", "address of who takes over; the questions for a successor and for another admin need one")
	return cmd
}

func tasksDecline(o *operate) *cobra.Command {
	var in console.BecauseRequest
	cmd := &cobra.Command{
		Use: "decline TASK --because TEXT", Short: "Say that a task will not be done, and why", Args: oneID("task"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if in.Because == "" {
				return usage(cmd, "say why with --because")
			}
			return o.attest(cmd, args[0], "decline", in)
		},
	}
	cmd.Flags().StringVar(&in.Because, "because", "", "why")
	return cmd
}

func tasksLink(o *operate) *cobra.Command {
	var in console.LinkRequest
	cmd := &cobra.Command{
		Use: "link TASK --to ADDRESS", Short: "Print a link by which one person answers a task without a login", Args: oneID("task"),
		Long: "Print a link by which one person answers a task, once, without a login. Whoever has it acts in the name of that\n" +
			"person: send it to them alone. That it was made stands in the timeline of the case.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if in.To == "" {
				return usage(cmd, "say with --to whom the link is for, by their e-mail address")
			}
			c, err := o.client(cmd)
			if err != nil {
				return err
			}
			var l console.NewLink
			if err := c.call(cmd.Context(), http.MethodPost, "tasks/"+url.PathEscape(args[0])+"/link", nil, in, &l); err != nil {
				return err
			}
			if o.output == "json" {
				return printJSON(o.env.Stdout, l)
			}
			_, _ = fmt.Fprintf(o.env.Stderr, "For %s alone, once, until %s:\n", plain(l.To), clock(l.Expires, o.env.Now()))
			_, err = fmt.Fprintln(o.env.Stdout, plain(l.URL))
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&in.To, "to", "", "e-mail address of the only one who may use it")
	f.IntVar(&in.Days, "days", 0, "days until it expires, up to 90; default 14")
	return cmd
}
