package cli

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"offramp/internal/console"
	"offramp/internal/offboard"
)

func driftCommand(env Env) *cobra.Command {
	o := &operate{env: env}
	return o.flags(group("drift", "Compare Amplitude with what is meant", driftRun(o), driftShow(o), driftFix(o), driftAcknowledge(o)))
}

func driftRun(o *operate) *cobra.Command {
	var in console.SweepRequest
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "run", Short: "Compare now, and wait until that is done", Args: noArgs,
		Long: "Compare now, and wait until that is done. The exit code is 1 where a member list is not trusted, or the comparison\n" +
			"not done in time; without waiting it is 0.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.client(cmd)
			if err != nil {
				return err
			}
			var asked console.SweepList
			if err := c.call(cmd.Context(), http.MethodPost, "drift/run", nil, in, &asked); err != nil {
				return err
			}
			now := asked
			for end := o.env.Now().Add(wait); !over(asked.Sweeps, now.Sweeps) && o.env.Now().Before(end); {
				select {
				case <-cmd.Context().Done():
					return cmd.Context().Err()
				case <-time.After(time.Second):
				}
				q := url.Values{"limit": {"1"}}
				if in.Organization != "" {
					q.Set("organization", in.Organization)
				}
				var page console.FindingList
				if err := c.call(cmd.Context(), http.MethodGet, "drift", q, nil, &page); err != nil {
					return err
				}
				now.Sweeps = page.Sweeps
			}
			if wait <= 0 {
				return o.swept(now, "To follow it: offramp drift show")
			}
			if err := outcome(now.Sweeps, over(asked.Sweeps, now.Sweeps), wait); err != nil {
				return errors.Join(o.swept(now, ""), err)
			}
			return o.swept(now, "To see what was found: offramp drift show")
		},
	}
	cmd.Flags().StringVar(&in.Organization, "organization", "", "only this one")
	cmd.Flags().DurationVar(&wait, "wait", 10*time.Minute, "how long to wait for the end; 0s: not at all")
	return cmd
}

// over reports whether every sweep that was asked for has ended.
func over(asked, now []console.Sweep) bool {
	for _, a := range asked {
		i := slices.IndexFunc(now, func(s console.Sweep) bool { return s.Organization == a.Organization })
		if i < 0 || now[i].Number <= a.Number || now[i].Running || !now[i].Asked.IsZero() {
			return false
		}
	}
	return true
}

// outcome is an error where a comparison has not come to what it was asked for.
func outcome(all []console.Sweep, done bool, wait time.Duration) error {
	if !done {
		return fmt.Errorf("not done after %s; to follow it: offramp drift show", wait)
	}
	for _, s := range all {
		if s.Failed != "" {
			return fmt.Errorf("the member list of %s is not trusted; what that means is told by: offramp drift show --kind %s",
				s.Organization, offboard.ListUntrusted)
		}
	}
	return nil
}

// swept prints how sweeps stand, and what to do next, if that is not told otherwise.
func (o *operate) swept(all console.SweepList, next string) error {
	if o.output == "json" {
		return printJSON(o.env.Stdout, all)
	}
	if err := o.sweepTable(all.Sweeps); err != nil || next == "" {
		return err
	}
	_, err := fmt.Fprintln(o.env.Stderr, next)
	return err
}

// sweepTable prints how sweeps stand, and in full what they could not do.
func (o *operate) sweepTable(all []console.Sweep) error {
	var rows [][]string
	var details strings.Builder
	detail := func(s console.Sweep, text string) {
		_, _ = fmt.Fprintf(&details, "%s  %s\n", plain(s.Organization), wrap(text, utf8.RuneCountInString(s.Organization)+2))
	}
	for _, s := range all {
		how := "never"
		switch {
		case s.Running:
			how = "running since " + s.Started.UTC().Format(time.TimeOnly)
		case !s.Asked.IsZero():
			how = "asked for"
		case s.Failed != "":
			how = "not trusted"
		case !s.Finished.IsZero():
			how = "done"
		}
		rows = append(rows, []string{s.Organization, strconv.Itoa(s.Members), relative(s.Trusted, o.env.Now()), how})
		if s.Failed != "" {
			detail(s, "not trusted: "+s.Failed)
		}
		if s.Note != "" {
			detail(s, s.Note)
		}
	}
	if err := table(o.env.Stdout, 0, []string{"ORGANIZATION", "MEMBERS", "TRUSTED", "LAST COMPARISON"}, rows); err != nil {
		return err
	}
	if details.Len() == 0 {
		return nil
	}
	_, err := fmt.Fprintf(o.env.Stdout, "\n%s", details.String())
	return err
}

func driftShow(o *operate) *cobra.Command {
	var kind, severity, organization, before string
	var all bool
	var limit int
	cmd := &cobra.Command{
		Use: "show [FINDING]", Short: "List what differs, or show one finding in full", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.client(cmd)
			if err != nil {
				return err
			}
			if limit < 1 || limit > 1000 {
				return usage(cmd, "--limit is a number from 1 to 1000")
			}
			if kind != "" && !slices.Contains(offboard.FindingKinds(), offboard.FindingKind(kind)) {
				return usage(cmd, "--kind is one of %s", list(offboard.FindingKinds()))
			}
			if severity != "" && !slices.Contains(offboard.Severities(), offboard.Severity(severity)) {
				return usage(cmd, "--severity is one of %s", list(offboard.Severities()))
			}
			q := url.Values{"limit": {strconv.Itoa(limit)}}
			for name, value := range map[string]string{"kind": kind, "severity": severity, "organization": organization, "before": before} {
				if value != "" {
					q.Set(name, value)
				}
			}
			if all {
				q.Set("all", "true")
			}
			if len(args) == 1 {
				return o.showFinding(cmd, c, args[0])
			}
			var page console.FindingList
			if err := c.call(cmd.Context(), http.MethodGet, "drift", q, nil, &page); err != nil {
				return err
			}
			if o.output == "json" {
				return printJSON(o.env.Stdout, page)
			}
			return o.listFindings(page)
		},
	}
	f := cmd.Flags()
	f.StringVar(&kind, "kind", "", "only this kind: "+list(offboard.FindingKinds()))
	f.StringVar(&severity, "severity", "", "only this severity: "+list(offboard.Severities()))
	f.StringVar(&organization, "organization", "", "only this organization")
	f.StringVar(&before, "before", "", "go on behind this finding, the last one of a list")
	f.BoolVar(&all, "all", false, "also what is acknowledged or resolved")
	f.IntVar(&limit, "limit", 100, "how many at most")
	return cmd
}

func (o *operate) listFindings(page console.FindingList) error {
	now := o.env.Now()
	var rows [][]string
	for _, f := range page.Findings {
		state := string(f.Severity)
		if f.State != offboard.FindingOpen {
			state = string(f.State)
		}
		rows = append(rows, []string{f.ID, string(f.Kind), state, span(max(now.Sub(f.FirstSeen), 0)), f.Address})
	}
	if err := table(o.env.Stdout, 4, []string{"FINDING", "KIND", "SEVERITY", "AGE", "ADDRESS"}, rows); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(o.env.Stdout); err != nil {
		return err
	}
	if err := o.sweepTable(page.Sweeps); err != nil {
		return err
	}
	if page.Next != "" {
		_, _ = fmt.Fprintln(o.env.Stderr, "There are more: add --before "+page.Next)
	}
	return nil
}

func (o *operate) showFinding(cmd *cobra.Command, c *client, id string) error {
	var f console.Finding
	if err := c.call(cmd.Context(), http.MethodGet, "drift/"+url.PathEscape(id), nil, nil, &f); err != nil {
		return err
	}
	if o.output == "json" {
		return printJSON(o.env.Stdout, f)
	}
	now := o.env.Now()
	acknowledged := ""
	if f.AckBy != "" {
		acknowledged = "by " + f.AckBy + " until " + clock(f.AckUntil, now) + ": " + f.AckWhy
	}
	o.facts([][2]string{
		{"Finding", f.ID},
		{"Kind", words(f.Kind) + ", " + string(f.Severity) + ", " + string(f.State)},
		{"Organization", f.Organization},
		{"Connection", f.Connection},
		{"Address", f.Address},
		{"Case", f.Case},
		{"Found", f.Text},
		{"Cause", f.Cause},
		{"Proposed", f.Proposed},
		{"First seen", clock(f.FirstSeen, now)},
		{"Last seen", clock(f.LastSeen, now)},
		{"Acknowledged", acknowledged},
		{"Resolved", clock(f.Resolved, now)},
		{"Because", f.ResolvedWhy},
	})
	return nil
}

// fixMost is how long many findings may take, each a transaction or two of its
// own.
const fixMost = 15 * time.Minute

func driftFix(o *operate) *cobra.Command {
	var in console.FixRequest
	cmd := &cobra.Command{
		Use: "fix [FINDING...]", Short: "Write down which cases would end findings, or open them", Args: cobra.ArbitraryArgs,
		Long: "Write down which cases would end the findings; with --apply, open them. Without a finding: for every leaver who is still\n" +
			"there or back. Incidents and other members have to be named by their finding, matches by name one at a time and with --because.\n" +
			"Each is an ordinary case for exactly the address of the finding, and settles, is approved and can be cancelled like any other.",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.client(cmd)
			if err != nil {
				return err
			}
			in.Findings = args
			c.http.Timeout = fixMost
			var out console.FixResult
			if err := c.call(cmd.Context(), http.MethodPost, "drift/fix", nil, in, &out); err != nil {
				return err
			}
			if o.output == "json" {
				return printJSON(o.env.Stdout, out)
			}
			return o.fixed(out)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&in.Apply, "apply", false, "open the cases")
	f.BoolVar(&in.Again, "again", false, "also for a leaver who came back several times already")
	f.StringVar(&in.Because, "because", "", "how you know; a match by name needs it")
	return cmd
}

func (o *operate) fixed(out console.FixResult) error {
	open, held := 0, 0
	for _, f := range out.Fixed {
		text := "would " + f.Does
		switch {
		case f.Refused != "":
			text = "nothing: " + f.Refused
		case f.Case != "":
			text = "opened case " + f.Case + " for exactly " + f.Address
			if f.State != "" {
				text += "; it is " + words(f.State)
			}
			if f.Note != "" {
				text += ": " + f.Note
			}
		}
		if f.Refused == "" {
			open++
		}
		if f.State == offboard.StateHeld {
			held++
		}
		if _, err := fmt.Fprintf(o.env.Stdout, "%s  %s\n", f.Finding, wrap(text, len(f.Finding)+2)); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("%d of %d findings would become cases. To open them: add --apply", open, len(out.Fixed))
	if out.Applied {
		text = fmt.Sprintf("%d of %d findings became cases.", open, len(out.Fixed))
		if held > 0 {
			text += fmt.Sprintf(" %d of them are held: offramp brake show", held)
		}
	}
	_, err := fmt.Fprintln(o.env.Stderr, text)
	return err
}

func driftAcknowledge(o *operate) *cobra.Command {
	var in console.AcknowledgeRequest
	var until string
	cmd := &cobra.Command{
		Use: "acknowledge FINDING --until DATE --because TEXT", Short: "Let a finding stand until a date", Args: oneID("finding"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if in.Until, err = time.Parse(time.DateOnly, until); err != nil {
				return usage(cmd, "--until is a date such as 2026-12-31")
			}
			if in.Because == "" {
				return usage(cmd, "say why with --because: it is what an auditor will read")
			}
			c, err := o.client(cmd)
			if err != nil {
				return err
			}
			var f console.Finding
			if err := c.call(cmd.Context(), http.MethodPost, "drift/"+url.PathEscape(args[0])+"/acknowledge", nil, in, &f); err != nil {
				return err
			}
			if o.output == "json" {
				return printJSON(o.env.Stdout, f)
			}
			_, err = fmt.Fprintf(o.env.Stdout, "acknowledged until %s: %s %s\n", until, words(f.Kind), plain(f.Address))
			return err
		},
	}
	cmd.Flags().StringVar(&until, "until", "", "the day on which it opens again by itself")
	cmd.Flags().StringVar(&in.Because, "because", "", "why it may stand")
	return cmd
}
