package amplitudefake

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// People that every made-up organization has, as far as its size allows.
const (
	SeedAdmin = "ada.admin@example.com"   // joined, org Admin, logged in today
	SeedLead  = "lena.lead@example.com"   // joined, org Manager, logged in today: the analytics lead
	SeedBot   = "offramp-bot@example.com" // holds the developer token
)

// SeedGroup is the group of a made-up organization that most members are in.
const SeedGroup = "Amplitude Users"

// found makes what an organization has before it has members: roles, projects
// and their keys.
func (f *Fake) found() {
	for _, name := range roleNames() {
		f.roles = append(f.roles, role{ID: f.uuid(), Name: name})
	}
	f.org = f.newProject(0, "")
	f.orgKey, f.orgPass = f.token(32), f.token(32)
	names := []string{"Web Production", "Mobile Production", "Web Staging", "Data Lake", "Checkout", "Labs"}
	for i := range f.opts.Projects {
		name := fmt.Sprintf("Project %d", i+1)
		if i < len(names) {
			name = names[i]
		}
		p := f.newProject(f.id(), name)
		f.projects = append(f.projects, p)
		f.place(p, Asset{Kind: KindAPIKey, Name: "legacy", Legacy: true})
		f.place(p, Asset{Kind: KindSecretKey, Name: "server"})
		f.place(p, Asset{Kind: KindManagementKey, Name: "automation"})
	}
	f.scimKey = f.place(f.org, Asset{Kind: KindSCIMKey, Name: "SCIM key"}).Key
	f.devToken = f.place(f.org, Asset{Kind: KindPersonalToken, Name: "offramp"})
}

func givenNames() []string {
	return strings.Fields(`Ada Bela Carla Dmitri Elena Farid Grace Hiro Ines Jonas Kim Lea Mateo Nadia Oskar Priya Quinn
		Rosa Sven Tomas Uma Viktor Wanda Xenia Yusuf Zoe Amir Bruno Chloe Dana Emil Fatima Goran Hana Ivan Julia Karim Lucia Marta Nils`)
}

func familyNames() []string {
	return strings.Fields(`Adler Berg Costa Dubois Eriksen Ferrari Garcia Horvat Ito Jansen Kowalski Larsen Moreau Novak Okafor
		Petrov Quist Rossi Silva Tanaka Ueda Vargas Weber Xu Yilmaz Zhang Almeida Brandt Cohen Duarte Evans Fischer Gupta Hansen
		Ivanov Jensen Keller Lopez Meyer Nilsson`)
}

// seeding is an organization being filled.
type seeding struct {
	f      *Fake
	given  []string
	family []string
	staff  []*member // joined
	logins []auditEntry
}

// seed fills the organization with n members and what they own.
func (f *Fake) seed(n int) {
	s := &seeding{f: f, given: givenNames(), family: familyNames()}
	s.firstPeople(n)
	for len(f.members) < n {
		s.person()
	}
	slices.SortStableFunc(s.logins, func(a, b auditEntry) int { return a.at.Compare(b.at) })
	f.audit = s.logins
	s.teams(n)
	for _, p := range f.projects {
		s.assets(p, n)
	}
	s.personalKeys(n)
}

func (s *seeding) add(in Member) *member {
	m := s.f.seat(in)
	if !m.pending {
		s.staff = append(s.staff, m)
	}
	if !m.lastLogin.IsZero() && s.f.now().Sub(m.lastLogin) < auditRetention {
		s.logins = append(s.logins, auditEntry{at: m.lastLogin, domain: "auth", feature: "auth", action: "login", user: m.email, target: m.email})
	}
	return m
}

// firstPeople adds the named ones, and people who are several members at once:
// two addresses, a plus-address, mixed case, and a namesake who is somebody else.
func (s *seeding) firstPeople(n int) {
	today := s.f.now().Add(-time.Hour)
	long := s.f.now().Add(-50 * 24 * time.Hour)
	first := []Member{
		{Email: SeedAdmin, GivenName: "Ada", FamilyName: "Admin", Role: RoleAdmin, LastLogin: today},
		{Email: SeedLead, GivenName: "Lena", FamilyName: "Lead", Role: RoleManager, LastLogin: today},
		{Email: SeedBot, GivenName: "Offramp", FamilyName: "Bot", Role: RoleManager, LastLogin: today},
		{Email: "jane.doe@example.com", GivenName: "Jane", FamilyName: "Doe", Role: RoleMember, LastLogin: today},
		{Email: "j.doe@example.com", GivenName: "Jane", FamilyName: "Doe", LastLogin: long},
		{Email: "jane.doe+test@example.com", GivenName: "Jane", FamilyName: "Doe", LastLogin: long},
		{Email: "Max.Muster@Example.com", GivenName: "Max", FamilyName: "Muster", Role: RoleMember, LastLogin: today},
		{Email: "max.muster2@example.com", GivenName: "Max", FamilyName: "Muster", Role: RoleMember, LastLogin: today},
		{Email: "pia.pending@example.com", Status: "pending"},
		{Email: "petra.partner@example.com", GivenName: "Petra", FamilyName: "Partner", Status: "pending", HasAccount: true},
		{Email: "second.admin@example.com", GivenName: "Said", FamilyName: "Second", Role: RoleAdmin, LastLogin: long},
	}
	for _, m := range first[:min(n, len(first))] {
		added := s.add(m)
		if m.Email == SeedBot {
			s.f.devToken.CreatedBy = added.email
		}
	}
}

// person adds one more member: nine in ten joined, most of them lately logged in.
func (s *seeding) person() {
	rng := s.f.rng
	given, family := s.given[rng.IntN(len(s.given))], s.family[rng.IntN(len(s.family))]
	base := strings.ToLower(given + "." + family)
	email := base + "@example.com"
	for i := len(s.f.members); s.f.members[email] != nil; i++ {
		email = fmt.Sprintf("%s%d@example.com", base, i)
	}
	in := Member{Email: email, GivenName: given, FamilyName: family, Role: RoleViewer}
	day := 24 * time.Hour
	switch chance := rng.IntN(100); {
	case chance < 7:
		in.Status = "pending"
	case chance < 10:
		in.Status, in.HasAccount = "pending", true
	case chance < 80:
		in.LastLogin = s.f.now().Add(-time.Duration(rng.Int64N(int64(28 * day))))
	case chance < 97:
		in.LastLogin = s.f.now().Add(-32*day - time.Duration(rng.Int64N(int64(200*day))))
	}
	switch chance := rng.IntN(100); {
	case chance < 4:
		in.Role = RoleManager
	case chance < 40:
		in.Role = RoleMember
	}
	if rng.IntN(5) == 0 {
		p := s.f.projects[rng.IntN(len(s.f.projects))]
		in.Projects = map[int]string{p.id: in.Role}
	}
	s.add(in)
}

// teams adds the group of most members and others of all sizes.
func (s *seeding) teams(n int) {
	f := s.f
	everyone := f.addGroup(0, SeedGroup)
	for _, p := range f.projects {
		f.grant(&grant{group: everyone, project: p, role: f.roleNamed(RoleViewer)})
	}
	for m := range f.listed.all() {
		if f.rng.IntN(10) > 0 || m.email == "jane.doe@example.com" {
			f.join(everyone, m)
		}
	}
	names := []string{"Analytics Managers", "Data Governance", "Growth", "Experimenters", "Contractors"}
	for i := len(names); i < min(n/50, 120); i++ {
		names = append(names, fmt.Sprintf("Team %03d", i))
	}
	for i, name := range names {
		g := f.addGroup(0, name)
		f.grant(&grant{group: g, project: f.projects[i%len(f.projects)], role: f.roleNamed(roleNames()[i%3])})
		for range 1 + f.rng.IntN(max(2, n/20)) {
			f.join(g, f.listed.at(f.rng.IntN(f.listed.len())))
		}
	}
}

func (s *seeding) anyone() string {
	if len(s.staff) == 0 {
		return ""
	}
	return s.staff[s.f.rng.IntN(len(s.staff))].email
}

// assets fills one project: n is the number of members.
func (s *seeding) assets(p *project, n int) {
	f, rng := s.f, s.f.rng
	each := func(kind string, count, most int, word string, shape func(i int, a *Asset)) []*asset {
		out := []*asset{}
		for i := range min(max(count, 1), most) {
			in := Asset{Kind: kind, Name: fmt.Sprintf("%s %03d", word, i+1), CreatedBy: s.anyone()}
			if slices.Contains(ownedKinds(), kind) {
				in.Owners = []string{in.CreatedBy}
			}
			if shape != nil {
				shape(i, &in)
			}
			out = append(out, f.place(p, in))
		}
		return out
	}
	each(KindDashboard, n, 800, "Dashboard", func(_ int, a *Asset) {
		if rng.IntN(6) == 0 {
			a.Owners = append(a.Owners, s.anyone())
		}
	})
	each(KindNotebook, n/3, 300, "Notebook", nil)
	each(KindMetric, n/3, 200, "Metric", nil)
	each(KindSubscription, n/2, 300, "Alert", nil)
	each(KindChart, 3*n, 2000, "Chart", func(i int, a *Asset) {
		switch i % 20 {
		case 7:
			a.OwnerText = "login_" + f.token(6) // some charts name their creator in a way of old
		case 13:
			a.CreatedBy = ""
		}
	})
	each(KindCohort, n/2, 400, "Cohort", func(i int, a *Asset) {
		a.Unlisted = i%7 == 3
		switch i % 11 {
		case 4:
			a.Owners = append(a.Owners, s.anyone())
		case 6:
			a.Owners = []string{strings.ToUpper(a.Owners[0][:1]) + a.Owners[0][1:]}
		case 8:
			a.Owners = append(a.Owners, "left.longago@example.com")
		case 9:
			a.Type = "s3" // has a sync
		}
	})
	s.events(each(KindEvent, n, 500, "", func(i int, a *Asset) {
		a.Name = []string{"Sign Up", "Order/Completed", "Page Viewed", "Größe gewählt", "app:open"}[i%5]
		if i >= 5 {
			a.Name = fmt.Sprintf("%s %03d", a.Name, i)
		}
		a.ID = a.Name
	}))
	servers := each(KindDeployment, 3, 3, "", func(i int, a *Asset) {
		a.Name, a.Type = []string{"web-client", "backend-server", "batch-server"}[i], []string{"client", "server", "server"}[i]
	})
	attach := func(_ int, a *Asset) {
		a.Key = strings.ToLower(strings.ReplaceAll(a.Name, " ", "-"))
		a.Deployments = []string{servers[rng.IntN(len(servers))].ID}
	}
	each(KindFlag, n/3, 150, "Flag", attach)
	each(KindExperiment, n/5, 80, "Experiment", func(i int, a *Asset) { attach(i, a); a.Web = i%9 == 5 })
	each(KindDestination, 3, 3, "Destination", nil)
	each(KindLookupTable, 3, 3, "Table", nil)
	for _, kind := range projectKeyKinds() {
		p.shelf(kind).order[0].CreatedBy = s.anyone()
	}
	f.place(p, Asset{Kind: KindAPIKey, Name: "mobile", CreatedBy: s.anyone()})
}

// events gives some events what real plans have: no owner, an owner by display
// name, hidden, deleted, seen but not planned.
func (s *seeding) events(events []*asset) {
	for i, a := range events {
		a.event.category = []string{"Growth", "Commerce", ""}[i%3]
		switch i % 17 {
		case 5:
			s.f.own(a, nil)
		case 8:
			if m := s.f.members[keyOf(a.Owners[0])]; m != nil {
				a.OwnerText = m.display()
			}
		case 11:
			a.event.hidden, a.Unlisted = true, true
		case 13:
			s.f.own(a, nil)
			a.event.deleted, a.Archived = true, true
		case 15:
			s.f.own(a, nil)
			a.event.unplanned = true
		}
	}
}

// personalKeys gives some members tokens of their own.
func (s *seeding) personalKeys(n int) {
	for range min(n/10, 200) {
		s.f.place(s.f.org, Asset{Kind: KindPersonalToken, Name: "laptop", CreatedBy: s.anyone()})
		s.f.place(s.f.org, Asset{Kind: KindDataToken, Name: "ampli", CreatedBy: s.anyone()})
	}
}
