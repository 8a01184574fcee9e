package scim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// opKind is what a PATCH operation does.
type opKind string

const (
	opAdd     opKind = "add"
	opReplace opKind = "replace"
	opRemove  opKind = "remove"
)

// op is one operation in plain form: it has a known, writable target, and a
// value of the target's type. Paths are canonical, string booleans are
// booleans, lists are lists. A nil value on a removal means all of it.
type op struct {
	kind opKind
	target
	value any
}

// dropReason is a closed set, fit for a metric label.
type dropReason string

const (
	droppedUnknown  dropReason = "unknown"
	droppedReadOnly dropReason = "read_only"
)

// notes counts what was dropped. names holds the first few names as sent, if
// they are names at all: a key can hold anything.
type notes struct {
	counts map[dropReason]int
	names  []string
}

func (n *notes) drop(reason dropReason, name string) {
	if n.counts == nil {
		n.counts = map[dropReason]int{}
	}
	n.counts[reason]++
	name, _, _ = strings.Cut(lastName(name), "[")
	if head, sub, dotted := strings.Cut(name, "."); len(n.names) < 5 && len(name) <= 64 && isName(head) && (!dotted || isName(sub)) {
		n.names = append(n.names, name)
	}
}

func (n *notes) dropped() int {
	total := 0
	for _, c := range n.counts {
		total += c
	}
	return total
}

// lastName returns what follows the last colon of a path.
func lastName(path string) string {
	head, _, _ := strings.Cut(path, "[")
	return path[strings.LastIndexByte(head, ':')+1:]
}

// normalize rewrites the habits of providers into plain operations and bodies
// in canonical spelling. A PATCH is lifted into the exchange whole, for the
// reasons that the query is; the library is handed an operation without
// effect. Bodies of POST and PUT go on to the library's validation.
func (s *server) normalize(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPost, http.MethodPut, http.MethodPatch:
		default:
			next.ServeHTTP(w, r)
			return
		}
		ex := exchangeOf(r)
		raw, err := io.ReadAll(r.Body)
		var body map[string]any
		if err == nil {
			body, err = decodeObject(raw)
		}
		var plain []byte
		if err == nil {
			plain, err = s.plainBody(ex, r.Method, body)
		}
		if err != nil {
			_ = ex.fail(err)
			return
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(plain)), int64(len(plain))
		next.ServeHTTP(w, r)
	})
}

// plainBody fills the exchange from body and returns what the library gets.
func (s *server) plainBody(ex *exchange, method string, body map[string]any) ([]byte, error) {
	group := ex.route.resource == "Groups"
	kind, most := s.users, s.limits.Operations
	if group {
		kind, most = s.groups, s.limits.MemberOperations
	}
	n := normalizer{kind: kind, limits: s.limits, most: most, notes: &ex.notes}
	if err := checkSchemas(body); err != nil {
		return nil, err
	}
	if method == http.MethodPatch {
		ops, err := n.patch(body)
		if err != nil {
			return nil, err
		}
		if group {
			err = ex.change.fill(ops)
		} else {
			ex.ops = ops
		}
		return []byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{}}]}`), err
	}
	n.wholeBody = true
	if err := n.assign(opReplace, body); err != nil {
		return nil, err
	}
	if group {
		if err := ex.change.fill(n.ops); err != nil {
			return nil, err
		}
		return ex.change.plain()
	}
	var err error
	if ex.sent, err = newSent(n.ops, n.named); err != nil {
		return nil, err
	}
	plain := maps.Clone(ex.sent.attributes)
	plain["schemas"] = []string{UserURN}
	return json.Marshal(plain)
}

// checkSchemas accepts what providers put into schemas, drafts and foreign
// URNs included, as long as it is a list of strings or absent.
func checkSchemas(body map[string]any) error {
	v, ok := get(body, "schemas")
	if !ok || v == nil {
		return nil
	}
	list, ok := v.([]any)
	for _, item := range list {
		if _, text := item.(string); !text {
			ok = false
		}
	}
	if !ok {
		return invalidSyntax("schemas must be a list of URNs.")
	}
	return nil
}

// normalizer turns the parts of one body into operations.
type normalizer struct {
	kind   *resourceKind
	limits Limits
	most   int // operations
	notes  *notes
	// wholeBody tells that the keys are those of a resource: what cannot be a
	// path is then one more unknown attribute, not a mistake.
	wholeBody bool
	ops       []op
	named     map[string]bool // core attributes and extensions the body speaks of
	count     int
}

// patch reads a PatchOp message (RFC 7644 section 3.5.2).
func (n *normalizer) patch(body map[string]any) ([]op, error) {
	v, _ := get(body, "Operations")
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return nil, invalidSyntax("Operations must be a list with at least one operation.")
	}
	for _, item := range list {
		m, ok := item.(map[string]any)
		if !ok {
			return nil, invalidSyntax("An operation must be an object with op, path and value.")
		}
		if err := n.operation(m); err != nil {
			return nil, err
		}
	}
	return n.ops, nil
}

func (n *normalizer) operation(m map[string]any) error {
	v, _ := get(m, "op")
	name, _ := v.(string)
	kind := opKind(strings.ToLower(name))
	switch kind {
	case opAdd, opReplace, opRemove:
	default:
		return invalidSyntax("op must be add, replace or remove.")
	}
	value, given := get(m, "value")
	if kind != opRemove && !given {
		return invalidValue("An add or replace operation needs a value.")
	}
	rawPath, _ := get(m, "path")
	path, ok := rawPath.(string)
	if !ok && rawPath != nil {
		return invalidPath("path must be a string.")
	}
	if strings.TrimSpace(path) != "" {
		return n.resolve(kind, path, value)
	}
	if kind == opRemove {
		return badRequest("noTarget", "A remove operation needs a path.")
	}
	object, ok := value.(map[string]any)
	if !ok {
		return invalidValue("The value of an operation without path must be an object.")
	}
	return n.assign(kind, object)
}

// assign turns every member of object into an operation; keys are paths.
func (n *normalizer) assign(kind opKind, object map[string]any) error {
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if err := n.resolve(kind, key, object[key]); err != nil {
			return err
		}
	}
	return nil
}

// resolve adds the operation at path, or drops it with a note.
func (n *normalizer) resolve(kind opKind, path string, value any) error {
	if n.count++; n.count > n.most {
		return &problem{status: http.StatusRequestEntityTooLarge, detail: "The request has more operations than the " + strconv.Itoa(n.most) + " allowed; send them in parts."}
	}
	t, err := n.kind.parsePath(path, n.limits)
	if err != nil && n.wholeBody && !strings.Contains(Fold(path), "active") {
		err = errUnknownPath
	}
	switch {
	case errors.Is(err, errUnknownPath):
		// Okta sends a password with every create; it is never kept.
		if !strings.EqualFold(lastName(path), "password") {
			n.notes.drop(droppedUnknown, path)
		}
		return nil
	case err != nil:
		return err
	case t.attr == nil:
		return n.container(kind, t.urn, value)
	case t.readOnly():
		// Whole resources come back with id, meta, schemas and groups in them.
		if !t.attr.common && t.attr.name != "groups" {
			n.notes.drop(droppedReadOnly, t.String())
		}
		return nil
	}
	n.name(cmp.Or(t.urn, t.attr.name))
	o := op{kind: kind, target: t}
	if n.kind.name == "Group" && t.attr.name == "members" {
		return n.members(o, value)
	}
	if o.kind, o.value, err = n.plain(t, kind, value); err != nil {
		return err
	}
	if o.kind != "" {
		n.ops = append(n.ops, o)
	}
	return nil
}

func (n *normalizer) name(what string) {
	if n.named == nil {
		n.named = map[string]bool{}
	}
	n.named[what] = true
}

// container spreads an operation on a whole extension (or on the core's URN)
// over its attributes.
func (n *normalizer) container(kind opKind, urn string, value any) error {
	n.name(urn)
	object, ok := value.(map[string]any)
	switch {
	case kind == opRemove || isUnassigned(value):
		if urn == n.kind.core.urn {
			return badRequest("mutability", "The core schema of a resource cannot be removed.")
		}
		for _, a := range n.kind.byURN[Fold(urn)].attrs {
			n.ops = append(n.ops, op{kind: opRemove, target: target{urn: urn, attr: a}})
		}
		return nil
	case !ok:
		return invalidValue("The value of a whole schema must be an object.")
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		path := key
		if !strings.HasPrefix(Fold(key), "urn:") {
			path = urn + ":" + key
		} else if k, rest, known := n.kind.splitURN(key); known && rest == "" && k != "" {
			return invalidValue("A schema is nested inside a schema.")
		}
		if err := n.resolve(kind, path, object[key]); err != nil {
			return err
		}
	}
	return nil
}

// plain brings value into the type of t. It returns the kind remove where the
// value means "unassigned" (RFC 7643 section 2.5), and no kind where nothing
// is left to do.
func (n *normalizer) plain(t target, kind opKind, value any) (opKind, any, error) {
	whole := t.sub == nil && t.selector == nil
	if kind == opRemove {
		if err := removable(t); err != nil {
			return "", nil, err
		}
		if !t.attr.multi || !whole || value == nil {
			return opRemove, nil, nil
		}
		v, err := coerceList(t.attr, value, n.notes)
		if len(v) == 0 {
			return "", nil, err // removes the values listed: none
		}
		return opRemove, v, err
	}
	if isUnassigned(value) {
		if err := assignable(t); err != nil {
			return "", nil, err
		}
		return opRemove, nil, nil
	}
	if t.attr.multi && whole {
		v, err := coerceList(t.attr, value, n.notes)
		return kind, v, err
	}
	leaf := t.attr
	if t.sub != nil {
		leaf = t.sub
	}
	v, err := coerceOne(leaf, t.String(), value, n.notes)
	if err == nil && v == nil {
		return opRemove, nil, assignable(t)
	}
	return kind, v, err
}

// isUnassigned reports whether v is null or an empty string.
func isUnassigned(v any) bool { return v == nil || v == "" }

// assignable refuses an empty value where one is needed.
func assignable(t target) error {
	switch {
	case t.urn == "" && t.attr.name == "active":
		return invalidValue("active must be true or false.")
	case t.attr.required && t.sub == nil:
		return invalidValue("%s must not be empty.", t)
	}
	return nil
}

// removable refuses the removal of what must stay.
func removable(t target) error {
	if t.urn == "" && t.attr.name == "active" || t.attr.required && t.sub == nil {
		return badRequest("mutability", "%s cannot be removed.", t)
	}
	return nil
}
