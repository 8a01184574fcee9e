package offboard

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Case is our record of one leaver. A person has at most one live case.
type Case struct {
	ID         string
	PersonID   string
	Connection string
	Address    string // of the seat, fixed when the case opened
	Plan       PlanName
	Reason     Reason
	Trigger    string // the form that opened it, in words
	Ticket     string
	Policy     Policy // as it was when the case opened
	State      State
	Waiting    Waiting
	Note       string    // one sentence for whoever looks at the case
	Guard      GuardName // whose refusal Note tells
	Batch      string    // of a mass change or a brake, empty otherwise
	Braked     bool      // Batch is the id of a brake
	Cleared    bool      // a person let the case go on: no brake catches it again
	Override   Override
	Ending     Ending
	Outcome    Outcome
	Epoch      int64 // raised by every claim; fences checkpoints
	Signal     int64 // raised by everything that may end a wait
	Opened     time.Time
	NotBefore  time.Time // nothing outward before
	Due        time.Time // overdue afterwards
	Removed    time.Time // when the last seat was removed; zero before
	Verified   time.Time // when absence was first proven; zero before
	Waited     time.Duration
	Held       time.Duration // before it went on: the time for the handover did not run
	Closed     time.Time
}

// Ending is a decision to end a case early.
type Ending string

// The endings.
const (
	EndNot    Ending = ""
	EndCancel Ending = "cancel"
)

// Override says which guards a person let a case pass.
type Override string

// The overrides.
const (
	OverrideNone   Override = ""
	OverrideUnseen Override = "unseen" // what a guard cannot see
	OverrideAll    Override = "all"    // protected people, admins, Offramp's own credentials and the brake as well
)

// Begins is the moment for which decisions about the case ask: now, or its
// NotBefore while that lies ahead. Until a leave date the person is entitled,
// and the case is not cancelled for it.
func (c Case) Begins(now time.Time) time.Time {
	if c.NotBefore.After(now) {
		return c.NotBefore
	}
	return now
}

// HandoverDeadline is when the handover has to be finished. The time for which
// the case was held is not the successor's.
func (c Case) HandoverDeadline() time.Time {
	return c.Policy.handoverDeadline(c.Begins(c.Opened)).Add(c.Held)
}

// ProvedGone reports whether the case removed the seat and saw it gone: from
// then on the address is watched.
func (c Case) ProvedGone() bool {
	return c.Outcome == OutcomeRemoved && !c.Removed.IsZero() && !c.Verified.IsZero()
}

// Incident reports whether the case is a security incident, which runs the
// emergency plan and ignores entitlement through other connections.
func (c Case) Incident() bool { return c.Plan == Emergency }

// Step is one row of a case's plan.
type Step struct {
	Seq      int
	Name     StepName
	State    StepState
	Attempts int             // failed ones
	Result   json.RawMessage // what the step knows so far
	Error    string          // of the last failed attempt
	Started  time.Time
	Finished time.Time
}

// Asset is something the leaver owns.
type Asset struct {
	ID           string // kind/project/remote id, unique in the case
	Kind         string
	Organization string
	Project      int
	RemoteID     string
	Name         string
	State        AssetState
	NewOwner     string
	By           string // who or what handed it over
	Source       string // which API or hook listed it
}

// AssetState is where the handover of one asset stands.
type AssetState string

// The states of an asset.
const (
	AssetOwned    AssetState = "owned"
	AssetHanded   AssetState = "handed_over"
	AssetOrphaned AssetState = "orphaned"
)

// Task is something a human does and attests.
type Task struct {
	ID        string
	CaseID    string
	Rotation  string // id of the rotation that it belongs to; empty: to the case alone
	Kind      TaskKind
	Key       string // unique per case: a task is opened once
	Title     string
	Text      string
	Link      string
	Assignee  string // an address, or empty: any operator
	Successor string
	State     TaskState
	Due       time.Time
	Opened    time.Time
	By        string // who attested
	Note      string
	Ended     time.Time
}

// TaskKind says what a task is about.
type TaskKind string

// The kinds of tasks.
const (
	TaskHandover  TaskKind = "handover"
	TaskSuccessor TaskKind = "successor"
	TaskRotate    TaskKind = "rotate"
	TaskCheck     TaskKind = "check"
	TaskFollowUp  TaskKind = "follow_up" // outlives its case
	TaskRevoke    TaskKind = "revoke"    // access that no API can take away
	TaskAdmin     TaskKind = "admin"     // somebody else has to administer what only the leaver does
)

// TaskKinds lists every kind, for metrics.
func TaskKinds() []TaskKind {
	return []TaskKind{TaskHandover, TaskSuccessor, TaskRotate, TaskCheck, TaskFollowUp, TaskRevoke, TaskAdmin}
}

// TaskState is where a task stands.
type TaskState string

// The states of a task.
const (
	TaskOpen     TaskState = "open"
	TaskDone     TaskState = "done"
	TaskDeclined TaskState = "declined"
	TaskDropped  TaskState = "dropped" // the case ended, or the deadline passed, first
)

// Approval is one person's yes.
type Approval struct {
	By          string
	Role        string // empty: any that they may give
	Ticket      string
	Note        string
	At          time.Time
	Via         Via
	Attachments []Attachment
}

// Effect is one outward change. It is recorded as intended before the call and
// as done after it, so that a retry knows to read before it writes.
type Effect struct {
	Key      string // case/step/object
	Step     StepName
	Object   string
	State    EffectState
	Response string
	Intended time.Time
	Done     time.Time
}

// EffectState is how far an effect has come.
type EffectState string

// The states of an effect. The zero value means that there is no record.
const (
	EffectNone     EffectState = ""
	EffectIntended EffectState = "intended"
	EffectDone     EffectState = "done"
)

// Entry is one line of a case's timeline. Seq and the hashes are the store's.
type Entry struct {
	Seq   int64
	At    time.Time
	Actor string
	Kind  string
	Text  string
	Data  json.RawMessage
	Hash  string
}

// File is a case with everything that a decision about it needs.
type File struct {
	Case      Case
	Person    Person
	Steps     []Step
	Assets    []Asset
	Tasks     []Task
	Approvals []Approval
	Effects   []Effect
	Rotations []Rotation
	Standing  Standing
}

// Standing is what the directory says about the person and the seat now.
type Standing struct {
	Entitled      bool     // the person, through their own connection, when the case may begin: see Spared
	ElsewhereBy   string   // connection through which the same human is entitled, empty: none
	HeldBy        string   // id of another person who holds the address, empty: none
	SeatClaimedBy string   // live case of somebody else that claimed the seat, empty: none
	Groups        []string // display names of the person's groups
	Paused        *Pause   // of all outward changes; nil: none
	Losing        []string // with an intent: those of its Others who lose something too

	// Who is who among those who decide, filled while a case may need approvals.
	Manager []string   // addresses, folded, of the leaver's manager as the identity provider names them
	Aliases [][]string // per person who approved or takes over: their addresses, folded, and how they were named
}

// Next returns the first step that is not finished; nil when there is none.
func (f File) Next() *Step {
	for i := range f.Steps {
		switch f.Steps[i].State {
		case StepPending, StepRunning, StepWaiting:
			return &f.Steps[i]
		case StepDone, StepSkipped, StepObserved:
		}
	}
	return nil
}

// Step returns the last step of that name; nil when the plan has none.
func (f File) Step(n StepName) *Step {
	for i := len(f.Steps) - 1; i >= 0; i-- {
		if f.Steps[i].Name == n {
			return &f.Steps[i]
		}
	}
	return nil
}

// Changed tells in words what the case has changed already, or may have: access
// that it took, things that it handed over, credentials that it replaced.
func (f File) Changed() (list []string) {
	n := map[StepName]int{}
	for _, e := range f.Effects {
		if !strings.Contains(e.Object, "/undo/") {
			n[e.Step]++
		}
	}
	for _, s := range []struct {
		step StepName
		what string
	}{{StepContain, "access taken away in advance"}, {StepHandover, "things handed over"}, {StepRevoke, "access taken away"}, {StepRemove, "seats removed"}} {
		if n[s.step] > 0 {
			list = append(list, fmt.Sprintf("%s: %d", s.what, n[s.step]))
		}
	}
	minted := 0
	for _, r := range f.Rotations {
		if !r.Minted.IsZero() {
			minted++
		}
	}
	if minted > 0 {
		list = append(list, fmt.Sprintf("credentials replaced: %d", minted))
	}
	return list
}

// RemoveBegan reports whether any seat's removal was at least intended. From
// then on a change of mind no longer cancels.
func (f File) RemoveBegan() bool {
	for _, e := range f.Effects {
		if e.Step == StepRemove {
			return true
		}
	}
	return false
}

// Effect returns the effect recorded under key; its zero value when there is none.
func (f File) Effect(key string) Effect {
	for _, e := range f.Effects {
		if e.Key == key {
			return e
		}
	}
	return Effect{}
}

// Task returns the task opened under key; nil when there is none.
func (f File) Task(key string) *Task {
	for i := range f.Tasks {
		if f.Tasks[i].Key == key {
			return &f.Tasks[i]
		}
	}
	return nil
}

// Update is everything that one checkpoint changes. Zero fields change nothing.
type Update struct {
	State      State
	Waiting    *Waiting
	Note       *string
	Guard      GuardName // with Note: whose refusal it tells
	Ending     Ending
	Outcome    Outcome // ends the case, with State closed or cancelled
	WakeAt     time.Time
	Now        bool // look at the case again at once
	NotBefore  time.Time
	Due        time.Time
	Removed    time.Time
	Verified   time.Time
	Unverified bool   // what was verified is not so any more
	Steps      []Step // by Seq
	Assets     []Asset
	Tasks      []Task     // by Key: new ones are opened, known ones changed
	Approvals  []Approval // added
	Effects    []Effect   // by Key: marked done
	Timeline   []Entry
	Messages   []Message // new ones, by Key and To
	Plan       PlanName  // with Reason and Replace: a more urgent plan
	Cleared    bool      // a person let the case go on
	Override   Override  // which guards it passes from now on
	Reason     Reason
	Replace    []Step
}

// Fence is an attempt's right to record progress. A zero Epoch is a person's
// word, which needs none.
type Fence struct {
	CaseID string
	Epoch  int64
	Signal int64 // when the attempt last read the case
}

// CaseFilter narrows a list of cases. Zero fields do not narrow.
type CaseFilter struct {
	State      State
	Plan       PlanName
	Connection string
	Batch      string
	Address    string
	Before     string // id of the last case of the page before
	Most       int    // 0: 100
}

// TaskFilter narrows a list of tasks. Zero fields do not narrow.
type TaskFilter struct {
	State  TaskState
	CaseID string
	Before string
	Most   int // 0: 100
}

// Use is one request that was charged to an organization's budget.
type Use struct {
	Share string
	At    time.Time
}

// Load is how busy an organization's budget is.
type Load struct {
	Used    int // requests of the last minute
	Waiting int // cases of all organizations that wait for a slot
}

// Meter is the state of an organization's budget.
type Meter struct {
	Uses      []Use // of the last minute, oldest first
	Throttled time.Time
	Asked     map[string]time.Time // until when what a share owns is kept for it, since it was refused
}
