package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// verified is the record of the looks that prove an absence.
type verified struct {
	Looks   []look `json:"looks"`
	Changed string `json:"address_changed_hands,omitempty"`
}

// look is one reading. It stands for several where their times had passed
// together: what was read once is not told as if it had been read twice.
type look struct {
	Number  int        `json:"number"`            // 0 is the first one
	Through int        `json:"through,omitempty"` // the last one it stands for; 0: Number
	Seen    []sighting `json:"seen"`
	Note    string     `json:"note,omitempty"`
}

// next is the number of the look that is to follow.
func (v verified) next() int {
	if len(v.Looks) == 0 {
		return 0
	}
	l := v.Looks[len(v.Looks)-1]
	return max(l.Number, l.Through) + 1
}

// sentence tells how often the seat was seen to be absent.
func (v verified) sentence() string {
	joined := 0
	for _, l := range v.Looks {
		joined += max(l.Through-l.Number, 0)
	}
	text := fmt.Sprintf("verify: absent in %d looks", len(v.Looks))
	if len(v.Looks) == 1 {
		text = "verify: absent in 1 look"
	}
	if joined > 0 {
		text += fmt.Sprintf("; they stand for %d, because times had passed together", len(v.Looks)+joined)
	}
	return text
}

// verify looks whether the seat is really gone: at once, and after the
// configured times. An absence counts only with a positive control. The first
// look may lag behind; a seat that is there afterwards is a person's question.
func verify(ctx context.Context, a *attempt, s *offboard.Step) (outcome, error) {
	if a.file.Case.Plan == offboard.Mover {
		return verifyReduced(ctx, a, s)
	}
	res := verified{}
	if len(s.Result) > 0 {
		if err := json.Unmarshal(s.Result, &res); err != nil {
			return outcome{}, fmt.Errorf("read the looks so far: %w", err)
		}
	}
	since := a.file.Case.Removed
	for number := res.next(); number <= len(a.opts.Verify); number = res.next() {
		if holder := a.file.Standing.HeldBy; holder != "" {
			if number == 0 {
				return outcome{attention: "somebody else took the address before its absence could be proven; " +
					"check in Amplitude who has the seat, then resolve the case"}, nil
			}
			res.Changed = "somebody else took the address; the watch ends"
			return outcome{result: res, say: "verify: " + res.Changed, update: offboard.Update{Verified: a.now()}}, nil
		}
		if a.file.Standing.Entitled && !a.file.Case.Incident() {
			res.Changed = "entitled again; the watch ends"
			return outcome{result: res, say: "verify: " + res.Changed}, nil
		}
		at := a.lookAt(number, since)
		if a.now().Before(at) {
			return outcome{
				result: res, wait: offboard.WaitVerify, until: at, meanwhile: number > 0,
				note: fmt.Sprintf("look %d of %d", number+1, len(a.opts.Verify)+1),
			}, nil
		}
		l, out, err := a.lookOnce(ctx, number, at, since)
		if later, ok := errors.AsType[*laterError](err); ok {
			return outcome{
				result: res, wait: offboard.WaitVerify, until: later.until, meanwhile: number > 0,
				note: fmt.Sprintf("look %d of %d: %s", number+1, len(a.opts.Verify)+1, later.note),
			}, nil
		}
		if err != nil {
			return outcome{}, err
		}
		if !out.zero() {
			out.result = res
			if out.attention != "" {
				out.result = verified{}
			}
			return out, nil
		}
		res.Looks = append(res.Looks, l)
		if number == 0 {
			if err := a.firstLook(ctx, s, res); err != nil {
				return outcome{}, err
			}
		}
	}
	return outcome{result: res, say: res.sentence()}, nil
}

// lookAt is when a look is due. The first one of an ordinary case waits a
// little, so that cases share what is read.
func (a *attempt) lookAt(number int, since time.Time) time.Time {
	if number > 0 {
		return since.Add(a.opts.Verify[number-1])
	}
	if a.file.Case.Incident() {
		return since
	}
	return since.Add(a.opts.Gather)
}

func (a *attempt) lookOnce(ctx context.Context, number int, at, since time.Time) (look, outcome, error) {
	l := look{Number: number}
	targets, err := a.watched()
	if err != nil {
		return l, outcome{}, err
	}
	for _, t := range targets {
		s, err := a.sight(ctx, t, number, at, since)
		if err != nil {
			return l, outcome{}, err
		}
		if s.clear() {
			l.Seen = append(l.Seen, s)
			continue
		}
		// A list may lag: look again, until it has lagged too long.
		if lagging := a.now().Sub(since) < a.opts.Tolerance && number == 0; lagging {
			return l, outcome{
				wait: offboard.WaitVerify, until: a.now().Add(a.again()),
				note: "the seat still shows in " + t.org.Name + "; it may lag behind the removal",
			}, nil
		}
		return l, a.stillThere(t.org.Name, s.How, number), nil
	}
	for n := number + 1; n <= len(a.opts.Verify); n++ {
		due := a.lookAt(n, since)
		if slices.ContainsFunc(l.Seen, func(s sighting) bool { return s.At.Before(due) }) {
			break
		}
		l.Through = n
		l.Note = fmt.Sprintf("the times of looks %d to %d had passed when this was read; it counts once", number+1, n+1)
	}
	return l, outcome{}, nil
}

// sight reads one seat, not before a time. Ordinary cases share what is read.
// Whom a list still shows is asked for directly, because what others had read a
// while ago may be over; so is whom no list ever showed. That Amplitude then knows
// nobody is believed where its list, asked for the address alone, agrees.
func (a *attempt) sight(ctx context.Context, t target, number int, at, since time.Time) (sighting, error) {
	q := question{address: t.address, after: at, beyond: t.beyond}
	if a.file.Case.Incident() {
		share := amplitude.ShareVerify
		if number == 0 {
			share = amplitude.ShareIncident
		}
		client := t.org.Client.WithShare(share)
		s, err := t.org.roster.alone(ctx, client, q)
		if err == nil && s.clear() {
			s, _, err = t.org.roster.second(ctx, client, s)
		}
		return s, err
	}
	client := t.org.Client.WithShare(amplitude.ShareVerify)
	name := fmt.Sprintf("%s/verify/%d/%s", a.file.Case.ID, number, offboard.Fold(t.address))
	s, err := t.org.roster.shared(ctx, amplitude.ShareVerify, name, q)
	if err != nil || s.How == fromList && s.clear() && (!s.hidden || !t.ours) {
		return s, err
	}
	listed, contradicts := s, s.How == fromList && !s.clear()
	if s.How == fromList && s.clear() && number > 0 { // no list ever showed the seat, and it is proven that it went
		seen, asked, err := t.org.roster.second(ctx, client, s)
		if err != nil || asked && seen.clear() {
			return seen, err
		}
		contradicts = asked
	}
	if s.How == fromList || !s.clear() && s.At.Before(a.now()) {
		q.after = s.At.Add(time.Millisecond)
		if s, err = t.org.roster.ask(ctx, client, q); err != nil {
			return s, err
		}
	}
	if !s.clear() || number > 0 && !contradicts {
		return s, nil
	}
	s, asked, err := t.org.roster.second(ctx, client, s)
	if err == nil && !asked && contradicts { // only a later list can tell
		if late := since.Add(a.opts.Tolerance); listed.At.Before(late) {
			q.after = late
			return t.org.roster.shared(ctx, amplitude.ShareVerify, name, q)
		}
		return listed, nil
	}
	return s, err
}

// watched are the seats that have to be absent: what remove asked Amplitude to
// remove, and the case's address in every other organization within reach.
func (a *attempt) watched() ([]target, error) {
	var r removed
	if st := a.file.Step(offboard.StepRemove); st == nil || json.Unmarshal(st.Result, &r) != nil {
		return nil, &permanentError{text: "the record of the removal cannot be read; check in Amplitude, then resolve the case"}
	}
	var out []target
	seen := map[string]bool{}
	for _, s := range r.Seats {
		org := a.orgs[s.Organization]
		if org == nil {
			return nil, &permanentError{text: "organization " + s.Organization + ", where the person was removed, is not configured any more; " +
				"add it again, then retry"}
		}
		if s.left() {
			continue
		}
		seen[s.Organization+" "+offboard.Fold(s.Address)] = true
		out = append(out, target{org: org, address: s.Address, beyond: s.Reading, ours: true})
	}
	for _, org := range a.reach(a.file.Case.Connection) {
		if !seen[org.Name+" "+offboard.Fold(a.file.Case.Address)] && a.outside(a.file.Case.Address) == "" {
			out = append(out, target{org: org, address: a.file.Case.Address})
		}
	}
	if len(out) == 0 {
		return nil, &permanentError{text: "there is nothing to look for; check in Amplitude, then resolve the case"}
	}
	return out, nil
}

// stillThere leaves a removal that did not hold to a person; a retry removes again.
func (a *attempt) stillThere(org, how string, number int) outcome {
	text := "Amplitude answered the removal, but the seat is still there in " + org
	switch {
	case how != byAsking:
		text = "asked for the member directly, Amplitude knows nobody, but its member list still shows the seat in " + org
	case number > 0:
		text = "the seat is back in " + org + ": somebody invited them again, a group push or a login brought them back"
	}
	var steps []offboard.Step
	var r removed
	if st := a.file.Step(offboard.StepRemove); st != nil && json.Unmarshal(st.Result, &r) == nil {
		again := *st
		again.Result = encode(removed{Round: r.Round + 1, Before: r.Before})
		again.State, again.Finished = offboard.StepPending, time.Time{}
		steps = append(steps, again)
	}
	return outcome{
		attention: text + "; find the cause, then remove again with: offramp cases retry " + a.file.Case.ID,
		update:    offboard.Update{Steps: steps, Unverified: true},
	}
}

// firstLook records at once that the absence is proven: the lag ends here.
func (a *attempt) firstLook(ctx context.Context, s *offboard.Step, res verified) error {
	now := a.now()
	s.Result = encode(res)
	s.State = offboard.StepRunning
	if s.Started.IsZero() {
		s.Started = now
	}
	f, err := a.opts.Store.Checkpoint(ctx, a.fence, lease, func(f offboard.File) (offboard.Update, error) {
		u := offboard.Update{
			Steps:    []offboard.Step{*s},
			Timeline: []offboard.Entry{{Actor: "offramp", Kind: "verify", Text: "absence verified, with a positive control", Data: s.Result}},
		}
		if f.Case.Verified.IsZero() {
			u.Verified = now
		}
		return u, nil
	})
	if err != nil {
		return err
	}
	if a.file.Case.Verified.IsZero() {
		a.metrics.lag(f.Case)
	}
	a.file = f
	return nil
}
