package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// Inquiry asks what somebody owns.
type Inquiry struct {
	Key          string      `json:"key"`            // required, printable ASCII; the same over all attempts
	Case         string      `json:"case,omitempty"` // for the hook's own records
	Organization string      `json:"organization"`   // name of the organization in the configuration
	Leaver       Person      `json:"leaver"`         // required
	Kinds        []AssetKind `json:"kinds"`          // required: what is asked for
	Attempt      int         `json:"-"`              // 0 or 1: the first; from GiveUpAfter on a nonsensical answer is permanent
}

// Lister is what a hook has that can tell what somebody owns, for kinds that no
// API lists. Errors are classified by IsTemporary.
type Lister interface {
	// Name is the hook's name in the configuration, on timelines and in errors.
	Name() string

	// Lists tells the kinds of asset that the hook knows owners of; none: it is
	// not to be asked.
	Lists() []AssetKind

	// List tells what the leaver owns of the kinds asked for. It changes nothing
	// and may be called again. No asset and no error mean that they own nothing.
	List(ctx context.Context, q Inquiry) ([]Asset, error)
}

var (
	_ Lister = (*Webhook)(nil)
	_ Lister = (*Command)(nil)
)

const opList = "inventory"

// The bounds of what a hook may list.
const (
	maxListing = 1 << 20 // bytes
	maxListed  = 5000    // assets
)

// inquiryMessage is what a webhook or a command is sent.
type inquiryMessage struct {
	Type string `json:"type"`
	Inquiry
}

func (q Inquiry) validate(ctx context.Context, hook string, lists []AssetKind) error {
	switch {
	case q.Key == "":
		return fmt.Errorf("%s: %w", hook, ErrNoKey)
	case !validKey(q.Key):
		return fmt.Errorf("%s: %w: the key is not up to 200 printable ASCII characters without spaces", hook, ErrInvalid)
	case q.Leaver.Empty():
		return fmt.Errorf("%s: %w: nobody leaves", hook, ErrInvalid)
	case len(q.Kinds) == 0:
		return fmt.Errorf("%s: %w: no kind is asked for", hook, ErrInvalid)
	}
	for _, k := range q.Kinds {
		if !slices.Contains(lists, k) {
			return unhandled(hook, opList)
		}
	}
	if err := ctx.Err(); err != nil {
		return interrupted(hook, opList, err)
	}
	return nil
}

// listing reads an answer: one JSON object with every asset.
func (q Inquiry) listing(said []byte) ([]Asset, error) {
	var a struct {
		Assets *[]Asset `json:"assets"`
	}
	dec := json.NewDecoder(bytes.NewReader(said))
	if err := dec.Decode(&a); err != nil {
		return nil, fmt.Errorf("%w: it is not a JSON object with a list of assets", errNonsense)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: it holds more than one JSON value", errNonsense)
	}
	if a.Assets == nil {
		return nil, fmt.Errorf("%w: it has no assets; where there are none, answer an empty list", errNonsense)
	}
	if len(*a.Assets) > maxListed {
		return nil, fmt.Errorf("%w: it lists more than %d assets", errNonsense, maxListed)
	}
	out := make([]Asset, 0, len(*a.Assets))
	for _, one := range *a.Assets {
		one.ID, one.Name, one.Project = line(one.ID), line(one.Name), line(one.Project)
		switch {
		case !slices.Contains(q.Kinds, one.Kind):
			return nil, fmt.Errorf("%w: it lists a kind that was not asked for", errNonsense)
		case strings.TrimSpace(one.ID) == "":
			return nil, fmt.Errorf("%w: an asset has no id", errNonsense)
		}
		out = append(out, one)
	}
	return out, nil
}

// Lists tells what the configuration says.
func (w *Webhook) Lists() []AssetKind { return w.o.Inventories }

// List posts {"type":"inventory", …}.
func (w *Webhook) List(ctx context.Context, q Inquiry) ([]Asset, error) {
	if err := q.validate(ctx, w.o.Name, w.o.Inventories); err != nil {
		return nil, err
	}
	r, err := w.exchange(ctx, opList, q.Key, inquiryMessage{Type: opList, Inquiry: q}, maxListing)
	if err != nil {
		return nil, err
	}
	if err := w.refused(opList, r); err != nil {
		return nil, err
	}
	switch {
	case len(r.said) > maxListing:
		err = fmt.Errorf("%w: it is longer than 1 MiB", errNonsense)
	case r.status == http.StatusAccepted:
		err = fmt.Errorf("%w: an inventory is answered at once", errNonsense)
	default:
		var list []Asset
		if list, err = q.listing(r.said); err == nil {
			return list, nil
		}
	}
	return nil, nonsense(w.o.Name, opList, q.Attempt, err)
}

// Lists tells what the configuration says.
func (c *Command) Lists() []AssetKind { return c.o.Inventories }

// List runs the program with {"type":"inventory", …}.
func (c *Command) List(ctx context.Context, q Inquiry) ([]Asset, error) {
	if err := q.validate(ctx, c.o.Name, c.o.Inventories); err != nil {
		return nil, err
	}
	said, _, err := c.output(ctx, opList, q.Attempt, inquiryMessage{Type: opList, Inquiry: q}, maxListing)
	if err != nil {
		return nil, err
	}
	list, err := q.listing(said)
	if err != nil {
		return nil, nonsense(c.o.Name, opList, q.Attempt, err)
	}
	return list, nil
}
