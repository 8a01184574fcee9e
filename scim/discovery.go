package scim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// document is one rendered discovery answer.
type document struct {
	body []byte
	etag string
}

const listURN = "urn:ietf:params:scim:api:messages:2.0:ListResponse"

// documents renders everything that discovery answers, by path below Prefix.
// The documents promise only what is stored and echoed; the library's own
// promise less and cost milliseconds each.
func (s *server) documents() (map[string]document, error) {
	docs := map[string]document{}
	var failed error
	put := func(path string, doc any) {
		raw, err := json.Marshal(doc)
		if err != nil {
			failed = fmt.Errorf("render %s: %w", path, err)
		}
		sum := sha256.Sum256(raw)
		docs[path] = document{body: raw, etag: `W/"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	list := func(path string, items []map[string]any) {
		put(path, map[string]any{
			"schemas": []string{listURN}, "totalResults": len(items), "startIndex": 1,
			"itemsPerPage": len(items), "Resources": items,
		})
	}
	meta := func(kind, path string) map[string]any {
		return map[string]any{"resourceType": kind, "location": s.opt.BaseURL + path}
	}

	var types, schemas []map[string]any
	for _, k := range []*resourceKind{s.users, s.groups} {
		extensions := []map[string]any{}
		for _, d := range append([]definition{k.core}, k.extensions...) {
			doc := d.document()
			path := "/Schemas/" + d.urn
			doc["meta"] = meta("Schema", path)
			put(path, doc)
			schemas = append(schemas, doc)
			if d.urn != k.core.urn {
				extensions = append(extensions, map[string]any{"schema": d.urn, "required": false})
			}
		}
		path := "/ResourceTypes/" + k.name
		doc := map[string]any{
			"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:ResourceType"},
			"id":      k.name, "name": k.name, "description": k.about, "endpoint": k.endpoint,
			"schema": k.core.urn, "schemaExtensions": extensions, "meta": meta("ResourceType", path),
		}
		put(path, doc)
		types = append(types, doc)
	}
	list("/ResourceTypes", types)
	list("/Schemas", schemas)

	supported := func(yes bool) map[string]any { return map[string]any{"supported": yes} }
	put("/ServiceProviderConfig", map[string]any{
		"schemas":        []string{"urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"},
		"patch":          supported(true),
		"bulk":           map[string]any{"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
		"filter":         map[string]any{"supported": true, "maxResults": s.limits.Page},
		"changePassword": supported(false),
		"sort":           supported(true),
		"etag":           supported(true),
		"authenticationSchemes": []map[string]any{{
			"type": "oauthbearertoken", "name": "Bearer token", "primary": true,
			"description": "A token of the connection in the Authorization header.",
			"specUri":     "https://www.rfc-editor.org/info/rfc6750",
		}},
		"meta": meta("ServiceProviderConfig", "/ServiceProviderConfig"),
	})
	return docs, failed
}

// discovery answers ServiceProviderConfig, ResourceTypes and Schemas. A filter
// on them is refused (RFC 7644 section 4), not ignored.
func (s *server) discovery(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ex := exchangeOf(r)
		switch ex.route.resource {
		case "Users", "Groups":
			next.ServeHTTP(w, r)
			return
		}
		for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
			if name, _, _ := strings.Cut(pair, "="); strings.EqualFold(name, "filter") {
				ex.refuse(&problem{status: http.StatusForbidden, detail: "Discovery cannot be filtered."})
				return
			}
		}
		doc, ok := s.docs[ex.route.path]
		if !ok {
			// URNs are compared without case.
			for path, d := range s.docs {
				if ok = strings.EqualFold(path, ex.route.path); ok {
					doc = d
					break
				}
			}
		}
		if !ok {
			ex.refuse(problemNotFound(strings.TrimSuffix(ex.route.resource, "s")))
			return
		}
		ex.header.Set("ETag", doc.etag)
		if slices.Contains(r.Header.Values("If-None-Match"), doc.etag) {
			ex.status = http.StatusNotModified
			return
		}
		ex.status, ex.body = http.StatusOK, doc.body
	})
}
