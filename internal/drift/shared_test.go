package drift_test

import (
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/drift"
	"offramp/internal/offboard"
)

// alias lets kim, who is entitled, have jo's address among her e-mails, as
// whoever reads a leaver's mail often does.
func (w *world) alias() {
	w.t.Helper()
	_, err := w.store.ChangePerson(w.t.Context(), offboard.PersonChange{
		Connection: "okta", ID: "kim", Rules: w.rules(), Change: func(p offboard.Person) (offboard.Person, error) {
			p.Emails = append(p.Emails, offboard.Email{Value: "jo@example.com"})
			return p, nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// elsewhere lets another connection have jo, entitled, with the same address.
func (w *world) elsewhere() {
	w.t.Helper()
	_, err := w.store.ChangePerson(w.t.Context(), offboard.PersonChange{
		Connection: "entra", Rules: w.rules(), Change: func(offboard.Person) (offboard.Person, error) {
			return offboard.Person{ID: "jo-entra", UserName: "jo@example.com", Address: "jo@example.com", Active: true, Resource: "{}"}, nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestALeaverIsNotHiddenByWhoReadsTheirMail(t *testing.T) {
	for name, story := range map[string]struct {
		leaves func(w *world)
		want   []offboard.FindingKind
	}{
		"whose case was cancelled": {func(w *world) {
			w.deactivate()
			w.cancel()
			w.alias()
		}, []offboard.FindingKind{offboard.LeaverStillThere}},
		"whose case is overdue": {func(w *world) {
			w.alias()
			w.deactivate()
			w.step(time.Hour)
			w.clock.move(48 * time.Hour)
		}, []offboard.FindingKind{offboard.LeaverStillThere}},
		"who is back and signed in": {func(w *world) {
			w.leave()
			w.alias()
			w.human(amplitudefake.Action{Do: "sso_login", Email: "jo@example.com", Name: "Jo Person"})
		}, []offboard.FindingKind{offboard.LeaverBack, offboard.LoginAfterRemoval}},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, setup{}, func(w *world) {
				w.person("jo", "jo@example.com", amplitudefake.RoleMember)
				w.sweep()
				story.leaves(w)
				w.sweep()
				for _, kind := range story.want {
					f := w.of(kind)
					if kind != offboard.LoginAfterRemoval && !strings.Contains(f.Text, "kim@example.com, entitled through connection okta") {
						w.t.Errorf("%s does not say who else has the address: %q", kind, f.Text)
					}
				}
				if n := len(w.open()); n != len(story.want) {
					w.show()
					w.t.Errorf("%d findings are open, want %d", n, len(story.want))
				}
			})
		})
	}
}

// Two cases for one seat, of two connections, are no other writers to each other.
func TestWhatAnotherCaseRemovedIsNoOtherWritersWork(t *testing.T) {
	connected := func(o *drift.Options) {
		o.Connections = []drift.Connection{{Name: "okta", Domains: []string{"example.com"}}, {Name: "entra", Domains: []string{"example.com"}}}
	}
	for name, leaves := range map[string]func(w *world){
		"both connections let them go": func(w *world) {
			w.deactivate()
			_, err := w.store.ChangePerson(w.t.Context(), offboard.PersonChange{
				Connection: "entra", ID: "jo-entra", Rules: w.rules(), Change: func(p offboard.Person) (offboard.Person, error) { p.Active = false; return p, nil },
			})
			if err != nil {
				w.t.Fatal(err)
			}
			w.work()
		},
		"an incident of the other while one waits": func(w *world) {
			w.approvals = 1
			w.deactivate()
			w.step(time.Hour)
			_, err := w.store.Reconsider(w.t.Context(), "jo-entra", func(p offboard.Person, prior offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error) {
				return offboard.OpenBy(p, prior, offboard.Order{Reason: offboard.SecurityIncident, By: "kim"}, w.rules(), w.clock.now())
			})
			if err != nil {
				w.t.Fatal(err)
			}
			w.step(time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, setup{drift: connected}, func(w *world) {
				w.person("jo", "jo@example.com", amplitudefake.RoleMember)
				w.elsewhere()
				w.sweep()
				leaves(w)
				w.sweep()
				if len(w.fake.PersonState("jo@example.com").Members) != 0 {
					w.t.Error("nobody was removed")
				}
				w.none()
			})
		})
	}
}

func TestWhoIsEntitledElsewhereStopsACaseAndThatIsAFinding(t *testing.T) {
	onBoth(t, setup{drift: func(o *drift.Options) {
		o.Connections = []drift.Connection{{Name: "okta", Domains: []string{"example.com"}}, {Name: "entra", Domains: []string{"example.com"}}}
	}}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.elsewhere()
		w.deactivate()
		w.step(time.Hour)
		w.sweep()
		w.none() // not due yet
		w.clock.move(48 * time.Hour)
		w.sweep()
		f := w.one(offboard.LeaverStillThere, "jo@example.com")
		if f.CaseID == "" || !strings.Contains(f.Text, "entitled through connection entra") {
			w.t.Errorf("finding %+v", f)
		}
		w.act("jo@example.com", func(f offboard.File) (offboard.Update, error) { return offboard.Cancel(f, "kim", "they stay") })
		w.work()
		w.sweep()
		w.none() // the seat is theirs
	})
}

func TestWhoIsRemovedTheMomentTheListIsReadIsNotOverdue(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.set("list_lag", "2m")
		w.approvals = 1
		w.sweep()
		w.deactivate()
		w.step(5 * time.Minute)
		w.clock.move(40 * time.Hour) // approved when it was due already
		w.act("jo@example.com", func(f offboard.File) (offboard.Update, error) {
			return offboard.Approve(f, offboard.Approval{By: "kim@example.com"})
		})
		for !w.removed("jo@example.com") {
			w.step(10 * time.Second)
		}
		w.ask()
		w.none()
		w.human(amplitudefake.Action{Do: "invite", By: "root@example.com", Email: "jo@example.com"})
		w.clock.move(5 * time.Minute)
		w.ask() // and a seat that outlives the removal is told
		w.one(offboard.LeaverStillThere, "jo@example.com")
	})
}

func TestALeaverWhoIsBackIsFoundAfterTheClockWasSetBack(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.sweep()
		w.clock.move(365 * 24 * time.Hour)
		w.leave()
		w.clock.move(-365 * 24 * time.Hour) // the year was wrong
		w.sweep()
		w.none()
		w.human(amplitudefake.Action{Do: "invite", By: "root@example.com", Email: "jo@example.com"})
		w.sweep()
		w.one(offboard.LeaverBack, "jo@example.com")
	})
}

// raced lets another app of the identity provider remove jo before the case of
// the same departure looks.
func (w *world) raced() {
	w.t.Helper()
	w.person("jo", "jo@example.com", amplitudefake.RoleMember)
	w.sweep()
	w.deactivate()
	w.clock.move(20 * time.Second)
	w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "jo@example.com"})
	w.work()
	if c := w.caseOf("jo@example.com"); c.Outcome != offboard.OutcomeNoSeat {
		w.t.Fatalf("the case ended as %s", c.Outcome)
	}
}

func TestAnotherWriterIsFasterThanTheCase(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.raced()
		w.sweep()
		f := w.one(offboard.RemovedByAnother, "jo@example.com")
		if f.Severity != offboard.Critical || !strings.Contains(f.Cause, "removed by root@example.com") {
			w.t.Errorf("finding %+v", f)
		}
		w.sweep()
		w.one(offboard.RemovedByAnother, "jo@example.com")
	})
}

func TestAnotherWriterIsToldWithoutAnAuditLogToo(t *testing.T) {
	onBoth(t, setup{drift: func(o *drift.Options) { o.Organizations[0].Audit = false }}, func(w *world) {
		w.raced()
		w.sweep()
		if f := w.one(offboard.RemovedByAnother, "jo@example.com"); !strings.Contains(f.Cause, "between the last comparison") {
			w.t.Errorf("cause %q", f.Cause)
		}
	})
}

func TestAnotherWriterIsExpectedWhileObserving(t *testing.T) {
	onBoth(t, setup{observe: true}, func(w *world) {
		w.raced()
		w.sweep()
		f := w.one(offboard.RemovedByAnother, "jo@example.com")
		if f.Severity != offboard.Warning || !strings.Contains(f.Proposed, "before enforce mode") {
			w.t.Errorf("finding %+v", f)
		}
	})
}

func TestWhoWasRemovedLongBeforeTheCaseWasNotRaced(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.sweep()
		w.human(amplitudefake.Action{Do: "remove_member", By: "root@example.com", Email: "jo@example.com"})
		w.clock.move(3 * time.Hour)
		w.leave()
		w.sweep()
		w.none()
	})
}
