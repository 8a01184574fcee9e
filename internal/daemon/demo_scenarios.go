package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"offramp/amplitude/amplitudefake"
	ready "offramp/deploy/examples/policies"
	"offramp/internal/console"
	"offramp/internal/offboard"
)

// scenario is one use case: who is there, by which policies, and what happens.
type scenario struct {
	name     string
	title    string
	story    string // a few sentences; empty: the title says it
	policies string // entries of the list `policies`
	cast     func() []*actor
	act      func(ctx context.Context, d *demo, okta, entra *provider) error
}

// scenarios lists the use cases, in the order of a tour through all of them.
// They run under the ready-made policies, as they are.
func scenarios() []scenario {
	all, err := ready.All()
	if err != nil {
		all = "" // the files are part of the binary; a test reads them
	}
	list := []scenario{termination(), contractEnd(), roleChange(), incident(), accessReview(), ssoRemoval()}
	for i := range list {
		list[i].policies = all
	}
	return list
}

// Scenarios lists what Demo plays by name, without "all".
func Scenarios() []string {
	var out []string
	for _, s := range scenarios() {
		out = append(out, s.name)
	}
	return out
}

// ErrScenario is the error of a name that no scenario has.
var ErrScenario = errors.New("there is no scenario")

func scenarioNamed(name string) (scenario, error) {
	if name == "" {
		return tour(), nil
	}
	list := scenarios()
	i := slices.IndexFunc(list, func(s scenario) bool { return s.name == name })
	if i < 0 {
		return scenario{}, fmt.Errorf("%w %q; name one of %s, or all", ErrScenario, name, strings.Join(Scenarios(), ", "))
	}
	return list[i], nil
}

func thing(kind, name string) amplitudefake.Asset {
	return amplitudefake.Asset{Kind: kind, Name: name, Project: 1}
}

// head is somebody's manager, who stays.
func head(given, family, connection string) *actor {
	return &actor{given: given, family: family, connection: connection, department: "Analytics", title: "Head of Analytics"}
}

func termination() scenario {
	return scenario{
		name: "termination", title: "an employee is terminated",
		story: "HR marks Tom as terminated, with a ticket. His manager gets what he owns, the key that he knew is replaced, and he is out on the same day.",
		cast: func() []*actor {
			mara := head("Mara", "Moser", oktaName)
			return []*actor{mara, {
				given: "Tom", family: "Tanner", connection: oktaName, department: "Analytics", title: "Analyst", manager: mara,
				how: "Okta, AIW app: PUT with active false and leaveReason termination", reason: offboard.Termination,
				outcome: offboard.OutcomeRemoved, policy: "termination", knows: true, direct: true,
				owns: []amplitudefake.Asset{
					thing(amplitudefake.KindEvent, "Order Placed"), thing(amplitudefake.KindCohort, "Big spenders"),
					thing(amplitudefake.KindDashboard, "Revenue"), thing(amplitudefake.KindNotebook, "Price test"), thing(amplitudefake.KindMetric, "Average order"),
				},
			}}
		},
		act: func(ctx context.Context, d *demo, okta, _ *provider) error {
			return d.does("Tom", func(a *actor) error {
				return okta.oktaPut(ctx, a, claimed(object{"leaveReason": "termination", "ticket": "HR-2041"}, object{"active": false}))
			})
		},
	}
}

func contractEnd() scenario {
	return scenario{
		name: "contract-end", title: "an agency's contract ends",
		story: "Three consultants share a key. Their leave date is known before: nothing happens until it comes, then all three go, and the key is replaced once.",
		cast: func() []*actor {
			milan := head("Milan", "Maas", oktaName)
			out := []*actor{milan}
			for i, given := range []string{"Cora", "Carl", "Cleo"} {
				a := &actor{
					given: given, family: "Contreras", connection: oktaName, department: "Agency", title: "Contractor", manager: milan,
					how: "Okta: leaveDate in a few seconds", reason: offboard.ContractEnd, outcome: offboard.OutcomeRemoved, policy: "contract-end", knows: true,
				}
				if i == 0 {
					a.owns = []amplitudefake.Asset{
						thing(amplitudefake.KindEvent, "Banner Seen"), thing(amplitudefake.KindDashboard, "Campaigns"), thing(amplitudefake.KindMetric, "Reach"),
					}
				}
				out = append(out, a)
			}
			return out
		},
		act: func(ctx context.Context, d *demo, okta, _ *provider) error {
			date := time.Now().Add(4 * time.Second).UTC().Truncate(time.Second)
			for _, given := range []string{"Cora", "Carl", "Cleo"} {
				err := d.does(given, func(a *actor) error {
					return okta.oktaPut(ctx, a, claimed(object{"leaveDate": date.Format(time.RFC3339), "ticket": "PO-77"}, object{"active": true}))
				})
				if err != nil {
					return err
				}
			}
			if time.Now().After(date) {
				return nil // slow today
			}
			for _, a := range d.cast {
				if seatOf(d.fake.State(), a.address()) == nil {
					return fmt.Errorf("%s lost the seat before the contract's end", a.name())
				}
			}
			return nil
		},
	}
}

func incident() scenario {
	return scenario{
		name: "incident", title: "a security incident",
		story: "Ivo's laptop was stolen. Security opens an incident: his seat is gone first, then the key that he knew is replaced, " +
			"the audit log is read, and what he owned is given out.",
		cast: func() []*actor {
			mara := head("Mara", "Moser", oktaName)
			return []*actor{mara, {
				given: "Ivo", family: "Ivers", connection: oktaName, department: "Engineering", title: "Engineer", manager: mara,
				how: "an operator opens a security incident", reason: offboard.SecurityIncident, outcome: offboard.OutcomeRemoved,
				policy: "security-incident", knows: true, direct: true,
				owns: []amplitudefake.Asset{thing(amplitudefake.KindDashboard, "Fraud"), thing(amplitudefake.KindEvent, "Login Failed")},
			}}
		},
		act: func(ctx context.Context, d *demo, _, _ *provider) error {
			return d.does("Ivo", func(a *actor) error {
				order := console.OpenRequest{Person: a.address(), Reason: offboard.SecurityIncident, Ticket: "SEC-7"}
				return d.operator(d.keys.lead).call(ctx, "POST", "cases", order, nil)
			})
		},
	}
}

func ssoRemoval() scenario {
	return scenario{
		name: "sso-removal", title: "people lose access at the identity provider",
		story: "Sina is deactivated in Okta, Sven leaves the access group in Entra, and Sue is taken out of it by mistake and put back at once.",
		cast: func() []*actor {
			mara, milan := head("Mara", "Moser", oktaName), head("Milan", "Maas", entraName)
			one := func(given, connection, how string, manager *actor, reason offboard.Reason, owns ...amplitudefake.Asset) *actor {
				return &actor{
					given: given, family: "Soto", connection: connection, department: "Sales", title: "Account executive", manager: manager,
					how: how, reason: reason, outcome: offboard.OutcomeRemoved, policy: "sso-removal", owns: owns,
				}
			}
			sue := one("Sue", entraName, "Entra: out of the access group and back within the grace", milan, offboard.GroupRemoval, thing(amplitudefake.KindNotebook, "Forecast"))
			sue.outcome = offboard.OutcomeCancelled
			return []*actor{
				mara, milan, sue,
				one("Sina", oktaName, "Okta, OIN app: PATCH without a path", mara, offboard.Deactivated, thing(amplitudefake.KindDashboard, "Leads")),
				one("Sven", entraName, "Entra: leaves the access group, by value list", milan, offboard.GroupRemoval),
			}
		},
		act: func(ctx context.Context, d *demo, okta, entra *provider) error {
			if err := d.does("Sue", func(a *actor) error { return entra.entraMembers(ctx, "Remove", a) }); err != nil {
				return err
			}
			if err := entra.entraMembers(ctx, "Add", d.called("Sue")); err != nil {
				return err
			}
			if err := d.does("Sven", func(a *actor) error { return entra.entraMembers(ctx, "Remove", a) }); err != nil {
				return err
			}
			return d.does("Sina", func(a *actor) error { return okta.oktaActive(ctx, a, false) })
		},
	}
}
