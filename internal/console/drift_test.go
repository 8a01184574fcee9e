package console_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"offramp/internal/console"
	"offramp/internal/offboard"
)

// differs is a desk whose organization main differs from what is meant.
func differs(t *testing.T) *desk {
	t.Helper()
	d := newDesk(t)
	d.people = append(d.people, &offboard.Person{ID: "jo", Connection: "okta", UserName: "jo@example.com", Address: "jo@example.com", Resource: "{}"})
	find := func(id string, kind offboard.FindingKind, address, person string) offboard.Finding {
		return offboard.Finding{
			ID: id, Kind: kind, Severity: kind.Severity(), Organization: "main", Connection: "okta", Address: address, PersonID: person,
			Reason: offboard.Deactivated, State: offboard.FindingOpen, FirstSeen: noon(), LastSeen: noon(), Proposed: "ask",
		}
	}
	d.found = []offboard.Finding{
		find("f1", offboard.LeaverStillThere, "jo@example.com", "jo"),
		find("f2", offboard.UnknownToIdP, "eve@example.com", ""),
		find("f3", offboard.DeadOwner, "left@example.com", ""),
	}
	d.sweeps = []offboard.Sweep{{Organization: "main", Number: 4, Members: 12, Note: "admins were not looked at"}}
	return d
}

func TestFindingsAreListedWithHowFreshTheyAre(t *testing.T) {
	t.Parallel()
	d := differs(t)
	body := d.want(200, `"note":"admins were not looked at"`, "viewer", "GET", "/api/v1/drift", "")
	var all console.FindingList
	if err := json.Unmarshal([]byte(body), &all); err != nil || len(all.Findings) != 3 || len(all.Sweeps) != 2 || all.Sweeps[0].Members != 12 {
		t.Errorf("%v: %s", err, body)
	}
	d.want(200, `"id":"f2"`, "viewer", "GET", "/api/v1/drift?kind=unknown_to_idp", "")
	d.want(200, `"id":"f1"`, "viewer", "GET", "/api/v1/drift/f1", "")
	d.want(404, "no such record", "viewer", "GET", "/api/v1/drift/f9", "")
	d.want(400, "has to be one of", "viewer", "GET", "/api/v1/drift?kind=nonsense", "")
	d.want(403, "the role operator", "viewer", "POST", "/api/v1/drift/run", "{}")
	d.want(202, `"asked":"`, "operator", "POST", "/api/v1/drift/run", `{"organization":"eu"}`)
	d.want(422, "has to be one of", "operator", "POST", "/api/v1/drift/run", `{"organization":"nowhere"}`)
}

func TestAFixIsToldBeforeItIsDone(t *testing.T) {
	t.Parallel()
	d := differs(t)
	fix := func(part, body string) console.FixResult {
		t.Helper()
		var out console.FixResult
		if err := json.Unmarshal([]byte(d.want(200, part, "operator", "POST", "/api/v1/drift/fix", body)), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	before := len(d.files)
	if out := fix("open a case for exactly jo@example.com through connection okta", `{}`); len(out.Fixed) != 1 || out.Applied {
		t.Errorf("all: %+v", out)
	}
	fix("open a case for exactly eve@example.com", `{"findings":["f2"]}`)
	fix(`"refused":"no case can be opened for it: ask"`, `{"findings":["f3"]}`)
	if len(d.files) != before {
		t.Fatal("a case was opened without --apply")
	}
	out := fix(`"case":"`, `{"apply":true}`)
	if len(d.files) != before+1 || d.found[0].CaseID != out.Fixed[0].Case {
		t.Errorf("applied: %+v, finding %+v", out, d.found[0])
	}
	fix("a case is live for this person already", `{"apply":true}`)
	out = fix(`"case":"`, `{"apply":true,"findings":["f2"],"because":"asked the team"}`)
	if k := d.files[out.Fixed[0].Case].Case; !strings.Contains(k.Trigger, "unknown_to_idp") || !strings.HasSuffix(k.Trigger, ": asked the team") {
		t.Errorf("trigger %q", k.Trigger)
	}
	d.want(404, "there is no finding", "operator", "POST", "/api/v1/drift/fix", `{"findings":["f9"]}`)
	d.want(403, "the role operator", "viewer", "POST", "/api/v1/drift/fix", `{}`)
}

func fixed(t *testing.T, d *desk, body string) console.FixResult {
	t.Helper()
	var out console.FixResult
	if err := json.Unmarshal([]byte(d.want(200, "", "operator", "POST", "/api/v1/drift/fix", body)), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestWhatAFixTellsIsWhatItDoes asks first, and then lets it be done: both decide alike.
func TestWhatAFixTellsIsWhatItDoes(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		before  func(d *desk)
		ask     string
		refused string
	}{
		"a leaver": {func(*desk) {}, `"findings":["f1"]`, ""},
		"a leaver with a live case": {
			func(d *desk) { fixed(d.t, d, `{"apply":true}`) }, `"findings":["f1"]`, "a case is live for this person already",
		},
		"somebody who is welcome again": {
			func(d *desk) { d.people[len(d.people)-1].Active = true }, `"findings":["f1"]`, "the person is entitled to a seat now",
		},
		"a member whom nobody knows": {func(*desk) {}, `"findings":["f2"]`, ""},
		"a member who is known by now": {
			func(d *desk) {
				d.people = append(d.people, &offboard.Person{ID: "eve", Connection: "okta", UserName: "eve@example.com", Address: "eve@example.com", Resource: "{}"})
			}, `"findings":["f2"]`, "an identity provider knows the address by now",
		},
		"a member whose case is live": {
			func(d *desk) { fixed(d.t, d, `{"apply":true,"findings":["f2"]}`) }, `"findings":["f2"]`, "a case is live for this person already",
		},
		"somebody who is on record no longer": {
			func(d *desk) { d.found[0].PersonID = "gone" }, `"findings":["f1"]`, "on record no longer",
		},
		"an incident among others": {
			func(d *desk) { d.found[0].Reason = offboard.SecurityIncident }, `"findings":[]`, "name the finding by its id",
		},
		"an incident by its name": {
			func(d *desk) { d.found[0].Reason = offboard.SecurityIncident }, `"findings":["f1"]`, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := differs(t)
			story.before(d)
			people, files := len(d.people), len(d.files)
			told := fixed(t, d, `{`+story.ask+`}`)
			if len(d.people) != people || len(d.files) != files {
				t.Error("what is only told was recorded")
			}
			done := fixed(t, d, `{"apply":true,`+story.ask+`}`)
			if len(told.Fixed) != 1 || len(done.Fixed) != 1 {
				t.Fatalf("told %+v, done %+v", told, done)
			}
			a, b := told.Fixed[0], done.Fixed[0]
			if a.Does != b.Does || a.Refused != b.Refused || (a.Refused == "") != (story.refused == "") || !strings.Contains(a.Refused, story.refused) {
				t.Errorf("told %+v, done %+v", a, b)
			}
			if opened := b.Case != ""; opened != (story.refused == "") || opened && b.State == "" {
				t.Errorf("done %+v", b)
			}
		})
	}
}

func TestOneFindingThatFailsTakesNoOtherWithIt(t *testing.T) {
	t.Parallel()
	d := differs(t)
	lost := d.found[0]
	lost.ID, lost.PersonID = "f0", "gone"
	d.found = append(d.found, lost)
	out := fixed(t, d, `{"apply":true}`)
	if len(out.Fixed) != 2 || len(d.files) == 0 {
		t.Fatalf("%+v", out)
	}
	for _, f := range out.Fixed {
		if opened := f.Finding == "f1"; opened != (f.Case != "") || opened != (f.Refused == "") {
			t.Errorf("%+v", f)
		}
	}
}

func TestAFindingIsPutAside(t *testing.T) {
	t.Parallel()
	d := differs(t)
	until := noon().Add(48 * time.Hour).Format(time.RFC3339)
	ask := func(status int, part, body string) {
		t.Helper()
		d.want(status, part, "operator", "POST", "/api/v1/drift/f2/acknowledge", body)
	}
	ask(422, "say why", `{"until":"`+until+`"}`)
	ask(422, "in the future", `{"because":"a bot","until":"2020-01-01T00:00:00Z"}`)
	ask(200, `"acknowledged_by":"the-operator"`, `{"because":"a bot","until":"`+until+`"}`)
	if body := d.want(200, "", "viewer", "GET", "/api/v1/drift", ""); strings.Contains(body, `"f2"`) {
		t.Errorf("it is still listed: %s", body)
	}
	d.want(200, `"state":"acknowledged"`, "viewer", "GET", "/api/v1/drift?all=true", "")
}
