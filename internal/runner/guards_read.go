package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// adminsFresh is how old a reading of an organization's admins may be for an
// ordinary case. Somebody may lose the role meanwhile; Amplitude's own rule
// about the last admin is the net under that. An incident takes what others read
// in the moment in which it waits, and else asks.
const adminsFresh = time.Minute

// admins makes the cases of one process share what is read of an organization's
// admins.
type admins struct {
	turn chan struct{} // held by whoever reads

	mu    sync.Mutex
	reach map[string]reach // by a leaver's groups
}

// reach is the projects beyond the configured ones that some groups administer.
type reach struct {
	at       time.Time
	projects []string
}

func newAdmins() *admins { return &admins{turn: make(chan struct{}, 1), reach: map[string]reach{}} }

// reading reads who administers each project of the organization. Cases that come
// together, in whichever process, share a reading. Where none could be made it is
// the last one, whatever its age, with what it failed of.
func (l *lookout) reading() (r offboard.AdminReading, because, err error) {
	fresh := adminsFresh
	if l.file.Case.Incident() {
		fresh = adminsSoon
	}
	since := l.now().Add(-fresh)
	select {
	case l.org.admins.turn <- struct{}{}:
		defer func() { <-l.org.admins.turn }()
	case <-l.within.Done():
		because = context.Cause(l.within)
	}
	r, err = l.opts.Store.AdminReading(l.ctx, l.org.Name)
	switch {
	case err != nil:
		return r, nil, err
	case r.Began.After(since) && !r.Began.After(l.now()):
		return r, nil, nil
	case because != nil:
		return r, because, nil
	}
	now := offboard.AdminReading{Organization: l.org.Name, Began: l.now()}
	if now.Projects, because = projectAdmins(l.within, l.org); because != nil {
		return r, because, nil
	}
	for _, p := range l.org.Projects {
		now = now.After(r, p.ID)
	}
	return now, nil, l.opts.Store.SaveAdminReading(l.ctx, now)
}

// projectAdmins asks for every project, a few at a time. Projects that Amplitude
// does not know are left out.
func projectAdmins(ctx context.Context, org *organization) ([]offboard.ProjectAdmins, error) {
	const atOnce = 8
	out := make([]offboard.ProjectAdmins, len(org.Projects))
	errs := make([]error, len(org.Projects))
	slot := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, p := range org.Projects {
		one := func() {
			out[i] = offboard.ProjectAdmins{ID: p.ID, Name: p.Name}
			errs[i] = readProject(ctx, org, &out[i])
			if notFound(errs[i]) {
				out[i], errs[i] = offboard.ProjectAdmins{}, nil
			}
		}
		if i == 0 { // where the API may not be asked, it is asked once
			if one(); errs[0] != nil {
				break
			}
			continue
		}
		slot <- struct{}{}
		all.Go(func() { one(); <-slot })
	}
	all.Wait()
	return slices.DeleteFunc(out, func(p offboard.ProjectAdmins) bool { return p.ID == 0 }), firstError(errs)
}

func readProject(ctx context.Context, org *organization, p *offboard.ProjectAdmins) error {
	grants, err := org.Client.ProjectAccess(ctx, p.ID)
	for _, g := range grants {
		switch {
		case !strings.EqualFold(g.RoleName, "Admin"):
		case g.PrincipalType == "group":
			p.Groups = append(p.Groups, g.PrincipalID)
		case g.PrincipalType == "user" && !slices.Contains(p.Admins, offboard.Fold(g.PrincipalID)):
			p.Admins = append(p.Admins, offboard.Fold(g.PrincipalID))
		}
	}
	return err
}

// groupsOf are the ids of the groups that the leaver is in, sorted, as far as
// the case has seen them and not taken them away.
func (l *lookout) groupsOf() []string {
	var out []string
	add := func(groups []group) {
		for _, g := range groups {
			taken := slices.ContainsFunc(l.file.Effects, func(e offboard.Effect) bool {
				return e.Object == object(l.org.Name, "group", g.ID) && e.State == offboard.EffectDone
			})
			if !taken && !slices.Contains(out, g.ID) {
				out = append(out, g.ID)
			}
		}
	}
	for _, st := range l.found().Seats {
		if st.Organization == l.org.Name {
			add(st.Sighting.Groups)
		}
	}
	if l.file.Case.Incident() {
		if s, ok, err := l.org.roster.cached(l.within, question{address: l.file.Case.Address}); ok && err == nil {
			add(s.Groups)
		}
	}
	slices.Sort(out)
	return out
}

// unconfigured notes the projects that the leaver administers and the configuration
// lacks. Of an ordinary leaver it is known which roles they have themselves; what
// their groups give is asked once for all who are in the same ones.
func (l *lookout) unconfigured() error {
	const lasts = time.Hour
	groups := strings.Join(l.groupsOf(), " ")
	outside := func(id int) bool {
		return !slices.ContainsFunc(l.org.Projects, func(p Project) bool { return p.ID == id })
	}
	direct := false
	for _, st := range l.found().Seats {
		direct = direct || st.Organization == l.org.Name && slices.ContainsFunc(st.Assignments, func(h roleHeld) bool { return outside(h.Project) })
	}
	shared := !direct && !l.file.Case.Incident()
	if shared && groups == "" {
		return nil
	}
	l.org.admins.mu.Lock()
	known, ok := l.org.admins.reach[groups]
	l.org.admins.mu.Unlock()
	if age := l.now().Sub(known.at); !shared || !ok || age < 0 || age > lasts {
		const what = "whether the leaver administers projects that are not configured"
		grants, err := l.org.Client.Access(l.within, l.file.Case.Address)
		switch {
		case notFound(err) && l.seated(): // its path is not documented
			l.hidden = append(l.hidden, what+" (Amplitude knows no such page)")
			return nil
		case err != nil && !notFound(err):
			return l.missed(what, err)
		}
		known = reach{at: l.now()}
		for _, g := range grants {
			if strings.EqualFold(g.RoleName, "Admin") && outside(g.ProjectID) {
				known.projects = append(known.projects, fmt.Sprint(g.ProjectID))
			}
		}
		if shared && err == nil {
			l.org.admins.mu.Lock()
			l.org.admins.reach[groups] = known
			l.org.admins.mu.Unlock()
		}
	}
	if len(known.projects) > 0 {
		l.hidden = append(l.hidden, "the leaver administers project "+strings.Join(known.projects, ", ")+
			", which is not configured, so that nobody looked who else does")
	}
	return nil
}

// seated reports whether the leaver is known to have a seat in the organization;
// an incident knows what others read just now.
func (l *lookout) seated() bool {
	if !l.file.Case.Incident() {
		return true
	}
	s, ok, err := l.org.roster.cached(l.within, question{address: l.file.Case.Address})
	return ok && err == nil && s.Present
}

// joined reports whether somebody has a seat and is no longer only invited, as
// of something read not before after.
func (r *roster) joined(ctx context.Context, share amplitude.Share, address string, after time.Time) (bool, error) {
	if s, ok, err := r.cached(ctx, question{address: address, after: after}); ok || err != nil {
		return s.Present && !s.Pending, err
	}
	c, asked := r.client.WithShare(share), r.now()
	m, err := c.Member(ctx, address)
	if notFound(err) {
		_, err = r.prove(ctx, c, address, asked)
		return false, err
	}
	return err == nil && !m.Pending(), err
}
