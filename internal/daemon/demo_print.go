package daemon

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"offramp/internal/console"
)

// demoWidth is how many columns a line may take.
const demoWidth = 100

// stage is what is seen of the demo. It may be used by several goroutines.
type stage struct {
	mu    sync.Mutex
	out   io.Writer
	color bool
	quiet bool
	began time.Time
}

func newStage(o DemoOptions) *stage {
	return &stage{out: o.Out, color: o.Color, quiet: o.Quiet, began: time.Now()}
}

// print writes as it is. Who reads has gone when that fails.
func (s *stage) print(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = io.WriteString(s.out, text)
}

// The colours of a terminal.
const (
	bold  = "1"
	green = "32"
	red   = "31"
)

func (s *stage) paint(color, text string) string {
	if !s.color {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

func (s *stage) heading(text string) {
	if !s.quiet {
		s.print("\n" + s.paint(bold, text) + "\n\n")
	}
}

// textf writes a paragraph.
func (s *stage) textf(format string, args ...any) {
	if !s.quiet {
		s.print(wrapped(fmt.Sprintf(format, args...), 0) + "\n")
	}
}

// line tells what somebody did or what became of them.
func (s *stage) line(at time.Time, who, what string) {
	if s.quiet {
		return
	}
	s.print(fmt.Sprintf("%5.1fs  %-11s %s\n", max(at.Sub(s.began), 0).Seconds(), who, wrapped(what, 20)))
}

func (s *stage) linef(who, format string, args ...any) {
	s.line(time.Now(), who, fmt.Sprintf(format, args...))
}

// wrapped breaks text at spaces so that it fits beside an indent.
func wrapped(text string, indent int) string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(strings.Map(visible, text)) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > demoWidth-indent {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n"+strings.Repeat(" ", indent))
}

// visible keeps text from steering the terminal.
func visible(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

// report prints what was seen and what is true, and returns what disagrees.
func (d *demo) report(t truth, played error) error {
	d.timelines(t)
	d.table(t)
	wrong := 0
	for _, p := range t.people {
		for _, w := range p.wrong {
			d.disagrees(p.actor.name() + ": " + w)
			wrong++
		}
	}
	for _, knew := range d.knowers() {
		if w := d.watched[knew]; played != nil && (w == nil || w.file.State.Live()) {
			t.key = nil // it was not yet time for that
		}
	}
	for _, w := range append(t.strays, t.key...) {
		d.disagrees(w)
		wrong++
	}
	if t.requests.refused > 0 {
		d.disagrees(fmt.Sprintf("Amplitude refused %d requests because they were too many", t.requests.refused))
		wrong++
	}
	switch {
	case played != nil:
		return fmt.Errorf("the demo failed: %w", played)
	case wrong > 0:
		return fmt.Errorf("the demo failed: the simulator's truth and the cases disagree in %d points", wrong)
	}
	gone := 0
	for _, p := range t.people {
		gone += p.removals
	}
	d.stage.print(d.stage.paint(green, "The truth agrees") + fmt.Sprintf(
		": %d leavers are gone, each removed once; %d kept the seat; nobody else was touched.\nIt took %.1f s.\n",
		gone, len(t.people)-gone, time.Since(d.stage.began).Seconds()))
	return nil
}

func (d *demo) disagrees(what string) {
	d.stage.print(d.stage.paint(red, "Disagrees") + ": " + wrapped(what, 11) + "\n")
}

// timelines prints each case in a few lines.
func (d *demo) timelines(t truth) {
	d.stage.heading("Each leaver's timeline, in seconds from the acceptance of the request")
	for _, p := range t.people {
		w := d.watched[p.actor.address()]
		if w == nil {
			d.stage.textf("%s has no case.", p.actor.name())
			continue
		}
		f := w.file
		if d.stage.quiet {
			continue
		}
		d.stage.print(d.stage.paint(bold, p.actor.name()) + fmt.Sprintf("  %s  (policy %s, plan %s)\n", p.actor.how, f.Policy, f.Plan))
		d.stage.print("    " + wrapped(strings.Join(moments(f), " · "), 4) + "\n")
	}
}

// moments are the points of a case's life, in order.
func moments(f console.CaseFile) []string {
	var out []string
	for _, e := range f.Timeline {
		what := ""
		switch {
		case e.Kind == "effect" || e.Kind == "finding":
			continue
		case e.Actor == "identity provider":
			what, _, _ = strings.Cut(e.Text, " at the ")
		case e.Actor != "offramp":
			who, _, _ := strings.Cut(e.Actor, "@")
			what = strings.ReplaceAll(e.Kind, "_", " ") + " by " + who
		case isStep(f, e.Kind) && strings.HasPrefix(e.Text, e.Kind+": waiting"), strings.Contains(e.Text, "about to"):
			continue
		default:
			what = strings.ReplaceAll(e.Kind, "_", " ")
		}
		moment := fmt.Sprintf("%.1f %s", max(e.At.Sub(f.Opened), 0).Seconds(), what)
		if len(out) == 0 || out[len(out)-1] != moment {
			out = append(out, moment)
		}
	}
	return out
}

func isStep(f console.CaseFile, kind string) bool {
	for _, s := range f.Steps {
		if string(s.Name) == kind {
			return true
		}
	}
	return false
}

// standing is how a case ended, or else where it stands.
func standing(f console.CaseFile) string {
	if f.Outcome != "" {
		return string(f.Outcome)
	}
	return strings.ReplaceAll(string(f.State), "_", " ")
}

// lag is how long it took from acceptance, or from the end of the wait that the
// policy asks for, to the proof of absence.
func lag(f console.CaseFile) string {
	if f.Verified.IsZero() {
		return "-"
	}
	from := f.Opened
	if f.NotBefore.After(from) {
		from = f.NotBefore
	}
	return fmt.Sprintf("%.2fs", f.Verified.Sub(from).Seconds())
}

// table prints the cases and the truth side by side.
func (d *demo) table(t truth) {
	if d.stage.quiet {
		return
	}
	d.stage.heading("What the cases say, and what is true in the simulator")
	var s strings.Builder
	fmt.Fprintf(&s, "%-11s %-17s %-15s %6s | %-5s %6s %7s %7s %8s %5s\n",
		"", "reason", "case", "lag", "seat", "groups", "removed", "orphans", "handed", "calls")
	for _, p := range t.people {
		is, reason, late := "none", "", "-"
		if w := d.watched[p.actor.address()]; w != nil {
			is, reason, late = standing(w.file), string(w.file.Reason), lag(w.file)
		}
		handed := fmt.Sprintf("%d of %d", p.moved, p.owned)
		if !p.actor.removed() {
			handed = fmt.Sprintf("kept %d", p.owned-p.moved)
		}
		fmt.Fprintf(&s, "%-11s %-17s %-15s %6s | %-5s %6d %7d %7d %8s %5d\n",
			p.actor.name(), reason, is, late, p.seat(), len(p.groups), p.removals, p.orphans, handed, p.calls)
	}
	d.stage.print(s.String())
	removed := 0
	for _, p := range t.people {
		removed += p.removals
	}
	share := ""
	if removed > 0 {
		share = fmt.Sprintf(", %.1f per removal with the sweeps that all share", float64(t.requests.total)/float64(removed))
	}
	key := fmt.Sprintf(" The key of deployment %s: replaced and published, and the old one is archived.", demoDeploy)
	if len(t.key) > 0 {
		key = fmt.Sprintf(" The key of deployment %s: not replaced to its end.", demoDeploy)
	}
	if len(d.knowers()) == 0 {
		key = ""
	}
	d.stage.print("\n" + wrapped(fmt.Sprintf("SCIM calls to Amplitude: %d%s; at most %d in any minute, of Amplitude's 100. "+
		"\"calls\" are those that name the person.%s",
		t.requests.total, share, t.requests.most, key), 0) + "\n\n")
}
