package offboard

import (
	"cmp"
	"slices"
	"time"
)

// ReplacementKey is the key of the task that asks for another admin.
const ReplacementKey = "admin"

// Replacement is the task of a case that waits because nobody else administers
// what the leaver does. The first approver of the case has it, else any operator.
func Replacement(f File, l Approvers, because, link string) Task {
	return Task{
		Kind: TaskAdmin, Key: ReplacementKey, State: TaskOpen, Due: f.Case.Due, Link: link, Assignee: l.first(f),
		Title: "Name another admin before " + f.Person.Name() + " leaves",
		Text: "Nobody is removed before somebody else administers what they do: " + because + ".\n" +
			"Name an active person who has joined: offramp tasks done TASK --successor ADDRESS. " +
			"Offramp gives them the role Admin on a project through the User Management API, where it may. " +
			"An admin of the organization is made in Amplitude, by a person. The case goes on by itself when Amplitude shows them.",
	}
}

// Reopened is a task that was answered, and that has to be answered again.
func (k Task) Reopened(because string) Task {
	k.State, k.By, k.Note, k.Successor, k.Ended = TaskOpen, "", "", "", time.Time{}
	if because != "" {
		k.Text += "\n" + because + "."
	}
	return k
}

// first is who is asked first of those who may approve: one in a role that the
// policy names. Empty: nobody is listed.
func (l Approvers) first(f File) string {
	first := ""
	for _, a := range l.Listed {
		c, ok := l.may(f, a.Address, ViaLogin)
		if !ok || isLeaver(f, a.Address) {
			continue
		}
		if slices.ContainsFunc(f.Case.Policy.Roles, c.as) {
			return a.Address
		}
		first = cmp.Or(first, a.Address)
	}
	return first
}

// ToReplace lists the projects that only the leaver administers of those who
// stay. admins are, by project, the folded addresses of whoever does, without
// others who are leaving. None where the leaver is the last admin of the whole
// organization: no role on a project makes another.
func ToReplace(leaver []string, admins map[int][]string) []int {
	is := func(who string) bool { return slices.Contains(leaver, who) }
	everywhere := map[string]int{}
	var out []int
	mine, another := 0, false
	for project, list := range admins {
		if slices.ContainsFunc(list, is) {
			if mine++; !slices.ContainsFunc(list, func(who string) bool { return !is(who) }) {
				out = append(out, project)
			}
		}
		for _, who := range list {
			if !is(who) {
				everywhere[who]++
				another = another || everywhere[who] == len(admins)
			}
		}
	}
	if mine == len(admins) && !another {
		return nil
	}
	slices.Sort(out)
	return out
}
