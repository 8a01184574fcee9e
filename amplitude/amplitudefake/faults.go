package amplitudefake

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kinds of faults. Those ending in _after let the call take effect first, so
// that the client cannot know from the answer.
const (
	FaultStatus      = "status"        // an error status, nothing done
	FaultStatusAfter = "status_after"  // an error status, all done
	FaultReset       = "reset"         // connection broken, nothing done
	FaultResetAfter  = "reset_after"   // connection broken, all done
	FaultHang        = "hang"          // silence for Delay, then the connection is broken; nothing done
	FaultHangAfter   = "hang_after"    // the same, all done
	FaultDelay       = "delay"         // done at once, answered after Delay
	FaultTruncate    = "truncate"      // done, but half of the answer is sent
	FaultHTML        = "html"          // a web page, nothing done
	FaultHTMLAfter   = "html_after"    // a web page, all done
	FaultEmpty       = "empty"         // a status without a body, nothing done
	FaultErrorBody   = "ok_error_body" // 200 with an error in the body, nothing done
	FaultEchoLie     = "echo_lie"      // answered as if done, nothing done
	FaultRedirect    = "redirect"      // to Location, nothing done
)

func faultKinds() []string {
	return []string{
		FaultStatus, FaultStatusAfter, FaultReset, FaultResetAfter, FaultHang, FaultHangAfter, FaultDelay, FaultTruncate,
		FaultHTML, FaultHTMLAfter, FaultEmpty, FaultErrorBody, FaultEchoLie, FaultRedirect,
	}
}

// Match selects the calls a fault hits. Empty fields match everything.
type Match struct {
	Method     string `json:"method,omitempty"`
	PathPrefix string `json:"path_prefix,omitempty"`
	PathRegexp string `json:"path_regexp,omitempty"`
	Surface    string `json:"surface,omitempty"` // a name as in the request log
}

// Fault makes calls go wrong that have passed credentials and rate limit.
type Fault struct {
	ID          int     `json:"id"` // given by AddFault
	Match       Match   `json:"match"`
	Kind        string  `json:"kind"`
	Status      int     `json:"status,omitempty"`      // 0: 503, but 200 for html and 302 for redirect
	Count       int     `json:"count,omitempty"`       // how many calls it hits; 0: for ever
	AfterN      int     `json:"after_n,omitempty"`     // matching calls to let pass first
	Probability float64 `json:"probability,omitempty"` // of hitting a matching call; 0: certain
	RetryAfter  int     `json:"retry_after,omitempty"` // seconds in a Retry-After header; 0: no header
	Delay       Span    `json:"delay,omitempty"`       // of hang and delay; 0: 30 s
	Location    string  `json:"location,omitempty"`    // of redirect; empty: https://login.example.com/
	Hits        int     `json:"hits"`                  // calls hit so far

	seen    int
	pattern *regexp.Regexp
}

// Span is a duration that JSON writes as "1m30s" and reads so, or as seconds.
type Span time.Duration

// MarshalText writes the duration as Go does.
func (s Span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

// UnmarshalJSON reads a Go duration or a number of seconds.
func (s *Span) UnmarshalJSON(b []byte) error {
	text := string(b)
	if plain, err := strconv.Unquote(text); err == nil {
		text = plain
	}
	d, err := parseSpan(text)
	*s = Span(d)
	return err
}

// AddFault adds a rule and returns its number. The first rule that hits a call
// wins, older rules first.
func (f *Fake) AddFault(fault Fault) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(faultKinds(), fault.Kind) {
		return 0, fmt.Errorf("amplitudefake: no fault %q, there are %s", fault.Kind, strings.Join(faultKinds(), ", "))
	}
	if fault.Probability < 0 || fault.Probability > 1 || fault.Count < 0 || fault.AfterN < 0 || fault.Delay < 0 {
		return 0, errors.New("amplitudefake: a fault's probability is from 0 to 1, its numbers are not negative")
	}
	if fault.Status != 0 && (fault.Status < 200 || fault.Status > 599) {
		return 0, fmt.Errorf("amplitudefake: a fault cannot answer %d", fault.Status)
	}
	if s := fault.Match.Surface; s != "" && !slices.ContainsFunc(f.surfaces, func(x surface) bool { return x.name == s }) {
		return 0, fmt.Errorf("amplitudefake: no surface %q", s)
	}
	if fault.Match.PathRegexp != "" {
		pattern, err := regexp.Compile(fault.Match.PathRegexp)
		if err != nil {
			return 0, fmt.Errorf("amplitudefake: fault path: %w", err)
		}
		fault.pattern = pattern
	}
	f.faultID++
	fault.ID, fault.Hits = f.faultID, 0
	f.faults = append(f.faults, &fault)
	return fault.ID, nil
}

// RemoveFault removes one rule and reports whether it was there; 0 removes all.
func (f *Fake) RemoveFault(id int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := len(f.faults)
	f.faults = slices.DeleteFunc(f.faults, func(x *Fault) bool { return id == 0 || x.ID == id })
	return len(f.faults) < before
}

// Faults returns the rules with their hits so far, used-up ones included.
func (f *Fake) Faults() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []Fault{}
	for _, x := range f.faults {
		out = append(out, *x)
	}
	return out
}

// faultFor returns the rule that hits this call, or nil.
func (f *Fake) faultFor(c *call) *Fault {
	for _, x := range f.faults {
		m := x.Match
		switch {
		case x.Count > 0 && x.Hits >= x.Count,
			m.Method != "" && !strings.EqualFold(m.Method, c.r.Method),
			m.Surface != "" && m.Surface != c.surface.name,
			!strings.HasPrefix(c.r.URL.Path, m.PathPrefix),
			x.pattern != nil && !x.pattern.MatchString(c.r.URL.Path):
			continue
		}
		if x.seen++; x.seen <= x.AfterN {
			continue
		}
		if x.Probability > 0 && f.rng.Float64() >= x.Probability {
			continue
		}
		x.Hits++
		return x
	}
	return nil
}

// answer lets the surface handle the call, or the fault spoil it.
func (f *Fake) answer(c *call, x *Fault) {
	if x == nil {
		f.surfaceHandle(c)
		return
	}
	c.fault = x.Kind
	if after, ok := strings.CutSuffix(x.Kind, "_after"); ok || x.Kind == FaultTruncate || x.Kind == FaultDelay || x.Kind == FaultEchoLie {
		c.drop = x.Kind == FaultEchoLie
		f.surfaceHandle(c)
		f.spoil(c, x, after)
		return
	}
	f.spoil(c, x, x.Kind)
}

func (f *Fake) surfaceHandle(c *call) {
	if c.surface.name == "scim" && f.knobIs(SwitchDropWrite, "true") {
		c.drop = true
	}
	c.surface.handle(c)
}

// spoil replaces the answer by what the kind of fault says.
func (f *Fake) spoil(c *call, x *Fault, kind string) {
	status := x.Status
	pick := func(fallback int) int {
		if status == 0 {
			return fallback
		}
		return status
	}
	delay := time.Duration(x.Delay)
	if delay == 0 {
		delay = 30 * time.Second
	}
	switch kind {
	case FaultStatus:
		c.fail(pick(http.StatusServiceUnavailable), "", "simulated fault")
	case FaultReset:
		c.abort = true
	case FaultHang:
		c.abort, c.pause = true, delay
	case FaultDelay:
		c.pause = delay
	case FaultTruncate:
		c.half = true
	case FaultHTML:
		c.send(pick(http.StatusOK), "text/html; charset=utf-8", []byte("<!doctype html><title>Just a moment</title><h1>Just a moment</h1>"))
	case FaultEmpty:
		c.none(pick(http.StatusServiceUnavailable))
	case FaultErrorBody:
		c.fail(http.StatusInternalServerError, "", "simulated fault")
		c.status = http.StatusOK
	case FaultRedirect:
		c.none(pick(http.StatusFound))
		to := x.Location
		if to == "" {
			to = "https://login.example.com/"
		}
		c.header.Set("Location", to)
	}
	if x.RetryAfter > 0 {
		c.header.Set("Retry-After", strconv.Itoa(x.RetryAfter))
	}
}
