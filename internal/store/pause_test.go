package store_test

import (
	"strings"
	"testing"
	"time"

	"offramp/internal/offboard"
)

func TestPausesAreKeptWithWhoBeganAndEndedThem(t *testing.T) {
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, clock := d.open(t)
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			began := clock.now()
			must(s.Pause(t.Context(), "kim", "a wrong import"))
			clock.pass(time.Minute)
			err := s.Pause(t.Context(), "lee", "audit")
			if err == nil || !strings.Contains(err.Error(), "paused already, by kim since "+began.UTC().Format(time.RFC3339)+": a wrong import") {
				t.Errorf("a second pause: %v", err)
			}
			if p, err := s.Paused(t.Context()); err != nil || p == nil || *p != (offboard.Pause{By: "kim", Why: "a wrong import", At: began.UTC()}) {
				t.Errorf("in force is %+v, %v", p, err)
			}
			clock.pass(time.Hour)
			must(s.Resume(t.Context(), "lee", "the import is undone"))
			must(s.Resume(t.Context(), "sam", "again")) // there is nothing to end
			clock.pass(time.Hour)
			must(s.Pause(t.Context(), "lee", "audit"))
			clock.pass(time.Hour)
			must(s.Resume(t.Context(), "kim", ""))

			past, err := s.PastPauses(t.Context(), 5)
			must(err)
			if len(past) != 2 || past[0].By != "lee" || past[0].ResumedBy != "kim" {
				t.Fatalf("over are %+v", past)
			}
			want := offboard.Pause{
				By: "kim", Why: "a wrong import", At: began.UTC(),
				Resumed: began.Add(61 * time.Minute).UTC(), ResumedBy: "lee", ResumedWhy: "the import is undone",
			}
			if past[1] != want {
				t.Errorf("the first was %+v, want %+v", past[1], want)
			}
			if p, err := s.Paused(t.Context()); p != nil || err != nil {
				t.Errorf("in force is %+v, %v", p, err)
			}
		})
	}
}
