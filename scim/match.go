package scim

import (
	"strings"
	"time"
)

// MatchesUser reports whether u satisfies e. A nil e is satisfied by everyone.
func MatchesUser(e Expr, u User) bool {
	if e == nil {
		return true
	}
	return matches(e, func(p AttrPath) any { return userValue(u, p) })
}

// MatchesGroup reports whether g satisfies e; a nil e is satisfied by every
// group. isMember answers conditions on members, by user id; nil looks into
// g.Members. It lets a directory answer from its rows, without the list.
func MatchesGroup(e Expr, g Group, isMember func(userID string) bool) bool {
	if e == nil {
		return true
	}
	if isMember == nil {
		isMember = func(id string) bool {
			for _, m := range g.Members {
				if m.Value == id {
					return true
				}
			}
			return false
		}
	}
	return matches(e, func(p AttrPath) any {
		switch p.Attr {
		case "members":
			return membership(isMember)
		case "displayName":
			return g.DisplayName
		case "externalId":
			return g.ExternalID
		}
		return commonValue(g.ID, "Group", g.Created, g.Modified, p)
	})
}

// membership is the value of members.value: it can be asked, not listed.
type membership func(userID string) bool

func userValue(u User, p AttrPath) any {
	if p.URN != "" {
		ext, _ := u.Attributes[p.URN].(map[string]any)
		return ext[p.Attr]
	}
	if p.Attr == "groups" {
		list := make([]any, len(u.Groups))
		for i, g := range u.Groups {
			list[i] = map[string]any{"value": g.Value, "display": g.Display}
		}
		return list
	}
	if v, ok := u.Attributes[p.Attr]; ok {
		return v
	}
	return commonValue(u.ID, "User", u.Created, u.Modified, p)
}

// commonValue returns the attribute at p, not yet its sub-attribute.
func commonValue(id, kind string, created, modified time.Time, p AttrPath) any {
	switch p.Attr {
	case "id":
		return id
	case "meta":
		return map[string]any{"resourceType": kind, "created": created, "lastModified": modified}
	}
	return nil
}

func matches(e Expr, value func(AttrPath) any) bool {
	switch e := e.(type) {
	case And:
		for _, p := range e.Parts {
			if !matches(p, value) {
				return false
			}
		}
		return true
	case Or:
		for _, p := range e.Parts {
			if matches(p, value) {
				return true
			}
		}
		return false
	case Not:
		return !matches(e.Part, value)
	case ValuePath:
		for _, item := range elements(value(e.Path)) {
			if m, ok := item.(map[string]any); ok && matchesElement(e.Part, m) {
				return true
			}
		}
		return false
	case Compare:
		return e.holds(value(e.Path), e.Path.Sub)
	default:
		return false
	}
}

// matchesElement evaluates e, whose paths name sub-attributes, on one element
// of a multi-valued attribute.
func matchesElement(e Expr, element map[string]any) bool {
	return matches(e, func(p AttrPath) any { return element[p.Attr] })
}

func elements(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

// holds applies c to the values below v: its elements, and in each the
// sub-attribute sub if there is one. ne holds where no value is equal, so it
// holds where nothing is.
func (c Compare) holds(v any, sub string) bool {
	if ask, ok := v.(membership); ok {
		id, _ := c.Value.(string)
		return c.Op == OpEqual && ask(id)
	}
	if c.Op == OpNotEqual {
		eq := c
		eq.Op = OpEqual
		return !eq.holds(v, sub)
	}
	present := false
	for _, item := range elements(v) {
		if sub != "" {
			m, _ := item.(map[string]any)
			item = m[sub]
		}
		if !isPresent(item) {
			continue
		}
		present = true
		if c.Op != OpPresent && c.Value != nil && c.one(item) {
			return true
		}
	}
	switch {
	case c.Op == OpPresent:
		return present
	case c.Value == nil: // eq null
		return c.Op == OpEqual && !present
	default:
		return false
	}
}

func isPresent(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case string:
		return v != ""
	case map[string]any:
		return len(v) > 0
	case time.Time:
		return !v.IsZero()
	default:
		return true
	}
}

// one compares a single present value.
func (c Compare) one(have any) bool {
	switch have := have.(type) {
	case bool:
		want, ok := c.Value.(bool)
		return ok && c.Op == OpEqual && have == want
	case time.Time:
		text, _ := c.Value.(string)
		want, err := time.Parse(time.RFC3339, text)
		return err == nil && c.ordered(have.Compare(want))
	case string:
		want, ok := c.Value.(string)
		if !ok {
			return false
		}
		if c.Folded {
			have, want = Fold(have), Fold(want)
		}
		switch c.Op {
		case OpContains:
			return strings.Contains(have, want)
		case OpStartsWith:
			return strings.HasPrefix(have, want)
		case OpEndsWith:
			return strings.HasSuffix(have, want)
		case OpEqual, OpNotEqual, OpPresent, OpGreater, OpGreaterOrEqual, OpLess, OpLessOrEqual:
		}
		return c.ordered(strings.Compare(have, want))
	default:
		return false
	}
}

// ordered applies an ordering operator to the outcome of a comparison.
func (c Compare) ordered(cmp int) bool {
	switch c.Op {
	case OpEqual:
		return cmp == 0
	case OpGreater:
		return cmp > 0
	case OpGreaterOrEqual:
		return cmp >= 0
	case OpLess:
		return cmp < 0
	case OpLessOrEqual:
		return cmp <= 0
	case OpNotEqual, OpContains, OpStartsWith, OpEndsWith, OpPresent:
	}
	return false
}
