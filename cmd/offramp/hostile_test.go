package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"offramp/internal/store/storetest"
)

// The tests in this file send what kills or starves the SCIM library behind the
// guards, over the network, to the process that has to live on.

const (
	patchOp = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	core    = "urn:ietf:params:scim:schemas:core:2.0:User"
	ent     = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

// patch is a PATCH body around operations written as JSON.
func patch(operations string) string {
	return `{"schemas":["` + patchOp + `"],"Operations":[` + operations + `]}`
}

// survives checks that the process is the same one, answers, and never held
// more memory than a bound: race detection alone takes a good part of it.
func (b *bridge) survives() {
	b.t.Helper()
	const most = 512 << 10 // kB
	select {
	case <-b.process.ended:
		b.t.Fatal("the process died")
	default:
	}
	if a := b.idp(http.MethodGet, "/Users?count=1", nil); a.status != http.StatusOK {
		b.t.Fatalf("afterwards: %d %s", a.status, a.body)
	}
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(b.process.Process.Pid), "status"))
	if err != nil {
		b.t.Log("no /proc here, memory is not checked")
		return
	}
	for line := range strings.Lines(string(status)) {
		var peak int
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &peak); n == 1 && peak > most {
			b.t.Errorf("the process held up to %d MB, want at most %d", peak>>10, most>>10)
		}
	}
}

// refused checks that an answer is a SCIM error with the status.
func refused(t *testing.T, what string, a answer, status int, scimType string) {
	t.Helper()
	var e struct {
		Schemas                  []string
		Status, ScimType, Detail string
	}
	err := json.Unmarshal(a.body, &e)
	switch {
	case a.status != status || err != nil || e.Status != strconv.Itoa(status) || len(e.Schemas) != 1 || e.ScimType != scimType || e.Detail == "":
		t.Errorf("%s: %d %.300s, want a SCIM error %d %s", what, a.status, a.body, status, scimType)
	case !strings.HasPrefix(a.header.Get("Content-Type"), "application/scim+json"):
		t.Errorf("%s: content type %s", what, a.header.Get("Content-Type"))
	}
}

// oneOf checks a status where the server may also close the connection while
// the request is still being written: then there is none.
func oneOf(t *testing.T, what string, got int, want ...int) {
	t.Helper()
	if slices.Contains(want, got) {
		return
	}
	t.Errorf("%s: %d, want one of %v", what, got, want)
}

func TestDeepFiltersDoNotKillTheProcess(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "")
	b.start()
	const megabyte = 1 << 20
	for _, path := range []string{"/Users", "/Groups", "/Schemas", "/ResourceTypes", "/ServiceProviderConfig"} {
		code := http.StatusBadRequest
		if path[1] == 'S' || path[1] == 'R' {
			code = http.StatusForbidden // discovery has no filters
		}
		for name, filter := range map[string]string{
			"open":   strings.Repeat("(", megabyte),
			"nested": strings.Repeat("(", megabyte/2) + "userName pr" + strings.Repeat(")", megabyte/2),
			"not":    strings.Repeat("not%20(", megabyte/7),
		} {
			a := b.idp(http.MethodGet, path+"?filter="+filter, nil)
			oneOf(t, path+" "+name+" of 1 MB", a.status, http.StatusRequestHeaderFieldsTooLarge, 0)
		}
		// Below the limit of headers the guard decides.
		refused(t, path, b.idp(http.MethodGet, path+"?filter="+strings.Repeat("(", 12000), nil), code, map[int]string{http.StatusBadRequest: "invalidFilter"}[code])
		refused(t, path, b.idp(http.MethodGet, path+"?filter="+strings.Repeat("(", 200)+"userName%20pr"+strings.Repeat(")", 200), nil), code, map[int]string{http.StatusBadRequest: "invalidFilter"}[code])
		// A header of 1 MB, in one field and in a hundred.
		a := b.idp(http.MethodGet, path, nil, "X-Filter", strings.Repeat("(", megabyte))
		oneOf(t, path+" header", a.status, http.StatusRequestHeaderFieldsTooLarge, 0)
		var many []string
		for i := range 100 {
			many = append(many, fmt.Sprintf("X-Filter-%d", i), strings.Repeat("(", megabyte/100))
		}
		a = b.idp(http.MethodGet, path, nil, many...)
		oneOf(t, path+" headers", a.status, http.StatusRequestHeaderFieldsTooLarge, 0)
	}
	b.survives()
}

// TestAFilterSentInPiecesIsCutOff writes an endless request line byte block by
// byte block; the server must not wait for its end.
func TestAFilterSentInPiecesIsCutOff(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "")
	b.start()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", b.public)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	piece := []byte(strings.Repeat("(", 64<<10))
	_, err = conn.Write([]byte("GET /scim/v2/Schemas?filter="))
	sent := 0
	for ; err == nil && sent < 64<<20; sent += len(piece) {
		_, err = conn.Write(piece)
	}
	if err == nil {
		t.Errorf("%d MB of a request line were taken", sent>>20)
	}
	b.survives()
}

func TestFiltersThatPanicInTheLibrary(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "")
	b.start()
	var jo struct{ ID string }
	created := b.idp(http.MethodPost, "/Users", `{"schemas":["`+core+`","`+ent+`"],"userName":"jo@example.com","emails":[{"type":"work","value":"jo@example.com"}],"`+ent+`":{"department":"careful"}}`)
	if err := json.Unmarshal(created.body, &jo); err != nil || created.status != http.StatusCreated {
		t.Fatalf("%d %s", created.status, created.body)
	}
	id := jo.ID
	group := b.idp(http.MethodPost, "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Eng","members":[{"value":"`+id+`"}]}`)
	if group.status != http.StatusCreated {
		t.Fatalf("%d %s", group.status, group.body)
	}
	for _, path := range []string{"/Schemas", "/ResourceTypes", "/ServiceProviderConfig"} {
		for _, filter := range []string{`attributes eq "x"`, `schemas eq "x"`} {
			refused(t, path+" "+filter, b.idp(http.MethodGet, path+"?filter="+url.QueryEscape(filter), nil), http.StatusForbidden, "")
		}
	}
	for _, row := range []struct {
		path, filter string
		want         int
	}{
		{"/Users", `name eq "x"`, 400},
		{"/Users", `addresses eq "x"`, 400},
		{"/Users", `foo[bar eq "x"]`, 400},
		{"/Users", `emails co "jo@"`, 200},
		{"/Users", `emails.value eq "jo@example.com"`, 200},
		{"/Users", `userName eq "jo@example.com" and ` + ent + `:department eq "careful"`, 200},
		{"/Users", `userName eq "jo@example.com" and meta.resourceType eq "User"`, 200},
		{"/Groups", `members eq "` + id + `"`, 200},
		{"/Groups", `members co "x"`, 400},
	} {
		a := b.idp(http.MethodGet, row.path+"?filter="+url.QueryEscape(row.filter), nil)
		if a.status != row.want {
			t.Errorf("%s?filter=%s: %d %.200s, want %d", row.path, row.filter, a.status, a.body, row.want)
		}
		if row.want == 200 && !bytes.Contains(a.body, []byte(`"totalResults":1`)) {
			t.Errorf("%s?filter=%s does not find the one: %.200s", row.path, row.filter, a.body)
		}
	}
	b.survives()
}

// blanks is a body of n spaces.
func blanks(n int64) io.Reader { return io.LimitReader(space{}, n) }

type space struct{}

func (space) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestHugeRequestsAreRefusedCheaply(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "")
	b.start()
	id := b.hire("jo@example.com", "careful", "")
	for _, path := range []string{"/Users", "/Groups", "/Users/" + id} {
		method := http.MethodPost
		if strings.HasSuffix(path, id) {
			method = http.MethodPatch
		}
		// Without a length the limit is met while reading; a sender that does not
		// wait for answers may then find the connection closed.
		a := b.idp(method, path, blanks(64<<20))
		if oneOf(t, path+" 64 MB", a.status, http.StatusRequestEntityTooLarge, 0); a.status != 0 {
			refused(t, path, a, http.StatusRequestEntityTooLarge, "")
		}
		// With a length it is refused before a byte of it is sent.
		refused(t, path, b.idp(method, path, strings.Repeat(" ", 64<<20), "Expect", "100-continue"), http.StatusRequestEntityTooLarge, "")
	}
	long := strings.Repeat("a", 100<<10)
	for name, operation := range map[string]string{
		"path":   `{"op":"replace","path":"` + long + `","value":"x"}`,
		"filter": `{"op":"replace","path":"emails[value eq \"` + long + `\"].value","value":"x"}`,
		"deep":   `{"op":"replace","path":"emails[` + strings.Repeat("(", 100<<10) + `].value","value":"x"}`,
	} {
		refused(t, "a long "+name, b.idp(http.MethodPatch, "/Users/"+id, patch(operation)), http.StatusBadRequest, "invalidPath")
	}
	a := b.idp(http.MethodPatch, "/Users/"+id, patch(`{"op":"replace","value":{"`+long+`":"x"}}`))
	oneOf(t, "a long key", a.status, http.StatusBadRequest)
	many := strings.TrimSuffix(strings.Repeat(`{"op":"replace","path":"`+ent+`:department","value":"x"},`, 5000), ",")
	refused(t, "5,000 operations", b.idp(http.MethodPatch, "/Users/"+id, patch(many)), http.StatusRequestEntityTooLarge, "")
	for _, deep := range []string{strings.Repeat("[", 500000), strings.Repeat(`{"a":`, 150000)} {
		a := b.idp(http.MethodPost, "/Users", deep)
		refused(t, "deep JSON", a, http.StatusBadRequest, "invalidSyntax")
	}
	b.survives()
	if n := len(b.cases()); n != 0 {
		t.Errorf("%d cases were opened", n)
	}
}

// TestReadsAndWritesAtOnce writes a person and a group while others read them:
// what is being answered must not be what is being changed.
func TestReadsAndWritesAtOnce(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "")
	b.start()
	id := b.hire("jo@example.com", "careful", "")
	var group struct{ ID string }
	created := b.idp(http.MethodPost, "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Eng"}`)
	if err := json.Unmarshal(created.body, &group); err != nil || group.ID == "" {
		t.Fatalf("%d %s", created.status, created.body)
	}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 25 {
				var a answer
				switch worker % 4 {
				case 0:
					a = b.idp(http.MethodPatch, "/Users/"+id, patch(fmt.Sprintf(`{"op":"replace","path":"title","value":"%d.%d"}`, worker, i)))
				case 1:
					a = b.idp(http.MethodPatch, "/Groups/"+group.ID, patch(fmt.Sprintf(`{"op":%q,"path":"members","value":[{"value":%q}]}`, []string{"add", "remove"}[i%2], id)))
				case 2:
					a = b.idp(http.MethodGet, "/Users/"+id, nil)
				default:
					a = b.idp(http.MethodGet, "/Groups", nil)
				}
				if a.status != http.StatusOK && a.status != http.StatusNoContent {
					t.Errorf("%d %s", a.status, a.body)
				}
				if a.status == http.StatusOK && !json.Valid(a.body) {
					t.Errorf("torn answer: %s", a.body)
				}
			}
		})
	}
	all.Wait()
	b.survives()
	if log := mustRead(t, b.log.Name()); bytes.Contains(log, []byte("DATA RACE")) || bytes.Contains(log, []byte("scim panic")) {
		t.Error("the log tells of a race or a panic")
	}
}

// TestADatabaseErrorStaysInside breaks the record under a running bridge: the
// provider learns that there was an error and under which request the operator
// finds it, and nothing of what the database said.
func TestADatabaseErrorStaysInside(t *testing.T) {
	t.Parallel()
	dsn := storetest.Postgres(t)
	b := newBridge(t, dsn)
	b.start()
	id := b.hire("jo@example.com", "careful", "")
	execute(t, dsn, `alter table person rename to person_elsewhere`)
	for what, a := range map[string]answer{
		"get":    b.idp(http.MethodGet, "/Users/"+id, nil),
		"list":   b.idp(http.MethodGet, "/Users", nil),
		"create": b.idp(http.MethodPost, "/Users", `{"schemas":["`+core+`"],"userName":"lee@example.com"}`),
		"patch":  b.idp(http.MethodPatch, "/Users/"+id, patch(`{"op":"replace","value":{"active":false}}`)),
		"delete": b.idp(http.MethodDelete, "/Users/"+id, nil),
	} {
		refused(t, what, a, http.StatusInternalServerError, "")
		for _, inner := range []string{"person", "SQL", "sql", "42P01", "relation", "pgx", "postgres", "jo@example.com"} {
			if bytes.Contains(a.body, []byte(inner)) {
				t.Errorf("%s: the answer tells of %q: %s", what, inner, a.body)
			}
		}
		if request := a.header.Get("X-Request-Id"); request == "" || !bytes.Contains(a.body, []byte(request)) || !bytes.Contains(mustRead(t, b.log.Name()), []byte(request)) {
			t.Errorf("%s: request %q is not both in the answer and in the log: %s", what, request, a.body)
		}
	}
	execute(t, dsn, `alter table person_elsewhere rename to person`)
	b.survives()
	if n := len(b.cases()); n != 0 {
		t.Errorf("%d cases were opened by writes that failed", n)
	}
}

// execute runs a statement on a PostgreSQL database.
func execute(t *testing.T, dsn, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatal(err)
	}
}
