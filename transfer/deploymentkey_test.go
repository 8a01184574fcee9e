package transfer_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"offramp/transfer"
	"offramp/transfer/transfertest"
)

func newDeploymentKey(t *testing.T, api transfer.Deployments, sink transfer.Sink) *transfer.DeploymentKey {
	t.Helper()
	d, err := transfer.NewDeploymentKey(transfer.DeploymentKeyOptions{Deployments: api, Sink: sink, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDeploymentKeyPassesTheSuite(t *testing.T) {
	transfertest.Run(t, func(t *testing.T) transfertest.Hook {
		t.Helper()
		api := newDeployments()
		return transfertest.Hook{
			Rotator: newDeploymentKey(t, api, &memorySink{}), Rotation: deploymentRotation(), Effects: api.changes, Secrets: api.keys,
		}
	})
}

func TestANewDeploymentTakesThePlaceOfTheOld(t *testing.T) {
	api, sink := newDeployments(), &memorySink{}
	hook, r := newDeploymentKey(t, api, sink), deploymentRotation()

	if _, err := hook.Retire(t.Context(), r); err == nil || transfer.IsTemporary(err) {
		t.Fatalf("retiring before there is a replacement: %v, want a permanent refusal", err)
	}
	if api.changes() != 0 {
		t.Fatal("the refused retirement changed something")
	}
	receipt, err := hook.Rotate(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	minted := api.minted()
	if len(minted) != 1 || minted[0].Label != transfer.RotatedLabel("web", r) || !strings.HasPrefix(minted[0].Label, "web-r20260314-") {
		t.Fatalf("minted %v", minted)
	}
	if receipt.Reference != minted[0].ID || receipt.Proof != transfer.ProofReadBack {
		t.Errorf("receipt %+v does not name deployment %s", receipt, minted[0].ID)
	}
	if !strings.HasPrefix(minted[0].Key.Reveal(), "client-") {
		t.Errorf("a client key was replaced by %s", minted[0].Key.Reveal())
	}
	if got := sink.value(); got != minted[0].Key.Reveal() {
		t.Errorf("published %q", got)
	}
	if old, is := api.on("11"), api.on(minted[0].ID); old != is {
		t.Errorf("the new one is on %s, the old one on %s", is, old)
	}

	// While both live, somebody puts the old one on another flag.
	if err := api.Attach(t.Context(), "101", transfer.FlagRef{ID: "f9"}, "11"); err != nil {
		t.Fatal(err)
	}
	if _, err := hook.Retire(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if api.on("11") != "[]" || !strings.Contains(api.on(minted[0].ID), "f9") {
		t.Errorf("old on %s, new on %s", api.on("11"), api.on(minted[0].ID))
	}
	if works, _ := api.KeyWorks(t.Context(), "101", "client-web-key-0011"); works {
		t.Error("the old key works")
	}
	if works, _ := api.KeyWorks(t.Context(), "101", "server-other-0009"); !works {
		t.Error("a deployment that was not asked for is dead")
	}

	// The next rotation of the same place builds on the label's root.
	next := deploymentRotation()
	next.Key, next.Credential.ID = "rotation-4", minted[0].ID
	if _, err := hook.Rotate(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if label := api.minted()[1].Label; label == minted[0].Label || strings.Count(label, "-r2026") != 1 {
		t.Errorf("the second rotation of the day is labelled %q after %q", label, minted[0].Label)
	}
}

// TestARotationResumesAnywhere lets each call in turn go wrong, before or after Amplitude carried it out, and asks again.
func TestARotationResumesAnywhere(t *testing.T) {
	for _, applied := range []bool{false, true} {
		for fault, last := 1, false; !last; fault++ {
			t.Run(fmt.Sprintf("call %d, carried out %v", fault, applied), func(t *testing.T) {
				api, sink := newDeployments(), &memorySink{}
				api.faultAt, api.applied = fault, applied
				r := deploymentRotation()
				for step, do := range []func(*transfer.DeploymentKey) error{
					func(d *transfer.DeploymentKey) error { _, err := d.Rotate(t.Context(), r); return err },
					func(d *transfer.DeploymentKey) error { _, err := d.Retire(t.Context(), r); return err },
				} {
					var err error
					for range 3 { // each time as if by a new process
						if err = do(newDeploymentKey(t, api, sink)); err == nil {
							break
						}
						if !transfer.IsTemporary(err) {
							t.Fatalf("step %d: a passing trouble became %v", step, err)
						}
					}
					if err != nil {
						t.Fatalf("step %d: %v", step, err)
					}
				}
				last = api.calls < fault
				minted := api.minted()
				if len(minted) != 1 || minted[0].Archived {
					t.Fatalf("minted %v, want one living", minted)
				}
				if got := sink.value(); got != minted[0].Key.Reveal() {
					t.Errorf("published %q", got)
				}
				if api.on("11") != "[]" || api.on(minted[0].ID) != "[{f1 false} {f2 false} {f2 true}]" {
					t.Errorf("old on %s, new on %s", api.on("11"), api.on(minted[0].ID))
				}
				if creates := slices.IndexFunc(api.log[1:], func(s string) bool { return strings.HasPrefix(s, "create") }); creates >= 0 {
					t.Errorf("created twice: %v", api.log)
				}
			})
			if fault > 100 {
				t.Fatal("the rotation does not come to an end")
			}
		}
	}
}

func TestATwinOfALostAnswerGoesWithTheOld(t *testing.T) {
	api, sink := newDeployments(), &memorySink{}
	hook, r := newDeploymentKey(t, api, sink), deploymentRotation()
	for range 2 {
		if _, err := api.CreateDeployment(t.Context(), "101", transfer.RotatedLabel("web", r), "client"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := hook.Rotate(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, err := hook.Retire(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	minted := api.minted()
	if len(minted) != 2 || minted[0].Archived || !minted[1].Archived || sink.value() != minted[0].Key.Reveal() {
		t.Errorf("minted %v, published %q", minted, sink.value())
	}
}

func TestDeploymentKeyRefuses(t *testing.T) {
	for _, tc := range []struct {
		name      string
		scene     func(*fakeDeployments, *memorySink, *transfer.Rotation)
		rotated   bool // Retire is asked, after a rotation and before the scene
		temporary bool
		after     time.Duration
		says      string
	}{
		{
			name: "an old deployment that is not there", says: "not in the project's list",
			scene: func(_ *fakeDeployments, _ *memorySink, r *transfer.Rotation) { r.Credential.ID = "404" },
		},
		{
			name: "one that somebody else archived", says: "archived",
			scene: func(f *fakeDeployments, _ *memorySink, _ *transfer.Rotation) { f.all[1].Archived = true },
		},
		{
			name: "a flag that cannot be edited by API, after doing the others", says: "f1",
			scene: func(f *fakeDeployments, _ *memorySink, _ *transfer.Rotation) { f.stubborn = "f1" },
		},
		{
			name: "a sink that is down", temporary: true, says: "publish",
			scene: func(_ *fakeDeployments, s *memorySink, _ *transfer.Rotation) { s.fail = errLater{} },
		},
		{
			name: "a key that outlives its archiving, and looks again later", rotated: true, temporary: true, after: 5 * time.Minute, says: "still works",
			scene: func(f *fakeDeployments, _ *memorySink, _ *transfer.Rotation) { f.undying = true },
		},
		{
			name: "retiring before its time", rotated: true, temporary: true, after: time.Hour, says: "time for both keys",
			scene: func(_ *fakeDeployments, _ *memorySink, r *transfer.Rotation) { r.RetireFrom = noon().Add(time.Hour) },
		},
		{
			name: "retiring when the replacement was archived by hand", rotated: true, says: "no living replacement",
			scene: func(f *fakeDeployments, _ *memorySink, _ *transfer.Rotation) { f.all[2].Archived = true },
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			api, sink := newDeployments(), &memorySink{}
			hook, r := newDeploymentKey(t, api, sink), deploymentRotation()
			ask := hook.Rotate
			if tc.rotated {
				if _, err := hook.Rotate(t.Context(), r); err != nil {
					t.Fatal(err)
				}
				ask = hook.Retire
			}
			tc.scene(api, sink, &r)
			_, err := ask(t.Context(), r)
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("got %v, want something about %q", err, tc.says)
			}
			if transfer.IsTemporary(err) != tc.temporary || transfer.RetryAfter(err) != tc.after {
				t.Errorf("%v: temporary %v after %v", err, transfer.IsTemporary(err), transfer.RetryAfter(err))
			}
			transfertest.Hook{Secrets: api.keys}.Discreet(t, err.Error())
		})
	}
}
