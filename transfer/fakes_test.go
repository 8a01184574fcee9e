package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"offramp/transfer"
)

// noon is when the tests happen.
func noon() time.Time { return time.Date(2026, time.March, 14, 12, 0, 0, 0, time.UTC) }

func eventHandover() transfer.Handover {
	return transfer.Handover{
		Key: "case-7/handover/event-1", Case: "case-7", Organization: "acme",
		Asset:     transfer.Asset{Kind: transfer.AssetEvent, ID: "Checkout / Paid", Project: "101"},
		Leaver:    transfer.Person{Email: "jo@example.com", Name: "Jo Doe", ID: "u-1"},
		Successor: transfer.Person{Email: "sam@example.com", Name: "Sam Roe", ID: "u-2"},
		Reason:    "termination", Due: noon().Add(24 * time.Hour),
	}
}

func deploymentRotation() transfer.Rotation {
	return transfer.Rotation{
		Key:        "rotation-3",
		Credential: transfer.Credential{Kind: transfer.CredentialDeploymentKey, ID: "11", Name: "web", Project: "101", Organization: "acme"},
		Reason:     "termination", Opened: noon(),
	}
}

// errLater is temporary, as an API client would say it.
type errLater struct{}

func (errLater) Error() string   { return "api: 503" }
func (errLater) Temporary() bool { return true }

// errNever is permanent.
type errNever struct{}

func (errNever) Error() string   { return "api: 405" }
func (errNever) Temporary() bool { return false }

// fakeEvents is a tracking plan.
type fakeEvents struct {
	mu     sync.Mutex
	owners map[string]string // by event name
	writes int
	lost   bool // writes are confirmed and lost
}

func newEvents(pairs ...string) *fakeEvents {
	f := &fakeEvents{owners: map[string]string{}}
	for pair := range slices.Chunk(pairs, 2) {
		f.owners[pair[0]] = pair[1]
	}
	return f
}

func (f *fakeEvents) Events(context.Context, string) ([]transfer.Event, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []transfer.Event
	for name, owner := range f.owners {
		all = append(all, transfer.Event{Name: name, Owner: owner})
	}
	return all, nil
}

func (f *fakeEvents) Event(_ context.Context, _, name string) (transfer.Event, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	owner, ok := f.owners[name]
	if !ok {
		return transfer.Event{}, errNever{}
	}
	return transfer.Event{Name: name, Owner: owner}, nil
}

func (f *fakeEvents) SetEventOwner(_ context.Context, _, name, owner string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes++
	if !f.lost {
		f.owners[name] = owner
	}
	return nil
}

func (f *fakeEvents) owner(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.owners[name]
}

func (f *fakeEvents) effects() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

// fakeDeployments is a project of Experiment in which one call can go wrong, before or after it is carried out.
type fakeDeployments struct {
	mu       sync.Mutex
	all      []transfer.Deployment
	attached map[string][]transfer.FlagRef
	undying  bool // archived keys go on working
	stubborn string

	calls   int
	faultAt int  // the number of the call that fails; 0: none
	applied bool // it fails after it was carried out
	effects int
	log     []string
}

func newDeployments() *fakeDeployments {
	return &fakeDeployments{
		all: []transfer.Deployment{
			{ID: "9", Label: "other", Key: "server-other-0009"},
			{ID: "11", Label: "web", Key: "client-web-key-0011"},
		},
		attached: map[string][]transfer.FlagRef{
			"9":  {{ID: "f1"}},
			"11": {{ID: "f1"}, {ID: "f2"}, {ID: "f2", Experiment: true}},
		},
	}
}

// step runs one call under the lock; change is nil for reads.
func (f *fakeDeployments) step(name string, change func() error) error {
	f.calls++
	faulty := f.calls == f.faultAt
	if faulty && !f.applied {
		return errLater{}
	}
	if change != nil {
		if err := change(); err != nil {
			return err
		}
		f.effects++
		f.log = append(f.log, name)
	}
	if faulty {
		return errLater{}
	}
	return nil
}

func (f *fakeDeployments) Deployments(context.Context, string) ([]transfer.Deployment, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step("list", nil); err != nil {
		return nil, err
	}
	return slices.Clone(f.all), nil
}

func (f *fakeDeployments) CreateDeployment(_ context.Context, _, label, kind string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := strconv.Itoa(12 + len(f.all))
	err := f.step("create "+kind, func() error {
		f.all = append(f.all, transfer.Deployment{ID: id, Label: label, Key: transfer.Secret(kind + "-minted-" + id)})
		return nil
	})
	return id, err
}

func (f *fakeDeployments) ArchiveDeployment(_ context.Context, _, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.step("archive "+id, func() error {
		for i := range f.all {
			if f.all[i].ID == id {
				f.all[i].Archived = true
			}
		}
		return nil
	})
}

func (f *fakeDeployments) Attached(_ context.Context, _, id string) ([]transfer.FlagRef, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step("attached", nil); err != nil {
		return nil, err
	}
	return slices.Clone(f.attached[id]), nil
}

func (f *fakeDeployments) Attach(_ context.Context, _ string, flag transfer.FlagRef, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if flag.ID == f.stubborn {
		return errNever{}
	}
	return f.step("attach "+id, func() error {
		if slices.Contains(f.attached[id], flag) {
			return errors.New("attached twice")
		}
		f.attached[id] = append(f.attached[id], flag)
		return nil
	})
}

func (f *fakeDeployments) Detach(_ context.Context, _ string, flag transfer.FlagRef, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.step("detach "+id, func() error {
		f.attached[id] = slices.DeleteFunc(f.attached[id], func(have transfer.FlagRef) bool { return have == flag })
		return nil
	})
}

func (f *fakeDeployments) KeyWorks(_ context.Context, _ string, key transfer.Secret) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step("probe", nil); err != nil {
		return false, err
	}
	for _, d := range f.all {
		if d.Key == key {
			return !d.Archived || f.undying, nil
		}
	}
	return false, nil
}

func (f *fakeDeployments) changes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.effects
}

// minted lists the deployments made by rotations.
func (f *fakeDeployments) minted() []transfer.Deployment {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all[2:])
}

func (f *fakeDeployments) keys() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var keys []string
	for _, d := range f.all {
		keys = append(keys, d.Key.Reveal())
	}
	return append(keys, "minted") // whatever is made later
}

func (f *fakeDeployments) on(id string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprint(f.attached[id])
}

// memorySink remembers the last value of each credential.
type memorySink struct {
	mu        sync.Mutex
	values    map[string]transfer.Secret
	published int
	fail      error
}

func (s *memorySink) Publish(_ context.Context, p transfer.Publication) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	if s.values == nil {
		s.values = map[string]transfer.Secret{}
	}
	s.values[p.Credential.ID] = p.Value
	s.published++
	return nil
}

// value is what was published last for deployment 11.
func (s *memorySink) value() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values["11"].Reveal()
}
