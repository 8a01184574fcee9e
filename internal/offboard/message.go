package offboard

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// About is the subject matter of a message: channels choose theirs by it.
type About string

// What messages are about.
const (
	AboutApprovals About = "approvals"
	AboutTasks     About = "tasks"
	AboutSecurity  About = "security"
	AboutRemovals  About = "removals"
	AboutDrift     About = "drift"
	AboutBrake     About = "brake"
	AboutReview    About = "review"
)

// Abouts lists every subject matter.
func Abouts() []About {
	return []About{AboutApprovals, AboutTasks, AboutSecurity, AboutRemovals, AboutDrift, AboutBrake, AboutReview}
}

// Message is something that one person or one channel should be told. It is
// recorded with what it tells of and sent later; a link that acts is made when
// it is sent, and is in no record.
type Message struct {
	ID       string // the store's
	CaseID   string // empty: an announcement
	Key      string // with CaseID and To: the same is told once
	To       string // an address, or # and the name of a channel
	About    About
	Subject  string
	Text     string
	TaskKey  string    // the task whose link it carries; empty: none
	Approve  bool      // its link approves the case
	After    time.Time // not sent before; zero: at once
	State    MessageState
	Attempts int
	First    time.Time // of the first attempt
	Sent     time.Time
	Error    string // why the last attempt failed
}

// MessageState is where a message stands.
type MessageState string

// The states of a message. The zero value of a new one means pending.
const (
	MessagePending MessageState = "pending"
	MessageSent    MessageState = "sent"
	MessageFailed  MessageState = "failed"  // given up
	MessageDropped MessageState = "dropped" // nobody needs it any more
	MessageNoted   MessageState = "noted"   // observe mode: written down, never sent
)

// longest is how much of a text a message carries.
const longest = 6000

// Channel returns the name of the channel that a message is for.
func (m Message) Channel() (name string, ok bool) { return strings.CutPrefix(m.To, "#") }

// Entry is the line of the timeline that a new message leaves.
func (m Message) Entry() Entry {
	verb := "message"
	if m.State == MessageNoted {
		verb = "observe mode: would send a message"
	}
	return Entry{Actor: "offramp", Kind: "message", Text: verb + " to " + m.To + " about " + string(m.About) + ": " + m.Subject}
}

// Ended is the line that says what became of a message; ok is false for one
// that is still pending.
func (m Message) Ended() (e Entry, ok bool) {
	text := ""
	switch m.State {
	case MessageSent:
		text = "sent to " + m.To
	case MessageFailed:
		text = "not delivered to " + m.To + ": " + m.Error
	case MessageDropped:
		text = "not sent to " + m.To + ": " + m.Error
	case MessagePending, MessageNoted:
		return Entry{}, false
	}
	return Entry{Actor: "offramp", Kind: "message", Text: text + ": " + m.Subject}, true
}

// Delivery is what becomes of a message that is due.
type Delivery struct {
	Send  bool
	Until time.Time // not now: look again then
	Drop  string    // never: why
}

// Deliver decides whether a message about a case is sent now. Its case may have
// changed since it was written: what is done need not be asked for, nobody but
// approvers is told anything before the case begins, and the leaver nothing
// before they are removed.
func Deliver(f File, m Message, who Approvers, now time.Time) Delivery {
	task := f.Task(m.TaskKey)
	switch {
	case isLeaver(f, m.To) && f.Case.Removed.IsZero():
		return Delivery{Drop: "the leaver is told nothing before the removal"}
	case m.Approve && !f.Case.State.Live():
		return Delivery{Drop: "the case has ended"}
	case m.Approve && who.Count(f, now).Enough():
		return Delivery{Drop: "the case is approved"}
	case m.TaskKey != "" && (task == nil || task.State != TaskOpen):
		return Delivery{Drop: "the task is not open any more"}
	case m.Approve && f.Case.State == StateHeld:
		return Delivery{Until: now.Add(time.Minute)}
	case !m.Approve && !f.Case.Incident() && f.Case.State.Live() && now.Before(f.Case.NotBefore):
		return Delivery{Until: f.Case.NotBefore}
	case now.Before(m.After):
		return Delivery{Until: m.After}
	}
	return Delivery{Send: true}
}

// Line makes one line of a text that strangers may have written: no control
// characters, no line ends, not too long for a subject.
func Line(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError
	}), " ")
	return cut(s, 150)
}

// Paragraphs makes a plain text of one that strangers may have written: lines
// stay, other control characters go, and what is too long is cut.
func Paragraphs(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError:
			return -1
		}
		return r
	}, s)
	return cut(strings.TrimSpace(s), longest)
}

func cut(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}
