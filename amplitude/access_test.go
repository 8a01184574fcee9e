package amplitude_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"offramp/amplitude"
)

const assignmentPage = `{"data":[
	{"id":"pra_1","principalType":"user","principalId":"Jo.Smith@example.com","projectId":187520,"roleId":"2d5c6b1e-0000-4000-8000-000000000001"},
	{"id":"pra_2","principalType":"user","principalId":"al@example.com","projectId":187520,"roleId":"r"},
	{"id":"pra_3","principalType":"group","principalId":"632","projectId":187521,"roleId":"r"}],
	"pagination":{"nextCursor":"b&c="}}`

func TestAssignmentsOfOneMember(t *testing.T) {
	s := play(recorded{Body: assignmentPage}, recorded{Body: `{"data":[],"pagination":{"nextCursor":null}}`})
	got, err := against(t, s).Assignments(t.Context(), leaver)
	if err != nil {
		t.Fatal(err)
	}
	want := []amplitude.Assignment{{
		ID: "pra_1", PrincipalType: "user", PrincipalID: "Jo.Smith@example.com", ProjectID: projectID,
		RoleID: "2d5c6b1e-0000-4000-8000-000000000001",
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("assignments are %+v", got)
	}
	base := "/user-management/1/project-role-assignments?orgId=36958&principalId=jo.smith%40example.com&limit=200"
	if r := s.requests(); len(r) != 2 || r[0].URI != base || r[1].URI != base+"&cursor=b%26c%3D" {
		t.Errorf("asked %+v", r)
	}
}

func TestAccessKeepsTheEntriesAsTheyCame(t *testing.T) {
	body := `{"data":[
		{"principalId":"jo.smith@example.com","principalType":"user","appId":187520,"role":{"id":"r1","name":"Manager"},"grantedBy":"group"},
		{"principalId":"632","principalType":"group","appId":"187520","role":"Viewer"}],"pagination":{}}`
	s := says(body)
	got, err := against(t, s).ProjectAccess(t.Context(), projectID)
	if err != nil || len(got) != 2 {
		t.Fatalf("access is %+v, %v", got, err)
	}
	if g := got[0]; g.ProjectID != projectID || g.RoleID != "r1" || g.RoleName != "Manager" || !strings.Contains(string(g.Raw), `"grantedBy":"group"`) {
		t.Errorf("grant is %+v", g)
	}
	if g := got[1]; g.PrincipalID != "632" || g.ProjectID != projectID || g.RoleName != "Viewer" {
		t.Errorf("grant is %+v", g)
	}
	if uri := s.only(t).URI; uri != "/user-management/1/projects/187520/access?orgId=36958&limit=200" {
		t.Errorf("asked %s", uri)
	}
	own := says(`{"data":[{"principalId":"JO.SMITH@example.com","principalType":"user","appId":1,"role":{"name":"Admin"}}]}`)
	if got, err := against(t, own).Access(t.Context(), leaver); err != nil || len(got) != 1 {
		t.Errorf("access of a member is %+v, %v", got, err)
	}
	if uri := own.only(t).URI; uri != "/user-management/1/users/jo.smith@example.com/access?orgId=36958&limit=200" {
		t.Errorf("asked %s", uri)
	}
	other := says(`{"data":[{"principalId":"al@example.com","principalType":"user","appId":1}]}`)
	if _, err := against(t, other).Access(t.Context(), leaver); err == nil {
		t.Error("access of somebody else was taken")
	}
}

func TestRolesAndTheirChanges(t *testing.T) {
	s := says(`{"data":[{"id":"r1","name":"Viewer"}],"pagination":{"nextCursor":""}}`)
	c := against(t, s)
	ctx := t.Context()
	roles, err := c.Roles(ctx)
	if err != nil || !reflect.DeepEqual(roles, []amplitude.Role{{ID: "r1", Name: "Viewer"}}) {
		t.Errorf("roles are %+v, %v", roles, err)
	}
	if err := c.Assign(ctx, leaver, projectID, "r1"); err != nil {
		t.Error(err)
	}
	if err := c.ChangeRole(ctx, "pra/1", "r1"); err != nil {
		t.Error(err)
	}
	if err := c.DeleteAssignment(ctx, "pra_1"); err != nil {
		t.Error(err)
	}
	want := []asked{
		{Method: "GET", URI: "/user-management/1/roles?orgId=36958&limit=200"},
		{Method: "POST", URI: "/user-management/1/project-role-assignments?orgId=36958", Body: `{"principalId":"jo.smith@example.com","principalType":"user","projectId":187520,"roleId":"r1"}`},
		{Method: "PATCH", URI: "/user-management/1/project-role-assignments/pra%2F1?orgId=36958", Body: `{"roleId":"r1"}`},
		{Method: "DELETE", URI: "/user-management/1/project-role-assignments/pra_1?orgId=36958"},
	}
	for i, r := range s.requests() {
		if r.Method != want[i].Method || r.URI != want[i].URI || r.Body != want[i].Body {
			t.Errorf("asked %s %s %s", r.Method, r.URI, r.Body)
		}
	}
	if err := against(t, play(recorded{Status: 404})).DeleteAssignment(ctx, "pra_1"); err != nil {
		t.Errorf("deleting what is gone: %v", err)
	}
	if err := against(t, play(recorded{Status: 409})).Assign(ctx, leaver, projectID, "r1"); asError(t, err).Status != 409 {
		t.Errorf("assigning twice: %v", err)
	}
}

func TestAnOrganizationThatIsNotEnrolled(t *testing.T) {
	for _, body := range []string{
		`{"type":"about:blank","title":"Forbidden","status":403,"code":"org_not_enrolled"}`,
		`{"type":"https://amplitude.com/errors/org-not-enrolled","title":"Forbidden"}`,
		`{"error":"org_not_enrolled"}`,
		`{"error":{"code":"org_not_enrolled","message":"no"}}`,
		`{"error_code":"org_not_enrolled"}`,
	} {
		_, err := against(t, play(recorded{Status: 403, Body: body})).Roles(t.Context())
		if e := asError(t, err); !errors.Is(err, amplitude.ErrNotEnrolled) || e.Unauthorized() || e.Temporary() {
			t.Errorf("%s gives %v", body, err)
		}
	}
	_, err := against(t, play(recorded{Status: 403})).Roles(t.Context())
	if errors.Is(err, amplitude.ErrNotEnrolled) || !asError(t, err).Unauthorized() {
		t.Errorf("a plain 403 gives %v", err)
	}
}

func TestAListThatNeverEndsIsAnError(t *testing.T) {
	s := says(`{"data":[],"pagination":{"nextCursor":"again"}}`)
	_, err := against(t, s).Roles(t.Context())
	if asError(t, err).Temporary() || len(s.requests()) != 2 {
		t.Errorf("%d requests, %v", len(s.requests()), err)
	}
	if _, err := against(t, says(`{"pagination":{}}`)).Roles(t.Context()); err == nil {
		t.Error("an answer without data was taken")
	}
}
