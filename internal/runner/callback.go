package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"offramp/internal/offboard"
	"offramp/transfer"
)

// Answer is what a hook's late answer changes about its case: done marks the
// effect as done; anything else is only told.
func Answer(f offboard.File, key string, receipt transfer.Receipt) offboard.Update {
	text := receiptText(receipt)
	u := offboard.Update{Timeline: []offboard.Entry{{Actor: receipt.By, Kind: "receipt", Text: f.Effect(key).Object + ": " + text}}}
	if receipt.State == transfer.StateDone {
		u.Effects = []offboard.Effect{{Key: key, Response: text}}
	}
	return u
}

// Failed is what a hook's late word that it could not do it changes: a person
// has to look, and a retry asks the hook again.
func Failed(f offboard.File, key, sentence string) offboard.Update {
	text := "a hook could not do " + f.Effect(key).Object + ": " + sentence
	u := offboard.Update{Timeline: []offboard.Entry{{Actor: "hook", Kind: "receipt", Text: text}}}
	if f.Case.State.CanBecome(offboard.StateNeedsAttention) {
		none := offboard.WaitNothing
		u.State, u.Waiting, u.Note = offboard.StateNeedsAttention, &none, &text
	}
	return u
}

type callbackKey struct{}

// CallbackSecret is the one-time secret under which the hook that is called
// with ctx may answer later; empty when it may not. A webhook puts it into the
// URL that it hands out.
func CallbackSecret(ctx context.Context) string {
	s, _ := ctx.Value(callbackKey{}).(string)
	return s
}

// offerCallback prepares a hook's call: the secret is recorded with the effect.
func (r *Runner) offerCallback(ctx context.Context) (context.Context, string) {
	if !r.opts.Callbacks {
		return ctx, ""
	}
	secret := r.receipt()
	return context.WithValue(ctx, callbackKey{}, secret), secret
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
