// Package transfer owns the hooks that give a leaver's things to somebody else and replace the credentials they knew:
// what is asked of a hook (Handover, Rotation), what it answers (Receipt) and how it fails (Error). Built in are the
// event owner and the deployment key of Amplitude, a webhook, a command, and the task for a person.
//
// It must not know cases, stores, schedules or the Amplitude client: a hook is asked once and answers once, the caller
// repeats, remembers and reads back. The Amplitude calls that a hook needs are small interfaces declared beside it.
package transfer

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// AssetKind says what is handed over. Hooks may be configured for kinds that are not listed here: the text is what the
// webhook or command sees.
type AssetKind string

// The kinds of the offboarding process. AssetContent is not one thing but everything that no API can list: it makes one
// task for the bulk transfer in Amplitude's pages, with Handover.Items as what is known.
const (
	AssetContent      AssetKind = "content"
	AssetDashboard    AssetKind = "dashboard"
	AssetNotebook     AssetKind = "notebook"
	AssetChart        AssetKind = "chart"
	AssetMetric       AssetKind = "metric"
	AssetCohort       AssetKind = "cohort"
	AssetEvent        AssetKind = "event"
	AssetFlag         AssetKind = "flag"
	AssetExperiment   AssetKind = "experiment"
	AssetAlert        AssetKind = "alert"
	AssetSubscription AssetKind = "subscription"
	AssetDestination  AssetKind = "destination"
	AssetLookupTable  AssetKind = "lookup_table"
	AssetKeys         AssetKind = "keys"
)

// AssetKinds lists every kind named above, in the order in which people are told about them.
func AssetKinds() []AssetKind {
	return []AssetKind{
		AssetContent, AssetDashboard, AssetNotebook, AssetChart, AssetMetric, AssetCohort, AssetEvent, AssetFlag,
		AssetExperiment, AssetAlert, AssetSubscription, AssetDestination, AssetLookupTable, AssetKeys,
	}
}

// Asset is one thing with an owner.
type Asset struct {
	Kind    AssetKind `json:"kind"`
	ID      string    `json:"id,omitempty"`      // Amplitude's id; for an event its name; empty for AssetContent
	Name    string    `json:"name,omitempty"`    // for people; empty: ID is shown
	Project string    `json:"project,omitempty"` // Amplitude's project id as text; empty: belongs to the organization
}

// Label is what a person is shown: the name, else the id, else the kind.
func (a Asset) Label() string {
	switch {
	case a.Name != "":
		return a.Name
	case a.ID != "":
		return a.ID
	}
	return strings.ReplaceAll(string(a.Kind), "_", " ")
}

// Person is somebody who owns or will own. E-mail addresses are compared without regard to case.
type Person struct {
	ID    string `json:"id,omitempty"`    // login id at Amplitude, where known
	Email string `json:"email,omitempty"` // the address of the seat
	Name  string `json:"name,omitempty"`  // display name
}

// Empty reports whether nobody is named: neither an address nor an id.
func (p Person) Empty() bool {
	return strings.TrimSpace(p.Email) == "" && strings.TrimSpace(p.ID) == ""
}

// Same reports whether two people share an address or an id. Nobody is the same as nobody else.
func (p Person) Same(q Person) bool {
	pe, qe := strings.TrimSpace(p.Email), strings.TrimSpace(q.Email)
	if pe != "" && strings.EqualFold(pe, qe) {
		return true
	}
	pi, qi := strings.TrimSpace(p.ID), strings.TrimSpace(q.ID)
	return pi != "" && pi == qi
}

// Label is what a colleague is shown: the name and the address, or whichever is known.
func (p Person) Label() string {
	switch {
	case p.Name != "" && p.Email != "":
		return p.Name + " <" + p.Email + ">"
	case p.Email != "":
		return p.Email
	case p.Name != "":
		return p.Name
	}
	return p.ID
}

// Handover asks that one asset changes its owner.
type Handover struct {
	Key          string    `json:"key"`               // required, printable ASCII; the same over all attempts of the same change
	Case         string    `json:"case,omitempty"`    // for the hook's own records
	Organization string    `json:"organization"`      // name of the organization in the configuration
	Asset        Asset     `json:"asset"`             // Kind is required
	Items        []Asset   `json:"items,omitempty"`   // with AssetContent: what is known to be owned; a lower bound
	Leaver       Person    `json:"leaver"`            // required
	Successor    Person    `json:"successor"`         // required, and not the leaver
	Removed      bool      `json:"removed,omitempty"` // the leaver's seat is gone already: what they owned is unassigned
	Reason       string    `json:"reason,omitempty"`
	Due          time.Time `json:"due,omitzero"` // zero: no deadline
	Attempt      int       `json:"-"`            // 0 or 1: the first; from GiveUpAfter on a nonsensical answer is permanent
}

// Validate tells why the handover cannot be asked of any hook. Every hook calls it before anything else, so nobody
// becomes owner by accident.
func (h Handover) Validate() error {
	switch {
	case h.Key == "":
		return fmt.Errorf("handover: %w", ErrNoKey)
	case !validKey(h.Key):
		return fmt.Errorf("handover: %w: the key is not up to 200 printable ASCII characters without spaces", ErrInvalid)
	case h.Asset.Kind == "":
		return fmt.Errorf("handover: %w: the asset has no kind", ErrInvalid)
	case h.Leaver.Empty():
		return fmt.Errorf("handover: %w: nobody leaves", ErrInvalid)
	case h.Successor.Empty():
		return fmt.Errorf("handover: %w", ErrNoSuccessor)
	case h.Successor.Same(h.Leaver):
		return fmt.Errorf("handover: %w", ErrSuccessorIsLeaver)
	}
	return nil
}

// validKey reports whether a key can be a header's value and a message's id.
func validKey(key string) bool {
	return len(key) <= 200 && !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
}

// Transferrer gives one asset to its successor.
type Transferrer interface {
	// Name is the hook's name in the configuration, on timelines and in errors.
	Name() string

	// Handles reports whether the hook takes assets of this kind.
	Handles(kind AssetKind) bool

	// Transfer makes h.Successor the owner of h.Asset, or says who will. A second call with the same h.Key has no
	// second effect and answers with an equivalent receipt. An empty successor, or the leaver as successor, is an
	// error and changes nothing. Errors are classified by IsTemporary.
	Transfer(ctx context.Context, h Handover) (Receipt, error)
}

// Reader is what a hook has, beside Transferrer, when it can tell who owns an asset now. The caller asks it after a
// receipt that says done, because a receipt is only a claim.
type Reader interface {
	// Owner is the owner as the remote side writes it: an address, a display name or an id; empty with known set means
	// that nobody owns it. known is false where the hook cannot see an owner of this kind.
	Owner(ctx context.Context, a Asset) (owner string, known bool, err error)
}

// State is how far a hook came.
type State string

// A receipt is in one of these states.
const (
	StateDone        State = "done"         // the hook claims that it is done
	StateAccepted    State = "accepted"     // the hook will call back, or is to be asked again with the same key
	StateNeedsPerson State = "needs_person" // Receipt.Task says what somebody has to do
)

// Proof is what a receipt's claim rests on.
type Proof string

// How a receipt came to its claim; the caller reads back wherever it can, whatever is said here.
const (
	ProofNone     Proof = ""          // the hook's word
	ProofReadBack Proof = "read_back" // the hook read the remote state after its change, and it agreed
)

// Receipt is a hook's answer. It never holds a credential. Text that came from outside is bounded and free of control
// characters.
type Receipt struct {
	State     State     `json:"state"`
	By        string    `json:"by"`                  // the hook's name
	At        time.Time `json:"at"`                  // when the hook answered, UTC
	Reference string    `json:"reference,omitempty"` // the hook's own record, such as a ticket or the new deployment's id
	Detail    string    `json:"detail,omitempty"`    // one sentence for the timeline
	Already   bool      `json:"already,omitempty"`   // nothing had to be changed by this call

	// Replacement is the id of a credential's replacement, where it has one of its own: the next rotation begins there.
	Replacement string `json:"replacement,omitempty"`
	Proof       Proof  `json:"proof,omitempty"`
	Task        *Task  `json:"task,omitempty"` // only with StateNeedsPerson
}

// Task is something that a person does in Amplitude and then attests.
type Task struct {
	Title       string    `json:"title"`
	Instruction string    `json:"instruction"`     // what to do, where, and how to see that it is done
	Link        string    `json:"link"`            // the page to do it on
	Items       []string  `json:"items,omitempty"` // what to look for
	Due         time.Time `json:"due,omitzero"`    // zero: no deadline
}
