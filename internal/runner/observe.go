package runner

import (
	"context"
	"fmt"
	"strings"

	"offramp/internal/offboard"
	"offramp/transfer"
)

// observed replaces the steps that change something, or wait for people, by
// ones that write down what they would have done. The case ends where the
// removal would have begun.
func observed(n offboard.StepName, step stepFunc) stepFunc {
	switch n {
	case offboard.StepRemove, offboard.StepRevoke:
		ends := wouldRemove
		if n == offboard.StepRevoke {
			ends = wouldRevoke
		}
		return func(ctx context.Context, a *attempt, s *offboard.Step) (outcome, error) {
			if did := a.file.Changed(); len(did) > 0 {
				return outcome{attention: "observe mode: nothing more is changed, and this case has changed something already (" + strings.Join(did, ", ") +
					"); in enforce mode, retry it to go on, or cancel it to give back what it took"}, nil
			}
			return ends(ctx, a, s)
		}
	case offboard.StepContain:
		return would(func(ctx context.Context, a *attempt) (list []string) {
			for _, st := range a.found().Seats {
				if because, err := a.refusal(ctx, offboard.StepContain, a.orgs[st.Organization]); err == nil && because != "" {
					list = append(list, stops(st.Organization, because))
					continue
				}
				for _, g := range st.Sighting.Groups {
					list = append(list, "take the member out of group "+g.Name+" in "+st.Organization)
				}
				for _, h := range st.Assignments {
					list = append(list, fmt.Sprintf("take away the role on project %d in %s", h.Project, st.Organization))
				}
			}
			return list
		})
	case offboard.StepApprove:
		return would(func(ctx context.Context, a *attempt) []string {
			unlisted, _, _ := a.unlisted(ctx) // what is not known is asked about
			needs := offboard.Ask(a.file, offboard.Inventoried{Assets: a.file.Assets, Unlisted: unlisted != offboard.UnlistedNote})
			if needs.People == 0 {
				return nil
			}
			return []string{"wait for " + needs.Sentence()}
		})
	case offboard.StepHandover:
		return would(func(ctx context.Context, a *attempt) (list []string) {
			for _, as := range a.owned() {
				by := "a task for a person"
				if hook := a.hookFor(transfer.AssetKind(as.Kind)); hook != nil {
					by = hook.Name()
				}
				list = append(list, fmt.Sprintf("hand over %s %s through %s", as.Kind, as.RemoteID, by))
			}
			if unlisted, _, err := a.unlisted(ctx); err != nil || unlisted == offboard.UnlistedTask {
				list = append(list, "open a task for what no API can list")
			}
			return list
		})
	case offboard.StepRotate:
		return would(func(_ context.Context, a *attempt) (list []string) {
			known, _ := a.credentials()
			for _, c := range known {
				list = append(list, "replace "+c.Name)
			}
			return list
		})
	case offboard.StepIdentify, offboard.StepSnapshot, offboard.StepInventory, offboard.StepVerify, offboard.StepAudit,
		offboard.StepNotify, offboard.StepArchive:
	}
	return step
}

// wouldRemove writes down whom remove would remove, and ends the case.
func wouldRemove(ctx context.Context, a *attempt, _ *offboard.Step) (outcome, error) {
	targets, blind, err := a.targets(ctx)
	if err := firstError([]error{err, blind}); err != nil {
		return outcome{}, err
	}
	var list []string
	stopped := false
	for _, t := range targets {
		switch because, err := a.refusal(ctx, offboard.StepRemove, t.org); {
		case err != nil:
			return outcome{}, err
		case because != "":
			stopped, list = true, append(list, stops(t.org.Name, because))
		default:
			list = append(list, "remove the member from "+t.org.Name)
		}
	}
	if !stopped {
		told, err := a.wouldTell(ctx)
		if err != nil {
			return outcome{}, err
		}
		list = append(list, told...)
	}
	return outcome{end: offboard.OutcomeObserved, result: list, note: "observe mode: nothing was changed; would " + sentence(list)}, nil
}

// stops tells that nothing is taken away in an organization, and why.
func stops(org, because string) string {
	return "stop before anything is taken away in " + org + ": " + because
}

// refusal is what the guards would say where somebody is about to lose something
// in an organization and everybody has approved it; empty: they would permit it.
func (a *attempt) refusal(ctx context.Context, step offboard.StepName, org *organization) (string, error) {
	if org == nil {
		return "", nil
	}
	seen, err := a.guards(ctx, step, org)
	if err != nil {
		return "", err
	}
	p := offboard.Guard(offboard.GuardFacts{
		File: a.file, Protected: a.file.Protected(a.opts.Protected), Outside: a.outside(a.file.Case.Address),
		Admin: seen.admins.Irreplaceable(nil), Token: seen.token, Elsewhere: seen.more, Unseen: seen.blind(), Now: a.now(),
	})
	return p.Because, nil
}

func would(list func(ctx context.Context, a *attempt) []string) stepFunc {
	return func(ctx context.Context, a *attempt, s *offboard.Step) (outcome, error) {
		l := list(ctx, a)
		return outcome{observed: true, result: l, say: string(s.Name) + ": would " + sentence(l)}, nil
	}
}

func sentence(list []string) string {
	if len(list) == 0 {
		return "do nothing"
	}
	return strings.Join(list, "; ")
}
