package amplitude_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
)

func TestFakeListsOfCreators(t *testing.T) {
	s := newScene(t, map[string]string{amplitudefake.SwitchTruncateDev: "small"})
	c, ctx := s.client, t.Context()
	for i := range 25 {
		s.add(t, amplitudefake.Asset{Kind: amplitudefake.KindChart, Name: fmt.Sprint("Chart ", i), CreatedBy: "al@example.com"})
	}
	s.add(t, amplitudefake.Asset{Kind: amplitudefake.KindChart, Name: "Jo's", Owners: []string{"Jo.Smith@example.com"}})
	s.add(t, amplitudefake.Asset{Kind: amplitudefake.KindChart, Name: "By login", OwnerText: "login-77"})
	s.add(t, amplitudefake.Asset{Kind: amplitudefake.KindChart, Name: "Nobody's"})
	s.add(t, amplitudefake.Asset{Kind: amplitudefake.KindFlag, Name: "Shared", CreatedBy: "al@example.com", Owners: []string{"al@example.com", leaver}})
	s.add(t, amplitudefake.Asset{Kind: amplitudefake.KindDestination, Name: "Braze", CreatedBy: leaver})
	s.add(t, amplitudefake.Asset{Kind: amplitudefake.KindLookupTable, Name: "skus", CreatedBy: leaver})

	projects, err := c.DeveloperProjects(ctx)
	if err != nil || !slices.ContainsFunc(projects, func(p amplitude.DeveloperProject) bool { return p.ID == s.project }) {
		t.Errorf("projects are %+v, %v", projects, err)
	}
	charts, err := c.Charts(ctx, s.project)
	if err != nil || len(charts) != 28 {
		t.Fatalf("%d charts, %v; want 28 over three pages", len(charts), err)
	}
	creators := map[string]string{}
	for _, h := range charts {
		creators[h.Name] = h.CreatedBy
	}
	if !strings.EqualFold(creators["Jo's"], leaver) || creators["By login"] != "login-77" || creators["Nobody's"] != "" {
		t.Errorf("creators are %+v", creators)
	}
	flags, err := c.DeveloperFlags(ctx, s.project)
	if err != nil || len(flags) != 1 || len(flags[0].Owners) != 2 || flags[0].CreatedBy != "al@example.com" {
		t.Errorf("flags are %+v, %v", flags, err)
	}
	managed, err := c.Flags(ctx, s.project)
	if err != nil || len(managed) != 1 || managed[0].ID != flags[0].ID {
		t.Errorf("the two APIs show different flags: %+v and %+v, %v", managed, flags, err)
	}
	destinations, err := c.Destinations(ctx, s.project)
	if err != nil || len(destinations) != 1 || destinations[0].DisplayName != "Braze" || !strings.EqualFold(destinations[0].CreatedBy, leaver) {
		t.Errorf("destinations are %+v, %v", destinations, err)
	}
	tables, err := c.LookupTables(ctx, s.project)
	if err != nil || len(tables) != 1 || tables[0].Name != "skus" || !strings.EqualFold(tables[0].CreatedBy, leaver) {
		t.Errorf("lookup tables are %+v, %v", tables, err)
	}
	for _, r := range s.fake.Requests(amplitudefake.RequestFilter{}) {
		if r.Method != "GET" {
			t.Errorf("reading lists sent %s %s", r.Method, r.Path)
		}
	}
}

func TestFakeChartsBeyondTheEndOfTheList(t *testing.T) {
	s := newScene(t, nil)
	for i := range 10_001 {
		s.add(t, amplitudefake.Asset{Kind: amplitudefake.KindChart, Name: fmt.Sprint("Chart ", i)})
	}
	charts, err := s.client.Charts(t.Context(), s.project)
	if !errors.Is(err, amplitude.ErrTruncated) || len(charts) != 10_000 {
		t.Errorf("%d charts, %v; want 10,000 and ErrTruncated", len(charts), err)
	}
	if n := len(s.fake.Requests(amplitudefake.RequestFilter{Surface: "developer"})); n != 50 {
		t.Errorf("they took %d requests", n)
	}
}

func TestFakeDeveloperTokensThatOpenLittle(t *testing.T) {
	s := newScene(t, nil)
	made, err := s.fake.AddAsset(amplitudefake.Asset{Kind: amplitudefake.KindPersonalToken, Name: "narrow", Type: "projects:read flags:read"})
	if err != nil {
		t.Fatal(err)
	}
	o := fakeOptions(s.fake, s.fake.Transport(), "http://simulator.invalid")
	o.DeveloperToken = amplitude.Secret(made.Key)
	c := newClient(t, o)
	if _, err := c.DeveloperFlags(t.Context(), s.project); err != nil {
		t.Errorf("what the token may read: %v", err)
	}
	_, err = c.Charts(t.Context(), s.project)
	if e := asError(t, err); !e.Unauthorized() || e.Code != "insufficient_scope" {
		t.Errorf("what it may not read gives %v", err)
	}
	mustNotLeak(t, err)
	if _, err := c.DeveloperFlags(t.Context(), 999); !asError(t, err).NotFound() {
		t.Errorf("another project gives %v", err)
	}
	o.DeveloperToken = "amp_wrong"
	if _, err := newClient(t, o).DeveloperProjects(t.Context()); !asError(t, err).Unauthorized() {
		t.Errorf("a wrong token gives %v", err)
	}
}
