package runner

import (
	"encoding/json"
	"fmt"
	"strings"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// What entries of the audit log mean. Amplitude documents what is recorded, not
// under which names (audit logs API), so names are matched by their words.

// particulars are what an entry tells beside its names.
type particulars struct {
	IP      string
	Project string            // empty: of the organization
	Failed  bool              // what was tried did not work
	Event   map[string]string // event properties that are text or numbers
}

// particularsOf reads an entry leniently: what cannot be read is empty.
func particularsOf(e amplitude.AuditEntry) particulars {
	var raw struct {
		IP         string         `json:"ip_address"`
		App        any            `json:"app_id"`
		Project    any            `json:"project_id"`
		Error      any            `json:"error"`
		Properties map[string]any `json:"event_properties"`
	}
	p := particulars{Event: map[string]string{}}
	if json.Unmarshal(e.Raw, &raw) != nil {
		return p
	}
	p.IP = raw.IP
	for _, id := range []any{raw.App, raw.Project} {
		if text := plainText(id); text != "" && text != "0" && p.Project == "" {
			p.Project = text
		}
	}
	switch v := raw.Error.(type) {
	case nil:
	case string:
		p.Failed = v != ""
	case bool:
		p.Failed = v
	default:
		p.Failed = true
	}
	for name, value := range raw.Properties {
		if text := plainText(value); text != "" {
			p.Event[offboard.Fold(name)] = text
		}
	}
	return p
}

func plainText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return fmt.Sprintf("%.0f", v)
	}
	return ""
}

// says reports whether an entry's domain, feature or action holds one of the words.
func says(e amplitude.AuditEntry, words ...string) bool {
	text := offboard.Fold(e.Domain + " " + e.Feature + " " + e.Action)
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// isLogin reports whether an entry is a login that worked.
func isLogin(e amplitude.AuditEntry) bool {
	action := offboard.Fold(e.Action)
	for _, w := range []string{"login", "log_in", "signin", "sign_in", "logged in"} {
		if strings.Contains(action, w) {
			return !strings.Contains(action, "fail") && !particularsOf(e).Failed
		}
	}
	return false
}

// bulkTransfer reads an entry about a transfer of somebody's content.
func bulkTransfer(e amplitude.AuditEntry) (offboard.BulkTransfer, bool) {
	action := offboard.Fold(e.Action)
	if !strings.Contains(action, "transfer") || !strings.Contains(action, "bulk") && !says(e, "access") {
		return offboard.BulkTransfer{}, false
	}
	p := particularsOf(e)
	b := offboard.BulkTransfer{From: offboard.Fold(e.Target), By: e.User, At: e.At, Project: p.Project, Raw: e.Raw}
	for _, name := range []string{"from", "from_user", "source"} {
		if who := p.Event[name]; strings.Contains(who, "@") {
			b.From = offboard.Fold(who)
		}
	}
	for _, name := range []string{"to", "to_user", "recipient"} {
		if who := p.Event[name]; strings.Contains(who, "@") {
			b.To = offboard.Fold(who)
		}
	}
	return b, strings.Contains(b.From, "@") && !e.At.IsZero() && !p.Failed
}
