package runner

import (
	"context"
	"fmt"
	"strings"

	"offramp/internal/offboard"
)

// readAgain reads the lists that show owners once more after a task, and
// returns what still names the leaver as owner: it needs a second task. After
// the second one there is no third: such a thing is recorded as orphaned.
func (a *attempt) readAgain(ctx context.Context, task *offboard.Task, was *handed) ([]offboard.Asset, error) {
	if was.ReadBack[task.Key] {
		return nil, nil
	}
	var still []offboard.Asset
	var blind []string
	for _, as := range a.owned() {
		if !inTask(task, as) {
			continue
		}
		theirs, unseen, err := a.stillOwns(ctx, as, task)
		if err != nil {
			return nil, err
		}
		if unseen != "" {
			blind = append(blind, unseen)
		}
		if theirs {
			still = append(still, as)
		}
	}
	if was.ReadBack == nil {
		was.ReadBack = map[string]bool{}
	}
	was.ReadBack[task.Key] = true
	if len(still) == 0 && len(blind) == 0 {
		return nil, nil
	}
	return a.tellStill(ctx, task, still, blind, was)
}

// tellStill records what a reading after a task showed.
func (a *attempt) tellStill(ctx context.Context, task *offboard.Task, still []offboard.Asset, blind []string, was *handed) ([]offboard.Asset, error) {
	last := task.Key == taskLate || a.file.Task(taskLate) != nil
	var u offboard.Update
	tell := func(text string) {
		u.Timeline = append(u.Timeline, offboard.Entry{Actor: "offramp", Kind: "finding", Text: text})
	}
	for _, text := range blind {
		tell("handover: not read again: " + text)
	}
	for i, as := range still {
		text := fmt.Sprintf("handover: Amplitude still names the leaver as owner of %s %s", strings.ReplaceAll(as.Kind, "_", " "), as.Name)
		if last {
			still[i].State, still[i].By = offboard.AssetOrphaned, was.confirmed(task.Key)+"; but Amplitude still names the leaver as owner"
			u.Assets = append(u.Assets, still[i])
			was.Orphaned++
		}
		tell(text)
	}
	f, err := a.opts.Store.Checkpoint(ctx, a.fence, lease, func(offboard.File) (offboard.Update, error) { return u, nil })
	if err != nil {
		return nil, err
	}
	a.file = f
	if last {
		return nil, nil
	}
	return still, nil
}

// stillOwns reads whether a thing names the leaver as its owner, on any list
// that shows owners and not only who made it. unseen tells why nobody can say.
func (a *attempt) stillOwns(ctx context.Context, as offboard.Asset, task *offboard.Task) (theirs bool, unseen string, err error) {
	org := a.orgs[as.Organization]
	if org == nil {
		return false, "", nil
	}
	for _, s := range sources() {
		if !s.owners || string(s.kind) != as.Kind {
			continue
		}
		l, err := org.lists.read(ctx, as.Project, s.name, task.Ended, func(ctx context.Context) ([]entry, error) {
			return s.list(ctx, org.Client, as.Project)
		})
		if why := a.unseenIn(s, err, offboard.StepHandover); why != "" {
			unseen = fmt.Sprintf("%s of project %d: %s", s.name, as.Project, why)
			continue
		}
		if err != nil {
			return false, "", fmt.Errorf("read %s again: %w", s.name, err)
		}
		for _, e := range l.entries {
			if e.id == as.RemoteID && a.ownedBy(ctx, org, e) {
				return true, "", nil
			}
		}
	}
	return false, unseen, nil
}

// ownedBy reports whether an entry names the leaver as owner.
func (a *attempt) ownedBy(ctx context.Context, org *organization, e entry) bool {
	only := e
	only.people = nil
	for _, h := range e.people {
		if h.says == ownerPlace {
			only.people = append(only.people, h)
		}
	}
	namesakes := 0
	return len(a.claims(ctx, org, only, &namesakes).says) > 0
}
