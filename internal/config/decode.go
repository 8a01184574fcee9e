package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// maxDepth is more than the deepest setting needs.
const maxDepth = 16

// decoder fills a Config from the nodes of a file. It goes on after a problem,
// which is why the library's own decoder is not used: that one stops.
type decoder struct {
	source   source
	problems Problems
	secret   func(kind, name string) (Secret, string) // resolves a reference, or says what to do
	bad      map[string]bool                          // keys with a problem
}

func (d *decoder) tell(key, text string) {
	d.bad[key] = true
	d.problems = append(d.problems, d.source.problem(key, text))
}

// place records where key stands.
func (d *decoder) place(key string, at *token.Token) {
	if at != nil && at.Position != nil {
		d.source.at[key] = position{max(at.Position.Line, 1), max(at.Position.Column, 1)}
	}
}

// value decodes node into v, which key names.
func (d *decoder) value(key string, node ast.Node, v reflect.Value) {
	if strings.Count(key, ".")+strings.Count(key, "[") > maxDepth {
		d.tell(key, "remove a level; no setting is nested this deep")
		return
	}
	switch node := node.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
		return // as if the key were absent
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		d.tell(key, "write the value out; anchors, aliases and tags are not read")
		return
	default:
		switch v.Interface().(type) {
		case Secret:
			d.secretValue(key, node, v)
			return
		case Database:
			d.databaseValue(key, node, v)
			return
		case Approvals:
			d.approvalsValue(key, node, v)
			return
		case Publish:
			if text, ok := scalarText(node); ok {
				v.Set(reflect.ValueOf(Publish{Dir: text}))
				return
			}
		case RevokeProjects:
			d.revokeProjects(key, node, v)
			return
		}
	}
	switch v.Kind() { //nolint:exhaustive // the others are not in Config
	case reflect.Struct:
		if t := v.Type(); t == reflect.TypeFor[netip.Prefix]() || t == reflect.TypeFor[NotBefore]() {
			d.scalar(key, node, v)
			return
		}
		d.mapping(key, node, v)
	case reflect.Slice:
		d.sequence(key, node, v)
	default:
		d.scalar(key, node, v)
	}
}

// mapping decodes the keys of node into the fields of v.
func (d *decoder) mapping(key string, node ast.Node, v reflect.Value) {
	entries, ok := node.(ast.MapNode)
	if !ok {
		d.tell(key, "write an indented block of keys: "+strings.Join(names(v.Type()), ", "))
		return
	}
	seen := map[string]bool{}
	for pair := entries.MapRange(); pair.Next(); {
		name := pair.Key().GetToken().Value
		if pair.Key().Type() == ast.MergeKeyType {
			d.place(join(key, "<<"), pair.Key().GetToken())
			d.tell(join(key, "<<"), "write the keys out; merging is not read")
			continue
		}
		path := join(key, name)
		field, known := fieldByName(v, name)
		switch {
		case !known:
			d.place(path, pair.Key().GetToken())
			text := "remove it; there is no such key"
			if close := suggestion(name, names(v.Type())); close != "" {
				text = "did you mean " + close + "? There is no such key"
			}
			d.tell(path, text)
		case seen[name]:
			d.problems = append(d.problems, d.at(pair.Key().GetToken(), path, "remove one; the key is there twice"))
		default:
			seen[name] = true
			d.place(path, pair.Key().GetToken())
			d.value(path, pair.Value(), field)
		}
	}
}

// at is a problem at a token that is not the first of its key.
func (d *decoder) at(t *token.Token, key, text string) Problem {
	p := d.source.problem(key, text)
	if t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	return p
}

// sequence decodes the elements of node into a new slice.
func (d *decoder) sequence(key string, node ast.Node, v reflect.Value) {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		d.tell(key, "write a list, each entry on a line of its own after a dash")
		return
	}
	out := reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values))
	for i, element := range list.Values {
		path := fmt.Sprintf("%s[%d]", key, i)
		if element == nil || element.Type() == ast.NullType {
			d.tell(path, "write a value after the dash, or remove the dash")
			continue
		}
		d.place(path, firstToken(element))
		if target, ok := out.Index(i).Addr().Interface().(interface{ defaults() }); ok {
			target.defaults()
		}
		d.value(path, element, out.Index(i))
	}
	v.Set(out)
}

// firstToken returns where an element of a list begins; the token of a mapping
// itself is its first colon.
func firstToken(node ast.Node) *token.Token {
	if entries, ok := node.(ast.MapNode); ok {
		if pair := entries.MapRange(); pair.Next() {
			return pair.Key().GetToken()
		}
	}
	return node.GetToken()
}

// scalar decodes a single value.
func (d *decoder) scalar(key string, node ast.Node, v reflect.Value) {
	text, ok := scalarText(node)
	if !ok {
		d.tell(key, "write a single value")
		return
	}
	_, isText := node.(*ast.StringNode)
	if v.Kind() == reflect.Bool && isText {
		d.tell(key, "write true or false, without quotes")
		return
	}
	if problem := setScalar(v, text); problem != "" {
		d.tell(key, problem)
	}
}

// scalarText returns what was written, unquoted.
func scalarText(node ast.Node) (string, bool) {
	switch node := node.(type) {
	case *ast.StringNode:
		return node.Value, true
	case *ast.LiteralNode:
		return node.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return node.GetToken().Value, true
	default:
		return "", false
	}
}

// setScalar sets v from text, or says what to write instead.
func setScalar(v reflect.Value, text string) string {
	switch target := v.Addr().Interface().(type) {
	case *time.Duration:
		parsed, err := time.ParseDuration(text)
		if err != nil {
			return "write a duration such as 90s, 5m or 72h"
		}
		*target = parsed
		return ""
	case *NotBefore:
		if !target.parse(text) {
			return "write a duration such as 90s, 5m or 72h, or leave_date"
		}
		return ""
	case *netip.Prefix:
		parsed, ok := parsePrefix(text)
		if !ok {
			return "write an address range such as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32"
		}
		*target = parsed
		return ""
	}
	switch v.Kind() { //nolint:exhaustive // the others are not in Config
	case reflect.String:
		v.SetString(text)
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return "write a whole number"
		}
		v.SetInt(int64(n))
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return "write true or false"
		}
		v.SetBool(b)
	default:
		return "this cannot be written as one value"
	}
	return ""
}

// parsePrefix reads a range, or one address as a range of one.
func parsePrefix(text string) (netip.Prefix, bool) {
	if one, err := netip.ParseAddr(text); err == nil && one.Zone() == "" {
		return netip.PrefixFrom(one, one.BitLen()), true
	}
	prefix, err := netip.ParsePrefix(text)
	return prefix, err == nil && prefix == prefix.Masked()
}

// names lists the keys of a block in the order of its type.
func names(t reflect.Type) []string {
	var out []string
	for field := range t.Fields() {
		if name := field.Tag.Get("yaml"); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// fieldByName returns the field of v that the key name fills.
func fieldByName(v reflect.Value, name string) (reflect.Value, bool) {
	i := slices.IndexFunc(reflect.VisibleFields(v.Type()), func(f reflect.StructField) bool {
		return name != "" && f.Tag.Get("yaml") == name
	})
	if i < 0 {
		return reflect.Value{}, false
	}
	return v.Field(i), true
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

// secretValue decodes {env: NAME} or {file: PATH}.
func (d *decoder) secretValue(key string, node ast.Node, v reflect.Value) {
	secret, ok := d.reference(key, node, "write {env: NAME} or {file: PATH}; a secret does not stand in this file")
	if ok {
		v.Set(reflect.ValueOf(secret))
	}
}

// reference resolves a secret that is named, and says otherwise where it is
// written out.
func (d *decoder) reference(key string, node ast.Node, otherwise string) (Secret, bool) {
	entries, ok := node.(ast.MapNode)
	if !ok {
		d.tell(key, otherwise)
		return Secret{}, false
	}
	kinds := map[string]string{}
	for pair := entries.MapRange(); pair.Next(); {
		name, isScalar := scalarText(pair.Value())
		if !isScalar || name == "" {
			d.tell(key, otherwise)
			return Secret{}, false
		}
		kinds[pair.Key().GetToken().Value] = name
	}
	for _, kind := range []string{"env", "file"} {
		name, named := kinds[kind]
		if !named || len(kinds) != 1 {
			continue
		}
		secret, problem := d.secret(kind, name)
		if problem != "" {
			d.tell(key, problem)
			return Secret{}, false
		}
		return secret, true
	}
	d.tell(key, "write exactly one of {env: NAME} and {file: PATH}")
	return Secret{}, false
}

// databaseValue decodes sqlite:PATH, postgres://…, or a reference to either.
func (d *decoder) databaseValue(key string, node ast.Node, v reflect.Value) {
	text, fromFile := scalarText(node)
	if !fromFile {
		secret, ok := d.reference(key, node, "write sqlite:PATH, postgres://…, {env: NAME} or {file: PATH}")
		if !ok {
			return
		}
		text = secret.Reveal()
	}
	database, problem := parseDatabase(text)
	if problem == "" && fromFile && hasPassword(text) {
		problem = "take the password out of this file: set OFFRAMP_DATABASE, or write {env: NAME} or {file: PATH}"
	}
	if problem != "" {
		d.tell(key, problem)
		return
	}
	v.Set(reflect.ValueOf(database))
}
