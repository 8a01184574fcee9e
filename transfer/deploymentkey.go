package transfer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Deployment is a deployment of Amplitude Experiment, with its key.
type Deployment struct {
	ID       string
	Label    string
	Key      Secret
	Archived bool
}

// FlagRef is a flag or an experiment that a deployment is attached to.
type FlagRef struct {
	ID         string
	Experiment bool // false: a flag
}

// Deployments are the calls to Amplitude's Experiment Management API that DeploymentKey needs. project is Amplitude's
// project id as text.
type Deployments interface {
	// Deployments lists all of a project, archived ones included, each with its key.
	Deployments(ctx context.Context, project string) ([]Deployment, error)
	// CreateDeployment makes one; kind is "client" or "server". The same label twice may make two.
	CreateDeployment(ctx context.Context, project, label, kind string) (id string, err error)
	ArchiveDeployment(ctx context.Context, project, id string) error
	// Attached lists every flag and experiment that carries the deployment.
	Attached(ctx context.Context, project, id string) ([]FlagRef, error)
	Attach(ctx context.Context, project string, flag FlagRef, id string) error
	Detach(ctx context.Context, project string, flag FlagRef, id string) error
	// KeyWorks asks the evaluation side whether it knows the key. It changes nothing there.
	KeyWorks(ctx context.Context, project string, key Secret) (bool, error)
}

// DeploymentKeyOptions is what NewDeploymentKey needs.
type DeploymentKeyOptions struct {
	Deployments Deployments      // required
	Sink        Sink             // required: where the new key goes
	Now         func() time.Time // nil: time.Now
}

// DeploymentKey replaces the key of an Experiment deployment. Amplitude cannot rotate it, so a second deployment takes
// the place of the first: created under a label that follows from the rotation, attached to every flag and experiment
// of the old one, published; the old one is detached and archived by Retire. Each step looks first and can be repeated
// or resumed at any point, in this process or another. Credential.ID is the old deployment's id.
type DeploymentKey struct {
	api  Deployments
	sink Sink
	now  func() time.Time
	busy keyed
}

var (
	_ Rotator = (*DeploymentKey)(nil)
	_ Retirer = (*DeploymentKey)(nil)
)

const deploymentKey = "deployment-key"

// stillAnswering is when a retired key that still works is worth another look.
const stillAnswering = 5 * time.Minute

// NewDeploymentKey checks the options and calls nothing.
func NewDeploymentKey(o DeploymentKeyOptions) (*DeploymentKey, error) {
	switch {
	case o.Deployments == nil:
		return nil, errors.New("deployment key: Deployments is required")
	case o.Sink == nil:
		return nil, errors.New("deployment key: Sink is required, or the new key would reach nobody")
	}
	return &DeploymentKey{api: o.Deployments, sink: o.Sink, now: clock(o.Now)}, nil
}

// Name is "deployment-key".
func (d *DeploymentKey) Name() string { return deploymentKey }

// Rotates deployment keys only.
func (d *DeploymentKey) Rotates(kind CredentialKind) bool { return kind == CredentialDeploymentKey }

// Rotate makes the new deployment, or finds the one that an earlier call made, attaches it wherever the old one is,
// checks that its key works, and publishes it. The receipt's reference is the new deployment's id.
func (d *DeploymentKey) Rotate(ctx context.Context, r Rotation) (Receipt, error) {
	done, err := d.begin(ctx, opRotate, r)
	if err != nil {
		return Receipt{}, err
	}
	defer done()
	project := r.Credential.Project
	pair, err := d.find(ctx, opRotate, r)
	if err != nil {
		return Receipt{}, err
	}
	already := len(pair.new) > 0
	if !already {
		if pair.old.Archived {
			return Receipt{}, d.refuse(opRotate, "the old deployment is archived and no replacement of ours exists; somebody else ended it")
		}
		if pair, err = d.create(ctx, r, pair); err != nil {
			return Receipt{}, err
		}
	}
	next := pair.new[0]
	attached, moved, err := d.attach(ctx, opRotate, project, pair.old.ID, next.ID)
	if err != nil {
		return Receipt{}, err
	}
	if err := d.alive(ctx, opRotate, project, next); err != nil {
		return Receipt{}, err
	}
	// Published again on every call: whether an earlier call came to its end is not visible from here.
	err = d.sink.Publish(ctx, Publication{
		Key: r.Key, Credential: r.Credential, Replacement: next.Label, Value: next.Key, Attempt: r.Attempt,
	})
	if err != nil {
		return Receipt{}, fmt.Errorf("%s: publish the new key: %w", deploymentKey, err)
	}
	return Receipt{
		State: StateDone, By: deploymentKey, At: d.now().UTC(), Reference: next.ID, Replacement: next.ID, Already: already && moved == 0, Proof: ProofReadBack,
		Detail: "deployment " + next.Label + " carries the new key, is on " + count(attached, "flag or experiment", "flags and experiments") +
			" and its key was published; the old key still works",
	}, nil
}

// Retire takes the old deployment off its flags and experiments, after putting the new one on whatever was added to the
// old one since, archives it, and confirms that it is archived and that its key no longer works. It refuses, permanently,
// while no living replacement is seen.
func (d *DeploymentKey) Retire(ctx context.Context, r Rotation) (Receipt, error) {
	done, err := d.begin(ctx, opRetire, r)
	if err != nil {
		return Receipt{}, err
	}
	defer done()
	if wait := r.RetireFrom.Sub(d.now()); !r.RetireFrom.IsZero() && wait > 0 {
		return Receipt{}, &Error{Hook: deploymentKey, Op: opRetire, Retry: true, RetryAfter: wait, Detail: "the time for both keys has not passed"}
	}
	project := r.Credential.Project
	pair, err := d.find(ctx, opRetire, r)
	if err != nil {
		return Receipt{}, err
	}
	if len(pair.new) == 0 && pair.later != nil {
		pair.new = []Deployment{*pair.later}
	}
	if len(pair.new) == 0 {
		return Receipt{}, d.refuse(opRetire, "no living replacement of this rotation is seen; the old key was left alone")
	}
	next, already := pair.new[0], pair.old.Archived
	if !already {
		if err := d.alive(ctx, opRetire, project, next); err != nil {
			return Receipt{}, err
		}
		if _, _, err := d.attach(ctx, opRetire, project, pair.old.ID, next.ID); err != nil {
			return Receipt{}, err
		}
	}
	// A lost answer may have made a second deployment under the same label; it goes with the old one.
	ending := append([]Deployment{pair.old}, pair.new[1:]...)
	for _, old := range ending {
		if err := d.end(ctx, project, old); err != nil {
			return Receipt{}, err
		}
	}
	after, err := d.find(ctx, opRetire, r)
	if err != nil {
		return Receipt{}, err
	}
	if len(after.new) == 0 && after.later != nil {
		after.new = []Deployment{*after.later}
	}
	if !after.old.Archived || len(after.new) != 1 {
		return Receipt{}, &Error{
			Hook: deploymentKey, Op: opRetire, Retry: r.Attempt < GiveUpAfter, Detail: "archiving was taken but does not show when read again",
		}
	}
	works, err := d.api.KeyWorks(ctx, project, pair.old.Key)
	if err != nil {
		return Receipt{}, fmt.Errorf("%s: probe the old key: %w", deploymentKey, err)
	}
	if works {
		return Receipt{}, &Error{
			Hook: deploymentKey, Op: opRetire, Retry: true, RetryAfter: stillAnswering, Detail: "the old deployment is archived but its key still works",
		}
	}
	return Receipt{
		State: StateDone, By: deploymentKey, At: d.now().UTC(), Reference: pair.old.ID, Already: already, Proof: ProofReadBack,
		Detail: "deployment " + clean(pair.old.Label, maxReference) + " is detached and archived, and its key no longer works",
	}, nil
}

// begin checks the request and takes the credential for this process.
func (d *DeploymentKey) begin(ctx context.Context, op string, r Rotation) (done func(), err error) {
	if err := acceptRotation(ctx, deploymentKey, op, r, d.Rotates); err != nil {
		return nil, err
	}
	if r.Credential.Project == "" {
		return nil, fmt.Errorf("%s: %w: a deployment needs its project", deploymentKey, ErrInvalid)
	}
	if done, err = d.busy.lock(ctx, r.Credential.Project+"/"+r.Credential.ID); err != nil {
		return nil, interrupted(deploymentKey, op, err)
	}
	return done, nil
}

// pair is the old deployment and the living ones that this rotation made: none before, one after, more only where an
// answer of Amplitude was lost. The first is the replacement.
//
// later is the newest living replacement that another rotation made after it, nil where there is none: the one of this
// rotation may have been replaced in its turn before the old key was ended.
type pair struct {
	old   Deployment
	new   []Deployment
	later *Deployment
}

func (d *DeploymentKey) find(ctx context.Context, op string, r Rotation) (pair, error) {
	all, err := d.api.Deployments(ctx, r.Credential.Project)
	if err != nil {
		return pair{}, fmt.Errorf("%s: list deployments: %w", deploymentKey, err)
	}
	var p pair
	i := slices.IndexFunc(all, func(dep Deployment) bool { return dep.ID == r.Credential.ID })
	if i < 0 {
		return pair{}, d.refuse(op, "the old deployment is not in the project's list")
	}
	p.old = all[i]
	label := RotatedLabel(p.old.Label, r)
	for _, dep := range all {
		if dep.Label == label && dep.ID != p.old.ID && !dep.Archived {
			p.new = append(p.new, dep)
		}
		newer := rotatedSuffix.MatchString(dep.Label) && compareIDs(dep.ID, p.old.ID) > 0 && (p.later == nil || compareIDs(dep.ID, p.later.ID) > 0)
		if newer && !dep.Archived && baseLabel(dep.Label) == baseLabel(p.old.Label) {
			p.later = &dep
		}
	}
	slices.SortFunc(p.new, func(a, b Deployment) int { return compareIDs(a.ID, b.ID) })
	return p, nil
}

// create makes the new deployment and reads it back, because the answer to the creation has no key. An error of the
// creation is looked behind first: it may have been carried out all the same.
func (d *DeploymentKey) create(ctx context.Context, r Rotation, was pair) (pair, error) {
	kind := "server"
	if strings.HasPrefix(was.old.Key.Reveal(), "client-") {
		kind = "client"
	}
	_, failed := d.api.CreateDeployment(ctx, r.Credential.Project, RotatedLabel(was.old.Label, r), kind)
	is, err := d.find(ctx, opRotate, r)
	switch {
	case err == nil && len(is.new) > 0:
		return is, nil
	case failed != nil:
		return pair{}, fmt.Errorf("%s: create the new deployment: %w", deploymentKey, failed)
	case err != nil:
		return pair{}, err
	}
	return pair{}, &Error{Hook: deploymentKey, Op: opRotate, Retry: r.Attempt < GiveUpAfter, Detail: "the new deployment was taken but is not listed"}
}

// attach puts next on everything that carries old. One that refuses does not keep the others from being done; its id is
// in the error.
func (d *DeploymentKey) attach(ctx context.Context, op, project, old, next string) (total, moved int, err error) {
	missing, total, err := d.missing(ctx, project, old, next)
	if err != nil {
		return 0, 0, err
	}
	var (
		stuck []string
		first error
	)
	for _, flag := range missing {
		if err := d.api.Attach(ctx, project, flag, next); err != nil {
			if IsTemporary(err) {
				return 0, 0, fmt.Errorf("%s: attach the new deployment: %w", deploymentKey, err)
			}
			stuck = append(stuck, flag.ID)
			first = cmp.Or(first, err)
		}
	}
	if len(stuck) > 0 {
		return 0, 0, &Error{
			Hook: deploymentKey, Op: op, Err: first,
			Detail: "the new deployment could not be put on " + count(len(stuck), "flag or experiment", "flags and experiments") +
				" (" + clean(strings.Join(stuck, ", "), maxReference) + "); put it there by hand and retry",
		}
	}
	if len(missing) > 0 {
		left, _, err := d.missing(ctx, project, old, next)
		if err != nil {
			return 0, 0, err
		}
		if len(left) > 0 {
			return 0, 0, &Error{Hook: deploymentKey, Op: op, Retry: true, Detail: "attaching was taken but does not show yet when read again"}
		}
	}
	return total, len(missing), nil
}

// missing is what carries old and not next, and how many carry old.
func (d *DeploymentKey) missing(ctx context.Context, project, old, next string) ([]FlagRef, int, error) {
	want, err := d.api.Attached(ctx, project, old)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: list what the old deployment is on: %w", deploymentKey, err)
	}
	have, err := d.api.Attached(ctx, project, next)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: list what the new deployment is on: %w", deploymentKey, err)
	}
	var missing []FlagRef
	for _, flag := range want {
		if !slices.Contains(have, flag) {
			missing = append(missing, flag)
		}
	}
	return missing, len(want), nil
}

// alive refuses to go on with a key that does not work yet.
func (d *DeploymentKey) alive(ctx context.Context, op, project string, next Deployment) error {
	works, err := d.api.KeyWorks(ctx, project, next.Key)
	if err != nil {
		return fmt.Errorf("%s: probe the new key: %w", deploymentKey, err)
	}
	if !works {
		return &Error{Hook: deploymentKey, Op: op, Retry: true, Detail: "the new key does not work yet"}
	}
	return nil
}

// end detaches and archives one deployment.
func (d *DeploymentKey) end(ctx context.Context, project string, old Deployment) error {
	if old.Archived {
		return nil
	}
	flags, err := d.api.Attached(ctx, project, old.ID)
	if err != nil {
		return fmt.Errorf("%s: list what the old deployment is on: %w", deploymentKey, err)
	}
	for _, flag := range flags {
		if err := d.api.Detach(ctx, project, flag, old.ID); err != nil {
			return fmt.Errorf("%s: detach the old deployment: %w", deploymentKey, err)
		}
	}
	if err := d.api.ArchiveDeployment(ctx, project, old.ID); err != nil {
		return fmt.Errorf("%s: archive the old deployment: %w", deploymentKey, err)
	}
	return nil
}

func (d *DeploymentKey) refuse(op, detail string) error {
	return &Error{Hook: deploymentKey, Op: op, Detail: detail}
}

var (
	rotatedSuffix = regexp.MustCompile(`-r\d{8}-[0-9a-f]{8}$`)
	notInLabel    = regexp.MustCompile(`[^A-Za-z0-9_-]+`)
)

// RotatedLabel is the label of the deployment that takes old's place in r: old's label without the ending of an earlier
// rotation, the day of opening (UTC), and eight digits from r.Key, so that two rotations of one day differ.
func RotatedLabel(old string, r Rotation) string {
	base := baseLabel(old)
	sum := sha256.Sum256([]byte(r.Key))
	return base + "-r" + r.Opened.UTC().Format("20060102") + "-" + hex.EncodeToString(sum[:4])
}

// baseLabel is what the labels of a deployment and of its replacements share.
func baseLabel(label string) string {
	base := notInLabel.ReplaceAllString(rotatedSuffix.ReplaceAllString(label, ""), "-")
	if len(base) > 80 {
		base = base[:80]
	}
	return base
}

// compareIDs orders ids by age: Amplitude counts up.
func compareIDs(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
