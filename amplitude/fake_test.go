package amplitude_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
)

// scene is an organization in the simulator with a client for it.
type scene struct {
	fake    *amplitudefake.Fake
	client  *amplitude.Client
	project int
	group   string
}

// newScene has a leaver, a successor, an admin and somebody pending, one group
// with the first two, and an owned event, cohort, flag and deployment.
func newScene(t *testing.T, switches map[string]string) scene {
	t.Helper()
	f := newFake(t, amplitudefake.Options{RatePerMinute: -1, Switches: switches, Now: today})
	creds := f.Credentials()
	p := creds.Projects[0].ID
	for _, m := range []amplitudefake.Member{
		{Email: "admin@example.com", GivenName: "Ada", FamilyName: "Min", Role: amplitudefake.RoleAdmin, LastLogin: today()},
		{Email: "Jo.Smith@example.com", GivenName: "Jo", FamilyName: "Smith", LastLogin: today(), Projects: map[int]string{p: amplitudefake.RoleManager}},
		{Email: "al@example.com", GivenName: "Al", FamilyName: "Jones", LastLogin: today()},
		{Email: "new+one@example.com", Status: "pending"},
	} {
		if err := f.AddMember(m); err != nil {
			t.Fatal(err)
		}
	}
	group, err := f.AddGroup(amplitudefake.Group{Name: "Analysts", Members: []string{leaver, "al@example.com"}, Projects: map[int]string{p: amplitudefake.RoleViewer}})
	if err != nil {
		t.Fatal(err)
	}
	return scene{fake: f, client: fakeClient(t, f, f.Transport()), project: p, group: fmt.Sprint(group)}
}

func newFake(t *testing.T, o amplitudefake.Options) *amplitudefake.Fake {
	t.Helper()
	f, err := amplitudefake.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func fakeClient(t *testing.T, f *amplitudefake.Fake, transport http.RoundTripper) *amplitude.Client {
	t.Helper()
	return newClient(t, fakeOptions(f, transport, "http://simulator.invalid"))
}

func fakeOptions(f *amplitudefake.Fake, transport http.RoundTripper, host string) amplitude.Options {
	creds := f.Credentials()
	o := amplitude.Options{
		Name: "acme",
		Endpoints: amplitude.Endpoints{
			SCIM: host + "/scim/1", UserManagement: host + "/user-management/1", Audit: host + "/api/2/audit-logs",
			Analytics: host, Experiment: host + "/api/1", Evaluation: host, Developer: host, Data: host,
		},
		SCIMKey: amplitude.Secret(creds.SCIMKey), OrgID: creds.OrgID,
		OrgKey: amplitude.Secret(creds.OrgKey), OrgSecret: amplitude.Secret(creds.OrgSecret), DeveloperToken: amplitude.Secret(creds.DeveloperToken),
		Transport: transport, Now: f.Now,
	}
	for _, p := range creds.Projects {
		o.Projects = append(o.Projects, amplitude.Project{
			ID: p.ID, Name: p.Name, APIKey: amplitude.Secret(p.APIKey),
			SecretKey: amplitude.Secret(p.SecretKey), ManagementKey: amplitude.Secret(p.ManagementKey),
		})
	}
	return o
}

// add puts an asset into the scene and returns its id.
func (s scene) add(t *testing.T, a amplitudefake.Asset) string {
	t.Helper()
	a.Project = s.project
	made, err := s.fake.AddAsset(a)
	if err != nil {
		t.Fatal(err)
	}
	return made.ID
}

func TestFakeRemovingALeaverOverRealHTTP(t *testing.T) {
	s := newScene(t, nil)
	server := httptest.NewServer(s.fake)
	defer server.Close()
	c := newClient(t, fakeOptions(s.fake, nil, server.URL))
	defer c.CloseIdleConnections()
	ctx := t.Context()

	m, err := c.Member(ctx, leaver)
	if err != nil || m.Email != "Jo.Smith@example.com" || m.GivenName != "Jo" || m.Pending() {
		t.Errorf("member is %+v, %v", m, err)
	}
	if m, err := c.Member(ctx, "new+one@example.com"); err != nil || !m.Pending() {
		t.Errorf("pending member is %+v, %v", m, err)
	}
	if found, err := c.FindMembers(ctx, leaver); err != nil || len(found) != 1 {
		t.Errorf("found %+v, %v", found, err)
	}
	if everyone, err := all(c.Members(ctx)); err != nil || len(everyone) != 4 {
		t.Errorf("members are %+v, %v", everyone, err)
	}
	groups, err := c.Groups(ctx)
	if err != nil || len(groups) != 1 || groups[0].ID != s.group || !groups[0].Has(leaver) {
		t.Errorf("groups are %+v, %v", groups, err)
	}
	if err := c.RemoveFromGroup(ctx, s.group, leaver); err != nil {
		t.Error(err)
	}
	if g, err := c.Group(ctx, s.group); err != nil || g.Has(leaver) || !g.Has("al@example.com") {
		t.Errorf("after leaving, the group is %+v, %v", g, err)
	}
	if err := c.AddToGroup(ctx, s.group, leaver); err != nil {
		t.Error(err)
	}
	if got, err := c.RemoveMember(ctx, leaver); err != nil || got.AlreadyGone {
		t.Errorf("removal is %+v, %v", got, err)
	}
	if got, err := c.RemoveMember(ctx, leaver); err != nil || !got.AlreadyGone {
		t.Errorf("the second removal is %+v, %v", got, err)
	}
	if _, err := c.Member(ctx, leaver); !asError(t, err).NotFound() {
		t.Errorf("reading the removed member gives %v", err)
	}
	if found, err := c.FindMembers(ctx, leaver); err != nil || len(found) != 0 {
		t.Errorf("found %+v, %v", found, err)
	}
	if removals := s.fake.State().Removals; len(removals) != 1 {
		t.Errorf("the simulator saw removals %+v", removals)
	}
	_, err = c.Group(ctx, "999")
	if !asError(t, err).NotFound() {
		t.Errorf("an unknown group gives %v", err)
	}
}

func TestFakeRoles(t *testing.T) {
	s := newScene(t, nil)
	c, ctx := s.client, t.Context()
	roles, err := c.Roles(ctx)
	if err != nil {
		t.Fatal(err)
	}
	viewer := roles[slices.IndexFunc(roles, func(r amplitude.Role) bool { return r.Name == amplitudefake.RoleViewer })].ID
	direct, err := c.Assignments(ctx, leaver)
	if err != nil || len(direct) != 1 || direct[0].ProjectID != s.project {
		t.Fatalf("assignments are %+v, %v", direct, err)
	}
	access, err := c.Access(ctx, leaver)
	if err != nil || len(access) != 1 || access[0].RoleName != amplitudefake.RoleManager || access[0].ProjectID != s.project {
		t.Errorf("access is %+v, %v", access, err)
	}
	onProject, err := c.ProjectAccess(ctx, s.project)
	if err != nil || !slices.ContainsFunc(onProject, func(g amplitude.Grant) bool { return strings.EqualFold(g.PrincipalID, leaver) }) {
		t.Errorf("access to the project is %+v, %v", onProject, err)
	}
	if err := c.ChangeRole(ctx, direct[0].ID, viewer); err != nil {
		t.Error(err)
	}
	if direct, err := c.Assignments(ctx, leaver); err != nil || len(direct) != 1 || direct[0].RoleID != viewer {
		t.Errorf("after the change, assignments are %+v, %v", direct, err)
	}
	if err := c.DeleteAssignment(ctx, direct[0].ID); err != nil {
		t.Error(err)
	}
	if err := c.DeleteAssignment(ctx, direct[0].ID); err != nil {
		t.Errorf("deleting twice: %v", err)
	}
	if err := c.Assign(ctx, leaver, s.project, viewer); err != nil {
		t.Error(err)
	}
	if err := c.Assign(ctx, leaver, s.project, viewer); asError(t, err).Status != http.StatusConflict {
		t.Errorf("assigning twice: %v", err)
	}
	if err := s.fake.SetSwitch(amplitudefake.SwitchEnrolled, "false"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Roles(ctx); !errors.Is(err, amplitude.ErrNotEnrolled) {
		t.Errorf("not enrolled gives %v", err)
	}
}

func TestFakeContentAndItsOwners(t *testing.T) {
	s := newScene(t, nil)
	c, ctx := s.client, t.Context()
	name := "Order / paid: 100% ünïcode + more"
	s.add(t, amplitudefake.Asset{Kind: amplitudefake.KindEvent, ID: name, Name: name, Owners: []string{leaver}})
	s.add(t, amplitudefake.Asset{Kind: amplitudefake.KindCohort, Name: "Power users", Owners: []string{leaver, "al@example.com"}})
	s.add(t, amplitudefake.Asset{Kind: amplitudefake.KindCohort, Name: "Secret", Owners: []string{leaver}, Unlisted: true})

	events, err := c.Events(ctx, s.project)
	if err != nil || !slices.ContainsFunc(events, func(e amplitude.Event) bool { return e.Name == name && strings.EqualFold(e.Owner, leaver) }) {
		t.Errorf("events are %+v, %v", events, err)
	}
	if err := c.SetEventOwner(ctx, s.project, name, "al@example.com"); err != nil {
		t.Error(err)
	}
	if e, err := c.Event(ctx, s.project, name); err != nil || e.Owner != "al@example.com" {
		t.Errorf("after the handover, the event is %+v, %v", e, err)
	}
	if _, err := c.Event(ctx, s.project, "no such event"); !asError(t, err).NotFound() {
		t.Errorf("an unknown event gives %v", err)
	}
	err = c.SetEventOwner(ctx, s.project, name, "stranger@example.com")
	if e := asError(t, err); e.Temporary() {
		t.Errorf("an unknown owner gives %v", err)
	}
	mustNotLeak(t, err)
	cohorts, err := c.Cohorts(ctx, s.project)
	if err != nil || len(cohorts) != 1 || len(cohorts[0].Owners) != 2 {
		t.Errorf("cohorts are %+v, %v", cohorts, err)
	}
}

func TestFakeRotatingADeployment(t *testing.T) {
	for _, quirk := range []string{"off", "on"} {
		t.Run("next_cursor_quirk "+quirk, func(t *testing.T) {
			s := newScene(t, map[string]string{amplitudefake.SwitchNextCursor: quirk})
			c, ctx := s.client, t.Context()
			old := s.add(t, amplitudefake.Asset{Kind: amplitudefake.KindDeployment, Name: "prod", Type: "server"})
			s.add(t, amplitudefake.Asset{Kind: amplitudefake.KindFlag, Name: "f", CreatedBy: leaver, Deployments: []string{old}})
			for i := range 1001 {
				s.add(t, amplitudefake.Asset{Kind: amplitudefake.KindExperiment, Name: fmt.Sprint("x", i), CreatedBy: leaver, Deployments: []string{old}})
			}
			flags, err := c.Flags(ctx, s.project)
			if err != nil || len(flags) != 1 || !strings.EqualFold(flags[0].CreatedBy, leaver) {
				t.Fatalf("flags are %+v, %v", flags, err)
			}
			experiments, err := c.Experiments(ctx, s.project)
			if err != nil || len(experiments) != 1001 {
				t.Fatalf("%d experiments, %v", len(experiments), err)
			}
			id, err := c.CreateDeployment(ctx, s.project, "prod-r20260301", "server")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.CreateDeployment(ctx, s.project, "prod-r20260301", "server"); asError(t, err).Status != http.StatusBadRequest {
				t.Errorf("a label that is taken gives %v", err)
			}
			for _, f := range []amplitude.FlagRef{flags[0].FlagRef, experiments[0].FlagRef} {
				if err := c.AttachDeployment(ctx, f, id); err != nil {
					t.Error(err)
				}
				if got, err := c.FlagDeployments(ctx, f); err != nil || !slices.Contains(got, id) || !slices.Contains(got, old) {
					t.Errorf("%s is on %v, %v", f.Kind, got, err)
				}
				if err := c.DetachDeployment(ctx, f, old); err != nil {
					t.Error(err)
				}
				if got, err := c.FlagDeployments(ctx, f); err != nil || !slices.Equal(got, []string{id}) {
					t.Errorf("%s is on %v, %v", f.Kind, got, err)
				}
			}
			keys := deploymentKeys(t, c, s.project)
			for label, want := range map[string]bool{"prod": true, "prod-r20260301": true} {
				if works, err := c.EvaluationKeyWorks(ctx, keys[label].Key); works != want || err != nil {
					t.Errorf("key of %s works: %v, %v", label, works, err)
				}
			}
			for range 2 {
				if err := c.ArchiveDeployment(ctx, s.project, old); err != nil {
					t.Error(err)
				}
			}
			if !deploymentKeys(t, c, s.project)["prod"].Archived {
				t.Error("the old deployment is not archived")
			}
			if works, err := c.EvaluationKeyWorks(ctx, keys["prod"].Key); works || err != nil {
				t.Errorf("the archived key works: %v, %v", works, err)
			}
		})
	}
}

func deploymentKeys(t *testing.T, c *amplitude.Client, project int) map[string]amplitude.Deployment {
	t.Helper()
	list, err := c.Deployments(t.Context(), project)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]amplitude.Deployment{}
	for _, d := range list {
		out[d.Label] = d
	}
	return out
}

func TestFakeAuditLog(t *testing.T) {
	for _, mode := range []string{"cursor", "truncate"} {
		t.Run(mode, func(t *testing.T) {
			s := newScene(t, map[string]string{amplitudefake.SwitchAuditMode: mode})
			c, ctx := s.client, t.Context()
			if err := s.fake.Advance(time.Hour); err != nil { // the members' own logins lie before
				t.Fatal(err)
			}
			from := s.fake.Now()
			for i := range 250 {
				if _, err := s.fake.Human(amplitudefake.Action{Do: "login", Email: "al@example.com"}); err != nil {
					t.Fatal(err)
				}
				if err := s.fake.Advance(time.Duration(1+i%300) * time.Second); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := c.RemoveMember(ctx, leaver); err != nil {
				t.Fatal(err)
			}
			if err := s.fake.Advance(time.Minute); err != nil {
				t.Fatal(err)
			}
			logins, err := all(c.AuditLog(ctx, from, s.fake.Now(), amplitude.AuditFilter{Action: "login"}))
			if err != nil || len(logins) != 250 {
				t.Errorf("%d log-ins, %v; want 250", len(logins), err)
			}
			everything, err := all(c.AuditLog(ctx, from, s.fake.Now(), amplitude.AuditFilter{}))
			if err != nil || !slices.ContainsFunc(everything, func(e amplitude.AuditEntry) bool { return strings.EqualFold(e.Target, leaver) }) {
				t.Errorf("%d entries, none about the removal, %v", len(everything), err)
			}
		})
	}
}

func TestFakeLiesAreNotTakenForMore(t *testing.T) {
	ctx := t.Context()
	s := newScene(t, map[string]string{amplitudefake.SwitchDropWrite: "true"})
	if got, err := s.client.RemoveMember(ctx, leaver); err != nil || got.AlreadyGone {
		t.Errorf("a lost removal gives %+v, %v", got, err)
	}
	if _, err := s.client.Member(ctx, leaver); err != nil {
		t.Errorf("the member who was not removed cannot be read: %v", err)
	}
	s = newScene(t, map[string]string{amplitudefake.SwitchAnswer404: "true"})
	if got, err := s.client.RemoveMember(ctx, leaver); err != nil || !got.AlreadyGone {
		t.Errorf("404 to everything gives %+v, %v", got, err)
	}
	if _, err := s.client.Member(ctx, "admin@example.com"); !asError(t, err).NotFound() {
		t.Errorf("the positive control gives %v, want not found", err)
	}
	s = newScene(t, nil)
	_, err := s.client.RemoveMember(ctx, "admin@example.com")
	if e := asError(t, err); e.Status != http.StatusBadRequest || e.Temporary() {
		t.Errorf("removing the last admin gives %v", err)
	}
	mustNotLeak(t, err)
	if _, err := s.fake.Human(amplitudefake.Action{Do: "regenerate_scim_key"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.Member(ctx, leaver); !asError(t, err).Unauthorized() {
		t.Errorf("an old key gives %v", err)
	}
}

func TestFakeFaultsAreTemporary(t *testing.T) {
	for _, kind := range []string{
		amplitudefake.FaultStatus, amplitudefake.FaultStatusAfter, amplitudefake.FaultReset, amplitudefake.FaultResetAfter,
		amplitudefake.FaultHang, amplitudefake.FaultHangAfter, amplitudefake.FaultTruncate, amplitudefake.FaultHTML, amplitudefake.FaultHTMLAfter,
	} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, nil)
				if _, err := s.fake.AddFault(amplitudefake.Fault{Kind: kind, Count: 1, Match: amplitudefake.Match{Surface: "scim"}}); err != nil {
					t.Fatal(err)
				}
				_, err := s.client.Member(t.Context(), leaver)
				if e := asError(t, err); !e.Temporary() {
					t.Errorf("error is %v, want a temporary one", err)
				}
				mustNotLeak(t, err)
				if _, err := s.client.Member(t.Context(), leaver); err != nil {
					t.Errorf("afterwards: %v", err)
				}
			})
		})
	}
	s := newScene(t, nil)
	for _, kind := range []string{amplitudefake.FaultErrorBody, amplitudefake.FaultRedirect} {
		if _, err := s.fake.AddFault(amplitudefake.Fault{Kind: kind, Count: 1}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.client.Member(t.Context(), leaver); err == nil {
			t.Errorf("%s was taken for an answer", kind)
		}
	}
}

func TestFakeThrottling(t *testing.T) {
	for _, header := range []string{"on", "http-date", "off"} {
		t.Run(header, func(t *testing.T) {
			f := newFake(t, amplitudefake.Options{RatePerMinute: 3, Members: 5, Now: today, Switches: map[string]string{amplitudefake.SwitchRateHeader: header}})
			b := &fakeBudget{}
			o := fakeOptions(f, f.Transport(), "http://simulator.invalid")
			o.Budget = b
			c := newClient(t, o)
			var err error
			for range 4 {
				_, err = c.MembersPage(t.Context(), 1)
			}
			e := asError(t, err)
			if e.Status != http.StatusTooManyRequests || !e.Temporary() || (e.RetryAfter > 0) != (header != "off") || e.RetryAfter > time.Minute {
				t.Errorf("error is %v", err)
			}
			if len(b.waits) != 1 || b.waits[0] <= 0 {
				t.Errorf("the budget was told %v", b.waits)
			}
		})
	}
}

func TestFakeListsInAnyOrder(t *testing.T) {
	f := newFake(t, amplitudefake.Options{RatePerMinute: -1, Members: 950, Now: today})
	c := fakeClient(t, f, f.Transport())
	everyone, err := all(c.Members(t.Context()))
	if err != nil || len(everyone) != len(f.State().Members) {
		t.Fatalf("%d members, %v; want %d", len(everyone), err, len(f.State().Members))
	}
	if n := len(f.Requests(amplitudefake.RequestFilter{Surface: "scim"})); n != (len(everyone)+99)/100 {
		t.Errorf("%d members took %d requests", len(everyone), n)
	}
	if err := f.SetSwitch(amplitudefake.SwitchOrder, "shuffle"); err != nil {
		t.Fatal(err)
	}
	if again, err := all(c.Members(t.Context())); err != nil || len(again) != len(everyone) {
		t.Errorf("a list in another order each time gives %d members, %v", len(again), err)
	}
}

func TestFakeListsThatAreCutShort(t *testing.T) {
	f := newFake(t, amplitudefake.Options{RatePerMinute: -1, Members: 460, Now: today})
	c := fakeClient(t, f, f.Transport())
	n := len(f.State().Members)
	for value, row := range map[string]struct {
		seen int
		err  error
	}{
		"off":   {n, nil},
		"half":  {n / 2, nil},
		"short": {n / 2, amplitude.ErrShortList},
		"empty": {0, nil},
	} {
		if err := f.SetSwitch(amplitudefake.SwitchListCut, value); err != nil {
			t.Fatal(err)
		}
		seen, err := all(c.Members(t.Context()))
		if len(seen) != row.seen || !errors.Is(err, row.err) {
			t.Errorf("%s: %d members, %v; want %d, %v", value, len(seen), err, row.seen, row.err)
		}
		if last := f.State().Members[n-1].Email; value != "off" {
			if m, err := c.Member(t.Context(), last); err != nil || m.Email != last {
				t.Errorf("%s: somebody who is not listed is read by address as %v, %v", value, m, err)
			}
		}
	}
}
