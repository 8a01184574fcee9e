package scim

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
)

// route is what the path of a request names. resource is a closed set, fit
// for a metric label.
type route struct {
	resource string // Users, Groups, Schemas, ResourceTypes, ServiceProviderConfig, other
	method   string
	id       string // the rest of the path after resource
	item     bool   // the path goes on after resource
	path     string // cleaned of trailing slashes
}

// what names the kind of resource in a sentence.
func (rt route) what() string {
	switch rt.resource {
	case "Users":
		return "user"
	case "Groups":
		return "group"
	}
	return "resource"
}

// parseRoute reads the path below Prefix. A trailing slash does not count.
func parseRoute(r *http.Request) route {
	rt := route{resource: "other", method: r.Method, path: strings.TrimRight(r.URL.Path, "/")}
	name, rest, item := strings.Cut(strings.TrimPrefix(rt.path, "/"), "/")
	switch name {
	case "Users", "Groups", "Schemas", "ResourceTypes", "ServiceProviderConfig":
		if strings.HasPrefix(rt.path, "/"+name) {
			rt.resource, rt.id, rt.item = name, rest, item
		}
	}
	return rt
}

// maxID bounds the ids we may have given out.
const maxID = 128

// isID reports whether s may be one of our ids: anything else is not found,
// without asking.
func isID(s string) bool {
	for i := range len(s) {
		c := s[i]
		if ('a' > c|0x20 || c|0x20 > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("-_.~", rune(c)) {
			return false
		}
	}
	return s != "" && len(s) <= maxID && s != "." && s != ".."
}

// guard settles what can be settled from method, path and headers, waits for
// a free place, and reads the body within its limit. Behind it a path is known,
// an id is harmless, and a body is in memory.
func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ex := exchangeOf(r)
		if p := ex.route.check(); p != nil {
			ex.refuse(p)
			return
		}
		select {
		case s.inFlight <- struct{}{}:
			defer func() { <-s.inFlight }()
		case <-r.Context().Done():
			_ = ex.fail(ErrUnavailable)
			return
		}
		if ex.route.method == http.MethodHead {
			r = r.Clone(r.Context())
			r.Method = http.MethodGet
		}
		switch r.Method {
		case http.MethodPost, http.MethodPut, http.MethodPatch:
			limit := s.limits.UserBody
			if ex.route.resource == "Groups" {
				limit = s.limits.GroupBody
			}
			body, p := readBody(w, r, limit)
			if p != nil {
				ex.refuse(p)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		default:
			r.Body = http.NoBody
		}
		if ex.route.item && ex.route.resource != "Schemas" {
			ex.id = ex.route.id
		}
		ex.ifMatch = precondition{match: r.Header.Values("If-Match"), noneMatch: r.Header.Values("If-None-Match")}
		next.ServeHTTP(w, r)
	})
}

// check refuses unknown paths, methods that a path does not have, and the
// parts of the protocol that are not offered.
func (rt route) check() *problem {
	allow := ""
	switch {
	case strings.HasSuffix(rt.path, "/.search"):
		return problemNotImplemented("Searching by POST is not offered; use GET with a filter.")
	case rt.path == "/Me":
		return problemNotImplemented("/Me is not offered; the token stands for a provider, not for a person.")
	case rt.path == "/Bulk":
		return problemNotImplemented("Bulk operations are not offered; see ServiceProviderConfig.")
	case rt.resource == "other":
		return &problem{status: http.StatusNotFound, detail: "There is no such endpoint. The base URL ends in " + Prefix + "; below it are Users, Groups, Schemas, ResourceTypes and ServiceProviderConfig."}
	case rt.resource != "Users" && rt.resource != "Groups":
		allow = "GET, HEAD"
	case rt.item:
		if !isID(rt.id) {
			return problemNotFound(rt.what())
		}
		allow = "GET, HEAD, PUT, PATCH, DELETE"
	default:
		allow = "GET, HEAD, POST"
	}
	for m := range strings.SplitSeq(allow, ", ") {
		if m == rt.method {
			return nil
		}
	}
	return &problem{status: http.StatusMethodNotAllowed, allow: allow, detail: "This method is not offered here; allowed are " + allow + "."}
}

func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, *problem) {
	if kind := r.Header.Get("Content-Type"); kind != "" {
		media, _, err := mime.ParseMediaType(kind)
		if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) || media != "application/scim+json" && media != "application/json" {
			return nil, &problem{status: http.StatusUnsupportedMediaType, detail: "The Content-Type must be application/scim+json or application/json."}
		}
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return nil, &problem{status: http.StatusUnsupportedMediaType, detail: "Compressed bodies are not accepted."}
	}
	if r.ContentLength > limit {
		return nil, problemTooLarge(limit)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, problemTooLarge(limit)
	}
	if err != nil {
		return nil, invalidSyntax("The body did not arrive completely.")
	}
	return body, nil
}

// precondition holds If-Match and If-None-Match (RFC 9110 section 13.1).
type precondition struct{ match, noneMatch []string }

func (p precondition) present() bool { return len(p.match) > 0 || len(p.noneMatch) > 0 }

// check holds the preconditions of a write against the stored version.
func (p precondition) check(version int64) error {
	if len(p.match) > 0 && !hasTag(p.match, version) || len(p.noneMatch) > 0 && hasTag(p.noneMatch, version) {
		return ErrVersion
	}
	return nil
}

// unchanged reports whether a read can be answered 304. A failing If-Match on
// a read is an error.
func (p precondition) unchanged(version int64) (bool, error) {
	if len(p.match) > 0 && !hasTag(p.match, version) {
		return false, ErrVersion
	}
	return len(p.noneMatch) > 0 && hasTag(p.noneMatch, version), nil
}

// hasTag compares weakly: our tags are weak, and clients quote them freely.
func hasTag(headers []string, version int64) bool {
	want := entityTag(version)
	for _, h := range headers {
		for tag := range strings.SplitSeq(h, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" || tag == want || "W/"+tag == want || `W/"`+tag+`"` == want {
				return true
			}
		}
	}
	return false
}
