package offboard

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// toAsk lists the addresses of those whose approval would help now: who has a
// role that is still needed, or anybody where one is. Nobody is asked twice, for
// their own removal, or for one that they alone would profit from.
func (l Approvers) toAsk(f File, t Tally) []string {
	if t.Enough() {
		return nil
	}
	var out []string
	add := func(who string) {
		given := slices.ContainsFunc(t.Counted, func(a Approval) bool { return f.same(a.By, who) })
		alone := t.Needs.People < 2 && len(t.Counted) == 0 && isSuccessor(f, who)
		if !given && !alone && !isLeaver(f, who) {
			out = append(out, who)
		}
	}
	wants := func(c capacity) bool {
		for i, role := range t.Needs.Roles {
			if t.Roles[i] == "" && c.as(role) {
				return true
			}
		}
		return t.More > 0 || t.Alone != ""
	}
	for _, a := range l.Listed {
		if c, ok := l.may(f, a.Address, ViaLogin); ok && wants(c) {
			add(a.Address)
		}
	}
	i := slices.Index(t.Needs.Roles, RoleManager)
	if len(f.Standing.Manager) > 0 && (len(l.Listed) == 0 || i >= 0 && t.Roles[i] == "") {
		add(f.Standing.Manager[0])
	}
	return out
}

// AskApproval asks everybody whose approval would help, once each; again where
// one does not count any more, or is not enough alone. The link approves where
// one yes is enough; where two are needed it leads to a login.
func AskApproval(f File, a Audience, now time.Time) []Message {
	t := a.Approvers.Count(f, now)
	if t.Enough() {
		return nil
	}
	key, what := "approve", " is removed from Amplitude"
	text := fmt.Sprintf("%s (%s) leaves, and their seat in Amplitude is to be removed. Reason: %s.", f.Person.Name(), f.Case.Address, words(string(f.Case.Reason)))
	if f.Case.Plan == Mover {
		key, what = "approve reduction", " has less access to Amplitude" // a key of its own: a removal may follow in the same case
		text = fmt.Sprintf("%s (%s) keeps the seat in Amplitude, and is to %s. Reason: %s.", f.Person.Name(), f.Case.Address,
			strings.Join(f.Case.Policy.Revoke.Sentences(), ", "), words(string(f.Case.Reason)))
	}
	if f.Case.Ticket != "" {
		text += " Ticket: " + f.Case.Ticket + "."
	}
	if n := t.Needs; n.People > 1 {
		text += fmt.Sprintf(" %d different people have to approve", n.People)
		if len(n.Roles) > 0 {
			text += ", as " + strings.Join(n.Roles, " and ")
		}
		text += "."
	}
	for _, r := range t.Needs.Rules {
		text += fmt.Sprintf(" %s is asked since %s.", r.Role, r.Why)
	}
	if len(t.Void) > 0 {
		key += "/again/" + t.latest
		text += " Not counted: " + strings.Join(t.Void, ", ") + "."
	}
	if t.Alone != "" {
		key += "/beside/" + Fold(t.Alone)
		text += fmt.Sprintf(" %s approved and takes over what the leaver owns, so somebody else has to approve as well.", t.Alone)
	}
	text += "\n\n" + owns(f) + "\n\nApprove with: offramp cases approve " + f.Case.ID
	m := Message{
		Key: key, About: AboutApprovals, Approve: true, After: f.Case.Opened.Add(taken),
		Subject: "Approve that " + f.Person.Name() + what, Text: text,
	}
	if !f.Case.NotBefore.After(f.Case.Opened.Add(taken)) {
		m.After = time.Time{} // the case has settled by itself
	}
	return a.To(m, true, a.Approvers.toAsk(f, t)...)
}
