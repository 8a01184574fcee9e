package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/console"
	"offramp/internal/offboard"
)

// operator is somebody who uses the operator API.
type operator struct {
	base  string
	token string
	http  *http.Client
}

// call makes one request. in and out may be nil. An answer that says no is a
// console.Problem as error.
func (o *operator) call(ctx context.Context, method, path string, in, out any) error {
	var sent io.Reader = http.NoBody
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode: %w", err)
		}
		sent = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, o.base+"/api/v1/"+path, sent)
	if err != nil {
		return fmt.Errorf("operator API: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+o.token)
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := o.http.Do(r)
	if err != nil {
		return fmt.Errorf("operator API: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(answer.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("operator API: %w", err)
	}
	if answer.StatusCode >= http.StatusBadRequest {
		no := &refusal{}
		if err := json.Unmarshal(b, &no.Problem); err != nil {
			no.Status, no.Detail = answer.StatusCode, "the answer is no JSON"
		}
		return no
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("operator API: %w", err)
	}
	return nil
}

// refusal is an answer of the operator API that says no.
type refusal struct{ console.Problem }

func (r *refusal) Error() string { return "the operator API says: " + r.Detail }

// overtaken tells whether err only says that the case went on meanwhile.
func overtaken(err error) bool {
	no, ok := errors.AsType[*refusal](err)
	return ok && no.Status == http.StatusConflict
}

func (d *demo) operator(token string) *operator {
	return &operator{base: d.admin.url, token: token, http: demoClient()}
}

// managerWorks approves whoever waits for it, but for the one who is asked to stay.
func (d *demo) managerWorks(ctx context.Context) error {
	manager := d.operator(d.keys.manager)
	return every(ctx, demoPoll, func(ctx context.Context) error {
		var waiting console.CaseList
		if err := manager.call(ctx, http.MethodGet, "cases?state=waiting", nil, &waiting); err != nil {
			return err
		}
		for _, c := range waiting.Cases {
			a := d.actorOf(c.Address)
			if c.Waiting != offboard.WaitApproval || a == nil || !a.removed() {
				continue
			}
			err := manager.call(ctx, http.MethodPost, "cases/"+c.ID+"/approve", console.ApproveRequest{Ticket: "HR-12"}, nil)
			if err != nil && !overtaken(err) {
				return err
			}
		}
		return nil
	})
}

// leadWorks does the open tasks: by hand in Amplitude, then attested.
func (d *demo) leadWorks(ctx context.Context) error {
	lead := d.operator(d.keys.lead)
	return every(ctx, demoPoll, func(ctx context.Context) error {
		var open console.TaskList
		if err := lead.call(ctx, http.MethodGet, "tasks?state=open", nil, &open); err != nil {
			return err
		}
		for _, t := range open.Tasks {
			if err := d.doTask(ctx, lead, t); err != nil && !overtaken(err) {
				return err
			}
		}
		return nil
	})
}

// doTask hands over what a task is about. What somebody owned who is gone
// already can only be given out by an admin.
func (d *demo) doTask(ctx context.Context, lead *operator, t console.Task) error {
	if t.Kind == offboard.TaskFollowUp {
		return lead.call(ctx, http.MethodPost, "tasks/"+t.ID+"/done", console.DoneRequest{Note: "done outside Amplitude"}, nil)
	}
	if t.Kind == offboard.TaskRevoke { // the organization role, which no API changes
		file := console.CaseFile{}
		if err := lead.call(ctx, http.MethodGet, "cases/"+t.Case, nil, &file); err != nil {
			return err
		}
		if _, err := d.fake.Human(amplitudefake.Action{Do: "change_role", By: demoAdmin, Email: file.Address, Role: amplitudefake.RoleViewer}); err != nil {
			return fmt.Errorf("the admin cannot change the role: %w", err)
		}
		return lead.call(ctx, http.MethodPost, "tasks/"+t.ID+"/done", console.DoneRequest{Note: "an admin changed the organization role"}, nil)
	}
	if t.Kind != offboard.TaskHandover {
		return fmt.Errorf("nobody in the demo can do this task: %s", t.Title)
	}
	var file console.CaseFile
	if err := lead.call(ctx, http.MethodGet, "cases/"+t.Case, nil, &file); err != nil {
		return err
	}
	note := "moved %d things with Bulk Transfer Edit Access"
	out, err := d.fake.Human(amplitudefake.Action{Do: "bulk_transfer", By: demoLead, From: file.Address, To: t.Successor})
	if errors.Is(err, amplitudefake.ErrRefused) {
		note = "the seat was gone already; an admin gave out %d unassigned things"
		out, err = d.fake.Human(amplitudefake.Action{Do: "assign_unassigned", By: demoAdmin, To: t.Successor})
	}
	if err != nil {
		return fmt.Errorf("the lead cannot hand over: %w", err)
	}
	return lead.call(ctx, http.MethodPost, "tasks/"+t.ID+"/done", console.DoneRequest{Note: fmt.Sprintf(note, out.Changed)}, nil)
}

// await waits until somebody's case waits for something.
func (d *demo) await(ctx context.Context, a *actor, what offboard.Waiting) error {
	for {
		c, err := d.caseOf(ctx, a)
		if err != nil {
			return err
		}
		if c != nil && c.Waiting == what {
			return nil
		}
		if err := pause(ctx, demoPoll); err != nil {
			return err
		}
	}
}

// ended waits until somebody's case has ended.
func (d *demo) ended(ctx context.Context, a *actor) error {
	for {
		c, err := d.caseOf(ctx, a)
		if err != nil {
			return err
		}
		if c != nil && !c.State.Live() {
			return nil
		}
		if err := pause(ctx, demoPoll); err != nil {
			return err
		}
	}
}

// caseOf is somebody's latest case, nil while there is none.
func (d *demo) caseOf(ctx context.Context, a *actor) (*console.Case, error) {
	var list console.CaseList
	if err := d.operator(d.keys.reader).call(ctx, http.MethodGet, "cases?address="+a.address(), nil, &list); err != nil {
		return nil, err
	}
	if len(list.Cases) == 0 {
		return nil, nil
	}
	return &list.Cases[0], nil
}
