package cli

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"offramp/internal/console"
	"offramp/internal/offboard"
)

func casesOpen(o *operate) *cobra.Command {
	var in console.OpenRequest
	var reason, project, organization string
	cmd := &cobra.Command{
		Use: "open --person ADDRESS --reason REASON | --project ID --because TEXT", Short: "Open a case, or make the live one more urgent", Args: noArgs,
		Long: "Open a case on your word, whatever the identity provider says. The person is not entitled to a seat until the\n" +
			"case is cancelled. With --reason security_incident the removal comes first. With a --policy of plan mover they\n" +
			"keep the seat, with less access.\n\n" +
			"With --project everybody is proposed whose only access is that project, as one batch that is held until you\n" +
			"release or cancel it.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if project != "" {
				return o.openSunset(cmd, in, reason, project, organization)
			}
			known := false
			if in.Reason, known = offboard.KnownReason(reason); !known {
				return usage(cmd, "--reason is one of %s", list(offboard.Reasons()))
			}
			if in.Person == "" {
				return usage(cmd, "say who leaves with --person, or which project ends with --project")
			}
			if organization != "" {
				return usage(cmd, "--organization goes with --project")
			}
			c, err := o.client(cmd)
			if err != nil {
				return err
			}
			var k console.Case
			if err := c.call(cmd.Context(), http.MethodPost, "cases", nil, in, &k); err != nil {
				return err
			}
			return o.decided("opened", k)
		},
	}
	f := cmd.Flags()
	f.StringVar(&in.Person, "person", "", "user name or address of who leaves")
	f.StringVar(&in.Connection, "connection", "", "the connection, where several people hold the address or, in an incident, no identity provider knows it")
	f.StringVar(&reason, "reason", "", "one of "+list(offboard.Reasons())+"; with --project it is project_sunset")
	f.StringVar(&in.Ticket, "ticket", "", "ticket")
	f.StringVar(&in.Policy, "policy", "", "name of the policy to take; default: the first whose condition holds")
	f.StringVar(&in.Because, "because", "", "why, for the timeline")
	f.StringVar(&project, "project", "", "id of a project that ends")
	f.StringVar(&organization, "organization", "", "its organization, where several have the project")
	return cmd
}

// openSunset proposes the people of a project that ends.
func (o *operate) openSunset(cmd *cobra.Command, open console.OpenRequest, reason, project, organization string) error {
	id, err := strconv.Atoi(project)
	switch {
	case err != nil || id <= 0:
		return usage(cmd, "--project is the number of a project")
	case open.Person != "" || open.Connection != "":
		return usage(cmd, "give --person or --project, not both")
	case reason != "" && reason != string(offboard.ProjectSunset):
		return usage(cmd, "with --project the reason is %s", offboard.ProjectSunset)
	case open.Because == "":
		return usage(cmd, "say why with --because: it stands in the timeline of each case")
	}
	c, err := o.client(cmd)
	if err != nil {
		return err
	}
	c.http.Timeout = time.Hour // each of them is asked about, at most a hundred a minute
	in := console.SunsetRequest{Project: id, Organization: organization, Because: open.Because, Ticket: open.Ticket, Policy: open.Policy}
	var out console.SunsetResult
	if err := c.call(cmd.Context(), http.MethodPost, "sunsets", nil, in, &out); err != nil {
		return err
	}
	if o.output == "json" {
		return printJSON(o.env.Stdout, out)
	}
	return o.proposed(out)
}

// proposed prints who would leave with a project, and who would not.
func (o *operate) proposed(out console.SunsetResult) error {
	rows := [][]string{}
	for _, k := range out.Opened {
		rows = append(rows, []string{k.Address, "proposed", k.ID})
	}
	for _, address := range out.Live {
		rows = append(rows, []string{address, "has a live case", ""})
	}
	for _, l := range out.Left {
		rows = append(rows, []string{l.Address, "left out: " + l.Why, ""})
	}
	if err := table(o.env.Stdout, 1, []string{"ADDRESS", "WHAT", "CASE"}, rows); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(o.env.Stderr, "Looked at %d projects of %s; one that is not in the configuration is not seen.\n", len(out.Looked), out.Organization)
	if out.Batch != "" {
		_, _ = fmt.Fprintf(o.env.Stderr, "They are held. If it was meant: offramp cases release --batch %s; if not: offramp cases cancel --batch %s --because TEXT\n", out.Batch, out.Batch)
	}
	return nil
}
