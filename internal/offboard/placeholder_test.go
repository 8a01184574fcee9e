package offboard_test

import (
	"testing"
	"time"

	"offramp/internal/offboard"
)

func TestOnlySomebodyWithoutAnyRealAddressIsAPlaceholder(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		story    string
		userName string
		emails   []string
		want     bool
	}{
		{story: "every address is under .invalid", userName: "test@doctor.invalid", emails: []string{"test@doctor.invalid"}, want: true},
		{story: "the bare top-level domain, in capitals", userName: "Test@INVALID", want: true},
		{story: "a real address", userName: "jo@example.com"},
		{story: "a real e-mail beside a made-up user name", userName: "jo@corp.invalid", emails: []string{"jo@example.com"}},
		{story: "a user name that is no address", userName: "invalid"},
		{story: "a domain that only ends in the same letters", userName: "jo@notinvalid"},
		{story: "nobody at all"},
	} {
		p := offboard.Person{UserName: row.userName, Address: row.userName}
		for _, e := range row.emails {
			p.Emails = append(p.Emails, offboard.Email{Value: e})
		}
		if got := p.Placeholder(); got != row.want {
			t.Errorf("%s: placeholder is %v", row.story, got)
		}
	}
}

func TestAPlaceholderIsObservedWhateverTheRulesSay(t *testing.T) {
	t.Parallel()
	was := offboard.Person{ID: "p1", UserName: "test@doctor.invalid", Address: "test@doctor.invalid", Active: true}
	is := was
	is.Active = false
	rules := offboard.Rules{
		Settle: time.Hour, Policy: func(offboard.PolicyFacts) offboard.Policy { return offboard.Fallback() },
		Reachable: func(string) bool { return false },
	}
	v := offboard.Decide(was, is, offboard.PriorCase{}, rules, noon())
	if v.Open == nil || v.Open.State != offboard.StateRunning || !v.Open.NotBefore.Equal(noon()) || v.Open.Note != "" {
		t.Fatalf("the case does not run at once: %+v", v.Open)
	}
	gone := is
	gone.Deleted = noon()
	if v := offboard.Decide(is, gone, offboard.PriorCase{Outcome: offboard.OutcomeObserved}, rules, noon()); v.Open != nil {
		t.Error("deleting somebody who was deactivated before opens another case")
	}
	f := leaving(state(offboard.StateRunning, offboard.WaitNothing))
	f.Person = is
	if p := offboard.Guard(offboard.GuardFacts{File: f, Now: noon()}); p.Allowed || p.Outcome != offboard.OutcomeObserved {
		t.Errorf("the guard says %+v", p)
	}
}
