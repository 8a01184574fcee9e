package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"offramp/internal/console"
	"offramp/internal/offboard"
)

func casesShow(o *operate) *cobra.Command {
	return &cobra.Command{
		Use: "show CASE", Short: "Show a case with its steps, tasks and timeline", Args: oneID("case"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.client(cmd)
			if err != nil {
				return err
			}
			var f console.CaseFile
			if err := c.call(cmd.Context(), http.MethodGet, "cases/"+url.PathEscape(args[0]), nil, nil, &f); err != nil {
				return err
			}
			if o.output == "json" {
				return printJSON(o.env.Stdout, f)
			}
			return o.showCase(f)
		},
	}
}

func (o *operate) showCase(f console.CaseFile) error {
	now := o.env.Now()
	overdue := ""
	if f.Overdue {
		overdue = ", overdue"
	}
	o.facts([][2]string{
		{"Case", f.ID},
		{"Person", f.Name + " <" + f.Address + ">, connection " + f.Connection},
		{"State", stands(f.Case)},
		{"Note", f.Note},
		{"Reason", words(f.Reason) + ": " + f.Trigger},
		{"Ticket", f.Ticket},
		{"Plan", fmt.Sprintf("%s, policy %s", f.Plan, f.Policy)},
		{"Approvals", approvalsOf(f)},
		{"Batch", f.Batch},
		{"Opened", clock(f.Opened, now)},
		{"Not before", clock(f.NotBefore, now)},
		{"Due", clock(f.Due, now) + overdue},
		{"Removed", clock(f.Removed, now)},
		{"Verified", clock(f.Verified, now)},
		{"Closed", clock(f.Closed, now)},
	})
	if d := f.Standing; d != nil {
		o.facts([][2]string{{"Standing", "removal decided by " + d.By + ", " + words(d.Reason)}})
	}

	var rows [][]string
	for _, s := range f.Steps {
		attempts := ""
		if s.Attempts > 0 {
			attempts = strconv.Itoa(s.Attempts)
		}
		rows = append(rows, []string{string(s.Name), string(s.State), attempts, relative(s.Finished, now), s.Error})
	}
	if err := o.section("Steps", 4, []string{"STEP", "STATE", "FAILED", "FINISHED", "LAST ERROR"}, rows); err != nil {
		return err
	}
	o.audited(f.Steps)
	rows = nil
	for _, a := range f.Approved {
		rows = append(rows, []string{a.By, a.Role, a.Ticket, relative(a.At, now), a.Note})
	}
	if err := o.section("Approvals", 4, []string{"BY", "ROLE", "TICKET", "WHEN", "NOTE"}, rows); err != nil {
		return err
	}
	rows = nil
	for _, t := range f.Tasks {
		rows = append(rows, taskRow(t, now))
	}
	if err := o.section("Tasks", 4, taskHead(), rows); err != nil {
		return err
	}
	rows = nil
	for _, r := range f.Rotations {
		known := r.How
		switch {
		case r.Proof != "":
			known = "old one: " + r.Proof
		case r.Note != "":
			known = r.Note
		}
		rows = append(rows, []string{r.ID, r.Credential, words(r.State), due(r.RetireAt, false, now), known})
	}
	if err := o.section("Credentials they knew", 4, []string{"ROTATION", "CREDENTIAL", "STATE", "OLD ONE ENDS", "HOW IT IS KNOWN"}, rows); err != nil {
		return err
	}
	rows = nil
	for _, a := range f.Assets {
		rows = append(rows, []string{words(a.Kind), a.Name, a.Organization, words(a.State), a.NewOwner})
	}
	if err := o.section("What they own", 1, []string{"KIND", "NAME", "ORGANIZATION", "STATE", "NEW OWNER"}, rows); err != nil {
		return err
	}
	return o.timeline(f)
}

// audited prints what the audit log says that somebody should look at.
func (o *operate) audited(steps []console.Step) {
	for _, s := range steps {
		var found struct {
			From    time.Time `json:"from"`
			Entries int       `json:"entries"`
			Summary []string  `json:"summary"`
		}
		if s.Name != offboard.StepAudit || json.Unmarshal(s.Result, &found) != nil {
			continue
		}
		_, _ = fmt.Fprintf(o.env.Stdout, "\nAudit log since %s, %d entries\n", found.From.UTC().Format(time.DateOnly), found.Entries)
		for _, line := range found.Summary {
			_, _ = fmt.Fprintln(o.env.Stdout, "- "+wrap(line, 2))
		}
		if len(found.Summary) == 0 {
			_, _ = fmt.Fprintln(o.env.Stdout, "- nothing that had to be looked at")
		}
	}
}

// approvalsOf tells how far a case is approved, by role.
func approvalsOf(f console.CaseFile) string {
	n := f.Needed
	if n == nil {
		return fmt.Sprintf("%d of %d", len(f.Approved), f.Approvals)
	}
	var text strings.Builder
	_, _ = fmt.Fprintf(&text, "%d of %d", n.Counted, n.People)
	for _, r := range n.Roles {
		if r.By != "" {
			text.WriteString("; " + r.Role + ": " + r.By)
		}
	}
	if len(n.Missing) > 0 {
		text.WriteString("; still needed: " + strings.Join(n.Missing, ", "))
	}
	for _, v := range n.Void {
		text.WriteString("; not counted: " + v)
	}
	for _, r := range n.Rules {
		text.WriteString("; " + r.Role + " is asked, since " + r.Why)
	}
	return text.String()
}

func (o *operate) timeline(f console.CaseFile) error {
	var b strings.Builder
	b.WriteString("\nTimeline\n")
	if f.TimelineProblem != "" {
		b.WriteString("DO NOT TRUST IT: " + wrap(f.TimelineProblem, 17) + "\n")
	}
	now := o.env.Now()
	for _, e := range f.Timeline {
		head := fmt.Sprintf("%-33s  ", clock(e.At, now))
		b.WriteString(head + wrap(e.Actor+": "+e.Text, len(head)) + "\n")
	}
	_, err := fmt.Fprint(o.env.Stdout, b.String())
	return err
}

// facts prints what is known, a line each.
func (o *operate) facts(lines [][2]string) {
	for _, l := range lines {
		if l[1] != "" {
			_, _ = fmt.Fprintf(o.env.Stdout, "%-10s  %s\n", l[0], wrap(l[1], 12))
		}
	}
}

// section prints a table under a title, nothing when it is empty.
func (o *operate) section(title string, flexible int, head []string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	_, _ = fmt.Fprintf(o.env.Stdout, "\n%s\n", title)
	return table(o.env.Stdout, flexible, head, rows)
}
