package amplitudefake_test

import (
	"fmt"
	"maps"
	"strconv"
	"testing"
	"time"

	sim "offramp/amplitude/amplitudefake"
)

type auditPage struct {
	Events []struct {
		Timestamp, Domain, Feature, Action, Target, User string
		OrgID                                            int               `json:"org_id"`
		Properties                                       map[string]string `json:"event_properties"`
	}
	Pagination struct {
		NextCursor *string `json:"next_cursor"`
	}
}

func (w *world) audit(from, to time.Time, more map[string]any) reply {
	w.t.Helper()
	body := map[string]any{"start_date": from.Format(time.RFC3339), "end_date": to.Format(time.RFC3339)}
	maps.Copy(body, more)
	return w.send("POST", "/api/2/audit-logs/"+strconv.Itoa(w.creds.OrgID), body, basic(w.creds.OrgKey, w.creds.OrgSecret))
}

func TestTheAuditLogKeepsToRangeAndRetention(t *testing.T) {
	w := newWorld(t, sim.Options{})
	now, day := w.Now(), 24*time.Hour
	w.audit(now.Add(-30*day), now, nil).want(200)
	w.audit(now.Add(-31*day), now, nil).want(400)
	w.audit(now.Add(-91*day), now.Add(-70*day), nil).want(400)
	w.audit(now, now.Add(-day), nil).want(400)
	w.send("POST", "/api/2/audit-logs/"+strconv.Itoa(w.creds.OrgID), map[string]string{}, basic(w.creds.OrgKey, w.creds.OrgSecret)).want(400)
	w.send("POST", "/api/2/audit-logs/"+strconv.Itoa(w.creds.OrgID), map[string]string{}).want(401)
	w.send("POST", "/api/2/audit-logs/1", map[string]string{}, basic(w.creds.OrgKey, w.creds.OrgSecret)).want(403)
	w.send("GET", "/api/2/audit-logs/"+strconv.Itoa(w.creds.OrgID), nil, basic(w.creds.OrgKey, w.creds.OrgSecret)).want(404)
}

func TestARemovalIsLoggedLateAndByScim(t *testing.T) {
	w := newWorld(t, sim.Options{Switches: map[string]string{"audit_lag": "60s"}})
	w.people("jo@example.com")
	start := w.Now()
	w.scim("DELETE", "/Users/jo@example.com", nil).want(204)
	filters := map[string]any{"filters": map[string]string{"action": "delete"}}
	var page auditPage
	w.audit(start, start.Add(time.Hour), filters).want(200).into(&page)
	if len(page.Events) != 0 {
		t.Errorf("too early: %+v", page.Events)
	}
	w.advance(time.Minute)
	w.audit(start, start.Add(time.Hour), filters).want(200).into(&page)
	if len(page.Events) != 1 || page.Events[0].User != "scim" || page.Events[0].Target != "jo@example.com" || page.Events[0].OrgID != w.creds.OrgID {
		t.Errorf("events %+v", page.Events)
	}
}

func TestAskingForOneUsersEntriesAnswersEverybodys(t *testing.T) {
	w := newWorld(t, sim.Options{Switches: map[string]string{"audit_lag": "0"}})
	w.people("jo@example.com", "li@example.com")
	w.advance(2 * time.Hour) // their first logins are in the log too
	w.human(sim.Action{Do: "login", Email: "jo@example.com"})
	w.human(sim.Action{Do: "login", Email: "li@example.com"})
	var page auditPage
	w.audit(w.Now().Add(-time.Hour), w.Now(), map[string]any{"filters": map[string]string{"user": "jo@example.com", "domain": "auth"}}).into(&page)
	if len(page.Events) != 2 {
		t.Errorf("%d entries", len(page.Events))
	}
}

func TestTheAuditLogPagesOrTruncates(t *testing.T) {
	w := newWorld(t, sim.Options{Switches: map[string]string{"audit_lag": "0"}})
	start := w.Now()
	for i := range 250 {
		w.people(fmt.Sprintf("p%d@example.com", i))
		w.human(sim.Action{Do: "login", Email: fmt.Sprintf("p%d@example.com", i)})
		w.advance(time.Second)
	}
	seen, cursor := 0, any(nil)
	for pages := 1; ; pages++ {
		var page auditPage
		w.audit(start, w.Now(), map[string]any{"pagination": map[string]any{"limit": 100, "cursor": cursor}}).want(200).into(&page)
		seen += len(page.Events)
		if page.Pagination.NextCursor == nil {
			if pages != 3 || seen != 250 {
				t.Errorf("%d entries in %d pages", seen, pages)
			}
			break
		}
		cursor = *page.Pagination.NextCursor
	}
	w.set("audit_mode", "truncate")
	got := w.audit(start, w.Now(), map[string]any{"pagination": map[string]any{"limit": 100}}).want(200).lacks("next_cursor")
	var page auditPage
	got.into(&page)
	if len(page.Events) != 100 {
		t.Errorf("%d entries", len(page.Events))
	}
}
