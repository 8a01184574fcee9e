// Package console owns what operators see and do over HTTP: the operator API
// with its description, the read-only pages, and the door through which hooks
// call back. It decides who may ask for what; whether a case allows it is for
// the rules of offboard, inside the store's transaction. It must not know SQL,
// SCIM, Amplitude, or how a case is carried out.
package console

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"offramp/internal/offboard"
)

// Store is what the console reads and writes. *store.Store is one.
type Store interface {
	Cases(ctx context.Context, f offboard.CaseFilter) ([]offboard.Case, error)
	Case(ctx context.Context, id string) (offboard.File, error)
	Timeline(ctx context.Context, caseID string) ([]offboard.Entry, error)
	Tasks(ctx context.Context, f offboard.TaskFilter) ([]offboard.Task, error)
	Task(ctx context.Context, id string) (offboard.Task, error)
	Holders(ctx context.Context, address string) ([]offboard.Person, error)
	AdoptPerson(ctx context.Context, connection, address string) (offboard.Person, error)
	Act(ctx context.Context, caseID string, decide func(offboard.File) (offboard.Update, error)) (offboard.File, error)
	Reconsider(ctx context.Context, personID string, decide func(offboard.Person, offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error)) (string, error)
	Differences
	Brakes
	Rotations(ctx context.Context, f offboard.RotationFilter) ([]offboard.RotationFile, error)
	ConfirmRotation(ctx context.Context, id string, decide func(offboard.RotationFile) (offboard.RotationUpdate, error)) (offboard.RotationFile, error)
	NewBatch() string
	Propose(ctx context.Context, batch, personID string, decide func(offboard.Person, offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error)) (string, error)
	Links
	Receive(ctx context.Context, secret string, decide func(offboard.File, string) (offboard.Update, error)) error
	Pause(ctx context.Context, by, why string) error
	Resume(ctx context.Context, by, why string) error
	Paused(ctx context.Context) (*offboard.Pause, error)
	PastPauses(ctx context.Context, most int) ([]offboard.Pause, error)
	Tokens(ctx context.Context, connection string) ([]offboard.Token, error)
	NewToken(ctx context.Context, connection string, lifetime time.Duration) (id, secret string, err error)
	RevokeToken(ctx context.Context, connection, id string) error
}

// Role is what an operator may do. Every role may read.
type Role string

// The roles.
const (
	Viewer   Role = "viewer"   // reads
	Worker   Role = "operator" // works on cases and tasks
	Approver Role = "approver" // approves
	Admin    Role = "admin"    // everything, and alone: pauses, and makes tokens
)

// Operator is a person or a program that calls the operator API.
type Operator struct {
	Name      string // required, unique; the actor in timelines
	TokenHash string // required; SHA-256 of the bearer token, lower-case hexadecimal
	Roles     []Role // at least one
}

// Answer is what a hook's late answer changes about the case whose effect it
// belongs to. It may run more than once.
type Answer func(f offboard.File, effectKey string) (offboard.Update, error)

// Load is what waits, counted.
type Load struct {
	Cases        []CaseCount
	Budgets      []BudgetLoad
	CasesOverdue int
	TasksOverdue int
}

// Access reads who may do what in Amplitude. What it cannot tell it refuses with
// an *offboard.RefusedError. *runner.Runner is one.
type Access interface {
	SoleAccess(ctx context.Context, organization string, project int) (offboard.SoleAccess, error)
	Seated(ctx context.Context, organization, address string) (bool, error)
}

// Options are what a console needs.
type Options struct {
	Store         Store // required
	Operators     []Operator
	Approvers     offboard.Approvers                           // whose approvals count, and as what
	PublicURL     string                                       // before /t/ in personal links; without a slash at its end
	Connections   []string                                     // names; tokens are made for these only
	Organizations []string                                     // names; only these are compared with what is meant
	Rules         func(connection string) offboard.Rules       // required; for cases that operators open
	Reachable     func(connection, address string) bool        // whether an address is in the connection's domains; nil: always
	Access        Access                                       // for the sunset of projects; nil: none can be proposed
	Protected     func(offboard.Person) string                 // why a person is protected, for explanations; nil: nobody is
	Load          func(ctx context.Context) (Load, error)      // required
	Callback      func(body []byte) (answer Answer, err error) // reads a hook's call-back; a nil Answer: the hook is still at work; nil: there are no hooks
	Reviews       Reviews                                      // required
	Mode          string                                       // observe or enforce, shown
	Version       string                                       // shown
	Now           func() time.Time                             // nil: time.Now
	Log           *zap.Logger                                  // nil: no log
}

// Console serves operators and hooks. It is safe for concurrent use.
type Console struct {
	opts  Options
	keys  []key
	pages *template.Template
	admin http.Handler
	hooks http.Handler
	links http.Handler
}

// New checks the options and builds the handlers. It starts nothing.
func New(o Options) (*Console, error) {
	switch {
	case o.Store == nil:
		return nil, errors.New("console: a store is required")
	case o.Rules == nil:
		return nil, errors.New("console: the rules are required")
	case o.Reviews == nil:
		return nil, errors.New("console: the access reviews are required")
	case o.Load == nil:
		return nil, errors.New("console: what counts the load is required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	c := &Console{opts: o}
	seen := map[string]bool{}
	for _, op := range o.Operators {
		hash, err := hex.DecodeString(op.TokenHash)
		if err != nil || len(hash) != 32 {
			return nil, fmt.Errorf("console: operator %s: the token hash is not a SHA-256 in hexadecimal", op.Name)
		}
		if op.Name == "" || seen[op.Name] || len(op.Roles) == 0 {
			return nil, fmt.Errorf("console: operator %q: a name of its own and a role are required", op.Name)
		}
		seen[op.Name] = true
		c.keys = append(c.keys, key{hash: [32]byte(hash), operator: op})
	}
	description, err := describe()
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	if c.pages, err = pages(); err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	c.admin = c.router(description)
	c.hooks = c.hookRouter()
	c.links = c.linkRouter()
	return c, nil
}

// Admin serves the operator API under /api/v1/ and the pages under /. It
// belongs on the admin listener.
func (c *Console) Admin() http.Handler { return c.admin }

// Hooks serves POST /hooks/{receipt}. It belongs on the public listener.
func (c *Console) Hooks() http.Handler { return c.hooks }

// words makes a name such as needs_attention readable.
func words(s string) string { return strings.ReplaceAll(s, "_", " ") }
