package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// told lists whom the case concerns and what they should know.
type told struct {
	Messages []message `json:"messages"`
}

type message struct {
	To   string `json:"to"`
	Text string `json:"text"`
	Sent bool   `json:"sent"` // false: there is no way to tell them
}

// notify tells who has to know, and opens what is to be done elsewhere. Whom no
// channel or mail server reaches stands on the timeline all the same.
func notify(ctx context.Context, a *attempt, _ *offboard.Step) (outcome, error) {
	manager, err := a.manager(ctx)
	if err != nil {
		return outcome{}, err
	}
	to := a.audience()
	to.Manager = manager
	paper := to
	paper.Mail = true
	out := outcome{}
	out.update.Tasks = offboard.FollowUps(a.file, a.now())
	out.update.Messages = offboard.TellClosing(a.file, to, a.suspicious())
	var res told
	var names, unsent []string
	for _, m := range offboard.TellClosing(a.file, paper, "") {
		_, channel := m.Channel()
		reached := channel || to.Mail
		res.Messages = append(res.Messages, message{To: m.To, Text: m.Subject, Sent: reached})
		if reached {
			names = append(names, m.To)
		} else {
			unsent = append(unsent, m.To)
		}
	}
	var parts []string
	if len(names) > 0 {
		parts = append(parts, "messages for "+strings.Join(slices.Compact(names), ", "))
	}
	if len(unsent) > 0 {
		parts = append(parts, "tell them by hand, since notify.email is not set: "+strings.Join(slices.Compact(unsent), ", "))
	}
	if len(parts) == 0 {
		parts = []string{"nobody who has to be told is known"}
	}
	out.result, out.say = res, "notify: "+strings.Join(parts, "; ")
	if n := len(out.update.Tasks); n > 0 {
		out.say += fmt.Sprintf("; %d follow-up tasks", n)
	}
	return out, nil
}

// archive closes the case; the store writes the evidence bundle with it.
func archive(ctx context.Context, a *attempt, _ *offboard.Step) (outcome, error) {
	if _, err := a.opts.Store.Timeline(ctx, a.file.Case.ID); err != nil {
		return outcome{attention: err.Error()}, nil
	}
	f := a.file
	entitled := f.Standing.Entitled
	out := outcome{end: offboard.OutcomeRemoved, note: "the seat is removed and verified", still: func(f offboard.File) bool {
		return f.Standing.Entitled == entitled
	}}
	out.update.Messages = offboard.TellOwners(f, a.audience())
	if back, err := a.backMeanwhile(ctx); err != nil || !back.zero() {
		return back, err
	}
	switch {
	case f.Standing.Entitled:
		out.end = offboard.OutcomeRehired
		out.note = "entitled again after the removal: invite them again in Amplitude; what they owned does not come back"
	case f.Case.Plan == offboard.Mover:
		out.end, out.note = offboard.OutcomeReduced, a.reducedNote()
	case len(a.found().present()) == 0 && !a.anyRemoved():
		out.end, out.note = offboard.OutcomeNoSeat, "no organization had a seat for the address"
	}
	return out, nil
}

// backMeanwhile looks once more where an incident waited for people after its
// last look: what is closed as removed was seen to be so within the hour.
func (a *attempt) backMeanwhile(ctx context.Context) (outcome, error) {
	step := a.file.Step(offboard.StepVerify)
	if !a.file.Case.Incident() || a.file.Standing.Entitled || step == nil || a.now().Sub(step.Finished) < time.Hour {
		return outcome{}, nil
	}
	targets, err := a.watched()
	if err != nil {
		return outcome{}, err
	}
	for _, t := range targets {
		s, err := t.org.roster.alone(ctx, t.org.Client.WithShare(amplitude.ShareVerify), question{address: t.address, after: a.now()})
		if err != nil {
			return outcome{}, err
		}
		if s.clear() {
			continue
		}
		out := a.stillThere(t.org.Name, s.How, 1)
		again := *step
		again.Result, again.State, again.Finished = encode(verified{}), offboard.StepPending, time.Time{}
		out.update.Steps = append(out.update.Steps, again)
		return out, nil
	}
	return outcome{}, nil
}

// anyRemoved reports whether Amplitude confirmed the removal of any seat.
func (a *attempt) anyRemoved() bool {
	for _, e := range a.file.Effects {
		if e.Step == offboard.StepRemove && e.State == offboard.EffectDone && e.Response != offboard.NoMember {
			return true
		}
	}
	return false
}
