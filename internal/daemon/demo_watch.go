package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"offramp/internal/console"
	"offramp/internal/offboard"
)

// errLate ends the demo when the cases take too long.
var errLate = errors.New("the cases did not end in time")

// watch shows what the cases do, until all have ended. It gives up as soon as
// it is clear that one will not: somebody would have to decide, or the same
// step has failed again and again.
func (d *demo) watch(ctx context.Context, acted <-chan struct{}) error {
	reader := d.operator(d.keys.reader)
	for {
		over, err := d.look(ctx, reader)
		switch {
		case ctx.Err() != nil:
			return d.late(ctx)
		case err != nil:
			return err
		case over && isClosed(acted):
			return nil
		}
		if pause(ctx, demoTick) != nil {
			return d.late(ctx)
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// late tells what is still open when the time is over.
func (d *demo) late(ctx context.Context) error {
	if !errors.Is(context.Cause(ctx), errLate) {
		return context.Cause(ctx)
	}
	var open []string
	for _, a := range d.cast {
		w := d.watched[a.address()]
		switch {
		case !a.leaves():
		case w == nil:
			open = append(open, a.name()+" has no case")
		case w.file.State.Live():
			open = append(open, fmt.Sprintf("%s's case is %s %s %s", a.name(), w.file.State, w.file.Waiting, w.file.Note))
		}
	}
	return fmt.Errorf("%w, %s: %s", errLate, d.opts.Patience, strings.Join(open, "; "))
}

// look reads every case once.
func (d *demo) look(ctx context.Context, reader *operator) (over bool, err error) {
	var list console.CaseList
	if err := reader.call(ctx, http.MethodGet, "cases?limit=1000", nil, &list); err != nil {
		return false, err
	}
	ended := 0
	var fresh []news
	defer func() { d.tell(fresh) }()
	slices.Reverse(list.Cases) // oldest first
	for _, c := range list.Cases {
		key := offboard.Fold(c.Address)
		w := d.watched[key]
		if w == nil {
			w = &watched{}
			d.watched[key] = w
		}
		if w.file.ID != "" && w.file.ID != c.ID {
			return false, fmt.Errorf("there is a second case for %s", d.nameOf(c.Address))
		}
		if w.file.ID == "" || w.file.State.Live() {
			var file console.CaseFile
			if err := reader.call(ctx, http.MethodGet, "cases/"+c.ID, nil, &file); err != nil {
				return false, err
			}
			w.file = file
			fresh = append(fresh, d.news(w)...)
		}
		if !w.file.State.Live() {
			ended++
		}
		if err := d.hopeless(w.file); err != nil {
			return false, err
		}
	}
	expected := 0
	for _, a := range d.cast {
		if a.leaves() {
			expected++
		}
	}
	return ended >= expected, nil
}

// hopeless says why a case will not end by itself, if that is so.
func (d *demo) hopeless(f console.CaseFile) error {
	who := d.nameOf(f.Address)
	if f.State == offboard.StateNeedsAttention {
		return fmt.Errorf("%s's case needs attention: %s", who, f.Note)
	}
	for _, s := range f.Steps {
		if s.Attempts >= demoFailures && s.Error != "" {
			return fmt.Errorf("%s's case cannot go on, %s failed %d times: %s", who, s.Name, s.Attempts, s.Error)
		}
	}
	return nil
}

// nameOf is somebody's name, or their address where they are not of the cast.
func (d *demo) nameOf(address string) string {
	if a := d.actorOf(address); a != nil {
		return a.name()
	}
	return address
}

// news is a line of a timeline that was not shown yet.
type news struct {
	who   string
	entry console.Entry
}

// news lists the lines of a case's timeline that are new.
func (d *demo) news(w *watched) []news {
	var out []news
	for _, e := range w.file.Timeline[min(w.told, len(w.file.Timeline)):] {
		out = append(out, news{d.nameOf(w.file.Address), e})
	}
	w.told = len(w.file.Timeline)
	return out
}

// tell shows news in the order in which they happened.
func (d *demo) tell(all []news) {
	slices.SortStableFunc(all, func(a, b news) int { return a.entry.At.Compare(b.entry.At) })
	for _, n := range all {
		if what := spoken(n.entry); what != "" {
			d.stage.line(n.entry.At, n.who, what)
		}
	}
}

// spoken is a line of a timeline as it is shown while it happens; empty where
// the line after it says the same.
func spoken(e console.Entry) string {
	switch {
	case strings.HasPrefix(e.Text, "about to "), e.Text == e.Kind+": done":
		return ""
	case e.Kind == "effect":
		step, _, _ := strings.Cut(e.Text, " ")
		_, response, _ := strings.Cut(e.Text, ": ")
		return step + ": " + response
	case strings.Contains(e.Actor, "@"):
		return e.Actor + " " + e.Text
	}
	return e.Text
}
