package runner_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
	"offramp/transfer"
)

// Deployment calls of the hook that replaces deployment keys, as the daemon has them.

func (c *content) Deployments(ctx context.Context, project string) ([]transfer.Deployment, error) {
	id, _ := strconv.Atoi(project)
	list, err := c.c.Deployments(ctx, id)
	var out []transfer.Deployment
	for _, d := range list {
		out = append(out, transfer.Deployment{ID: d.ID, Label: d.Label, Key: transfer.Secret(d.Key.Reveal()), Archived: d.Archived})
	}
	return out, err
}

func (c *content) CreateDeployment(ctx context.Context, project, label, kind string) (string, error) {
	id, _ := strconv.Atoi(project)
	return c.c.CreateDeployment(ctx, id, label, kind)
}

func (c *content) ArchiveDeployment(ctx context.Context, project, deployment string) error {
	id, _ := strconv.Atoi(project)
	return c.c.ArchiveDeployment(ctx, id, deployment)
}

func (c *content) Attached(ctx context.Context, project, deployment string) ([]transfer.FlagRef, error) {
	id, _ := strconv.Atoi(project)
	flags, err := c.c.Flags(ctx, id)
	var out []transfer.FlagRef
	for _, f := range flags {
		for _, d := range f.Deployments {
			if d == deployment {
				out = append(out, transfer.FlagRef{ID: f.ID})
			}
		}
	}
	return out, err
}

func (c *content) Attach(ctx context.Context, project string, f transfer.FlagRef, deployment string) error {
	id, _ := strconv.Atoi(project)
	return c.c.AttachDeployment(ctx, amplitude.FlagRef{Kind: amplitude.KindFlag, ProjectID: id, ID: f.ID}, deployment)
}

func (c *content) Detach(ctx context.Context, project string, f transfer.FlagRef, deployment string) error {
	id, _ := strconv.Atoi(project)
	return c.c.DetachDeployment(ctx, amplitude.FlagRef{Kind: amplitude.KindFlag, ProjectID: id, ID: f.ID}, deployment)
}

func (c *content) KeyWorks(ctx context.Context, _ string, key transfer.Secret) (bool, error) {
	return c.c.EvaluationKeyWorks(ctx, amplitude.Secret(key.Reveal()))
}

// keyHook is a rotation hook of somebody's; what it answers can be changed.
type keyHook struct {
	mu       sync.Mutex
	rotated  map[string]int // calls by key
	retired  map[string]int
	onRotate func(ctx context.Context, call int) (transfer.Receipt, error)
	onRetire func(call int) (transfer.Receipt, error)
	calls    int
	ends     int
}

func newKeyHook() *keyHook { return &keyHook{rotated: map[string]int{}, retired: map[string]int{}} }

func (h *keyHook) Name() string { return "keys" }
func (h *keyHook) Rotates(kind transfer.CredentialKind) bool {
	return kind == transfer.CredentialWarehouse
}

func (h *keyHook) done(detail string) (transfer.Receipt, error) {
	return transfer.Receipt{State: transfer.StateDone, By: "keys", Reference: "T-1", Detail: detail}, nil
}

func (h *keyHook) Rotate(ctx context.Context, r transfer.Rotation) (transfer.Receipt, error) {
	h.mu.Lock()
	h.calls++
	h.rotated[r.Key]++
	n, answer := h.calls, h.onRotate
	h.mu.Unlock()
	if answer != nil {
		return answer(ctx, n)
	}
	return h.done("minted")
}

func (h *keyHook) Retire(_ context.Context, r transfer.Rotation) (transfer.Receipt, error) {
	h.mu.Lock()
	h.ends++
	h.retired[r.Key]++
	n, answer := h.ends, h.onRetire
	h.mu.Unlock()
	if answer != nil {
		return answer(n)
	}
	return h.done("ended")
}

// published remembers the last value of each credential.
type published struct {
	mu     sync.Mutex
	values map[string]string
}

func (p *published) Publish(_ context.Context, x transfer.Publication) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.values == nil {
		p.values = map[string]string{}
	}
	p.values[x.Credential.Name] = x.Value.Reveal()
	return nil
}

// vault is a world with a registry.
type vault struct {
	*world
	hook    *keyHook
	sink    *published
	known   []runner.Credential
	project amplitudefake.ProjectCredentials
	old     amplitudefake.Asset
	own     func(transfer.Credential) string
	other   transfer.Rotator // asked instead of hook; nil: hook
}

func newVault(t *testing.T, s setup) *vault {
	t.Helper()
	return newVaultWith(t, s, nil)
}

// newVaultWith has another rotation hook.
func newVaultWith(t *testing.T, s setup, other transfer.Rotator) *vault {
	t.Helper()
	v := &vault{hook: newKeyHook(), sink: &published{}, other: other}
	more := s.opts
	s.opts = func(o *runner.Options) {
		if more != nil {
			more(o)
		}
		client := o.Organizations[0].Client
		key, err := transfer.NewDeploymentKey(transfer.DeploymentKeyOptions{Deployments: newContent(client), Sink: v.sink, Now: o.Now})
		if err != nil {
			t.Fatal(err)
		}
		o.Rotators = []transfer.Rotator{v.hook, key}
		if v.other != nil {
			o.Rotators[0] = v.other
		}
		o.Credentials = func(offboard.Person) []runner.Credential { return v.known }
		o.Own = func(c transfer.Credential) string {
			if v.own == nil {
				return ""
			}
			return v.own(c)
		}
		o.Callbacks = true
	}
	v.world = newWorld(t, s)
	v.project = v.fake.Credentials().Projects[0]
	var err error
	if v.old, err = v.fake.AddAsset(amplitudefake.Asset{Kind: amplitudefake.KindDeployment, Name: "web", Project: v.project.ID}); err != nil {
		t.Fatal(err)
	}
	if _, err := v.fake.AddAsset(amplitudefake.Asset{Kind: amplitudefake.KindFlag, Name: "checkout", Project: v.project.ID, Deployments: []string{v.old.ID}}); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *vault) credential(name string, kind transfer.CredentialKind, id string) runner.Credential {
	return runner.Credential{Name: name, Overlap: 72 * time.Hour, Every: 24 * time.Hour, Credential: transfer.Credential{
		Kind: kind, ID: id, Name: name, Project: fmt.Sprint(v.project.ID), Organization: "acme",
	}}
}

// deployment is the registry's deployment key.
func (v *vault) deployment() runner.Credential {
	return v.credential("web", transfer.CredentialDeploymentKey, v.old.ID)
}

// pass lets time pass in which nothing but rotations happens.
func (v *vault) pass(d, step time.Duration) {
	v.t.Helper()
	for end := v.clock.now().Add(d); v.clock.now().Before(end); v.clock.move(step) {
		v.rotations()
	}
	v.rotations()
}

func (v *vault) rotations() {
	v.t.Helper()
	if err := v.runner.Rotations(v.t.Context()); err != nil {
		v.t.Fatal(err)
	}
}

// all lists every rotation, oldest first.
func (v *vault) all() []offboard.RotationFile {
	v.t.Helper()
	list, err := v.store.Rotations(v.t.Context(), offboard.RotationFilter{})
	if err != nil {
		v.t.Fatal(err)
	}
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list
}

// only is the one rotation of a credential.
func (v *vault) only(credential string) offboard.RotationFile {
	v.t.Helper()
	var found []offboard.RotationFile
	for _, f := range v.all() {
		if f.Rotation.Credential == credential {
			found = append(found, f)
		}
	}
	if len(found) != 1 {
		v.show()
		v.t.Fatalf("%d rotations of %s, want one", len(found), credential)
	}
	return found[0]
}

// deployments tells what really became of the deployments.
func (v *vault) deployments() (created, archived int) {
	for _, r := range v.fake.Requests(amplitudefake.RequestFilter{Effect: true}) {
		switch {
		case strings.Contains(r.Effect, "deployment created"):
			created++
		case strings.Contains(r.Effect, "deployment archived"):
			archived++
		}
	}
	return created, archived
}

// said reports whether a line of the case's timeline contains a text.
func (v *vault) said(caseID, text string) bool {
	for _, e := range v.timeline(caseID) {
		if strings.Contains(e.Text, text) {
			return true
		}
	}
	return false
}

func (v *vault) mustSay(caseID, text string) {
	v.t.Helper()
	if !v.said(caseID, text) {
		v.show()
		v.t.Errorf("no line of the timeline says %q", text)
	}
}

// attest does a rotation's open task.
func (v *vault) attest(f offboard.RotationFile, by string) {
	v.t.Helper()
	for _, task := range f.Tasks {
		if task.State == offboard.TaskOpen {
			v.decide(task.CaseID, func(f offboard.File) (offboard.Update, error) {
				return offboard.CompleteTask(f, task.ID, offboard.TaskAnswer{By: by}, v.clock.now())
			})
			return
		}
	}
	v.t.Fatalf("no open task: %+v", f.Tasks)
}

func TestAKeyIsReplacedBeforeTheRemovalAndEndedAfterTheOverlap(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		v := newVault(t, s)
		v.known = []runner.Credential{v.deployment(), v.credential("bigquery", transfer.CredentialWarehouse, "bq")}
		v.person("leaver", leaver)
		v.deactivate()
		f := v.closed(leaver)
		web, bq := v.only("web").Rotation, v.only("bigquery").Rotation
		if web.State != offboard.RotationMinted || bq.State != offboard.RotationMinted || web.Minted.After(f.Case.Removed) {
			v.show()
			t.Fatalf("web %+v, bigquery %+v, removed %s", web, bq, f.Case.Removed)
		}
		if created, archived := v.deployments(); created != 1 || archived != 0 {
			t.Errorf("created %d, archived %d before the overlap is over", created, archived)
		}
		v.pass(73*time.Hour, time.Hour)
		web, bq = v.only("web").Rotation, v.only("bigquery").Rotation
		if created, archived := v.deployments(); created != 1 || archived != 1 || web.State != offboard.RotationRetired {
			v.show()
			t.Errorf("created %d, archived %d, rotation %+v", created, archived, web)
		}
		if bq.State != offboard.RotationRetired || v.hook.calls != 1 || v.hook.ends != 1 {
			t.Errorf("bigquery %+v, asked %d and %d times", bq, v.hook.calls, v.hook.ends)
		}
		for _, line := range []string{
			"about to replace web through deployment-key", "this is the hook's word, nothing can read it back", "about to end the old web",
			"its key no longer works (read back)", "the old bigquery is ended: done by keys, reference T-1: ended; this is the hook's word",
		} {
			v.mustSay(f.Case.ID, line)
		}
	})
}

func TestFiguresTwoHundredContractorsMakeOneRotationPerCredential(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		v := newVault(t, s)
		people := 40
		if os.Getenv("OFFRAMP_SOAK") != "" {
			people = 200
		}
		v.known = []runner.Credential{
			v.deployment(), v.credential("bigquery", transfer.CredentialWarehouse, "bq"), v.credential("slack", transfer.CredentialSlack, "slack"),
		}
		for i := range people {
			v.person(fmt.Sprint("p", i), fmt.Sprintf("c%d@example.com", i))
		}
		for i := range people {
			v.change(fmt.Sprint("p", i), func(p offboard.Person) offboard.Person { p.Active = false; return p })
			if (i+1)%(people/4) == 0 {
				v.clock.move(3 * time.Hour) // they leave in the course of a day
				v.run(time.Hour, func() bool { return v.caseOf(fmt.Sprintf("c%d@example.com", i)).Case.Waiting == offboard.WaitTask })
			}
		}
		slack := v.only("slack")
		if len(slack.Tasks) != 1 || len(slack.Cases) != people {
			t.Fatalf("%d tasks for %d cases", len(slack.Tasks), len(slack.Cases))
		}
		v.attest(slack, "kim@example.com")
		v.run(3*time.Hour, func() bool {
			live, err := v.store.Cases(t.Context(), offboard.CaseFilter{State: offboard.StateClosed, Most: 1000})
			return err == nil && len(live) == people
		})
		v.pass(74*time.Hour, 2*time.Hour)
		if created, archived := v.deployments(); created != 1 || archived != 1 {
			t.Errorf("%d deployments created, %d archived; want one of each", created, archived)
		}
		if v.hook.calls != 1 || v.hook.ends != 1 || len(v.all()) != 3 {
			t.Errorf("the hook was asked %d and %d times; %d rotations", v.hook.calls, v.hook.ends, len(v.all()))
		}
		if left := v.only("slack").Tasks; len(left) != 2 {
			t.Errorf("%d tasks for the one that people replace and end, want 2", len(left))
		}
		tasks, err := v.store.Tasks(t.Context(), offboard.TaskFilter{Most: 1000})
		if err != nil || len(tasks) != 2 {
			t.Errorf("%d tasks altogether, %v", len(tasks), err)
		}
		if v.removals() != people {
			t.Errorf("%d removed", v.removals())
		}
	})
}
