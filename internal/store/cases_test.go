package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store"
	"offramp/internal/store/storetest"
)

// record is an open store with its own time.
type record struct {
	*store.Store
	mu   sync.Mutex
	time time.Time
	jobs []offboard.Job
	path string
}

func (r *record) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.time
}

func (r *record) move(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.time = r.time.Add(d)
}

func (r *record) Enqueue(_ context.Context, _ *sql.Tx, jobs []offboard.Job) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.jobs = append(r.jobs, jobs...)
	return nil
}

func (r *record) queued() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.jobs)
}

// onBothDatabases runs a story on SQLite and on PostgreSQL.
func onBothDatabases(t *testing.T, story func(t *testing.T, r *record)) {
	t.Helper()
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			r := &record{time: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
			o := store.Options{Now: r.now}
			if name == "postgres" {
				o.URL = storetest.Postgres(t)
			} else {
				r.path = filepath.Join(t.TempDir(), "offramp.db")
				o.Path = r.path
			}
			var err error
			if r.Store, err = store.Open(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			})
			r.Use(r)
			if err := r.Migrate(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			story(t, r)
		})
	}
}

// leaver opens a case for a person who is deactivated.
func (r *record) leaver(t *testing.T, id string, plan offboard.PlanName) string {
	t.Helper()
	rules := offboard.Rules{Policy: func(offboard.PolicyFacts) offboard.Policy {
		p := offboard.Fallback()
		p.Plan = plan
		return p
	}}
	change := func(personID string, f func(offboard.Person) offboard.Person) {
		_, err := r.ChangePerson(t.Context(), offboard.PersonChange{
			Connection: "okta", ID: personID, Rules: rules,
			Change: func(was offboard.Person) (offboard.Person, error) { return f(was), nil },
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	change("", func(p offboard.Person) offboard.Person {
		p.ID, p.UserName, p.Address, p.Active, p.Resource = id, id+"@example.com", id+"@example.com", true, "{}"
		return p
	})
	change(id, func(p offboard.Person) offboard.Person { p.Active = false; return p })
	list, err := r.Cases(t.Context(), offboard.CaseFilter{Address: id + "@example.com"})
	if err != nil || len(list) != 1 {
		t.Fatalf("cases: %v, %v", list, err)
	}
	return list[0].ID
}

func TestOneAttemptAtATime(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, r *record) {
		t.Helper()
		id := r.leaver(t, "jo", offboard.Emergency)
		_, first, err := r.Claim(t.Context(), id, 30*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.Claim(t.Context(), id, 30*time.Second); !errors.Is(err, offboard.ErrLeased) {
			t.Fatalf("second claim: %v", err)
		}
		r.move(31 * time.Second)
		if n, err := r.Due(t.Context(), 10, 10); err != nil || n != 1 {
			t.Fatalf("a lapsed lease is due: %d, %v", n, err)
		}
		_, second, err := r.Claim(t.Context(), id, 30*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		nothing := func(offboard.File) (offboard.Update, error) { return offboard.Update{}, nil }
		if _, err := r.Checkpoint(t.Context(), first, 0, nothing); !errors.Is(err, offboard.ErrFenced) {
			t.Errorf("the overtaken attempt recorded something: %v", err)
		}
		intent := offboard.Intent{Step: offboard.StepRemove, Key: id + "/remove/x", Object: "x", Lease: time.Second}
		allow := func(offboard.File) offboard.Permission { return offboard.Permission{Allowed: true} }
		if _, _, err := r.Intend(t.Context(), first, intent, allow); !errors.Is(err, offboard.ErrFenced) {
			t.Errorf("the overtaken attempt may act: %v", err)
		}
		if _, err := r.Checkpoint(t.Context(), second, 0, nothing); err != nil {
			t.Error(err)
		}
	})
}

func TestASignalDuringAnAttemptIsNotLost(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, r *record) {
		t.Helper()
		id := r.leaver(t, "jo", offboard.Emergency)
		_, fence, err := r.Claim(t.Context(), id, 30*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Act(t.Context(), id, func(offboard.File) (offboard.Update, error) {
			return offboard.Update{Approvals: []offboard.Approval{{By: "kim@example.com"}}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		before := r.queued()
		wait := offboard.WaitApproval
		_, err = r.Checkpoint(t.Context(), fence, 0, func(offboard.File) (offboard.Update, error) {
			return offboard.Update{State: offboard.StateWaiting, Waiting: &wait}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.queued() != before+1 {
			t.Error("the case waits for an approval that it has")
		}
	})
}

func TestAnEffectIsIntendedOnceAndGuarded(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, r *record) {
		t.Helper()
		id := r.leaver(t, "jo", offboard.Emergency)
		_, fence, err := r.Claim(t.Context(), id, 30*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		in := offboard.Intent{Step: offboard.StepRemove, Key: id + "/remove/x", Object: "x", Lease: time.Second, Claim: []string{"acme"}}
		refuse := func(offboard.File) offboard.Permission { return offboard.Permission{Because: "no"} }
		if _, p, err := r.Intend(t.Context(), fence, in, refuse); err != nil || p.Allowed {
			t.Fatalf("%+v, %v", p, err)
		}
		allow := func(offboard.File) offboard.Permission { return offboard.Permission{Allowed: true} }
		for _, want := range []offboard.EffectState{offboard.EffectNone, offboard.EffectIntended} {
			was, _, err := r.Intend(t.Context(), fence, in, allow)
			if err != nil || was.State != want {
				t.Fatalf("effect was %q, %v; want %q: a refused one leaves no record", was.State, err, want)
			}
		}
		other := r.leaver(t, "kim", offboard.Emergency)
		f, err := r.Case(t.Context(), other)
		if err != nil || f.RemoveBegan() {
			t.Fatalf("another case began: %v, %v", f.RemoveBegan(), err)
		}
	})
}

func TestATamperedTimelineShows(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, r *record) {
		t.Helper()
		id := r.leaver(t, "jo", offboard.Leaver)
		_, err := r.Act(t.Context(), id, func(offboard.File) (offboard.Update, error) {
			return offboard.Update{Timeline: []offboard.Entry{{Actor: "kim", Kind: "note", Text: "looked at it"}}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if entries, err := r.Timeline(t.Context(), id); err != nil || len(entries) != 2 {
			t.Fatalf("%v, %v", entries, err)
		}
		if _, err := r.DB().ExecContext(t.Context(), "update timeline set body = 'looked away' where seq = 2"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Timeline(t.Context(), id); err == nil || !strings.Contains(err.Error(), "changed at entry 2") {
			t.Errorf("error %v", err)
		}
	})
}

func TestWritesOfAGroupFailAlone(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, r *record) {
		t.Helper()
		var all sync.WaitGroup
		errs := make([]error, 64)
		for i := range errs {
			all.Go(func() {
				_, errs[i] = r.ChangePerson(t.Context(), offboard.PersonChange{
					Connection: "okta",
					Change: func(p offboard.Person) (offboard.Person, error) {
						if i%4 == 0 {
							return p, errors.New("no")
						}
						p.ID, p.UserName, p.Resource = fmt.Sprintf("p%02d", i), fmt.Sprintf("p%02d@example.com", i), "{}"
						if i%4 == 1 {
							p.UserName = "same@example.com"
						}
						p.Address = p.UserName
						return p, nil
					},
					Rules: offboard.Rules{Policy: func(offboard.PolicyFacts) offboard.Policy { return offboard.Fallback() }},
				})
			})
		}
		all.Wait()
		taken := 0
		for i, err := range errs {
			_, isTaken := errors.AsType[*offboard.TakenError](err)
			switch {
			case isTaken:
				taken++
			case (err != nil) != (i%4 == 0):
				t.Errorf("write %d: %v", i, err)
			}
		}
		if taken != 15 {
			t.Errorf("%d of 16 writes of one user name were refused, want 15", taken)
		}
	})
}

func TestASecondProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "offramp.db")
	first, err := store.Open(t.Context(), store.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), store.Options{Path: path}); !errors.Is(err, store.ErrLocked) {
		t.Errorf("second open: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := store.Open(t.Context(), store.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
