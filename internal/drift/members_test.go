package drift_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/drift"
	"offramp/internal/offboard"
)

func TestAMemberWhomNoIdentityProviderKnows(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.seat("sam@example.com", "Sam")
		w.seat("guest@elsewhere.example", "Guest") // nobody's domain
		w.sweep()
		f := w.one(offboard.UnknownToIdP, "sam@example.com")
		if f.Severity != offboard.Warning || f.Connection != "okta" || f.PersonID != "" {
			w.t.Errorf("finding %+v", f)
		}
		if err := offboard.Fixable(f, offboard.Fix{By: "kim"}); err == nil || !strings.Contains(err.Error(), "by its id") {
			w.t.Errorf("taken with all others: %v", err)
		}
		w.fix(f, offboard.Fix{By: "kim", Named: true})
		w.work()
		w.sweep()
		w.none()
		if n := len(w.fake.PersonState("sam@example.com").Members); n != 0 {
			w.t.Error("the seat is still there")
		}
	})
}

func TestAMemberIsKnownByAnyConnectionThatReachesTheOrganization(t *testing.T) {
	onBoth(t, setup{drift: func(o *drift.Options) {
		o.Connections = []drift.Connection{
			{Name: "okta", Organizations: []string{"acme"}, Domains: []string{"example.com"}},
			{Name: "entra", Organizations: []string{"other"}, Domains: []string{"example.com"}},
		}
	}}, func(w *world) {
		w.seat("sam@example.com", "Sam")
		_, err := w.store.ChangePerson(w.t.Context(), offboard.PersonChange{
			Connection: "entra", Rules: w.rules(), Change: func(offboard.Person) (offboard.Person, error) {
				return offboard.Person{ID: "sam", UserName: "sam@example.com", Address: "sam@example.com", Active: true, Resource: "{}"}, nil
			},
		})
		if err != nil {
			w.t.Fatal(err)
		}
		w.sweep()
		w.one(offboard.UnknownToIdP, "sam@example.com")
		w.options.Connections[1].Organizations = []string{"acme", "other"}
		w.restart()
		w.sweep()
		w.none()
	})
}

func TestSecondSeats(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.seat("jo+test@example.com", "Somebody")
		w.sweep()
		plus := w.one(offboard.SecondSeat, "jo+test@example.com")
		if !strings.Contains(plus.Text, "plus part as jo@example.com") {
			w.t.Errorf("finding %+v", plus)
		}
		w.fix(plus, offboard.Fix{By: "kim", Named: true})
		w.work()
		w.sweep()
		w.none()
		if len(w.fake.PersonState("jo@example.com").Members) != 1 {
			w.t.Error("the first seat is gone")
		}
		// The same name proves nothing: one decision each, with a reason.
		if err := w.fake.AddMember(amplitudefake.Member{Email: "j.person@example.com", GivenName: "jo", FamilyName: "Person"}); err != nil {
			w.t.Fatal(err)
		}
		w.sweep()
		named := w.one(offboard.SecondSeat, "j.person@example.com")
		for _, fix := range []offboard.Fix{{By: "kim", Named: true}, {By: "kim", Named: true, Because: "asked jo"}} {
			if err := offboard.Fixable(named, fix); err == nil || !strings.Contains(err.Error(), "a name proves nothing") {
				w.t.Errorf("%+v: %v", fix, err)
			}
		}
		w.fix(named, offboard.Fix{By: "kim", Named: true, Alone: true, Because: "asked jo"})
		w.work()
		w.sweep()
		w.none()
	})
}

// counting is a record that notes with how many a seat was said to be like.
type counting struct {
	drift.Store
	most int
}

func (c *counting) CompareSeats(ctx context.Context, w offboard.Sweep, after string, n int, decide func([]offboard.SeatFacts) []offboard.Finding) (string, error) {
	return c.Store.CompareSeats(ctx, w, after, n, func(all []offboard.SeatFacts) []offboard.Finding {
		for _, f := range all {
			c.most = max(c.most, len(f.Alike))
		}
		return decide(all)
	})
}

// Names of machines are shared by many: each is looked at, and none is compared
// with all the others.
func TestANameThatManyShare(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		for i := range 120 {
			w.seat(fmt.Sprintf("bot%03d@example.com", i), "Robot")
		}
		record := &counting{Store: w.store}
		w.options.Store = record
		w.restart()
		w.hire("bot", "robot@example.com", func(p *offboard.Person) { p.DisplayName = "Robot Example" })
		w.sweep()
		found := w.open()
		seconds := 0
		for _, f := range found {
			if f.Kind == offboard.SecondSeat && strings.Contains(f.Text, "robot@example.com at the identity provider") {
				seconds++
			}
		}
		if record.most == 0 || record.most > 64 {
			w.t.Errorf("a seat is like %d others", record.most)
		}
		if seconds != 120 {
			w.t.Errorf("%d of 120 seats are told to be like the robot of the directory", seconds)
			w.show()
		}
	})
}

func TestTheFormerAddressOfALeaver(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.seat("joanna@example.com", "Joanna")
		w.change(func(p *offboard.Person) { p.Emails = append(p.Emails, offboard.Email{Value: "joanna@example.com"}) })
		w.sweep()
		f := w.one(offboard.SecondSeat, "joanna@example.com")
		if err := offboard.Fixable(f, offboard.Fix{By: "kim", Named: true}); err == nil || !strings.Contains(err.Error(), "is entitled") {
			w.t.Errorf("of somebody entitled: %v", err)
		}
		w.leave()
		w.sweep()
		f = w.one(offboard.SecondSeat, "joanna@example.com")
		w.fix(f, offboard.Fix{By: "kim", Named: true})
		w.work()
		w.sweep()
		w.none()
	})
}

func TestPeopleWhoWereNeverEntitled(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.seat("sam@example.com", "Sam")
		w.hire("sam", "sam@example.com", func(p *offboard.Person) { p.Active = false })
		w.sweep()
		f := w.one(offboard.CreatedInactive, "sam@example.com")
		if f.Severity != offboard.Warning || f.PersonID != "sam" {
			w.t.Errorf("finding %+v", f)
		}
		w.fix(f, offboard.Fix{By: "kim", Named: true})
		w.work()
		w.sweep()
		w.none()
	})
}

func TestEntitledAndNoMember(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.hire("sam", "sam@example.com", nil)
		w.hire("test", "test@scim.invalid", nil) // made up for a test of the connection
		w.sweep()
		w.none() // may be invited yet
		w.clock.move(24 * time.Hour)
		w.sweep()
		if f := w.one(offboard.EntitledButNoMember, "sam@example.com"); f.Severity != offboard.Info {
			w.t.Errorf("finding %+v", f)
		}
		w.seat("Sam@Example.com", "Sam")
		w.sweep()
		w.none()
	})
}

func TestAPendingInvitation(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.hire("sam", "sam@example.com", nil)
		w.human(amplitudefake.Action{Do: "invite", By: "root@example.com", Email: "sam@example.com"})
		w.sweep()
		w.none()
		w.clock.move(14 * 24 * time.Hour)
		w.sweep()
		w.one(offboard.PendingInvitation, "sam@example.com")
		w.human(amplitudefake.Action{Do: "login", Email: "sam@example.com"})
		w.sweep()
		w.none()
	})
}

func TestAdminsOutsideTheirGroup(t *testing.T) {
	onBoth(t, setup{drift: func(o *drift.Options) { o.AdminGroups = []string{"Amplitude admins"} }}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleAdmin)
		w.group("Amplitude admins", "root")
		w.set("enrolled", "false")
		w.sweep()
		w.none()
		if note := w.swept().Note; !strings.Contains(note, "admins were not looked at") {
			w.t.Errorf("note %q", note)
		}
		w.set("enrolled", "true")
		w.sweep()
		w.one(offboard.AdminOutsideGroups, "jo@example.com")
		w.set("enrolled", "false")
		w.clock.move(24 * time.Hour)
		w.sweep() // not looked at, not resolved
		w.one(offboard.AdminOutsideGroups, "jo@example.com")
		w.set("enrolled", "true")
		w.human(amplitudefake.Action{Do: "change_role", Email: "jo@example.com", Role: amplitudefake.RoleMember})
		w.sweep()
		w.none()
	})
}

func TestAListOfAdminsThatLies(t *testing.T) {
	for name, lie := range map[string]func(*world){
		"nobody is one": func(w *world) {
			w.answering("/user-management/1/projects/", func(list map[string]any) { list["data"] = []any{} })
		},
		"one is left out": func(w *world) {
			w.answering("/user-management/1/projects/", func(list map[string]any) {
				all, _ := list["data"].([]any)
				list["data"] = slices.DeleteFunc(all, func(one any) bool { return strings.Contains(fmt.Sprint(one), "jo@example.com") })
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, setup{drift: func(o *drift.Options) { o.AdminGroups = []string{"Amplitude admins"} }}, func(w *world) {
				w.person("jo", "jo@example.com", amplitudefake.RoleAdmin)
				w.group("Amplitude admins", "root")
				w.sweep()
				w.one(offboard.AdminOutsideGroups, "jo@example.com")
				lie(w)
				w.clock.move(24 * time.Hour)
				w.sweep()
				w.one(offboard.AdminOutsideGroups, "jo@example.com")
				if s := w.swept(); s.Failed != "" || !strings.Contains(s.Note, "admins were not looked at") {
					w.t.Errorf("sweep %+v", s)
				}
				w.human(amplitudefake.Action{Do: "change_role", Email: "jo@example.com", Role: amplitudefake.RoleMember})
				w.answering("/user-management/1/projects/", func(map[string]any) {}) // the truth again
				w.sweep()
				w.none()
			})
		})
	}
}

func TestAcknowledgedUntilADate(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.seat("sam@example.com", "Sam")
		w.sweep()
		f := w.one(offboard.UnknownToIdP, "sam@example.com")
		until := w.clock.now().Add(48 * time.Hour)
		for _, bad := range []offboard.Acknowledgement{
			{By: "kim", Until: until}, {By: "kim", Because: "a bot", Until: w.clock.now()}, {By: "kim", Because: "a bot", Until: until.Add(9000 * time.Hour)},
		} {
			if _, err := w.store.AcknowledgeFinding(w.t.Context(), f.ID, bad); err == nil {
				w.t.Errorf("%+v is accepted", bad)
			}
		}
		if _, err := w.store.AcknowledgeFinding(w.t.Context(), f.ID, offboard.Acknowledgement{By: "kim", Because: "a bot", Until: until}); err != nil {
			w.t.Fatal(err)
		}
		w.sweep()
		w.none()
		w.clock.move(48 * time.Hour)
		if again := w.one(offboard.UnknownToIdP, "sam@example.com"); again.ID != f.ID { // also before the next sweep
			w.t.Errorf("another finding: %+v", again)
		}
		w.sweep()
		w.one(offboard.UnknownToIdP, "sam@example.com")
	})
}

func TestObserveModeFindsWithoutAlarm(t *testing.T) {
	onBoth(t, setup{observe: true}, func(w *world) {
		w.person("jo", "jo@example.com", amplitudefake.RoleMember)
		w.leave()
		w.sweep()
		f := w.one(offboard.LeaverStillThere, "jo@example.com")
		if f.Severity != offboard.Warning || !strings.Contains(f.Text, "observed") {
			w.t.Errorf("finding %+v", f)
		}
	})
}

func TestOwnersWithoutASeat(t *testing.T) {
	onBoth(t, setup{}, func(w *world) {
		w.sweep()
		w.none()
		if note := w.swept().Note; !strings.Contains(note, "owners were not looked at") {
			w.t.Errorf("note %q", note)
		}
		w.owns("cohort", "1", "left@example.com", "kim@example.com")
		w.owns("flag", "2", "left@example.com")
		w.sweep()
		f := w.one(offboard.DeadOwner, "left@example.com")
		if !strings.HasPrefix(f.Text, "2 things in acme") || !strings.Contains(string(f.Data), `"cohort"`) {
			w.t.Errorf("finding %+v", f)
		}
		w.seat("left@example.com", "Left")
		w.hire("left", "left@example.com", nil)
		w.sweep()
		w.none()
	})
}
