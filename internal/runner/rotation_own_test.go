package runner_test

import (
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/offboard"
	"offramp/internal/runner"
	"offramp/transfer"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

// ended lets one of Offramp's own keys be replaced and ended on a person's
// word, without that being true, and returns the case.
func (v *vault) ended(kind transfer.CredentialKind) string {
	v.t.Helper()
	value := "as configured"
	v.own = func(transfer.Credential) string { return value }
	v.known = []runner.Credential{v.credential("own", kind, "own")}
	v.person("leaver", leaver)
	v.deactivate()
	v.until(offboard.StateWaiting, offboard.WaitTask)
	if text := v.only("own").Tasks[0].Text; !contains(text, "This bridge uses it itself") {
		v.t.Errorf("the task does not warn: %s", text)
	}
	v.attest(v.only("own"), "kim@example.com")
	id := v.closed(leaver).Case.ID
	v.pass(73*time.Hour, time.Hour)
	v.attest(v.only("own"), "kim@example.com")
	v.rotations()
	return id
}

func TestAnOldKeyThatStillWorksIsFoundOutAndProvenDeadLater(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		v := newVault(t, s)
		id := v.ended(transfer.CredentialAPIKey)
		v.mustSay(id, "the old own still works; looked at again until")
		v.pass(5*time.Hour, 5*time.Minute)
		if r := v.only("own").Rotation; r.State != offboard.RotationRetired {
			t.Fatalf("an API key may live for six hours: %+v", r)
		}
		v.pass(2*time.Hour, 5*time.Minute)
		if r := v.only("own").Rotation; r.State != offboard.RotationAlive {
			t.Fatalf("%+v", r)
		}
		v.mustSay(id, "the old own STILL WORKS 6h0m0s after it was said to be ended")
		for _, kind := range []string{amplitudefake.KindSecretKey} {
			for _, a := range v.fake.State().Assets {
				if a.Kind == kind && a.Key == v.project.SecretKey {
					if _, err := v.fake.Human(amplitudefake.Action{Do: "revoke_key", Kind: kind, ID: a.ID, Project: v.project.ID, By: "root@example.com"}); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		v.pass(2*time.Hour, 30*time.Minute)
		r := v.only("own").Rotation
		if r.State != offboard.RotationRetired || !contains(r.Proof, "proven dead: Amplitude refuses it") {
			t.Errorf("%+v", r)
		}
		v.mustSay(id, "the old own is proven dead")
	})
}

func TestAKeyThatOfframpHoldsNoMoreIsNotCalledDead(t *testing.T) {
	t.Parallel()
	v := newVault(t, setup{})
	id := v.ended(transfer.CredentialManagementKey)
	v.own = func(transfer.Credential) string { return "another" } // restarted with the new value
	v.pass(time.Hour, 5*time.Minute)
	r := v.only("own").Rotation
	if r.State != offboard.RotationRetired || contains(r.Proof, "proven") {
		t.Errorf("%+v", r)
	}
	v.mustSay(id, "Offramp holds another value by now and keeps no old one")
}

func TestAProbeThatGetsNoAnswerProvesNothing(t *testing.T) {
	t.Parallel()
	v := newVault(t, setup{})
	v.fault(amplitudefake.Fault{Match: amplitudefake.Match{Surface: "taxonomy"}, Kind: amplitudefake.FaultStatus, Status: 503})
	id := v.ended(transfer.CredentialSecretKey)
	if r := v.only("own").Rotation; contains(r.Proof, "dead") {
		t.Errorf("%+v", r)
	}
	v.mustSay(id, "could not look whether the old own is dead")
}

func TestOfframpsOwnKeyIsNeverReplacedByAHook(t *testing.T) {
	t.Parallel()
	v := newVault(t, setup{})
	v.own = func(transfer.Credential) string { return "as configured" }
	v.known = []runner.Credential{v.credential("bigquery", transfer.CredentialWarehouse, "bq")} // of a kind that the hook takes
	v.person("leaver", leaver)
	v.deactivate()
	v.until(offboard.StateWaiting, offboard.WaitTask)
	if v.hook.calls != 0 || v.only("bigquery").Rotation.State != offboard.RotationOpen {
		t.Errorf("the hook was asked %d times", v.hook.calls)
	}
}

func TestAPauseAndHoldsStopRotationsToo(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s setup) {
		t.Helper()
		v := newVault(t, s)
		v.known = []runner.Credential{v.credential("bigquery", transfer.CredentialWarehouse, "bq")}
		v.person("leaver", leaver)
		v.deactivate()
		f := v.closed(leaver)
		if err := v.store.Pause(t.Context(), "kim", "audit"); err != nil {
			t.Fatal(err)
		}
		v.pass(80*time.Hour, time.Hour)
		if r := v.only("bigquery").Rotation; v.hook.ends != 0 || !contains(r.Note, "paused by kim: audit") {
			t.Errorf("ended %d times under a pause, note %q", v.hook.ends, r.Note)
		}
		if v.said(f.Case.ID, "about to end") {
			t.Error("intended under a pause")
		}
		if err := v.store.Resume(t.Context(), "kim", "done"); err != nil {
			t.Fatal(err)
		}
		v.pass(time.Minute, 10*time.Second)
		if v.hook.ends != 1 {
			t.Errorf("ended %d times", v.hook.ends)
		}
	})
}

func TestAHeldCaseDoesNotHaveItsKeysReplaced(t *testing.T) {
	t.Parallel()
	v := newVault(t, setup{})
	v.known = []runner.Credential{v.credential("bigquery", transfer.CredentialWarehouse, "bq")}
	if err := v.store.Pause(t.Context(), "kim", "audit"); err != nil {
		t.Fatal(err)
	}
	v.person("leaver", leaver)
	v.deactivate()
	v.run(time.Hour, func() bool { return len(v.all()) == 1 })
	v.decide(v.caseOf(leaver).Case.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Hold(f, "kim", "wait") })
	if err := v.store.Resume(t.Context(), "kim", "done"); err != nil {
		t.Fatal(err)
	}
	v.pass(time.Hour, 10*time.Second)
	if v.hook.calls != 0 {
		t.Fatal("replaced for a held case")
	}
	v.decide(v.caseOf(leaver).Case.ID, func(f offboard.File) (offboard.Update, error) { return offboard.Release(f, "kim", "go") })
	if f := v.closed(leaver); v.hook.calls != 1 || f.Case.Outcome != offboard.OutcomeRemoved {
		t.Errorf("%d calls, %s", v.hook.calls, f.Case.Outcome)
	}
}
