package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// Kinds of objects that a mover's changes have besides a group and a role.
const (
	objectLower = "lower" // org/lower/project/role before/assignment/role after
	objectJoin  = "join"  // org/join/group
)

// revoked is what revoke set out to do and what is left for a person.
type revoked struct {
	Round   int                  `json:"round"` // raised where a reduction turned out not to hold
	Plan    []offboard.Reduction `json:"plan"`
	Unseen  map[string]string    `json:"unseen,omitempty"` // why an organization's direct roles cannot be seen
	Given   []given              `json:"still_given,omitempty"`
	Nothing bool                 `json:"nothing,omitempty"` // the person held none of it
}

// given is access to a project that is left although no direct role gives it.
type given struct {
	Organization string   `json:"organization"`
	Project      int      `json:"project"`
	Role         string   `json:"role"`
	Groups       []string `json:"groups,omitempty"` // that give it, as far as can be seen
	Named        bool     `json:"named"`            // the policy names the project
}

// revoke takes away what the policy says and leaves the seat. What it sets out to
// do is recorded before the first change; what no API can do is asked of a person.
func revoke(ctx context.Context, a *attempt, s *offboard.Step) (outcome, error) {
	res := revoked{Round: 1}
	if len(s.Result) > 0 {
		if err := json.Unmarshal(s.Result, &res); err != nil {
			return outcome{}, fmt.Errorf("read the reduction so far: %w", err)
		}
	}
	policy := a.file.Case.Policy.Revoke
	held, unseen, err := a.holdings(ctx, policy)
	if err != nil {
		return outcome{}, err
	}
	res.Unseen = unseen
	list, problems := policy.Reductions(held)
	if len(problems) > 0 {
		return outcome{attention: strings.Join(problems, "; ") + ", as policy " + a.file.Case.Policy.Name + " says: nothing was changed. " +
			"Put that right in Amplitude, then retry; or correct the policy, cancel this case and open another"}, nil
	}
	if err := a.planned(ctx, s, &res, list); err != nil {
		return outcome{}, err
	}
	if out, err := a.giveBack(ctx, a.overtaken(policy, held)); err != nil || !out.zero() {
		return out, err
	}
	for _, d := range res.Plan {
		perm, err := a.reduce(ctx, d, res.Round)
		if err != nil || !perm.Allowed {
			return refused(perm), err
		}
	}
	if res.Given, err = a.stillGiven(ctx, policy, unseen, true); err != nil {
		return outcome{}, err
	}
	if slices.ContainsFunc(res.Given, func(g given) bool { return g.Named }) {
		if out, err := a.didNotHold(ctx, policy, res); err != nil || !out.zero() {
			return out, err
		}
	}
	return a.leftToPeople(policy, res), nil
}

// didNotHold tells whether access is left because a change that was answered does
// not show, rather than because something else gives it. A retry makes the changes
// again.
func (a *attempt) didNotHold(ctx context.Context, r offboard.Revoke, res revoked) (outcome, error) {
	held, _, err := a.holdings(ctx, r)
	if err != nil {
		return outcome{}, err
	}
	var left []string
	list, _ := r.Reductions(held)
	for _, d := range list {
		left = append(left, "still to "+d.Sentence())
	}
	if len(left) == 0 {
		return outcome{}, nil
	}
	var last time.Time
	for _, e := range a.file.Effects {
		if e.Step == offboard.StepRevoke && e.Done.After(last) {
			last = e.Done
		}
	}
	if a.now().Before(last.Add(a.opts.Tolerance)) {
		return outcome{result: res, wait: offboard.WaitVerify, until: a.now().Add(lookAgain), note: "not seen yet: " + strings.Join(left, "; ")}, nil
	}
	return outcome{
		result:    revoked{Round: res.Round + 1, Plan: res.Plan},
		attention: notShown + strings.Join(left, "; ") + reduceAgain + a.file.Case.ID,
	}, nil
}

// planned adds what has to change to the plan, and records it.
func (a *attempt) planned(ctx context.Context, s *offboard.Step, res *revoked, list []offboard.Reduction) error {
	var will []string
	for _, d := range list {
		if !slices.Contains(res.Plan, d) {
			res.Plan, will = append(res.Plan, d), append(will, d.Sentence())
		}
	}
	if len(will) == 0 {
		return nil
	}
	s.Result, s.State = encode(*res), offboard.StepRunning
	if s.Started.IsZero() {
		s.Started = a.now()
	}
	f, err := a.opts.Store.Checkpoint(ctx, a.fence, lease, func(offboard.File) (offboard.Update, error) {
		return offboard.Update{
			Steps:    []offboard.Step{*s},
			Timeline: []offboard.Entry{{Actor: "offramp", Kind: string(s.Name), Text: "revoke: will " + strings.Join(will, "; ")}},
		}, nil
	})
	if err == nil {
		a.file = f
	}
	return err
}

// holdings reads what the person holds, where they have a seat. Groups are read
// only where the policy names any. unseen tells, by organization, why direct
// roles that the policy is about cannot be seen.
func (a *attempt) holdings(ctx context.Context, r offboard.Revoke) (held []offboard.Holdings, unseen map[string]string, err error) {
	unseen = map[string]string{}
	for _, name := range a.found().present() {
		org := a.orgs[name]
		if org == nil {
			return nil, nil, &permanentError{text: "organization " + name + ", where the person has a seat, is not configured any more; " +
				"add it again, then retry"}
		}
		h := offboard.Holdings{Organization: name}
		if len(r.Leave)+len(r.Join) > 0 {
			groups, err := org.Client.WithShare(amplitude.ShareOther).Groups(ctx)
			if err != nil {
				return nil, nil, err
			}
			for _, g := range groups {
				h.Groups = append(h.Groups, offboard.Membership{ID: g.ID, Name: g.Name, Member: g.Has(a.file.Case.Address)})
			}
		}
		if r.DirectRoles() {
			why, err := a.directRoles(ctx, org, r, &h)
			if err != nil {
				return nil, nil, err
			}
			if why != "" {
				unseen[name] = why
			}
		}
		held = append(held, h)
	}
	return held, unseen, nil
}

// directRoles fills in the roles that the person was given themselves, or tells
// why they cannot be seen or lowered.
func (a *attempt) directRoles(ctx context.Context, org *organization, r offboard.Revoke, h *offboard.Holdings) (unseen string, err error) {
	if !org.Roles {
		return "no organization key is configured", nil
	}
	held, err := org.Client.Assignments(ctx, a.file.Case.Address)
	if errors.Is(err, amplitude.ErrNotEnrolled) {
		return "the organization is not enrolled in Amplitude's User Management API", nil
	}
	if err != nil || len(held) == 0 {
		return "", err
	}
	roles, err := org.Client.Roles(ctx)
	if notFound(err) && r.Role != "" { // its path is not documented
		return "Amplitude's User Management API lists no roles", nil
	}
	if err != nil && !notFound(err) {
		return "", err
	}
	h.Roles = map[string]string{}
	for _, role := range roles {
		h.Roles[role.ID] = role.Name
	}
	for _, d := range held {
		h.Direct = append(h.Direct, offboard.RoleHeld{Assignment: d.ID, Project: d.ProjectID, Role: d.RoleID})
	}
	return "", nil
}

// overtaken tells which changes were made for an earlier policy of the case that
// no longer holds, and are not wanted by this one.
func (a *attempt) overtaken(r offboard.Revoke, held []offboard.Holdings) func(offboard.Effect) bool {
	names := func(list []string, org, id string) bool {
		for _, h := range held {
			for _, g := range h.Groups {
				if h.Organization == org && g.ID == id {
					return slices.ContainsFunc(list, func(n string) bool { return offboard.Fold(n) == offboard.Fold(g.Name) })
				}
			}
		}
		return false
	}
	return func(e offboard.Effect) bool {
		parts := strings.Split(e.Object, "/")
		if !a.file.Case.Policy.GivesBack || e.Step != offboard.StepRevoke || len(parts) < 3 {
			return false
		}
		switch parts[1] {
		case "group":
			return !names(r.Leave, parts[0], parts[2])
		case objectJoin:
			return !names(r.Join, parts[0], parts[2])
		}
		project, err := strconv.Atoi(parts[2])
		return err == nil && !r.Touches(project)
	}
}

// reduce makes one change of the plan.
func (a *attempt) reduce(ctx context.Context, d offboard.Reduction, round int) (offboard.Permission, error) {
	org := a.orgs[d.Organization]
	if org == nil {
		return offboard.Permission{}, &permanentError{text: "organization " + d.Organization + " is not configured any more; add it again, then retry"}
	}
	c := a.changeFor(org, d)
	c.object = a.round(c.object, round)
	perm, _, err := a.do(ctx, c)
	return perm, err
}

// reduced reports whether the case took something away as a mover's.
func (a *attempt) reduced() bool {
	return slices.ContainsFunc(a.file.Effects, func(e offboard.Effect) bool { return e.Step == offboard.StepRevoke })
}

func (a *attempt) changeFor(org *organization, d offboard.Reduction) change {
	h := roleHeld{ID: d.Assignment, Project: d.Project, Role: d.Role}
	switch d.Kind {
	case offboard.LeaveGroup:
		return a.leaveGroup(org, offboard.StepRevoke, object(org.Name, "group", d.Group), group{ID: d.Group, Name: d.GroupName})
	case offboard.TakeRole:
		return a.takeRole(org, offboard.StepRevoke, roleObject(org.Name, h), h)
	case offboard.LowerRole:
		return a.lowerRole(org, d)
	case offboard.JoinGroup:
	}
	return a.joinGroup(org, d)
}

// round names an object once more where it was given back, or where the changes
// have to be made again.
func (a *attempt) round(obj string, round int) string {
	for n := round; ; n++ {
		name := obj
		if n > 1 {
			name = object(obj, strconv.Itoa(n))
		}
		if a.file.Effect(a.key(offboard.StepRevoke, undoOf(name))).State == offboard.EffectNone {
			return name
		}
	}
}

func (a *attempt) lowerRole(org *organization, d offboard.Reduction) change {
	said := fmt.Sprintf("role on project %d changed from %s to %s", d.Project, d.RoleName, d.ToName)
	return change{
		step:   offboard.StepRevoke,
		object: object(org.Name, objectLower, strconv.Itoa(d.Project), d.Role, d.Assignment, d.To),
		claim:  []string{org.Name}, text: "about to " + d.Sentence(),
		read: func(ctx context.Context) (bool, string, error) {
			held, err := org.Client.Assignments(ctx, a.file.Case.Address)
			for _, h := range held {
				if h.ID == d.Assignment {
					return h.RoleID == d.To, said, err
				}
			}
			return err == nil, "the role is gone", err
		},
		call: func(ctx context.Context) (string, bool, error) {
			err := org.Client.ChangeRole(ctx, d.Assignment, d.To)
			if notFound(err) {
				return "the role is gone", false, nil
			}
			return said, false, err
		},
	}
}

// joinGroup puts a member into a group, after a look whether they are one:
// Amplitude would invite anybody else.
func (a *attempt) joinGroup(org *organization, d offboard.Reduction) change {
	return change{
		step: offboard.StepRevoke, object: object(org.Name, objectJoin, d.Group), claim: []string{org.Name}, text: "about to " + d.Sentence(),
		call: func(ctx context.Context) (string, bool, error) {
			client := org.Client.WithShare(amplitude.ShareOther)
			_, err := client.Member(ctx, a.file.Case.Address)
			if notFound(err) {
				return "left alone: the seat is gone, and adding to a group would invite them again", false, nil
			}
			if err != nil {
				return "", false, err
			}
			err = client.AddToGroup(ctx, d.Group, a.file.Case.Address)
			if notFound(err) {
				return "the group no longer exists", false, nil
			}
			return "put into group " + d.GroupName, false, err
		},
	}
}

// raiseRole gives a lowered role back, unless somebody changed it since.
func raiseRole(ctx context.Context, org *organization, address string, parts []string) error {
	if len(parts) < 6 {
		return &permanentError{text: "the record of a role that was lowered cannot be read; give it back by hand"}
	}
	held, err := org.Client.Assignments(ctx, address)
	if err != nil {
		return err
	}
	for _, h := range held {
		if h.ID == parts[4] && h.RoleID == parts[5] {
			return org.Client.ChangeRole(ctx, h.ID, parts[3])
		}
	}
	return nil
}

// stillGiven reads the access that is left on projects that the policy is about:
// a group may give what was taken away directly. With explain the groups that do
// are named.
func (a *attempt) stillGiven(ctx context.Context, r offboard.Revoke, unseen map[string]string, explain bool) ([]given, error) {
	var out []given
	if !r.DirectRoles() {
		return nil, nil
	}
	for _, name := range a.found().present() {
		org := a.orgs[name]
		if org == nil || unseen[name] != "" {
			continue
		}
		left, err := a.leftOn(ctx, org, r)
		if err != nil {
			return nil, err
		}
		for i := range left {
			if !explain {
				break
			}
			if left[i].Groups, err = a.givers(ctx, org, r, left[i].Project); err != nil {
				return nil, err
			}
		}
		out = append(out, left...)
	}
	return out, nil
}

// leftOn lists the projects on which the person still has more than the policy
// leaves, as Amplitude resolves it.
func (a *attempt) leftOn(ctx context.Context, org *organization, r offboard.Revoke) ([]given, error) {
	grants, err := org.Client.Access(ctx, a.file.Case.Address)
	if notFound(err) { // its path is not documented
		grants, err = nil, nil
		for _, p := range org.Projects {
			all, err := org.Client.ProjectAccess(ctx, p.ID)
			if err != nil {
				return nil, err
			}
			for _, g := range all {
				if g.PrincipalType == "user" && offboard.Fold(g.PrincipalID) == offboard.Fold(a.file.Case.Address) {
					grants = append(grants, g)
				}
			}
		}
	}
	if err != nil {
		return nil, err
	}
	var out []given
	for _, g := range grants {
		if !r.Touches(g.ProjectID) || r.Role != "" && !offboard.Above(g.RoleName, r.Role) {
			continue
		}
		out = append(out, given{Organization: org.Name, Project: g.ProjectID, Role: g.RoleName, Named: r.Names(g.ProjectID)})
	}
	return out, nil
}

// givers names the groups of the person that give them more than the policy
// leaves on a project.
func (a *attempt) givers(ctx context.Context, org *organization, r offboard.Revoke, project int) ([]string, error) {
	grants, err := org.Client.ProjectAccess(ctx, project)
	if err != nil {
		return nil, err
	}
	groups, err := org.Client.WithShare(amplitude.ShareOther).Groups(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, g := range groups {
		if g.Has(a.file.Case.Address) && slices.ContainsFunc(grants, func(x amplitude.Grant) bool {
			return x.PrincipalType == "group" && x.PrincipalID == g.ID && (r.Role == "" || offboard.Above(x.RoleName, r.Role))
		}) {
			out = append(out, g.Name)
		}
	}
	return out, nil
}

// wouldRevoke writes down what revoke would do, and ends the case.
func wouldRevoke(ctx context.Context, a *attempt, _ *offboard.Step) (outcome, error) {
	policy := a.file.Case.Policy.Revoke
	held, unseen, err := a.holdings(ctx, policy)
	if err != nil {
		return outcome{}, err
	}
	list, problems := policy.Reductions(held)
	var would []string
	for _, d := range list {
		because, err := a.refusal(ctx, offboard.StepRevoke, a.orgs[d.Organization])
		if err != nil {
			return outcome{}, err
		}
		say := d.Sentence()
		if because != "" {
			say = stops(d.Organization, because)
		}
		if !slices.Contains(would, say) {
			would = append(would, say)
		}
	}
	for _, p := range problems {
		would = append(would, "ask a person, because "+p)
	}
	for _, name := range a.found().present() {
		if why := unseen[name]; why != "" {
			would = append(would, "open a task for direct roles in "+name+", because "+why)
		}
	}
	if policy.OrganizationRole != "" {
		would = append(would, "open a task for organization role "+policy.OrganizationRole)
	}
	return outcome{end: offboard.OutcomeObserved, result: would, note: "observe mode: nothing was changed; would " + sentence(would)}, nil
}
