package intake_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"offramp/internal/intake"
	"offramp/internal/offboard"
	"offramp/internal/store"
	"offramp/scim"
)

func TestEveryDialectOfADeactivationOpensOneCase(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		what, method, body string
		status             int
		reason             offboard.Reason
	}{
		{"Okta, PATCH without path", http.MethodPatch, patch(`{"op":"replace","value":{"active":false}}`), 200, offboard.Deactivated},
		{"Okta, PUT", http.MethodPut, `{"schemas":["` + scim.UserURN + `"],"userName":"jo@example.com","active":false}`, 200, offboard.Deactivated},
		{"Entra, text", http.MethodPatch, patch(`{"op":"Replace","path":"active","value":"False"}`), 200, offboard.Deactivated},
		{"Entra, text added", http.MethodPatch, patch(`{"op":"Add","path":"active","value":"false"}`), 200, offboard.Deactivated},
		{"Entra with the flag", http.MethodPatch, patch(`{"op":"replace","path":"active","value":false}`), 200, offboard.Deactivated},
		{"Entra, with other attributes", http.MethodPatch, patch(`{"op":"Replace","path":"title","value":"-"},{"op":"Replace","path":"active","value":"False"}`), 200, offboard.Deactivated},
		{"DELETE", http.MethodDelete, "", 204, offboard.DeletedAtIdP},
	} {
		for _, postgres := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/postgres=%v", row.what, postgres), func(t *testing.T) {
				t.Parallel()
				b := newBridge(t, settings{postgres: postgres})
				jo := b.hire(t, "jo")
				b.want(t, row.status, oktaToken, row.method, "/Users/"+jo, row.body)
				if row.method != http.MethodDelete {
					if got := b.want(t, 200, oktaToken, http.MethodGet, "/Users/"+jo, ""); got.doc["active"] != false {
						t.Errorf("active is %v", got.doc["active"])
					}
					b.want(t, row.status, oktaToken, row.method, "/Users/"+jo, row.body) // providers repeat themselves
				}
				list := b.cases(t)
				if len(list) != 1 || list[0].PersonID != jo || list[0].Reason != row.reason || list[0].Address != "jo@example.com" {
					t.Errorf("cases: %+v", list)
				}
			})
		}
	}
}

func TestAnActiveThatIsNeitherIsNeverGuessed(t *testing.T) {
	t.Parallel()
	b := newBridge(t, settings{})
	jo := b.hire(t, "jo")
	b.want(t, 400, oktaToken, http.MethodPatch, "/Users/"+jo, patch(`{"op":"replace","path":"title","value":"x"},{"op":"replace","path":"active","value":"no"}`))
	got := b.want(t, 200, oktaToken, http.MethodGet, "/Users/"+jo, "")
	if got.doc["active"] != true || got.doc["title"] != nil || len(b.cases(t)) != 0 {
		t.Errorf("got %s", got.text)
	}
}

func TestAUserIsEchoedAsTheyWereSent(t *testing.T) {
	t.Parallel()
	b := newBridge(t, settings{})
	made := b.want(t, 201, entraToken, http.MethodPost, "/Users", `{"schemas":["`+scim.UserURN+`","`+scim.EnterpriseURN+`"],
		"externalId":"Jo-1","userName":"Jo@Example.com","displayName":"Jo Doe","roles":[],
		"phoneNumbers":[{"type":"mobile","value":"+1 (555) 0100"}],"password":"not kept",
		"`+scim.EnterpriseURN+`":{"department":"Sales","manager":"boss@example.com"},
		"`+scim.OfframpURN+`":{"leaveReason":"contract_end","ticket":"T-1"}}`)
	got := b.want(t, 200, entraToken, http.MethodGet, "/Users/"+made.id(), "")
	for _, want := range []string{`"Jo@Example.com"`, `"Jo-1"`, `"+1 (555) 0100"`, `"Sales"`, `"boss@example.com"`, `"contract_end"`, `"active":true`} {
		if !strings.Contains(got.text, want) {
			t.Errorf("%s is missing in %s", want, got.text)
		}
	}
	if strings.Contains(got.text, "not kept") {
		t.Error("a password came back")
	}
	p, err := b.store.Person(t.Context(), "entra", made.id())
	if err != nil || !p.Active || p.Department != "Sales" || p.Manager != "boss@example.com" || p.Claims.LeaveReason != "contract_end" {
		t.Errorf("recorded %+v, %v", p, err)
	}
	// The claim is the reason of the case.
	b.want(t, 200, entraToken, http.MethodPatch, "/Users/"+made.id(), patch(`{"op":"Replace","path":"active","value":"False"}`))
	if list := b.cases(t); len(list) != 1 || list[0].Reason != offboard.ContractEnd || list[0].Ticket != "T-1" {
		t.Errorf("cases: %+v", list)
	}
}

func TestTheSeatIsFoundByEmailWhereConfigured(t *testing.T) {
	t.Parallel()
	b := newBridge(t, settings{byEmail: true})
	made := b.want(t, 201, oktaToken, http.MethodPost, "/Users", `{"schemas":["`+scim.UserURN+`"],"userName":"u123",
		"emails":[{"value":"home@example.com","type":"home"},{"value":"jo@example.com","type":"work","primary":true}]}`)
	p, err := b.store.Person(t.Context(), "okta", made.id())
	if err != nil || p.Address != "jo@example.com" {
		t.Errorf("address %q, %v", p.Address, err)
	}
}

func TestATakenNameIsAConflictAndADeletedOneIsFree(t *testing.T) {
	t.Parallel()
	b := newBridge(t, settings{})
	jo := b.hire(t, "jo")
	again := b.want(t, 409, oktaToken, http.MethodPost, "/Users", `{"schemas":["`+scim.UserURN+`"],"userName":"JO@example.com","active":true}`)
	if again.scimType() != "uniqueness" {
		t.Errorf("got %s", again.text)
	}
	sam := b.hire(t, "sam")
	b.want(t, 409, oktaToken, http.MethodPatch, "/Users/"+sam, patch(`{"op":"replace","path":"userName","value":"jo@example.com"}`))
	b.want(t, 204, oktaToken, http.MethodDelete, "/Users/"+jo, "")
	b.want(t, 404, oktaToken, http.MethodDelete, "/Users/"+jo, "")
	if next := b.hire(t, "jo"); next == jo {
		t.Error("the new hire got the old id")
	}
}

func TestAGroupRemovalInBothFormsOpensACase(t *testing.T) {
	t.Parallel()
	for what, op := range map[string]string{
		"filter":     `{"op":"remove","path":"members[value eq \"%s\"]"}`,
		"value list": `{"op":"Remove","path":"members","value":[{"$ref":null,"value":"%s"}]}`,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := newBridge(t, settings{access: []string{"amplitude"}})
			jo, sam := b.hire(t, "jo"), b.hire(t, "sam")
			g := b.team(t, "Amplitude", jo, sam)
			b.want(t, 204, oktaToken, http.MethodPatch, "/Groups/"+g, patch(fmt.Sprintf(op, jo)))
			list := b.cases(t)
			if len(list) != 1 || list[0].PersonID != jo || list[0].Reason != offboard.GroupRemoval {
				t.Errorf("cases: %+v", list)
			}
			got := b.want(t, 200, oktaToken, http.MethodGet, "/Groups/"+g, "")
			if !strings.Contains(got.text, sam) || strings.Contains(got.text, jo) {
				t.Errorf("members: %s", got.text)
			}
			if got := b.want(t, 200, oktaToken, http.MethodGet, "/Groups/"+g+"?excludedAttributes=members", ""); strings.Contains(got.text, "members") {
				t.Errorf("got %s", got.text)
			}
		})
	}
}

func TestRemovedAndAddedInOnePatchIsNoLeaver(t *testing.T) {
	t.Parallel()
	b := newBridge(t, settings{access: []string{"amplitude"}})
	jo := b.hire(t, "jo")
	g := b.team(t, "Amplitude", jo)
	b.want(t, 204, oktaToken, http.MethodPatch, "/Groups/"+g, patch(
		`{"op":"remove","path":"members[value eq \"`+jo+`\"]"},{"op":"add","path":"members","value":[{"value":"`+jo+`"}]}`))
	if list := b.cases(t); len(list) != 0 {
		t.Errorf("cases: %+v", list)
	}
	// A deleted access group is held: nobody said a word about the person.
	b.want(t, 204, oktaToken, http.MethodDelete, "/Groups/"+g, "")
	if list := b.cases(t); len(list) != 1 || list[0].State != offboard.StateHeld {
		t.Errorf("cases: %+v", list)
	}
}

func TestMembersThatAreNotUsersAreLeftOutAndTold(t *testing.T) {
	t.Parallel()
	b := newBridge(t, settings{})
	jo := b.hire(t, "jo")
	g := b.team(t, "Marketing", jo, "nobody")
	b.want(t, 204, oktaToken, http.MethodPatch, "/Groups/"+g, patch(`{"op":"add","path":"members","value":[{"value":"stranger"},{"value":"`+jo+`"}]}`))
	got := b.want(t, 200, oktaToken, http.MethodGet, "/Groups/"+g, "")
	if list, _ := got.doc["members"].([]any); len(list) != 1 {
		t.Errorf("members: %s", got.text)
	}
	if n, err := testutil.GatherAndCount(b.metrics, "offramp_scim_unknown_members_total"); err != nil || n != 1 {
		t.Errorf("%d series, %v", n, err)
	}
	if entries := b.logs.All(); len(entries) != 2 || entries[0].ContextMap()["group"] != g {
		t.Errorf("logged %+v", entries)
	}
}

func TestTextThatNoDatabaseTakesIsNotFound(t *testing.T) {
	t.Parallel()
	b := newBridge(t, settings{postgres: true})
	b.hire(t, "jo")
	for _, path := range []string{"/Users/%00", "/Users/%ff", "/Groups/%00"} {
		if got := b.call(t, oktaToken, http.MethodGet, path, ""); got.status != 404 && got.status != 400 {
			t.Errorf("%s: %d %s", path, got.status, got.text)
		}
	}
	for _, text := range []string{`userName eq "\u0000"`, `externalId eq "` + "\xff" + `"`, `userName sw "\u0000"`} {
		if got := b.call(t, oktaToken, http.MethodGet, "/Users"+filter(text), ""); got.status >= 500 || got.total() != 0 {
			t.Errorf("%q: %d %s", text, got.status, got.text)
		}
	}
}

// away is a record that does not answer in time.
type away struct{ intake.Store }

func (away) ChangePerson(context.Context, offboard.PersonChange) (offboard.Person, error) {
	return offboard.Person{}, fmt.Errorf("%w: connection refused", store.ErrUnavailable)
}

func TestAWriteThatCannotBeMadeDurableIsAskedForAgain(t *testing.T) {
	t.Parallel()
	b := newBridge(t, settings{wrap: func(s *store.Store) intake.Store { return away{s} }})
	got := b.want(t, 429, oktaToken, http.MethodPatch, "/Users/x", patch(`{"op":"replace","value":{"active":false}}`))
	if got.header.Get("Retry-After") != "60" || strings.Contains(got.text, "refused") {
		t.Errorf("got %v %s", got.header, got.text)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	b := newBridge(t, settings{})
	b.want(t, 401, "wrong", http.MethodGet, "/Users", "")
	id, secret, err := b.store.NewToken(t.Context(), "okta", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	b.want(t, 200, secret, http.MethodGet, "/Users", "")
	if err := b.store.RevokeToken(t.Context(), "okta", id); err != nil {
		t.Fatal(err)
	}
	b.want(t, 401, secret, http.MethodGet, "/Users", "")
	b.want(t, 200, oktaToken, http.MethodGet, "/Users", "") // the bootstrap token

	broken, err := intake.NewAuthenticator(intake.AuthOptions{Tokens: brokenTokens{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := broken.Connection(t.Context(), "any"); err == nil || errors.Is(err, scim.ErrUnknownToken) {
		t.Errorf("a database that is away made a token unknown: %v", err)
	}
}

type brokenTokens struct{}

func (brokenTokens) TokenConnection(context.Context, string) (string, time.Time, error) {
	return "", time.Time{}, errors.New("connection refused")
}
