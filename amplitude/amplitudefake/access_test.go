package amplitudefake_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	sim "offramp/amplitude/amplitudefake"
)

func (w *world) org(path string) string {
	if strings.Contains(path, "?") {
		return path + "&orgId=" + strconv.Itoa(w.creds.OrgID)
	}
	return path + "?orgId=" + strconv.Itoa(w.creds.OrgID)
}

type assignments struct {
	Data []struct {
		ID            string
		PrincipalType string
		PrincipalID   string
		ProjectID     int
		RoleID        string
	}
	Pagination struct{ NextCursor string }
}

// roleID looks a role up by name.
func (w *world) roleID(name string) string {
	w.t.Helper()
	var out struct{ Data []struct{ ID, Name string } }
	w.access("GET", w.org("/roles"), nil).want(200).into(&out)
	for _, r := range out.Data {
		if r.Name == name {
			return r.ID
		}
	}
	w.t.Fatalf("no role %s", name)
	return ""
}

func TestUserManagementWantsKeysOrganizationAndEnrolment(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.send("GET", w.org("/user-management/1/roles"), nil).want(401)
	w.send("GET", w.org("/user-management/1/roles"), nil, basic(w.creds.OrgKey, "wrong")).want(401)
	w.access("GET", "/roles", nil).want(400)
	w.access("GET", "/roles?orgId=1", nil).want(403)
	w.access("GET", w.org("/roles"), nil).want(200).has(sim.RoleViewer, sim.RoleMember, sim.RoleManager, sim.RoleAdmin)
	w.set("enrolled", "false")
	got := w.access("GET", w.org("/roles"), nil).want(403).has(`"code":"org_not_enrolled"`)
	if kind := got.header.Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("content type %q", kind)
	}
}

func TestAnAssignmentIsMadeChangedAndTakenAway(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.people("jo@example.com")
	p := w.creds.Projects[0].ID
	body := map[string]any{"principalType": "user", "principalId": "jo@example.com", "projectId": p, "roleId": w.roleID(sim.RoleManager)}
	var made struct{ ID, PrincipalID string }
	w.access("POST", w.org("/project-role-assignments"), body).want(201).into(&made)
	w.access("POST", w.org("/project-role-assignments"), body).want(409)
	one := w.org("/project-role-assignments/" + made.ID)
	w.access("GET", one, nil).want(200).has(`"principalType":"user"`, fmt.Sprintf(`"projectId":%d`, p))
	viewer := w.roleID(sim.RoleViewer)
	w.access("PATCH", one, map[string]string{"roleId": viewer}).want(200).has(viewer)
	w.access("PATCH", one, map[string]any{"roleId": viewer, "projectId": 1}).want(400)
	w.access("PATCH", one, map[string]string{"roleId": "nonsense"}).want(400)
	w.access("DELETE", one, nil).want(200).has(`"deleted":{`, made.ID)
	w.access("GET", one, nil).want(404)
	if got := w.effects(); !slices.Equal(got, []string{"role granted", "role changed", "role removed"}) {
		t.Errorf("effects %v", got)
	}
}

func TestAssignmentsPageByOpaqueCursorAndFilter(t *testing.T) {
	w := newWorld(t, sim.Options{})
	p, q := w.creds.Projects[0].ID, w.creds.Projects[1].ID
	for i := range 230 {
		w.add(sim.Member{Email: fmt.Sprintf("p%d@example.com", i), Projects: map[int]string{p: sim.RoleViewer, q: sim.RoleMember}})
	}
	g, err := w.AddGroup(sim.Group{Name: "G", Projects: map[int]string{p: sim.RoleManager}})
	if err != nil {
		t.Fatal(err)
	}
	count := func(query string) (pages []int) {
		cursor := ""
		for {
			var out assignments
			w.access("GET", w.org("/project-role-assignments?"+query+"&cursor="+cursor), nil).want(200).into(&out)
			pages = append(pages, len(out.Data))
			if cursor = out.Pagination.NextCursor; cursor == "" {
				return pages
			}
		}
	}
	if got := count("limit=500"); !slices.Equal(got, []int{200, 200, 61}) {
		t.Errorf("everything in pages %v", got)
	}
	if got := count(fmt.Sprintf("projectId=%d&limit=200", p)); !slices.Equal(got, []int{200, 31}) {
		t.Errorf("a project in pages %v", got)
	}
	if got := count("principalId=P7@example.com&limit=1"); !slices.Equal(got, []int{1, 1}) {
		t.Errorf("a person in pages %v", got)
	}
	var out assignments
	w.access("GET", w.org("/project-role-assignments?principalId="+strconv.Itoa(g)), nil).into(&out)
	if len(out.Data) != 1 || out.Data[0].PrincipalID != strconv.Itoa(g) || out.Data[0].PrincipalType != "group" {
		t.Errorf("group assignments %+v", out.Data)
	}
	w.access("GET", w.org("/project-role-assignments?cursor=!"), nil).want(400)
	w.access("GET", w.org("/project-role-assignments?limit=0"), nil).want(400)
}

func TestAccessThroughGroupsShowsOnlyInResolvedAccess(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.people("jo@example.com", "none@example.com")
	w.add(sim.Member{Email: "root@example.com", Role: sim.RoleAdmin})
	p := w.creds.Projects[0].ID
	g, err := w.AddGroup(sim.Group{Name: "G", Members: []string{"jo@example.com"}, Projects: map[int]string{p: sim.RoleManager}})
	if err != nil {
		t.Fatal(err)
	}
	w.access("GET", w.org("/project-role-assignments?principalId=jo@example.com"), nil).want(200).has(`"data":[]`)
	project := fmt.Sprintf("/projects/%d/access", p)
	got := w.access("GET", w.org(project), nil).want(200)
	got.has(`"principalId":"jo@example.com"`, `"name":"Manager"`, `"type":"group"`, fmt.Sprintf(`"appId":%d`, p), "root@example.com", `"name":"Admin"`)
	got.lacks("none@example.com")
	w.access("GET", w.org("/users/jo@example.com/access"), nil).want(200).has(`"name":"Manager"`)
	w.access("GET", w.org("/users/nobody@example.com/access"), nil).want(404)

	for page, cursor := 0, ""; ; page++ {
		var out assignments
		w.access("GET", w.org(project+"?limit=1&cursor="+cursor), nil).want(200).into(&out)
		if len(out.Data) != 1 {
			t.Fatalf("page %d has %d items", page, len(out.Data))
		}
		if cursor = out.Pagination.NextCursor; cursor == "" {
			if page != 2 {
				t.Errorf("group, member and admin in %d pages", page+1)
			}
			break
		}
	}

	w.access("DELETE", w.org(fmt.Sprintf("/groups/%d/users/jo@example.com", g)), nil).want(200)
	w.access("GET", w.org(project), nil).lacks("jo@example.com")
	w.scim("GET", "/Users/jo@example.com", nil).want(200)
}

func TestRemovingAMemberTakesTheirAssignments(t *testing.T) {
	w := newWorld(t, sim.Options{Switches: map[string]string{"list_lag": "30s"}})
	w.add(sim.Member{Email: "jo@example.com", Projects: map[int]string{w.creds.Projects[0].ID: sim.RoleManager}})
	w.scim("DELETE", "/Users/jo@example.com", nil).want(204)
	path := w.org("/project-role-assignments?principalId=jo@example.com")
	w.access("GET", path, nil).want(200).has("jo@example.com")
	w.advance(30e9)
	w.access("GET", path, nil).want(200).lacks("jo@example.com")
}
