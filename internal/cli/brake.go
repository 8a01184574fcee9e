package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"offramp/internal/console"
	"offramp/internal/offboard"
)

func brakeCommand(env Env) *cobra.Command {
	o := &operate{env: env}
	return o.flags(group("brake", "Look at what stopped too many leavers at once, and decide about them", brakeShow(o), brakeRelease(o)))
}

func brakeShow(o *operate) *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show the engaged brakes: why, since when, whom they hold, and what was done already", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.client(cmd)
			if err != nil {
				return err
			}
			var list console.BrakeList
			if err := c.call(cmd.Context(), http.MethodGet, "brakes", nil, nil, &list); err != nil {
				return err
			}
			if o.output == "json" {
				return printJSON(o.env.Stdout, list)
			}
			if len(list.Brakes) == 0 {
				_, err := fmt.Fprintln(o.env.Stdout, "No brake is engaged, and none was lately.")
				return err
			}
			for _, b := range list.Brakes {
				if err := o.printBrake(b); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (o *operate) printBrake(b console.Brake) error {
	now := o.env.Now()
	is := "ENGAGED " + relative(b.Engaged, now)
	if !b.Released.IsZero() {
		is = "released " + relative(b.Released, now) + " by " + plain(b.By) + ": " + plain(b.Why)
	}
	_, err := fmt.Fprintf(o.env.Stdout, "Brake of %s %s, %s\n  %s\n", words(b.Scope), plain(b.Name), is, wrap("because "+b.Because, 2))
	if err != nil {
		return fmt.Errorf("print: %w", err)
	}
	if !b.Released.IsZero() {
		return nil
	}
	var rows [][]string
	var done []string
	for _, k := range b.Cases {
		state := words(k.State)
		if k.Held {
			state = "held, waits for a word"
		}
		rows = append(rows, []string{k.ID, k.Address, state})
		if k.Done != offboard.NothingDone {
			done = append(done, wrap("- "+k.Address+", case "+k.ID+": "+k.Done, 2))
		}
	}
	if err := table(o.env.Stdout, 1, []string{"CASE", "LEAVER", "STATE"}, rows); err != nil {
		return err
	}
	text := "Done already: " + offboard.NothingDone + " for any of these.\n"
	if len(done) > 0 {
		text = "Done already (for the others: " + offboard.NothingDone + "):\n" + strings.Join(done, "\n") + "\n"
	}
	total := fmt.Sprintf("%d cases, %d of them wait for a word", b.Total, b.Held)
	if b.Total > len(b.Cases) {
		total = fmt.Sprintf("The first %d of %s", len(b.Cases), total)
	}
	_, err = fmt.Fprintf(o.env.Stdout, "%s%s. It was meant, a mistake, or some of each:\n"+
		"  offramp brake release %[3]s --all --because TEXT\n  offramp brake release %[3]s --none --because TEXT\n"+
		"  offramp brake release %[3]s --case ID --case ID --because TEXT\n", text, total, plain(b.Name))
	if err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

func brakeRelease(o *operate) *cobra.Command {
	var in console.BrakeRequest
	cmd := &cobra.Command{
		Use: "release ORGANIZATION|CONNECTION|BRAKE --all|--none|--case ID... --because TEXT", Short: "Let the cases that a brake holds go on, or cancel them",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(cmd, "name one organization, connection or brake; see: offramp brake show")
			}
			ways := 0
			for _, given := range []bool{in.All, in.None, len(in.Cases) > 0} {
				if given {
					ways++
				}
			}
			switch {
			case ways != 1:
				return usage(cmd, "say one of --all, --none and --case")
			case in.Because == "":
				return usage(cmd, "say why with --because: it stands in the timeline of each of the cases")
			}
			c, err := o.client(cmd)
			if err != nil {
				return err
			}
			var out console.BrakeResult
			if err := c.call(cmd.Context(), http.MethodPost, "brakes/"+url.PathEscape(args[0])+"/release", nil, in, &out); err != nil {
				return err
			}
			if o.output == "json" {
				return printJSON(o.env.Stdout, out)
			}
			text := fmt.Sprintf("%d cases decided, %d still wait for a word", out.Decided, out.Left)
			if out.Ended {
				text += "; the brake is released and counts anew"
			}
			_, err = fmt.Fprintln(o.env.Stdout, text+".")
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVar(&in.All, "all", false, "every case goes on; none of them is caught again")
	f.BoolVar(&in.None, "none", false, "every case is cancelled")
	f.StringArrayVar(&in.Cases, "case", nil, "this case goes on; may be given again")
	f.StringVar(&in.Because, "because", "", "why")
	return cmd
}
