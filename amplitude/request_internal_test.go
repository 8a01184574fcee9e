package amplitude

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// sent is a transport that keeps the methods it was given.
type sent struct{ methods []string }

func (s *sent) RoundTrip(r *http.Request) (*http.Response, error) {
	s.methods = append(s.methods, r.Method)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{}`))}, nil
}

// TestARequestIsAWriteUnlessItSaysThatItReads is about the call that somebody
// adds next year: a client that only reads refuses what nobody thought of.
func TestARequestIsAWriteUnlessItSaysThatItReads(t *testing.T) {
	s := &sent{}
	c, err := New(Options{Name: "acme", Endpoints: Endpoints{SCIM: "https://amplitude.invalid/scim/1"}, SCIMKey: "key", Transport: s})
	if err != nil {
		t.Fatal(err)
	}
	only := c.ReadOnly()
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, "", "MOVE"} {
		if _, err := only.send(t.Context(), &request{api: apiAudit, method: method, url: "https://amplitude.invalid/"}); !errors.Is(err, ErrReadOnly) {
			t.Errorf("%q: %v", method, err)
		}
	}
	for _, r := range []request{{method: http.MethodGet}, {method: http.MethodPost, reads: true}} {
		r.api, r.url = apiAudit, "https://amplitude.invalid/"
		if _, err := only.send(t.Context(), &r); err != nil {
			t.Errorf("%s: %v", r.method, err)
		}
	}
	if got := strings.Join(s.methods, " "); got != "GET POST" {
		t.Errorf("sent were %q", got)
	}
}
