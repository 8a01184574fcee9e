package offboard

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// claimed reads what the identity provider says about an approval: the approval,
// where it may count, and in any case a sentence for the timeline. The sentence
// is empty where nothing is claimed.
func claimed(p Person, r Rules, pol Policy, now time.Time) (approvals []Approval, remark string) {
	who := strings.TrimSpace(p.Claims.ApprovedBy)
	if who == "" {
		return nil, ""
	}
	says := fmt.Sprintf("the identity provider claims that %s approved", shown(who))
	f := File{Person: p, Case: Case{Address: p.Address}}
	switch {
	case !r.TrustApprovals:
		return nil, says + "; connection " + p.Connection + " is not trusted for approvals, so it does not count"
	case isLeaver(f, who):
		return nil, says + "; that is the leaver, so it does not count"
	case pol.Approvals > 1:
		return nil, says + "; the case needs more than one approval, and a claim is never one of two"
	case pol.Approvals == 0:
		return nil, says + "; the policy asks for no approval"
	}
	return []Approval{{By: who, Ticket: p.Claims.Ticket, At: now, Via: ViaClaim}},
		says + ", and connection " + p.Connection + " is trusted for that"
}

// shown makes what somebody sent fit for a sentence: short, and without control
// characters.
func shown(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return s
}
