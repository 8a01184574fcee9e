package offboard

import "time"

// GuardFacts is what the guards look at, read in the transaction that records
// the effect.
type GuardFacts struct {
	File      File
	Step      StepName
	Observe   bool
	Protected string    // why the person is protected; empty: not
	Outside   string    // why the address is out of the connection's reach; empty: it is not
	Admin     string    // of what the leaver is the only admin, with what to do; empty: of nothing that can be seen
	Token     string    // why Offramp's own access to Amplitude ends with this seat, with what to do; empty: it does not
	Elsewhere string    // what a leaver whose only access ended can reach by now; empty: nothing
	Unseen    string    // what the guards cannot see; empty: nothing
	Approvers Approvers // who may approve
	Now       time.Time
}

// MadeUp is why a case of a placeholder closes as observed.
const MadeUp = "every address is under .invalid, where nobody has a seat: nothing is asked of Amplitude"

// GuardName names a guard that looks at what only Amplitude can tell. Its last
// answer is kept with the case.
type GuardName string

// The guards.
const (
	GuardNone   GuardName = ""
	GuardAdmin  GuardName = "admin"  // nobody else is an admin
	GuardToken  GuardName = "token"  // Offramp's own access ends with the seat
	GuardUnseen GuardName = "unseen" // something cannot be seen, and the policy asks
)

// Permission is what the guards say about one outward change.
type Permission struct {
	Allowed bool
	State   State   // the case goes there when refused; empty: it stays
	Waiting Waiting // with State waiting
	Until   time.Time
	Outcome Outcome
	Cancel  bool      // undo what was done and end the case
	Because string    // with Allowed: what the record says beside the intention
	Guard   GuardName // which of the named guards refuses
}

// Guard is the one place that decides whether something may be taken away from
// somebody. Its order is by how final the answer is.
func Guard(f GuardFacts) Permission {
	c := f.File.Case
	s := f.File.Standing
	incident := c.Incident()
	refuse := func(because string) Permission {
		return Permission{State: StateNeedsAttention, Because: because}
	}
	wait := func(w Waiting, until time.Time, because string) Permission {
		return Permission{State: StateWaiting, Waiting: w, Until: until, Because: because}
	}
	unapproved := ""
	if f.Step == StepRemove || f.Step == StepRevoke {
		unapproved = f.Approvers.Unapproved(f.File, f.Step, f.Now)
	}
	switch {
	case f.File.Person.Placeholder():
		return Permission{Outcome: OutcomeObserved, Because: MadeUp}
	case s.HeldBy != "":
		return refuse("somebody else at the identity provider holds this address now; " +
			"check who has the seat, then resolve the case")
	case f.Outside != "":
		return refuse(f.Outside)
	case f.Observe:
		return Permission{Outcome: OutcomeObserved, Because: "observe mode: nothing is changed in Amplitude"}
	case c.State == StateHeld:
		return Permission{State: StateHeld, Because: "the case is held"}
	case c.Ending == EndCancel && !f.File.RemoveBegan():
		return Permission{Cancel: true, Because: "an operator cancelled the case"}
	case s.Entitled && !f.File.RemoveBegan():
		return Permission{Cancel: true, Because: SparedBecause(c.Plan)}
	case s.Entitled:
		return Permission{Outcome: OutcomeRehired, Because: "entitled again after the removal had begun: see what was answered, " +
			"and invite them again in Amplitude where they are gone"}
	case s.ElsewhereBy != "" && !incident && c.Plan != Mover: // a mover stays entitled
		return refuse("the person is entitled through connection " + s.ElsewhereBy +
			"; remove them there too, or cancel the case")
	case f.Protected != "" && c.Override != OverrideAll:
		return refuse(f.Protected + "; take them off protect in the configuration and restart, or remove them by hand in " +
			"Amplitude under Settings > Members & Groups, then retry or resolve the case" + overriding(c))
	case f.Elsewhere != "" && c.Override != OverrideAll:
		return refuse(Reaches(f.Elsewhere))
	case f.Admin != "" && c.Override != OverrideAll && incident:
		return of(GuardAdmin, refuse(f.Admin+", then retry"+overriding(c)))
	case f.Unseen != "" && c.Policy.Unseen == UnseenAsk && c.Override == OverrideNone:
		return of(GuardUnseen, refuse("the policy asks about what the guards cannot see: "+f.Unseen+"; look in Amplitude, "+
			"then let the case go on with: offramp cases retry "+c.ID+" --because TEXT"))
	case s.Paused != nil:
		return s.Paused.Wait(f.Now, incident)
	case f.Admin != "" && c.Override != OverrideAll:
		return of(GuardAdmin, wait(WaitTask, f.Now.Add(10*time.Minute), f.Admin+"; the case goes on by itself then"))
	case f.Token != "" && c.Override != OverrideAll && !incident: // an incident does not wait for what Offramp would like to read
		return of(GuardToken, wait(WaitRetry, f.Now.Add(10*time.Minute), f.Token+"; the case goes on by itself then"))
	case s.SeatClaimedBy != "":
		return wait(WaitSeat, f.Now.Add(time.Minute), "another live case works on this seat: "+s.SeatClaimedBy)
	case unapproved != "":
		return wait(WaitApproval, f.Now.Add(time.Hour), unapproved)
	case !incident && f.Now.Before(c.NotBefore):
		return wait(WaitNotBefore, c.NotBefore, "not before "+c.NotBefore.UTC().Format(time.RFC3339))
	}
	return Permission{Allowed: true}
}

// Reaches says why nobody is removed with a project that ended.
func Reaches(more string) string {
	return "their only access was a project that ended, and by now they have " + more + ", which would be taken too; " +
		"cancel the case, or take that away first, then retry"
}

// of names the guard that refuses.
func of(g GuardName, p Permission) Permission {
	p.Guard = g
	return p
}

// overriding tells an admin how a case passes a guard all the same.
func overriding(c Case) string {
	return "; an admin lets it pass with: offramp cases retry " + c.ID + " --override --because TEXT"
}

// Holder tells whether another record that shares one of the leaver's addresses
// means that the address is somebody else's now, or that the same human is
// entitled through another connection.
//
// holds tells whether they hold it as user name or e-mail now; a person whose
// seat once had it, and who is not entitled, does not.
//
// Within one connection an address belongs to one person: any other holder is
// somebody else. Across connections an address held since before the case
// opened is the same human; one taken afterwards is somebody else. That is said of
// the seat's address only: another that the directory gives the leaver may be a
// colleague's, so whoever is entitled by it keeps it.
func Holder(c Case, address string, other Person, since time.Time, holds, otherEntitled bool) (heldBy, elsewhere string) {
	switch {
	case other.ID == c.PersonID || !other.Deleted.IsZero() || !holds && !otherEntitled:
		return "", ""
	case other.Connection == c.Connection || since.After(c.Opened):
		return other.ID, ""
	case otherEntitled && Fold(address) != Fold(c.Address):
		return other.ID, ""
	case otherEntitled:
		return "", other.Connection
	}
	return "", ""
}
