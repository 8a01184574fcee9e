package offboard

import (
	"fmt"
	"time"
)

// Pause is a stop of every outward change, incidents included.
type Pause struct {
	By, Why string
	At      time.Time

	Resumed               time.Time // zero: it is in force
	ResumedBy, ResumedWhy string
}

// Because is the sentence on what waits for it.
func (p Pause) Because() string { return fmt.Sprintf("paused by %s: %s", p.By, p.Why) }

// Already refuses a second pause: whoever ends the first must not end one that
// somebody else relies on.
func (p Pause) Already() error {
	return refused("outward changes are paused already, by %s since %s: %s; whoever resumes ends that for everybody, so tell them your reason too",
		p.By, p.At.UTC().Format(time.RFC3339), p.Why)
}

// Wait is the answer to an outward change while the pause is in force.
func (p Pause) Wait(now time.Time, incident bool) Permission {
	return Permission{State: StateWaiting, Waiting: WaitPaused, Until: p.Again(now, incident), Because: p.Because()}
}

// Again is when to look whether the pause is still in force: a resume wakes
// whatever it knows to wait, this is for what began to wait at that very moment.
// Thousands that wait through a long pause look ever more seldom, every five
// minutes at last.
func (p Pause) Again(now time.Time, incident bool) time.Time {
	const soon, late = 10 * time.Second, 5 * time.Minute
	if incident {
		return now.Add(soon)
	}
	return now.Add(min(max(now.Sub(p.At), soon), late))
}
