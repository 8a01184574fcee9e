package runner

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"iter"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// roll is who was in a complete member list and in the groups. It is packed, one
// line of text for each address, because a hundred thousand of them are kept and
// shared: some 50 bytes for each. It never changes.
type roll struct {
	number  int64     // of the reading; 0: of the groups alone
	began   time.Time // the reading
	members int
	groups  []group
	lines   string   // sorted: key, address where it is written otherwise, marks, name, numbers of groups
	starts  []uint32 // where each line begins
}

// enrolled is one line of a roll.
type enrolled struct {
	key     string
	address string
	name    string
	member  bool // else only in a group, or not there any more
	pending bool
	shown   time.Time // of somebody who is no member any more: when the last list began that showed them; zero: none did lately
	groups  string
}

// Marks of a line.
const (
	markMember  = "m"
	markPending = "p"
	markGone    = "g" // in the place of a name stands when a list showed them
)

// rememberGone is how long a roll remembers that lists showed somebody.
const rememberGone = 7 * 24 * time.Hour

func parseLine(line string) (e enrolled) {
	var marks string
	e.key, line, _ = strings.Cut(line, "\t")
	e.address, line, _ = strings.Cut(line, "\t")
	marks, line, _ = strings.Cut(line, "\t")
	e.name, e.groups, _ = strings.Cut(line, "\t")
	e.member, e.pending = strings.Contains(marks, markMember), strings.Contains(marks, markPending)
	if e.address == "" {
		e.address = e.key
	}
	if at, err := strconv.ParseInt(e.name, 10, 64); err == nil && marks == markGone {
		e.name, e.shown = "", time.Unix(at, 0)
	}
	return e
}

func (r *roll) line(i int) string {
	end := len(r.lines)
	if i+1 < len(r.starts) {
		end = int(r.starts[i+1])
	}
	return r.lines[r.starts[i] : end-1]
}

// find returns the line of an address; its zero value where there is none.
func (r *roll) find(address string) enrolled {
	key := clean(offboard.Fold(address))
	i := sort.Search(len(r.starts), func(i int) bool {
		k, _, _ := strings.Cut(r.line(i), "\t")
		return k >= key
	})
	if i < len(r.starts) {
		if e := parseLine(r.line(i)); e.key == key {
			return e
		}
	}
	return enrolled{}
}

// all yields every line.
func (r *roll) all() iter.Seq[enrolled] {
	return func(yield func(enrolled) bool) {
		for i := range r.starts {
			if !yield(parseLine(r.line(i))) {
				return
			}
		}
	}
}

// in lists the groups of a line.
func (r *roll) in(e enrolled) []group {
	var out []group
	for n := range strings.SplitSeq(e.groups, ",") {
		if i, err := strconv.Atoi(n); err == nil && i < len(r.groups) {
			out = append(out, r.groups[i])
		}
	}
	return out
}

// some picks members evenly.
func (r *roll) some(n int) []string {
	var out []string
	for i := 0; i < len(r.starts); i += max(len(r.starts)/n, 1) {
		if e := parseLine(r.line(i)); e.member {
			out = append(out, e.address)
		}
	}
	return out
}

// rollBuilder collects what a reading shows.
type rollBuilder struct {
	groups  []group
	members int
	seen    map[string]*rolled
}

type rolled struct {
	address, name, marks string
	groups               []byte
}

func newRollBuilder() *rollBuilder { return &rollBuilder{seen: map[string]*rolled{}} }

func (b *rollBuilder) of(address string) *rolled {
	key := clean(offboard.Fold(address))
	e := b.seen[key]
	if e == nil {
		e = &rolled{}
		if address != key {
			e.address = clean(address)
		}
		b.seen[key] = e
	}
	return e
}

func (b *rollBuilder) member(m amplitude.Member) {
	e := b.of(m.Email)
	if e.marks == "" {
		b.members++
	}
	e.name, e.marks = clean(name(m)), markMember
	if m.Pending() {
		e.marks += markPending
	}
}

// gone remembers somebody of the roll before who is no member any more.
func (b *rollBuilder) gone(e enrolled, before time.Time) {
	shown := e.shown
	if e.member {
		shown = before
	}
	if shown.IsZero() || before.Sub(shown) > rememberGone {
		return
	}
	now := b.of(e.address)
	now.marks, now.name = markGone, strconv.FormatInt(shown.Unix(), 10)
}

// has reports whether the list held a member.
func (b *rollBuilder) has(key string) bool {
	e := b.seen[key]
	return e != nil && strings.HasPrefix(e.marks, markMember)
}

func (b *rollBuilder) group(g amplitude.Group) {
	n := len(b.groups)
	b.groups = append(b.groups, group{ID: clean(g.ID), Name: clean(g.Name)})
	for _, m := range g.Members {
		e := b.of(m.Email)
		if len(e.groups) > 0 {
			e.groups = append(e.groups, ',')
		}
		e.groups = strconv.AppendInt(e.groups, int64(n), 10)
	}
}

func (b *rollBuilder) roll(number int64, began time.Time) *roll {
	keys := make([]string, 0, len(b.seen))
	size := 0
	for key, e := range b.seen {
		keys = append(keys, key)
		size += len(key) + len(e.address) + len(e.marks) + len(e.name) + len(e.groups) + 5
	}
	slices.Sort(keys)
	var text strings.Builder
	text.Grow(size)
	for _, key := range keys {
		e := b.seen[key]
		for _, part := range []string{key, "\t", e.address, "\t", e.marks, "\t", e.name, "\t"} {
			text.WriteString(part)
		}
		text.Write(e.groups)
		text.WriteByte('\n')
	}
	return newRoll(number, began, b.members, b.groups, text.String())
}

func newRoll(number int64, began time.Time, members int, groups []group, lines string) *roll {
	r := &roll{number: number, began: began, members: members, groups: groups, lines: lines}
	r.starts = make([]uint32, 0, strings.Count(lines, "\n"))
	for at := 0; at < len(lines); {
		r.starts = append(r.starts, uint32(at)) //nolint:gosec // a list of 4 GB is no list
		at += strings.IndexByte(lines[at:], '\n') + 1
	}
	return r
}

// pack is the roll as the record keeps it.
func (r *roll) pack() ([]byte, error) {
	var out bytes.Buffer
	z, err := flate.NewWriter(&out, flate.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("pack a member list: %w", err)
	}
	var head strings.Builder
	fmt.Fprintf(&head, "%d\t%d\n", r.members, len(r.groups))
	for _, g := range r.groups {
		fmt.Fprintf(&head, "%s\t%s\n", g.ID, g.Name)
	}
	for _, part := range []string{head.String(), r.lines} {
		if _, err := io.WriteString(z, part); err != nil {
			return nil, fmt.Errorf("pack a member list: %w", err)
		}
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("pack a member list: %w", err)
	}
	return out.Bytes(), nil
}

func unpack(number int64, began time.Time, packed []byte) (*roll, error) {
	var text strings.Builder
	if _, err := io.Copy(&text, flate.NewReader(bytes.NewReader(packed))); err != nil {
		return nil, fmt.Errorf("unpack a member list: %w", err)
	}
	head, rest, _ := strings.Cut(text.String(), "\n")
	var members, n int
	if _, err := fmt.Sscanf(head, "%d\t%d", &members, &n); err != nil {
		return nil, fmt.Errorf("unpack a member list: %w", err)
	}
	var groups []group
	for range n {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		id, name, _ := strings.Cut(line, "\t")
		groups = append(groups, group{ID: id, Name: name})
	}
	return newRoll(number, began, members, groups, rest), nil
}

// clean makes a text fit for a line.
func clean(s string) string {
	if !strings.ContainsAny(s, "\t\n\r") {
		return s
	}
	return strings.NewReplacer("\t", " ", "\n", " ", "\r", " ").Replace(s)
}
