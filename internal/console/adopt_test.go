package console_test

import "testing"

func TestAnIncidentTakesAnAddressThatNoIdentityProviderSent(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ask := func(status int, part, body string) {
		t.Helper()
		d.want(status, part, "operator", "POST", "/api/v1/cases", body)
	}
	ask(404, "give the reason security_incident", `{"person":"eve@example.com","connection":"okta","reason":"policy_violation"}`)
	ask(422, `through which of the connections [\"okta\" \"entra\"]`, `{"person":"eve@example.com","reason":"security_incident"}`)
	ask(422, "the connection has to be one of", `{"person":"eve@example.com","connection":"ping","reason":"security_incident"}`)
	ask(422, "give the exact e-mail address", `{"person":"Eve","connection":"okta","reason":"security_incident"}`)
	ask(422, "outside the domains of connection okta", `{"person":"eve@elsewhere.example","connection":"okta","reason":"security_incident"}`)
	ask(201, `"trigger":"opened by operator the-operator for an address that no identity provider sent"`,
		`{"person":"eve@example.com","connection":"okta","reason":"security_incident"}`)
	// Whoever asks again meets the case, not a second person.
	ask(409, `"case":"case-2"`, `{"person":"EVE@example.com","connection":"okta","reason":"security_incident"}`)
}
