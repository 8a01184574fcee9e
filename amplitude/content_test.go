package amplitude_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"offramp/amplitude"
)

func TestEventsHaveOwners(t *testing.T) {
	s := says(`{"success":true,"data":[
		{"event_type":"Sign Up","category":{"name":"Growth"},"description":"d","display_name":"Signed up","is_active":true,"tags":["a"],"owner":"jo.smith@example.com"},
		{"event_type":"Old","category":null,"is_active":false,"owner":null},
		{"event_type":"Odd","category":"Plain","owner":7}]}`)
	got, err := against(t, s).Events(t.Context(), projectID)
	want := []amplitude.Event{
		{Name: "Sign Up", DisplayName: "Signed up", Description: "d", Category: "Growth", Owner: leaver, Active: true},
		{Name: "Old"},
		{Name: "Odd", Category: "Plain", Owner: "7"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("events are %+v, %v", got, err)
	}
	if uri := s.only(t).URI; uri != "/api/2/taxonomy/event" {
		t.Errorf("asked %s", uri)
	}
	if _, err := against(t, says(`{"success":true}`)).Events(t.Context(), projectID); err == nil {
		t.Error("an answer without data was taken")
	}
}

func TestOneEventByName(t *testing.T) {
	name := "Add / remove: 100% ünïcode + more"
	s := says(`{"success":true,"data":{"event_type":"` + name + `","owner":"al@example.com"}}`)
	e, err := against(t, s).Event(t.Context(), projectID, name)
	if err != nil || e.Owner != "al@example.com" {
		t.Errorf("event is %+v, %v", e, err)
	}
	if uri := s.only(t).URI; uri != "/api/2/taxonomy/event/Add%20%2F%20remove:%20100%25%20%C3%BCn%C3%AFcode%20%2B%20more" {
		t.Errorf("asked %s", uri)
	}
	_, err = against(t, play(recorded{Status: 400, Body: `{"success":false,"errors":[{"message":"Not found"}]}`})).Event(t.Context(), projectID, "x")
	if e := asError(t, err); !e.NotFound() || e.Temporary() {
		t.Errorf("an event that is not there gives %v", err)
	}
	_, err = against(t, play(recorded{Status: 400, Body: `{"success":false,"errors":[{"message":"Bad name"}]}`})).Event(t.Context(), projectID, "x")
	if asError(t, err).NotFound() {
		t.Errorf("another 400 gives %v", err)
	}
	if _, err := against(t, s).Event(t.Context(), projectID, "Sign Up"); err == nil {
		t.Error("an answer about another event was taken")
	}
	dots := says(`{}`)
	_, _ = against(t, dots).Event(t.Context(), projectID, "..")
	if uri := dots.only(t).URI; uri != "/api/2/taxonomy/event/%2E%2E" {
		t.Errorf("asked %s", uri)
	}
}

func TestSettingTheOwnerOfAnEvent(t *testing.T) {
	s := says(`{"success":true}`)
	if err := against(t, s).SetEventOwner(t.Context(), projectID, "Sign Up", "al+x@example.com"); err != nil {
		t.Fatal(err)
	}
	r := s.only(t)
	if r.Method != "PUT" || r.URI != "/api/2/taxonomy/event/Sign%20Up" || r.Type != "application/x-www-form-urlencoded" || r.Body != "owner=al%2Bx%40example.com" {
		t.Errorf("asked %s %s %s %s", r.Method, r.URI, r.Type, r.Body)
	}
	for _, a := range []recorded{
		{Status: 409, Body: `{"success":false,"errors":[{"message":"Owner jo.smith@example.com is unknown"}]}`},
		{Body: `{"success":false,"errors":[{"message":"Owner jo.smith@example.com is unknown"}]}`},
	} {
		err := against(t, play(a)).SetEventOwner(t.Context(), projectID, "Sign Up", leaver)
		if err == nil {
			t.Fatal("a refusal was taken for success")
		}
		mustNotLeak(t, err)
	}
}

func TestAnOwnerThatIsNotTextDoesNotBreakTheErrors(t *testing.T) {
	err := against(t, play(recorded{Status: 409, Body: "{\"detail\":\"no \xff owner\"}"})).SetEventOwner(t.Context(), projectID, "e", "\xff")
	if asError(t, err).Status != http.StatusConflict {
		t.Errorf("error is %v", err)
	}
}

func TestTaxonomyKeepsWithinItsConcurrentCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := against(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
			}
			_, _ = w.Write([]byte(`{"success":true}`))
		}))
		done := make(chan error, 5)
		for range 5 {
			go func() { done <- c.SetEventOwner(t.Context(), projectID, "e", leaver) }()
		}
		for _, finished := range []int{0, 2, 4, 5} { // five writes of cost 2, two at a time
			synctest.Wait()
			if len(done) != finished {
				t.Errorf("%d writes are done, want %d", len(done), finished)
			}
			time.Sleep(time.Second)
		}
		for range 5 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestCohortsHaveOwnersAndSyncs(t *testing.T) {
	s := says(`{"cohorts":[{"appId":187520,"archived":false,"definition":{"x":1},"description":"d","finished":true,"id":"abc123","name":"Power users",
		"owners":["Jo.Smith@example.com","al@example.com"],"viewers":[],"published":true,"size":186,"type":"redshift","lastMod":1577836800,
		"createdAt":1577750400,"hidden":false,"metadata":["OTHER"],"view_count":2,
		"syncMetadata":[{"target":"Braze","frequency":"daily","last_successful":1577836800,"params":{"user_id":"jo.smith@example.com"}},{"target":"S3","params":null}]},
		{"id":7,"name":"Bare","owners":null}]}`)
	got, err := against(t, s).Cohorts(t.Context(), projectID)
	want := []amplitude.Cohort{
		{
			ID: "abc123", Name: "Power users", Owners: []string{"Jo.Smith@example.com", "al@example.com"}, Description: "d",
			ModifiedAt: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
			Syncs:      []amplitude.CohortSync{{Target: "Braze", Frequency: "daily", Email: leaver}, {Target: "S3"}},
		},
		{ID: "7", Name: "Bare"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("cohorts are %+v, %v", got, err)
	}
	if r := s.only(t); r.Method != "GET" || r.URI != "/api/3/cohorts?includeSyncInfo=true" {
		t.Errorf("asked %s %s", r.Method, r.URI)
	}
	_, err = against(t, play(recorded{Status: 401, Body: `{"error":{"http_code":401,"type":"invalid_credentials","message":"Invalid key ` + secretKey + `"}}`})).Cohorts(t.Context(), projectID)
	if e := asError(t, err); !e.Unauthorized() || e.Code != "invalid_credentials" || !strings.Contains(e.Detail, "Invalid key") {
		t.Errorf("error is %v", err)
	}
	mustNotLeak(t, err)
}
