package scim

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ParseUserFilter parses a filter over users under the default limits. An
// attribute that is not known is an error, because an answer to a filter not
// understood would be a lie. Errors never repeat the filter.
func ParseUserFilter(raw string) (Expr, error) {
	return userKind().parseFilter(raw, Limits{}.orDefault())
}

// ParseGroupFilter is ParseUserFilter for groups. Conditions on members are
// reduced to `members.value eq id`.
func ParseGroupFilter(raw string) (Expr, error) {
	return groupKind().parseFilter(raw, Limits{}.orDefault())
}

func (k *resourceKind) parseFilter(raw string, l Limits) (Expr, error) {
	if len(raw) > l.Filter {
		return nil, invalidFilter("The filter is longer than the %d bytes allowed.", l.Filter)
	}
	if strings.IndexByte(raw, 0) >= 0 || !utf8.ValidString(raw) {
		return nil, invalidFilter("The filter contains NUL or is not valid UTF-8.")
	}
	p := filterParser{kind: k, rest: raw, limits: l}
	return p.whole()
}

// filterParser is a recursive-descent parser over rest for the grammar of RFC
// 7644 figure 1. It resolves names while it reads. within is the attribute
// whose sub-attributes are named inside brackets.
type filterParser struct {
	kind   *resourceKind
	rest   string
	limits Limits
	depth  int
	within *attribute
}

func (p *filterParser) whole() (Expr, error) {
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.skip(); p.rest != "" {
		return nil, invalidFilter("The filter has something after its end; strings with blanks need quotes.")
	}
	return e, nil
}

func (p *filterParser) skip() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// word consumes name if it comes next as a whole word, in any case.
func (p *filterParser) word(name string) bool {
	p.skip()
	if len(p.rest) < len(name) || !strings.EqualFold(p.rest[:len(name)], name) {
		return false
	}
	if len(p.rest) > len(name) && !strings.ContainsRune(" \t\r\n(", rune(p.rest[len(name)])) {
		return false
	}
	p.rest = p.rest[len(name):]
	return true
}

func (p *filterParser) or() (Expr, error) {
	var parts []Expr
	for {
		e, err := p.and()
		if err != nil {
			return nil, err
		}
		if parts = append(parts, e); !p.word("or") {
			break
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return Or{Parts: parts}, nil
}

func (p *filterParser) and() (Expr, error) {
	var parts []Expr
	for {
		e, err := p.term()
		if err != nil {
			return nil, err
		}
		if both, ok := e.(And); ok {
			parts = append(parts, both.Parts...)
		} else {
			parts = append(parts, e)
		}
		if !p.word("and") {
			break
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return And{Parts: parts}, nil
}

func (p *filterParser) term() (Expr, error) {
	negated := p.word("not")
	p.skip()
	if strings.HasPrefix(p.rest, "(") {
		e, err := p.nested(')', p.within)
		if err != nil || !negated {
			return e, err
		}
		return Not{Part: e}, nil
	}
	if negated {
		return nil, invalidFilter("not is followed by a group in parentheses.")
	}
	return p.condition()
}

// nested reads a group up to end, one level deeper.
func (p *filterParser) nested(end byte, within *attribute) (Expr, error) {
	if p.depth++; p.depth > p.limits.FilterDepth {
		return nil, invalidFilter("The filter is nested deeper than %d levels.", p.limits.FilterDepth)
	}
	outer := p.within
	p.rest, p.within = p.rest[1:], within
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.skip(); p.rest == "" || p.rest[0] != end {
		return nil, invalidFilter("A parenthesis or bracket of the filter is not closed.")
	}
	p.rest, p.within = p.rest[1:], outer
	p.depth--
	return e, nil
}

// name reads an attribute path: everything that may stand in one.
func (p *filterParser) name() string {
	p.skip()
	i := 0
	for i < len(p.rest) && !strings.ContainsRune(" \t\r\n[]()\"", rune(p.rest[i])) {
		i++
	}
	name := p.rest[:i]
	p.rest = p.rest[i:]
	return name
}

func (p *filterParser) condition() (Expr, error) {
	name := p.name()
	if name == "" {
		return nil, invalidFilter("The filter lacks an attribute name.")
	}
	if p.within != nil {
		sub := p.within.sub(name)
		if sub == nil {
			return nil, invalidFilter("The filter names a sub-attribute that %s does not have.", p.within.name)
		}
		return p.compare(AttrPath{Attr: sub.name}, sub)
	}
	t, err := p.kind.parsePath(name, p.limits)
	if err != nil || t.attr == nil || t.attr.notFiltered || t.sub != nil && t.sub.notFiltered {
		return nil, invalidFilter("The filter names an attribute that is not known here.")
	}
	path := AttrPath{URN: t.urn, Attr: t.attr.name}
	if t.sub == nil && strings.HasPrefix(p.rest, "[") {
		return p.valuePath(path, t.attr)
	}
	leaf := t.attr
	if t.sub != nil {
		path.Sub, leaf = t.sub.name, t.sub
	}
	e, err := p.compare(path, leaf)
	if err != nil {
		return nil, err
	}
	return p.kind.admit(e)
}

// valuePath reads `attr[filter]`, and what Entra and Microsoft's validator
// add: `attr[filter].sub op value`, which means both of the same element.
func (p *filterParser) valuePath(path AttrPath, a *attribute) (Expr, error) {
	if a.kind != typeComplex || a.common {
		return nil, invalidFilter("%s takes no value filter.", a.name)
	}
	part, err := p.nested(']', a)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(p.rest, ".") {
		p.rest = p.rest[1:]
		sub := a.sub(p.name())
		if sub == nil {
			return nil, invalidFilter("The filter names a sub-attribute that %s does not have.", a.name)
		}
		more, err := p.compare(AttrPath{Attr: sub.name}, sub)
		if err != nil {
			return nil, err
		}
		part = And{Parts: []Expr{part, more}}
	}
	return p.kind.admit(ValuePath{Path: path, Part: part})
}

// admit refuses what would need the whole member list of a group, and brings
// the forms of "has this member" to one.
func (k *resourceKind) admit(e Expr) (Expr, error) {
	members := AttrPath{Attr: "members", Sub: "value"}
	switch c := e.(type) {
	case Compare:
		if c.Path.Attr != "members" || c.Path.URN != "" || c.Path == members && c.Op == OpEqual && c.Value != nil {
			return e, nil
		}
	case ValuePath:
		if c.Path.Attr != "members" {
			return e, nil
		}
		if one, ok := c.Part.(Compare); ok && one.Path.Attr == "value" && one.Op == OpEqual && one.Value != nil {
			one.Path = members
			return one, nil
		}
	case And, Or, Not:
	}
	return nil, invalidFilter(`members can only be compared as members eq "id" or members[value eq "id"].`)
}

// compare reads an operator and, but for pr, a value for the attribute a at path.
func (p *filterParser) compare(path AttrPath, a *attribute) (Expr, error) {
	op := CompareOp(strings.ToLower(p.name()))
	switch op {
	case OpPresent:
		return Compare{Path: path, Op: op}, nil
	case OpEqual, OpNotEqual, OpContains, OpStartsWith, OpEndsWith, OpGreater, OpGreaterOrEqual, OpLess, OpLessOrEqual:
	default:
		return nil, invalidFilter("The filter lacks an operator after %s; known are eq, ne, co, sw, ew, pr, gt, ge, lt, le.", path)
	}
	if a.kind == typeComplex && path.Sub == "" {
		if a = a.sub("value"); a == nil {
			return nil, invalidFilter("%s can only be compared by one of its sub-attributes.", path)
		}
		path.Sub = a.name
	}
	value, err := p.value()
	if err != nil {
		return nil, err
	}
	c := Compare{Path: path, Op: op, Value: value}
	if value == nil {
		if op != OpEqual && op != OpNotEqual {
			return nil, invalidFilter("null can only be compared with eq and ne.")
		}
		return c, nil
	}
	switch a.kind {
	case typeBoolean:
		return c.ofBoolean()
	case typeDateTime:
		return c.ofTime()
	case typeString, typeReference, typeComplex:
	}
	c.Folded = !a.exact
	c.Value = literalText(value)
	return c, nil
}

func (c Compare) ofBoolean() (Expr, error) {
	if c.Op != OpEqual && c.Op != OpNotEqual {
		return nil, invalidFilter("%s is a boolean and compares with eq, ne and pr only.", c.Path)
	}
	b, ok := asBool(c.Value)
	if !ok {
		return nil, invalidFilter("%s is a boolean and compares with true or false.", c.Path)
	}
	c.Value = b
	return c, nil
}

func (c Compare) ofTime() (Expr, error) {
	s, _ := c.Value.(string)
	if _, err := time.Parse(time.RFC3339, s); err != nil {
		return nil, invalidFilter("%s compares with a time such as 2026-01-31T00:00:00Z.", c.Path)
	}
	switch c.Op {
	case OpContains, OpStartsWith, OpEndsWith:
		return nil, invalidFilter("%s is a time and compares with eq, ne, gt, ge, lt, le and pr.", c.Path)
	case OpEqual, OpNotEqual, OpPresent, OpGreater, OpGreaterOrEqual, OpLess, OpLessOrEqual:
	}
	return c, nil
}

func literalText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	default:
		return ""
	}
}

// value reads a JSON string, true, false, null, or an unquoted word, which
// Microsoft's examples use and which counts as a string.
func (p *filterParser) value() (any, error) {
	p.skip()
	if !strings.HasPrefix(p.rest, `"`) {
		i := strings.IndexAny(p.rest, " \t\r\n()[]\"")
		if i < 0 {
			i = len(p.rest)
		}
		word := p.rest[:i]
		p.rest = p.rest[i:]
		switch strings.ToLower(word) {
		case "":
			return nil, invalidFilter("The filter lacks a value after an operator.")
		case "null":
			return nil, nil
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return word, nil
	}
	s, n, err := quoted(p.rest)
	if err != nil {
		return nil, err
	}
	p.rest = p.rest[n:]
	if p.rest != "" && !strings.ContainsRune(" \t\r\n)]", rune(p.rest[0])) {
		return nil, invalidFilter("A string of the filter goes on after its closing quote.")
	}
	return s, nil
}

// quoted reads the JSON string at the start of s and tells its length there.
func quoted(s string) (text string, length int, err error) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			if json.Unmarshal([]byte(s[:i+1]), &text) != nil || strings.IndexByte(text, 0) >= 0 {
				return "", 0, invalidFilter("A string of the filter is not a JSON string.")
			}
			return text, i + 1, nil
		}
	}
	return "", 0, invalidFilter("A string of the filter is not closed.")
}

// asBool reads true and false, also as text in any case, and nothing else.
func asBool(v any) (value, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case string:
		switch {
		case strings.EqualFold(v, "true"):
			return true, true
		case strings.EqualFold(v, "false"):
			return false, true
		}
	}
	return false, false
}
