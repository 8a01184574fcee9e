package runner

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// adminsFresh is how old a reading of an organization's admins may be. Somebody
// may lose the role meanwhile; Amplitude's own rule about the last admin is the
// net under that.
const adminsFresh = time.Minute

// adminsSoon is how long an incident waits for such a reading.
const adminsSoon = 2 * time.Second

// admins keeps who administers an organization's projects for a moment.
type admins struct {
	mu   sync.Mutex
	read time.Time
	last offboard.AdminsOf
}

// guarded is what the guards have to know of Amplitude, read before a change.
type guarded struct {
	admin   string // of what the leaver is the only admin
	token   string // why Offramp itself needs the leaver's seat
	more    string // what a leaver whose only access ended can reach by now
	unseen  string // what could not be read
	checked bool
}

// said is what the record says beside the intention.
func (g guarded) said() string {
	switch {
	case !g.checked:
		return ""
	case g.token != "":
		return "; " + g.token
	case g.unseen != "":
		return "; not everything that should be guarded was seen: " + g.unseen
	}
	return "; the leaver is not the only admin of anything"
}

// guards reads what the guards look at before something is taken away that an
// admin has.
func (a *attempt) guards(ctx context.Context, c change) (g guarded, err error) {
	if c.step != offboard.StepContain && c.step != offboard.StepRevoke && c.step != offboard.StepRemove || a.opts.Observe {
		return g, nil
	}
	g.checked = true
	facts := offboard.AdminFacts{Known: a.opts.Admins}
	var tokens []string
	for _, org := range a.reach(a.file.Case.Connection) {
		switch {
		case !org.Token:
		case len(a.opts.TokenOwners) == 0:
			facts.Unseen = append(facts.Unseen, org.Name+": protect.developer_token does not say who made its developer_token")
		case slices.ContainsFunc(a.file.Person.Addresses(), a.madeToken):
			tokens = append(tokens, org.Name)
		}
		if !org.Roles {
			facts.Unseen = append(facts.Unseen, org.Name+": no key and secret of the organization")
			continue
		}
		of, err := a.adminsOf(ctx, org)
		switch {
		case errors.Is(err, amplitude.ErrNotEnrolled):
			facts.Unseen = append(facts.Unseen, org.Name+": not enrolled in the User Management API")
		case err != nil && ctx.Err() == nil && (a.file.Case.Incident() || a.longEnough(c.step)):
			facts.Unseen = append(facts.Unseen, org.Name+": the User Management API did not answer in time")
		case refusedKey(err):
			facts.Unseen = append(facts.Unseen, org.Name+": Amplitude refused the organization's key")
		case err != nil:
			return g, err
		default:
			if of, err = a.withoutLeavers(ctx, of); err != nil {
				return g, err
			}
			facts.Organizations = append(facts.Organizations, of)
		}
	}
	address := c.address
	if address == "" {
		address = a.file.Case.Address
	}
	if len(tokens) > 0 {
		g.token = "Offramp's own developer_token of " + strings.Join(tokens, " and ") + " was made in the leaver's name and ends with their seat: " +
			"make one in somebody else's name, put it into developer_token, name them in protect.developer_token, and restart"
	}
	more, err := a.elsewhere(ctx)
	if err != nil {
		return g, err
	}
	g.more = more
	g.admin, g.unseen = facts.Irreplaceable(address), strings.Join(facts.Unseen, "; ")
	return g, nil
}

// fewAdmins is how many admins are looked at one by one.
const fewAdmins = 10

// withoutLeavers leaves out those admins who are being removed: of two who leave
// at once, and whom the last reading shows beside each other, one has to stay.
func (a *attempt) withoutLeavers(ctx context.Context, of offboard.AdminsOf) (offboard.AdminsOf, error) {
	gone := map[string]bool{}
	for _, p := range of.Projects {
		for _, who := range p.Admins {
			if gone[who] = false; len(gone) > fewAdmins {
				return of, nil
			}
		}
	}
	for who := range gone {
		began, err := a.opts.Store.RemovalBegan(ctx, who)
		if err != nil {
			return of, err
		}
		gone[who] = began && offboard.Fold(who) != offboard.Fold(a.file.Case.Address)
	}
	out := offboard.AdminsOf{Organization: of.Organization}
	for _, p := range of.Projects {
		p.Admins = slices.DeleteFunc(slices.Clone(p.Admins), func(who string) bool { return gone[who] })
		out.Projects = append(out.Projects, p)
	}
	return out, nil
}

// madeToken tells whether one of the organizations' developer tokens is theirs.
func (r *Runner) madeToken(address string) bool {
	return slices.ContainsFunc(r.opts.TokenOwners, func(who string) bool { return offboard.Fold(who) == offboard.Fold(address) })
}

// longEnough reports whether a step has waited long enough for what the guards
// want to see: an API that is down must not keep a leaver's access alive.
func (a *attempt) longEnough(n offboard.StepName) bool {
	c := a.file.Case
	s := a.file.Step(n)
	over := !a.now().Before(c.HandoverDeadline()) && c.Policy.AtDeadline(c.Reason) == offboard.DeadlineRemove
	return over || s != nil && s.Attempts >= silent
}

// adminsOf reads who administers each project of an organization. Cases that
// come together share a reading.
func (a *attempt) adminsOf(ctx context.Context, org *organization) (offboard.AdminsOf, error) {
	fresh := adminsFresh
	if a.file.Case.Incident() { // it waits neither for others nor for long
		if fresh = time.Hour; !org.admins.mu.TryLock() {
			return offboard.AdminsOf{}, errors.New("others are reading the same")
		}
	} else {
		org.admins.mu.Lock()
	}
	defer org.admins.mu.Unlock()
	if age := a.now().Sub(org.admins.read); !org.admins.read.IsZero() && age < fresh && age >= 0 {
		return org.admins.last, nil
	}
	if a.file.Case.Incident() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, adminsSoon)
		defer cancel()
	}
	of := offboard.AdminsOf{Organization: org.Name}
	for _, p := range org.Projects {
		grants, err := org.Client.ProjectAccess(ctx, p.ID)
		if err != nil {
			return of, err
		}
		one := offboard.ProjectAdmins{Name: p.Name}
		for _, g := range grants {
			if g.PrincipalType == "user" && strings.EqualFold(g.RoleName, "Admin") {
				one.Admins = append(one.Admins, g.PrincipalID)
			}
		}
		of.Projects = append(of.Projects, one)
	}
	org.admins.read, org.admins.last = a.now(), of
	return of, nil
}
