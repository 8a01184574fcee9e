package scim

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// query is what the URL asks for. The library never sees it: its parsers are
// slow, refuse mixed schemas and can be made to overflow the stack.
type query struct {
	Query
	projection projection
}

// defaultPage is the number of resources on a page that nobody sized.
const defaultPage = 100

// liftQuery moves the query from the URL into the exchange. Unknown parameters
// are ignored, as providers add their own flags; a query that cannot be read
// is refused on reads, because a filter lost would list everyone.
func (s *server) liftQuery(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ex := exchangeOf(r)
		kind := s.users
		if ex.route.resource == "Groups" {
			kind = s.groups
		}
		q, err := kind.parseQuery(r, ex.route, s.limits)
		if err != nil {
			_ = ex.fail(err)
			return
		}
		ex.query = q
		r = r.Clone(r.Context())
		r.URL = &url.URL{Path: ex.route.path}
		next.ServeHTTP(w, r)
	})
}

func (k *resourceKind) parseQuery(r *http.Request, rt route, l Limits) (query, error) {
	q := query{Query: Query{Start: 1, Count: min(defaultPage, l.Page)}}
	values, err := url.ParseQuery(strings.Trim(r.URL.RawQuery, "&?"))
	if err != nil && r.Method == http.MethodGet {
		return q, invalidSyntax("The query of the URL is malformed; percent-encode its values.")
	}
	one := func(name string) (value string, err error) {
		n := 0
		for key, v := range values {
			if strings.EqualFold(key, name) {
				n += len(v)
				value = v[0]
			}
		}
		if n > 1 {
			return "", invalidSyntax("The URL gives %s more than once.", name)
		}
		return strings.TrimSpace(value), nil
	}
	for _, p := range []struct {
		name string
		list *[]AttrPath
	}{{"attributes", &q.projection.only}, {"excludedAttributes", &q.projection.without}} {
		text, err := one(p.name)
		if err != nil {
			return q, err
		}
		if text != "" {
			*p.list = k.parseNames(text, l)
			q.projection.chosen = q.projection.chosen || p.name == "attributes"
		}
	}
	q.Members = k.name == "Group" && q.projection.includes(AttrPath{Attr: "members"})
	if rt.item || r.Method != http.MethodGet {
		return q, nil
	}
	return q, k.parseListing(&q.Query, one, l)
}

// parseListing reads what only a listing takes.
func (k *resourceKind) parseListing(q *Query, one func(string) (string, error), l Limits) error {
	for _, p := range []struct {
		name     string
		value    *int
		min, max int
	}{{"startIndex", &q.Start, 1, 1<<31 - 1}, {"count", &q.Count, 0, l.Page}} {
		text, err := one(p.name)
		if err != nil {
			return err
		}
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return invalidValue("%s must be an integer.", p.name)
		}
		*p.value = min(max(n, p.min), p.max)
	}
	filter, err := one("filter")
	if err != nil {
		return err
	}
	if filter != "" {
		if q.Filter, err = k.parseFilter(filter, l); err != nil {
			return err
		}
	}
	order, err := one("sortOrder")
	if err != nil {
		return err
	}
	switch strings.ToLower(order) {
	case "", "ascending":
	case "descending":
		q.Descending = true
	default:
		return invalidValue("sortOrder must be ascending or descending.")
	}
	by, err := one("sortBy")
	if err != nil || by == "" {
		return err
	}
	q.SortBy, err = k.parseSort(by, l)
	return err
}

func (k *resourceKind) parseSort(by string, l Limits) (string, error) {
	known := []string{SortDisplayName, SortExternalID, SortID, SortCreated, SortLastModified}
	if k.name == "User" {
		known = append(known, SortUserName)
	}
	if t, err := k.parsePath(by, l); err == nil && slices.Contains(known, t.String()) {
		return t.String(), nil
	}
	return "", invalidValue("sortBy must be one of %s.", strings.Join(known, ", "))
}

// parseNames resolves a comma-separated list; names not known are left out.
func (k *resourceKind) parseNames(list string, l Limits) []AttrPath {
	var out []AttrPath
	for name := range strings.SplitSeq(list, ",") {
		t, err := k.parsePath(name, l)
		if err != nil || t.selector != nil || len(out) == maxNames {
			continue
		}
		p := AttrPath{URN: t.urn}
		if t.attr != nil {
			p.Attr = t.attr.name
		} else if t.urn == k.core.urn {
			p.URN = "" // all of the core
		}
		if t.sub != nil {
			p.Sub = t.sub.name
		}
		out = append(out, p)
	}
	return out
}

// maxNames bounds the names in attributes and excludedAttributes.
const maxNames = 100

// projection tells which attributes an answer has (RFC 7644 section 3.9).
type projection struct {
	chosen        bool // only was asked for, even if nothing in it is known
	only, without []AttrPath
}

func (p projection) everything() bool { return !p.chosen && len(p.without) == 0 }

// includes reports whether the attribute at path, or a part of it, is wanted.
func (p projection) includes(path AttrPath) bool {
	for _, x := range p.without {
		if covers(x, path) {
			return false
		}
	}
	if !p.chosen {
		return true
	}
	for _, x := range p.only {
		if covers(x, path) || covers(path, x) {
			return true
		}
	}
	return false
}

// covers reports whether path is a or a part of it.
func covers(a, path AttrPath) bool {
	return a.URN == path.URN && (a.Attr == "" || a.Attr == path.Attr && (a.Sub == "" || a.Sub == path.Sub))
}

// apply removes from doc, a fresh map, what is not wanted. id and schemas stay.
func (p projection) apply(doc map[string]any) map[string]any {
	if p.everything() {
		return doc
	}
	for name, v := range doc {
		switch {
		case name == "id" || name == "schemas":
		case strings.HasPrefix(name, "urn:"):
			ext, _ := v.(map[string]any)
			if kept := p.parts(ext, func(attr string) AttrPath { return AttrPath{URN: name, Attr: attr} }); len(kept) > 0 {
				doc[name] = kept
				continue
			}
			delete(doc, name)
		case !p.includes(AttrPath{Attr: name}):
			delete(doc, name)
		default:
			doc[name] = p.within(v, AttrPath{Attr: name})
		}
	}
	return doc
}

// within projects the sub-attributes of v, the value at path.
func (p projection) within(v any, path AttrPath) any {
	sub := func(name string) AttrPath { return AttrPath{URN: path.URN, Attr: path.Attr, Sub: name} }
	switch v := v.(type) {
	case map[string]any:
		return p.parts(v, sub)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = item
			if m, ok := item.(map[string]any); ok {
				out[i] = p.parts(m, sub)
			}
		}
		return out
	default:
		return v
	}
}

func (p projection) parts(m map[string]any, path func(string) AttrPath) map[string]any {
	out := make(map[string]any, len(m))
	for name, v := range m {
		if at := path(name); p.includes(at) {
			if at.Sub == "" {
				v = p.within(v, at)
			}
			out[name] = v
		}
	}
	return out
}
