package runner_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

// lax lets Amplitude remove whomever it is asked to: nothing but the guards
// keeps the last admin.
func (w *world) lax() {
	w.t.Helper()
	if err := w.fake.SetSwitch("last_admin", "allow"); err != nil {
		w.t.Fatal(err)
	}
}

// admins is the truth about who administers the organization.
func (w *world) admins() (out []string) {
	for _, m := range w.fake.State().Members {
		if m.Role == amplitudefake.RoleAdmin {
			out = append(out, m.Email)
		}
	}
	return out
}

// after lets some time pass.
func (w *world) after(d time.Duration) {
	w.t.Helper()
	end := w.clock.now().Add(d)
	w.run(d+time.Minute, func() bool { return !w.clock.now().Before(end) })
}

// leave has somebody deactivated.
func (w *world) leave(id string) {
	w.t.Helper()
	w.change(id, func(p offboard.Person) offboard.Person { p.Active = false; return p })
}

// meeting is a store that shows what others lose to several attempts before any
// of them goes on.
type meeting struct {
	runner.Store
	once *sync.Once
	meet func()
}

func (s meeting) Losing(ctx context.Context, others offboard.Others) ([]string, error) {
	out, err := s.Store.Losing(ctx, others)
	s.once.Do(s.meet)
	return out, err
}

func TestOfTwoAdminsWhoAreTakenUpAtTheSameMomentOneStays(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w := newWorld(t, s)
		w.lax()
		w.seat(leaver, amplitudefake.RoleAdmin)
		w.directoryOnly("leaver", leaver)
		w.directoryOnly("root", "root@example.com")
		w.leave("leaver")
		w.leave("root")
		w.clock.move(3 * time.Minute)
		var both, all sync.WaitGroup
		both.Add(2)
		for _, who := range []string{leaver, "root@example.com"} {
			var met atomic.Bool
			once := new(sync.Once)
			meet := func() { met.Store(true); both.Done(); both.Wait() }
			w.restart(func(o *runner.Options) { o.Store = meeting{o.Store, once, meet} })
			replica, id := w.runner, w.caseOf(who).Case.ID
			all.Go(func() { // one may wait first for what the other reads
				for range 100 {
					if _ = replica.Advance(t.Context(), id); met.Load() {
						return
					}
					w.clock.move(time.Second)
				}
				once.Do(meet)
				t.Error("never came to a removal")
			})
		}
		all.Wait()
		if got := w.admins(); len(got) != 1 || w.removals() != 1 {
			w.show()
			t.Errorf("admins left: %v, removals: %d", got, w.removals())
		}
	})
}

// managed is a world in which two people, and nobody else, administer the first
// project, through a group.
func managed(t *testing.T, s setup) (w *world, group int) {
	t.Helper()
	s.client = func(_ *world, o *amplitude.Options) { o.Transport = quiet{o.Transport} }
	w = newWorld(t, s)
	w.person("leaver", leaver)
	w.person("second", "second@example.com")
	return w, w.administers("Web admins", 0, leaver, "second@example.com")
}

// administers makes a group that administers a project.
func (w *world) administers(name string, project int, who ...string) int {
	w.t.Helper()
	id, err := w.fake.AddGroup(amplitudefake.Group{Name: name, Members: who, Projects: map[int]string{
		w.fake.Credentials().Projects[project].ID: amplitudefake.RoleAdmin,
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// members is the truth about who is in a group.
func (w *world) members(group int) []string {
	for _, g := range w.fake.State().Groups {
		if g.ID == group {
			return g.Members
		}
	}
	return nil
}

func TestOfTwoWhoAreContainedAtOnceOneKeepsTheProject(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		w, group := managed(t, s)
		w.policy.Approvals = 1
		w.leave("leaver")
		w.leave("second")
		w.after(10 * time.Minute)
		if got := w.members(group); len(got) != 1 {
			w.show()
			t.Fatalf("the project is administered by %v", got)
		}
		// The one who was contained is leaving, however long ago, and replaces nobody.
		w.after(time.Hour)
		if got := w.members(group); len(got) != 1 {
			w.show()
			t.Errorf("an hour later the project is administered by %v", got)
		}
	})
}

// A cancelled case gives back what it took, and its person counts again.
func TestWhoWasGivenBackTheirAccessReplacesSomebody(t *testing.T) {
	t.Parallel()
	w, group := managed(t, setup{})
	w.policy.Approvals = 1
	w.leave("leaver")
	w.run(time.Hour, func() bool { return len(w.members(group)) == 1 })
	w.change("leaver", func(p offboard.Person) offboard.Person { p.Active = true; return p })
	w.run(time.Hour, func() bool { return len(w.members(group)) == 2 })
	w.after(10 * time.Minute)
	w.leave("second")
	w.after(10 * time.Minute)
	if got := w.members(group); !slices.Equal(got, []string{leaver}) {
		w.show()
		t.Errorf("the project is administered by %v", got)
	}
}

func TestOfTwoWhoMoveAtOnceOneKeepsTheProject(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		s.client = func(_ *world, o *amplitude.Options) { o.Transport = quiet{o.Transport} }
		w := newWorld(t, s)
		web := w.fake.Credentials().Projects[0].ID
		w.triggers = moves(t, offboard.Policy{Name: "movers", Plan: offboard.Mover, Revoke: offboard.Revoke{Projects: []int{web}}})
		for id, address := range map[string]string{"leaver": leaver, "second": "second@example.com"} {
			err := w.fake.AddMember(amplitudefake.Member{
				Email: address, Role: amplitudefake.RoleMember, LastLogin: w.clock.now(), Projects: map[int]string{web: amplitudefake.RoleAdmin},
			})
			if err != nil {
				t.Fatal(err)
			}
			w.directoryOnly(id, address)
			w.change(id, func(p offboard.Person) offboard.Person { p.Department = "Analytics"; return p })
		}
		for _, id := range []string{"leaver", "second"} {
			w.change(id, func(p offboard.Person) offboard.Person { p.Department = "Sales"; return p })
		}
		w.after(30 * time.Minute)
		left := 0
		for _, m := range w.fake.State().Members {
			if m.Projects[web] == amplitudefake.RoleAdmin {
				left++
			}
		}
		if left != 1 {
			w.show()
			t.Errorf("%d people administer the project", left)
		}
	})
}

func TestHoweverManyAdminsThereAreTheOnlyTwoOfAProjectAreSeen(t *testing.T) {
	t.Parallel()
	w, group := managed(t, setup{})
	var many []string
	for i := range 12 {
		many = append(many, fmt.Sprintf("admin%d@example.com", i))
		w.seat(many[i], amplitudefake.RoleMember)
	}
	w.administers("Mobile admins", 1, many...)
	w.leave("leaver")
	w.leave("second")
	w.after(10 * time.Minute)
	if got := w.members(group); len(got) != 1 || w.removals() != 1 {
		w.show()
		t.Errorf("the project is administered by %v after %d removals", got, w.removals())
	}
}

// Of many admins some leave and some were only invited: those who are left count.
func TestOfManyAdminsThoseCountWhoHaveJoinedAndStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.lax()
	leaving := []string{"leaver", "a", "b", "c"}
	for _, id := range leaving {
		address := id + "@example.com"
		if id == "leaver" {
			address = leaver
		}
		w.seat(address, amplitudefake.RoleAdmin)
		w.directoryOnly(id, address)
	}
	for i := range 4 {
		err := w.fake.AddMember(amplitudefake.Member{Email: fmt.Sprintf("invited%d@example.com", i), Role: amplitudefake.RoleAdmin, Status: "pending"})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range leaving {
		w.leave(id)
	}
	w.run(2*time.Hour, func() bool { return w.live() == 0 })
	if w.removals() != 4 {
		w.show()
		t.Errorf("%d removals", w.removals())
	}
	w.directoryOnly("root", "root@example.com")
	w.leave("root")
	w.after(time.Hour)
	if !slices.Contains(w.admins(), "root@example.com") {
		w.show()
		t.Error("those who were only invited replaced the last admin")
	}
}

// Leavers who administer nothing share one reading, and ask for nothing else.
func TestLeaversWhoAdministerNothingShareAReading(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	for i := range 10 {
		id := fmt.Sprintf("p%d", i)
		w.person(id, id+"@example.com")
		w.leave(id)
	}
	w.run(time.Hour, func() bool { return w.removals() == 10 })
	asked := map[string]int{}
	for _, r := range w.fake.Requests(amplitudefake.RequestFilter{}) {
		asked[r.Path]++
	}
	for _, p := range w.fake.Credentials().Projects {
		if n := asked[fmt.Sprintf("/user-management/1/projects/%d/access", p.ID)]; n != 1 {
			t.Errorf("project %s was asked for %d times: %v", p.Name, n, asked)
		}
	}
}
