package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"go.uber.org/zap"

	"offramp/internal/offboard"
)

// query reads a request's query, of which every key is known and given once.
func query(r *http.Request, keys ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, bad(http.StatusBadRequest, "the query cannot be read")
	}
	for key, got := range values {
		if !slices.Contains(keys, key) {
			return nil, bad(http.StatusBadRequest, "the query has an unknown key %q; known here: %q", key, keys)
		}
		if len(got) > 1 || !printable(got[0]) {
			return nil, bad(http.StatusBadRequest, "the query's %s has to be given once, as plain text", key)
		}
	}
	return values, nil
}

// most reads how long a page may be.
func most(values url.Values) (int, error) {
	text := values.Get("limit")
	if text == "" {
		return 100, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1000 {
		return 0, bad(http.StatusBadRequest, "the query's limit has to be a number from 1 to 1000")
	}
	return n, nil
}

// oneOf checks a value of a closed set; empty is always allowed.
func oneOf[T ~string](key, value string, set []T) (T, error) {
	if value != "" && !slices.Contains(set, T(value)) {
		return "", bad(http.StatusBadRequest, "the query's %s has to be one of %q", key, set)
	}
	return T(value), nil
}

func (c *Console) cases(r *http.Request) (CaseList, error) {
	out := CaseList{Cases: []Case{}}
	q, err := query(r, "state", "plan", "connection", "batch", "address", "before", "limit")
	if err != nil {
		return out, err
	}
	f := offboard.CaseFilter{
		Connection: q.Get("connection"), Batch: q.Get("batch"), Address: q.Get("address"), Before: q.Get("before"),
	}
	if f.State, err = oneOf("state", q.Get("state"), offboard.States()); err != nil {
		return out, err
	}
	if f.Plan, err = oneOf("plan", q.Get("plan"), offboard.Plans()); err != nil {
		return out, err
	}
	if f.Most, err = most(q); err != nil {
		return out, err
	}
	cases, err := c.opts.Store.Cases(r.Context(), f)
	if err != nil {
		return out, err
	}
	for _, k := range cases {
		out.Cases = append(out.Cases, c.caseOf(k))
	}
	if len(cases) == f.Most {
		out.Next = cases[len(cases)-1].ID
	}
	return out, nil
}

func (c *Console) listCases(r *http.Request, _ Operator) (int, any, error) {
	out, err := c.cases(r)
	return http.StatusOK, out, err
}

// file reads a case with its timeline. A timeline that was tampered with does
// not hide the case: the answer says what is wrong with it.
func (c *Console) file(ctx context.Context, id string) (CaseFile, error) {
	f, err := c.opts.Store.Case(ctx, id)
	if err != nil {
		return CaseFile{}, err
	}
	timeline, err := c.opts.Store.Timeline(ctx, id)
	out := c.fileOf(f, timeline)
	if err != nil {
		if ctx.Err() != nil {
			return out, err
		}
		c.opts.Log.Error("read a timeline", zap.String("case", id), zap.Error(err))
		out.TimelineProblem = err.Error()
	}
	return out, nil
}

func (c *Console) showCase(r *http.Request, _ Operator) (int, any, error) {
	id, err := pathID(r)
	if err != nil {
		return 0, nil, err
	}
	out, err := c.file(r.Context(), id)
	return http.StatusOK, out, err
}

func (c *Console) listTasks(r *http.Request, _ Operator) (int, any, error) {
	q, err := query(r, "state", "case", "before", "limit")
	if err != nil {
		return 0, nil, err
	}
	f := offboard.TaskFilter{CaseID: q.Get("case"), Before: q.Get("before")}
	states := []offboard.TaskState{offboard.TaskOpen, offboard.TaskDone, offboard.TaskDeclined, offboard.TaskDropped}
	if f.State, err = oneOf("state", q.Get("state"), states); err != nil {
		return 0, nil, err
	}
	if f.Most, err = most(q); err != nil {
		return 0, nil, err
	}
	tasks, err := c.opts.Store.Tasks(r.Context(), f)
	if err != nil {
		return 0, nil, err
	}
	out := TaskList{Tasks: []Task{}}
	for _, t := range tasks {
		out.Tasks = append(out.Tasks, c.taskOf(t))
	}
	if len(tasks) == f.Most {
		out.Next = tasks[len(tasks)-1].ID
	}
	return http.StatusOK, out, nil
}

func (c *Console) listTokens(r *http.Request, _ Operator) (int, any, error) {
	q, err := query(r, "connection")
	if err != nil {
		return 0, nil, err
	}
	connection := q.Get("connection")
	if err := c.connection(connection); err != nil {
		return 0, nil, err
	}
	tokens, err := c.opts.Store.Tokens(r.Context(), connection)
	if err != nil {
		return 0, nil, err
	}
	out := TokenList{Tokens: []Token{}}
	for _, t := range tokens {
		out.Tokens = append(out.Tokens, Token{
			ID: t.ID, Connection: t.Connection, Created: t.Created, Expires: t.Expires, Revoked: t.Revoked,
			Live: t.Live(c.opts.Now()), EndsSoon: t.EndsSoon(c.opts.Now()),
		})
	}
	return http.StatusOK, out, nil
}

// connection checks that a connection of that name is configured.
func (c *Console) connection(name string) error {
	if !slices.Contains(c.opts.Connections, name) {
		return bad(http.StatusUnprocessableEntity, "the connection has to be one of %q", c.opts.Connections)
	}
	return nil
}

// pausesShown is how many pauses are told that are over.
const pausesShown = 5

func (c *Console) paused(ctx context.Context) (out Pause, err error) {
	p, err := c.opts.Store.Paused(ctx)
	if err != nil {
		return out, err
	}
	if p != nil {
		out.Paused, out.By, out.Why, out.At = true, p.By, p.Why, p.At
	}
	past, err := c.opts.Store.PastPauses(ctx, pausesShown)
	for _, p := range past {
		out.Past = append(out.Past, PastPause{
			By: p.By, Why: p.Why, At: p.At, Resumed: p.Resumed, ResumedBy: p.ResumedBy, ResumedWhy: p.ResumedWhy,
		})
	}
	return out, err
}

func (c *Console) showPause(r *http.Request, _ Operator) (int, any, error) {
	p, err := c.paused(r.Context())
	return http.StatusOK, p, err
}

func (c *Console) status(r *http.Request, _ Operator) (int, any, error) {
	load, err := c.opts.Load(r.Context())
	if err != nil {
		return 0, nil, err
	}
	out := Status{
		Version: c.opts.Version, Mode: c.opts.Mode, Cases: append([]CaseCount{}, load.Cases...),
		CasesOverdue: load.CasesOverdue, TasksOverdue: load.TasksOverdue,
		Budgets: append([]BudgetLoad{}, load.Budgets...), Brakes: []string{},
	}
	brakes, err := c.opts.Store.Brakes(r.Context(), 0)
	if err != nil {
		return 0, nil, err
	}
	for _, b := range brakes {
		if b.Released.IsZero() {
			out.Brakes = append(out.Brakes, b.Name)
		}
	}
	out.Pause, err = c.paused(r.Context())
	return http.StatusOK, out, err
}
