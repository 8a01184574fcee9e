package runner_test

import (
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/config"
	"offramp/internal/daemon"
	"offramp/internal/offboard"
	"offramp/internal/runner"
)

// protecting are the rules of a configuration file that protects people.
func protecting(t *testing.T, protect string) offboard.Rules {
	t.Helper()
	const file = "mode: enforce\npublic_url: https://offramp.example.com\nconnections: [{name: okta}]\n" +
		"organizations: [{name: acme, scim_key: {env: KEY}}]\nprotect: "
	cfg, problems := config.Load("offramp.yaml", []string{"KEY=key"}, func(string) ([]byte, error) { return []byte(file + protect), nil })
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	rules, err := daemon.Rules(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return rules("okta")
}

// boardMember is a world in which somebody may be protected: in the department
// Executive, with a second address, and in the group Board.
func boardMember(t *testing.T, s setup, protect string) *world {
	t.Helper()
	rules := protecting(t, protect)
	s.opts = func(o *runner.Options) { o.Protected = rules.Protected }
	w := newWorld(t, s)
	w.protect = rules
	w.person("leaver", leaver)
	if _, err := w.fake.AddGroup(amplitudefake.Group{Name: "Analysts", Members: []string{leaver}}); err != nil {
		t.Fatal(err)
	}
	w.change("leaver", func(p offboard.Person) offboard.Person {
		p.Department, p.Emails = "Executive", []offboard.Email{{Value: "jo.smith@example.com"}}
		return p
	})
	_, _, err := w.store.CreateGroup(t.Context(), offboard.NewGroup{
		ID: "g1", Connection: "okta", DisplayName: "Board", ExternalID: "ext-1", Members: []string{"leaver"}, Access: w.groupRules(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) groupRules() offboard.AccessRules { return offboard.AccessRules{Rules: w.rules()} }

// board changes the group Board.
func (w *world) board(c offboard.GroupChange) {
	w.t.Helper()
	c.Connection, c.ID, c.Access = "okta", "g1", w.groupRules()
	if _, _, err := w.store.ChangeGroup(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

// What identity providers do when somebody leaves, and what takes away what
// protected them.
func (w *world) pushOut() {
	w.board(offboard.GroupChange{Members: []offboard.MemberChange{{Op: offboard.RemoveMembers, IDs: []string{"leaver"}}}})
}

func (w *world) rename(name string) { w.board(offboard.GroupChange{DisplayName: &name}) }

func (w *world) delete() {
	w.change("leaver", func(p offboard.Person) offboard.Person { p.Deleted = w.clock.now(); return p })
}

// clear empties what the identity provider said, and may deactivate with it.
func (w *world) clear(active bool) {
	w.change("leaver", func(p offboard.Person) offboard.Person {
		p.Department, p.Emails, p.UserName, p.Active = "", nil, "x-jo@example.com", active
		return p
	})
}

func TestProtectionOutlivesTheEventThatTakesItAway(t *testing.T) {
	t.Parallel()
	const group, name, byID = `{groups: [board]}`, `{when: '"Board" in person.groups'}`, `{groups: [EXT-1]}`
	const list, alias, department = `{people: [jo@example.com]}`, `{people: [jo.smith@example.com]}`, `{when: person.department == "Executive"}`
	deactivate, deletes, days := (*world).deactivate, (*world).delete, func(w *world) { w.clock.move(72 * time.Hour) }
	for story, c := range map[string]struct {
		protect []string
		leave   []func(*world)
	}{
		"deactivated":                     {[]string{list, alias, group, byID, name, department}, []func(*world){deactivate}},
		"deleted":                         {[]string{list, group, name}, []func(*world){deletes}},
		"deactivated, then deleted":       {[]string{byID, department}, []func(*world){deactivate, deletes}},
		"cleared by the same write":       {[]string{list, alias, department}, []func(*world){func(w *world) { w.clear(false) }}},
		"cleared, then deactivated":       {[]string{alias, department}, []func(*world){func(w *world) { w.clear(true) }, (*world).hour, deactivate}},
		"out of the group, then deleted":  {[]string{group, name}, []func(*world){(*world).pushOut, (*world).hour, deletes}},
		"deactivated, then out of it":     {[]string{byID, name}, []func(*world){deactivate, (*world).pushOut}},
		"the group was renamed, long ago": {[]string{group, name}, []func(*world){func(w *world) { w.rename("Supervisors") }, days, deletes}},
		"the group was deleted, long ago": {[]string{group, name}, []func(*world){func(w *world) { w.board(offboard.GroupChange{Delete: true}) }, days, deactivate}},
	} {
		for _, protect := range c.protect {
			t.Run(story+"/"+protect, func(t *testing.T) {
				t.Parallel()
				onBoth(t, func(t *testing.T, s setup) {
					t.Helper()
					w := boardMember(t, s, protect)
					for _, happens := range c.leave {
						happens(w)
					}
					f := w.until(offboard.StateNeedsAttention, offboard.WaitNothing)
					if n := w.changes(); !strings.Contains(f.Case.Note, "protected") || n > 0 {
						w.show()
						t.Errorf("note %q after %d changes", f.Case.Note, n)
					}
				})
			})
		}
	}
}

func (w *world) hour() { w.clock.move(time.Hour) }

func TestWhoeverIsNoLongerProtectedLeaves(t *testing.T) {
	t.Parallel()
	for story, leave := range map[string]func(*world){
		"two days after they left the group": func(w *world) {
			w.pushOut()
			w.clock.move(48 * time.Hour)
			w.deactivate()
		},
		"as the configuration says since they were deleted": func(w *world) {
			w.delete()
			f := w.until(offboard.StateNeedsAttention, offboard.WaitNothing)
			w.restart(func(o *runner.Options) { o.Protected = protecting(w.t, `{groups: [Break glass]}`).Protected })
			w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Retry(f, "sam@example.com", "") })
		},
		"by an admin's word": func(w *world) {
			w.delete()
			f := w.until(offboard.StateNeedsAttention, offboard.WaitNothing)
			if !strings.Contains(f.Case.Note, "--override") {
				w.t.Errorf("note %q", f.Case.Note)
			}
			w.act(f.Case.ID, func(f offboard.File) (offboard.Update, error) {
				return offboard.Pass(f, "root@example.com", "the board decided it")
			})
		},
	} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, s setup) {
				t.Helper()
				w := boardMember(t, s, `{groups: [Board]}`)
				leave(w)
				if f := w.closed(leaver); f.Case.Outcome != offboard.OutcomeRemoved {
					w.show()
					t.Errorf("outcome %s", f.Case.Outcome)
				}
			})
		})
	}
}
