package scim_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"offramp/scim"
)

// reset empties the directory and creates Jo and, with her in it, Eng.
func (b *bridge) reset(t *testing.T) {
	t.Helper()
	b.dir.mu.Lock()
	b.dir.conns = map[string]*tenant{}
	b.dir.mu.Unlock()
	b.jo(t)
	b.must(t, 201, http.MethodPost, "/Groups", `{"displayName":"Eng","members":["u1","u7"]}`)
}

// sane fails unless a is one of the codes allowed and says what it must.
func sane(t *testing.T, a answer, allowed ...int) {
	t.Helper()
	for _, code := range allowed {
		if a.Code != code {
			continue
		}
		if code >= 400 {
			if _, detail := a.problem(t); detail == "" {
				t.Fatalf("an error without detail: %s", a.Body)
			}
		} else if code != 204 && !json.Valid(a.Body.Bytes()) {
			t.Fatalf("not JSON: %q", a.Body)
		}
		return
	}
	t.Fatalf("answer %d: %.300s", a.Code, a.Body)
}

// FuzzPatch sends any body as a PATCH to a user and to a group. A refused
// PATCH changes nothing; an accepted one can be repeated.
func FuzzPatch(f *testing.F) {
	for _, ops := range []string{
		`{"op":"Replace","path":"active","value":"False"}`, `{"op":"replace","value":{"active":false,"name.givenName":"K"}}`,
		`{"op":"add","path":"emails[type eq \"work\"].value","value":"a@example.com"},{"op":"remove","path":"emails"}`,
		`{"op":"add","path":"manager","value":[{"value":"u7"}]}`, `{"op":"remove","path":"members[value eq \"u1\"]"}`,
		`{"op":"Remove","path":"members","value":[{"$ref":null,"value":"u1"}]}`, `{"op":"replace","value":{"members":[],"id":"x","displayName":"E"}}`,
		`{"op":"replace","path":"roles[primary eq \"True\"].value","value":null}`, `{"op":"add","value":{"` + ent + `":{"department":[["x"]]}}}`,
	} {
		f.Add([]byte(patch(ops)))
	}
	f.Add([]byte(`{"Operations":[{"op":"replace","op":"add"}]}`))
	f.Add([]byte("{\"Operations\":[{\"op\":\"add\",\"value\":{\"\\u0000\":1}}]}\xff"))
	b := newBridge(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		b.reset(t)
		before := b.stored(t, "u1")
		a := b.do(http.MethodPatch, "/Users/u1", string(body), "Content-Type", "application/json")
		sane(t, a, 200, 400, 413)
		if a.Code != 200 && !reflect.DeepEqual(before, b.stored(t, "u1")) {
			t.Fatal("a refused PATCH changed the user")
		}
		if u, err := b.dir.User(t.Context(), "okta", "u1"); err != nil || strings.TrimSpace(u.UserName()) == "" {
			t.Fatalf("the user lost the name: %v", err)
		}
		members := b.membersOf(t, "g2")
		a = b.do(http.MethodPatch, "/Groups/g2", string(body), "Content-Type", "application/json")
		sane(t, a, 204, 400, 413)
		if a.Code != 204 && !reflect.DeepEqual(members, b.membersOf(t, "g2")) {
			t.Fatal("a refused PATCH changed the members")
		}
	})
}

// FuzzActive sends any value, in any dress of the operation, to active: the
// user ends up as the value says, or the request is refused.
func FuzzActive(f *testing.F) {
	for _, value := range []string{`"False"`, `false`, `"true"`, `0`, `"no"`, `null`, `[{"value":"FALSE"}]`, `{"value":{"value":false}}`, `[false,true]`, `""`} {
		for _, path := range []string{"active", "ACTIVE ", "urn:ietf:params:scim:schemas:core:2.0:User:active", "", "active.value", ent + ":active"} {
			f.Add("Replace", path, value)
		}
	}
	f.Add("remove", "active", `null`)
	b := newBridge(f)
	f.Fuzz(func(t *testing.T, op, path, value string) {
		if !json.Valid([]byte(value)) {
			return
		}
		o, _ := json.Marshal(op)
		p, _ := json.Marshal(path)
		body := patch(`{"op":` + string(o) + `,"path":` + string(p) + `,"value":` + value + `}`)
		if strings.TrimSpace(path) == "" {
			body = patch(`{"op":` + string(o) + `,"value":{"active":` + value + `}}`)
		} else if head, _, _ := strings.Cut(path, "["); !strings.HasSuffix(strings.ToLower(strings.TrimSpace(head)), "active") {
			return
		}
		if name := path[strings.LastIndexAny(path, ":.")+1:]; path != "" && !strings.EqualFold(strings.TrimSpace(name), "active") {
			return // some other attribute, such as hyperactive
		}
		b.reset(t)
		a := b.do(http.MethodPatch, "/Users/u1", body)
		sane(t, a, 200, 400, 413)
		if a.Code != 200 {
			return
		}
		said := meant(value)
		if got := b.stored(t, "u1")["active"]; said == nil || got != *said {
			t.Fatalf("%s at %q with %s was accepted; active is %v", op, path, value, got)
		}
	})
}

// meant is the boolean that a value stands for, if it stands for one.
func meant(value string) *bool {
	var v any
	if err := json.NewDecoder(bytes.NewReader([]byte(value))).Decode(&v); err != nil {
		return nil
	}
	if list, ok := v.([]any); ok && len(list) == 1 {
		v = list[0]
	}
	if m, ok := v.(map[string]any); ok {
		for name, inner := range m {
			if strings.EqualFold(name, "value") {
				v = inner
			}
		}
	}
	switch v := v.(type) {
	case bool:
		return &v
	case string:
		yes, no := strings.EqualFold(v, "true"), strings.EqualFold(v, "false")
		if yes || no {
			return &yes
		}
	}
	return nil
}

// FuzzPath addresses anything: the answer is sane, and what is dropped leaves
// the user as it was.
func FuzzPath(f *testing.F) {
	for _, path := range []string{
		"title", "name.givenName", `emails[type eq "work"].value`, "urn:", "urn:x:y", ent, ent + ":", ent + ":manager.value", "[", "a[b]", "emails[]", `emails[type eq "]"].value`,
		"members", "$ref", "emails.value", "x.y.z", "id", "groups[value pr]", "active[", "urn:a:active", "Name.GIVENNAME", `emails[(((type pr)))]`,
	} {
		f.Add(path)
	}
	b := newBridge(f)
	f.Fuzz(func(t *testing.T, path string) {
		p, _ := json.Marshal(path)
		b.reset(t)
		before := b.stored(t, "u1")
		a := b.do(http.MethodPatch, "/Users/u1", patch(`{"op":"replace","path":`+string(p)+`,"value":"zq"}`))
		sane(t, a, 200, 400)
		if a.Code == 200 && reflect.DeepEqual(before, b.stored(t, "u1")) && strings.EqualFold(strings.TrimSpace(path), "active") {
			t.Fatal("active was dropped")
		}
		sane(t, b.do(http.MethodPatch, "/Groups/g2", patch(`{"op":"replace","path":`+string(p)+`,"value":"zq"}`)), 204, 400)
	})
}

// FuzzFilter reads any filter: no panic, and whoever matches it satisfies
// every term that an index would be asked for.
func FuzzFilter(f *testing.F) {
	for _, filter := range []string{
		`userName eq "jo@example.com"`, `emails[type eq "work"].value eq "x"`, `id eq "1" and (manager eq "2" or not (title pr))`,
		`externalId eq jo`, `members eq "u"`, `meta.created gt "2026-01-01T00:00:00Z"`, `active eq "False"`, `userName eq "\u00e9\""`, `((((`, `a[b[c`, `emails[type eq "x" and value pr] or name pr`,
	} {
		f.Add(filter)
	}
	f.Fuzz(func(t *testing.T, filter string) {
		if e, err := scim.ParseUserFilter(filter); err == nil {
			for _, u := range people() {
				if !scim.MatchesUser(e, u) {
					continue
				}
				for _, term := range scim.Equality(e) {
					one := scim.Compare{Path: term.Path, Op: scim.OpEqual, Value: term.Value, Folded: term.Folded}
					if !scim.MatchesUser(one, u) {
						t.Fatalf("%q matches %s, which lacks %v", filter, u.ID, term)
					}
				}
			}
		}
		if e, err := scim.ParseGroupFilter(filter); err == nil {
			scim.MatchesGroup(e, scim.Group{ID: "g", Members: []scim.Member{{Value: "u"}}}, nil)
		}
	})
}

// FuzzPostUser creates from any body: refused, or created such that putting
// back what was answered changes nothing.
func FuzzPostUser(f *testing.F) {
	f.Add([]byte(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"kim@example.com","active":"True","emails":[{"Primary":"True","value":"k@example.com"}],"roles":[]}`))
	f.Add([]byte(`{"userName":"k","manager":"u1","` + ent + `":{"department":7},"` + offramp + `":{"leaveDate":"2026-12-31"}}`))
	f.Add([]byte(`{"userName":"k","name.givenName":"K","emails[type eq \"work\"].value":"k@example.com","active":null}`))
	f.Add([]byte(`[[[[`))
	b := newBridge(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		b.reset(t)
		a := b.do(http.MethodPost, "/Users", string(body), "Content-Type", "application/json")
		sane(t, a, 201, 400, 409, 413)
		if a.Code != 201 {
			return
		}
		id, _ := a.doc(t)["id"].(string)
		before := b.stored(t, id)
		b.must(t, 200, http.MethodPut, "/Users/"+id, a.Body.String())
		if after := b.stored(t, id); !reflect.DeepEqual(before, after) {
			t.Fatalf("stored %v, after its echo %v", before, after)
		}
	})
}

// FuzzPutUser replaces with any body: refused without a trace, or stored such
// that the same body again changes nothing.
func FuzzPutUser(f *testing.F) {
	f.Add([]byte(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"u1","userName":"jo@example.com","active":false,"groups":[],"meta":{}}`))
	f.Add([]byte(`{"userName":"jo@example.com","externalId":"","` + ent + `":null,"emails":[{"primary":true},{"primary":"TRUE","value":"x"}]}`))
	f.Add([]byte(`{"userName":"jo@example.com","active":"maybe"}`))
	b := newBridge(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		b.reset(t)
		before := b.stored(t, "u1")
		a := b.do(http.MethodPut, "/Users/u1", string(body), "Content-Type", "application/json")
		sane(t, a, 200, 400, 413)
		once := b.stored(t, "u1")
		if a.Code != 200 {
			if !reflect.DeepEqual(before, once) {
				t.Fatal("a refused PUT changed the user")
			}
			return
		}
		b.must(t, 200, http.MethodPut, "/Users/u1", string(body), "Content-Type", "application/json")
		if twice := b.stored(t, "u1"); !reflect.DeepEqual(once, twice) {
			t.Fatalf("once %v, twice %v", once, twice)
		}
	})
}
