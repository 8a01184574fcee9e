package amplitudefake

import (
	"net/http"
	"strconv"
	"time"
)

// window admits at most limit calls in any span of time, whichever way the span
// is laid. It is a sliding window: stricter than one that begins anew each
// minute, so a client that passes here passes either.
type window struct {
	limit int
	span  time.Duration
	times []time.Time // ring of the last limit admissions
	next  int
}

func newWindow(limit int, span time.Duration) *window { return &window{limit: limit, span: span} }

// take admits one call at now, or says how long until it would be admitted.
// A negative limit admits all.
func (w *window) take(now time.Time) (wait time.Duration, ok bool) {
	switch {
	case w.limit < 0:
		return 0, true
	case w.limit == 0:
		return w.span, false
	case len(w.times) < w.limit:
		w.times = append(w.times, now)
		return 0, true
	}
	if free := w.times[w.next].Add(w.span); free.After(now) {
		return free.Sub(now), false
	}
	w.times[w.next] = now
	w.next = (w.next + 1) % w.limit
	return 0, true
}

// ConsumeQuota spends n SCIM requests of the current minute, as another writer
// of the organization would. It returns how many there were left to spend.
func (f *Fake) ConsumeQuota(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.consumeQuota(n)
}

func (f *Fake) consumeQuota(n int) int {
	for i := range n {
		if _, ok := f.scimRate.take(f.now()); !ok {
			return i
		}
	}
	return n
}

// throttle answers 429. Only SCIM tells when to come back, in the way the
// rl_header switch says.
func (f *Fake) throttle(c *call, wait time.Duration) bool {
	seconds := int((wait + time.Second - 1) / time.Second)
	c.fail(http.StatusTooManyRequests, "rate_limit_exceeded", "too many requests")
	if c.surface.name == "scim" {
		switch f.knob(SwitchRateHeader) {
		case "on":
			c.header.Set("Retry-After", strconv.Itoa(seconds))
		case "http-date":
			at := c.at.Add(wait).Add(time.Second - 1)
			c.header.Set("Retry-After", at.UTC().Format(http.TimeFormat))
		}
	}
	return false
}

// enter counts the calls a project has open at once on the surfaces that limit
// that, and returns how to leave again.
func (f *Fake) enter(c *call) (leave func()) {
	var open *int
	cost, limit := 1, 0
	switch c.surface.name {
	case "cohorts": // 5 at once
		limit = 5
	case "taxonomy": // cost 4 at once; a write costs 2
		limit = 4
		if c.r.Method != http.MethodGet {
			cost = 2
		}
	default:
		return func() {}
	}
	p := f.projectByKeys(c)
	if p == nil {
		return func() {}
	}
	if open = &p.openCohorts; c.surface.name == "taxonomy" {
		open = &p.openTaxonomy
	}
	*open += cost
	c.busy = *open > limit
	return func() { *open -= cost }
}
