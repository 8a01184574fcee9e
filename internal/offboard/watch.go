package offboard

import (
	"fmt"
	"slices"
	"time"
)

// Watch is how long after a verified removal the address is watched.
const Watch = 30 * 24 * time.Hour

// NoteDrift is the kind of a timeline's entries that tell what a comparison
// found about the case. NoteWatch is the kind of the one that ends its watch.
const (
	NoteDrift = "drift"
	NoteWatch = "watch"
)

// WatchFacts is what is known about a case whose address is watched.
type WatchFacts struct {
	Case     Case
	Holdings []Holding
	Cases    []Case   // of the address, newest first
	Seats    []string // organizations that have a seat of the address
	Noted    bool     // a comparison found something about the case
}

// WatchEnd says that the watch of a case is over, and why.
type WatchEnd struct {
	CaseID  string
	Because string
}

// Entry is what the timeline of the case tells.
func (e WatchEnd) Entry() Entry {
	return Entry{Actor: "offramp", Kind: NoteWatch, Text: "the watch on the address ended: " + e.Because}
}

// Evident reports whether a finding belongs to the evidence of its case: that
// somebody whom it removed is there again, or that another removed them.
func (f Finding) Evident() bool {
	kinds := []FindingKind{LeaverBack, LoginAfterRemoval, RemovedByAnother, RemovedByHand}
	return f.CaseID != "" && slices.Contains(kinds, f.Kind)
}

// Note is what the timeline of its case tells of a finding that is open.
func (f Finding) Note() Entry {
	text := fmt.Sprintf("found in %s, %s: %s", f.Organization, f.Kind, f.Text)
	if f.Cause != "" {
		text += "; likely cause: " + f.Cause
	}
	return Entry{Actor: "offramp", Kind: NoteDrift, Text: text}
}

// Over is what the same timeline tells when it is not any more.
func (f Finding) Over(because string) Entry {
	return Entry{Actor: "offramp", Kind: NoteDrift, Text: fmt.Sprintf("no longer found in %s, %s since %s: %s",
		f.Organization, f.Kind, f.FirstSeen.UTC().Format(time.RFC3339), because)}
}

// Answered is what it tells when a case is opened to end the finding.
func (f Finding) Answered(caseID string) Entry {
	return Entry{Actor: "offramp", Kind: NoteDrift, Text: fmt.Sprintf("case %s was opened about what was found in %s, %s", caseID, f.Organization, f.Kind)}
}
