package review_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/csv"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/review"
	"offramp/internal/runner"
	"offramp/internal/store"
	"offramp/internal/store/storetest"
	"offramp/transfer"
)

// office is an organization under review: the real store, the real client, the
// real runner for what is decided, the simulator, and time that a test moves.
type office struct {
	*review.Reviews
	t       *testing.T
	began   time.Time
	at      time.Time
	store   *store.Store
	fake    *amplitudefake.Fake
	options review.Options
	runner  *runner.Runner
	logins  map[string]offboard.Activity
	said    string // the last message in full
	told    []string
	ids     []string
	mover   bool // the policy only reduces
}

func (o *office) Enqueue(_ context.Context, _ *sql.Tx, list []offboard.Job) error {
	for _, j := range list {
		o.ids = append(o.ids, j.CaseID)
	}
	return nil
}

func onBoth(t *testing.T, story func(o *office)) {
	t.Helper()
	for name, postgres := range map[string]bool{"sqlite": false, "postgres": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(newOffice(t, postgres))
		})
	}
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newOffice(t *testing.T, postgres bool) *office {
	t.Helper()
	o := &office{t: t, at: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), logins: map[string]offboard.Activity{}}
	o.began = o.at
	now := func() time.Time { return o.at }
	where := store.Options{Now: now}
	if postgres {
		where.URL = storetest.Postgres(t)
	} else {
		where.Path = filepath.Join(t.TempDir(), "offramp.db")
	}
	o.store = must[*store.Store](t)(store.Open(t.Context(), where))
	t.Cleanup(func() { _ = o.store.Close() })
	o.store.Use(o)
	if err := o.store.Migrate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	o.fake = must[*amplitudefake.Fake](t)(amplitudefake.New(amplitudefake.Options{Seed: 1, RatePerMinute: -1, Now: now}))
	c := o.fake.Credentials()
	client := must[*amplitude.Client](t)(amplitude.New(amplitude.Options{
		Name: "acme", SCIMKey: amplitude.Secret(c.SCIMKey), OrgID: c.OrgID, OrgKey: amplitude.Secret(c.OrgKey), OrgSecret: amplitude.Secret(c.OrgSecret),
		Endpoints: amplitude.Endpoints{SCIM: "http://sim.example/scim/1", UserManagement: "http://sim.example/user-management/1"},
		Transport: o.fake.Transport(), Now: now,
	}))
	manual := must[*transfer.Manual](t)(transfer.NewManual(transfer.ManualOptions{Now: now}))
	o.runner = must[*runner.Runner](t)(runner.New(runner.Options{
		Store: o.store, Manual: manual, Now: now, Organizations: []runner.Organization{{Name: "acme", Client: client, Roles: true}},
		Verify: []time.Duration{time.Minute},
	}))
	org := review.Organization{Name: "acme", Client: client, Roles: true}
	for _, p := range c.Projects {
		org.Projects = append(org.Projects, review.Project{ID: p.ID, Name: p.Name})
	}
	o.options = review.Options{
		Store: o.store, Organizations: []review.Organization{org}, Connections: []string{"okta"}, Reach: func(string) []string { return nil },
		Rules: func(string) offboard.Rules { return o.rules() }, Reachable: func(_, address string) bool { return offboard.Domain(address) == "example.com" },
		Logins: func(_ context.Context, _, address string) (offboard.Logins, error) {
			log := offboard.LogRange{From: o.began.Add(-90 * 24 * time.Hour), To: o.at}
			return offboard.Logins{Log: log, Activity: o.logins[address]}, nil
		},
		Announce: func(_ context.Context, key, subject, body string) error {
			o.said = body
			if !slices.Contains(o.told, key+": "+subject) {
				o.told = append(o.told, key+": "+subject)
			}
			return nil
		},
		Every: 90 * 24 * time.Hour, Due: 14 * 24 * time.Hour, Inactive: 90 * 24 * time.Hour, Now: now,
	}
	o.Reviews = must[*review.Reviews](t)(review.New(o.options))
	return o
}

func (o *office) rules() offboard.Rules {
	p := offboard.Fallback()
	p.Approvals, p.Unlisted = 0, offboard.UnlistedNote
	if o.mover {
		p.Name, p.Plan = "less", offboard.Mover
	}
	return offboard.Rules{Policy: func(offboard.PolicyFacts) offboard.Policy { return p }}
}

// member seats somebody; known ones are in the provider's directory too.
func (o *office) member(m amplitudefake.Member, known bool) {
	o.t.Helper()
	if err := o.fake.AddMember(m); err != nil {
		o.t.Fatal(err)
	}
	if !known {
		return
	}
	must[offboard.Person](o.t)(o.store.ChangePerson(o.t.Context(), offboard.PersonChange{
		Connection: "okta", Rules: o.rules(), Change: func(p offboard.Person) (offboard.Person, error) {
			p.ID, p.UserName, p.Address, p.Active, p.Resource = "id-"+m.Email, m.Email, m.Email, true, "{}"
			return p, nil
		},
	}))
}

// staff is an admin, a member, somebody who never comes, a guest and a stranger.
func (o *office) staff() {
	o.t.Helper()
	project := o.fake.Credentials().Projects[0].ID
	for _, m := range []amplitudefake.Member{
		{Email: "root@example.com", GivenName: "Root", FamilyName: "A", Role: amplitudefake.RoleAdmin},
		{Email: "jo@example.com", GivenName: "Jo", FamilyName: "B", Projects: map[int]string{project: amplitudefake.RoleViewer}},
		{Email: "idle@example.com", GivenName: "=HYPERLINK(1)", FamilyName: "<script>alert(1)</script>"},
	} {
		o.member(m, true)
	}
	o.member(amplitudefake.Member{Email: "guest@agency.example.org", GivenName: "Guest", FamilyName: "C"}, false)
	o.member(amplitudefake.Member{Email: "stranger@example.com", GivenName: "Stranger", FamilyName: "D"}, false)
	for _, who := range []string{"root@example.com", "jo@example.com", "guest@agency.example.org", "stranger@example.com"} {
		o.logins[who] = offboard.Activity{LastLogin: o.at.Add(-48 * time.Hour)}
	}
}

// begin starts a review and reads the members.
func (o *office) begin() string {
	o.t.Helper()
	r := must[offboard.Review](o.t)(o.Start(o.t.Context(), "lead@example.com", 0))
	o.advance()
	return r.ID
}

func (o *office) advance() {
	o.t.Helper()
	if err := o.Advance(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
}

// Decide says a word about the seats of one address; that it cannot be taken, or
// not be carried out, is an error.
func (o *office) Decide(ctx context.Context, id, address string, w offboard.ReviewWord) (int, error) {
	all, err := o.Reviews.Decide(ctx, id, []string{address}, w)
	if err != nil {
		return 0, err
	}
	if no := all[0].Refused + all[0].Waits; no != "" {
		err = &offboard.RefusedError{Because: no}
	}
	return all[0].Seats, err
}

// item is the seat of an address.
func (o *office) item(id, address string) offboard.ReviewItem {
	o.t.Helper()
	_, items, err := o.Read(o.t.Context(), id)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, i := range items {
		if offboard.Fold(i.Address) == address {
			return i
		}
	}
	o.t.Fatalf("%s is not under review", address)
	return offboard.ReviewItem{}
}

func (o *office) state(id string) offboard.ReviewState {
	o.t.Helper()
	r, _, err := o.Read(o.t.Context(), id)
	if err != nil {
		o.t.Fatal(err)
	}
	return r.State
}

// work lets the cases run for a while.
func (o *office) work() { o.works(60) }

// works lets the cases run for some ten seconds.
func (o *office) works(times int) {
	o.t.Helper()
	for range times {
		o.at = o.at.Add(10 * time.Second)
		if _, err := o.store.Due(o.t.Context(), 100, 100); err != nil {
			o.t.Fatal(err)
		}
		for _, id := range o.ids {
			if err := o.runner.Advance(o.t.Context(), id); err != nil {
				o.t.Fatal(err)
			}
		}
		o.ids = nil
	}
}

func word(d offboard.ReviewDecision) offboard.ReviewWord {
	return offboard.ReviewWord{Decision: d, By: "lead@example.com", Because: "looked at it"}
}

func TestAReviewIsReadDecidedCarriedOutAndCompared(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		id := o.begin()
		for address, reasons := range map[string][]string{
			"root@example.com":         {"admin"},
			"jo@example.com":           nil,
			"idle@example.com":         {"no login for a long time"},
			"guest@agency.example.org": {"no identity provider knows them", "guest domain"},
			"stranger@example.com":     {"no identity provider knows them"},
		} {
			got := o.item(id, address).Reasons
			for _, r := range reasons {
				if !slices.Contains(got, r) {
					t.Errorf("%s: reasons %q, want %q among them", address, got, r)
				}
			}
			if len(reasons) == 0 && len(got) > 0 {
				t.Errorf("%s: reasons %q, want none", address, got)
			}
		}
		if seen := o.item(id, "idle@example.com").Seat.LastSeen; seen != "not within 90 days" {
			t.Errorf("last login of who never came: %q", seen)
		}
		if roles := o.item(id, "jo@example.com").Seat.Roles; len(roles) != 1 || !strings.Contains(roles[0], "Viewer") {
			t.Errorf("roles of jo: %q", roles)
		}
		for _, who := range []string{"idle@example.com", "stranger@example.com"} {
			must[int](t)(o.Decide(t.Context(), id, who, word(offboard.ReviewRemove)))
			must[int](t)(o.Decide(t.Context(), id, who, word(offboard.ReviewRemove))) // twice is once
		}
		for _, who := range []string{"root@example.com", "guest@agency.example.org"} {
			must[int](t)(o.Decide(t.Context(), id, who, word(offboard.ReviewKeep)))
		}
		if n := must[int](t)(o.KeepUnremarkable(t.Context(), id, "lead@example.com", "nothing stands out")); n != 1 {
			t.Errorf("%d unremarkable seats, want jo's alone", n)
		}
		o.advance()
		if o.state(id) != offboard.ReviewOpen {
			t.Fatal("the review closed before its removals were carried out")
		}
		o.work()
		o.member(amplitudefake.Member{Email: "new@example.com", GivenName: "New", FamilyName: "E"}, true)
		o.advance() // everything is decided and done
		o.advance() // read again and compared
		if o.state(id) != offboard.ReviewClosed {
			t.Fatalf("the review is %s", o.state(id))
		}
		for address, held := range map[string]string{
			"idle@example.com": "removed", "stranger@example.com": "removed", "jo@example.com": "unchanged", "new@example.com": "joined during the review",
		} {
			if got := o.item(id, address).Held(); got != held {
				t.Errorf("%s: %q, want %q", address, got, held)
			}
		}
		removed := 0
		for _, r := range o.fake.Requests(amplitudefake.RequestFilter{Effect: true}) {
			if r.Effect == "removed member" {
				removed++
			}
		}
		if removed != 2 {
			t.Errorf("%d members were removed, want 2", removed)
		}
	})
}

func TestAReportIsSafeToOpen(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		id := o.begin()
		r, items, err := o.Read(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		progress := must[offboard.Progress](t)(o.Progress(t.Context(), id))
		var table, page bytes.Buffer
		if err := errors.Join(o.Report(&table, "csv", r, items, progress), o.Report(&page, "html", r, items, progress)); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&table).ReadAll()
		if err != nil || len(rows) != len(items)+1 {
			t.Fatalf("%d rows for %d seats: %v", len(rows), len(items), err)
		}
		for _, row := range rows {
			for _, cell := range row {
				if cell != "" && strings.ContainsAny(cell[:1], "=+-@") {
					t.Errorf("a spreadsheet would take %q for a formula", cell)
				}
			}
		}
		if strings.Contains(page.String(), "<script>") || !strings.Contains(page.String(), "not within 90 days") {
			t.Error("the page is not escaped, or says nothing of the last login")
		}
		if err := o.Report(&page, "pdf", r, items, progress); err == nil {
			t.Error("a report in an unknown form")
		}
	})
}

func TestWhatAReviewerMayNotDo(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		r := must[offboard.Review](t)(o.Start(t.Context(), "lead@example.com", 0))
		refused := func(story string, err error, because string) {
			t.Helper()
			if no, ok := errors.AsType[*offboard.RefusedError](err); !ok || !strings.Contains(no.Because, because) {
				t.Errorf("%s: %v, want a refusal with %q", story, err, because)
			}
		}
		_, err := o.Start(t.Context(), "lead@example.com", 0)
		refused("a second review", err, "live already")
		refused("close before it is read", o.Finish(t.Context(), r.ID, "lead@example.com"), "still being read")
		o.advance()
		_, err = o.Decide(t.Context(), r.ID, "jo@example.com", offboard.ReviewWord{Decision: offboard.ReviewKeep, By: "jo@example.com", Because: "I like it"})
		refused("one's own seat", err, "nobody reviews their own access")
		_, err = o.Decide(t.Context(), r.ID, "jo@example.com", offboard.ReviewWord{Decision: offboard.ReviewRemove, By: "lead@example.com"})
		refused("without a reason", err, "because of what")
		_, err = o.Decide(t.Context(), r.ID, "jo@example.com", word(offboard.ReviewDowngrade))
		refused("a downgrade that nothing describes", err, "review.downgrade")
		_, err = o.Decide(t.Context(), r.ID, "nobody@example.com", word(offboard.ReviewKeep))
		refused("somebody without a seat", err, "no seat with this address")
		must[int](t)(o.Decide(t.Context(), r.ID, "jo@example.com", word(offboard.ReviewRemove)))
		_, err = o.Decide(t.Context(), r.ID, "jo@example.com", word(offboard.ReviewKeep))
		refused("another decision while a case runs", err, "cancel it")
		_, err = o.Decide(t.Context(), r.ID, "guest@agency.example.org", word(offboard.ReviewRemove))
		refused("somebody out of reach", err, "outside every connection's domains")
		if o.item(r.ID, "guest@agency.example.org").Decision != offboard.ReviewRemove {
			t.Error("the decision was lost because it cannot be carried out yet")
		}
	})
}

// A list that is cut short or empty must not make anybody leave a review, or
// make a removal look as if it had come true.
func TestAListThatLiesComparesNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		id := o.begin()
		must[int](t)(o.Decide(t.Context(), id, "jo@example.com", word(offboard.ReviewKeep)))
		if err := o.Finish(t.Context(), id, "lead@example.com"); err != nil {
			t.Fatal(err)
		}
		for _, cut := range []string{"half", "empty"} {
			if err := o.fake.SetSwitch("list_cut", cut); err != nil {
				t.Fatal(err)
			}
			if err := o.Advance(t.Context()); err == nil {
				t.Errorf("%s: the comparison was made from a list that lies", cut)
			}
			if o.state(id) != offboard.ReviewComparing || o.item(id, "jo@example.com").After != nil {
				t.Errorf("%s: the review is %s", cut, o.state(id))
			}
		}
		if err := o.fake.SetSwitch("list_cut", "off"); err != nil {
			t.Fatal(err)
		}
		o.advance()
		if got := o.item(id, "jo@example.com").Held(); got != "unchanged" {
			t.Errorf("jo: %q", got)
		}
	})
}

func TestARemovalThatDidNotComeTrueIsSaid(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		id := o.begin()
		must[int](t)(o.Decide(t.Context(), id, "jo@example.com", word(offboard.ReviewRemove)))
		if err := o.Finish(t.Context(), id, "lead@example.com"); err != nil { // before the case ran
			t.Fatal(err)
		}
		o.advance()
		if got := o.item(id, "jo@example.com").Held(); !strings.Contains(got, "STILL THERE") {
			t.Errorf("jo: %q", got)
		}
		if last := o.told[len(o.told)-1]; !strings.Contains(last, "1 decisions did not come true") || !strings.Contains(o.said, "jo@example.com in acme: STILL THERE") ||
			!strings.Contains(o.said, "The next review begins on 2026-05-31") {
			t.Errorf("told %q: %s", last, o.said)
		}
	})
}

func TestTheNextReviewBeginsByItself(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		o.advance()
		if all := must[[]offboard.Review](t)(o.List(t.Context(), 10)); len(all) > 0 {
			t.Fatal("the first review began without anybody's word")
		}
		id := o.begin()
		o.at = o.at.Add(15 * 24 * time.Hour)
		o.advance()
		o.advance()
		if len(o.told) != 2 || !strings.Contains(o.told[0], "Access review of") || !strings.Contains(o.told[1], "overdue") {
			t.Errorf("told %q, want once that it began, and that it is overdue", o.told)
		}
		if err := o.Finish(t.Context(), id, "lead@example.com"); err != nil {
			t.Fatal(err)
		}
		o.advance()
		o.advance()
		if all := must[[]offboard.Review](t)(o.List(t.Context(), 10)); len(all) != 1 {
			t.Fatalf("%d reviews before 90 days are over", len(all))
		}
		o.at = o.at.Add(80 * 24 * time.Hour)
		o.advance()
		o.advance() // reads
		o.advance()
		o.advance()
		all := must[[]offboard.Review](t)(o.List(t.Context(), 10))
		if len(all) != 2 || all[0].By != offboard.BySchedule || len(o.told) != 4 || !strings.Contains(o.told[2], "is closed") {
			t.Errorf("%d reviews, told %q", len(all), o.told)
		}
	})
}
