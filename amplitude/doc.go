// Package amplitude is a client for the public APIs of one Amplitude
// organization: SCIM, User Management, Audit Logs, Taxonomy, Behavioral
// Cohorts, Lookup Tables, Experiment Management, the evaluation end point, and
// what the Developer API lists.
//
// It owns how Amplitude is asked and how its answers are read: addresses,
// credentials, paging, limits, quirks and errors. It must not know why
// somebody is removed: cases, plans, guards and retries belong to its callers,
// who declare the interfaces they need; a *Client fits them.
//
// Three habits hold everywhere. Nothing is repeated: each method sends each
// request once, and says by Error.Temporary whether trying later makes sense.
// Nothing is believed because it was echoed: a write that returns nil was
// accepted, and only a later read shows that it happened. Nothing personal
// leaks: errors and metrics hold no addresses, URLs, keys or response text
// beyond a short cleaned sentence.
package amplitude
