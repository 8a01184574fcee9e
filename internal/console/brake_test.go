package console_test

import (
	"fmt"
	"strings"
	"testing"

	"offramp/internal/offboard"
)

func TestAnOperatorDecidesAboutABrake(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.want(404, "no brake is engaged", "operator", "POST", "/api/v1/brakes/acme/release", `{"all":true,"because":"checked"}`)
	d.brakes = []offboard.Brake{{ID: "brake-1", Scope: offboard.BrakeOrganization, Name: "acme", Because: "26 cases opened", Engaged: noon()}}
	f := d.files["case-1"]
	f.Case.State, f.Case.Waiting, f.Case.Batch, f.Case.Braked = offboard.StateHeld, "", "brake-1", true
	d.want(200, `"held":true,"done":"nothing changed in Amplitude"`, "viewer", "GET", "/api/v1/brakes", "")
	d.want(403, "needs the role", "viewer", "POST", "/api/v1/brakes/acme/release", `{"all":true,"because":"checked"}`)
	d.want(422, "say one of", "operator", "POST", "/api/v1/brakes/acme/release", `{"because":"checked"}`)
	d.want(422, "say one of", "operator", "POST", "/api/v1/brakes/acme/release", `{"all":true,"none":true,"because":"checked"}`)
	d.want(422, "because of what", "operator", "POST", "/api/v1/brakes/acme/release", `{"all":true}`)
	d.want(200, `"decided":1`, "operator", "POST", "/api/v1/brakes/acme/release", `{"all":true,"because":"checked"}`)
	d.want(409, "released already, by the-operator", "operator", "POST", "/api/v1/brakes/acme/release", `{"all":true,"because":"again"}`)
}

// TestAWordAboutSomeOfManyEndsNoBrake lets the first thousand of 1,200 go on.
func TestAWordAboutSomeOfManyEndsNoBrake(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.brakes = []offboard.Brake{{ID: "brake-1", Scope: offboard.BrakeOrganization, Name: "acme", Because: "1200 cases opened", Engaged: noon()}}
	var ids strings.Builder
	for i := range 1200 {
		f := *d.files["case-1"]
		f.Case.ID = fmt.Sprintf("k%04d", i)
		f.Case.State, f.Case.Waiting, f.Case.Batch, f.Case.Braked = offboard.StateHeld, "", "brake-1", true
		d.files[f.Case.ID] = &f
		if i < 1000 {
			_, _ = fmt.Fprintf(&ids, `,%q`, f.Case.ID)
		}
	}
	d.want(409, "does not wait for this brake", "operator", "POST", "/api/v1/brakes/acme/release", `{"cases":["k0000","other"],"because":"checked"}`)
	d.want(200, `"decided":1000,"left":200,"ended":false`, "operator", "POST", "/api/v1/brakes/acme/release", `{"cases":[`+ids.String()[1:]+`],"because":"checked"}`)
	d.want(200, `"decided":200,"left":0,"ended":true`, "operator", "POST", "/api/v1/brakes/acme/release", `{"all":true,"because":"checked"}`)
}

// TestTwoBrakesOfOneNameAreToldApart asks which is meant, where a connection is
// called like an organization.
func TestTwoBrakesOfOneNameAreToldApart(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.brakes = []offboard.Brake{
		{ID: "brake-incidents", Scope: offboard.BrakeConnection, Name: "acme", Because: "6 incidents", Engaged: noon()},
		{ID: "brake-leavers", Scope: offboard.BrakeOrganization, Name: "acme", Because: "26 cases opened", Engaged: noon()},
	}
	d.want(409, "brake-leavers for that of the organization", "operator", "POST", "/api/v1/brakes/acme/release", `{"all":true,"because":"checked"}`)
	d.want(200, `"brake":"brake-leavers"`, "operator", "POST", "/api/v1/brakes/brake-leavers/release", `{"all":true,"because":"checked"}`)
}

// TestABatchOfABrakeEndsIt says the word with the command that lists of cases show.
func TestABatchOfABrakeEndsIt(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.brakes = []offboard.Brake{{ID: "brake-1", Scope: offboard.BrakeOrganization, Name: "acme", Because: "26 cases opened", Engaged: noon()}}
	f := d.files["case-1"]
	f.Case.State, f.Case.Waiting, f.Case.Batch, f.Case.Braked = offboard.StateHeld, "", "brake-1", true
	d.want(200, `"decided":1`, "operator", "POST", "/api/v1/batches/brake-1/release", `{}`)
	if d.brakes[0].Released.IsZero() {
		t.Error("the brake is engaged, and holds nobody")
	}
}
