package console_test

import (
	"context"
	"slices"
	"testing"

	"offramp/internal/offboard"
)

// amplitude is who has access, as Amplitude would say.
type amplitude struct {
	sole   offboard.SoleAccess
	seated map[string]string // address by the other organization
	fail   error
}

func (a *amplitude) SoleAccess(context.Context, string, int) (offboard.SoleAccess, error) {
	return a.sole, a.fail
}

func (a *amplitude) Seated(_ context.Context, organization, address string) (bool, error) {
	return a.seated[organization] == address, nil
}

func TestThePeopleOfAProjectThatEndsAreProposedOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.people = append(d.people,
		&offboard.Person{ID: "p-ann", Connection: "okta", UserName: "ann@example.com", Address: "ann@example.com", Active: true},
		&offboard.Person{ID: "p-bob", Connection: "okta", UserName: "bob@example.com", Address: "bob@example.com", Active: true},
		&offboard.Person{ID: "p-cy", Connection: "okta", UserName: "cy@example.com", Address: "cy@example.com", Active: true},
		&offboard.Person{ID: "p-di", Connection: "okta", UserName: "di@example.com", Address: "di.old@example.com", Active: true},
		&offboard.Person{ID: "p-eve", Connection: "entra", UserName: "eve@example.com", Address: "eve@example.com", Active: true},
	)
	d.access.sole = offboard.SoleAccess{Organization: "acme", Project: 2001, Looked: []int{2001, 2002}, People: []string{
		"ann@example.com", "bob@example.com", "cy@example.com", "di@example.com", "eve@example.com", "lee@example.com", "nobody@example.com",
	}}
	d.access.seated = map[string]string{"agency": "cy@example.com"}
	body := `{"project":2001,"because":"archived"}`
	d.want(403, "", "viewer", "POST", "/api/v1/sunsets", body)
	d.want(422, "say because of what", "operator", "POST", "/api/v1/sunsets", `{"project":2001}`)
	d.want(422, "name the project", "operator", "POST", "/api/v1/sunsets", `{"because":"x"}`)
	d.want(422, "no policy is named nix", "operator", "POST", "/api/v1/sunsets", `{"project":2001,"because":"x","policy":"nix"}`)
	got := d.want(201, `"batch":"batch-1","organization":"acme","projects_looked_at":[2001,2002]`, "operator", "POST", "/api/v1/sunsets", body)
	for _, part := range []string{
		`"live":["lee@example.com"]`,
		`{"address":"cy@example.com","why":"they have a seat in organization agency too`,
		`{"address":"di@example.com","why":"the seat of who holds this address is recorded under another one`,
		`{"address":"eve@example.com","why":"connection entra, through which they are known, does not reach organization acme"}`,
		`{"address":"nobody@example.com","why":"nobody that the identity providers told about`,
	} {
		d.has(got, part)
	}
	held := 0
	for _, f := range d.files {
		if f.Case.Batch == "batch-1" {
			held++
			if f.Case.State != offboard.StateHeld || f.Case.Reason != offboard.ProjectSunset ||
				f.Case.Trigger != "opened by operator the-operator: their only access in acme was project 2001: archived" {
				t.Errorf("%+v", f.Case)
			}
		}
	}
	if held != 2 {
		t.Errorf("%d proposed: %s", held, got)
	}
	ann := d.people[slices.IndexFunc(d.people, func(p *offboard.Person) bool { return p.ID == "p-ann" })]
	if !offboard.Entitled(*ann, false, noon()) {
		t.Errorf("whoever is only proposed is not entitled any more: %+v", ann.Removal)
	}
	again := d.want(201, `"opened":[],"live":["ann@example.com","bob@example.com","lee@example.com"]`, "operator", "POST", "/api/v1/sunsets", body)
	if again[:9] == `{"batch":` {
		t.Errorf("a batch of nobody: %s", again)
	}
	d.want(200, `"decided":2`, "operator", "POST", "/api/v1/batches/batch-1/release", `{"because":"meant"}`)
	if r := ann.Removal; r == nil || !r.Stands(noon()) || r.Organization != "acme" || r.Project != 2001 {
		t.Errorf("released: %+v", r)
	}
	d.access.fail = &offboard.RefusedError{Because: "add org_id"}
	d.want(409, "add org_id", "operator", "POST", "/api/v1/sunsets", body)
}
