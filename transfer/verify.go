package transfer

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

// Named reports whether an owner, as a remote side writes it, is this person: the address or the display name without
// regard to case, or the id. An empty owner is nobody.
func (p Person) Named(owner string) bool {
	owner = strings.TrimSpace(owner)
	if owner == "" {
		return false
	}
	return strings.EqualFold(owner, strings.TrimSpace(p.Email)) ||
		strings.EqualFold(owner, strings.TrimSpace(p.Name)) ||
		owner == strings.TrimSpace(p.ID)
}

// Verdict is what reading back says about a claim.
type Verdict string

// What Confirm answers.
const (
	VerdictAgrees    Verdict = "agrees"    // the successor owns it
	VerdictElsewhere Verdict = "elsewhere" // neither the leaver nor the successor does: somebody else, or an unknown form
	VerdictNobody    Verdict = "nobody"    // it has no owner
	VerdictDisagrees Verdict = "disagrees" // the leaver still owns it
	VerdictUnknown   Verdict = "unknown"   // the reader cannot see an owner
)

// Confirm reads the owner of h.Asset back, after a hook said that it is done. Only VerdictAgrees proves the claim.
func Confirm(ctx context.Context, r Reader, h Handover) (Verdict, error) {
	owner, known, err := r.Owner(ctx, h.Asset)
	switch {
	case err != nil:
		return VerdictUnknown, fmt.Errorf("read the owner back: %w", err)
	case !known:
		return VerdictUnknown, nil
	case strings.TrimSpace(owner) == "":
		return VerdictNobody, nil
	case h.Leaver.Named(owner) && h.Successor.Named(owner): // namesakes: the text does not tell which
		return VerdictUnknown, nil
	case h.Successor.Named(owner):
		return VerdictAgrees, nil
	case h.Leaver.Named(owner):
		return VerdictDisagrees, nil
	}
	return VerdictElsewhere, nil
}

// keyed makes calls about the same thing wait for each other inside this process. The zero value is ready.
type keyed struct {
	mu   sync.Mutex
	held map[string]chan struct{}
}

// lock waits until nobody else holds key, or until ctx ends.
func (k *keyed) lock(ctx context.Context, key string) (unlock func(), err error) {
	for {
		k.mu.Lock()
		busy, ok := k.held[key]
		if !ok {
			if k.held == nil {
				k.held = map[string]chan struct{}{}
			}
			mine := make(chan struct{})
			k.held[key] = mine
			k.mu.Unlock()
			return func() {
				k.mu.Lock()
				delete(k.held, key)
				k.mu.Unlock()
				close(mine)
			}, nil
		}
		k.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
