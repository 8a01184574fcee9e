package transfer_test

import (
	"context"
	"errors"
	"testing"

	"offramp/transfer"
	"offramp/transfer/transfertest"
)

func newEventOwner(t *testing.T, events transfer.Events) *transfer.EventOwner {
	t.Helper()
	e, err := transfer.NewEventOwner(transfer.EventOwnerOptions{Events: events, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEventOwnerPassesTheSuite(t *testing.T) {
	transfertest.Run(t, func(t *testing.T) transfertest.Hook {
		t.Helper()
		events := newEvents("Checkout / Paid", "jo@example.com")
		return transfertest.Hook{Transferrer: newEventOwner(t, events), Handover: eventHandover(), Effects: events.effects}
	})
}

func TestEventOwnerWritesAsOthersDo(t *testing.T) {
	const event = "Checkout / Paid"
	for _, tc := range []struct {
		name   string
		plan   []string
		change func(*transfer.Handover)
		want   string // the owner afterwards
		writes int
		fails  bool
	}{
		{name: "an address becomes an address", plan: []string{event, "JO@example.com"}, want: "sam@example.com", writes: 1},
		{name: "a display name becomes a display name", plan: []string{event, "Jo Doe"}, want: "Sam Roe", writes: 1},
		{name: "an id becomes an id", plan: []string{event, "u-1"}, want: "u-2", writes: 1},
		{
			name: "a display name without a known one is not guessed", plan: []string{event, "Jo Doe"},
			change: func(h *transfer.Handover) { h.Successor.Name = "" }, want: "Jo Doe", fails: true,
		},
		{name: "an event without owner is written as most others are", plan: []string{event, "", "a", "Al Moe", "b", "Bo Moe", "c", "x@example.com"}, want: "Sam Roe", writes: 1},
		{name: "ids count as a form", plan: []string{event, "", "a", "u-7", "b", "u-8", "c", "x@example.com"}, want: "u-2", writes: 1},
		{name: "with nobody to go by it is an address", plan: []string{event, ""}, want: "sam@example.com", writes: 1},
		{name: "what the successor owns is not written again", plan: []string{event, "Sam@Example.com"}, want: "Sam@Example.com"},
		{name: "somebody else's event is left alone", plan: []string{event, "kim@example.com"}, want: "kim@example.com"},
		{name: "an owner nobody can recognise is left to people", plan: []string{event, "Analytics guild"}, want: "Analytics guild", fails: true},
		{
			name: "namesakes are left to people", plan: []string{event, "Jo Doe"},
			change: func(h *transfer.Handover) { h.Successor.Name = "Jo Doe" }, want: "Jo Doe", fails: true,
		},
		{
			name: "an event needs a project", plan: []string{event, "jo@example.com"},
			change: func(h *transfer.Handover) { h.Asset.Project = "" }, want: "jo@example.com", fails: true,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			events, h := newEvents(tc.plan...), eventHandover()
			if tc.change != nil {
				tc.change(&h)
			}
			_, err := newEventOwner(t, events).Transfer(t.Context(), h)
			if (err != nil) != tc.fails {
				t.Fatalf("err = %v", err)
			}
			if tc.fails {
				transfertest.Anonymous(t, err)
				if transfer.IsTemporary(err) {
					t.Errorf("%v is temporary", err)
				}
			}
			if got := events.owner(event); got != tc.want || events.effects() != tc.writes {
				t.Errorf("owner %q after %d writes, want %q after %d", got, events.effects(), tc.want, tc.writes)
			}
		})
	}
}

func TestEventOwnerDoesNotBelieveAConfirmation(t *testing.T) {
	events, h := newEvents("Checkout / Paid", "jo@example.com"), eventHandover()
	events.lost = true
	hook := newEventOwner(t, events)
	for attempt := 1; attempt <= transfer.GiveUpAfter; attempt++ {
		h.Attempt = attempt
		_, err := hook.Transfer(t.Context(), h)
		if err == nil {
			t.Fatal("a lost write was taken for done")
		}
		if got, want := transfer.IsTemporary(err), attempt < transfer.GiveUpAfter; got != want {
			t.Errorf("attempt %d: temporary = %v, want %v", attempt, got, want)
		}
	}
}

func TestEventOwnerPassesTheClientsErrorsOn(t *testing.T) {
	hook := newEventOwner(t, newEvents())
	_, err := hook.Transfer(t.Context(), eventHandover())
	if _, ok := errors.AsType[errNever](err); !ok || transfer.IsTemporary(err) {
		t.Errorf("got %v, want the client's permanent error", err)
	}
	if _, _, err := hook.Owner(t.Context(), eventHandover().Asset); err == nil {
		t.Error("an event that cannot be read has no owner to tell")
	}
}

func TestReadingBackFindsALie(t *testing.T) {
	events, h := newEvents("Checkout / Paid", "jo@example.com"), eventHandover()
	reader := newEventOwner(t, events)
	if r, err := (transfertest.Liar{}).Transfer(t.Context(), h); err != nil || r.State != transfer.StateDone {
		t.Fatalf("the liar says %v, %v", r.State, err)
	}
	for _, tc := range []struct {
		owner string
		want  transfer.Verdict
	}{
		{"jo@example.com", transfer.VerdictDisagrees},
		{"", transfer.VerdictNobody},
		{"kim@example.com", transfer.VerdictElsewhere},
		{"Sam Roe", transfer.VerdictAgrees},
	} {
		if err := events.SetEventOwner(t.Context(), "101", "Checkout / Paid", tc.owner); err != nil {
			t.Fatal(err)
		}
		if got, err := transfer.Confirm(t.Context(), reader, h); err != nil || got != tc.want {
			t.Errorf("owner %q: %v, %v, want %v", tc.owner, got, err, tc.want)
		}
	}
	h.Asset.Kind = transfer.AssetDashboard
	if got, err := transfer.Confirm(t.Context(), reader, h); err != nil || got != transfer.VerdictUnknown {
		t.Errorf("a dashboard: %v, %v, want unknown", got, err)
	}
	if _, err := transfer.Confirm(t.Context(), failingReader{}, h); err == nil {
		t.Error("a failed reading is no verdict")
	}
}

type failingReader struct{}

func (failingReader) Owner(context.Context, transfer.Asset) (string, bool, error) {
	return "", false, errLater{}
}

func TestTheTruthfulHookPassesTheSuite(t *testing.T) {
	transfertest.Run(t, func(t *testing.T) transfertest.Hook {
		t.Helper()
		owners, h := transfertest.NewOwners(), eventHandover()
		owners.Set(h.Asset, h.Leaver.Email)
		return transfertest.Hook{Transferrer: owners, Handover: h, Effects: owners.Effects}
	})
	owners, h := transfertest.NewOwners(), eventHandover()
	owners.Set(h.Asset, h.Leaver.Email)
	if got, _ := transfer.Confirm(t.Context(), owners, h); got != transfer.VerdictDisagrees {
		t.Errorf("before the handover: %v", got)
	}
	if _, err := owners.Transfer(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	if got, _ := transfer.Confirm(t.Context(), owners, h); got != transfer.VerdictAgrees {
		t.Errorf("after the handover: %v", got)
	}
}
