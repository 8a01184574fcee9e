package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"offramp/internal/console"
	"offramp/internal/offboard"
)

func reviewCommand(env Env) *cobra.Command {
	o := &operate{env: env}
	return o.flags(group("review", "Go through everybody with a seat, and decide who keeps it",
		reviewRun(o), reviewShow(o), reviewDecide(o), reviewClose(o)))
}

func reviewRun(o *operate) *cobra.Command {
	var in console.ReviewRequest
	cmd := &cobra.Command{
		Use: "run", Short: "Begin an access review", Args: noArgs,
		Long: "Begin an access review of everybody with a seat. Offramp reads the members with their roles, groups and last logins;\n" +
			"then people decide with `offramp review decide`. What is decided is carried out as cases.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.client(cmd)
			if err != nil {
				return err
			}
			var r console.Review
			if err := c.call(cmd.Context(), http.MethodPost, "reviews", nil, in, &r); err != nil {
				return err
			}
			if o.output == "json" {
				return printJSON(o.env.Stdout, r)
			}
			_, err = fmt.Fprintf(o.env.Stdout, "The members are being read; see: offramp review show\nDue %s.\n", clock(r.Due, o.env.Now()))
			return err
		},
	}
	cmd.Flags().IntVar(&in.Days, "days", 0, "how long people have to decide; default as configured under review.due")
	return cmd
}

func reviewShow(o *operate) *cobra.Command {
	var id, csv, html string
	var striking, undecided bool
	cmd := &cobra.Command{
		Use: "show", Short: "Show a review: who is under review, what stands out, what was decided", Args: noArgs,
		Example: "  offramp review show --undecided\n  offramp review show --csv review.csv --html review.html",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.client(cmd)
			if err != nil {
				return err
			}
			path := "reviews/" + url.PathEscape(id)
			for _, f := range [][2]string{{"csv", csv}, {"html", html}} {
				if f[1] == "" {
					continue
				}
				var report console.Report
				if err := c.call(cmd.Context(), http.MethodGet, path+"/report", url.Values{"format": {f[0]}}, nil, &report); err != nil {
					return err
				}
				if err := os.WriteFile(f[1], []byte(report.Text), 0o600); err != nil {
					return fmt.Errorf("write the report: %w", err)
				}
				_, _ = fmt.Fprintf(o.env.Stderr, "Wrote %s.\n", f[1])
			}
			var r console.Review
			if err := c.call(cmd.Context(), http.MethodGet, path, nil, nil, &r); err != nil {
				return err
			}
			r.Items = slices.DeleteFunc(r.Items, func(i console.ReviewItem) bool {
				return striking && len(i.Reasons) == 0 || undecided && i.Decision != offboard.Undecided
			})
			if o.output == "json" {
				return printJSON(o.env.Stdout, r)
			}
			return printReview(o, r)
		},
	}
	f := cmd.Flags()
	f.StringVar(&id, "review", "latest", "id of a review")
	f.BoolVar(&striking, "striking", false, "only seats with a reason to look")
	f.BoolVar(&undecided, "undecided", false, "only seats that nobody decided about")
	f.StringVar(&csv, "csv", "", "also write a report for spreadsheets to this file")
	f.StringVar(&html, "html", "", "also write a report for people to this file")
	return cmd
}

func printReview(o *operate, r console.Review) error {
	var s strings.Builder
	fmt.Fprintf(&s, "Review %s, %s, begun by %s %s, due %s\n", r.ID, r.State, plain(r.By), relative(r.Started, o.env.Now()), clock(r.Due, o.env.Now()))
	if p := r.Progress; p != nil {
		fmt.Fprintf(&s, "%d seats: %d kept, %d downgraded, %d removed, %d undecided (%d with a reason to look); %d decisions are being carried out\n",
			p.Seats, p.Decided[offboard.ReviewKeep], p.Decided[offboard.ReviewDowngrade], p.Decided[offboard.ReviewRemove], p.Undecided, p.Striking, p.Open)
	}
	if r.Note != "" {
		fmt.Fprintf(&s, "Not seen: %s\n", wrap(r.Note, 10))
	}
	if r.Trouble != "" {
		fmt.Fprintf(&s, "Stands still since %s: %s\n", clock(r.Troubled, o.env.Now()), wrap(r.Trouble, 10))
	}
	if r.Next.After(o.env.Now()) {
		fmt.Fprintf(&s, "The next review begins on %s.\n", r.Next.UTC().Format(time.DateOnly))
	}
	if _, err := fmt.Fprintln(o.env.Stdout, s.String()); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	var rows [][]string
	for _, i := range r.Items {
		access := strings.Join(append(slices.Clone(i.Seat.Roles), i.Seat.Groups...), ", ")
		result := string(i.Decision)
		if i.Result != "" {
			result = strings.TrimPrefix(result+": "+i.Result, ": ")
		}
		rows = append(rows, []string{i.Organization, i.Address, i.Seat.LastSeen, result, strings.Join(i.Reasons, ", "), access})
	}
	if err := table(o.env.Stdout, 5, []string{"ORGANIZATION", "MEMBER", "LAST LOGIN", "DECISION", "REASONS TO LOOK", "ACCESS"}, rows); err != nil {
		return err
	}
	for _, i := range r.Items {
		if i.Note == "" {
			continue
		}
		if _, err := fmt.Fprintf(o.env.Stdout, "\n%s, %s: %s\n", plain(i.Address), i.Organization, wrap(i.Note, 2)); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	return nil
}

func reviewDecide(o *operate) *cobra.Command {
	var id string
	var keep, downgrade, remove bool
	var in console.ReviewWord
	cmd := &cobra.Command{
		Use: "decide ADDRESS... --keep|--downgrade|--remove --because TEXT", Short: "Decide about seats, in your own name",
		Long: "Decide about the seats of some addresses, in your own name. A removal or a downgrade becomes a case, with the approvals and the\n" +
			"waiting times of its policy. To take one back, cancel its case: then the seat is undecided again.",
		Example: "  offramp review decide jo@example.com --remove --because \"left the team in May\"\n" +
			"  offramp review decide --unremarkable --keep --because \"nothing stands out\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			said := 0
			for _, d := range []struct {
				given bool
				word  offboard.ReviewDecision
			}{{keep, offboard.ReviewKeep}, {downgrade, offboard.ReviewDowngrade}, {remove, offboard.ReviewRemove}} {
				if d.given {
					in.Decision = d.word
					said++
				}
			}
			switch {
			case said != 1:
				return usage(cmd, "say one of --keep, --downgrade and --remove")
			case in.Because == "":
				return usage(cmd, "say why with --because")
			case in.Unremarkable == (len(args) > 0):
				return usage(cmd, "name addresses, or say --unremarkable")
			}
			c, err := o.client(cmd)
			if err != nil {
				return err
			}
			in.Addresses = args
			var out console.ReviewResult
			if err := c.call(cmd.Context(), http.MethodPost, "reviews/"+url.PathEscape(id)+"/decide", nil, in, &out); err != nil {
				return err
			}
			return o.reviewDecided(in.Decision, out)
		},
	}
	f := cmd.Flags()
	f.StringVar(&id, "review", "latest", "id of a review")
	f.BoolVar(&keep, "keep", false, "they keep their seat")
	f.BoolVar(&downgrade, "downgrade", false, "they keep less, by the policy of review.downgrade")
	f.BoolVar(&remove, "remove", false, "they lose their seat")
	f.BoolVar(&in.Unremarkable, "unremarkable", false, "everybody undecided without a reason to look; goes with --keep")
	f.StringVar(&in.Because, "because", "", "why; it is what an auditor will read")
	return cmd
}

// reviewDecided prints what became of each address. One that was not decided about is
// an error, after everything is told.
func (o *operate) reviewDecided(decision offboard.ReviewDecision, out console.ReviewResult) error {
	refused := 0
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %d seats\n", decision, out.Decided)
	for _, one := range out.Addresses {
		switch {
		case one.Refused != "":
			refused++
			fmt.Fprintf(&text, "%s: not decided: %s\n", plain(one.Address), wrap(one.Refused, 2))
		case one.Waits != "":
			fmt.Fprintf(&text, "%s: decided, and not carried out yet: %s\n", plain(one.Address), wrap(one.Waits, 2))
		}
	}
	var err error
	if o.output == "json" {
		err = printJSON(o.env.Stdout, out)
	} else {
		_, err = fmt.Fprint(o.env.Stdout, text.String())
	}
	if err == nil && refused > 0 {
		return fmt.Errorf("%d of %d addresses were not decided about", refused, len(out.Addresses))
	}
	return err
}

func reviewClose(o *operate) *cobra.Command {
	return &cobra.Command{
		Use: "close [REVIEW]", Short: "End the deciding, read every seat again and compare", Args: cobra.MaximumNArgs(1),
		Long: "End the deciding: every seat is read again and compared. A review whose members cannot be read is given up.",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.client(cmd)
			if err != nil {
				return err
			}
			id := "latest"
			if len(args) > 0 {
				id = args[0]
			}
			var r console.Review
			if err := c.call(cmd.Context(), http.MethodPost, "reviews/"+url.PathEscape(id)+"/close", nil, nil, &r); err != nil {
				return err
			}
			if o.output == "json" {
				return printJSON(o.env.Stdout, r)
			}
			said := "Every seat is read again; the result is in: offramp review show"
			if r.State == offboard.ReviewClosed {
				said = "The review is closed without a comparison: " + r.Note
			}
			_, err = fmt.Fprintln(o.env.Stdout, said)
			return err
		},
	}
}
