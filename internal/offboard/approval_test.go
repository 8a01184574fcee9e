package offboard_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"offramp/internal/offboard"
)

// asking is a case of Jo, whose manager is Mara, that waits for approval.
func asking(people int, roles ...string) offboard.File {
	p := offboard.Fallback()
	p.Approvals, p.Roles = people, roles
	return offboard.File{
		Case: offboard.Case{ID: "case-1", Connection: "okta", Address: "jo@example.com", State: offboard.StateWaiting, Waiting: offboard.WaitApproval, Policy: p},
		Person: offboard.Person{
			ID: "p-jo", UserName: "jo@example.com", Address: "jo@example.com", DisplayName: "Jo Jones", Manager: "mara@example.com",
			Emails: []offboard.Email{{Value: "jo.jones@example.com"}},
		},
		Steps: []offboard.Step{{Seq: 1, Name: offboard.StepApprove, State: offboard.StepWaiting}},
	}
}

func theApprovers() offboard.Approvers {
	return offboard.Approvers{Listed: []offboard.Approver{
		{Address: "sam@example.com", Roles: []string{"security"}},
		{Address: "dana@example.com", Roles: []string{"data_governance", "manager"}},
		{Address: "max@example.com", Roles: []string{"manager"}},
		{Address: "all@example.com"},
	}}
}

// TestApprovalsHoldWhoeverGivesThem lets anybody approve in any role and order,
// and looks at what was counted.
func TestApprovalsHoldWhoeverGivesThem(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l, now := theApprovers(), time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
		roles := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"manager", "security", "data_governance"}), 0, 2, rapid.ID[string]).Draw(t, "roles")
		f := asking(max(len(roles), rapid.IntRange(1, 2).Draw(t, "people")), roles...)
		f.Case.Policy.ApprovalExpires = rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "expires")
		for range rapid.IntRange(0, 6).Draw(t, "given") {
			a := offboard.Approval{
				By: rapid.SampledFrom([]string{
					"sam@example.com", "dana@example.com", "max@example.com", "all@example.com", "jo@example.com", "JO.JONES@example.com", "Jo Jones",
					"stranger@example.com", "mara@example.com",
				}).Draw(t, "by"),
				Role: rapid.SampledFrom([]string{"", "manager", "security", "data_governance", "king"}).Draw(t, "role"), At: now,
			}
			if u, err := l.Approve(f, a); err == nil {
				f.Approvals = append(f.Approvals, u.Approvals...)
			}
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "minutes")) * time.Minute)
		}
		if rapid.Bool().Draw(t, "sam is taken off the list") {
			l.Listed = l.Listed[1:]
		}
		tally := l.Count(f, now)
		by := map[string]bool{}
		for _, a := range tally.Counted {
			key := offboard.Fold(a.By)
			switch {
			case by[key]:
				t.Fatalf("%s counts twice", a.By)
			case strings.HasPrefix(key, "jo"):
				t.Fatalf("the leaver approved as %s", a.By)
			case f.Case.Policy.ApprovalExpires > 0 && now.Sub(a.At) > f.Case.Policy.ApprovalExpires:
				t.Fatalf("an approval of %s counts after an hour", now.Sub(a.At))
			case key == "sam@example.com" && l.Listed[0].Address != key:
				t.Fatal("somebody who is no approver any more counts")
			}
			by[key] = true
		}
		filled := slices.DeleteFunc(slices.Clone(tally.Roles), func(s string) bool { return s == "" })
		distinct := slices.Compact(slices.Sorted(slices.Values(filled)))
		if len(distinct) != len(filled) {
			t.Fatalf("one person fills two roles: %v", tally.Roles)
		}
		if tally.Enough() && (len(by) < f.Case.Policy.Approvals || len(filled) < len(roles)) {
			t.Fatalf("enough with %d people and roles %v, of %d and %v", len(by), tally.Roles, f.Case.Policy.Approvals, roles)
		}
	})
}

func TestWhoMayNotApprove(t *testing.T) {
	t.Parallel()
	for story, tc := range map[string]struct {
		file    offboard.File
		by      offboard.Approval
		because string
	}{
		"the leaver by another address":     {asking(1), offboard.Approval{By: "jo.jones@example.com"}, "is the leaver"},
		"a role that they do not have":      {asking(1, "security"), offboard.Approval{By: "max@example.com", Role: "security"}, ""},
		"somebody who is not on the list":   {asking(1), offboard.Approval{By: "stranger@example.com", Via: offboard.ViaLink}, ""},
		"a link where two have to approve":  {asking(2), offboard.Approval{By: "max@example.com", Via: offboard.ViaLink}, ""},
		"the successor before anybody else": {withSuccessor(asking(1), "max@example.com"), offboard.Approval{By: "max@example.com"}, "take over"},
	} {
		_, err := theApprovers().Approve(tc.file, tc.by)
		no, refused := errors.AsType[*offboard.RefusedError](err)
		if !refused || !strings.Contains(no.Because, tc.because) {
			t.Errorf("%s: %v", story, err)
		}
	}
	f := asking(1)
	f.Standing.Manager = []string{"mara@example.com"}
	if _, err := theApprovers().Approve(f, offboard.Approval{By: "mara@example.com", Role: "manager", Via: offboard.ViaLink}); err != nil {
		t.Errorf("the leaver's own manager, by a link: %v", err)
	}
}

func withSuccessor(f offboard.File, who string) offboard.File {
	f.Person.Claims.Successor = who
	return f
}

// TestAnApproverWhoTakesOverLaterNeedsAnother is the manager who said yes first
// and became the successor afterwards.
func TestAnApproverWhoTakesOverLaterNeedsAnother(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	f := asking(1)
	f.Approvals = []offboard.Approval{{By: "max@example.com", At: now}}
	if !theApprovers().Count(f, now).Enough() {
		t.Fatal("one approval is not enough")
	}
	f.Tasks = []offboard.Task{{Kind: offboard.TaskHandover, State: offboard.TaskOpen, Successor: "max@example.com"}}
	if tally := theApprovers().Count(f, now); tally.Enough() || !strings.Contains(tally.Sentence(), "somebody other than max@example.com") {
		t.Errorf("the successor alone: %s", tally.Sentence())
	}
	f.Approvals = append(f.Approvals, offboard.Approval{By: "dana@example.com", At: now})
	if tally := theApprovers().Count(f, now); !tally.Enough() {
		t.Errorf("with another: %s", tally.Sentence())
	}
}

func TestRulesOverTheInventoryAskForOneMore(t *testing.T) {
	t.Parallel()
	f := asking(1, "manager")
	f.Case.Policy.AlsoApprove = []offboard.ApprovalRule{
		{When: "owned.events > 0", Role: "data_governance"}, {When: `"flag" in owned.kinds && unlisted`, Role: "engineering"},
	}
	event := offboard.Asset{Kind: "event", State: offboard.AssetOwned}
	for story, tc := range map[string]struct {
		owned offboard.Inventoried
		roles []string
	}{
		"nothing":                   {offboard.Inventoried{}, []string{"manager"}},
		"an event":                  {offboard.Inventoried{Assets: []offboard.Asset{event}}, []string{"manager", "data_governance"}},
		"an event of somebody else": {offboard.Inventoried{Assets: []offboard.Asset{{Kind: "event", State: offboard.AssetHanded}}}, []string{"manager"}},
		"a flag, and more unlisted": {
			offboard.Inventoried{Assets: []offboard.Asset{event, {Kind: "flag", State: offboard.AssetOwned}}, Unlisted: true},
			[]string{"manager", "data_governance", "engineering"},
		},
	} {
		if n := offboard.Ask(f, tc.owned); !slices.Equal(n.Roles, tc.roles) || n.People != len(tc.roles) {
			t.Errorf("%s: %+v", story, n)
		}
	}
	f.Case.Policy.AlsoApprove = []offboard.ApprovalRule{{When: "owned.kinds[7] == \"event\"", Role: "data_governance"}}
	n := offboard.Ask(f, offboard.Inventoried{})
	if len(n.Rules) != 1 || !n.Rules[0].Failed || !slices.Contains(n.Roles, "data_governance") {
		t.Errorf("a rule that cannot be told: %+v", n)
	}
	list, problems := offboard.NewPolicies([]offboard.Conditional{{Policy: offboard.Policy{
		Name: "p", AlsoApprove: []offboard.ApprovalRule{{When: "owned.unicorns > 0", Role: "x"}},
	}}}, offboard.Fallback())
	if len(problems) != 1 || !strings.Contains(fmt.Sprint(problems[0].Err), "owned.events") {
		t.Errorf("a rule with a misspelt name: %v %v", list, problems)
	}
}
