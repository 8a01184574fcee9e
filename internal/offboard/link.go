package offboard

import (
	"fmt"
	"strings"
	"time"
)

// Link is what one person may do once, without logging in: attest one task, or
// approve one case. Its secret is in an address that is sent to that person
// alone; the record holds its hash.
type Link struct {
	CaseID  string    // required
	TaskID  string    // empty: to approve the case
	Person  string    // required; their address, and the name that stands behind what is done
	Until   time.Time // required; good before it
	By      string    // the operator who hands it over; empty: it goes out with a message
	Created time.Time // filled by the store, like all that follows
	Used    time.Time // zero: not yet
	Ended   time.Time // when what it was for was settled without it; zero: it is open
	Left    bool      // everybody who holds the address has left, as the directory says now
}

// LinkEnd says why a link is not good any more.
type LinkEnd string

// The ends of a link.
const (
	LinkUsed    LinkEnd = "used"
	LinkExpired LinkEnd = "expired"
	LinkSettled LinkEnd = "settled" // the task is done, the approval given, or the case over
	LinkLeft    LinkEnd = "left"    // its person has left
)

// LinkError is a link that is not good any more.
type LinkError struct {
	End LinkEnd
	At  time.Time // when it ended; zero where there is no such moment
}

// Error tells what became of the link.
func (e *LinkError) Error() string { return "the link is not good any more: " + string(e.End) }

// Over tells why a link is not good any more; nil while it is.
func (l Link) Over(now time.Time) *LinkError {
	switch {
	case !l.Used.IsZero():
		return &LinkError{End: LinkUsed, At: l.Used}
	case !l.Ended.IsZero():
		return &LinkError{End: LinkSettled, At: l.Ended}
	case !now.Before(l.Until):
		return &LinkError{End: LinkExpired, At: l.Until}
	case l.Left:
		return &LinkError{End: LinkLeft}
	}
	return nil
}

// Purpose says in words what the link is for.
func (l Link) Purpose(f File) string {
	if l.TaskID == "" {
		return "the approval"
	}
	for _, t := range f.Tasks {
		if t.ID == l.TaskID {
			return fmt.Sprintf("the task %q", t.Title)
		}
	}
	return "a task"
}

// CheckLink tells whether a link may be made for a case: what it is for is
// open, and its person is somebody other than the leaver. Tasks that outlive
// their case have links that do too.
func CheckLink(f File, l Link, now time.Time) error {
	switch {
	case !strings.Contains(l.Person, "@"):
		return incomplete("say by their e-mail address whom the link is for")
	case !now.Before(l.Until):
		return incomplete("give the link some time before it expires")
	case isLeaver(f, l.Person):
		return refused("%s is the leaver; a link goes to somebody who stays", l.Person)
	case l.TaskID != "":
		_, err := openTask(f, l.TaskID, l.Person)
		return err
	case !f.Case.State.Live():
		return refused("the case has ended: %s", f.Case.Outcome)
	case f.RemoveBegan():
		return refused("the removal has begun; there is nothing to approve")
	}
	return nil
}
