package console_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	roles := []string{"viewer", "operator", "approver", "admin"}
	for _, row := range []struct {
		method, path string
		may          string
	}{
		{"GET", "/cases", "viewer operator approver admin"},
		{"POST", "/cases", "operator admin"},
		{"GET", "/cases/case-1", "viewer operator approver admin"},
		{"POST", "/cases/case-1/approve", "approver admin"},
		{"POST", "/cases/case-1/hold", "operator admin"},
		{"POST", "/cases/case-1/release", "operator admin"},
		{"POST", "/cases/case-1/cancel", "operator admin"},
		{"POST", "/cases/case-1/retry", "operator admin"},
		{"POST", "/cases/case-1/expedite", "operator admin"},
		{"POST", "/cases/case-1/resolve", "operator admin"},
		{"GET", "/tasks", "viewer operator approver admin"},
		{"POST", "/tasks/task-1/done", "operator admin"},
		{"POST", "/tasks/task-1/decline", "operator admin"},
		{"GET", "/tokens?connection=okta", "viewer operator approver admin"},
		{"POST", "/tokens", "admin"},
		{"DELETE", "/tokens/token-1?connection=okta", "admin"},
		{"GET", "/pause", "viewer operator approver admin"},
		{"PUT", "/pause", "admin"},
		{"DELETE", "/pause", "admin"},
		{"GET", "/status", "viewer operator approver admin"},
	} {
		t.Run(row.method+" "+row.path, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			for _, token := range []string{"", "wrong"} {
				d.want(401, "send the token of an operator", token, row.method, "/api/v1"+row.path, "")
			}
			for _, role := range roles {
				code, body := d.ask(role, row.method, "/api/v1"+row.path, "")
				allowed := code != http.StatusForbidden && code != http.StatusUnauthorized
				if allowed != strings.Contains(row.may, role) {
					t.Errorf("%s: got %d %s", role, code, body)
				}
			}
		})
	}
}

func TestATokenIsABearerToken(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.want(401, "", "", "GET", "/api/v1/cases", "", "Authorization", "Basic YTphZG1pbg==")
	d.want(401, "", "", "GET", "/api/v1/cases", "", "Authorization", "Bearer ")
	d.want(200, "", "", "GET", "/api/v1/cases", "", "Authorization", "bearer viewer")
	d.want(401, "", "", "GET", "/api/v1/cases", "", "Authorization", "Bearer "+hash("admin"))
}

func TestPagesShowAndChangeNothing(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.want(401, "log in", "", "GET", "/", "")
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?state=waiting", nil)
	r.SetBasicAuth("anybody", "viewer")
	w := httptest.NewRecorder()
	d.console.Admin().ServeHTTP(w, r)
	if w.Code != 200 || !strings.Contains(w.Body.String(), `<a href="/cases/case-1">lee@example.com</a>`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	page := d.want(200, "Lee &lt;b&gt;", "viewer", "GET", "/cases/case-1", "")
	if strings.Contains(page, "<form") || strings.Contains(page, "<script") {
		t.Error("the page has a form or a script")
	}
	d.want(404, "no such case", "viewer", "GET", "/cases/case-9", "")
	d.want(400, "has to be one of", "viewer", "GET", "/?state=lost", "")
	d.want(405, "", "admin", "POST", "/", "")
}

func TestHooksCallBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.receipts["secret-1"] = "case-1/handover/x"
	call := func(method, path, body string) int {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		w := httptest.NewRecorder()
		d.console.Hooks().ServeHTTP(w, r)
		if strings.Contains(w.Body.String(), "case") || strings.Contains(w.Body.String(), "lee") {
			t.Errorf("the answer tells too much: %s", w.Body)
		}
		return w.Code
	}
	for _, row := range []struct {
		story, method, path, body string
		want                      int
	}{
		{"garbage is refused and leaves the receipt good", "POST", "/hooks/secret-1", "garbage", 400},
		{"so is a flood", "POST", "/hooks/secret-1", strings.Repeat("x", 64<<10+1), 413},
		{"still at work leaves it good too", "POST", "/hooks/secret-1", "accepted", 202},
		{"nothing is read here", "GET", "/hooks/secret-1", "", 405},
		{"an unknown receipt", "POST", "/hooks/secret-2", "done", 404},
		{"an unknown path", "POST", "/hooks/", "done", 404},
		{"the answer is taken", "POST", "/hooks/secret-1", "done", 204},
		{"once", "POST", "/hooks/secret-1", "done", 404},
	} {
		if got := call(row.method, row.path, row.body); got != row.want {
			t.Errorf("%s: got %d, want %d", row.story, got, row.want)
		}
	}
	if e := d.timeline["case-1"]; len(e) != 1 || e[0].Text != "case-1/handover/x" {
		t.Errorf("got timeline %+v", e)
	}
}
