package console_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"offramp/internal/console"
	"offramp/internal/offboard"
)

type document struct {
	OpenAPI    string                                `json:"openapi"`
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Schemas map[string]struct {
			Enum       []string                   `json:"enum"`
			Required   []string                   `json:"required"`
			Properties map[string]json.RawMessage `json:"properties"`
		} `json:"schemas"`
	} `json:"components"`
}

func read(t *testing.T) (doc document, text string) {
	t.Helper()
	text = newDesk(t).want(200, "", "", "GET", "/api/v1/openapi.json", "")
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return doc, text
}

func TestTheDescriptionHasTheRoutesAndTheirRoles(t *testing.T) {
	t.Parallel()
	doc, _ := read(t)
	var described []string
	for path, operations := range doc.Paths {
		for method, body := range operations {
			if method == "parameters" {
				continue
			}
			var o struct {
				Role string `json:"x-role"`
			}
			if err := json.Unmarshal(body, &o); err != nil {
				t.Fatal(err)
			}
			described = append(described, strings.ToUpper(method)+" "+path+" "+o.Role)
		}
	}
	routes := console.Operations()
	slices.Sort(described)
	slices.Sort(routes)
	if !slices.Equal(described, routes) {
		t.Errorf("described\n%s\nserved\n%s", strings.Join(described, "\n"), strings.Join(routes, "\n"))
	}
}

func TestTheDescriptionHasWhatIsSentAndTaken(t *testing.T) {
	t.Parallel()
	doc, text := read(t)
	types := map[string]any{
		"Problem": console.Problem{}, "Case": console.Case{}, "CaseFile": console.CaseFile{}, "Decision": console.Decision{},
		"Step": console.Step{}, "Asset": console.Asset{}, "Task": console.Task{}, "Approval": console.Approval{},
		"Effect": console.Effect{}, "Rotation": console.Rotation{}, "Entry": console.Entry{}, "RotationList": console.RotationList{}, "NoteRequest": console.NoteRequest{}, "CaseList": console.CaseList{},
		"TaskList": console.TaskList{}, "Token": console.Token{}, "TokenList": console.TokenList{}, "NewToken": console.NewToken{},
		"Pause": console.Pause{}, "PastPause": console.PastPause{}, "CaseCount": console.CaseCount{}, "BudgetLoad": console.BudgetLoad{}, "Status": console.Status{}, "OpenRequest": console.OpenRequest{},
		"ApproveRequest": console.ApproveRequest{}, "BecauseRequest": console.BecauseRequest{},
		"Attachment": offboard.Attachment{}, "ResolveRequest": console.ResolveRequest{}, "DoneRequest": console.DoneRequest{},
		"Explanation": console.Explanation{}, "Sentence": offboard.Sentence{}, "TokenRequest": console.TokenRequest{}, "PauseRequest": console.PauseRequest{},
		"Needed": console.Needed{}, "NeededRole": console.NeededRole{}, "RuleAsked": offboard.RuleAsked{},
		"LinkRequest": console.LinkRequest{}, "NewLink": console.NewLink{},
		"BatchResult": console.BatchResult{}, "RetryRequest": console.RetryRequest{}, "Brake": console.Brake{}, "BrakedCase": console.BrakedCase{}, "BrakeList": console.BrakeList{},
		"BrakeRequest": console.BrakeRequest{}, "BrakeResult": console.BrakeResult{}, "SunsetRequest": console.SunsetRequest{}, "SunsetResult": console.SunsetResult{}, "Left": console.Left{},
		"Finding": console.Finding{}, "FindingList": console.FindingList{}, "Sweep": console.Sweep{}, "SweepList": console.SweepList{},
		"SweepRequest": console.SweepRequest{}, "FixRequest": console.FixRequest{}, "Fixed": console.Fixed{}, "FixResult": console.FixResult{},
		"AcknowledgeRequest": console.AcknowledgeRequest{},
		"Review":             console.Review{}, "Progress": offboard.Progress{}, "ReviewItem": console.ReviewItem{},
		"ReviewedSeat": offboard.ReviewedSeat{}, "ReviewList": console.ReviewList{}, "ReviewRequest": console.ReviewRequest{}, "ReviewWord": console.ReviewWord{},
		"ReviewResult": console.ReviewResult{}, "ReviewDecided": offboard.ReviewDecided{}, "ReviewSaid": offboard.ReviewWord{}, "Report": console.Report{},
	}
	for name, schema := range doc.Components.Schemas {
		if len(schema.Enum) > 0 {
			continue
		}
		of, ok := types[name]
		if !ok {
			t.Errorf("schema %s describes nothing", name)
			continue
		}
		delete(types, name)
		all, always := fields(reflect.TypeOf(of))
		var described []string
		for p := range schema.Properties {
			described = append(described, p)
		}
		slices.Sort(described)
		slices.Sort(all)
		slices.Sort(always)
		slices.Sort(schema.Required)
		if !slices.Equal(described, all) {
			t.Errorf("%s: described %v, sent %v", name, described, all)
		}
		if !slices.Equal(schema.Required, always) {
			t.Errorf("%s: required %v, always sent %v", name, schema.Required, always)
		}
	}
	for name := range types {
		t.Errorf("%s is not described", name)
	}
	for _, part := range strings.Split(text, `"$ref":`)[1:] {
		_, part, _ = strings.Cut(part, `"#/components/schemas/`)
		ref, _, _ := strings.Cut(part, `"`)
		if _, ok := doc.Components.Schemas[ref]; !ok && ref != "" && !strings.Contains(ref, "/") {
			t.Errorf("a reference to %s leads nowhere", ref)
		}
	}
}

func TestTheDescriptionHasTheWords(t *testing.T) {
	t.Parallel()
	doc, _ := read(t)
	for name, words := range map[string][]string{
		"State": text(offboard.States()), "Plan": text(offboard.Plans()), "Reason": text(offboard.Reasons()),
		"FindingKind": text(offboard.FindingKinds()), "Severity": text(offboard.Severities()),
	} {
		if got := doc.Components.Schemas[name].Enum; !slices.Equal(got, words) {
			t.Errorf("%s: described %v, known %v", name, got, words)
		}
	}
}

func text[T ~string](in []T) []string {
	var out []string
	for _, v := range in {
		out = append(out, string(v))
	}
	return out
}

// fields lists the JSON names of a type, and those that are always there.
func fields(t reflect.Type) (all, always []string) {
	for f := range t.Fields() {
		if f.Anonymous {
			a, b := fields(f.Type)
			all, always = append(all, a...), append(always, b...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		all = append(all, name)
		if options == "" {
			always = append(always, name)
		}
	}
	return all, always
}
