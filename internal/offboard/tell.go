package offboard

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Audience is who can be told: what is configured, and who the case concerns.
type Audience struct {
	Mail      bool                   // addresses can be written to
	Channels  func(a About) []string // names of the channels that take a subject matter; nil: there are none
	Approvers Approvers              // who may approve
	Security  []string               // addresses of those who handle incidents
	Manager   string                 // address of the leaver's manager; empty: not known
	Observe   bool                   // nothing is sent
}

// Reaches reports whether anybody at all can be told.
func (a Audience) Reaches() bool {
	if a.Mail {
		return true
	}
	return a.Channels != nil && slices.ContainsFunc(Abouts(), func(b About) bool { return len(a.Channels(b)) > 0 })
}

// To makes a message of m for each address and, with channels, for each channel
// that takes its subject matter. Who cannot be reached gets none.
func (a Audience) To(m Message, channels bool, addresses ...string) []Message {
	var out []Message
	seen := map[string]bool{}
	add := func(to string) {
		if to = strings.TrimSpace(to); to == "" || seen[Fold(to)] {
			return
		}
		seen[Fold(to)] = true
		m.To = to
		if a.Observe {
			m.State = MessageNoted
		}
		out = append(out, m)
	}
	m.Subject, m.Text = Line(m.Subject), Paragraphs(m.Text)
	if a.Mail {
		for _, to := range addresses {
			add(to)
		}
	}
	if channels && a.Channels != nil {
		for _, name := range a.Channels(m.About) {
			add("#" + name)
		}
	}
	return out
}

// taken is how long approvers are not asked about a case that waits for its
// time anyway: a mistake that is taken back at once should ask nobody.
const taken = 10 * time.Minute

// FirstLook is when a case that waits for its time is looked at first: then, or
// before, where approvers have to be asked.
func (o Opening) FirstLook(opened time.Time) time.Time {
	if ask := opened.Add(taken); ask.Before(o.NotBefore) && len(o.Approvals) < o.Policy.Approvals {
		return ask
	}
	return o.NotBefore
}

// owns lists what a leaver owns, as far as it is known.
func owns(f File) string {
	var lines []string
	for _, as := range f.Assets {
		if as.State != AssetOwned {
			continue
		}
		if len(lines) == 10 {
			lines = append(lines, "- and more, see the case")
			break
		}
		name := as.Name
		if name == "" {
			name = as.RemoteID
		}
		lines = append(lines, "- "+words(as.Kind)+" "+name)
	}
	if len(lines) == 0 {
		return "Nothing that they own is known. Dashboards and other things that no API lists are not counted."
	}
	return "They own at least:\n" + strings.Join(lines, "\n")
}

// TellTasks tells of the tasks that an update opens, and of those it gives to
// somebody else: the assignee by mail, or the tasks channel where nobody is named.
func TellTasks(f File, u Update, a Audience) []Message {
	var out []Message
	for _, k := range u.Tasks {
		was := f.Task(k.Key)
		if k.State != TaskOpen || was != nil && was.State == TaskOpen && Fold(was.Assignee) == Fold(k.Assignee) {
			continue
		}
		m := Message{Key: "task/" + k.Key, About: AboutTasks, TaskKey: k.Key, Subject: k.Title, Text: taskText(k)}
		switch {
		case was != nil && was.State == TaskOpen: // somebody else's now
			gone := m
			gone.Key, gone.TaskKey = "not yours/"+k.Key+"/"+Fold(k.Assignee), ""
			gone.Subject = "Not yours any more: " + k.Title
			gone.Text = "This task was given to somebody else: " + k.Title + ". You need do nothing."
			out = append(out, a.To(gone, false, was.Assignee)...)
		case was != nil: // opened again
			m.Key += "/" + strconv.FormatInt(was.Ended.UnixMilli(), 10)
		}
		out = append(out, a.To(m, k.Assignee == "" || !a.Mail, k.Assignee)...)
	}
	return out
}

func taskText(k Task) string {
	text := k.Text
	if k.Link != "" {
		text += "\n\nIn Amplitude: " + k.Link
	}
	if !k.Due.IsZero() {
		text += "\n\nDue " + k.Due.UTC().Format("2 January 2006, 15:04 UTC") + "."
	}
	return text
}

// Remind says that an open task is near its due time, to the one who has it, or
// past it, to the tasks channel as well.
func Remind(f File, k Task, a Audience, now time.Time) []Message {
	late := !now.Before(k.Due)
	m := Message{
		Key: "near/" + k.Key, About: AboutTasks, TaskKey: k.Key,
		Subject: "Due soon: " + k.Title, Text: taskText(k),
	}
	if late {
		m.Key, m.Subject = "overdue/"+k.Key, "Overdue: "+k.Title
		m.Text = "This task about " + f.Person.Name() + " is past its time, and the case may wait for it.\n\n" + m.Text
	}
	m.Key += "/" + strconv.FormatInt(k.Due.UnixMilli(), 10)
	return a.To(m, late || k.Assignee == "" || !a.Mail, k.Assignee)
}

// TellRemoved tells security at once that an incident's seat is removed, before
// the absence is proven.
func TellRemoved(f File, a Audience) []Message {
	if !f.Case.Incident() {
		return nil
	}
	return a.To(Message{
		Key: "incident removed", About: AboutSecurity, Subject: "Security incident: " + f.Person.Name() + " is removed from Amplitude",
		Text: fmt.Sprintf("Amplitude confirmed the removal of %s. Offramp now proves that they are gone, replaces what they could reach, and exports "+
			"the audit log; what they owned has no owner until it is handed over.\n\nFollow it with: offramp cases show %s", f.Case.Address, f.Case.ID),
	}, true, a.Security...)
}

// TellOwners tells new owners that they are.
func TellOwners(f File, a Audience) []Message {
	var out []Message
	for owner, n := range handedTo(f) {
		text := "They are in your Amplitude home now."
		if n > 0 {
			text = fmt.Sprintf("%d listed things have you as their owner now. %s", n, text)
		}
		out = append(out, a.To(Message{
			Key: "owner", About: AboutTasks, Subject: "What " + f.Person.Name() + " owned in Amplitude is yours now", Text: text,
		}, false, owner)...)
	}
	slices.SortFunc(out, func(x, y Message) int { return strings.Compare(x.To, y.To) })
	return out
}

// TellClosing tells at the notify step who has to know: new owners, and the
// manager and the removals channel, or security. Summary is added to the text.
func TellClosing(f File, a Audience, summary string) []Message {
	orphans := 0
	for _, as := range f.Assets {
		if as.State == AssetOrphaned {
			orphans++
		}
	}
	m := Message{
		Key: "removed", About: AboutRemovals, Subject: f.Person.Name() + " has no access to Amplitude any more",
		Text: fmt.Sprintf("The seat of %s was removed, and the absence was verified. Reason: %s.", f.Case.Address, words(string(f.Case.Reason))),
	}
	to := []string{a.Manager}
	if f.Case.Verified.IsZero() {
		m.Text = fmt.Sprintf("The case of %s is closing without a seat removed. Reason of the case: %s.", f.Case.Address, words(string(f.Case.Reason)))
		m.Subject = f.Person.Name() + " has no seat in Amplitude"
	}
	if f.Case.Plan == Mover {
		m.Subject = f.Person.Name() + " keeps the seat in Amplitude, with less access"
		m.Text = fmt.Sprintf("What %s may do in Amplitude was reduced: to %s. Reason: %s.", f.Case.Address,
			strings.Join(f.Case.Policy.Revoke.Sentences(), ", "), words(string(f.Case.Reason)))
	}
	if f.Case.Incident() {
		m.About, to = AboutSecurity, a.Security
	}
	if orphans > 0 {
		m.Text += fmt.Sprintf("\n\n%d listed things that they owned have no owner now.", orphans)
	}
	if summary != "" {
		m.Text += "\n\n" + summary
	}
	m.Text += "\n\nThe record: offramp cases show " + f.Case.ID
	return append(TellOwners(f, a), a.To(m, true, to...)...)
}

// handedTo counts the listed things that each new owner has; who took over what
// nothing lists has none.
func handedTo(f File) map[string]int {
	owners := map[string]int{}
	for _, as := range f.Assets {
		if as.State == AssetHanded && as.NewOwner != "" {
			owners[as.NewOwner]++
		}
	}
	for _, t := range f.Tasks {
		if t.Kind == TaskHandover && t.State == TaskDone && t.Successor != "" {
			owners[t.Successor] += 0
		}
	}
	return owners
}

func words(s string) string { return strings.ReplaceAll(s, "_", " ") }
