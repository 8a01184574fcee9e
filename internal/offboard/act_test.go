package offboard_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"offramp/internal/offboard"
)

var _ error = (*offboard.RefusedError)(nil)

func noon() time.Time { return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) }

// leaving is the file of a leaver who waits for one approval.
func leaving(change func(*offboard.File)) offboard.File {
	f := offboard.File{
		Case: offboard.Case{
			ID: "c1", PersonID: "p1", Connection: "okta", Address: "lee@example.com", Plan: offboard.Leaver,
			Reason: offboard.Termination, State: offboard.StateWaiting, Waiting: offboard.WaitApproval,
			Policy: offboard.Policy{Approvals: 1}, Opened: noon().Add(-time.Hour), NotBefore: noon().Add(-time.Minute),
		},
		Person: offboard.Person{
			ID: "p1", UserName: "lee@example.com", Address: "lee@example.com",
			Emails: []offboard.Email{{Value: "lee.alias@example.com"}},
		},
		Steps: []offboard.Step{
			{Seq: 1, Name: offboard.StepIdentify, State: offboard.StepDone},
			{Seq: 2, Name: offboard.StepApprove, State: offboard.StepRunning, Attempts: 9, Error: "no answer"},
		},
		Tasks: []offboard.Task{
			{ID: "t1", CaseID: "c1", Kind: offboard.TaskHandover, Key: "handover/web", Title: "Hand over dashboards", State: offboard.TaskOpen},
			{ID: "t2", CaseID: "c1", Kind: offboard.TaskCheck, Key: "check/seat", Title: "Look for other seats", State: offboard.TaskOpen},
			{ID: "t3", CaseID: "c1", Kind: offboard.TaskSuccessor, Key: "successor", Title: "Name a successor", State: offboard.TaskOpen},
			{ID: "t4", CaseID: "c1", Kind: offboard.TaskRotate, Key: "rotate/web", Title: "Rotate the key", State: offboard.TaskDone},
		},
	}
	if change != nil {
		change(&f)
	}
	return f
}

func state(s offboard.State, w offboard.Waiting) func(*offboard.File) {
	return func(f *offboard.File) { f.Case.State, f.Case.Waiting = s, w }
}

func removing(f *offboard.File) {
	f.Effects = append(f.Effects, offboard.Effect{Key: "c1/remove/main", Step: offboard.StepRemove, State: offboard.EffectIntended})
}

func lastAdmin(f *offboard.File) {
	f.Tasks = append(f.Tasks, offboard.Task{ID: "t5", CaseID: "c1", Kind: offboard.TaskAdmin, Key: offboard.ReplacementKey, Title: "Name another admin", State: offboard.TaskOpen})
}

type act func(offboard.File) (offboard.Update, error)

func approveAs(by string) act {
	return func(f offboard.File) (offboard.Update, error) {
		return offboard.Approve(f, offboard.Approval{By: by, Role: "manager", Ticket: "HR-1", Note: "as agreed", At: noon()})
	}
}

func hold(f offboard.File) (offboard.Update, error)    { return offboard.Hold(f, "jo", "wait for legal") }
func release(f offboard.File) (offboard.Update, error) { return offboard.Release(f, "jo", "") }
func cancel(f offboard.File) (offboard.Update, error)  { return offboard.Cancel(f, "jo", "stays") }
func retry(f offboard.File) (offboard.Update, error)   { return offboard.Retry(f, "jo", "") }
func expedite(f offboard.File) (offboard.Update, error) {
	return offboard.Expedite(f, "jo", "left the building", noon())
}

func pass(by, because string) act {
	return func(f offboard.File) (offboard.Update, error) { return offboard.Pass(f, by, because) }
}

func resolve(because string, files ...offboard.Attachment) act {
	return func(f offboard.File) (offboard.Update, error) { return offboard.Resolve(f, "jo", because, files) }
}

func complete(id string, a offboard.TaskAnswer) act {
	return func(f offboard.File) (offboard.Update, error) { return offboard.CompleteTask(f, id, a, noon()) }
}

func decline(id, by, why string) act {
	return func(f offboard.File) (offboard.Update, error) { return offboard.DeclineTask(f, id, by, why, noon()) }
}

func TestWhatAPersonMayDecide(t *testing.T) {
	t.Parallel()
	paper := offboard.Attachment{Name: "mail.eml", SHA256: strings.Repeat("0a", 32)}
	for _, row := range []struct {
		story   string
		file    func(*offboard.File)
		do      act
		refused string // part of the sentence; empty: allowed
		line    string // the timeline
	}{
		{story: "a manager approves", do: approveAs("jo"), line: "jo approved: approved as manager, ticket HR-1: as agreed"},
		{story: "the leaver does not approve their own removal", do: approveAs("Lee@Example.com"), refused: "is the leaver"},
		{story: "nor by another of their addresses", do: approveAs("lee.alias@example.com"), refused: "is the leaver"},
		{story: "nor as the operator of that short name", do: approveAs("lee"), refused: "is the leaver"},
		{story: "somebody of the same short name elsewhere is not the leaver", do: approveAs("lee@example.org"), line: "lee@example.org approved: approved as manager, ticket HR-1: as agreed"},
		{story: "nobody approves without a name", do: approveAs(" "), refused: "say who decides"},
		{
			story: "the same person counts once", do: approveAs("jo@example.com"), refused: "a person counts once",
			file: func(f *offboard.File) { f.Approvals = []offboard.Approval{{By: "JO@example.com"}} },
		},
		{
			story: "the successor's approval is not enough alone", do: approveAs("sam@example.com"), refused: "not enough alone",
			file: func(f *offboard.File) { f.Person.Claims.Successor = "sam@example.com" },
		},
		{
			story: "nor when a task named them", do: approveAs("sam"), refused: "not enough alone",
			file: func(f *offboard.File) { f.Tasks[0].Successor = "sam@example.com" },
		},
		{
			story: "nor when an asset is theirs already", do: approveAs("sam@example.com"), refused: "not enough alone",
			file: func(f *offboard.File) { f.Assets = []offboard.Asset{{NewOwner: "sam@example.com"}} },
		},
		{
			story: "the successor may be one of two", do: approveAs("sam@example.com"), line: "sam@example.com approved: approved as manager, ticket HR-1: as agreed",
			file: func(f *offboard.File) { f.Person.Claims.Successor = "sam@example.com"; f.Case.Policy.Approvals = 2 },
		},
		{
			story: "the successor may add to somebody else's approval", do: approveAs("sam@example.com"), line: "sam@example.com approved: approved as manager, ticket HR-1: as agreed",
			file: func(f *offboard.File) {
				f.Person.Claims.Successor = "sam@example.com"
				f.Approvals = []offboard.Approval{{By: "jo"}}
			},
		},
		{
			story: "an ended case takes no approval", do: approveAs("jo"), refused: "the case has ended: removed",
			file: func(f *offboard.File) { f.Case.State, f.Case.Outcome = offboard.StateClosed, offboard.OutcomeRemoved },
		},

		{story: "a waiting case is held", do: hold, line: "jo held: held the case: wait for legal"},
		{story: "a running case is held", file: state(offboard.StateRunning, ""), do: hold, line: "jo held: held the case: wait for legal"},
		{story: "a held case is not held twice", file: state(offboard.StateHeld, ""), do: hold, refused: "held already"},
		{story: "a removal that has begun is not held", file: removing, do: hold, refused: "the removal has begun"},
		{story: "a case being cancelled is not held", file: func(f *offboard.File) { f.Case.Ending = offboard.EndCancel }, do: hold, refused: "being cancelled"},
		{story: "a case that needs attention stands still already", file: state(offboard.StateNeedsAttention, ""), do: hold, refused: "stands still already"},
		{story: "a held case is released", file: state(offboard.StateHeld, ""), do: release, line: "jo released: released the case"},
		{story: "only a held case is released", do: release, refused: "not held"},

		{story: "a waiting case is cancelled", do: cancel, line: "jo cancelled: cancelled the case: stays"},
		{story: "a removal that has begun is not cancelled", file: removing, do: cancel, refused: "cannot be taken back"},
		{story: "a case is cancelled once", file: func(f *offboard.File) { f.Case.Ending = offboard.EndCancel }, do: cancel, refused: "already"},

		{story: "a case that gave up tries again", file: state(offboard.StateNeedsAttention, ""), do: retry, line: "jo retried: asked for another try of approve"},
		{story: "a case that waits for its next attempt tries at once", file: state(offboard.StateWaiting, offboard.WaitRetry), do: retry, line: "jo retried: asked for another try of approve"},
		{story: "a case that waits for people has nothing to retry", do: retry, refused: "this one waits for approval"},

		{
			story: "a case that stands before a guard of Amplitude's side tries at once", do: retry, line: "jo retried: asked for another try of approve",
			file: func(f *offboard.File) { f.Case.Waiting, f.Case.Guard = offboard.WaitTask, offboard.GuardAdmin },
		},
		{
			story: "one that was moved to a later time since has nothing to retry", do: retry, refused: "this one waits for not before",
			file: func(f *offboard.File) { f.Case.Waiting, f.Case.Guard = offboard.WaitNotBefore, offboard.GuardAdmin },
		},
		{story: "nobody lets a case pass the guards without a reason", file: state(offboard.StateNeedsAttention, ""), do: pass("jo", " "), refused: "what an auditor will read"},
		{story: "nor their own case", file: state(offboard.StateNeedsAttention, ""), do: pass("lee", "I know"), refused: "is the leaver"},

		{
			story: "a settling case begins at once", do: expedite, line: "jo expedited: let the case begin at once instead of at 2026-03-02T12:02:00Z: left the building",
			file: func(f *offboard.File) {
				f.Case.Waiting, f.Case.NotBefore = offboard.WaitSettle, noon().Add(2*time.Minute)
			},
		},
		{story: "a case whose time has come is not expedited", do: expedite, refused: "does not wait for its time"},

		{story: "a case that needs attention is resolved by hand", file: state(offboard.StateNeedsAttention, ""), do: resolve("removed in the UI", paper), line: "jo resolved: resolved the case: removed in the UI"},
		{story: "nothing is resolved without a reason", file: state(offboard.StateNeedsAttention, ""), do: resolve(" "), refused: "say because of what"},
		{story: "an attachment has a hash", file: state(offboard.StateNeedsAttention, ""), do: resolve("x", offboard.Attachment{Name: "a", SHA256: "b"}), refused: "needs its name and its SHA-256"},
		{story: "a case that still moves is not resolved", do: resolve("x"), refused: "only a case that needs attention"},

		{story: "somebody attests a handover", do: complete("t1", offboard.TaskAnswer{By: "sam@example.com"}), line: "sam@example.com task_done: done: Hand over dashboards"},
		{story: "the leaver attests nothing", do: complete("t1", offboard.TaskAnswer{By: "lee@example.com"}), refused: "is the leaver"},
		{story: "nobody attests without a name", do: complete("t1", offboard.TaskAnswer{}), refused: "say who"},
		{story: "the leaver does not become the successor", do: complete("t1", offboard.TaskAnswer{By: "jo", Successor: "lee@example.com"}), refused: "the successor is the leaver"},
		{story: "a check tells what was found", do: complete("t2", offboard.TaskAnswer{By: "jo"}), refused: "what was checked"},
		{story: "a check with a note is done", do: complete("t2", offboard.TaskAnswer{By: "jo", Note: "none"}), line: "jo task_done: done: Look for other seats: none"},
		{story: "the question for a successor is answered with one", do: complete("t3", offboard.TaskAnswer{By: "jo"}), refused: "name the successor"},
		{story: "a successor is named", do: complete("t3", offboard.TaskAnswer{By: "jo", Successor: "sam@example.com"}), line: "jo task_done: done: Name a successor; successor sam@example.com"},
		{
			story: "the question for another admin is answered with one", do: complete("t5", offboard.TaskAnswer{By: "jo", Successor: "sam"}), refused: "by their address",
			file: lastAdmin,
		},
		{story: "and not with the leaver", do: complete("t5", offboard.TaskAnswer{By: "jo", Successor: "lee.alias@example.com"}), refused: "the successor is the leaver", file: lastAdmin},
		{story: "nor by the leaver", do: complete("t5", offboard.TaskAnswer{By: "lee", Successor: "sam@example.com"}), refused: "is the leaver", file: lastAdmin},
		{
			story: "another admin is named", do: complete("t5", offboard.TaskAnswer{By: "jo", Successor: "sam@example.com"}),
			line: "jo task_done: done: Name another admin; successor sam@example.com", file: lastAdmin,
		},
		{
			story: "who may approve the removal all the same", do: approveAs("sam@example.com"), line: "sam@example.com approved: approved as manager, ticket HR-1: as agreed",
			file: func(f *offboard.File) { lastAdmin(f); f.Tasks[len(f.Tasks)-1].Successor = "sam@example.com" },
		},
		{story: "a task is done once", do: complete("t4", offboard.TaskAnswer{By: "jo"}), refused: "done already"},
		{story: "a task belongs to its case", do: complete("t9", offboard.TaskAnswer{By: "jo"}), refused: "no such task"},
		{story: "a task is declined with a reason", do: decline("t1", "sam", "not my team"), line: "sam task_declined: declined: Hand over dashboards: not my team"},
		{story: "a task is not declined without one", do: decline("t1", "sam", ""), refused: "say why"},
	} {
		t.Run(row.story, func(t *testing.T) {
			t.Parallel()
			f := leaving(row.file)
			u, err := row.do(f)
			if row.refused != "" {
				no, ok := errors.AsType[*offboard.RefusedError](err)
				if !ok || !strings.Contains(no.Because, row.refused) {
					t.Fatalf("got %v, want a refusal with %q", err, row.refused)
				}
				return
			}
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			if len(u.Timeline) != 1 {
				t.Fatalf("%d timeline entries, want 1", len(u.Timeline))
			}
			if e := u.Timeline[0]; e.Actor+" "+e.Kind+": "+e.Text != row.line {
				t.Errorf("timeline\n got %s %s: %s\nwant %s", e.Actor, e.Kind, e.Text, row.line)
			}
			if u.State != "" && !f.Case.State.CanBecome(u.State) {
				t.Errorf("a %s case cannot become %s", f.Case.State, u.State)
			}
		})
	}
}

func TestWhatDecisionsChange(t *testing.T) {
	t.Parallel()
	t.Run("retry forgets the attempts of the step at hand", func(t *testing.T) {
		t.Parallel()
		u, err := retry(leaving(state(offboard.StateNeedsAttention, "")))
		if err != nil || len(u.Steps) != 1 || u.Steps[0].Seq != 2 || u.Steps[0].Attempts != 0 || u.Steps[0].Error != "" {
			t.Fatalf("got %+v, %v", u.Steps, err)
		}
	})
	t.Run("a retry is a word about what the guards cannot see where they asked about that, and never less than an admin's", func(t *testing.T) {
		t.Parallel()
		for _, row := range []struct {
			guard     offboard.GuardName
			had, gets offboard.Override
			because   string
		}{
			{guard: offboard.GuardUnseen, because: "looked", gets: offboard.OverrideUnseen},
			{guard: offboard.GuardUnseen},
			{guard: offboard.GuardAdmin, because: "kim is one now"},
			{guard: offboard.GuardNone, because: "Amplitude is back"},
			{guard: offboard.GuardUnseen, had: offboard.OverrideAll, because: "looked"},
		} {
			f := leaving(state(offboard.StateNeedsAttention, ""))
			f.Case.Policy.Unseen, f.Case.Guard, f.Case.Override = offboard.UnseenAsk, row.guard, row.had
			if u, err := offboard.Retry(f, "jo", row.because); err != nil || u.Override != row.gets {
				t.Errorf("%+v: got %q, %v", row, u.Override, err)
			}
		}
	})
	t.Run("a held case that is cancelled runs, so that somebody gives back what was contained", func(t *testing.T) {
		t.Parallel()
		for _, s := range []offboard.State{offboard.StateHeld, offboard.StateNeedsAttention} {
			u, err := cancel(leaving(state(s, "")))
			if err != nil || u.State != offboard.StateRunning || u.Ending != offboard.EndCancel {
				t.Errorf("%s: got %q, %q, %v", s, u.State, u.Ending, err)
			}
		}
	})
	t.Run("a settling case runs when it is expedited, one that waits for people goes on waiting", func(t *testing.T) {
		t.Parallel()
		for waiting, want := range map[offboard.Waiting]offboard.State{
			offboard.WaitSettle: offboard.StateRunning, offboard.WaitNotBefore: offboard.StateRunning, offboard.WaitApproval: "",
		} {
			f := leaving(state(offboard.StateWaiting, waiting))
			f.Case.NotBefore = noon().Add(time.Hour)
			if u, err := expedite(f); err != nil || u.State != want || !u.NotBefore.Equal(noon()) {
				t.Errorf("%s: got %q at %s, %v", waiting, u.State, u.NotBefore, err)
			}
		}
	})
	t.Run("attachments stand in the timeline by name and hash", func(t *testing.T) {
		t.Parallel()
		paper := offboard.Attachment{Name: "mail.eml", SHA256: strings.Repeat("0a", 32)}
		u, err := resolve("done by hand", paper)(leaving(state(offboard.StateNeedsAttention, "")))
		if err != nil || u.State != offboard.StateClosed || u.Outcome != offboard.OutcomeResolved {
			t.Fatalf("got %s, %s, %v", u.State, u.Outcome, err)
		}
		want := `{"attachments":[{"name":"mail.eml","sha256":"` + paper.SHA256 + `"}]}`
		if string(u.Timeline[0].Data) != want {
			t.Errorf("got %s, want %s", u.Timeline[0].Data, want)
		}
	})
	t.Run("a done task names who attested it", func(t *testing.T) {
		t.Parallel()
		u, err := complete("t3", offboard.TaskAnswer{By: "jo", Successor: "sam@example.com", Note: " ok "})(leaving(nil))
		if err != nil || len(u.Tasks) != 1 {
			t.Fatalf("got %+v, %v", u.Tasks, err)
		}
		got := u.Tasks[0]
		if got.Key != "successor" || got.State != offboard.TaskDone || got.By != "jo" || got.Note != "ok" ||
			got.Successor != "sam@example.com" || !got.Ended.Equal(noon()) {
			t.Errorf("got %+v", got)
		}
	})
}

func TestAnOperatorOpensACase(t *testing.T) {
	t.Parallel()
	lee := offboard.Person{
		ID: "p1", Connection: "okta", UserName: "lee@example.com", Address: "lee@example.com", Active: true,
		Claims: offboard.Claims{LeaveReason: "security_incident", ApprovedBy: "boss@example.com", Ticket: "OLD"},
	}
	rules := offboard.Rules{
		Settle: 2 * time.Minute, TrustApprovals: true, TrustIncidents: true,
		Policy: func(offboard.PolicyFacts) offboard.Policy { return offboard.Fallback() },
	}
	live := func(r offboard.Reason, began bool) offboard.PriorCase {
		return offboard.PriorCase{Live: true, Reason: r, Began: began}
	}
	order := func(r offboard.Reason) offboard.Order { return offboard.Order{Reason: r, By: "jo", Ticket: "HR-7"} }
	for _, row := range []struct {
		story   string
		prior   offboard.PriorCase
		order   offboard.Order
		plan    offboard.PlanName
		joins   bool
		refused string
	}{
		{story: "nobody is leaving: a leaver's case opens, whatever was claimed", order: order(offboard.Termination), plan: offboard.Leaver},
		{story: "an incident opens an emergency", order: order(offboard.SecurityIncident), plan: offboard.Emergency},
		{story: "an ended case is no obstacle", prior: offboard.PriorCase{Outcome: offboard.OutcomeCancelled}, order: order(offboard.Manual), plan: offboard.Leaver},
		{story: "an incident takes over a live case", prior: live(offboard.Deactivated, false), order: order(offboard.SecurityIncident), plan: offboard.Emergency, joins: true},
		{story: "what is not more urgent is told about the live case", prior: live(offboard.Termination, false), order: order(offboard.Manual), refused: "reason termination, and manual is not more urgent"},
		{story: "a removal under way needs nothing", prior: live(offboard.Termination, true), order: order(offboard.SecurityIncident), refused: "removal has begun"},
		{story: "a reason nobody knows opens nothing", order: order("boredom"), refused: "known reasons"},
		{story: "nobody opens a case without a name", order: offboard.Order{Reason: offboard.Manual}, refused: "say who"},
	} {
		t.Run(row.story, func(t *testing.T) {
			t.Parallel()
			d, v, err := offboard.OpenBy(lee, row.prior, row.order, rules, noon())
			if row.refused != "" {
				if no, ok := errors.AsType[*offboard.RefusedError](err); !ok || !strings.Contains(no.Because, row.refused) {
					t.Fatalf("got %v, want a refusal with %q", err, row.refused)
				}
				return
			}
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			o := v.Open
			if row.joins {
				o = v.Join
			}
			if o == nil || (v.Open != nil) == (v.Join != nil) {
				t.Fatalf("got verdict %+v", v)
			}
			if o.Plan != row.plan || o.Reason != row.order.Reason || o.Ticket != "HR-7" || len(o.Approvals) != 0 ||
				!strings.Contains(o.Trigger, "operator jo") {
				t.Errorf("got opening %+v", o)
			}
			if !d.Stands(noon().AddDate(5, 0, 0)) || d.By != "jo" || d.Reason != row.order.Reason {
				t.Errorf("got decision %+v", d)
			}
			gone := lee
			gone.Removal = d
			if offboard.Entitled(gone, false, noon()) {
				t.Error("the person is still entitled")
			}
		})
	}
}

func TestAPardonComesBeforeTheRemoval(t *testing.T) {
	t.Parallel()
	d, v, err := offboard.Pardon(offboard.PriorCase{Live: true})
	if err != nil || d != nil || v.Open != nil || v.Join != nil {
		t.Errorf("before the removal: got %v, %+v, %v", d, v, err)
	}
	if _, _, err := offboard.Pardon(offboard.PriorCase{Live: true, Began: true}); err == nil {
		t.Error("after the removal began: not refused")
	}
}

func TestTheTimelineSaysWhoMadeACaseMoreUrgent(t *testing.T) {
	t.Parallel()
	u, err := offboard.Joined(leaving(nil), offboard.Order{Reason: offboard.SecurityIncident, By: "jo", Ticket: "SEC-1"})
	if err != nil || len(u.Timeline) != 1 || u.Timeline[0].Actor != "jo" ||
		u.Timeline[0].Text != "made the case more urgent: reason security_incident, ticket SEC-1" {
		t.Errorf("got %+v, %v", u.Timeline, err)
	}
}
