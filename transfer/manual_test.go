package transfer_test

import (
	"slices"
	"strings"
	"testing"

	"offramp/transfer"
	"offramp/transfer/transfertest"
)

func newManual(t *testing.T) *transfer.Manual {
	t.Helper()
	m, err := transfer.NewManual(transfer.ManualOptions{
		Sites: map[string]transfer.Site{"acme": {Slug: "acme"}, "acme-eu": {App: "https://app.eu.amplitude.com/", Slug: "acme eu"}},
		Now:   noon,
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestManualPassesTheSuite(t *testing.T) {
	transfertest.Run(t, func(t *testing.T) transfertest.Hook {
		t.Helper()
		m := newManual(t)
		return transfertest.Hook{Transferrer: m, Handover: eventHandover(), Rotator: m, Rotation: deploymentRotation()}
	})
}

func TestATaskSaysWhatWhereAndWho(t *testing.T) {
	m := newManual(t)
	for _, kind := range append(transfer.AssetKinds(), "something_new") {
		h := eventHandover()
		h.Asset = transfer.Asset{Kind: kind, ID: "x1", Name: "Weekly\nnumbers", Project: "101"}
		r, err := m.Transfer(t.Context(), h)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if !strings.Contains(r.Task.Instruction, "Sam Roe <sam@example.com>") || !strings.Contains(r.Task.Title, "Jo Doe <jo@example.com>") {
			t.Errorf("%s: %q, %q does not name both", kind, r.Task.Title, r.Task.Instruction)
		}
		if !strings.HasPrefix(r.Task.Link, "https://app.amplitude.com/analytics/acme/") || !r.Task.Due.Equal(h.Due) {
			t.Errorf("%s: link %s, due %v", kind, r.Task.Link, r.Task.Due)
		}
		if strings.Contains(r.Task.Title+r.Task.Instruction, "\n") {
			t.Errorf("%s: a line break got in", kind)
		}
	}
	for _, kind := range append(transfer.CredentialKinds(), "something_new") {
		r := deploymentRotation()
		r.Credential.Kind = kind
		minted, err := m.Rotate(t.Context(), r)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		ended, err := m.Retire(t.Context(), r)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if minted.Task.Title == ended.Task.Title || minted.Task.Link != "https://app.amplitude.com/analytics/acme/settings/projects/101" {
			t.Errorf("%s: %+v and %+v", kind, minted.Task, ended.Task)
		}
	}
}

func TestLinksLeadToTheRightPage(t *testing.T) {
	for _, tc := range []struct {
		name, organization string
		asset              transfer.Asset
		want               string
	}{
		{"a dashboard has its own page", "acme", transfer.Asset{Kind: transfer.AssetDashboard, ID: "d/1"}, "https://app.amplitude.com/analytics/acme/dashboard/d%2F1"},
		{"Europe has its own application", "acme-eu", transfer.Asset{Kind: transfer.AssetChart, ID: "c1"}, "https://app.eu.amplitude.com/analytics/acme%20eu/chart/c1"},
		{"bulk transfer is where members are", "acme", transfer.Asset{Kind: transfer.AssetContent}, "https://app.amplitude.com/analytics/acme/settings/members"},
		{"without its slug an organization has only a start page", "other", transfer.Asset{Kind: transfer.AssetContent}, "https://app.amplitude.com"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := eventHandover()
			h.Organization, h.Asset = tc.organization, tc.asset
			r, err := newManual(t).Transfer(t.Context(), h)
			if err != nil {
				t.Fatal(err)
			}
			if r.Task.Link != tc.want {
				t.Errorf("link %s, want %s", r.Task.Link, tc.want)
			}
		})
	}
	if _, err := transfer.NewManual(transfer.ManualOptions{Sites: map[string]transfer.Site{"a": {App: "javascript:alert(1)"}}}); err == nil {
		t.Error("a site that is no https URL was taken")
	}
}

func TestOneTaskForAllThatCannotBeListed(t *testing.T) {
	h := eventHandover()
	h.Asset = transfer.Asset{Kind: transfer.AssetContent}
	r, err := newManual(t).Transfer(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Task.Items) != 0 || !strings.Contains(r.Task.Instruction, "Nothing of it could be listed") {
		t.Errorf("an empty list was taken for nothing owned: %+v", r.Task)
	}
	cohort := transfer.Asset{Kind: transfer.AssetCohort, ID: "c1", Name: "Payers", Project: "101"}
	h.Items = []transfer.Asset{cohort, cohort, {Kind: transfer.AssetLookupTable, ID: "skus"}}
	if r, err = newManual(t).Transfer(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	if want := []string{"cohort Payers in project 101", "lookup table skus"}; !slices.Equal(r.Task.Items, want) {
		t.Errorf("items %q, want %q", r.Task.Items, want)
	}
	if !strings.Contains(r.Task.Instruction, "there may be more") {
		t.Errorf("a lower bound is not called one: %s", r.Task.Instruction)
	}
}
