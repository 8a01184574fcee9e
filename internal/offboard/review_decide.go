package offboard

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ReviewWord is a reviewer's decision about one seat.
type ReviewWord struct {
	Decision ReviewDecision `json:"decision"` // Undecided: the decision before was taken back
	By       string         `json:"by"`
	Because  string         `json:"because"`
	At       time.Time      `json:"at"`
}

// ReviewDecided tells what became of a word about the seats of one address.
type ReviewDecided struct {
	Address string `json:"address"`
	Seats   int    `json:"seats"`             // that were decided upon
	Refused string `json:"refused,omitempty"` // why they were not
	Waits   string `json:"waits,omitempty"`   // decided, but why nothing carries it out yet
}

// Decidable tells whether a word may be said in a review at all, about whomever.
func Decidable(r Review, w ReviewWord) error {
	switch {
	case strings.TrimSpace(w.By) == "":
		return incomplete("say who decides")
	case !slices.Contains(ReviewDecisions(), w.Decision):
		return incomplete("decide keep, downgrade or remove")
	case strings.TrimSpace(w.Because) == "":
		return incomplete("say because of what: it is what an auditor will read")
	case r.State == ReviewReading:
		return refused("the members are still being read; decide when the review is open")
	case r.State != ReviewOpen:
		return refused("the review is %s: nothing is decided any more", r.State)
	}
	return nil
}

// DecideItem records a decidable word about a seat, of whose address holders are
// the people. What was decided already stays decided, and who says so too is
// written down; another decision is taken unless a case carries the one before
// out.
func DecideItem(item ReviewItem, w ReviewWord, holders []Person, now time.Time) (ReviewItem, error) {
	if reviewsThemselves(item, w.By, holders) {
		return item, refused("%s is the member, and nobody reviews their own access; ask somebody else", w.By)
	}
	item = TakeBack(item, now)
	w.Because, w.At = strings.TrimSpace(w.Because), now
	switch {
	case item.Decision == w.Decision:
		if last := item.Words; len(last) == 0 || last[len(last)-1].By != w.By || last[len(last)-1].Because != w.Because {
			item.Words = append(item.Words, w)
		}
		return item, nil
	case item.Case != "" && item.CaseOutcome == "":
		return item, refused("a case carries out that decision already; cancel it with: offramp cases cancel %s", item.Case)
	case item.CaseOutcome == OutcomeRemoved || item.CaseOutcome == OutcomeReduced || item.CaseOutcome == OutcomeNoSeat:
		return item, refused("case %s has carried out another decision already: %s", item.Case, item.Decision)
	case item.Joined:
		return item, refused("the member joined after the review had begun; the next one is about them")
	}
	item.Decision, item.By, item.Because, item.Decided = w.Decision, w.By, w.Because, w.At
	item.Case, item.CaseOutcome, item.Note = "", "", ""
	item.Words = append(item.Words, w)
	return item, nil
}

// Unremarkable reports whether a reviewer may decide about a seat without
// looking at it: it is undecided, and nothing stands out. holders are the people
// of its address.
func (i ReviewItem) Unremarkable(by string, holders []Person) bool {
	return i.Decision == Undecided && len(i.Reasons) == 0 && !i.Joined && !reviewsThemselves(i, by, holders)
}

func reviewsThemselves(item ReviewItem, by string, holders []Person) bool {
	return samePerson(by, item.Address) || slices.ContainsFunc(holders, func(p Person) bool { return p.isCalled(by) })
}

// TakeBack makes a seat undecided again whose case was cancelled: that the case
// should not be is a newer word than the decision, and only a reviewer's next one
// opens another.
func TakeBack(item ReviewItem, now time.Time) ReviewItem {
	if item.CaseOutcome != OutcomeCancelled {
		return item
	}
	item.Note = fmt.Sprintf("undecided again: %s said %s, and case %s, which carried that out, was cancelled", item.By, item.Decision, item.Case)
	item.Words = append(item.Words, ReviewWord{By: "offramp", Because: item.Note, At: now})
	item.Decision, item.By, item.Because, item.Decided, item.Case, item.CaseOutcome = Undecided, "", "", time.Time{}, "", ""
	return item
}

// TakesAway reports whether a decision has to be carried out and is not yet.
func (i ReviewItem) TakesAway() bool {
	return (i.Decision == ReviewRemove || i.Decision == ReviewDowngrade) && i.Case == ""
}

// CarryOut tells how the decision about a person's seat becomes a case. A live
// one is taken for it only where it does what was decided and depends on nothing
// else; otherwise that is refused, and to be asked again. downgrade is the policy
// of downgrades.
func CarryOut(p Person, prior PriorCase, item ReviewItem, downgrade string, r Rules, now time.Time) (*Decision, Verdict, error) {
	reduces := item.Decision == ReviewDowngrade
	why := fmt.Sprintf("%s (access review %s)", item.Because, item.Review)
	order := Order{Reason: AccessReview, By: item.By, Why: why}
	if reduces {
		order.Policy = downgrade
	}
	switch {
	case prior.Live && prior.Ending:
		return nil, Verdict{}, refused("the case that is live for this person is being cancelled; when it has ended, another one opens")
	case prior.Live && (prior.Batched || prior.Braked):
		return nil, Verdict{}, refused("the case that is live for this person is held with many others; release or cancel it, then this goes on")
	}
	d, v, err := OpenBy(p, prior, order, r, now)
	if no, ok := errors.AsType[*RefusedError](err); ok && !no.Incomplete && prior.Live {
		same := prior.Plan != Mover
		if reduces {
			same = prior.Plan == Mover && prior.Policy.Name == downgrade
		}
		if !same {
			return nil, Verdict{}, err
		}
		return p.Removal, Verdict{Poke: true, By: item.By, Trace: "the access review decided the same: " + why}, nil
	}
	if err != nil {
		return nil, Verdict{}, err
	}
	if o := cmp.Or(v.Open, v.Join); o != nil && (o.Plan == Mover) != reduces {
		return nil, Verdict{}, refused("the policy %s would apply, and its plan is %s, which does not %s; "+
			"let another policy apply to the reason %s", o.Policy.Name, o.Plan, item.Decision, AccessReview)
	}
	if v.Join != nil {
		v.By, v.Trace = item.By, "decided in the access review: "+why
	}
	return d, v, nil
}
