package main_test

import (
	"net/http"
	"testing"
)

// TestAConnectionIsUsedFromItsAddressesOnly believes X-Forwarded-For of the
// proxy in front and of nobody else.
func TestAConnectionIsUsedFromItsAddressesOnly(t *testing.T) {
	t.Parallel()
	const connection = "bootstrap_token: {file: scim}}"
	const allowed = "bootstrap_token: {file: scim}, allow_from: [192.0.2.0/24]}"
	for _, row := range []struct {
		story, proxies, header string
		status                 int
	}{
		{"no proxy is trusted: the header means nothing", "", "192.0.2.7", http.StatusForbidden},
		{"the identity provider behind a trusted proxy", "trusted_proxies: [127.0.0.0/8]\n", "192.0.2.7", http.StatusOK},
		{"a client that claims to have been forwarded before", "trusted_proxies: [127.0.0.0/8]\n", "192.0.2.7, 198.51.100.9", http.StatusForbidden},
		{"two trusted proxies", "trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]\n", "192.0.2.7, 10.1.2.3", http.StatusOK},
		{"a header that is no address", "trusted_proxies: [127.0.0.0/8]\n", "somewhere", http.StatusForbidden},
	} {
		t.Run(row.story, func(t *testing.T) {
			t.Parallel()
			b := newBridge(t, "", "connections:", row.proxies+"connections:", connection, allowed)
			b.start()
			if got := b.idp(http.MethodGet, "/Users?startIndex=1&count=2", nil, "X-Forwarded-For", row.header); got.status != row.status {
				t.Errorf("status %d, want %d: %s", got.status, row.status, got.body)
			}
		})
	}
}
