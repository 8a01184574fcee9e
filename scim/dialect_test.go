package scim_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"testing"
)

const ent = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

const offramp = "urn:ietf:params:scim:schemas:extension:offramp:2.0:User"

// TestUserPatchDialects sends one PATCH to the user Jo and looks at what is
// stored afterwards. want names attributes (null: absent); a row without want
// expects the user unchanged.
func TestUserPatchDialects(t *testing.T) {
	for _, row := range []struct {
		name, ops string
		status    int
		scimType  string
		want      string
	}{
		{"Okta disables without a path", `{"op":"replace","value":{"active":false}}`, 200, "", `{"active":false}`},
		{"Entra disables with a capital and a string", `{"op":"Replace","path":"active","value":"False"}`, 200, "", `{"active":false}`},
		{"Entra disables with a list of one object", `{"op":"Replace","path":"active","value":[{"value":"False"}]}`, 200, "", `{"active":false}`},
		{"Entra disables without path and with a string", `{"op":"Replace","value":{"active":"false"}}`, 200, "", `{"active":false}`},
		{"Entra disables with Add", `{"op":"Add","path":"active","value":"False"}`, 200, "", `{"active":false}`},
		{"Entra with the flag disables with a boolean", `{"op":"replace","path":"active","value":false}`, 200, "", `{"active":false}`},
		{"a client spells active and op in capitals", `{"OP":"REPLACE","PATH":"ACTIVE","VALUE":"FALSE"}`, 200, "", `{"active":false}`},
		{"active is addressed by the core URN in another case", `{"op":"replace","path":"URN:ietf:params:scim:schemas:core:2.0:user:Active","value":false}`, 200, "", `{"active":false}`},
		{"active is nested under the core URN", `{"op":"replace","value":{"urn:ietf:params:scim:schemas:core:2.0:User":{"active":"False"}}}`, 200, "", `{"active":false}`},
		{"disabling twice in one request is no error", `{"op":"replace","path":"active","value":false},{"op":"replace","path":"active","value":false}`, 200, "", `{"active":false}`},
		{"active with a number is not guessed", `{"op":"replace","path":"active","value":0}`, 400, "invalidValue", ``},
		{"active with 0 as text is not guessed", `{"op":"replace","path":"active","value":"0"}`, 400, "invalidValue", ``},
		{"active with no as text is not guessed", `{"op":"replace","value":{"active":"no"}}`, 400, "invalidValue", ``},
		{"active with an empty string is not guessed", `{"op":"replace","path":"active","value":""}`, 400, "invalidValue", ``},
		{"active with null is not guessed", `{"op":"replace","path":"active","value":null}`, 400, "invalidValue", ``},
		{"active with two values is not guessed", `{"op":"replace","path":"active","value":[true,false]}`, 400, "invalidValue", ``},
		{"active cannot be removed", `{"op":"remove","path":"active"}`, 400, "mutability", ``},
		{"active below another attribute is not dropped", `{"op":"replace","path":"account.active","value":false}`, 400, "invalidPath", ``},
		{"active with a filter is not dropped", `{"op":"replace","path":"active[value eq true]","value":false}`, 400, "invalidPath", ``},
		{"active in an unknown schema is not dropped", `{"op":"replace","path":"urn:example:2.0:User:active","value":false}`, 400, "invalidPath", ``},
		{"active in the enterprise schema is not dropped", `{"op":"replace","value":{"` + ent + `":{"active":false}}}`, 400, "invalidPath", ``},
		{"active named twice with two meanings", `{"op":"replace","value":{"active":false,"Active":true}}`, 400, "invalidSyntax", ``},
		{"a bad operation spoils the good one before it", `{"op":"replace","path":"active","value":false},{"op":"replace","path":"title","value":{"a":1}}`, 400, "invalidValue", ``},

		{"schemas and meta travel along without a path", `{"op":"replace","value":{"schemas":["x"],"meta":{"version":"1"},"id":"other","title":"CTO"}}`, 200, "", `{"title":"CTO"}`},
		{"a value path changes the element that is there", `{"op":"Add","path":"emails[type eq \"work\"].value","value":"jb@example.com"}`, 200, "", `{"emails":[{"value":"jb@example.com","type":"work","primary":true}]}`},
		{"a value path makes the element it describes", `{"op":"Add","path":"emails[type eq \"home\"].value","value":"jo@home.example"}`, 200, "", `{"emails":[{"value":"jo@example.com","type":"work","primary":true},{"value":"jo@home.example","type":"home"}]}`},
		{"two value paths with one filter make one element", `{"op":"Replace","path":"addresses[type eq \"work\"].postalCode","value":"98052"},{"op":"Add","path":"addresses[type eq \"work\"].country","value":"US"}`, 200, "", `{"addresses":[{"type":"work","postalCode":"98052","country":"US"}]}`},
		{"a mobile number appears by replace", `{"op":"Replace","path":"phoneNumbers[type eq \"mobile\"].value","value":"5555555"}`, 200, "", `{"phoneNumbers":[{"type":"mobile","value":"5555555"}]}`},
		{"a replace of an element that nobody knows has no target", `{"op":"replace","path":"emails[type eq \"yacht\"].value","value":"x@example.com"}`, 400, "noTarget", ``},
		{"an add of an element with a type of the client's own makes it", `{"op":"add","path":"emails[type eq \"yacht\"].value","value":"x@example.com"}`, 200, "", `{"emails":[{"value":"jo@example.com","type":"work","primary":true},{"value":"x@example.com","type":"yacht"}]}`},
		{"a filter compares a quoted True with the boolean", `{"op":"Replace","path":"emails[primary eq \"True\"].value","value":"jb@example.com"}`, 200, "", `{"emails":[{"value":"jb@example.com","type":"work","primary":true}]}`},
		{"a role appears by its primary filter", `{"op":"Add","path":"roles[primary eq \"True\"].value","value":"Admin"}`, 200, "", `{"roles":[{"primary":true,"value":"Admin"}]}`},
		{"a role is replaced by its primary filter, not piled up", `{"op":"Add","path":"roles[primary eq \"True\"].value","value":"Admin"},{"op":"Replace","path":"roles[primary eq \"True\"].value","value":"User"}`, 200, "", `{"roles":[{"primary":true,"value":"User"}]}`},
		{"a role as JSON inside a string is kept as sent", `{"op":"Add","path":"roles","value":[{"value":"{\"id\":\"06b0\",\"value\":\"25\"}"}]}`, 200, "", `{"roles":[{"value":"{\"id\":\"06b0\",\"value\":\"25\"}"}]}`},
		{"a value path takes a list of one object", `{"op":"Replace","path":"emails[type eq \"work\"].value","value":[{"value":"jb@example.com"}]}`, 200, "", `{"emails":[{"value":"jb@example.com","type":"work","primary":true}]}`},
		{"a filter may hold a group and three terms", `{"op":"replace","path":"emails[(type eq \"work\" or type eq \"home\") and primary eq true].display","value":"Jo"}`, 200, "", `{"emails":[{"value":"jo@example.com","type":"work","primary":true,"display":"Jo"}]}`},
		{"dotted names", `{"op":"Replace","path":"name.givenName","value":"Joan"}`, 200, "", `{"name":{"givenName":"Joan","familyName":"Doe"}}`},
		{
			"Entra's flag puts dotted, filtered and URN keys into one object", `{"op":"replace","value":{"displayName":"B","name.givenName":"K","emails[type eq \"work\"].value":"k@example.com","` + ent + `:employeeNumber":"A"}}`, 200, "",
			`{"displayName":"B","name":{"givenName":"K","familyName":"Doe"},"emails":[{"value":"k@example.com","type":"work","primary":true}],"` + ent + `":{"employeeNumber":"A"}}`,
		},
		{"a URN path in another case", `{"op":"Add","path":"URN:IETF:params:scim:schemas:extension:ENTERPRISE:2.0:user:Department","value":"Sales"}`, 200, "", `{"` + ent + `":{"department":"Sales"}}`},
		{"department without its URN", `{"op":"Add","path":"department","value":"Sales"}`, 200, "", `{"` + ent + `":{"department":"Sales"}}`},
		{"manager as a plain string", `{"op":"Add","path":"` + ent + `:manager","value":"u7"}`, 200, "", `{"` + ent + `":{"manager":{"value":"u7"}}}`},
		{"manager as a list of one object", `{"op":"Add","path":"manager","value":[{"value":"u7","displayName":"Boss"}]}`, 200, "", `{"` + ent + `":{"manager":{"value":"u7"}}}`},
		{"an empty manager clears it", `{"op":"Add","path":"manager","value":"u7"},{"op":"Replace","path":"` + ent + `:manager","value":""}`, 200, "", `{"` + ent + `":null}`},
		{"an object with an empty manager clears it", `{"op":"Add","path":"manager","value":"u7"},{"op":"Replace","path":"manager","value":{"value":""}}`, 200, "", `{"` + ent + `":null}`},
		{"a whole extension as path", `{"op":"Replace","path":"` + ent + `","value":{"department":"Sales","manager":"u7","Division":"East"}}`, 200, "", `{"` + ent + `":{"department":"Sales","manager":{"value":"u7"},"division":"East"}}`},
		{"the removal of a whole extension", `{"op":"add","path":"department","value":"Sales"},{"op":"Remove","path":"` + ent + `"}`, 200, "", `{"` + ent + `":null}`},
		{
			"the claims of a departure, and the end, in one request", `{"op":"replace","value":{"` + offramp + `":{"leaveReason":"termination","successor":"kim@example.com"},"active":false}}`, 200, "",
			`{"active":false,"` + offramp + `":{"leaveReason":"termination","successor":"kim@example.com"}}`,
		},
		{"a removal without a value filter", `{"op":"Remove","path":"` + ent + `:department"}`, 200, "", `{"` + ent + `":null}`},
		{"null clears", `{"op":"replace","path":"displayName","value":null}`, 200, "", `{"displayName":null}`},
		{"null clears without a path", `{"op":"replace","value":{"displayName":null,"name.familyName":null}}`, 200, "", `{"displayName":null,"name":{"givenName":"Jo"}}`},
		{"an empty string clears", `{"op":"replace","path":"name.familyName","value":""}`, 200, "", `{"name":{"givenName":"Jo"}}`},
		{"unknown attributes are dropped and the rest is done", `{"op":"Add","path":"costCode","value":"7"},{"op":"replace","path":"title","value":"CTO"}`, 200, "", `{"title":"CTO"}`},
		{"an unknown extension is dropped", `{"op":"Add","path":"urn:ietf:params:scim:schemas:extension:custom:2.0:User:badge","value":"7"}`, 200, "", ``},
		{"an unknown sub-attribute is dropped", `{"op":"Add","path":"name.nobility","value":"Count"}`, 200, "", ``},
		{"readOnly attributes are ignored", `{"op":"replace","path":"groups","value":[{"value":"g1"}]},{"op":"replace","path":"id","value":"x"}`, 200, "", ``},
		{"a password is neither kept nor refused", `{"op":"replace","value":{"password":"secret"}}`, 200, "", ``},
		{"a number where text is stored is its digits", `{"op":"add","path":"employeeNumber","value":701}`, 200, "", `{"` + ent + `":{"employeeNumber":"701"}}`},

		{"an add that repeats a value changes nothing", `{"op":"add","path":"emails","value":[{"value":"JO@example.com","type":"work"}]}`, 200, "", `{"emails":[{"value":"JO@example.com","type":"work","primary":true}]}`},
		{"a new primary takes over", `{"op":"add","path":"emails","value":[{"value":"j2@example.com","type":"home","primary":true}]}`, 200, "", `{"emails":[{"value":"jo@example.com","type":"work","primary":false},{"value":"j2@example.com","type":"home","primary":true}]}`},
		{"a single object stands for a list", `{"op":"replace","path":"emails","value":{"value":"j3@example.com"}}`, 200, "", `{"emails":[{"value":"j3@example.com"}]}`},
		{"remove, add and replace work in order", `{"op":"remove","path":"emails"},{"op":"add","path":"emails","value":[{"value":"a@example.com","type":"work"}]},{"op":"replace","path":"emails[type eq \"work\"].value","value":"b@example.com"}`, 200, "", `{"emails":[{"value":"b@example.com","type":"work"}]}`},
		{"a removal by value list takes only what is listed", `{"op":"add","path":"emails","value":[{"value":"b@example.com","type":"home"}]},{"op":"Remove","path":"emails","value":[{"value":"B@example.com"}]}`, 200, "", ``},
		{"a removal by filter takes the element", `{"op":"remove","path":"emails[type eq \"work\"]"}`, 200, "", `{"emails":null}`},
		{"a removal of what is not there is done already", `{"op":"remove","path":"emails[type eq \"home\"]"}`, 200, "", ``},
		{"an empty list clears", `{"op":"replace","path":"emails","value":[]}`, 200, "", `{"emails":null}`},
		{"a sub-attribute without a filter means the only element", `{"op":"replace","path":"emails.value","value":"j@example.com"}`, 200, "", `{"emails":[{"value":"j@example.com","type":"work","primary":true}]}`},
		{"a sub-attribute without a filter makes the first element", `{"op":"add","path":"phoneNumbers.value","value":"555"}`, 200, "", `{"phoneNumbers":[{"value":"555"}]}`},
		{"a sub-attribute without a filter means the primary of several", `{"op":"add","path":"emails","value":{"value":"b@example.com"}},{"op":"replace","path":"emails.value","value":"j@example.com"}`, 200, "", `{"emails":[{"value":"j@example.com","type":"work","primary":true},{"value":"b@example.com"}]}`},
		{"a sub-attribute without a filter of several without a primary is not guessed", `{"op":"add","path":"roles","value":["a","b"]},{"op":"replace","path":"roles.value","value":"c"}`, 400, "noTarget", ``},
		{"the removal of a sub-attribute takes it from all", `{"op":"add","path":"emails","value":{"value":"b@example.com","type":"home"}},{"op":"remove","path":"emails.type"}`, 200, "", `{"emails":[{"value":"jo@example.com","primary":true},{"value":"b@example.com"}]}`},
		{"a whole element by filter is merged", `{"op":"replace","path":"emails[type eq \"work\"]","value":{"value":"b@example.com","display":"B"}}`, 200, "", `{"emails":[{"value":"b@example.com","type":"work","primary":true,"display":"B"}]}`},
		{"a removal of an empty list removes nothing", `{"op":"remove","path":"emails","value":[]}`, 200, "", ``},
		{"externalId can be changed", `{"op":"replace","path":"externalId","value":"00u2"}`, 200, "", `{"externalId":"00u2"}`},

		{"userName cannot be removed", `{"op":"remove","path":"userName"}`, 400, "mutability", ``},
		{"userName cannot be empty", `{"op":"replace","path":"userName","value":" "}`, 400, "invalidValue", ``},
		{"an unknown operation", `{"op":"move","path":"title","value":"x"}`, 400, "invalidSyntax", ``},
		{"an operation that is no object", `"replace"`, 400, "invalidSyntax", ``},
		{"a removal without a path", `{"op":"remove"}`, 400, "noTarget", ``},
		{"an operation without a value", `{"op":"replace","path":"title"}`, 400, "invalidValue", ``},
		{"a path that is no string", `{"op":"replace","path":7,"value":"x"}`, 400, "invalidPath", ``},
		{"a malformed path", `{"op":"replace","path":"emails[type eq","value":"x"}`, 400, "invalidPath", ``},
		{"a filter on a sub-attribute that does not exist", `{"op":"replace","path":"emails[kind eq \"work\"].value","value":"x"}`, 400, "invalidPath", ``},
		{"a value without path that is no object", `{"op":"replace","value":"active"}`, 400, "invalidValue", ``},
		{"an object where text belongs", `{"op":"replace","path":"displayName","value":{"first":"Jo"}}`, 400, "invalidValue", ``},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBridge(t)
			id := b.jo(t)
			before := b.stored(t, id)
			a := b.must(t, row.status, http.MethodPatch, "/Users/"+id, patch(row.ops))
			if row.status != http.StatusOK {
				if kind, detail := a.problem(t); kind != row.scimType || detail == "" {
					t.Errorf("got scimType %q, want %q; detail %q", kind, row.scimType, detail)
				}
			}
			after := b.stored(t, id)
			expect(t, before, after, row.want)
		})
	}
}

// expect compares the attributes named in want, and all others with before.
func expect(t *testing.T, before, after map[string]any, want string) {
	t.Helper()
	named := map[string]any{}
	if want != "" {
		if err := json.Unmarshal([]byte(want), &named); err != nil {
			t.Fatal(err)
		}
	}
	for name, v := range before {
		if _, ok := named[name]; !ok {
			named[name] = v
		}
	}
	for name, v := range named {
		if v == nil {
			delete(named, name)
		}
	}
	if !reflect.DeepEqual(after, named) {
		got, _ := json.Marshal(after)
		exp, _ := json.Marshal(named)
		t.Errorf("stored\n%s\nwant\n%s", got, exp)
	}
}

func TestUserPostDialects(t *testing.T) {
	for _, row := range []struct {
		name, body string
		status     int
		want       string
	}{
		{
			"Okta's create, with a password and readOnly groups",
			`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"kim@example.com","name":{"givenName":"Kim","familyName":"Roe","honorificPrefix":""},"emails":[{"primary":true,"value":"kim@example.com","type":"work"}],"locale":"en-US","externalId":"00u9","groups":[],"password":"1mz050nq","active":true}`, 201,
			`{"userName":"kim@example.com","name":{"givenName":"Kim","familyName":"Roe"},"emails":[{"primary":true,"value":"kim@example.com","type":"work"}],"locale":"en-US","externalId":"00u9","active":true}`,
		},
		{
			"Entra's create, with strings for booleans and a string for the manager",
			`{"schemas":["x"],"UserName":"kim@example.com","active":"True","emails":[{"Primary":"True","type":"work","value":"kim@example.com"}],"meta":{"resourceType":"User"},"roles":[],"URN:ietf:params:scim:schemas:extension:enterprise:2.0:USER":{"department":"Sales","manager":"u1"}}`, 201,
			`{"userName":"kim@example.com","active":true,"emails":[{"primary":true,"value":"kim@example.com","type":"work"}],"` + ent + `":{"department":"Sales","manager":{"value":"u1"}}}`,
		},
		{"unknown attributes and schemas of any name are dropped", `{"userName":"kim@example.com","urn:vendor:2.0":{"a":1},"x y":1,"urn:":2,"badge":{"a":[1]}}`, 201, `{"userName":"kim@example.com"}`},
		{"no schemas at all", `{"userName":"kim@example.com"}`, 201, `{"userName":"kim@example.com"}`},
		{"an inactive user", `{"userName":"kim@example.com","active":false}`, 201, `{"userName":"kim@example.com","active":false}`},
		{"a guest of another tenant", `{"userName":"kim_fabrikam.com#EXT#@example.com"}`, 201, `{"userName":"kim_fabrikam.com#EXT#@example.com"}`},
		{"an active that is neither", `{"userName":"kim@example.com","active":"yes"}`, 400, ``},
		{"an active that is null", `{"userName":"kim@example.com","active":null}`, 400, ``},
		{"no userName", `{"active":true}`, 400, ``},
		{"an empty userName", `{"userName":""}`, 400, ``},
		{"emails of the wrong type", `{"userName":"kim@example.com","emails":[5]}`, 201, `{"userName":"kim@example.com","emails":[{"value":"5"}]}`},
		{"an address that is text", `{"userName":"kim@example.com","addresses":["Main St"]}`, 400, ``},
		{"a body that is a list", `[]`, 400, ``},
		{"a body that ends early", `{"userName":"kim@example.com"`, 400, ``},
		{"something after the body", `{"userName":"kim@example.com"} {}`, 400, ``},
		{"a name given twice", `{"userName":"kim@example.com","username":"jo@example.com"}`, 400, ``},
		{"NUL in a value", `{"userName":"kim\u0000@example.com"}`, 400, ``},
		{"invalid UTF-8", "{\"userName\":\"kim\xff@example.com\"}", 400, ``},
		{"schemas that are no list", `{"schemas":5,"userName":"kim@example.com"}`, 400, ``},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBridge(t)
			a := b.must(t, row.status, http.MethodPost, "/Users", row.body)
			if row.status != http.StatusCreated {
				if kind, detail := a.problem(t); kind == "" || detail == "" {
					t.Errorf("an error that tells nothing: %s", a.Body)
				}
				return
			}
			id, _ := a.doc(t)["id"].(string)
			expect(t, nil, b.stored(t, id), row.want)
			if got := a.Header().Get("Location"); got != "https://offramp.example.com/scim/v2/Users/"+id {
				t.Errorf("Location is %q", got)
			}
		})
	}
}

func TestUserPutDialects(t *testing.T) {
	for _, row := range []struct {
		name, body string
		status     int
		want       string
	}{
		{
			"Okta's merged resource with active false and everything readOnly in it",
			`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"u1","userName":"jo@example.com","name":{"givenName":"Joan","middleName":"","familyName":"Doe"},"emails":[{"primary":true,"value":"jo@example.com","type":"work","display":"jo@example.com"}],"displayName":"Jo Doe","active":false,"groups":[],"externalId":"00u1","meta":{"resourceType":"User"}}`, 200,
			`{"active":false,"name":{"givenName":"Joan","familyName":"Doe"},"emails":[{"primary":true,"value":"jo@example.com","type":"work","display":"jo@example.com"}]}`,
		},
		{"a body without active leaves it, and other silence clears", `{"userName":"jo@example.com"}`, 200, `{"displayName":null,"name":null,"emails":null}`},
		{"a body without the extensions leaves them", `{"userName":"jo@example.com","displayName":"Jo Doe","name":{"givenName":"Jo","familyName":"Doe"},"emails":[{"value":"jo@example.com","type":"work","primary":true}]}`, 200, ``},
		{"a body with an extension replaces it whole", `{"userName":"jo@example.com","` + ent + `":{"costCenter":"7"}}`, 200, `{"displayName":null,"name":null,"emails":null,"` + ent + `":{"costCenter":"7"}}`},
		{"an empty extension clears it", `{"userName":"jo@example.com","` + ent + `":{}}`, 200, `{"displayName":null,"name":null,"emails":null,"` + ent + `":null}`},
		{"an empty externalId clears it", `{"userName":"jo@example.com","externalId":""}`, 200, `{"displayName":null,"name":null,"emails":null,"externalId":null}`},
		{"a rename", `{"userName":"joan@example.com"}`, 200, `{"userName":"joan@example.com","displayName":null,"name":null,"emails":null}`},
		{"a draft schema", `{"schemas":["urn:scim:schemas:core:2.0"],"userName":"jo@example.com","active":"False"}`, 200, `{"active":false,"displayName":null,"name":null,"emails":null}`},
		{"an active that is neither", `{"userName":"jo@example.com","active":"disabled"}`, 400, ``},
		{"no userName", `{"active":false}`, 400, ``},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBridge(t)
			id := b.jo(t)
			b.must(t, 200, http.MethodPatch, "/Users/"+id, patch(`{"op":"add","path":"department","value":"Sales"}`))
			before := b.stored(t, id)
			b.must(t, row.status, http.MethodPut, "/Users/"+id, row.body)
			expect(t, before, b.stored(t, id), row.want)
		})
	}
}

// TestEchoIsAFixedPoint is Okta's profile update in its plainest form: what
// we answer, put back, changes nothing.
func TestEchoIsAFixedPoint(t *testing.T) {
	b := newBridge(t)
	id := b.jo(t)
	b.must(t, 200, http.MethodPatch, "/Users/"+id, patch(`{"op":"add","value":{"manager":"u9","roles":["Admin"],"`+offramp+`":{"ticket":"T-1"},"active":"False"}}`))
	b.must(t, 201, http.MethodPost, "/Groups", `{"displayName":"Eng","members":["`+id+`"]}`)
	before := b.stored(t, id)
	echo := b.must(t, 200, http.MethodGet, "/Users/"+id, "")
	again := b.must(t, 200, http.MethodPut, "/Users/"+id, echo.Body.String())
	expect(t, before, b.stored(t, id), "")
	if got, want := again.Header().Get("ETag"), echo.Header().Get("ETag"); got != want {
		t.Errorf("version went from %s to %s", want, got)
	}
}
