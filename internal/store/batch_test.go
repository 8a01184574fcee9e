package store_test

import (
	"errors"
	"testing"

	"offramp/internal/offboard"
)

// TestOneWordForABatch empties an access group of five. One of them is
// deactivated, which takes that case out; of the others some are released and
// some are cancelled, each once.
func TestOneWordForABatch(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			ids := staff(t, s, 5)
			g := team(t, s, "Amplitude", ids...)
			regroup(t, s, g, replace())
			list := cases(t, s)
			if len(list) != 5 || !list[0].Batched() {
				t.Fatalf("cases: %+v", list)
			}
			batch := list[0].Batch
			change(t, s, list[0].PersonID, withAccess().Rules, func(p *offboard.Person) { p.Active = false })

			type rule func(f offboard.File, by, because string) (offboard.Update, error)
			say := func(k offboard.Case, r rule) (offboard.Case, error) {
				f, err := s.Act(t.Context(), k.ID, func(f offboard.File) (offboard.Update, error) { return r(f, "jo", "looked at") })
				return f.Case, err
			}
			for i, r := range []rule{offboard.ReleaseBatched, offboard.CancelBatched, offboard.ReleaseBatched, offboard.CancelBatched, offboard.CancelBatched} {
				k, err := say(list[i], r)
				_, isRefused := errors.AsType[*offboard.RefusedError](err)
				switch {
				case i == 0: // it hangs on the deactivation now
					if !isRefused {
						t.Errorf("a case that was taken out: %v", err)
					}
				case err != nil || k.State != offboard.StateRunning:
					t.Errorf("case %d: %s, %v", i, k.State, err)
				}
				if _, err := say(list[i], r); !isRefused && err == nil {
					t.Errorf("case %d was decided twice", i)
				}
			}
			found, err := s.Cases(t.Context(), offboard.CaseFilter{Batch: batch})
			if err != nil || len(found) != 5 {
				t.Fatalf("%d cases of the batch, %v", len(found), err)
			}
			endings := map[offboard.Ending]int{}
			for _, k := range found {
				endings[k.Ending]++
				if k.State == offboard.StateHeld {
					t.Errorf("still held: %+v", k)
				}
			}
			if endings[offboard.EndCancel] != 3 || found[0].Reason != offboard.Deactivated {
				t.Errorf("endings %v, the one who was deactivated: %s", endings, found[0].Reason)
			}
		})
	}
}
