package transfer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Event is an event type of a tracking plan.
type Event struct {
	Name  string
	Owner string // as Amplitude writes it: an address, a display name or an id; empty: nobody
}

// Events are the calls to Amplitude's Taxonomy API that EventOwner needs. project is Amplitude's project id as text.
type Events interface {
	Events(ctx context.Context, project string) ([]Event, error)
	Event(ctx context.Context, project, name string) (Event, error)
	SetEventOwner(ctx context.Context, project, name, owner string) error
}

// EventOwnerOptions is what NewEventOwner needs.
type EventOwnerOptions struct {
	Events Events           // required
	Now    func() time.Time // nil: time.Now
}

// EventOwner hands over events of the tracking plan by the Taxonomy API: it reads the owner, writes only where the
// leaver or nobody is found, and reads again. It may be used by several goroutines.
type EventOwner struct {
	events Events
	now    func() time.Time
	busy   keyed
}

var (
	_ Transferrer = (*EventOwner)(nil)
	_ Reader      = (*EventOwner)(nil)
)

const eventOwner = "event-owner"

// NewEventOwner checks the options and calls nothing.
func NewEventOwner(o EventOwnerOptions) (*EventOwner, error) {
	if o.Events == nil {
		return nil, errors.New("event owner: Events is required")
	}
	return &EventOwner{events: o.Events, now: clock(o.Now)}, nil
}

// Name is "event-owner".
func (e *EventOwner) Name() string { return eventOwner }

// Handles events only.
func (e *EventOwner) Handles(kind AssetKind) bool { return kind == AssetEvent }

// Transfer writes the successor as owner, in the form in which the owner is written there: the address, the display name
// or the id. Where nobody owns the event, the form is that of most other owners of the project. An event that somebody
// else owns by now is left alone: the receipt is done and says so, and reading back tells the difference. An owner in a
// form that cannot be recognised as anybody is a permanent error, because overwriting it might rob a third person.
func (e *EventOwner) Transfer(ctx context.Context, h Handover) (Receipt, error) {
	if err := accept(ctx, eventOwner, h, e.Handles); err != nil {
		return Receipt{}, err
	}
	name := eventName(h.Asset)
	if name == "" || h.Asset.Project == "" {
		return Receipt{}, fmt.Errorf("%s: %w: an event needs a name and a project", eventOwner, ErrInvalid)
	}
	unlock, err := e.busy.lock(ctx, h.Asset.Project+"/"+name)
	if err != nil {
		return Receipt{}, interrupted(eventOwner, opTransfer, err)
	}
	defer unlock()

	was, err := e.events.Event(ctx, h.Asset.Project, name)
	if err != nil {
		return Receipt{}, fmt.Errorf("%s: read the event: %w", eventOwner, err)
	}
	namesakes := h.Leaver.Named(was.Owner) && h.Successor.Named(was.Owner)
	switch {
	case namesakes:
		return Receipt{}, &Error{
			Hook: eventOwner, Op: opTransfer, Detail: "the leaver and the successor are written alike as owner; change it by hand to an address",
		}
	case h.Successor.Named(was.Owner):
		return e.receipt("the successor owns the event", true, ProofReadBack), nil
	case strings.TrimSpace(was.Owner) == "", h.Leaver.Named(was.Owner):
	case strings.Contains(was.Owner, "@"):
		return e.receipt("somebody else owns the event by now; it was left as it is", true, ProofReadBack), nil
	default:
		return Receipt{}, &Error{
			Hook: eventOwner, Op: opTransfer, Detail: "the event's owner is written in a form that cannot be matched to the leaver; look at it by hand",
		}
	}
	owner, err := e.write(ctx, h, was.Owner)
	if err != nil {
		return Receipt{}, err
	}
	err = e.events.SetEventOwner(ctx, h.Asset.Project, name, owner)
	if err != nil && !IsTemporary(err) && owner != h.Successor.Email && h.Successor.Email != "" {
		err = e.events.SetEventOwner(ctx, h.Asset.Project, name, h.Successor.Email) // an old form that is no longer taken
	}
	if err != nil {
		return Receipt{}, fmt.Errorf("%s: write the owner: %w", eventOwner, err)
	}
	is, err := e.events.Event(ctx, h.Asset.Project, name)
	if err != nil {
		return Receipt{}, fmt.Errorf("%s: read the event again: %w", eventOwner, err)
	}
	if !h.Successor.Named(is.Owner) {
		return Receipt{}, &Error{
			Hook: eventOwner, Op: opTransfer, Retry: h.Attempt < GiveUpAfter, Detail: "the new owner was taken but does not show when read again",
		}
	}
	return e.receipt("the event's owner was changed to the successor", false, ProofReadBack), nil
}

// Owner reads the event's owner.
func (e *EventOwner) Owner(ctx context.Context, a Asset) (string, bool, error) {
	if a.Kind != AssetEvent {
		return "", false, nil
	}
	ev, err := e.events.Event(ctx, a.Project, eventName(a))
	if err != nil {
		return "", false, fmt.Errorf("%s: read the event: %w", eventOwner, err)
	}
	return ev.Owner, true, nil
}

// write is how the successor is to be written where was stands now.
func (e *EventOwner) write(ctx context.Context, h Handover, was string) (string, error) {
	form := formOf(h.Leaver, was)
	if form == formNone {
		others, err := e.events.Events(ctx, h.Asset.Project)
		if err != nil {
			return "", fmt.Errorf("%s: read how other owners are written: %w", eventOwner, err)
		}
		form = usualForm(others)
	}
	owner := h.Successor.Email
	switch form {
	case formName:
		owner = h.Successor.Name
	case formID:
		owner = h.Successor.ID
	case formEmail, formNone:
	}
	if owner = strings.TrimSpace(owner); owner == "" {
		return "", &Error{
			Hook: eventOwner, Op: opTransfer,
			Detail: "owners are written as " + string(form) + " in this project, and the successor's is not known; change it by hand",
		}
	}
	return owner, nil
}

func (e *EventOwner) receipt(detail string, already bool, p Proof) Receipt {
	return Receipt{State: StateDone, By: eventOwner, At: e.now().UTC(), Detail: detail, Already: already, Proof: p}
}

// form is how an owner is written.
type form string

const (
	formNone  form = ""
	formEmail form = "an address"
	formName  form = "a display name"
	formID    form = "an id"
)

// formOf is the form in which owner names p.
func formOf(p Person, owner string) form {
	owner = strings.TrimSpace(owner)
	switch {
	case owner == "":
		return formNone
	case strings.EqualFold(owner, strings.TrimSpace(p.Email)):
		return formEmail
	case owner == strings.TrimSpace(p.ID):
		return formID
	}
	return formName
}

// usualForm is the form of most owners: an address has an @, a display name has a space, anything else is an id. Where
// nobody owns anything, or two forms are equally common, it is the address if that is one of them.
func usualForm(events []Event) form {
	var email, name, id int
	for _, ev := range events {
		switch owner := strings.TrimSpace(ev.Owner); {
		case owner == "":
		case strings.Contains(owner, "@"):
			email++
		case strings.ContainsAny(owner, " \u00a0"):
			name++
		default:
			id++
		}
	}
	switch {
	case email >= name && email >= id:
		return formEmail
	case name >= id:
		return formName
	}
	return formID
}

func eventName(a Asset) string {
	if a.ID != "" {
		return a.ID
	}
	return a.Name
}
