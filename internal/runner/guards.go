package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// adminsSoon is how long an incident waits for what the guards read, all
// together.
const adminsSoon = 2 * time.Second

// guarded is what the guards have to know of one organization, read before a
// change in it. The zero value is that of a change that takes nothing away.
type guarded struct {
	organization string
	at           time.Time
	admins       offboard.AdminFacts
	token        string   // why Offramp itself needs the leaver's seat
	more         string   // what a leaver whose only access ended can reach by now
	hidden       []string // what could not be read, in words
}

// blind is everything that was not seen, in a sentence; empty: nothing.
func (g guarded) blind() string {
	if len(g.hidden) == 0 {
		return ""
	}
	return g.organization + ": " + strings.Join(g.hidden, ", ")
}

// said is what the record says beside an intention that was permitted. admin is
// of what the leaver is the only admin all the same.
func (g guarded) said(admin string) string {
	if g.organization == "" {
		return ""
	}
	var say []string
	switch {
	case admin != "":
		say = append(say, "let pass by a person's word although "+admin)
	case len(g.hidden) == 0:
		say = append(say, "the leaver is not the only admin of anything that is configured in "+g.organization)
	}
	if g.token != "" {
		say = append(say, g.token)
	}
	if len(g.hidden) > 0 {
		say = append(say, "not everything that should be guarded was seen: "+g.blind())
	}
	return strings.Join(say, "; ")
}

// guarding is the organization whose guards a change has to pass; nil: it takes
// nothing away.
func (a *attempt) guarding(c change) *organization {
	takes := c.step == offboard.StepContain || c.step == offboard.StepRevoke || c.step == offboard.StepRemove
	if !takes || c.giving || a.opts.Observe || len(c.claim) == 0 {
		return nil
	}
	return a.orgs[c.claim[0]]
}

// guardSeats reads what the guards look at once for each organization in which
// an incident has seats to remove, side by side, before it asks for all of them
// at once.
func (a *attempt) guardSeats(ctx context.Context, targets []target, round int) error {
	var orgs []*organization
	for _, t := range targets {
		done := a.file.Effect(a.key(offboard.StepRemove, objectOf(t, round))).State == offboard.EffectDone
		if !done && !slices.Contains(orgs, t.org) {
			orgs = append(orgs, t.org)
		}
	}
	read, errs := make([]guarded, len(orgs)), make([]error, len(orgs))
	var all sync.WaitGroup
	for i, org := range orgs {
		all.Go(func() { read[i], errs[i] = a.lookOut(ctx, offboard.StepRemove, org) })
	}
	all.Wait()
	if err := firstError(errs); err != nil {
		return err
	}
	for _, g := range read {
		a.keep(offboard.StepRemove, g)
	}
	return nil
}

// guards is what the guards look at before something is taken away in an
// organization. The changes of one attempt share it for a moment.
func (a *attempt) guards(ctx context.Context, step offboard.StepName, org *organization) (guarded, error) {
	g, ok := a.seen[object(string(step), org.Name)]
	if age := a.now().Sub(g.at); ok && (a.file.Case.Incident() || age >= 0 && age < adminsFresh) {
		return g, nil
	}
	g, err := a.lookOut(ctx, step, org)
	if err == nil {
		a.keep(step, g)
	}
	return g, err
}

func (a *attempt) keep(step offboard.StepName, g guarded) {
	if a.seen == nil {
		a.seen = map[string]guarded{}
	}
	a.seen[object(string(step), g.organization)] = g
}

// lookOut reads what the guards look at.
func (a *attempt) lookOut(ctx context.Context, step offboard.StepName, org *organization) (guarded, error) {
	l := &lookout{attempt: a, ctx: ctx, within: ctx, step: step, org: org}
	if a.file.Case.Incident() {
		var cancel context.CancelFunc
		l.within, cancel = context.WithTimeout(ctx, adminsSoon)
		defer cancel()
	}
	l.organization, l.at = org.Name, a.now()
	l.admins = offboard.AdminFacts{
		Organization: org.Name, Known: a.opts.Admins, Since: a.now().Add(-recent),
		Leaver: append(a.file.Person.Addresses(), offboard.Fold(a.file.Case.Address)),
	}
	for _, read := range []func() error{l.projects, l.replacements, l.madeToken} {
		if err := read(); err != nil {
			return guarded{}, err
		}
	}
	var err error
	l.more, err = a.elsewhere(ctx)
	return l.guarded, err
}

// lookout fills in what the guards have to know.
type lookout struct {
	*attempt
	guarded
	ctx    context.Context // of the attempt
	within context.Context // of what is asked of Amplitude
	step   offboard.StepName
	org    *organization
}

// missed notes what could not be read because of err, where the case goes on
// without it: an incident at once, others when they have waited long enough.
func (l *lookout) missed(what string, err error) error {
	why := err.Error()
	switch {
	case l.ctx.Err() != nil:
		return context.Cause(l.ctx)
	case refusedKey(err):
		why = "Amplitude refused the organization's key"
	case !l.file.Case.Incident() && !l.longEnough():
		return err
	case l.within.Err() != nil:
		why = fmt.Sprintf("no answer within %s", adminsSoon)
	}
	l.hidden = append(l.hidden, what+" ("+why+")")
	return nil
}

// longEnough reports whether the step was tried long enough for what the guards
// want to see: an API that is down must not keep a leaver's access alive.
func (l *lookout) longEnough() bool {
	s := l.file.Step(l.step)
	return s != nil && s.Attempts >= silent
}

// madeToken tells whether Offramp's own token of the organization ends with the
// leaver's seat.
func (l *lookout) madeToken() error {
	const unsaid = "protect.developer_token does not say who made its developer_token"
	theirs := func(who string) bool { return slices.Contains(l.admins.Leaver, offboard.Fold(who)) }
	switch {
	case !l.org.Token:
		return nil
	case len(l.opts.TokenOwners) == 0:
		l.hidden = append(l.hidden, unsaid)
		return nil
	case slices.ContainsFunc(l.opts.TokenOwners, theirs):
		if l.step != offboard.StepRevoke { // a mover keeps the seat, and the token with it
			l.token = "Offramp's own developer_token of " + l.org.Name + " was made in the leaver's name and ends with their seat: " +
				"make one in somebody else's name, put it into developer_token, name them in protect.developer_token, and restart"
		}
		return nil
	}
	for _, who := range l.opts.TokenOwners {
		s, err := l.org.roster.look(l.within, l.share(amplitude.ShareOther), question{address: who, after: l.now().Add(-recent)})
		if err != nil {
			return l.missed("whether somebody whom protect.developer_token names has a seat there", err)
		}
		if s.Present && !s.Pending {
			return nil
		}
	}
	l.hidden = append(l.hidden, unsaid+": nobody whom it names has a seat there")
	return nil
}

// projects reads who administers the organization's projects, and notes what
// that leaves open.
func (l *lookout) projects() error {
	switch {
	case !l.org.Roles:
		l.hidden = append(l.hidden, "no key and secret of the organization")
		return nil
	case len(l.org.Projects) == 0:
		l.hidden = append(l.hidden, "no project of it is configured, so that nobody's role was looked at")
		return nil
	}
	r, because, err := l.reading()
	switch {
	case err != nil:
		return err
	case errors.Is(because, amplitude.ErrNotEnrolled):
		l.hidden = append(l.hidden, "not enrolled in the User Management API")
		return nil
	case because != nil && r.Began.IsZero():
		return l.missed("who administers its projects", because)
	case because != nil: // what a guard refused stands until a newer reading says otherwise
		age := max(l.now().Sub(r.Began), 0).Round(time.Second)
		if err := l.missed(fmt.Sprintf("who administers its projects now: the last reading is %s old", age), because); err != nil {
			return err
		}
	}
	l.admins.Projects = r.Projects
	began := r.Began
	for _, p := range r.Projects {
		if !p.Shown.IsZero() && p.Shown.Before(began) {
			began = p.Shown
		}
	}
	if since := began.Add(-recent); since.Before(l.admins.Since) {
		l.admins.Since = since
	}
	l.gaps(r)
	return l.unconfigured()
}

// gaps notes what a reading does not tell although it was answered.
func (l *lookout) gaps(r offboard.AdminReading) {
	mine := l.groupsOf()
	for _, p := range l.org.Projects {
		i := slices.IndexFunc(r.Projects, func(o offboard.ProjectAdmins) bool { return o.ID == p.ID })
		switch {
		case i < 0:
			l.hidden = append(l.hidden, fmt.Sprintf("nothing is known of project %s (%d)", p.Name, p.ID))
		case len(r.Projects[i].Admins) == 0:
			l.hidden = append(l.hidden, "no admin of project "+p.Name+" was shown")
		case !r.Projects[i].Shown.IsZero():
			age := max(l.now().Sub(r.Projects[i].Shown), 0).Round(time.Second)
			l.hidden = append(l.hidden, fmt.Sprintf("no admin of project %s is shown any more: who they are is %s old", p.Name, age))
		case !slices.ContainsFunc(r.Projects[i].Admins, func(who string) bool { return slices.Contains(l.admins.Leaver, offboard.Fold(who)) }) &&
			slices.ContainsFunc(r.Projects[i].Groups, func(id string) bool { return slices.Contains(mine, id) }):
			l.hidden = append(l.hidden, "a group that administers project "+p.Name+" has the leaver in it, but its people were not shown")
		}
	}
}

// replacements leaves as admins beside the leaver those who have joined and lose
// nothing themselves. Of many it looks at a few.
func (l *lookout) replacements() error {
	others := l.admins.Others()
	if len(others.Addresses) == 0 {
		return nil
	}
	losing, err := l.opts.Store.Losing(l.ctx, others)
	if err != nil {
		return err
	}
	var sure []string
	for i, who := range others.Addresses {
		const enough = 3 // who could all be leaving in the same moment
		if slices.Contains(losing, who) || !l.admins.Wanted(who, sure, enough) {
			continue
		}
		joined, err := l.org.roster.joined(l.within, l.share(amplitude.ShareOther), who, l.now().Add(-recent))
		if err != nil {
			rest := slices.DeleteFunc(slices.Clone(others.Addresses[i:]), func(who string) bool { return slices.Contains(losing, who) })
			l.admins = l.admins.Only(append(sure, rest...))
			return l.missed("whether the other admins have joined", err)
		}
		if joined {
			sure = append(sure, who)
		}
	}
	l.admins = l.admins.Only(sure)
	return nil
}
