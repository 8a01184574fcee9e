package cli_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"offramp/internal/cli"
)

// configured writes a small configuration with some policies.
func configured(t *testing.T, policies string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "offramp.yaml")
	text := `mode: observe
public_url: https://offramp.example.com
connections:
  - name: okta
    timezone: Europe/Vienna
    trust: {incidents: true}
organizations:
  - name: main
    scim_key: {env: KEY}
` + policies
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

type met struct {
	Person, Policy, Version, Why, Plan, Reason, Note string
	NotBefore                                        string `json:"not_before"`
	Failed                                           []string
	Revoke                                           []string
}

// check runs config check over a file of people.
func check(t *testing.T, config, name, people string, flags ...string) (code int, out, problem string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(people), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	args := append([]string{"config", "check", "--config", config, "--people", file}, flags...)
	code = cli.Run(t.Context(), cli.Env{
		Args: args, Stdout: &stdout, Stderr: &stderr, Environ: []string{"KEY=k"}, Now: noon,
	})
	return code, stdout.String(), stderr.String()
}

func decode(t *testing.T, text string) []met {
	t.Helper()
	var out []met
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

// example reads a ready-made file of policies.
func example(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "deploy", "examples", "policies", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// order is the one in which the ready-made policies belong into one list.
func order() []string {
	return []string{"security-incident", "termination", "contract-end", "role-change", "access-review", "sso-removal"}
}

func TestTheReadyMadePoliciesMeetWhoTheyAreFor(t *testing.T) {
	t.Parallel()
	found, err := filepath.Glob(filepath.Join("..", "..", "deploy", "examples", "policies", "*.yaml"))
	if err != nil || len(found) != len(order()) {
		t.Fatalf("%d files: %v, %v", len(found), found, err)
	}
	var all strings.Builder
	all.WriteString("policies:\n")
	for _, name := range order() {
		_, list, ok := strings.Cut(example(t, name), "\npolicies:\n")
		if !ok {
			t.Fatalf("%s is no complete snippet", name)
		}
		all.WriteString(list)
	}
	together := configured(t, all.String())
	for _, row := range []struct{ policy, person, reason, begins string }{
		{"security-incident", `"leaveReason": "security_incident"`, "security_incident", "2026-03-02T12:00:00Z"},
		{"termination", `"leaveReason": "termination", "department": "Sales"`, "termination", "2026-03-02T12:02:00Z"},
		{"contract-end", `"title": "Contractor"`, "deactivated", "2026-03-02T12:02:00Z"},
		{"contract-end", `"groups": ["Staff", "Agencies"]`, "deactivated", "2026-03-02T12:02:00Z"},
		{"contract-end", `"leaveDate": "2026-03-31", "was": {"leaveDate": ""}`, "contract_end", "2026-03-31T22:00:00Z"},
		{"role-change", `"department": "Sales", "was": {"department": "Analytics"}`, "role_change", "2026-03-02T12:02:00Z"},
		{"role-change", `"department": "Sales", "leaveDate": "2026-03-31", "was": {"department": "Growth"}`, "role_change", "2026-03-31T22:00:00Z"},
		{"access-review", `"leaveReason": "inactive"`, "inactive", "2026-03-05T12:00:00Z"},
		{"access-review", `"leaveReason": "access_review"`, "access_review", "2026-03-05T12:00:00Z"},
		{"sso-removal", `"department": "Sales"`, "deactivated", "2026-03-02T12:02:00Z"},
	} {
		for file, config := range map[string]string{"alone": configured(t, example(t, row.policy)), "with the others": together} {
			code, out, problem := check(t, config, "people.jsonl", `{"userName": "jo@example.com", `+row.person+"}\n", "--output", "json")
			if code != 0 {
				t.Fatalf("%s, %s: %s", row.policy, row.person, problem)
			}
			got := decode(t, out)
			if len(got) != 1 || got[0].Policy != row.policy || got[0].Reason != row.reason || got[0].NotBefore != row.begins ||
				got[0].Version == "" || got[0].Why == "" {
				t.Errorf("%s, %s: %+v", file, row.person, got)
			}
		}
	}
	code, out, problem := check(t, together, "people.jsonl", `{"userName": "jo@example.com", "department": "Product", "was": {"department": "Growth"}}`)
	for _, says := range []string{"policy role-change-read-only,", "plan mover", "keeps the seat, and is to have no more than direct role Viewer on every project"} {
		if code != 0 || !strings.Contains(strings.Join(strings.Fields(out), " "), says) {
			t.Errorf("who needs to read only: %d, %q is missing in\n%s%s", code, says, out, problem)
		}
	}
	code, out, problem = check(t, together, "people.jsonl", `{"userName": "jo@example.com", "department": "Growth", "was": {"department": "Analytics"}}`)
	if code != 0 || !strings.Contains(out, "no case opens") {
		t.Errorf("who moves between analytics teams: %d %s%s", code, out, problem)
	}
}

func TestPeopleAreReadAsATableAndToldWhyInWords(t *testing.T) {
	t.Parallel()
	config := configured(t, `policies:
  - name: tickets
    when: person.claims.ticket != "" && int(person.claims.ticket) > 0
  - name: staff
    when: '"Staff" in person.groups'
`)
	code, out, problem := check(t, config, "people.csv", "userName,groups,ticket\na@example.com,Sales;Staff,\nb@example.com,,HR-7\nc@example.com,,\n")
	if code != 1 || !strings.Contains(problem, "failed for 1 of 3 people") {
		t.Errorf("exit code %d: %s", code, problem)
	}
	for _, says := range []string{
		"a@example.com: policy staff,", `its condition holds: "Staff" in person.groups`,
		"b@example.com: policy built-in,", "the condition of tickets failed", "FAILED: tickets",
		"c@example.com: policy built-in,", "no policy's condition holds",
	} {
		if !strings.Contains(out, says) {
			t.Errorf("%q is missing in\n%s", says, out)
		}
	}
}

func TestAFileThatIsNoneOfPeopleIsRefused(t *testing.T) {
	t.Parallel()
	config := configured(t, "")
	for people, says := range map[string]string{
		"userName,departement\na@example.com,Sales\n":    `unknown field "departement"`,
		`{"userName": "a@example.com", "was": {"x": 1}}`: `unknown field "x"`,
		`{"userName": "a@example.com"} {}`:               "line 1: this is more than one value",
		"department\nSales\n":                            "person 1: give the userName",
		"userName,connection\na@example.com,entra\n":     "name one of the connections",
		"": "no head",
	} {
		code, _, problem := check(t, config, "people", people)
		if code != 1 || !strings.Contains(problem, says) {
			t.Errorf("%q: %d %s", people, code, problem)
		}
	}
	if code, _, problem := check(t, config, "people", "userName\n", "--output", "xml"); code != 2 {
		t.Errorf("exit code %d: %s", code, problem)
	}
}
