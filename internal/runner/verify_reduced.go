package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// verifiedReduction is the record of the looks that prove a reduction.
type verifiedReduction struct {
	Looks   []reducedLook `json:"looks"`
	Strayed []string      `json:"also_changed,omitempty"` // by somebody else, since the case began
	Ended   string        `json:"ended,omitempty"`        // why the looks ended early
}

type reducedLook struct {
	Number int        `json:"number"`
	Seen   []sighting `json:"seen"`
	Unmet  []string   `json:"unmet,omitempty"`
}

// lookAgain is how long a reduction that does not show yet waits for another look.
const lookAgain = 30 * time.Second

// What a person is told about a reduction that does not show.
const (
	notShown    = "Amplitude answered the changes, but they do not show: "
	reduceAgain = "; find the cause, then reduce again with: offramp cases retry "
)

// verifyReduced looks whether what a mover was to lose is gone and what they
// were to keep is there: at once, and after the configured times. A list that
// lags is looked at again; what is there afterwards is a person's question.
func verifyReduced(ctx context.Context, a *attempt, s *offboard.Step) (outcome, error) {
	res := verifiedReduction{}
	if len(s.Result) > 0 {
		if err := json.Unmarshal(s.Result, &res); err != nil {
			return outcome{}, fmt.Errorf("read the looks so far: %w", err)
		}
	}
	done := a.revoked()
	if done.Nothing {
		return outcome{skip: true, say: "verify: nothing was changed"}, nil
	}
	since := a.file.Step(offboard.StepRevoke).Finished
	for number := len(res.Looks); number <= len(a.opts.Verify); number++ {
		if a.file.Standing.HeldBy != "" {
			res.Ended = "somebody else took the address; the looks end"
			return outcome{result: res, say: "verify: " + res.Ended}, nil
		}
		at := a.lookAt(number, since)
		if a.now().Before(at) {
			return outcome{
				result: res, wait: offboard.WaitVerify, until: at, meanwhile: number > 0,
				note: fmt.Sprintf("look %d of %d", number+1, len(a.opts.Verify)+1),
			}, nil
		}
		l, gone, err := a.lookReduced(ctx, number, at, done, &res)
		if err == nil && len(l.Unmet) > 0 { // what others read a while ago may be over
			l, gone, err = a.lookReduced(ctx, number, a.now(), done, &res)
		}
		if err != nil {
			return outcome{}, err
		}
		if gone != "" {
			res.Ended = gone
			return outcome{result: res, say: "verify: " + gone}, nil
		}
		if len(l.Unmet) > 0 {
			if number == 0 && a.now().Before(since.Add(a.opts.Tolerance)) {
				return outcome{result: res, wait: offboard.WaitVerify, until: a.now().Add(lookAgain), note: "not seen yet: " + strings.Join(l.Unmet, "; ")}, nil
			}
			return a.notReduced(l, done), nil
		}
		res.Looks = append(res.Looks, l)
		if number == 0 {
			if err := a.firstReduced(ctx, s, res); err != nil {
				return outcome{}, err
			}
		}
	}
	return outcome{result: res, say: fmt.Sprintf("verify: the reduction held in %d looks", len(res.Looks))}, nil
}

// lookReduced compares what the person holds now with the plan, and with what
// they held before. gone tells that the seat itself is no longer there.
func (a *attempt) lookReduced(ctx context.Context, number int, at time.Time, done revoked, res *verifiedReduction) (l reducedLook, gone string, err error) {
	l.Number = number
	policy := a.file.Case.Policy.Revoke
	held := map[string]offboard.Holdings{}
	for _, name := range a.found().present() {
		org := a.orgs[name]
		if org == nil {
			continue
		}
		seen, err := org.roster.look(ctx, amplitude.ShareVerify, question{address: a.file.Case.Address, after: at})
		if err != nil {
			return l, "", err
		}
		l.Seen = append(l.Seen, seen)
		if !seen.Present {
			return l, "the seat in " + name + " is gone: somebody else removed it", nil
		}
		h := offboard.Holdings{Organization: name}
		for _, g := range seen.Groups {
			h.Groups = append(h.Groups, offboard.Membership{ID: g.ID, Name: g.Name, Member: true})
		}
		if org.Roles && done.Unseen[name] == "" {
			why, err := a.directRoles(ctx, org, offboard.Revoke{}, &h)
			if err != nil {
				return l, "", err
			}
			if why != "" && policy.DirectRoles() {
				l.Unmet = append(l.Unmet, "direct roles in "+name+" cannot be read any more, because "+why)
			}
		}
		held[name] = h
		l.Unmet = append(l.Unmet, unmet(policy, done, h)...)
	}
	left, err := a.stillGiven(ctx, policy, done.Unseen, false)
	if err != nil {
		return l, "", err
	}
	for _, g := range left {
		if g.Named {
			l.Unmet = append(l.Unmet, fmt.Sprintf("still role %s on %s", g.Role, a.projectName(g)))
		}
	}
	for _, s := range a.strayed(done, held) {
		if !slices.Contains(res.Strayed, s) {
			res.Strayed = append(res.Strayed, s)
		}
	}
	return l, "", nil
}

// unmet tells what of the plan does not show in one organization.
func unmet(r offboard.Revoke, done revoked, h offboard.Holdings) []string {
	var out []string
	left, _ := r.Reductions([]offboard.Holdings{h}) // only groups of theirs are known here, so names may mean nothing
	for _, d := range left {
		out = append(out, "still to "+d.Sentence())
	}
	for _, d := range done.Plan {
		in := slices.ContainsFunc(h.Groups, func(g offboard.Membership) bool { return g.ID == d.Group })
		if d.Kind == offboard.JoinGroup && d.Organization == h.Organization && !in {
			out = append(out, "still to "+d.Sentence())
		}
	}
	return out
}

// strayed lists what else the person held before and does not hold now: somebody
// else took it away, because Offramp changes only what is planned.
func (a *attempt) strayed(done revoked, held map[string]offboard.Holdings) []string {
	var out []string
	for _, st := range a.found().Seats {
		h, ok := held[st.Organization]
		if !ok {
			continue
		}
		planned := func(match func(offboard.Reduction) bool) bool {
			return slices.ContainsFunc(done.Plan, func(d offboard.Reduction) bool { return d.Organization == st.Organization && match(d) })
		}
		for _, g := range st.Sighting.Groups {
			if !planned(func(d offboard.Reduction) bool { return d.Group == g.ID }) &&
				!slices.ContainsFunc(h.Groups, func(m offboard.Membership) bool { return m.ID == g.ID }) {
				out = append(out, "no longer in group "+g.Name+" in "+st.Organization)
			}
		}
		if st.Roles != "known" || done.Unseen[st.Organization] != "" {
			continue
		}
		for _, r := range st.Assignments {
			if !planned(func(d offboard.Reduction) bool { return d.Assignment == r.ID }) &&
				!slices.Contains(h.Direct, offboard.RoleHeld{Assignment: r.ID, Project: r.Project, Role: r.Role}) {
				out = append(out, fmt.Sprintf("the role on project %d in %s is another", r.Project, st.Organization))
			}
		}
	}
	return out
}

// notReduced leaves a reduction that did not hold to a person; a retry makes it
// again.
func (a *attempt) notReduced(l reducedLook, done revoked) outcome {
	out := outcome{result: verifiedReduction{}}
	how := notShown
	if l.Number > 0 {
		how = "somebody gave it back: "
	}
	out.attention = how + strings.Join(l.Unmet, "; ") + reduceAgain + a.file.Case.ID
	again := *a.file.Step(offboard.StepRevoke)
	again.Result, again.State, again.Finished = encode(revoked{Round: done.Round + 1, Plan: done.Plan}), offboard.StepPending, time.Time{}
	out.update.Steps = []offboard.Step{again}
	return out
}

// firstReduced records at once that the reduction is proven.
func (a *attempt) firstReduced(ctx context.Context, s *offboard.Step, res verifiedReduction) error {
	now := a.now()
	s.Result, s.State = encode(res), offboard.StepRunning
	if s.Started.IsZero() {
		s.Started = now
	}
	f, err := a.opts.Store.Checkpoint(ctx, a.fence, lease, func(f offboard.File) (offboard.Update, error) {
		u := offboard.Update{Steps: []offboard.Step{*s}}
		text := "the reduction is verified: what was to go is gone, and the seat is there"
		if len(res.Strayed) > 0 {
			text += "; changed by somebody else meanwhile: " + strings.Join(res.Strayed, "; ")
		}
		u.Timeline = []offboard.Entry{{Actor: "offramp", Kind: string(s.Name), Text: text, Data: s.Result}}
		if f.Case.Verified.IsZero() {
			u.Verified = now
		}
		return u, nil
	})
	if err == nil {
		a.file = f
	}
	return err
}

// revoked is what the case's last revoke came to.
func (a *attempt) revoked() revoked {
	var r revoked
	if s := a.file.Step(offboard.StepRevoke); s != nil && len(s.Result) > 0 && json.Unmarshal(s.Result, &r) != nil {
		return revoked{}
	}
	return r
}
