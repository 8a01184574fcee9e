package offboard

import (
	"fmt"
	"strings"
)

// BrakedCase is a case that a brake concerns, with what was done already. What
// was taken and given back again is not in it.
type BrakedCase struct {
	Case    Case
	Done    map[StepName]int // what changed, by step
	Perhaps map[StepName]int // what was begun and not answered yet: it may have changed as well
}

// NothingDone is what Told says of a case that changed nothing.
const NothingDone = "nothing changed in Amplitude"

// NoMember is the answer of a removal that found nobody to remove.
const NoMember = "no such member"

// Braked counts what a case changed, by its effects and by the rotations that
// serve it. A seat that was asked about again, or under several addresses, is
// one; a credential that was replaced before the case opened is none.
func Braked(c Case, effects []Effect, rotations []Rotation) BrakedCase {
	b := BrakedCase{Case: c, Done: map[StepName]int{}, Perhaps: map[StepName]int{}}
	state := map[string]EffectState{}
	for _, e := range effects {
		state[string(e.Step)+"/"+e.Object] = e.State
	}
	removed := map[string]EffectState{}
	for _, e := range effects {
		org, rest, _ := strings.Cut(e.Object, "/")
		undo := org + "/undo/" + rest
		switch {
		case strings.HasPrefix(rest, "undo/"), state[string(e.Step)+"/"+undo] == EffectDone:
		case e.Step == StepRemove && strings.HasPrefix(e.Response, NoMember):
		case e.Step == StepRemove:
			if removed[org] != EffectDone {
				removed[org] = e.State
			}
		default:
			b.count(e.Step, e.State == EffectDone)
		}
	}
	for _, is := range removed {
		b.count(StepRemove, is == EffectDone)
	}
	for _, r := range rotations {
		switch {
		case !r.Minted.IsZero() && !r.Minted.Before(c.Opened):
			b.count(StepRotate, true)
		case r.Minted.IsZero() && r.Op == OpRotate:
			b.count(StepRotate, false)
		}
	}
	return b
}

func (b BrakedCase) count(s StepName, done bool) {
	if done {
		b.Done[s]++
		return
	}
	b.Perhaps[s]++
}

// Told says in words what was already done.
func (b BrakedCase) Told() string {
	var parts []string
	for _, s := range []struct {
		step StepName
		text string
	}{
		{StepContain, "access taken away in advance (%d)"},
		{StepRevoke, "access reduced (%d)"},
		{StepHandover, "handed over (%d)"},
		{StepRotate, "credentials replaced (%d)"},
		{StepRemove, "removed from organizations (%d)"},
	} {
		if n := b.Done[s.step]; n > 0 {
			parts = append(parts, fmt.Sprintf(s.text, n))
		}
		if n := b.Perhaps[s.step]; n > 0 {
			parts = append(parts, "perhaps "+fmt.Sprintf(s.text, n)+": not answered yet")
		}
	}
	if len(parts) == 0 {
		return NothingDone
	}
	return strings.Join(parts, ", ")
}
