package offboard

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// LogRange is the time for which an organization's audit log was read, without
// a gap. The zero value means that it never was.
type LogRange struct {
	From, To time.Time
}

// logLate is how far behind the reading of the log may be until the log counts
// as not available. It is read every ten minutes.
const logLate = time.Hour

// Knows reports whether what happened since a moment is known at now.
func (r LogRange) Knows(since, now time.Time) bool {
	return r.Fresh(now) && !r.From.After(since)
}

// Fresh reports whether the log is being read.
func (r LogRange) Fresh(now time.Time) bool {
	return !r.To.IsZero() && now.Sub(r.To) <= logLate
}

// Lacks says what is not known of an organization's logins; empty: nothing.
func (r LogRange) Lacks(now time.Time) string {
	switch {
	case r.To.IsZero():
		return "the audit log is not read, so logins are not known"
	case !r.Fresh(now):
		return "the audit log has not been read since " + day(r.To) + ", so later logins are not known"
	}
	return ""
}

// ActivityKept is how long an address without any new entry is remembered: as
// far back as anything can be said about it.
const ActivityKept = 180 * 24 * time.Hour

// Activity is what the audit log told about one address. Zero times mean that
// nothing was told.
type Activity struct {
	LastLogin time.Time
	LastSeen  time.Time // any entry of theirs, a login too
}

// Logins tells about one organization whether somebody uses their seat.
type Logins struct {
	Log      LogRange
	Activity Activity
}

// LastUse says when somebody last logged in, or as much as the log can tell, and
// whether their seat was certainly not used for so long; zero: that is not asked.
func (l Logins) LastUse(unused time.Duration, now time.Time) (words string, idle bool) {
	login, last, from := l.Activity.LastLogin, l.Activity.LastSeen, l.Log.From
	if login.After(last) {
		last = login
	}
	if forgotten := now.Add(-ActivityKept); last.IsZero() && from.Before(forgotten) {
		from = forgotten
	}
	fresh := l.Log.Fresh(now)
	switch {
	case last.IsZero() && l.Log.To.IsZero():
		return "not known: the audit log is not read", false
	case last.IsZero() && !fresh:
		return "not known since " + day(l.Log.To), false
	case last.IsZero():
		words = fmt.Sprintf("not within %d days", int(now.Sub(from).Round(24*time.Hour).Hours()/24))
	case login.IsZero():
		words = "no login seen, active " + day(last)
	case day(login) != day(last):
		words = day(login) + ", active " + day(last)
	default:
		words = day(login)
	}
	if !fresh {
		return words + ", not known since " + day(l.Log.To), false
	}
	known := !from.After(now.Add(-unused).Add(logMargin))
	return words, unused > 0 && known && now.Sub(last) >= unused
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// Answer is what can be said of a question about the past.
type Answer string

// The answers. The zero value means that nobody can tell.
const (
	AnswerUnknown Answer = ""
	AnswerYes     Answer = "yes"
	AnswerNo      Answer = "no"
)

// successorLogin is how recently somebody must have logged in to be given
// content by a bulk transfer (Amplitude, "Manage users", bulk transfer).
const successorLogin = 30 * 24 * time.Hour

// unusedSeat is how long a seat has not been used when nobody is asked to look
// for what it may own. Amplitude keeps its audit log for 90 days, so that the
// first reading reaches back a little less.
const (
	unusedSeat = 90 * 24 * time.Hour
	logMargin  = 24 * time.Hour
)

// CanReceive tells whether somebody logged in recently enough to be given
// content. One organization in which they did is enough.
func CanReceive(list []Logins, now time.Time) Answer {
	out := AnswerUnknown
	for _, l := range list {
		switch since := now.Add(-successorLogin); {
		case !l.Activity.LastLogin.IsZero() && !l.Activity.LastLogin.Before(since):
			return AnswerYes
		case l.Log.Knows(since, now):
			out = AnswerNo
		}
	}
	return out
}

// Unused tells whether a seat was not used at all for 90 days. Where one of the
// organizations cannot tell, nobody can.
func Unused(list []Logins, now time.Time) Answer {
	out := AnswerUnknown
	for _, l := range list {
		since := now.Add(-unusedSeat)
		if !l.Activity.LastSeen.IsZero() && !l.Activity.LastSeen.Before(since) {
			return AnswerNo
		}
		if !l.Log.Knows(since.Add(logMargin), now) {
			return AnswerUnknown
		}
		out = AnswerYes
	}
	return out
}

// BulkTransfer is one that the audit log told about.
type BulkTransfer struct {
	From, To string // addresses, folded; To may be empty where the entry does not say
	By       string
	At       time.Time
	Project  string          // empty: of the whole organization
	Raw      json.RawMessage // the entry as it came
}

// clockSkew is how much earlier than a task the transfer that it asks for may
// be dated: two clocks.
const clockSkew = 2 * time.Minute

// Confirms tells whether a transfer is the one that a task asks for: everything
// of the leaver, to the successor, after the task was opened. otherwise says in
// words what it is instead, where it is about this leaver; empty: it is not.
func (b BulkTransfer) Confirms(t Task, leaver string) (yes bool, otherwise string) {
	switch {
	case Fold(b.From) != Fold(leaver), b.At.Before(t.Opened.Add(-clockSkew)):
		return false, ""
	case b.To != "" && Fold(b.To) != Fold(t.Successor):
		return false, "the audit log shows a bulk transfer to " + b.To + " instead"
	case strings.TrimSpace(b.Project) != "":
		return false, "the audit log shows a bulk transfer of project " + b.Project + " alone"
	}
	return true, ""
}
