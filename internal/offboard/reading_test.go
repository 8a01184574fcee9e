package offboard_test

import (
	"testing"
	"time"

	"offramp/internal/offboard"
)

func TestHowALookIsAnswered(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	// 5,000 members, 51 requests: readings begin 21 minutes and 15 seconds apart.
	large := offboard.Reading{Size: 5000, Blocks: 1}
	read := func(r offboard.Reading, ago time.Duration) offboard.Reading {
		r.Number, r.Began, r.Moved = 7, now.Add(-ago), now.Add(-ago)
		return r
	}
	reads := func(r offboard.Reading, who string, moved time.Duration) offboard.Reading {
		r = read(r, 5*time.Minute)
		r.Reader, r.Moved, r.Pages = who, now.Add(-moved), 20
		return r
	}
	with := func(r offboard.Reading, change func(*offboard.Reading)) offboard.Reading { change(&r); return r }
	small := offboard.Reading{Size: 40, Blocks: 1}
	for what, row := range map[string]struct {
		is     offboard.Reading
		alone  bool // the look does not wait for others
		asked  int
		want   offboard.Way
		begins bool
		until  time.Duration
	}{
		"in a small organization everybody reads at once": {is: small, asked: 1, want: offboard.ReadList, begins: true},
		"also who waits for nobody":                       {is: small, alone: true, want: offboard.ReadList, begins: true},
		"who waits for nobody does not wait for a reader": {is: reads(small, "b", 0), alone: true, want: offboard.AskDirectly},
		"the others come again in a moment":               {is: reads(small, "b", 0), asked: 1, want: offboard.AwaitList, until: 15 * time.Second},
		"one's own reading is gone on with":               {is: reads(small, "a", 0), alone: true, want: offboard.ReadList},
		"a few looks at a large one are asked directly":   {is: large, asked: 12, want: offboard.AskDirectly},
		"many read": {is: large, asked: 13, want: offboard.ReadList, begins: true},
		"who waits for nobody never reads a long list": {is: large, alone: true, want: offboard.AskDirectly},
		"many wait until the next reading may begin":   {is: read(large, time.Minute), asked: 13, want: offboard.AwaitList, until: 20*time.Minute + 15*time.Second},
		"and then read": {is: read(large, 22*time.Minute), asked: 13, want: offboard.ReadList, begins: true},
		"a clock that was set back keeps nobody waiting":      {is: read(large, -time.Hour), asked: 13, want: offboard.ReadList, begins: true},
		"what a reading has cost is not lost on a few":        {is: reads(large, "b", time.Second), asked: 1, want: offboard.AwaitList, until: 5 * time.Minute},
		"its own process goes on with it":                     {is: reads(large, "a", time.Second), asked: 1, want: offboard.ReadList},
		"but not while it has no slot, until it will be over": {is: with(reads(large, "a", 0), func(r *offboard.Reading) { r.Rest = now.Add(30 * time.Second) }), asked: 1, want: offboard.AwaitList, until: 5 * time.Minute},
		"nor before it has one":                               {is: with(reads(large, "a", 0), func(r *offboard.Reading) { r.Rest = now.Add(8 * time.Minute) }), asked: 1, want: offboard.AwaitList, until: 8*time.Minute + time.Second},
		"a reader that rests is alive":                        {is: with(reads(large, "b", 5*time.Minute), func(r *offboard.Reading) { r.Rest = now.Add(-30 * time.Second) }), asked: 40, want: offboard.AwaitList, until: 5 * time.Minute},
		"one that is silent for a minute is dead":             {is: reads(large, "b", 61*time.Second), asked: 40, want: offboard.AwaitList, until: 16*time.Minute + 15*time.Second},
		"in a small organization another begins anew":         {is: reads(small, "b", 61*time.Second), asked: 1, want: offboard.ReadList, begins: true},
		"a reading that rested too long is begun anew":        {is: with(reads(small, "a", 11*time.Minute), func(r *offboard.Reading) { r.Rest = now }), asked: 1, want: offboard.ReadList, begins: true},
		"while the list is doubted everybody asks directly":   {is: with(small, func(r *offboard.Reading) { r.Doubt = now.Add(time.Minute) }), asked: 40, want: offboard.AskDirectly},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			name := "case/verify/0"
			if row.alone {
				name = ""
			}
			before := row.is
			way, until, note := row.is.Answer(name, "a", row.asked, now)
			if begins := row.is.Number == before.Number+1; way != row.want || begins != row.begins {
				t.Errorf("way %d, begins %v; want %d, %v", way, begins, row.want, row.begins)
			}
			if row.begins && (row.is.Reader != "a" || !row.is.Began.Equal(now)) {
				t.Errorf("begun as %+v", row.is)
			}
			if way == offboard.AwaitList && (note == "" || !until.Equal(now.Add(row.until))) {
				t.Errorf("until %s from now (%s), want %s", until.Sub(now), note, row.until)
			}
		})
	}
}

// TestOneComesToBeginTheNextReading sends the others when it will be over.
func TestOneComesToBeginTheNextReading(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	r := offboard.Reading{Size: 5000, Blocks: 1, Number: 1, Began: now.Add(-time.Minute)}
	_, first, _ := r.Answer("one", "a", 40, now)
	_, other, _ := r.Answer("two", "b", 40, now)
	_, again, _ := r.Answer("one", "b", 40, now)
	if !first.Equal(again) || !other.After(first.Add(time.Minute)) {
		t.Errorf("%s, %s and %s", first, other, again)
	}
}
