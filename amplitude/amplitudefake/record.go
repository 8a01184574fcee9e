package amplitudefake

import (
	"time"
)

// Request is one call that reached a surface, in the order they were decided.
type Request struct {
	Time    time.Time `json:"time"` // simulated
	Method  string    `json:"method"`
	Path    string    `json:"path"`
	Query   string    `json:"query,omitempty"`
	Surface string    `json:"surface"`
	Status  int       `json:"status"`           // as sent; 0: the connection was broken instead
	Effect  string    `json:"effect,omitempty"` // what it changed, empty: nothing
	Object  string    `json:"object,omitempty"` // what was changed, comma-separated when several
	Fault   string    `json:"fault,omitempty"`  // the kind of fault that hit it
}

// RequestFilter selects from the log. The zero value selects everything.
type RequestFilter struct {
	Surface string // one surface
	Effect  bool   // only calls that changed something
}

// maxLog is how many calls are kept; past it the older half is dropped.
const maxLog = 1_000_000

// requestLog keeps calls small: method, surface, effect and fault share their
// text with constants, so an entry is about 150 bytes and its path.
type requestLog struct {
	entries []Request
	dropped int
}

func (l *requestLog) add(c *call) {
	if len(l.entries) >= maxLog {
		l.dropped += len(l.entries) - maxLog/2
		l.entries = append([]Request(nil), l.entries[len(l.entries)-maxLog/2:]...)
	}
	status := c.status
	if c.abort {
		status = 0
	}
	l.entries = append(l.entries, Request{
		Time: c.at, Method: c.r.Method, Path: c.r.URL.Path, Query: c.r.URL.RawQuery,
		Surface: c.surface.name, Status: status, Effect: c.effect, Object: c.objects, Fault: c.fault,
	})
}

// Requests returns the selected calls, oldest first. Of more than a million
// calls only the newer are kept.
func (f *Fake) Requests(filter RequestFilter) []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []Request{}
	for _, r := range f.log.entries {
		if (filter.Surface == "" || r.Surface == filter.Surface) && (!filter.Effect || r.Effect != "") {
			out = append(out, r)
		}
	}
	return out
}

// Mail is an invitation that Amplitude has sent.
type Mail struct {
	To   string    `json:"to"`
	At   time.Time `json:"at"`
	Kind string    `json:"kind"` // invitation
	Via  string    `json:"via"`
}

// Removal is a member that left the organization, or an invitation revoked.
type Removal struct {
	Email   string    `json:"email"`
	At      time.Time `json:"at"`
	Via     string    `json:"via"` // "scim DELETE", "scim PUT", "scim PATCH" or "human"
	Pending bool      `json:"pending"`
	Orphans int       `json:"orphans"` // assets that lost their last owner by it
}

// Resurrection is a person who was removed and came back.
type Resurrection struct {
	Email string    `json:"email"`
	At    time.Time `json:"at"`
	Via   string    `json:"via"` // "scim POST", "group push", "human", "jit"
}

// Transfer is content a human gave from one person to another. It cannot be
// taken back.
type Transfer struct {
	From  string    `json:"from"`
	To    string    `json:"to"`
	By    string    `json:"by"`
	At    time.Time `json:"at"`
	Items int       `json:"items"`
	Bulk  bool      `json:"bulk"`
}
