package main_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"offramp/amplitude/amplitudefake"
	"offramp/internal/store/storetest"
)

// TestCrash kills the bridge again and again while people leave by every plan.
// Nothing may be lost, and by the simulator's log nothing may take effect twice
// or before its turn.
func TestCrash(t *testing.T) {
	t.Parallel()
	rounds, people, kills := 2, 15, 4
	if os.Getenv("OFFRAMP_SOAK") != "" {
		rounds, people = 20, 30 // who wait for the next minute's requests, too
	}
	for name, database := range map[string]func(t *testing.T) string{
		"sqlite":   func(*testing.T) string { return "" },
		"postgres": func(t *testing.T) string { t.Helper(); return storetest.Postgres(t) },
	} {
		for round := range rounds {
			t.Run(fmt.Sprintf("%s/%d", name, round), func(t *testing.T) {
				t.Parallel() // each has a bridge and an Amplitude of its own, and mostly waits for the request budget
				crashRound(t, newBridge(t, database(t)), people, kills, int64(round))
			})
		}
	}
}

func crashRound(t *testing.T, b *bridge, people, kills int, seed int64) {
	t.Helper()
	chance := rand.New(rand.NewPCG(uint64(seed), 42)) //nolint:gosec // chance that can be repeated
	b.start()
	heir := b.staff()
	var all []leaver
	for i := range people {
		l := leaver{address: fmt.Sprintf("leaver%02d@example.com", i), how: []string{"quick", "careful", "incident"}[i%3]}
		l.id = b.hire(l.address, l.how, heir)
		if l.how == "careful" {
			l.event = fmt.Sprintf("event %02d", i)
			for _, a := range []amplitudefake.Asset{
				{Kind: amplitudefake.KindEvent, ID: l.event, Project: b.project, Owners: []string{l.address}},
				{Kind: amplitudefake.KindDashboard, Name: "board", Project: b.project, Owners: []string{l.address}},
			} {
				if _, err := b.fake.AddAsset(a); err != nil {
					t.Fatal(err)
				}
			}
		}
		all = append(all, l)
	}
	// People leave in batches; in the middle of each the process dies.
	for batch := range slices.Chunk(all, (people+kills)/(kills+1)) {
		for _, l := range batch {
			b.leave(l)
		}
		for end := time.Now().Add(time.Duration(50+chance.IntN(1200)) * time.Millisecond); time.Now().Before(end); {
			b.work()
		}
		if kills--; kills >= 0 {
			b.kill()
			b.start()
		}
	}
	deadline := time.Now().Add(4 * time.Minute)
	for b.open() > 0 {
		b.work()
		if time.Now().After(deadline) {
			t.Errorf("%d cases are still open", b.open())
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.judge(all)
	t.Logf("%d calls to the simulator, %d of them changed something", len(b.fake.Requests(amplitudefake.RequestFilter{})), len(b.fake.Requests(amplitudefake.RequestFilter{Effect: true})))
}

// judge compares what happened with what should have, by the simulator's log.
func (b *bridge) judge(all []leaver) {
	b.t.Helper()
	state := b.fake.State()
	requests := b.fake.Requests(amplitudefake.RequestFilter{Effect: true})
	for _, l := range all {
		if slices.ContainsFunc(state.Members, func(m amplitudefake.Member) bool { return m.Email == l.address }) {
			b.t.Errorf("%s (%s) was lost: still a member", l.address, l.how)
		}
		removed, handed := -1, -1
		for i, r := range requests {
			switch {
			case strings.HasPrefix(r.Effect, "removed member") && strings.EqualFold(r.Object, l.address):
				if removed >= 0 {
					b.t.Errorf("%s was removed twice", l.address)
				}
				removed = i
			case r.Effect == "event owner changed" && l.event != "" && strings.Contains(r.Object, l.event):
				if handed >= 0 {
					b.t.Errorf("%s changed its owner twice", l.event)
				}
				handed = i
			}
		}
		if l.event != "" && (handed < 0 || removed < handed) {
			b.t.Errorf("%s was removed before its event was handed over (%d, %d)", l.address, removed, handed)
		}
	}
	for _, a := range state.Unassigned {
		b.t.Errorf("%s %s lost its owner before handover", a.Kind, a.Name)
	}
	for _, c := range b.cases() {
		if c.State != "closed" || c.Outcome != "removed" {
			b.t.Errorf("case of %s: %s %s %s", c.Address, c.State, c.Outcome, c.Note)
		}
	}
	if !bytes.Contains(mustRead(b.t, b.log.Name()), []byte("serving")) {
		b.t.Error("the bridge wrote no log")
	}
}
