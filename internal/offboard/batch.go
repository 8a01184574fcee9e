package offboard

// A batch is many cases that wait for one word: what one change to an access
// group would do, what the brake caught, or what was live when the mode changed
// to enforce. A word about one of them from an operator takes that case out; of
// a changed group's also one from the identity provider: from then on the case
// does not hang on the change.

// Batched reports whether the case still waits for a word about its batch. One
// that was released, and that an operator held later for itself, does not.
func (c Case) Batched() bool {
	return c.Batch != "" && c.State == StateHeld && !c.Cleared
}

// ReleaseBatched is Release for one case of a batch. It is refused where the
// case no longer waits for the batch.
func ReleaseBatched(f File, by, because string) (Update, error) {
	if err := stillBatched(f, by); err != nil {
		return Update{}, err
	}
	return Release(f, by, because)
}

// CancelBatched is Cancel for one case of a batch. Because is required: it is
// what stands in each of the timelines. It is refused where the case no longer
// waits for the batch.
func CancelBatched(f File, by, because string) (Update, error) {
	if because == "" {
		return Update{}, incomplete("say because of what the batch is cancelled: it stands in the timeline of each of its cases")
	}
	if err := stillBatched(f, by); err != nil {
		return Update{}, err
	}
	return Cancel(f, by, because)
}

func stillBatched(f File, by string) error {
	if err := decidable(f, by); err != nil {
		return err
	}
	if !f.Case.Batched() {
		return refused("the case no longer waits for the batch: %s", standing(f.Case))
	}
	return nil
}
