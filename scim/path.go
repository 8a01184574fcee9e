package scim

import (
	"errors"
	"strings"
)

// target is where a PATCH operation or a key of a body points to: an
// attribute, one of its sub-attributes, or (attr nil) a whole extension.
type target struct {
	urn      string // empty: core
	attr     *attribute
	sub      *attribute
	selector Expr // the value filter; its paths name sub-attributes
}

// String spells the target without its selector, for logs and details.
func (t target) String() string {
	if t.attr == nil {
		return t.urn
	}
	p := AttrPath{URN: t.urn, Attr: t.attr.name}
	if t.sub != nil {
		p.Sub = t.sub.name
	}
	return p.String()
}

// readOnly reports whether clients cannot set the target.
func (t target) readOnly() bool {
	return t.attr != nil && (t.attr.readOnly || t.sub != nil && t.sub.readOnly)
}

// errUnknownPath: the path is well-formed but names nothing we store.
var errUnknownPath = errors.New("unknown attribute")

// parsePath resolves a PATCH path (RFC 7644 figure 7) or a key of a path-less
// operation: `attr`, `attr.sub`, `attr[filter]`, `attr[filter].sub`, each
// after a schema URN or not, in any case, and a bare URN of a schema.
// errUnknownPath is not an error of the client; a path that ends in active and
// is not understood always is.
func (k *resourceKind) parsePath(raw string, l Limits) (target, error) {
	if len(raw) > l.PathLength {
		return target{}, invalidPath("A path is longer than the %d bytes allowed.", l.PathLength)
	}
	raw = strings.TrimSpace(raw)
	urn, rest, known := k.splitURN(raw)
	if urn != "" && rest == "" {
		if strings.HasSuffix(raw, ":") {
			return target{}, invalidPath("A path ends after a colon.")
		}
		return target{urn: urn}, nil
	}
	if !known {
		// An unknown schema: cut at the last colon before a filter.
		head, _, _ := strings.Cut(rest, "[")
		rest = rest[strings.LastIndexByte(head, ':')+1:]
	}
	head, filter, sub, err := cutPath(rest)
	if err != nil {
		return target{}, err
	}
	t := target{}
	if known {
		t.urn, t.attr = k.lookup(urn, head)
	}
	if t.attr == nil {
		if last := strings.ToLower(head + "." + sub); strings.HasPrefix(last, "active.") || strings.HasSuffix(last, ".active") {
			return target{}, invalidPath("The path ends in active but is not the attribute active of a user.")
		}
		return target{}, errUnknownPath
	}
	isActive := t.urn == "" && t.attr.name == "active"
	if (filter != "" || sub != "") && isActive {
		return target{}, invalidPath("active has no sub-attributes and takes no value filter.")
	}
	if filter != "" {
		if t.attr.kind != typeComplex || !t.attr.multi || t.attr.common {
			return target{}, invalidPath("%s is not a list of objects and takes no value filter.", t)
		}
		p := filterParser{kind: k, rest: filter, limits: l, within: t.attr}
		if t.selector, err = p.whole(); err != nil {
			if perr, ok := errors.AsType[*problem](err); ok {
				return target{}, invalidPath("The value filter of %s: %s", t, perr.detail)
			}
			return target{}, err
		}
	}
	if sub != "" {
		if t.attr.kind != typeComplex {
			return target{}, errUnknownPath
		}
		s := t.attr.sub(sub)
		if s == nil {
			return target{}, errUnknownPath
		}
		t.sub = s
	}
	return t, nil
}

// cutPath splits `attr[filter].sub`.
func cutPath(path string) (attr, filter, sub string, err error) {
	malformed := invalidPath("A path is malformed; expected attribute, attribute.sub or attribute[filter].sub.")
	attr, tail := path, ""
	if i := strings.IndexByte(path, '['); i >= 0 {
		end := closing(path[i:])
		if end < 0 {
			return "", "", "", malformed
		}
		attr, filter, tail = path[:i], path[i+1:i+end], path[i+end+1:]
		if strings.TrimSpace(filter) == "" || tail != "" && tail[0] != '.' {
			return "", "", "", malformed
		}
		if tail != "" {
			if sub = tail[1:]; !isName(sub) {
				return "", "", "", malformed
			}
		}
	} else if head, s, dotted := strings.Cut(path, "."); dotted {
		if attr, sub = head, s; !isName(sub) {
			return "", "", "", malformed
		}
	}
	if !isName(attr) {
		return "", "", "", malformed
	}
	return attr, filter, sub, nil
}

// closing returns the index of the bracket that closes s[0], or -1. Brackets
// inside quoted strings do not count.
func closing(s string) int {
	quoted := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ']' && !quoted:
			return i
		}
	}
	return -1
}

// isName reports whether s is an attribute name (RFC 7643 section 2.1).
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && c != '$' && (i == 0 || c != '_' && c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}
