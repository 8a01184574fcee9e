package daemon

import (
	"context"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
)

// tour is the demo without a scenario: one leaver for every form in which
// identity providers say it.
func tour() scenario {
	return scenario{
		name: "tour", title: "leavers of two identity providers lose their seats in Amplitude",
		cast: tourCast, act: tourActs,
		policies: `  - name: contractors
    when: person.title == "Contractor"
    approvals: 0
    unlisted: note
  - name: lost-access
    when: event.reason == "group_removal"
    approvals: 0
  - name: owners
    when: person.department in ["Analytics", "Engineering", "Marketing"]
    approvals: 1
`,
	}
}

// tourCast is somebody for every form in which people leave.
func tourCast() []*actor {
	mara := &actor{given: "Mara", family: "Moser", connection: oktaName, department: "Analytics", title: "Head of Analytics"}
	milan := &actor{given: "Milan", family: "Maas", connection: entraName, department: "Marketing", title: "Head of Marketing"}
	return []*actor{
		mara, milan,
		{
			given: "Olga", family: "Owens", connection: oktaName, department: "Analytics", title: "Analyst", manager: mara,
			how: "Okta, OIN app: PATCH without a path", reason: offboard.Deactivated, outcome: offboard.OutcomeRemoved, direct: true,
			owns: []amplitudefake.Asset{
				thing(amplitudefake.KindEvent, "Checkout Started"), thing(amplitudefake.KindEvent, "Checkout Finished"),
				thing(amplitudefake.KindCohort, "Weekly buyers"), thing(amplitudefake.KindDashboard, "Checkout funnel"),
				thing(amplitudefake.KindDashboard, "Executive overview"), thing(amplitudefake.KindMetric, "Conversion"),
			},
		},
		{
			given: "Omar", family: "Okoye", connection: oktaName, department: "Engineering", title: "Engineer", manager: mara,
			how: "Okta, AIW app: GET and PUT with active false", reason: offboard.Deactivated, outcome: offboard.OutcomeRemoved, knows: true,
			owns: []amplitudefake.Asset{thing(amplitudefake.KindEvent, "Payment Failed")},
		},
		{
			given: "Rita", family: "Ruiz", connection: oktaName, department: "Analytics", title: "Analyst", manager: mara,
			how: "Okta, OIN app: PATCH, then active again", reason: offboard.Deactivated, outcome: offboard.OutcomeCancelled, direct: true,
			owns: []amplitudefake.Asset{thing(amplitudefake.KindNotebook, "Retention study"), thing(amplitudefake.KindEvent, "Plan Upgraded")},
		},
		{
			given: "Emil", family: "Engel", connection: entraName, department: "Marketing", title: "Campaign manager", manager: milan,
			how: `Entra: Replace active "False"`, reason: offboard.Deactivated, outcome: offboard.OutcomeRemoved,
			owns: []amplitudefake.Asset{
				thing(amplitudefake.KindEvent, "Campaign Clicked"), thing(amplitudefake.KindCohort, "Newsletter readers"),
				thing(amplitudefake.KindNotebook, "Spring campaign"),
			},
		},
		{
			given: "Greta", family: "Graf", connection: entraName, department: "Sales", title: "Account executive", manager: milan,
			how: "Entra: leaves the access group, by value list", reason: offboard.GroupRemoval, outcome: offboard.OutcomeRemoved,
			owns: []amplitudefake.Asset{thing(amplitudefake.KindDashboard, "Sales pipeline")},
		},
		{
			given: "Dora", family: "Dahl", connection: entraName, department: "Marketing", title: "Contractor", manager: milan,
			how: "Entra: DELETE", reason: offboard.DeletedAtIdP, outcome: offboard.OutcomeRemoved,
		},
		{
			given: "Ines", family: "Ibarra", connection: oktaName, department: "Analytics", title: "Analyst", manager: mara,
			how: "Okta, AIW app: PUT that claims a security incident", reason: offboard.SecurityIncident, outcome: offboard.OutcomeRemoved,
			owns: []amplitudefake.Asset{thing(amplitudefake.KindDashboard, "Data quality")},
		},
	}
}

func tourActs(ctx context.Context, d *demo, okta, entra *provider) error {
	for _, act := range []struct {
		who  string
		does func(*actor) error
	}{
		{"Dora", func(a *actor) error { return entra.entraDelete(ctx, a) }},
		{"Rita", func(a *actor) error { return okta.oktaActive(ctx, a, false) }},
		{"Olga", func(a *actor) error { return okta.oktaActive(ctx, a, false) }},
		{"Omar", func(a *actor) error { return okta.oktaPut(ctx, a, object{"active": false}) }},
		{"Emil", func(a *actor) error { return entra.entraDisable(ctx, a) }},
		{"Greta", func(a *actor) error { return entra.entraMembers(ctx, "Remove", a) }},
		{"Ines", func(a *actor) error {
			return okta.oktaPut(ctx, a, claimed(object{"leaveReason": "security_incident", "ticket": "SEC-7"}, object{"active": false}))
		}},
	} {
		if err := d.does(act.who, act.does); err != nil {
			return err
		}
	}
	rita := d.called("Rita")
	if err := d.await(ctx, rita, offboard.WaitApproval); err != nil {
		return err
	}
	if err := okta.oktaBack(ctx, rita); err != nil {
		return err
	}
	d.stage.linef(rita.name(), "changed her mind in time: Okta matches her, sends active true and a PUT")
	return nil
}
