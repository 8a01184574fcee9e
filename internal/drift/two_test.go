package drift_test

import (
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
)

// member gives somebody a seat in the second organization.
func (w *world) member(address string) {
	w.t.Helper()
	role := amplitudefake.RoleMember
	if strings.HasPrefix(address, "root@") {
		role = amplitudefake.RoleAdmin
	}
	if err := w.beta.AddMember(amplitudefake.Member{Email: address, GivenName: "B", FamilyName: "Example", Role: role, LastLogin: w.clock.now()}); err != nil {
		w.t.Fatal(err)
	}
}

// both sweeps both organizations.
func (w *world) both() {
	w.t.Helper()
	w.clock.move(6 * time.Hour)
	for _, org := range []string{"acme", "beta"} {
		if did, err := w.sweeper.Sweep(w.t.Context(), org); err != nil || !did {
			w.t.Fatalf("swept %s: %v, %v", org, did, err)
		}
	}
}

// in is the open finding of a kind in an organization.
func (w *world) in(organization string, kind offboard.FindingKind) offboard.Finding {
	w.t.Helper()
	for _, f := range w.open() {
		if f.Kind == kind && f.Organization == organization {
			return f
		}
	}
	w.show()
	w.t.Fatalf("no %s is open in %s", kind, organization)
	return offboard.Finding{}
}

// seats is how many jo has.
func (w *world) seats() int {
	return len(w.fake.PersonState("jo@example.com").Members) + len(w.beta.PersonState("jo@example.com").Members)
}

// TestOnePersonWithSeatsInTwoOrganizations follows somebody who leaves both,
// comes back in one of them, and is found there though the other's list fails.
func TestOnePersonWithSeatsInTwoOrganizations(t *testing.T) {
	onBoth(t, setup{beta: true}, func(w *world) {
		w.member("root@example.com")
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.member("jo@example.com")
		w.both()
		w.none()
		w.leave()
		if c := w.caseOf("jo@example.com"); c.Outcome != offboard.OutcomeRemoved || w.seats() > 0 {
			w.t.Fatalf("outcome %s, %d seats are left", c.Outcome, w.seats())
		}
		w.both()
		w.none()

		if _, err := w.beta.Human(amplitudefake.Action{Do: "invite", By: "root@example.com", Email: "jo@example.com"}); err != nil {
			w.t.Fatal(err)
		}
		w.set("answer_404", "true")
		w.both()
		w.in("acme", offboard.ListUntrusted)
		back := w.in("beta", offboard.LeaverBack)
		if !strings.Contains(back.Text, "in beta") || !strings.Contains(back.Cause, "invited by root@example.com") {
			w.t.Errorf("finding %+v", back)
		}
		w.set("answer_404", "false")
		w.both() // that acme is read again resolves nothing of beta
		if f := w.one(offboard.LeaverBack, "jo@example.com"); f.ID != back.ID {
			w.t.Errorf("another finding: %+v", f)
		}
		w.fix(back, offboard.Fix{By: "kim"})
		w.work()
		w.both()
		w.none()
		if w.seats() > 0 {
			w.t.Error("the seat in beta is still there")
		}
	})
}

// TestACaseIsNotRemovedWhileOneOrganizationStillHasTheSeat lets one of two
// organizations refuse.
func TestACaseIsNotRemovedWhileOneOrganizationStillHasTheSeat(t *testing.T) {
	onBoth(t, setup{beta: true}, func(w *world) {
		w.member("root@example.com")
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.member("jo@example.com")
		if _, err := w.beta.AddFault(amplitudefake.Fault{Kind: amplitudefake.FaultEchoLie, Count: 1, Match: amplitudefake.Match{Method: "DELETE"}}); err != nil {
			w.t.Fatal(err)
		}
		w.deactivate()
		w.step(3 * time.Hour)
		c := w.caseOf("jo@example.com")
		if c.State != offboard.StateNeedsAttention || c.Outcome != "" || w.seats() != 1 {
			w.t.Fatalf("the case is %s %s, %d seats are left", c.State, c.Outcome, w.seats())
		}
		w.clock.move(24 * time.Hour)
		w.both()
		if f := w.one(offboard.LeaverStillThere, "jo@example.com"); f.Organization != "beta" || f.CaseID != c.ID {
			w.t.Errorf("finding %+v", f)
		}
		w.act("jo@example.com", func(f offboard.File) (offboard.Update, error) { return offboard.Retry(f, "kim", "") })
		w.work()
		w.both()
		w.none()
		if c := w.caseOf("jo@example.com"); c.Outcome != offboard.OutcomeRemoved || w.seats() > 0 {
			w.t.Errorf("outcome %s, %d seats are left", c.Outcome, w.seats())
		}
	})
}

// TestASeatAnywhereIsASeat: somebody entitled needs one seat, wherever it is,
// and is missed only when every organization was read.
func TestASeatAnywhereIsASeat(t *testing.T) {
	onBoth(t, setup{beta: true}, func(w *world) {
		w.member("root@example.com")
		w.hire("sam", "sam@example.com", nil)
		w.hire("pat", "pat@example.com", nil)
		w.member("sam@example.com")
		w.clock.move(48 * time.Hour)
		w.sweep() // of acme alone
		w.none()
		if note := w.swept().Note; !strings.Contains(note, "not all of its organizations have been read") {
			w.t.Errorf("note %q", note)
		}
		w.both()
		w.sweep()
		w.one(offboard.EntitledButNoMember, "pat@example.com")
	})
}

// owners reads who owns what, as the engine does daily.
func (w *world) owners() {
	w.t.Helper()
	if err := w.runner.SweepOwnership(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// TestWhatTheOwnershipSweepReadHasADeadOwner reads cohorts as the engine does:
// what cannot be read again resolves nothing.
func TestWhatTheOwnershipSweepReadHasADeadOwner(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		project := w.fake.Credentials().Projects[0].ID
		w.seat("left@example.org", "Left")
		made, err := w.fake.AddAsset(amplitudefake.Asset{Kind: amplitudefake.KindCohort, Project: project, Name: "Power users", Owners: []string{"left@example.org"}})
		if err != nil {
			w.t.Fatal(err)
		}
		_, err = w.fake.AddAsset(amplitudefake.Asset{Kind: amplitudefake.KindCohort, Project: project, Name: "Others", Owners: []string{"kim@example.com"}})
		if err != nil {
			w.t.Fatal(err)
		}
		w.owners()
		w.sweep()
		w.none()
		// Not by Offramp: what they own stays theirs in the lists.
		w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "left@example.org"})
		w.owners()
		w.sweep()
		f := w.one(offboard.DeadOwner, "left@example.org")
		if !strings.HasPrefix(f.Text, "1 things in acme") || !strings.Contains(string(f.Data), "Power users") {
			w.t.Errorf("finding %+v", f)
		}
		fault, err := w.fake.AddFault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: 500, Match: amplitudefake.Match{PathPrefix: "/api/3/cohorts"}})
		if err != nil {
			w.t.Fatal(err)
		}
		w.human(amplitudefake.Action{Do: "transfer", By: "root@example.com", Kind: amplitudefake.KindCohort, ID: made.ID, To: "kim@example.com"})
		w.clock.move(24 * time.Hour)
		if err := w.runner.SweepOwnership(w.t.Context()); err == nil {
			w.t.Error("what cannot be read is not told")
		}
		w.sweep()
		w.one(offboard.DeadOwner, "left@example.org")
		w.fake.RemoveFault(fault)
		w.clock.move(24 * time.Hour)
		w.owners()
		w.sweep()
		w.none()
	})
}
