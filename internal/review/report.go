package review

import (
	"cmp"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"offramp/internal/offboard"
)

// Formats lists in which forms Report writes.
func Formats() []string { return []string{"csv", "html"} }

// Report writes a review for people and their archives.
func (v *Reviews) Report(w io.Writer, format string, r offboard.Review, items []offboard.ReviewItem, p offboard.Progress) error {
	switch format {
	case "csv":
		return reportCSV(w, items)
	case "html":
		return v.reportHTML(w, r, items, p)
	}
	return fmt.Errorf("there is no report in the form %q; known are %s", format, strings.Join(Formats(), " and "))
}

func reportCSV(w io.Writer, items []offboard.ReviewItem) error {
	rows := [][]string{{
		"organization", "address", "name", "roles", "groups", "admin", "pending", "last_login", "reasons_to_look",
		"decision", "decided_by", "decided_at", "because", "case", "roles_after", "groups_after", "result", "note", "said",
	}}
	for _, i := range items {
		row := []string{
			i.Organization, i.Address, i.Name, strings.Join(i.Seat.Roles, "; "), strings.Join(i.Seat.Groups, "; "), yes(i.Seat.Admin),
			yes(i.Seat.Pending), i.Seat.LastSeen, strings.Join(i.Reasons, "; "), string(i.Decision), i.By, moment(i.Decided), i.Because, i.Case, "", "", i.Result(),
			i.Note, strings.Join(said(i), "; "),
		}
		if i.After != nil {
			row[14], row[15] = strings.Join(i.After.Roles, "; "), strings.Join(i.After.Groups, "; ")
		}
		rows = append(rows, row)
	}
	var text strings.Builder
	for _, row := range rows {
		for n, cell := range row {
			if n > 0 {
				text.WriteByte(',')
			}
			text.WriteString(inert(cell))
		}
		text.WriteByte('\n')
	}
	if _, err := io.WriteString(w, text.String()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// said tells everything that was said about a seat, in words.
func said(i offboard.ReviewItem) []string {
	var out []string
	for _, w := range i.Words {
		out = append(out, fmt.Sprintf("%s %s: %s, because: %s", moment(w.At), w.By, cmp.Or(w.Decision, "taken back"), w.Because))
	}
	return out
}

// inert writes a cell that no spreadsheet takes for a formula, whatever came
// into it from elsewhere and whichever sign the spreadsheet splits at: the cell
// is quoted, and so is each part of it that would begin one.
func inert(s string) string {
	var out strings.Builder
	begins := true
	out.WriteByte('"')
	for _, r := range s {
		if begins && strings.ContainsRune("=+-@＝＋－＠", r) {
			out.WriteByte('\'')
		}
		begins = strings.ContainsRune(";,|\t\r\n\"", r) || begins && unicode.IsSpace(r)
		if r == '"' {
			out.WriteByte('"')
		}
		out.WriteRune(r)
	}
	out.WriteByte('"')
	return out.String()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

const page = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Access review of {{date .Review.Started}}</title>
<style>body{font:14px/1.4 sans-serif;margin:2em}table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.3em .5em;text-align:left;vertical-align:top}
.bad{background:#fdd}.none{color:#666}</style></head><body>
<h1>Access review of {{date .Review.Started}}</h1>
<p>Begun by {{.Review.By}}, due {{date .Review.Due}}, {{.Review.State}}{{if not .Review.Closed.IsZero}} since {{date .Review.Closed}} by {{.Review.ClosedBy}}{{end}}.</p>
<p>{{.Progress.Seats}} seats: {{range $d, $n := .Progress.Decided}}{{$n}} {{$d}}, {{end}}{{.Progress.Undecided}} undecided ({{.Progress.Striking}} with a reason to look); {{.Progress.Open}} decisions are still being carried out.</p>
{{if .Review.Note}}<p>Not seen: {{.Review.Note}}</p>{{end}}
{{if not .Next.IsZero}}<p>The next review begins on {{date .Next}}.</p>{{end}}
{{if .Differences}}<h2>Before and after</h2><ul>{{range .Differences}}<li>{{.}}</li>{{end}}</ul>{{end}}
<h2>Seats</h2>
<table><tr><th>Organization</th><th>Member</th><th>Access</th><th>Last login</th><th>Reasons to look</th><th>Decision</th><th>Result</th></tr>
{{range .Items}}<tr><td>{{.Organization}}</td><td>{{.Name}}<br>{{.Address}}</td>
<td>{{range .Seat.Roles}}{{.}}<br>{{end}}{{range .Seat.Groups}}group {{.}}<br>{{end}}{{if .Seat.Pending}}pending{{end}}</td>
<td>{{.Seat.LastSeen}}</td><td>{{range .Reasons}}{{.}}<br>{{end}}</td>
<td>{{if .Decision}}{{.Decision}} by {{.By}} on {{date .Decided}}: {{.Because}}{{if .Case}}<br>case {{.Case}}{{end}}{{else}}<span class="none">undecided</span>{{end}}
{{if .Note}}<br>{{.Note}}{{end}}{{if gt (len .Words) 1}}<ul>{{range said .}}<li>{{.}}</li>{{end}}</ul>{{end}}</td>
<td{{if bad .}} class="bad"{{end}}>{{.Result}}</td></tr>
{{end}}</table></body></html>
`

func (v *Reviews) reportHTML(w io.Writer, r offboard.Review, items []offboard.ReviewItem, p offboard.Progress) error {
	t, err := template.New("review").Funcs(template.FuncMap{
		"date": func(t time.Time) string {
			if t.IsZero() {
				return "-"
			}
			return t.UTC().Format(time.DateOnly)
		},
		"said": said,
		"bad":  offboard.ReviewItem.Broken,
	}).Parse(page)
	if err != nil {
		return fmt.Errorf("read the report's form: %w", err)
	}
	if err := t.Execute(w, map[string]any{"Review": r, "Items": items, "Progress": p, "Differences": differences(items), "Next": v.Next(r)}); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// differences counts what the comparison found, the worst first.
func differences(items []offboard.ReviewItem) []string {
	count := map[string]int{}
	for _, i := range items {
		if held := i.Held(); held != "" {
			count[held]++
		}
	}
	var out []string
	for held, n := range count {
		out = append(out, fmt.Sprintf("%s: %d", held, n))
	}
	slices.Sort(out) // capitals come first
	return out
}
