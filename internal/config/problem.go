package config

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with the configuration. Its text says what
// to do about it and never repeats a value, which might be a misplaced secret.
type Problem struct {
	File   string // empty: the environment
	Line   int    // from 1; 0 when the file could not be read or the key is not in it
	Column int    // from 1
	Key    string // such as connections[0].name, or a variable of the environment; empty: the file as a whole
	Text   string
}

// String gives file:line:column: key: text, without the parts that are not
// known.
func (p Problem) String() string {
	var b strings.Builder
	switch {
	case p.File == "":
		b.WriteString("environment")
	case p.Line == 0:
		b.WriteString(p.File)
	default:
		fmt.Fprintf(&b, "%s:%d:%d", p.File, p.Line, p.Column)
	}
	if p.Key != "" {
		b.WriteString(": " + p.Key)
	}
	b.WriteString(": " + p.Text)
	return b.String()
}

// Problems is everything that is wrong, in the order of the file. It is an
// error when it holds any: see Err.
type Problems []Problem

// Error gives one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// Err returns the problems as an error, and nil when there are none.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// position is a place in the file, both from 1.
type position struct{ line, column int }

// source remembers where each key of a file stood.
type source struct {
	file  string
	at    map[string]position // by key path
	given map[string]string   // environment variable by key path, for what was overlaid
}

// problem places a sentence at a key, or at the nearest key around it when the
// file does not hold that one.
func (s source) problem(key, text string) Problem {
	for part := key; ; part = parent(part) {
		if variable, ok := s.given[part]; ok {
			return Problem{Key: variable, Text: text}
		}
		if at, ok := s.at[part]; ok {
			return Problem{File: s.file, Line: at.line, Column: at.column, Key: key, Text: text}
		}
		if part == "" {
			return Problem{File: s.file, Line: 1, Column: 1, Key: key, Text: text}
		}
	}
}

// parent gives connections[0] for connections[0].name, and connections for
// connections[0].
func parent(key string) string {
	return key[:max(0, strings.LastIndexAny(key, ".["))]
}

// suggestion returns the word of words that is closest to got, or the empty
// string when none is close.
func suggestion(got string, words []string) string {
	best, limit := "", min(len(got)/2, 3)+1
	for _, word := range words {
		if d := distance(got, word); d < limit {
			best, limit = word, d
		}
	}
	return best
}

// distance counts the letters to insert, delete or replace between a and b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
