package offboard

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Rotation is one credential's replacement; it serves every case that needs it
// and may outlive them all. Nothing in it is a secret.
type Rotation struct {
	ID         string
	Credential string // its name in the registry
	Configured string // the id under which the registry knew it when the rotation opened
	Spec       json.RawMessage
	State      RotationState
	Opened     time.Time
	Due        time.Time // when the first of its cases needs it
	Minted     time.Time // zero: not yet
	RetireAt   time.Time // when the old one is to end; zero: not minted
	Retired    time.Time // when it was ended, or said to be; zero: not yet
	RotationDetail
}

// RotationDetail is how far a rotation has come, and how that is known.
type RotationDetail struct {
	Op          RotationOp // an outward change that is intended and not recorded as done; empty: none
	Answer      string     // a hook's late "done" to Op
	Refused     string     // why no hook carries Op out: a person does
	Attempts    int        // failed ones, of what is at hand
	Note        string     // one sentence: what it waits for, or what went wrong
	How         string     // how the replacement came about
	By          string     // the hook that made it; empty: a person, or nobody yet
	Replacement string     // id of the replacement, where it has one of its own
	Proof       string     // how it is known that the old one is dead; empty: it is not
	ConfirmedBy string     // who said that every consumer uses the new one
	Fingerprint string     // of Offramp's own value when the rotation opened; empty: not its own
}

// RotationOp is an outward change of a rotation.
type RotationOp string

// The outward changes of a rotation.
const (
	OpNone   RotationOp = ""
	OpRotate RotationOp = "rotate"
	OpRetire RotationOp = "retire"
)

// RotationState is how far a rotation has come.
type RotationState string

// The states of a rotation.
const (
	RotationOpen    RotationState = "open"
	RotationMinted  RotationState = "minted"  // the new one is published, the old one still works
	RotationRetired RotationState = "retired" // the old one is ended; Proof says how that is known
	RotationAlive   RotationState = "alive"   // the old one is said to be ended, and a probe says that it still works
	RotationDropped RotationState = "dropped" // nobody needs it any more, and nothing was made
)

// RotationStates lists every state, for metrics.
func RotationStates() []RotationState {
	return []RotationState{RotationOpen, RotationMinted, RotationRetired, RotationAlive, RotationDropped}
}

// RotationNeed is a case's wish that a credential is replaced.
type RotationNeed struct {
	Credential  string
	Configured  string // the id in the registry
	Fingerprint string // of Offramp's own value; empty: it is not Offramp's own
	Since       time.Time
	Incident    bool // whatever of the credential still lives is ended as well
	Due         time.Time
	// Spec describes the credential under the id that it has now.
	Spec func(id string) json.RawMessage
}

// CurrentID is the id of a credential that may have been replaced before: the
// replacement's, until the registry names another one.
func (n RotationNeed) CurrentID(last Rotation) string {
	if last.Replacement != "" && last.Configured == n.Configured {
		return last.Replacement
	}
	return n.Configured
}

// RotationFile is a rotation with its tasks and the cases that it serves.
type RotationFile struct {
	Rotation Rotation
	Cases    []Case // by id
	Tasks    []Task
}

// Wanted returns the cases that still need the rotation: live ones that are not
// being cancelled, and those whose person was removed.
func (f RotationFile) Wanted() []Case {
	var out []Case
	for _, c := range f.Cases {
		removed := c.Outcome == OutcomeRemoved || c.Outcome == OutcomeRehired || !c.Removed.IsZero()
		if c.State.Live() && c.Ending != EndCancel || removed {
			out = append(out, c)
		}
	}
	return out
}

// Incident reports whether one of the cases is a security incident.
func (f RotationFile) Incident() bool {
	for _, c := range f.Cases {
		if c.Incident() {
			return true
		}
	}
	return false
}

// Task returns the task opened under key; nil when there is none.
func (f RotationFile) Task(key string) *Task {
	for i := range f.Tasks {
		if f.Tasks[i].Key == key {
			return &f.Tasks[i]
		}
	}
	return nil
}

// Leaver reports whether somebody is the leaver of one of the cases: whoever
// knew the old credential does not attest that it is replaced.
func (f RotationFile) Leaver(who string) bool {
	for _, c := range f.Cases {
		if samePerson(c.Address, who) {
			return true
		}
	}
	return false
}

// RotationUpdate is everything that one checkpoint of a rotation changes.
type RotationUpdate struct {
	Rotation Rotation
	Tasks    []Task    // by Key: new ones are opened, known ones changed
	Timeline []Entry   // told in every case
	Messages []Message // of the case that the rotation's tasks belong to
	Wake     time.Time // when to look again; zero: only when something happens
	Poke     bool      // live cases look at it again
}

// RotationIntent is one outward change of a rotation that is about to be made.
type RotationIntent struct {
	Op      RotationOp
	Text    string // for the timelines
	Receipt string // a one-time secret under which a hook may answer, empty: none
	Until   time.Time
}

// ConfirmRotation ends an overlap early: somebody says that every consumer uses
// the new value.
func ConfirmRotation(f RotationFile, by, note string) (RotationUpdate, error) {
	r := f.Rotation
	switch {
	case strings.TrimSpace(by) == "":
		return RotationUpdate{}, incomplete("say who confirms")
	case f.Leaver(by):
		return RotationUpdate{}, refused("%s is a leaver of this rotation and cannot confirm it; ask somebody else", by)
	case r.State == RotationOpen:
		return RotationUpdate{}, refused("there is no new value yet; confirm when %s is replaced", r.Credential)
	case r.State != RotationMinted:
		return RotationUpdate{}, refused("the rotation is %s already", r.State)
	case r.ConfirmedBy != "":
		return RotationUpdate{}, refused("%s has confirmed it already", r.ConfirmedBy)
	}
	r.ConfirmedBy = by
	text := fmt.Sprintf("every consumer of %s uses the new value; the old one ends now instead of at %s", r.Credential, r.RetireAt.UTC().Format(time.RFC3339))
	return RotationUpdate{Rotation: r, Timeline: []Entry{entry(by, "confirmed", text, note)}}, nil
}

// RotationFilter narrows a list of rotations. Zero fields do not narrow.
type RotationFilter struct {
	State  RotationState
	Before string // id of the last one of the page before
	Most   int    // 0: 100
}

// outlives reports whether a task may be done after its case has ended: a
// follow-up, and one of a rotation.
func (t Task) outlives() bool { return t.Kind == TaskFollowUp || t.Rotation != "" }
