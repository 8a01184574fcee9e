package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"offramp/internal/console"
)

const (
	maxAnswer = 16 << 20
	patchURN  = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

// object is a JSON object on its way.
type object map[string]any

// patch makes the body of a PATCH.
func patch(ops ...object) object { return object{"schemas": []string{patchURN}, "Operations": ops} }

// client is the running server as one caller sees it.
type client struct {
	http  *http.Client
	base  string
	token string
	what  string // what listens there
	where string // how to name another address
}

// call makes one request, and wants a status. A different one, or no answer, is
// a *trouble. The answer is empty where there is no body.
func (c client) call(ctx context.Context, method, path string, body object, want int) (object, error) {
	var out object
	raw, status, err := c.exchange(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	if len(raw) > 0 && json.Unmarshal(raw, &out) != nil || out == nil && status == http.StatusOK {
		return nil, &trouble{
			fmt.Sprintf("%s was answered with status %d by something else than Offramp", shape(method, path), status),
			"check that " + c.where + " leads to " + c.what + ", and not to a proxy's own page",
		}
	}
	if status == want {
		return out, nil
	}
	said, _ := out["detail"].(string)
	return nil, &trouble{
		strings.TrimSuffix(fmt.Sprintf("%s was answered with status %d instead of %d: %s", shape(method, path), status, want, cleaned(said)), ": "),
		"look at the log line of this request in offramp serve; its version and the doctor's should be the same",
	}
}

// exchange sends one request and reads its answer.
func (c client) exchange(ctx context.Context, method, path string, body object) (raw []byte, status int, err error) {
	var sent io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, 0, fmt.Errorf("encode the request: %w", err)
		}
		sent = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.base, "/")+path, sent)
	if err != nil {
		return nil, 0, &trouble{"the address of the server is not a URL", "correct " + c.where}
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("User-Agent", "offramp-doctor")
	if body != nil {
		r.Header.Set("Content-Type", "application/scim+json; charset=utf-8")
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, 0, c.unreachable(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if raw, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswer)); err != nil {
		return nil, 0, c.unreachable(err)
	}
	switch status = answer.StatusCode; {
	case status/100 == 3:
		return nil, 0, &trouble{
			shape(method, path) + " was answered with a redirect, which identity providers do not follow",
			"give the address that answers itself, usually with https, as " + c.where,
		}
	case status == http.StatusTooManyRequests:
		return nil, 0, &trouble{
			shape(method, path) + " was put off with status 429",
			"see whether the database answers (/readyz on the admin listener), then try again in a minute",
		}
	}
	return raw, status, nil
}

func (c client) unreachable(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return &trouble{
		fmt.Sprintf("no answer from %s: %s", host(c.base), cleaned(err.Error())),
		"start offramp serve with this configuration, or name its listener with " + c.where,
	}
}

// cases lists the cases of an address.
func (c client) cases(ctx context.Context, address string) ([]console.Case, error) {
	path := "/api/v1/cases?" + url.Values{"address": {address}, "limit": {"10"}}.Encode()
	raw, status, err := c.exchange(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		return nil, &trouble{
			fmt.Sprintf("the operator API refuses the operator's token with status %d", status),
			"set OFFRAMP_OPERATOR_TOKEN to the token of one of the configured operators",
		}
	}
	var list console.CaseList
	if status != http.StatusOK || json.Unmarshal(raw, &list) != nil {
		return nil, &trouble{
			fmt.Sprintf("%s was answered with status %d and not by the operator API", shape(http.MethodGet, path), status),
			"check that " + c.where + " leads to " + c.what,
		}
	}
	return list.Cases, nil
}

// shape is a request without ids, addresses and query.
func shape(method, path string) string {
	path, _, _ = strings.Cut(path, "?")
	path = strings.TrimPrefix(path, scimPath)
	if parts := strings.Split(path, "/"); len(parts) == 3 {
		path = "/" + parts[1] + "/{id}"
	}
	return method + " " + path
}

// cleaned shortens text of a server and keeps it on one line.
func cleaned(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return strings.TrimSpace(s)
}
