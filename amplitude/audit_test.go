package amplitude_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"offramp/amplitude"
)

// auditServer holds entries and answers as one of the two modes that the
// documentation leaves open.
type auditServer struct {
	times   []time.Time
	cursors bool
	asked   []auditAsk
}

type auditAsk struct {
	StartDate  time.Time         `json:"start_date"`
	EndDate    time.Time         `json:"end_date"`
	Filters    map[string]string `json:"filters"`
	Pagination struct {
		Limit  int    `json:"limit"`
		Cursor string `json:"cursor"`
	} `json:"pagination"`
	auth, uri string
}

func (s *auditServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q auditAsk
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	q.auth, q.uri = r.Header.Get("Authorization"), r.Method+" "+r.URL.RequestURI()
	s.asked = append(s.asked, q)
	if q.EndDate.Sub(q.StartDate) > 30*24*time.Hour {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var events []map[string]any
	for i, at := range s.times {
		if !at.Before(q.StartDate) && !at.After(q.EndDate) { // both ends included
			events = append(events, map[string]any{
				"timestamp": at.Format(time.RFC3339Nano), "domain": "user", "feature": "user", "action": "delete",
				"target": strconv.Itoa(i), "user": "scim", "ip_address": "192.0.2.1", "error": nil,
			})
		}
	}
	skip, _ := strconv.Atoi(q.Pagination.Cursor)
	events = events[min(skip, len(events)):]
	paging := map[string]any{}
	if len(events) > q.Pagination.Limit {
		events = events[:q.Pagination.Limit]
		if s.cursors {
			paging["next_cursor"] = strconv.Itoa(skip + q.Pagination.Limit)
		}
	}
	if events == nil {
		events = []map[string]any{}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"events": events, "pagination": paging})
}

// every returns n times, a step apart.
func every(from time.Time, step time.Duration, n int) []time.Time {
	out := make([]time.Time, n)
	for i := range out {
		out[i] = from.Add(time.Duration(i) * step)
	}
	return out
}

func TestAuditLogIsReadCompletelyAndOnce(t *testing.T) {
	from := today().Add(-80 * 24 * time.Hour)
	for _, cursors := range []bool{true, false} {
		for _, row := range []struct {
			name  string
			times []time.Time
		}{
			{"nothing", nil},
			{"one page", every(from, time.Hour, 99)},
			{"exactly one page", every(from, time.Hour, 100)},
			{"one every two hours", every(from, 2*time.Hour, 960)},
			{"entries on the borders of the parts", every(from, 30*24*time.Hour, 3)},
			{"many in one minute", every(from.Add(50*time.Hour+300*time.Millisecond), 100*time.Millisecond, 600)},
		} {
			t.Run(fmt.Sprintf("%s, cursors %v", row.name, cursors), func(t *testing.T) {
				s := &auditServer{times: row.times, cursors: cursors}
				got, err := all(against(t, s).AuditLog(t.Context(), from, today(), amplitude.AuditFilter{}))
				if err != nil {
					t.Fatal(err)
				}
				count := map[string]int{}
				for _, e := range got {
					count[e.Target]++
				}
				if len(got) != len(row.times) || len(count) != len(row.times) {
					t.Errorf("%d entries, %d distinct; want %d", len(got), len(count), len(row.times))
				}
			})
		}
	}
}

func TestAuditRangesAreSplitAndSentInUTC(t *testing.T) {
	s := &auditServer{times: []time.Time{today().Add(-40 * 24 * time.Hour)}}
	berlin := time.FixedZone("CET", 3600)
	from, to := today().Add(-65*24*time.Hour).In(berlin), today().Add(-500*time.Millisecond).In(berlin)
	got, err := all(against(t, s).AuditLog(t.Context(), from, to, amplitude.AuditFilter{Domain: "user", Action: "delete"}))
	if err != nil || len(got) != 1 || got[0].User != "scim" || got[0].Action != "delete" || !got[0].At.Equal(s.times[0]) || !json.Valid(got[0].Raw) {
		t.Errorf("entries are %+v, %v", got, err)
	}
	if len(s.asked) != 3 {
		t.Fatalf("%d requests, want 3", len(s.asked))
	}
	for i, q := range s.asked {
		if q.uri != "POST /api/2/audit-logs/36958" || q.auth == "" || q.Pagination.Limit != 100 {
			t.Errorf("asked %+v", q)
		}
		if fmt.Sprint(q.Filters) != "map[action:delete domain:user]" {
			t.Errorf("filters are %v", q.Filters)
		}
		if i > 0 && !q.StartDate.Equal(s.asked[i-1].EndDate) {
			t.Errorf("part %d begins at %s, the one before ends at %s", i, q.StartDate, s.asked[i-1].EndDate)
		}
		if q.StartDate.Location() != time.UTC {
			t.Errorf("part %d is asked in %s", i, q.StartDate.Location())
		}
	}
	if !s.asked[2].EndDate.Equal(today()) {
		t.Errorf("the end is %s, want it rounded up to %s", s.asked[2].EndDate, today())
	}
}

func TestAuditEntriesThatCannotBeListedAreAnError(t *testing.T) {
	now := today()
	s := &auditServer{times: every(now.Add(-time.Hour), 0, 101)}
	_, err := all(against(t, s).AuditLog(t.Context(), now.Add(-2*time.Hour), now, amplitude.AuditFilter{}))
	if !errors.Is(err, amplitude.ErrAuditTruncated) {
		t.Errorf("error is %v, want ErrAuditTruncated", err)
	}
	s = &auditServer{}
	_, err = all(against(t, s).AuditLog(t.Context(), now.Add(-91*24*time.Hour), now, amplitude.AuditFilter{}))
	if !errors.Is(err, amplitude.ErrRetention) || len(s.asked) != 0 {
		t.Errorf("error is %v after %d requests, want ErrRetention after none", err, len(s.asked))
	}
	_, err = all(against(t, s).AuditLog(t.Context(), now, now.Add(-time.Hour), amplitude.AuditFilter{}))
	if asError(t, err).Temporary() {
		t.Errorf("a range from end to begin gives %v", err)
	}
	_, err = all(against(t, says(`{"events":[],"pagination":{"next_cursor":"x"}}`)).AuditLog(t.Context(), now.Add(-time.Hour), now, amplitude.AuditFilter{}))
	if asError(t, err).Temporary() {
		t.Errorf("a log that never ends gives %v", err)
	}
	_, err = all(against(t, says(`{}`)).AuditLog(t.Context(), now.Add(-time.Hour), now, amplitude.AuditFilter{}))
	if asError(t, err).Temporary() {
		t.Errorf("an answer without entries gives %v", err)
	}
}

func TestAuditEntriesAreReadLeniently(t *testing.T) {
	now := today()
	s := says(`{"data":[
		{"timestamp":1772366400,"domain":"User","user":"jo.smith@example.com","event_properties":{"to":"al@example.com"}},
		{"timestamp":1772366400123,"domain":"user"},
		{"timestamp":"2026-03-01 11:59:00","domain":"user"},
		{"timestamp":{},"domain":"user","target":7},
		{"timestamp":"2026-03-01T11:58:00+00:00","domain":"auth"}]}`)
	got, err := all(against(t, s).AuditLog(t.Context(), now.Add(-time.Hour), now.Add(time.Second), amplitude.AuditFilter{Domain: "user"}))
	if err != nil || len(got) != 4 {
		t.Fatalf("%d entries, %v; want the four of the domain", len(got), err)
	}
	for i, want := range []time.Time{now, now.Add(123 * time.Millisecond), now.Add(-time.Minute), {}} {
		if !got[i].At.Equal(want) {
			t.Errorf("entry %d is of %s, want %s", i, got[i].At, want)
		}
	}
}
