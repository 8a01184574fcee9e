package scim_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"

	"offramp/scim"
)

// tokens is an Authenticator: token → connection.
type tokens map[string]string

func (t tokens) Connection(_ context.Context, token string) (string, error) {
	if conn, ok := t[token]; ok {
		return conn, nil
	}
	return "", scim.ErrUnknownToken
}

// bridge is a server under test with its directory.
type bridge struct {
	http.Handler
	dir *memory
}

func newBridge(tb testing.TB, adjust ...func(*scim.Options)) *bridge {
	tb.Helper()
	dir := newMemory()
	dir.twice = true
	opt := scim.Options{
		Directory: dir, Auth: tokens{"okta-token": "okta", "entra-token": "entra"},
		BaseURL: "https://offramp.example.com/scim/v2/", Log: zap.NewNop(),
	}
	for _, f := range adjust {
		f(&opt)
	}
	h, err := scim.New(opt)
	if err != nil {
		tb.Fatal(err)
	}
	return &bridge{Handler: h, dir: dir}
}

// answer is what came back.
type answer struct {
	*httptest.ResponseRecorder
}

// doc decodes the body.
func (a answer) doc(tb testing.TB) map[string]any {
	tb.Helper()
	var m map[string]any
	if err := json.Unmarshal(a.Body.Bytes(), &m); err != nil {
		tb.Fatalf("answer %d is not JSON: %v: %.200s", a.Code, err, a.Body.String())
	}
	return m
}

// scimType and detail of an error.
func (a answer) problem(tb testing.TB) (scimType, detail string) {
	tb.Helper()
	m := a.doc(tb)
	if list, _ := m["schemas"].([]any); len(list) != 1 || list[0] != "urn:ietf:params:scim:api:messages:2.0:Error" {
		tb.Fatalf("answer %d is no SCIM error: %v", a.Code, m)
	}
	scimType, _ = m["scimType"].(string)
	detail, _ = m["detail"].(string)
	return scimType, detail
}

// do sends one request below the prefix with the token of okta. header is a
// list of names and values.
func (b *bridge) do(method, path, body string, header ...string) answer {
	r := httptest.NewRequestWithContext(context.Background(), method, "/scim/v2"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer okta-token")
	if body != "" {
		r.Header.Set("Content-Type", "application/scim+json; charset=utf-8")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return answer{w}
}

// must is do, and fails the test on another status.
func (b *bridge) must(tb testing.TB, status int, method, path, body string, header ...string) answer {
	tb.Helper()
	a := b.do(method, path, body, header...)
	if a.Code != status {
		tb.Fatalf("%s %s: got %d, want %d: %.500s", method, path, a.Code, status, a.Body.String())
	}
	return a
}

// patch wraps operations into a PatchOp message.
func patch(ops string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + ops + `]}`
}

// jo creates a user and returns the id.
func (b *bridge) jo(tb testing.TB) string {
	tb.Helper()
	a := b.must(tb, http.StatusCreated, http.MethodPost, "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],
		"userName":"jo@example.com","externalId":"00u1","active":true,"displayName":"Jo Doe",
		"name":{"givenName":"Jo","familyName":"Doe"},
		"emails":[{"value":"jo@example.com","type":"work","primary":true}]}`)
	id, _ := a.doc(tb)["id"].(string)
	return id
}

// stored returns the attributes of a user.
func (b *bridge) stored(tb testing.TB, id string) map[string]any {
	tb.Helper()
	u, err := b.dir.User(tb.Context(), "okta", id)
	if err != nil {
		tb.Fatal(err)
	}
	return u.Attributes
}
