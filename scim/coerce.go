package scim

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// coerceOne brings v into the type of a, whose name is shown in errors. It
// accepts how providers write: "False" for false, a list of one for the one,
// {"value": x} for x, x for {"value": x}. It returns nil for "unassigned". In
// a complex value a nil sub-attribute means that it is to be cleared.
func coerceOne(a *attribute, name string, v any, n *notes) (any, error) {
	if list, ok := v.([]any); ok && len(list) == 1 {
		v = list[0]
	}
	if a.kind == typeComplex {
		return coerceComplex(a, name, v, n)
	}
	if m, ok := v.(map[string]any); ok {
		inner, has := get(m, "value")
		if !has {
			return nil, wrongType(a, name)
		}
		v = inner
	}
	return coerceSimple(a, name, v)
}

func coerceSimple(a *attribute, name string, v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	if a.kind == typeBoolean {
		if v == "" && a.name != "active" {
			return nil, nil
		}
		b, ok := asBool(v)
		if !ok {
			return nil, wrongType(a, name)
		}
		return b, nil
	}
	var s string
	switch v := v.(type) {
	case string:
		s = v
	case json.Number:
		s = v.String()
	default:
		return nil, wrongType(a, name)
	}
	most := maxText
	if a.key {
		most = maxKey
	}
	switch {
	case s == "":
		return nil, nil
	case len(s) > most:
		return nil, invalidValue("%s is longer than the %d bytes allowed.", name, most)
	case a.required && strings.TrimSpace(s) == "":
		return nil, invalidValue("%s must not be empty.", name)
	}
	return s, nil
}

func wrongType(a *attribute, name string) error {
	switch a.kind {
	case typeBoolean:
		return invalidValue("%s must be true or false.", name)
	case typeComplex:
		return invalidValue("%s must be an object.", name)
	case typeString, typeReference, typeDateTime:
	}
	return invalidValue("%s must be a string.", name)
}

func coerceComplex(a *attribute, name string, v any, n *notes) (any, error) {
	if isUnassigned(v) {
		return nil, nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		_, isText := v.(string)
		_, isNumber := v.(json.Number)
		if value := a.sub("value"); value != nil && (isText || isNumber) {
			m = map[string]any{"value": v}
		} else {
			return nil, wrongType(a, name)
		}
	}
	out := make(map[string]any, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		sub := a.sub(key)
		switch {
		case sub == nil:
			n.drop(droppedUnknown, a.name+"."+key)
			continue
		case sub.readOnly || sub.name == "$ref":
			continue
		}
		c, err := coerceOne(sub, name+"."+sub.name, m[key], n)
		if err != nil {
			return nil, err
		}
		out[sub.name] = c
	}
	return out, nil
}

// coerceList brings v into a list of elements of a; a single value counts as
// a list of one. Empty elements are left out, and primary is true at most once.
func coerceList(a *attribute, v any, n *notes) ([]any, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	if len(list) > maxValues {
		return nil, invalidValue("%s has more than the %d values allowed.", a.name, maxValues)
	}
	out := make([]any, 0, len(list))
	primary := false
	for _, item := range list {
		if nested, ok := item.([]any); ok && len(nested) != 1 {
			return nil, wrongType(a, a.name)
		}
		c, err := coerceOne(a, a.name, item, n)
		if err != nil {
			return nil, err
		}
		m, ok := c.(map[string]any)
		if !ok {
			continue
		}
		maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
		if m["primary"] == true {
			if primary {
				m["primary"] = false
			}
			primary = true
		}
		if len(m) > 0 {
			out = append(out, m)
		}
	}
	return out, nil
}
