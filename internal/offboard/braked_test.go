package offboard_test

import (
	"testing"
	"time"

	"offramp/internal/offboard"
)

func TestABrakeTellsExactlyWhatWasDone(t *testing.T) {
	t.Parallel()
	opened := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	done := func(s offboard.StepName, object string) offboard.Effect {
		return offboard.Effect{Step: s, Object: object, State: offboard.EffectDone}
	}
	begun := func(s offboard.StepName, object string) offboard.Effect {
		return offboard.Effect{Step: s, Object: object, State: offboard.EffectIntended}
	}
	nobody := done(offboard.StepRemove, "old/jo@example.com")
	nobody.Response = "no such member: somebody else removed them after the case opened"
	minted := func(at time.Time) offboard.Rotation {
		return offboard.Rotation{State: offboard.RotationMinted, Minted: at}
	}
	asked := offboard.Rotation{State: offboard.RotationOpen}
	asked.Op = offboard.OpRotate
	for _, c := range []struct {
		story     string
		effects   []offboard.Effect
		rotations []offboard.Rotation
		told      string
	}{
		{story: "nothing was begun", told: offboard.NothingDone},
		{
			story:   "a mover lost three accesses",
			effects: []offboard.Effect{done(offboard.StepRevoke, "acme/group/1"), done(offboard.StepRevoke, "acme/role/5/2/a"), done(offboard.StepRevoke, "acme/lower/6/2/b/3")},
			told:    "access reduced (3)",
		},
		{
			story: "one of two groups was given back",
			effects: []offboard.Effect{
				done(offboard.StepContain, "acme/group/1"), done(offboard.StepContain, "acme/group/2"), done(offboard.StepContain, "acme/undo/group/1"),
			},
			told: "access taken away in advance (1)",
		},
		{
			story:   "everything was given back",
			effects: []offboard.Effect{done(offboard.StepContain, "acme/group/1"), done(offboard.StepContain, "acme/undo/group/1")},
			told:    offboard.NothingDone,
		},
		{
			story:   "giving back was begun, and is not known to have happened",
			effects: []offboard.Effect{done(offboard.StepContain, "acme/group/1"), begun(offboard.StepContain, "acme/undo/group/1")},
			told:    "access taken away in advance (1)",
		},
		{
			story:   "an answer did not come",
			effects: []offboard.Effect{done(offboard.StepContain, "acme/group/1"), begun(offboard.StepContain, "acme/group/2"), begun(offboard.StepHandover, "asset-1")},
			told:    "access taken away in advance (1), perhaps access taken away in advance (1): not answered yet, perhaps handed over (1): not answered yet",
		},
		{
			story: "a seat that was removed twice, under two addresses, is one, and where nobody was it is none",
			effects: []offboard.Effect{
				done(offboard.StepRemove, "acme/jo@example.com"), done(offboard.StepRemove, "acme/jo@example.com/2"), begun(offboard.StepRemove, "acme/jo.doe@example.com"),
				begun(offboard.StepRemove, "labs/jo@example.com"), nobody,
			},
			told: "removed from organizations (1), perhaps removed from organizations (1): not answered yet",
		},
		{
			story:     "one credential was replaced, one is asked for, and one was new already",
			rotations: []offboard.Rotation{minted(opened.Add(time.Minute)), asked, minted(opened.Add(-time.Hour)), {State: offboard.RotationOpen}},
			told:      "credentials replaced (1), perhaps credentials replaced (1): not answered yet",
		},
	} {
		if got := offboard.Braked(offboard.Case{Opened: opened}, c.effects, c.rotations).Told(); got != c.told {
			t.Errorf("%s: %s", c.story, got)
		}
	}
}
