package transfertest

import (
	"context"
	"sync"
	"time"

	"offramp/transfer"
)

// Liar says that everything is done, and does nothing: reading back must find it out. The zero value is ready.
type Liar struct{}

var (
	_ transfer.Transferrer = Liar{}
	_ transfer.Rotator     = Liar{}
)

// Name is "liar".
func (Liar) Name() string { return "liar" }

// Handles everything.
func (Liar) Handles(transfer.AssetKind) bool { return true }

// Rotates everything.
func (Liar) Rotates(transfer.CredentialKind) bool { return true }

// Transfer claims success, at a time that does not change.
func (Liar) Transfer(context.Context, transfer.Handover) (transfer.Receipt, error) {
	return claim(), nil
}

// Rotate claims success.
func (Liar) Rotate(context.Context, transfer.Rotation) (transfer.Receipt, error) { return claim(), nil }

func claim() transfer.Receipt {
	return transfer.Receipt{
		State: transfer.StateDone, By: "liar", At: time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC),
		Reference: "lie-1", Proof: transfer.ProofReadBack,
	}
}

// Hang does not answer before its caller goes away.
type Hang struct{ Liar }

// Transfer waits for the end of ctx.
func (Hang) Transfer(ctx context.Context, _ transfer.Handover) (transfer.Receipt, error) {
	<-ctx.Done()
	return transfer.Receipt{}, ctx.Err()
}

// Rotate waits for the end of ctx.
func (Hang) Rotate(ctx context.Context, _ transfer.Rotation) (transfer.Receipt, error) {
	<-ctx.Done()
	return transfer.Receipt{}, ctx.Err()
}

// Owners is the truth about who owns what, to read claims back from: a Transferrer that really transfers, and its
// Reader. It may be used by several goroutines. Make one with NewOwners.
type Owners struct {
	mu      sync.Mutex
	owner   map[string]string
	effects int
}

var (
	_ transfer.Transferrer = (*Owners)(nil)
	_ transfer.Reader      = (*Owners)(nil)
)

// NewOwners is a truth in which nobody owns anything.
func NewOwners() *Owners { return &Owners{owner: map[string]string{}} }

// Set makes somebody the owner of an asset.
func (o *Owners) Set(a transfer.Asset, owner string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.owner[id(a)] = owner
}

// Name is "owners".
func (o *Owners) Name() string { return "owners" }

// Handles everything but Unknown.
func (o *Owners) Handles(kind transfer.AssetKind) bool { return kind != Unknown }

// Transfer sets the owner to the successor's address.
func (o *Owners) Transfer(ctx context.Context, h transfer.Handover) (transfer.Receipt, error) {
	if err := h.Validate(); err != nil {
		return transfer.Receipt{}, err
	}
	if !o.Handles(h.Asset.Kind) {
		return transfer.Receipt{}, &transfer.Error{Hook: o.Name(), Op: "transfer", Detail: "not this kind", Err: transfer.ErrUnhandled}
	}
	if err := ctx.Err(); err != nil {
		return transfer.Receipt{}, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	already := h.Successor.Named(o.owner[id(h.Asset)])
	if !already {
		o.owner[id(h.Asset)] = h.Successor.Email
		o.effects++
	}
	r := claim()
	r.By, r.Reference, r.Already = o.Name(), "", already
	return r, nil
}

// Owner is who owns the asset now; it is always known.
func (o *Owners) Owner(_ context.Context, a transfer.Asset) (string, bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.owner[id(a)], true, nil
}

// Effects is how often an owner changed by Transfer.
func (o *Owners) Effects() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.effects
}

func id(a transfer.Asset) string { return string(a.Kind) + "/" + a.Project + "/" + a.ID }
