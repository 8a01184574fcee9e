package scim

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// sent is what the body of a POST or PUT says about a user.
type sent struct {
	attributes map[string]any
	named      map[string]bool // core attributes and extension URNs it speaks of, empty ones too
}

func newSent(ops []op, named map[string]bool) (sent, error) {
	s := sent{named: named}
	var err error
	if s.attributes, err = applyOps(nil, ops); err != nil {
		return s, err
	}
	if s.attributes["userName"] == nil {
		return s, invalidValue("userName is required.")
	}
	return s, nil
}

// over returns the attributes after a PUT of s over stored. A body replaces
// every core attribute, so one that it leaves out is gone (RFC 7644 section
// 3.5.1), with three exceptions where silence must not mean a change: active
// (a body without it neither disables nor enables), externalId (the
// provider's key to the person), and each extension as a whole (a provider
// that does not map one does not know of it). An extension that the body
// names is replaced whole.
func (s sent) over(stored map[string]any) map[string]any {
	out := maps.Clone(s.attributes)
	for _, name := range []string{"active", "externalId", EnterpriseURN, OfframpURN} {
		if v, ok := stored[name]; ok && !s.named[name] {
			out[name] = v
		}
	}
	return out
}

// applyOps returns the attributes after ops in order; stored is not changed.
// It is pure: the same arguments give the same result.
func applyOps(stored map[string]any, ops []op) (map[string]any, error) {
	out := make(map[string]any, len(stored)+4)
	for name, v := range stored {
		out[name] = clone(v)
	}
	for _, o := range ops {
		if err := o.apply(out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// clone copies maps and lists all the way down.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[k] = clone(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = clone(item)
		}
		return out
	default:
		return v
	}
}

// apply changes attrs, which the caller owns.
func (o op) apply(attrs map[string]any) error {
	in := attrs
	if o.urn != "" {
		ext, ok := attrs[o.urn].(map[string]any)
		if !ok {
			ext = map[string]any{}
		}
		in = ext
		defer func() {
			if len(ext) == 0 {
				delete(attrs, o.urn)
				return
			}
			attrs[o.urn] = ext
		}()
	}
	name := o.attr.name
	if o.attr.multi {
		list, _ := in[name].([]any)
		list, err := o.applyList(list)
		switch {
		case err != nil:
			return err
		case len(list) > maxValues:
			return invalidValue("%s has more than the %d values allowed.", name, maxValues)
		case len(list) == 0:
			delete(in, name)
		default:
			in[name] = list
		}
		return nil
	}
	switch {
	case o.attr.kind == typeComplex:
		m, ok := in[name].(map[string]any)
		if !ok {
			m = map[string]any{}
		}
		if o.kind == opRemove && o.sub == nil {
			m = nil
		} else {
			merge(m, o.part())
		}
		if in[name] = m; len(m) == 0 {
			delete(in, name)
		}
	case o.kind == opRemove:
		delete(in, name)
	default:
		in[name] = clone(o.value)
	}
	return nil
}

// part is o's value as an object to merge into an element; nil members clear.
func (o op) part() map[string]any {
	if o.sub != nil {
		return map[string]any{o.sub.name: o.value}
	}
	m, _ := o.value.(map[string]any)
	return m
}

func merge(into, from map[string]any) {
	for name, v := range from {
		if v == nil {
			delete(into, name)
			continue
		}
		into[name] = clone(v)
	}
}

// applyList applies o to the elements of a multi-valued attribute.
func (o op) applyList(list []any) ([]any, error) {
	switch {
	case o.selector != nil:
		return o.applySelected(list)
	case o.sub != nil:
		return o.applyEvery(list)
	case o.kind == opRemove && o.value == nil:
		return nil, nil
	}
	values, _ := o.value.([]any)
	switch o.kind {
	case opReplace:
		out, _ := clone(values).([]any)
		return out, nil
	case opRemove:
		return slices.DeleteFunc(list, func(item any) bool {
			return slices.ContainsFunc(values, func(v any) bool { return describes(v, item) })
		}), nil
	case opAdd:
	}
	for _, v := range values {
		at := slices.IndexFunc(list, func(item any) bool { return same(v, item) })
		if at < 0 {
			at, list = len(list), append(list, map[string]any{})
		}
		element, _ := list[at].(map[string]any)
		from, _ := v.(map[string]any)
		merge(element, from)
		if from["primary"] == true {
			onlyPrimary(list, at)
		}
	}
	return list, nil
}

// applySelected applies o to the elements that its value filter selects. An
// add without a match makes the element the filter describes; so does a
// replace, for the types that the schema lists and for primary, because Entra
// means it so. Any other replace without a match has no target (RFC 7644
// section 3.5.2.3); a removal without a match is done already.
func (o op) applySelected(list []any) ([]any, error) {
	var out []any
	found := -1
	for _, item := range list {
		m, _ := item.(map[string]any)
		if !matchesElement(o.selector, m) {
			out = append(out, item)
			continue
		}
		if o.kind == opRemove && o.sub == nil {
			continue
		}
		merge(m, o.part())
		if len(m) > 0 {
			found, out = len(out), append(out, m)
		}
	}
	if o.kind == opRemove {
		return out, nil
	}
	if found < 0 {
		m := map[string]any{}
		if !o.describe(m) {
			return nil, badRequest("noTarget", "The value filter of %s matches no value and cannot be created from the filter.", o.attr.name)
		}
		merge(m, o.part())
		found, out = len(out), append(out, m)
	}
	if m, _ := out[found].(map[string]any); m["primary"] == true {
		onlyPrimary(out, found)
	}
	return out, nil
}

// describe fills m from the eq terms of the filter and reports whether that
// makes an element which the operation may create.
func (o op) describe(m map[string]any) bool {
	parts := []Expr{o.selector}
	if both, ok := o.selector.(And); ok {
		parts = both.Parts
	}
	for _, p := range parts {
		c, ok := p.(Compare)
		if !ok || c.Op != OpEqual || c.Value == nil {
			return false
		}
		name := c.Path.Attr
		if o.kind == opReplace {
			text, _ := c.Value.(string)
			known := slices.ContainsFunc(o.attr.sub(name).oneOf, func(t string) bool { return strings.EqualFold(t, text) })
			if !known && (name != "primary" || c.Value != true) {
				return false
			}
		}
		m[name] = c.Value
	}
	return true
}

// applyEvery applies o to a sub-attribute without a value filter: to the only
// element, to the primary one of several, or, on a removal, to all.
func (o op) applyEvery(list []any) ([]any, error) {
	if o.kind == opRemove {
		return slices.DeleteFunc(list, func(item any) bool {
			m, _ := item.(map[string]any)
			delete(m, o.sub.name)
			return len(m) == 0
		}), nil
	}
	at := 0
	switch len(list) {
	case 0:
		list = append(list, map[string]any{})
	case 1:
	default:
		at = slices.IndexFunc(list, func(item any) bool {
			m, _ := item.(map[string]any)
			return m["primary"] == true
		})
		if at < 0 {
			return nil, badRequest("noTarget", `%s has several values; name one with a filter such as [type eq "work"].`, o.attr.name)
		}
	}
	m, _ := list[at].(map[string]any)
	merge(m, o.part())
	return list, nil
}

// onlyPrimary takes primary from every element but the one at index keep.
func onlyPrimary(list []any, keep int) {
	for i, item := range list {
		if m, _ := item.(map[string]any); i != keep && m["primary"] == true {
			m["primary"] = false
		}
	}
}

// same reports whether a and b are one value: equal value and type, or equal
// in everything where they have no value.
func same(a, b any) bool {
	x, _ := a.(map[string]any)
	y, _ := b.(map[string]any)
	if x["value"] == nil || y["value"] == nil {
		return reflect.DeepEqual(x, y)
	}
	return foldedEqual(x["value"], y["value"]) && foldedEqual(x["type"], y["type"])
}

// describes reports whether everything that a says is so in b; primary and
// display do not count where a has a value.
func describes(a, b any) bool {
	x, _ := a.(map[string]any)
	y, _ := b.(map[string]any)
	for name, v := range x {
		if x["value"] != nil && (name == "primary" || name == "display") {
			continue
		}
		if !foldedEqual(v, y[name]) {
			return false
		}
	}
	return len(x) > 0
}

func foldedEqual(a, b any) bool {
	x, ok := a.(string)
	y, both := b.(string)
	if ok && both {
		return Fold(x) == Fold(y)
	}
	return a == b
}
