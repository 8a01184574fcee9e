package offboard

import (
	"fmt"
	"strings"
	"time"
)

// The brake stops what looks like a mistake: when more cases open within a
// window than anybody would expect, those of the window whose removal has not
// begun are held until a person says what is to become of them. Emergencies
// have a brake of their own, which holds only what comes after the first few.

// BrakeScope says what a brake counts for.
type BrakeScope string

// The scopes.
const (
	BrakeOrganization BrakeScope = "organization" // ordinary cases of every connection that reaches it
	BrakeConnection   BrakeScope = "connection"   // emergencies that the connection declares
)

// How many emergencies of one connection go through by themselves, and in what time.
const (
	emergencies     = 5
	emergencyWindow = 10 * time.Minute
)

// percentFrom is from how many cases on a share of the members counts: in a
// small organization one leaver is many percent.
const percentFrom = 5

// BrakeRules say when many leavers at once are taken for a mistake. The zero
// value never does.
type BrakeRules struct {
	Count         int // more cases than this; 0: no limit by number
	Percent       int // more than this share of an organization's members; 0: no limit by share
	Window        time.Duration
	Organizations []BrakeReach // that the connection reaches, by name
	Emergencies   bool         // hold emergencies above 5 in 10 minutes
}

// BrakeReach is an organization with the connections that reach it.
type BrakeReach struct {
	Name        string
	Connections []string
}

// Limit is at how many cases within the window the brake engages; 0: never.
// Members is how many the organization has; 0: not known, and only Count counts.
func (r BrakeRules) Limit(members int) int {
	limit := 0
	if r.Count > 0 {
		limit = r.Count + 1
	}
	if r.Percent > 0 && members > 0 {
		share := max(percentFrom, members*r.Percent/100+1)
		if limit == 0 || share < limit {
			limit = share
		}
	}
	return limit
}

// Engage tells why the brake engages with opened cases within the window, the
// one that opens now included; empty: it does not.
func (r BrakeRules) Engage(organization string, opened, members int) string {
	if limit := r.Limit(members); limit == 0 || opened < limit {
		return ""
	}
	text := fmt.Sprintf("%d cases opened within %s for organization %s, more than ", opened, minutes(r.Window), organization)
	if r.Count > 0 && opened > r.Count {
		return text + fmt.Sprintf("the %d of brake.count", r.Count)
	}
	return text + fmt.Sprintf("%d percent of its %d members", r.Percent, members)
}

// EmergencyWindow is in what time emergencies are counted.
func (r BrakeRules) EmergencyWindow() time.Duration { return emergencyWindow }

// EmergencyLimit is how many emergencies go through by themselves.
func (r BrakeRules) EmergencyLimit() int { return emergencies }

// HoldEmergency tells why an emergency has to be confirmed after before others
// within the window; empty: it goes on at once. What an operator opened is
// confirmed.
func (r BrakeRules) HoldEmergency(connection string, before int, confirmed bool) string {
	if !r.Emergencies || confirmed || before < emergencies {
		return ""
	}
	return fmt.Sprintf("connection %s declared more than %d security incidents within %s",
		connection, emergencies, minutes(emergencyWindow))
}

// Brake is one time that a brake engaged. Its ID is the batch of its cases.
type Brake struct {
	ID       string
	Scope    BrakeScope
	Name     string // of the organization or connection
	Because  string
	Engaged  time.Time
	Released time.Time // zero: engaged
	By, Why  string    // who released it
	Cases    int       // that it concerns
	Waiting  int       // of them, those that wait for a word
}

// Held is the sentence on a case that the brake holds.
func (b Brake) Held() string {
	if b.Scope == BrakeConnection {
		return "held by the emergency brake: " + b.Because + "; nothing is removed until an operator confirms it: " +
			"offramp brake release " + b.Name + " --case ID, or cases release"
	}
	return "held by the brake: " + b.Because + "; nothing more is done until an operator decides: offramp brake show"
}

// Beside is the sentence on a case that removes the leaver already and was
// declared an emergency, which the brake holds.
func (b Brake) Beside(address string) string {
	return "declared a security incident, which the emergency brake holds: " + b.Because + "; the removal goes on as before. " +
		"If it is an incident, remove them at once with: offramp cases open --person " + address + " --reason " + string(SecurityIncident)
}

// Catch is what an engaging brake does with one case of its window: it holds
// what may still be stopped. The rest, and what a person let go on before, it
// leaves as it is; the sentence says why.
func Catch(c Case, removeBegan bool, b Brake) (hold bool, because string) {
	switch {
	case removeBegan:
		return false, "the brake engaged after this removal had begun: " + b.Because
	case c.Cleared || !c.State.CanBecome(StateHeld) || c.State == StateHeld || c.Ending == EndCancel:
		return false, ""
	}
	return true, b.Held()
}

// minutes writes a duration without empty parts.
func minutes(d time.Duration) string {
	s := d.String()
	for _, empty := range []string{"0s", "0m"} {
		if strings.HasSuffix(s, empty) && len(s) > len(empty) && !strings.ContainsAny(s[len(s)-len(empty)-1:len(s)-len(empty)], "0123456789") {
			s = strings.TrimSuffix(s, empty)
		}
	}
	return s
}
