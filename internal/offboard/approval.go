package offboard

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// RoleManager is the role that the leaver's own manager has without being
// listed: the one whom the identity provider names.
const RoleManager = "manager"

// Via is the way on which an approval came. The zero value is a person who
// logged in.
type Via string

// The ways.
const (
	ViaLogin Via = ""
	ViaLink  Via = "link"  // a personal link
	ViaClaim Via = "claim" // the identity provider says so, through a connection that is trusted for it
)

// Approver is somebody who may approve.
type Approver struct {
	Address string
	Roles   []string // none: every role
}

// Approvers is who may approve now. It is asked when an approval is given and
// again when approvals are counted: one by somebody who was taken off the list
// meanwhile does not count any more. The zero value lets everybody approve who
// may log in to do it, in every role.
type Approvers struct {
	Listed []Approver
	Trusts func(connection string) bool // whether its claims of approvals count; nil: as when they came
}

// Needs is what a case needs before somebody may be removed.
type Needs struct {
	People int         `json:"people"`          // different people; 0: nobody is asked
	Roles  []string    `json:"roles,omitempty"` // each by a different one of them
	Rules  []RuleAsked `json:"rules,omitempty"` // of the roles, those that the inventory made necessary
}

// RuleAsked is a role that a rule over the inventory asked for.
type RuleAsked struct {
	Role   string `json:"role"`
	Why    string `json:"why"`
	Failed bool   `json:"failed,omitempty"` // the rule could not be told, and the role is asked for to be safe
}

// Needs tells what the case needs: what its policy says, and from the approve
// step on also what the inventory made necessary.
func (f File) Needs() Needs {
	n := Needs{People: f.Case.Policy.Approvals, Roles: f.Case.Policy.Roles}
	if s := f.Step(StepApprove); s != nil && len(s.Result) > 0 {
		var asked Needs
		if err := json.Unmarshal(s.Result, &asked); err == nil && asked.People >= n.People {
			return asked
		}
	}
	return n
}

// Sentence says what is needed, as in "one approval by manager".
func (n Needs) Sentence() string {
	text := countOf(n.People, "approval")
	if len(n.Roles) > 0 {
		text += " by " + strings.Join(n.Roles, " and ")
	}
	if n.People > 1 {
		text += " of different people"
	}
	return text
}

// Tally is how far a case is approved.
type Tally struct {
	Needs   Needs
	Counted []Approval // by different people
	Void    []string   // per approval that does not count, why
	Roles   []string   // per needed role, whose approval fills it; empty: nobody's
	More    int        // people who are needed beside those for the roles
	Alone   string     // who approved and takes over, so that one more is needed; empty: nobody
	latest  string     // names the newest approval that does not count, for a second question
}

// Enough reports whether nobody else has to be asked.
func (t Tally) Enough() bool { return len(t.Missing()) == 0 }

// Missing names what is still needed.
func (t Tally) Missing() []string {
	var out []string
	for i, by := range t.Roles {
		if by == "" {
			out = append(out, t.Needs.Roles[i])
		}
	}
	switch {
	case t.More == 1:
		out = append(out, "one more person")
	case t.More > 1:
		out = append(out, fmt.Sprintf("%d more people", t.More))
	case len(out) == 0 && t.Alone != "":
		out = append(out, "somebody other than "+t.Alone+", who takes over what the leaver owns")
	}
	return out
}

// Sentence says how far the case is approved, and what is still needed.
func (t Tally) Sentence() string {
	text := fmt.Sprintf("%d of %d approvals", len(t.Counted), t.Needs.People)
	if missing := t.Missing(); len(missing) > 0 && (len(t.Needs.Roles) > 0 || t.Alone != "") {
		text += ", still needed: " + strings.Join(missing, ", ")
	}
	if len(t.Void) > 0 {
		text += "; not counted: " + strings.Join(t.Void, ", ")
	}
	return text
}

// explain says the same at length, with what the inventory asked for.
func (t Tally) explain() string {
	var text strings.Builder
	text.WriteString(t.Sentence() + ".")
	for _, r := range t.Needs.Rules {
		text.WriteString(" " + r.Role + " is asked, since " + r.Why + ".")
	}
	return text.String()
}

// Count tells how far a case is approved at now. Every role has to be filled by
// a different person, the leaver is never one of them, and the successor never
// the only one.
func (l Approvers) Count(f File, now time.Time) Tally {
	t := Tally{Needs: f.Needs()}
	for _, a := range f.Approvals {
		if why := l.void(f, a, t, now); why != "" {
			t.Void = append(t.Void, a.By+" "+why)
			t.latest = max(t.latest, fmt.Sprintf("%016d", a.At.UnixMilli()))
			continue
		}
		t.Counted = append(t.Counted, a)
	}
	t.Roles = l.fill(f, t.Needs.Roles, t.Counted)
	open := 0
	for _, by := range t.Roles {
		if by == "" {
			open++
		}
	}
	t.More = max(0, t.Needs.People-len(t.Counted)-open)
	if t.Needs.People > 0 && len(t.Counted) == 1 && isSuccessor(f, t.Counted[0].By) {
		t.Alone = t.Counted[0].By
	}
	return t
}

// void tells why an approval does not count; empty: it does.
func (l Approvers) void(f File, a Approval, t Tally, now time.Time) string {
	may, ok := l.may(f, a.By, a.Via)
	expires := f.Case.Policy.ApprovalExpires
	switch {
	case isLeaver(f, a.By):
		return "is the leaver"
	case slices.ContainsFunc(t.Counted, func(c Approval) bool { return f.same(c.By, a.By) }):
		return "is counted already"
	case expires > 0 && now.Sub(a.At) > expires:
		return "approved more than " + spell(expires) + " ago"
	case !ok:
		return "may not approve any more"
	case a.Via == ViaClaim && t.Needs.People > 1:
		return "is claimed by the identity provider, which is never one of two"
	case a.Role != "" && !may.as(a.Role):
		return "may not approve as " + a.Role + " any more"
	}
	return ""
}

// capacity is in which roles somebody may approve.
type capacity struct {
	any   bool
	roles []string
}

func (c capacity) as(role string) bool { return c.any || slices.Contains(c.roles, role) }

// may tells in which roles somebody may approve a case; false: not at all. Who
// may is told by the exact address: where it gives a right, two people are never
// taken for one.
func (l Approvers) may(f File, who string, via Via) (c capacity, ok bool) {
	if via == ViaClaim && l.Trusts != nil && !l.Trusts(f.Case.Connection) {
		return c, false
	}
	key := Fold(who)
	for _, a := range l.Listed {
		if Fold(a.Address) == key {
			c.roles, c.any, ok = slices.Clone(a.Roles), len(a.Roles) == 0, true
		}
	}
	if slices.Contains(f.Standing.Manager, key) {
		if !slices.Contains(c.roles, RoleManager) {
			c.roles = append(c.roles, RoleManager)
		}
		ok = true
	}
	if len(l.Listed) == 0 && via != ViaLink {
		c.any, ok = true, true
	}
	return c, ok || via == ViaClaim
}

// fill gives each role to a different one of the approvals, as many as can be:
// an augmenting path for every role.
func (l Approvers) fill(f File, roles []string, given []Approval) []string {
	holds := make([]int, len(given)) // the role that an approval fills, from 1
	fits := func(role string, a Approval) bool {
		may, ok := l.may(f, a.By, a.Via)
		return ok && may.as(role) && (a.Role == "" || a.Role == role)
	}
	var place func(r int, seen []bool) bool
	place = func(r int, seen []bool) bool {
		for i, a := range given {
			if seen[i] || !fits(roles[r], a) {
				continue
			}
			seen[i] = true
			if holds[i] == 0 || place(holds[i]-1, seen) {
				holds[i] = r + 1
				return true
			}
		}
		return false
	}
	for r := range roles {
		place(r, make([]bool, len(given)))
	}
	out := make([]string, len(roles))
	for i, r := range holds {
		if r > 0 {
			out[r-1] = given[i].By
		}
	}
	return out
}

// Lone reports whether somebody, who is about to become the successor, is the
// only one whose approval counts.
func (l Approvers) Lone(f File, successor Person, now time.Time) bool {
	t := l.Count(f, now)
	return t.Needs.People > 0 && len(t.Counted) == 1 && slices.ContainsFunc(successor.Addresses(), func(a string) bool {
		return f.same(a, t.Counted[0].By)
	})
}

// Unapproved tells why a removal or a reduction may not begin for want of
// approvals; empty: it may. A plan without the step asks nobody, and what has
// begun is not asked for again.
func (l Approvers) Unapproved(f File, step StepName, now time.Time) string {
	began := slices.ContainsFunc(f.Effects, func(e Effect) bool { return e.Step == step })
	if f.Case.Incident() || f.Step(StepApprove) == nil || began {
		return ""
	}
	t := l.Count(f, now)
	if t.Enough() {
		return ""
	}
	return t.Sentence() + "; give one with: offramp cases approve " + f.Case.ID
}

// Approve records one person's yes, as Approvers.Approve does where nobody is
// listed.
func Approve(f File, a Approval) (Update, error) { return Approvers{}.Approve(f, a) }

// Approve records one person's yes. By is required; a zero At means now, as the
// store sees it. An empty Role becomes the one that is still needed. How many
// are needed is for the approve step to count.
func (l Approvers) Approve(f File, a Approval) (Update, error) {
	if err := decidable(f, a.By); err != nil {
		return Update{}, err
	}
	if isLeaver(f, a.By) {
		return Update{}, refused("%s is the leaver, and nobody approves their own removal; ask somebody else", a.By)
	}
	tally := l.Count(f, a.At)
	if slices.ContainsFunc(tally.Counted, func(other Approval) bool { return f.same(other.By, a.By) }) {
		return Update{}, refused("%s has approved this case already; a person counts once", a.By)
	}
	if err := l.capable(f, &a, tally); err != nil {
		return Update{}, err
	}
	asked := f.Step(StepApprove)
	switch {
	case a.Via == ViaLink && tally.Needs.People > 1:
		return Update{}, refused("this case needs %s, and a link is not enough for that: log in to the console, "+
			"or say offramp cases approve %s", tally.Needs.Sentence(), f.Case.ID)
	case tally.Needs.People < 2 && len(tally.Counted) == 0 && isSuccessor(f, a.By):
		return Update{}, refused("%s would take over what the leaver owns, so their approval is not enough alone; "+
			"ask somebody else to approve first", a.By)
	case asked != nil && asked.State == StepDone && tally.Enough() && f.Case.Waiting != WaitApproval:
		return Update{}, refused("the case has the approvals that it needs: %s", tally.Sentence())
	}
	text := "approved"
	if a.Role != "" {
		text += " as " + a.Role
	}
	if a.Ticket != "" {
		text += ", ticket " + a.Ticket
	}
	if a.Via == ViaLink {
		text += ", by a personal link"
	}
	e, err := withAttachments(entry(a.By, "approved", text, a.Note), a.Attachments)
	if err != nil {
		return Update{}, err
	}
	return Update{Approvals: []Approval{a}, Timeline: []Entry{e}}, nil
}

// capable checks that somebody may approve in the role that they say, and fills
// it where they say none.
func (l Approvers) capable(f File, a *Approval, t Tally) error {
	may, ok := l.may(f, a.By, a.Via)
	switch {
	case !ok:
		return refused("%s is not among those who may approve this case: the leaver's manager%s", a.By, l.names())
	case a.Role != "" && !may.as(a.Role):
		return &RefusedError{Incomplete: true, Because: fmt.Sprintf("%s approves in one of these roles: %s", a.By, strings.Join(may.roles, ", "))}
	case may.any:
		return nil
	}
	useful := slices.Clone(t.Needs.Roles)
	if s := f.Step(StepApprove); s == nil || len(s.Result) == 0 {
		for _, r := range f.Case.Policy.AlsoApprove {
			useful = append(useful, r.Role) // the inventory may ask for it yet
		}
	}
	roles := may.roles
	if a.Role != "" {
		roles = []string{a.Role}
	}
	helps := slices.ContainsFunc(roles, func(r string) bool { return slices.Contains(useful, r) })
	if !helps && len(t.Needs.Roles) > 0 && t.Needs.People == len(t.Needs.Roles) && t.Alone == "" {
		return refused("%s approves as %s, and this case needs %s", a.By, strings.Join(roles, " or "), t.Needs.Sentence())
	}
	if a.Role != "" {
		return nil
	}
	for i, r := range t.Needs.Roles {
		if t.Roles[i] == "" && slices.Contains(roles, r) {
			a.Role = r
			return nil
		}
	}
	if len(roles) == 1 {
		a.Role = roles[0]
	}
	return nil
}

// names lists who else may approve.
func (l Approvers) names() string {
	var text strings.Builder
	for _, a := range l.Listed {
		text.WriteString(", " + a.Address)
	}
	return text.String()
}

// withAttachments adds documents to an entry of the timeline.
func withAttachments(e Entry, list []Attachment) (Entry, error) {
	for _, a := range list {
		if a.Name == "" || !isSHA256(a.SHA256) {
			return e, incomplete("an attachment needs its name and its SHA-256 as 64 lower-case hexadecimal digits")
		}
	}
	if len(list) == 0 {
		return e, nil
	}
	b, err := json.Marshal(map[string][]Attachment{"attachments": list})
	if err != nil {
		return e, fmt.Errorf("encode the attachments: %w", err)
	}
	e.Data = b
	return e, nil
}

// spell writes a duration without its empty parts.
func spell(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
