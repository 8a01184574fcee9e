package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// Intend asks the guards and records the effect as intended, in one
// transaction, before the call is made. It returns the effect as it was
// before: with EffectIntended an earlier attempt may have made the call, and
// the remote state has to be read first; with EffectDone there is nothing to do.
// A change that is not permitted leaves no record.
func (s *Store) Intend(ctx context.Context, fence offboard.Fence, in offboard.Intent, guard func(offboard.File) offboard.Permission) (was offboard.Effect, p offboard.Permission, err error) {
	err = s.transact(ctx, func(t *tx) error {
		row, f, err := s.locked(ctx, t, fence)
		if err != nil {
			return err
		}
		if row.ClosedAt != 0 {
			return ErrEnded
		}
		if was = f.Effect(in.Key); was.State == offboard.EffectDone {
			p = offboard.Permission{Allowed: true}
			return nil
		}
		if in.Address == "" {
			in.Address = row.Address
		} else if err := s.standingAt(ctx, t.Queries, &f, in.Address); err != nil {
			return err
		}
		if f.Standing.SeatClaimedBy, err = t.claimant(ctx, row, in); err != nil {
			return err
		}
		if f.Standing.Losing, err = t.losing(ctx, in.Others); err != nil {
			return err
		}
		if p = guard(f); !p.Allowed {
			return nil
		}
		if err := t.claimSeats(ctx, row, in); err != nil {
			return err
		}
		if was.State == offboard.EffectNone {
			if err := t.intend(ctx, row, in, p.Because); err != nil {
				return err
			}
		}
		if in.Receipt != "" {
			err := t.InsertReceipt(ctx, db.InsertReceiptParams{
				Hash: secretHash(in.Receipt), CaseID: row.ID, EffectKey: in.Key, CreatedAt: t.now.UnixMilli(), ExpiresAt: millis(in.Until),
			})
			if err != nil {
				return fmt.Errorf("record the receipt: %w", err)
			}
		}
		until := t.now.Add(in.Lease).UnixMilli()
		if err := t.ExtendLease(ctx, db.ExtendLeaseParams{LeaseUntil: until, ID: row.ID}); err != nil {
			return fmt.Errorf("extend lease: %w", err)
		}
		return nil
	})
	return was, p, err
}

func (t *tx) intend(ctx context.Context, row db.Case, in offboard.Intent, because string) error {
	now := t.now.UnixMilli()
	err := t.InsertEffect(ctx, db.InsertEffectParams{
		Key: in.Key, CaseID: row.ID, Step: string(in.Step), Object: in.Object, Epoch: row.Epoch, IntendedAt: now,
	})
	if err != nil {
		return fmt.Errorf("record the effect: %w", err)
	}
	if because != "" {
		because = "; " + because
	}
	return t.write(ctx, row.ID, offboard.Entry{Actor: "offramp", Kind: "intended", Text: in.Text + because})
}

// claimant returns the live case of somebody else that works on the seat. One
// that stands still for a person, or that is less urgent than an incident, does
// not keep it.
func (t *tx) claimant(ctx context.Context, row db.Case, in offboard.Intent) (string, error) {
	for _, org := range in.Claim {
		got, err := t.SeatClaimant(ctx, db.SeatClaimantParams{Organization: org, AddressKey: offboard.Fold(in.Address)})
		if errors.Is(missing(err), ErrNotFound) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("read seat claim: %w", err)
		}
		state := offboard.State(got.State)
		idle := got.ClosedAt != 0 || state == offboard.StateHeld || state == offboard.StateNeedsAttention
		if got.CaseID != row.ID && !idle && row.Plan != string(offboard.Emergency) {
			return got.CaseID, nil
		}
	}
	return "", nil
}

// claimSeats makes the seat this case's in each organization.
func (t *tx) claimSeats(ctx context.Context, row db.Case, in offboard.Intent) error {
	for _, org := range in.Claim {
		key := offboard.Fold(in.Address)
		err := t.ClaimSeat(ctx, db.ClaimSeatParams{Organization: org, AddressKey: key, CaseID: row.ID})
		if err == nil {
			err = t.TakeSeat(ctx, db.TakeSeatParams{CaseID: row.ID, Organization: org, AddressKey: key})
		}
		if err != nil {
			return fmt.Errorf("claim seat: %w", err)
		}
	}
	return nil
}

// Receive takes a hook's late answer: the secret is good once, until it
// expires. decide sees the case and the key of the effect that it answers. What
// comes too late or again changes nothing; the first time, the case's timeline
// says so. ErrNotFound: unknown, used or expired.
func (s *Store) Receive(ctx context.Context, secret string, decide func(offboard.File, string) (offboard.Update, error)) error {
	taken := false
	err := s.transact(ctx, func(t *tx) error {
		now, hash := t.now.UnixMilli(), secretHash(secret)
		got, err := t.UseReceipt(ctx, db.UseReceiptParams{Now: now, Hash: hash})
		if taken = err == nil; taken && got.CaseID == "" {
			taken, err = t.answered(ctx, got.EffectKey, decide)
			return err
		}
		if taken {
			_, err = s.act(ctx, t, got.CaseID, func(f offboard.File) (offboard.Update, error) {
				return decide(f, got.EffectKey)
			})
			return err
		}
		if !errors.Is(missing(err), ErrNotFound) {
			return fmt.Errorf("use receipt: %w", err)
		}
		spent, err := t.SpentReceipt(ctx, db.SpentReceiptParams{Hash: hash, Now: now})
		if errors.Is(missing(err), ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look for a spent receipt: %w", err)
		}
		text := "a hook answered too late about "
		if spent.UsedAt > 0 {
			text = "a hook answered again about "
		}
		if spent.CaseID == "" {
			return t.overdueAnswer(ctx, spent.EffectKey, text)
		}
		object := strings.TrimPrefix(spent.EffectKey, spent.CaseID+"/")
		return t.addendum(ctx, spent.CaseID, offboard.Entry{Actor: "hook", Kind: "receipt", Text: text + object + "; nothing was taken from it"})
	})
	if err == nil && !taken {
		return ErrNotFound
	}
	return err
}

func secretHash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
