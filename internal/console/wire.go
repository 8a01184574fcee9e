package console

import (
	"encoding/json"
	"time"

	"offramp/internal/offboard"
)

// What the operator API sends and takes. openapi.yaml describes the same.

// Case is one line of a list of cases.
type Case struct {
	ID         string            `json:"id"`
	PersonID   string            `json:"person_id"`
	Connection string            `json:"connection"`
	Address    string            `json:"address"`
	Plan       offboard.PlanName `json:"plan"`
	Reason     offboard.Reason   `json:"reason"`
	Trigger    string            `json:"trigger"`
	Ticket     string            `json:"ticket,omitempty"`
	Policy     string            `json:"policy"`
	Approvals  int               `json:"approvals_needed"`
	State      offboard.State    `json:"state"`
	Waiting    offboard.Waiting  `json:"waiting,omitempty"`
	Note       string            `json:"note,omitempty"`
	Batch      string            `json:"batch,omitempty"`
	Cancelling bool              `json:"cancelling,omitempty"`
	Outcome    offboard.Outcome  `json:"outcome,omitempty"`
	Opened     time.Time         `json:"opened"`
	NotBefore  time.Time         `json:"not_before,omitzero"`
	Due        time.Time         `json:"due,omitzero"`
	Overdue    bool              `json:"overdue,omitempty"`
	Removed    time.Time         `json:"removed,omitzero"`
	Verified   time.Time         `json:"verified,omitzero"`
	Closed     time.Time         `json:"closed,omitzero"`
	Waited     float64           `json:"waited_seconds,omitempty"` // for people
}

func (c *Console) caseOf(k offboard.Case) Case {
	return Case{
		ID: k.ID, PersonID: k.PersonID, Connection: k.Connection, Address: k.Address, Plan: k.Plan, Reason: k.Reason,
		Trigger: k.Trigger, Ticket: k.Ticket, Policy: k.Policy.Name, Approvals: k.Policy.Approvals, State: k.State,
		Waiting: k.Waiting, Note: k.Note, Batch: k.Batch, Cancelling: k.Ending == offboard.EndCancel && k.State.Live(),
		Outcome: k.Outcome, Opened: k.Opened, NotBefore: k.NotBefore, Due: k.Due,
		Overdue: k.State.Live() && !k.Due.IsZero() && c.opts.Now().After(k.Due),
		Removed: k.Removed, Verified: k.Verified, Closed: k.Closed, Waited: k.Waited.Seconds(),
	}
}

// CaseFile is a case with all that belongs to it.
type CaseFile struct {
	Case
	Name            string     `json:"name"`
	Entitled        bool       `json:"entitled"`
	Standing        *Decision  `json:"standing_removal,omitempty"`
	Steps           []Step     `json:"steps"`
	Assets          []Asset    `json:"assets"`
	Tasks           []Task     `json:"tasks"`
	Approved        []Approval `json:"approvals"`
	Needed          *Needed    `json:"needed,omitempty"` // while the removal has not begun
	Effects         []Effect   `json:"effects"`
	Rotations       []Rotation `json:"rotations"`
	Timeline        []Entry    `json:"timeline"`
	TimelineProblem string     `json:"timeline_problem,omitempty"` // why the timeline cannot be trusted
}

// Decision is a standing removal decision.
type Decision struct {
	Reason offboard.Reason `json:"reason"`
	By     string          `json:"by"`
	Until  time.Time       `json:"until,omitzero"` // zero: until the case is cancelled
}

// Step is one step of a case's plan.
type Step struct {
	Name     offboard.StepName  `json:"name"`
	State    offboard.StepState `json:"state"`
	Attempts int                `json:"attempts,omitempty"`
	Error    string             `json:"error,omitempty"`
	Result   json.RawMessage    `json:"result,omitempty"`
	Started  time.Time          `json:"started,omitzero"`
	Finished time.Time          `json:"finished,omitzero"`
}

// Asset is something the leaver owns or owned.
type Asset struct {
	ID           string              `json:"id"`
	Kind         string              `json:"kind"`
	Organization string              `json:"organization"`
	Project      int                 `json:"project,omitempty"`
	Name         string              `json:"name,omitempty"`
	State        offboard.AssetState `json:"state"`
	NewOwner     string              `json:"new_owner,omitempty"`
	By           string              `json:"by,omitempty"`
	Source       string              `json:"source,omitempty"`
}

// Task is something a human does and attests.
type Task struct {
	ID        string             `json:"id"`
	Case      string             `json:"case"`
	Rotation  string             `json:"rotation,omitempty"` // it belongs to this one, and outlives the case
	Kind      offboard.TaskKind  `json:"kind"`
	Title     string             `json:"title"`
	Text      string             `json:"text,omitempty"`
	Link      string             `json:"link,omitempty"`
	Assignee  string             `json:"assignee,omitempty"`
	Successor string             `json:"successor,omitempty"`
	State     offboard.TaskState `json:"state"`
	Opened    time.Time          `json:"opened,omitzero"`
	Due       time.Time          `json:"due,omitzero"`
	Overdue   bool               `json:"overdue,omitempty"`
	By        string             `json:"by,omitempty"`
	Note      string             `json:"note,omitempty"`
	Ended     time.Time          `json:"ended,omitzero"`
}

func (c *Console) taskOf(t offboard.Task) Task {
	return Task{
		ID: t.ID, Case: t.CaseID, Rotation: t.Rotation, Kind: t.Kind, Title: t.Title, Text: t.Text, Link: t.Link, Assignee: t.Assignee,
		Successor: t.Successor, State: t.State, Opened: t.Opened, Due: t.Due,
		Overdue: t.State == offboard.TaskOpen && !t.Due.IsZero() && c.opts.Now().After(t.Due),
		By:      t.By, Note: t.Note, Ended: t.Ended,
	}
}

// Approval is one person's yes.
type Approval struct {
	By          string                `json:"by"`
	Role        string                `json:"role,omitempty"`
	Ticket      string                `json:"ticket,omitempty"`
	Note        string                `json:"note,omitempty"`
	At          time.Time             `json:"at"`
	Via         offboard.Via          `json:"via,omitempty"`
	Attachments []offboard.Attachment `json:"attachments,omitempty"`
}

// Effect is one outward change.
type Effect struct {
	Key      string               `json:"key"`
	Step     offboard.StepName    `json:"step"`
	Object   string               `json:"object"`
	State    offboard.EffectState `json:"state"`
	Response string               `json:"response,omitempty"`
	Intended time.Time            `json:"intended,omitzero"`
	Done     time.Time            `json:"done,omitzero"`
}

// Rotation is one credential's replacement.
type Rotation struct {
	ID         string                 `json:"id"`
	Credential string                 `json:"credential"`
	State      offboard.RotationState `json:"state"`
	Opened     time.Time              `json:"opened,omitzero"`
	Minted     time.Time              `json:"minted,omitzero"`
	RetireAt   time.Time              `json:"retire_at,omitzero"`
	Retired    time.Time              `json:"retired,omitzero"`
	Due        time.Time              `json:"due,omitzero"`
	How        string                 `json:"how,omitempty"`   // how the replacement came about
	Proof      string                 `json:"proof,omitempty"` // how it is known that the old one is dead
	Note       string                 `json:"note,omitempty"`  // what it waits for, or what went wrong
	Cases      []string               `json:"cases,omitempty"` // those it serves, in lists of rotations
}

func rotationOf(r offboard.Rotation) Rotation {
	return Rotation{
		ID: r.ID, Credential: r.Credential, State: r.State, Opened: r.Opened, Minted: r.Minted, RetireAt: r.RetireAt, Retired: r.Retired,
		Due: r.Due, How: r.How, Proof: r.Proof, Note: r.Note,
	}
}

// RotationList is a page of rotations, newest first.
type RotationList struct {
	Rotations []Rotation `json:"rotations"`
	Next      string     `json:"next,omitempty"`
}

// NoteRequest is a decision with a note.
type NoteRequest struct {
	Note string `json:"note,omitempty"`
}

// Entry is one line of a timeline. Each hash covers the line before it.
type Entry struct {
	Seq   int64           `json:"seq"`
	At    time.Time       `json:"at"`
	Actor string          `json:"actor"`
	Kind  string          `json:"kind"`
	Text  string          `json:"text"`
	Data  json.RawMessage `json:"data,omitempty"`
	Hash  string          `json:"hash"`
}

// fileOf maps a case with its timeline. Lists are never null.
func (c *Console) fileOf(f offboard.File, timeline []offboard.Entry) CaseFile {
	out := CaseFile{
		Case: c.caseOf(f.Case), Name: f.Person.Name(), Entitled: f.Standing.Entitled,
		Steps: []Step{}, Assets: []Asset{}, Tasks: []Task{}, Approved: []Approval{}, Effects: []Effect{},
		Rotations: []Rotation{}, Timeline: []Entry{},
	}
	if d := f.Person.Removal; d.Stands(c.opts.Now()) {
		out.Standing = &Decision{Reason: d.Reason, By: d.By, Until: d.Until}
	}
	for _, s := range f.Steps {
		out.Steps = append(out.Steps, Step{
			Name: s.Name, State: s.State, Attempts: s.Attempts, Error: s.Error, Result: s.Result,
			Started: s.Started, Finished: s.Finished,
		})
	}
	for _, a := range f.Assets {
		out.Assets = append(out.Assets, Asset{
			ID: a.ID, Kind: a.Kind, Organization: a.Organization, Project: a.Project, Name: a.Name, State: a.State,
			NewOwner: a.NewOwner, By: a.By, Source: a.Source,
		})
	}
	for _, t := range f.Tasks {
		out.Tasks = append(out.Tasks, c.taskOf(t))
	}
	if f.Deciding() {
		needed := c.neededOf(f)
		out.Needed = &needed
	}
	for _, a := range f.Approvals {
		out.Approved = append(out.Approved, Approval(a))
	}
	for _, e := range f.Effects {
		out.Effects = append(out.Effects, Effect(e))
	}
	for _, r := range f.Rotations {
		out.Rotations = append(out.Rotations, rotationOf(r))
	}
	for _, e := range timeline {
		out.Timeline = append(out.Timeline, Entry(e))
	}
	return out
}

// CaseList is a page of cases, newest first.
type CaseList struct {
	Cases []Case `json:"cases"`
	Next  string `json:"next,omitempty"` // the value of before for the next page; empty: this was the last
}

// TaskList is a page of tasks, newest first.
type TaskList struct {
	Tasks []Task `json:"tasks"`
	Next  string `json:"next,omitempty"`
}

// Token is a bearer token of a connection, without its secret.
type Token struct {
	ID         string    `json:"id"`
	Connection string    `json:"connection"`
	Created    time.Time `json:"created"`
	Expires    time.Time `json:"expires,omitzero"` // zero: never
	Revoked    time.Time `json:"revoked,omitzero"`
	Live       bool      `json:"live"`
	EndsSoon   bool      `json:"ends_soon,omitempty"` // live, but to be replaced
}

// TokenList is every token of a connection.
type TokenList struct {
	Tokens []Token `json:"tokens"`
}

// NewToken is a token that was just made. Its secret is told once.
type NewToken struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// Pause is whether outward changes are stopped, by whom, and the last times
// that they were.
type Pause struct {
	Paused bool        `json:"paused"`
	By     string      `json:"by,omitempty"`
	Why    string      `json:"why,omitempty"`
	At     time.Time   `json:"at,omitzero"`
	Past   []PastPause `json:"past,omitempty"`
}

// PastPause is a pause that is over.
type PastPause struct {
	By         string    `json:"by"`
	Why        string    `json:"why"`
	At         time.Time `json:"at"`
	Resumed    time.Time `json:"resumed"`
	ResumedBy  string    `json:"resumed_by"`
	ResumedWhy string    `json:"resumed_why,omitempty"`
}

// CaseCount is how many live cases of a plan are in a state.
type CaseCount struct {
	Plan   offboard.PlanName `json:"plan"`
	State  offboard.State    `json:"state"`
	Count  int               `json:"count"`
	Oldest time.Time         `json:"oldest,omitzero"`
}

// BudgetLoad is how busy the request budget of one organization is.
type BudgetLoad struct {
	Organization string `json:"organization"`
	Used         int    `json:"used"` // requests of the last minute
	Rate         int    `json:"rate"`
	Queued       int    `json:"queued"`      // cases, of all organizations, that wait for a slot
	ETASeconds   int    `json:"eta_seconds"` // until the last of them had one
}

// Status is how Offramp stands.
type Status struct {
	Version      string      `json:"version"`
	Mode         string      `json:"mode"`
	Pause        Pause       `json:"pause"`
	Cases        []CaseCount `json:"cases"`
	CasesOverdue int         `json:"cases_overdue"`
	TasksOverdue int         `json:"tasks_overdue"`

	Budgets []BudgetLoad `json:"budgets"`
	Brakes  []string     `json:"brakes"` // names of organizations and connections whose brake is engaged
}

// OpenRequest asks that somebody leaves.
type OpenRequest struct {
	Person     string          `json:"person"`               // user name or address
	Connection string          `json:"connection,omitempty"` // required where several people hold the address
	Reason     offboard.Reason `json:"reason"`
	Ticket     string          `json:"ticket,omitempty"`
	Policy     string          `json:"policy,omitempty"`  // its name; empty: the one whose condition holds
	Because    string          `json:"because,omitempty"` // for the record
}

// SunsetRequest proposes that everybody leaves whose only access is one project.
type SunsetRequest struct {
	Project      int    `json:"project"`
	Organization string `json:"organization,omitempty"` // required where several have the project
	Because      string `json:"because"`
	Ticket       string `json:"ticket,omitempty"`
	Policy       string `json:"policy,omitempty"`
}

// SunsetResult is who is proposed, held as one batch, and who is not.
type SunsetResult struct {
	Batch        string   `json:"batch,omitempty"` // to release or cancel; empty: nobody is proposed
	Organization string   `json:"organization"`
	Looked       []int    `json:"projects_looked_at"`
	Opened       []Case   `json:"opened"`
	Live         []string `json:"live"` // addresses that have a live case already
	Left         []Left   `json:"left"` // who is not proposed, and why
}

// Left is an address that somebody has to look at.
type Left struct {
	Address string `json:"address"`
	Why     string `json:"why"`
}

// ApproveRequest is the asking operator's yes.
type ApproveRequest struct {
	Role        string                `json:"role,omitempty"` // empty: the one that is still needed
	Ticket      string                `json:"ticket,omitempty"`
	Note        string                `json:"note,omitempty"`
	Attachments []offboard.Attachment `json:"attachments,omitempty"`
}

// LinkRequest asks for a personal link to a task.
type LinkRequest struct {
	To   string `json:"to"`             // address of the only one who may use it
	Days int    `json:"days,omitempty"` // until it expires, up to 90; 0: 14
}

// NewLink is a personal link that was just made. It is told once.
type NewLink struct {
	URL     string    `json:"url"`
	To      string    `json:"to"`
	Expires time.Time `json:"expires"`
}

// Needed is what a case needs before its removal may begin, and what it has.
type Needed struct {
	People  int                  `json:"people"`
	Counted int                  `json:"counted"`
	Roles   []NeededRole         `json:"roles"`
	Rules   []offboard.RuleAsked `json:"rules,omitempty"` // roles that the inventory made necessary
	Missing []string             `json:"missing"`         // empty: nothing
	Void    []string             `json:"void,omitempty"`  // approvals that do not count, and why
}

// NeededRole is one role and whose approval fills it.
type NeededRole struct {
	Role string `json:"role"`
	By   string `json:"by,omitempty"`
}

func (c *Console) neededOf(f offboard.File) Needed {
	t := c.opts.Approvers.Count(f, c.opts.Now())
	out := Needed{
		People: t.Needs.People, Counted: len(t.Counted), Roles: []NeededRole{}, Rules: t.Needs.Rules,
		Missing: append([]string{}, t.Missing()...), Void: t.Void,
	}
	for i, role := range t.Needs.Roles {
		out.Roles = append(out.Roles, NeededRole{Role: role, By: t.Roles[i]})
	}
	return out
}

// BecauseRequest is a decision that needs no more than a reason.
type BecauseRequest struct {
	Because string `json:"because,omitempty"`
}

// RetryRequest asks for another try.
type RetryRequest struct {
	Because  string `json:"because,omitempty"`
	Override bool   `json:"override,omitempty"` // an admin lets the case pass the guards of protected people and admins
}

// BatchResult tells what a decision about a batch came to.
type BatchResult struct {
	Batch   string `json:"batch"`
	Decided int    `json:"decided"` // cases to which it applied
	Left    int    `json:"left"`    // cases that no longer waited for it
}

// ResolveRequest closes a case by hand.
type ResolveRequest struct {
	Because     string                `json:"because"`
	Attachments []offboard.Attachment `json:"attachments,omitempty"`
}

// DoneRequest attests a task.
type DoneRequest struct {
	Note      string `json:"note,omitempty"`
	Successor string `json:"successor,omitempty"`
}

// TokenRequest asks for a token.
type TokenRequest struct {
	Connection string `json:"connection"`
	Days       int    `json:"days,omitempty"` // until it expires; 0: never
}

// PauseRequest stops outward changes.
type PauseRequest struct {
	Why string `json:"why"`
}
