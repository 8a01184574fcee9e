package runner

import (
	"context"
	"errors"
	"strings"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// successor picks who takes over, and checks that they have a joined seat.
func (a *attempt) successor(ctx context.Context) (*offboard.Candidate, []string, error) {
	claims := a.file.Person.Claims
	refs := []struct{ source, ref string }{
		{"named", claims.Successor},
		{"manager", a.file.Person.Manager},
		{"manager", claims.ManagerEmail},
		{"fallback", a.file.Case.Policy.Successor},
	}
	if t := a.file.Task(taskSuccessor); t != nil && t.State == offboard.TaskDone {
		refs = append(refs[:0:0], struct{ source, ref string }{"named", t.Successor})
	}
	var candidates []offboard.Candidate
	leaving := map[string]bool{}
	for _, r := range refs {
		if r.ref == "" {
			continue
		}
		p, err := a.opts.Store.FindPerson(ctx, a.file.Case.Connection, r.ref)
		if errors.Is(err, offboard.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if leaving[p.ID], err = a.opts.Store.Leaving(ctx, p.ID); err != nil {
			return nil, nil, err
		}
		candidates = append(candidates, offboard.Candidate{Person: p, Source: r.source})
	}
	var refusals []string
	for len(candidates) > 0 {
		picked, no := offboard.Successor(a.file.Person, candidates, a.opts.Access, func(id string) bool { return leaving[id] }, a.now())
		if picked == nil {
			return nil, append(refusals, no...), nil
		}
		because, err := a.cannotReceive(ctx, picked.Person.Address)
		if err != nil {
			return nil, nil, err
		}
		if because == "" {
			return picked, append(refusals, no...), nil
		}
		refusals = append(refusals, picked.Source+": "+because)
		for i := range candidates {
			if candidates[i].Person.ID == picked.Person.ID {
				candidates = append(candidates[:i:i], candidates[i+1:]...)
				break
			}
		}
	}
	return nil, refusals, nil
}

// loginFresh is how old a reading of the audit log may be that refuses somebody.
const loginFresh = 10 * time.Second

// cannotReceive tells why content cannot be given to an address that is
// entitled to a seat. Empty: it can, as far as anybody can tell.
func (a *attempt) cannotReceive(ctx context.Context, address string) (string, error) {
	seated := map[string]bool{}
	for _, org := range a.reach(a.file.Case.Connection) {
		s, err := org.roster.look(ctx, amplitude.ShareOther, address, a.now().Add(-recent))
		if err != nil {
			return "", err
		}
		if s.Present && !s.Pending {
			seated[org.Name] = true
		}
	}
	if len(seated) == 0 {
		return "has no joined seat in Amplitude", nil
	}
	here := func(org string) bool { return seated[org] }
	list, err := a.logins(ctx, address, here)
	if err == nil && offboard.CanReceive(list, a.now()) == offboard.AnswerNo {
		a.catchUp(ctx, loginFresh) // they may have logged in since, because they were asked to
		list, err = a.logins(ctx, address, here)
	}
	if err != nil {
		return "", err
	}
	if offboard.CanReceive(list, a.now()) == offboard.AnswerNo {
		return "has not logged in for 30 days: bulk transfer would fail", nil
	}
	return "", nil
}

// loginOf tells in words what is known about a successor's last login.
func (a *attempt) loginOf(ctx context.Context, address string) (string, error) {
	list, err := a.logins(ctx, address, nil)
	if err != nil {
		return "", err
	}
	if offboard.CanReceive(list, a.now()) == offboard.AnswerYes {
		return "logged in within 30 days, by the audit log", nil
	}
	return "not known: no audit log is available for the last 30 days", nil
}

func (a *attempt) askSuccessor(deadline time.Time, was handed) outcome {
	out := outcome{wait: offboard.WaitTask, until: later(deadline, a.now()), result: was, note: "nobody is known who can take over; name a successor"}
	if t := a.file.Task(taskSuccessor); t != nil && t.State != offboard.TaskOpen {
		again := *t // answered with somebody who cannot, or declined
		again.State, again.By, again.Note, again.Ended, again.Successor = offboard.TaskOpen, "", "", time.Time{}, ""
		again.Text += "\n" + strings.Join(was.Refused, "; ")
		out.update.Tasks = []offboard.Task{again}
	} else if t == nil {
		out.update.Tasks = []offboard.Task{{
			Kind: offboard.TaskSuccessor, Key: taskSuccessor, Title: "Name a successor for " + a.file.Person.Name(),
			Text: "Nobody is known who can take over. Name an active person with a seat in Amplitude: " +
				"offramp tasks done TASK --successor ADDRESS --note WHY",
			State: offboard.TaskOpen, Due: deadline,
		}}
	}
	return out
}
