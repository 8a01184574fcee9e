package daemon

import (
	"fmt"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
)

// The two connections, each with its access group.
const (
	oktaName   = "okta"
	entraName  = "entra"
	oktaGroup  = "Amplitude Okta"
	entraGroup = "Amplitude Entra"
)

// Who works in the demo, besides the cast.
const (
	demoLead    = amplitudefake.SeedLead  // does the tasks
	demoAdmin   = amplitudefake.SeedAdmin // gives out what has lost its owner
	demoManager = "hanna.hart@example.com"
	demoReader  = "auditor"
	demoOrg     = "acme"
	demoTeam    = "Product Analytics" // permission group of the cast in Amplitude
	demoDeploy  = "checkout-server"   // deployment whose key a leaver knew
)

// actor is one person of the cast.
type actor struct {
	given, family string
	connection    string
	department    string
	title         string
	manager       *actor

	how     string          // what the identity provider does; empty: they just work here
	reason  offboard.Reason // that their case should have
	policy  string          // likewise; empty: any
	outcome offboard.Outcome
	knows   bool // the deployment's key
	direct  bool // has a role of their own on a project
	idle    bool // has not logged in for a long time
	unknown bool // no identity provider knows them
	owns    []amplitudefake.Asset

	id string // as the bridge answered
}

func (a *actor) name() string { return a.given + " " + a.family }

// address is lower case throughout, as the simulator's truth has it.
func (a *actor) address() string {
	domain := "example.com"
	if a.connection == entraName {
		domain = "example.org"
	}
	return offboard.Fold(a.given+"."+a.family) + "@" + domain
}

// leaves tells whether a case is expected.
func (a *actor) leaves() bool { return a.how != "" }

// removed tells whether the seat should be gone in the end.
func (a *actor) removed() bool { return a.outcome == offboard.OutcomeRemoved }

// seat gives the cast their seats, their group, and what they own.
func (d *demo) seat() error {
	projects := d.fake.Credentials().Projects
	now := time.Now()
	team := amplitudefake.Group{Name: demoTeam, Projects: map[int]string{projects[0].ID: amplitudefake.RoleMember}}
	for _, a := range d.cast {
		m := amplitudefake.Member{
			Email: a.address(), GivenName: a.given, FamilyName: a.family, Role: amplitudefake.RoleMember, LastLogin: now.Add(-time.Hour),
		}
		if a.idle {
			m.LastLogin = now.Add(-100 * 24 * time.Hour)
		}
		if a.outcome == offboard.OutcomeReduced {
			m.Projects = map[int]string{projects[1].ID: amplitudefake.RoleManager}
		}
		if a.direct {
			m.Projects = map[int]string{projects[1].ID: amplitudefake.RoleViewer}
		}
		if err := d.fake.AddMember(m); err != nil {
			return err
		}
		team.Members = append(team.Members, a.address())
		for i := range a.owns {
			thing := a.owns[i]
			thing.Project, thing.Owners = projects[thing.Project-1].ID, []string{a.address()}
			made, err := d.fake.AddAsset(thing)
			if err != nil {
				return err
			}
			a.owns[i] = made
		}
	}
	if _, err := d.fake.AddGroup(team); err != nil {
		return err
	}
	deployment, err := d.fake.AddAsset(amplitudefake.Asset{Kind: amplitudefake.KindDeployment, Name: demoDeploy, Type: "server", Project: projects[0].ID})
	if err != nil {
		return err
	}
	d.keys.deployment = deployment
	for i := range 2 {
		_, err := d.fake.AddAsset(amplitudefake.Asset{
			Kind: amplitudefake.KindFlag, Name: fmt.Sprintf("New checkout %d", i+1), Project: projects[0].ID,
			Deployments: []string{deployment.ID}, Owners: []string{demoLead},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// actorOf finds somebody of the cast; nil when the address is nobody's.
func (d *demo) actorOf(address string) *actor {
	for _, a := range d.cast {
		if a.address() == offboard.Fold(address) {
			return a
		}
	}
	return nil
}

func (d *demo) called(given string) *actor {
	for _, a := range d.cast {
		if a.given == given {
			return a
		}
	}
	return nil
}
