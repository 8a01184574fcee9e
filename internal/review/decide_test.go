package review_test

import (
	"context"
	"strings"
	"testing"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/review"
)

// meanwhile lets something happen just after a review was read, as another
// reviewer or replica would.
type meanwhile struct {
	review.Store
	happens func()
}

func (m *meanwhile) once() {
	if f := m.happens; f != nil {
		m.happens = nil
		f()
	}
}

func (m *meanwhile) Unsettled(ctx context.Context, id string) ([]offboard.ReviewItem, error) {
	defer m.once()
	return m.Store.Unsettled(ctx, id)
}

func (m *meanwhile) Review(ctx context.Context, id string) (offboard.Review, []offboard.ReviewItem, error) {
	defer m.once()
	return m.Store.Review(ctx, id)
}

// with is the same office with other options.
func (o *office) with(change func(*review.Options)) *review.Reviews {
	o.t.Helper()
	options := o.options
	change(&options)
	return must[*review.Reviews](o.t)(review.New(options))
}

// cancel is an operator's word that a case should not be.
func (o *office) cancel(id string) {
	o.t.Helper()
	f := must[offboard.File](o.t)(o.store.Case(o.t.Context(), id))
	must[string](o.t)(o.store.Reconsider(o.t.Context(), f.Person.ID, func(_ offboard.Person, prior offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error) {
		return offboard.Pardon(prior)
	}))
	must[offboard.File](o.t)(o.store.Act(o.t.Context(), id, func(f offboard.File) (offboard.Update, error) {
		return offboard.Cancel(f, "boss@example.com", "a mistake")
	}))
}

// josCase is the case that carries out what was decided about jo.
func (o *office) josCase(id string) offboard.File {
	o.t.Helper()
	i := o.item(id, "jo@example.com")
	if i.Case == "" {
		o.t.Fatalf("jo has no case: %s", i.Note)
	}
	return must[offboard.File](o.t)(o.store.Case(o.t.Context(), i.Case))
}

// removed counts the members who were removed.
func (o *office) removed() (n int) {
	for _, r := range o.fake.Requests(amplitudefake.RequestFilter{Effect: true}) {
		if r.Effect == "removed member" {
			n++
		}
	}
	return n
}

func TestAKeepBeforeTheCaseOpensWinsOverTheRemoval(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		id := o.begin()
		between := &meanwhile{Store: o.store}
		first := o.with(func(r *review.Options) { r.Store = between })
		between.happens = func() {
			must[int](t)(o.Decide(t.Context(), id, "jo@example.com", offboard.ReviewWord{Decision: offboard.ReviewKeep, By: "boss@example.com", Because: "still needed"}))
		}
		must[[]offboard.ReviewDecided](t)(first.Decide(t.Context(), id, []string{"jo@example.com"}, word(offboard.ReviewRemove)))
		if i := o.item(id, "jo@example.com"); i.Decision != offboard.ReviewKeep || i.By != "boss@example.com" || i.Case != "" {
			t.Errorf("decided %s by %s, case %q", i.Decision, i.By, i.Case)
		}
		o.work()
		if o.removed() > 0 {
			t.Error("somebody was removed whom the review keeps")
		}
	})
}

func TestTwoReplicasOpenOneCase(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		id := o.begin()
		between := &meanwhile{Store: o.store, happens: func() { o.advance() }}
		first := o.with(func(r *review.Options) { r.Store = between })
		must[[]offboard.ReviewDecided](t)(first.Decide(t.Context(), id, []string{"jo@example.com"}, word(offboard.ReviewRemove)))
		for _, e := range must[[]offboard.Entry](t)(o.store.Timeline(t.Context(), o.josCase(id).Case.ID)) {
			if strings.Contains(e.Text, "decided the same") {
				t.Errorf("carried out twice: %s", e.Text)
			}
		}
	})
}

func TestKeepingTheUnremarkableLeavesWhatIsDecidedByNow(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		id := o.begin()
		between := &meanwhile{Store: o.store, happens: func() {
			must[int](t)(o.Decide(t.Context(), id, "jo@example.com", word(offboard.ReviewRemove)))
		}}
		second := o.with(func(r *review.Options) { r.Store = between })
		if n := must[int](t)(second.KeepUnremarkable(t.Context(), id, "boss@example.com", "nothing stands out")); n != 0 {
			t.Errorf("%d seats were kept", n)
		}
		if i := o.item(id, "jo@example.com"); i.Decision != offboard.ReviewRemove || i.Case == "" {
			t.Errorf("jo: %s, case %q", i.Decision, i.Case)
		}
	})
}

// The message says to cancel the case; after that the decision is nobody's, and
// opens no other case by itself.
func TestAfterItsCaseWasCancelledASeatIsDecidedAgain(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		id := o.begin()
		for _, who := range []string{"jo@example.com", "idle@example.com", "stranger@example.com"} {
			must[int](t)(o.Decide(t.Context(), id, who, word(offboard.ReviewRemove)))
			o.cancel(o.item(id, who).Case)
		}
		must[int](t)(o.Decide(t.Context(), id, "jo@example.com", word(offboard.ReviewKeep))) // while the case is still being cancelled
		o.advance()
		i := o.item(id, "idle@example.com")
		if i.Decision != offboard.Undecided || i.Case != "" || !strings.Contains(i.Note, "lead@example.com said remove") {
			t.Errorf("idle: decided %q, case %q, note %q", i.Decision, i.Case, i.Note)
		}
		if _, err := o.Decide(t.Context(), id, "stranger@example.com", word(offboard.ReviewRemove)); err == nil || !strings.Contains(err.Error(), "being cancelled") {
			t.Errorf("a new case beside the one that is being cancelled: %v", err)
		}
		o.work() // the cases end
		o.advance()
		if i := o.item(id, "idle@example.com"); i.Decision != offboard.Undecided || i.Case != "" {
			t.Errorf("idle: decided %q, case %q without anybody's word", i.Decision, i.Case)
		}
		if i := o.item(id, "stranger@example.com"); i.Case == "" || i.Note != "" {
			t.Errorf("stranger: case %q, note %q", i.Case, i.Note)
		}
		for _, who := range []string{"root@example.com", "idle@example.com", "guest@agency.example.org"} {
			must[int](t)(o.Decide(t.Context(), id, who, word(offboard.ReviewKeep)))
		}
		o.work()
		o.advance()
		o.advance()
		for who, held := range map[string]string{"jo@example.com": "unchanged", "idle@example.com": "unchanged", "stranger@example.com": "removed"} {
			if got := o.item(id, who).Held(); got != held {
				t.Errorf("%s: %q, want %q", who, got, held)
			}
		}
	})
}

func TestWhatIsCarriedOutIsNotDecidedOtherwise(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		id := o.begin()
		must[int](t)(o.Decide(t.Context(), id, "jo@example.com", word(offboard.ReviewRemove)))
		o.work()
		if _, err := o.Decide(t.Context(), id, "jo@example.com", word(offboard.ReviewKeep)); err == nil || !strings.Contains(err.Error(), "has carried out another decision") {
			t.Errorf("keep, after the removal: %v", err)
		}
	})
}

func TestARemovalTakesThePlaceOfALiveReduction(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		o.mover = true
		o.open("", offboard.RoleChange)
		o.mover = false
		id := o.begin()
		must[int](t)(o.Decide(t.Context(), id, "jo@example.com", word(offboard.ReviewRemove)))
		if plan := o.josCase(id).Case.Plan; plan != offboard.Leaver {
			t.Errorf("the removal is carried out by a case of plan %s", plan)
		}
	})
}

func (o *office) open(batch string, reason offboard.Reason) {
	o.t.Helper()
	must[string](o.t)(o.store.Propose(o.t.Context(), batch, "id-jo@example.com", func(p offboard.Person, prior offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error) {
		return offboard.OpenBy(p, prior, offboard.Order{Reason: reason, By: "boss@example.com"}, o.rules(), o.at)
	}))
}

// Whoever cancels a batch says nothing about one person whom a reviewer removes.
func TestAProposalThatIsHeldIsNotTakenForARemoval(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		o.open(o.store.NewBatch(), offboard.ProjectSunset)
		id := o.begin()
		if _, err := o.Decide(t.Context(), id, "jo@example.com", word(offboard.ReviewRemove)); err == nil || !strings.Contains(err.Error(), "held with many others") {
			t.Errorf("the decision hangs on a proposal: %v", err)
		}
		if i := o.item(id, "jo@example.com"); i.Case != "" || !strings.Contains(i.Note, "held with many others") {
			t.Errorf("jo: case %q, note %q", i.Case, i.Note)
		}
		all := must[[]offboard.Case](t)(o.store.Cases(t.Context(), offboard.CaseFilter{}))
		o.cancel(all[0].ID)
		o.work()
		o.advance()
		if f := o.josCase(id); f.Case.Reason != offboard.AccessReview {
			t.Errorf("carried out for the reason %s", f.Case.Reason)
		}
	})
}

func TestAPolicyThatOnlyReducesRemovesNobody(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		id := o.begin()
		o.mover = true
		if _, err := o.Decide(t.Context(), id, "jo@example.com", word(offboard.ReviewRemove)); err == nil || !strings.Contains(err.Error(), "the policy less would apply") {
			t.Errorf("a removal that only reduces: %v", err)
		}
		o.mover = false
		o.advance()
		if plan := o.josCase(id).Case.Plan; plan != offboard.Leaver {
			t.Errorf("plan %s", plan)
		}
	})
}

func TestOneAddressOfTwoConnectionsHasACaseInEach(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		must[offboard.Person](t)(o.store.ChangePerson(t.Context(), offboard.PersonChange{
			Connection: "entra", Rules: o.rules(), Change: func(p offboard.Person) (offboard.Person, error) {
				p.ID, p.UserName, p.Address, p.Active, p.Resource = "id2", "jo@example.com", "jo@example.com", true, "{}"
				return p, nil
			},
		}))
		v := o.with(func(r *review.Options) {
			acme := r.Organizations[0]
			beta := acme
			beta.Name = "beta"
			r.Organizations = []review.Organization{acme, beta}
			r.Connections = []string{"okta", "entra"}
			r.Reach = func(c string) []string { return map[string][]string{"okta": {"acme"}, "entra": {"beta"}}[c] }
		})
		r := must[offboard.Review](t)(v.Start(t.Context(), "lead@example.com", 0))
		if err := v.Advance(t.Context()); err != nil {
			t.Fatal(err)
		}
		all := must[[]offboard.ReviewDecided](t)(v.Decide(t.Context(), r.ID, []string{"jo@example.com", "stranger@example.com"}, word(offboard.ReviewRemove)))
		if len(all) != 2 || all[0].Seats != 2 || all[0].Waits != "" || all[1].Waits != "" {
			t.Errorf("decided: %+v", all)
		}
		_, items, err := v.Read(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range items {
			if i.Address != "jo@example.com" && i.Address != "stranger@example.com" {
				continue
			}
			want := map[string]string{"acme": "okta", "beta": "entra"}[i.Organization]
			f := must[offboard.File](t)(o.store.Case(t.Context(), i.Case))
			if f.Case.Connection != want || f.Case.Address != i.Address {
				t.Errorf("%s in %s: carried out by a case of %s, about %s", i.Address, i.Organization, f.Case.Connection, f.Case.Address)
			}
		}
	})
}

func TestOneRefusalOfManyStopsNoOtherDecision(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		id := o.begin()
		all := must[[]offboard.ReviewDecided](t)(o.Reviews.Decide(t.Context(), id, []string{
			"jo@example.com", "nobody@example.com", "guest@agency.example.org", "lead@example.com", "JO@example.com", "idle@example.com",
		}, word(offboard.ReviewRemove)))
		want := []offboard.ReviewDecided{
			{Address: "jo@example.com", Seats: 1},
			{Address: "nobody@example.com", Refused: "no seat with this address"},
			{Address: "guest@agency.example.org", Seats: 1, Waits: "outside every connection's domains"},
			{Address: "lead@example.com", Refused: "no seat with this address"},
			{Address: "idle@example.com", Seats: 1},
		}
		if len(all) != len(want) {
			t.Fatalf("got %+v", all)
		}
		for n, w := range want {
			got := all[n]
			if got.Address != w.Address || got.Seats != w.Seats || !strings.Contains(got.Refused, w.Refused) || (got.Refused == "") != (w.Refused == "") ||
				!strings.Contains(got.Waits, w.Waits) || (got.Waits == "") != (w.Waits == "") {
				t.Errorf("got %+v, want %+v", got, w)
			}
		}
		if note := o.item(id, "guest@agency.example.org").Note; !strings.Contains(note, "by hand") {
			t.Errorf("whoever reads the review is told of the guest: %q", note)
		}
		if o.item(id, "idle@example.com").Case == "" {
			t.Error("the last one has no case")
		}
	})
}

func TestNobodyReviewsThemselvesUnderAnotherName(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		must[offboard.Person](t)(o.store.ChangePerson(t.Context(), offboard.PersonChange{
			Connection: "okta", Rules: o.rules(), ID: "id-jo@example.com", Change: func(p offboard.Person) (offboard.Person, error) {
				p.UserName, p.Emails = "jo.b@corp.example", []offboard.Email{{Value: "joanna@corp.example"}}
				return p, nil
			},
		}))
		o.member(amplitudefake.Member{Email: "zoe@example.com", GivenName: "Zoe", FamilyName: "F"}, true)
		o.logins["zoe@example.com"] = o.logins["jo@example.com"]
		id := o.begin()
		for _, by := range []string{"jo", "jo@example.com", "JO.B@corp.example", "jo.b", "joanna@corp.example"} {
			w := offboard.ReviewWord{Decision: offboard.ReviewKeep, By: by, Because: "it is me"}
			if _, err := o.Decide(t.Context(), id, "jo@example.com", w); err == nil || !strings.Contains(err.Error(), "nobody reviews their own access") {
				t.Errorf("%s kept jo's seat: %v", by, err)
			}
		}
		for n, by := range []string{"jo", "joanna@corp.example"} {
			kept := must[int](t)(o.KeepUnremarkable(t.Context(), id, by, "nothing stands out"))
			if kept != 1-n || o.item(id, "jo@example.com").Decision != offboard.Undecided { // zoe's, and the second time nobody's
				t.Errorf("%s kept %d seats", by, kept)
			}
		}
		if i := o.item(id, "zoe@example.com"); i.Decision != offboard.ReviewKeep {
			t.Errorf("zoe: %q", i.Decision)
		}
	})
}

func TestTheReasonIsToldInTheCase(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		o.mover = true
		o.open("", offboard.RoleChange) // jo's case is joined, the others are new
		o.mover = false
		id := o.begin()
		for _, who := range []string{"jo@example.com", "idle@example.com", "stranger@example.com"} {
			w := offboard.ReviewWord{Decision: offboard.ReviewRemove, By: "lead@example.com", Because: "left the team in May"}
			must[int](t)(o.Decide(t.Context(), id, who, w))
			told := false
			for _, e := range must[[]offboard.Entry](t)(o.store.Timeline(t.Context(), o.item(id, who).Case)) {
				told = told || strings.Contains(e.Text, "left the team in May (access review "+id+")")
				if e.Actor == "identity provider" {
					t.Errorf("%s: the identity provider said: %s", who, e.Text)
				}
			}
			if !told {
				t.Errorf("%s: the case does not say why", who)
			}
		}
	})
}

func TestEverythingThatWasSaidIsKept(t *testing.T) {
	t.Parallel()
	onBoth(t, func(o *office) {
		t := o.t
		o.staff()
		id := o.begin()
		say := func(by string, d offboard.ReviewDecision, because string) {
			must[int](t)(o.Decide(t.Context(), id, "jo@example.com", offboard.ReviewWord{Decision: d, By: by, Because: because}))
		}
		say("lead@example.com", offboard.ReviewKeep, "works here")
		say("lead@example.com", offboard.ReviewKeep, "works here") // the same once more
		say("boss@example.com", offboard.ReviewKeep, "works here")
		say("boss@example.com", offboard.ReviewRemove, "left, I hear")
		o.cancel(o.item(id, "jo@example.com").Case)
		o.advance()
		say("lead@example.com", offboard.ReviewKeep, "is on leave")
		var got []string
		i := o.item(id, "jo@example.com")
		for _, w := range i.Words {
			if w.At.IsZero() {
				t.Errorf("said at no time: %+v", w)
			}
			got = append(got, w.By+" "+string(w.Decision))
		}
		want := "lead@example.com keep, boss@example.com keep, boss@example.com remove, offramp , lead@example.com keep"
		if strings.Join(got, ", ") != want {
			t.Errorf("said: %q, want %q", got, want)
		}
		for _, format := range review.Formats() {
			var text strings.Builder
			r, items, err := o.Read(t.Context(), id)
			if err == nil {
				err = o.Report(&text, format, r, items, offboard.Progress{})
			}
			if err != nil || !strings.Contains(text.String(), "left, I hear") || !strings.Contains(text.String(), "taken back") {
				t.Errorf("the report as %s leaves out what was said: %v", format, err)
			}
		}
	})
}
