package amplitude_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"offramp/amplitude"
	"offramp/amplitude/amplitudefake"
)

func probes(c *amplitude.Client, project int) map[string]func(context.Context) (bool, error) {
	return map[string]func(context.Context) (bool, error){
		"project keys":     func(ctx context.Context) (bool, error) { return c.ProjectKeysWork(ctx, project) },
		"management key":   func(ctx context.Context) (bool, error) { return c.ManagementKeyWorks(ctx, project) },
		"SCIM key":         c.SCIMKeyWorks,
		"organization key": c.OrgKeyWorks,
	}
}

func TestProbesTellDeadKeysFromLivingOnesAndFromSilence(t *testing.T) {
	s := newScene(t, nil)
	for name, probe := range probes(s.client, s.project) {
		if works, err := probe(t.Context()); err != nil || !works {
			t.Errorf("%s that works: %v, %v", name, works, err)
		}
	}
	for _, r := range s.fake.Requests(amplitudefake.RequestFilter{}) {
		if r.Method != http.MethodGet || r.Effect != "" {
			t.Errorf("a probe did %s %s", r.Method, r.Path)
		}
	}
	broken := fakeOptions(s.fake, s.fake.Transport(), "http://simulator.invalid")
	broken.SCIMKey, broken.OrgSecret = "dead", "dead"
	for i := range broken.Projects {
		broken.Projects[i].SecretKey, broken.Projects[i].ManagementKey = "dead", "dead"
	}
	for name, probe := range probes(newClient(t, broken), s.project) {
		if works, err := probe(t.Context()); err != nil || works {
			t.Errorf("%s that is dead: %v, %v", name, works, err)
		}
	}
	if _, err := s.fake.AddFault(amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: 503}); err != nil {
		t.Fatal(err)
	}
	for name, probe := range probes(s.client, s.project) {
		if works, err := probe(t.Context()); err == nil || works {
			t.Errorf("%s, unknown: %v, %v", name, works, err)
		}
	}
}

func TestAnOrganizationThatIsNotEnrolledStillKnowsItsKey(t *testing.T) {
	s := newScene(t, map[string]string{"enrolled": "false"})
	if works, err := s.client.OrgKeyWorks(t.Context()); err != nil || !works {
		t.Errorf("%v, %v", works, err)
	}
}

func TestADestinationIsChangedAtItsVersionOnly(t *testing.T) {
	s := newScene(t, nil)
	id := s.add(t, amplitudefake.Asset{Kind: amplitudefake.KindDestination, Name: "CRM"})
	was, err := s.client.Destination(t.Context(), s.project, id)
	if err != nil || was.Version == "" || !was.Streams() {
		t.Fatalf("%+v, %v", was, err)
	}
	const value = "a-new-value-of-the-partner"
	if err := s.client.SetDestinationSecret(t.Context(), s.project, id, was.Version, "shared_secret", value); err != nil {
		t.Fatal(err)
	}
	is, err := s.client.Destination(t.Context(), s.project, id)
	if err != nil || is.Version == was.Version || is.CredentialStatus != "connected" {
		t.Errorf("%+v, %v", is, err)
	}
	err = s.client.SetDestinationSecret(t.Context(), s.project, id, was.Version, "shared_secret", value)
	if e, ok := errors.AsType[*amplitude.Error](err); !ok || e.Status != http.StatusPreconditionFailed || strings.Contains(err.Error(), value) {
		t.Errorf("at an old version: %v", err)
	}
	if ok, err := s.client.TestDestination(t.Context(), s.project, id); err != nil || !ok {
		t.Errorf("test: %v, %v", ok, err)
	}
	if _, err := s.client.Destination(t.Context(), s.project, "none"); err == nil {
		t.Error("a destination that is not there was read")
	}
	none := s.client.ReadOnly()
	if _, err := none.TestDestination(t.Context(), s.project, id); !errors.Is(err, amplitude.ErrReadOnly) {
		t.Errorf("a test by a client that only reads: %v", err)
	}
	if err := none.SetDestinationSecret(t.Context(), s.project, id, is.Version, "x", value); !errors.Is(err, amplitude.ErrReadOnly) {
		t.Errorf("a write by a client that only reads: %v", err)
	}
}
