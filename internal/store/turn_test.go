package store_test

import (
	"testing"
	"time"
)

func TestWhoWorksKeepsTheirTurn(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, r *record) {
		t.Helper()
		turn := func(want bool, why string) {
			t.Helper()
			if mine, err := r.Turn(t.Context(), "review", 10*time.Second); err != nil || mine != want {
				t.Errorf("%s: %t %v", why, mine, err)
			}
		}
		postpone := func(by time.Duration) {
			t.Helper()
			if err := r.Postpone(t.Context(), "review", by); err != nil {
				t.Fatal(err)
			}
		}
		turn(true, "the first")
		postpone(time.Minute)
		r.move(59 * time.Second)
		turn(false, "while somebody works")
		postpone(10 * time.Second)
		r.move(10 * time.Second)
		turn(true, "when they are done")
		r.move(9 * time.Second)
		turn(false, "before the time is over")
	})
}
