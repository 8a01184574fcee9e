package runner

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"offramp/internal/offboard"
)

// leftToPeople asks people for what no API can change, and tells what came of
// the step.
func (a *attempt) leftToPeople(r offboard.Revoke, res revoked) outcome {
	out := outcome{result: res, say: a.revokedSentence(res)}
	var open []string
	asked := 0
	for _, t := range a.revokeTasks(r, res) {
		asked++
		known := a.file.Task(t.Key)
		switch {
		case known == nil:
			out.update.Tasks = append(out.update.Tasks, t)
			open = append(open, t.Title)
		case known.State == offboard.TaskOpen:
			open = append(open, known.Title)
		case known.State == offboard.TaskDeclined:
			return outcome{result: res, attention: fmt.Sprintf("%q was declined: %s; retry to ask again, or resolve the case", known.Title, known.Note)}
		case strings.HasPrefix(t.Key, taskGiven):
			return outcome{result: res, attention: fmt.Sprintf("%q is attested by %s, but Amplitude still shows the access; "+
				"take it away, then retry", known.Title, known.By)}
		}
	}
	for _, t := range a.file.Tasks {
		if strings.HasPrefix(t.Key, taskGiven) && t.State == offboard.TaskOpen && !slices.ContainsFunc(res.Given, func(g given) bool { return g.key() == t.Key }) {
			t.State, t.Ended, t.Note = offboard.TaskDropped, a.now(), "the access is gone"
			out.update.Tasks = append(out.update.Tasks, t)
		}
	}
	if len(open) > 0 {
		out.wait, out.note = offboard.WaitTask, "waiting for a person: "+strings.Join(open, "; ")
		return out
	}
	if len(res.Plan) == 0 && asked == 0 && len(res.Unseen) == 0 {
		res.Nothing = true
		out.result = res
	}
	return out
}

// Keys of the tasks of a mover.
const (
	taskGiven            = "revoke/given/"
	taskRoles            = "revoke/roles/"
	taskOrganizationRole = "revoke/organization_role/"
)

func (g given) key() string { return taskGiven + g.Organization + "/" + strconv.Itoa(g.Project) }

// revokeTasks lists what people have to do; each names the page and the values.
func (a *attempt) revokeTasks(r offboard.Revoke, res revoked) []offboard.Task {
	var out []offboard.Task
	who := a.file.Case.Address
	add := func(key, org, title, text string) {
		out = append(out, offboard.Task{
			Kind: offboard.TaskRevoke, Key: key, Title: title, State: offboard.TaskOpen, Due: a.file.Case.Due,
			Text: text, Link: a.opts.Manual.MembersPage(org),
		})
	}
	const open = "In Settings → Organization settings → Members & Groups open "
	for _, name := range a.found().present() {
		org := a.orgs[name]
		if org == nil {
			continue
		}
		if why := res.Unseen[name]; why != "" {
			to := "No Access"
			if r.Role != "" {
				to = r.Role + ", unless it is lower already"
			}
			var text strings.Builder
			text.WriteString(open + who + " and set under Projects:")
			for _, p := range a.projectsOf(org, r) {
				text.WriteString("\n- " + p + ": " + to)
			}
			add(taskRoles+name, name, "Reduce the direct roles of "+who+" in "+name, text.String()+"\nOfframp cannot: "+why+".")
		}
		if r.OrganizationRole != "" {
			add(taskOrganizationRole+name, name, "Set the organization role of "+who+" in "+name+" to "+r.OrganizationRole,
				open+who+" and set the organization role to "+r.OrganizationRole+", unless it is lower already. No API can change it.")
		}
	}
	for _, g := range res.Given {
		if !g.Named {
			continue
		}
		add(g.key(), g.Organization, fmt.Sprintf("Take away what still gives %s access to %s", who, a.projectName(g)), a.givenText(g))
	}
	return out
}

func (a *attempt) givenText(g given) string {
	text := fmt.Sprintf("Their direct role is reduced, but they still have role %s on %s. ", g.Role, a.projectName(g))
	if len(g.Groups) == 0 {
		return text + "No permission group explains it: look at their organization role in Settings → Organization settings → Members & Groups."
	}
	return text + "It comes from permission group " + strings.Join(g.Groups, ", ") +
		". In Settings → Organization settings → Members & Groups take them out of it, or let the group give less to everybody in it."
}

func (a *attempt) projectName(g given) string {
	if org := a.orgs[g.Organization]; org != nil {
		for _, p := range org.Projects {
			if p.ID == g.Project {
				return p.label()
			}
		}
	}
	return "project " + strconv.Itoa(g.Project)
}

func (p Project) label() string {
	id := strconv.Itoa(p.ID)
	if p.Name == "" || p.Name == id {
		return "project " + id
	}
	return "project " + p.Name + " (" + id + ")"
}

// projectsOf names the projects of an organization that the policy is about.
func (a *attempt) projectsOf(org *organization, r offboard.Revoke) []string {
	if len(r.Projects) == 0 || r.All {
		return []string{"every project"}
	}
	var out []string
	for _, p := range org.Projects {
		if slices.Contains(r.Projects, p.ID) {
			out = append(out, p.label())
		}
	}
	if len(out) == 0 {
		for _, id := range r.Projects {
			out = append(out, "project "+strconv.Itoa(id))
		}
	}
	return out
}

// revokedSentence tells what was changed and what is left.
func (a *attempt) revokedSentence(res revoked) string {
	text := "revoke: the person held none of what policy " + a.file.Case.Policy.Name + " takes away"
	if len(res.Plan) > 0 {
		text = fmt.Sprintf("revoke: %d changes made", len(res.Plan))
		if len(res.Plan) == 1 {
			text = "revoke: one change made"
		}
	} else if len(res.Unseen) > 0 {
		text = "revoke: nothing could be changed through an API"
	}
	for _, name := range a.found().present() {
		if why := res.Unseen[name]; why != "" {
			text += "; direct roles in " + name + " are left to a person, because " + why
		}
	}
	for _, g := range res.Given {
		by := "something that no API shows"
		if len(g.Groups) > 0 {
			by = "group " + strings.Join(g.Groups, ", ")
		}
		text += fmt.Sprintf("; %s still gives role %s on %s", by, g.Role, a.projectName(g))
	}
	return text
}

// reducedNote says how a mover's case ends.
func (a *attempt) reducedNote() string {
	res := a.revoked()
	if res.Nothing {
		return "the seat stays; the person held none of what policy " + a.file.Case.Policy.Name + " takes away"
	}
	var note strings.Builder
	note.WriteString("the seat stays, with less access, verified")
	for _, t := range a.file.Tasks {
		if t.Kind == offboard.TaskRevoke && t.State == offboard.TaskDone && !strings.HasPrefix(t.Key, taskGiven) {
			note.WriteString("; attested by " + t.By + " and not seen by an API: " + t.Title)
		}
	}
	return note.String()
}
