package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// audited is what the audit log has about the leaver.
type audited struct {
	From    time.Time                    `json:"from"`
	To      time.Time                    `json:"to"`
	Final   bool                         `json:"final"` // read when late entries had time to appear
	Entries int                          `json:"entries"`
	Summary []string                     `json:"summary"` // of what to look at, for people
	Suspect []suspect                    `json:"suspect,omitempty"`
	Logins  []string                     `json:"login_addresses,omitempty"` // from which they logged in
	Actions map[string]int               `json:"actions,omitempty"`
	Unseen  []string                     `json:"unseen,omitempty"`
	Left    int                          `json:"raw_left_out,omitempty"` // entries that were counted and not kept
	Raw     map[string][]json.RawMessage `json:"raw,omitempty"`
}

// suspect is one kind of thing that the leaver did to one target.
type suspect struct {
	What         string    `json:"what"`
	Organization string    `json:"organization"`
	Action       string    `json:"action"` // as the audit log names it
	Target       string    `json:"target,omitempty"`
	Project      string    `json:"project,omitempty"`
	Count        int       `json:"count"`
	Failed       int       `json:"failed,omitempty"` // how many of them did not work
	First        time.Time `json:"first"`
	Last         time.Time `json:"last"`
	IPs          []string  `json:"ips,omitempty"`
}

// The bounds of what is kept and said.
const (
	maxAudit     = 1000 // entries of one leaver and organization
	maxSuspects  = 200  // kinds and targets
	maxSummary   = 25   // lines
	maxAddresses = 3    // from which one person logs in without its being said
)

// auditWindow is how far back an incident looks.
const auditWindow = 30 * 24 * time.Hour

// audit exports what the leaver did in the last 30 days: at once, and once more
// with the first look after the removal, when entries that were written late
// have appeared. What the leaver did last
// is what an incident is about, and it is what the first reading misses.
func audit(ctx context.Context, a *attempt, s *offboard.Step) (outcome, error) {
	was := audited{}
	if err := decodeResult(s.Result, &was); err != nil {
		return outcome{}, err
	}
	again := a.file.Case.Removed
	if len(a.opts.Verify) > 0 {
		again = again.Add(a.opts.Verify[0])
	}
	if !was.To.IsZero() && a.now().Before(again) {
		return outcome{result: was, wait: offboard.WaitVerify, until: again, note: "the audit log is read again for late entries", meanwhile: true}, nil
	}
	res, err := a.readAudit(ctx)
	if err != nil {
		return outcome{}, err
	}
	if res.Final = !a.now().Before(again); !res.Final {
		res.Raw, res.Left = nil, 0 // kept once, when nothing is missing
	}
	out := outcome{result: res, say: "audit: " + res.sentence()}
	if !res.Final {
		out.wait, out.until, out.meanwhile = offboard.WaitVerify, again, true
		out.note = "the audit log is read again for late entries"
	}
	if res.Final && !was.To.IsZero() {
		out.say = fmt.Sprintf("audit: read again, %d entries more: %s", max(res.Entries-was.Entries, 0), res.sentence())
	}
	return out, nil
}

func (a *attempt) readAudit(ctx context.Context) (audited, error) {
	res := audited{To: a.now(), Actions: map[string]int{}, Raw: map[string][]json.RawMessage{}}
	res.From = res.To.Add(-auditWindow)
	who := map[string]bool{}
	for _, address := range append(a.file.Person.Addresses(), offboard.Fold(a.file.Case.Address)) {
		who[address] = true
	}
	group := map[string]int{}
	for _, org := range a.reach(a.file.Case.Connection) {
		if !org.Audit {
			res.Unseen = append(res.Unseen, org.Name+": no organization key for the audit log is configured")
			continue
		}
		for e, err := range org.Client.AuditLog(ctx, res.From, res.To, amplitude.AuditFilter{}) {
			if refusedKey(err) {
				res.Unseen = append(res.Unseen, org.Name+": Amplitude refused the organization key")
				break
			}
			if errors.Is(err, amplitude.ErrAuditTruncated) || errors.Is(err, amplitude.ErrRetention) {
				res.Unseen = append(res.Unseen, org.Name+": "+err.Error())
				break
			}
			if err != nil {
				return res, err
			}
			if who[offboard.Fold(e.User)] {
				res.add(org.Name, e, group)
			}
		}
	}
	slices.Sort(res.Logins)
	res.Logins = slices.Compact(res.Logins)
	slices.SortStableFunc(res.Suspect, func(x, y suspect) int { return y.Last.Compare(x.Last) })
	res.Summary = res.lines()
	return res, nil
}

// add counts one entry of the leaver's. No filter of the log is trusted: the
// caller has compared who did it.
func (r *audited) add(org string, e amplitude.AuditEntry, group map[string]int) {
	r.Entries++
	r.Actions[e.Domain+"/"+e.Action]++
	if len(r.Raw[org]) < maxAudit {
		r.Raw[org] = append(r.Raw[org], e.Raw)
	} else {
		r.Left++
	}
	p := particularsOf(e)
	if isLogin(e) && p.IP != "" {
		r.Logins = append(r.Logins, p.IP)
	}
	what := suspicion(e)
	if what == "" {
		return
	}
	key := strings.Join([]string{org, what, e.Action, e.Target, p.Project}, "\x00")
	i, known := group[key]
	if !known {
		if len(r.Suspect) == maxSuspects {
			return
		}
		i = len(r.Suspect)
		group[key] = i
		r.Suspect = append(r.Suspect, suspect{What: what, Organization: org, Action: e.Action, Target: e.Target, Project: p.Project, First: e.At})
	}
	s := &r.Suspect[i]
	s.Count++
	if p.Failed {
		s.Failed++
	}
	if e.At.Before(s.First) {
		s.First = e.At
	}
	if e.At.After(s.Last) {
		s.Last = e.At
	}
	if p.IP != "" && !slices.Contains(s.IPs, p.IP) && len(s.IPs) < 10 {
		s.IPs = append(s.IPs, p.IP)
	}
}

// suspicion tells what kind of thing an entry is that somebody should look at
// after an incident; empty: none. The first that fits counts.
func suspicion(e amplitude.AuditEntry) string {
	for _, kind := range []struct {
		what  string
		words []string
	}{
		{"data export", []string{"export", "download"}},
		{"change of single sign-on or provisioning", []string{"sso", "saml", "scim", "provision"}},
		{"transfer of content", []string{"transfer"}},
		{"invitation", []string{"invit"}},
		{"deletion", []string{"delet", "remov", "archiv"}},
		{"change of a role", []string{"role"}},
		{"change of permissions or groups", []string{"permission", "group", "access"}},
		{"change of a project", []string{"project"}},
	} {
		if says(e, kind.words...) {
			return kind.what
		}
	}
	return ""
}

// lines is the summary for people, newest first.
func (r *audited) lines() []string {
	var out []string
	if n := len(r.Logins); n > maxAddresses {
		out = append(out, fmt.Sprintf("logins from %d addresses: %s", n, strings.Join(r.Logins[:min(n, 10)], ", ")))
	}
	for i, s := range r.Suspect {
		if i == maxSummary {
			out = append(out, fmt.Sprintf("and %d more kinds of things, in the raw entries", len(r.Suspect)-i))
			break
		}
		line := fmt.Sprintf("%s: %s", s.What, s.Action)
		if s.Target != "" {
			line += " of " + s.Target
		}
		if s.Project != "" {
			line += " in project " + s.Project
		}
		line += fmt.Sprintf(" (%s), %d times, last at %s", s.Organization, s.Count, s.Last.UTC().Format(time.RFC3339))
		if s.Failed > 0 {
			line += fmt.Sprintf(", %d of them failed", s.Failed)
		}
		if len(s.IPs) > 0 {
			line += ", from " + strings.Join(s.IPs, ", ")
		}
		out = append(out, line)
	}
	for _, u := range r.Unseen {
		out = append(out, "not seen: "+u)
	}
	return out
}

// sentence is the summary on the timeline.
func (r *audited) sentence() string {
	text := fmt.Sprintf("%d entries of the last 30 days", r.Entries)
	if len(r.Unseen) > 0 && r.Entries == 0 {
		text = "what they did is unknown"
	}
	kinds := map[string]int{}
	var order []string
	for _, s := range r.Suspect {
		if kinds[s.What] == 0 {
			order = append(order, s.What)
		}
		kinds[s.What] += s.Count
	}
	for i, what := range order {
		order[i] = fmt.Sprintf("%s %d×", what, kinds[what])
	}
	if len(r.Logins) > maxAddresses {
		order = append(order, fmt.Sprintf("logins from %d addresses", len(r.Logins)))
	}
	if len(order) > 0 {
		text += "; to look at: " + strings.Join(order, ", ")
	}
	if len(r.Unseen) > 0 {
		text += "; not seen: " + strings.Join(r.Unseen, "; ")
	}
	return text
}
