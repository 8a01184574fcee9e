package amplitude

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Sizes, times and limits. Those of Amplitude are documented by it; the others
// are ours and keep one strange answer from filling memory.
const (
	scimPageSize       = 100    // most that SCIM returns at once
	accessPageSize     = 200    // most that User Management returns at once
	experimentPageSize = 1000   // most that Experiment Management returns at once
	developerPageSize  = 200    // most that the Developer API returns at once
	developerListEnd   = 10_000 // where its lists end, whatever comes behind
	auditPageSize      = 100    // the only size the documentation shows; a larger one could be cut silently
	auditRange         = 30 * 24 * time.Hour
	auditRetention     = 90 * 24 * time.Hour
	taxonomyCost       = 4 // concurrent cost per project: a read costs 1, a write 2
	cohortRequests     = 5 // concurrent requests per project
	developerRequests  = 4 // concurrent requests per organization; ours, its limits are not published

	maxListBytes  = 64 << 20
	maxBytes      = 1 << 20
	maxErrorBytes = 64 << 10
	maxPages      = 10_000

	maxRetryAfter     = time.Hour        // a longer wait is told as this one
	defaultRetryAfter = 30 * time.Second // what the budget is told when a 429 names no time
)

// Share is the part of an organization's SCIM budget that a request counts
// against.
type Share string

// The shares.
const (
	ShareEmergency Share = "emergency" // an incident's removal, and what stands before it
	ShareIncident  Share = "incident"  // what an incident reads and changes later
	ShareRemove    Share = "remove"
	ShareVerify    Share = "verify"
	ShareOther     Share = "other"
)

// Budget is asked before each SCIM request, because Amplitude counts those per
// organization over everybody who sends them; the other APIs are counted
// elsewhere and are not asked for. It may be used from several goroutines.
type Budget interface {
	// Take reserves one request. It may wait a little for the slot; when the
	// slot is too far away, it returns a *BudgetError and nothing is sent.
	Take(ctx context.Context, s Share) error
	// Throttled says that Amplitude refused a request with 429, and for how long
	// from now it asked to be left alone.
	Throttled(ctx context.Context, wait time.Duration)
}

// BudgetError says that a request was not sent, because its turn is Wait away.
type BudgetError struct {
	Wait time.Duration
}

func (e *BudgetError) Error() string {
	return fmt.Sprintf("the request budget has no slot for another %s", e.Wait)
}

// Reserve takes one request from the budget now and returns the same client
// with that request paid for: the next one is sent without asking. Whoever
// must write something down before a request learns so first whether it can be
// sent at all. The error is that of Budget.Take; a slot that is not used is lost.
func (c *Client) Reserve(ctx context.Context) (*Client, error) {
	if c.budget == nil || c.readOnly {
		return c, nil
	}
	if err := c.budget.Take(ctx, c.share); err != nil {
		c.metrics.count(apiSCIM, codeLabelBudget)
		return nil, fmt.Errorf("amplitude %s: reserve a request: %w", apiSCIM, err)
	}
	d := *c
	d.budget = &prepaid{Budget: c.budget}
	return &d, nil
}

// prepaid is a budget of which one request is taken already.
type prepaid struct {
	Budget
	used atomic.Bool
}

func (p *prepaid) Take(ctx context.Context, s Share) error {
	if p.used.CompareAndSwap(false, true) {
		return nil
	}
	return p.Budget.Take(ctx, s)
}
