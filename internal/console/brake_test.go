package console_test

import (
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
