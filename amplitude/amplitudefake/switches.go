package amplitudefake

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Switches choose between behaviours that Amplitude does not document, or turn
// on a misbehaviour. Known lists them with their values.
const (
	SwitchRateHeader  = "rl_header"         // what a SCIM 429 says about when to come back
	SwitchOrder       = "order"             // shuffle: member lists in a new order for each request
	SwitchListCut     = "list_cut"          // member lists that hold too little; see knobRules
	SwitchDropWrite   = "drop_write"        // true: SCIM answers each write as if done, and does nothing
	SwitchRedelete    = "redelete"          // answer to deleting someone already gone
	SwitchListLag     = "list_lag"          // how long a removed member stays in lists and groups
	SwitchLagReverse  = "lag_reverse"       // on: lists are right at once, and reading by id lags
	SwitchLastAdmin   = "last_admin"        // removing the last org admin over SCIM
	SwitchEnrolled    = "enrolled"          // false: User Management answers 403
	SwitchJIT         = "jit"               // on: logging in by SSO creates a member
	SwitchAuditLag    = "audit_lag"         // how late the audit log shows an entry
	SwitchAuditMode   = "audit_mode"        // truncate: no cursor, just the first entries
	SwitchPutGroup    = "put_group"         // supported: PUT on groups works
	SwitchRevokeLag   = "revoke_lag"        // how long a revoked project API key still works
	SwitchNextCursor  = "next_cursor_quirk" // on: experiments carry nextCursor inside the array
	SwitchDashboards  = "owns_dashboards"   // 409: a dashboard owner cannot be removed over SCIM
	SwitchAnswer404   = "answer_404"        // true: SCIM answers 404 to everything and changes nothing
	SwitchReview      = "taxonomy_review"   // required: taxonomy writes answer 409
	SwitchTruncateDev = "developer_page"    // small: at most 10 items a page, whatever is asked
)

// knobRule says what a switch may be. Values nil means a duration of at most
// longest. The first value is the default.
type knobRule struct {
	values  []string
	initial time.Duration
	longest time.Duration
}

func knobRules() map[string]knobRule {
	yesNo := []string{"false", "true"}
	offOn := []string{"off", "on"}
	return map[string]knobRule{
		SwitchRateHeader: {values: []string{"on", "off", "http-date"}},
		SwitchOrder:      {values: []string{"insertion", "shuffle"}},
		// half: the first half, told as everybody; short: the same, with the true
		// number; empty: nobody, told as everybody. Reading by id is right.
		SwitchListCut:     {values: []string{"off", "half", "short", "empty"}},
		SwitchDropWrite:   {values: yesNo},
		SwitchRedelete:    {values: []string{"404", "204"}},
		SwitchListLag:     {longest: 2 * time.Minute},
		SwitchLagReverse:  {values: offOn},
		SwitchLastAdmin:   {values: []string{"refuse400", "allow"}},
		SwitchEnrolled:    {values: []string{"true", "false"}},
		SwitchJIT:         {values: []string{"on", "off"}},
		SwitchAuditLag:    {initial: 5 * time.Second, longest: 24 * time.Hour},
		SwitchAuditMode:   {values: []string{"cursor", "truncate"}},
		SwitchPutGroup:    {values: []string{"405", "supported"}},
		SwitchRevokeLag:   {longest: 6 * time.Hour},
		SwitchNextCursor:  {values: offOn},
		SwitchDashboards:  {values: []string{"allow", "409"}},
		SwitchAnswer404:   {values: yesNo},
		SwitchReview:      {values: []string{"off", "required"}},
		SwitchTruncateDev: {values: []string{"asked", "small"}},
	}
}

// KnownSwitches lists each switch with what it accepts, the default first.
func KnownSwitches() map[string][]string {
	out := map[string][]string{}
	for name, rule := range knobRules() {
		out[name] = rule.values
		if rule.values == nil {
			out[name] = []string{rule.initial.String(), "up to " + rule.longest.String()}
		}
	}
	return out
}

// Switches returns every switch with its present value.
func (f *Fake) Switches() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.knobsCopy()
}

func (f *Fake) knobsCopy() map[string]string { return maps.Clone(f.knobs) }

// SetSwitch changes one switch from the next request on. Durations are written
// as Go writes them, or as a plain number of seconds.
func (f *Fake) SetSwitch(name, value string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.setSwitch(name, value)
}

func (f *Fake) setSwitch(name, value string) error {
	rule, ok := knobRules()[name]
	if !ok {
		known := slices.Sorted(maps.Keys(knobRules()))
		return fmt.Errorf("amplitudefake: no switch %q, there are %s", name, strings.Join(known, ", "))
	}
	if rule.values == nil {
		d, err := parseSpan(value)
		if err != nil || d < 0 || d > rule.longest {
			return fmt.Errorf("amplitudefake: switch %s is a duration from 0s to %s, not %q", name, rule.longest, value)
		}
		f.knobs[name] = d.String()
		return nil
	}
	want := value
	for _, pair := range [][2]string{{"true", "on"}, {"on", "true"}, {"false", "off"}, {"off", "false"}} {
		if !slices.Contains(rule.values, want) && value == pair[0] && slices.Contains(rule.values, pair[1]) {
			want = pair[1]
		}
	}
	if !slices.Contains(rule.values, want) {
		return fmt.Errorf("amplitudefake: switch %s is %s, not %q", name, strings.Join(rule.values, " or "), value)
	}
	f.knobs[name] = want
	return nil
}

func parseSpan(text string) (time.Duration, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return d, nil
	}
	d, err := time.ParseDuration(text + "s")
	if err != nil {
		return 0, fmt.Errorf("duration %q: %w", text, err)
	}
	return d, nil
}

// defaultKnobs are the switches of an organization nobody has touched.
func defaultKnobs() map[string]string {
	out := map[string]string{}
	for name, rule := range knobRules() {
		out[name] = rule.initial.String()
		if rule.values != nil {
			out[name] = rule.values[0]
		}
	}
	return out
}

// knob is the present value of a switch.
func (f *Fake) knob(name string) string { return f.knobs[name] }

func (f *Fake) knobIs(name, value string) bool { return f.knob(name) == value }

func (f *Fake) knobSpan(name string) time.Duration {
	d, err := time.ParseDuration(f.knob(name))
	if err != nil {
		return 0
	}
	return d
}
