package runner

import (
	"context"
	"errors"
	"strings"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// successor picks who takes over, and checks that they have a joined seat. The
// only one who approved is picked last: then somebody else has to approve too.
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
	var refusals []string
	leaving := map[string]bool{}
	for _, r := range refs {
		if r.ref == "" {
			continue
		}
		p, err := a.opts.Store.FindPerson(ctx, a.file.Case.Connection, r.ref)
		if errors.Is(err, offboard.ErrNotFound) {
			if r.source == "named" {
				refusals = append(refusals, "the identity provider told about nobody called "+r.ref)
			}
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
	var last *offboard.Candidate // who would do if somebody else approved as well
	for len(candidates) > 0 {
		picked, no := offboard.Successor(a.file.Person, candidates, a.opts.Access, func(id string) bool { return leaving[id] }, a.now())
		if picked == nil {
			return last, append(refusals, no...), nil
		}
		because, err := a.cannotReceive(ctx, picked.Person.Address)
		if err != nil {
			return nil, nil, err
		}
		refusals = append(refusals, no...)
		switch {
		case because == "" && !a.lone(picked.Person):
			return picked, refusals, nil
		case because == "":
			if last == nil {
				one := *picked
				last = &one
			}
			refusals = append(refusals, picked.Source+": is the only one who approved")
		default:
			refusals = append(refusals, picked.Source+": "+because)
		}
		for i := range candidates {
			if candidates[i].Person.ID == picked.Person.ID {
				candidates = append(candidates[:i:i], candidates[i+1:]...)
				break
			}
		}
	}
	return last, refusals, nil
}

// loginFresh is how old a reading of the audit log may be that refuses somebody.
const loginFresh = 10 * time.Second

// cannotReceive tells why content cannot be given to an address that is
// entitled to a seat. Empty: it can, as far as anybody can tell.
func (a *attempt) cannotReceive(ctx context.Context, address string) (string, error) {
	seated := map[string]bool{}
	for _, org := range a.reach(a.file.Case.Connection) {
		s, err := org.roster.look(ctx, amplitude.ShareOther, question{address: address, after: a.now().Add(-recent)})
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

// lookAgain is when it is looked once more whether somebody can take over after
// all: soon at first, because who was just seated or logged in shows late.
func (a *attempt) lookAgain() time.Time {
	waited := time.Duration(0)
	if s := a.file.Step(offboard.StepHandover); s != nil && !s.Started.IsZero() {
		waited = a.now().Sub(s.Started)
	}
	return a.now().Add(min(max(waited, loginFresh), 10*time.Minute))
}

// answered drops the question for a successor when somebody can take over whom
// nobody had to name: they have logged in, or joined, meanwhile.
func (a *attempt) answered(ctx context.Context, found *offboard.Candidate) error {
	t := a.file.Task(taskSuccessor)
	if t == nil || t.State != offboard.TaskOpen {
		return nil
	}
	f, err := a.opts.Store.Checkpoint(ctx, a.fence, lease, func(offboard.File) (offboard.Update, error) {
		drop := *t
		drop.State, drop.Ended, drop.Note = offboard.TaskDropped, a.now(), "the "+found.Source+" can take over now"
		return offboard.Update{Tasks: []offboard.Task{drop}, Timeline: []offboard.Entry{{
			Actor: "offramp", Kind: string(offboard.StepHandover), Text: "handover: nobody has to be named any more: " + drop.Note,
		}}}, nil
	})
	if err == nil {
		a.file = f
	}
	return err
}

func (a *attempt) askSuccessor(deadline time.Time, was handed) outcome {
	until := later(deadline, a.now())
	if soon := a.lookAgain(); len(was.Refused) > 0 && soon.Before(until) {
		until = soon
	}
	out := outcome{wait: offboard.WaitTask, until: until, result: was, note: "nobody is known who can take over; name a successor"}
	if t := a.file.Task(taskSuccessor); t != nil && t.State != offboard.TaskOpen {
		repeated := *t // answered with somebody who cannot, or declined
		repeated.State, repeated.By, repeated.Note, repeated.Ended, repeated.Successor = offboard.TaskOpen, "", "", time.Time{}, ""
		because := strings.Join(was.Refused, "; ")
		if t.State == offboard.TaskDeclined {
			because = "declined by " + t.By
		} else if t.Successor != "" {
			because = t.Successor + " cannot take over: " + because
		}
		repeated.Text += "\n" + because
		out.update.Tasks = []offboard.Task{repeated}
		out.update.Timeline = append(out.update.Timeline, offboard.Entry{
			Actor: "offramp", Kind: string(offboard.StepHandover), Text: "handover: asked again who takes over: " + because,
		})
		out.note += "; asked again: " + because
	} else if t == nil {
		out.update.Tasks = []offboard.Task{{
			Kind: offboard.TaskSuccessor, Key: taskSuccessor, Title: "Name a successor for " + a.file.Person.Name() + " <" + a.file.Case.Address + ">",
			Text: "Nobody is known who can take over. Name an active person with a seat in Amplitude: " +
				"offramp tasks done TASK --successor ADDRESS --note WHY",
			State: offboard.TaskOpen, Due: deadline,
		}}
	}
	return out
}
