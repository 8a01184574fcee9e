package daemon

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/transfer"
)

// truth is what the simulator knows, held against what the cases say.
type truth struct {
	people   []personTruth
	strays   []string // what happened to anybody else
	key      []string // what is wrong with the deployment
	requests requestTruth
}

// personTruth is what became of one leaver.
type personTruth struct {
	actor    *actor
	member   bool
	groups   []string
	removals int
	orphans  int
	owned    int // things they owned before
	moved    int // of these, now the successor's alone
	calls    int // SCIM calls that name them
	wrong    []string
}

func (p personTruth) seat() string {
	if p.member {
		return "there"
	}
	return "gone"
}

// requestTruth counts what reached the SCIM surface.
type requestTruth struct {
	total   int
	most    int // in any 60 seconds
	refused int // 429
}

// compare holds the organization as it was and is against the cases.
func (d *demo) compare(before, after amplitudefake.State) truth {
	var t truth
	log := d.fake.Requests(amplitudefake.RequestFilter{Surface: "scim"})
	for _, a := range d.cast {
		if a.leaves() {
			t.people = append(t.people, d.comparePerson(a, before, after, log))
		}
	}
	t.strays = d.others(before, after)
	if len(d.knowers()) > 0 {
		t.key = d.rotation(after)
	}
	t.requests = countRequests(log)
	return t
}

func (d *demo) comparePerson(a *actor, before, after amplitudefake.State, log []amplitudefake.Request) personTruth {
	p := personTruth{actor: a}
	wrong := func(format string, args ...any) { p.wrong = append(p.wrong, fmt.Sprintf(format, args...)) }
	p.member = seatOf(after, a.address()) != nil
	p.groups = groupsOf(after, a.address())
	for _, r := range after.Removals {
		if r.Email == a.address() {
			p.removals++
			if r.Via != "scim DELETE" {
				wrong("removed by %s instead of a SCIM DELETE", r.Via)
			}
		}
	}
	for _, x := range after.Unassigned {
		if slices.Contains(x.FormerOwners, a.address()) {
			p.orphans++
		}
	}
	for _, r := range log {
		if strings.Contains(strings.ToLower(r.Path+" "+r.Query+" "+r.Object), a.address()) {
			p.calls++
		}
	}
	d.compareOwned(a, before, after, &p)
	switch {
	case a.removed() && p.member:
		wrong("still a member")
	case !a.removed() && !p.member:
		wrong("lost the seat, and should have kept it")
	}
	if groups := groupsOf(before, a.address()); !a.removed() && !slices.Equal(groups, p.groups) {
		wrong("in groups %q, and was in %q", p.groups, groups)
	} else if a.removed() && len(p.groups) > 0 {
		wrong("still in groups %q", p.groups)
	}
	if m := seatOf(after, a.address()); m != nil {
		compareRoles(a, *seatOf(before, a.address()), *m, wrong)
	}
	if want := map[bool]int{true: 1}[a.removed()]; p.removals != want {
		wrong("removed %d times instead of %d", p.removals, want)
	}
	if p.orphans > 0 {
		wrong("%d things have lost their owner", p.orphans)
	}
	p.wrong = append(p.wrong, d.compareCase(a, p)...)
	if w := d.watched[a.address()]; w != nil && w.file.State.Live() {
		// It says of itself that it is not through; the rest follows from that.
		p.wrong = []string{fmt.Sprintf("the case has not ended, it is %s; in truth the seat is %s", standing(w.file), p.seat())}
	}
	return p
}

// compareRoles looks at what somebody may do who keeps their seat: as much as
// before, or to read.
func compareRoles(a *actor, before, after amplitudefake.Member, wrong func(string, ...any)) {
	if a.outcome != offboard.OutcomeReduced {
		if !maps.Equal(after.Projects, before.Projects) || after.Role != before.Role {
			wrong("roles were changed and not given back")
		}
		return
	}
	if after.Role != amplitudefake.RoleViewer {
		wrong("the organization role is still %s", after.Role)
	}
	for project := range before.Projects {
		if after.Projects[project] != amplitudefake.RoleViewer {
			wrong("the role on project %d is %q instead of Viewer", project, after.Projects[project])
		}
	}
}

// compareOwned looks at who owns what the leaver owned.
func (d *demo) compareOwned(a *actor, before, after amplitudefake.State, p *personTruth) {
	now := owners(after)
	for _, x := range before.Assets {
		if !slices.Contains(x.Owners, a.address()) {
			continue
		}
		p.owned++
		is := now[assetKey(x)]
		moved := a.manager != nil && slices.Equal(is, []string{a.manager.address()})
		if moved {
			p.moved++
		}
		if a.removed() && !moved {
			p.wrong = append(p.wrong, fmt.Sprintf("the %s %q belongs to %q", x.Kind, x.Name, is))
		} else if !a.removed() && !slices.Equal(is, x.Owners) {
			p.wrong = append(p.wrong, fmt.Sprintf("the %s %q was given away", x.Kind, x.Name))
		}
	}
}

// compareCase holds what the case says against the truth and the script.
func (d *demo) compareCase(a *actor, p personTruth) (wrong []string) {
	w := d.watched[a.address()]
	if w == nil {
		return []string{"there is no case"}
	}
	f := w.file
	if f.Outcome != a.outcome {
		wrong = append(wrong, fmt.Sprintf("the case is %s, and should be %s", standing(f), a.outcome))
	}
	if f.Reason != a.reason {
		wrong = append(wrong, fmt.Sprintf("the case's reason is %s instead of %s", f.Reason, a.reason))
	}
	if a.policy != "" && f.Policy != a.policy {
		wrong = append(wrong, fmt.Sprintf("the policy is %s instead of %s", f.Policy, a.policy))
	}
	if says := f.Outcome == offboard.OutcomeRemoved; says == p.member {
		wrong = append(wrong, fmt.Sprintf("the case ended as %s, and in truth the seat is %s", f.Outcome, p.seat()))
	}
	if f.TimelineProblem != "" {
		wrong = append(wrong, "the timeline cannot be trusted: "+f.TimelineProblem)
	}
	if a.removed() && f.Verified.IsZero() {
		wrong = append(wrong, "the absence was never verified")
	}
	for _, x := range f.Assets {
		if a.removed() && x.State != offboard.AssetHanded {
			wrong = append(wrong, fmt.Sprintf("the case says that the %s %q is %s", x.Kind, x.Name, x.State))
		}
	}
	return wrong
}

// others tells what happened to people and things that are nobody's case.
func (d *demo) others(before, after amplitudefake.State) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	mine := func(address string) bool { a := d.actorOf(address); return a != nil && a.leaves() }
	for _, m := range before.Members {
		if mine(m.Email) {
			continue
		}
		is := seatOf(after, m.Email)
		if is == nil {
			say("%s has lost their seat, and nobody asked for that", m.Email)
		} else if is.Role != m.Role || is.Status != m.Status || !maps.Equal(is.Projects, m.Projects) || !slices.Equal(is.Groups, m.Groups) {
			say("the access of %s was changed, and nobody asked for that", m.Email)
		}
	}
	gone := 0
	for _, a := range d.cast {
		if a.removed() {
			gone++
		}
	}
	if len(after.Members) < len(before.Members)-gone {
		say("%d members are left of %d", len(after.Members), len(before.Members))
	}
	now := owners(after)
	for _, x := range before.Assets {
		if !slices.ContainsFunc(x.Owners, mine) && !slices.Equal(now[assetKey(x)], x.Owners) {
			say("the %s %q changed its owners, and nobody asked for that", x.Kind, x.Name)
		}
	}
	if n := len(after.Outbox) - len(before.Outbox); n > 0 {
		say("%d people were invited", n)
	}
	if n := len(after.Resurrections); n > 0 {
		say("%d removed people came back", n)
	}
	return wrong
}

// rotation looks at the deployment whose key the leaver knew: the old one is
// archived, one other has taken its place on every flag, and its key is published.
func (d *demo) rotation(after amplitudefake.State) (wrong []string) {
	old := d.keys.deployment
	var next []amplitudefake.Asset
	var flags int
	for _, x := range after.Assets {
		if x.Kind == amplitudefake.KindDeployment && x.ID == old.ID && !x.Archived {
			wrong = append(wrong, "the deployment "+old.Name+" is not archived: who left still has its key")
		}
		if x.Kind == amplitudefake.KindDeployment && x.ID != old.ID && strings.HasPrefix(x.Name, old.Name+"-r") && !x.Archived {
			next = append(next, x)
		}
		if x.Kind == amplitudefake.KindFlag && slices.Contains(x.Deployments, old.ID) {
			flags++
		}
	}
	if len(next) != 1 {
		return append(wrong, fmt.Sprintf("the deployment %s has %d replacements instead of one", old.Name, len(next)))
	}
	if flags > 0 {
		wrong = append(wrong, fmt.Sprintf("%d flags still carry the old deployment", flags))
	}
	name := transfer.FileName(transfer.Credential{Kind: transfer.CredentialDeploymentKey, ID: old.ID})
	key, err := os.ReadFile(filepath.Join(d.published(), name))
	if err != nil || strings.TrimSpace(string(key)) != next[0].Key {
		wrong = append(wrong, "the key of the new deployment was not published")
	}
	return wrong
}

// countRequests finds how many requests there were, and in the busiest minute.
func countRequests(log []amplitudefake.Request) requestTruth {
	t := requestTruth{total: len(log)}
	first := 0
	for i, r := range log {
		for log[first].Time.Before(r.Time.Add(-time.Minute)) {
			first++
		}
		t.most = max(t.most, i-first+1)
		if r.Status == 429 {
			t.refused++
		}
	}
	return t
}

func seatOf(s amplitudefake.State, address string) *amplitudefake.Member {
	i := slices.IndexFunc(s.Members, func(m amplitudefake.Member) bool { return offboard.Fold(m.Email) == offboard.Fold(address) })
	if i < 0 {
		return nil
	}
	return &s.Members[i]
}

func groupsOf(s amplitudefake.State, address string) []string {
	var out []string
	for _, g := range s.Groups {
		if slices.ContainsFunc(g.Members, func(m string) bool { return offboard.Fold(m) == address }) {
			out = append(out, g.Name)
		}
	}
	return out
}

func assetKey(x amplitudefake.Asset) string { return fmt.Sprintf("%s/%d/%s", x.Kind, x.Project, x.ID) }

func owners(s amplitudefake.State) map[string][]string {
	out := map[string][]string{}
	for _, x := range s.Assets {
		out[assetKey(x)] = x.Owners
	}
	return out
}
