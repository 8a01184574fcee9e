package transfer_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"offramp/transfer"
	"offramp/transfer/transfertest"
)

// fakeDestination is one destination whose partner takes one value.
type fakeDestination struct {
	mu      sync.Mutex
	version int
	value   transfer.Secret
	writes  int
	stale   int  // that many writes find another version
	lost    bool // writes are confirmed and lost
	rejects bool // the partner takes no value
	broken  bool // the connection breaks after the write
	silent  bool // it is never connected
}

func (f *fakeDestination) Destination(context.Context, string, string) (transfer.DestinationState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return transfer.DestinationState{Version: strconv.Itoa(f.version), Connected: !f.silent, Streams: true}, nil
}

func (f *fakeDestination) SetDestinationSecret(_ context.Context, _, _, version, field string, value transfer.Secret) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case field != "shared_secret":
		return errNever{}
	case f.stale > 0:
		f.stale--
		f.version++
		return transfer.ErrStale
	case version != strconv.Itoa(f.version):
		return transfer.ErrStale
	case f.lost:
		return nil
	}
	f.version++
	f.value = value
	f.writes++
	if f.broken {
		f.broken = false
		return errLater{}
	}
	return nil
}

func (f *fakeDestination) TestDestination(context.Context, string, string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.rejects, nil
}

func destinationRotation() transfer.Rotation {
	return transfer.Rotation{
		Key: "rotation/7", Opened: noon(),
		Credential: transfer.Credential{Kind: transfer.CredentialDestination, ID: "11", Name: "crm", Project: "101", Field: "shared_secret"},
	}
}

func destinationHook(t *testing.T, api transfer.Destinations, sink transfer.Sink) *transfer.DestinationCredential {
	t.Helper()
	d, err := transfer.NewDestinationCredential(transfer.DestinationCredentialOptions{Destinations: api, Sink: sink, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDestinationCredentialPassesTheSuite(t *testing.T) {
	transfertest.Run(t, func(t *testing.T) transfertest.Hook {
		t.Helper()
		api, sink := &fakeDestination{}, &memorySink{}
		return transfertest.Hook{
			Rotator: destinationHook(t, api, sink), Rotation: destinationRotation(),
			Effects: func() int { api.mu.Lock(); defer api.mu.Unlock(); return api.writes },
			Secrets: func() []string {
				if v := sink.value(); v != "" {
					return []string{v}
				}
				return nil
			},
		}
	})
}

func TestTheDestinationCarriesWhatWasPublished(t *testing.T) {
	for name, tc := range map[string]*struct {
		api    fakeDestination
		sink   memorySink
		tries  int    // until it is done
		refuse string // or the error of the first
	}{
		"at once":                               {tries: 1},
		"others change it meanwhile":            {api: fakeDestination{stale: 2}, tries: 1},
		"others never stop changing it":         {api: fakeDestination{stale: 5}, refuse: "is being changed by somebody else"},
		"the connection breaks after the write": {api: fakeDestination{broken: true}, tries: 2},
		"the write is lost":                     {api: fakeDestination{lost: true}, refuse: "does not show when read again"},
		"the partner does not know it":          {api: fakeDestination{rejects: true}, refuse: "did not take a test"},
		"it is not connected":                   {api: fakeDestination{silent: true}, refuse: "is not connected with the new value"},
		"it cannot be published":                {sink: memorySink{fail: errLater{}}, refuse: "publish the new value"},
	} {
		t.Run(name, func(t *testing.T) {
			api, sink := &tc.api, &tc.sink
			hook, r := destinationHook(t, api, sink), destinationRotation()
			var err error
			for try := 1; try <= max(tc.tries, 1); try++ {
				r.Attempt = try
				if _, err = hook.Rotate(t.Context(), r); err == nil && try < tc.tries {
					t.Fatalf("done at try %d", try)
				}
			}
			switch {
			case tc.refuse != "" && (err == nil || !strings.Contains(err.Error(), tc.refuse) || !transfer.IsTemporary(err)):
				t.Fatalf("error %v, want a temporary %q", err, tc.refuse)
			case tc.refuse != "":
				if tc.sink.fail != nil && api.writes > 0 {
					t.Error("written without being published")
				}
			case err != nil || api.value.Reveal() != sink.value() || len(sink.value()) != 64:
				t.Errorf("%v; the destination and the partner agree: %v", err, api.value.Reveal() == sink.value())
			}
		})
	}
}

func TestADestinationWithoutANamedSettingIsAPersons(t *testing.T) {
	api, r := &fakeDestination{}, destinationRotation()
	r.Credential.Field = ""
	_, err := destinationHook(t, api, &memorySink{}).Rotate(t.Context(), r)
	if e, ok := errors.AsType[*transfer.Error](err); !ok || e.Retry || api.writes != 0 {
		t.Errorf("%v", err)
	}
}
