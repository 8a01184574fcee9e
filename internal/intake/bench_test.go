package intake_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"offramp/internal/offboard"
)

// BenchmarkDeactivation is an accepted `active: false` with its case, durable,
// from 32 connections at once.
func BenchmarkDeactivation(b *testing.B) {
	for _, postgres := range []bool{false, true} {
		b.Run(fmt.Sprintf("postgres=%v", postgres), func(b *testing.B) {
			br := newBridge(b, settings{postgres: postgres})
			ids := br.crowd(b, 0, b.N)
			body := patch(`{"op":"replace","value":{"active":false}}`)
			var next atomic.Int64
			b.SetParallelism(16)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					br.want(b, 200, oktaToken, http.MethodPatch, "/Users/"+ids[next.Add(1)-1], body)
				}
			})
		})
	}
}

// BenchmarkHotPaths is what providers send most, one request at a time, in
// directories and groups of two sizes. statements/op is what reaches the
// database besides begin and commit.
func BenchmarkHotPaths(b *testing.B) {
	for _, postgres := range []bool{false, true} {
		for _, size := range []struct{ people, members int }{{1_000, 10}, {100_000, 10_000}} {
			town := newTown(b, postgres, size.people, size.members)
			for _, path := range town.paths() {
				b.Run(fmt.Sprintf("postgres=%v/%s/people=%d,members=%d", postgres, path.name, size.people, size.members), func(b *testing.B) {
					if path.needs != nil {
						path.needs(b, b.N)
					}
					b.ReportAllocs()
					before := town.statements.Load()
					b.ResetTimer()
					for i := range b.N {
						path.do(b, i)
					}
					b.ReportMetric(float64(town.statements.Load()-before)/float64(b.N), "statements/op")
				})
			}
		}
	}
}

// town is a bridge with people and a group of some of them.
type town struct {
	*bridge
	counter
	people []string
	fresh  []string // active, each to be deactivated once
	group  string
	member string
	guest  string // not a member
	made   int
}

func newTown(tb testing.TB, postgres bool, people, members int) *town {
	tb.Helper()
	t := &town{}
	t.bridge = newBridge(tb, settings{postgres: postgres, open: t.through})
	t.people = t.crowd(tb, 0, people)
	t.made = people
	if postgres { // what the server does by itself within a minute
		if _, err := t.store.DB().ExecContext(tb.Context(), "analyze"); err != nil {
			tb.Fatal(err)
		}
	}
	// Nobody of the first page is in the group: it would be a part of the answer.
	t.group = t.team(tb, "Everyone", t.people[people-members:]...)
	t.member, t.guest = t.people[people-1], t.people[0]
	return t
}

// hotPath is one kind of request. needs prepares what n of them use up.
type hotPath struct {
	name  string
	needs func(tb testing.TB, n int)
	do    func(tb testing.TB, i int)
}

func (t *town) paths() []hotPath {
	off := patch(`{"op":"replace","value":{"active":false}}`)
	group := "/Groups/" + t.group
	return []hotPath{
		{"deactivate", func(tb testing.TB, n int) {
			tb.Helper()
			t.fresh = t.crowd(tb, t.made, n)
			t.made += n
		}, func(tb testing.TB, i int) {
			tb.Helper()
			t.want(tb, 200, oktaToken, http.MethodPatch, "/Users/"+t.fresh[i], off)
		}},
		{"filter by userName", nil, func(tb testing.TB, _ int) {
			tb.Helper()
			t.want(tb, 200, oktaToken, http.MethodGet, "/Users"+filter(`userName eq "`+t.member+`@example.com"`), "")
		}},
		{"create", nil, func(tb testing.TB, _ int) {
			tb.Helper()
			t.made++
			t.hire(tb, fmt.Sprintf("h%07d", t.made))
		}},
		{"add and remove a member", nil, func(tb testing.TB, _ int) {
			tb.Helper()
			t.want(tb, 204, oktaToken, http.MethodPatch, group, patch(`{"op":"add","path":"members","value":[{"value":"`+t.guest+`"}]}`))
			t.want(tb, 204, oktaToken, http.MethodPatch, group, patch(`{"op":"remove","path":"members[value eq \"`+t.guest+`\"]"}`))
		}},
		{"list a page of 100", nil, func(tb testing.TB, _ int) {
			tb.Helper()
			t.want(tb, 200, oktaToken, http.MethodGet, "/Users?startIndex=1&count=100", "")
		}},
	}
}

// crowd records n people of Okta side by side, so that they share commits, and
// returns their ids, p0000000 and so on from the first number on; their
// addresses are at example.com.
func (br *bridge) crowd(tb testing.TB, first, n int) []string {
	tb.Helper()
	ids := make([]string, n)
	const side = 64
	done := make(chan error, side)
	for k := range side {
		go func() {
			for i := k; i < n; i += side {
				ids[i] = fmt.Sprintf("p%07d", first+i)
				name := ids[i] + "@example.com"
				_, err := br.store.ChangePerson(tb.Context(), offboard.PersonChange{
					Connection: "okta", Change: func(offboard.Person) (offboard.Person, error) {
						return offboard.Person{
							ID: ids[i], UserName: name, Address: name, Active: true,
							Resource: `{"userName":"` + name + `","active":true}`,
						}, nil
					},
				})
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range side {
		if err := <-done; err != nil {
			tb.Fatal(err)
		}
	}
	return ids
}
