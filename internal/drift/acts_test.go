package drift_test

import (
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/drift"
	"offramp/internal/offboard"
)

// human does something in Amplitude's pages, or as an identity provider's own app.
func (w *world) human(a amplitudefake.Action) {
	w.t.Helper()
	if _, err := w.fake.Human(a); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) set(name, value string) {
	w.t.Helper()
	if err := w.fake.SetSwitch(name, value); err != nil {
		w.t.Fatal(err)
	}
}

// open are the findings that somebody should look at, but for those of a kind
// that a story has not to do with.
func (w *world) open() []offboard.Finding {
	w.t.Helper()
	all, err := w.store.Findings(w.t.Context(), offboard.FindingFilter{Most: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// one is the only open finding.
func (w *world) one(kind offboard.FindingKind, address string) offboard.Finding {
	w.t.Helper()
	all := w.open()
	if len(all) != 1 || all[0].Kind != kind || all[0].Address != address {
		w.show()
		w.t.Fatalf("open findings are %v, want one %s about %s", kinds(all), kind, address)
	}
	return all[0]
}

// of is the open finding of a kind.
func (w *world) of(kind offboard.FindingKind) offboard.Finding {
	w.t.Helper()
	for _, f := range w.open() {
		if f.Kind == kind {
			return f
		}
	}
	w.show()
	w.t.Fatalf("no %s is open", kind)
	return offboard.Finding{}
}

func (w *world) none() {
	w.t.Helper()
	if all := w.open(); len(all) > 0 {
		w.show()
		w.t.Fatalf("open findings are %v, want none", kinds(all))
	}
}

func kinds(all []offboard.Finding) (out []string) {
	for _, f := range all {
		out = append(out, string(f.Kind)+" "+f.Address)
	}
	return out
}

func (w *world) show() {
	w.t.Helper()
	all, err := w.store.Findings(w.t.Context(), offboard.FindingFilter{All: true, Most: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range all {
		w.t.Logf("%s %s %s %q: %s; cause %q; proposed %q", f.State, f.Kind, f.Severity, f.Address, f.Text, f.Cause, f.Proposed)
	}
	sweeps, err := w.store.Sweeps(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range sweeps {
		w.t.Logf("sweep %d of %s: running %v, failed %q, note %q", s.Number, s.Organization, s.Running, s.Failed, s.Note)
	}
}

// swept is how the last sweep ended.
func (w *world) swept() offboard.Sweep {
	w.t.Helper()
	s, err := w.store.SweepOf(w.t.Context(), "acme")
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// caseOf is the newest case of an address.
func (w *world) caseOf(address string) offboard.Case {
	w.t.Helper()
	list, err := w.store.Cases(w.t.Context(), offboard.CaseFilter{Address: address})
	if err != nil || len(list) == 0 {
		w.t.Fatalf("cases of %s: %v, %v", address, list, err)
	}
	return list[0]
}

// act decides about jo's case.
func (w *world) act(address string, decide func(offboard.File) (offboard.Update, error)) {
	w.t.Helper()
	if _, err := w.store.Act(w.t.Context(), w.caseOf(address).ID, decide); err != nil {
		w.t.Fatal(err)
	}
}

// cancel takes jo's case back.
func (w *world) cancel() {
	w.t.Helper()
	w.act("jo@example.com", func(f offboard.File) (offboard.Update, error) { return offboard.Cancel(f, "kim", "a mistake") })
	w.work()
}

// step lets cases run for a while.
func (w *world) step(most time.Duration) {
	w.t.Helper()
	for end := w.clock.now().Add(most); w.clock.now().Before(end); {
		if id, ok := w.jobs.take(); ok {
			if err := w.runner.Advance(w.t.Context(), id); err != nil {
				w.t.Fatal(err)
			}
			continue
		}
		if n, err := w.store.Due(w.t.Context(), 100, 100); err != nil {
			w.t.Fatal(err)
		} else if n == 0 {
			w.clock.move(10 * time.Second)
		}
	}
}

// fix opens a case for a finding, as the operator API does.
func (w *world) fix(f offboard.Finding, fix offboard.Fix) string {
	w.t.Helper()
	if err := offboard.Fixable(f, fix); err != nil {
		w.t.Fatal(err)
	}
	person := f.PersonID
	if person == "" {
		p, err := w.store.AdoptPerson(w.t.Context(), f.Connection, f.Address)
		if err != nil {
			w.t.Fatal(err)
		}
		person = p.ID
	}
	id, err := w.store.Reconsider(w.t.Context(), person, func(p offboard.Person, prior offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error) {
		return offboard.Reopen(p, prior, f, fix, w.rules(), w.clock.now())
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// removed reports whether the seat of a case is gone.
func (w *world) removed(address string) bool {
	w.t.Helper()
	return !w.caseOf(address).Removed.IsZero()
}

// ask lets an operator ask for a sweep, which begins at once.
func (w *world) ask() {
	w.t.Helper()
	if _, err := w.store.AskSweep(w.t.Context(), "acme", "kim"); err != nil {
		w.t.Fatal(err)
	}
	if did, err := w.sweeper.Sweep(w.t.Context(), "acme"); err != nil || !did {
		w.t.Fatalf("swept: %v, %v", did, err)
	}
}

// restart builds the sweeper anew.
func (w *world) restart() {
	w.t.Helper()
	var err error
	if w.sweeper, err = drift.New(w.options); err != nil {
		w.t.Fatal(err)
	}
}

// group makes a group of the identity provider.
func (w *world) group(name string, people ...string) {
	w.t.Helper()
	_, _, err := w.store.CreateGroup(w.t.Context(), offboard.NewGroup{ID: "group-" + name, Connection: "okta", DisplayName: name, Members: people})
	if err != nil {
		w.t.Fatal(err)
	}
}

// owns says that an ownership sweep has found owners of something.
func (w *world) owns(kind, id string, owners ...string) {
	w.t.Helper()
	now := w.clock.now().UnixMilli()
	run := func(statement string, args ...any) {
		if _, err := w.store.DB().ExecContext(w.t.Context(), statement, args...); err != nil {
			w.t.Fatal(err)
		}
	}
	run(`insert into owned_list (organization, project, list, entries, truncated, seen_at) values ('acme', 1, $1, 1, false, $2)`, kind, now)
	for _, o := range owners {
		run(`insert into owned_asset (organization, project, list, owner_key, remote_id, kind, name, source, free_text, seen_at)
			values ('acme', 1, $1, $2, $3, $1, $3, 'test', false, $4)`, kind, o, id, now)
	}
}
