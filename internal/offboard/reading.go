package offboard

import (
	"fmt"
	"time"
)

const (
	// smallList is up to how many members reading the whole list costs about as
	// much as asking for one address.
	smallList = 300
	// readingPace is how much time a reading of the list is given per request: while
	// many wait, one follows the other so slowly that this is what they take of
	// the budget on average.
	readingPace = 25 * time.Second
	// longestReading is how long a look waits at most for a reading to begin, and how
	// long a list is not believed.
	longestReading = time.Hour
	// shortestDoubt is how long a list is not believed at least.
	shortestDoubt = 5 * time.Minute
	// perRequest is what one request of a reading takes where nothing else is
	// known: the 40 requests a minute of the default rate that are not kept for incidents.
	perRequest = 1500 * time.Millisecond
	// readingStalled is how long a reading may rest before it is begun anew: what it has
	// seen until then says too little about now.
	readingStalled = 10 * time.Minute
	// readerSilent is after how long without a word, behind the rest that it asked for, a
	// reader is taken to be dead.
	readerSilent = time.Minute
)

// Reading is how it stands with reading one organization's member list. All
// replicas share it: one of them reads, the others wait for what it saw.
type Reading struct {
	Organization string
	Number       int64     // of the newest one that began; 0: none did
	Began        time.Time // when that was
	Reader       string    // the process that is at it; empty: nobody
	Moved        time.Time // its last progress
	Pages        int       // requests answered
	Rest         time.Time // until when the budget has no slot for it
	Starter      string    // the look that was told to begin the next one
	Doubt        time.Time // until when the list is not believed
	Size         int       // members, as last announced; negative: not known
	Blocks       int       // requests that reading the groups takes
	List         int64     // number of the newest list that counts; 0: there is none
	ListBegan    time.Time // it counts from when it began, whatever was read later
}

// Way is how a look at one address is answered.
type Way int

// The ways.
const (
	AskDirectly Way = iota
	ReadList        // begin a reading, which is done already, or go on with it
	AwaitList
)

// Small reports whether every look is answered by a reading at once.
func (r *Reading) Small() bool { return r.Size <= smallList }

// Cost is how many requests a whole reading takes.
func (r *Reading) Cost() int { return (max(r.Size, 1)+99)/100 + max(r.Blocks, 1) }

// Patience is how far apart readings begin while many wait for them. A list
// without order takes several.
func (r *Reading) Patience() time.Duration {
	return min(time.Duration(max(r.Cost(), r.Pages))*readingPace, longestReading)
}

// Counted says which looks may share a reading with one that comes now: those
// that came after since, and those that were to come again after waiting. What
// came before forget is forgotten.
func (r *Reading) Counted(now time.Time) (since, waiting, forget time.Time) {
	return now.Add(-r.Patience()), now.Add(-readingStalled), now.Add(-2 * longestReading)
}

// Mine reports whether the reader is the one at a reading.
func (r *Reading) Mine(reader string, number int64) bool {
	return r.Reader == reader && r.Number == number
}

// underway reports whether a reading goes on. A process knows that it lives
// itself; others take it for dead when it is silent.
func (r *Reading) underway(reader string, now time.Time) bool {
	rested := now.Sub(r.Moved)
	if r.Reader == "" || rested < 0 || rested > readingStalled {
		return false
	}
	return r.Reader == reader || now.Before(r.Moved.Add(readerSilent)) || now.Before(r.Rest.Add(readerSilent))
}

// Answer says how a look is answered, and for AwaitList when to look again and
// why. A look without a name waits for nobody; asked is how many may share a
// reading, this one included, because they came within Patience or still wait.
//
// Few looks at a large organization are asked directly, a request each and now
// and then one for the groups. Where as many come within Patience that this
// would cost a good part of a reading, they wait for one: it serves first looks
// of some and later looks of others.
func (r *Reading) Answer(look, reader string, asked int, now time.Time) (w Way, until time.Time, note string) {
	going := r.underway(reader, now)
	switch {
	case now.Before(r.Doubt) && r.Doubt.Sub(now) <= longestReading: // beyond that the clock was set back
		return AskDirectly, time.Time{}, ""
	case r.Small() && !going:
		return r.begin(reader, now), time.Time{}, ""
	case r.Small() && r.Reader == reader:
		return ReadList, time.Time{}, ""
	case look == "" || !going && 4*asked < r.Cost():
		return AskDirectly, time.Time{}, ""
	case going && (r.Reader != reader || now.Before(r.Rest) && r.Rest.Sub(now) < longestReading):
		return AwaitList, r.Over(now), r.Progress()
	case going:
		return ReadList, time.Time{}, ""
	case r.Began.IsZero() || r.Began.After(now) || !now.Before(r.Began.Add(r.Patience())):
		return r.begin(reader, now), time.Time{}, ""
	}
	begin := r.Began.Add(r.Patience())
	until = begin.Add(time.Duration(r.Cost()) * perRequest)
	if r.Starter == "" || r.Starter == look { // one comes to begin it, the others when it will be over
		r.Starter, until = look, begin
	}
	return AwaitList, until, "the member list is read for everybody who waits at " + begin.UTC().Format("15:04:05 MST")
}

func (r *Reading) begin(reader string, now time.Time) Way {
	r.Number++
	r.Began, r.Moved, r.Reader, r.Pages, r.Rest, r.Starter = now, now, reader, 0, time.Time{}, ""
	return ReadList
}

// Over is when a reading that goes on will be over, as it went until now. Thousands
// may wait for that: they do not come each time the budget lets it rest, when the
// look goes on that was at it. Should that one be gone, another one comes before
// the reading is too old to go on with.
func (r *Reading) Over(now time.Time) time.Time {
	each := perRequest
	if r.Pages > 2 && now.After(r.Began) {
		each = now.Sub(r.Began) / time.Duration(r.Pages)
	}
	left := min(max(time.Duration(max(r.Cost()-r.Pages, 1))*each, 2*time.Second), readingStalled/2)
	if r.Rest.After(now) && r.Rest.Sub(now) < longestReading {
		left = max(left, r.Rest.Sub(now)+time.Second)
	}
	return now.Add(left)
}

// Progress tells how far a reading has come.
func (r *Reading) Progress() string {
	return fmt.Sprintf("the member list is being read for everybody who waits, %d of about %d requests are done",
		r.Pages, r.Pages+max(r.Cost()-r.Pages, 1))
}

// Distrust gives a reading up: until the list may be good again, everybody is
// asked for directly. The list before it stays, to judge the next one by.
func (r *Reading) Distrust(now time.Time) {
	r.Reader, r.Doubt = "", now.Add(max(r.Patience(), shortestDoubt))
}
