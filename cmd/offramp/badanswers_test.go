package main_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
)

// fault spoils what Amplitude answers; lift ends it.
func (b *bridge) fault(f amplitudefake.Fault) (hits func() int, lift func()) {
	b.t.Helper()
	id, err := b.fake.AddFault(f)
	if err != nil {
		b.t.Fatal(err)
	}
	hits = func() int {
		for _, x := range b.fake.Faults() {
			if x.ID == id {
				return x.Hits
			}
		}
		return 0
	}
	return hits, func() { b.fake.RemoveFault(id) }
}

// TestAmplitudeAnswersBadly lets people leave while Amplitude answers with
// rubbish. The identity provider never notices; when Amplitude has recovered the
// cases close, and each member was removed once.
func TestAmplitudeAnswersBadly(t *testing.T) {
	t.Parallel()
	removal := amplitudefake.Match{Method: http.MethodDelete, Surface: "scim"}
	for name, row := range map[string]struct {
		fault amplitudefake.Fault
		lie   bool // it looks like a removal that was done
	}{
		"a web page to everything":          {fault: amplitudefake.Fault{Kind: amplitudefake.FaultHTML}},
		"half of every answer":              {fault: amplitudefake.Fault{Kind: amplitudefake.FaultTruncate}},
		"silence":                           {fault: amplitudefake.Fault{Kind: amplitudefake.FaultHang, Delay: amplitudefake.Span(3 * time.Second)}},
		"404 to everything":                 {fault: amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: http.StatusNotFound}},
		"401 to everything":                 {fault: amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: http.StatusUnauthorized}},
		"503 to everything":                 {fault: amplitudefake.Fault{Kind: amplitudefake.FaultStatus}},
		"too many requests":                 {fault: amplitudefake.Fault{Kind: amplitudefake.FaultStatus, Status: http.StatusTooManyRequests, RetryAfter: 1}},
		"an error as a success":             {fault: amplitudefake.Fault{Kind: amplitudefake.FaultErrorBody}},
		"success without a body":            {fault: amplitudefake.Fault{Kind: amplitudefake.FaultEmpty, Status: http.StatusOK}, lie: true},
		"the way to a login page":           {fault: amplitudefake.Fault{Kind: amplitudefake.FaultRedirect}},
		"500 after removing":                {fault: amplitudefake.Fault{Kind: amplitudefake.FaultStatusAfter, Status: http.StatusInternalServerError, Match: removal}},
		"a web page after removing":         {fault: amplitudefake.Fault{Kind: amplitudefake.FaultHTMLAfter, Match: removal}},
		"a broken connection at removing":   {fault: amplitudefake.Fault{Kind: amplitudefake.FaultReset, Match: removal}},
		"a broken connection after removal": {fault: amplitudefake.Fault{Kind: amplitudefake.FaultResetAfter, Match: removal}},
		"silence after removing":            {fault: amplitudefake.Fault{Kind: amplitudefake.FaultHangAfter, Delay: amplitudefake.Span(3 * time.Second), Match: removal}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBridge(t, "")
			b.start()
			b.staff()
			leavers := []leaver{{address: "jo@example.com", how: "quick"}, {address: "lee@example.com", how: "incident"}}
			for i, l := range leavers {
				leavers[i].id = b.hire(l.address, "quick", "")
			}
			hits, lift := b.fault(row.fault)
			// The answer cannot have waited for Amplitude: the fault ends after it.
			for _, l := range leavers {
				b.leave(l)
			}
			b.eventually(30*time.Second, "Amplitude is asked", func() bool { return hits() >= len(leavers) })
			if row.lie { // others ask, too: what counts is that the removal met the fault
				b.eventually(30*time.Second, "the removal is answered", func() bool {
					return slices.ContainsFunc(b.fake.Requests(amplitudefake.RequestFilter{Surface: "scim"}), func(r amplitudefake.Request) bool {
						return r.Method == http.MethodDelete && r.Fault != ""
					})
				})
			}
			for _, l := range leavers {
				if c := b.caseOf(l.address); c.State == "closed" && b.removals(l.address) == 0 {
					t.Errorf("closed by rubbish: %+v", c)
				}
			}
			lift()
			for _, l := range leavers {
				if row.lie && l.how == "incident" {
					b.disbelieves(l.address)
					continue
				}
				b.closes(l.address, 90*time.Second)
			}
		})
	}
}

// TestAmplitudeLies answers a removal as if it were done.
func TestAmplitudeLies(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "")
	b.start()
	b.staff()
	id := b.hire("jo@example.com", "quick", "")
	b.fault(amplitudefake.Fault{Kind: amplitudefake.FaultEchoLie, Count: 1, Match: amplitudefake.Match{Method: http.MethodDelete}})
	b.leave(leaver{id: id, how: "quick"})
	b.disbelieves("jo@example.com")
}

// disbelieves waits until a removal that was answered and did not happen is
// found by looking. A list may lag for minutes, so only the long runs wait until
// a person is asked; their retry removes the member.
func (b *bridge) disbelieves(address string) {
	b.t.Helper()
	b.eventually(30*time.Second, "the member of "+address+" is seen to be there", func() bool {
		c := b.caseOf(address)
		if c.State == "closed" {
			b.t.Fatalf("a removal that did not happen was believed: %+v", c)
		}
		return strings.Contains(c.Note, "still shows")
	})
	if os.Getenv("OFFRAMP_SOAK") == "" {
		return
	}
	b.eventually(5*time.Minute, "a person is asked", func() bool { return b.caseOf(address).State == "needs_attention" })
	b.retry(address)
	b.closes(address, time.Minute)
}

// retry is what an operator asks for when the cause is gone.
func (b *bridge) retry(address string) {
	b.t.Helper()
	status, out := b.call(http.MethodPost, "http://"+b.admin+"/api/v1/cases/"+b.caseOf(address).ID+"/retry", b.op, map[string]string{})
	if status/100 != 2 {
		b.t.Fatalf("retry: %d %s", status, out)
	}
}
