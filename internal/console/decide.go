package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/gorilla/mux"
	"go.uber.org/zap"

	"offramp/internal/offboard"
)

// pathID is the {id} of a request's path.
func pathID(r *http.Request) (string, error) {
	id := mux.Vars(r)["id"]
	if len(id) > 100 || !printable(id) {
		return "", offboard.ErrNotFound
	}
	return id, nil
}

// decision makes an update from the case as it is in the transaction.
type decision func(offboard.File) (offboard.Update, error)

// decide lets the operator's decision about the case of the path be recorded.
func (c *Console) decide(r *http.Request, by Operator, what string, d decision) (int, any, error) {
	id, err := pathID(r)
	if err != nil {
		return 0, nil, err
	}
	k, err := c.act(r.Context(), id, by, what, d)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, c.caseOf(k), nil
}

// act lets a decision about one case be recorded.
func (c *Console) act(ctx context.Context, id string, by Operator, what string, d decision) (offboard.Case, error) {
	f, err := c.opts.Store.Act(ctx, id, d)
	if err != nil {
		return offboard.Case{}, err
	}
	c.opts.Log.Info("operator", zap.String("operator", by.Name), zap.String("decision", what), zap.String("case", id))
	return f.Case, nil
}

// because is decide for decisions that take no more than a reason.
func (c *Console) because(r *http.Request, by Operator, what string, rule func(f offboard.File, by, because string) (offboard.Update, error)) (int, any, error) {
	in, err := decode[BecauseRequest](r)
	if err == nil {
		err = tidy(&in.Because)
	}
	if err != nil {
		return 0, nil, err
	}
	return c.decide(r, by, what, func(f offboard.File) (offboard.Update, error) { return rule(f, by.Name, in.Because) })
}

func (c *Console) hold(r *http.Request, by Operator) (int, any, error) {
	return c.because(r, by, "hold", offboard.Hold)
}

func (c *Console) release(r *http.Request, by Operator) (int, any, error) {
	in, err := decode[BecauseRequest](r)
	if err == nil {
		err = tidy(&in.Because)
	}
	if err != nil {
		return 0, nil, err
	}
	id, err := pathID(r)
	if err != nil {
		return 0, nil, err
	}
	k, err := c.letGo(r.Context(), id, by, in.Because, offboard.Release)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, c.caseOf(k), nil
}

// letGo lets a case be released under a rule. A removal that was only proposed
// stands from then on: first, because a case that runs without it is cancelled.
func (c *Console) letGo(ctx context.Context, id string, by Operator, because string, rule func(f offboard.File, by, because string) (offboard.Update, error)) (offboard.Case, error) {
	f, err := c.opts.Store.Case(ctx, id)
	if err != nil {
		return offboard.Case{}, err
	}
	if _, err := rule(f, by.Name, because); err != nil {
		return offboard.Case{}, err
	}
	if d := f.Person.Removal; d != nil && d.Proposed {
		_, err := c.opts.Store.Reconsider(ctx, f.Person.ID,
			func(p offboard.Person, _ offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error) {
				return offboard.Released(p), offboard.Verdict{}, nil
			})
		if err != nil {
			return offboard.Case{}, err
		}
	}
	return c.act(ctx, id, by, "release", func(f offboard.File) (offboard.Update, error) { return rule(f, by.Name, because) })
}

func (c *Console) retry(r *http.Request, by Operator) (int, any, error) {
	in, err := decode[RetryRequest](r)
	if err == nil {
		err = tidy(&in.Because)
	}
	if err != nil {
		return 0, nil, err
	}
	if !in.Override {
		return c.decide(r, by, "retry", func(f offboard.File) (offboard.Update, error) { return offboard.Retry(f, by.Name, in.Because) })
	}
	if !by.may(Admin) {
		return 0, nil, bad(http.StatusForbidden, "only an admin lets a case pass the guards")
	}
	return c.decide(r, by, "retry with override", func(f offboard.File) (offboard.Update, error) { return offboard.Pass(f, by.Name, in.Because) })
}

func (c *Console) expedite(r *http.Request, by Operator) (int, any, error) {
	return c.because(r, by, "expedite", func(f offboard.File, by, because string) (offboard.Update, error) {
		return offboard.Expedite(f, by, because, c.opts.Now())
	})
}

// cancel is the decision that a case ends without a removal.
func (c *Console) cancel(r *http.Request, by Operator) (int, any, error) {
	in, err := decode[BecauseRequest](r)
	if err == nil {
		err = tidy(&in.Because)
	}
	if err != nil {
		return 0, nil, err
	}
	id, err := pathID(r)
	if err != nil {
		return 0, nil, err
	}
	k, err := c.withdraw(r.Context(), id, by, in.Because, offboard.Cancel)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, c.caseOf(k), nil
}

// withdraw lets a case be cancelled under a rule. It ends the standing removal
// decision, where there is one, before it cancels: a process that dies between
// the two leaves a case that runs on without it, and can be cancelled again.
func (c *Console) withdraw(ctx context.Context, id string, by Operator, because string, rule func(f offboard.File, by, because string) (offboard.Update, error)) (offboard.Case, error) {
	f, err := c.opts.Store.Case(ctx, id)
	if err != nil {
		return offboard.Case{}, err
	}
	if _, err := rule(f, by.Name, because); err != nil {
		return offboard.Case{}, err
	}
	pardoned := f.Person.Removal
	if pardoned != nil {
		_, err := c.opts.Store.Reconsider(ctx, f.Person.ID,
			func(_ offboard.Person, prior offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error) {
				return offboard.Pardon(prior)
			})
		if err != nil {
			return offboard.Case{}, err
		}
	}
	return c.act(ctx, id, by, "cancel", func(f offboard.File) (offboard.Update, error) {
		u, err := rule(f, by.Name, because)
		if err == nil && pardoned != nil {
			u.Timeline = append(u.Timeline, offboard.Entry{
				Actor: by.Name, Kind: "pardoned", Text: "ended the standing removal decision of " + pardoned.By,
			})
		}
		return u, err
	})
}

func (c *Console) approve(r *http.Request, by Operator) (int, any, error) {
	in, err := decode[ApproveRequest](r)
	if err == nil {
		err = tidy(&in.Role, &in.Ticket, &in.Note)
	}
	if err == nil {
		err = tidyAttachments(in.Attachments)
	}
	if err != nil {
		return 0, nil, err
	}
	return c.decide(r, by, "approve", func(f offboard.File) (offboard.Update, error) {
		return c.opts.Approvers.Approve(f, offboard.Approval{
			By: by.Name, Role: in.Role, Ticket: in.Ticket, Note: in.Note, At: c.opts.Now(), Attachments: in.Attachments,
		})
	})
}

func (c *Console) resolve(r *http.Request, by Operator) (int, any, error) {
	in, err := decode[ResolveRequest](r)
	if err == nil {
		err = tidy(&in.Because)
	}
	if err == nil {
		err = tidyAttachments(in.Attachments)
	}
	if err != nil {
		return 0, nil, err
	}
	return c.decide(r, by, "resolve", func(f offboard.File) (offboard.Update, error) {
		return offboard.Resolve(f, by.Name, in.Because, in.Attachments)
	})
}

// tidyAttachments is tidy for the names of documents.
func tidyAttachments(list []offboard.Attachment) error {
	if len(list) > 100 {
		return bad(http.StatusUnprocessableEntity, "a case takes up to 100 attachments at once")
	}
	for i := range list {
		if err := tidy(&list[i].Name); err != nil {
			return err
		}
	}
	return nil
}

// task lets a decision about a task be recorded in its case, and returns the
// task as it is then.
func (c *Console) task(r *http.Request, by Operator, what string, rule func(f offboard.File, id string) (offboard.Update, error)) (int, any, error) {
	id, err := pathID(r)
	if err != nil {
		return 0, nil, err
	}
	t, err := c.opts.Store.Task(r.Context(), id)
	if err != nil {
		return 0, nil, err
	}
	f, err := c.opts.Store.Act(r.Context(), t.CaseID, func(f offboard.File) (offboard.Update, error) { return rule(f, id) })
	if err != nil {
		return 0, nil, err
	}
	c.opts.Log.Info("operator", zap.String("operator", by.Name), zap.String("decision", what),
		zap.String("case", t.CaseID), zap.String("task", id))
	if now := f.Task(t.Key); now != nil {
		t = *now
	}
	return http.StatusOK, c.taskOf(t), nil
}

func (c *Console) taskDone(r *http.Request, by Operator) (int, any, error) {
	in, err := decode[DoneRequest](r)
	if err == nil {
		err = tidy(&in.Note, &in.Successor)
	}
	if err != nil {
		return 0, nil, err
	}
	return c.task(r, by, "task done", func(f offboard.File, id string) (offboard.Update, error) {
		return offboard.CompleteTask(f, id, offboard.TaskAnswer{By: by.Name, Note: in.Note, Successor: in.Successor}, c.opts.Now())
	})
}

func (c *Console) taskDeclined(r *http.Request, by Operator) (int, any, error) {
	in, err := decode[BecauseRequest](r)
	if err == nil {
		err = tidy(&in.Because)
	}
	if err != nil {
		return 0, nil, err
	}
	return c.task(r, by, "task decline", func(f offboard.File, id string) (offboard.Update, error) {
		return offboard.DeclineTask(f, id, by.Name, in.Because, c.opts.Now())
	})
}

func (c *Console) newToken(r *http.Request, by Operator) (int, any, error) {
	in, err := decode[TokenRequest](r)
	if err != nil {
		return 0, nil, err
	}
	if err := c.connection(in.Connection); err != nil {
		return 0, nil, err
	}
	if in.Days < 0 || in.Days > 3650 {
		return 0, nil, bad(http.StatusUnprocessableEntity, "days has to be a number from 0, which is without end, to 3650")
	}
	id, secret, err := c.opts.Store.NewToken(r.Context(), in.Connection, time.Duration(in.Days)*24*time.Hour)
	if err != nil {
		return 0, nil, err
	}
	c.opts.Log.Info("operator", zap.String("operator", by.Name), zap.String("decision", "token new"),
		zap.String("connection", in.Connection), zap.String("token", id))
	return http.StatusCreated, NewToken{ID: id, Secret: secret}, nil
}

func (c *Console) revokeToken(r *http.Request, by Operator) (int, any, error) {
	id, err := pathID(r)
	if err != nil {
		return 0, nil, err
	}
	q, err := query(r, "connection")
	if err != nil {
		return 0, nil, err
	}
	if err := c.connection(q.Get("connection")); err != nil {
		return 0, nil, err
	}
	if err := c.opts.Store.RevokeToken(r.Context(), q.Get("connection"), id); err != nil {
		return 0, nil, err
	}
	c.opts.Log.Info("operator", zap.String("operator", by.Name), zap.String("decision", "token revoke"), zap.String("token", id))
	return http.StatusNoContent, nil, nil
}

func (c *Console) pause(r *http.Request, by Operator) (int, any, error) {
	in, err := decode[PauseRequest](r)
	if err == nil {
		err = tidy(&in.Why)
	}
	if err != nil {
		return 0, nil, err
	}
	if in.Why == "" {
		return 0, nil, bad(http.StatusUnprocessableEntity, "say why: whoever looks at a waiting case will read it")
	}
	if err := c.opts.Store.Pause(r.Context(), by.Name, in.Why); err != nil {
		return 0, nil, err
	}
	c.opts.Log.Info("operator", zap.String("operator", by.Name), zap.String("decision", "pause"))
	return c.showPause(r, by)
}

func (c *Console) resume(r *http.Request, by Operator) (int, any, error) {
	q, err := query(r, "why")
	if err != nil {
		return 0, nil, err
	}
	why := q.Get("why")
	if err := tidy(&why); err != nil {
		return 0, nil, err
	}
	if err := c.opts.Store.Resume(r.Context(), by.Name, why); err != nil {
		return 0, nil, err
	}
	c.opts.Log.Info("operator", zap.String("operator", by.Name), zap.String("decision", "resume"))
	return c.showPause(r, by)
}

// openCase opens a case on the operator's word.
func (c *Console) openCase(r *http.Request, by Operator) (int, any, error) {
	in, err := decode[OpenRequest](r)
	if err == nil {
		err = tidy(&in.Person, &in.Connection, &in.Ticket, &in.Policy, &in.Because)
	}
	if err != nil {
		return 0, nil, err
	}
	reason, known := offboard.KnownReason(string(in.Reason))
	if !known {
		return 0, nil, bad(http.StatusUnprocessableEntity, "the reason has to be one of %q", offboard.Reasons())
	}
	person, err := c.find(r.Context(), in.Person, in.Connection)
	if reason == offboard.SecurityIncident && errors.Is(err, errNobody) {
		person, err = c.adopt(r.Context(), in.Person, in.Connection)
	}
	if err != nil {
		return 0, nil, err
	}
	order := offboard.Order{Reason: reason, By: by.Name, Ticket: in.Ticket, Policy: in.Policy, Why: in.Because}
	joined := false
	id, err := c.opts.Store.Reconsider(r.Context(), person.ID,
		func(p offboard.Person, prior offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error) {
			d, v, err := offboard.OpenBy(p, prior, order, c.opts.Rules(p.Connection), c.opts.Now())
			joined = v.Join != nil
			return d, v, err
		})
	if err != nil {
		return 0, nil, c.withLiveCase(r.Context(), person, err)
	}
	if joined {
		joins := func(f offboard.File) (offboard.Update, error) { return offboard.Joined(f, order) }
		if _, err := c.opts.Store.Act(r.Context(), id, joins); err != nil {
			return 0, nil, err
		}
	}
	c.opts.Log.Info("operator", zap.String("operator", by.Name), zap.String("decision", "open"), zap.String("case", id))
	f, err := c.opts.Store.Case(r.Context(), id)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, c.caseOf(f.Case), nil
}

// find returns the one person who holds an address. People who were deleted at
// the identity provider count only where nobody else does: they may have a seat.
func (c *Console) find(ctx context.Context, address, connection string) (offboard.Person, error) {
	if address == "" {
		return offboard.Person{}, bad(http.StatusUnprocessableEntity, "say who leaves, by user name or address")
	}
	all, err := c.opts.Store.Holders(ctx, address)
	if err != nil {
		return offboard.Person{}, err
	}
	all = slices.DeleteFunc(all, func(p offboard.Person) bool { return connection != "" && p.Connection != connection })
	for _, better := range []func(offboard.Person) bool{
		func(p offboard.Person) bool { return p.Deleted.IsZero() },
		func(p offboard.Person) bool {
			return offboard.Fold(p.Address) == offboard.Fold(address) || offboard.Fold(p.UserName) == offboard.Fold(address)
		},
	} {
		if slices.ContainsFunc(all, better) {
			all = slices.DeleteFunc(all, func(p offboard.Person) bool { return !better(p) })
		}
	}
	switch len(all) {
	case 0:
		return offboard.Person{}, errNobody
	case 1:
		return all[0], nil
	}
	var connections []string
	for _, p := range all {
		connections = append(connections, p.Connection)
	}
	slices.Sort(connections)
	return offboard.Person{}, bad(http.StatusConflict, "%d people hold this address; give the user name, or one of the connections %q",
		len(all), slices.Compact(connections))
}

// withLiveCase adds to a refusal which case stands in the way.
func (c *Console) withLiveCase(ctx context.Context, p offboard.Person, err error) error {
	no, ok := errors.AsType[*offboard.RefusedError](err)
	if !ok || no.Incomplete {
		return err
	}
	cases, lookErr := c.opts.Store.Cases(ctx, offboard.CaseFilter{Address: p.Address, Most: 20})
	if lookErr != nil {
		return err
	}
	for _, k := range cases {
		if k.PersonID == p.ID && k.State.Live() {
			return &requestError{status: http.StatusConflict, detail: no.Because, caseID: k.ID}
		}
	}
	return err
}
