package store_test

import (
	"context"
	"database/sql"
	"reflect"
	"slices"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // as database/sql knows it

	"offramp/internal/offboard"
	"offramp/internal/store"
	"offramp/internal/store/storetest"
)

// took records that a case takes something away; finished, that it was answered.
func (r *record) took(t *testing.T, id string, step offboard.StepName, object string, finished bool) offboard.Fence {
	t.Helper()
	_, fence, err := r.Claim(t.Context(), id, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	key := id + "/" + string(step) + "/" + object
	allow := func(offboard.File) offboard.Permission { return offboard.Permission{Allowed: true} }
	if _, _, err := r.Intend(t.Context(), fence, offboard.Intent{Step: step, Key: key, Object: object, Lease: time.Minute}, allow); err != nil {
		t.Fatal(err)
	}
	if finished {
		r.checkpoint(t, fence, offboard.Update{Effects: []offboard.Effect{{Key: key, Response: "done"}}})
	}
	return fence
}

func (r *record) checkpoint(t *testing.T, f offboard.Fence, u offboard.Update) {
	t.Helper()
	_, err := r.Checkpoint(t.Context(), f, time.Minute, func(offboard.File) (offboard.Update, error) { return u, nil })
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhoElseIsLosingAccess(t *testing.T) {
	t.Parallel()
	onBothDatabases(t, func(t *testing.T, r *record) {
		t.Helper()
		end := offboard.Update{State: offboard.StateClosed, Outcome: offboard.OutcomeRemoved}
		r.took(t, r.leaver(t, "intended", offboard.Leaver), offboard.StepRemove, "acme/intended@example.com", false)
		r.took(t, r.leaver(t, "contained", offboard.Leaver), offboard.StepContain, "acme/group/1", true)
		r.took(t, r.leaver(t, "elsewhere", offboard.Leaver), offboard.StepRemove, "acme-too/elsewhere@example.com", true)
		r.took(t, r.leaver(t, "moved", offboard.Mover), offboard.StepRevoke, "acme/role/1", true)
		r.took(t, r.leaver(t, "moving", offboard.Mover), offboard.StepRevoke, "acme/role/1", false)
		r.leaver(t, "waiting", offboard.Leaver)
		r.checkpoint(t, r.took(t, r.leaver(t, "gone", offboard.Leaver), offboard.StepRemove, "acme/gone@example.com", true), end)
		r.checkpoint(t, r.took(t, r.leaver(t, "unanswered", offboard.Leaver), offboard.StepRemove, "acme/unanswered@example.com", false), end)
		r.took(t, r.leaver(t, "undoing", offboard.Leaver), offboard.StepContain, "acme/undo/group/1", true)
		ask := offboard.Others{Organization: "acme", Since: r.now()}
		for _, id := range []string{"intended", "contained", "elsewhere", "moved", "moving", "waiting", "gone", "unanswered", "undoing", "nobody"} {
			ask.Addresses = append(ask.Addresses, id+"@example.com")
		}
		for story, c := range map[string]struct {
			since time.Time
			want  []string
		}{
			"as of a reading before": {r.now(), []string{"intended", "contained", "moved", "moving", "gone", "unanswered"}},
			"as of a reading after":  {r.now().Add(time.Millisecond), []string{"intended", "contained", "moving"}},
		} {
			ask.Since = c.since
			got, err := r.Losing(t.Context(), ask)
			if err != nil {
				t.Fatal(err)
			}
			for i := range c.want {
				c.want[i] += "@example.com"
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: %v, want %v", story, got, c.want)
			}
		}
	})
}

func TestTheNewestReadingOfTheAdminsIsKept(t *testing.T) {
	t.Parallel()
	onBothDatabases(t, func(t *testing.T, r *record) {
		t.Helper()
		read := func() offboard.AdminReading {
			got, err := r.AdminReading(t.Context(), "acme")
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if got := read(); !got.Began.IsZero() {
			t.Errorf("before any: %+v", got)
		}
		now := offboard.AdminReading{Organization: "acme", Began: r.now(), Projects: []offboard.ProjectAdmins{{ID: 1, Name: "Web", Admins: []string{"jo@example.com"}}}}
		old := now
		old.Began, old.Projects = now.Began.Add(-time.Second), nil
		for _, one := range []offboard.AdminReading{old, now, old} {
			if err := r.SaveAdminReading(t.Context(), one); err != nil {
				t.Fatal(err)
			}
		}
		if got := read(); !reflect.DeepEqual(got, now) {
			t.Errorf("kept: %+v", got)
		}
	})
}

// Whoever takes something from an admin waits for others who do; nobody else
// waits for either.
func TestOrdinaryLeaversWaitForNobodyWhoChangesTheAdmins(t *testing.T) {
	t.Parallel()
	url := storetest.Postgres(t)
	r := &record{time: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	var err error
	if r.Store, err = store.Open(t.Context(), store.Options{URL: url, Now: r.now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := r.Migrate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := r.SaveAdminReading(t.Context(), offboard.AdminReading{Organization: "acme", Began: r.now()}); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	other, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.ExecContext(t.Context(), "update admin_reading set organization = organization"); err != nil {
		t.Fatal(err)
	}
	r.took(t, r.leaver(t, "ordinary", offboard.Leaver), offboard.StepRemove, "acme/ordinary@example.com", true)

	id := r.leaver(t, "admin", offboard.Leaver)
	_, fence, err := r.Claim(t.Context(), id, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan []string, 1)
	go func() {
		in := offboard.Intent{
			Step: offboard.StepRemove, Key: id + "/remove/acme", Object: "acme/admin@example.com", Lease: time.Minute,
			Others: offboard.Others{Organization: "acme", Addresses: []string{"ordinary@example.com"}, Since: r.now()},
		}
		_, _, _ = r.Intend(context.WithoutCancel(t.Context()), fence, in, func(f offboard.File) offboard.Permission {
			answered <- f.Standing.Losing
			return offboard.Permission{}
		})
	}()
	for waiting := 0; waiting == 0; {
		err := db.QueryRowContext(t.Context(), "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()").Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Rollback(); err != nil {
		t.Fatal(err)
	}
	if got := <-answered; !slices.Equal(got, []string{"ordinary@example.com"}) {
		t.Errorf("loses something as well: %v", got)
	}
}
