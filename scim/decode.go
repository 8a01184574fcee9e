package scim

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// maxJSONDepth bounds nesting; SCIM bodies need six levels.
const maxJSONDepth = 32

// decodeObject reads one JSON object strictly: valid UTF-8, nothing after the
// value, no name twice in one object (names are compared without case, as
// everywhere in SCIM), no NUL in strings, numbers kept as written. A body that
// says a thing twice says nothing that may be acted on.
func decodeObject(body []byte) (map[string]any, error) {
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return nil, invalidSyntax("The body is empty; a JSON object is expected.")
	case !utf8.Valid(body):
		return nil, invalidSyntax("The body is not valid UTF-8.")
	case !json.Valid(body):
		return nil, invalidSyntax("The body is not valid JSON.")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, invalidSyntax("The body must be a JSON object.")
	}
	return m, nil
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxJSONDepth {
		return nil, invalidSyntax("The body is nested deeper than %d levels.", maxJSONDepth)
	}
	token, err := d.Token()
	if err != nil {
		return nil, invalidSyntax("The body is not valid JSON.")
	}
	switch t := token.(type) {
	case string:
		if strings.IndexByte(t, 0) >= 0 {
			return nil, invalidValue("A string in the body contains the character NUL.")
		}
		return t, nil
	case json.Delim:
		if t == '[' {
			return decodeList(d, depth)
		}
		return decodeMembers(d, depth)
	default:
		return t, nil
	}
}

func decodeList(d *json.Decoder, depth int) (any, error) {
	list := []any{}
	for d.More() {
		v, err := decodeValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := d.Token()
	return list, err
}

func decodeMembers(d *json.Decoder, depth int) (any, error) {
	m := map[string]any{}
	var seen map[string]bool // folded names, once there are enough to matter
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, invalidSyntax("The body is not valid JSON.")
		}
		name, _ := token.(string)
		if strings.IndexByte(name, 0) >= 0 {
			return nil, invalidValue("A name in the body contains the character NUL.")
		}
		twice := false
		if len(m) < 8 {
			for other := range m {
				twice = twice || strings.EqualFold(other, name)
			}
		} else {
			if seen == nil {
				seen = make(map[string]bool, 2*len(m))
				for other := range m {
					seen[Fold(other)] = true
				}
			}
			twice = seen[Fold(name)]
		}
		if twice {
			return nil, invalidSyntax("The body names the same attribute twice in one object.")
		}
		if seen != nil {
			seen[Fold(name)] = true
		}
		if m[name], err = decodeValue(d, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return m, err
}

// get returns the member of m called name, in any case.
func get(m map[string]any, name string) (any, bool) {
	if v, ok := m[name]; ok {
		return v, true
	}
	for k, v := range m {
		if strings.EqualFold(k, name) {
			return v, true
		}
	}
	return nil, false
}
