package scim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// problem is an answer that is an error: the one type from which SCIM error
// bodies are made (RFC 7644 section 3.12). detail is shown in the provider's
// console: it names the attribute and what is allowed, never a value.
type problem struct {
	status     int
	scimType   string
	detail     string
	retryAfter int    // seconds; 0: no header
	allow      string // methods; with 405
}

func (p *problem) Error() string { return p.detail }

func (p *problem) body() []byte {
	raw, err := json.Marshal(struct {
		Schemas  []string `json:"schemas"`
		ScimType string   `json:"scimType,omitempty"`
		Detail   string   `json:"detail,omitempty"`
		Status   string   `json:"status"`
	}{[]string{"urn:ietf:params:scim:api:messages:2.0:Error"}, p.scimType, p.detail, strconv.Itoa(p.status)})
	if err != nil { // cannot happen: strings only
		return nil
	}
	return raw
}

func (p *problem) header(h http.Header) {
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	if p.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="scim"`)
	}
}

func badRequest(scimType, format string, args ...any) *problem {
	return &problem{status: http.StatusBadRequest, scimType: scimType, detail: fmt.Sprintf(format, args...)}
}

func invalidSyntax(format string, args ...any) *problem {
	return badRequest("invalidSyntax", format, args...)
}

func invalidValue(format string, args ...any) *problem {
	return badRequest("invalidValue", format, args...)
}

func invalidPath(format string, args ...any) *problem {
	return badRequest("invalidPath", format, args...)
}

func invalidFilter(format string, args ...any) *problem {
	return badRequest("invalidFilter", format, args...)
}

func problemUnauthorized() *problem {
	return &problem{status: http.StatusUnauthorized, detail: "The bearer token is missing, unknown or expired. Check the token in the provisioning settings."}
}

func problemForbidden() *problem {
	return &problem{status: http.StatusForbidden, detail: "The address of this client is not on the connection's allow list."}
}

// problemUnavailable is the last resort: a provider repeats 429 by itself,
// and does not repeat 5xx.
func problemUnavailable() *problem {
	return &problem{status: http.StatusTooManyRequests, retryAfter: 60, detail: "The service cannot store changes at the moment. The request can be repeated as it is."}
}

func problemNotFound(what string) *problem {
	return &problem{status: http.StatusNotFound, detail: what + " not found."}
}

func problemTooLarge(limit int64) *problem {
	return &problem{status: http.StatusRequestEntityTooLarge, detail: fmt.Sprintf("The body is larger than the %d bytes allowed here.", limit)}
}

func problemNotImplemented(detail string) *problem {
	return &problem{status: http.StatusNotImplemented, detail: detail}
}

// problemOf translates err, the only place that does. what names the kind of
// resource, such as User. opaque tells that the client learns nothing of err,
// which must then be logged.
func problemOf(err error, what, requestID string) (p *problem, opaque bool) {
	if p, ok := errors.AsType[*problem](err); ok {
		return p, false
	}
	if taken, ok := errors.AsType[ErrTaken](err); ok {
		return &problem{status: http.StatusConflict, scimType: "uniqueness", detail: fmt.Sprintf("%s is already used by another %s of this connection.", taken.Attribute, what)}, false
	}
	if bad, ok := errors.AsType[*BadValue](err); ok {
		return invalidValue("%s: %s.", bad.Attribute, bad.Reason), false
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return problemNotFound(what), false
	case errors.Is(err, ErrVersion):
		return &problem{status: http.StatusPreconditionFailed, detail: fmt.Sprintf("The %s is not at the version that the request names; read it again.", what)}, false
	case errors.Is(err, ErrTooBroad):
		return invalidFilter("The filter would search the whole directory. Compare at least one of id, externalId, userName, displayName, emails.value, manager or members with eq, joined by and."), false
	case errors.Is(err, ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return problemUnavailable(), true
	}
	return &problem{status: http.StatusInternalServerError, detail: "Internal error; the operator finds it under request " + requestID + "."}, true
}
