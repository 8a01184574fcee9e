package offboard

import (
	"strings"
	"time"
)

// Review is one access review: everybody with a seat is looked at, and a person
// decides whether they keep it. At most one is live.
type Review struct {
	ID       string
	State    ReviewState
	By       string // who began it
	Note     string // what could not be seen
	Started  time.Time
	Read     time.Time // when every member had been read; zero before
	Due      time.Time
	Compared time.Time // when every member had been read again; zero before
	Closed   time.Time
	ClosedBy string
	Trouble  string    // why the members cannot be read, while they cannot
	Troubled time.Time // since when; zero: there is no trouble
}

// BySchedule began a review that nobody asked for.
const BySchedule = "schedule"

// ReviewState is how far a review has come.
type ReviewState string

// The states of a review.
const (
	ReviewReading   ReviewState = "reading"   // members are being read
	ReviewOpen      ReviewState = "open"      // people decide
	ReviewComparing ReviewState = "comparing" // everything is decided; members are being read again
	ReviewClosed    ReviewState = "closed"
)

// Live reports whether anything about the review can still change.
func (r Review) Live() bool { return r.State != ReviewClosed }

// Next is when the review after this one begins; zero: when somebody asks. Until
// then this one may be decided, and at least until it is due.
func (r Review) Next(every time.Duration) time.Time {
	switch next := r.Started.Add(every); {
	case every == 0:
		return time.Time{}
	case r.Live() && r.Due.After(next):
		return r.Due
	default:
		return next
	}
}

// End ends the deciding: what comes is the comparison. A review whose members
// cannot be read ends without one.
func (r Review) End(by string, now time.Time) (Review, error) {
	switch {
	case r.State == ReviewClosed:
		return r, refused("the review is closed already")
	case r.State == ReviewOpen:
		r.State, r.ClosedBy = ReviewComparing, by
		return r, nil
	case r.State == ReviewReading && r.Trouble == "":
		return r, refused("the members are still being read; nothing has been decided yet")
	case r.State == ReviewReading:
		r.Note = "given up before everybody had been read: " + r.Trouble
	case r.Trouble == "":
		return r, nil // it is being compared
	default:
		r.Note = strings.TrimPrefix(r.Note+"; not compared: "+r.Trouble, "; ")
	}
	r.State, r.ClosedBy, r.Closed = ReviewClosed, by, now
	r.Trouble, r.Troubled = "", time.Time{}
	return r, nil
}

// ReviewItem is one seat under review.
type ReviewItem struct {
	Review       string
	Organization string
	Address      string
	Name         string
	Person       string // our id; empty: no identity provider knows the address
	Connection   string // of Person
	Seat         ReviewedSeat
	Reasons      []string // to look closely; none: nothing stands out
	Decision     ReviewDecision
	By           string
	Because      string
	Decided      time.Time
	Case         string        // that carries the decision out; empty: none (yet)
	CaseOutcome  Outcome       // how Case ended, cancelled as soon as somebody says so; empty: it is live, or there is none
	Note         string        // why nothing carries the decision out, or why there is none any more; empty: nothing to say
	Words        []ReviewWord  // everything that was said, in order; lists of many seats may leave it out
	After        *ReviewedSeat // as it was after the decisions were carried out; nil: not compared yet
	Joined       bool          // came while the review was open: it was not decided upon
}

// ReviewDecision is what a reviewer says about a seat.
type ReviewDecision string

// The decisions. The zero value means that nobody has decided.
const (
	Undecided       ReviewDecision = ""
	ReviewKeep      ReviewDecision = "keep"
	ReviewDowngrade ReviewDecision = "downgrade"
	ReviewRemove    ReviewDecision = "remove"
)

// ReviewDecisions lists what can be decided.
func ReviewDecisions() []ReviewDecision {
	return []ReviewDecision{ReviewKeep, ReviewDowngrade, ReviewRemove}
}

// ReasonsToLook says in words why a reviewer should look closely at a seat.
// guest tells that the address's domain is none of any connection's.
func ReasonsToLook(s ReviewedSeat, known, entitled, guest bool) []string {
	var out []string
	add := func(holds bool, why string) {
		if holds {
			out = append(out, why)
		}
	}
	add(!known, "no identity provider knows them")
	add(known && !entitled, "not entitled at the identity provider")
	add(guest, "guest domain")
	add(s.Inactive, "no login for a long time")
	add(s.Pending, "invited and never joined")
	add(s.Admin, "admin")
	add(len(s.SoleIn) > 0, "the only admin of "+strings.Join(s.SoleIn, ", "))
	return out
}

// Progress counts a review's seats by what was decided.
type Progress struct {
	Seats     int                    `json:"seats"`
	Undecided int                    `json:"undecided"`
	Striking  int                    `json:"undecided_with_reasons"` // undecided, with a reason to look
	Decided   map[ReviewDecision]int `json:"decided"`
	Open      int                    `json:"cases_open"` // decided, not carried out yet
}

// Counted is how many seats of a review stand alike.
type Counted struct {
	Decision  ReviewDecision
	Striking  bool // with a reason to look
	Uncarried bool // no case carries it out
	Live      bool // the case has not ended
	Number    int
}

// ProgressOf adds up.
func ProgressOf(all []Counted) Progress {
	p := Progress{Decided: map[ReviewDecision]int{}}
	for _, c := range all {
		p.Seats += c.Number
		switch {
		case c.Decision == Undecided:
			p.Undecided += c.Number
			if c.Striking {
				p.Striking += c.Number
			}
			continue
		case c.Decision != ReviewKeep && (c.Uncarried || c.Live):
			p.Open += c.Number
		}
		p.Decided[c.Decision] += c.Number
	}
	return p
}

// Done reports whether nothing is left to decide or to carry out.
func (p Progress) Done() bool { return p.Undecided == 0 && p.Open == 0 }
