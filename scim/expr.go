package scim

import "strings"

// Expr is a filter (RFC 7644 section 3.4.2.2) whose paths are known and
// canonical. It is one of And, Or, Not, Compare and ValuePath.
type Expr interface{ isExpr() }

// And holds where every part holds. It has at least two parts.
type And struct{ Parts []Expr }

// Or holds where some part holds. It has at least two parts.
type Or struct{ Parts []Expr }

// Not holds where Part does not.
type Not struct{ Part Expr }

// Compare holds where some value at Path stands in relation Op to Value.
// Value is nil for OpPresent and for a null literal, a bool where the attribute
// is boolean, and else a string; times are strings in RFC 3339. Folded tells
// that the attribute is compared without case.
type Compare struct {
	Path   AttrPath
	Op     CompareOp
	Value  any
	Folded bool
}

// ValuePath holds where one element of the multi-valued attribute Path
// satisfies Part as a whole. Paths inside Part name sub-attributes: Attr is
// the sub-attribute, URN and Sub are empty.
type ValuePath struct {
	Path AttrPath
	Part Expr
}

func (And) isExpr()       {}
func (Or) isExpr()        {}
func (Not) isExpr()       {}
func (Compare) isExpr()   {}
func (ValuePath) isExpr() {}

// AttrPath names an attribute. URN is empty for core and common attributes
// and the extension's URN otherwise; Sub may be empty.
type AttrPath struct{ URN, Attr, Sub string }

// String spells the path as RFC 7644 section 3.10 does.
func (p AttrPath) String() string {
	s := p.Attr
	if p.URN != "" {
		s = p.URN + ":" + s
	}
	if p.Sub != "" {
		s += "." + p.Sub
	}
	return s
}

// CompareOp is an operator of a Compare.
type CompareOp string

// The operators of RFC 7644 table 3.
const (
	OpEqual          CompareOp = "eq"
	OpNotEqual       CompareOp = "ne"
	OpContains       CompareOp = "co"
	OpStartsWith     CompareOp = "sw"
	OpEndsWith       CompareOp = "ew"
	OpPresent        CompareOp = "pr"
	OpGreater        CompareOp = "gt"
	OpGreaterOrEqual CompareOp = "ge"
	OpLess           CompareOp = "lt"
	OpLessOrEqual    CompareOp = "le"
)

// Term says that the attribute at Path has the value Value. Folded tells that
// case does not count; Value is then already folded.
type Term struct {
	Path   AttrPath
	Value  string
	Folded bool
}

// Fold is the one case folding of this package: compare and index folded
// values with it, and they agree with Matches.
func Fold(s string) string { return strings.ToLower(s) }

// Equality returns the terms that every match of e must satisfy, in the order
// of the filter: what an index can answer. Multi-valued attributes appear as
// attribute and sub-attribute, so both `emails eq "x"` and
// `emails[type eq "work" and value eq "x"]` give emails.value. A match of all
// terms need not match e; ask Matches. A nil e and a pure disjunction have no
// terms.
func Equality(e Expr) []Term { return equality(nil, e, AttrPath{}) }

func equality(terms []Term, e Expr, within AttrPath) []Term {
	switch e := e.(type) {
	case And:
		for _, p := range e.Parts {
			terms = equality(terms, p, within)
		}
	case ValuePath:
		terms = equality(terms, e.Part, e.Path)
	case Compare:
		value, ok := e.Value.(string)
		if e.Op != OpEqual || !ok {
			break
		}
		path := e.Path
		if within.Attr != "" {
			path = AttrPath{URN: within.URN, Attr: within.Attr, Sub: e.Path.Attr}
		}
		if e.Folded {
			value = Fold(value)
		}
		terms = append(terms, Term{Path: path, Value: value, Folded: e.Folded})
	}
	return terms
}
