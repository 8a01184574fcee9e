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
			ids := crowd(b, br, b.N)
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

// BenchmarkFilter is the provider's match by user name in directories of two sizes.
func BenchmarkFilter(b *testing.B) {
	for _, size := range []int{1_000, 20_000} {
		b.Run(fmt.Sprintf("people=%d", size), func(b *testing.B) {
			br := newBridge(b, settings{})
			ids := crowd(b, br, size)
			path := "/Users" + filter(`userName eq "`+ids[size/2]+`@example.com"`)
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				br.want(b, 200, oktaToken, http.MethodGet, path, "")
			}
		})
	}
}

// BenchmarkRemoveMember removes one member and adds them again, in groups of two sizes.
func BenchmarkRemoveMember(b *testing.B) {
	for _, size := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("members=%d", size), func(b *testing.B) {
			br := newBridge(b, settings{})
			ids := crowd(b, br, size)
			g := br.team(b, "Everyone", ids...)
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				br.want(b, 204, oktaToken, http.MethodPatch, "/Groups/"+g, patch(`{"op":"remove","path":"members[value eq \"`+ids[size/2]+`\"]"}`))
				br.want(b, 204, oktaToken, http.MethodPatch, "/Groups/"+g, patch(`{"op":"add","path":"members","value":[{"value":"`+ids[size/2]+`"}]}`))
			}
		})
	}
}

// crowd records n people of Okta side by side, so that they share commits, and
// returns their ids, p000000 and so on; their addresses are at example.com.
func crowd(tb testing.TB, b *bridge, n int) []string {
	tb.Helper()
	ids := make([]string, n)
	const side = 64
	done := make(chan error, side)
	for k := range side {
		go func() {
			for i := k; i < n; i += side {
				ids[i] = fmt.Sprintf("p%06d", i)
				name := ids[i] + "@example.com"
				_, err := b.store.ChangePerson(tb.Context(), offboard.PersonChange{
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
