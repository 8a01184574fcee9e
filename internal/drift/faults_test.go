package drift_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
)

// fill gives the organization so many members that half a list leaves many out.
func (w *world) fill() {
	w.t.Helper()
	for i := range 120 {
		w.seat(fmt.Sprintf("m%03d@elsewhere.example", i), fmt.Sprintf("M%03d", i))
	}
}

// unreadable lets the audit log refuse, until the returned fault is removed.
func (w *world) unreadable() (fault int) {
	w.t.Helper()
	id, err := w.fake.AddFault(amplitudefake.Fault{
		Kind: amplitudefake.FaultStatus, Status: http.StatusForbidden, Match: amplitudefake.Match{PathPrefix: "/api/2/audit-logs"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func TestALeaverWhoIsStillThereIsFoundThoughTheListHidThemFirst(t *testing.T) {
	for _, cut := range []string{"half", "short", "empty"} {
		t.Run(cut, func(t *testing.T) {
			onBoth(t, setup{}, func(w *world) {
				w.fill()
				w.person("jo", "jo@example.com", amplitudefake.RoleMember)
				w.sweep()
				w.deactivate()
				w.cancel()
				w.set("list_cut", cut)
				w.sweep()
				w.of(offboard.ListUntrusted)
				w.set("list_cut", "off")
				w.sweep()
				w.one(offboard.LeaverStillThere, "jo@example.com")
			})
		})
	}
}

func TestALeaverWhoIsBackIsFoundThoughTheListHidThem(t *testing.T) {
	for _, cut := range []string{"half", "short", "empty"} {
		t.Run(cut, func(t *testing.T) {
			onBoth(t, setup{}, func(w *world) {
				w.fill()
				w.person("jo", "jo@example.com", amplitudefake.RoleMember)
				w.sweep()
				w.leave()
				w.sweep()
				w.human(amplitudefake.Action{Do: "invite", By: "root@example.com", Email: "jo@example.com"})
				w.set("list_cut", cut)
				w.sweep()
				w.of(offboard.ListUntrusted)
				w.set("list_cut", "off")
				w.sweep()
				found := w.one(offboard.LeaverBack, "jo@example.com")
				w.set("list_cut", cut)
				w.sweep() // such a list resolves nothing either
				if f := w.of(offboard.LeaverBack); f.ID != found.ID {
					w.t.Errorf("another finding: %+v", f)
				}
			})
		})
	}
}

func TestALeaverWhoIsBackIsFoundWithoutTheAuditLogAndItsCauseLater(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.sweep()
		w.leave()
		w.sweep()
		w.human(amplitudefake.Action{Do: "invite", By: "root@example.com", Email: "jo@example.com"})
		fault := w.unreadable()
		w.sweep()
		if f := w.one(offboard.LeaverBack, "jo@example.com"); f.Cause != "" || f.Rounds != 1 {
			w.t.Errorf("finding %+v", f)
		}
		if note := w.swept().Note; !strings.Contains(note, "the audit log was not read") {
			w.t.Errorf("note %q", note)
		}
		w.fake.RemoveFault(fault)
		w.sweep()
		if f := w.one(offboard.LeaverBack, "jo@example.com"); !strings.Contains(f.Cause, "invited by root@example.com") {
			w.t.Errorf("cause %q", f.Cause)
		}
	})
}

func TestALoginIsFoundWhenTheAuditLogCanBeReadAgain(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.sweep()
		w.leave()
		fault := w.unreadable()
		w.sweep()
		w.human(amplitudefake.Action{Do: "sso_login", Email: "jo@example.com", Name: "Jo Person"})
		w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "jo@example.com"})
		for range 6 { // for longer than what is read twice
			w.sweep()
		}
		w.none()
		w.fake.RemoveFault(fault)
		w.sweep()
		w.one(offboard.LoginAfterRemoval, "jo@example.com")
		w.unreadable()
		w.sweep() // not looked at, not resolved
		w.one(offboard.LoginAfterRemoval, "jo@example.com")
	})
}

func TestAnotherWriterIsFoundThoughTheListLiedAndTheAuditLogWasSilent(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.fill()
		fault := w.unreadable()
		w.raced()
		w.set("list_cut", "half")
		w.sweep()
		w.one(offboard.ListUntrusted, "")
		w.set("list_cut", "off")
		w.sweep()
		if f := w.one(offboard.RemovedByAnother, "jo@example.com"); !strings.Contains(f.Cause, "between the last comparison") {
			w.t.Errorf("cause %q", f.Cause)
		}
		w.fake.RemoveFault(fault)
		w.sweep()
		if f := w.one(offboard.RemovedByAnother, "jo@example.com"); !strings.Contains(f.Cause, "removed by root@example.com") {
			w.t.Errorf("cause %q", f.Cause)
		}
		w.set("list_cut", "half")
		w.sweep()
		w.of(offboard.RemovedByAnother)
	})
}

// A removal by hand is told only when a list that is no lie shows it.
func TestARemovalByHandIsFoundThoughTheListLied(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.fill()
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.sweep()
		w.approvals = 1
		w.deactivate()
		w.step(5 * time.Minute) // identified, and waiting for an approval
		w.set("list_cut", "half")
		w.sweep() // nobody was removed, and half the list is missing
		w.one(offboard.ListUntrusted, "")
		fault := w.unreadable()
		w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "jo@example.com"})
		w.sweep()
		w.one(offboard.ListUntrusted, "")
		w.set("list_cut", "off")
		w.sweep()
		if f := w.one(offboard.RemovedByHand, "jo@example.com"); f.Cause != "" {
			w.t.Errorf("cause %q", f.Cause)
		}
		w.fake.RemoveFault(fault)
		w.sweep()
		if f := w.one(offboard.RemovedByHand, "jo@example.com"); !strings.Contains(f.Cause, "removed by root@example.com") {
			w.t.Errorf("cause %q", f.Cause)
		}
		w.set("list_cut", "empty")
		w.sweep()
		w.of(offboard.RemovedByHand)
	})
}

func TestAnActivePersonWithoutAnAccessGroupHasASeat(t *testing.T) {
	onBoth(t, setup{access: true}, func(w *world) {
		w.enrol("root", "kim")
		w.fill()
		w.seat("sam@example.com", "Sam")
		w.hire("sam", "sam@example.com", nil) // active, and in no group
		w.set("list_cut", "short")
		w.sweep()
		w.one(offboard.ListUntrusted, "")
		w.set("list_cut", "off")
		w.sweep()
		f := w.one(offboard.CreatedInactive, "sam@example.com")
		if f.Reason != offboard.GroupRemoval || !strings.Contains(f.Text, "never in a group that gives access") {
			w.t.Errorf("finding %+v", f)
		}
		if err := offboard.Fixable(f, offboard.Fix{By: "kim"}); err == nil {
			w.t.Error("taken with all others")
		}
		w.fix(f, offboard.Fix{By: "kim", Named: true})
		w.work()
		w.sweep()
		w.none()
		w.hire("pat", "pat@example.com", nil)
		w.hire("max", "max@example.com", nil)
		w.join("pat")
		w.clock.move(48 * time.Hour)
		w.sweep() // whoever is in the group is missed, and nobody else
		w.one(offboard.EntitledButNoMember, "pat@example.com")
	})
}

// join puts somebody into the group that gives access.
func (w *world) join(person string) {
	w.t.Helper()
	_, _, err := w.store.ChangeGroup(w.t.Context(), offboard.GroupChange{
		Connection: "okta", ID: "access", Members: []offboard.MemberChange{{Op: offboard.AddMembers, IDs: []string{person}}},
		Access: offboard.AccessRules{Groups: []string{"Amplitude"}, Rules: w.rules()},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// enrol puts people into the group that gives access.
func (w *world) enrol(people ...string) {
	w.t.Helper()
	_, _, err := w.store.CreateGroup(w.t.Context(), offboard.NewGroup{
		ID: "access", Connection: "okta", DisplayName: "Amplitude", Members: people,
		Access: offboard.AccessRules{Groups: []string{"Amplitude"}, Rules: w.rules()},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}
