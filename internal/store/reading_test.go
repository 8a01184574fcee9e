package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store"
)

// TestOfTwoProcessesOneReads lets two look at once: one of them begins, and what
// it read is there for both.
func TestOfTwoProcessesOneReads(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, clock := d.open(t)
			if r, err := s.Reading(t.Context(), "acme"); err != nil || r.Size >= 0 || r.Number != 0 {
				t.Fatalf("before anything was read: %+v, %v", r, err)
			}
			if _, _, _, err := s.MemberList(t.Context(), "acme"); !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
			if _, err := s.ChangeReading(t.Context(), "acme", func(r *offboard.Reading, _ time.Time) { r.Size = 40 }); err != nil {
				t.Fatal(err)
			}
			ways := make([]offboard.Way, 2)
			var both sync.WaitGroup
			for i := range ways {
				both.Go(func() {
					_, err := s.AskReading(t.Context(), "acme", fmt.Sprint("look ", i), func(r *offboard.Reading, asked int, now time.Time) (until time.Time) {
						ways[i], until, _ = r.Answer(fmt.Sprint("look ", i), fmt.Sprint("process ", i), asked, now)
						return until
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			both.Wait()
			r, err := s.Reading(t.Context(), "acme")
			if err != nil || r.Number != 1 || ways[0] == ways[1] || !r.Began.Equal(clock.now()) {
				t.Fatalf("ways %v, %+v, %v", ways, r, err)
			}
			packed := []byte{0, 1, 2, 255}
			mine, err := s.EndReading(t.Context(), "acme", "somebody else", 1, packed, func(*offboard.Reading) {})
			if err != nil || mine {
				t.Fatalf("somebody else ended it: %v, %v", mine, err)
			}
			if mine, err = s.EndReading(t.Context(), "acme", r.Reader, 1, packed, func(r *offboard.Reading) { r.Size = 41 }); err != nil || !mine {
				t.Fatalf("it is not its reader's: %v, %v", mine, err)
			}
			number, began, got, err := s.MemberList(t.Context(), "acme")
			if err != nil || number != 1 || !began.Equal(r.Began) || !bytes.Equal(got, packed) {
				t.Errorf("list %d of %s: %v, %v", number, began, got, err)
			}
			if r, err = s.Reading(t.Context(), "acme"); err != nil || r.Reader != "" || r.List != 1 || r.Size != 41 {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// TestLooksThatWaitAreCounted counts over all processes who may share a reading:
// each look once, until it no longer waits.
func TestLooksThatWaitAreCounted(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, clock := d.open(t)
			ask := func(look string, wait time.Duration) (n int) {
				t.Helper()
				_, err := s.AskReading(t.Context(), "acme", look, func(r *offboard.Reading, asked int, now time.Time) time.Time {
					r.Size, r.Blocks, n = 5000, 1, asked
					if wait == 0 {
						return time.Time{}
					}
					return now.Add(wait)
				})
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			ask("first", 0)
			ask("second", 90*time.Minute)
			if n := ask("second", 90*time.Minute); n != 2 {
				t.Errorf("%d looks, want 2: one came twice", n)
			}
			if _, err := s.AskReading(t.Context(), "other", "first", func(_ *offboard.Reading, asked int, _ time.Time) time.Time {
				if asked != 1 {
					t.Errorf("another organization counts %d", asked)
				}
				return time.Time{}
			}); err != nil {
				t.Fatal(err)
			}
			clock.pass(30 * time.Minute) // readings are 21 minutes apart
			if n := ask("third", 0); n != 2 {
				t.Errorf("%d looks, want 2: the first has had its answer", n)
			}
			clock.pass(2 * time.Hour)
			if n := ask("fourth", 0); n != 1 {
				t.Errorf("%d looks, want 1: whoever waited has gone another way", n)
			}
			clock.pass(-24 * time.Hour) // it was wrong
			if n := ask("fifth", 0); n != 1 {
				t.Errorf("%d looks, want 1: the others come from the future", n)
			}
		})
	}
}

func TestRemovalsOfOursAreKnownByAddress(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, clock := d.open(t)
			leave(t, s, staff(t, s, 1)[0])
			f, fence, err := s.Claim(t.Context(), cases(t, s)[0].ID, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			_, p, err := s.Intend(t.Context(), fence, offboard.Intent{Step: offboard.StepRemove, Key: "k", Object: "acme", Lease: time.Minute},
				func(offboard.File) offboard.Permission { return offboard.Permission{Allowed: true} })
			if err != nil || !p.Allowed {
				t.Fatal(p, err)
			}
			both := []string{f.Case.Address, "somebody@example.com"}
			for since, want := range map[time.Time]int{clock.now().Add(-time.Minute): 1, clock.now().Add(time.Minute): 0} {
				got, err := s.Removed(t.Context(), both, since)
				if err != nil || len(got) != want || want == 1 && !got[offboard.Fold(f.Case.Address)] {
					t.Errorf("since %s: %v, %v", since, got, err)
				}
			}
		})
	}
}
