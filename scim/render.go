package scim

import (
	"maps"
	"strconv"
	"time"
)

// entityTag is the ETag of a version.
func entityTag(version int64) string { return `W/"` + strconv.FormatInt(version, 10) + `"` }

// stamp spells a time as RFC 7643 section 2.3.5 wants it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func (s *server) location(k *resourceKind, id string) string {
	return s.opt.BaseURL + k.endpoint + "/" + id
}

func (s *server) meta(k *resourceKind, id string, created, modified time.Time, version int64) map[string]any {
	return map[string]any{
		"resourceType": k.name, "created": stamp(created), "lastModified": stamp(modified),
		"location": s.location(k, id), "version": entityTag(version),
	}
}

// userDoc renders u as p wants it. The map is fresh; what is in it belongs to
// the immutable user.
func (s *server) userDoc(u User, p projection) map[string]any {
	doc := make(map[string]any, len(u.Attributes)+4)
	schemas := []string{UserURN}
	maps.Copy(doc, u.Attributes)
	for _, d := range s.users.extensions {
		if _, ok := doc[d.urn]; ok {
			schemas = append(schemas, d.urn)
		}
	}
	if len(u.Groups) > 0 {
		groups := make([]any, len(u.Groups))
		for i, g := range u.Groups {
			ref := map[string]any{"value": g.Value, "$ref": s.location(s.groups, g.Value), "type": "direct"}
			if g.Display != "" {
				ref["display"] = g.Display
			}
			groups[i] = ref
		}
		doc["groups"] = groups
	}
	doc["id"], doc["schemas"] = u.ID, schemas
	doc["meta"] = s.meta(s.users, u.ID, u.Created, u.Modified, u.Version)
	return p.apply(doc)
}

type memberDoc struct {
	Value   string `json:"value,omitempty"`
	Ref     string `json:"$ref,omitempty"`
	Display string `json:"display,omitempty"`
	Type    string `json:"type,omitempty"`
}

// groupDoc renders g as p wants it. Members are left out where there are none
// or they were not loaded.
func (s *server) groupDoc(g Group, p projection) map[string]any {
	doc := map[string]any{
		"id": g.ID, "schemas": []string{GroupURN}, "displayName": g.DisplayName,
		"meta": s.meta(s.groups, g.ID, g.Created, g.Modified, g.Version),
	}
	if g.ExternalID != "" {
		doc["externalId"] = g.ExternalID
	}
	if len(g.Members) > 0 {
		doc["members"] = s.memberDocs(g.Members, p)
	}
	return p.apply(doc)
}

func (s *server) memberDocs(members []Member, p projection) []memberDoc {
	wants := func(sub string) bool { return p.includes(AttrPath{Attr: "members", Sub: sub}) }
	value, ref, display, kind := wants("value"), wants("$ref"), wants("display"), wants("type")
	out := make([]memberDoc, len(members))
	for i, m := range members {
		if value {
			out[i].Value = m.Value
		}
		if ref {
			out[i].Ref = s.location(s.users, m.Value)
		}
		if display {
			out[i].Display = m.Display
		}
		if out[i].Type = m.Type; !kind {
			out[i].Type = ""
		} else if m.Type == "" {
			out[i].Type = "User"
		}
	}
	return out
}

type listDoc struct {
	Schemas      []string         `json:"schemas"`
	TotalResults int              `json:"totalResults"`
	StartIndex   int              `json:"startIndex"`
	ItemsPerPage int              `json:"itemsPerPage"`
	Resources    []map[string]any `json:"Resources"`
}

// listOf renders a page; itemsPerPage is what is on it.
func listOf[T any](page Page[T], start int, render func(T) map[string]any) listDoc {
	doc := listDoc{
		Schemas: []string{listURN}, TotalResults: page.Total, StartIndex: start,
		ItemsPerPage: len(page.Items), Resources: make([]map[string]any, len(page.Items)),
	}
	for i, item := range page.Items {
		doc.Resources[i] = render(item)
	}
	return doc
}
